"""The media clock of a file in real time."""

import threading
import time

import pytest

from overshoot_nb.sampling import pacing
from overshoot_nb.sampling.pacing import Pacer


class Clock:
    """A clock that stands still but while a pacer waits: then its time is over at once."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def pacer(self, **options) -> Pacer:
        pacer = Pacer(hold=True, **options)
        pacer._condition.wait = self._wait  # type: ignore[method-assign]
        return pacer

    def _wait(self, timeout: float) -> bool:
        self.waits.append(timeout)
        self.now += max(timeout, 1e-6)  # what rounding leaves is over, too
        return False


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(pacing, "time", clock)
    return clock


def test_moments_come_at_their_own_distance(clock):
    pacer = clock.pacer(realtime=True)
    assert pacer.wait(5.0)  # the clock starts with the first moment, whichever it is
    assert clock.waits == []
    assert pacer.wait(5.1)
    assert pacer.wait(5.2)
    assert sum(clock.waits) == pytest.approx(0.2, abs=1e-4)


def test_a_late_moment_does_not_wait(clock):
    pacer = clock.pacer(realtime=True)
    pacer.wait(0)
    clock.now += 0.1
    assert pacer.wait(0.05)
    assert clock.waits == []


def test_not_in_real_time_nothing_waits(clock):
    pacer = clock.pacer(realtime=False)
    assert all(pacer.wait(t) for t in (0, 100, 200))
    assert clock.waits == []


def wait_in_thread(pacer: Pacer, media_time: float):
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(pacer.wait(media_time)))
    thread.start()
    return thread, outcome


def test_stop_lets_a_waiting_thread_go():
    pacer = Pacer(realtime=True, hold=True)
    pacer.wait(0)
    thread, outcome = wait_in_thread(pacer, 60)
    pacer.stop()
    thread.join(60)
    assert outcome == [False]
    assert pacer.wait(0) is False


def test_a_pause_holds_the_clock_and_the_time_paused_is_not_made_up_for():
    pacer = Pacer(realtime=True, hold=True)
    pacer.wait(0)
    pacer.pause()
    thread, outcome = wait_in_thread(pacer, 0.1)
    time.sleep(0.3)
    assert outcome == []
    resumed = time.monotonic()
    pacer.resume()
    thread.join(60)
    assert outcome == [True]
    assert time.monotonic() - resumed >= 0.08


def test_a_pause_holds_a_batch_too_but_never_a_live_source():
    batch = Pacer(realtime=False, hold=True)
    batch.pause()
    thread, outcome = wait_in_thread(batch, 1)
    time.sleep(0.05)
    assert outcome == []
    batch.resume()
    thread.join(60)
    assert outcome == [True]

    live = Pacer(realtime=False, hold=False)
    live.pause()
    assert live.wait(1)


def test_reading_keeps_near_the_clock(monkeypatch, clock):
    monkeypatch.setattr(pacing, "READ_AHEAD_SECONDS", 0.1)
    pacer = clock.pacer(realtime=True)
    pacer.wait_until_near(60)  # the clock has not started
    pacer.wait(10)
    pacer.wait_until_near(10.1)
    assert sum(clock.waits) < 1e-3
    pacer.wait_until_near(10.3)
    assert sum(clock.waits) == pytest.approx(0.2, abs=1e-4)
    clock.pacer(realtime=False).wait_until_near(60)
    assert sum(clock.waits) < 1


def test_reading_stands_still_in_a_pause_and_ends_with_the_rest():
    pacer = Pacer(realtime=True, hold=True)
    pacer.wait(0)
    pacer.pause()
    pacer.wait_until_near(0.5)
    thread = threading.Thread(target=pacer.wait_until_near, args=(1.1,))
    thread.start()
    time.sleep(0.25)
    assert thread.is_alive()
    resumed = time.monotonic()
    pacer.resume()
    thread.join(60)
    assert time.monotonic() - resumed > 0.05
    thread = threading.Thread(target=pacer.wait_until_near, args=(60,))
    thread.start()
    pacer.stop()
    thread.join(60)
    assert not thread.is_alive()


def test_a_clock_is_settled_once_where_it_was_not_certain():
    certain = Pacer(realtime=True, hold=True)
    certain.settle(live=True)
    assert certain.realtime
    tentative = Pacer(realtime=False, hold=False, tentative=True)
    tentative.settle(live=False)
    assert tentative.realtime
    tentative.settle(live=True)
    tentative.pause()
    assert not tentative.realtime
    assert tentative.wait(5.0)  # a live source is read on


def test_how_late_a_moment_is(clock):
    pacer = clock.pacer(realtime=True)
    assert pacer.late(5) == 0
    pacer.wait(5)
    assert pacer.late(5) == 0
    clock.now += 0.25
    assert pacer.late(5) == pytest.approx(0.25)
    assert pacer.late(6) == pytest.approx(-0.75)
    pacer.pause()
    clock.now += 3
    assert pacer.late(5) == pytest.approx(0.25)
    assert clock.pacer(realtime=False).late(-5) == 0
