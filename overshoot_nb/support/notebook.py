"""Whether this is a notebook, and what is to be said in it once."""

from __future__ import annotations

import sys
from typing import Any

_notice: list[str] = []


def post_notice(text: str) -> None:
    """Keep what is to be said beside what a cell shows next."""
    _notice.append(text)


def take_notice() -> str:
    """What was not said yet, for whoever shows it now; "" for nothing."""
    return _notice.pop() if _notice else ""


def in_kernel() -> bool:
    """Whether this is a Jupyter kernel, and not a terminal or a script."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def show_notice(*more: str) -> None:
    """Show what was not said yet, and more, where a cell shows no widget."""
    said = [text for text in (take_notice(), *more) if text]
    if said:
        from IPython.display import publish_display_data

        publish: Any = publish_display_data
        publish({"text/plain": "\n".join(said)})
