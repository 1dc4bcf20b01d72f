"""The engine's two lanes: neither streams nor requests keep the others waiting."""

from __future__ import annotations

import asyncio
import threading

import pytest

from overshoot_nb.local.engine import Engine
from overshoot_nb.local.refusals import ChatRefusal


def busy(engine):
    """Keeps the engine at work until the event is set."""
    hold, at_work = threading.Event(), threading.Event()

    def wait():
        at_work.set()
        hold.wait(10)

    engine._submit(wait, "requests")
    assert at_work.wait(5)
    return hold


def test_lanes_take_turns_whatever_waits_in_them():
    engine = Engine()
    hold = busy(engine)
    done = []
    for number in range(4):
        engine._submit(lambda n=number: done.append(f"request {n}"), "requests")
    jobs = [
        engine._submit(lambda n=number: done.append(f"stream {n}"), "streams")
        for number in range(3)
    ]
    jobs[1].cancel()
    hold.set()
    engine._submit(lambda: None, "requests").result(5)
    assert done == [
        "stream 0",
        "request 0",
        "stream 2",
        "request 1",
        "request 2",
        "request 3",
    ]
    engine.close()


def test_streams_take_no_place_of_requests():
    engine = Engine(max_waiting=1)
    hold = busy(engine)
    for _ in range(10):
        engine._submit(lambda: None, "streams")
    assert engine.status("local/scene") == "ready"
    engine._submit(lambda: None, "requests")
    assert engine.status("local/scene") == "saturated"
    with pytest.raises(ChatRefusal, match="2 are before"):
        engine._submit(lambda: None, "requests")
    last = engine._submit(lambda: None, "streams")
    hold.set()
    last.result(5)
    engine.close()
    assert engine.pending == 0


def test_what_is_closed_with_the_engine_is_closed_once_and_first():
    engine = Engine()
    closed = []

    def close():
        closed.append(engine.pending)

    engine.at_close(close)
    engine.at_close(close)
    engine.close()
    engine.close()
    assert closed == [0]


def test_a_fault_of_a_job_is_its_callers():
    engine = Engine()

    async def run():
        def fail():
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await engine.ask(fail, lane="streams")

    asyncio.run(run())
    engine.close()
