"""Coroutines of ours: awaited in every way, forgotten, and carried out without a loop."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
import warnings

import pytest

import overshoot_nb
from overshoot_nb import AuthenticationError, Overshoot, ValidationError
from overshoot_nb.runtime.coroutines import coroutine

from chatserver import ChatServer, Reply
from videos import make_video, number_in

pytestmark = pytest.mark.usefixtures("no_threads_left")
MODEL = "test/model"


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> str:
    return str(make_video(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=60, fps=30))


def number(request) -> str:
    return str(number_in(request.jpegs[0]))


@coroutine
async def double(value: int) -> int:
    await asyncio.sleep(0)
    return 2 * value


@coroutine
async def fail() -> None:
    raise LookupError("gone")


def test_every_way_of_awaiting_works_and_says_nothing():
    async def main():
        assert await double(1) == 2
        assert await asyncio.create_task(double(2)) == 4
        assert await asyncio.gather(double(3), double(4)) == [6, 8]
        assert await asyncio.wait_for(double(5), 60) == 10
        async with asyncio.TaskGroup() as group:
            task = group.create_task(double(6))
        assert task.result() == 12
        assert "double" in repr(asyncio.ensure_future(double(7)))
        with pytest.raises(LookupError, match="gone"):
            await asyncio.create_task(fail())
        cancelled = asyncio.create_task(double(8))
        cancelled.cancel()  # before its first step
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        loop = asyncio.get_running_loop()
        future = asyncio.run_coroutine_threadsafe(double(9), loop)
        assert await asyncio.wrap_future(future) == 18

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(main())
        assert asyncio.run(double(10)) == 20
        gc.collect()
    call = double(1)
    assert inspect.isawaitable(call)
    assert asyncio.iscoroutine(call)
    call.close()


def test_one_that_nobody_awaited_says_what_to_do():
    client = Overshoot(base_url="local")
    closing = client.close()
    assert repr(closing) == (
        "<Overshoot.close() has not begun: write `await` before it, or `.result()` after it where "
        "nothing can be awaited>"
    )
    with pytest.warns(RuntimeWarning) as warned:
        client.close()
    (warning,) = warned
    assert "Overshoot.close() was never awaited" in str(warning.message)
    assert "write `await` before it" in str(warning.message)
    assert warning.filename == __file__
    closing.result()
    with pytest.raises(RuntimeError, match="awaited already"):
        closing.result()


def test_result_carries_it_out_gives_up_in_time_and_is_refused_on_its_own_loop(clip):
    assert double(2).result() == 4
    with pytest.raises(LookupError, match="gone"):
        fail().result()
    over = threading.Event()

    @coroutine
    async def long() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            over.set()

    with pytest.raises(TimeoutError, match=r"not done after 0\.05 s"):
        long().result(0.05)
    assert over.wait(60)

    @coroutine
    async def inside() -> None:
        double(1).result()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the inner one, which is refused
        with pytest.raises(RuntimeError, match="would wait for the loop"):
            inside().result()
        gc.collect()


def test_a_script_without_a_loop(clip):
    with ChatServer(number) as server:
        client = Overshoot("key", base_url=server.url)
        stream = client.streams.create(clip, "n?", MODEL, realtime=False).result()
        with pytest.raises(TimeoutError, match="not over after"):
            stream.join(0)
        assert stream.join(60) == stream.join() == stream.status
        assert stream.state == "ended"
        rows = len(stream.df)
        assert rows == 4
        filled = stream.backfill("and now?", cache=False, progress=False).result(60)
        assert filled.state == "done"
        table = overshoot_nb.compare(stream, ["one?", "two?"], cache=False, progress=False).result(
            30
        )
        assert len(table.df) >= rows
        client.close().result()


def test_join_raises_what_the_stream_failed_of_and_is_refused_on_its_own_loop(clip):
    refused = []
    with ChatServer(lambda _: Reply("{}", 401)) as server:
        client = Overshoot("key", base_url=server.url)

        async def on_error(error):
            try:
                stream.join()
            except RuntimeError as refusal:
                refused.append(str(refusal))

        stream = client.streams.create(clip, "n?", MODEL, on_error=on_error).result()
        with pytest.raises(AuthenticationError):
            stream.join(60)
        client.close().result()
    assert refused
    assert all("await stream.wait()" in text for text in refused)


def test_a_backfill_that_takes_too_long_goes_on(clip):
    hold = threading.Event()

    def answer(request):
        if request.prompt == "later?":
            hold.wait(60)
        return number(request)

    with ChatServer(answer) as server:
        client = Overshoot("key", base_url=server.url)
        stream = client.streams.create(clip, "n?", MODEL, realtime=False).result()
        stream.join(60)
        job = stream.backfill("later?", cache=False, progress=False)
        with pytest.raises(TimeoutError, match="running: 0 of"):
            job.result(0.05)
        hold.set()
        assert job.result(60).state == "done"
        client.close().result()


def test_analyze_async_gives_the_rows_of_analyze_while_the_loop_goes_on(clip):
    with ChatServer(number) as server:
        where = {"api_key": "key", "base_url": server.url, "progress": False}

        async def main():
            ticks = 0
            asking = asyncio.create_task(overshoot_nb.analyze_async(clip, "n?", MODEL, **where))
            while not asking.done():
                ticks += 1
                await asyncio.sleep(0.001)
            assert ticks > 5
            return asking.result()

        rows = asyncio.run(main())
        again = overshoot_nb.analyze(clip, "n?", MODEL, **where)
    assert rows["result"].tolist() == again["result"].tolist() == ["0", "15", "30", "45"]
    assert rows.overshoot.frame(0) is not None


def test_analyze_async_that_is_cancelled_leaves_nothing_running(clip):
    asked = threading.Event()
    hold = threading.Event()

    def answer(request):
        asked.set()
        hold.wait(60)
        return "late"

    with ChatServer(answer) as server:

        async def main():
            client = Overshoot("key", base_url=server.url)
            asking = asyncio.create_task(
                overshoot_nb.analyze_async(clip, "n?", MODEL, client=client, progress=False)
            )
            await asyncio.to_thread(asked.wait, 30)
            (stream,) = client.streams.active
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert not stream.is_active
            assert client.streams.active == []
            await client.close()

        asyncio.run(main())
        hold.set()


def test_a_client_and_what_would_make_one_are_refused_together(clip):
    client = Overshoot(base_url="local")
    for call in (overshoot_nb.analyze, overshoot_nb.watch):
        with pytest.raises(ValidationError, match="not both"):
            call(clip, "n?", MODEL, client=client, api_key="key")
    with pytest.raises(ValidationError, match="not both"):
        overshoot_nb.analyze_async(clip, "n?", client=client, base_url="local").result()
