"""The engine's two lanes: neither streams nor requests keep the others waiting."""

from __future__ import annotations

import asyncio
import threading
import weakref

import numpy as np
import pytest

from overshoot_nb.local.answering import Question
from overshoot_nb.local.engine import Engine
from overshoot_nb.local.reading import Reader
from overshoot_nb.local.refusals import ChatRefusal

from waiting import LIMIT_SECONDS, eventually


def busy(engine):
    """Keeps the engine at work until the event is set."""
    hold, at_work = threading.Event(), threading.Event()

    def wait():
        at_work.set()
        hold.wait(LIMIT_SECONDS)

    engine._submit(wait, "requests")
    assert at_work.wait(LIMIT_SECONDS)
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
    engine._submit(lambda: None, "requests").result(LIMIT_SECONDS)
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
    last.result(LIMIT_SECONDS)
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


def test_reading_that_takes_long_does_not_keep_the_engine_from_its_end(monkeypatch):
    reading, hold = threading.Event(), threading.Event()
    texts = []

    def slowly(_reader, _crop):
        texts.append("x")
        reading.set()
        hold.wait(LIMIT_SECONDS)
        return "x", 1.0

    monkeypatch.setattr(Reader, "_recognise", slowly)
    monkeypatch.setattr("overshoot_nb.local.reading._upright", lambda picture, _corners: picture)
    engine = Engine()
    engine._load()._ocr = lambda *_, **__: Boxes()
    picture = np.zeros((100, 100, 3), np.uint8)

    async def run():
        def parse():
            return Question("local/read", "Read"), [picture]

        asked = [asyncio.create_task(engine.ask(parse)) for _ in range(2)]
        await asyncio.to_thread(reading.wait, LIMIT_SECONDS)
        closing = asyncio.create_task(asyncio.to_thread(engine.close))
        # Told while it still reads the first text; the other ninety-nine are not read.
        refused = await asyncio.gather(*asked, return_exceptions=True)
        hold.set()
        await closing
        return refused

    refused = asyncio.run(run())
    assert [error.status for error in refused] == [503, 503]
    engine._thread.join(LIMIT_SECONDS)
    assert not engine._thread.is_alive()
    assert len(texts) == 1


class Boxes:
    """A page with a hundred texts."""

    boxes = [((0, 0), (9, 0), (9, 9), (0, 9))] * 100


def test_what_cannot_be_stopped_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("overshoot_nb.local.engine.CLOSE_SECONDS", 0.2)
    engine = Engine()
    hold = busy(engine)
    engine.close()
    assert engine._thread.is_alive()  # it is held still
    hold.set()
    engine._thread.join(LIMIT_SECONDS)
    assert not engine._thread.is_alive()


def test_an_idle_engine_keeps_nothing_of_the_last_question():
    class Pictures:
        pass

    def ask(engine):
        pictures = Pictures()
        answer = engine._submit(lambda: id(pictures), "streams")
        assert answer.result(LIMIT_SECONDS) == id(pictures)
        return weakref.ref(pictures)

    engine = Engine()
    try:
        kept = ask(engine)
        assert eventually(lambda: kept() is None), "the worker still has them"
    finally:
        engine.close()
