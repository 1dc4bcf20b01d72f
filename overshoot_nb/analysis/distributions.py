"""Figures without a timeline: latencies, counts, heatmaps."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from overshoot_nb.conditions.required_columns import require
from overshoot_nb.errors import ValidationError

from .exploding import as_lists
from .figures import Bars, Curve, Curves, Matrix, round_step, time_axis
from .grouping import Groups
from .plot_values import (
    Classes,
    classes,
    column_named,
    is_number,
    known,
    labels_of,
    numbers,
    summary,
)
from .runs import Runs, answered, by_run, plain, result_rows

MOST_CURVES = 8
MOST_BARS = 20
MOST_LINES = 20
#: Columns of a heatmap over time.
_STRETCHES = 60
_POINTS = 200
_MARKED = (50, 95)
#: From this ratio of the slowest to the fastest on, they are not seen side by side.
_LOG_FROM = 30.0


def latency_curves(rows: pd.DataFrame, which: str) -> Curves:
    """What :meth:`~overshoot_nb.analysis.plotting.Plots.latency` draws."""
    if which not in ("inference", "total"):
        raise ValidationError(f'which={which!r} is not valid: it must be "inference" or "total"')
    column = f"{which}_latency_ms"
    require(rows, "latency", column)
    rows = result_rows(rows)
    notes = [summary(rows)]
    ms = rows[column].astype("float64").to_numpy(np.float64, na_value=np.nan)
    there = answered(rows) & np.isfinite(ms)
    measured, ms = rows[there], ms[there]
    keys = [k for k in ("model", "prompt_version") if k in rows and measured[k].nunique() > 1]
    groups = Groups(measured, keys)
    keys_of = groups.table({})
    sizes = groups.count()
    order = np.argsort(-sizes, kind="stable")[:MOST_CURVES]
    if len(sizes) > MOST_CURVES:
        notes.append(f"the {MOST_CURVES} largest of {len(sizes):,} groups")
    codes = [code for code in sorted(order.tolist()) if sizes[code]]
    names = labels_of([_name(keys_of.iloc[code]) for code in codes])
    curves = [
        _curve(name, np.sort(ms[groups.codes == code]))
        for code, name in zip(codes, names, strict=True)
    ]
    least = min((c.ms[0] for c in curves), default=0.0)
    most = max((c.ms[-1] for c in curves), default=0.0)
    log = bool(least > 0 and most / least >= _LOG_FROM)
    title = f"{which.capitalize()} latency"
    return Curves(
        title, tuple(notes), f"{title} (ms{', log scale' if log else ''})", tuple(curves), log
    )


def _name(keys: pd.Series) -> str:
    parts = [
        f"prompt v{value}" if key == "prompt_version" else str(value) for key, value in keys.items()
    ]
    return ", ".join(parts) or "all answers"


def _curve(name: str, ms: npt.NDArray[np.float64]) -> Curve:
    n = len(ms)
    if n <= _POINTS:
        at, percent = np.r_[ms[0], ms], np.arange(n + 1) / n * 100
    else:
        # The smallest value that so many are at or below: exact, whatever lies between points.
        places = np.unique(np.r_[0, np.ceil(np.linspace(0, 1, _POINTS + 1)[1:] * n) - 1])
        at = np.r_[ms[0], ms[places.astype(np.intp)]]
        percent = np.r_[0.0, (places + 1) / n * 100]
    marks = tuple((p, float(np.percentile(ms, p))) for p in _MARKED) if n > 1 else ()
    return Curve(name, n, at, percent, marks)


# ---- counts --------------------------------------------------------------------------------------


def counts(rows: pd.DataFrame, column: str) -> Bars:
    """What :meth:`~overshoot_nb.analysis.plotting.Plots.counts` draws."""
    name = column_named(rows, column, "counts")
    rows = result_rows(rows)
    notes = [summary(rows)]
    values, there = plain(rows[name]), known(rows, name)
    unit = "Answers"
    if missing := int((answered(rows) & ~there).sum()):
        notes.append(f"{missing:,} without a value")
    total = int(there.sum())
    if _is_lists(values, there):
        lists = as_lists(values[there], name)
        items = [item for one in lists for item in one]
        values = pd.Series(pd.array(np.array([*items, None], object)[:-1]), dtype=object)
        there, unit = values.notna().to_numpy(bool), "Items"
        notes.append(f"{len(items):,} items of {total:,} lists")
        total = len(items)
    elif is_number(values):
        number = numbers(rows, name)
        if (whole := _whole(number, MOST_BARS)) is not None:
            each = np.bincount(whole.codes[whole.codes >= 0], minlength=len(whole.labels))
            return _numbered(name, notes, whole.labels, each)
        if len(np.unique(number[~np.isnan(number)])) > MOST_BARS:
            edges = _edges(number[~np.isnan(number)], MOST_BARS)
            return _numbered(name, notes, _ranges(edges), np.histogram(number, edges)[0])
    upright = is_number(values)
    found = classes(values, there, MOST_BARS, by_count=not upright)
    if found.left_out:
        notes.append(f"the {found.left_out:,} rarest values are others")
    each = np.bincount(found.codes[found.codes >= 0], minlength=len(found.labels))
    title = f"{'Answers' if name == 'result' else name}: how often each"
    return Bars(title, tuple(notes), name, unit, found.labels, tuple(each.tolist()), total, upright)


def _is_lists(values: pd.Series, there: npt.NDArray[np.bool_]) -> bool:
    if values.dtype != np.dtype(object) or not there.any():
        return False
    return all(isinstance(v, list | tuple | np.ndarray) for v in values[there])


def _edges(values: npt.NDArray[np.float64], most: int) -> npt.NDArray[np.float64]:
    """Round numbers that divide the range of values into at most ``most`` parts."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.array([low - 0.5, low + 0.5])
    if high / 2 - low / 2 > np.finfo(float).max / 2:  # their difference is no float
        return np.linspace(low / 2, high / 2, most + 1) * 2
    rough = (high - low) / most
    power = 10.0 ** np.floor(np.log10(rough))
    for factor in (1, 2, 2.5, 5, 10, 20):
        step = factor * power
        first, last = np.floor(low / step), np.floor(high / step) + 1
        if last - first <= most:
            digits = 2 - int(np.floor(np.log10(step)))
            return np.array([round(float(k * step), digits) for k in np.arange(first, last + 1)])
    return np.linspace(low, high, most + 1)


def _ranges(edges: npt.NDArray[np.float64]) -> tuple[str, ...]:
    return tuple(labels_of([f"{a:.15g} to {b:.15g}" for a, b in pairwise(edges)]))


def _whole(values: npt.NDArray[np.float64], most: int) -> Classes | None:
    """Whole numbers of a short range as classes, those in between that nobody said too."""
    there = ~np.isnan(values)
    finite = values[there]
    if not len(finite) or (finite != np.rint(finite)).any():
        return None
    if finite.max() / 2 - finite.min() / 2 >= most / 2:  # halves, for the whole may be no float
        return None
    low = int(finite.min())
    codes = np.where(there, np.nan_to_num(values) - low, -1).astype(np.intp)
    labels = tuple(f"{low + k}" for k in range(int(finite.max()) - low + 1))
    return Classes(labels, codes, 0)


def _numbered(
    name: str, notes: list[str], labels: tuple[str, ...], each: npt.NDArray[np.intp]
) -> Bars:
    title = f"{name}: how often each"
    sizes = tuple(each.tolist())
    return Bars(title, tuple(notes), name, "Answers", labels, sizes, sum(sizes), True)


# ---- heatmaps ------------------------------------------------------------------------------------


def heatmap(rows: pd.DataFrame, column: str, by: str | None) -> Matrix:
    """What :meth:`~overshoot_nb.analysis.plotting.Plots.heatmap` draws."""
    name = column_named(rows, column, "heatmap")
    key = None if by is None else column_named(rows, by, "heatmap")
    rows = result_rows(rows)
    notes = [summary(rows)]
    if key is not None and not is_number(rows[name]):
        return _crossed(rows, name, key, notes)
    require(rows, "heatmap", "media_time")
    runs = by_run(rows, "heatmap")
    rows, seconds = rows.iloc[runs.order], runs.us / 1e6
    if len(runs) > 1 and key != "stream_id":
        notes.append(f"{len(runs):,} runs on top of each other")
    lines = key if key is not None else name
    values, there = plain(rows[lines]), known(rows, lines)
    number = numbers(rows, lines) if is_number(values) else None
    if number is not None and (whole := _whole(number, MOST_LINES)) is not None:
        codes, labels = whole.codes, whole.labels
    elif number is not None and len(np.unique(number[~np.isnan(number)])) > MOST_LINES:
        edges = _edges(number[~np.isnan(number)], MOST_LINES)
        codes = np.searchsorted(edges, np.nan_to_num(number, nan=edges[0]), "right") - 1
        codes = np.where(np.isnan(number), -1, np.clip(codes, 0, len(edges) - 2))
        labels = _ranges(edges)
    else:
        found = classes(values, there, MOST_LINES, by_count=False)
        codes, labels = found.codes, found.labels
        if found.left_out:
            notes.append(f"the {found.left_out:,} rarest values are others")
    if is_number(values):
        labels, codes = labels[::-1], np.where(codes < 0, -1, len(labels) - 1 - codes)
    start, end = (float(seconds[0]), float(seconds.max())) if len(seconds) else (0.0, 1.0)
    start = float(seconds.min()) if len(seconds) else start
    # Not shorter than answers usually are apart: cells between them would be empty.
    apart = max((float(np.median(np.diff(s))) for s in _by_run(runs, seconds)), default=1.0)
    step = round_step(max((end - start) / _STRETCHES, apart, 1e-3))
    notes.append(f"columns of {step:g} s")
    first = np.floor(start / step + 1e-9)
    edges = (first + np.arange(np.floor(end / step + 1e-9) - first + 2)) * step
    axis = time_axis(float(edges[0]), float(edges[-1]))
    place = np.clip(np.searchsorted(edges, seconds, "right") - 1, 0, len(edges) - 2)
    shape = (len(labels), len(edges) - 1)
    amounts = numbers(rows, name) if key is not None else np.ones(len(rows))
    used = (codes >= 0) & ~np.isnan(amounts)
    cells = codes[used] * shape[1] + place[used]
    each = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
    sums = np.bincount(cells, amounts[used], minlength=shape[0] * shape[1]).reshape(shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        shown = np.where(each > 0, sums / each if key is not None else sums, np.nan)
    return Matrix(
        f"{name} over media time" + (f", by {key}" if key is not None else ""),
        tuple(notes),
        axis.title,
        lines,
        f"mean of {name}" if key is not None else "Answers",
        axis,
        tuple(edges.tolist()),
        (),
        labels,
        shown,
        each,
        key is None,
    )


def _by_run(runs: Runs, seconds: npt.NDArray[np.float64]) -> list[npt.NDArray[np.float64]]:
    """The times of each run that has several."""
    parts = np.split(seconds, runs.starts[1:-1])
    return [part for part in parts if len(part) > 1]


def _crossed(rows: pd.DataFrame, name: str, key: str, notes: list[str]) -> Matrix:
    """How often each value of one column goes with each of the other."""
    there = known(rows, name) & known(rows, key)
    one = classes(rows[name], there, MOST_LINES, by_count=False)
    two = classes(rows[key], there, MOST_LINES, by_count=False)
    if left_out := one.left_out + two.left_out:
        notes.append(f"the {left_out:,} rarest values are others")
    # The same values in the same order on both sides: where they agree is the diagonal.
    if set(one.labels) == set(two.labels):
        order: Any = [one.labels.index(label) for label in two.labels]
        two = two._replace(
            labels=one.labels, codes=np.where(two.codes < 0, -1, np.array([*order, -1])[two.codes])
        )
    shape = (len(two.labels), len(one.labels))
    used = (one.codes >= 0) & (two.codes >= 0)
    cells = two.codes[used] * shape[1] + one.codes[used]
    each = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
    return Matrix(
        f"{name} by {key}",
        tuple(notes),
        name,
        key,
        "Answers",
        None,
        (),
        one.labels,
        two.labels,
        each.astype(np.float64),
        each,
        True,
    )
