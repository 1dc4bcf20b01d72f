"""Callbacks: in order, on the creator's loop while it runs, and never able to break a stream."""

import asyncio
import threading
import time

import pytest

from overshoot_nb.running.callbacks import CallbackQueue
from overshoot_nb.runtime.event_loop import Runtime


@pytest.fixture
def runtime():
    runtime = Runtime()
    yield runtime
    runtime.shutdown()


async def thread_name() -> str:
    return threading.current_thread().name


def test_functions_run_on_the_loop_that_created_the_stream_in_order(runtime):
    async def main():
        loop = asyncio.get_running_loop()
        own = asyncio.Queue()  # must be touched on its own loop only
        calls = CallbackQueue(loop, runtime.loop, None)
        for n in range(5):
            calls.put(own.put_nowait, n)
        assert [await asyncio.wait_for(own.get(), 60) for _ in range(5)] == list(range(5))

    asyncio.run(main())


def test_coroutines_run_there_too_one_after_the_other(runtime):
    async def main():
        seen = []
        home = threading.current_thread()

        async def slow(n):
            await asyncio.sleep(0.02 if n == 0 else 0)
            seen.append((n, threading.current_thread() is home))

        calls = CallbackQueue(asyncio.get_running_loop(), runtime.loop, None)
        for n in range(3):
            calls.put(slow, n)
        assert await calls.drain(60)
        assert seen == [(0, True), (1, True), (2, True)]

    asyncio.run(main())


def test_a_blocked_loop_does_not_hold_up_functions(runtime):
    async def main():
        seen = []
        calls = CallbackQueue(asyncio.get_running_loop(), runtime.loop, None)
        calls.put(lambda n: seen.append((n, threading.current_thread().name)), 1)
        time.sleep(0.6)  # a notebook cell that blocks its kernel
        assert seen == [(1, "overshoot-callbacks")]
        await asyncio.sleep(0.05)
        assert len(seen) == 1  # and it is not called again when the loop is free

    asyncio.run(main())


def test_without_a_loop_functions_run_on_a_thread_and_coroutines_on_the_runtime(runtime):
    seen = []

    async def coroutine(n):
        await asyncio.sleep(0)
        seen.append((n, threading.current_thread().name))

    calls = CallbackQueue(None, runtime.loop, None)
    calls.put(lambda n: seen.append((n, threading.current_thread().name)), 1)
    calls.put(coroutine, 2)
    assert runtime.run(calls.drain(60))
    assert seen == [(1, "overshoot-callbacks"), (2, "overshoot-runtime")]


def test_a_creator_whose_loop_has_ended_is_replaced(runtime):
    async def main():
        return CallbackQueue(asyncio.get_running_loop(), runtime.loop, None)

    calls = asyncio.run(main())
    seen = []
    calls.put(seen.append, 1)
    assert runtime.run(calls.drain(60))
    assert seen == [1]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        TimeoutError("mine, not yours"),
        SystemExit(3),
        KeyboardInterrupt("x"),
        asyncio.CancelledError("y"),
        GeneratorExit("z"),
    ],
)
@pytest.mark.parametrize("kind", ["function", "coroutine"])
@pytest.mark.parametrize("place", ["own loop", "no loop"])
def test_what_a_callback_raises_goes_to_on_error_and_the_rest_goes_on(
    runtime, error, kind, place, caplog
):
    errors, seen = [], []

    def function(_):
        raise error

    async def coroutine(_):
        await asyncio.sleep(0)
        raise error

    async def main():
        loop = asyncio.get_running_loop() if place == "own loop" else None
        calls = CallbackQueue(loop, runtime.loop, errors.append)
        calls.put(function if kind == "function" else coroutine, 1)
        calls.put(seen.append, 2)
        assert await calls.drain(60)

    asyncio.run(main())
    assert runtime.run(thread_name()) == "overshoot-runtime"  # its loop goes on
    assert f"a callback raised {type(error).__name__}" in caplog.text
    # Compared by text: asyncio hands a TimeoutError over as a copy.
    assert [repr(e) for e in errors] == [repr(error)]
    assert seen == [2]


@pytest.mark.parametrize("kind", [RuntimeError, SystemExit])
def test_a_failing_on_error_does_not_go_round_in_circles(runtime, caplog, kind):
    def broken(error):
        raise kind("on_error is broken too")

    calls = CallbackQueue(None, runtime.loop, broken)
    calls.put(broken, 1)
    assert runtime.run(calls.drain(60))
    assert caplog.text.count("on_error is broken too") == 2


def test_cancel_ends_a_callback_that_never_returns(runtime):
    started = threading.Event()

    async def forever(_):
        started.set()
        await asyncio.sleep(3600)

    calls = CallbackQueue(None, runtime.loop, None)
    calls.put(forever, 1)
    calls.put(forever, 2)
    assert started.wait(60)
    assert runtime.run(calls.drain(0.05)) is False
    calls.cancel()
    assert runtime.run(calls.drain(60))


def test_a_callback_knows_that_it_is_inside(runtime):
    seen = []

    async def main():
        calls = CallbackQueue(asyncio.get_running_loop(), runtime.loop, None)

        async def coroutine(_):
            seen.append(calls.inside())

        calls.put(lambda _: seen.append(calls.inside()), 1)
        calls.put(coroutine, 2)
        assert await calls.drain(60)
        assert not calls.inside()

    asyncio.run(main())
    assert seen == [True, True]


def test_no_thread_stays_when_there_is_nothing_to_call(runtime):
    calls = CallbackQueue(None, runtime.loop, None)
    calls.put(lambda _: None, 1)
    assert runtime.run(calls.drain(60))
    deadline = time.monotonic() + 60
    while any(t.name == "overshoot-callbacks" for t in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
