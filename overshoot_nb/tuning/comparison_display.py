"""How a comparison is shown: as lines of text, and as a grid."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from statistics import median
from typing import TYPE_CHECKING

from overshoot_nb.errors import ValidationError
from overshoot_nb.store.fields import is_answer, shown
from overshoot_nb.store.labels import MISSING

from .comparison_grid import grid_rows
from .grid_html import GridColumn, grid_html
from .score import Score

if TYPE_CHECKING:
    from .comparison_plan import Candidate
    from .comparison_result import Comparison

__all__ = ["text", "to_html"]

#: Samples that a note names, at most.
NAMED = 12


def text(comparison: Comparison) -> str:
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


def to_html(comparison: Comparison) -> str:
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
