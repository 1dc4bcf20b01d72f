"""``Recordable``: the methods of a stream that keep it as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from overshoot_nb.tuning.run import Run

__all__ = ["Recordable"]


class Recordable:
    """Recording. ``_run`` is whose."""

    _run: Run
