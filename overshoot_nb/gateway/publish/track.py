"""aiortc's view of the frames: the newest, when it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from .latest import FeedEnded, LatestFrame

if TYPE_CHECKING:
    import av


class FeedTrack(MediaStreamTrack):
    """The video of a :class:`~overshoot_nb.gateway.publish.latest.LatestFrame`.

    While a frame is being encoded newer ones replace each other, so nothing piles up.
    """

    kind = "video"

    def __init__(self, latest: LatestFrame) -> None:
        super().__init__()
        self._latest = latest

    async def recv(self) -> av.VideoFrame:
        """The newest frame that was not given yet.

        Raises:
            MediaStreamError: the video ended, or the track was stopped.
        """
        if self.readyState != "live":
            raise MediaStreamError
        try:
            return await self._latest.get()
        except FeedEnded:
            self.stop()
            raise MediaStreamError from None
