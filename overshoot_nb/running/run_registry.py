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
from collections.abc import Iterator
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from overshoot_nb.errors import OvershootError
from overshoot_nb.support.registry import opener

if TYPE_CHECKING:
    from .run import Run

logger = logging.getLogger("overshoot_nb")

#: So many runs are held for their rows alone, of those that were analysed and of those that were
#: loaded. Their pictures are on disk.
KEPT_RUNS = 4

_runs: WeakValueDictionary[str, Run] = WeakValueDictionary()
#: By stream and by the file that it was loaded from: a stream may have been recorded to several.
_loaded: WeakValueDictionary[tuple[str, str], Run] = WeakValueDictionary()
_files: dict[str, list[str]] = {}  # newest last
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
    file = os.fspath(path)
    with _lock:
        _files[stream_id] = [*(f for f in _files.get(stream_id, ()) if f != file), file]
        if run is not None:
            _loaded[stream_id, file] = run


def find_run(stream_id: str) -> Run | None:
    """The run of the rows of this id; None where nobody holds its stream and it has no file.

    The stream itself comes first: what it took since it was recorded is there alone.
    """
    return next(find_runs(stream_id), None)


def find_runs(stream_id: str) -> Iterator[Run]:
    """All runs of the rows of this id, best first: what one has no more, another may have.

    That of the stream, those that were loaded from its recordings, and those recordings, which are
    loaded as they are asked for.
    """
    if (run := _runs.get(stream_id)) is not None:
        yield run
    with _lock:
        files = _files.get(stream_id, [])[::-1]
        loaded = {file: run for file in files if (run := _loaded.get((stream_id, file)))}
    yield from loaded.values()
    for file in files:
        if file not in loaded and (run := _load(stream_id, file)) is not None:
            yield run


def _load(stream_id: str, file: str) -> Run | None:
    with _lock:
        if (known := _loaded.get((stream_id, file))) is not None:
            return known  # another thread was faster
        try:
            run: Run = opener("load_run")(file)
        except (OvershootError, OSError) as error:
            logger.debug("the recording of stream %s cannot be loaded: %s", stream_id, error)
            return None
        _kept[file] = run
        _kept.move_to_end(file)
        while len(_kept) > KEPT_RUNS:
            _kept.popitem(last=False)
        found = _loaded.get((stream_id, file))
        if found is None:  # another run was recorded in its place: it is not read again
            _files[stream_id] = [f for f in _files[stream_id] if f != file]
        return found
