"""``Spill``: samples that memory has no room for, in a temporary file on disk."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue

from overshoot_nb import config
from overshoot_nb.runtime.event_loop import start_thread
from overshoot_nb.support.picture_bytes import PictureBytes, megabytes, pictures_of
from overshoot_nb.types import Sample

from .spill_file import SpillFile

logger = logging.getLogger("overshoot_nb")

#: So many bytes are written at once: a thread that computes would hold up each call, and with more
#: of them the copy in between costs most.
BATCH_BYTES = 1024**2
#: A thread that has nothing to write ends after so many seconds; the next sample starts another.
IDLE_SECONDS = 2.0

#: Where a picture is in the file, and its bytes.
Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Record:
    """A sample on disk.

    Attributes:
        sample: the sample, its pictures left out.
        places: where they are, in the order of :func:`pictures_of`.
        oldest: the lowest position among them: when it is overwritten, the sample is gone.
    """

    sample: Sample
    places: tuple[Place, ...]
    oldest: int


class Spill:
    """Samples on disk, by their index; the oldest go when there is no room for more.

    ``put`` never waits for the disk: a thread writes, and until then the samples are found in
    memory. Pictures that a sample shares with the one put before it are written once. Where the
    disk cannot be written, that is logged once, and samples are dropped from then on. Any thread
    may put while others read. The file is gone when the object is, or its process.

    Args:
        folder: where the file is made; None is the configured one.
        max_bytes: bytes of the file, at most; None is what is configured.

    Raises:
        ValueError: ``max_bytes`` is not positive.
        ValidationError: ``OVERSHOOT_SPILL_BYTES`` is no number of bytes.
    """

    def __init__(self, folder: Path | None = None, max_bytes: int | None = None) -> None:
        capacity = config.spill_bytes() if max_bytes is None else max_bytes
        if capacity <= 0:
            raise ValueError(f"max_bytes={capacity} is not valid: it must be 1 or more")
        self._file = SpillFile(config.spill_dir() if folder is None else folder, capacity)
        self._pid = os.getpid()
        self._lock = threading.Lock()  # never held while the disk is waited for
        self._waiting: dict[int, Sample] = {}
        self._held = PictureBytes()  # by those that wait
        self._writing: frozenset[int] = frozenset()
        self._records: dict[int, _Record] = {}
        self._written_last: dict[int, tuple[bytes, int]] = {}  # pictures by id, and where they are
        self._failure: str | None = None
        self._thread: threading.Thread | None = None
        self._work: SimpleQueue[None] = SimpleQueue()
        end = weakref.finalize(self, _end, self._file, self._work)
        end.atexit = False  # the system closes files then, and a thread may be writing

    @classmethod
    def configured(cls) -> Spill | None:
        """One as the environment has it, None where it keeps no pictures on disk.

        Raises:
            ValidationError: ``OVERSHOOT_SPILL_BYTES`` is no number of bytes.
        """
        return cls() if config.spill_bytes() else None

    @property
    def max_bytes(self) -> int:
        """Bytes of the file, at most; fewer than asked for where the disk has no room."""
        return self._file.capacity

    @property
    def nbytes(self) -> int:
        """Bytes of the file."""
        return self._file.nbytes

    @property
    def nbytes_waiting(self) -> int:
        """Bytes of pictures that are in memory until they are written."""
        return self._held.total

    @property
    def failure(self) -> str | None:
        """Why nothing is kept on disk any more, None where something is."""
        return self._failure

    @property
    def latest(self) -> int | None:
        """Index of the sample put last of those kept, None where there is none."""
        with self._lock:
            last = next(reversed(self._waiting), None)
            return last if last is not None else next(reversed(self._records), None)

    def put(self, sample: Sample) -> None:
        """Keep a sample. Where too many wait for the disk, the oldest of them goes."""
        self._take((sample,), config.SPILL_WAITING_BYTES)

    def put_all(self, samples: Iterable[Sample]) -> None:
        """Keep samples that were in memory anyway, however many wait."""
        self._take(samples, None)

    def _take(self, samples: Iterable[Sample], limit: int | None) -> None:
        with self._lock:
            if self._failure is not None or self._pid != os.getpid():
                return  # a forked process has its parent's file, but must not write to it
            was_idle = not self._waiting
            for sample in samples:
                self._forget(sample.index)
                self._waiting[sample.index] = sample
                self._held.add(sample)
            if limit is not None and self._held.total > limit:
                self._drop_waiting(limit)
            if was_idle and self._waiting:
                self._wake()

    def _drop_waiting(self, limit: int) -> None:
        """Drop the oldest that nobody writes now until the rest fits; the newest stays."""
        newest = next(reversed(self._waiting))
        for index in list(self._waiting):
            if self._held.total <= limit or index == newest:
                return
            if index not in self._writing:
                self._forget(index)

    def _wake(self) -> None:
        if self._thread is not None:
            self._work.put(None)
            return
        me, work = weakref.ref(self), self._work
        try:
            self._thread = start_thread(lambda: _serve(me, work), "overshoot-spill")
        except RuntimeError:  # the interpreter ends, and so does all of this
            self._waiting.clear()
            self._held.clear()

    def get(self, index: int) -> Sample | None:
        """The sample with its pictures, None where it is not kept. May read the file."""
        with self._lock:
            waiting, record = self._waiting.get(index), self._records.get(index)
        if waiting is not None or record is None:
            return waiting
        try:
            pictures = {place: self._file.read(*place) for place in set(record.places)}
        except OSError as error:
            logger.warning("sample %d cannot be read from disk: %s", index, error.strerror)
            return None
        with self._lock:
            if self._records.get(index) is not record:
                return None  # it may have been overwritten meanwhile
        return _with_pictures(record, pictures)

    def discard(self, index: int) -> None:
        """Keep the sample no more, where it is kept."""
        with self._lock:
            self._forget(index)

    def indices(self) -> list[int]:
        """The indices of the samples kept, in the order they were put."""
        with self._lock:
            return [*self._records, *self._waiting]

    def __contains__(self, index: object) -> bool:
        with self._lock:  # else it could be on its way from one to the other
            return index in self._waiting or index in self._records

    def __repr__(self) -> str:
        size = f"{megabytes(self.nbytes)} of {megabytes(self.max_bytes)}"
        return f"<Spill of {len(self.indices())} samples; {self._failure or size}>"

    def _forget(self, index: int) -> None:
        if (waiting := self._waiting.pop(index, None)) is not None:
            self._held.remove(waiting)
        self._records.pop(index, None)

    # ---- on the thread that writes ----

    def _write_some(self) -> bool:
        """Write some of those that wait, oldest first; False where none does."""
        with self._lock:
            nbytes = 0
            batch: list[Sample] = []
            for sample in self._waiting.values():
                nbytes += sample.nbytes
                if batch and nbytes > BATCH_BYTES:
                    break
                batch.append(sample)
            self._writing = frozenset(sample.index for sample in batch)
        if not batch:
            return False
        try:
            self._write(batch)
        except OSError as error:
            # Without the path, which strerror lacks: it is the folder that matters.
            self._fail(f"{self._file.folder}: {error.strerror or error}")
        except Exception as error:
            logger.exception("pictures could not be kept on disk")
            self._fail(f"{type(error).__name__}: {error}")
        return True

    def _write(self, batch: list[Sample]) -> None:
        new, places = self._plan(batch)
        data = b"".join(new)
        if not self._file.make_room(len(data)):
            self._say_full()
        if len(data) > self._file.capacity:
            if len(batch) > 1:
                for sample in batch:
                    self._write([sample])
            else:
                self.discard(batch[0].index)
            return
        with self._lock:
            start = self._file.reserve(len(data))
            self._drop_overwritten()
        try:
            self._file.write(start, data)
        except OSError as error:
            with self._lock:
                again = self._file.give_back(start, error)
                self._drop_overwritten()
            if not again:
                raise
            self._say_full()
            self._write(batch)
            return
        self._written(batch, places, start)

    def _plan(self, batch: list[Sample]) -> tuple[list[bytes], list[list[Place]]]:
        """The pictures to write, and each sample's places: new ones negative, from -1 down."""
        # Only what is shared with the one before: then those with the oldest places are first.
        known = self._written_last
        new: list[bytes] = []
        size = 0
        places: list[list[Place]] = []
        for sample in batch:
            before, known = known, {}
            for data in pictures_of(sample):
                if id(data) in known:
                    continue
                if id(data) in before:
                    known[id(data)] = before[id(data)]
                    continue
                known[id(data)] = data, -1 - size
                new.append(data)
                size += len(data)
            places.append([(known[id(data)][1], len(data)) for data in pictures_of(sample)])
        return new, places

    def _written(self, batch: list[Sample], places: list[list[Place]], start: int) -> None:
        for own in places:
            own[:] = [(at if at >= 0 else start - 1 - at, size) for at, size in own]
        with self._lock:
            for sample, own in zip(batch, places, strict=True):
                if self._waiting.get(sample.index) is not sample:
                    continue  # it was replaced meanwhile
                self._forget(sample.index)
                oldest = min((at for at, _ in own), default=start)
                if oldest >= self._file.oldest:
                    record = _Record(_without_pictures(sample), tuple(own), oldest)
                    self._records[sample.index] = record
            self._writing = frozenset()
        self._written_last = {
            id(data): (data, at)
            for data, (at, _) in zip(pictures_of(batch[-1]), places[-1], strict=True)
        }

    def _drop_overwritten(self) -> None:
        # The places of a sample are new, or of the one before it: the first are the oldest.
        while self._records:
            index, record = next(iter(self._records.items()))
            if record.oldest >= self._file.oldest:
                return
            del self._records[index]

    def _say_full(self) -> None:
        logger.warning(
            "the disk of %s has room for no more than %s of pictures: the oldest are dropped",
            self._file.folder,
            megabytes(self._file.capacity),
        )

    def _fail(self, why: str) -> None:
        logger.warning("no more pictures are kept on disk, the oldest are dropped: %s", why)
        with self._lock:
            self._failure = why
            self._waiting.clear()
            self._held.clear()

    def _rest(self) -> bool:
        """Whether the thread may end, as it has nothing to do."""
        with self._lock:
            if self._waiting:
                return False
            self._thread = None
            return True


def _serve(me: weakref.ref[Spill], work: SimpleQueue[None]) -> None:
    while _serve_once(me, work):
        pass


def _serve_once(me: weakref.ref[Spill], work: SimpleQueue[None]) -> bool:
    # Between two batches nothing here holds the object, so that it can go.
    spill = me()
    if spill is None:
        return False
    if spill._write_some():
        return True
    del spill
    try:
        work.get(timeout=IDLE_SECONDS)
    except Empty:
        spill = me()
        return spill is not None and not spill._rest()
    return True


def _end(file: SpillFile, work: SimpleQueue[None]) -> None:
    file.close()
    work.put(None)  # the thread sees that there is nothing left to serve


def _without_pictures(sample: Sample) -> Sample:
    frames = tuple(replace(frame, data=b"") for frame in sample.frames)
    return replace(sample, frames=frames, video=None if sample.video is None else b"")


def _with_pictures(record: _Record, pictures: Mapping[Place, bytes]) -> Sample:
    sample, data = record.sample, [pictures[place] for place in record.places]
    frames = tuple(replace(f, data=d) for f, d in zip(sample.frames, data, strict=False))
    return replace(sample, frames=frames, video=None if sample.video is None else data[-1])
