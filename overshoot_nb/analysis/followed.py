"""``Followed``: the methods of a stream that act on its rows as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from overshoot_nb.tuning.run import Run

__all__ = ["Followed"]


class Followed:
    """Live outputs and alerts. ``_run`` is whose."""

    _run: Run
