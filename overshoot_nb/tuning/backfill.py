"""``Backfill``: one prompt version, asked about samples that were taken before."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from overshoot_nb import config
from overshoot_nb.errors import OvershootError
from overshoot_nb.running.run import Run
from overshoot_nb.running.service import Service, check_service, require_open, service_of
from overshoot_nb.runtime.event_loop import get_runtime
from overshoot_nb.store.answer_cache import answer_cache
from overshoot_nb.store.answer_columns import check_column
from overshoot_nb.store.budget import Account, Budget, check_budget
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.store.table import ResultTable
from overshoot_nb.support.html import BAR, escaped, fragment
from overshoot_nb.support.progress import TICK_SECONDS, ProgressBar
from overshoot_nb.support.validation import check_whole

from .backfill_plan import asked_otherwise, column_of, samples_meant
from .backfill_work import BackfillWork, let_go_of_locals, work_for
from .tally import Tally

if TYPE_CHECKING:
    import pandas as pd

    from overshoot_nb.running.service import Client

logger = logging.getLogger("overshoot_nb")

#: "done" has an outcome for every sample, "stopped" kept to its budget, "failed" has an error.
BackfillState = Literal["running", "done", "stopped", "cancelled", "failed"]

AT_EXIT = "the interpreter exits"


class Backfill:
    """A prompt version being asked about stored samples; made by ``stream.backfill(...)``.

    Awaiting it waits for the end and gives the backfill itself, from any event loop and as often as
    one likes; a cancelled await (an interrupted cell) cancels it. It fails where asking on would be
    in vain: the key, the credits or the model are refused, no answer ever came in three tries, ten
    requests in a row failed, or the client was closed. Answers are kept as they come, whatever
    becomes of it. Any thread may use it.

    Attributes:
        version: what is asked.
        column: the column of ``stream.df`` that shows the answers.
        error: what made it fail, or None.
    """

    def __init__(
        self,
        run: Run,
        version: PromptVersion,
        column: str,
        tally: Tally,
        service: Service,
        work: BackfillWork,
        *,
        budget: Budget | None,
        progress: bool,
    ) -> None:
        # Made by start_backfill alone, which checks all of it.
        self.version = version
        self.column = column
        self.error: Exception | None = None
        self._run = run
        self._tally = tally
        self._service = service
        self._work = work
        self._progress = progress
        self._runtime = get_runtime()
        self._lock = threading.Lock()
        self._state: BackfillState = "running"
        self._note = ""
        self._accounts = [Account(budget)]
        self._elapsed = 0.0
        self._started_at = 0.0
        self._task: asyncio.Task[str] | None = None
        self._over = asyncio.Event()
        self._waiters = 0
        self._start(self._bar())

    over: ClassVar[None] = None  # nobody's end waits for it
    idle: ClassVar[bool] = True

    @property
    def label(self) -> str:
        """Its column."""
        return self.column

    # ---- what it is, and how far ----

    @property
    def samples(self) -> tuple[int, ...]:
        """Indices of the samples that are meant, ascending."""
        return self._tally.samples

    @property
    def state(self) -> BackfillState:
        """running; then done, stopped (its budget is spent), cancelled or failed."""
        return self._state

    @property
    def status(self) -> str:
        """The state, how far it came and, where there is one, the reason, in words."""
        words = [f"{self._state}: {self.done:,} of {self.total:,} samples"]
        if self.errors:
            words.append(f"{self.errors:,} failed")
        if missing := len(self.missing):
            words.append(f"{missing:,} without pictures")
        said = ", ".join(words)
        return f"{said} ({self._note})" if self._note else said

    @property
    def total(self) -> int:
        """Samples that are meant."""
        return len(self._tally.samples)

    @property
    def done(self) -> int:
        """Samples that have an outcome: an answer, a failure, or no pictures any more."""
        return len(self._tally)

    @property
    def errors(self) -> int:
        """Samples whose request failed, or whose answer cannot be used."""
        return self._tally.count("failed", "unusable")

    @property
    def cached(self) -> int:
        """Samples whose answer was known: from the cache, or given by this version before."""
        return self._tally.known

    @property
    def missing(self) -> dict[int, str]:
        """Samples that nobody can be asked about any more, and why."""
        return self._tally.missing

    @property
    def remaining(self) -> list[int]:
        """Samples that were not asked about yet."""
        return self._tally.remaining

    @property
    def elapsed(self) -> float:
        """Seconds that it has run."""
        running = time.monotonic() - self._started_at if self._state == "running" else 0.0
        return self._elapsed + running

    @property
    def requests(self) -> int:
        """Answers that were asked for, failures included and known ones not."""
        return sum(account.requests for account in self._accounts)

    @property
    def tokens(self) -> int:
        """Tokens that it took, as far as the server said."""
        return sum(account.tokens for account in self._accounts)

    @property
    def cost_cents(self) -> float | None:
        """What it cost in US cents, as far as the server said; None where it never did."""
        cents = [account.cents for account in self._accounts if account.cents is not None]
        return sum(cents) if cents else None

    @property
    def df(self) -> pd.DataFrame:
        """Its answers so far, one row a sample; columns as in ``stream.df``."""
        table = ResultTable(self.version.output_schema)
        answers = self._run.journal.later.of(self.version.version)
        for index in self._tally.settled:
            if index in answers:
                table.append(answers[index])
        return table.df

    # ---- waiting ----

    def __await__(self) -> Generator[Any, None, Backfill]:
        """Wait for the end.

        Raises:
            StreamClosedError: the client that was asked was closed meanwhile.
            OvershootError: what else made it fail; what was answered is kept, and resume() goes on.
        """
        return self._wait().__await__()

    def result(self, timeout: float | None = None) -> Backfill:
        """Wait for the end where nothing can be awaited. An interrupt cancels the backfill.

        Args:
            timeout: seconds; None waits for as long as it takes.

        Raises:
            TimeoutError: it is not over after ``timeout`` seconds; it goes on.
            RuntimeError: called on the streams' own event loop: ``await`` it there.
            StreamClosedError, OvershootError: as awaiting it does.
        """
        try:
            self._waiters += 1
            self._runtime.run(self._wait_over(), timeout)
        except TimeoutError:
            raise TimeoutError(f"not over after {timeout:g} s: {self.status}") from None
        except KeyboardInterrupt:
            self.cancel("interrupted")
            raise
        finally:
            self._waiters -= 1
        if self.error is not None:
            raise self.error.with_traceback(None)
        return self

    async def _wait(self) -> Backfill:
        self._waiters += 1
        try:
            await self._runtime.call(self._wait_over())
        except BaseException:
            self.cancel("interrupted")
            raise
        finally:
            self._waiters -= 1
        if self.error is not None:
            # It would grow by the frames of everybody who awaits, with all that is in them.
            raise self.error.with_traceback(None)
        return self

    async def _wait_over(self) -> None:
        await self._over.wait()

    # ---- steering ----

    def cancel(self, reason: str = "by its user") -> None:
        """Ask no more. Answers that came are kept, those under way not waited for. Idempotent.

        Args:
            reason: shown in :attr:`status`.
        """
        with self._lock:
            if self._state != "running":
                return
            self._leave_running("cancelled", reason)
            # Within the lock: what a resume() of another thread begins must not be hit.
            self._runtime.loop.call_soon_threadsafe(self._cancel_task)

    def resume(self, budget: Budget | None = None) -> Backfill:
        """Ask about the rest, and again where a request failed. Nothing while it runs.

        Args:
            budget: for what is asked from now on. Default: as much again as the last time.

        Raises:
            ValidationError: ``budget`` is no Budget.
            StreamClosedError: the client that was asked is closed; backfill(client=...) asks with
                another one.
        """
        check_budget(budget)
        require_open(self._service)
        with self._lock:
            if self._state == "running":
                return self
            bar = self._bar()  # first: making one may fail
            self._state, self._note, self.error = "running", "", None
            self._accounts.append(Account(budget or self._accounts[-1].budget))
            self._start(bar)
        return self

    # ---- beginning and end: on the runtime's loop, but for `_start` ----

    def _bar(self) -> ProgressBar | None:
        return ProgressBar(self.column, self.total) if self._progress else None

    def _start(self, bar: ProgressBar | None) -> None:
        self._started_at = time.monotonic()
        # In a copy of the caller's context: what the bar prints belongs to the cell that runs now.
        self._runtime.loop.call_soon_threadsafe(self._begin, bar)

    def _begin(self, bar: ProgressBar | None) -> None:
        self._over.clear()
        if self._task is not None:  # it was cancelled, and resumed at once
            self._task.add_done_callback(lambda _: self._begin(bar))
            return
        self._tally.reopen_failed()
        self._runtime.close_at_exit(self, self._close_at_exit)
        work = self._work.carry_out(self._accounts[-1])
        self._task = asyncio.create_task(work, name=f"backfill-{self.column}")
        drawing = asyncio.create_task(self._draw(bar)) if bar is not None else None
        self._task.add_done_callback(lambda task: self._end(task, bar, drawing))
        if self._state != "running":  # cancelled before it began
            self._cancel_task()

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _close_at_exit(self) -> None:
        self.cancel(AT_EXIT)
        if self._task is not None:
            self._cancel_task()
            await asyncio.wait([self._task])

    async def _draw(self, bar: ProgressBar) -> None:
        while True:
            bar.draw(self.done, self.errors)
            await asyncio.sleep(TICK_SECONDS)

    def _end(
        self, task: asyncio.Task[str], bar: ProgressBar | None, drawing: asyncio.Task[None] | None
    ) -> None:
        """However it ended; also where it was cancelled before its first step."""
        self._task = None
        with self._lock:
            resumed = self._take_end(task)
        if not resumed:
            self._runtime.forget(self)
            self._over.set()
        self._run.journal.touch()
        # Last: where it is drawn may be gone.
        if drawing is not None and bar is not None:
            drawing.cancel()
            bar.draw(self.done, self.errors)
            bar.close()

    def _take_end(self, task: asyncio.Task[str]) -> bool:
        """Take the end of the work over into the state; True when it goes on all the same."""
        if task.cancelled():
            # Either cancel() said so before, or it was resumed since, or everything ends.
            return self._state == "running"
        error = task.exception()
        if isinstance(error, RuntimeError) and "new futures after" in str(error):
            # A script that ends takes thread pools down before it lets anybody close.
            self._leave_running("cancelled", AT_EXIT)
            return False
        if isinstance(error, Exception):
            self._fail(error)
        elif not self.remaining:
            self._leave_running("done", "")
        else:
            self._leave_running("stopped", task.result())
        if missing := self.missing:
            said = "backfill %s: %d of %d samples could not be asked about (see its .missing): %s"
            why = next(iter(missing.values()))
            logger.warning(said, self.column, len(missing), self.total, why)
        return False

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, OvershootError):
            logger.error("backfill %s failed in an unforeseen way", self.column, exc_info=error)
        elif not self._waiters:
            logger.warning("backfill %s failed: %s", self.column, error)
        let_go_of_locals(error)
        self.error = error
        self._leave_running("failed", str(error))

    def _leave_running(self, state: BackfillState, note: str) -> None:
        if self._state == "running":
            self._elapsed += time.monotonic() - self._started_at
        self._state, self._note = state, note

    # ---- how it looks ----

    def __repr__(self) -> str:
        return f"<Backfill {self.column} (prompt version {self.version.version}), {self.status}>"

    def _repr_html_(self) -> str:
        return _html(self)


def start_backfill(
    run: Run,
    prompt: str | PromptVersion | None,
    changes: Mapping[str, Any],
    *,
    last: float | None = None,
    samples: Iterable[int] | None = None,
    column: str | None = None,
    max_in_flight: int | None = None,
    budget: Budget | None = None,
    cache: bool = True,
    progress: bool = True,
    note: str = "",
    client: Client | None = None,
) -> Backfill:
    """Check everything and start; described at :meth:`overshoot_nb.Stream.backfill`.

    Args:
        run: whose samples.
        prompt: what to ask; None is the prompt in force.
        changes: fields of the version that are asked otherwise than in force.

    Raises:
        ValidationError: a parameter cannot be used, or no sample is meant.
        LookupError: there is no sample of an index.
        StreamClosedError: the client that would be asked is closed.
    """
    asked = asked_otherwise(run, prompt, changes)
    meant = samples_meant(run, last, samples)
    if column is not None:
        check_column(run.journal.later, column)
    check_budget(budget)
    service = run.service if client is None else service_of(client)
    check_service(run.service, service)
    if max_in_flight is None:
        # The embedded engine answers one at a time: more would only stand in the stream's way.
        max_in_flight = 1 if service.endpoint.is_local else config.MAX_IN_FLIGHT_BATCH
    check_whole("max_in_flight", max_in_flight, 1, 256)
    answers = answer_cache() if cache else None
    version = run.prompts.version_of(note=note, **asked)
    column = column if column is not None else column_of(run, version)
    tally = Tally(meant)
    work = work_for(run, version, tally, service, max_in_flight=max_in_flight, cache=answers)
    job = Backfill(run, version, column, tally, service, work, budget=budget, progress=progress)
    try:
        run.journal.later.show(column, version)
        run.journal.followers.append(job)
        run.journal.touch()
    except BaseException:  # an interrupt: nobody will have it
        job.cancel("interrupted")
        raise
    return job


#: Characters of the prompt that are shown.
PROMPT_CUT = 2000


def _html(job: Backfill) -> str:
    """A backfill as an HTML fragment, as it is at this moment."""
    figures = [f"{job.elapsed:.1f} s", _counted(job.requests, "request")]
    if job.cached:
        figures.append(f"{_counted(job.cached, 'answer')} known before")
    if job.tokens:
        figures.append(_counted(job.tokens, "token"))
    if job.cost_cents is not None:
        figures.append(f"{job.cost_cents:,.2f} cents")
    version = job.version
    prompt = version.text
    if len(prompt) > PROMPT_CUT:
        prompt = prompt[: PROMPT_CUT - 1] + "…"
    return fragment(
        f"<div><strong>{escaped(job.column)}</strong> · {escaped(job.status)} · "
        f"{' · '.join(figures)}</div>"
        f'<progress value="{job.done}" max="{job.total}" aria-label="samples done"></progress>'
        f'<div style="opacity: .75; white-space: pre-wrap">{escaped(prompt)}'
        f" <small>(prompt version {version.version}, {escaped(version.model)})</small></div>",
        BAR,
    )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
