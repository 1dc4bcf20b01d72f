"""``Unsealed``: the rows of a recording that are still in memory, and which of them are staged."""

from __future__ import annotations

from dataclasses import replace

from overshoot_nb.types import StreamInferenceResult

from .arrow_rows import Row, in_groups
from .format import GROUP_ROWS

#: A sample that waits for its answer is written only now: most are answered sooner, and would be
#: written twice.
WAITING_SECONDS = 1.0


class Unsealed:
    """Rows by what is still to be done about them. One thread at a time."""

    def __init__(self) -> None:
        self._settled: list[Row] = []
        self._staged = 0  # of these, from the first on
        self._waiting: dict[int, tuple[Row, float]] = {}  # with the time at which it came
        self._staged_waiting: set[int] = set()
        self._outcomes = 0
        #: Bytes of the settled rows.
        self.nbytes = 0
        #: Samples that were settled before anything was noted: what is noted of them is known.
        self.past: set[int] = set()

    def begin(self, rows: list[Row]) -> None:
        """The last of the past rows, which are not sealed."""
        self._outcomes = len(self.past)
        self._settled = rows
        self.nbytes = sum(row.nbytes for row in rows)

    @property
    def samples(self) -> int:
        """Samples in the file once all is written that was taken to be: each counts once.

        One that waited is in it twice for a while, with its outcome and without.
        """
        return self._outcomes + len(self._staged_waiting)

    @property
    def full(self) -> bool:
        """Whether there are as many settled rows as a row group may hold."""
        return len(self._settled) >= GROUP_ROWS

    # ---- what happens ----

    def wait(self, row: Row, now: float) -> None:
        """A sample was taken."""
        if row.index not in self.past:
            self._waiting[row.index] = row, now

    def settle(self, row: Row) -> None:
        """A row that will not change any more."""
        later = row.kind == "later"
        if not later:
            self._of(row.index)
        if later or row.index not in self.past:
            self._outcomes += not later
            self._settled.append(row)
            self.nbytes += row.nbytes

    def drop(self, index: int, reason: str) -> None:
        """A sample will not be answered."""
        if (row := self._of(index)) is not None:
            self.settle(replace(row, kind="drop", reason=reason))

    def answer(self, result: StreamInferenceResult) -> None:
        """A sample has its row."""
        row = self._of(result.sample)
        if row is None:  # one of the past, or taken by a server that said nothing of it
            row = Row("result", result.sample, result.media_time, pictures=False)
        self.settle(replace(row, kind="result", result=result))

    def _of(self, index: int) -> Row | None:
        self._staged_waiting.discard(index)
        row, _ = self._waiting.pop(index, (None, 0.0))
        return row

    # ---- what is written ----

    def take_groups(self) -> list[list[Row]]:
        """Settled rows to seal, in groups; the last group stays where there are others."""
        groups = list(in_groups(self._settled))
        self._settled = groups.pop() if len(groups) > 1 else []
        self.nbytes = sum(row.nbytes for row in self._settled)
        return groups

    def take_unstaged(self, now: float, *, again: bool) -> list[Row]:
        """Rows that are to be staged: those that are not yet, or (``again``) all."""
        if again:
            self._staged = 0
            self._staged_waiting.clear()
        waiting = [
            row
            for index, (row, since) in self._waiting.items()
            if index not in self._staged_waiting and now - since >= WAITING_SECONDS
        ]
        new = [*self._settled[self._staged :], *waiting]
        self._staged = len(self._settled)
        self._staged_waiting.update(row.index for row in waiting)
        return new

    def take_all(self) -> list[Row]:
        """All rows, those without an outcome last."""
        rows = [*self._settled, *(row for row, _ in self._waiting.values())]
        self._staged_waiting = set(self._waiting)
        self._settled, self._waiting, self.nbytes = [], {}, 0
        return rows
