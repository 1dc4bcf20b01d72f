"""Captions on frames: each text is drawn once, and blended into the planes of the frames it is on.

A frame stays YUV 4:2:0 all the way, and of its pixels only those under the caption are touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal, get_args

import av
import numpy as np
import numpy.typing as npt

from overshoot_nb.errors import ValidationError
from overshoot_nb.support.validation import check_choice

from .captions_fonts import Lettering
from .captions_wrapping import wrapped

Position = Literal["bottom", "top"]
Pixels = npt.NDArray[np.uint8]

#: Height of the letters as a part of the picture's shorter side, and in pixels at least.
_FONT_PART, _FEWEST_PIXELS = 1 / 20, 10
#: How much of the picture's width and height a caption may take; what is longer ends in "…".
_WIDTH_PART, _HEIGHT_PART = 0.9, 0.5
#: Of the picture's height, between the caption and the edge.
_MARGIN_PART = 0.04
#: How dark the box behind the letters is, 0..1: white letters are read on it on any picture.
_BOX = 0.75
#: Texts whose pictures are kept: neighbours repeat, and some answers come again and again.
_REMEMBERED = 64
_JPEG_RANGE = 2  # AVColorRange
#: Parts of red and blue in luma: of BT.601, and of the matrices that say otherwise.
_LUMA = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593)}  # by AVColorSpace
_BT601_LUMA = (0.299, 0.114)


def check_look(position: object, font_size: object) -> None:
    """Check how captions are to look.

    Raises:
        ValidationError: there is no such position, or the size is no number of pixels.
    """
    check_choice("position", position, get_args(Position))
    if font_size is None:
        return
    if not isinstance(font_size, int) or isinstance(font_size, bool) or not 6 <= font_size <= 500:
        raise ValidationError(
            f"font_size={font_size!r} is not valid: it must be a height in pixels from 6 to 500"
        )


class CaptionPainter:
    """Draws captions on frames of one size.

    Args:
        width, height: of the frames, in pixels.
        aspect: width of a pixel over its height.
        font_size: height of the letters in pixels; None: a twentieth of the shorter side.
        position: where captions stand.
        colorspace, color_range: the frames' own, as FFmpeg numbers them.

    Raises:
        MissingDependencyError: Pillow is not installed.
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        aspect: Fraction = Fraction(1),
        font_size: int | None = None,
        position: Position = "bottom",
        colorspace: int = 2,
        color_range: int = 0,
    ) -> None:
        self._size = width, height
        self._aspect = aspect
        self._position = position
        shorter = min(float(width * aspect), float(height))
        size = font_size or max(_FEWEST_PIXELS, round(shorter * _FONT_PART))
        self._lettering = Lettering(size)
        self._full_range = color_range == _JPEG_RANGE
        self._luma = _LUMA.get(colorspace, _BT601_LUMA)
        self._overlay = lru_cache(_REMEMBERED)(self._drawn)

    def painted(self, frame: Any, text: str) -> Any:
        """A copy of a ``yuv420p`` frame with the caption on it; the frame itself without one.

        The copy has the frame's time and colours. The frame is not written to: the decoder may
        still predict others from it.
        """
        overlay = self._overlay(text)
        if not overlay:
            return frame
        copy = av.VideoFrame(frame.width, frame.height, frame.format.name)
        copy.pts = frame.pts
        if frame.time_base:
            copy.time_base = frame.time_base
        copy.colorspace, copy.color_range = frame.colorspace, frame.color_range
        for source, target, layer in zip(frame.planes, copy.planes, overlay, strict=True):
            pixels = _pixels(target)
            pixels[:] = _pixels(source)
            layer.blend(pixels)
        return copy

    # ---- a caption's picture -------------------------------------------------------------------

    def _drawn(self, text: str) -> Sequence[_Layer]:
        box = self._box(text)
        if box is None:
            return ()
        height, width = box.shape[:2]
        x = (self._size[0] - width) // 2
        margin = round(self._size[1] * _MARGIN_PART)
        y = margin if self._position == "top" else self._size[1] - height - margin
        # Chroma has half the lines and columns.
        x, y = max(0, x - x % 2), max(0, y - y % 2)
        alpha = box[..., 3].astype(np.float64) / 255
        planes = self._yuv(box[..., :3].astype(np.float64))
        layers = [_Layer(x, y, alpha, planes[0])]
        for plane in planes[1:]:
            # Each colour counts as much as it covers.
            share = _halved(alpha)
            colour = _halved(plane * alpha) / np.maximum(share, 1e-9)
            layers.append(_Layer(x // 2, y // 2, share, colour))
        return layers

    def _box(self, text: str) -> Pixels | None:
        """The caption with its box, RGBA with even sides, as the frame's pixels are; None of ""."""
        from PIL import Image

        lettering = self._lettering
        # Drawn as it is seen, with square pixels.
        width = round(self._size[0] * self._aspect)
        pad = lettering.line_height // 3
        room = max(1.0, width * _WIDTH_PART - 2 * pad)
        lines = wrapped(text, room, lettering.width)
        most = max(1, int((self._size[1] * _HEIGHT_PART - pad) // lettering.line_height))
        if len(lines) > most:
            lines = lines[:most]
            while lines[-1] and lettering.width(lines[-1] + "…") > room:
                lines[-1] = lines[-1][:-1]
            lines[-1] = lines[-1].rstrip() + "…"
        if not lines:
            return None
        pictures = [lettering.picture(line) for line in lines]
        box = Image.new(
            "RGBA",
            (
                max(p.width for p in pictures) + 2 * pad,
                lettering.line_height * len(lines) + pad,
            ),
            (0, 0, 0, round(255 * _BOX)),
        )
        for number, picture in enumerate(pictures):
            at = (box.width - picture.width) // 2, pad // 2 + number * lettering.line_height
            box.alpha_composite(picture, at)
        squeezed = max(2, round(box.width / self._aspect))
        if squeezed != box.width:
            box = box.resize((squeezed, box.height), Image.Resampling.BOX)
        pixels: Pixels = np.asarray(box)[: self._size[1], : self._size[0]]
        return np.pad(pixels, [(0, s % 2) for s in pixels.shape[:2]] + [(0, 0)], mode="edge")

    def _yuv(self, rgb: npt.NDArray[np.float64]) -> Sequence[npt.NDArray[np.float64]]:
        red, blue = self._luma
        y = rgb @ (red, 1 - red - blue, blue)
        u, v = (rgb[..., 2] - y) / (2 - 2 * blue), (rgb[..., 0] - y) / (2 - 2 * red)
        if self._full_range:
            return y, u + 128, v + 128
        return 16 + y * (219 / 255), 128 + u * (224 / 255), 128 + v * (224 / 255)


class _Layer:
    """What one plane of a caption adds to one plane of a frame, in 1/256: whole numbers are fast.

    Args:
        x, y: where its corner is.
        alpha: 0..1, how much of it covers what is below.
        colour: 0..255, what it covers it with.
    """

    def __init__(
        self, x: int, y: int, alpha: npt.NDArray[np.float64], colour: npt.NDArray[np.float64]
    ) -> None:
        self._x, self._y = x, y
        covers = np.rint(alpha * 256)
        self._kept = (256 - covers).astype(np.uint16)
        # With half a step, so that what follows rounds. At most 255 * 256 + 128: it fits.
        self._added = np.rint(np.clip(colour, 0, 255) * covers + 128).astype(np.uint16)
        self._scratch = np.empty_like(self._added)

    def blend(self, plane: Pixels) -> None:
        """Draws it on a plane, which is at least as large."""
        there = plane[self._y :, self._x :][: self._kept.shape[0], : self._kept.shape[1]]
        fits = slice(there.shape[0]), slice(there.shape[1])
        scratch = self._scratch[fits]
        np.multiply(there, self._kept[fits], out=scratch)
        scratch += self._added[fits]
        scratch >>= 8
        there[:] = scratch


def _halved(plane: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    height, width = plane.shape
    means: npt.NDArray[np.float64] = plane.reshape(height // 2, 2, width // 2, 2).mean((1, 3))
    return means


def _pixels(plane: Any) -> Pixels:
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]
