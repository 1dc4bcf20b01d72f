"""Rows in bins of media time, and what is made of the rows of each bin."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from overshoot_nb.errors import ValidationError

from .runs import Runs

#: More than these would fill the memory: a few rows far apart, and a short step.
MOST_BINS = 5_000_000
#: "p50", "p99.9".
PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")


@dataclass(frozen=True, slots=True)
class TimeGrid:
    """Which bin each row is in. Bins are numbered through all runs.

    Attributes:
        order: positions of the rows in the caller's DataFrame, in order.
        bins: the bin of each row, in order; ascending.
        run: the run of each bin.
        index: the time at which each bin begins.
        firsts: the first row of each run, in order.
    """

    order: npt.NDArray[np.intp]
    bins: npt.NDArray[np.int64]
    run: npt.NDArray[np.intp]
    index: pd.TimedeltaIndex
    firsts: npt.NDArray[np.intp]

    @property
    def size(self) -> int:
        return len(self.index)

    def ids(self, stream_ids: pd.Series) -> Any:
        """The stream of each bin, of the dtype that the rows have."""
        return stream_ids.array.take(self.firsts[self.run])

    def picked(
        self, values: pd.Series, there: npt.NDArray[np.bool_] | None, function: str
    ) -> npt.NDArray[Any] | pd.Series:
        """The first or last value of each bin, or how many (different) ones it has."""
        known = ~np.asarray(values.array.isna(), bool)
        if there is not None:
            known = known & there
        at = np.flatnonzero(known)
        if function == "count":
            return np.bincount(self.bins[at], minlength=self.size)
        if function == "nunique":
            codes = _codes(values.iloc[at])
            pairs = np.unique(np.stack([self.bins[at], codes]), axis=1)[0]
            return np.bincount(pairs, minlength=self.size)
        if function == "first":
            at = at[::-1]
        place = np.full(self.size, -1, np.intp)
        place[self.bins[at]] = at  # of several in one bin the last one stays
        taken = _taken(nullable(values).array, place)
        if values.dtype == object:
            taken[place < 0] = None  # as in the table
        made: pd.Series = pd.Series(taken, self.index, dtype=taken.dtype, copy=False)
        return made

    def added(self, values: pd.Series, function: str) -> Any:
        """The mean or sum of each bin, as numpy adds: it is what is asked for most."""
        whole = function == "sum" and pd.api.types.is_integer_dtype(values.dtype)
        missing = np.asarray(values.array.isna(), bool)
        filled = np.flatnonzero(np.r_[True, self.bins[1:] != self.bins[:-1]][: len(self.bins)])
        counts, sums = np.zeros(self.size, np.int64), np.zeros(self.size, np.float64)
        if whole:
            sums = sums.astype(np.int64)
        if len(filled):
            amounts = values.to_numpy(sums.dtype, na_value=0)
            numbers = self.bins[filled]
            counts[numbers] = np.add.reduceat(~missing, filled, dtype=np.int64)
            sums[numbers] = np.add.reduceat(amounts, filled)
        none = counts == 0  # nothing is not zero
        if whole:
            return pd.arrays.IntegerArray(sums.astype(np.int64, copy=False), none)
        sums[none] = np.nan
        with np.errstate(invalid="ignore"):
            return sums / counts if function == "mean" else sums

    def computed(self, several: list[tuple[str, pd.Series]], function: str) -> dict[str, Any]:
        """A figure of each bin, for each of the columns."""
        groups = pd.concat([values for _, values in several], axis=1, ignore_index=True)
        grouped = groups.reset_index(drop=True).groupby(self.bins)
        if percentile := PERCENTILE.fullmatch(function):
            figures = grouped.quantile(float(percentile[1]) / 100)
        elif function in ("any", "all"):
            # Of no known value neither is known.
            figures = (grouped.max if function == "any" else grouped.min)()
        else:
            figures = getattr(grouped, function)()
        made = {name: figures[number].array for number, (name, _) in enumerate(several)}
        if len(figures) == self.size:
            return made
        place = np.full(self.size, -1, np.intp)
        place[figures.index] = np.arange(len(figures))
        return {name: _taken(array, place) for name, array in made.items()}

    def each(
        self,
        values: pd.Series,
        there: npt.NDArray[np.bool_] | None,
        function: Callable[[pd.Series], Any],
    ) -> pd.Series:
        """What a function makes of the values of each bin that has any."""
        known = values.notna().to_numpy(bool)
        if there is not None:
            known = known & there
        made = np.full(self.size, None, object)
        number: Any
        for number, own in values[known].groupby(self.bins[known]):
            made[number] = function(own)
        return pd.Series(made, self.index, dtype=object).convert_dtypes()


def time_grid(runs: Runs, step: int) -> TimeGrid:
    """Bins of ``step`` microseconds, from the first row of each run to its last.

    Raises:
        ValidationError: there would be too many.
    """
    k = runs.us // step
    starts = runs.starts
    firsts = starts[:-1]
    first, last = k[firsts], k[starts[1:] - 1]
    sizes = last - first + 1
    total = int(sizes.sum())
    if total > MOST_BINS:
        raise ValidationError(
            f"by={step / 1e6:g} s makes {total:,} stretches of these rows, more than "
            f"{MOST_BINS:,}: give a longer one"
        )
    offsets = np.cumsum(sizes) - sizes
    bins = k - first[runs.run] + offsets[runs.run]
    run = np.repeat(np.arange(len(runs)), sizes)
    begins = (np.arange(total) - offsets[run] + first[run]) * step
    index = pd.TimedeltaIndex(begins.view("m8[us]"), name="media_time")
    return TimeGrid(runs.order, bins, run, index, firsts)


def nullable(values: pd.Series) -> pd.Series:
    """The same with a dtype that can be missing, without integers becoming floats."""
    if values.dtype == bool:
        return values.astype("boolean")
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "iu":
        return values.astype("UInt64" if values.dtype.kind == "u" else "Int64")
    return values


def _taken(values: Any, place: npt.NDArray[np.intp]) -> Any:
    """The values at these places, missing at -1."""
    if isinstance(values, pd.arrays.NumpyExtensionArray):  # pandas 2 does not know its own
        values = values.to_numpy()
    return pd.api.extensions.take(values, place, allow_fill=True)


def _codes(values: pd.Series) -> npt.NDArray[np.intp]:
    """The same number for the same values."""
    try:
        return pd.factorize(values)[0]
    except TypeError:  # lists and dicts
        return pd.factorize(np.array([repr(v) for v in values], object))[0]
