"""One background thread with one event loop for every stream, and the bridge to it.

A stream must go on while a notebook cell blocks the kernel, so it cannot live on the kernel's
own loop. Everything asynchronous in this package runs on this loop; callers await it from any
other loop (:meth:`Runtime.call`) or block on it from plain code (:meth:`Runtime.run`).
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextvars
import inspect
import logging
import os
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Generic, TypeVar

T = TypeVar("T")
logger = logging.getLogger("overshoot_nb")

#: A kernel that shuts down kills its process about 2.5 s after it was asked to.
EXIT_SECONDS = 1.0
#: How often a loop is woken that awaits something of the runtime's.
WAKE_SECONDS = 0.1


def start_thread(target: Callable[[], object], name: str) -> threading.Thread:
    """Start a daemon thread in a copy of the caller's context.

    The context matters in notebooks: without it a print from the thread lands in whatever cell
    happens to run. A daemon, because a non-daemon thread keeps atexit hooks from ever running.
    """
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(target,), name=name, daemon=True)
    thread.start()
    return thread


class Runtime:
    """The thread, its loop and what must be closed before the interpreter exits."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._lock = threading.Lock()
        self._exit_callbacks: dict[object, Callable[[], Coroutine[Any, Any, object]]] = {}
        self._fork_callbacks: dict[object, Callable[[], object]] = {}
        self._undoing: set[concurrent.futures.Future[object]] = set()
        self._of_parent: list[asyncio.AbstractEventLoop | None] = []

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop; the thread is started on first use (and anew in a forked child)."""
        with self._lock:
            if self._loop is None or self._pid != os.getpid() or self._loop.is_closed():
                self._start()
            assert self._loop is not None
            return self._loop

    def _start(self) -> None:
        ready = threading.Event()
        loop = asyncio.new_event_loop()

        def serve() -> None:
            asyncio.set_event_loop(loop)
            loop.call_soon(ready.set)
            try:
                while not self._serve(loop):
                    pass
            finally:
                _cancel_all(loop)
                loop.close()

        if self._pid != os.getpid():
            atexit.register(self.shutdown)
        self._loop, self._pid = loop, os.getpid()
        self._thread = start_thread(serve, "overshoot-runtime")
        ready.wait()

    @staticmethod
    def _serve(loop: asyncio.AbstractEventLoop) -> bool:
        """Run the loop until it is stopped; False where something else ended it."""
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt) as error:
            # asyncio lets these through. They end what raised them, not every stream.
            logger.error("%s on the loop of all streams, which goes on", type(error).__name__)
            return False
        return True

    def in_loop(self) -> bool:
        """True when called on the runtime's own thread."""
        return threading.current_thread() is self._thread

    def submit(self, coro: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start ``coro`` on the runtime's loop; cancelling the future cancels it."""
        return asyncio.run_coroutine_threadsafe(coro, self.loop)

    async def call(
        self,
        coro: Coroutine[Any, Any, T],
        *,
        undo: Callable[[T], Coroutine[Any, Any, object]] | None = None,
        finish: bool = False,
    ) -> T:
        """Await ``coro``, which runs on the runtime's loop, from any loop; cancelled along with it.

        A kernel cancels an interrupted cell from a signal handler, which its loop sees only when
        it wakes: it is woken now and then.

        Args:
            coro: what to await.
            undo: closes what ``coro`` made where the caller was cancelled before it had it.
            finish: ``coro`` goes on to its end when the caller is cancelled.
        """
        if self.in_loop():
            return await coro
        handover = _Handover(self, coro, undo)
        outcome: asyncio.Future[T] | None = None
        try:
            outcome = asyncio.wrap_future(handover.begin())
            while not outcome.done():
                await asyncio.wait([outcome], timeout=WAKE_SECONDS)
            return outcome.result()
        except BaseException:
            handover.refuse(finish=finish)
            if outcome is not None:
                # Nobody asks it for its error any more.
                outcome.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise

    def run(
        self,
        coro: Coroutine[Any, Any, T],
        timeout: float | None = None,
        *,
        undo: Callable[[T], Coroutine[Any, Any, object]] | None = None,
        finish: bool = False,
    ) -> T:
        """Block until ``coro`` is done, also where a loop is running (a notebook cell).

        An interrupt cancels it; ``undo`` and ``finish`` as in :meth:`call`.

        Raises:
            RuntimeError: called on the runtime's own thread, which would wait for itself.
            TimeoutError: not done within ``timeout`` seconds.
        """
        if self.in_loop():
            coro.close()
            raise RuntimeError(
                "a blocking call was made inside a coroutine callback, which would deadlock; "
                "await the asynchronous method instead"
            )
        handover = _Handover(self, coro, undo)
        try:
            return _waited_for(handover.begin(), timeout)
        except BaseException:
            handover.refuse(finish=finish)
            raise

    def _undo(self, coro: Coroutine[Any, Any, object]) -> None:
        """Carries out what nobody waits for."""
        undoing = self.submit(coro)
        self._undoing.add(undoing)
        undoing.add_done_callback(self._undone)

    def _undone(self, undoing: concurrent.futures.Future[object]) -> None:
        self._undoing.discard(undoing)
        if not undoing.cancelled() and (error := undoing.exception()) is not None:
            logger.warning("what was interrupted could not be undone: %s", error)

    def close_at_exit(
        self,
        owner: object,
        close: Callable[[], Coroutine[Any, Any, object]],
        forked: Callable[[], object] | None = None,
    ) -> None:
        """Await ``close()`` at interpreter exit unless :meth:`forget` comes first.

        ``forked()`` is called in a child of ``os.fork()``, which has no thread of it.
        """
        self._exit_callbacks[owner] = close
        if forked is not None:
            self._fork_callbacks[owner] = forked

    def forget(self, owner: object) -> None:
        """``owner`` has closed by itself."""
        self._exit_callbacks.pop(owner, None)
        self._fork_callbacks.pop(owner, None)

    def _forked(self) -> None:
        """In a child of ``os.fork()``: what runs goes on in its parent, and not here."""
        self._lock = threading.Lock()  # it may have been held
        # Kept: to close it, also as garbage, would undo what the parent's loop waits for.
        self._of_parent.append(self._loop)
        self._loop = self._thread = None
        self._exit_callbacks.clear()
        self._undoing.clear()
        callbacks, self._fork_callbacks = self._fork_callbacks, {}
        for forked in callbacks.values():
            forked()

    def shutdown(self) -> None:
        """Close everything that is registered and stop the thread, within about a second."""
        loop, thread = self._loop, self._thread
        if loop is None or loop.is_closed() or self._pid != os.getpid() or self.in_loop():
            return
        callbacks = list(self._exit_callbacks.values())
        self._exit_callbacks.clear()
        self._fork_callbacks.clear()
        if callbacks:
            closing = asyncio.run_coroutine_threadsafe(_close_all(callbacks), loop)
            try:
                closing.result(EXIT_SECONDS)
            except TimeoutError:
                logger.debug("not everything closed within %.1f s of exit", EXIT_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        if thread is not None:
            thread.join(EXIT_SECONDS)


class _Handover(Generic[T]):
    """A result on its way from the runtime's loop to a caller that may be gone when it comes.

    Args:
        runtime: where ``coro`` runs.
        coro: what makes the result.
        undo: closes a result that nobody takes.
    """

    def __init__(
        self,
        runtime: Runtime,
        coro: Coroutine[Any, Any, T],
        undo: Callable[[T], Coroutine[Any, Any, object]] | None,
    ) -> None:
        self._runtime = runtime
        self._coro = coro
        self._undo = undo
        self._lock = threading.Lock()
        self._refused = False
        self._made: list[T] = []
        self._future: concurrent.futures.Future[T] | None = None

    def begin(self) -> concurrent.futures.Future[T]:
        self._future = self._runtime.submit(self._coro if self._undo is None else self._carry())
        return self._future

    async def _carry(self) -> T:
        made = await self._coro
        with self._lock:
            refused = self._refused
            if not refused:
                self._made.append(made)
        if refused:
            self._close(made)
        return made

    def refuse(self, *, finish: bool) -> None:
        """The caller is gone. Waits for nothing: it may be a signal that brought us here."""
        if self._future is not None and not finish:
            self._future.cancel()
        if self._undo is None:
            return
        with self._lock:
            self._refused = True
            made, self._made = self._made, []
        if made:
            self._close(made[0])
        with suppress(RuntimeError):  # the loop has ended, and everything with it
            self._runtime.loop.call_soon_threadsafe(self._drop_unbegun)

    def _close(self, made: T) -> None:
        assert self._undo is not None
        self._runtime._undo(self._undo(made))

    def _drop_unbegun(self) -> None:
        if inspect.getcoroutinestate(self._coro) == inspect.CORO_CREATED:
            self._coro.close()


def _waited_for(future: concurrent.futures.Future[T], timeout: float | None) -> T:
    """Its result. Windows sees Ctrl+C only between waits."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while not future.done():
        left = WAKE_SECONDS if deadline is None else min(deadline - time.monotonic(), WAKE_SECONDS)
        if left <= 0:
            raise TimeoutError(f"not done after {timeout:g} s")
        concurrent.futures.wait([future], left)
    return future.result()


async def _close_all(callbacks: list[Callable[[], Coroutine[Any, Any, object]]]) -> None:
    for outcome in await asyncio.gather(*(c() for c in callbacks), return_exceptions=True):
        if isinstance(outcome, Exception):
            logger.debug("closing at exit failed: %s", outcome)


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    """Let every task that is left run its clean-up."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()

    async def ended() -> None:  # gather() finds its loop by the policy outside of a coroutine
        await asyncio.gather(*tasks, return_exceptions=True)

    loop.run_until_complete(ended())


_runtime = Runtime()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_runtime._forked)


def get_runtime() -> Runtime:
    """The process's runtime."""
    return _runtime
