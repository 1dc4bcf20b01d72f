"""The pictures of the last results, for asking about them again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

#: Bounds of all clips of one engine.
MAX_CLIPS = 2_000
MAX_BYTES = 64 * 1024 * 1024


class _Clip(NamedTuple):
    owner: str
    jpegs: tuple[bytes, ...]
    size: int


class ClipStore:
    """JPEGs by result, the oldest forgotten first. Safe from any thread."""

    def __init__(self, max_clips: int = MAX_CLIPS, max_bytes: int = MAX_BYTES) -> None:
        self._max_clips = max_clips
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._clips: OrderedDict[str, _Clip] = OrderedDict()
        self._bytes = 0

    def add(self, result_id: str, owner: str, jpegs: Sequence[bytes]) -> None:
        """Keep the pictures that a result is about."""
        # A video that is slower than its clips has the same picture several times in one.
        size = sum(len(jpeg) for jpeg in {id(jpeg): jpeg for jpeg in jpegs}.values())
        with self._lock:
            self._clips[result_id] = _Clip(owner, tuple(jpegs), size)
            self._bytes += size
            while len(self._clips) > self._max_clips or self._bytes > self._max_bytes:
                self._bytes -= self._clips.popitem(last=False)[1].size

    def get(self, result_id: str, owner: str) -> tuple[bytes, ...] | None:
        """The pictures of a result of this key; None where they are not there."""
        with self._lock:
            clip = self._clips.get(result_id)
            return clip.jpegs if clip is not None and clip.owner == owner else None

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._clips.clear()
            self._bytes = 0
