"""A source as one worker thread watches it: opened, its first frame known, read once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from itertools import chain

from overshoot_nb.errors import SourceEndedError
from overshoot_nb.sources.kinds import SourceConfig
from overshoot_nb.sources.pushed_source import FrameSource

from .capture import make_capture
from .decoding import Shown
from .encoder import fit
from .opening import VideoInfo
from .pacing import Pacer
from .sampler import Sampler

_NO_LIMIT = (1 << 30, 1 << 30)


class Watching:
    """A capture with its first frame decoded ahead, which tells the upright size.

    Args:
        source: what to watch.
        pacer: the clock of a file. It is told when the source turns out to be live, or a file.
        near: in place of the pacer's own: see :class:`~overshoot_nb.sampling.capture.Capture`.
        on_status: told in words when a connection is lost and found again.
        max_size: see :func:`~overshoot_nb.sampling.capture.make_capture`.

    Attributes:
        stopped: whether it was interrupted.

    Raises:
        ValidationError: the server alone can watch the source.
    """

    def __init__(
        self,
        source: SourceConfig,
        *,
        pacer: Pacer | None = None,
        near: Callable[[float], None] | None = None,
        on_status: Callable[[str], None] | None = None,
        max_size: tuple[int, int] | None = None,
    ) -> None:
        self._source = source
        self._pacer = pacer
        self._near = near or (pacer.wait_until_near if pacer is not None else None)
        self._capture = make_capture(source, on_status or (lambda text: None), max_size)
        self._info: VideoInfo | None = None
        self._frames: Iterator[Shown] = iter(())
        self._head: list[Shown] = []
        self.stopped = False

    def open(self, sampler: Sampler) -> VideoInfo:
        """Opens the source, to give the frames that ``sampler`` wants. Idempotent.

        Raises:
            SourceError: it cannot be opened or has no video.
            ValidationError: it was to be read as a file, and turned out to be live.
        """
        if self._info is None:
            info = self._capture.open()
            pacer, live = self._pacer, self.source.live
            if pacer is not None and live != self._source.live:
                pacer.settle(live=live)
            paced = pacer is not None and pacer.realtime
            self._frames = self._capture.frames(sampler, self._near if paced else None)
            # Only a decoded frame tells its rotation; the first is wanted anyway. A pushed one
            # may never come.
            if not isinstance(self._source, FrameSource):
                for shown in self._frames:
                    self._head.append(shown)
                    if shown.frame is not None:
                        info = info.with_size(*_display_size(shown))
                        break
            self._info = info
        return self._info

    @property
    def source(self) -> SourceConfig:
        """What is watched; once it is open, as it turned out to be: live or a file."""
        return self._capture.source

    def frames(self) -> Iterator[Shown]:
        """The wanted frames in display order; once."""
        head, self._head = self._head, []
        return chain(head, self._frames)

    @property
    def lost_before(self) -> int:
        """Frames that were lost before anybody read; known with the first frame."""
        return self._capture.lost_before

    @property
    def ending(self) -> str:
        """Why it ended, in words; "" before."""
        return self._capture.ending

    @property
    def reconnections(self) -> int:
        """How often its connection was lost and found again."""
        return self._capture.reconnections

    def sampler_changed(self) -> None:
        """The sampler may want other moments now. From any thread."""
        self._capture.sampler_changed()

    def interrupt(self) -> None:
        """Makes the frames end soon. From any thread."""
        self.stopped = True
        self._capture.interrupt()

    def close(self) -> None:
        """Lets go of the source. Idempotent; where the frames are read, or after that."""
        self.interrupt()
        self._head.clear()
        # What is left of the reading holds the decoder, and that its threads, for as long as
        # somebody keeps the stream that it was for, or stands in the middle of the frames.
        frames, self._frames = self._frames, iter(())
        if isinstance(frames, Generator):
            frames.close()
        self._capture.close()

    def without_frames(self) -> SourceEndedError:
        """The error of a source that ended without a single frame."""
        return SourceEndedError(f"{self._source.label}: gave no frame ({self.ending})", self.ending)


def _display_size(shown: Shown) -> tuple[int, int]:
    frame = shown.frame
    assert frame is not None
    return fit(frame.width, frame.height, shown.aspect, shown.rotation, _NO_LIMIT)
