"""Which run made a row: the runs that someone still holds, by the ``stream_id`` of their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from .tuning.run import Run

__all__ = ["find_run", "remember_run"]

_runs: WeakValueDictionary[str, Run] = WeakValueDictionary()


def remember_run(stream_id: str, run: Run) -> None:
    """Rows of this id are of this run. A restarted stream is one run with several ids.

    The run is held by its stream alone: when that is gone, so is what is known here.
    """
    _runs[stream_id] = run


def find_run(stream_id: str) -> Run | None:
    """The run of the rows of this id; None where nobody holds its stream any more."""
    return _runs.get(stream_id)
