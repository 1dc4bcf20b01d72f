"""A widget without a browser: what it sends is kept, and the test speaks for the page."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from overshoot_nb.stream import Stream
from overshoot_nb.widget import StreamWidget

Message = dict[str, Any]


class Page:
    """One page that shows a stream: says hello, acknowledges, asks, and remembers what came.

    Args:
        acks: whether it acknowledges pictures.
    """

    def __init__(self, stream: Stream, *, name: str = "page", acks: bool = True) -> None:
        self.name, self.acks = name, acks
        self.widget: StreamWidget = stream.widget
        self.messages: list[tuple[Message, list[bytes]]] = []
        self.threads: set[str] = set()
        self._request = 0
        self._changed = threading.Condition()
        self._before = self.widget.send
        self.widget.send = self._sent  # type: ignore[method-assign]

    def _sent(self, content: Message, buffers: list[bytes]) -> None:
        with self._changed:
            self.messages.append((content, buffers))
            self.threads.add(threading.current_thread().name)
            self._changed.notify_all()
        if self._before.__self__ is not self.widget:  # another page of the same widget
            self._before(content, buffers)
        if self.acks and content["kind"] == "picture":
            self.say("ack", seq=content["seq"])

    def say(self, kind: str, **fields: Any) -> None:
        """Send a message to the kernel."""
        self.widget._receive(self.widget, {"kind": kind, "page": self.name, **fields}, [])

    def hello(self, *, visible: bool = True) -> None:
        self.say("hello", visible=visible)

    def of(self, kind: str) -> list[Message]:
        """The messages of a kind so far."""
        with self._changed:
            return [content for content, _ in self.messages if content["kind"] == kind]

    def buffers_of(self, kind: str) -> list[list[bytes]]:
        with self._changed:
            return [buffers for content, buffers in self.messages if content["kind"] == kind]

    async def until(
        self, kind: str, fits: Callable[[Message], bool] = lambda m: True, seconds: float = 60
    ) -> Message:
        """The first message of a kind that fits."""
        deadline = time.monotonic() + seconds
        while True:
            for message in self.of(kind):
                if fits(message):
                    return message
            assert time.monotonic() < deadline, f"no such {kind!r} in {self.kinds()}"
            await asyncio.sleep(0.02)

    async def ask(self, kind: str, **fields: Any) -> Message:
        """Make a request; returns what answers it, done or refused."""
        self._request += 1
        number = self._request
        self.say(kind, request=number, **fields)
        deadline = time.monotonic() + 60
        while True:
            for answer in (*self.of("done"), *self.of("refused")):
                if answer["request"] == number and answer["page"] == self.name:
                    return answer
            assert time.monotonic() < deadline, f"request {number} was not answered"
            await asyncio.sleep(0.02)

    def kinds(self) -> dict[str, int]:
        """How many messages of each kind came."""
        with self._changed:
            kinds = [content["kind"] for content, _ in self.messages]
        return {kind: kinds.count(kind) for kind in kinds}

    def forget(self) -> None:
        with self._changed:
            self.messages.clear()


@pytest.fixture
def page_of() -> Callable[..., Page]:
    return Page
