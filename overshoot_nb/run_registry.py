"""Which run made a row: the runs that someone still holds, by the ``stream_id`` of their rows.

A run whose stream nobody ever had in hand, as ``analyze`` returns rows alone, is held here.
Runs that were recorded, or loaded from a recording, are found when nobody holds them any more, too:
they are loaded from their files.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from .errors import OvershootError

if TYPE_CHECKING:
    from .tuning.run import Run

__all__ = ["find_run", "keep_run", "remember_file", "remember_run"]

logger = logging.getLogger("overshoot_nb")

#: So many runs are held for their rows alone, of those that were analysed and of those that were
#: loaded. Their pictures are on disk.
KEPT_RUNS = 4

_runs: WeakValueDictionary[str, Run] = WeakValueDictionary()
_loaded: WeakValueDictionary[str, Run] = WeakValueDictionary()
_files: dict[str, str] = {}
_kept: OrderedDict[str, Run] = OrderedDict()  # by path
#: Analysed, oldest first, each with whether its pictures left memory.
_finished: list[tuple[Run, bool]] = []
_lock = threading.RLock()


def remember_run(stream_id: str, run: Run) -> None:
    """Rows of this id are of this run. A restarted stream is one run with several ids.

    The run is held by its stream alone: when that is gone, so is what is known here.
    """
    _runs[stream_id] = run


def keep_run(run: Run) -> None:
    """Hold a finished run for its rows, until a few others came; its pictures go to the disk.

    Of runs whose pictures stay in memory, as none are kept on disk, only the newest is held.
    """
    left = run.journal.frames.leave_memory()
    with _lock:
        others = [(one, gone) for one, gone in _finished if gone and one is not run]
        _finished[:] = [*others, (run, left)][-KEPT_RUNS:]


def remember_file(stream_id: str, path: str | os.PathLike[str], run: Run | None = None) -> None:
    """Rows of this id are in a recording, whose run is asked where no stream has it any more.

    Args:
        stream_id: the id in the rows.
        path: the recording, absolute.
        run: the run as it was loaded from there; held by whoever loaded it alone.
    """
    with _lock:
        _files[stream_id] = os.fspath(path)
        if run is not None:
            _loaded[stream_id] = run


def find_run(stream_id: str) -> Run | None:
    """The run of the rows of this id; None where nobody holds its stream and it has no file.

    The stream itself comes first: what it took since it was recorded is there alone.
    """
    run = _runs.get(stream_id)
    if run is None:
        run = _loaded.get(stream_id)
    return run if run is not None else _load(stream_id)


def _load(stream_id: str) -> Run | None:
    with _lock:
        path = _files.get(stream_id)
        if path is None:
            return None
        if (known := _loaded.get(stream_id)) is not None:
            return known  # another thread was faster
        from .recording.loading import load_run

        try:
            run = load_run(path)
        except (OvershootError, OSError) as error:
            logger.debug("the recording of stream %s cannot be loaded: %s", stream_id, error)
            return None
        _kept[path] = run
        _kept.move_to_end(path)
        while len(_kept) > KEPT_RUNS:
            _kept.popitem(last=False)
        if stream_id not in _loaded:  # another run was recorded in its place: it is not read again
            _files.pop(stream_id, None)
        return _loaded.get(stream_id)
