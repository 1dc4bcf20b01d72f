"""Decoded frames as a wire wants them: upright, not too large, YUV 4:2:0."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import PictureType

from overshoot_nb import config
from overshoot_nb.sampling.encoder import Scaler, fit, upright
from overshoot_nb.support.validation import check_max_size

#: The clock of video in RTP.
WIRE_TIME_BASE = Fraction(1, 90_000)
# AVColorSpace and AVColorRange: what decoders of WebRTC's codecs assume anyway.
_BT601 = (2, 5, 6)  # unspecified, BT.470 BG, SMPTE 170M
_LIMITED = (0, 1)  # unspecified, MPEG


class WireFormat:
    """Makes frames upright, fitted, even-sided ``yuv420p`` in BT.601, limited range.

    Args:
        max_size: width and height in pixels to fit frames into; 1280x720 at most.

    Raises:
        ValidationError: ``max_size`` is out of range.
    """

    def __init__(self, max_size: tuple[int, int] = config.MAX_SIZE) -> None:
        width, height = check_max_size(max_size)
        self._max_size = min(width, config.MAX_SIZE[0]), min(height, config.MAX_SIZE[1])
        self._scaler = Scaler()

    def convert(
        self, frame: Any, rotation: int, aspect: Fraction, pts: int, mirrored: bool = False
    ) -> av.VideoFrame:
        """The frame for the wire; the same one where nothing is to be done to its pixels.

        Args:
            frame: as decoded.
            rotation: degrees to turn it counter-clockwise, a multiple of 90.
            aspect: width of a pixel over its height.
            pts: media time in units of ``WIRE_TIME_BASE``.
            mirrored: whether left and right are exchanged before it is turned.
        """
        width, height = fit(frame.width, frame.height, aspect, rotation, self._max_size)
        width, height = max(2, width - width % 2), max(2, height - height % 2)
        if rotation % 180:
            width, height = height, width
        wire: av.VideoFrame = frame
        if not _fits(frame, width, height):
            wire = self._scaler(
                frame, width, height, "yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG"
            )
        if rotation or mirrored:
            wire = _turned(wire, rotation, mirrored)
        # Encoders take the type of the decoded picture for a wish.
        wire.pict_type = PictureType.NONE
        wire.pts, wire.time_base = pts, WIRE_TIME_BASE
        return wire

    @staticmethod
    def again(frame: av.VideoFrame, pts: int) -> av.VideoFrame:
        """The same picture at another time: the first one may still be at an encoder."""
        copy = av.VideoFrame.from_ndarray(frame.to_ndarray(), "yuv420p")
        copy.pts, copy.time_base = pts, WIRE_TIME_BASE
        return copy


def _fits(frame: Any, width: int, height: int) -> bool:
    return (
        frame.format.name == "yuv420p"
        and (frame.width, frame.height) == (width, height)
        and int(frame.colorspace) in _BT601
        and int(frame.color_range) in _LIMITED
    )


def _turned(frame: Any, rotation: int, mirrored: bool) -> av.VideoFrame:
    # Plane by plane: a fifth of the cost of the way through RGB.
    size = (frame.height, frame.width) if rotation % 180 else (frame.width, frame.height)
    turned = av.VideoFrame(*size, "yuv420p")
    for source, target in zip(frame.planes, turned.planes, strict=True):
        _pixels(target)[:] = upright(_pixels(source), rotation, mirrored)
    return turned


def _pixels(plane: Any) -> npt.NDArray[np.uint8]:
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]
