"""``Worker``: the one thread of a session that reads its source."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

from overshoot_nb.errors import SourceError
from overshoot_nb.runtime.event_loop import start_thread

#: How long the thread may take to end. A native read can only be left, not broken off.
WORKER_SECONDS = 3.5


class Worker:
    """Opens something in a thread, works with it to the end there, and closes it.

    Args:
        name: of the thread.
        reading: entered in the thread; entering opens the source.
        work: what is then done; blocks.
        finish: called last of all in the thread, whatever happened.

    Attributes:
        error: what opening or working raised, or None.
        deserted: the thread did not end in time: what it still says is to be passed over.
    """

    def __init__(
        self,
        name: str,
        reading: AbstractContextManager[object],
        work: Callable[[], None],
        finish: Callable[[], object] | None = None,
    ) -> None:
        self.error: Exception | None = None
        self.deserted = False
        self._name = name
        self._reading = reading
        self._work = work
        self._finish = finish
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._done = asyncio.Event()
        self._started = False

    async def start(self) -> None:
        """Start the thread and wait until the source is open.

        Raises:
            Exception: what opening it raised.
        """
        self._started = True
        start_thread(self._run, self._name)
        await self._opened

    def _run(self) -> None:
        try:
            with self._reading:
                self._tell_loop(self._set_opened, None)
                self._work()
        except BaseException as error:
            self.error = _of_a_source(error)
            self._tell_loop(self._set_opened, self.error)
        finally:
            if self._finish is not None:
                self._finish()
            self._tell_loop(self._done.set)

    def _tell_loop(self, function: Callable[..., object], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # closed: the interpreter exits, nobody listens
            self._loop.call_soon_threadsafe(function, *arguments)

    def _set_opened(self, error: Exception | None) -> None:
        if self._opened.done():
            return
        if error is None:
            self._opened.set_result(None)
        else:
            self._opened.set_exception(error)

    async def wait(self) -> None:
        """Wait for the end of the work.

        Raises:
            Exception: what ended it.
        """
        await self._done.wait()
        if self.error is not None:
            raise self.error

    async def join(self) -> bool:
        """Wait for the thread to end, but not for ever; False when it was left behind."""
        if not self._started:
            return True
        try:
            await asyncio.wait_for(self._done.wait(), WORKER_SECONDS)
        except BaseException as error:
            self.deserted = True
            if not isinstance(error, TimeoutError):
                raise
            return False
        return True


def _of_a_source(error: BaseException) -> Exception:
    """What ends a stream. Raised in a task, a SystemExit ends the loop of all streams."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    ended = SourceError(f"reading the source raised {said}", said)
    ended.__cause__ = error
    return ended
