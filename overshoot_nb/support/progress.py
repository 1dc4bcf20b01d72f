"""The bar of what takes a while: tqdm, in notebooks and terminals."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

#: How often a bar is drawn.
TICK_SECONDS = 0.1


class ProgressBar:
    """A bar that is told how far things are.

    Args:
        label: what stands before it.
        total: samples in all, or None where nobody knows.
        unit: what is counted, where it is no samples.
    """

    def __init__(self, label: str, total: int | None, unit: str = "sample") -> None:
        # tqdm.auto warns in a kernel without ipywidgets, where its text bar works as well.
        if importlib.util.find_spec("ipywidgets") is None:
            from tqdm.std import tqdm
        else:
            from tqdm.auto import tqdm
        self._noted = ""
        options: dict[str, Any] = {"total": total, "desc": label, "unit": unit, "leave": True}
        widgets = sys.modules.get("tqdm.notebook")
        if widgets is None or not issubclass(tqdm, widgets.tqdm_notebook):
            self._bar: Any = tqdm(**options)
            self._output: Any = None
            return
        from IPython.display import display

        # Shown by us, so that the text beside it, which is all that a saved notebook may show of
        # it later, can be changed when it has ended: tqdm leaves it at 0 %.
        self._bar = tqdm(**options, display=False)
        self._output = display(self._bar.container, display_id=True)

    def draw(self, done: int, errors: int = 0, note: str = "") -> None:
        """Show how many samples are done, how many of them failed, and what is waited for."""
        if errors or note or self._noted:
            said = [f"errors={errors}"] * bool(errors) + [note] * bool(note)
            # The bar draws itself where something is done, and nothing is while one waits.
            self._bar.set_postfix_str(", ".join(said), refresh=note != self._noted)
            self._noted = note
        self._bar.update(done - self._bar.n)

    def close(self, *, complete: bool = False) -> None:
        """Leave it as it is; ``complete`` says that what is done is all."""
        if complete:
            self._bar.total = self._bar.n
            if self._output is not None and self._bar.n:
                self._bar.container.children[1].max = self._bar.n
            self._bar.refresh()
        self._bar.close()
        if self._output is not None:
            self._output.update(self._bar.container)
