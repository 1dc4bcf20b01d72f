"""``Followed``: the methods of a stream that act on its rows as they come."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .errors import StreamClosedError

if TYPE_CHECKING:
    import pandas as pd

    from .analysis.alert_actions import Action
    from .analysis.alerts import Alert
    from .analysis.live import Live
    from .running.run import Run


class Followed:
    """Live outputs and alerts. ``_run`` is whose."""

    _run: Run

    if TYPE_CHECKING:

        @property
        def df(self) -> pd.DataFrame:
            """The rows so far."""

    def live(
        self, what: str | Callable[[pd.DataFrame], object], *args: Any, **options: Any
    ) -> Live:
        """Show an output that is kept up to date while the stream runs.

        ``stream.live("events", "out.people > 3", gap=1.0)`` shows what
        ``stream.df.overshoot.events(...)`` says; any method works, and plots too
        (``stream.live("plot.timeline")``). ``stream.live(lambda df: df["out.people"].describe())``
        shows what a function makes of ``stream.df``. The output is in the cell that made the call
        and changes at most twice a second, also while other cells run, where there are new rows; a
        last time after the end. It is made on a thread of its own, of which it takes at most half
        the time. What goes wrong is one line in the output, and :attr:`Live.error`.

        Args:
            what: name of a method of ``stream.df.overshoot``, or a function of ``stream.df``.
            args, options: passed on to the method, or to the function after ``stream.df``.

        Raises:
            ValidationError: there is no method of that name.
        """
        from .analysis.live import start_live

        return start_live(self._run, lambda: self.df, what, args, options)

    def when(
        self,
        condition: str,
        do: Action,
        *,
        hold: float = 0.0,
        cooldown: float = 0.0,
        name: str | None = None,
    ) -> Alert:
        """Do something as soon as a condition holds; asked of each result as it comes.

        ``stream.when("out.people > 3", do="bell", hold=2.0, cooldown=30)``. Conditions are
        described at :mod:`overshoot_nb.conditions.condition`. It fires once when the condition has
        been true for ``hold`` seconds of media time without a result that says otherwise, and
        again only when it was false meanwhile and ``cooldown`` seconds of media time have passed.
        Where it is not known to be true, for something that it asks about is missing, it is false;
        results that are not ``ok`` tell nothing. A restart of the stream starts anew.

        Conditions and actions have threads of their own: the stream never waits for them, and an
        exception in an action is logged, kept in :attr:`Alert.error` and given to the stream's
        ``on_error``. ``await stream.wait()``
        returns when actions that began are over.

        Args:
            condition: what must be true.
            do: a function that takes the result, or nothing; a coroutine function, which runs on an
                event loop of its own; ``print``, for a line with time, condition, sample and
                answer; or "bell", for a sound and that line as an output.
            hold: seconds of media time that it must have been true.
            cooldown: seconds of media time after it fired in which it does not fire again.
            name: what lines call it. Default: the condition.

        Raises:
            ValidationError: the condition cannot be understood, or not of this stream's columns;
                or another parameter cannot be used.
            StreamClosedError: the stream is over.
        """
        if not self._run.is_active:
            raise StreamClosedError(
                f"no result will come any more of which {condition!r} could be asked, for the "
                f"stream is over: stream.df.overshoot.events({condition!r}) asks the rows it has"
            )
        first = len(self._run.journal.table)  # importing takes a while, and results come meanwhile

        from .analysis.alerts import start_alert

        return start_alert(
            self._run, condition, do, hold=hold, cooldown=cooldown, name=name, first=first
        )

    @property
    def alerts(self) -> list[Alert]:
        """Every open :meth:`when`, oldest first."""
        from .analysis.alerts import Alert

        return self._run.journal.followed_by(Alert)
