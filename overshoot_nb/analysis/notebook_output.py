"""``NotebookOutput``: an output of a cell that changes after the cell has ended."""

from __future__ import annotations

import uuid
from typing import Any

from overshoot_nb.support.html import escaped, fragment, visible
from overshoot_nb.support.notebook import in_kernel


class Note:
    """A line of text, or a little HTML, as an output.

    Args:
        text: the line, as plain text.
        markup: the same as HTML, everything that is not ours escaped. Default: the text.
    """

    def __init__(self, text: str, markup: str | None = None) -> None:
        self._text = text
        self._markup = fragment(escaped(text)) if markup is None else markup

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return self._markup


class NotebookOutput:
    """One output, shown in as many cells as it is asked to; any thread may change it.

    Without a kernel (a script, a terminal) nothing is shown anywhere.
    """

    def __init__(self) -> None:
        self._id = f"overshoot-{uuid.uuid4().hex}"
        self._cell = -1

    def show(self, value: Any) -> None:
        """Show it in the cell that runs."""
        if in_kernel():
            self._cell = _cell_number()
            _display(_shown(value), display_id=self._id)

    @property
    def shown_here(self) -> bool:
        """Whether it was last shown in the cell that runs."""
        return self._cell == _cell_number()

    def change(self, value: Any) -> None:
        """Show something else wherever it is shown."""
        if self._cell >= 0 and in_kernel():
            _display(_shown(value), display_id=self._id, update=True)


def _shown(value: Any) -> Any:
    """The same, but for a table of pandas: its texts are as little to be trusted as others."""
    of_pandas = type(value).__module__.partition(".")[0] == "pandas"
    markup = value._repr_html_() if of_pandas and hasattr(value, "_repr_html_") else None
    return value if markup is None else Note(repr(value), fragment(visible(markup)))


def _display(value: Any, **options: Any) -> None:
    from IPython.display import display

    display(value, **options)


def _cell_number() -> int:
    from IPython import get_ipython

    shell = get_ipython()
    return getattr(shell, "execution_count", -1)
