"""The receiving end of a WebRTC connection: an offer is answered, and frames come."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from overshoot_nb.support.installed import missing_packages

from .offer import NamedCandidate, Offer
from .refusals import Invalid, StreamRefusal

if TYPE_CHECKING:
    import av

logger = logging.getLogger("overshoot_nb.local")

INSTALL = 'pip install "overshoot-nb[webrtc]"'


class VideoReceiver:
    """One peer that publishes video. To be used on one event loop.

    Args:
        on_frame: called with each decoded frame of the first video track.
        on_lost: called once when the connection is lost or the peer has closed it; not by `close`.

    Raises:
        StreamRefusal: 501, aiortc is not installed.
    """

    def __init__(
        self, on_frame: Callable[[av.VideoFrame], object], on_lost: Callable[[], object]
    ) -> None:
        if missing_packages(["aiortc"]):
            raise StreamRefusal(
                501, "not_implemented", f"the local engine takes no media without aiortc: {INSTALL}"
            )
        from aiortc import RTCConfiguration, RTCPeerConnection

        self._on_frame = on_frame
        self._on_lost: Callable[[], object] | None = on_lost
        # No servers: aiortc would ask a public STUN server of its own accord.
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peer.on("connectionstatechange", self._state_changed)
        self._tasks: list[asyncio.Task[None]] = []

    async def answer(self, sdp: str) -> str:
        """The SDP answer to an offer.

        Raises:
            Invalid: 422, the offer cannot be used.
        """
        from aiortc import RTCSessionDescription

        from overshoot_nb.gateway.publish.ice import allow_loopback

        offer = Offer.parse(sdp)
        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
            track = self._take_one_video()
            allow_loopback(self._peer, always=True)
            await self._peer.setLocalDescription(await self._peer.createAnswer())
        except Invalid:
            raise
        except Exception as error:
            # What a parser of text that anybody may send raises is anything.
            logger.debug("an SDP offer was not usable", exc_info=True)
            reason = str(error) or type(error).__name__
            if "description send parameters" in reason:
                reason = "none of its codecs, as its a=fmtp lines have them, can be received"
            raise Invalid(
                f"source.sdp is no offer that can be answered ({reason})", "body.source.sdp"
            ) from None
        self._tasks.append(asyncio.create_task(self._receive(track)))
        if offer.named:
            self._tasks.append(asyncio.create_task(self._look_up(offer.named)))
        answer: str = self._peer.localDescription.sdp
        return answer

    async def close(self) -> None:
        """End the connection. Idempotent."""
        self._on_lost = None
        from overshoot_nb.gateway.publish.closing import close_peer

        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await close_peer(self._peer)

    def _take_one_video(self) -> Any:
        """The track of the first video; nothing else is received: nobody would take it up."""
        from .prompt_frames import receive_promptly

        taken = None
        for transceiver in self._peer.getTransceivers():
            track = transceiver.receiver.track
            if taken is None and transceiver.kind == "video" and track is not None:
                taken = track
                transceiver.direction = "recvonly"
                receive_promptly(transceiver.receiver)
            else:
                transceiver.direction = "inactive"
        if taken is None:
            raise Invalid("source.sdp offers no video that would be sent", "body.source.sdp")
        return taken

    async def _receive(self, track: Any) -> None:
        from aiortc.mediastreams import MediaStreamError

        try:
            while True:
                self._on_frame(await track.recv())
        except MediaStreamError:
            self._lost()

    async def _look_up(self, named: Sequence[NamedCandidate]) -> None:
        """Add candidates whose address is a name, while the publisher's own checks come in."""
        from aiortc.sdp import candidate_from_sdp

        async def add(each: NamedCandidate) -> None:
            candidate = candidate_from_sdp(each.candidate)
            candidate.sdpMLineIndex = each.part
            await self._peer.addIceCandidate(candidate)

        found = await asyncio.gather(*map(add, named), return_exceptions=True)
        for error in found:
            if error is not None:
                logger.debug("a candidate was not usable: %s", error)
        await self._peer.addIceCandidate(None)

    def _state_changed(self) -> None:
        if self._peer.connectionState in ("failed", "closed"):
            self._lost()

    def _lost(self) -> None:
        told, self._on_lost = self._on_lost, None
        if told is not None:
            told()
