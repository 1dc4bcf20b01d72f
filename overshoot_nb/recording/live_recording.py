"""A run that goes on, kept as a file that is whole at every moment.

What happens is noted where it happens, and written on a thread of its own: at least every second
what is new is staged; whenever there is a row group's worth of it, that is sealed (see
``growing_file``). Rows and pictures stay in memory until they are sealed.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from io import RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from overshoot_nb.errors import ValidationError
from overshoot_nb.running.run_secrets import Secrets
from overshoot_nb.types import Sample, StreamInferenceResult

from .arrow_rows import Row, RowWriter, in_groups
from .ended_run import rows_of
from .format import GROUP_BYTES
from .growing_file import GrowingFile
from .placing import explained, placed
from .recorded_rows import COUNTED, samples_and_later
from .recording_file import RecordingFile
from .row_groups import encode_group
from .run_metadata import as_pairs, to_json
from .unsealed import Unsealed
from .widening import widen

if TYPE_CHECKING:
    from overshoot_nb.running.run import Run

logger = logging.getLogger("overshoot_nb")

#: How often what is new is written. With the age at which a waiting sample is, the most that a
#: killed process loses.
TICK_SECONDS = 1.0
#: Pictures that wait to be written take no more memory than this: more are left out.
QUEUE_BYTES = 64 * 2**20
#: More staged groups than this make a file slow to read.
MOST_STAGED = 60


class LiveRecording:
    """Writes what comes of a run, until it is over; a listener of its journal.

    Args:
        run: whose.
        target: a checked path.
        wrote: told rows and bytes whenever they changed, on any thread.
        over: told at the end what made it fail, or None.

    Attributes:
        lost_pictures: samples whose pictures the disk was too slow for.
    """

    def __init__(
        self,
        run: Run,
        target: Path,
        *,
        wrote: Callable[[int, int], object],
        over: Callable[[Exception | None], object],
    ) -> None:
        self.lost_pictures = 0
        self._run, self._target = run, target
        self._wrote, self._over = wrote, over
        self._wake = threading.Event()
        self._closing = False
        self._lock = threading.Lock()
        self._events: deque[Callable[[], object]] = deque()
        self._queued_bytes = 0
        self._schemas = run.journal.table.schemas
        self._writer = RowWriter(self._schemas, Secrets.of(run))
        self._unsealed = Unsealed()
        self._stream_ids: dict[str, None] = {}
        self._later: dict[tuple[int, int], StreamInferenceResult] = {}
        self._later_changes = -1
        self._said: dict[str, Any] = {}
        self._metadata_bytes: dict[bytes, bytes] = {}
        self._file: RawIOBase
        self._growing: GrowingFile

    # ---- what happens: called where it happens ----

    def sampled(self, sample: Sample) -> None:
        """See :class:`~overshoot_nb.store.journal.Listener`."""
        row = Row("waiting", sample.index, sample.media_time, sample)
        row.stream_id = self._run.stream_id
        with self._lock:
            if self._queued_bytes + row.nbytes > QUEUE_BYTES:
                # Not held either: a disk that hangs may do so for as long as the stream runs.
                row.sample = replace(sample, frames=(), video=None)
                row.pictures = False
                self.lost_pictures += 1
            size = row.nbytes
            self._queued_bytes += size
            full = self._queued_bytes >= GROUP_BYTES
        self._events.append(lambda: self._take_sample(row, size))
        if full:
            self._wake.set()

    def missed(self, index: int, media_time: float, reason: str) -> None:
        """See :class:`~overshoot_nb.store.journal.Listener`."""
        row = Row("drop", index, media_time, reason=reason, stream_id=self._run.stream_id)
        self._events.append(lambda: self._unsealed.settle(row))

    def dropped(self, index: int, reason: str) -> None:
        """See :class:`~overshoot_nb.store.journal.Listener`."""
        self._events.append(lambda: self._unsealed.drop(index, reason))

    def answered(self, result: StreamInferenceResult) -> None:
        """See :class:`~overshoot_nb.store.journal.Listener`."""
        self._events.append(lambda: self._unsealed.answer(result))

    def _changed(self) -> None:
        if not self._run.is_active:
            self._wake.set()

    def _take_sample(self, row: Row, size: int) -> None:
        with self._lock:
            self._queued_bytes -= size
        self._unsealed.wait(row, time.monotonic())

    # ---- the beginning: on the caller's thread ----

    def begin(self, *, overwrite: bool, progress: Callable[[int], object]) -> None:
        """Write all that came so far, and put the file in its place.

        Args:
            overwrite: whether a file may be replaced.
            progress: told how many rows are written, now and then.

        Raises:
            OSError: it cannot be written; nothing was begun then.
        """
        journal = self._run.journal
        # First: what happens from now on is noted; what is found twice counts once.
        journal.listen(self)
        try:
            with (
                explained(self._target),
                placed(self._target, overwrite=overwrite) as path,
                path.open("xb", buffering=0) as file,
            ):
                self._growing = GrowingFile(file, self._writer.schema, self._metadata())
                self._write_past(progress)
                self._write_new()
            with explained(self._target):
                self._file = self._target.open("r+b", buffering=0)
        except BaseException:
            journal.unlisten(self)
            raise
        self._growing.move_to(self._file)
        journal.watch(self._changed)

    def _write_past(self, progress: Callable[[int], object]) -> None:
        last: list[Row] = []
        for group in in_groups(self._settled_past()):
            if last:
                sealed = [encode_group(self._writer.table(last))]
                self._growing.write(sealed, [], self._metadata_bytes, keep=True)
                progress(self._growing.rows)
            last = group
        self._unsealed.begin(last)  # more comes

    def _settled_past(self) -> Iterator[Row]:
        for row in rows_of(self._run):
            if row.result is not None:
                self._stream_ids[row.result.stream_id] = None
            if row.kind == "waiting":
                row.stream_id = row.stream_id or self._run.stream_id
                self._unsealed.wait(row, 0.0)
                continue
            if row.kind == "later" and row.result is not None:
                self._later[row.result.prompt_version, row.index] = row.result
            else:
                self._unsealed.past.add(row.index)
            yield row

    # ---- while it goes on: on the recording's thread ----

    def work(self) -> None:
        """Write until the run is over or :meth:`close` is called, and finish the file."""
        error: Exception | None = None
        try:
            with explained(self._target):
                try:
                    while self._run.is_active and not self._closing and self._is_there():
                        self._wake.wait(TICK_SECONDS)
                        self._wake.clear()
                        self._write_new()
                    self._finish()
                    self._check_place()
                finally:
                    self._file.close()
                self._widen()
        except Exception as failed:
            error = failed
            if not isinstance(error, OSError):
                logger.exception("the recording %s failed in an unforeseen way", self._target)
            self._tell_again()
        finally:
            self._run.journal.unlisten(self)
            self._run.journal.unwatch(self._changed)
            self._over(error)

    def close(self) -> None:
        """Record no more; the end comes on the recording's own thread."""
        self._closing = True
        self._wake.set()

    def _write_new(self) -> None:
        """Write what is new, where there is anything."""
        self._take_events()
        unsealed = self._unsealed
        sealing = unsealed.nbytes >= GROUP_BYTES or unsealed.full
        if sealing or self._growing.staged >= MOST_STAGED:
            rows = unsealed.take_groups()
            keep = False
        else:
            rows, keep = [], True
        new = unsealed.take_unstaged(time.monotonic(), again=not keep)
        said = self._said
        metadata = self._metadata()
        if keep and not new and said == self._said:
            return
        sealed = [encode_group(self._writer.table(group)) for group in rows]
        staged = [encode_group(self._writer.table(group)) for group in in_groups(new)]
        self._growing.write(sealed, staged, metadata, keep=keep)
        self._tell()

    def _take_events(self) -> None:
        for _ in range(len(self._events)):
            self._events.popleft()()
        later = self._run.journal.later
        if later.changes == self._later_changes:
            return
        self._later_changes = later.changes
        for result in later:
            key = result.prompt_version, result.sample
            if self._later.get(key) is not result:
                self._later[key] = result
                row = Row("later", result.sample, result.media_time, pictures=False, result=result)
                self._unsealed.settle(row)

    def _metadata(self, *, complete: bool = False) -> dict[bytes, bytes]:
        self._stream_ids[self._run.stream_id] = None
        said = to_json(
            self._run,
            complete=complete,
            stream_ids=list(self._stream_ids),
            lost_pictures=self.lost_pictures,
        )
        self._metadata_bytes = as_pairs(said)
        self._said = {**said, "recorded_at": None}  # what is compared
        return self._metadata_bytes

    # ---- the end ----

    def _finish(self) -> None:
        self._run.journal.unlisten(self)
        self._take_events()
        rows = self._unsealed.take_all()
        for group in in_groups(rows):
            sealed = [encode_group(self._writer.table(group))]
            self._growing.write(sealed, [], self._metadata_bytes, keep=True)
        self._growing.write([], [], self._metadata(), keep=False)
        self._growing.finish(self._metadata(complete=True))
        self._tell()

    def _tell(self) -> None:
        self._wrote(self._unsealed.samples + len(self._later), self._growing.nbytes)

    def _tell_again(self) -> None:
        """Of a file that could not be finished only the file itself knows what is in it."""
        with suppress(OSError, ValidationError):
            file = RecordingFile(self._target)
            footer, table = file.read(COUNTED)
            if self._stream_ids.keys() & set(file.metadata(footer)["stream_ids"]):
                self._wrote(samples_and_later(table), self._growing.nbytes)

    def _is_there(self) -> bool:
        try:
            self._target.stat()
        except FileNotFoundError:
            return False
        except OSError:  # a network's, for a moment
            pass
        return True

    def _check_place(self) -> None:
        """Make sure that the finished file is the one at the path."""
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(self._file.fileno()), self._target.stat()):
                return
        moved = "its file was moved, deleted or replaced meanwhile"
        raise FileNotFoundError(errno.ENOENT, moved, str(self._target))

    def _widen(self) -> None:
        """Give the finished file the columns of schemas that came while it was written."""
        schemas = self._run.journal.table.schemas
        if schemas == self._schemas:
            return
        writer = RowWriter(schemas, Secrets.of(self._run))
        widen(self._target, writer, self._metadata_bytes)
        with suppress(OSError):
            self._wrote(self._growing.rows, self._target.stat().st_size)
