"""Whether this is a notebook, and what is to be said in it once."""

from __future__ import annotations

import logging
import sys
from typing import Any

logger = logging.getLogger("overshoot_nb")

_notice: list[str] = []


def warn(text: str) -> None:
    """Say something to whoever runs this: in a kernel beside what is shown next, else in the log.

    What a cell writes to stderr would stand between its outputs, and hosts that count these
    (Voila) would lose later ones.
    """
    if in_kernel():
        _notice.append(text)
    else:
        logger.warning("%s", text)


def take_notice() -> str:
    """What was not said yet, for whoever shows it now; "" for nothing."""
    said = "\n".join(_notice)
    _notice.clear()
    return said


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
