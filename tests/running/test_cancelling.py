"""Calls that are cancelled or interrupted at any moment: nothing freezes, nothing runs on."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import overshoot_nb
from overshoot_nb import (
    ArraySource,
    FileSource,
    Overshoot,
    SourceError,
    StreamClosedError,
    interactive,
)
from overshoot_nb.runtime.event_loop import Runtime, get_runtime
from overshoot_nb.sampling.pipeline import SampleReader
from overshoot_nb.types import FrameProcessingConfig

from chatserver import ChatServer
from streamthreads import stream_threads
from videos import make_video

pytestmark = pytest.mark.usefixtures("no_threads_left")

ROOT = Path(__file__).parents[2]
MODEL = "test/model"


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> str:
    return str(make_video(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=120, fps=30))


def client_of(server) -> Overshoot:
    return Overshoot("key", base_url=server.url)


def settle(client) -> None:
    """Wait until nothing runs any more; what was interrupted is undone in the background."""
    deadline = time.monotonic() + 60
    while client.streams.active or stream_threads():
        assert time.monotonic() < deadline, (client.streams.active, stream_threads())
        time.sleep(0.01)


# ---- no freeze -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["create", "logging"])
def test_a_process_whose_creates_are_cancelled_does_not_freeze(kind):
    command = [sys.executable, "benchmarks/cancelling.py", "--runs", "1", "--rounds", "3", kind]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == [kind, "1", "runs:", "1", "ended"]


def test_ffmpeg_never_logs_into_this_process(clip, tmp_path, monkeypatch):
    """Its words stand in errors all the same."""
    import av.logging

    def refused(level):
        raise AssertionError("what is decoded meanwhile could freeze the process")

    monkeypatch.setattr(av.logging, "set_level", refused)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(Path(clip).read_bytes()[:2000])
    for path, words in ((clip, ""), (str(cut), "moov atom not found")):
        reader = SampleReader(FileSource(path), FrameProcessingConfig(0.5))
        if words:
            with pytest.raises(SourceError, match=words):
                reader.open()
        else:
            reader.open()
        reader.close()
    assert av.logging.get_level() is None


def decoder_threads() -> int:
    names = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
    return sum(name.startswith("av:") for name in names)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_decoder_ends_where_its_source_is_closed(clip):
    before = decoder_threads()
    reader = SampleReader(FileSource(clip, realtime=False), FrameProcessingConfig(0.1))
    samples = iter(reader)
    next(samples)
    assert decoder_threads() > before or os.cpu_count() == 1
    reader.close()
    assert decoder_threads() == before  # while `samples`, in the middle of its way, is still there
    del samples


# ---- what was made is closed ---------------------------------------------------------------------


@pytest.fixture
def runtime():
    runtime = Runtime()
    yield runtime
    runtime.shutdown()


@pytest.mark.parametrize("ways", ["call", "run"])
def test_a_result_that_nobody_takes_is_undone(runtime, ways):
    """It is there before the caller, which is gone, could look."""
    made, undone, there = [], threading.Event(), threading.Event()

    async def make():
        made.append("a stream")
        asyncio.get_running_loop().call_soon(there.set)
        return made[0]

    async def undo(value):
        made.remove(value)
        undone.set()

    async def main():
        task = asyncio.create_task(runtime.call(make(), undo=undo))
        await asyncio.sleep(0)  # it begins
        assert there.wait(60)  # and is done, while this loop stands still
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    if ways == "call":
        asyncio.run(main())
    else:
        done = runtime.submit(asyncio.sleep(0))
        done.result()
        with pytest.MonkeyPatch.context() as patch:
            result = type(done).result

            def interrupted(self, timeout=None):
                result(self, timeout)
                raise KeyboardInterrupt

            patch.setattr(type(done), "result", interrupted)
            with pytest.raises(KeyboardInterrupt):
                runtime.run(make(), undo=undo)
    assert undone.wait(60)
    assert made == []


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_what_is_cancelled_before_it_began_is_left_alone(runtime, steps):
    """Without a word about a coroutine that was never awaited."""

    async def make():
        await asyncio.sleep(3600)

    async def undo(value):
        raise AssertionError("nothing was made")

    async def main():
        task = asyncio.create_task(runtime.call(make(), undo=undo))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(main())


def test_a_close_that_is_cancelled_goes_on(clip):
    with ChatServer(lambda request: "ok") as server:

        async def main():
            client = client_of(server)
            stream = await client.streams.create(FileSource(clip, loop=True), "p", MODEL)
            closing = asyncio.create_task(client.close())
            await asyncio.sleep(0)
            closing.cancel()
            await asyncio.wait([closing])
            return client, stream

        client, stream = asyncio.run(main())
        settle(client)
        assert stream.state == "closed"


def test_a_create_that_is_cancelled_at_any_step_leaves_nothing(clip):
    """At each step of the loop that streams live on, and some milliseconds after."""
    moments = [*((steps, 0.0) for steps in range(12)), *((0, s / 1000) for s in range(1, 30, 2))]
    with ChatServer(lambda request: "ok") as server:
        client = client_of(server)

        async def main():
            for steps, seconds in moments:
                source = FileSource(clip, loop=True)
                task = asyncio.create_task(
                    client.streams.create(source, "p", MODEL, interval_seconds=0.1)
                )
                for _ in range(steps):
                    await asyncio.sleep(0)
                await asyncio.sleep(seconds)
                task.cancel()
                await asyncio.wait([task])
                if not task.cancelled():
                    await task.result().close()

        asyncio.run(main())
        get_runtime().run(main())
        settle(client)
        asyncio.run(client.close())


def test_a_restart_that_is_cancelled_at_any_step_leaves_nothing(clip):
    with ChatServer(lambda request: "ok") as server:
        client = client_of(server)

        async def main():
            source = FileSource(clip, loop=True)
            stream = await client.streams.create(source, "p", MODEL, interval_seconds=0.1)
            for milliseconds in (0, 1, 2, 3, 4, 6, 8, 12, 16, 24):
                before = stream.stream_id
                task = asyncio.create_task(stream.restart())
                await asyncio.sleep(milliseconds / 1000)
                task.cancel()
                await asyncio.wait([task])
                if task.cancelled():
                    with contextlib.suppress(StreamClosedError):
                        await stream.update(prompt="p")  # waits until it is undone
                    async with asyncio.timeout(60):
                        # The run before goes on where the restart had not begun.
                        while stream.is_active and stream.stream_id != before:
                            await asyncio.sleep(0.01)
                await stream.restart()
            await stream.close()

        asyncio.run(main())
        settle(client)
        asyncio.run(client.close())


# ---- KeyboardInterrupt ---------------------------------------------------------------------------


@pytest.fixture
def interrupted_after(monkeypatch):
    """Calls a function whose thread gets a KeyboardInterrupt after some seconds."""
    if not hasattr(signal, "setitimer"):
        pytest.skip("no timer signals")

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    # What others call when garbage is collected (Hypothesis does) would swallow an interrupt.
    callbacks = gc.callbacks[:]
    gc.callbacks.clear()

    def call(seconds, function):
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            try:
                return function()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            return None

    yield call
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    gc.callbacks[:] = callbacks


MILLISECONDS = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 30, 50)


def test_an_analysis_that_is_interrupted_at_any_moment_leaves_nothing(clip, interrupted_after):
    with ChatServer(lambda request: "ok") as server:
        client = client_of(server)
        for milliseconds in MILLISECONDS:
            interrupted_after(
                milliseconds / 1000,
                lambda: overshoot_nb.analyze(clip, "p", MODEL, client=client, progress=False),
            )
            settle(client)
        asyncio.run(client.close())


def test_a_watch_that_is_interrupted_at_any_moment_leaves_nothing(
    clip, interrupted_after, monkeypatch
):
    with ChatServer(lambda request: "ok") as server:
        client = client_of(server)
        monkeypatch.setattr(interactive, "client", lambda *_: client)
        for milliseconds in MILLISECONDS:
            stream = interrupted_after(
                milliseconds / 1000, lambda: interactive.watch(clip, "p", MODEL)
            )
            if stream is not None:
                get_runtime().run(stream.close())
            settle(client)
        asyncio.run(client.close())


# ---- what a source raises ------------------------------------------------------------------------


class Odd:
    """Frames that end with something that is no error."""

    def __init__(self, error: BaseException, after: int) -> None:
        self._error, self._after = error, after

    def __iter__(self):
        if self._after < 0:
            raise self._error
        return self._frames()

    def _frames(self):
        for _ in range(self._after):
            yield np.zeros((48, 64, 3), np.uint8)
        raise self._error


@pytest.mark.parametrize("after", [-1, 0, 2])
@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()]
)
def test_what_a_source_raises_ends_its_stream_and_no_other(error, after):
    name = type(error).__name__
    with ChatServer(lambda request: "ok") as server:

        async def main():
            async with client_of(server) as client:
                other = await client.streams.create(_frames(), "p", MODEL)
                with pytest.raises(SourceError, match=f"the source raised {name}"):
                    await watch_to_its_end(client, ArraySource(Odd(error, after), fps=1))
                assert client.streams.active == [other]
                async for _ in other:  # it goes on
                    break

        asyncio.run(main())


async def watch_to_its_end(client, source):
    stream = await client.streams.create(source, "p", MODEL, realtime=False)
    await stream.wait(60)


def _frames() -> ArraySource:
    return ArraySource(np.zeros((200, 48, 64, 3), np.uint8), fps=10)


# ---- a forked child ------------------------------------------------------------------------------

FORK = """
import asyncio, itertools, os, sys, traceback
import numpy as np
from overshoot_nb import ArraySource, Overshoot
from overshoot_nb.runtime.event_loop import get_runtime
from chatserver import ChatServer
from streamthreads import stream_threads

with ChatServer(lambda request: "ok") as server:
    client = Overshoot("key", base_url=server.url)

    async def begin():
        endless = ArraySource((np.zeros((48, 64, 3), np.uint8) for _ in itertools.count()), fps=10)
        stream = await client.streams.create(endless, "p", "m", lambda r: None, same_frame="ask")
        stream.when("media_time >= 0", lambda r: None)
        async for _ in stream:
            break
        return stream

    stream = asyncio.run(begin())
    child = os.fork()
    if not child:
        try:
            assert not stream.is_active and stream.state == "closed", stream.status
            assert client.streams.active == []
            asyncio.run(stream.close())
            assert "forked" in asyncio.run(stream.wait()), stream.status
            assert len(stream.df) >= 1
            asyncio.run(client.close())
            print("over", flush=True)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0

    async def goes_on():
        seen = len(stream.df)
        async with asyncio.timeout(60):
            while len(stream.df) < seen + 2:
                await asyncio.sleep(0.02)
        await client.close()

    asyncio.run(goes_on())
print("went on")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_in_a_forked_child_the_streams_are_over():
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    done = subprocess.run(
        [sys.executable, "-c", FORK], env=env, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == ["over", "went", "on"], done.stderr
