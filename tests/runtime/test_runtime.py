"""The bridge: one background loop, awaited from any other loop or blocked on from plain code."""

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from overshoot_nb.runtime.event_loop import Runtime, get_runtime, start_thread


@pytest.fixture
def runtime():
    runtime = Runtime()
    yield runtime
    runtime.shutdown()


async def thread_name() -> str:
    await asyncio.sleep(0)
    return threading.current_thread().name


def test_plain_code_blocks_on_a_coroutine_of_the_runtimes_thread(runtime):
    assert runtime.run(thread_name()) == "overshoot-runtime"
    assert not runtime.in_loop()


def test_a_coroutine_can_be_awaited_from_any_loop(runtime):
    async def main():
        return await runtime.call(thread_name())

    assert asyncio.run(main()) == "overshoot-runtime"
    assert asyncio.run(main()) == "overshoot-runtime"  # another loop, the same runtime


def test_the_runtimes_own_coroutines_are_awaited_directly(runtime):
    async def outer():
        return await runtime.call(thread_name())

    assert runtime.run(outer()) == "overshoot-runtime"


def test_cancelling_the_caller_cancels_the_coroutine(runtime):
    ended = threading.Event()

    async def long():
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async def main():
        task = asyncio.create_task(runtime.call(long()))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert ended.wait(60)


def test_a_timeout_cancels_the_coroutine(runtime):
    ended = threading.Event()

    async def long():
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        runtime.run(long(), timeout=0.05)
    assert ended.wait(60)


def test_blocking_on_oneself_is_refused_instead_of_a_deadlock(runtime):
    async def inner():
        runtime.run(thread_name())

    with pytest.raises(RuntimeError, match="deadlock"):
        runtime.run(inner())


def test_shutdown_closes_what_is_registered_and_ends_the_thread():
    runtime = Runtime()
    closed = []

    async def close():
        closed.append(threading.current_thread().name)

    async def broken():
        raise ValueError("must not keep the others from closing")

    runtime.run(thread_name())
    thread = runtime._thread
    runtime.close_at_exit("a", broken)
    runtime.close_at_exit("b", close)
    runtime.close_at_exit("c", close)
    runtime.forget("c")
    runtime.shutdown()
    assert closed == ["overshoot-runtime"]
    assert not thread.is_alive()
    assert runtime.run(thread_name()) == "overshoot-runtime"  # starts anew when needed again
    runtime.shutdown()


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_the_loop_outlives_what_asyncio_lets_out_of_it(runtime, kind, caplog):
    async def raising():
        raise kind

    with pytest.raises(kind):
        runtime.run(raising())
    assert runtime.run(thread_name()) == "overshoot-runtime"
    assert f"{kind.__name__} on the loop of all streams" in caplog.text


def test_the_process_has_one_runtime():
    assert get_runtime() is get_runtime()


def test_threads_keep_the_context_of_who_started_them():
    import contextvars

    variable = contextvars.ContextVar("variable", default="outside")
    seen = []
    variable.set("inside")
    start_thread(lambda: seen.append(variable.get()), "context").join(60)
    assert seen == ["inside"]


def test_a_hanging_close_does_not_hold_up_the_interpreter():
    code = """
import asyncio
from overshoot_nb.runtime.event_loop import get_runtime
async def hang():
    await asyncio.sleep(60)
get_runtime().run(asyncio.sleep(0))
get_runtime().close_at_exit(1, hang)
"""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert time.monotonic() - started < 50  # of the 60 that it hangs


def test_another_event_loop_policy_after_first_use_prints_nothing_at_exit():
    script = (
        "import asyncio\n"
        "from overshoot_nb.runtime.event_loop import get_runtime\n"
        "get_runtime().loop\n"
        "class Other(asyncio.DefaultEventLoopPolicy): pass\n"
        "asyncio.set_event_loop_policy(Other())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
