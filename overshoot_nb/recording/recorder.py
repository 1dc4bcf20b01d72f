"""``Recorder``: what ``stream.record(...)`` gives back, and how a recording begins."""

from __future__ import annotations

import concurrent.futures
import html
import os
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from overshoot_nb.progress import ProgressBar

from .ended_run import write_run
from .placing import check_path

if TYPE_CHECKING:
    from overshoot_nb.tuning.run import Run

__all__ = ["Recorder", "RecorderState", "start_recording"]

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

    @property
    def rows(self) -> int:
        """Rows that are in the file."""
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
        return f"{said} ({self.error})" if self.error is not None else said

    def close(self) -> None:
        """Record no more, and wait until the file is finished. Idempotent."""

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
        return f"<code>{html.escape(self.path.name)}</code> {html.escape(self.status)}"


def start_recording(
    run: Run, path: str | os.PathLike[str], *, overwrite: bool, progress: bool
) -> Recorder:
    """Check the path and begin; described at ``stream.record``.

    Raises:
        ValidationError: the path cannot be used.
        OSError: the file cannot be written.
    """
    target = check_path(path, overwrite=overwrite)
    recorder = Recorder(target)
    bar = _Bar(target.name, len(run.journal.log) + len(run.journal.later)) if progress else None
    try:
        rows = write_run(
            run, target, overwrite=overwrite, wrote=bar.draw if bar else lambda _: None
        )
    finally:
        if bar is not None:
            bar.close()
    recorder._rows, recorder._nbytes = rows, target.stat().st_size
    recorder.over.set_result(None)
    return recorder


class _Bar:
    """A progress bar of what turns out to take a while."""

    def __init__(self, label: str, total: int) -> None:
        self._label, self._total = label, total
        self._began = time.monotonic()
        self._bar: ProgressBar | None = None

    def draw(self, rows: int) -> None:
        if self._bar is None and time.monotonic() - self._began > _BAR_AFTER_SECONDS:
            self._bar = ProgressBar(self._label, self._total)
        if self._bar is not None:
            self._bar.draw(rows)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
