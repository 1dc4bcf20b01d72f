"""Real files, made here, and the frames that come of them, against a decode of everything."""

from __future__ import annotations

import gc
import re
from bisect import bisect_right
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from overshoot_nb.errors import SourceError
from overshoot_nb.sampling import plan
from overshoot_nb.sampling.capture import make_capture
from overshoot_nb.sampling.decoding import Decoding
from overshoot_nb.sampling.pipeline import SampleReader
from overshoot_nb.sampling.sampler import FrameSampler
from overshoot_nb.sources.kinds import FileSource
from overshoot_nb.types import ClipProcessingConfig, FrameProcessingConfig, Sample

from videos import (
    MATRICES,
    barcode,
    corners_of,
    crc,
    exif_jpeg,
    four_corners,
    full_decode,
    make_video,
    mean_colour,
    number_in,
    set_matrix,
    solid,
    turn,
)


def captured(path: Path, interval: float) -> list[tuple[Fraction, int]]:
    """Media time and pixels of the frame that capture gives for every tick."""
    sampler = FrameSampler(FrameProcessingConfig(interval))
    capture = make_capture(FileSource(path), lambda text: None)
    out = []
    for shown in capture.frames(sampler):
        for _ in sampler.take(shown.start, shown.end):
            out.append((shown.start * shown.unit, crc(shown.frame)))
    capture.close()
    return out


def expected(path: Path, interval: float) -> list[tuple[Fraction, int]]:
    """The same from a decode of everything, by the definition."""
    frames = full_decode(path)
    times = [at for at, _ in frames]
    step, k, out = Fraction(str(interval)), 0, []
    while k * step <= times[-1]:
        out.append(frames[bisect_right(times, k * step) - 1])
        k += 1
    return out


def samples(source: Path | FileSource, interval: float = 0.1, **options) -> list[Sample]:
    source = source if isinstance(source, FileSource) else FileSource(source)
    with SampleReader(source, FrameProcessingConfig(interval), **options) as reader:
        return list(reader)


def numbers(taken: list[Sample]) -> list[int]:
    return [number_in(sample.frames[0].data) for sample in taken]


VFR = [n * 3 + (n * n) % 3 + (40 if n > 50 else 0) for n in range(90)]

FILES = {
    "gop12.mp4": {},
    "gop250.mp4": {"gop": 250},
    "gop5-b4.mkv": {"gop": 5, "b_frames": 4},
    "no-b.mp4": {"b_frames": 0, "gop": 30},
    "pyramid.mp4": {
        "gop": 40,
        "b_frames": 8,
        "options": {"x264-params": "b-pyramid=normal:b-adapt=0"},
    },
    "open-gop.mkv": {
        "gop": 15,
        "b_frames": 3,
        "options": {"x264-params": "open-gop=1:scenecut=0:b-adapt=0"},
    },
    "open-gop.ts": {
        "gop": 15,
        "b_frames": 3,
        "options": {"x264-params": "open-gop=1:scenecut=0:b-adapt=0"},
    },
    "intra-refresh.ts": {
        "gop": 20,
        "b_frames": 0,
        "options": {"x264-params": "intra-refresh=1"},
    },
    "vfr.mp4": {"pts": VFR, "time_base": Fraction(1, 90), "gop": 30, "b_frames": 3},
    "hevc.mp4": {
        "codec": "libx265",
        "gop": 20,
        "options": {"preset": "ultrafast", "x265-params": "log-level=none:bframes=3:open-gop=1"},
    },
    "mpeg2.ts": {"codec": "mpeg2video", "gop": 12, "b_frames": 2},
    "mpeg4.mp4": {"codec": "mpeg4", "gop": 12, "b_frames": 2},
    "mjpeg.mkv": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "vp8.webm": {"codec": "libvpx", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "vp9.webm": {
        "codec": "libvpx-vp9",
        "options": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "10"},
    },
    "av1.mp4": {"codec": "libsvtav1", "options": {"preset": "12", "svtav1-params": "lp=1"}},
    "negative.mkv": {"pts": lambda n: n},
    "late.ts": {"pts": lambda n: n + 3000},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("videos")


@pytest.mark.parametrize("name", FILES)
def test_the_same_frames_as_a_full_decode(folder: Path, name: str) -> None:
    settings = dict(FILES[name])
    codec = settings.get("codec", "libx264")
    try:
        av.codec.Codec(codec, "w")
    except Exception:
        pytest.skip(f"this PyAV has no {codec}")
    path = folder / name
    make_video(path, 90, **settings)
    for interval in (0.1, 0.23, 0.7, 1.5):
        got = captured(path, interval)
        want = expected(path, interval)
        # A last frame is on screen for its own duration too.
        assert got[: len(want)] == want, (name, interval)
        assert len(got) - len(want) in (0, 1)


def test_picks_are_the_numbers_on_screen(folder: Path) -> None:
    path = make_video(folder / "numbers.mp4", 60)
    assert numbers(samples(path, 0.25)) == [0, 7, 15, 22, 30, 37, 45, 52]


def test_the_decoder_is_drained_before_a_gap(folder: Path, monkeypatch) -> None:
    """Frames are still inside the decoder when packets after them are left out."""
    path = folder / "drain.mp4"
    make_video(path, 120, gop=15, b_frames=3, options={"x264-params": "scenecut=0:b-adapt=0"})
    want = expected(path, 0.7)
    assert captured(path, 0.7)[: len(want)] == want
    real = Decoding._decode
    left = []

    def undrained(self, packet):
        if packet is None and not left:
            left.append(packet)
            return []
        return real(self, packet)

    monkeypatch.setattr(Decoding, "_decode", undrained)
    with SampleReader(FileSource(path), FrameProcessingConfig(0.7)) as reader:
        assert len(list(reader)) < len(want)


def test_most_packets_never_reach_the_decoder(folder: Path, monkeypatch) -> None:
    path = make_video(folder / "few.mp4", 120, gop=10)
    decoded = []
    real = Decoding._decode
    monkeypatch.setattr(
        Decoding, "_decode", lambda self, packet: decoded.append(packet) or real(self, packet)
    )
    assert len(captured(path, 2)) == 2
    assert sum(packet is not None for packet in decoded) <= 4


def test_a_played_file_is_read_at_the_pace_of_its_clock(folder: Path, monkeypatch) -> None:
    """Few packets more are decoded, so that no frame waits in the decoder for the next one."""
    path = make_video(folder / "paced.mp4", 120, gop=10, b_frames=2)
    decoded = []
    real = Decoding._decode
    monkeypatch.setattr(
        Decoding, "_decode", lambda self, packet: decoded.append(packet) or real(self, packet)
    )
    near: list[float] = []
    sampler = FrameSampler(FrameProcessingConfig(2))
    capture = make_capture(FileSource(path), lambda text: None)
    for shown in capture.frames(sampler, near.append):
        if sampler.take(shown.start, shown.end):
            # Nothing waited for the clock between the packet of the frame and the frame.
            assert all(at <= shown.start * shown.unit + 0.1 for at in near)
    capture.close()
    assert near[-1] > 3.8
    assert sum(packet is not None for packet in decoded) < 40


@pytest.mark.parametrize("name", ["raw.h264", "b.avi"])
def test_a_file_without_pts_is_read_at_the_pace_of_its_clock(folder: Path, name: str) -> None:
    path = make_video(folder / f"paced-{name}", 50, fps=25, b_frames=3)
    near: list[float] = []
    sampler = FrameSampler(FrameProcessingConfig(0.2))
    capture = make_capture(FileSource(path), lambda text: None)
    for shown in capture.frames(sampler, near.append):
        assert not near or near[-1] <= float(shown.start * shown.unit)
    capture.close()
    assert near == [n / 25 for n in range(50)]


def test_packets_are_not_held_without_bound(folder: Path, monkeypatch) -> None:
    path = make_video(folder / "giant.mp4", 120, gop=1000)
    monkeypatch.setattr(plan, "HELD_BYTES", 2000)
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        planned = plan.plan_file(packets, lambda start, end: start == 0, frame_duration=1)
        given = sum(packet.size for packet, _, _ in planned)
    # Nothing after the first frame is wanted, yet all but the last bytes were let go.
    assert sum(p.size for p in packets) - given < 2000


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotated_video_is_upright(folder: Path, degrees: int) -> None:
    picture = solid((20, 20, 20), 160, 96)
    picture[:24, :24] = (255, 0, 0)  # red at the upper left as shown
    path = folder / f"turned{degrees}.mp4"
    turns = {90: 1, 180: 2, 270: 3}[degrees]  # stored turned the other way
    make_video(path, [np.ascontiguousarray(np.rot90(picture, turns))] * 5)
    turn(path, degrees)
    with SampleReader(FileSource(path), FrameProcessingConfig(0.5)) as reader:
        assert (reader.info.width, reader.info.height) == (160, 96)
        frame = next(iter(reader)).frames[0]
    assert (frame.width, frame.height) == (160, 96)
    with av.open(_as_file(folder, frame.data)) as shown:
        rgb = next(shown.decode(video=0)).to_ndarray(format="rgb24")
    assert rgb[8, 8, 0] > 180
    assert rgb[-8, -8, 0] < 80


@pytest.mark.parametrize("name", MATRICES)
def test_mirrored_video_is_upright(folder: Path, name: str) -> None:
    matrix, corners = MATRICES[name]
    path = make_video(folder / f"{name}.mp4", [four_corners()] * 3)
    set_matrix(path, matrix)
    size = (96, 160) if matrix[1] else (160, 96)
    with SampleReader(FileSource(path), FrameProcessingConfig(0.5)) as reader:
        assert (reader.info.width, reader.info.height) == size
        frame = next(iter(reader)).frames[0]
    assert (frame.width, frame.height) == size
    assert corners_of(frame.data) == corners


# Exif's own numbers, in the order of 1 to 8.
EXIF = ("RGBW", "GRWB", "WBGR", "BWRG", "RBGW", "BRWG", "WGBR", "GWRB")


def test_each_picture_stands_as_its_exif_data_say(folder: Path) -> None:
    # In one file: what was said of the first is not said of the others.
    path = folder / "photos.mjpeg"
    path.write_bytes(b"".join(exif_jpeg(four_corners(), n) for n in range(1, 9)))
    seen = [corners_of(sample.frames[0].data) for sample in samples(path, 1 / 25)]
    assert seen == list(EXIF)


def test_side_data_keeps_no_picture(folder: Path) -> None:
    path = make_video(folder / "mirrored.mp4", [four_corners()] * 60)
    set_matrix(path, MATRICES["transposed"][0])
    assert _pictures_alive(path) <= 2


def _as_file(folder: Path, data: bytes) -> str:
    path = folder / "shown.jpg"
    path.write_bytes(data)
    return str(path)


def test_odd_sizes_and_small_ones(folder: Path) -> None:
    path = make_video(
        folder / "odd.mkv", [solid((200, 30, 30), 161, 97)] * 4, codec="ffv1", pix_fmt="bgr0"
    )
    frame = samples(path)[0].frames[0]
    assert (frame.width, frame.height) == (161, 97)  # never enlarged
    red, green, _ = mean_colour(frame.data)
    assert red > 180
    assert green < 60


def test_pixels_that_are_not_square(folder: Path) -> None:
    def wide(stream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)

    path = make_video(folder / "wide.mkv", 5, prepare=wide)
    with SampleReader(FileSource(path), FrameProcessingConfig(0.5)) as reader:
        assert (reader.info.width, reader.info.height) == (320, 96)
        assert next(iter(reader)).frames[0].width == 320


def test_ten_bits(folder: Path) -> None:
    path = make_video(
        folder / "ten.mp4",
        [solid((30, 200, 30))] * 8,
        codec="libx265",
        pix_fmt="yuv420p10le",
        options={"preset": "ultrafast", "x265-params": "log-level=none"},
    )
    red, green, blue = mean_colour(samples(path)[0].frames[0].data)
    assert abs(red - 30) < 12
    assert abs(green - 200) < 12
    assert abs(blue - 30) < 12


def test_interlaced_frames_have_no_combs(folder: Path) -> None:
    """Two fields of a bar that moves: even and odd lines disagree until deinterlaced."""
    pictures = []
    for n in range(8):
        picture = solid((0, 0, 0), 160, 96)
        picture[0::2, 20 + n * 4 : 60 + n * 4] = 255
        picture[1::2, 50 + n * 4 : 90 + n * 4] = 255
        pictures.append(picture)
    options = {"x264-params": "tff=1:interlaced=1", "crf": "5"}
    path = make_video(folder / "fields.mp4", pictures, options=options)
    with av.open(str(path)) as container:
        raw = next(container.decode(video=0))
        assert raw.interlaced_frame
    data = samples(path)[0].frames[0].data
    with av.open(_as_file(folder, data)) as shown:
        grey = next(shown.decode(video=0)).to_ndarray(format="gray").astype(int)

    def combing(picture: np.ndarray) -> float:
        return float(np.abs(picture[1:-1] - (picture[:-2] + picture[2:]) / 2).mean())

    before = combing(raw.to_ndarray(format="gray").astype(int))
    assert combing(grey) < before / 4


@pytest.mark.parametrize(("name", "fps"), [("raw.h264", 25), ("b.avi", 30)])
def test_files_without_pts_are_timed_by_their_order(folder: Path, name: str, fps: int) -> None:
    path = make_video(folder / name, 50, fps=fps, b_frames=3)
    taken = samples(path, 0.2)
    assert numbers(taken) == [int(k * fps / 5) for k in range(len(taken))]
    assert len(taken) == -(-50 * 5 // fps)


def test_a_clock_that_jumps_starts_a_new_segment(folder: Path) -> None:
    """Two MPEG-TS recordings in one file, the second with an earlier clock."""
    early = make_video(folder / "early.ts", [barcode(n) for n in range(30)])
    late = make_video(
        folder / "later.ts", [barcode(n) for n in range(100, 130)], pts=lambda n: n + 90000
    )
    both = folder / "both.ts"
    both.write_bytes(Path(late).read_bytes() + Path(early).read_bytes())
    taken = samples(both, 0.25)
    assert numbers(taken) == [100, 107, 115, 122, 0, 7, 15, 22]
    assert [s.media_time for s in taken] == [k / 4 for k in range(8)]
    other = folder / "other.ts"
    other.write_bytes(Path(early).read_bytes() + Path(late).read_bytes())
    assert numbers(samples(other, 0.25)) == [0, 7, 15, 22, 100, 107, 115, 122]


def joined(path: Path, *parts: Path) -> Path:
    """Recordings as ``cat`` joins them."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize(
    ("suffix", "form", "codec"),
    [("ts", "mpegts", "libx264"), ("mpg", "mpeg", "mpeg2video"), ("h264", "h264", "libx264")],
)
def test_pixels_that_change_their_shape_on_the_way(folder: Path, suffix, form, codec) -> None:
    parts = []
    for n, aspect in enumerate((1, 2)):

        def wide(stream, aspect=aspect) -> None:
            stream.codec_context.sample_aspect_ratio = Fraction(aspect)

        pictures = [barcode(30 * n + i, 128, 96) for i in range(30)]  # as MPEG-2 can say it
        part = folder / f"shape{n}.{suffix}"
        parts.append(make_video(part, pictures, format=form, codec=codec, prepare=wide, b_frames=2))
    taken = samples(joined(folder / f"shapes.{suffix}", *parts), 1001 / 30000)
    widths = [sample.frames[0].width for sample in taken]
    shape = 212 if codec == "mpeg2video" else 256  # 2.21 : 1 is the widest screen it knows
    # Before FFmpeg 8 nothing tells of which shape a frame is at the seam.
    seam = 0 if av.library_versions["libavfilter"][0] >= 11 else 4
    assert widths[: 30 - seam] == [128] * (30 - seam)
    assert set(widths[30:]) == {widths[-1]}
    assert abs(widths[-1] - shape) <= 1
    assert {sample.frames[0].height for sample in taken} == {96}


def test_raw_video_lasts_as_long_as_its_frames(folder: Path) -> None:
    path = make_video(folder / "raw.h264", 180, format="h264", b_frames=2)
    with SampleReader(FileSource(path), FrameProcessingConfig(0.5)) as reader:
        taken = list(reader)
    assert [s.media_time for s in taken] == [k / 2 for k in range(12)]
    assert numbers(taken) == [15 * k for k in range(12)]
    assert reader.ending == "end of file at 6.0 s"


def test_frames_before_the_time_zero_of_a_file(folder: Path) -> None:
    # What is before it has no time in Matroska, only its place in the order.
    path = make_video(
        folder / "early.mkv",
        180,
        pts=lambda i: i - 84,
        b_frames=0,
        container_options={"avoid_negative_ts": "disabled"},
    )
    taken = samples(path, 0.5)
    assert numbers(taken) == [15 * k for k in range(12)]


@pytest.mark.parametrize("suffix", ["mkv", "nut", "ts"])
@pytest.mark.parametrize("last", [False, True])
def test_hours_without_a_frame_are_said_and_passed_over(folder: Path, suffix, last, caplog) -> None:
    late = 10_000_000  # tenths of seconds; what MPEG-TS can count is ten hours later, too
    pts = [0, 1, 2, 3, 4, late] if last else [0, 1, 2, late, late + 1, late + 2]
    path = make_video(folder / f"late.{suffix}", 6, fps=10, pts=pts, gop=1, b_frames=0)
    said: list[str] = []
    source = FileSource(path)
    with SampleReader(source, FrameProcessingConfig(0.1), on_status=said.append) as reader:
        taken = list(reader)
    assert [round(s.media_time * 10) for s in taken] == list(range(6))
    assert numbers(taken) == list(range(6))
    words = "hours without a frame were passed over"
    assert [words in text for text in (*said, reader.ending)] == [True, True]
    assert "cut off" not in reader.ending
    assert words in caplog.text
    with SampleReader(source, ClipProcessingConfig(10, 0.3, 0.3)) as reader:
        assert [numbers([clip]) for clip in reader] == [[0], [3]]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "nut"])
@pytest.mark.parametrize("b_frames", [0, 3])
def test_hours_without_a_frame_between_two_keyframes(folder: Path, suffix, b_frames) -> None:
    unit = Fraction(1, 90_000 if suffix == "ts" else 1000)
    path = make_video(
        folder / f"within{b_frames}.{suffix}",
        60,
        pts=lambda i: round((Fraction(i, 30) + (4000 if i >= 40 else 0)) / unit),
        time_base=unit,
        gop=60,
        b_frames=b_frames,
        options={"x264-params": "scenecut=0"},
    )
    lost: list[float] = []
    source = FileSource(path)
    with SampleReader(
        source, FrameProcessingConfig(0.2), on_drop=lambda _, at, why: lost.append(at)
    ) as reader:
        taken = [sample for _, sample in zip(range(99), reader, strict=False)]
    within = [
        sample for sample in taken if sample.media_time < 1.9
    ]  # the last one's end is rounded
    assert [round(sample.media_time, 1) for sample in within] == [k / 5 for k in range(10)]
    assert numbers(within) == [6 * k for k in range(10)]
    assert lost == []
    assert reader.ending.startswith("end of file at 2.0 s; 1.1 hours")


def test_a_last_frame_that_would_stay_for_years(folder: Path) -> None:
    path = folder / "stays.mkv"
    make_video(path, 3, fps=10, b_frames=0)
    with av.open(str(path)) as source, av.open(str(folder / "stays.nut"), "w") as target:
        track = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = track
                packet.duration = 10**11
                target.mux(packet)
    with SampleReader(FileSource(folder / "stays.nut"), FrameProcessingConfig(0.1)) as reader:
        taken = [sample for _, sample in zip(range(9), reader, strict=False)]
    assert numbers(taken) == [0, 1, 2]


def test_a_loop_goes_on_growing(folder: Path) -> None:
    path = make_video(folder / "loop.mp4", 30)
    taken = []
    with SampleReader(FileSource(path, loop=True), FrameProcessingConfig(0.25)) as reader:
        for sample in reader:
            taken.append(sample)
            if len(taken) == 10:
                reader.interrupt()
    assert numbers(taken) == [0, 7, 15, 22, 0, 7, 15, 22, 0, 7]
    assert [s.media_time for s in taken] == [k / 4 for k in range(10)]


def test_a_picture_is_a_video_of_one_frame(folder: Path) -> None:
    for name, codec, pixels in (("one.png", "png", "rgb24"), ("one.jpg", "mjpeg", "yuvj420p")):
        path = folder / name
        make_video(
            path,
            [solid((250, 10, 10))],
            codec=codec,
            pix_fmt=pixels,
            format="image2",
            container_options={"update": "1"},
        )
        taken = samples(path)
        assert len(taken) == 1
        assert mean_colour(taken[0].frames[0].data)[0] > 230


# ---- files that cannot be used -------------------------------------------------------------------


def _refused(path: Path | str) -> str:
    with pytest.raises(SourceError) as caught:
        samples(FileSource(path))
    assert str(path) in str(caught.value) or Path(path).name in str(caught.value)
    return str(caught.value)


def test_what_is_no_video_is_refused_by_name(folder: Path) -> None:
    assert "no such file" in _refused(folder / "missing.mp4")
    assert "(a directory)" in _refused(folder)
    empty = folder / "empty.mp4"
    empty.touch()
    assert "is an empty file" in _refused(empty)
    text = folder / "text.mp4"
    text.write_text("not a video\n" * 300)
    assert "cannot be opened: Invalid data" in _refused(text)
    whole = make_video(folder / "whole.mp4", 60)
    cut = folder / "no-index.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert "moov atom not found" in _refused(cut)


def test_sound_alone_is_refused(folder: Path) -> None:
    path = folder / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), "s16", "mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
    assert "has no video, only audio" in _refused(path)
    assert "only a cover picture" in _refused(_music_with_cover(folder))


def _music_with_cover(folder: Path) -> Path:
    """An MP3 behind an ID3v2.3 tag with an APIC frame, byte by byte."""
    path = folder / "music.mp3"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libmp3lame", rate=44100)
        stream.layout = "mono"
        stream.format = "s16p"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.int16), "s16p", "mono")
        frame.rate, frame.pts = 44100, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    import simplejpeg

    cover = b"\0image/jpeg\0\x03\0" + simplejpeg.encode_jpeg(solid((9, 9, 200)))
    apic = b"APIC" + len(cover).to_bytes(4, "big") + b"\0\0" + cover
    size = len(apic)
    tag = b"ID3\x03\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + apic
    covered = folder / "covered.mp3"
    covered.write_bytes(tag + path.read_bytes())
    return covered


def test_a_file_that_breaks_off_gives_what_is_there(folder: Path) -> None:
    whole = make_video(folder / "long.mp4", 150, container_options={"movflags": "faststart"})
    cut = folder / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with SampleReader(FileSource(cut), FrameProcessingConfig(0.5)) as reader:
        taken = list(reader)
    assert 2 <= len(taken) < 9
    assert numbers(taken)[:2] == [0, 15]
    assert "cut off at" in reader.ending
    assert "5.0 s" in reader.ending


def _damaged(path: Path, where: float) -> Path:
    """A copy with 1500 bytes of noise from that part of the file on."""
    data = bytearray(path.read_bytes())
    at = int(len(data) * where)
    data[at : at + 1500] = np.random.default_rng(1).integers(0, 256, 1500, np.uint8).tobytes()
    damaged = path.with_stem(f"damaged{where}")
    damaged.write_bytes(data)
    return damaged


def test_damaged_packets_are_counted_and_end_with_their_gop(folder: Path) -> None:
    """In an MP4 the noise is within packets: its index still tells where each of them is."""
    damaged = _damaged(make_video(folder / "whole.mp4", 120, gop=20, b_frames=0), 0.5)
    dropped: list[tuple[int, float, str]] = []
    with SampleReader(
        FileSource(damaged),
        FrameProcessingConfig(0.1),
        on_drop=lambda *drop: dropped.append(drop),
    ) as reader:
        taken = list(reader)
    # Every tick is a sample or a counted drop, and none is both.
    ticks = [round(s.media_time * 10) for s in taken]
    assert ticks == sorted(set(ticks))
    assert {why for _, _, why in dropped} <= {"undecodable"}
    missed = [round(at * 10) for _, at, _ in dropped]
    assert sorted(ticks + missed) == list(range(40))
    # Each has the index of its place among them all.
    both = [(s.index, s.media_time) for s in taken] + [(i, at) for i, at, _ in dropped]
    assert sorted(both) == [(i, pytest.approx(i / 10)) for i in range(40)]
    shown = dict(zip(ticks, numbers(taken), strict=True))
    wrong = {tick for tick in range(40) if shown.get(tick) != tick * 3}
    assert wrong
    assert max(wrong) - min(wrong) <= 20  # in the GOPs that the noise touches, 2/3 s each
    assert {0, 39}.isdisjoint(wrong)
    said = re.fullmatch(
        r"end of file at 4\.0 s; (\d+) damaged packets? (was|were) passed over", reader.ending
    )
    assert said
    assert 1 <= int(said[1]) <= 60


@pytest.mark.parametrize("where", [0.3, 0.5, 0.7])
def test_a_damaged_container_goes_on_or_says_where_it_broke_off(folder: Path, where: float) -> None:
    """In Matroska the noise hits the structure: FFmpeg finds its way again, or does not."""
    damaged = _damaged(make_video(folder / "whole.mkv", 120, gop=20), where)
    with SampleReader(FileSource(damaged), FrameProcessingConfig(0.1)) as reader:
        taken = list(reader)
    found = numbers(taken)
    assert found[:6] == [0, 3, 6, 9, 12, 15]
    if found[-1] == 117:
        assert taken[-1].media_time == 3.9
        assert reader.ending.startswith("end of file at 4.0 s")
    else:
        said = re.match(r"cut off at (\d\.\d) s: it should be 4\.0 s long", reader.ending)
        assert said
        assert abs(float(said[1]) - taken[-1].media_time) <= 0.2


def test_frames_do_not_pile_up(folder: Path) -> None:
    """Decoded pictures are let go at once, not when garbage happens to be collected."""
    assert _pictures_alive(make_video(folder / "many.mp4", 60)) <= 2


def _pictures_alive(path: Path) -> int:
    """How many decoded pictures of a video of two seconds stay once they were given."""
    sampler = FrameSampler(FrameProcessingConfig(0.1))
    capture = make_capture(FileSource(path), lambda text: None)
    gc.collect()
    gc.disable()
    # Some may be of the tests before, whose threads are just ending.
    before = _pictures()
    try:
        count = sum(len(sampler.take(s.start, s.end)) for s in capture.frames(sampler))
        alive = _pictures() - before
    finally:
        gc.enable()
        capture.close()
    assert count == 20
    return alive


def _pictures() -> int:
    frames = (thing for thing in gc.get_objects() if isinstance(thing, av.VideoFrame))
    # The copies of 16x16 pixels that are made to look at side data may wait to be collected.
    return sum(frame.width > 16 for frame in frames)


def test_reading_leaves_no_file_open(folder: Path) -> None:
    path = make_video(folder / "handles.mp4", 30)
    fds = Path("/proc/self/fd")
    if not fds.exists():
        pytest.skip("needs /proc")

    def opened() -> int:
        return sum(link.exists() and link.resolve() == path for link in list(fds.iterdir()))

    reader = SampleReader(FileSource(path), FrameProcessingConfig(0.1))
    next(iter(reader))
    assert opened() == 1
    reader.close()
    reader.close()
    assert opened() == 0
