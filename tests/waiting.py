"""Waiting for the very thing that a test is about, however long a busy machine takes to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

#: What has not come to pass by then never will.
LIMIT_SECONDS = 60.0


def eventually(condition: Callable[[], object]) -> bool:
    """Whether something comes true, looked at on this thread."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


async def until(condition: Callable[[], object]) -> None:
    """Waits on the running loop until something comes true; the test fails where it does not."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.01)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time passes at once where it would wait, and stands still for its threads."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._in_threads = 0
        select = self._selector.select

        def pass_time(timeout: float | None) -> object:
            if self._in_threads and timeout != 0:
                return select(None)  # a thread that ends wakes it
            self._now += timeout or 0
            return select(0)

        self._selector.select = pass_time

    def time(self) -> float:
        return self._now

    def run_in_executor(self, *args: Any) -> asyncio.Future[Any]:
        future = super().run_in_executor(*args)
        self._in_threads += 1
        future.add_done_callback(self._out_of_thread)
        return future

    def _out_of_thread(self, _: object) -> None:
        self._in_threads -= 1
