"""Stored pictures as H.264, each shown from its own time on."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import numpy as np
import simplejpeg

from overshoot_nb.errors import ValidationError
from overshoot_nb.sampling.encoder import Picture, Scaler
from overshoot_nb.types import EncodedFrame

#: The clock of MPEG: media times are met within 6 microseconds.
TIME_BASE = Fraction(1, 90_000)
#: AVColorSpace and AVColorRange of what JPEGs become.
BT601, LIMITED = 6, 1
# AVColorPrimaries and AVColorTransferCharacteristic of JPEGs.
_BT709_PRIMARIES, _SRGB = 1, 13


class StillsTrack:
    """The video track of a container that is being written.

    Args:
        container: an output container of PyAV.
        first: the first picture, whose size the others get. An odd side gets its last line twice.
        options: of libx264; without reordering ("bf": "0"), so that packets are as far apart as
            their pictures.
        threads: of the encoder; 0 is one for each core.
    """

    def __init__(
        self, container: Any, first: EncodedFrame, options: dict[str, str], threads: int = 0
    ) -> None:
        self._container = container
        self._scaler = Scaler()
        self._durations: dict[int, int] = {}
        self.size = first.width + first.width % 2, first.height + first.height % 2
        stream = container.add_stream("libx264", rate=30, options=options)
        stream.width, stream.height = self.size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = TIME_BASE
        context.thread_count = threads
        # JPEG's own matrix, said, for players take larger pictures for BT.709.
        context.colorspace, context.color_range = BT601, LIMITED
        context.color_primaries, context.color_trc = _BT709_PRIMARIES, _SRGB
        stream.time_base = TIME_BASE
        self._stream = stream

    def add(
        self,
        picture: EncodedFrame,
        tick: int,
        duration: int,
        paint: Callable[[Any], Any] | None = None,
    ) -> None:
        """Shows a picture from ``tick`` on for ``duration``, in units of ``TIME_BASE``.

        Args:
            paint: draws on the frame.

        Raises:
            ValidationError: it is a broken JPEG.
        """
        frame = self._scaler(
            av.VideoFrame.from_ndarray(_even(picture), "bgr24"),
            *self.size,
            "yuv420p",
            dst_colorspace="ITU601",
            dst_color_range="MPEG",
        )
        frame.pts, frame.time_base = tick, TIME_BASE
        self._durations[tick] = duration
        self._mux(self._stream.encode(paint(frame) if paint else frame))

    def finish(self) -> None:
        """Writes what the encoder still holds."""
        self._mux(self._stream.encode(None))

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            # The last one has no successor that would end it.
            packet.duration = self._durations.pop(packet.pts)
            self._container.mux(packet)


def _even(frame: EncodedFrame) -> Picture:
    """Its pixels, BGR, with even sides."""
    try:
        pixels = simplejpeg.decode_jpeg(frame.data, "BGR")
    except ValueError as error:
        raise ValidationError(
            f"the picture at {frame.media_time:g} s is a broken JPEG ({error})"
        ) from None
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
