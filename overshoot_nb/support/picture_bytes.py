"""``PictureBytes``: how many bytes the pictures of samples take, those that clips share once."""

from __future__ import annotations

from collections.abc import Iterator

from overshoot_nb.types import Sample


def pictures_of(sample: Sample) -> Iterator[bytes]:
    """The encoded pictures of a sample: of each frame, then the video where there is one."""
    for frame in sample.frames:
        yield frame.data
    if sample.video is not None:
        yield sample.video


class PictureBytes:
    """Counts the bytes of the samples that are held. Not for several threads at once.

    Attributes:
        total: bytes of the pictures of all samples added and not removed; one that several of
            them share counts once.
    """

    def __init__(self) -> None:
        self.total = 0
        self._holders: dict[int, int] = {}  # id of a picture's bytes -> how many hold it

    def add(self, sample: Sample) -> None:
        """A sample is held from now on: its pictures live, so that their ids are theirs."""
        for data in pictures_of(sample):
            holders = self._holders.get(id(data), 0)
            self._holders[id(data)] = holders + 1
            if holders == 0:
                self.total += len(data)

    def remove(self, sample: Sample) -> None:
        """A sample that was added is held no more."""
        for data in pictures_of(sample):
            holders = self._holders.pop(id(data)) - 1
            if holders:
                self._holders[id(data)] = holders
            else:
                self.total -= len(data)

    def clear(self) -> None:
        """No sample is held."""
        self.total = 0
        self._holders.clear()


def megabytes(nbytes: int) -> str:
    """Bytes in binary megabytes, as the store's default is: "256 MB", "10 GB"."""
    amount = nbytes / 1024**2
    if amount >= 10_000:
        return f"{amount / 1024:.0f} GB"
    return f"{amount:.0f} MB" if amount >= 10 or nbytes == 0 else f"{amount:.2g} MB"
