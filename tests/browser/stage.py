"""The one thread that everything of Playwright's runs in.

Playwright's blocking interface keeps an event loop running in the thread that uses it, where
``asyncio.run`` then fails; the other tests of the suite call it in the main thread.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import psutil
from playwright.sync_api import Playwright, sync_playwright

P = ParamSpec("P")
T = TypeVar("T")


class Stage:
    """Runs functions in a thread of its own, one at a time; holds Playwright."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="browser-stage")
        self._thread: threading.Thread = self._pool.submit(threading.current_thread).result()
        self._playwright: Playwright | None = None
        self._driver: psutil.Process | None = None

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` there and return what it returns; from any thread."""
        if threading.current_thread() is self._thread:
            return function(*args, **kwargs)
        future = self._pool.submit(function, *args, **kwargs)
        try:
            return future.result()
        finally:
            if not future.done():  # interrupted: what waits for a page must not go on waiting
                self._abandon()

    @property
    def playwright(self) -> Playwright:
        """Playwright, started when first asked for. In this thread only."""
        assert threading.current_thread() is self._thread
        if self._playwright is None:
            before = set(psutil.Process().children())
            self._playwright = sync_playwright().start()
            started = set(psutil.Process().children()) - before
            self._driver = next((p for p in started if "run-driver" in p.cmdline()), None)
        return self._playwright

    def close(self) -> None:
        self.call(self._stop)
        self._pool.shutdown()

    def _stop(self) -> None:
        if self._playwright is not None:
            self._playwright.stop()

    def _abandon(self) -> None:
        """Have Playwright's own process close its browsers: what is under way then raises."""
        if self._driver is not None and self._driver.is_running():
            self._driver.send_signal(signal.SIGINT)
