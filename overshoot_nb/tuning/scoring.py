"""Right and wrong by version and field; which samples flipped; whether a difference is one."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from overshoot_nb import config
from overshoot_nb.errors import ValidationError
from overshoot_nb.store.fields import field_names
from overshoot_nb.store.labels import MISSING, Labels
from overshoot_nb.support.intervals import check_confidence

from .judges import Judges
from .judging import DECIDED, Answers, Judgement, Schemas, judge_each, overall, tidy
from .score import Score
from .statistics import PairedTest

if TYPE_CHECKING:
    import pandas as pd

    from overshoot_nb.running.run import Run
    from overshoot_nb.types import StreamInferenceResult

# ---- answers of any origin ---------------------------------------------------------------------


def judge_answers(
    answers: Answers,
    labels: Labels,
    judge: Judges = None,
    *,
    schemas: Schemas | None = None,
    names: Sequence[str] = ("column",),
) -> pd.DataFrame:
    """Every answer about a labelled sample, field by field: right or wrong.

    Args:
        answers: by column (whoever gave them) and sample.
        labels: what they should be.
        judge: when an answer counts as right, as in ``stream.score``.
        schemas: those of the columns, where they are known; None of a column is free text.
        names: what the columns are called; with several names the columns are tuples.

    Returns:
        ``names``, sample, field, expected (NaN where only wrong values are known), answer,
        outcome ("right", "wrong", "unusable", "no answer", "unknown" or "not asked"), and right:
        True, False, or missing where it is neither.

    Raises:
        ValidationError: nothing was labelled, ``judge`` is no judge, or it failed.
    """
    return tidy(judge_each(answers, labels, judge, schemas=schemas), names)


def score_answers(
    answers: Answers,
    labels: Labels,
    judge: Judges = None,
    *,
    schemas: Schemas | None = None,
    confidence: float = config.CONFIDENCE,
    names: Sequence[str] = ("version",),
) -> Score:
    """How often the answers of each column are right; parameters as of :func:`judge_answers`.

    Raises:
        ValidationError: as :func:`judge_answers`, or ``confidence`` is none.
    """
    confidence = check_confidence(confidence)
    judged = judge_each(answers, labels, judge, schemas=schemas)
    return Score(judged, answers, schemas=schemas, confidence=confidence, names=names)


def pair_answers(
    answers: Answers,
    labels: Labels,
    old: Hashable,
    new: Hashable,
    judge: Judges = None,
    *,
    field: str | None = None,
    schemas: Schemas | None = None,
    confidence: float = config.CONFIDENCE,
    old_name: str = "",
    new_name: str = "",
) -> PairedTest:
    """Whether two columns differ in how often they are right about the same samples.

    A sample counts as right where all its labelled fields are that both were asked about.

    Args:
        answers, labels, judge, schemas: as of :func:`judge_answers`.
        old, new: which columns.
        field: judge this field alone.
        old_name, new_name: how the test calls them. Default: as they are.

    Raises:
        ValidationError: a parameter cannot be used, or there is no sample to compare them on.
    """
    confidence = check_confidence(confidence)
    _check_two(old, new)
    both = {column: answers[column] for column in (old, new)}
    judged = judge_each(both, labels, judge, schemas=schemas)
    counts = [0, 0, 0, 0]  # both wrong, only the new one right, only the old one, both right
    for before, after in _paired(_of_field(judged, labels, field), old, new).values():
        outcomes = [overall(side) for side in _same_fields(before, after)]
        if DECIDED.issuperset(outcomes):
            counts[2 * (outcomes[0] == "right") + (outcomes[1] == "right")] += 1
    old_name, new_name = old_name or str(old), new_name or str(new)
    if not any(counts):
        raise ValidationError(
            f"there is no labelled sample about which it is known whether {old_name} and "
            f"{new_name} are right: backfill one of them, or label samples that both answered"
        )
    return PairedTest(
        old_name, new_name, counts[3], counts[2], counts[1], counts[0], confidence, field or ""
    )


# ---- the versions of a run ---------------------------------------------------------------------


def answers_of(run: Run, versions: Iterable[int]) -> dict[int, dict[int, StreamInferenceResult]]:
    """What each version said about the labelled samples, by sample.

    Of samples that show the very same picture only the first counts: a copy of its answer is no
    other trial.
    """
    journal = run.journal
    samples = journal.distinct(journal.labels.samples)
    return {
        version: {
            sample: answer
            for sample in samples
            if (answer := journal.answer(sample, version)) is not None
        }
        for version in versions
    }


def score(
    run: Run,
    judge: Judges = None,
    *,
    versions: Iterable[int] | None = None,
    confidence: float = config.CONFIDENCE,
) -> Score:
    """How often each version is right; see :meth:`overshoot_nb.tuning.tunable.Tunable.score`.

    Raises:
        ValidationError: a parameter cannot be used, nothing was labelled, or a judge failed.
    """
    answers = answers_of(run, chosen_versions(run, versions))
    if versions is None:
        answers = {version: given for version, given in answers.items() if given}
    if run.journal.labels and not any(answers.values()):
        raise ValidationError(
            "no labelled sample was answered yet: label samples that have a row, or backfill"
        )
    return score_answers(
        answers, run.journal.labels, judge, schemas=_schemas(run, answers), confidence=confidence
    )


def flips(
    run: Run, old: int, new: int, *, judge: Judges = None, field: str | None = None
) -> pd.DataFrame:
    """What got better and worse; see :meth:`overshoot_nb.tuning.tunable.Tunable.flips`.

    Raises:
        LookupError: there is no version of that number.
        ValidationError: nothing was labelled, or a judge failed.
    """
    import pandas as pd

    from overshoot_nb.store.columns import TEXT

    old, new = run.prompts[old].version, run.prompts[new].version
    _check_two(old, new)
    labels, log = run.journal.labels, run.journal.log
    answers = answers_of(run, (old, new))
    judged = judge_each(answers, labels, judge, schemas=_schemas(run, answers))
    rows = [
        (before, after)
        for both in _paired(_of_field(judged, labels, field), old, new).values()
        for before, after in zip(*both, strict=True)
        if None not in (before.right, after.right) and before.right != after.right
    ]
    times = [timedelta(seconds=log[before.sample].media_time) for before, _ in rows]
    called = field_names(labels.fields)
    expected = [float("nan") if b.expected is MISSING else b.expected for b, _ in rows]
    change = ["better" if after.right else "worse" for _, after in rows]
    return pd.DataFrame(
        {
            "sample": pd.Series([before.sample for before, _ in rows], dtype="int64"),
            "media_time": pd.Series(times, dtype="timedelta64[us]"),
            "field": pd.Series([called[before.field] for before, _ in rows], dtype=TEXT),
            "expected": pd.Series(expected, dtype=object),
            f"v{old}": pd.Series([before.answer for before, _ in rows], dtype=object),
            f"v{new}": pd.Series([after.answer for _, after in rows], dtype=object),
            "change": pd.Categorical(change, ["better", "worse"]),
        }
    )


def paired_test(
    run: Run,
    old: int,
    new: int,
    *,
    judge: Judges = None,
    field: str | None = None,
    confidence: float = config.CONFIDENCE,
) -> PairedTest:
    """Whether they differ; see :meth:`overshoot_nb.tuning.tunable.Tunable.paired_test`.

    Raises:
        LookupError: there is no version of that number.
        ValidationError: a parameter cannot be used, nothing was labelled, or a judge failed.
    """
    old, new = run.prompts[old].version, run.prompts[new].version
    answers = answers_of(run, (old, new))
    return pair_answers(
        answers,
        run.journal.labels,
        old,
        new,
        judge,
        field=field,
        schemas=_schemas(run, answers),
        confidence=confidence,
        old_name=f"v{old}",
        new_name=f"v{new}",
    )


def chosen_versions(run: Run, versions: Iterable[int] | None) -> list[int]:
    """The numbers of the versions that are meant, each once; None is all.

    Raises:
        ValidationError: there is no such version, or it is no list of numbers.
    """
    if versions is None:
        return [version.version for version in run.prompts]
    try:
        chosen = list(dict.fromkeys(run.prompts[version].version for version in versions))
    except LookupError as error:
        raise ValidationError(str(error)) from None
    except TypeError:
        raise ValidationError(
            f"versions={versions!r} is not valid: it must be a list of version numbers"
        ) from None
    if not chosen:
        raise ValidationError("versions names no version: give at least one, or leave it out")
    return chosen


# ---- pairs -------------------------------------------------------------------------------------


def _schemas(run: Run, versions: Iterable[int]) -> Schemas:
    return {version: run.prompts[version].output_schema for version in versions}


def _check_two(old: Any, new: Any) -> None:
    if old == new:
        raise ValidationError(f"old and new are the same ({old!r}): give two that differ")


def _of_field(
    judged: Iterable[Judgement], labels: Labels, field: str | None
) -> Iterable[Judgement]:
    """Those of a field; None is all fields."""
    if field is None:
        return judged
    field_of = {name: known for known, name in field_names(labels.fields).items()}
    if field not in field_of:
        raise ValidationError(
            f"no field {field!r} was labelled: labelled are {', '.join(sorted(field_of))}"
        )
    return [each for each in judged if each.field == field_of[field]]


def _paired(
    judged: Iterable[Judgement], old: Hashable, new: Hashable
) -> dict[int, tuple[list[Judgement], list[Judgement]]]:
    """What both said about each sample that both answered, field by field in the same order."""
    sides: dict[int, tuple[list[Judgement], list[Judgement]]] = {}
    for each in judged:
        sides.setdefault(each.sample, ([], []))[each.column == new].append(each)
    return {sample: both for sample, both in sides.items() if all(both)}


def _same_fields(
    before: list[Judgement], after: list[Judgement]
) -> tuple[list[Judgement], list[Judgement]]:
    """Only the fields that both were asked about, and answers that are wrong as a whole."""
    pairs = list(zip(before, after, strict=True))
    kept = [
        pair
        for pair in pairs
        if all(each.outcome != "not asked" for each in pair)
        or any(each.whole and each.outcome == "wrong" for each in pair)
    ]
    return [b for b, _ in kept], [a for _, a in kept]
