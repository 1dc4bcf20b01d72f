"""What was on screen when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overshoot_nb.gateway.publish.recent import RecentFrames
from overshoot_nb.types import EncodedFrame


def frame(media_time: float, nbytes: int = 10) -> EncodedFrame:
    return EncodedFrame(media_time, bytes(nbytes), 64, 48)


def test_nothing_yet() -> None:
    recent = RecentFrames()
    assert recent.at(5) is None
    assert recent.media_time(5) is None
    assert recent.between(1, 2, 3) == ()


gaps = st.lists(st.floats(0.001, 5), min_size=1, max_size=40)


@given(gaps, gaps, st.floats(-2, 250))
def test_lookups_are_those_of_a_plain_search(walls, medias, moment) -> None:
    recent = RecentFrames(seconds=1e9)
    shown = []
    at = media = 0.0
    for wall, step in zip(walls, medias, strict=False):
        at, media = at + wall, media + step
        shown.append((at, frame(media)))
        recent.add(shown[-1][1], at)
    before = [f for t, f in shown if t <= moment]
    assert recent.at(moment) is (before[-1] if before else shown[0][1])
    time = recent.media_time(moment)
    assert shown[0][1].media_time <= time <= shown[-1][1].media_time
    assert time <= recent.media_time(moment + 1)
    for t, f in shown:
        assert recent.media_time(t) == f.media_time


def test_media_time_plays_on_and_stands_still_in_a_pause() -> None:
    recent = RecentFrames()
    for wall, media in ((100, 0), (100.5, 0.5), (110, 0.6), (110.5, 1.1)):
        recent.add(frame(media), wall)
    assert recent.media_time(100.25) == pytest.approx(0.25)
    assert recent.media_time(100.55) == pytest.approx(0.55)
    assert recent.media_time(105) == pytest.approx(0.6)
    assert recent.media_time(110.25) == pytest.approx(0.85)
    assert recent.media_time(200) == pytest.approx(1.1)
    assert recent.media_time(0) == 0


def test_moments_of_a_clip() -> None:
    recent = RecentFrames()
    for n in range(10):
        recent.add(frame(n / 10), 50 + n / 10)
    times = [f.media_time for f in recent.between(50.2, 50.6, 3)]
    assert times == pytest.approx([0.2, 0.4, 0.6])
    assert [f.media_time for f in recent.between(50.2, 50.6, 1)] == pytest.approx([0.6])


def test_bounded_in_seconds_but_what_was_on_screen_stays() -> None:
    recent = RecentFrames(seconds=10)
    for n in range(100):
        recent.add(frame(n), n)
    assert recent.count == 12
    assert recent.at(89).media_time == 89
    recent.add(frame(100), 1000)  # after a pause
    assert [recent.at(t).media_time for t in (995, 1000)] == [99, 100]


@given(st.lists(st.integers(1, 400), min_size=1, max_size=50))
def test_bounded_in_bytes_and_never_empty(sizes) -> None:
    recent = RecentFrames(max_bytes=1000)
    for n, size in enumerate(sizes):
        recent.add(frame(n, size), n)
        assert recent.nbytes <= 1000
        assert recent.at(n).media_time == n
    recent.add(frame(99, 5000), 99)
    assert (recent.count, recent.nbytes) == (1, 5000)


def test_the_same_picture_counts_once() -> None:
    recent = RecentFrames(seconds=5)
    data = bytes(100)
    for n in range(20):
        recent.add(EncodedFrame(n, data, 64, 48), n)
        assert recent.nbytes == 100
    recent.add(frame(20, 7), 20)
    assert recent.nbytes == 107
    recent.add(frame(40, 3), 40)
    recent.add(frame(50, 3), 50)
    assert recent.nbytes == 6


def test_the_timeline_outlives_the_pictures() -> None:
    recent = RecentFrames(seconds=100, max_bytes=300)
    for n in range(100):
        recent.add(frame(n, 10), n)
    assert (recent.count, recent.nbytes) == (30, 300)
    assert recent.media_time(3.5) == 3.5
    assert recent.at(3.5).media_time == 70
    assert [f.media_time for f in recent.between(60, 90, 4)] == [70, 70, 80, 90]
    for n in range(100, 300):
        recent.add(frame(n, 10), n)
    assert recent.media_time(200.5) == 200.5
    assert recent.media_time(0) == pytest.approx(198)  # seconds hold for times too
    assert (recent.count, recent.nbytes) == (30, 300)


def test_it_can_be_told_to_keep_frames_longer() -> None:
    recent = RecentFrames(seconds=10)
    recent.keep_for(40)
    recent.keep_for(20)
    for n in range(100):
        recent.add(frame(n), n)
    assert recent.at(0).media_time == 58


def test_nothing_is_left_after_the_end() -> None:
    recent = RecentFrames()
    recent.add(frame(0), 1)
    recent.clear()
    recent.add(frame(1), 2)
    assert (recent.count, recent.nbytes, recent.newest) == (0, 0, None)
    assert recent.at(2) is None
    assert recent.media_time(2) is None
    assert recent.between(1, 2, 3) == ()
