"""What happened to a stream becomes messages and traits, at a pace that a page can take."""

from __future__ import annotations

import array
import contextlib
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from overshoot_nb.runtime.event_loop import get_runtime

from .content import prompts_of, status_of, welcome_to
from .pages import GONE_SECONDS
from .rows import fits, row_of

if TYPE_CHECKING:
    from overshoot_nb.running.run import Run
    from overshoot_nb.store.prompts import PromptVersion
    from overshoot_nb.types import StreamInferenceResult

    from .kernel_link import KernelLink
    from .pages import Pages
    from .screen import Screen

#: Seconds between two reports.
REPORT_SECONDS = 0.15
#: Seconds between two updates of the traits: these are for observers and saved notebooks.
TRAITS_SECONDS = 1.0
#: Rows that are sent unasked; a page asks for others when it scrolls to them.
PUSHED_ROWS = 100

#: The moment in a status is no news by itself.
_NO_NEWS = {"sent_at": 0.0, "media_time": 0.0}


class Reporter:
    """Everything but :meth:`touched` runs on the runtime's loop.

    Args:
        sync: sets the traits; called on the kernel's thread.
    """

    def __init__(
        self,
        run: Run,
        link: KernelLink,
        pages: Pages,
        screen: Screen,
        sync: Callable[[], object],
    ) -> None:
        self._run = run
        self._journal = run.journal
        self._link = link
        self._pages = pages
        self._screen = screen
        self._sync = sync
        self._loop = get_runtime().loop
        self._lock = threading.Lock()
        self._pending = False
        self._traits_pending = False
        self._watching = False
        self._rows_sent = 0
        self._newest_prompt: PromptVersion | None = None
        self._status_sent: dict[str, Any] = {}
        #: What is said beside the status; "" for nothing.
        self.notice = ""
        self._journal.watch(self.touched)

    def close(self) -> None:
        """Report no more."""
        self._journal.unwatch(self.touched)

    def touched(self) -> None:
        """Something changed; from any thread."""
        with self._lock:
            if self._pending:
                return
            self._pending = True
        with contextlib.suppress(RuntimeError):  # closed: the interpreter exits
            self._loop.call_soon_threadsafe(self._loop.call_later, REPORT_SECONDS, self._report)

    def _report(self) -> None:
        self._pending = False  # first: what changes from here on is of the next report
        if self._pages.any:
            self._send_ticks()
            self.send_new_rows()
            self._send_prompts()
            self.send_status(always=False)
        if not self._traits_pending:
            self._traits_pending = True
            self._loop.call_later(TRAITS_SECONDS, self._send_traits)

    # ---- pages come and go ----

    def welcome(self, page: str) -> None:
        """Tell a page everything."""
        self._link.send(welcome_to(page, self._run, self._pages.queries.get(page, "")))
        self.send_status(always=True)
        times, fates = self._journal.log.read()
        self._link.send({"kind": "ticks", "first": 0}, times, fates)
        total = len(self._journal.table)
        self.send_rows(range(max(total - PUSHED_ROWS, 0), total))
        self._screen.show_again()
        self.follow()

    def follow(self) -> None:
        """Show pictures while a page can be seen; look again when one may have gone."""
        self._screen.follow()
        if not self._watching and self._pages.any:
            self._watching = True
            self._loop.call_later(GONE_SECONDS / 2, self._look_again)

    def _look_again(self) -> None:
        self._watching = False
        self.follow()

    # ---- reports ----

    def send_status(self, *, always: bool) -> None:
        """State and figures; unless ``always``, only when they changed."""
        status = status_of(self._run, self._screen.media_time)
        if self.notice:
            status["status"] += f" · {self.notice}"
        news = {**status, **_NO_NEWS}
        if always or news != self._status_sent:
            self._status_sent = news
            self._link.send(status)

    def send_rows(self, numbers: Iterable[int]) -> None:
        """Rows that a page asks for; those that there are not are left out."""
        table = self._journal.table
        total = len(table)
        rows = [row_of(n, table[n]) for n in numbers if 0 <= n < total]
        self._link.send({"kind": "rows", "total": total, "rows": rows})

    def send_matches(self, page: str, query: str, rows: Iterable[int], *, append: bool) -> None:
        """Row numbers that fit a page's filter."""
        self._link.send(
            {"kind": "matches", "page": page, "query": query, "append": append},
            array.array("I", rows).tobytes(),
        )

    def _send_ticks(self) -> None:
        first = self._journal.log.take_changed()
        if first is not None:
            times, fates = self._journal.log.read(first)
            self._link.send({"kind": "ticks", "first": first}, times, fates)

    def send_new_rows(self) -> None:
        """The rows since the last report, and which of them fit the filters."""
        first = self._rows_sent
        new = self._journal.table.results_since(first)
        if not new:
            return
        self._rows_sent = total = first + len(new)
        self.send_rows(range(max(first, total - PUSHED_ROWS), total))
        for page, query in self._pages.queries.items():
            if found := matching(query, first, new):
                self.send_matches(page, query, found, append=True)

    def _send_prompts(self) -> None:
        newest = list(self._run.prompts)[-1]
        # Not by their number: one that was refused leaves its own to the next.
        if newest is not self._newest_prompt:
            self._newest_prompt = newest
            self._link.send({"kind": "prompts", "prompts": prompts_of(self._run)})

    def _send_traits(self) -> None:
        self._traits_pending = False
        self._link.on_kernel(self._sync)


def matching(query: str, first: int, results: list[StreamInferenceResult]) -> list[int]:
    """Row numbers of the results that fit; the first of them is row ``first``."""
    test = fits(query)
    return [first + i for i, result in enumerate(results) if test(result)]
