"""The media clock of a file in real time."""

import threading
import time

from overshoot_nb.sampling import pacing
from overshoot_nb.sampling.pacing import Pacer


def test_moments_come_at_their_own_distance():
    pacer = Pacer(realtime=True, hold=True)
    assert pacer.wait(5.0)  # the clock starts with the first moment, whichever it is
    started = time.monotonic()
    assert pacer.wait(5.1)
    assert pacer.wait(5.2)
    assert 0.19 <= time.monotonic() - started < 1.0


def test_a_late_moment_does_not_wait():
    pacer = Pacer(realtime=True, hold=True)
    pacer.wait(0)
    time.sleep(0.1)
    started = time.monotonic()
    pacer.wait(0.05)
    assert time.monotonic() - started < 0.05


def test_not_in_real_time_nothing_waits():
    pacer = Pacer(realtime=False, hold=True)
    started = time.monotonic()
    assert all(pacer.wait(t) for t in (0, 100, 200))
    assert time.monotonic() - started < 0.1


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
    thread.join(2)
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
    thread.join(2)
    assert outcome == [True]
    assert time.monotonic() - resumed >= 0.08


def test_a_pause_holds_a_batch_too_but_never_a_live_source():
    batch = Pacer(realtime=False, hold=True)
    batch.pause()
    thread, outcome = wait_in_thread(batch, 1)
    time.sleep(0.05)
    assert outcome == []
    batch.resume()
    thread.join(2)
    assert outcome == [True]

    live = Pacer(realtime=False, hold=False)
    live.pause()
    assert live.wait(1)


def test_reading_keeps_near_the_clock(monkeypatch):
    monkeypatch.setattr(pacing, "READ_AHEAD_SECONDS", 0.1)
    pacer = Pacer(realtime=True, hold=True)
    pacer.wait_until_near(60)  # the clock has not started
    pacer.wait(10)
    started = time.monotonic()
    pacer.wait_until_near(10.1)
    assert time.monotonic() - started < 0.05
    pacer.wait_until_near(10.3)
    assert 0.19 <= time.monotonic() - started < 1.0
    started = time.monotonic()
    Pacer(realtime=False, hold=True).wait_until_near(60)
    assert time.monotonic() - started < 0.05


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
    thread.join(2)
    assert 0.05 < time.monotonic() - resumed < 1.0
    thread = threading.Thread(target=pacer.wait_until_near, args=(60,))
    thread.start()
    pacer.stop()
    thread.join(2)
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


def test_how_late_a_moment_is():
    pacer = Pacer(realtime=True, hold=True)
    assert pacer.late(5) == 0
    pacer.wait(5)
    assert 0 <= pacer.late(5) < 0.1
    assert -1.1 < pacer.late(6) < -0.9
    pacer.pause()
    late = pacer.late(5)
    time.sleep(0.05)
    assert pacer.late(5) == late
    assert Pacer(realtime=False, hold=True).late(-5) == 0
