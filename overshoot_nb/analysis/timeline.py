"""The timeline: answers over media time, with events behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from overshoot_nb.conditions.required_columns import require
from overshoot_nb.errors import ValidationError

from .figures import Band, Line, States, TimeAxis, Timeline, clock, shortened, time_axis
from .plot_values import Classes, classes, column_named, is_number, known, numbers, summary
from .rows import media_seconds
from .runs import Runs, by_run, result_rows

MOST_PANELS = 10
#: A line is thinned to at most four points for each of so many stretches of time.
STRETCHES = 400
MOST_STATES = 12
MOST_BANDS = 300
#: Fields that are shown where none is asked for.
_FIELDS = 6


def timeline(
    rows: pd.DataFrame, column: str | Sequence[str] | None, events: str | pd.DataFrame | None
) -> Timeline:
    """What :meth:`~overshoot_nb.analysis.plotting.Plots.timeline` draws."""
    require(rows, "timeline", "media_time")
    rows = result_rows(rows)
    bands = _events(rows, events)
    runs = by_run(rows, "timeline")
    notes = [summary(rows)]
    columns = _columns(rows, column, notes)
    ordered = rows.iloc[runs.order]
    seconds = runs.us / 1e6
    panels: list[Line | States] = []
    owners: list[Any] = []
    spans = list(zip(runs.starts[:-1], runs.starts[1:], strict=True))
    prepared = [_prepared(ordered, name, notes) for name in columns]
    for number, (first, end) in enumerate(spans):
        for name, values in zip(columns, prepared, strict=True):
            if len(panels) == MOST_PANELS:
                break
            # Where it is the only one, the figure's own title says it.
            title = name if len(columns) > 1 else ""
            if len(runs) > 1:
                title = f"{name}, run {shortened(str(runs.ids[number]), 24)}"
            own = slice(int(first), int(end))
            samples = _samples(ordered.iloc[own])
            if isinstance(values, Classes):
                codes = values.codes[own]
                panel: Line | States = _states(
                    title, values.labels, seconds[own], codes, samples, notes
                )
            else:
                panel = _line(title, seconds[own], values[own], samples, notes)
            panels.append(panel)
            owners.append(runs.ids[number])
    if (count := len(spans) * len(columns)) > len(panels):
        notes.append(f"the first {len(panels)} of {count:,} panels")
    axis = _axis(runs, panels)
    shown = tuple(_of_run(bands, owner, axis) for owner in owners)
    if bands is not None:
        what = shortened(events, 80) if isinstance(events, str) else "events"
        most = f", the {MOST_BANDS} longest of {len(bands):,}" if len(bands) > MOST_BANDS else ""
        notes.append(f"shaded: {what}{most}")
    what = columns[0] if len(columns) == 1 else "Answers"
    what = "Answers" if what == "result" else what
    return Timeline(f"{what} over media time", _once(notes), axis, tuple(panels), shown)


def _columns(rows: pd.DataFrame, column: Any, notes: list[str]) -> list[str]:
    if isinstance(column, str):
        return [column_named(rows, column, "timeline")]
    if column is not None:
        if not isinstance(column, Sequence) or not column:
            raise ValidationError(
                f"column={column!r} is not valid: it must be a column's name, or several"
            )
        return list(dict.fromkeys(column_named(rows, name, "timeline") for name in column))
    found = [
        name
        for name in rows.columns
        if isinstance(name, str)
        and (name == "out" or name.startswith("out."))
        and rows[name].ndim == 1
        and not isinstance(_first(rows[name]), list | dict | np.ndarray)
    ]
    if not found:
        return [column_named(rows, "result", "timeline")]
    # A field that was never filled would be an empty panel.
    empty = [name for name in found if not known(rows, name).any()]
    if empty and len(empty) < len(found):
        found = [name for name in found if name not in empty]
        notes.append(f"without any value: {shortened(', '.join(empty), 80)}")
    texts = [name for name in found if _has_many(rows, name)]
    if texts and len(texts) < len(found):
        found = [name for name in found if name not in texts]
        notes.append(f"of too many different values: {shortened(', '.join(texts), 80)}")
    if len(found) > _FIELDS:
        notes.append(f"the first {_FIELDS} of {len(found)} fields")
    return found[:_FIELDS]


def _has_many(rows: pd.DataFrame, name: str) -> bool:
    """Whether a field says too many different things to give each a line."""
    values = rows[name]
    if is_number(values) or isinstance(values.dtype, pd.CategoricalDtype):
        return False
    try:
        return bool(values.nunique() > MOST_STATES)
    except TypeError:  # lists and objects among others
        return True


def _first(values: pd.Series) -> Any:
    there = np.flatnonzero(values.notna().to_numpy(bool))
    return values.iloc[there[0]] if len(there) else None


def _prepared(
    ordered: pd.DataFrame, name: str, notes: list[str]
) -> Classes | npt.NDArray[np.float64]:
    """The values of all runs: the classes of each are the same."""
    if is_number(ordered[name]):
        return numbers(ordered, name)
    found = classes(ordered[name], known(ordered, name), MOST_STATES, by_count=False)
    if found.left_out:
        notes.append(f"{name}: the {found.left_out:,} rarest values are others")
    return found


def _samples(rows: pd.DataFrame) -> npt.NDArray[np.int64]:
    if "sample" not in rows:
        return np.full(len(rows), -1, np.int64)
    return np.array(rows["sample"].astype("Int64").fillna(-1), np.int64)


def _once(notes: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(notes))


# ---- panels --------------------------------------------------------------------------------------


def _line(
    title: str,
    times: npt.NDArray[np.float64],
    values: npt.NDArray[np.float64],
    samples: npt.NDArray[np.int64],
    notes: list[str],
) -> Line:
    if len(times) > 4 * STRETCHES:
        kept = _extremes(times, values)
        notes.append(
            f"lines go through the first, last, least and greatest value of each of {STRETCHES} "
            "stretches"
        )
        times, values, samples = times[kept], values[kept], samples[kept]
    return Line(title, times, values, samples)


def _stretch(times: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Number of the stretch that each time is in."""
    span = max(times[-1] - times[0], 1e-9)
    place: npt.NDArray[np.intp] = ((times - times[0]) / span * STRETCHES).astype(np.intp)
    place[place == STRETCHES] = STRETCHES - 1
    return place


def _extremes(
    times: npt.NDArray[np.float64], values: npt.NDArray[np.float64]
) -> npt.NDArray[np.intp]:
    """Places of what a line must go through to look the same."""
    stretch = _stretch(times)
    begins = np.flatnonzero(np.r_[True, stretch[1:] != stretch[:-1]])
    ends = np.r_[begins[1:], len(times)] - 1
    # By stretch, then by value: the least is the first of its stretch, the greatest the last
    # known one.
    by_value = np.lexsort((values, stretch))
    counts = np.add.reduceat(~np.isnan(values), begins, dtype=np.intp)
    greatest = by_value[begins + np.maximum(counts - 1, 0)]
    return np.unique(np.concatenate([begins, ends, by_value[begins], greatest]))


def _states(
    title: str,
    labels: tuple[str, ...],
    times: npt.NDArray[np.float64],
    codes: npt.NDArray[np.intp],
    samples: npt.NDArray[np.int64],
    notes: list[str],
) -> States:
    # What was seen last is shown as long as answers usually are apart.
    apart = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    end = times[-1] + (apart or 1.0) if len(times) else 0.0
    changed = _changes(codes)
    if len(changed) > 4 * STRETCHES:
        stretch = _stretch(times)
        begins = np.flatnonzero(np.r_[True, stretch[1:] != stretch[:-1]])
        notes.append(
            f"there are more changes than can be seen: each of {STRETCHES} stretches shows its "
            "most frequent value"
        )
        frequent = _most_frequent(stretch, codes)
        sizes = np.diff(np.r_[begins, len(codes)])
        changed, codes = begins[_changes(frequent)], np.repeat(frequent, sizes)
    counts = np.diff(np.r_[changed, len(codes)])
    starts = times[changed]
    ends = np.r_[starts[1:], end] if len(starts) else starts
    seen = codes[changed] >= 0
    return States(
        title,
        labels,
        starts[seen],
        ends[seen],
        codes[changed][seen],
        samples[changed][seen],
        counts[seen],
    )


def _changes(codes: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Where a value begins."""
    return np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]][: len(codes)])


def _most_frequent(
    stretch: npt.NDArray[np.intp], codes: npt.NDArray[np.intp]
) -> npt.NDArray[np.intp]:
    """The most frequent code of each stretch that has any row."""
    numbers_, place = np.unique(stretch, return_inverse=True)
    table = np.zeros((len(numbers_), int(codes.max()) + 2), np.intp)
    np.add.at(table, (place, codes + 1), 1)
    frequent: npt.NDArray[np.intp] = table.argmax(axis=1) - 1
    return frequent


def _axis(runs: Runs, panels: list[Line | States]) -> TimeAxis:
    if not len(runs.us):
        return time_axis(0.0, 1.0)
    ends = [float(p.ends.max()) for p in panels if isinstance(p, States) and len(p.ends)]
    return time_axis(float(runs.us.min()) / 1e6, max([float(runs.us.max()) / 1e6, *ends]))


# ---- events --------------------------------------------------------------------------------------


def _events(rows: pd.DataFrame, events: str | pd.DataFrame | None) -> pd.DataFrame | None:
    """Events with start and end in seconds."""
    if events is None:
        return None
    if isinstance(events, str):
        from .events import events as find_events

        events = find_events(rows, events)
    if not isinstance(events, pd.DataFrame):
        raise ValidationError(
            f"events={type(events).__name__} is not valid: it must be what events(...) returns, "
            "or its condition"
        )
    require(events, "timeline", "start", "end")
    seconds = {
        name: media_seconds(events[[name]].rename(columns={name: "media_time"}), "timeline")
        for name in ("start", "end")
    }
    return events.assign(**seconds)


def _of_run(events: pd.DataFrame | None, run: Any, axis: TimeAxis) -> tuple[Band, ...]:
    """The bands of a run, the longest where there are too many."""
    if events is None:
        return ()
    if run is not None and "stream_id" in events:  # events of other runs may be among them
        owner = events["stream_id"].astype(object)
        events = events[((owner == run) | owner.isna()).to_numpy(bool)]
    length = events["end"] - events["start"]
    kept = length.reset_index(drop=True).nlargest(MOST_BANDS).index.sort_values()
    bands = []
    for _, event in events.iloc[kept].iterrows():
        start, end = max(event["start"], axis.start), min(event["end"], axis.end)
        if start <= end:
            bands.append(Band(float(start), float(end), _text(event, axis)))
    return tuple(bands)


def _text(event: pd.Series, axis: TimeAxis) -> str:
    times = f"{axis.label(event['start'])} to {clock(event['end'], axis.clock)}"
    parts = [f"event {times}"]
    for name in ("peak", "n", "sample"):
        if name in event and pd.notna(event[name]):
            value = event[name]
            parts.append(f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}")
    return ", ".join(parts)
