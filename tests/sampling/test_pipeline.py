"""From a source to samples: what is in them, in which order, and why they end."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from overshoot_nb.errors import SourceEndedError, SourceError, ValidationError
from overshoot_nb.sampling.pipeline import SampleReader
from overshoot_nb.sources.kinds import ArraySource, FileSource, LiveKitSource
from overshoot_nb.sources.pushed_source import FrameSource
from overshoot_nb.types import ClipProcessingConfig, FrameProcessingConfig, Sample

from videos import barcode, make_video, number_in, solid


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return make_video(tmp_path_factory.mktemp("pipeline") / "numbers.mp4", 60, b_frames=2)


def numbers(sample: Sample) -> list[int]:
    return [number_in(frame.data) for frame in sample.frames]


def test_frame_samples(video: Path) -> None:
    before = datetime.now(UTC)
    with SampleReader(FileSource(video), FrameProcessingConfig(0.5)) as reader:
        info = reader.info
        taken = list(reader)
    assert (info.width, info.height, info.codec, info.fps) == (160, 96, "h264", 30)
    assert info.duration == pytest.approx(2, abs=0.05)
    assert [s.index for s in taken] == [0, 1, 2, 3]
    assert [s.media_time for s in taken] == [0, 0.5, 1, 1.5]
    assert [s.mode for s in taken] == ["frame"] * 4
    assert [numbers(s) for s in taken] == [[0], [15], [30], [45]]
    assert taken[1].frames[0].media_time == 0.5
    assert before <= taken[0].captured_at <= taken[3].captured_at <= datetime.now(UTC)
    assert all(s.video is None for s in taken)
    assert reader.ending == "end of file at 2.0 s"
    assert not reader.live


def test_clips_overlap_and_share_their_bytes(video: Path) -> None:
    drops: list[tuple[int, float, str]] = []
    processing = ClipProcessingConfig(6, 1.0, 0.5)
    with SampleReader(
        FileSource(video), processing, on_drop=lambda *drop: drops.append(drop)
    ) as reader:
        clips = list(reader)
    assert [c.media_time for c in clips] == [0, 0.5, 1, 1.5]
    assert numbers(clips[0]) == [0, 5, 10, 15, 20, 25]
    assert numbers(clips[1]) == [15, 20, 25, 30, 35, 40]
    # Unfinished at the end, with three frames: still given.
    assert numbers(clips[3]) == [45, 50, 55]
    assert clips[0].frames[3].data is clips[1].frames[0].data
    assert drops == []


def test_a_clip_of_fewer_than_three_frames_is_a_counted_drop(video: Path) -> None:
    drops: list[tuple[int, float, str]] = []
    processing = ClipProcessingConfig(6, 0.5, 0.45)
    with SampleReader(
        FileSource(video), processing, on_drop=lambda *drop: drops.append(drop)
    ) as reader:
        clips = list(reader)
    assert [c.media_time for c in clips] == [0, 0.45, 0.9, 1.35]
    assert [len(c.frames) for c in clips] == [3, 3, 3, 3]
    assert drops == [(4, 1.8, "incomplete clip")]


def test_a_video_shorter_than_a_clip_gives_a_drop_and_no_error(tmp_path: Path) -> None:
    path = make_video(tmp_path / "one.png", 1, codec="png", pix_fmt="rgb24", format="image2")
    for source in (FileSource(path), ArraySource([barcode(1)] * 2, fps=6)):
        drops: list[tuple[int, float, str]] = []
        with SampleReader(
            source, ClipProcessingConfig(), on_drop=lambda *drop, to=drops: to.append(drop)
        ) as reader:
            assert list(reader) == []
        assert drops == [(0, 0.0, "incomplete clip")]
        assert reader.ending.startswith("end of ")


def test_clips_as_video(video: Path) -> None:
    processing = ClipProcessingConfig(6, 1.0, 0.5)
    with SampleReader(FileSource(video), processing, clip_encoding="video") as reader:
        clips = list(reader)
    for clip in clips:
        assert clip.video is not None
        with av.open(io.BytesIO(clip.video)) as container:
            frames = list(container.decode(video=0))
        assert [float(f.time) for f in frames] == pytest.approx(
            [i / 6 for i in range(len(clip.frames))]
        )
        for frame, picture in zip(frames, clip.frames, strict=True):
            row = frame.to_ndarray(format="gray")[8]
            shown = sum(int(row[bit * 16 + 8] > 128) << bit for bit in range(10))
            assert shown == number_in(picture.data)


def test_a_slow_finite_video_repeats_what_is_on_screen() -> None:
    source = ArraySource([barcode(n) for n in range(3)], fps=2)
    taken = list(SampleReader(source, FrameProcessingConfig(0.2)))
    assert [numbers(s)[0] for s in taken] == [0, 0, 0, 1, 1, 2, 2, 2]
    assert taken[0].frames[0].data is taken[2].frames[0].data
    assert [s.frames[0].media_time for s in taken[:4]] == [0, 0, 0, 0.5]
    clip = next(iter(SampleReader(ArraySource([solid((9, 9, 9))] * 3, 3), ClipProcessingConfig())))
    assert [f.media_time for f in clip.frames] == pytest.approx([0, 0, 1 / 3])


@pytest.mark.parametrize("shape", [(3, 40, 60), (3, 40, 60, 3), (3, 40, 60, 4)])
def test_arrays_of_every_kind(shape) -> None:
    source = ArraySource(np.full(shape, 130, np.uint8), fps=2)
    with SampleReader(source, FrameProcessingConfig(0.5)) as reader:
        assert (reader.info.width, reader.info.height) == (60, 40)
        assert reader.info.duration == 1.5
        assert len(list(reader)) == 3
    assert reader.ending == "end of the frames at 1.5 s"


def test_an_iterator_is_taken_as_it_is_needed() -> None:
    made: list[int] = []

    def pictures() -> Iterator[np.ndarray]:
        for n in range(20):
            made.append(n)
            yield barcode(n)

    with SampleReader(ArraySource(pictures(), fps=10), FrameProcessingConfig(0.5)) as reader:
        assert (reader.info.width, reader.info.height) == (160, 96)
        assert reader.info.duration is None
        samples = iter(reader)
        assert numbers(next(samples)) == [0]
        assert len(made) == 1
        assert [numbers(s) for s in samples] == [[5], [10], [15]]
    assert len(made) == 20
    assert reader.ending == "end of the frames at 2.0 s"


def test_an_array_of_frames_is_read_in_order() -> None:
    source = ArraySource(np.stack([barcode(n) for n in range(12)]), fps=4)
    with SampleReader(source, FrameProcessingConfig(0.5)) as reader:
        assert [numbers(s) for s in reader] == [[0], [2], [4], [6], [8], [10]]
    clips = list(SampleReader(source, ClipProcessingConfig(4, 1.0, 1.0)))
    assert [numbers(c) for c in clips] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_wrong_pictures_in_an_iterator() -> None:
    frames = iter([solid((1, 1, 1)), solid((1, 1, 1)).astype(float)])
    with pytest.raises(SourceError, match=r"frame 1 is float64 \(96, 160, 3\); expected a uint8"):
        list(SampleReader(ArraySource(frames), FrameProcessingConfig(0.5)))


def test_nothing_at_all_is_an_error() -> None:
    with pytest.raises(SourceEndedError, match="gave no frame"):
        list(SampleReader(ArraySource([]), FrameProcessingConfig(0.5)))
    closed = FrameSource(4, 4)
    closed.close()
    with pytest.raises(SourceEndedError, match="closed"):
        list(SampleReader(closed, FrameProcessingConfig(0.5)))


def test_wait_is_asked_before_the_stamp_and_can_stop(video: Path) -> None:
    asked: list[float] = []

    def wait(media_time: float) -> bool:
        asked.append(media_time)
        time.sleep(0.02)
        return len(asked) < 3

    reader = SampleReader(FileSource(video), FrameProcessingConfig(0.5), wait=wait)
    taken = list(reader)
    reader.close()
    assert asked == [0, 0.5, 1]
    assert [s.media_time for s in taken] == [0, 0.5]
    assert (taken[1].captured_at - taken[0].captured_at).total_seconds() >= 0.02
    asked.clear()
    processing = ClipProcessingConfig(6, 0.5, 0.5)
    reader = SampleReader(FileSource(video), processing, wait=wait)
    assert len(list(reader)) == 2
    reader.close()
    # A clip is complete when its last frame is.
    assert asked == pytest.approx([1 / 3, 0.5 + 1 / 3, 1 + 1 / 3])


def test_interrupt_from_another_thread() -> None:
    source = FrameSource(8, 8)
    reader = SampleReader(source, FrameProcessingConfig(0.1))
    timer = threading.Timer(0.2, reader.interrupt)
    timer.start()
    began = time.monotonic()
    assert list(reader) == []
    assert time.monotonic() - began < 60
    assert reader.ending.startswith("stopped at")
    timer.join()


def test_only_the_server_joins_a_livekit_room() -> None:
    with pytest.raises(ValidationError, match=r"v0\.2"):
        SampleReader(LiveKitSource("wss://h", "token"), FrameProcessingConfig(0.5))
    with pytest.raises(ValidationError, match="clip_encoding"):
        SampleReader(FrameSource(4, 4), FrameProcessingConfig(1), clip_encoding="gif")


# ---- frames pushed by the program ----------------------------------------------------------------


def test_pushed_frames_on_their_own_clock() -> None:
    source = FrameSource(160, 96)
    for n, at in enumerate((10, 10.2, 10.4, 10.6, 10.8, 11.3)):
        source.push_frame(barcode(n), media_time=at)
    source.close()
    with SampleReader(source, FrameProcessingConfig(0.25)) as reader:
        taken = list(reader)
    assert [(s.media_time, numbers(s)[0]) for s in taken] == [
        (0, 0),
        (0.25, 1),
        (0.5, 2),
        (0.75, 3),
        (1, 4),
    ]
    # Tick 1.25 still showed frame 4, which was sampled already: nothing is asked about twice.
    assert reader.ending == "the frame source was closed at 1.3 s"


def test_a_tick_does_not_wait_for_the_next_push() -> None:
    source = FrameSource(160, 96)
    taken: list[tuple[float, int, float]] = []
    began = time.monotonic()

    def run() -> None:
        for sample in SampleReader(source, FrameProcessingConfig(0.3)):
            taken.append((sample.media_time, numbers(sample)[0], time.monotonic() - began))

    thread = threading.Thread(target=run)
    thread.start()
    source.push_frame(barcode(1))
    time.sleep(0.1)
    source.push_frame(barcode(2))
    time.sleep(0.9)
    source.push_frame(barcode(3))
    time.sleep(0.4)
    source.close()
    thread.join(60)
    assert [(at, n) for at, n, _ in taken] == [(0, 1), (pytest.approx(0.3), 2), (1.2, 3)]
    assert taken[0][2] < 0.25
    assert 0.25 < taken[1][2] < 0.6


def test_pushed_clips() -> None:
    source = FrameSource(160, 96)
    for n in range(8):
        source.push_frame(barcode(n), media_time=n * 0.1666)
    source.close()
    clips = list(SampleReader(source, ClipProcessingConfig(6, 0.5, 0.5)))
    assert [numbers(c) for c in clips[:2]] == [[0, 1, 2], [3, 4, 5]]


# ---- a clock of the user's -----------------------------------------------------------------------

THEN = datetime(2020, 2, 29, 23, 59, 59, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "processing", [FrameProcessingConfig(0.5), ClipProcessingConfig(6, 1.0, 0.5)]
)
def test_a_file_that_was_taken_then(video: Path, processing) -> None:
    before = datetime.now(UTC)
    taken = list(SampleReader(FileSource(video, start_time=THEN), processing))
    assert [s.captured_at for s in taken] == [THEN + timedelta(seconds=k / 2) for k in range(4)]
    assert all(before <= s.taken_at <= datetime.now(UTC) for s in taken)
    assert all(s.taken_at is None for s in SampleReader(FileSource(video), processing))


def test_a_loop_goes_on_by_the_clock_of_its_first_frame(video: Path) -> None:
    source = FileSource(video, loop=True, start_time=THEN)
    with SampleReader(source, FrameProcessingConfig(1.0)) as reader:
        times = [sample.captured_at for sample, _ in zip(reader, range(4), strict=False)]
    assert times == [THEN + timedelta(seconds=k) for k in range(4)]


def test_pushed_frames_say_when_they_were_taken() -> None:
    source = FrameSource(160, 96)
    clock = [THEN, THEN + timedelta(seconds=7), None, THEN - timedelta(days=1)]
    for n, at in enumerate(clock):
        source.push_frame(barcode(n), media_time=n, captured_at=at)
    source.push_frame(barcode(9), media_time=4)
    source.close()
    before = datetime.now(UTC)
    taken = list(SampleReader(source, FrameProcessingConfig(1.0)))
    # What is seen, not the tick: a frame without a clock of its own is of now.
    assert [s.captured_at for i, s in enumerate(taken) if i != 2] == [clock[i] for i in (0, 1, 3)]
    assert taken[2].captured_at >= before
    assert [s.taken_at is not None for s in taken] == [True, True, False, True]


def test_a_clip_of_pushed_frames_is_as_old_as_its_first() -> None:
    source = FrameSource(160, 96)
    for n in range(8):
        at = THEN + timedelta(seconds=n)
        source.push_frame(barcode(n), media_time=n * 0.1666, captured_at=at)
    source.close()
    clips = list(SampleReader(source, ClipProcessingConfig(6, 0.5, 0.5)))
    assert [c.captured_at for c in clips[:2]] == [THEN, THEN + timedelta(seconds=3)]


@pytest.mark.parametrize(
    "processing", [FrameProcessingConfig(0.1), ClipProcessingConfig(10, 0.4, 0.4)]
)
def test_frames_that_are_lost_before_anybody_reads_are_drops(processing) -> None:
    source = FrameSource(160, 96)
    for n in range(20):
        source.push_frame(barcode(n), media_time=n / 10)
    source.close()
    drops: list[tuple[int, float, str]] = []
    with SampleReader(source, processing, on_drop=lambda *drop: drops.append(drop)) as reader:
        taken = list(reader)
    lost = [(n, 0.0, "lost before the stream began") for n in range(12)]
    assert drops[:12] == lost
    assert all(reason != lost[0][2] for _, _, reason in drops[12:])
    assert (taken[0].index, numbers(taken[0])[0]) == (12, 12)


def test_what_a_reader_let_go_before_is_not_counted_again() -> None:
    source = FrameSource(160, 96)
    for n in range(10):
        source.push_frame(barcode(n), media_time=n)
    drops: list[tuple[int, float, str]] = []

    def read(count: int) -> None:
        reader = SampleReader(
            source, FrameProcessingConfig(0.5), on_drop=lambda *drop: drops.append(drop)
        )
        with reader:
            assert len(list(zip(range(count), reader, strict=False))) == count

    read(1)
    assert len(drops) == 2
    # It has taken two of eight, the second to know how long the first was on screen.
    for n in range(10, 15):
        source.push_frame(barcode(n), media_time=n)
    read(1)
    assert len(drops) == 2 + 3


# ---- a live stall --------------------------------------------------------------------------------


def test_a_stalled_live_source_gives_one_sample() -> None:
    source = FrameSource(160, 96)
    for n, at in enumerate((0, 0.5, 5, 5.5, 6.0)):
        source.push_frame(barcode(n), media_time=at)
    source.close()
    taken = list(SampleReader(source, FrameProcessingConfig(0.5)))
    assert [(s.media_time, numbers(s)[0]) for s in taken] == [(0, 0), (0.5, 1), (5, 2), (5.5, 3)]


def test_pts_of_a_strange_time_base(tmp_path: Path) -> None:
    unit = Fraction(1001, 30000)
    path = make_video(tmp_path / "ntsc.mkv", 90, time_base=unit, pts=lambda n: n)
    taken = list(SampleReader(FileSource(path), FrameProcessingConfig(0.5)))
    # Matroska rounds times to milliseconds.
    times = [Fraction(int(n * unit * 1000 + Fraction(1, 2)), 1000) for n in range(90)]
    wanted = [max(n for n in range(90) if times[n] <= Fraction(k, 2)) for k in range(len(taken))]
    assert [numbers(s)[0] for s in taken] == wanted


# ---- times as they are meant ---------------------------------------------------------------------

#: Containers by what they do to times: rounded to milliseconds, exact, 90 kHz, a clock of frames.
MEANT = {
    "b.mkv": {"b_frames": 3},
    "ms.webm": {"codec": "libvpx", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "ms.flv": {},
    "exact.mp4": {"b_frames": 3},
    "khz.mp4": {"container_options": {"video_track_timescale": "90000"}},
    "khz.ts": {},
    "frames.avi": {"codec": "mpeg4"},
}


@pytest.fixture(scope="module")
def meant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("meant")
    for rate in (Fraction(30), Fraction(60_000, 1001)):
        for name, given in MEANT.items():
            path = folder / f"{rate.numerator}-{name}"
            make_video(path, 62, fps=rate, time_base=1 / rate, **given)  # type: ignore[arg-type]
    return folder


@pytest.mark.parametrize("name", MEANT)
def test_an_interval_is_the_fraction_that_is_meant(meant: Path, name: str) -> None:
    """The right frames, and no row after the end, though 2/3 s is 667 ms in some containers."""
    for rate in (Fraction(30), Fraction(60_000, 1001)):
        for each in (1, 2, 5, 10):
            with SampleReader(
                FileSource(meant / f"{rate.numerator}-{name}"),
                FrameProcessingConfig(float(each / rate)),
            ) as reader:
                taken = list(reader)
            assert [numbers(s)[0] for s in taken] == list(range(0, 62, each))
            assert [s.media_time for s in taken] == [float(n / rate) for n in range(0, 62, each)]
            assert all(abs(s.frames[0].media_time - s.media_time) < 0.00051 for s in taken)


@pytest.mark.parametrize("name", ["b.mkv", "ms.webm", "ms.flv", "exact.mp4"])
def test_positions_of_clips_are_met_too(meant: Path, name: str) -> None:
    clips = ClipProcessingConfig(target_fps=6, clip_length_seconds=0.5, delay_seconds=1 / 3)
    taken = list(SampleReader(FileSource(meant / f"30-{name}"), clips))
    assert [numbers(s) for s in taken] == [[at, at + 5, at + 10] for at in range(0, 51, 10)]


def test_a_clock_that_counts_frames_rounds_nothing(tmp_path: Path) -> None:
    """Half a tick of AVI's is half a frame: what is on screen then is the frame before."""
    path = make_video(tmp_path / "a.avi", 26, fps=25, codec="mpeg4")
    in_memory = ArraySource([barcode(n) for n in range(26)], fps=25)
    for source in (FileSource(path), in_memory):  # type: ignore[arg-type]
        taken = list(SampleReader(source, FrameProcessingConfig(0.5)))
        assert [numbers(s) for s in taken] == [[0], [12], [25]]


def test_times_of_pushed_frames_are_met(tmp_path: Path) -> None:
    source = FrameSource(160, 96)
    for n in range(8):  # as many as it holds
        source.push_frame(barcode(n), media_time=7.1 + n / 15)
    source.close()
    taken = list(SampleReader(source, FrameProcessingConfig(1 / 15)))
    assert [numbers(s) for s in taken] == [[n] for n in range(7)]
