"""The clip of a sample as a small MP4: its frames at their times, and a real browser plays it."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import av
import pytest
import simplejpeg

from overshoot_nb.analysis.clip_player import STILL_SECONDS, ClipPlayer
from overshoot_nb.analysis.stills import TIME_BASE
from overshoot_nb.errors import ValidationError
from overshoot_nb.sampling.encoder import ClipEncoder
from overshoot_nb.store.stored_sample import StoredSample
from overshoot_nb.types import EncodedFrame, Sample

from videos import barcode, number_in, solid

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def jpeg_frame(time: float, picture) -> EncodedFrame:
    height, width = picture.shape[:2]
    return EncodedFrame(time, simplejpeg.encode_jpeg(picture, 95, "RGB"), width, height)


def clip(times, *, index: int = 7, video: bytes | None = None) -> Sample:
    frames = tuple(jpeg_frame(time, barcode(number)) for number, time in enumerate(times))
    return Sample(index, "clip", times[0], NOW, frames, video)


def decoded(data: bytes) -> list[tuple[float, int]]:
    """Time and number of each frame."""
    with av.open(io.BytesIO(data)) as container:
        return [
            (
                float(frame.pts * frame.time_base),
                number_in(simplejpeg.encode_jpeg(frame.to_ndarray(format="rgb24"), 95)),
            )
            for frame in container.decode(video=0)
        ]


def duration(data: bytes) -> float:
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        return float(stream.duration * stream.time_base)


def test_each_frame_is_shown_from_its_own_time_on():
    times = [12.0, 12.033, 12.1, 12.512345, 12.6]
    data = ClipPlayer(clip(times)).data
    frames = decoded(data)
    assert [number for _, number in frames] == [0, 1, 2, 3, 4]
    for (at, _), time in zip(frames, times, strict=True):
        assert at == pytest.approx(time - 12.0, abs=float(TIME_BASE))
    # The last one lasts as long as the median of the others.
    assert duration(data) == pytest.approx(0.6 + (0.067 + 0.0876550) / 2, abs=1e-4)


def test_a_repeated_frame_is_there_once():
    sample = clip([0.0, 0.4, 0.8])
    first, second, third = sample.frames
    repeated = Sample(0, "clip", 0.0, NOW, (first, first, second, second, third))
    assert decoded(ClipPlayer(repeated).data) == [(0.0, 0), (0.4, 1), (0.8, 2)]


def test_a_single_picture_is_shown_for_a_second():
    still = Sample(0, "frame", 5.0, NOW, (jpeg_frame(4.9, barcode(33)),))
    data = ClipPlayer(StoredSample(still)).data
    assert decoded(data) == [(0.0, 33)]
    assert duration(data) == STILL_SECONDS


def test_what_was_sent_as_video_is_played_as_it_was_sent():
    encoder = ClipEncoder(160, 96, 5)
    for position in range(3):
        encoder.add(barcode(position), position)
    sent = encoder.finish()
    assert ClipPlayer(clip([0.0, 0.2, 0.4], video=sent)).data is sent


@pytest.mark.parametrize("size", [(1, 1), (161, 97), (1280, 721)])
def test_sizes_and_colours_are_kept(size):
    width, height = size
    colours = [(200, 40, 40), (40, 180, 60)]
    frames = tuple(jpeg_frame(i / 10, solid(c, width, height)) for i, c in enumerate(colours))
    data = ClipPlayer(Sample(0, "clip", 0.0, NOW, frames)).data
    with av.open(io.BytesIO(data)) as container:
        context = container.streams.video[0].codec_context
        # Players that are not told take pictures of this height for BT.709.
        assert (context.colorspace, context.color_range) == (6, 1)
        for frame, colour in zip(container.decode(video=0), colours, strict=True):
            assert (frame.width, frame.height) == (width + width % 2, height + height % 2)
            middle = frame.to_ndarray(format="rgb24")[height // 2, width // 2]
            assert abs(middle.astype(int) - colour).max() <= 6


def test_frames_of_other_sizes_are_made_like_the_first():
    frames = (jpeg_frame(0.0, solid((9, 9, 9), 64, 48)), jpeg_frame(0.1, solid((9, 9, 9), 32, 32)))
    with av.open(io.BytesIO(ClipPlayer(Sample(0, "clip", 0.0, NOW, frames)).data)) as container:
        assert {(f.width, f.height) for f in container.decode(video=0)} == {(64, 48)}


def test_a_sample_without_pictures_is_refused():
    with pytest.raises(ValidationError, match="sample 4 has no pictures"):
        ClipPlayer(Sample(4, "clip", 0.0, NOW, ()))


def test_a_broken_picture_is_said():
    broken = Sample(4, "frame", 2.0, NOW, (EncodedFrame(2.0, b"no picture", 8, 8),))
    with pytest.raises(ValidationError, match=r"sample 4: the picture at 2 s is a broken JPEG"):
        _ = ClipPlayer(broken).data


def test_it_is_encoded_once_and_saved_as_it_is(tmp_path: Path):
    player = ClipPlayer(clip([0.0, 0.1]))
    assert player.data is player.data
    assert player.save(tmp_path / "clip.mp4") == tmp_path / "clip.mp4"
    assert (tmp_path / "clip.mp4").read_bytes() == player.data


def test_how_it_shows_itself():
    player = ClipPlayer(clip([1.5, 1.6]))
    assert repr(player) == "<clip of sample 7 at 1.5 s: 2 frames>"
    markup = player._repr_html_()
    assert "<script" not in markup
    assert " loop" not in markup
    assert " loop" in ClipPlayer(clip([1.5, 1.6]), loop=True)._repr_html_()


@pytest.mark.parametrize("years", [1, 10**8])
def test_frames_that_are_years_apart_are_one_clear_error(years):
    with pytest.raises(ValidationError, match="sample 7 cannot be made a video"):
        ClipPlayer(clip([0.0, years * 3.2e7]))._repr_html_()
