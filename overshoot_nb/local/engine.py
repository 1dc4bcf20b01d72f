"""The engine: one worker thread, two short queues before it, and the models' state.

Requests and streams wait in a lane of their own, and the worker takes from both in turn, so that
neither keeps the other from being answered. A stream asks one thing at a time, which makes its
lane fair among streams.

Requests may come from any number of event loops and threads at once; nothing here belongs to a
loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from overshoot_nb import config
from overshoot_nb.runtime.event_loop import start_thread
from overshoot_nb.support.installed import missing_packages
from overshoot_nb.types import ModelStatus

from . import schema
from .answering import MODELS, Answer, Question, answer
from .pictures import Attachment, decode
from .reading import Page, Reader
from .refusals import ChatRefusal
from .work import Work

if TYPE_CHECKING:
    from .pictures import Picture

Lane = Literal["requests", "streams"]

#: Requests that may wait for the worker; the next one is answered 429.
MAX_WAITING = 32
#: What a client is told to wait when the queue is full: about one inference.
RETRY_AFTER_SECONDS = 1
#: What is being answered when the engine is closed may take so long to stop.
CLOSE_SECONDS = 2.0

#: Modules that a skill needs, and every model needs.
_NEEDS = {"text": ("rapidocr", "onnxruntime", "cv2", "PIL"), "": ("cv2", "PIL")}

T = TypeVar("T")


class ClientGone(Exception):
    """The client closed its connection before it had its answer."""


class _Job(NamedTuple):
    """What waits for the worker."""

    future: Future[Any]
    do: Callable[[], Any]


class Engine:
    """Answers questions about pictures, one at a time, off the event loop.

    Args:
        max_waiting: requests that may wait for the one being answered. Streams are not counted.
        max_seconds: how long one question may be worked on; None is `config.ENGINE_SECONDS`.
    """

    def __init__(self, max_waiting: int = MAX_WAITING, max_seconds: float | None = None) -> None:
        self._max_waiting = max_waiting
        self._max_seconds = max_seconds
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._lanes: dict[Lane, deque[_Job]] = {"requests": deque(), "streams": deque()}
        self._pending: dict[Lane, int] = dict.fromkeys(self._lanes, 0)
        self._last: Lane = "streams"
        self._running: Future[Any] | None = None
        self._closers: dict[Callable[[], None], None] = {}
        self._reader: Reader | None = None
        self._loading = False
        self._closed = False

    # ---- what it has -------------------------------------------------------------------------

    def status(self, model: str) -> ModelStatus:
        """Whether a model can be asked: ready, loading, saturated or unavailable."""
        if missing_packages(_NEEDS["text" if "text" in MODELS[model] else ""]):
            return "unavailable"
        if self._loading and "text" in MODELS[model]:
            return "loading"
        with self._lock:
            full = self._pending["requests"] > self._max_waiting
            return "saturated" if full else "ready"

    @property
    def pending(self) -> int:
        """Questions being answered or waiting, of requests and streams."""
        with self._lock:
            return sum(self._pending.values())

    # ---- asking it ---------------------------------------------------------------------------

    async def ask(
        self,
        parse: Callable[[], tuple[Question, Sequence[Attachment | Picture]]],
        gone: Callable[[], Awaitable[None]] | None = None,
        *,
        lane: Lane = "requests",
    ) -> Answer:
        """Parse and answer a request in the worker thread.

        Cancelling ends this call at once: a waiting request leaves the queue, with all that it
        holds, and one that is being worked on is given up at its next picture, packet or text.

        Args:
            parse: makes the question from the request when its turn has come; it may be slow, so
                the worker calls it.
            gone: returns when the client has gone, and the answer is not needed any more.
            lane: where it waits.

        Raises:
            Refusal: the request is refused, too many are waiting (429), or it takes too long.
            ClientGone: the client went away first.
        """
        work = Work(self._max_seconds)

        def answered() -> Answer:
            with work.begun():
                work.go_on()
                return self._answer(*parse())

        try:
            return await self._run(answered, gone, lane)
        finally:
            work.abandon()

    def preload(self) -> None:
        """Start to load now what the first question with text or a schema would wait for."""
        if self._reader is None:
            self._submit(schema.load, "streams")
            self._submit(self._load, "streams")

    def at_close(self, callback: Callable[[], None]) -> None:
        """Have something closed before the engine is, once however often it is said."""
        with self._lock:
            self._closers[callback] = None

    async def _run(
        self, job: Callable[[], T], gone: Callable[[], Awaitable[None]] | None, lane: Lane
    ) -> T:
        waiting = asyncio.wrap_future(self._submit(job, lane))
        both: set[asyncio.Future[Any]] = {waiting}
        if gone is not None:
            both.add(asyncio.ensure_future(gone()))
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise ClientGone
            return waiting.result()
        finally:
            for future in both:
                future.cancel()

    def _submit(self, job: Callable[[], T], lane: Lane) -> Future[T]:
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise _closed()
            pending = self._pending[lane]
            if lane == "requests" and pending > self._max_waiting:
                raise ChatRefusal(
                    429,
                    f"the local engine answers one request at a time, and {pending} are "
                    "before this one",
                    "engine_busy",
                    "rate_limit_error",
                    {"retry-after": str(RETRY_AFTER_SECONDS)},
                )
            self._pending[lane] += 1
            self._lanes[lane].append(_Job(future, job))
            self._changed.notify()
            if self._thread is None:
                self._thread = start_thread(self._work, "overshoot-local")
        future.add_done_callback(partial(self._finished, lane))
        return future

    def _finished(self, lane: Lane, future: Future[Any]) -> None:
        with self._lock:
            self._pending[lane] -= 1
            if future.cancelled():
                # It may hold twenty megabytes, and what is worked on may take a while.
                left = [job for job in self._lanes[lane] if job.future is not future]
                self._lanes[lane].clear()
                self._lanes[lane].extend(left)

    # ---- in the worker thread ----------------------------------------------------------------

    def _work(self) -> None:
        """Do one job after the other, until the engine is closed."""
        while (found := self._next_job()) is not None:
            _do(*found)
            del found  # with its pictures, which nobody needs while there is nothing to do
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _next_job(self) -> _Job | None:
        """The oldest job of the lane whose turn it is, when there is one; None at the end."""
        with self._lock:
            self._running = None
            while True:
                other: Lane = "requests" if self._last == "streams" else "streams"
                lane = other if self._lanes[other] else self._last
                if self._closed:
                    return None
                if not self._lanes[lane]:
                    self._changed.wait()
                    continue
                job = self._lanes[lane].popleft()
                if job.future.set_running_or_notify_cancel():
                    self._last, self._running = lane, job.future
                    return job

    def _answer(self, question: Question, attachments: Sequence[Attachment | Picture]) -> Answer:
        needs = _NEEDS["text" if question.model == "local/read" else ""]
        if missing := missing_packages(needs):
            raise _unavailable(question.model, missing)
        return answer(question, decode(attachments), self._read)

    def _read(self, picture: Picture) -> Page:
        return self._load().read(picture)

    def _load(self) -> Reader:
        if self._reader is None:
            if missing := missing_packages(_NEEDS["text"]):
                raise _unavailable("reading text", missing)
            self._loading = True
            try:
                self._reader = Reader()
            except ImportError as error:
                raise _unavailable("reading text", [error.name or "rapidocr"]) from error
            finally:
                self._loading = False
        return self._reader

    def close(self) -> None:
        """Refuse new requests and those that wait, end the thread. Idempotent; 2 s at most.

        What was named to `at_close` is closed before anything of streams is refused. An answer
        that is being made is given up as soon as that can be.
        """
        began = time.monotonic()
        with self._lock:
            self._closed = True
            closers, self._closers = list(self._closers), {}
            thread, running = self._thread, self._running
            refused = [job.future for job in self._lanes["requests"]]
            if running is not None and self._last == "requests":
                refused.append(running)
            self._changed.notify()
        _refuse(refused)
        for close in closers:
            close()
        with self._lock:
            left = [job.future for lane in self._lanes.values() for job in lane]
            for lane in self._lanes.values():
                lane.clear()
        _refuse(left if running is None else [*left, running])
        reader = self._reader
        if reader is not None:
            reader.interrupt()
        if thread is not None:
            thread.join(max(0.1, began + CLOSE_SECONDS - time.monotonic()))


def _refuse(futures: Sequence[Future[Any]]) -> None:
    for future in futures:
        with contextlib.suppress(InvalidStateError):  # answered or cancelled meanwhile
            future.set_exception(_closed())


def _do(future: Future[Any], job: Callable[[], Any]) -> None:
    # Whoever waited may have been told meanwhile that the engine is closed.
    with contextlib.suppress(InvalidStateError):
        try:
            result = job()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)


def _closed() -> ChatRefusal:
    return ChatRefusal(503, "the local engine is closed", "engine_closed", "server_error")


def _unavailable(what: str, missing: Sequence[str]) -> ChatRefusal:
    return ChatRefusal(
        503,
        f"{what} needs packages that are not installed ({', '.join(missing)}): "
        f"{config.LOCAL_INSTALL}",
        "model_unavailable",
        "server_error",
    )
