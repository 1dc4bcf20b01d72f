"""The bar of what takes a while: tqdm, in notebooks and terminals."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

__all__ = ["TICK_SECONDS", "ProgressBar"]

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
        text_only = importlib.util.find_spec("ipywidgets") is None
        tqdm = importlib.import_module("tqdm.std" if text_only else "tqdm.auto").tqdm
        self._noted = ""
        self._bar: Any = tqdm(total=total, desc=label, unit=unit, leave=True)

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
            self._bar.refresh()
        self._bar.close()
