"""The engine: one worker thread, a short queue before it, and the models' state.

Requests may come from any number of event loops and threads at once; nothing here belongs to a
loop.
"""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from overshoot_nb import config
from overshoot_nb.types import ModelStatus

from .answering import MODELS, Answer, Question, answer
from .pictures import Attachment, decode
from .reading import Page, Reader
from .refusals import ChatRefusal

if TYPE_CHECKING:
    from .pictures import Picture

__all__ = ["MAX_WAITING", "ClientGone", "Engine", "missing_packages"]

#: Requests that may wait for the worker; the next one is answered 429.
MAX_WAITING = 32
#: What a client is told to wait when the queue is full: about one inference.
RETRY_AFTER_SECONDS = 1

#: Modules that a skill needs, and every model needs.
_NEEDS = {"text": ("rapidocr", "onnxruntime", "cv2", "PIL"), "": ("cv2", "PIL")}

T = TypeVar("T")


class ClientGone(Exception):
    """The client closed its connection before it had its answer."""


def missing_packages(modules: Sequence[str]) -> list[str]:
    """Those of the modules that are not installed."""
    return [name for name in modules if not _installed(name)]


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:
        # It is there, half imported by another thread: cv2 has no spec for a while.
        return True


class Engine:
    """Answers questions about pictures, one at a time, off the event loop.

    Args:
        max_waiting: requests that may wait for the one being answered.
    """

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="overshoot-local")
        self._lock = threading.Lock()
        self._pending = 0
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
            return "saturated" if self._pending > self._max_waiting else "ready"

    @property
    def pending(self) -> int:
        """Requests being answered or waiting."""
        with self._lock:
            return self._pending

    # ---- asking it ---------------------------------------------------------------------------

    async def ask(
        self,
        parse: Callable[[], tuple[Question, Sequence[Attachment]]],
        gone: Callable[[], Awaitable[None]] | None = None,
    ) -> Answer:
        """Parse and answer a request in the worker thread.

        Cancelling ends this call at once: a waiting request leaves the queue, and the answer of
        one that is being worked on is dropped.

        Args:
            parse: makes the question from the request; it may be slow, so the worker calls it.
            gone: returns when the client has gone, and the answer is not needed any more.

        Raises:
            Refusal: the request is refused, or too many are waiting (429).
            ClientGone: the client went away first.
        """
        return await self._run(lambda: self._answer(*parse()), gone)

    def preload(self) -> None:
        """Start to load the models now instead of at the first question about text."""
        self._submit(self._load)

    async def _run(self, job: Callable[[], T], gone: Callable[[], Awaitable[None]] | None) -> T:
        waiting = asyncio.wrap_future(self._submit(job))
        both: set[asyncio.Future[Any]] = {waiting}
        if gone is not None:
            both.add(asyncio.ensure_future(gone()))
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise ClientGone
            if waiting.cancelled():  # by `close`: the caller was not cancelled, so it is told
                raise _closed()
            return waiting.result()
        finally:
            for future in both:
                future.cancel()

    def _submit(self, job: Callable[[], T]) -> Future[T]:
        with self._lock:
            if self._closed:
                raise _closed()
            if self._pending > self._max_waiting:
                raise ChatRefusal(
                    429,
                    f"the local engine answers one request at a time, and {self._pending} are "
                    "before this one",
                    "engine_busy",
                    "rate_limit_error",
                    {"retry-after": str(RETRY_AFTER_SECONDS)},
                )
            self._pending += 1
            future = self._worker.submit(job)
        future.add_done_callback(self._finished)
        return future

    def _finished(self, _future: Future[Any]) -> None:
        with self._lock:
            self._pending -= 1

    # ---- in the worker thread ----------------------------------------------------------------

    def _answer(self, question: Question, attachments: Sequence[Attachment]) -> Answer:
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
        """Refuse new requests, cancel waiting ones, wait for the one being answered."""
        with self._lock:
            self._closed = True
        self._worker.shutdown(wait=True, cancel_futures=True)
        if self._reader is not None:
            self._reader.close()
            self._reader = None


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
