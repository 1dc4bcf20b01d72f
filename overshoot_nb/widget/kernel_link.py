"""From the streams' threads to the page, and to the kernel's own thread.

Messages go out from whatever thread has something to say, so that video and rows go on while a
cell blocks the kernel. Traits are set on the kernel's own loop alone: observers and links of the
user run there, as with every other widget.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import anywidget

#: A loop that does not turn for so long is blocked.
DEAF_SECONDS = 0.4


class KernelLink:
    """Made on the kernel's thread, beside its widget."""

    def __init__(self, widget: anywidget.AnyWidget) -> None:
        self._widget = widget
        self._context = contextvars.copy_context()
        self._loop = _kernel_loop()
        self._lock = threading.Lock()
        self._waiting: Callable[[], object] | None = None
        self._asked_at: float | None = None  # when the loop was asked to show that it turns

    def heard(self) -> None:
        """A message came from the page; call it where it is received.

        What is sent in the context of the newest message is answered to where it came from: with
        ipykernel 7.4 that keeps the page's own messages arriving while a cell blocks.
        """
        self._context = contextvars.copy_context()

    def send(self, content: Mapping[str, Any], *buffers: bytes) -> None:
        """Send a message to every page; from any thread."""
        self._context.copy().run(self._widget.send, content, list(buffers))

    def deaf(self) -> bool:
        """Whether something (a cell) keeps the kernel's loop from turning; from any thread.

        The first question only begins to find out.
        """
        if self._loop is None:
            return False
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._turned)
            return False
        return now - self._asked_at > DEAF_SECONDS

    def _turned(self) -> None:
        self._asked_at = None

    def on_kernel(self, call: Callable[[], object]) -> None:
        """Run ``call()`` on the kernel's loop; one that still waits is replaced."""
        with self._lock:
            waiting, self._waiting = self._waiting, call
        if waiting is not None:
            return
        if self._loop is None:
            self._run()
            return
        with contextlib.suppress(RuntimeError):  # closed: the kernel ends
            self._loop.call_soon_threadsafe(self._run)

    def _run(self) -> None:
        with self._lock:
            call, self._waiting = self._waiting, None
        if call is not None:
            call()


def _kernel_loop() -> asyncio.AbstractEventLoop | None:
    """The loop of the kernel's main thread; without a kernel, the one that runs here, if any."""
    with contextlib.suppress(ImportError, AttributeError):
        from IPython.core.getipython import get_ipython

        shell: Any = get_ipython()
        loop: asyncio.AbstractEventLoop = shell.kernel.io_loop.asyncio_loop
        return loop
    with contextlib.suppress(RuntimeError):
        return asyncio.get_running_loop()
    return None
