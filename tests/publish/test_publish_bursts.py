"""A playlist on the wire: at its own pace, though it comes a segment at a time."""

from __future__ import annotations

import asyncio
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest
from receiver import playing, run
from test_publish_feed import all_of, number_on

from overshoot_nb.gateway.publish.bursts import MAX_BEHIND_SECONDS, Bursts
from overshoot_nb.gateway.publish.latest import LatestFrame
from overshoot_nb.sampling.preview import Preview, PreviewFrame
from overshoot_nb.sources.kinds import HLSSource

from mediaservers import LiveHLSServer, MediaHTTPServer, running
from videos import make_video


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def waits(arrivals: list[tuple[float, float]], *, live: bool) -> list[float]:
    """How long each frame (seconds of its media time and of its arrival) is held back."""
    clock = Clock()
    bursts = Bursts(live=live, clock=clock)
    held = []
    for media_time, arrival in arrivals:
        clock.now = max(clock.now, 100 + arrival)
        bursts.came(media_time)
        held.append(bursts.due_in(media_time))
        clock.now += held[-1]
    return held


def segments(count: int, seconds: float, first_at: float = 0.0, fps: int = 10):
    """A server's store of three at once, then one each so many seconds."""
    step = round(seconds * fps)
    for n in range(count * step):
        segment = n // step
        yield n / fps, first_at + max(0, segment - 2) * seconds


def test_a_recording_is_held_to_its_own_time() -> None:
    held = waits([(n / 10, 0.0) for n in range(50)], live=False)
    assert held == pytest.approx([0] + [0.1] * 49)


def test_a_live_playlist_is_spread_behind_its_store() -> None:
    held = waits(list(segments(10, 2.0)), live=True)
    assert held[:61] == [0] * 61  # what was in store, and the first of the new
    assert [round(h, 3) for h in held[61:80]] == [0.1] * 19
    assert sum(h == pytest.approx(0.1) for h in held[80:]) >= len(held[80:]) - 6


def test_even_frames_are_not_held_back() -> None:
    assert max(waits([(n / 10, n / 10) for n in range(100)], live=True)) == 0


def test_a_late_segment_moves_the_clock_once() -> None:
    times = [(m, a + (0.7 if m >= 12 else 0.0)) for m, a in segments(10, 2.0)]
    clock_of = [a for _, a in times]
    held = waits(times, live=True)
    put = []
    now = 0.0
    for arrival, hold in zip(clock_of, held, strict=True):
        now = max(now, arrival) + hold
        put.append(now)
    gaps = [b - a for a, b in pairwise(put[61:])]
    assert sum(gap > 0.15 for gap in gaps) == 1
    assert max(gaps) == pytest.approx(0.8, abs=0.05)


def test_an_outage_is_not_carried_along() -> None:
    outage = 2 * MAX_BEHIND_SECONDS
    times = [(m, a if m < 10 else max(a, 8 + outage)) for m, a in segments(40, 2.0)]
    held = waits(times, live=True)
    now = 0.0
    behind = []
    for (media, arrival), hold in zip(times, held, strict=True):
        now = max(now, arrival) + hold
        behind.append(now - media)
    assert behind[-1] == pytest.approx(behind[90], abs=0.3)


def test_a_gap_in_a_live_playlist_is_not_waited_out() -> None:
    clock = Clock()
    bursts = Bursts(live=True, clock=clock)
    for media_time, now in ((0, 0), (0.1, 0), (0.2, 2), (0.3, 2)):
        clock.now = now
        bursts.came(media_time)
    assert bursts.due_in(0.4) == pytest.approx(0.2)
    bursts.came(30)
    assert bursts.due_in(30) == 0


def test_a_wait_ends_when_stopped() -> None:
    bursts = Bursts(live=False)
    bursts.came(0)
    threading.Timer(0.1, bursts.stop).start()
    began = time.monotonic()
    assert not bursts.wait(30)
    assert time.monotonic() - began < 20  # of 30


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    """The folder of a finished playlist of 3 segments of 1 s: vod.m3u8."""
    folder = tmp_path_factory.mktemp("recording")
    make_video(
        folder / "vod.m3u8",
        90,
        gop=30,
        format="hls",
        options={"x264-params": "scenecut=0"},
        container_options={"hls_time": "1", "hls_list_size": "0"},
    )
    return folder


def test_a_finished_playlist_plays_at_its_pace_to_its_end(recording: Path) -> None:
    shown: list[PreviewFrame] = []

    class Screen:
        def room(self) -> bool:
            return True

        def show(self, frame: PreviewFrame) -> None:
            shown.append(frame)

    preview = Preview(fps=10)
    preview.watch(Screen())
    server = MediaHTTPServer(recording)

    async def main(loop) -> None:
        latest = LatestFrame(loop)
        source = HLSSource(f"http://{server.address}/vod.m3u8")
        with playing(source, latest, preview=preview) as (feed, _, _):
            frames = await all_of(latest)
        assert feed.ending == "end at 3.0 s"
        numbers = [number_on(frame) for frame, _ in frames]
        assert numbers == sorted(numbers)
        assert len(set(numbers)) >= 85
        lag = [at - frames[0][1] - (f.pts - frames[0][0].pts) / 90_000 for f, at in frames]
        assert max(map(abs, lag)) < 0.2

    with running(server):
        run(main)
    assert len(shown) == pytest.approx(30, abs=2)


def test_a_pause_does_not_hurry_a_playlist(recording: Path) -> None:
    server = MediaHTTPServer(recording)

    async def main(loop) -> None:
        latest = LatestFrame(loop)
        source = HLSSource(f"http://{server.address}/vod.m3u8")
        with playing(source, latest) as (_, pacer, _):
            first = await latest.get()
            pacer.pause()
            await asyncio.sleep(1)
            pacer.resume()
            await latest.get()  # one may have been on its way
            after = await latest.get()
        assert (after.pts - first.pts) / 90_000 == pytest.approx(1.05, abs=0.15)

    with running(server):
        run(main)


def test_a_live_playlist_is_spread_over_its_own_duration(tmp_path: Path) -> None:
    server = LiveHLSServer(tmp_path)

    async def main(loop) -> None:
        latest = LatestFrame(loop)
        frames = []

        async def keep() -> None:
            while True:
                frames.append((await latest.get(), time.monotonic()))

        with playing(HLSSource(f"http://{server.address}/live.m3u8"), latest):
            keeping = asyncio.create_task(keep())
            await asyncio.sleep(4)
            keeping.cancel()
        late = [at for _, at in frames if at > frames[0][1] + 1.2]
        assert len(late) > 0.8 * 30 * (late[-1] - late[0])
        assert max(b - a for a, b in pairwise(late)) < 0.3

    with running(server):
        run(main)
