"""The preview: what is on screen when, and that the samples are the same with and without it."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from overshoot_nb.errors import ValidationError
from overshoot_nb.sampling.decoding import Decoding
from overshoot_nb.sampling.pacing import Pacer
from overshoot_nb.sampling.pipeline import SampleReader
from overshoot_nb.sampling.preview import Preview, PreviewFrame
from overshoot_nb.sources.kinds import FileSource, RTMPSource
from overshoot_nb.sources.pushed_source import FrameSource
from overshoot_nb.types import ClipProcessingConfig, FrameProcessingConfig, ProcessingConfig, Sample

from mediaservers import running
from rtmpserver import RTMPServer
from videos import (
    MATRICES,
    barcode,
    corners_of,
    four_corners,
    make_video,
    number_in,
    set_matrix,
)


class Screen:
    """A viewer that keeps what it is shown."""

    def __init__(self, room: Callable[[], bool] = lambda: True) -> None:
        self.frames: list[PreviewFrame] = []
        self.at: list[float] = []
        self.room = room

    def show(self, frame: PreviewFrame) -> None:
        self.frames.append(frame)
        self.at.append(time.monotonic())

    @property
    def numbers(self) -> list[int]:
        return [number_in(frame.data) for frame in self.frames]

    @property
    def samples(self) -> list[int]:
        return [frame.sample for frame in self.frames if frame.sample is not None]


@contextmanager
def played(
    source: object, processing: ProcessingConfig, preview: Preview | None, **options: object
) -> Iterator[tuple[SampleReader, Pacer, list[Sample], threading.Thread]]:
    """A reader at work in a thread, held to the clock where the source is a file."""
    live = source.live  # type: ignore[attr-defined]
    pacer = Pacer(realtime=source.realtime and not live, hold=not live)  # type: ignore[attr-defined]
    reader = SampleReader(source, processing, pacer=pacer, preview=preview, **options)  # type: ignore[arg-type]
    taken: list[Sample] = []

    def work() -> None:
        with reader:
            for sample in reader:
                taken.append(sample)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield reader, pacer, taken, thread
    finally:
        reader.interrupt()
        pacer.stop()
        thread.join(60)
        assert not thread.is_alive()


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.005)


def read(
    source: object, processing: ProcessingConfig, preview: Preview | None = None
) -> list[Sample]:
    """All samples, as fast as they come."""
    with SampleReader(source, processing, preview=preview) as reader:  # type: ignore[arg-type]
        return list(reader)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("preview")


@pytest.fixture(scope="module")
def video(folder: Path) -> Path:
    """Two seconds at 30 frames a second."""
    return make_video(folder / "numbers.mp4", 60, b_frames=2)


@pytest.fixture(scope="module")
def long_video(folder: Path) -> Path:
    """Forty seconds whose GOPs are longer than eight."""
    options = {"preset": "ultrafast", "x264-params": "scenecut=0"}
    return make_video(
        folder / "long.mp4", [barcode(n % 1024) for n in range(1200)], gop=250, options=options
    )


# ---- the samples are the same --------------------------------------------------------------------

VIDEOS = {
    "gop250.mp4": {"gop": 250},
    "gop30.mp4": {"gop": 30, "b_frames": 0},
    "vfr-b.mp4": {
        "pts": [n * 3 + (n * n) % 3 + (200 if n > 100 else 0) for n in range(150)],
        "time_base": Fraction(1, 90),
        "gop": 30,
        "b_frames": 3,
    },
    "hevc.mp4": {
        "codec": "libx265",
        "gop": 30,
        "options": {"preset": "ultrafast", "x265-params": "log-level=none:bframes=3"},
    },
    "mjpeg.mkv": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "raw.h264": {"b_frames": 2},
}


@pytest.mark.parametrize("name", VIDEOS)
@pytest.mark.parametrize(
    "processing",
    [
        FrameProcessingConfig(0.5),
        FrameProcessingConfig(2.3),
        ClipProcessingConfig(6, 0.5, 0.7),
        ClipProcessingConfig(10, 0.5, 0.2),
    ],
    ids=["0.5s", "2.3s", "clips", "overlapping"],
)
def test_the_samples_are_the_same(folder: Path, name: str, processing: ProcessingConfig) -> None:
    path = folder / name
    if not path.exists():
        make_video(path, 150, **VIDEOS[name])
    without = read(FileSource(path), processing)
    preview = Preview()
    screen = Screen()
    preview.watch(screen)
    shown = read(FileSource(path), processing, preview)
    assert [(s.index, s.media_time, s.frames) for s in shown] == [
        (s.index, s.media_time, s.frames) for s in without
    ]
    assert len(screen.frames) > len(shown) + 20
    # All but a clip that the end of the file broke off: the screen does not step back.
    assert [s.index for s in shown[:-1]] == screen.samples[: len(shown) - 1]
    times = [frame.media_time for frame in screen.frames]
    assert times == sorted(times)
    for frame in screen.frames:
        if frame.sample is not None:
            newest = shown[frame.sample].frames[-1]
            assert frame.data is newest.data
            assert frame.media_time == newest.media_time


def test_watching_on_and_off_changes_no_sample(video: Path, folder: Path) -> None:
    """Whatever moment it is switched at, with packets held back or not."""
    path = make_video(folder / "on-off.mp4", 150, gop=60, b_frames=2)
    want = [(s.media_time, s.frames) for s in read(FileSource(path), FrameProcessingConfig(0.7))]
    for turns in range(1, 8):
        preview = Preview()
        screen = Screen()
        taken = []
        with SampleReader(FileSource(path), FrameProcessingConfig(0.7), preview=preview) as reader:
            for sample in reader:
                taken.append((sample.media_time, sample.frames))
                (preview.watch if turns >> sample.index % 3 & 1 else preview.unwatch)(screen)
        assert taken == want
        assert screen.frames


# ---- what is on screen ---------------------------------------------------------------------------


def test_a_played_file_is_on_screen_at_its_own_pace(video: Path) -> None:
    preview = Preview()
    screen = Screen()
    preview.watch(screen)
    with played(FileSource(video), FrameProcessingConfig(0.5), preview) as (_, _, taken, thread):
        thread.join(60)
    assert [s.media_time for s in taken] == [0, 0.5, 1, 1.5]
    assert screen.samples == [0, 1, 2, 3]
    # Every tick of 15 a second, and the samples, which fall on its grid or between.
    expected = sorted({*range(0, 60, 2), 0, 15, 30, 45})
    assert set(screen.numbers) <= set(expected)
    assert len(screen.numbers) >= len(expected) - 4  # a busy machine may have left some out
    assert screen.numbers == sorted(set(screen.numbers))
    first = screen.frames[0]
    for frame, at in zip(screen.frames, screen.at, strict=True):
        due = frame.media_time - first.media_time
        assert frame.shown_at - first.shown_at == pytest.approx(due, abs=0.04)
        assert -0.02 < at - screen.at[0] - due < 0.35
        assert (frame.width, frame.height) == (160, 96)


def test_pictures_between_samples_are_small(folder: Path) -> None:
    path = make_video(folder / "large.mp4", [barcode(n, 1280, 720) for n in range(30)])
    preview = Preview(max_size=(320, 240), fps=10)
    screen = Screen()
    preview.watch(screen)
    read(FileSource(path), FrameProcessingConfig(0.5), preview)
    sizes = {(f.sample is None, f.width, f.height) for f in screen.frames}
    assert sizes == {(True, 320, 180), (False, 1280, 720)}
    times = [round(f.media_time * 30) for f in screen.frames if f.sample is None]
    assert times == [3, 6, 9, 12, 18, 21, 24, 27]


@pytest.mark.parametrize("name", ["left and right exchanged", "transposed"])
def test_mirrored_pictures_between_samples_are_upright(folder: Path, name: str) -> None:
    path = make_video(folder / f"{name}.mp4", [four_corners()] * 12)
    set_matrix(path, MATRICES[name][0])
    preview = Preview(fps=30)
    screen = Screen()
    preview.watch(screen)
    read(FileSource(path), FrameProcessingConfig(0.5), preview)
    assert len(screen.frames) > 6
    assert {corners_of(frame.data) for frame in screen.frames} == {MATRICES[name][1]}


def test_a_slow_file_shows_its_picture_when_it_comes_and_marks_each_sample(folder: Path) -> None:
    path = make_video(folder / "slow.mp4", [barcode(n) for n in range(4)], fps=2)
    preview = Preview()
    screen = Screen()
    preview.watch(screen)
    read(FileSource(path), FrameProcessingConfig(0.3), preview)
    shown = [(round(f.media_time, 1), f.sample) for f in screen.frames]
    assert shown == [
        (0, 0),
        (0, 1),
        (0.5, None),
        (0.5, 2),
        (0.5, 3),
        (1, None),
        (1, 4),
        (1.5, 5),
        (1.5, 6),
    ]


def test_a_file_that_is_not_played_shows_its_samples_alone(video: Path, monkeypatch) -> None:
    decoded = []
    real = Decoding._decode
    monkeypatch.setattr(
        Decoding, "_decode", lambda self, packet: decoded.append(packet) or real(self, packet)
    )
    counts = []
    for watched in (False, True):
        preview = Preview()
        screen = Screen()
        if watched:
            preview.watch(screen)
        decoded.clear()
        taken = []
        source = FileSource(video, realtime=False)
        with SampleReader(source, FrameProcessingConfig(0.1), preview=preview) as reader:
            for sample in reader:
                taken.append(sample)
                time.sleep(0.03)
        counts.append(len(decoded))
    assert len(taken) == 20
    assert counts[0] == counts[1]
    assert screen.samples == [frame.sample for frame in screen.frames]
    assert 5 <= len(screen.frames) <= 14
    assert all(b - a > 0.06 for a, b in itertools.pairwise(screen.at))


# ---- only while somebody watches, and only as fast as they take it -------------------------------


def test_a_frame_is_encoded_once_for_those_that_have_room(video: Path, monkeypatch) -> None:
    from overshoot_nb.sampling.encoder import FrameEncoder

    encoded = []
    real = FrameEncoder.encode
    monkeypatch.setattr(
        FrameEncoder,
        "encode",
        lambda self, picture, at, *more: encoded.append(at) or real(self, picture, at, *more),
    )
    preview = Preview()
    eager, also, full = Screen(), Screen(), Screen(lambda: False)
    turns = itertools.count()
    choosy = Screen(lambda: next(turns) % 3 == 0)
    for screen in (eager, also, full, choosy):
        preview.watch(screen)
        preview.watch(screen)
    read(FileSource(video), FrameProcessingConfig(0.5), preview)
    assert len(encoded) == len(eager.frames) == len(also.frames)
    assert all(a is b for a, b in zip(eager.frames, also.frames, strict=True))
    assert full.frames == []
    assert choosy.frames == eager.frames[::3]
    for screen in (eager, also, choosy):
        preview.unwatch(screen)
        preview.unwatch(screen)
    assert preview.active
    encoded.clear()
    read(FileSource(video), FrameProcessingConfig(0.5), preview)
    assert len(encoded) == 4
    preview.unwatch(full)
    assert not preview.active


def test_nobody_watching_costs_no_decoding(video: Path, monkeypatch) -> None:
    decoded = []
    real = Decoding._decode
    monkeypatch.setattr(
        Decoding, "_decode", lambda self, packet: decoded.append(packet) or real(self, packet)
    )
    packets = []
    for preview in (None, Preview()):
        decoded.clear()
        read(FileSource(video), FrameProcessingConfig(1), preview)
        packets.append([p and p.pts for p in decoded])
    assert packets[0] == packets[1]


def test_a_viewer_that_fails_is_let_go_and_breaks_nothing(video: Path, caplog) -> None:
    class Broken(Screen):
        def show(self, frame: PreviewFrame) -> None:
            super().show(frame)
            raise RuntimeError("the page is gone")

    preview = Preview()
    broken, whole = Broken(), Screen()
    preview.watch(broken)
    preview.watch(whole)
    with caplog.at_level(logging.ERROR):
        taken = read(FileSource(video), FrameProcessingConfig(0.5), preview)
    assert len(taken) == 4
    assert len(broken.frames) == 1
    assert len(whole.frames) > 20
    assert "the page is gone" in caplog.text


def test_frames_that_come_too_late_are_left_out(video: Path) -> None:
    """A screen that takes its time: the preview thins out, and the samples are not kept waiting."""

    class Slow(Screen):
        def show(self, frame: PreviewFrame) -> None:
            super().show(frame)
            if frame.sample == 0:
                time.sleep(0.9)

    preview = Preview()
    screen = Slow()
    preview.watch(screen)
    with played(FileSource(video), FrameProcessingConfig(0.5), preview) as (_, _, taken, thread):
        thread.join(60)
    assert [s.media_time for s in taken] == [0, 0.5, 1, 1.5]
    assert screen.samples == [0, 1, 2, 3]
    between = [f.media_time for f in screen.frames if f.sample is None]
    assert 0.6 < between[0] < 1.2
    late = [(s.captured_at - taken[0].captured_at).total_seconds() - s.media_time for s in taken]
    assert late[2] < 0.15
    assert late[3] < 0.15


@pytest.mark.parametrize("at", [0.3, 3.0])
def test_it_is_on_screen_soon_after_it_is_switched_on(long_video: Path, at: float) -> None:
    """In the middle of an interval of 30 s, and of a GOP of which nothing was decoded yet."""
    preview = Preview()
    screen = Screen()
    with played(FileSource(long_video), FrameProcessingConfig(30), preview) as (_, pacer, taken, _):
        until(lambda: taken)
        until(lambda: pacer.late(0) > at)
        assert len(taken) == 1
        switched = time.monotonic()
        preview.watch(screen)
        until(lambda: len(screen.frames) > 15)
        assert screen.at[0] - switched < 1.5
        # What is shown is what is on screen then.
        for frame, shown in zip(screen.frames, screen.at, strict=True):
            late = pacer.late(frame.media_time) - (time.monotonic() - shown)
            assert -0.05 < late < 0.35
        preview.unwatch(screen)
        shown = len(screen.frames)
        time.sleep(0.3)
        assert len(screen.frames) <= shown + 1


def test_a_pause_holds_a_file(video: Path, long_video: Path) -> None:
    preview = Preview()
    screen = Screen()
    preview.watch(screen)
    with played(FileSource(long_video), FrameProcessingConfig(5), preview) as (_, pacer, _, _):
        until(lambda: len(screen.frames) > 4)
        pacer.pause()
        time.sleep(0.1)
        shown = len(screen.frames)
        time.sleep(0.4)
        assert len(screen.frames) == shown
        pacer.resume()
        until(lambda: len(screen.frames) > shown + 3)
        gaps = [b.media_time - a.media_time for a, b in itertools.pairwise(screen.frames)]
        assert max(gaps) < 0.3  # nothing was left out


# ---- live sources --------------------------------------------------------------------------------


def test_pushed_frames_are_shown_as_they_come() -> None:
    preview = Preview()
    screen = Screen()
    preview.watch(screen)
    for watched in (True, False):
        source = FrameSource(160, 96)
        with played(source, FrameProcessingConfig(0.5), preview if watched else None) as (
            _,
            pacer,
            taken,
            thread,
        ):
            pacer.pause()  # a live source is read on
            for n in range(8):
                source.push_frame(barcode(n), media_time=7 + n * 0.1)
                time.sleep(0.03)
            source.close()
            thread.join(60)
            assert [(s.media_time, number_in(s.frames[0].data)) for s in taken] == [
                (0, 0),
                (0.5, 5),
            ]
    # The last one is on screen only when another comes.
    assert [(f.sample, n) for f, n in zip(screen.frames, screen.numbers, strict=True)] == [
        (0, 0),
        (None, 1),
        (None, 2),
        (None, 3),
        (None, 4),
        (1, 5),
        (None, 6),
    ]
    assert screen.frames[1].shown_at == pytest.approx(time.time(), abs=3)


def test_the_preview_wakes_nobody_for_pushed_frames(monkeypatch) -> None:
    calls = []
    real = FrameSource.next_frame
    monkeypatch.setattr(
        FrameSource, "next_frame", lambda self, until: calls.append(until) or real(self, until)
    )
    source = FrameSource(160, 96)
    preview = Preview()
    screen = Screen()
    preview.watch(screen)
    with played(source, FrameProcessingConfig(5), preview) as (_, _, taken, _):
        source.push_frame(barcode(1))
        until(lambda: taken)
        time.sleep(0.3)
        assert len(calls) <= 3


def test_a_live_stream_is_shown_between_its_samples() -> None:
    server = RTMPServer("key", breaks=[])
    preview = Preview()
    screen = Screen()
    preview.watch(screen)
    with (
        running(server),
        played(
            RTMPSource(f"rtmp://{server.address}/live/key", timeout=2),
            FrameProcessingConfig(1),
            preview,
        ) as (_, _, taken, _),
    ):
        until(lambda: len(taken) > 1)
    numbers = screen.numbers
    assert numbers == sorted(numbers)
    found = numbers[: numbers.index(30) + 1]
    # RTMP counts in milliseconds: now and then it is the frame before.
    assert all(1 <= b - a <= 3 for a, b in itertools.pairwise(found))
    assert 15 <= len(found) <= 17
    assert [f.sample for f in screen.frames][:2] == [0, None]


# ---- the interval, changed while it runs ---------------------------------------------------------


def test_a_new_interval_of_a_played_file_shows_soon(long_video: Path) -> None:
    with played(FileSource(long_video), FrameProcessingConfig(30), None, first_index=7) as (
        reader,
        pacer,
        taken,
        _,
    ):
        until(lambda: taken)
        until(lambda: pacer.late(0) > 1)
        reader.change_interval(0.5)
        until(lambda: len(taken) > 3)
    times = [s.media_time for s in taken]
    assert times[0] == 0
    assert 1.5 <= times[1] <= 3
    assert times[1:] == [times[1] + k * 0.5 for k in range(len(times) - 1)]
    assert times[1] % 0.5 == 0
    assert [number_in(s.frames[0].data) for s in taken] == [round(t * 30) for t in times]
    assert [s.index for s in taken] == [7 + k for k in range(len(taken))]


def test_a_new_interval_with_the_preview_on(long_video: Path) -> None:
    preview = Preview()
    screen = Screen()
    preview.watch(screen)
    with played(FileSource(long_video), FrameProcessingConfig(20), preview) as (
        reader,
        _,
        taken,
        _,
    ):
        until(lambda: screen.frames)
        time.sleep(0.3)
        reader.change_interval(0.2)
        until(lambda: len(taken) > 3, 3)
    times = [Fraction(str(s.media_time)) * 5 for s in taken]
    assert all(at.denominator == 1 for at in times)
    assert [int(at - times[1]) for at in times[1:]] == list(range(len(times) - 1))
    assert screen.samples == [s.index for s in taken]


def test_a_new_interval_of_pushed_frames() -> None:
    source = FrameSource(160, 96)
    with played(source, FrameProcessingConfig(60), None) as (reader, _, taken, _):
        source.push_frame(barcode(1))
        until(lambda: taken)
        time.sleep(0.05)
        source.push_frame(barcode(2))
        time.sleep(0.05)
        reader.change_interval(0.4)  # nothing more is pushed: it is woken
        until(lambda: len(taken) == 2, 2)
    assert [number_in(s.frames[0].data) for s in taken] == [1, 2]
    assert taken[1].media_time == 0.4


def test_what_cannot_be_changed_says_so(video: Path) -> None:
    clips = SampleReader(FileSource(video), ClipProcessingConfig())
    with pytest.raises(ValidationError, match="frame mode"):
        clips.change_interval(1)
    with pytest.raises(ValidationError, match="interval_seconds=0 is not valid"):
        SampleReader(FileSource(video), FrameProcessingConfig(1)).change_interval(0)
    for wrong in ({"fps": 0}, {"fps": 61}, {"quality": 0}, {"max_size": (1, 1)}):
        with pytest.raises(ValidationError):
            Preview(**wrong)  # type: ignore[arg-type]


def test_a_preview_frame_shows_no_bytes_in_its_repr() -> None:
    frame = PreviewFrame(1.0, 2.0, b"bytes", 4, 3)
    assert "bytes" not in repr(frame)
    assert np.isfinite(frame.media_time)
