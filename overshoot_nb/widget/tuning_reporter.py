"""What happens to labels, versions and backfills becomes messages to the Tune tab.

Whatever takes time (scores, above all) is worked out on a thread: it holds up no stream. Nothing is
worked out while no page that can be seen shows the tab.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from overshoot_nb.errors import OvershootError
from overshoot_nb.runtime.event_loop import get_runtime

from . import tuning_messages as messages
from .tuning_choice import TuningChoice
from .tuning_content import backfills_of, chosen_of, diff_of, fields_of, versions_of
from .tuning_grid import grid_rows, grid_samples
from .tuning_labels import PageLabels
from .tuning_standing import JUDGES, NO_STANDING, Standing, standing_of
from .tuning_view import AnswerCounts, TuningView, view_of

if TYPE_CHECKING:
    from overshoot_nb.running.run import Run

    from .kernel_link import KernelLink
    from .pages import Pages

logger = logging.getLogger("overshoot_nb")

#: Seconds between two reports at least; and a report that took long waits so many times as long.
REPORT_SECONDS = 0.2
RESTS = 3


class _Report(NamedTuple):
    """What was worked out on the thread."""

    view: TuningView
    standing: Standing
    standing_key: tuple[Any, ...]
    samples: np.ndarray
    answered: int
    problem: str


class TuningReporter:
    """Everything but :meth:`touched` runs on the runtime's loop.

    Args:
        choice: what the tab looks at.
        labels: what can be taken back.
    """

    def __init__(
        self,
        run: Run,
        link: KernelLink,
        pages: Pages,
        choice: TuningChoice,
        labels: PageLabels,
    ) -> None:
        self._shown = run
        self._journal = run.journal
        self._link = link
        self._pages = pages
        self._choice = choice
        self._labels = labels
        self._loop = get_runtime().loop
        self._open: set[tuple[str, str]] = set()  # pages and their views
        self._lock = threading.Lock()
        self._due = False
        self._unseen = False
        self._task: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self._counts = AnswerCounts(run)
        self._report: _Report | None = None
        self._revision = 0
        self._shown_key: tuple[Any, ...] = ()
        self._state_sent: dict[str, Any] = {}
        self._samples_sent: np.ndarray | None = None
        self._diff_sent: tuple[int | None, int] | None = None
        self._journal.watch(self.touched)

    def close(self) -> None:
        """Report no more."""
        self._journal.unwatch(self.touched)
        self._open.clear()

    def touched(self) -> None:
        """Something changed; from any thread."""
        with self._lock:
            if self._due or not self._open:
                return
            self._due = True
        with contextlib.suppress(RuntimeError):  # closed: the interpreter exits
            self._loop.call_soon_threadsafe(self._arrange)

    # ---- pages open and close the tab ----

    def opened(self, page: str, view: str) -> None:
        """A view of a page shows the tab, and knows nothing yet."""
        self._open.add((page, view))
        self._state_sent, self._samples_sent, self._diff_sent = {}, None, None
        self.touched()

    def closed(self, page: str, view: str) -> None:
        """A view shows it no more."""
        self._open.discard((page, view))

    def beat(self) -> None:
        """A page is still there; one that could not be seen is told what it missed."""
        if self._unseen:
            self.touched()

    # ---- reports ----

    def _arrange(self) -> None:
        if self._task is None:  # else the end of that one does
            self._loop.call_at(
                self._loop.time() + max(0.0, self._not_before - time.monotonic()), self._begin
            )

    def _begin(self) -> None:
        if self._task is not None or not self._due:
            return
        self._due = False  # first: what changes from here on is of the next report
        # Some pages go without a word. One that only slept says hello again.
        self._open = {view for view in self._open if self._pages.known(view[0])}
        self._unseen = not any(self._pages.seen(page) for page, _ in self._open)
        if not self._unseen:
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        started = time.monotonic()
        chosen = self._choice.changes
        try:
            report = await asyncio.to_thread(self._work)
            # What was chosen meanwhile is due: a page is never shown less than it asked for.
            if chosen == self._choice.changes:
                self._send(report)
        except Exception:
            logger.exception("the Tune tab could not be brought up to date")
        finally:
            took = time.monotonic() - started
            self._not_before = time.monotonic() + max(REPORT_SECONDS, RESTS * took)
            self._task = None
            if self._due:
                self._arrange()

    def _work(self) -> _Report:
        """Read and count; on a thread."""
        choice, before = self._choice, self._report
        view = view_of(self._shown, choice, self._counts.count())
        key = self._standing_key(view)
        problem = ""
        if before is not None and key == before.standing_key:
            standing, problem = before.standing, before.problem
        else:
            try:
                standing = standing_of(self._shown, choice.judge, view)
            except OvershootError as error:  # a judge failed
                standing, problem = NO_STANDING, str(error)
            except (SystemExit, KeyboardInterrupt, asyncio.CancelledError) as error:
                # A judge's own: let out of here, it would end the loop of all streams.
                standing, problem = NO_STANDING, f"the judge raised {type(error).__name__}: {error}"
        samples, answered = grid_samples(self._shown, choice, view, standing)
        return _Report(view, standing, key, samples, answered, problem)

    def _standing_key(self, view: TuningView) -> tuple[Any, ...]:
        """What the standing depends on: while it is the same, so is the standing."""
        journal = self._journal
        waiting = [s for s in journal.labels.samples if s < len(journal.log)]
        return (
            journal.labels.changes,
            journal.later.changes,
            # A sample may be labelled before its answer comes.
            sum(journal.log[s].row is None for s in waiting),
            view.version,
            view.baseline,
            view.columns,
            view.field,
            self._choice.judges,
        )

    def _send(self, report: _Report) -> None:
        key = (report.standing_key, report.view.field, report.view.columns)
        if key != self._shown_key or self._report is None:
            self._shown_key = key
            self._revision += 1
        self._report = report
        state = self._state(report)
        if state != self._state_sent:
            self._state_sent = dict(state)
            self.say(state)
        self._send_samples(report.samples)
        pair = (report.view.baseline, report.view.version)
        if pair != self._diff_sent:
            self._diff_sent = pair
            self.say(diff_of(self._shown, *pair))

    def _state(self, report: _Report) -> messages.TuneState:
        view, standing = report.view, report.standing
        return {
            "kind": "state",
            "revision": self._revision,
            "version": view.version,
            "baseline": view.baseline,
            "chosen": chosen_of(self._choice, view),
            "judges": list(JUDGES),
            "columns": list(view.columns),
            "versions": versions_of(self._shown, view, standing),
            "fields": fields_of(view),
            "labelled": len(self._journal.labels.samples),
            "answered": report.answered,
            "better": standing.better,
            "worse": standing.worse,
            "verdict": report.problem or standing.verdict,
            "backfills": backfills_of(self._shown),
            "undo": self._labels.undo_words,
        }

    def _send_samples(self, samples: np.ndarray) -> None:
        """Those from the first that is another on."""
        start, sent = 0, self._samples_sent
        if sent is not None:
            common = min(len(sent), len(samples))
            differing = np.flatnonzero(sent[:common] != samples[:common])
            start = int(differing[0]) if len(differing) else common
            if start == len(samples) == len(sent):
                return
        self._samples_sent = samples
        self.say(
            {"kind": "samples", "start": start, "total": len(samples)}, samples[start:].tobytes()
        )

    # ---- what pages ask for ----

    async def send_rows(self, samples: list[int]) -> None:
        """Rows of the grid, as of the last report."""
        report, revision = self._report, self._revision
        if report is not None:
            # On a thread: answers may be long.
            rows = await asyncio.to_thread(
                grid_rows, self._shown, report.view, report.standing, samples
            )
            self.say({"kind": "cells", "revision": revision, "rows": rows})

    def say(self, message: messages.FromTuning, *buffers: bytes, page: str = "") -> None:
        """Send a message to the Tune tab of a page; "" is every page."""
        self._link.send({"kind": "tuned", "page": page, "message": message}, *buffers)
