"""Timestamps that jump: where nothing was to be seen, and where a clock was set anew."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from overshoot_nb.sampling.pipeline import SampleReader
from overshoot_nb.sources.kinds import FileSource
from overshoot_nb.types import FrameProcessingConfig

from mediaservers import BodyServer, MediaHTTPServer, running
from videos import make_video, number_in

TICKS = Fraction(1, 90_000)
HLS = {"format": "hls", "container_options": {"hls_time": "1", "hls_list_size": "0"}}
X265 = {"codec": "libx265", "options": {"preset": "ultrafast", "x265-params": "log-level=none"}}


def rows_of(source: FileSource, interval: float) -> list[tuple[float, int]]:
    """Media time and number of each sample; none may be lost."""
    lost: list[tuple[int, float, str]] = []

    def on_drop(index: int, media_time: float, reason: str) -> None:
        lost.append((index, media_time, reason))

    with SampleReader(source, FrameProcessingConfig(interval), on_drop=on_drop) as reader:
        rows = [(s.media_time, number_in(s.frames[0].data)) for s in reader]
    assert lost == []
    assert reader.ending.startswith("end of file at")
    return rows


def gap(first: int, seconds: int) -> Callable[[int], int]:
    """30 frames a second, and ``seconds`` without any before number ``first``."""
    return lambda n: n * 3000 + (seconds * 90_000 if n >= first else 0)


@pytest.mark.parametrize(
    ("frames", "pts", "options", "interval"),
    [
        (60, gap(40, 20), {"gop": 30, "b_frames": 0}, 1),
        (60, gap(40, 20), {"gop": 30, "b_frames": 3}, 1),
        (60, gap(40, 1000), {"gop": 30}, 30),
        (60, gap(30, 20), {"gop": 30, "options": {"x264-params": "scenecut=0"}}, 1),
        (45, gap(20, 20), {"gop": 30, **X265}, 1),
        (8, lambda n: n * 15 * 90_000, {"gop": 30}, 5),
        (8, lambda n: n * 15 * 90_000, {"gop": 1}, 5),
    ],
    ids=["in a GOP", "b-frames", "long", "before a keyframe", "hevc", "slides", "key slides"],
)
def test_a_gap_without_pictures_is_a_gap_of_media_time(
    tmp_path: Path, frames: int, pts: Callable[[int], int], options: dict, interval: float
) -> None:
    def rows(name: str, **form) -> list[tuple[float, int]]:
        path = make_video(tmp_path / name, frames, pts=pts, time_base=TICKS, **options, **form)
        found = rows_of(FileSource(path, realtime=False), interval)
        # How long the last frame stays is the muxers' own affair.
        return [row for row in found if row[0] <= pts(frames - 1) / 90_000]

    twin = rows("a.mp4")
    assert len(twin) == pts(frames - 1) / 90_000 // interval + 1
    assert len({number for _, number in twin}) > 1
    assert rows("a.ts") == twin
    assert rows("a.m3u8", **HLS) == twin


def test_a_gap_over_http(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.ts", 60, pts=gap(40, 20), time_base=TICKS, gop=30, b_frames=0)
    make_video(tmp_path / "a.m3u8", 60, pts=gap(40, 20), time_base=TICKS, gop=30, b_frames=0, **HLS)
    expected = rows_of(FileSource(path, realtime=False), 1)
    server, bodies = MediaHTTPServer(tmp_path), BodyServer(path.read_bytes())
    with running(server), running(bodies):
        places = [f"{server.address}/a.ts", f"{server.address}/a.m3u8", f"{bodies.address}/eof"]
        for place in places:
            assert rows_of(FileSource(f"http://{place}", realtime=False), 1) == expected


def with_clock_set(path: Path, at: int, before: int, after: int, **options) -> Path:
    """An MPEG-TS whose packets from number ``at`` on have another clock; 60 frames."""
    source = make_video(
        path.with_suffix(".mp4"), 60, pts=lambda n: n * 3000, time_base=TICKS, **options
    )
    parts = []
    for first, end, offset in ((0, at, before), (at, 60, after)):
        part = path.with_suffix(f".{first}.ts")
        with av.open(str(source)) as given, av.open(str(part), "w") as written:
            stream = given.streams.video[0]
            copy = written.add_stream_from_template(stream)
            packets = [packet for packet in given.demux(stream) if packet.size]
            for packet in packets[first:end]:
                moved = round(offset / packet.time_base)
                packet.pts += moved
                packet.dts += moved
                packet.stream = copy
                written.mux(packet)
        parts.append(part.read_bytes())
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize("b_frames", [0, 3])
@pytest.mark.parametrize(
    ("at", "before", "after"),
    [(40, 1000, 0), (40, 5, 0), (40, 0, 7200), (30, 7200, 0), (30, 0, 7200)],
    ids=["back", "back a little", "ahead", "back at a keyframe", "ahead at a keyframe"],
)
def test_a_clock_that_is_set_anew_loses_no_frame(
    tmp_path: Path, at: int, before: int, after: int, b_frames: int
) -> None:
    path = with_clock_set(tmp_path / "a.ts", at, before, after, gop=30, b_frames=b_frames)
    rows = rows_of(FileSource(path, realtime=False), 0.1)
    assert rows == [(k / 10, k * 3) for k in range(20)]


def test_a_clock_of_33_bits_begins_anew(tmp_path: Path) -> None:
    near = 2**33 / 90_000 - 1
    path = with_clock_set(tmp_path / "a.ts", 30, near, near, gop=30, b_frames=0)
    assert rows_of(FileSource(path, realtime=False), 0.1) == [(k / 10, k * 3) for k in range(20)]
