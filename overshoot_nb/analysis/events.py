"""``events``: the stretches of media time during which something was true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from overshoot_nb.conditions.columns_of_rows import TRUE
from overshoot_nb.conditions.condition import Condition
from overshoot_nb.conditions.required_columns import require
from overshoot_nb.conditions.rows import RowEvaluation
from overshoot_nb.support.validation import check_whole

from .peaks import Peak, peak_of
from .run_order import RunOrder, duration_in, stretches

_Places = NDArray[np.intp]
#: Rows in a row that a parameter may ask for.
MOST_ROWS = 1_000_000


def events(
    rows: pd.DataFrame,
    condition: str,
    *,
    min_duration: float = 0.0,
    gap: float = 0.0,
    enter: int = 1,
    leave: int = 1,
) -> pd.DataFrame:
    """See :meth:`overshoot_nb.analysis.event_methods.EventMethods.events`."""
    shortest, widest = duration_in("min_duration", min_duration), duration_in("gap", gap)
    check_whole("enter", enter, 1, MOST_ROWS)
    check_whole("leave", leave, 1, MOST_ROWS)
    require(rows, "events", "media_time", "sample")
    bound = Condition(condition).bind(rows)
    evaluation = bound.evaluation(rows)
    order = RunOrder.of(rows, "events")
    true = (evaluation.truths(bound.node) == TRUE)[order.positions]
    first, last, ongoing = _hysteresis(order, true, enter, leave)
    first, last, ongoing = _merged(order, first, last, ongoing, widest)
    long = order.times[last] - order.times[first] >= shortest
    return _table(
        rows, evaluation, peak_of(bound.node), order, true, first[long], last[long], ongoing[long]
    )


def _hysteresis(
    order: RunOrder, asked: NDArray[np.bool_], enter: int, leave: int
) -> tuple[_Places, _Places, NDArray[np.bool_]]:
    """Where events begin and end, and which do not.

    ``last`` is the place of the row that ends the event, the first that is not true; of an event
    that the rows end with, it is the last row of the run.
    """
    starts = order.begins()
    starts[1:] |= asked[1:] != asked[:-1]
    first, length = stretches(starts)
    true = asked[first]
    # Only a stretch that is long enough says anything: of these, each that says the contrary of
    # the one before it begins or ends an event.
    says = length >= np.where(true, enter, leave)
    first, true = first[says], true[says]
    runs = order.runs[first]
    before = np.zeros(len(first), np.bool_)
    before[1:] = true[:-1] & (runs[1:] == runs[:-1])
    turns = true != before
    first, true, runs = first[turns], true[turns], runs[turns]
    begin = np.flatnonzero(true)
    # What follows the beginning of an event in its run is its end.
    follows = begin + 1
    inside = follows < len(first)
    ended = np.zeros(len(begin), np.bool_)
    ended[inside] = runs[follows[inside]] == runs[begin[inside]]
    last = np.searchsorted(order.runs, runs[begin], side="right") - 1
    last[ended] = first[follows[ended]]
    return first[begin], last, ~ended


def _merged(
    order: RunOrder, first: _Places, last: _Places, ongoing: NDArray[np.bool_], widest: int
) -> tuple[_Places, _Places, NDArray[np.bool_]]:
    """Events that are at most ``widest`` microseconds apart as one."""
    if not len(first):
        return first, last, ongoing
    apart = order.runs[first[1:]] != order.runs[last[:-1]]
    apart |= order.times[first[1:]] - order.times[last[:-1]] > widest
    return first[np.r_[True, apart]], last[np.r_[apart, True]], ongoing[np.r_[apart, True]]


def _table(
    rows: pd.DataFrame,
    evaluation: RowEvaluation,
    peak: Peak | None,
    order: RunOrder,
    asked: NDArray[np.bool_],
    first: _Places,
    last: _Places,
    ongoing: NDArray[np.bool_],
) -> pd.DataFrame:
    # True rows that belong to an event, and which: the rows of an event are [first, last], and
    # the last one is not true, or the end.
    true = np.flatnonzero(asked)
    begin = np.searchsorted(true, first)
    n = np.searchsorted(true, last, side="right") - begin
    evidence = true[begin + (n - 1) // 2]
    peaks = np.full(len(first), np.nan)
    if peak is not None and len(first):
        numbers = evaluation.numbers(peak.node)[order.positions]
        peaks, evidence = _peaks(peak, numbers, true, begin, n, evidence)
    start, end = order.times[first], order.times[last]
    return pd.DataFrame(
        {
            "stream_id": order.stream_ids(rows, first),
            "start": start.view("m8[us]"),
            "end": end.view("m8[us]"),
            "duration": (end - start).view("m8[us]"),
            "peak": peaks,
            "n": n.astype(np.int64),
            "sample": order.samples(rows, evidence),
            "at": order.times[evidence].view("m8[us]"),
            "ongoing": ongoing,
            "start_at": order.wall_clock(rows, first),
            "end_at": order.wall_clock(rows, last),
            "captured_at": order.wall_clock(rows, evidence),
        }
    )


def _peaks(
    peak: Peak, numbers: Any, true: _Places, begin: _Places, n: _Places, middle: _Places
) -> tuple[NDArray[np.float64], _Places]:
    """The extreme number of each event's true rows, and the first of them that has it."""
    event = np.repeat(np.arange(len(n)), n)
    within = np.repeat(begin - (np.cumsum(n) - n), n) + np.arange(n.sum())
    places = true[within]
    found = numbers[places] if peak.largest else -numbers[places]
    # No event is without a true row, so every piece of `reduceat` is an event.
    extreme = np.fmax.reduceat(found, np.cumsum(n) - n)
    has = found == extreme[event]  # where all are missing, none
    having, at = np.unique(event[has], return_index=True)
    evidence = middle.copy()
    evidence[having] = places[has][at]
    return (extreme if peak.largest else -extreme), evidence
