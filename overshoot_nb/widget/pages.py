"""Who looks on: the pages that show a stream, and how many pictures each may still be sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

#: Pictures that a page may have before it says that it drew them. A page answers for two at a
#: time, because each message of a page costs the kernel more than a picture does.
WINDOW = 4
#: A page that acknowledges nothing gets one picture in so many seconds ...
STALE_SECONDS = 0.5
#: ... until so many wait. With a closed tab the server would otherwise keep every message.
MOST = 6
#: A page that was not heard of for so long is gone.
GONE_SECONDS = 5.0
#: Both while a cell keeps the kernel from hearing any page: half a minute of that.
MOST_DEAF = 60
GONE_DEAF_SECONDS = 30.0


@dataclass(slots=True)
class _Page:
    visible: bool
    heard_at: float
    acked: int  # all pictures before this number were drawn
    query: str = ""


class Pages:
    """The pages by their id. Any thread may ask and tell.

    All pages get the same pictures, so the slowest of them sets the pace; one that no longer
    answers slows it down for ``GONE_SECONDS`` at most.

    Args:
        deaf: whether the kernel cannot hear the pages now.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        deaf: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._deaf = deaf
        self._clock = clock
        self._lock = threading.Lock()
        self._pages: dict[str, _Page] = {}
        self._next = 0
        self._sent_at = -STALE_SECONDS

    # ---- what pages say ----

    def hello(self, page: str, *, visible: bool) -> None:
        """A page begins: what was sent before is not its concern."""
        with self._lock:
            query = self._pages[page].query if page in self._pages else ""
            self._pages[page] = _Page(visible, self._clock(), self._next, query)

    def beat(self, page: str, *, visible: bool) -> bool:
        """A page is still there; False where it is not known and must say hello."""
        with self._lock:
            known = self._pages.get(page)
            if known is None:
                return False
            if visible and not known.visible:
                known.acked = self._next  # what it was not sent while hidden needs no ack
            known.visible, known.heard_at = visible, self._clock()
            return True

    def ack(self, page: str, seq: int) -> None:
        """A page drew picture ``seq`` and all before it."""
        with self._lock:
            if (known := self._pages.get(page)) is not None:
                known.acked = max(known.acked, min(seq + 1, self._next))
                known.heard_at = self._clock()

    def bye(self, page: str) -> None:
        """A page shows the stream no more."""
        with self._lock:
            self._pages.pop(page, None)

    def ask(self, page: str, query: str) -> None:
        """A page shows only the rows that fit; "" is all."""
        with self._lock:
            if (known := self._pages.get(page)) is not None:
                known.query = query

    # ---- what the kernel asks ----

    @property
    def any(self) -> bool:
        """Whether a page is there, seen or not."""
        with self._lock:
            self._forget()
            return bool(self._pages)

    def known(self, page: str) -> bool:
        """Whether this page is there, seen or not."""
        with self._lock:
            self._forget()
            return page in self._pages

    def seen(self, page: str) -> bool:
        """Whether this page is there and can be seen."""
        with self._lock:
            known = self._pages.get(page)
            return known is not None and known.visible

    @property
    def watched(self) -> bool:
        """Whether a page is there that can be seen."""
        with self._lock:
            self._forget()
            return any(page.visible for page in self._pages.values())

    @property
    def queries(self) -> dict[str, str]:
        """The filter of each page that has one."""
        with self._lock:
            self._forget()
            return {name: page.query for name, page in self._pages.items() if page.query}

    def room(self) -> bool:
        """Whether a picture may be sent now."""
        with self._lock:
            self._forget()
            seen = [page for page in self._pages.values() if page.visible]
            if not seen:
                return False
            waiting = self._next - min(page.acked for page in seen)
            if waiting < WINDOW:
                return True
            if self._clock() - self._sent_at < STALE_SECONDS:
                return False
            return waiting < MOST or (waiting < MOST_DEAF and self._deaf())

    def send(self) -> int:
        """The number of a picture that is sent now."""
        with self._lock:
            self._sent_at = self._clock()
            self._next += 1
            return self._next - 1

    def _forget(self) -> None:
        now = self._clock()
        quiet = max((now - page.heard_at for page in self._pages.values()), default=0.0)
        # Asked before it matters: whether the kernel hears takes a moment to find out.
        deaf = quiet > GONE_SECONDS / 3 and self._deaf()
        silent = [name for name, page in self._pages.items() if now - page.heard_at > GONE_SECONDS]
        if deaf:
            silent = [n for n in silent if now - self._pages[n].heard_at > GONE_DEAF_SECONDS]
        for name in silent:
            del self._pages[name]
