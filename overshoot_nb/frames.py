"""``FrameStore``: the sampled pictures of a stream by sample index, wherever they are kept."""

from __future__ import annotations

import operator
import threading
from collections.abc import Iterator, Mapping
from typing import Protocol

from . import config
from .errors import SampleNotKeptError
from .picture_bytes import PictureBytes, megabytes
from .stored_sample import StoredSample
from .types import Sample

__all__ = ["FrameArchive", "FrameStore", "StoredSample"]


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
    """The newest sampled pictures of a stream: ``store[index]``.

    A mapping from sample index (column ``sample`` of the results) to :class:`StoredSample`, in
    the order the samples were taken. When the pictures take more than ``max_bytes``, the oldest
    samples are dropped. The bytes are those of the sample, never copied; a picture that several
    clips share counts once. Any thread may put while others read.

    Args:
        max_bytes: bytes of encoded pictures to keep; 0 keeps none. Default 256 MiB.
        backing: where samples are looked for that were not put.

    Raises:
        ValueError: ``max_bytes`` is negative.
    """

    def __init__(
        self, max_bytes: int = config.KEEP_FRAMES_BYTES, *, backing: FrameArchive | None = None
    ) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes={max_bytes} is negative; 0 keeps no pictures")
        self.max_bytes = max_bytes
        self._backing = backing
        self._lock = threading.Lock()
        self._samples: dict[int, Sample] = {}
        self._held = PictureBytes()
        self._highest = -1

    def put(self, sample: Sample) -> None:
        """Keep a sample, and drop the oldest ones where it does not fit beside them.

        One of the same index is replaced. One that is larger than ``max_bytes`` by itself is not
        kept, and drops no other.
        """
        with self._lock:
            self._highest = max(self._highest, sample.index)
            if sample.index in self._samples:
                self._drop(sample.index)
            if self.max_bytes == 0 or sample.nbytes > self.max_bytes:
                return
            self._samples[sample.index] = sample
            self._held.add(sample)
            while self._held.total > self.max_bytes:
                self._drop(next(iter(self._samples)))

    @property
    def nbytes(self) -> int:
        """Bytes of the pictures in memory."""
        return self._held.total

    @property
    def nbytes_on_disk(self) -> int:
        """Bytes of the pictures on disk."""
        return self._backing.nbytes if self._backing is not None else 0

    @property
    def latest(self) -> StoredSample | None:
        """The sample put last, None where there is none."""
        with self._lock:
            last = next(reversed(self._samples.values()), None)
        if last is None and self._backing is not None and self._backing.latest is not None:
            last = self._backing.get(self._backing.latest)
        return None if last is None else StoredSample(last)

    def __getitem__(self, index: int) -> StoredSample:
        """The sample of that index.

        Raises:
            SampleNotKeptError: it was dropped, or not taken yet (also a KeyError).
        """
        sample = self._samples.get(index)
        if sample is None and self._backing is not None and index in self._backing:
            sample = self._backing.get(operator.index(index))
        if sample is None:
            raise SampleNotKeptError(self._why_not(index))
        return StoredSample(sample)

    def __contains__(self, index: object) -> bool:
        return index in self._samples or (self._backing is not None and index in self._backing)

    def __iter__(self) -> Iterator[int]:
        return iter(self._indices())

    def __len__(self) -> int:
        return len(self._indices())

    def _indices(self) -> list[int]:
        with self._lock:
            kept = list(self._samples)
        if self._backing is None:
            return kept
        return sorted({*kept, *self._backing.indices()})

    def __repr__(self) -> str:
        kept = self._kept()
        with self._lock:
            return (
                f"FrameStore({kept}; {megabytes(self._held.total)} of {megabytes(self.max_bytes)})"
            )

    # A store is itself, not its content: two of them are never the same.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def _drop(self, index: int) -> None:
        self._held.remove(self._samples.pop(index))

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
        return (
            f"sample {index} was dropped from the store (it keeps the last "
            f"{megabytes(self.max_bytes)}: {self._kept()})"
        )

    def _so_far(self) -> str:
        if self._highest < 0:
            return "none was taken"
        return f"the newest is {self._highest}"
