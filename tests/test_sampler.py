"""The sampler against its definition: at each tick, the last frame at or before it."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overshoot_nb.errors import ValidationError
from overshoot_nb.sampler import ClipSampler, FrameSampler, make_sampler
from overshoot_nb.types import ClipProcessingConfig, FrameProcessingConfig

TIME_BASES = st.sampled_from(
    [Fraction(1, n) for n in (1, 7, 25, 30, 1000, 15360, 90000)] + [Fraction(1001, 30000)]
)
INTERVALS = st.sampled_from([0.033, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 5, 59.9])


@st.composite
def shown_times(draw: st.DrawFn) -> tuple[list[int], Fraction]:
    """Display times from 0, unevenly spaced, the last being the end."""
    base = draw(TIME_BASES)
    longest = max(1, int(2 / base))
    steps = draw(st.lists(st.integers(1, longest), min_size=1, max_size=60))
    times = [0]
    for step in steps:
        times.append(times[-1] + step)
    return times, base


@settings(deadline=None, max_examples=150)
@given(shown_times(), INTERVALS)
def test_frame_mode_is_the_definition(video: tuple[list[int], Fraction], interval: float) -> None:
    times, base = video
    sampler = FrameSampler(FrameProcessingConfig(interval))
    sampler.bind(base)
    got = {}
    for start, end in itertools.pairwise(times):
        ticks = sampler.take(start, end)
        assert sampler.wants(start, end) == bool(ticks)
        for tick in ticks:
            assert tick not in got
            got[tick] = start
    step, expected, tick = Fraction(str(interval)), {}, 0
    while tick * step < times[-1] * base:
        expected[tick] = times[bisect_right(times, tick * step / base) - 1]
        tick += 1
    assert got == expected


@settings(deadline=None, max_examples=150)
@given(
    shown_times(),
    st.integers(1, 30),
    st.sampled_from([0.1, 0.35, 0.5, 1, 2.5]),
    st.sampled_from([0.1, 0.25, 0.5, 0.7, 3]),
)
def test_clip_mode_is_the_definition(
    video: tuple[list[int], Fraction], fps: int, length: float, delay: float
) -> None:
    count = int(fps * Fraction(str(length)))
    if count < 3:
        with pytest.raises(ValidationError, match="at least 3"):
            ClipSampler(ClipProcessingConfig(fps, length, delay))
        return
    times, base = video
    sampler = ClipSampler(ClipProcessingConfig(fps, length, delay))
    assert sampler.length == count
    sampler.bind(base)
    got: dict[int, list[int]] = {}
    for start, end in itertools.pairwise(times):
        parts = sampler.take(start, end)
        assert sampler.wants(start, end) == bool(parts)
        for clip, positions in parts:
            clips = got.setdefault(clip, [])
            assert positions.start == len(clips)
            clips.extend([start] * len(positions))
        complete = sampler.complete(end)
        assert all((len(f) == count) == (clip < complete) for clip, f in got.items())
    expected: dict[int, list[int]] = {}
    finish = times[-1] * base
    clip = 0
    while clip * Fraction(str(delay)) < finish:
        for i in range(count):
            tick = clip * Fraction(str(delay)) + Fraction(i, fps)
            if tick < finish:
                at = times[bisect_right(times, tick / base) - 1]
                expected.setdefault(clip, []).append(at)
        clip += 1
    assert got == expected


@settings(deadline=None)
@given(shown_times(), INTERVALS, st.integers(0, 5))
def test_due_is_the_next_tick(
    video: tuple[list[int], Fraction], interval: float, taken: int
) -> None:
    times, base = video
    for sampler in (
        FrameSampler(FrameProcessingConfig(interval)),
        ClipSampler(ClipProcessingConfig(6, 0.5, interval)),
    ):
        sampler.bind(base)
        after = times[min(taken, len(times) - 1)]
        due = sampler.due(after)
        assert due > after
        # The tick is in the unit that ends at due: with a frame shown from there, or just before.
        assert sampler.wants(due - 1, due + 1)
        if due - 1 > after + 1:
            assert not sampler.wants(after + 1, due - 1)


def test_a_grid_of_floats_would_drift() -> None:
    sampler = FrameSampler(FrameProcessingConfig(0.7))
    sampler.bind(Fraction(1, 30))
    ticks = [k for start in range(600) for k in sampler.take(start, start + 1)]
    assert ticks == list(range(29))


def test_state_survives_another_time_base() -> None:
    sampler = FrameSampler(FrameProcessingConfig(0.5))
    sampler.bind(Fraction(1, 10))
    assert list(sampler.take(0, 10)) == [0, 1]
    sampler.bind(Fraction(1, 1000))
    assert list(sampler.take(0, 2001)) == [2, 3, 4]
    clips = ClipSampler(ClipProcessingConfig(6, 0.5, 0.5))
    clips.bind(Fraction(1, 10))
    first = clips.take(0, 4)
    clips.bind(Fraction(1, 1000))
    assert first == [(0, range(0, 3))]
    assert clips.take(0, 600) == [(1, range(0, 1))]


def test_before_zero_nothing_is_wanted() -> None:
    for sampler in (
        FrameSampler(FrameProcessingConfig(0.5)),
        ClipSampler(ClipProcessingConfig()),
    ):
        sampler.bind(Fraction(1, 30))
        assert not sampler.wants(-10, 0)
        assert sampler.wants(-10, 1)


@pytest.mark.parametrize(
    ("processing", "said"),
    [
        (FrameProcessingConfig(0), "interval_seconds=0 is not valid"),
        (FrameProcessingConfig(60.5), "interval_seconds=60.5"),
        (FrameProcessingConfig(float("nan")), "interval_seconds=nan"),
        (ClipProcessingConfig(31), "target_fps=31 is not valid"),
        (ClipProcessingConfig(6, 61), "clip_length_seconds=61"),
        (ClipProcessingConfig(6, 0.5, 0), "delay_seconds=0"),
        (ClipProcessingConfig(6, 0.4), "2.4 frames a clip: it must be at least 3"),
        ({"interval_seconds": 1}, "processing="),
    ],
)
def test_no_sampler_is_made_of_what_is_out_of_range(processing: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        make_sampler(processing)
    made = FrameSampler if isinstance(processing, FrameProcessingConfig) else ClipSampler
    with pytest.raises(ValidationError, match=said):
        made(processing)


def test_numbers_of_other_libraries() -> None:
    """What the check lets through is what the arithmetic can use."""
    frames = FrameSampler(FrameProcessingConfig(np.float64(0.7)))
    assert frames.time(3) == Fraction(21, 10)
    assert FrameSampler(FrameProcessingConfig(Fraction(1, 3))).time(3) == 1  # type: ignore[arg-type]
    clips = ClipSampler(ClipProcessingConfig(np.int64(10), np.float64(0.3), np.float32(0.5)))
    clips.bind(Fraction(1, 30))
    assert clips.length == 3
    assert clips.take(0, 31) == [(0, range(0, 3)), (1, range(0, 3)), (2, range(0, 1))]
