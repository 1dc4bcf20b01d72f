"""Rows over time as captions: what is said from when to when."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from overshoot_nb.errors import ValidationError

from .captions_text import CaptionText, texts_of
from .rows import media_seconds
from .runs import answered, by_run, result_rows

if TYPE_CHECKING:
    import pandas as pd

#: How long a caption stays where there is but one row, in seconds.
HOLD_SECONDS = 2.0
#: An event that was seen once lasts no time; it is said for so many seconds.
SHORTEST_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Caption:
    """A text, not empty, that is shown during ``[start, end)``, seconds of media time."""

    start: float
    end: float
    text: str


def run_id(rows: pd.DataFrame, method: str) -> str | None:
    """The stream_id of the rows; None where they do not say.

    Raises:
        ValidationError: they are of several runs.
    """
    if "stream_id" not in rows.columns:
        return None
    ids = [str(name) for name in rows["stream_id"].dropna().unique()]
    if len(ids) > 1:
        named = ", ".join(map(repr, ids[:5])) + (", ..." if len(ids) > 5 else "")
        raise ValidationError(
            f"{method}() takes rows of one run, for media time starts at zero in each; these are "
            f'of {len(ids)}: {named}. Give those of one, such as df[df["stream_id"] == {ids[0]!r}]'
        )
    return ids[0] if ids else None


def captions_of(
    rows: pd.DataFrame, method: str, caption: CaptionText | None, hold: float | None
) -> list[Caption]:
    """The captions of the rows of one run, by their start.

    A row's text holds until the next row's time, ``hold`` seconds at most. Rows of failed
    inferences say nothing and end nothing; one with an empty or missing text ends the one before.
    Equal texts that touch are one caption. Rows with ``start`` and ``end`` instead of
    ``media_time``, as ``events()`` gives them, last from one to the other.

    Args:
        rows: of ``stream.df`` or of ``df.overshoot.events()``; in any order.
        method: who asks, for errors.
        caption: see :func:`~overshoot_nb.analysis.captions_text.texts_of`; of events, None means
            their number and peak.
        hold: seconds, > 0; None: twice the median time from one row to the next.

    Raises:
        ValidationError: the rows are of several runs, lack a column, or a parameter is wrong.
    """
    _check_hold(hold)
    run_id(rows, method)
    if "media_time" not in rows.columns and {"start", "end"} <= set(rows.columns):
        return _of_events(rows, method, caption)
    rows = result_rows(rows)
    rows = rows[answered(rows)]
    order = by_run(rows, method)
    rows = rows.iloc[order.order]
    texts = texts_of(rows, caption, method)
    if not texts:
        return []
    starts = order.us / 1e6
    steps = np.diff(order.us)
    steps = steps[steps > 0]
    usual = 2 * float(np.median(steps)) / 1e6 if len(steps) else HOLD_SECONDS
    longest = usual if hold is None else hold
    # However long it may hold, after the last row nobody looked any more.
    last = longest if math.isfinite(longest) else usual
    ends = np.append(np.minimum(starts[1:], starts[:-1] + longest), starts[-1] + last)
    return _merged(zip(starts.tolist(), ends.tolist(), texts, strict=True))


def one_at_a_time(captions: Sequence[Caption]) -> list[Caption]:
    """The same where several are shown at once: then they are one, line by line."""
    if all(a.end <= b.start for a, b in pairwise(captions)):
        return list(captions)
    times = sorted({time for c in captions for time in (c.start, c.end)})
    pieces: list[tuple[float, float, str]] = []
    shown: list[Caption] = []
    coming = sorted(captions, key=lambda c: c.start)[::-1]
    for start, end in pairwise(times):
        while coming and coming[-1].start <= start:
            shown.append(coming.pop())
        shown = [c for c in shown if c.end > start]
        pieces.append((start, end, "\n".join(dict.fromkeys(c.text for c in shown))))
    return _merged(pieces)


def _of_events(rows: pd.DataFrame, method: str, caption: CaptionText | None) -> list[Caption]:
    starts, ends = (_seconds(rows, name, method) for name in ("start", "end"))
    if caption is None:
        peaks = texts_of(rows, "peak", method) if "peak" in rows.columns else [""] * len(rows)
        texts = [
            f"Event {number} (peak {peak})" if peak else f"Event {number}"
            for number, peak in enumerate(peaks, 1)
        ]
    else:
        texts = texts_of(rows, caption, method)
    return sorted(
        (
            Caption(start, max(end, start + SHORTEST_SECONDS), text)
            for start, end, text in zip(starts, ends, texts, strict=True)
            if text and math.isfinite(start) and math.isfinite(end)
        ),
        key=lambda c: (c.start, c.end),
    )


def _seconds(rows: pd.DataFrame, name: str, method: str) -> list[float]:
    times: list[float] = media_seconds(
        rows[[name]].rename(columns={name: "media_time"}), method
    ).tolist()
    return times


def _merged(pieces: Iterable[tuple[float, float, str]]) -> list[Caption]:
    captions: list[Caption] = []
    for start, end, text in pieces:
        if not text or end <= start:
            continue
        if captions and captions[-1].text == text and captions[-1].end >= start:
            captions[-1] = replace(captions[-1], end=end)
        else:
            captions.append(Caption(start, end, text))
    return captions


def _check_hold(hold: Any) -> None:
    if hold is None:
        return
    if not isinstance(hold, Real) or isinstance(hold, bool) or not float(hold) > 0:
        raise ValidationError(f"hold={hold!r} is not valid: it must be a number of seconds, x > 0")
