"""Which arriving frames are chosen, on a clock that runs as fast as nothing happens."""

from __future__ import annotations

import asyncio
import types
from itertools import pairwise

import pytest

from overshoot_nb.local import live_sampler
from overshoot_nb.local.live_sampler import Received, make_chooser
from overshoot_nb.types import ClipProcessingConfig, FrameProcessingConfig

from waiting import VirtualLoop


def run(processing, arrivals, until, size=(640, 360)):
    """What is chosen when frame i arrives at ``arrivals[i]``: (time, numbers of the frames)."""

    async def play():
        loop = asyncio.get_running_loop()
        chosen = []

        def choose(frames):
            chosen.append((round(loop.time(), 4), [each.frame.number for each in frames]))

        chooser = make_chooser(processing, choose)
        for number, at in enumerate(arrivals):
            await asyncio.sleep(at - loop.time())
            width, height = size[number] if isinstance(size, list) else size
            frame = types.SimpleNamespace(number=number, width=width, height=height)
            chooser.arrived(Received(frame, loop.time()))
        await asyncio.sleep(until - loop.time())
        chooser.close()
        chooser.close()
        given = len(chosen)
        await asyncio.sleep(60)
        assert len(chosen) == given
        return chosen

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(play())


def every(step, count, start=1.0):
    return [start + i * step for i in range(count)]


def test_frame_mode_takes_the_first_at_once_and_then_the_newest():
    # 10 frames a second from t = 1, one looked at every 0.25 s.
    arrivals = [1.0, *every(0.1, 10, start=1.09)]
    chosen = run(FrameProcessingConfig(0.25), arrivals, until=2.01)
    assert chosen == [(1.0, [0]), (1.25, [2]), (1.5, [5]), (1.75, [7]), (2.0, [10])]


def test_frame_mode_never_takes_a_frame_twice_and_waits_no_longer_than_needed():
    # The frames stop for a second; the first one after it is taken as it comes.
    chosen = run(FrameProcessingConfig(0.25), [1.0, 1.05, 2.1, 2.15, 2.2], until=4)
    assert chosen == [(1.0, [0]), (1.25, [1]), (2.1, [2]), (2.25, [4])]


def test_frames_slower_than_the_interval_are_all_taken_as_they_come():
    chosen = run(FrameProcessingConfig(0.1), every(0.37, 5), until=4)
    assert chosen == [(round(at, 4), [i]) for i, at in enumerate(every(0.37, 5))]


def test_clips_at_their_times():
    # 3 frames, 1/6 s apart, every 0.5 s: complete with their last frame, 2/6 s after the first.
    # Frames come 30 times a second, a little before the ticks.
    arrivals = [1.0, *every(1 / 30, 40, start=1.03)]
    chosen = run(ClipProcessingConfig(6, 0.5, 0.5), arrivals, until=2.3)
    assert [at for at, _ in chosen] == [1.3333, 1.8333]
    assert [numbers for _, numbers in chosen] == [[0, 5, 10], [15, 20, 25]]


def test_clips_that_overlap():
    arrivals = [1.0, *every(1 / 30, 27, start=1.03)]
    chosen = run(ClipProcessingConfig(6, 0.5, 1 / 6), arrivals, until=1.9)
    assert [numbers for _, numbers in chosen] == [
        [0, 5, 10],
        [5, 10, 15],
        [10, 15, 20],
        [15, 20, 25],
    ]


def test_a_slow_video_repeats_its_frames_in_a_clip():
    chosen = run(ClipProcessingConfig(6, 0.5, 0.5), [1.0, 1.3, 1.6, 1.9], until=2.3)
    assert [numbers for _, numbers in chosen] == [[0, 0, 1], [1, 2, 2]]


def test_a_clip_with_nothing_new_is_left_out():
    chosen = run(ClipProcessingConfig(6, 0.5, 0.5), [1.0, 3.95], until=6)
    assert chosen == [(1.3333, [0, 0, 0]), (4.3333, [1, 1, 1])]


def test_a_long_clip_has_its_frames_further_apart():
    # 30 frames a second for 10 s would be 300.
    arrivals = [1.0, *every(1 / 30, 400, start=1.03)]
    ((at, numbers),) = run(ClipProcessingConfig(30, 10, 60), arrivals, until=14)
    assert len(numbers) == 64
    assert at == pytest.approx(1 + 63 * 10 / 64, abs=0.001)
    assert {b - a for a, b in pairwise(numbers)} <= {4, 5}


def test_large_pictures_make_shorter_clips(monkeypatch):
    monkeypatch.setattr(live_sampler, "MAX_CLIP_PIXELS", 5 * 640 * 360)
    arrivals = [1.0, *every(1 / 30, 100, start=1.03)]
    clip = ClipProcessingConfig(10, 1, 60)
    assert [len(n) for _, n in run(clip, arrivals, until=3)] == [5]
    # A clip that would have too many pixels now begins anew.
    sizes = [(320, 180)] * 10 + [(640, 360)] * 100
    ((_, numbers),) = run(clip, arrivals, until=4, size=sizes)
    assert numbers == [10, 15, 21, 27, 33]
    # A clip has three pictures, whatever they have.
    assert [len(n) for _, n in run(clip, arrivals, until=4, size=(4000, 3000))] == [3]


def test_a_tiny_delay_needs_no_memory():
    arrivals = [1.0, *every(1 / 30, 90, start=1.03)]
    chosen = run(ClipProcessingConfig(6, 0.5, 0.001), arrivals, until=3)
    # One for each new frame of the grid.
    assert len(chosen) == 16


def test_a_picture_that_grows_and_shrinks_goes_on_where_it_has_room():
    # As a browser's does while it learns what the network bears.
    sizes = [(320, 180)] * 10 + [(640, 360)] * 10 + [(1280, 720)] * 10 + [(320, 180)] * 40
    arrivals = [1.0, *every(1 / 30, 69, start=1.03)]
    chosen = run(ClipProcessingConfig(6, 0.5, 0.5), arrivals, until=2.9, size=sizes)
    assert [at for at, _ in chosen] == [1.3333, 1.8333, 2.3333, 2.8333]


def test_smaller_pictures_make_longer_clips_again(monkeypatch):
    monkeypatch.setattr(live_sampler, "MAX_CLIP_PIXELS", 5 * 640 * 360)
    arrivals = [1.0, *every(1 / 30, 100, start=1.03)]
    sizes = [(640, 360)] * 40 + [(320, 180)] * 61
    chosen = run(ClipProcessingConfig(10, 1, 1), arrivals, until=4, size=sizes)
    assert [len(numbers) for _, numbers in chosen] == [5, 10, 10]


@pytest.mark.parametrize(
    "processing", [FrameProcessingConfig(1e-6), ClipProcessingConfig(6, 0.5, 1e-9)]
)
def test_an_interval_of_nothing_is_no_busy_loop(processing, monkeypatch):
    fired = []
    fire = live_sampler._Ticks._fire

    def counted(ticks):
        fired.append(ticks)
        assert len(fired) < 1000
        fire(ticks)

    monkeypatch.setattr(live_sampler._Ticks, "_fire", counted)
    chosen = run(processing, every(0.2, 10), until=3)
    assert len(chosen) >= 9
    assert len(fired) < 2 * 61 + 2 * 7


def test_no_timer_runs_while_a_sample_is_owed(monkeypatch):
    fired = []
    fire = live_sampler._Ticks._fire
    monkeypatch.setattr(live_sampler._Ticks, "_fire", lambda t: fired.append(t) or fire(t))
    chosen = run(FrameProcessingConfig(0.05), [1.0, 1.01, 31.0], until=31.04)
    assert [numbers for _, numbers in chosen] == [[0], [1], [2]]
    assert len(fired) == 2
