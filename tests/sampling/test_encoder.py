"""Frames to JPEG and MP4."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest
import simplejpeg

from overshoot_nb import config
from overshoot_nb.errors import ValidationError
from overshoot_nb.sampling.encoder import ClipEncoder, FrameEncoder, fit

from videos import corners_of, four_corners, mean_colour, solid


def frame_of(picture: np.ndarray) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(picture, "rgb24")


@pytest.mark.parametrize(
    ("size", "aspect", "rotation", "fitted"),
    [
        ((1920, 1080), 1, 0, (1280, 720)),
        ((640, 360), 1, 0, (640, 360)),
        ((1920, 1080), 1, 90, (405, 720)),
        ((720, 576), Fraction(16, 11), 0, (1047, 576)),
        ((720, 576), Fraction(1, 2), 0, (450, 720)),
        ((4000, 10), 1, 0, (1280, 3)),
        ((20000, 2), 1, 270, (1, 720)),
    ],
)
def test_fit(size, aspect, rotation, fitted) -> None:
    assert fit(*size, Fraction(aspect), rotation, config.MAX_SIZE) == fitted


def test_colours_and_size_come_through() -> None:
    encoder = FrameEncoder((320, 180), 90)
    encoded = encoder.encode(encoder.picture(frame_of(solid((220, 120, 20), 640, 360))), 1.5)
    assert (encoded.width, encoded.height, encoded.media_time) == (320, 180, 1.5)
    assert simplejpeg.decode_jpeg_header(encoded.data)[:2] == (180, 320)
    assert all(
        abs(a - b) < 4 for a, b in zip(mean_colour(encoded.data), (220, 120, 20), strict=True)
    )


def test_one_encoder_takes_frames_of_any_size() -> None:
    encoder = FrameEncoder((64, 64))
    sizes = [(64, 32), (65, 33), (640, 360), (31, 90)]
    shapes = [encoder.picture(frame_of(solid((1, 2, 3), *size))).shape for size in sizes]
    assert shapes == [(32, 64, 3), (32, 64, 3), (36, 64, 3), (64, 22, 3)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"quality": 0}, "jpeg_quality=0 .*a whole number from 1 to 100"),
        ({"quality": 80.0}, "jpeg_quality=80.0"),
        ({"max_size": (0, 10)}, "max_size=.*must be"),
        ({"max_size": 640}, "max_size=640"),
        ({"max_size": (640, True)}, "max_size"),
    ],
)
def test_ranges(options, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        FrameEncoder(**options)


def test_a_clip_is_an_mp4_with_its_times() -> None:
    encoder = ClipEncoder(65, 49, 6)
    for position, grey in ((0, 20), (1, 120), (3, 220)):
        encoder.add(np.full((49, 65, 3), grey, np.uint8), position)
    data = encoder.finish()
    encoder.discard()
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert stream.codec_context.name == "h264"
    assert [float(f.time) for f in frames] == pytest.approx([0, 1 / 6, 3 / 6])
    assert (frames[0].width, frames[0].height) == (64, 48)
    means = [f.to_ndarray(format="gray").mean() for f in frames]
    assert means == sorted(means)
    assert means[2] - means[0] > 150


def test_a_clip_keeps_its_size_when_pictures_change() -> None:
    encoder = ClipEncoder(64, 48, 6)
    for position, size in enumerate([(48, 64), (24, 32), (96, 128)]):
        encoder.add(np.zeros((*size, 3), np.uint8), position)
    with av.open(io.BytesIO(encoder.finish())) as container:
        assert {(f.width, f.height) for f in container.decode(video=0)} == {(64, 48)}


def test_a_picture_of_another_shape_is_fitted_into_a_clip() -> None:
    encoder = ClipEncoder(160, 96, 10)
    pictures = [four_corners(160, 96), four_corners(96, 96), four_corners(320, 96)]
    for position, picture in enumerate(pictures):
        encoder.add(np.ascontiguousarray(picture[:, :, ::-1]), position)
    with av.open(io.BytesIO(encoder.finish())) as container:
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    boxes = [(0, 0, 160, 96), (32, 0, 96, 96), (0, 24, 160, 48)]
    for picture, (x, y, w, h) in zip(shown, boxes, strict=True):
        assert corners_of(picture[y : y + h, x : x + w]) == "RGBW"
        picture[max(0, y - 2) : y + h + 2, max(0, x - 2) : x + w + 2] = 0
        assert picture.max() < 40  # black beside it
