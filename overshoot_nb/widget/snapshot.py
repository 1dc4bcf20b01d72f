"""What stays of a widget where there is no kernel: the stream as plain HTML, kept up to date.

A notebook that is opened again shows "model not found" or nothing in place of a widget whose
kernel has gone, and never the HTML beside it. So the snapshot is an output of its own below the
widget, which hides itself where the widget lives.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from overshoot_nb.running.run_html import run_html
from overshoot_nb.store.stats import counts_in_words
from overshoot_nb.support.html import escaped

if TYPE_CHECKING:
    from overshoot_nb.running.run import Run

#: Seconds between two updates while the stream runs; its end is shown at once.
SNAPSHOT_SECONDS = 10.0

#: JupyterLab and Notebook 7: no snapshot beside a live widget, no error message beside a snapshot.
#: Other hosts: the front end hides it.
_STYLE = """<style>
.jp-OutputArea:has(.ov) .ov-snapshot { display: none }
.jp-OutputArea:has(.ov-snapshot):not(:has(.ov))
  > .jp-OutputArea-child:has(> .lm-Panel.jp-OutputArea-output) { display: none }
</style>"""


class Snapshot:
    """The snapshot of one widget, in every cell that shows it.

    Args:
        run: what is shown.
        owner: whose text stands for it, the stream.
        key: the widget's own.
        clock: seconds, monotonic.

    Attributes:
        notice: what is said below it; "" for nothing.
    """

    def __init__(
        self, run: Run, owner: object, key: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._run = run
        self._owner = owner
        self._key = key
        self._clock = clock
        self.notice = ""
        self._shown = False
        self._state = self._figures = ""
        self._at = 0.0

    def bundle(self) -> dict[str, str]:
        """The stream as it is now, as HTML and text."""
        key = escaped(self._key)
        # A reader may see it long after; where the kernel ended first, nothing else says so.
        now = datetime.now().astimezone()
        as_of = f"as of {now:%Y-%m-%d %H:%M:%S %Z}" if self._run.is_active else ""
        shown = run_html(self._run, self.notice, as_of)
        inside = f'<div class="ov-snapshot" data-key="{key}">{shown}</div>'
        text = "\n".join(filter(None, (repr(self._owner), as_of, self.notice)))
        return {"text/html": _STYLE + inside, "text/plain": text}

    def show(self) -> None:
        """Show it below the widget, in the cell that runs."""
        self._publish(update=False)
        self._shown = True

    def refresh(self, *, after_cell: bool = False) -> None:
        """Bring the cells that show it up to date, now and then and when the state changed.

        Args:
            after_cell: a cell has run, which may be the last before the kernel ends: also where
                the figures changed.
        """
        state = self._run.state
        due = self._clock() - self._at >= SNAPSHOT_SECONDS or state != self._state
        due = due or (after_cell and counts_in_words(self._run.stats) != self._figures)
        if self._shown and due:
            self._publish(update=True)

    def _publish(self, *, update: bool) -> None:
        from IPython.display import publish_display_data

        self._state, self._at = self._run.state, self._clock()
        self._figures = counts_in_words(self._run.stats)
        publish: Any = publish_display_data
        publish(self.bundle(), transient={"display_id": f"overshoot-{self._key}"}, update=update)
