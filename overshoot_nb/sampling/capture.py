"""A source becomes decoded frames with media time. The only package that opens containers.

Which frames are wanted is asked of a ``Sampler``; anything else that
wants frames (a preview) is asked in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from overshoot_nb.errors import ValidationError
from overshoot_nb.sources.kinds import ArraySource, LiveKitSource, SourceConfig
from overshoot_nb.sources.pushed_source import FrameSource
from overshoot_nb.sources.replay import Replay
from overshoot_nb.support.registry import opener

from .decoding import Near, Shown
from .opening import VideoInfo
from .pushed import ArrayCapture, PushedCapture
from .reading import ContainerCapture
from .sampler import Sampler


class Capture(Protocol):
    """A source being watched, by one thread; only where it is said from any other."""

    #: Why it ended, as a sentence; "" while it runs.
    ending: str
    #: How often its connection was lost and found again.
    reconnections: int
    #: Frames that were lost before anybody read; known with the first frame.
    lost_before: int

    @property
    def source(self) -> SourceConfig:
        """What is watched; once it is open, as it turned out to be: live or a file."""

    def open(self) -> VideoInfo:
        """Opens the source.

        Raises:
            SourceError: it cannot be opened, or has no video.
            ValidationError: it was to be read as a file, and turned out to be live.
        """

    def frames(self, sampler: Sampler, near: Near | None = None) -> Iterator[Shown]:
        """The wanted frames in display order.

        Args:
            sampler: which are wanted.
            near: for a file that is played: blocks until a media time in seconds is not far
                ahead of its clock. Reading then keeps close to the clock, so that what the
                sampler newly wants is still to come. A live source needs none.
        """

    def sampler_changed(self) -> None:
        """The sampler may want other moments now. From any thread."""

    def interrupt(self) -> None:
        """Makes ``frames`` end soon. From any thread."""

    def close(self) -> None:
        """Lets go of everything. Idempotent."""


def make_capture(
    source: SourceConfig,
    on_status: Callable[[str], None],
    max_size: tuple[int, int] | None = None,
) -> Capture:
    """The capture for a source; opens nothing yet.

    Args:
        source: what to watch.
        on_status: told in words when a connection is lost and found again.
        max_size: width and height in pixels that pictures will be fitted into: where a source
            comes in several sizes, it need be no larger.

    Raises:
        ValidationError: only the server can watch this source.
    """
    if isinstance(source, LiveKitSource):
        raise ValidationError(
            "a LiveKitSource is joined by the server: use it with a v0.2 base_url"
        )
    if isinstance(source, FrameSource):
        return PushedCapture(source)
    if isinstance(source, ArraySource):
        return ArrayCapture(source)
    if isinstance(source, Replay):
        made: Capture = opener("recorded_capture")(source)
        return made
    return ContainerCapture(source, on_status, max_size)
