"""``SampleLog``: when every sample was and what became of it, in a few bytes each."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, get_args

Fate = Literal["waiting", "result", "error", "drop"]
#: Code of a fate: its place here.
FATES: tuple[Fate, ...] = get_args(Fate)


class SampleRecord(NamedTuple):
    """One sample.

    Attributes:
        media_time: seconds since the first frame.
        fate: "waiting" until it has a row or was dropped.
        row: its row in the table, or None.
        reason: why it was dropped, or None.
    """

    media_time: float
    fate: Fate
    row: int | None
    reason: str | None


class SampleLog:
    """The samples of a stream by index, of all its runs. Any thread may add while others read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times = array("d")
        self._fates = bytearray()
        self._rows = array("q")
        self._reasons: dict[int, str] = {}
        self._changed = 0  # the first index that changed since it was last asked for

    def __len__(self) -> int:
        return len(self._fates)

    def sampled(self, index: int, media_time: float) -> None:
        """A sample was taken, or its moment missed; indices grow by one."""
        with self._lock:
            if index != len(self._fates):
                raise ValueError(f"sample {index} after sample {len(self._fates) - 1}")
            self._times.append(media_time)
            self._fates.append(0)
            self._rows.append(-1)
            self._changed = min(self._changed, index)

    def restored(
        self,
        times: Sequence[float],
        rows: Mapping[int, tuple[int, bool]],
        reasons: Mapping[int, str],
    ) -> None:
        """Fill an empty log at once.

        Args:
            times: media times of all samples.
            rows: the row of each sample that has one, and whether it is ok.
            reasons: why each was dropped that was.
        """
        fates = bytearray(len(times))
        numbers = array("q", [-1]) * len(times)
        result, error, drop = (FATES.index(fate) for fate in ("result", "error", "drop"))
        for index in reasons:
            fates[index] = drop
        for index, (row, ok) in rows.items():
            fates[index], numbers[index] = result if ok else error, row
        with self._lock:
            self._times, self._fates, self._rows = array("d", times), fates, numbers
            self._reasons = dict(reasons)
            self._changed = 0

    def answered(self, index: int, row: int, *, ok: bool) -> None:
        """It has a row."""
        self._settle(index, "result" if ok else "error", row)

    def dropped(self, index: int, reason: str) -> None:
        """It will have none."""
        with self._lock:
            self._reasons[index] = reason
        self._settle(index, "drop", -1)

    def _settle(self, index: int, fate: Fate, row: int) -> None:
        with self._lock:
            self._fates[index] = FATES.index(fate)
            self._rows[index] = row
            self._changed = min(self._changed, index)

    def __getitem__(self, index: int) -> SampleRecord:
        """A sample.

        Raises:
            IndexError: there is none of that index, or not yet.
        """
        with self._lock:
            if not 0 <= index < len(self._fates):
                raise IndexError(f"no sample {index}: there are {len(self._fates)}")
            row = self._rows[index]
            return SampleRecord(
                self._times[index],
                FATES[self._fates[index]],
                row if row >= 0 else None,
                self._reasons.get(index),
            )

    def read(self, first: int = 0) -> tuple[bytes, bytes]:
        """Media times (float64, native order) and codes of fates (uint8) from ``first`` on."""
        with self._lock:
            return self._times[first:].tobytes(), bytes(self._fates[first:])

    def take_changed(self) -> int | None:
        """The first index that changed since this was last asked, or None; for one reader."""
        with self._lock:
            first, self._changed = self._changed, len(self._fates)
            return first if first < len(self._fates) else None
