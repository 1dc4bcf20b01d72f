"""What a figure shows, whichever library draws it.

Everything is bounded here, so that a figure of 100,000 rows is as small and as quick as one of
1,000; what was left out is said in its ``notes``. Texts are as models gave them, only shortened.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from overshoot_nb.support.html import visible

#: M. Okabe and K. Ito, Color universal design (2008): told apart by colour-blind eyes. Yellow,
#: which is faint on white, comes last.
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#F0E442",
)  # fmt: skip
HIGHLIGHT = "#E69F00"
GREY = "#6B6B6B"

#: Seconds between ticks that people can count by.
_STEPS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400),
)
_TICKS = 9
_LABEL = 40


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Media time as an axis.

    Attributes:
        start, end: seconds.
        ticks: seconds.
        clock: parts of the labels: 1 "12.5", 2 "3:05", 3 "1:03:05".
    """

    start: float
    end: float
    ticks: tuple[float, ...]
    clock: int

    @property
    def title(self) -> str:
        """With its unit."""
        return f"Media time ({('s', 'min:s', 'h:min:s')[self.clock - 1]})"

    def label(self, seconds: float) -> str:
        """A tick's label."""
        return clock(seconds, self.clock)


def time_axis(start: float, end: float) -> TimeAxis:
    """An axis from ``start`` to ``end``, seconds, with ticks at round times."""
    if not end > start:
        end = start + 1.0
    span = end - start
    step = round_step(span / _TICKS)
    numbers = np.arange(np.ceil(start / step - 1e-9), np.floor(end / step + 1e-9) + 1)
    parts = 1 if end < 120 or step < 1 else 2 if end < 3600 else 3
    # Without a zero below zero.
    ticks = tuple(float(f"{n * step:.6f}") + 0.0 for n in numbers)
    return TimeAxis(start, end, ticks, parts)


def round_step(seconds: float) -> float:
    """The shortest of the lengths of time that people count by that is at least so long."""
    return next((s for s in _STEPS if s >= seconds), 86400.0 * math.ceil(seconds / 86400))


def clock(seconds: float, parts: int) -> str:
    """Seconds as "12.5", "3:05" or "1:03:05", fractions where there are some."""
    if parts == 1:
        return f"{seconds:.6f}".rstrip("0").rstrip(".") or "0"
    sign, seconds = ("-" if seconds < 0 else ""), abs(seconds)
    whole, fraction = divmod(round(seconds * 1000), 1000)
    tail = f".{fraction:03}".rstrip("0") if fraction else ""
    minutes, second = divmod(whole, 60)
    if parts == 2:
        return f"{sign}{minutes}:{second:02}{tail}"
    return f"{sign}{minutes // 60}:{minutes % 60:02}:{second:02}{tail}"


def shortened(text: str, limit: int = _LABEL, *, middle: bool = False) -> str:
    """One line, at most ``limit`` characters; with ``middle`` its begin and its end."""
    if middle:
        half = limit // 2
        text = visible(text)
        head, tail = " ".join(text[: 4 * limit].split()), " ".join(text[-4 * limit :].split())
        short = len(text) <= 4 * limit and len(head) <= limit
        return head if short else f"{head[: limit - half - 1]}…{tail[-half:]}"
    # Much of a long text would only be thrown away.
    line = " ".join(visible(text[: 4 * limit]).split())
    return line if len(line) <= limit and len(text) <= 4 * limit else f"{line[: limit - 1]}…"


def wrapped(notes: tuple[str, ...], limit: int) -> list[str]:
    """Notes as lines of about ``limit`` characters, for a subtitle does not wrap."""
    lines: list[str] = []
    for note in notes:
        if lines and len(lines[-1]) + len(note) + 2 <= limit:
            lines[-1] += f"; {note}"
        else:
            lines.append(note)
    return lines


# ---- figures -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """A number over time; it holds until the next.

    Attributes:
        title: the field, and the run where there are several.
        times: seconds. (n,)
        values: NaN where nothing is known. (n,)
        samples: index of the sample, -1 where the rows do not say. (n,)
    """

    title: str
    times: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]
    samples: npt.NDArray[np.int64]

    @property
    def is_whole(self) -> bool:
        """Whether all values are whole numbers."""
        known = self.values[~np.isnan(self.values)]
        return bool((known == np.rint(known)).all())


@dataclass(frozen=True, slots=True)
class States:
    """A value of a few over time, as stretches in which it stays the same.

    Attributes:
        title: the field, and the run where there are several.
        labels: the values from top to bottom.
        starts, ends: seconds. (n,)
        codes: place of each stretch's value in ``labels``. (n,)
        samples: the first sample of each, -1 where the rows do not say. (n,)
        counts: how many answers each holds. (n,)
    """

    title: str
    labels: tuple[str, ...]
    starts: npt.NDArray[np.float64]
    ends: npt.NDArray[np.float64]
    codes: npt.NDArray[np.intp]
    samples: npt.NDArray[np.int64]
    counts: npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Band:
    """An event: seconds, and what is said of it when it is pointed at."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Panels one below the other that share their time axis."""

    title: str
    notes: tuple[str, ...]
    axis: TimeAxis
    panels: tuple[Line | States, ...]
    #: Those of each panel.
    bands: tuple[tuple[Band, ...], ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """Which share of ``n`` answers took at most so long.

    Attributes:
        name: whose.
        ms: milliseconds, ascending. (k,)
        percent: 0..100. (k,)
        marks: the percentiles that are pointed out, and their milliseconds.
    """

    name: str
    n: int
    ms: npt.NDArray[np.float64]
    percent: npt.NDArray[np.float64]
    marks: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Curves:
    """Cumulative distributions in one panel; ``log`` is about x."""

    title: str
    notes: tuple[str, ...]
    x_title: str
    curves: tuple[Curve, ...]
    log: bool


@dataclass(frozen=True, slots=True)
class Bars:
    """How often each value was said.

    Attributes:
        title, notes: of the figure.
        what: what the values are of.
        unit: what is counted.
        labels: the values, in order. (n,)
        counts: (n,)
        total: what the shares are of.
        upright: columns along a number, instead of lines below each other.
    """

    title: str
    notes: tuple[str, ...]
    what: str
    unit: str
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    total: int
    upright: bool


@dataclass(frozen=True, slots=True)
class Matrix:
    """Cells coloured by a number.

    Attributes:
        title, notes: of the figure.
        x_title, y_title, value_title: with their units.
        axis: where x is media time, else None.
        edges: where x is media time, the ends of its columns in seconds (columns + 1), else ().
        x_labels: where it is not, the columns.
        y_labels: the lines, from top to bottom.
        values: NaN where there is nothing. (lines, columns)
        counts: how many answers are in each cell. (lines, columns)
        whole: values are whole numbers, to be written into the cells where there is room.
    """

    title: str
    notes: tuple[str, ...]
    x_title: str
    y_title: str
    value_title: str
    axis: TimeAxis | None
    edges: tuple[float, ...]
    x_labels: tuple[str, ...]
    y_labels: tuple[str, ...]
    values: npt.NDArray[np.float64]
    counts: npt.NDArray[Any]
    whole: bool
