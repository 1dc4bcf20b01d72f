"""A recording as a source: its pictures at their times, byte for byte where they fit."""

from __future__ import annotations

import asyncio
import math
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import simplejpeg
from replays import FIRST, MODEL

import overshoot_nb
from overshoot_nb import (
    FileSource,
    FrameSource,
    Overshoot,
    Replay,
    SourceError,
    ValidationError,
    as_source,
    replay,
)
from overshoot_nb.sampling.pacing import Pacer
from overshoot_nb.sampling.pipeline import SampleReader
from overshoot_nb.sampling.preview import PreviewFrame
from overshoot_nb.types import ClipProcessingConfig, FrameProcessingConfig, Sample

from chatserver import ChatServer
from videos import HEIGHT, WIDTH, barcode, make_video, number_in

pytestmark = pytest.mark.usefixtures("no_threads_left")

MODES = {
    "frames": {"interval_seconds": 0.1},
    "repeated": {"interval_seconds": 0.02, "same_frame": "ask"},
    "clips": {"mode": "clip", "target_fps": 6, "clip_length_seconds": 0.5, "delay_seconds": 0.5},
    "overlapping": {
        "mode": "clip",
        "target_fps": 10,
        "clip_length_seconds": 0.5,
        "delay_seconds": 0.25,
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("sources")


def watch(source: object, server: ChatServer, **parameters) -> overshoot_nb.Stream:
    """Whatever is asked about a source, as fast as answers come."""

    async def main():
        async with Overshoot(base_url=server.url) as client:
            stream = await client.streams.create(
                source, FIRST, MODEL, **{"realtime": False, **parameters}
            )
            await stream.wait(60)
            return stream

    return asyncio.run(main())


@pytest.fixture(scope="module")
def recorded(folder):
    """Runs of one video in several modes, and their files."""
    video = make_video(folder / "video.mp4", 75)  # 2.5 s at 30 frames a second
    runs = {}
    with ChatServer(lambda request: str(number_in(request.jpegs[0]))) as server:
        for name, parameters in MODES.items():
            stream = watch(str(video), server, **parameters)
            stream.record(folder / f"{name}.parquet", progress=False)
            runs[name] = stream
    return runs


def samples_of(source, processing, **options) -> list[Sample]:
    with SampleReader(source, processing, **options) as reader:
        return list(reader)


@pytest.mark.parametrize("name", MODES)
def test_the_very_pictures_are_asked_about_again(recorded, folder, name):
    first = recorded[name]
    asked: list[list[bytes]] = []

    def answer(request) -> str:
        asked.append(request.jpegs)
        return str(number_in(request.jpegs[0]))

    with ChatServer(answer) as server:
        again = watch(folder / f"{name}.parquet", server, max_in_flight=1, **MODES[name])
    assert len(again.df) == len(first.df) > 3
    columns = ["sample", "media_time", "result", "mode"]
    assert again.df[columns].equals(first.df[columns])
    for index, jpegs in zip(first.frames, asked, strict=True):
        pictures = first.frames[index].sample.frames
        assert jpegs == [frame.data for frame in pictures]
        assert again.frames[index].sample.frames == pictures
    assert (
        again.samples[len(again.samples) - 1].media_time
        == first.df["media_time"].iloc[-1].total_seconds()
    )
    assert again.status.startswith("ended: end of the recording at ")


def test_hours_without_a_picture_are_passed_over(folder):
    source = FrameSource(WIDTH, HEIGHT)

    async def main():
        async with Overshoot(base_url=server.url) as client:
            stream = await client.streams.create(source, FIRST, MODEL, interval_seconds=0.1)
            rows = aiter(stream)
            for number, at in enumerate((0, 0.1, 0.2, 1e7, 1e7 + 0.1)):
                source.push_frame(barcode(number), media_time=at)
                await asyncio.wait_for(anext(rows), 60)
            source.close()
            await stream.wait(60)
            stream.record(folder / "hours.parquet", progress=False)

    with ChatServer(lambda request: "") as server:
        asyncio.run(main())
    with SampleReader(Replay(folder / "hours.parquet"), FrameProcessingConfig(0.1)) as reader:
        taken = [sample for _, sample in zip(range(9), reader, strict=False)]
    assert [number_in(sample.frames[0].data) for sample in taken] == [0, 1, 2, 3, 4]
    assert [round(sample.media_time, 6) for sample in taken] == [0, 0.1, 0.2, 0.3, 0.4]
    assert reader.ending.endswith("2777.8 hours without a frame were passed over")


@pytest.mark.parametrize("name", ["frames", "clips", "overlapping"])
def test_the_clock_of_the_recorded_run_is_kept(folder, name):
    then = datetime(2020, 2, 29, tzinfo=UTC)
    video = folder / f"then-{name}.mp4"
    make_video(video, 60)
    path = folder / f"then-{name}.parquet"
    with ChatServer(lambda request: "said") as server:
        first = watch(FileSource(video, start_time=then), server, **MODES[name])
        first.record(path, progress=False)
        loaded = overshoot_nb.load(path)
        assert loaded.df["captured_at"].tolist() == first.df["captured_at"].tolist()
        assert loaded.settings.source.start_time == then
        # As a source it shows what was seen then, and what it takes is taken now.
        again = watch(path, server, max_in_flight=1, **MODES[name])
    assert len(again.df) == len(first.df) > 3
    gone = again.df["captured_at"] - first.df["captured_at"]
    assert gone.abs().max() < timedelta(milliseconds=0.01)
    assert (again.df["total_latency_ms"] < 60_000).all()
    # Played whole, it is timed by when its samples were taken.
    played = asyncio.run(_played(path))
    assert played.df["captured_at"].tolist() == first.df["captured_at"].tolist()


async def _played(path: Path) -> overshoot_nb.Stream:
    stream = await Replay(path, speed=math.inf).start()
    await stream.wait(60)
    return stream


def test_other_moments_have_the_last_picture_before_them(recorded, folder):
    """Of pictures each 0.1 s, at other intervals and as clips."""
    source = Replay(folder / "frames.parquet", speed=None)
    stored = recorded["frames"].frames
    last = 24  # at 2.4 s
    for interval in (0.25, 0.07, 1.0):
        found = samples_of(source, FrameProcessingConfig(interval))
        assert [s.media_time for s in found] == pytest.approx(
            [k * interval for k in range(math.floor(last * 0.1 / interval + 1e-9) + 1)]
        )
        for sample in found:
            before = int(sample.media_time / 0.1 + 1e-9)
            assert sample.frames == stored[before].sample.frames
    found = samples_of(source, ClipProcessingConfig(5, 1.0, 1.0))
    assert [[round(f.media_time, 3) for f in s.frames] for s in found] == [
        [0.0, 0.2, 0.4, 0.6, 0.8],
        [1.0, 1.2, 1.4, 1.6, 1.8],
        [2.0, 2.2, 2.4],
    ]


def test_pictures_that_do_not_fit_are_made_smaller(recorded, folder):
    source = Replay(folder / "frames.parquet", speed=None)
    (first, *_) = samples_of(source, FrameProcessingConfig(0.1), max_size=(80, 80))
    frame = first.frames[0]
    assert (frame.width, frame.height) == (80, 48)
    assert simplejpeg.decode_jpeg_header(frame.data)[:2] == (48, 80)
    assert number_in(frame.data) == 0


def test_clips_can_be_videos(recorded, folder):
    source = Replay(folder / "clips.parquet", speed=None)
    found = samples_of(source, ClipProcessingConfig(6, 0.5, 0.5), clip_encoding="video")
    assert all(s.video is not None and b"ftyp" in s.video[:16] for s in found)
    kept = recorded["clips"].frames[0].sample.frames
    assert found[0].frames == kept


def test_it_says_how_long_it_is(recorded, folder):
    with SampleReader(Replay(folder / "frames.parquet"), FrameProcessingConfig(0.1)) as reader:
        assert (reader.info.width, reader.info.height) == (160, 96)
        assert reader.info.duration == pytest.approx(2.4, abs=1e-6)
        assert not reader.live
    df = overshoot_nb.analyze(
        str(folder / "frames.parquet"),
        "How bright is it?",
        base_url="local",
        interval_seconds=0.1,
        progress=False,
        model="local/scene",
    )
    assert len(df) == 25


def test_speed_is_that_of_the_clock():
    """Four times as fast: a second of the recording in a quarter."""
    pacer = Pacer(realtime=True, hold=True, speed=4.0)
    assert pacer.wait(10.0)  # the clock starts here
    assert pacer.late(10.0) < 0.05
    assert -0.26 < pacer.late(11.0) < -0.15
    assert pacer.wait(10.4)
    assert 0.0 <= pacer.late(10.4) < 0.2


def test_it_is_played_and_shown(recorded, folder):
    """At speed 5 the pictures of 2.4 s come in 0.5 s, and a viewer sees them."""
    shown: list[PreviewFrame] = []

    class Looker:
        def room(self) -> bool:
            return True

        def show(self, frame: PreviewFrame) -> None:
            shown.append(frame)

    async def main():
        with ChatServer(lambda request: "yes") as server:
            async with Overshoot(base_url=server.url) as client:
                loop = asyncio.get_running_loop()
                stream = await client.streams.create(
                    replay(folder / "frames.parquet", speed=5), FIRST, MODEL, interval_seconds=0.5
                )
                stream._run.preview.watch(Looker())
                began = loop.time()
                await stream.wait(60)
                return loop.time() - began, stream

    seconds, stream = asyncio.run(main())
    assert seconds > 0.3
    assert len(stream.samples) == 5
    assert stream.settings.source.label == "frames.parquet"
    assert len(shown) > 5
    assert {number_in(frame.data) for frame in shown} <= {3 * k for k in range(25)}


def test_a_restarted_run_is_one_reading_after_the_other(folder, recorded):
    async def main():
        with ChatServer(lambda request: str(number_in(request.jpegs[0]))) as server:
            async with Overshoot(base_url=server.url) as client:
                stream = await client.streams.create(
                    str(folder / "video.mp4"), FIRST, MODEL, interval_seconds=0.5, realtime=False
                )
                await stream.wait()
                await stream.restart()
                await stream.wait()
                return stream

    stream = asyncio.run(main())
    stream.record(folder / "twice.parquet", progress=False)
    found = samples_of(Replay(folder / "twice.parquet", None), FrameProcessingConfig(0.5))
    assert [s.media_time for s in found] == [k / 2 for k in range(10)]
    assert [number_in(s.frames[0].data) for s in found] == [0, 15, 30, 45, 60] * 2


def test_what_names_a_recording(folder, recorded, tmp_path):
    path = folder / "frames.parquet"
    for name in (str(path), path, f"file://{path}", path.with_suffix(".PARQUET")):
        source = as_source(name)
        assert isinstance(source, Replay), name
        assert source.realtime
    assert as_source(str(path)) == Replay(str(path))
    assert isinstance(as_source("clip.mp4"), FileSource)
    assert repr(replay(path, speed=None)) == f"Replay('{path}', speed=None)"
    assert replay(path, speed=math.inf) == replay(path, speed=None)
    assert not replay(path, speed=None).realtime
    for speed in (0, -1, math.nan, "2", True):
        with pytest.raises(ValidationError, match=r"speed=.* must be a number above 0"):
            replay(path, speed=speed)
    with pytest.raises(FileNotFoundError):
        replay(tmp_path / "none.parquet")
    (tmp_path / "no.parquet").write_bytes(b"PAR1 no recording")
    with pytest.raises(ValidationError):
        replay(tmp_path / "no.parquet")
    # A value of the class opens nothing.
    for source, said in (
        (Replay(tmp_path / "none.parquet"), "none.parquet: no such file"),
        (Replay(tmp_path / "no.parquet"), "no.parquet: cannot be played"),
    ):
        with pytest.raises(SourceError, match=said):
            samples_of(source, FrameProcessingConfig())


def test_it_is_shown_as_code(recorded, folder):
    path = str(folder / "frames.parquet")

    async def main(source):
        with ChatServer(lambda request: "yes") as server:
            async with Overshoot(base_url=server.url) as client:
                stream = await client.streams.create(source, FIRST, MODEL)
                await stream.close()
                return stream.prompts[1].as_code()

    assert f'"{path}",' in asyncio.run(main(path))
    assert f'overshoot_nb.Replay("{path}", speed=None)' in asyncio.run(main(replay(path, None)))


def test_reading_can_be_broken_off(recorded, folder):
    reader = SampleReader(
        Replay(folder / "frames.parquet"),
        FrameProcessingConfig(0.1),
        pacer=Pacer(realtime=True, hold=True),
    )
    with reader:
        samples = iter(reader)
        next(samples)
        threading.Timer(0.05, reader.interrupt).start()
        assert len(list(samples)) < 5
