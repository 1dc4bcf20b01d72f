"""``FrameStore``: the sampled pictures of a stream by sample index, wherever they are kept."""

from __future__ import annotations

import math
import operator
import threading
import weakref
from collections.abc import Iterator, Mapping
from typing import Protocol

from overshoot_nb import config
from overshoot_nb.errors import SampleNotKeptError
from overshoot_nb.support.picture_bytes import PictureBytes, megabytes
from overshoot_nb.types import Sample

from .spill import Spill
from .stored_sample import StoredSample

#: Of a frame; no camera has as many.
_MOST_PIXELS = 2**28


class FrameArchive(Protocol):
    """Samples that are kept elsewhere than in memory, as in a recording. For any thread."""

    @property
    def nbytes(self) -> int:
        """Bytes that its pictures take on disk."""

    @property
    def latest(self) -> int | None:
        """Index of the newest sample that it holds, None where it holds none."""

    def get(self, index: int) -> Sample | None:
        """The sample with its pictures, None where it is not held (any more). May read a file."""

    def indices(self) -> list[int]:
        """The indices of the samples held, a list of the caller's own. Reads no file."""

    def why_not(self, index: int) -> str:
        """Why there is no sample of that index, in words: "the recording ends at sample 30"."""

    def __contains__(self, index: object) -> bool:
        """Whether it holds a sample of that index. Reads no file."""

    def close(self) -> None:
        """Let go of files; it holds nothing from then on. Idempotent."""


class FrameStore(Mapping[int, StoredSample]):
    """The sampled pictures of a stream: ``store[index]``.

    A mapping from sample index (column ``sample`` of the results) to :class:`StoredSample`, in
    the order the samples were taken. When the pictures take more than ``max_bytes``, the oldest
    samples leave memory: for a temporary file where there is one, and when that is full, too, they
    are dropped. ``store[index]`` finds a sample wherever it is, with the same bytes. In memory
    these are those of the sample, never copied; a picture that several clips share counts once.
    Any thread may put while others read, and never waits for the disk.

    All stores of the process together keep ``OVERSHOOT_MEMORY`` (512 MB) in memory, whether their
    streams run, are over, or were shown long ago. When it is more, the oldest samples of the store
    that was made first leave memory, then those of the next; the newest of each go last.

    Args:
        max_bytes: bytes of encoded pictures to keep in memory; 0 keeps none anywhere. Default
            256 MiB. Those that are on their way to the disk come on top of it, 32 MiB at most.
        spill: where samples go that leave memory; None drops them.
        backing: where samples are looked for that were not put.

    Raises:
        ValueError: ``max_bytes`` is negative.
        ValidationError: ``OVERSHOOT_MEMORY`` holds no amount of memory.
    """

    def __init__(
        self,
        max_bytes: int = config.KEEP_FRAMES_BYTES,
        *,
        spill: Spill | None = None,
        backing: FrameArchive | None = None,
    ) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes={max_bytes} is negative; 0 keeps no pictures")
        self.max_bytes = max_bytes
        self._spill = spill
        self._backing = backing
        self._lock = threading.Lock()
        self._samples: dict[int, Sample] = {}
        self._held = PictureBytes()
        self._highest = -1
        self._shrunk = False  # for others
        _memory.join(self)

    def put(self, sample: Sample) -> None:
        """Keep a sample, and let the oldest ones leave memory where it does not fit beside them.

        One of the same index is replaced. One that is larger than ``max_bytes`` by itself is not
        kept in memory, and no other leaves for it.
        """
        with self._lock:
            if sample.index <= self._highest:
                self._forget(sample.index)
            self._highest = max(self._highest, sample.index)
            if self.max_bytes == 0:
                return
            if sample.nbytes > self.max_bytes:
                if self._spill is not None:
                    self._spill.put(sample)
                return
            self._samples[sample.index] = sample
            self._held.add(sample)
            while self._held.total > self.max_bytes:
                self._let_oldest_leave()
        _memory.fit()  # unlocked: it may be the turn of others

    def _let_oldest_leave(self) -> None:
        oldest = next(iter(self._samples.values()))
        if self._spill is not None:  # first: whoever looks meanwhile finds it in either
            self._spill.put(oldest)
        del self._samples[oldest.index]
        self._held.remove(oldest)

    def _shrink(self, nbytes: int, keep: int) -> None:
        """Let the oldest samples leave memory, but the newest ``keep``, until so much is free."""
        with self._lock:
            self._shrunk = True
            least = self._held.total - nbytes
            while self._held.total > least and len(self._samples) > keep:
                self._let_oldest_leave()

    def leave_memory(self) -> bool:
        """Send all samples to the disk; False where there is none, so that they stay.

        For a stream that is over. Returns at once; memory is free when they are written.
        """
        with self._lock:
            if self._samples and (self._spill is None or self._spill.failure is not None):
                return False
            if self._spill is not None:
                self._spill.put_all(self._samples.values())
            self._samples.clear()
            self._held.clear()
            return True

    @property
    def nbytes(self) -> int:
        """Bytes of the pictures in memory, also of those on their way to the disk."""
        return self._held.total + (self._spill.nbytes_waiting if self._spill is not None else 0)

    @property
    def nbytes_on_disk(self) -> int:
        """Bytes that pictures take on disk."""
        return sum(kept.nbytes for kept in (self._spill, self._backing) if kept is not None)

    @property
    def latest_index(self) -> int | None:
        """Index of the sample put last, None where there is none. Reads no file."""
        with self._lock:
            newest = [next(reversed(self._samples), None)]
        newest += [kept.latest for kept in (self._spill, self._backing) if kept is not None]
        return max((index for index in newest if index is not None), default=None)

    @property
    def latest(self) -> StoredSample | None:
        """The sample put last, None where there is none; it may be read from the disk."""
        index = self.latest_index
        return None if index is None else self.get(index)

    def __getitem__(self, index: int) -> StoredSample:
        """The sample of that index, which may be read from the disk.

        Raises:
            SampleNotKeptError: it was dropped, or not taken yet (also a KeyError).
        """
        sample = self._samples.get(index)
        if sample is None and index in self:
            sample = self._fetch(operator.index(index))
        if sample is None:
            raise SampleNotKeptError(self._why_not(index))
        return StoredSample(sample)

    def _fetch(self, index: int) -> Sample | None:
        for kept in (self._spill, self._backing):
            sample = kept.get(index) if kept is not None else None
            # What a file of others has for a sample may be without any picture.
            if sample is not None and (sample.frames or sample.video is not None):
                _check_frames(sample)
                return sample
        return self._samples.get(index)  # it may have been put again meanwhile

    def __contains__(self, index: object) -> bool:
        return any(
            index in kept
            for kept in (self._samples, self._spill, self._backing)
            if kept is not None
        )

    def __iter__(self) -> Iterator[int]:
        return iter(self._indices())

    def __len__(self) -> int:
        return len(self._indices())

    def _indices(self) -> list[int]:
        with self._lock:
            kept = list(self._samples)
            spilled = self._spill.indices() if self._spill is not None else []
        backing = self._backing.indices() if self._backing is not None else []
        return sorted({*backing, *spilled, *kept}) if backing or spilled else kept

    def __repr__(self) -> str:
        sizes = f"{megabytes(self.nbytes)} of {megabytes(self.max_bytes)}"
        if on_disk := self.nbytes_on_disk:
            sizes += f", {megabytes(on_disk)} on disk"
        return f"FrameStore({self._kept()}; {sizes})"

    # A store is itself, not its content: two of them are never the same.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def _forget(self, index: int) -> None:
        if (sample := self._samples.pop(index, None)) is not None:
            self._held.remove(sample)
        if self._spill is not None:
            self._spill.discard(index)

    def _kept(self) -> str:
        indices = self._indices()
        if not indices:
            return "no samples"
        lowest, highest = min(indices), max(indices)
        return f"sample {lowest}" if lowest == highest else f"samples {lowest}..{highest}"

    def _why_not(self, key: object) -> str:
        try:
            index = operator.index(key)  # type: ignore[arg-type]
        except TypeError:
            return f"{key!r} is no sample index: an index is an integer, 0 or more"
        if index < 0:
            return f"no sample {index}: samples count from 0, and .latest is the newest"
        if index > self._highest:
            if self._backing is not None:
                return self._backing.why_not(index)
            return f"no sample {index} yet ({self._so_far()})"
        if self.max_bytes == 0:
            return f"sample {index} was not kept: this store keeps no pictures (0 bytes)"
        size = megabytes(self.max_bytes)
        if self._shrunk:
            size += f", and all streams together {megabytes(_memory.max_bytes)} in memory"
        if self._spill is not None:
            failure = self._spill.failure
            disk = megabytes(self._spill.max_bytes)
            size += f"; none on disk: {failure}" if failure else f" and {disk} on disk"
        return (
            f"sample {index} was dropped from the store (it keeps the last {size}: {self._kept()})"
        )

    def _so_far(self) -> str:
        if self._highest < 0:
            return "none was taken"
        return f"the newest is {self._highest}"


def _check_frames(sample: Sample) -> None:
    """Refuse frames that nothing can be done with, as damaged or made-up files have them.

    Raises:
        SampleNotKeptError: says which.
    """
    if not math.isfinite(sample.media_time):
        raise SampleNotKeptError(f"sample {sample.index} is damaged: it is at no time")
    for number, frame in enumerate(sample.frames):
        sides = frame.width or 0, frame.height or 0
        timed = frame.media_time is not None and math.isfinite(frame.media_time)
        if not timed or min(sides) < 1 or sides[0] * sides[1] > _MOST_PIXELS:
            raise SampleNotKeptError(
                f"sample {sample.index} is damaged: its frame {number} is {frame.width}x"
                f"{frame.height} at {frame.media_time} s"
            )


class _Memory:
    """What all stores hold together, and its bound. Any thread."""

    def __init__(self) -> None:
        self.max_bytes = config.MEMORY_BYTES
        self._stores: list[weakref.ref[FrameStore]] = []  # oldest first
        # Held by nobody who holds that of a store, and taken by no finalizer.
        self._lock = threading.Lock()

    def join(self, store: FrameStore) -> None:
        """Count a new store in; its process may have another bound by now.

        Raises:
            ValidationError: ``OVERSHOOT_MEMORY`` holds no amount of memory.
        """
        max_bytes = config.memory_bytes()
        with self._lock:
            self.max_bytes = max_bytes
            there = [one for one in self._stores if one() is not None]
            self._stores = [*there, weakref.ref(store)]

    def fit(self) -> None:
        """Let samples leave memory until all is within the bound."""
        if self._held() <= self.max_bytes:
            return
        with self._lock:
            for keep in (1, 0):
                for store in self._alive():
                    if (over := self._held() - self.max_bytes) <= 0:
                        return
                    store._shrink(over, keep)

    def _held(self) -> int:
        return sum(store._held.total for store in self._alive())

    def _alive(self) -> list[FrameStore]:
        return [store for one in self._stores if (store := one()) is not None]


_memory = _Memory()
