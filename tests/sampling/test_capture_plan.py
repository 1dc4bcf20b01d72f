"""The packet plan over arbitrary videos: what is wanted can be decoded, none of it late."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from overshoot_nb.sampling import plan
from overshoot_nb.sampling.plan import Planned, plan_file, plan_live
from overshoot_nb.sampling.sampler import ClipSampler, FrameSampler
from overshoot_nb.types import ClipProcessingConfig, FrameProcessingConfig

BASE = Fraction(1, 90)


@dataclass
class Packet:
    """A packet of a made-up codec that knows what its frame depends on."""

    number: int
    pts: int
    dts: int | None
    is_keyframe: bool
    needs: list[int] = field(default_factory=list)
    duration: int = 0
    size: int = 100


@st.composite
def videos(draw: st.DrawFn) -> list[Packet]:
    """GOPs of anchors with up to 5 frames between them, some of them open, at uneven times."""
    packets: list[Packet] = []
    time = 0
    anchor: int | None = None
    gap = st.integers(1, draw(st.sampled_from([3, 3, 60])))
    has_dts = draw(st.booleans())
    for gop in range(draw(st.integers(1, 6))):
        opened = gop > 0 and draw(st.booleans())
        for at in range(draw(st.integers(1, 12))):
            key = at == 0
            between = 0 if key and not opened else draw(st.integers(0, 5))
            times = []
            for _ in range(between + 1):
                times.append(time)
                time += draw(gap)
            needs = [] if key or anchor is None else [anchor]
            before, anchor = anchor, len(packets)
            packets.append(Packet(anchor, times[-1], None, key, needs))
            for shown in times[:-1]:
                both = [anchor] if before is None else [before, anchor]
                packets.append(Packet(len(packets), shown, None, False, both))
    if has_dts:
        # As a muxer makes them: growing, and never after the pts.
        times = sorted(p.pts for p in packets)
        delay = max(0, *(times[i] - p.pts for i, p in enumerate(packets)))
        for i, packet in enumerate(packets):
            packet.dts = times[i] - delay
    return packets


def decoded(planned: Iterable[Planned]) -> dict[int, int]:
    """What a decoder makes of a plan: pts of every wanted frame that is whole, and its end."""
    whole: set[int] = set()
    out = {}
    for packet, end, left_out in planned:
        if left_out:
            whole.clear()
        if all(number in whole for number in packet.needs):
            whole.add(packet.number)
            if end is not None:
                out[packet.pts] = end
    return out


def oracle(packets: list[Packet], sampler: FrameSampler | ClipSampler) -> dict[int, int]:
    """All frames decoded and put in order; those that serve a tick."""
    times = sorted(p.pts for p in packets)
    ends = [*times[1:], times[-1] + 1]
    return {s: e for s, e in zip(times, ends, strict=True) if sampler.wants(s, e)}


def samplers() -> st.SearchStrategy[FrameSampler | ClipSampler]:
    def bound(sampler: FrameSampler | ClipSampler) -> FrameSampler | ClipSampler:
        sampler.bind(BASE)
        return sampler

    frames = st.sampled_from([0.05, 0.1, 0.35, 0.7, 2]).map(
        lambda interval: bound(FrameSampler(FrameProcessingConfig(interval)))
    )
    clips = st.sampled_from([(6, 0.5, 0.5), (10, 0.3, 2), (3, 1, 0.4)]).map(
        lambda values: bound(ClipSampler(ClipProcessingConfig(*values)))
    )
    return frames | clips


@settings(deadline=None, max_examples=150)
@given(videos(), samplers(), st.sampled_from([300, 1 << 20]))
def test_a_file_plan_gives_what_a_full_decode_gives(
    packets: list[Packet], sampler: FrameSampler | ClipSampler, held: int
) -> None:
    before, plan.HELD_BYTES = plan.HELD_BYTES, held
    try:
        sent = list(plan_file(packets, sampler.wants, frame_duration=1))
    finally:
        plan.HELD_BYTES = before
    assert decoded(sent) == oracle(packets, sampler)
    numbers = [packet.number for packet, _, _ in sent]
    assert numbers == sorted(set(numbers))  # in decode order, each once


class Clock:
    """A plan's pace, with a decoder that gives a frame after ``delay`` more packets."""

    def __init__(self, delay: int) -> None:
        self.delay = delay
        self.inside: list[int] = []
        self.approached: list[int] = []

    def approach(self, pts: int, held: int) -> None:
        self.approached.append(pts)

    def awaited(self) -> bool:
        return bool(self.inside)

    def decode(self, end: int | None) -> None:
        self.inside = [left - 1 for left in self.inside if left > 1]
        if end is not None:
            self.inside.append(self.delay)


@settings(deadline=None, max_examples=150)
@given(videos(), samplers(), st.integers(1, 6))
def test_a_plan_with_a_clock_gives_the_same_frames(
    packets: list[Packet], sampler: FrameSampler | ClipSampler, delay: int
) -> None:
    clock = Clock(delay)
    sent = []
    for planned in plan_file(packets, sampler.wants, frame_duration=1, pace=clock):
        clock.decode(planned[1])
        sent.append(planned)
    assert decoded(sent) == oracle(packets, sampler)
    numbers = [packet.number for packet, _, _ in sent]
    assert numbers == sorted(set(numbers))
    assert clock.approached == [packet.pts for packet in packets]


def test_with_a_clock_a_wanted_frame_does_not_wait_in_the_decoder() -> None:
    """What follows it is sent at once, until it is out; the rest is held back as ever."""
    packets = [Packet(i, i, i, i == 0) for i in range(100)]
    for intra_only in (False, True):
        clock = Clock(3)
        looked_at = {}
        for packet, end, _ in plan_file(
            packets, lambda s, e: s in (0, 60), frame_duration=1, pace=clock, intra_only=intra_only
        ):
            looked_at[packet.number] = clock.approached[-1]
            clock.decode(end)
        assert [looked_at[n] for n in (0, 1, 2, 3)] == [0, 1, 2, 3]
        assert 4 not in looked_at if intra_only else looked_at[4] == 60
        assert [looked_at[n] for n in (60, 61, 62, 63)] == [60, 61, 62, 63]
        assert 64 not in looked_at


def test_what_is_held_back_is_asked_about_again_when_it_is_let_go() -> None:
    packets = [Packet(i, i, i, i % 50 == 0) for i in range(100)]
    clock = Clock(1)

    def wants(start: int, end: int) -> bool:
        on = clock.approached[-1] >= 80
        return start == 0 or (on and start >= 75 and start % 2 == 0)

    ends = {}
    for packet, end, _ in plan_file(packets, wants, frame_duration=1, pace=clock):
        clock.decode(end)
        ends[packet.number] = end
    assert list(ends) == [0, 1, *range(50, 100)]
    assert [n for n, end in ends.items() if end is not None] == [0, *range(76, 100, 2)]


@settings(deadline=None, max_examples=150)
@given(videos(), samplers())
def test_a_live_plan_gives_what_a_full_decode_gives(
    packets: list[Packet], sampler: FrameSampler | ClipSampler
) -> None:
    if packets[0].dts is None:
        for i, packet in enumerate(packets):  # nothing reordered, no dts to go by
            packet.pts, packet.needs = i * 3, []
    read = 0

    def reading() -> Iterable[Packet]:
        nonlocal read
        for packet in packets:
            read += 1
            yield packet

    reorders = packets[0].dts is not None
    sent = []
    for planned in plan_live(reading(), sampler.wants, frame_duration=1, reorders=reorders):
        assert read - planned[0].number <= plan.AHEAD + 1
        sent.append(planned)
    assert [packet.number for packet, _, _ in sent] == list(range(len(packets)))
    assert decoded(sent) == oracle(packets, sampler)


def test_a_live_plan_waits_for_one_packet_where_nothing_is_reordered() -> None:
    read = []

    def reading() -> Iterable[Packet]:
        for i in range(20):
            read.append(i)
            yield Packet(i, i * 3, i * 3, i == 0)

    for packet, end, _ in plan_live(reading(), lambda start, end: True, frame_duration=3):
        assert end == packet.pts + 3
        assert len(read) - packet.number <= 2


def test_intra_only_needs_nothing_else() -> None:
    packets = [Packet(i, i, i, True) for i in range(100)]

    def wants(start: int, end: int) -> bool:
        return start % 10 == 0

    for planner in (plan_file, plan_live):
        sent = list(planner(packets, wants, frame_duration=1, intra_only=True))
        assert [packet.number for packet, _, _ in sent] == list(range(0, 100, 10))
        assert not any(left_out for _, _, left_out in sent)
