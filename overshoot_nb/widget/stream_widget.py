"""``StreamWidget``: the traits that survive a reload, and the wiring behind them."""

from __future__ import annotations

import contextlib
import threading
import uuid
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from overshoot_nb.errors import MissingDependencyError, ValidationError
from overshoot_nb.runtime.event_loop import get_runtime
from overshoot_nb.support.notebook import take_notice

from .content import traits_of
from .kernel_link import KernelLink
from .pages import Pages
from .reporter import Reporter
from .screen import Screen
from .snapshot import Snapshot
from .steering import Steering
from .tuning_choice import TuningChoice
from .tuning_steering import TuningSteering

if TYPE_CHECKING:
    from overshoot_nb.running.run import Run

FRONT_END = Path(__file__).parent / "static" / "widget.js"

if not FRONT_END.is_file():
    raise MissingDependencyError(
        "the widget's front end was not built: install Node.js 20 or newer, then run "
        "`pip install -e .` again (an installed wheel has it built in)"
    )


class StreamWidget(anywidget.AnyWidget):
    """A stream as a widget; made by ``stream.widget``, one for each stream.

    Any trait can be observed and linked. ``selected``, ``prompt`` and ``caption`` can be set, which
    does what the same would do on the page; the others tell what the stream does. No picture and
    no key is ever in a trait.
    """

    _esm = FRONT_END

    key = traitlets.Unicode(
        read_only=True, help="Tells this model from others; the same for all views of it."
    ).tag(sync=True)
    stream_id = traitlets.Unicode(help="Id of the stream; another one after a restart.").tag(
        sync=True
    )
    source = traitlets.Unicode(help="What is watched, in words, without secrets.").tag(sync=True)
    settings = traitlets.Dict(help="What the stream is asked to do.").tag(sync=True)
    prompt = traitlets.Unicode(help="The prompt in force; setting it applies it.").tag(sync=True)
    prompt_version = traitlets.Int(help="Number of the prompt version in force.").tag(sync=True)
    state = traitlets.Unicode(help="starting, running, paused, ended, failed or closed.").tag(
        sync=True
    )
    status = traitlets.Unicode(help="The state and its reason, in words.").tag(sync=True)
    figures = traitlets.Dict(help="Counts of this moment, as stream.stats.").tag(sync=True)
    selected = traitlets.Int(
        None, allow_none=True, help="Index of the selected sample; can be set."
    ).tag(sync=True)
    caption = traitlets.Bool(
        True, help="Whether the latest answer is shown over the video; can be set."
    ).tag(sync=True)
    recent: traitlets.List[Any] = traitlets.List(
        help="The newest rows, their texts cut short, newest last."
    ).tag(sync=True)

    def __init__(self, run: Run, stream: object) -> None:
        super().__init__(**traits_of(run))
        _reload_weakly(self)
        self.set_trait("key", uuid.uuid4().hex)
        #: The stream that is shown.
        self.stream = stream
        #: Whether it was closed: the stream has another one then.
        self.let_go = False
        self._shown = run
        # What is being set from the stream, and where: to be told from what others set meanwhile.
        self._writing: tuple[int, str, Any] | None = None
        self._left = False  # whether no cell shows it any more
        self._snapshot = Snapshot(run, stream, self.key)
        self._link = KernelLink(self)
        self._pages = Pages(self._link.deaf)
        self._screen = Screen(run, self._link, self._pages)
        self._reporter = Reporter(run, self._link, self._pages, self._screen, self._sync)
        self._tuning = TuningSteering(run, self._link, self._pages)
        self._steering = Steering(run, self._link, self._pages, self._reporter, self._tuning)
        self.on_msg(self._receive)
        self.observe(self._select, "selected")
        self.observe(self._ask, "prompt")

    def __repr__(self) -> str:
        count = self.figures.get("results", len(self._shown.journal.table))
        return f"<StreamWidget {self.state}, {self.source}, {count} results>"

    @property
    def tuning(self) -> TuningChoice:
        """What the Tune tab looks at: versions, field, samples. Can be set; every page follows."""
        return self._tuning.choice

    def show(self) -> None:
        """Show the widget in the cell that runs, and below it what a kernel leaves behind."""
        from IPython.display import display

        self._notice()

        show: Any = display
        # No HTML of its own: where a front end would take it, the snapshot is there already.
        show({**self._view(), "text/html": "", "text/plain": ""}, raw=True)
        self._snapshot.show()
        self._left = False
        _shown_in_cell(self)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        # In a box, or where only the widget itself is shown.
        self._notice()
        return {**self._view(), **self._snapshot.bundle()}

    def _notice(self) -> None:
        """What was not said yet is said here."""
        self._snapshot.notice = self._reporter.notice = self._snapshot.notice or take_notice()

    def flush(self) -> None:
        """Write how the stream stands into the cells that show it, now.

        Where nobody reads what comes after a cell (``jupyter execute``), it would be lost.
        """
        if threading.current_thread() is threading.main_thread():
            self._sync()
        else:
            # As a part of the cell that runs now: what runs on the streams' loop has its context.
            self._snapshot.refresh()
            self._link.on_kernel(self._sync)

    def _view(self) -> dict[str, Any]:
        made = super()._repr_mimebundle_()
        return made[0] if isinstance(made, tuple) else made or {}

    def _receive(self, _widget: object, message: Any, _buffers: object) -> None:
        # On the kernel's main thread or one of its subshells: hand over, and nothing else.
        self._link.heard()
        if not isinstance(message, dict):
            return
        if message.get("kind") == "ack":
            # What makes room for the next picture does not wait for its turn on a busy loop.
            with contextlib.suppress(KeyError, TypeError, ValueError):
                self._pages.ack(str(message["page"]), int(message["seq"]))
            return
        get_runtime().loop.call_soon_threadsafe(self._steering.receive, message)

    def _sync(self) -> None:
        """Bring the traits up to date; on the kernel's thread."""
        with self.hold_sync():
            for name, value in traits_of(self._shown).items():
                self._writing = threading.get_ident(), name, value
                setattr(self, name, value)
            self._writing = None
        self._snapshot.refresh()
        if self._left:
            self._leave()

    def _is_own(self, change: Any) -> bool:
        return self._writing == (threading.get_ident(), change["name"], change["new"])

    def close(self) -> None:
        """Let the stream go: it goes on, and ``stream.widget`` is another from then on.

        Until then a widget that was shown keeps its stream in memory, rows and pictures too. A
        stream that is over is let go by itself when the cells that showed it were run again, and
        did not show it.
        """
        # Also called on a widget that was never whole.
        if not getattr(self, "let_go", True):
            self.let_go = True
            self._reporter.close()
            self._tuning.close()
            self._screen.stop()
        super().close()

    def _leave(self) -> None:
        """No cell shows it any more."""
        self._left = True
        if not self._shown.is_active:  # else at its end
            self._shown.frames.leave_memory()  # IPython's Out may hold it still
            self.close()

    def _select(self, change: Any) -> None:
        if self._is_own(change):
            return
        try:
            self._shown.selected = change["new"]
        except ValidationError:
            self.selected = self._shown.selected

    def _ask(self, change: Any) -> None:
        if self._is_own(change) or change["new"] == self._shown.prompt:
            return
        loop = get_runtime().loop
        loop.call_soon_threadsafe(lambda: self._steering.update(prompt=change["new"]))


#: Those whose front end is brought up to date when its file changes, see CONTRIBUTING.
_reloaded: weakref.WeakSet[StreamWidget] = weakref.WeakSet()


def _reload_weakly(widget: StreamWidget) -> None:
    # anywidget has its file hold each widget for good, which would hold the stream with its rows
    # and pictures.
    file: Any = StreamWidget._esm
    _reloaded.add(widget)
    file.changed.disconnect()
    file.changed.connect(_reload)


def _reload(text: str) -> None:
    for widget in list(_reloaded):
        widget.set_trait("_esm", text)


#: The widgets that cells show, each with the execution of the cell that showed it last.
_cells: dict[str, weakref.WeakKeyDictionary[StreamWidget, str]] = {}


def _shown_in_cell(widget: StreamWidget) -> None:
    if (here := _this_cell()) is not None:
        shell, cell, execution = here
        _cells.setdefault(cell, weakref.WeakKeyDictionary())[widget] = execution
        shell.events.register("post_run_cell", _after_cell)  # once, however often


def _after_cell(_result: object = None) -> None:
    """What an earlier run of this cell showed, and this one did not, is on no page any more.

    What ended while the cell ran, however it did, is shown as ended before the cell is over; of
    what runs on, the figures are those of now.
    """
    for widget in list(_reloaded):
        if getattr(widget, "let_go", True):
            continue  # never whole, or let go
        run = widget._shown
        if not run.is_active and widget.state != run.state:
            widget.flush()
        elif run.is_active:
            widget._snapshot.refresh(after_cell=True)
    if (here := _this_cell()) is None:
        return
    _, cell, execution = here
    if (shown := _cells.get(cell)) is None:
        return
    for widget in [widget for widget, last in shown.items() if last != execution]:
        del shown[widget]
        if not any(widget in elsewhere for elsewhere in _cells.values()):
            widget._leave()
    if not shown:
        del _cells[cell]


def _this_cell() -> tuple[Any, str, str] | None:
    """The shell, the cell that runs in it, and which execution of it this is; None without one.

    Front ends name their cells, and the same text is the same cell where one does not.
    """
    with contextlib.suppress(ImportError, AttributeError, LookupError, TypeError):
        from IPython.core.getipython import get_ipython

        shell: Any = get_ipython()
        parent = shell.kernel.get_parent("shell")
        cell = parent["metadata"].get("cellId") or parent["content"]["code"]
        return shell, str(cell), str(parent["header"]["msg_id"])
    return None
