"""``Recorder``: what ``stream.record(...)`` gives back, and how a recording begins."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from overshoot_nb.errors import ValidationError
from overshoot_nb.running.run_registry import remember_file
from overshoot_nb.runtime.event_loop import get_runtime, start_thread
from overshoot_nb.support.html import escaped, fragment
from overshoot_nb.support.progress import ProgressBar

from .ended_run import write_run
from .live_recording import LiveRecording
from .placing import check_path

if TYPE_CHECKING:
    from overshoot_nb.running.run import Run

logger = logging.getLogger("overshoot_nb")

RecorderState = Literal["recording", "finished", "failed"]

#: What takes less long shows no bar.
_BAR_AFTER_SECONDS = 1.0


class Recorder:
    """A run being kept as a file; made by ``stream.record(...)``.

    Leaving it as a context manager closes it. Any thread may use it.

    Attributes:
        path: the file, absolute.
        error: what made it fail, or None.
    """

    def __init__(self, path: Path) -> None:
        # Made by start_recording alone.
        self.path = path
        self.error: Exception | None = None
        self._rows = 0
        self._nbytes = 0
        #: Resolved when the file is finished or has failed.
        self.over: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._live: LiveRecording | None = None
        self._lost = 0
        self._pid = os.getpid()

    @property
    def rows(self) -> int:
        """Samples in the file, answered or not, and later answers: as many as ``load`` finds.

        Also after it failed, as on a full disk.
        """
        return self._rows

    @property
    def nbytes(self) -> int:
        """Bytes of the file that hold something."""
        return self._nbytes

    @property
    def state(self) -> RecorderState:
        """recording; then finished or failed."""
        if self.error is not None:
            return "failed"
        return "finished" if self.over.done() else "recording"

    @property
    def status(self) -> str:
        """The state, how much there is and, where there is one, the reason, in words."""
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        said = f"{self.state}: {rows}, {self.nbytes / 1e6:,.1f} MB"
        if lost := self.lost_pictures:
            said += f", {lost:,} without pictures: the disk was too slow"
        return f"{said} ({self.error})" if self.error is not None else said

    @property
    def lost_pictures(self) -> int:
        """Samples that are recorded without their pictures, as the disk was too slow for them."""
        return self._live.lost_pictures if self._live is not None else self._lost

    @property
    def label(self) -> str:
        """The name of the file."""
        return self.path.name

    @property
    def idle(self) -> bool:
        """True: it is waited for by :attr:`over`."""
        return True

    def close(self) -> None:
        """Record no more, and wait until the file is finished. Idempotent."""
        if self._pid != os.getpid():
            return  # a forked child's: the thread that writes is its parent's
        if (live := self._live) is not None:
            live.close()
        self.over.result()

    # ---- from the recording ----

    def _begin(self, run: Run, *, overwrite: bool, progress: Callable[[int], object]) -> None:
        live = LiveRecording(
            run, self.path, wrote=self._wrote, over=lambda error: self._end(run, error)
        )
        # Before it begins: whoever waits for the end of a run that is over soon waits for the file.
        run.journal.followers.append(self)
        try:
            live.begin(overwrite=overwrite, progress=progress)
        except BaseException:
            run.journal.followers.remove(self)
            self.over.set_result(None)
            raise
        self._live = live
        # The stream's own end at exit waits for its recorders; one that is over already does not.
        get_runtime().close_at_exit(self, self._wait)
        start_thread(live.work, f"overshoot-recorder-{self.path.name}")

    async def _wait(self) -> None:
        await asyncio.wait([asyncio.wrap_future(self.over)])

    def _wrote(self, rows: int, nbytes: int) -> None:
        self._rows, self._nbytes = rows, nbytes

    def _end(self, run: Run, error: Exception | None) -> None:
        """It is over; nothing of the run is held any more."""
        self.error = error
        if self._live is not None:
            self._lost, self._live = self._live.lost_pictures, None
        try:
            if error is None:
                _remember(run, self.path)
            else:
                logger.warning("recording %s failed, what it has stays: %s", self.path, error)
                run.callbacks.report(error)
        finally:  # whatever happens: somebody waits for it
            run.journal.followers.remove(self)
            get_runtime().forget(self)
            _give_back(self.path)
            self.over.set_result(None)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Recorder {self.path.name}, {self.status}>"

    def _repr_html_(self) -> str:
        return fragment(f"<code>{escaped(self.path.name)}</code> {escaped(self.status)}")


def start_recording(
    run: Run, path: str | os.PathLike[str], *, overwrite: bool, progress: bool
) -> Recorder:
    """Check the path and begin; described at ``stream.record``.

    Raises:
        ValidationError: the path cannot be used.
        OSError: the file cannot be written.
    """
    target = check_path(path, overwrite=overwrite)
    _take(target)
    recorder = Recorder(target)
    bar = _Bar(target.name, len(run.journal.log) + len(run.journal.later), shown=progress)
    begun = False
    try:
        if run.is_active:
            recorder._begin(run, overwrite=overwrite, progress=bar.draw)
            begun = True
        else:
            rows = write_run(run, target, overwrite=overwrite, wrote=bar.draw)
            recorder._wrote(rows, target.stat().st_size)
            _remember(run, target)
            recorder.over.set_result(None)
    finally:
        bar.close()
        if not begun:
            _give_back(target)
    return recorder


def _remember(run: Run, path: Path) -> None:
    """Rows of the run find their pictures in the file once the run is gone."""
    for stream_id in dict.fromkeys(row.stream_id for row in run.journal.table):
        remember_file(stream_id, path)


#: Files that are being written, each by one recorder.
_taken: set[Path] = set()
_lock = threading.Lock()


def _take(path: Path) -> None:
    with _lock:
        if path in _taken:
            raise ValidationError(
                f"{path} is being recorded to; close() that recorder first, or name another file"
            )
        _taken.add(path)


def _give_back(path: Path) -> None:
    with _lock:
        _taken.discard(path)


class _Bar:
    """A progress bar of what turns out to take a while."""

    def __init__(self, label: str, total: int, *, shown: bool) -> None:
        self._label, self._total, self._shown = label, total, shown
        self._began = time.monotonic()
        self._bar: ProgressBar | None = None

    def draw(self, rows: int) -> None:
        late = time.monotonic() - self._began > _BAR_AFTER_SECONDS
        if self._shown and late and self._bar is None:
            self._bar = ProgressBar(self._label, self._total, unit="row")
        if self._bar is not None:
            self._bar.draw(rows)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
