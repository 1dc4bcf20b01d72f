"""One stream's results on their way to those who listen, each at a speed of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

import orjson

from .refusals import FeedOver

if TYPE_CHECKING:
    from .answering import Answer
    from .stream_request import StreamRequest

#: What a new listener gets at first: the results of so many seconds, so many and so many bytes.
KEPT_SECONDS = 60.0
KEPT_RESULTS = 256
KEPT_BYTES = 4 * 1024 * 1024
#: What may wait for a listener that does not keep up.
WAITING_RESULTS = 2 * KEPT_RESULTS
WAITING_BYTES = 2 * KEPT_BYTES
#: Listeners of one stream.
MAX_LISTENERS = 32

#: Close codes: the stream ended; try again later.
GOING_AWAY = 1001
TRY_AGAIN_LATER = 1013


def result_message(
    stream_id: str,
    request: StreamRequest,
    prompt: str,
    answer: Answer | None = None,
    error: str | None = None,
    *,
    result_id: str = "",
    latency_ms: float = 0.0,
    total_ms: float = 0.0,
) -> bytes:
    """A result in JSON.

    Args:
        stream_id, request: the stream's.
        prompt: what was asked.
        answer: None where there is none.
        error: why not; None where there is one.
        result_id: empty makes one.
        latency_ms, total_ms: milliseconds of the inference, and since its newest frame came.
    """
    return orjson.dumps(
        {
            "id": result_id or uuid4().hex,
            "stream_id": stream_id,
            "mode": request.mode,
            "model_name": request.model,
            "prompt": prompt,
            "result": "" if answer is None else answer.content,
            "inference_latency_ms": round(latency_ms, 2),
            "total_latency_ms": round(total_ms, 2),
            "ok": error is None,
            "error": error,
            "finish_reason": None if answer is None else answer.finish_reason,
            "created_at": datetime.now(UTC).isoformat(),
        }
    )


class _Result(NamedTuple):
    """A message in JSON.

    Attributes:
        size: bytes of it in UTF-8.
    """

    text: str
    size: int
    at: float


class Listener:
    """What waits for one listener. It is read on the loop that it was made on."""

    def __init__(self, feed: ResultFeed, backlog: list[_Result]) -> None:
        self._feed = feed
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._waiting = deque(backlog)
        self._bytes = sum(result.size for result in backlog)
        self._over: FeedOver | None = None
        self._overrun = asyncio.Event()

    async def next(self) -> str:
        """The next result, each once, in order.

        Raises:
            FeedOver: the stream has ended and everything was given.
        """
        while True:
            self._changed.clear()
            with self._feed.lock:
                if self._waiting:
                    result = self._waiting.popleft()
                    self._bytes -= result.size
                    return result.text
                over = self._over
            if over is not None:
                raise over
            await self._changed.wait()

    async def wait_overrun(self) -> None:
        """Wait until it did not keep up; nothing comes after that.

        Raises:
            FeedOver: always.
        """
        await self._overrun.wait()
        assert self._over is not None
        raise self._over

    def close(self) -> None:
        """Stop listening. Idempotent."""
        self._feed.forget(self)

    # ---- by the feed, with its lock, from any thread -------------------------------------------

    def put(self, result: _Result) -> bool:
        """Whether it is in time; one that is not gets no more."""
        full = len(self._waiting) >= WAITING_RESULTS or (
            self._waiting and self._bytes + result.size > WAITING_BYTES
        )
        if full:
            self._waiting.clear()
            self._over = FeedOver(TRY_AGAIN_LATER, "too slow")
            self._wake(self._overrun)
            return False
        self._waiting.append(result)
        self._bytes += result.size
        return self._wake(self._changed)

    def end(self, over: FeedOver) -> None:
        self._over = over
        self._wake(self._changed)

    def _wake(self, event: asyncio.Event) -> bool:
        try:
            self._loop.call_soon_threadsafe(event.set)
        except RuntimeError:  # its loop is closed, and the listener gone with it
            return False
        return True


class ResultFeed:
    """Keeps the newest results and passes every new one on. Safe from any thread.

    A listener first gets what is kept. Nothing that a listener does or leaves undone holds up
    `publish`: each has a queue of its own, bounded in results and bytes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.lock = threading.Lock()
        self._clock = clock
        self._kept: deque[_Result] = deque()
        self._bytes = 0
        self._listeners: set[Listener] = set()
        self._over: FeedOver | None = None

    def publish(self, message: bytes) -> None:
        """Pass on a result, in JSON; nothing once the feed has ended."""
        result = _Result(message.decode(), len(message), self._clock())
        with self.lock:
            if self._over is not None:
                return
            self._kept.append(result)
            self._bytes += result.size
            self._forget_old()
            self._listeners = {each for each in self._listeners if each.put(result)}

    def end(self, reason: str) -> None:
        """Tell every listener, after what waits for it, that the stream ended. Idempotent."""
        with self.lock:
            if self._over is not None:
                return
            self._over = FeedOver(GOING_AWAY, reason)
            for listener in self._listeners:
                listener.end(self._over)
            self._listeners.clear()
            self._kept.clear()
            self._bytes = 0

    def listen(self) -> Listener:
        """A listener on the running loop; it has what is kept, and gets what comes.

        Raises:
            FeedOver: the stream has ended, or too many listen already.
        """
        with self.lock:
            if self._over is not None:
                raise self._over
            if len(self._listeners) >= MAX_LISTENERS:
                raise FeedOver(TRY_AGAIN_LATER, f"{MAX_LISTENERS} listen to this stream already")
            self._forget_old()
            listener = Listener(self, list(self._kept))
            self._listeners.add(listener)
            return listener

    @property
    def listened_to(self) -> bool:
        """Whether anybody listens."""
        with self.lock:
            return bool(self._listeners)

    def forget(self, listener: Listener) -> None:
        """Nothing more for this listener."""
        with self.lock:
            self._listeners.discard(listener)

    def _forget_old(self) -> None:
        oldest = self._clock() - KEPT_SECONDS
        while self._kept and (
            len(self._kept) > KEPT_RESULTS or self._bytes > KEPT_BYTES or self._kept[0].at < oldest
        ):
            self._bytes -= self._kept.popleft().size
