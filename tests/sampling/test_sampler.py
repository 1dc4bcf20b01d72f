"""The sampler against its definition: at each tick, the last frame at or before it."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from overshoot_nb.errors import ValidationError
from overshoot_nb.sampling.sampler import ClipSampler, FrameSampler, make_sampler
from overshoot_nb.support.validation import exact
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


#: What a user means: thirds, sixths, sevenths..., and whole numbers of NTSC's frames.
MEANT = st.one_of(
    st.builds(Fraction, st.integers(1, 60_000), st.integers(1, 1001)),
    st.builds(
        lambda n, rate: Fraction(n * 1001, rate),
        st.integers(1, 1001),
        st.sampled_from((24_000, 30_000, 60_000, 120_000)),
    ),
).filter(lambda fraction: fraction <= 60)
#: The clocks of mkv, webm and flv; of mp4, mov and ts.
CLOCKS = st.sampled_from([Fraction(1, n) for n in (1000, 600, 15_360, 30_000, 90_000)])
RATES = st.one_of(
    st.integers(1, 240).map(Fraction),
    st.sampled_from([Fraction(n, 1001) for n in (24_000, 30_000, 60_000, 120_000, 240_000)]),
)


@given(MEANT, st.sampled_from([1, 3, 7]))
def test_a_number_is_the_fraction_that_is_meant(meant: Fraction, parts: int) -> None:
    assert exact(float(meant)) == exact(np.float64(meant)) == exact(meant) == meant
    assert exact(float(meant / parts) * parts) == meant  # as 0.1 * 3 is
    sampler = FrameSampler(FrameProcessingConfig(float(meant)))
    sampler.change_interval(float(meant))
    sampler.wants(0, 1)
    assert [sampler.time(k) for k in (0, 1, 90_000)] == [0, meant, 90_000 * meant]


@pytest.mark.parametrize(
    ("number", "meant"),
    [
        (60, Fraction(60)),
        (60.0, Fraction(60)),
        (59.9999999, Fraction(599999999, 10**7)),
        (0.3333333, Fraction(3333333, 10**7)),
        (0.333333333333, Fraction(1, 3)),
        (0.0333333333333, Fraction(1, 30)),
        (0.0333666666666, Fraction(1001, 30_000)),
        (0.033333333333, Fraction(1, 30)),
        (0.03333333333, Fraction(3333333333, 10**11)),
        (1e-6, Fraction(1, 10**6)),
        (1e-9, Fraction(1, 10**9)),
        (1e-13, Fraction(1, 10**13)),
        (100_000 + 1 / 3, 100_000 + Fraction(1, 3)),
        (np.float32(0.1), Fraction(1, 10)),
        (np.float32(1 / 3), Fraction(1, 3)),
        (np.int64(2), Fraction(2)),
    ],
)
def test_other_numbers_are_as_written(number: Any, meant: Fraction) -> None:
    assert exact(number) == meant
    assert type(exact(number).numerator) is int


def rounded(time: Fraction, unit: Fraction) -> int:
    """As FFmpeg rounds: to the nearest, halves up."""
    return int(time / unit + Fraction(1, 2))


@settings(deadline=None, max_examples=300)
@given(MEANT, RATES, CLOCKS, st.integers(1, 500))
def test_a_clock_that_rounds_is_met_within_half_a_tick(
    interval: Fraction, rate: Fraction, unit: Fraction, frames: int
) -> None:
    times = [rounded(n / rate, unit) for n in range(frames + 1)]
    assume(len(set(times)) == len(times))
    sampler = FrameSampler(FrameProcessingConfig(float(interval)))
    sampler.bind(unit, unit / 2)
    got: list[int] = []
    for n, (start, end) in enumerate(itertools.pairwise(times)):
        ticks = sampler.take(start, end)
        assert sampler.wants(start, end) == bool(ticks)
        assert list(ticks) == list(range(len(got), len(got) + len(ticks)))
        got += [n] * len(ticks)
    half = unit / 2
    assert got == [
        bisect_right(times, (k * interval + half) / unit) - 1
        for k in range(len(got) + 2)
        if k * interval + half < times[-1] * unit
    ]
    # What falls on a frame is that frame, whatever its time was rounded to, and no row is extra.
    each = (interval * rate).denominator
    for k in range(0, len(got), each):
        assert got[k] == k * interval * rate
    if (frames / rate / interval).denominator == 1:
        assert len(got) == frames / rate / interval


@settings(deadline=None, max_examples=100)
@given(st.integers(3, 30), st.integers(1, 8), CLOCKS, MEANT)
def test_clips_meet_a_clock_that_rounds_too(
    fps: int, faster: int, unit: Fraction, delay: Fraction
) -> None:
    rate = Fraction(fps * faster)
    delay = max(Fraction(1, 30), min(delay, Fraction(3)))
    clips = ClipSampler(ClipProcessingConfig(fps, 1.0, float(delay)))
    clips.bind(unit, unit / 2)
    times = [rounded(n / rate, unit) for n in range(int(3 * rate) + 1)]
    assume(len(set(times)) == len(times))
    got: dict[int, list[int]] = {}
    for n, (start, end) in enumerate(itertools.pairwise(times)):
        for clip, positions in clips.take(start, end):
            got.setdefault(clip, []).extend([n] * len(positions))
        whole = [clip for clip, seen in got.items() if len(seen) == fps]
        assert sorted(whole) == list(range(clips.complete(end)))
    assert got[0] == list(range(0, fps * faster, faster))
    for clip, seen in got.items():
        at = [clip * delay + Fraction(i, fps) + unit / 2 for i in range(len(seen))]
        assert seen == [bisect_right(times, tick / unit) - 1 for tick in at]


def test_a_change_on_a_clock_that_rounds_loses_no_tick() -> None:
    sampler = FrameSampler(FrameProcessingConfig(1 / 30))
    sampler.bind(Fraction(1, 1000), Fraction(1, 2000))
    times = [rounded(Fraction(n, 30), Fraction(1, 1000)) for n in range(61)]
    got = []
    for n, (start, end) in enumerate(itertools.pairwise(times)):
        if n == 20:  # at 667 ms, just after its tick
            sampler.change_interval(1 / 15)
        assert sampler.wants(start, end) == (n < 20 or n % 2 == 1)
        got += [(n, sampler.time(tick)) for tick in sampler.take(start, end)]
    assert [n for n, _ in got] == [*range(20), *range(21, 60, 2)]
    assert all(at == Fraction(n, 30) for n, at in got)


def test_a_grid_of_floats_would_drift() -> None:
    sampler = FrameSampler(FrameProcessingConfig(0.7))
    sampler.bind(Fraction(1, 30))
    ticks = [k for start in range(600) for k in sampler.take(start, start + 1)]
    assert ticks == list(range(29))


CHANGES = st.dictionaries(st.integers(0, 30), INTERVALS, max_size=6)
STEPS = st.lists(st.integers(1, 40), min_size=1, max_size=60)


@settings(deadline=None, max_examples=200)
@given(STEPS, INTERVALS, CHANGES, st.integers(0, 3), st.sampled_from([1, 3, 512]))
def test_a_change_of_interval_loses_no_tick_and_doubles_none(
    steps: list[int], interval: float, changes: dict[int, float], behind: int, finer: int
) -> None:
    """Asked in decode order, taken later in display order, in two time bases; by a plain model."""
    unit = Fraction(1, 30)
    times = [0, *itertools.accumulate(steps)]
    shown = list(itertools.pairwise(times))
    # Decode order: the first of each group comes last, as where B-frames are.
    decode = [f for i in range(0, len(shown), 4) for f in (shown[i : i + 4][::-1])]
    sampler = FrameSampler(FrameProcessingConfig(interval))
    sampler.bind(unit)

    model: list[Fraction] = []  # every tick up to what was asked, in seconds
    step, asked = Fraction(str(interval)), Fraction(0)
    upcoming = Fraction(0)
    wanted: dict[tuple[int, int], bool] = {}
    waiting = list(shown)
    got: list[tuple[int, Fraction]] = []
    scale = 1

    def take_first() -> None:
        frame = waiting.pop(0)
        ticks = sampler.take(frame[0] * scale, frame[1] * scale)
        assert wanted[frame] == bool(ticks)
        for tick in ticks:
            at = sampler.time(tick)
            assert frame[0] * unit <= at < frame[1] * unit
            got.append((tick, at))

    for n, frame in enumerate(decode):
        if n in changes:
            sampler.change_interval(changes[n])
            step = Fraction(str(changes[n]))
            if model:
                upcoming = model[-1]
                while upcoming < asked:
                    upcoming += step
        if n == 20:  # another file, or another connection, with another time base
            scale = finer
            sampler.bind(unit / scale)
        start, end = frame[0] * unit, frame[1] * unit
        while upcoming < end:
            model.append(upcoming)
            upcoming += step
        asked = max(asked, end)
        wanted[frame] = sampler.wants(frame[0] * scale, frame[1] * scale)
        assert wanted[frame] == any(start <= tick < end for tick in model)
        later = upcoming if upcoming > asked else upcoming + step
        assert sampler.due(int(asked / unit * scale)) == ceil(later / unit * scale)
        while waiting and waiting[0] in wanted and n >= behind:
            take_first()
    while waiting and waiting[0] in wanted:
        take_first()
    assert [tick for tick, _ in got] == list(range(len(got)))
    assert [at for _, at in got] == model


def test_a_change_begins_where_nothing_was_asked_about() -> None:
    sampler = FrameSampler(FrameProcessingConfig(30))
    sampler.bind(Fraction(1, 30))
    assert [n for n in range(60) if sampler.wants(n, n + 1)] == [0]
    assert list(sampler.take(0, 60)) == [0]
    sampler.change_interval(0.7)
    ticks = [k for n in range(60, 200) for k in sampler.take(n, n + 1) if sampler.wants(n, n + 1)]
    assert ticks == []  # it is taken up with the question
    ticks = []
    for n in range(200, 300):
        sampler.wants(n, n + 1)
        ticks += sampler.take(n, n + 1)
    # Multiples of 0.7 from the last old tick on, none before the change.
    assert [sampler.time(k) for k in ticks] == [Fraction(7, 10) * k for k in (10, 11, 12, 13, 14)]
    assert ticks == [1, 2, 3, 4, 5]
    sampler.change_interval(2)
    sampler.change_interval(5)  # the last one counts
    assert sampler.due(299) == round((9.8 + 5) * 30)
    with pytest.raises(ValidationError, match="interval_seconds=61"):
        sampler.change_interval(61)
    assert sampler.due(299) == round((9.8 + 5) * 30)


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
