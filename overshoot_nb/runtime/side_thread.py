"""``SideThread``: a thread that lives while there is something to do beside a stream."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable

from .event_loop import start_thread

logger = logging.getLogger("overshoot_nb")

#: So long an idle thread waits for more to do: starting one for each result would cost more.
LINGER_SECONDS = 0.5

_inside: contextvars.ContextVar[bool] = contextvars.ContextVar("overshoot_side", default=False)


def in_side_thread() -> bool:
    """Whether this runs in such a thread, or was started there; it must not wait for its end."""
    return _inside.get()


class SideThread:
    """Calls a function as often as it is woken, on a thread that ends when nothing is left to do.

    Nothing that happens meanwhile is lost: being woken during a call means another call.

    Args:
        step: does all that there is to do; the seconds after which it may be called again.
        name: of the thread.
    """

    def __init__(self, step: Callable[[], float], name: str) -> None:
        self._step = step
        self._name = name
        # What a notebook shows from the thread belongs to the cell that runs now.
        self._context = contextvars.copy_context()
        self._changed = threading.Condition()
        self._woken = False
        self._running = False
        self._busy = False
        self._closed = False

    def wake(self) -> None:
        """There is something to do. From any thread, at once."""
        with self._changed:
            if self._closed:
                return
            self._woken = True
            if self._running:
                self._changed.notify_all()
                return
            self._running = True
        self._context.copy().run(start_thread, self._work, self._name)

    @property
    def idle(self) -> bool:
        """Whether everything was done."""
        with self._changed:
            return not self._woken and not self._busy

    def close(self) -> None:
        """Call it no more; a call that is under way goes on. Idempotent."""
        with self._changed:
            self._closed = True
            self._woken = False
            self._changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Wait within a step; less where it is closed meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, seconds)

    def _work(self) -> None:
        _inside.set(True)
        again = 0.0
        while self._has_more(again):
            try:
                again = self._step()
            except BaseException:  # nobody else would begin this thread again
                again = LINGER_SECONDS
                logger.exception("%s failed in an unforeseen way", self._name)

    def _has_more(self, again: float) -> bool:
        """Wait for something to do; False where the thread is to end."""
        with self._changed:
            self._busy = False
            self._changed.wait_for(lambda: self._closed, again)
            self._changed.wait_for(lambda: self._woken or self._closed, LINGER_SECONDS)
            self._busy = self._woken and not self._closed
            self._woken = False
            self._running = self._busy
            return self._busy
