"""Video for a wire that stays readable: VP8 with bits enough for small text.

aiortc encodes at 0.5 Mb/s to begin with and 1.5 Mb/s at most, and with the strongest noise filter,
which takes small text for noise. It has no public way to say otherwise, so this is the one module
that reaches into its sender, and only into the one that it is given.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import av
from aiortc.codecs import get_encoder
from aiortc.codecs.vpx import Vp8Encoder
from av.video.frame import PictureType

from .wire_format import WIRE_TIME_BASE

if TYPE_CHECKING:
    from aiortc import RTCRtpTransceiver

logger = logging.getLogger("overshoot_nb")

#: Bits a second at 640x360 and below, and at 1280x720 and above; in between by the pixels.
SMALL_BITRATE, LARGE_BITRATE = 1_500_000, 3_000_000
MIN_BITRATE = 250_000
#: A rate is raised by this factor at most so often, in seconds: each change costs a keyframe.
RAISE, RAISE_SECONDS = 1.25, 5.0
#: The finest quantizer, of 2 to 56. From 2 to 8 the bits of a quiet video halve and no letter
#: changes; the worst frames stay as they were.
MIN_QUANTIZER, MAX_QUANTIZER = 8, 56
#: A change by less is not worth its keyframe.
WORTHWHILE = 0.1
#: What was sent is counted over this many seconds.
SENT_SECONDS = 1.0


def full_bitrate(width: int, height: int) -> int:
    """Bits a second that frames of this size are encoded with where the network allows it."""
    small, large = 640 * 360, 1280 * 720
    part = min(1.0, max(0.0, (width * height - small) / (large - small)))
    return round(SMALL_BITRATE + part * (LARGE_BITRATE - SMALL_BITRATE))


class RateControl:
    """How many bits a second to encode with, by what the receiver says it could take.

    A receiver guesses from what arrives. Where little was sent because little moved, it guesses
    little, and that means nothing; only a guess below what was sent tells of a narrow network.
    Then the rate goes down at once, and up again in steps. From any thread.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._limit = float(LARGE_BITRATE)
        self._changed_at = float("-inf")
        self._sent: deque[tuple[float, int]] = deque()

    @property
    def limit(self) -> int:
        """Bits a second at most."""
        return round(self._limit)

    def sent(self, nbytes: int) -> None:
        """Counts what was sent now."""
        with self._lock:
            now = self._clock()
            self._sent.append((now, nbytes))
            self._forget(now)

    def estimated(self, bitrate: int) -> None:
        """Takes a receiver's guess, in bits a second."""
        with self._lock:
            now = self._clock()
            self._forget(now)
            sending = sum(nbytes for _, nbytes in self._sent) * 8 / SENT_SECONDS
            if bitrate < sending and bitrate < self._limit:
                self._limit = max(MIN_BITRATE, bitrate)
                self._changed_at = now
            elif self._limit < LARGE_BITRATE and now - self._changed_at >= RAISE_SECONDS:
                self._limit = min(LARGE_BITRATE, self._limit * RAISE)
                self._changed_at = now

    def _forget(self, now: float) -> None:
        while self._sent and self._sent[0][0] <= now - SENT_SECONDS:
            self._sent.popleft()


class ReadableVp8Encoder(Vp8Encoder):
    """aiortc's VP8 packets around an encoder for sharp pictures."""

    def __init__(self) -> None:
        super().__init__()
        self._rate = RateControl()
        self._context: Any = None

    def encode(self, frame: Any, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """The packets of one frame, and its time in 1/90000 s. In a thread of the executor."""
        bitrate = min(self._rate.limit, full_bitrate(frame.width, frame.height))
        context = self._context
        if (
            context is None
            or (context.width, context.height) != (frame.width, frame.height)
            or abs(bitrate / context.bit_rate - 1) > WORTHWHILE
        ):
            context = self._context = _vp8(frame.width, frame.height, bitrate)
        frame.pict_type = PictureType.I if force_keyframe else PictureType.NONE
        pts = frame.pts  # encoding gives the frame the context's time base
        data = b"".join(bytes(packet) for packet in context.encode(frame))
        self._rate.sent(len(data))
        packet = av.Packet(data)
        packet.pts, packet.time_base = pts, WIRE_TIME_BASE
        return self.pack(packet)

    @property
    def target_bitrate(self) -> int:
        """Bits a second at most."""
        return self._rate.limit

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        # The sender passes on what the receiver reports.
        self._rate.estimated(bitrate)


def encode_readably(transceiver: RTCRtpTransceiver) -> None:
    """Gives the sender of ``transceiver`` an encoder with more bits; before it sends.

    To be called after the remote description was set, when the codec is known. Without effect,
    and logged, where aiortc is not as it was when this was written.
    """
    sender = transceiver.sender
    place = "_RTCRtpSender__encoder"
    codecs = getattr(transceiver, "_codecs", None)
    if not codecs or getattr(sender, place, 0) is not None:
        logger.warning("aiortc's sender has changed: video is sent at its default quality")
        return
    encoder: Any
    if codecs[0].mimeType.lower() == "video/vp8":
        encoder = ReadableVp8Encoder()
    else:
        encoder = get_encoder(codecs[0])
        encoder.target_bitrate = LARGE_BITRATE
    setattr(sender, place, encoder)


def _vp8(width: int, height: int, bitrate: int) -> Any:
    context: Any = av.CodecContext.create("libvpx", "w")
    context.width, context.height = width, height
    context.pix_fmt = "yuv420p"
    context.bit_rate = bitrate
    context.time_base = WIRE_TIME_BASE
    context.gop_size = 3000  # keyframes come when they are asked for
    context.qmin, context.qmax = MIN_QUANTIZER, MAX_QUANTIZER
    context.thread_count = 1
    context.options = {
        # For one pass without delay, at a constant rate: the bucket holds a second.
        "deadline": "realtime",
        "lag-in-frames": "0",
        "minrate": str(bitrate),
        "maxrate": str(bitrate),
        "bufsize": str(bitrate),
        "overshoot-pct": "15",
        "undershoot-pct": "100",
        "partitions": "0",
        "cpu-used": "-6",
        "noise-sensitivity": "0",
        "static-thresh": "100",
    }
    return context
