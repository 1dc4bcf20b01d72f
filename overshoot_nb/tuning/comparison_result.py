"""``Comparison``: what several prompts and models said about the same samples."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from overshoot_nb import config
from overshoot_nb.errors import SampleNotKeptError, ValidationError
from overshoot_nb.store.fields import answer_fields, field_name, is_answer, shown
from overshoot_nb.store.labels import MISSING, Labels
from overshoot_nb.types import EncodedFrame, StreamInferenceResult

from .comparison_asking import ComparisonWork, Given
from .comparison_grid import differ, grid_rows, rows_shown, said
from .comparison_plan import Candidate
from .grid_html import GridColumn, grid_html
from .judges import Judges
from .judging import Judgement, judge_each, overall
from .pictures import Subject
from .score import Score
from .scoring import pair_answers
from .thumbnails import thumbnail

if TYPE_CHECKING:
    import pandas as pd

    from .comparison_plan import Candidate
    from .statistics import PairedTest

_Key = tuple[str, str]
NAME_CUT = 48


class _Judged(NamedTuple):
    """What the labels of a moment say."""

    changes: int
    score: Score
    right: dict[tuple[_Key, int, int], bool | None]  # by column, sample and repeat
    should: dict[tuple[_Key, int], dict[str | None, str]]  # where the first answer is wrong


class Comparison:
    """Several prompts and models, asked about the same samples; made by :func:`compare`.

    The value of a cell is a grid: samples down, prompts and models across. Where there are labels
    (also where they are made later) it says who is right, how often, and who is best.

    Attributes:
        candidates: its columns; ``await stream.update_prompt(candidate.version)`` applies one.
        samples: indices of the samples that were to be asked about.
        missing: why each of the others could not be asked about, by index.
        stopped: why not all was asked: a budget that was spent, a model that is not there.
        differing: samples about which the columns say different things.
        repeats: how often each question was asked.
        labels: what the answers should be.
    """

    def __init__(
        self,
        candidates: tuple[Candidate, ...],
        work: ComparisonWork,
        labels: Labels,
        judge: Judges,
        stopped: tuple[str, ...],
    ) -> None:
        # What some prompts were answered about is shown, also where it was gone before the others.
        gone = work.missing.keys() - {sample for _, sample, _ in work.answers}
        times = work.subject.media_time
        self.candidates = candidates
        self.samples = tuple(index for index in times if index not in gone)
        self.missing = dict(sorted(work.missing.items()))
        self.stopped = stopped
        self.repeats = work.repeats
        self.labels = labels
        self._judge = judge
        self._answers = dict(work.answers)
        #: The sample whose picture each shows; of those that copied an answer it is another.
        journal = run.journal if (run := work.subject.run) is not None else None
        self._picture = {i: journal.picture_of(i) if journal else i for i in self.samples}
        #: Of each sample, seconds.
        self.media_time = {index: times[index] for index in self.samples}
        self.differing = frozenset(i for i in self.samples if differ(self._first(i)))
        self.shown = rows_shown(self.samples, self.differing)
        #: The samples that are shown, and small pictures of them: no others are held.
        small = {index: _small_picture(work.subject, index) for index in self.shown}
        self.pictures = {i: picture for i, picture in small.items() if picture is not None}
        self._lock = threading.Lock()
        self._judged: _Judged | None = None

    # ---- the answers ----

    @property
    def df(self) -> pd.DataFrame:
        """Every answer, one row each, by sample, column and repeat.

        ======================  ====================  ==========================================
        column                  dtype                 value
        ======================  ====================  ==========================================
        sample                  int64                 index of the sample
        media_time              timedelta64[us]       time in the video
        prompt, model           category              what was asked of whom
        repeat                  int64                 0, 1, ... of the same question
        answer                  str                   the answer's text
        out.*                   from the schemas      the structured answer, as in ``stream.df``
        ok                      bool                  False where there is none that can be used
        error                   str                   why, else missing
        reasoning               str                   what the model thought before; only where
                                                      an answer has any
        latency_ms              float64               milliseconds from request to answer
        tokens                  Int64                 of prompt and answer, where reported
        prompt_tokens,          Int64                 each of the two, where reported
        completion_tokens
        cost_cents              float64               US cents, where reported
        cached                  bool                  known before: nothing was requested for it
        right                   boolean               by the labels, missing where they do not say
        ======================  ====================  ==========================================

        Raises:
            ValidationError: a judge failed.
        """
        from .comparison_frame import TidyRow, tidy_frame

        rows = [
            TidyRow(*c.key, repeat, *given, self.right(c, sample, repeat))
            for sample in self.samples
            for c in self.candidates
            for repeat, given in enumerate(self.given(c, sample))
            if given is not None
        ]
        schemas = [c.version.output_schema for c in self.candidates]
        return tidy_frame(rows, [schema for schema in schemas if schema is not None])

    def grid(self, only_different: bool = False, *, field: str | None = None) -> pd.DataFrame:
        """The first answers as a wide DataFrame: a row a sample, a column a prompt and model.

        What was not asked, or has no answer that can be used, is None.

        Args:
            only_different: only samples about which the columns differ.
            field: this field of structured answers, as it is. Default: the answer, as text.

        Raises:
            LookupError: no answer has this field.
        """
        import pandas as pd

        samples = [s for s in self.samples if not only_different or s in self.differing]
        if field is not None:
            self._check_field(field)
        columns = pd.MultiIndex.from_tuples(
            [candidate.key for candidate in self.candidates], names=["prompt", "model"]
        )
        cells = [[_cell(answer, field) for answer in self._first(sample)] for sample in samples]
        index = pd.Index(samples, name="sample", dtype="int64")
        return pd.DataFrame(cells, index=index, columns=columns, dtype=object)

    def _check_field(self, field: str) -> None:
        known = {
            field_name(name): None
            for given in self._answers.values()
            for name in answer_fields(given.result)
        }
        if field not in known:
            raise LookupError(f"no answer has a field {field!r}: there are {', '.join(known)}")

    def given(self, candidate: Candidate, sample: int) -> list[Given | None]:
        """The answers of a column about a sample, one for each repeat; None: not asked."""
        number = candidate.version.version
        return [self._answers.get((number, sample, repeat)) for repeat in range(self.repeats)]

    def _first(self, sample: int) -> list[StreamInferenceResult | None]:
        """The first answer of each column."""
        given = [self._answers.get((c.version.version, sample, 0)) for c in self.candidates]
        return [g.result if g is not None else None for g in given]

    def answers(self, candidate: Candidate, repeat: int = 0) -> dict[int, StreamInferenceResult]:
        """The answers of a column by sample, as rows of a stream."""
        number = candidate.version.version
        given = ((sample, self._answers.get((number, sample, repeat))) for sample in self.samples)
        return {sample: g.result for sample, g in given if g is not None}

    def _distinct(
        self, answers: Mapping[int, StreamInferenceResult], among: Iterable[int]
    ) -> dict[int, StreamInferenceResult]:
        """Those about the first of the samples that show one picture: a copy is no other trial."""
        first: dict[int, int] = {}
        for sample in among:
            if sample in answers:
                first.setdefault(self._picture[sample], sample)
        return {sample: answers[sample] for sample in first.values()}

    # ---- how good they are ----

    @property
    def score(self) -> Score:
        """How often each column is right about the labelled samples, by its first answers.

        Raises:
            ValidationError: nothing was labelled, or a judge failed.
        """
        return self._verdicts.score

    @property
    def scores(self) -> pd.DataFrame:
        """:attr:`score` as a DataFrame: columns as of ``Score.df``, by prompt and model.

        Raises:
            ValidationError: nothing was labelled, or a judge failed.
        """
        return self.score.df

    @property
    def winner(self) -> Candidate | None:
        """Who is right most often; of several as good the first, which nothing says to leave.

        None where nothing of it was labelled. :meth:`paired_test` says whether that means
        anything yet.

        Raises:
            ValidationError: a judge failed.
        """
        best = self.score.best if self.labels else None
        return next((c for c in self.candidates if c.key == best), None)

    def paired_test(
        self, old: Any, new: Any, *, field: str | None = None, confidence: float = config.CONFIDENCE
    ) -> PairedTest:
        """Whether the difference of two columns means anything yet (McNemar's exact test).

        Args:
            old, new: columns: the name of a prompt or a model where that says which, or (prompt,
                model), or one of :attr:`candidates`, or its place among them.
            field: one field of the answers. Default: all that are labelled.
            confidence: of the interval and the verdict.

        Raises:
            LookupError: there is no such column, or several.
            ValidationError: nothing was labelled, or a judge failed.
        """
        both = [self.candidate(old), self.candidate(new)]
        return pair_answers(
            {c.key: self._distinct(self.answers(c), self.labels.samples) for c in both},
            self.labels,
            both[0].key,
            both[1].key,
            self._judge,
            field=field,
            schemas={c.key: c.version.output_schema for c in both},
            confidence=confidence,
            old_name=self.name(both[0]),
            new_name=self.name(both[1]),
        )

    def candidate(self, which: Any) -> Candidate:
        """A column by its prompt's name, its model, both, or its place.

        Raises:
            LookupError: there is no such column, or several.
        """
        if isinstance(which, Candidate):
            which = which.key
        if isinstance(which, int) and not isinstance(which, bool):
            if not -len(self.candidates) <= which < len(self.candidates):
                raise LookupError(f"no column {which}: there are {len(self.candidates)}")
            return self.candidates[which]
        found = [c for c in self.candidates if which in (c.key, c.prompt, c.model)]
        if len(found) != 1:
            names = "; ".join(map(self.name, found or self.candidates))
            raise LookupError(
                f"{which!r} is {'several columns' if found else 'no column'}: {names}. "
                "Give (prompt, model)"
            )
        return found[0]

    def stability(self) -> pd.DataFrame:
        """How steady the answers are, by column and field. Needs no labels.

        Columns: prompt, model, temperature (missing for the server's own), field,
        ``repeats_agree`` (share of the pairs of repeats of a question that say the same, NaN of
        single questions), and of the first answers from sample to sample n, pairs, flip_rate,
        flickers, flicker_rate and agreement, as in ``stream.stability``.
        """
        from .comparison_stability import stability

        columns = [
            (c, [self._distinct(self.answers(c, r), self.samples) for r in range(self.repeats)])
            for c in self.candidates
        ]
        return stability(columns, self.media_time)

    def right(self, candidate: Candidate, sample: int, repeat: int = 0) -> bool | None:
        """Whether an answer is right in all that is labelled; None where that is not known.

        Raises:
            ValidationError: a judge failed.
        """
        verdicts = self._verdicts.right if self.labels else {}
        return verdicts.get((candidate.key, sample, repeat))

    def should_be(self, candidate: Candidate, sample: int) -> dict[str | None, str]:
        """What the fields should be in which a first answer is wrong, as text.

        Raises:
            ValidationError: a judge failed.
        """
        return self._verdicts.should.get((candidate.key, sample), {}) if self.labels else {}

    @property
    def _verdicts(self) -> _Judged:
        """What the labels say now; worked out anew where they changed."""
        with self._lock:
            changes = self.labels.changes
            if self._judged is None or self._judged.changes != changes:
                self._judged = self._judge_all(changes)
            return self._judged

    def _judge_all(self, changes: int) -> _Judged:
        schemas = {c.key: c.version.output_schema for c in self.candidates}
        right: dict[tuple[_Key, int, int], bool | None] = {}
        for repeat in reversed(range(self.repeats)):  # the first answers last
            answers = {c.key: self.answers(c, repeat) for c in self.candidates}
            judged = judge_each(answers, self.labels, self._judge, schemas=schemas)
            by_answer: dict[tuple[Any, int], list[Judgement]] = {}
            for each in judged:
                by_answer.setdefault((each.column, each.sample), []).append(each)
            for (key, sample), fields in by_answer.items():
                right[key, sample, repeat] = _RIGHT.get(overall(fields))
        # The score is that of the first answers: repeats of one are no samples of their own.
        names = ("prompt", "model")
        counted = {key: self._distinct(a, self.labels.samples) for key, a in answers.items()}
        kept = {(key, sample) for key, given in counted.items() for sample in given}
        judged = [each for each in judged if (each.column, each.sample) in kept]
        score = Score(judged, counted, schemas=schemas, confidence=config.CONFIDENCE, names=names)
        should = {
            answer: {
                each.field: shown(each.expected)
                for each in fields
                if each.outcome == "wrong" and each.expected is not MISSING
            }
            for answer, fields in by_answer.items()
        }
        return _Judged(changes, score, right, should)

    # ---- how it looks ----

    def name(self, candidate: Candidate) -> str:
        """A column as people call it: the prompt's name, and the model where there are several."""
        prompt = candidate.prompt
        name = prompt if len(prompt) <= NAME_CUT else prompt[: NAME_CUT - 1] + "…"
        one_model = len({c.model for c in self.candidates}) == 1
        return name if one_model else f"{name} · {candidate.model}"

    def __repr__(self) -> str:
        return _text(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": _text(self), "text/html": _to_html(self)}


#: Outcomes that say whether an answer is right.
_RIGHT = {"right": True, "wrong": False, "unusable": False}


def _small_picture(subject: Subject, index: int) -> EncodedFrame | None:
    try:
        return thumbnail(subject.read(index).frames)
    except SampleNotKeptError:  # what was answered is shown all the same
        return None


def _cell(answer: StreamInferenceResult | None, field: str | None) -> Any:
    if answer is None or not answer.ok:
        return None
    if field is None:
        return said(answer)
    return {field_name(name): value for name, value in answer_fields(answer).items()}.get(field)


#: Samples that a note names, at most.
NAMED = 12


def _text(comparison: Comparison) -> str:
    """The columns and what became of each, as lines of text."""
    score, remarks = _score(comparison)
    lines = [f"<Comparison: {_title(comparison)}>"]
    for candidate in comparison.candidates:
        column = _column(comparison, candidate, score)
        parts = [comparison.name(candidate)]
        if column.score is not None and column.score[1]:
            right, n, accuracy, low, high = column.score
            parts.append(f"{accuracy:.0%} right ({right} of {n}; {low:.0%} to {high:.0%})")
        if column.latency_ms is not None:
            parts.append(f"p50 {column.latency_ms:,.0f} ms")
        if column.tokens is not None:
            parts.append(f"{column.tokens:,} tokens")
        if column.cost_cents is not None:
            parts.append(f"{column.cost_cents:,.3g} cents")
        if column.no_answer:
            parts.append(f"{column.no_answer:,} without an answer")
        badge = f"  <- {column.badge}" if column.badge else ""
        lines.append(f"  {', '.join(parts)}{badge}")
    return "\n".join([*lines, *_notes(comparison), *remarks])


def _to_html(comparison: Comparison) -> str:
    """The grid, as an HTML fragment."""
    score, remarks = _score(comparison)
    candidates = comparison.candidates
    rows = grid_rows(
        comparison.shown,
        media_time=comparison.media_time,
        pictures=comparison.pictures,
        expected=lambda sample: _expected(comparison, sample),
        answers=lambda sample: [
            [given.result for given in comparison.given(c, sample) if given is not None]
            for c in candidates
        ],
        # Where a judge fails, the answers are there all the same.
        right=lambda place, sample: (
            comparison.right(candidates[place], sample) if score is not None else None
        ),
        should=lambda place, sample: (
            comparison.should_be(candidates[place], sample) if score is not None else {}
        ),
        differing=comparison.differing,
    )
    columns = [_column(comparison, candidate, score) for candidate in candidates]
    return grid_html(columns, rows, _title(comparison), [*_notes(comparison), *remarks])


def _title(comparison: Comparison) -> str:
    candidates = comparison.candidates
    models = list(dict.fromkeys(candidate.model for candidate in candidates))
    parts = [
        _count(len({candidate.prompt for candidate in candidates}), "prompt"),
        models[0] if len(models) == 1 else _count(len(models), "model"),
        _count(len(comparison.samples), "sample"),
    ]
    if comparison.repeats > 1:
        parts.append(f"asked {comparison.repeats} times")
    if len(candidates) > 1:
        differing = len(comparison.differing)
        parts.append(f"they differ on {differing:,}" if differing else "they differ nowhere")
    return " · ".join(parts)


def _notes(comparison: Comparison) -> Iterator[str]:
    """What must not be overlooked, in lines."""
    if len(comparison.shown) < len(comparison.samples):
        yield (
            f"{len(comparison.shown)} of {len(comparison.samples):,} samples are shown, first "
            "those about which the columns differ; .df and .grid() have all."
        )
    for why in comparison.stopped:
        yield f"Not all was asked: {why}"
    if missing := comparison.missing:
        named = ", ".join(map(str, list(missing)[:NAMED])) + (", …" if len(missing) > NAMED else "")
        yield (
            f"{_count(len(missing), 'sample')} could not be asked about ({named}): "
            f"{next(iter(missing.values()))}"
        )


def _score(comparison: Comparison) -> tuple[Score | None, list[str]]:
    """The score and what must be known of it, or why there is none although there are labels."""
    if not comparison.labels:
        return None, []
    try:
        return comparison.score, comparison.score.notes
    except ValidationError as error:
        return None, [f"No score: {error}"]


def _column(comparison: Comparison, candidate: Candidate, score: Score | None) -> GridColumn:
    results = [
        result
        for repeat in range(comparison.repeats)
        for result in comparison.answers(candidate, repeat).values()
    ]
    answers = [result for result in results if is_answer(result)]
    took = [a.inference_latency_ms for a in answers if isfinite(a.inference_latency_ms)]
    usages = [answer.usage for answer in answers if answer.usage is not None]
    cents = [usage.cost_cents for usage in usages if usage.cost_cents is not None]
    tally = score.totals[candidate.key] if score is not None else None
    best = score.ties if score is not None else []
    badge = ""
    if candidate.key in best and len(best) < len(comparison.candidates):
        badge = "best" if len(best) == 1 else "tied"
    return GridColumn(
        candidate.prompt,
        candidate.version.text,
        candidate.model,
        None if tally is None else (tally.right, tally.n, tally.accuracy, *tally.interval),
        median(took) if took else None,
        sum(usage.total_tokens for usage in usages) if usages else None,
        sum(cents) if cents else None,
        len(results) - len(answers),
        badge,
        candidate.version.temperature,
    )


def _expected(comparison: Comparison, sample: int) -> str:
    label = comparison.labels.get(sample)
    return shown(label.expected) if label is not None and label.expected is not MISSING else ""


def _count(n: int, word: str) -> str:
    return f"{n:,} {word}{'' if n == 1 else 's'}"
