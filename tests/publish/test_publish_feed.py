"""The feed: which frames reach the wire, when, and how they look."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
import simplejpeg
from receiver import playing, run

from overshoot_nb.errors import SourceEndedError, SourceError
from overshoot_nb.gateway.publish.latest import FeedEnded, LatestFrame
from overshoot_nb.gateway.publish.recent import RecentFrames
from overshoot_nb.sampling.preview import Preview, PreviewFrame
from overshoot_nb.sources.kinds import ArraySource, FileSource
from overshoot_nb.sources.pushed_source import FrameSource

from videos import (
    MATRICES,
    barcode,
    corners_of,
    four_corners,
    make_video,
    set_matrix,
    solid,
    turn,
)


def number_on(frame) -> int:
    grey = frame.to_ndarray()[: frame.height]
    cell = frame.width / 10
    row = int(cell / 2)
    return sum(int(grey[row, int((bit + 0.5) * cell)] > 128) << bit for bit in range(10))


def colour_of(frame, x: float, y: float) -> tuple[int, ...]:
    rgb = frame.to_ndarray(format="rgb24")
    return tuple(int(c) for c in rgb[int(y * frame.height), int(x * frame.width)])


async def all_of(latest: LatestFrame) -> list:
    frames = []
    try:
        while True:
            frames.append((await latest.get(), time.monotonic()))
    except FeedEnded:
        return frames


def everything(source, **options) -> tuple[list, RecentFrames]:
    """All that a feed puts until the source ends, with the clock."""
    recent = RecentFrames()
    frames: list = []

    async def main(loop) -> None:
        latest = LatestFrame(loop)
        with playing(source, latest, recent, **options):
            frames.extend(await all_of(latest))

    run(main)
    return frames, recent


@pytest.mark.parametrize(("name", "fps"), [("v.mp4", 30), ("v.mkv", 30), ("v.mkv", 24)])
def test_every_frame_comes_at_its_time(tmp_path: Path, name: str, fps: int) -> None:
    frames, _ = everything(FileSource(make_video(tmp_path / name, 24, fps=fps, b_frames=2)))
    numbers = [number_on(frame) for frame, _ in frames]
    assert numbers == [*range(24), 23]  # the last one again, at its end
    times = [frame.pts / 90_000 for frame, _ in frames]
    assert times == pytest.approx([n / fps for n in range(25)], abs=2e-3)
    late = [at - frames[0][1] - t for t, (_, at) in zip(times, frames, strict=True)]
    assert np.median(np.abs(late)) < 0.02


def test_sixty_frames_a_second_become_thirty(tmp_path: Path) -> None:
    frames, _ = everything(FileSource(make_video(tmp_path / "v.mp4", 60, fps=60)))
    assert [number_on(frame) for frame, _ in frames] == [*range(0, 60, 2), 58]


@pytest.mark.parametrize(
    ("size", "max_size", "wire"),
    [
        ((1920, 1080), (1920, 1080), (1280, 720)),
        ((640, 360), (1280, 720), (640, 360)),
        ((641, 361), (1280, 720), (640, 360)),
        ((640, 480), (320, 320), (320, 240)),
        ((300, 1200), (1280, 720), (180, 720)),
        ((1, 1), (1280, 720), (2, 2)),
    ],
)
def test_sizes(size, max_size, wire) -> None:
    picture = solid((200, 60, 30), *size)
    frames, recent = everything(ArraySource([picture] * 2, fps=30), max_size=max_size)
    frame = frames[0][0]
    assert (frame.width, frame.height) == wire
    assert frame.format.name == "yuv420p"
    assert colour_of(frame, 0.5, 0.5) == pytest.approx((200, 60, 30), abs=4)
    kept = recent.at(time.monotonic())
    assert (kept.width, kept.height) == wire
    assert simplejpeg.decode_jpeg(kept.data, "RGB")[0, 0] == pytest.approx((200, 60, 30), abs=6)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotated_video_is_upright(tmp_path: Path, degrees: int) -> None:
    picture = np.zeros((96, 160, 3), np.uint8)
    picture[:48, :80] = (250, 20, 20)  # top left
    picture[48:, 80:] = (20, 20, 250)
    path = make_video(tmp_path / "v.mp4", [picture] * 3)
    turn(path, degrees)
    frame = everything(FileSource(path))[0][0][0]
    assert (frame.width, frame.height) == ((96, 160) if degrees % 180 else (160, 96))
    corners = [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]
    red = corners[degrees // 90]
    blue = corners[(degrees // 90 + 2) % 4]
    assert colour_of(frame, *red) == pytest.approx((250, 20, 20), abs=12)
    assert colour_of(frame, *blue) == pytest.approx((20, 20, 250), abs=12)


@pytest.mark.parametrize("name", MATRICES)
def test_mirrored_video_is_upright(tmp_path: Path, name: str) -> None:
    path = make_video(tmp_path / "v.mp4", [four_corners()] * 3)
    set_matrix(path, MATRICES[name][0])
    frame = everything(FileSource(path))[0][0][0]
    assert corners_of(frame.to_ndarray(format="rgb24")) == MATRICES[name][1]


def test_wide_pixels_and_other_colour_matrices(tmp_path: Path) -> None:
    def hd(stream) -> None:
        stream.codec_context.sample_aspect_ratio = 2
        stream.codec_context.colorspace = 1

    picture = np.full((96, 160, 3), (200, 60, 30), np.uint8)
    path = make_video(tmp_path / "v.mp4", [picture] * 2, prepare=hd)
    frame = everything(FileSource(path))[0][0][0]
    assert (frame.width, frame.height) == (320, 96)
    assert int(frame.colorspace) in (5, 6)


def test_a_picture_that_stays_is_put_again(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "v.mp4", [solid((9, 9, 9)), solid((250, 250, 250))], pts=[0, 18], fps=10
    )
    frames, recent = everything(FileSource(path))
    times = [frame.pts / 90_000 for frame, _ in frames]
    assert times[:5] == pytest.approx([0, 0.5, 1, 1.5, 1.8])
    assert [round(at - frames[0][1], 1) for _, at in frames[:5]] == [0, 0.5, 1, 1.5, 1.8]
    assert len({id(f.data) for f in recent.between(0, time.monotonic(), 50)}) <= 2


def test_a_loop_goes_on(tmp_path: Path) -> None:
    async def main(loop) -> None:
        latest = LatestFrame(loop)
        with playing(FileSource(make_video(tmp_path / "v.mp4", 10), loop=True), latest):
            frames = [await latest.get() for _ in range(25)]
        assert [number_on(f) for f in frames] == [n % 10 for n in range(25)]
        assert [f.pts for f in frames] == [n * 3000 for n in range(25)]

    run(main)


def test_a_pause_holds_a_file_and_keeps_its_newest_picture(tmp_path: Path) -> None:
    async def main(loop) -> None:
        latest, recent = LatestFrame(loop), RecentFrames()
        source = FileSource(make_video(tmp_path / "v.mp4", 60))
        with playing(source, latest, recent, keep_fps=2) as (_, pacer, _):
            for _ in range(5):
                newest = await latest.get()
            pacer.pause()
            with suppress(TimeoutError):  # one may have been on its way
                newest = await asyncio.wait_for(latest.get(), 0.1)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(latest.get(), 0.3)
            assert recent.at(time.monotonic()).media_time == newest.pts / 90_000
            pacer.resume()
            after = await asyncio.wait_for(latest.get(), 0.5)
            assert after.pts - newest.pts == 3000

    run(main)


def test_pushed_pictures_come_at_once_and_the_last_one_stays() -> None:
    async def main(loop) -> None:
        latest = LatestFrame(loop)
        source = FrameSource(64, 48)
        with playing(source, latest) as (_, pacer, thread):
            await asyncio.sleep(0.2)
            waits = []
            for shade in (10, 90, 170, 250):
                pushed = time.monotonic()
                source.push_frame(solid((shade,) * 3, 64, 48))
                frame = await asyncio.wait_for(latest.get(), 60)
                waits.append(time.monotonic() - pushed)
                assert colour_of(frame, 0.5, 0.5)[0] == pytest.approx(shade, abs=3)
                await asyncio.sleep(0.06)
            assert sorted(waits)[1] < 0.02
            again = await asyncio.wait_for(latest.get(), 60)
            assert again.pts > frame.pts
            assert colour_of(again, 0.5, 0.5) == colour_of(frame, 0.5, 0.5)
            pacer.pause()
            source.push_frame(solid((0, 0, 0), 64, 48))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(latest.get(), 0.7)
            pacer.resume()
            black = await asyncio.wait_for(latest.get(), 60)
            assert colour_of(black, 0.5, 0.5)[0] < 5
            source.close()
            thread.join(60)
            assert not thread.is_alive()

    run(main)


def test_too_many_pushed_pictures_are_thinned_out() -> None:
    async def main(loop) -> None:
        latest = LatestFrame(loop)
        source = FrameSource(64, 48)
        with playing(source, latest):
            taking = asyncio.create_task(all_of(latest))
            for n in range(100):
                source.push_frame(solid((n * 2,) * 3, 64, 48))
                await asyncio.sleep(0.01)
            source.close()
            frames = await taking
        seconds = (frames[-1][0].pts - frames[0][0].pts) / 90_000
        assert 20 * seconds < len(frames) <= 30 * seconds + 2

    run(main)


def test_nobody_who_is_slow_is_given_old_frames(tmp_path: Path) -> None:
    async def main(loop) -> None:
        latest = LatestFrame(loop)
        with playing(FileSource(make_video(tmp_path / "v.mp4", 60)), latest):
            first = await latest.get()
            await asyncio.sleep(1)
            second = await latest.get()
        assert number_on(first) == 0
        assert number_on(second) == pytest.approx(30, abs=3)

    run(main)


def test_the_last_frame_is_given_before_the_end() -> None:
    async def main(loop) -> None:
        latest = LatestFrame(loop)
        with playing(ArraySource([barcode(7)]), latest) as (feed, _, thread):
            thread.join(60)
            assert number_on(await latest.get()) == 7
            with pytest.raises(FeedEnded):
                await latest.get()
            assert "end of the frames" in feed.ending

    run(main)


def test_what_comes_after_the_end_is_not_kept() -> None:
    async def main(loop) -> None:
        latest = LatestFrame(loop)
        waiting = asyncio.create_task(latest.get())
        await asyncio.sleep(0)
        latest.clear()
        latest.put(av.VideoFrame(16, 16, "yuv420p"))
        for late in (waiting, asyncio.create_task(latest.get())):
            with pytest.raises(FeedEnded):
                await asyncio.wait_for(late, 60)

    run(main)


def test_the_preview_shows_what_is_sent(tmp_path: Path) -> None:
    shown: list[PreviewFrame] = []

    class Screen:
        def room(self) -> bool:
            return True

        def show(self, frame: PreviewFrame) -> None:
            shown.append(frame)

    preview = Preview(fps=15)
    preview.watch(Screen())
    frames, _ = everything(FileSource(make_video(tmp_path / "v.mp4", 30)), preview=preview)
    assert len(frames) == 31
    assert [round(frame.media_time * 30) for frame in shown] == list(range(0, 30, 2))
    assert all(frame.sample is None for frame in shown)


def test_a_source_that_fails(tmp_path: Path) -> None:
    async def main(loop) -> None:
        from overshoot_nb.gateway.publish.feed import VideoFeed
        from overshoot_nb.sampling.pacing import Pacer

        cases = [
            (FileSource(tmp_path / "none.mp4"), SourceError),
            (ArraySource([]), SourceEndedError),
        ]
        for source, error in cases:
            latest = LatestFrame(loop)
            pacer = Pacer(realtime=True, hold=True)
            feed = VideoFeed(source, latest, RecentFrames(), pacer=pacer)
            with pytest.raises(error):
                await asyncio.to_thread(feed.run)
            with pytest.raises(FeedEnded):
                await latest.get()
            feed.close()

    run(main)
