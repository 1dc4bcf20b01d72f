"""``Alert``: a condition that is watched while a stream runs, and what is done when it holds."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from overshoot_nb.conditions.condition import Condition
from overshoot_nb.conditions.values import plain
from overshoot_nb.errors import ValidationError
from overshoot_nb.runtime.side_thread import SideThread
from overshoot_nb.store.columns import duration_us
from overshoot_nb.store.journal import Journal
from overshoot_nb.store.table_layout import Layout
from overshoot_nb.support.html import clock
from overshoot_nb.types import Sample, StreamInferenceResult

from .alert_actions import Action, action_of
from .run_order import duration_in
from .triggers import Trigger

if TYPE_CHECKING:
    from overshoot_nb.running.run import Run

logger = logging.getLogger("overshoot_nb")

#: So many times an alert may have fired that were not acted on yet.
WAITING = 100


def start_alert(
    run: Run,
    condition: str,
    do: Action,
    *,
    hold: float,
    cooldown: float,
    name: str | None,
    first: int,
) -> Alert:
    """See :meth:`overshoot_nb.followed.Followed.when`; rows from ``first`` on."""
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise ValidationError(f"name={name!r} is not valid: it must be text that is not empty")
    times = duration_in("hold", hold), duration_in("cooldown", cooldown)
    alert = Alert(
        run.journal, condition, do, Trigger(*times), name or condition, first, run.callbacks.report
    )
    alert.listen()
    return alert


class Alert:
    """A condition that is watched; made by ``stream.when(...)``.

    Attributes:
        name: what its lines call it.
        condition: what is watched.
        error: what the action last raised, or None.
        missed: how often it fired while too many actions were waiting already, so that none
            followed.
    """

    def __init__(
        self,
        journal: Journal,
        condition: str,
        do: Action,
        trigger: Trigger,
        name: str,
        first: int,
        report: Callable[[BaseException], object],
    ) -> None:
        self.condition = condition
        self.name = name
        self.error: BaseException | None = None
        self.missed = 0
        self._journal = journal
        self._report = report
        self._trigger = trigger
        self._learn_columns()
        self._bound = Condition(condition).bind(self._layout.frame())
        self._checked = first
        self._fired: list[StreamInferenceResult] = []
        self._waiting: deque[StreamInferenceResult] = deque()
        self._closing = threading.Lock()
        self._closed = False
        # Two threads: a result is checked at once, however long an action takes.
        self._checks = SideThread(self._check, "overshoot-alert-check")
        self._acts = SideThread(self._act, "overshoot-alert-action")
        self._action = action_of(do, name, self._acts.pause)
        self._listener = _Answers(self._checks)

    @property
    def fired(self) -> list[StreamInferenceResult]:
        """The results at which it fired, oldest first: ``alert.fired[-1].media_time``."""
        return list(self._fired)

    @property
    def is_open(self) -> bool:
        """Whether it is still watched; False after :meth:`close`."""
        return not self._closed

    over: ClassVar[None] = None

    @property
    def label(self) -> str:
        """Its name."""
        return self.name

    @property
    def idle(self) -> bool:
        """Whether all results so far were checked, and all actions that followed are over."""
        return self._checks.idle and self._acts.idle

    def close(self) -> None:
        """Watch no more and begin no other action. Idempotent, from anywhere, at once."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        self._journal.unlisten(self._listener)
        self._checks.close()
        self._acts.close()
        self._waiting.clear()
        if self in self._journal.followers:
            self._journal.followers.remove(self)

    def listen(self) -> None:
        """Begin."""
        self._journal.followers.append(self)
        self._journal.listen(self._listener)
        self._checks.wake()  # results may have come meanwhile

    def __repr__(self) -> str:
        fired = self._fired
        times = f"fired {len(fired)} time{'' if len(fired) == 1 else 's'}"
        if fired:
            times += f", last at {clock(fired[-1].media_time)} (sample {fired[-1].sample})"
        if self.error is not None:
            times += f"; its action failed: {type(self.error).__name__}"
        label = "" if self.name == self.condition else f" {self.name!r}"
        return f"<Alert{label} {self.condition!r}: {times}{'' if self.is_open else '; closed'}>"

    # ---- on its threads ----

    def _check(self) -> float:
        for result in self._journal.table.results_since(self._checked):
            self._checked += 1
            if result.ok and not self._closed:
                self._ask(result)
        return 0.0

    def _ask(self, result: StreamInferenceResult) -> None:
        if len(self._journal.table.schemas) != self._schemas:
            self._learn_columns()
        time = duration_us(result.media_time)
        if time is None:
            return
        truth = self._bound.truth(lambda column: plain(self._layout.cell(column, result)))
        if self._trigger.fires(result.stream_id, time, truth is True):
            self._fire(result)

    def _learn_columns(self) -> None:
        schemas = self._journal.table.schemas
        self._layout, self._schemas = Layout(*schemas), len(schemas)

    def _fire(self, result: StreamInferenceResult) -> None:
        self._fired.append(result)
        if len(self._waiting) >= WAITING:
            if not self.missed:
                logger.warning(
                    "alert %s fires faster than its action is done: %d are waiting, and no more "
                    "are begun until then",
                    self.name,
                    WAITING,
                )
            self.missed += 1
            return
        self._waiting.append(result)
        self._acts.wake()

    def _act(self) -> float:
        while self._waiting and not self._closed:
            try:
                self._action(self._waiting.popleft())
            except BaseException as error:
                self.error = error
                logger.warning(
                    "the action of alert %s raised %s: %s", self.name, type(error).__name__, error
                )
                logger.debug("in the action of alert %s", self.name, exc_info=error)
                self._report(error)
        return 0.0


class _Answers:
    """What a journal tells of: only its answers matter."""

    def __init__(self, checks: SideThread) -> None:
        self._checks = checks

    def sampled(self, sample: Sample) -> None:
        """Nothing to do."""

    def missed(self, index: int, media_time: float, reason: str) -> None:
        """Nothing to do."""

    def dropped(self, index: int, reason: str) -> None:
        """Nothing to do."""

    def answered(self, result: StreamInferenceResult) -> None:
        """There is a row to check."""
        self._checks.wake()
