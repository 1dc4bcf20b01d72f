"""What one question may cost: the seconds it has, and whether anybody still waits for its answer.

Whatever takes long in the worker thread asks `go_on` between its pieces: one picture, one packet,
one text, one value.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from overshoot_nb import config

from .refusals import ChatRefusal

_current: ContextVar[Work | None] = ContextVar("work", default=None)


class Abandoned(Exception):
    """Nobody waits for the answer any more."""


class Work:
    """One question's share of the worker thread.

    Args:
        seconds: how long it may be worked on; None is `config.ENGINE_SECONDS`.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = config.ENGINE_SECONDS if seconds is None else seconds
        self._until = float("inf")
        self._abandoned = False

    def abandon(self) -> None:
        """Nobody wants the answer: what is being done ends soon. From any thread."""
        self._abandoned = True

    @contextmanager
    def begun(self) -> Iterator[None]:
        """What is done within is this work, on its time."""
        self._until = time.monotonic() + self._seconds
        before = _current.set(self)
        try:
            yield
        finally:
            _current.reset(before)

    def go_on(self) -> None:
        """Nothing, where the work may go on.

        Raises:
            Abandoned: nobody waits for it.
            ChatRefusal: 413, its time is over.
        """
        if self._abandoned:
            raise Abandoned
        if time.monotonic() > self._until:
            raise ChatRefusal(
                413,
                f"the request takes the local engine longer than {self._seconds:g} s; send fewer "
                "or smaller pictures, a shorter video, or a smaller schema",
                "request_too_large",
            )


def go_on() -> None:
    """`Work.go_on` of what this thread is working on; nothing where that has no bounds."""
    work = _current.get()
    if work is not None:
        work.go_on()
