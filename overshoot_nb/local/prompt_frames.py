"""Received frames as soon as they are whole.

aiortc hands a frame on when the first packet of the next one comes: at 15 frames a second every
frame is 67 ms late. The last packet of a frame is marked, and that is enough. aiortc has no public
way to say so; this reaches into the one receiver that it is given.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from aiortc.jitterbuffer import JitterBuffer, JitterFrame

if TYPE_CHECKING:
    from aiortc import RTCRtpReceiver

logger = logging.getLogger("overshoot_nb.local")

#: Packets that aiortc's own buffer of video holds.
CAPACITY = 512
_PLACE = "_RTCRtpReceiver__jitter_buffer"


class PromptJitterBuffer(JitterBuffer):
    """aiortc's buffer of video, which also closes a frame at its marked packet."""

    _origin: int
    _packets: list[Any]

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        frame = super()._remove_frame(sequence_number)
        return self._marked_frame() if frame is None else frame

    def _marked_frame(self) -> JitterFrame | None:
        """The oldest frame, if its packets are all there up to the marked one."""
        packets: list[Any] = []
        for count in range(self.capacity):
            packet = self._packets[(self._origin + count) % self.capacity]
            if packet is None or (packets and packet.timestamp != packets[0].timestamp):
                return None
            packets.append(packet)
            if packet.marker:
                self.remove(len(packets))
                data = b"".join(packet._data for packet in packets)
                return JitterFrame(data=data, timestamp=packets[0].timestamp)
        return None


def receive_promptly(receiver: RTCRtpReceiver) -> None:
    """Let a receiver of video hand frames on as soon as they are whole; before it receives.

    Without effect, and logged, where aiortc is not as it was when this was written.
    """
    if type(getattr(receiver, _PLACE, None)) is not JitterBuffer:
        logger.warning("aiortc's receiver has changed: frames come one frame later")
        return
    setattr(receiver, _PLACE, PromptJitterBuffer(capacity=CAPACITY, is_video=True))
