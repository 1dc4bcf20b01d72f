"""``Live``: an output that is kept up to date while a stream runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from overshoot_nb.conditions.names import nearest
from overshoot_nb.errors import ValidationError
from overshoot_nb.runtime.side_thread import SideThread
from overshoot_nb.store.journal import Journal
from overshoot_nb.support.notebook import in_kernel

from .notebook_output import Note, NotebookOutput

if TYPE_CHECKING:
    import pandas as pd

    from overshoot_nb.running.run import Run

#: The shortest time between two updates.
UPDATE_SECONDS = 0.5
#: Characters of an error that its line shows.
ERROR_CUT = 300

Rows = Callable[[], "pd.DataFrame"]


def start_live(
    run: Run,
    rows: Rows,
    what: str | Callable[..., object],
    args: tuple[Any, ...],
    options: Mapping[str, Any],
) -> Live:
    """See :meth:`overshoot_nb.followed.Followed.live`."""
    if isinstance(what, str):
        method = _method(what)
        title = what
    elif callable(what):
        method = what
        title = getattr(what, "__name__", type(what).__name__)
    else:
        raise ValidationError(
            f"live() shows a method of df.overshoot by its name, such as 'events', or a function "
            f"of df, not a {type(what).__name__}"
        )
    live = Live(run, rows, lambda frame: method(frame, *args, **options), title)
    live.start()
    return live


class Live:
    """An output that follows a stream; made by ``stream.live(...)``.

    Shown again, in another cell, it is kept up to date in both.

    Attributes:
        error: what the last update raised, or None.
        updates: how often the output was made so far.
    """

    def __init__(
        self, run: Run, rows: Rows, make: Callable[[pd.DataFrame], object], title: str
    ) -> None:
        self.error: BaseException | None = None
        self.updates = 0
        self._run = run
        self._rows = rows
        self._make = make
        self._title = title
        self._output = NotebookOutput()
        self._thread = SideThread(self._step, "overshoot-live")
        self._made_of: tuple[int, int] | None = None  # what the output was made of
        self._value: object = Note(f"{title}: …")
        self._closed = threading.Event()

    @property
    def value(self) -> object:
        """What is shown: what the method or function said last, or a line about what went wrong."""
        return self._value

    @property
    def is_open(self) -> bool:
        """Whether it still follows the stream; False after :meth:`close`."""
        return not self._closed.is_set()

    def close(self) -> None:
        """Follow no more. The output stays as it is. Idempotent, from anywhere."""
        self._closed.set()
        self._run.journal.unwatch(self._thread.wake)
        self._thread.close()

    def start(self) -> None:
        """Show it in the cell that runs, and begin to follow."""
        if not self._run.is_active:
            self._step()  # it can wait for what will not change
        self._output.show(self._value)
        self._run.journal.watch(self._thread.wake)
        self._thread.wake()

    def __repr__(self) -> str:
        state = "closed" if not self.is_open else "live" if self._run.is_active else "up to date"
        failed = f"; {type(self.error).__name__}" if self.error is not None else ""
        return f"<Live {self._title}: {state}, {self.updates} updates{failed}>"

    def _ipython_display_(self) -> None:
        if not in_kernel():
            raise NotImplementedError  # IPython in a terminal takes the repr
        # As the last value of the cell that made it, it is there already.
        if not self._output.shown_here:
            self._output.show(self._value)

    # ---- on its thread ----

    def _step(self) -> float:
        journal = self._run.journal
        made_of = _size(journal)
        if made_of == self._made_of or not self.is_open or not made_of[0]:
            return 0.0
        began = time.monotonic()
        # Rows that come from here on are for the next update.
        self._made_of = made_of
        try:
            value = self._make(self._rows())
            self.error = None
        except BaseException as error:
            self.error = error
            value = Note(_line(self._title, error))
        self.updates += 1
        if self.is_open:
            self._value = value
            self._draw()
        took = time.monotonic() - began
        return max(UPDATE_SECONDS, took)

    def _draw(self) -> None:
        try:
            self._output.change(self._value)
        except BaseException as error:  # what draws the value is a part of making it
            self.error = error
            self._value = Note(_line(self._title, error))
            self._output.change(self._value)


def _size(journal: Journal) -> tuple[int, int]:
    return len(journal.table), journal.later.changes


def _line(title: str, error: BaseException) -> str:
    text = " ".join(f"{title}: {type(error).__name__}: {error}".split())
    return text if len(text) <= ERROR_CUT else text[: ERROR_CUT - 1] + "…"


def _method(name: str) -> Callable[..., object]:
    """A function of rows that calls a method of ``df.overshoot``: "events", "plot.timeline".

    Raises:
        ValidationError: there is none of that name.
    """
    import pandas as pd

    from .accessor import OvershootAccessor

    parts = name.split(".")
    place: Any = OvershootAccessor(pd.DataFrame())
    for part in parts:
        known = [one for one in dir(place) if not one.startswith("_")]
        if part not in known:
            hint = nearest(part, known) or f"; there are {', '.join(known)}"
            raise ValidationError(f"live(): df.overshoot has no method {name[:100]}{hint}")
        place = getattr(place, part)
    if not callable(place):
        raise ValidationError(f"live(): df.overshoot.{name} has methods, and is none")

    def call(rows: pd.DataFrame, *args: Any, **options: Any) -> object:
        found: Any = OvershootAccessor(rows)
        for part in parts:
            found = getattr(found, part)
        return found(*args, **options)

    return call
