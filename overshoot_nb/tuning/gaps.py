"""``Gaps``: moments at which a live stream leaves the embedded engine alone.

The engine answers one request at a time, so a question about the past could make a live sample
wait. It is asked where its answer is expected before the stream's next sample is due.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC, datetime

from overshoot_nb.running.run import Run
from overshoot_nb.types import taken_at

#: A stream that keeps the engine busy all the time gives way once in so many seconds.
PATIENCE_SECONDS = 2.0
POLL_SECONDS = 0.01
#: An answer is expected to take as long as the slowest of so many.
REMEMBERED = 5


class Gaps:
    """The gaps between the samples of one stream.

    Args:
        run: the stream.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._took: deque[float] = deque(maxlen=REMEMBERED)

    async def wait(self) -> None:
        """Wait for a gap that is long enough, for two seconds at most."""
        for _ in range(round(PATIENCE_SECONDS / POLL_SECONDS)):
            if self._fits():
                return
            await asyncio.sleep(POLL_SECONDS)

    def took(self, seconds: float) -> None:
        """An answer took so long."""
        self._took.append(seconds)

    def _fits(self) -> bool:
        run = self._run
        if not run.is_active or not run.settings.realtime:
            return True
        log = run.journal.log
        newest = range(max(len(log) - run.settings.max_in_flight - 1, 0), len(log))
        if any(log[index].fate == "waiting" for index in newest):
            return False
        taken = taken_at(run.journal.table[-1]) if len(run.journal.table) else None
        if taken is None:
            return True
        step = run.settings.step_seconds
        due = step - (datetime.now(UTC) - taken).total_seconds()
        # Long overdue: it is paused, or its source gives nothing.
        return due < -step or due >= max(self._took, default=0.0)
