"""Rows run by run in the order of their media time: what everything over time starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from overshoot_nb.conditions.required_columns import require
from overshoot_nb.errors import ValidationError
from overshoot_nb.store.columns import TEXT

from .rows import media_seconds
from .runs import answered, are_results, run_numbers

#: Dtype of times of day.
WALL_CLOCK = "datetime64[us, UTC]"


@dataclass(frozen=True, slots=True, eq=False)
class RunOrder:
    """The rows that tell something, those of a run together, by media time; arrays of shape (n,).

    Media time of different runs has nothing to do with each other. Runs are in the order in which
    the rows first have them.

    Attributes:
        positions: of the rows in their DataFrame.
        runs: number of the run, ascending.
        times: media time in microseconds, ascending within a run.
    """

    positions: NDArray[np.intp]
    runs: NDArray[np.intp]
    times: NDArray[np.int64]

    @classmethod
    def of(cls, rows: pd.DataFrame, method: str) -> RunOrder:
        """Those rows with an answer that can be used and a media time.

        Args:
            rows: rows of any runs in any order.
            method: who asks, for messages.

        Raises:
            ValidationError: a column is missing.
        """
        optional = [name for name in ("ok", "kind", "stream_id") if name in rows.columns]
        require(rows, method, "media_time", *optional)
        seconds = media_seconds(rows, method)
        told = answered(rows) & np.isfinite(seconds)
        results = are_results(rows)
        positions = np.flatnonzero(told if results is None else told & results)
        times = microseconds(seconds[positions])
        if "stream_id" in rows.columns:
            runs = run_numbers(rows["stream_id"])[0][positions]
        else:
            runs = np.zeros(len(positions), np.intp)
        order = np.lexsort((times, runs))  # stable, so that rows of one time stay as they are
        positions, runs, times = positions[order], runs[order], times[order]
        return cls(positions, runs, times)

    def begins(self) -> NDArray[np.bool_]:
        """Which rows are the first ones of their run; a new array."""
        return self.begins_among(np.arange(len(self.runs)))

    def begins_among(self, places: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which of these ascending places are the first ones of their run; a new array."""
        begins = np.ones(len(places), np.bool_)
        begins[1:] = self.runs[places[1:]] != self.runs[places[:-1]]
        return begins

    def stream_ids(self, rows: pd.DataFrame, places: NDArray[np.intp]) -> pd.Series[Any]:
        """The column ``stream_id`` of a table about the rows at these places of the order."""
        if "stream_id" not in rows.columns:
            return pd.Series([None] * len(places), dtype=TEXT)
        return rows["stream_id"].iloc[self.positions[places]].reset_index(drop=True)

    def samples(self, rows: pd.DataFrame, places: NDArray[np.intp]) -> pd.Series[Any]:
        """The column ``sample``, likewise."""
        return rows["sample"].iloc[self.positions[places]].reset_index(drop=True)

    def wall_clock(self, rows: pd.DataFrame, places: NDArray[np.intp]) -> pd.Series[Any]:
        """The column ``captured_at``, likewise, in UTC; missing where the rows do not say."""
        times: Any = None
        if list(rows.columns).count("captured_at") == 1:
            times = rows["captured_at"]
        elif rows.index.name == "captured_at":
            times = rows.index.to_series()
        if times is None:
            return pd.Series([None] * len(places), dtype=WALL_CLOCK)
        times = times.iloc[self.positions[places]].reset_index(drop=True)
        if str(times.dtype) == WALL_CLOCK:  # as a stream's own rows have it
            return cast("pd.Series[Any]", times)
        if pd.api.types.is_numeric_dtype(times.dtype):
            return pd.Series([None] * len(places), dtype=WALL_CLOCK)
        # Out of a file of texts, or in the zone of the place.
        texts = not pd.api.types.is_datetime64_any_dtype(times.dtype)
        options: Any = {"format": "ISO8601"} if texts else {}
        found: Any = pd.to_datetime(times, utc=True, errors="coerce", **options)
        return cast("pd.Series[Any]", found.astype(WALL_CLOCK))


def stretches(starts: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First row and number of rows of each stretch; ``starts`` says where one begins."""
    first = np.flatnonzero(starts)
    return first, np.diff(first, append=len(starts))


def microseconds(seconds: Any) -> NDArray[np.int64]:
    """Seconds as the whole microseconds that media time is counted in."""
    ticks: NDArray[np.int64] = np.rint(np.asarray(seconds, np.float64) * 1e6).astype(np.int64)
    return ticks


def duration_in(name: str, seconds: object) -> int:
    """A parameter in seconds as microseconds.

    Raises:
        ValidationError: it is no number >= 0.
    """
    number = isinstance(seconds, int | float | np.number) and not isinstance(seconds, bool)
    if not number or not 0 <= float(seconds) < 1e12:  # type: ignore[arg-type]
        raise ValidationError(f"{name}={seconds!r} is not valid: it must be seconds, x >= 0")
    return round(float(seconds) * 1e6)  # type: ignore[arg-type]
