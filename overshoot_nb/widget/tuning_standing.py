"""How good the versions are: what the Tune tab says of scores, flips and right answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from overshoot_nb import config
from overshoot_nb.errors import ValidationError
from overshoot_nb.store.fields import field_name

from . import tuning_messages as messages
from .tuning_view import TuningView

if TYPE_CHECKING:
    from overshoot_nb.running.run import Run
    from overshoot_nb.tuning.judges import Judges
    from overshoot_nb.tuning.judging import Answers, Judgement, Schemas
    from overshoot_nb.tuning.score import Score, Tally

#: The judges that pages can choose, by name; any other can be set in Python.
JUDGES = ("exact", "contains", "number_within", "set_overlap", "regex")


@dataclass(frozen=True)
class Standing:
    """What is known by the labels there are.

    Attributes:
        scores: by version, of the chosen field or of whole answers.
        best: the versions that none is better than; none where there is only one.
        verdicts: by version and sample, which fields are right.
        better, worse: samples about which one of the two versions that are compared is right.
        flipped: these samples.
        verdict: whether that means anything, in a sentence.
    """

    scores: Mapping[int, messages.Accuracy] = field(default_factory=dict)
    best: frozenset[int] = frozenset()
    verdicts: Mapping[tuple[int, int], Mapping[str | None, bool | None]] = field(
        default_factory=dict
    )
    better: int = 0
    worse: int = 0
    flipped: frozenset[int] = frozenset()
    verdict: str = ""


NO_STANDING = Standing(verdict="Nothing was labelled yet: select a sample, then press R or W.")


def judge_name(judge: Judges) -> str:
    """A judge as the page shows it."""
    if judge is None:
        return "exact"
    if isinstance(judge, str):
        return judge
    return "by field" if isinstance(judge, Mapping) else getattr(judge, "__name__", "of its own")


def standing_of(run: Run, judge: Judges, view: TuningView) -> Standing:
    """Judge every answer about a labelled sample. Takes a while where there are many.

    Raises:
        ValidationError: a judge failed.
    """
    from overshoot_nb.tuning.judging import judge_each
    from overshoot_nb.tuning.score import Score
    from overshoot_nb.tuning.scoring import answers_of

    labels = run.labels
    if not labels:
        return NO_STANDING
    versions = sorted({*view.answers, *view.columns})
    answers: Answers = {**answers_of(run, versions)}
    schemas: Schemas = {version: run.prompts[version].output_schema for version in versions}
    judged = judge_each(answers, labels, judge, schemas=schemas)
    tallies = _tallies(Score(judged, answers, schemas=schemas), view.field)
    scores = {version: _accuracy(tally) for version, tally in tallies.items() if tally.n}
    shares = [score["accuracy"] for score in scores.values()]
    winners = {v for v, score in scores.items() if score["accuracy"] == max(shares)}
    better, worse, verdict = _compared(run, judge, view)
    return Standing(
        scores,
        frozenset(winners if len(winners) < len(scores) else ()),
        _verdicts(judged),
        better,
        worse,
        _flipped(judged, view),
        verdict,
    )


def _tallies(score: Score, field: str | None) -> dict[int, Tally]:
    """Of the chosen field; of whole answers where none is."""
    if field is None:
        return {
            version: total for version, total in score.totals.items() if isinstance(version, int)
        }
    name = field_name(field)
    return {
        version: tally
        for (version, of), tally in score.tallies.items()
        if of == name and isinstance(version, int)
    }


def _accuracy(tally: Tally) -> messages.Accuracy:
    low, high = tally.interval
    return {
        "n": tally.n,
        "right": tally.right,
        "accuracy": tally.accuracy,
        "low": low,
        "high": high,
    }


def _verdicts(
    judged: list[Judgement],
) -> dict[tuple[int, int], dict[str | None, bool | None]]:
    verdicts: dict[tuple[int, int], dict[str | None, bool | None]] = {}
    for each in judged:
        key: Any = (each.column, each.sample)
        verdicts.setdefault(key, {})[each.field] = each.right
    return verdicts


def _flipped(judged: list[Judgement], view: TuningView) -> frozenset[int]:
    """Samples about which one of the two versions is right, and the other wrong."""
    from overshoot_nb.tuning.judging import DECIDED, overall

    sides: dict[int, dict[Any, list[Judgement]]] = {}
    for each in judged:
        of_field = view.field is None or each.field == view.field
        if of_field and each.column in (view.version, view.baseline):
            sides.setdefault(each.sample, {}).setdefault(each.column, []).append(each)
    found = set()
    for sample, both in sides.items():
        outcomes = [overall(side) for side in both.values()]
        if len(outcomes) == 2 and DECIDED.issuperset(outcomes) and outcomes.count("right") == 1:
            found.add(sample)
    return frozenset(found)


def _compared(run: Run, judge: Judges, view: TuningView) -> tuple[int, int, str]:
    """Samples that got better and worse, and what the paired test says."""
    if view.baseline is None:
        return 0, 0, "Try a draft: then two versions can be compared."
    from overshoot_nb.tuning.scoring import paired_test

    try:
        test = paired_test(
            run,
            view.baseline,
            view.version,
            judge=judge,
            field=view.field,
            confidence=config.CONFIDENCE,
        )
    except ValidationError:
        return (
            0,
            0,
            (
                f"No labelled sample tells v{view.baseline} and v{view.version} apart yet: "
                "label some that both were asked about."
            ),
        )
    return test.only_new, test.only_old, test.verdict
