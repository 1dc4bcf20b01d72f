"""``Score``: how often each version is right, and what its answers cost."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from overshoot_nb import config
from overshoot_nb.errors import ValidationError
from overshoot_nb.store.fields import closed_values, comparable, field_name, field_names, shown
from overshoot_nb.store.labels import MISSING
from overshoot_nb.support.html import BAR, escaped, fragment
from overshoot_nb.support.intervals import wilson_interval

from .judging import DECIDED, Answers, Judgement, Outcome, Schemas, overall, tidy
from .statistics import percent

if TYPE_CHECKING:
    import pandas as pd

    from overshoot_nb.types import StreamInferenceResult

#: The field of the rows about whole answers.
ALL = "all"
#: A field whose schema does not list its values has a confusion table up to so many.
MOST_VALUES = 20
UNUSABLE = "(unusable)"


@dataclass(frozen=True, slots=True)
class Tally:
    """Right and wrong answers, counted.

    Attributes:
        n: answers that are known to be right or wrong.
        right: how many of these are right.
        no_answer: requests that failed.
        unknown: answers of which it is not known, or that were not asked about the field.
        confidence: of the interval, 0..1.
    """

    n: int
    right: int
    no_answer: int
    unknown: int
    confidence: float

    @classmethod
    def of(cls, outcomes: Iterable[Outcome], confidence: float) -> Tally:
        """Count outcomes."""
        counted = list(outcomes)
        n = sum(outcome in DECIDED for outcome in counted)
        failed = counted.count("no answer")
        return cls(n, counted.count("right"), failed, len(counted) - n - failed, confidence)

    @property
    def accuracy(self) -> float:
        """The share that is right, 0..1; NaN of none."""
        return self.right / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval of the accuracy; NaN of none."""
        if not self.n:
            return math.nan, math.nan
        return wilson_interval(self.right, self.n, self.confidence)


@dataclass(frozen=True, slots=True)
class Costs:
    """What an answer about a labelled sample costs; NaN where the server does not say.

    Attributes:
        latency_p50_ms: median of the inference latency.
        tokens: total tokens of an answer, on average.
        cost_cents: of an answer in US cents, on average.
    """

    latency_p50_ms: float
    tokens: float
    cost_cents: float

    @classmethod
    def of(cls, results: Iterable[StreamInferenceResult]) -> Costs:
        """Those of the results that are answers."""
        given = [r for r in results if r.ok or r.usage is not None or r.result]
        usages = [r.usage for r in given if r.usage is not None]
        cents = [usage.cost_cents for usage in usages if usage.cost_cents is not None]
        took = [r.inference_latency_ms for r in given if math.isfinite(r.inference_latency_ms)]
        return cls(
            median(took) if took else math.nan,
            mean([usage.total_tokens for usage in usages]) if usages else math.nan,
            mean(cents) if cents else math.nan,
        )


class Score:
    """How often each version is right about the labelled samples.

    Attributes:
        names: what tells the columns of answers apart: ("version",), or ("prompt", "model").
        confidence: of the intervals, 0..1.
        fields: the labelled fields, as they are named in tables.
        totals: by column, whole answers: right where all labelled fields are that were asked
            about.
        tallies: by column and field.
        costs: by column.

    Args:
        judged: every answer about a labelled sample.
        answers: by column and sample, of the same columns.
        schemas: those of the columns, for confusion tables.
        confidence: of the intervals, 0..1.
        names: see above; with several of them the columns are tuples.
    """

    def __init__(
        self,
        judged: Sequence[Judgement],
        answers: Answers,
        *,
        schemas: Schemas | None = None,
        confidence: float = config.CONFIDENCE,
        names: Sequence[str] = ("version",),
    ) -> None:
        self.names, self.confidence = tuple(names), confidence
        self._judged, self._schemas = list(judged), schemas or {}
        called = field_names(each.field for each in self._judged if not each.whole)
        by_answer: dict[Hashable, dict[int, list[Judgement]]] = {column: {} for column in answers}
        by_field: dict[tuple[Hashable, str], list[Outcome]] = {}
        fields: dict[str | None, None] = {}
        whole = False
        for each in self._judged:
            by_answer[each.column].setdefault(each.sample, []).append(each)
            if each.whole:  # which of its fields is wrong is not known
                whole = whole or each.outcome == "wrong"
                continue
            fields[each.field] = None
            by_field.setdefault((each.column, called[each.field]), []).append(each.outcome)
        self._keys = {called[field]: field for field in fields}
        self.fields = list(self._keys)
        self.has_total = whole or len(self.fields) != 1
        self.totals: Mapping[Hashable, Tally] = {
            column: Tally.of(map(overall, samples.values()), confidence)
            for column, samples in by_answer.items()
        }
        self.tallies: Mapping[tuple[Hashable, str], Tally] = {
            key: Tally.of(outcomes, confidence) for key, outcomes in by_field.items()
        }
        self.costs: Mapping[Hashable, Costs] = {
            column: Costs.of(answers[column][sample] for sample in samples)
            for column, samples in by_answer.items()
        }
        self._decided: Mapping[Hashable, frozenset[int]] = {
            column: frozenset(s for s, fields in samples.items() if overall(fields) in DECIDED)
            for column, samples in by_answer.items()
        }

    # ---- tables ----

    def rows(self) -> list[tuple[Hashable, str, Tally]]:
        """Column, field and counts, column by column; the field "all" last."""
        return [
            row
            for column, total in self.totals.items()
            for row in (
                *(
                    (column, field, self.tallies[column, field])
                    for field in self.fields
                    if (column, field) in self.tallies
                ),
                *([(column, ALL, total)] if self.has_total else []),
            )
        ]

    @property
    def df(self) -> pd.DataFrame:
        """One row for each version and field; where there are several fields, one for "all" too.

        ======================  ===============================================================
        column                  value
        ======================  ===============================================================
        version                 number of the prompt version
        field                   the labelled field; "all": whole answers, right where every
                                labelled field is
        n                       answers that are known to be right or wrong
        right                   how many of these are right
        accuracy                ``right / n``, NaN of none
        low, high               its Wilson interval
        no_answer               requests that failed; not in ``n``
        unknown                 answers of which it is not known; not in ``n``
        latency_p50_ms          median inference latency of the answers about labelled samples;
                                compare it only where they were asked alike (see below)
        tokens, cost_cents      of such an answer, on average; NaN where the server does not say
        ======================  ===============================================================

        The latency of an answer is the time from the request to the whole answer, with further
        tries and with what it waited for a server that was busy with the others in flight. So it
        is longer where more requests were under way at once: a stream's own rows and those of a
        backfill are not measured alike unless ``max_in_flight`` was the same and nothing else was
        asked meanwhile. Answers from the cache have the latency of when they were first asked
        for; rows of a v0.2 stream that of the model alone, as the server reports it.
        """
        import pandas as pd

        from overshoot_nb.store.columns import TEXT

        rows = []
        for column, field, tally in self.rows():
            low, high = tally.interval
            costs = self.costs[column]
            rows.append(
                {
                    **dict(zip(self.names, self._parts(column), strict=True)),
                    "field": field,
                    "n": tally.n,
                    "right": tally.right,
                    "accuracy": tally.accuracy,
                    "low": low,
                    "high": high,
                    "no_answer": tally.no_answer,
                    "unknown": tally.unknown,
                    "latency_p50_ms": costs.latency_p50_ms,
                    "tokens": costs.tokens,
                    "cost_cents": costs.cost_cents,
                }
            )
        return pd.DataFrame(rows).astype({"field": TEXT})

    @property
    def notes(self) -> list[str]:
        """What to know before the figures are compared, in sentences; mostly none.

        That versions were judged on different samples, and labels that judge no answer.
        """
        notes = []
        judged = {column: samples for column, samples in self._decided.items() if samples}
        if len(set(judged.values())) > 1:
            counts = [f"{self.name(c)} on {len(samples)}" for c, samples in judged.items()]
            both = frozenset.intersection(*judged.values())
            more = ", …" if len(counts) > 5 else ""
            notes.append(
                f"Not judged on the same samples: {', '.join(counts[:5])}{more}, of which "
                f"{len(both)} the same. A backfill of the others makes them comparable."
            )
        outcomes: dict[str | None, set[Outcome]] = {}
        for each in self._judged:
            outcomes.setdefault(each.field, set()).add(each.outcome)
        idle = [field for field, found in outcomes.items() if found == {"not asked"}]
        if named := [repr(field) for field in idle if field is not None]:
            notes.append(f"Labelled, but no field of these answers: {', '.join(named)}.")
        if None in idle and any(
            each.field is None and each.expected is not MISSING for each in self._judged
        ):
            notes.append(
                "Labels of whole answers judge none of these, which have fields: label those."
            )
        return notes

    @property
    def judged(self) -> pd.DataFrame:
        """Every answer about a labelled sample, field by field.

        Columns: version, sample, field, expected, answer, outcome, right.
        """
        return tidy(self._judged, self.names)

    def confusion(self, version: Hashable, field: str | None = None) -> pd.DataFrame:
        """What was said (columns) where which answer was expected (rows), counted.

        All values that the schema lists, and others that occurred; values that are not text as
        JSON ("true", "null"). Answers that could not be used are the column "(unusable)".

        Args:
            version: number of a version that was scored.
            field: a labelled field. Default: the only one.

        Raises:
            LookupError: that version was not scored.
            ValidationError: no such field was labelled, or its answers are no closed set.
        """
        import numpy as np
        import pandas as pd

        if version not in self.totals:
            raise LookupError(f"{self.name(version)} was not scored: {self._names_of_all()} were")
        key = self._field(field)
        pairs = [
            (each.expected, each.outcome, each.answer)
            for each in self._judged
            if each.column == version
            and each.field == key
            and each.expected is not MISSING
            and each.outcome in DECIDED
        ]
        expected = {comparable(e): e for e, _, _ in pairs}
        answered = {comparable(a): a for _, outcome, a in pairs if outcome != "unusable"}
        # Values that say the same may look different: [1] and [1.0].
        looks = {key: shown(value) for key, value in (answered | expected).items()}
        values = _in_order(closed_values(self._schemas.get(version), key), expected, answered)
        if values is None:
            raise ValidationError(
                f"field {field_name(key)!r} has no closed set of answers: there are more than "
                f"{MOST_VALUES}, which .judged lists"
            )
        columns = [*values, *([UNUSABLE] if any(o == "unusable" for _, o, _ in pairs) else [])]
        row_of = {value: i for i, value in enumerate(values)}
        column_of = {value: i for i, value in enumerate(columns)}
        counts = np.zeros((len(values), len(columns)), np.int64)
        for wanted, outcome, given in pairs:
            said = UNUSABLE if outcome == "unusable" else looks[comparable(given)]
            counts[row_of[looks[comparable(wanted)]], column_of[said]] += 1
        return pd.DataFrame(
            counts,
            index=pd.Index(values, name="expected", dtype=object),
            columns=pd.Index(columns, name="answer", dtype=object),
        )

    # ---- who is best ----

    @property
    def best(self) -> Any:
        """The version with the highest accuracy (of whole answers); the first of several.

        None where no answer is known to be right or wrong. See :attr:`ties`, and
        ``stream.paired_test`` for whether the difference means anything.
        """
        return next(iter(self.ties), None)

    @property
    def ties(self) -> list[Any]:
        """All versions whose accuracy is the highest."""
        judged = {column: total for column, total in self.totals.items() if total.n}
        highest = max((total.accuracy for total in judged.values()), default=0.0)
        return [column for column, total in judged.items() if total.accuracy == highest]

    # ---- names ----

    def name(self, column: Hashable) -> str:
        """A column as people call it: "v2", or its parts."""
        return " · ".join(
            f"v{part}" if isinstance(part, int) else str(part) for part in self._parts(column)
        )

    def _parts(self, column: Hashable) -> tuple[Any, ...]:
        return tuple(column) if len(self.names) > 1 else (column,)  # type: ignore[arg-type]

    def _names_of_all(self) -> str:
        return ", ".join(map(self.name, self.totals)) or "none"

    def _field(self, field: str | None) -> str | None:
        """The labelled field that is meant."""
        if field is None and len(self.fields) == 1:
            field = self.fields[0]
        name = field_name(field)
        if name not in self._keys:
            what = f"no field {name!r} was labelled" if field else "say which field is meant"
            raise ValidationError(f"{what}: labelled are {', '.join(self.fields) or 'none'}")
        return self._keys[name]

    def __repr__(self) -> str:
        return _text(self)

    def _repr_html_(self) -> str:
        return _to_html(self)


def _in_order(
    closed: list[Any] | None, expected: dict[Hashable, Any], answered: dict[Hashable, Any]
) -> list[str] | None:
    """The values of a confusion table as text, None where there are too many."""
    found = answered | expected
    if closed is None:
        if len(found) > MOST_VALUES:
            return None
        values = list(found.values())
        if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
            values.sort()
        closed = []
    else:
        values = list(found.values())
    return list(dict.fromkeys(map(shown, [*closed, *values])))


#: Confusion tables that are shown, those of the best version first.
MOST_TABLES = 8
_NAME_CUT = 80
_BAR_WIDTH = "8em"


def _text(score: Score) -> str:
    """The score as lines of text."""
    head, body = _cells(score)
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *body)
    ]
    return "\n".join([*lines, _best(score), *score.notes])


def _to_html(score: Score) -> str:
    """The score as an HTML fragment."""
    head, body = _cells(score)
    at = head.index("accuracy")
    rows = []
    for cells, (column, field, tally) in zip(body, score.rows(), strict=True):
        strong = column in score.ties and field == score.rows()[-1][1]
        marked = [_td(cell, strong=strong and i == at) for i, cell in enumerate(cells)]
        marked.insert(at + 1, f"<td>{_bar(tally)}</td>")
        rows.append(f"<tr>{''.join(marked)}</tr>")
    notes = "".join(f"<div><small>{escaped(note)}</small></div>" for note in score.notes)
    names = [_th(name) for name in head]
    names.insert(at + 1, "<th></th>")
    return fragment(
        f"<div><strong>{escaped(_best(score))}</strong></div>"
        f"<table><thead><tr>{''.join(names)}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        f"{notes}{_confusions(score)}",
        BAR,
    )


def _best(score: Score) -> str:
    """Who is best, in words."""
    ties = score.ties
    if not ties:
        return "No answer is known to be right or wrong."
    names = ", ".join(map(score.name, ties[:5])) + (", …" if len(ties) > 5 else "")
    total = score.totals[ties[0]]
    share = f"{total.accuracy:.1%}"
    if len(score.totals) == 1:
        return f"{names} is right about {share} ({total.right} of {total.n})."
    if len(ties) == 1:
        return f"Best: {names}, right about {share} ({total.right} of {total.n})."
    return f"A tie at {share}: {names}."


def _cells(score: Score) -> tuple[list[str], list[list[str]]]:
    """Head and rows; columns in which no row has anything are left out."""
    head = [
        *score.names,
        "field",
        "accuracy",
        f"{percent(score.confidence)} interval",
        "right",
        "no answer",
        "unknown",
        "p50",
        "tokens",
        "cost",
    ]
    rows = [
        [*_named(score, column), _cut(field), *_counts(tally), *_costs(score.costs[column])]
        for column, field, tally in score.rows()
    ]
    shown = [i for i in range(len(head)) if i < len(score.names) or any(r[i] for r in rows)]
    return [head[i] for i in shown], [[row[i] for i in shown] for row in rows]


def _named(score: Score, column: Hashable) -> list[str]:
    if len(score.names) == 1:
        return [_cut(score.name(column))]
    return [_cut(str(part)) for part in column]  # type: ignore[attr-defined]


def _counts(tally: Tally) -> list[str]:
    """Accuracy, interval, right, no answer, unknown."""
    low, high = tally.interval
    return [
        f"{tally.accuracy:.1%}" if tally.n else "–",
        f"{low:.1%} – {high:.1%}" if tally.n else "–",
        f"{tally.right} of {tally.n}",
        f"{tally.no_answer}" if tally.no_answer else "",
        f"{tally.unknown}" if tally.unknown else "",
    ]


def _costs(costs: Costs) -> list[str]:
    def figure(value: float, form: str) -> str:
        return "" if math.isnan(value) else form.format(value)

    return [
        figure(costs.latency_p50_ms, "{:,.0f} ms"),
        figure(costs.tokens, "{:,.0f}"),
        figure(costs.cost_cents, "{:.3g} ¢"),
    ]


def _bar(tally: Tally) -> str:
    """Accuracy as a tick, its interval as a band, on a line from 0 to 1."""
    if not tally.n:
        return ""
    low, high = tally.interval
    return (
        f'<div aria-hidden="true" style="position: relative; width: {_BAR_WIDTH}; height: .8em; '
        'border-bottom: 1px solid currentColor">'
        f'<div style="position: absolute; left: {low:.1%}; width: {high - low:.1%}; top: .2em; '
        'bottom: .1em; background: currentColor; opacity: .3"></div>'
        f'<div style="position: absolute; left: calc({tally.accuracy:.1%} - 1px); width: 3px; '
        'top: 0; bottom: 0; background: currentColor"></div></div>'
    )


def _confusions(score: Score) -> str:
    """The confusion tables of closed fields, folded away."""
    tables: list[str] = []
    for column in sorted(score.totals, key=lambda column: column not in score.ties):
        for field in score.fields:
            if len(tables) == MOST_TABLES:
                return "".join(tables)
            try:
                table = score.confusion(column, field)
            except ValidationError:  # no closed set of answers
                continue
            if table.to_numpy().sum() == 0:
                continue
            head = "".join(_th(str(value)) for value in table.columns)
            body = "".join(
                f"<tr>{_th(str(expected))}"
                + "".join(
                    _td(str(count) if count else "·", strong=answer == expected)
                    for answer, count in zip(table.columns, counts, strict=True)
                )
                + "</tr>"
                for expected, counts in zip(table.index, table.to_numpy(), strict=True)
            )
            title = _cut(f"{score.name(column)}, {field}: expected (rows) and answered (columns)")
            tables.append(
                f"<details><summary>{escaped(title)}</summary><table><thead><tr><th></th>"
                f"{head}</tr></thead><tbody>{body}</tbody></table></details>"
            )
    return "".join(tables)


def _th(value: str) -> str:
    return f"<th>{escaped(_cut(value))}</th>"


def _td(value: str, *, strong: bool = False) -> str:
    cell = escaped(_cut(value))
    inner = f"<strong>{cell}</strong>" if strong else cell
    return f'<td style="white-space: nowrap">{inner}</td>'


def _cut(value: str) -> str:
    return value if len(value) <= _NAME_CUT else value[: _NAME_CUT - 1] + "…"
