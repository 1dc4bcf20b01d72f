"""What happens while a stream begins, and as its video ends."""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np
import pytest

from overshoot_nb import ArraySource, FileSource, Overshoot, StreamClosedError
from overshoot_nb.running import gateway_session

from gatewayserver import KEY
from publishing import text_video
from waiting import LIMIT_SECONDS, until

pytestmark = pytest.mark.usefixtures("nothing_left")


def client_of(server) -> Overshoot:
    return Overshoot(KEY, base_url=f"{server.url}/v0.2")


class Held:
    """POST /streams is answered once the test lets it go.

    Attributes:
        came: set once one has come.
        released: when it was let go, monotonic; None before.
    """

    def __init__(self, server) -> None:
        self.came = threading.Event()
        self.released: float | None = None
        self._answer = threading.Event()
        original = server.registry.connect

        async def connect(*args):
            self.came.set()
            await asyncio.to_thread(self._answer.wait, LIMIT_SECONDS)
            return await original(*args)

        server.registry.connect = connect

    async def wait(self) -> None:
        """Wait until one has come."""
        assert await asyncio.to_thread(self.came.wait, LIMIT_SECONDS)

    def let_go(self) -> None:
        self.released = time.monotonic()
        self._answer.set()


def test_a_file_begins_when_the_server_can_see_it(gateway, video, wire):
    held = Held(gateway)

    async def main():
        async with client_of(gateway) as client:
            creating = asyncio.create_task(
                client.streams.create(FileSource(video), "Read", "local/read", interval_seconds=0.3)
            )
            await held.wait()
            await asyncio.sleep(0.2)  # it could play to nobody meanwhile
            held.let_go()
            stream = await creating
            await until(lambda: len(stream.df) >= 2)
            await stream.close()

    asyncio.run(main())
    assert wire.puts[0].media_time == 0
    assert wire.puts[0].at > held.released


@pytest.mark.parametrize("frames", [1, 4])
def test_a_short_video_is_seen_too(gateway, frames):
    held = Held(gateway)
    source = ArraySource(np.full((frames, 120, 160, 3), 200, np.uint8), fps=10)

    async def main():
        async with client_of(gateway) as client:
            creating = asyncio.create_task(
                client.streams.create(source, "How bright is it?", "local/scene")
            )
            await held.wait()
            await asyncio.sleep(0.2)  # it could be over meanwhile
            held.let_go()
            stream = await creating
            await stream.wait(LIMIT_SECONDS)
            return stream

    stream = asyncio.run(main())
    assert len(stream.df) >= 1
    assert "Brightness" in stream.df["result"].iloc[0]
    assert stream.status.startswith("ended: end of the frames")


def test_a_video_about_which_nothing_was_answered_says_so(gateway, monkeypatch):
    source = ArraySource(np.full((3, 120, 160, 3), 200, np.uint8), fps=10)
    asked, answer = threading.Event(), threading.Event()

    def busy():
        asked.set()
        answer.wait(LIMIT_SECONDS)
        raise AssertionError("nobody asked this")

    async def main():
        async with client_of(gateway) as client:
            with pytest.MonkeyPatch.context() as patch:
                # The model has not come to it by then.
                patch.setattr(gateway.engine, "_answer", lambda *_: busy())
                stream = await client.streams.create(source, "Read", "local/read")
                assert await asyncio.to_thread(asked.wait, LIMIT_SECONDS)
                assert stream.is_active
                monkeypatch.setattr(gateway_session, "FIRST_ANSWER_SECONDS", 0.3)
                status = await stream.wait(LIMIT_SECONDS)
                answer.set()
            return status

    assert "no answer came" in asyncio.run(main())


@pytest.mark.parametrize("answered", ["before", "after"])
def test_closing_the_client_ends_a_stream_that_begins(gateway, video, answered):
    held = Held(gateway)

    async def main():
        client = client_of(gateway)
        creating = asyncio.create_task(
            client.streams.create(FileSource(video), "Read", "local/read")
        )
        await held.wait()
        if answered == "before":
            held.let_go()
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(0.1)
        held.let_go()
        await closing
        with pytest.raises(StreamClosedError, match="closed"):
            await creating
        await until(lambda: gateway.streams == 0)

    asyncio.run(main())


def test_what_comes_with_the_next_connection_is_waited_for(gateway, wire, tmp_path):
    """The result channel breaks before the video ends; the rest comes over another."""
    video = text_video(tmp_path / "short.mp4", "HAWKS 84", seconds=2)
    step = 0.25

    async def main():
        async with client_of(gateway) as client:
            stream = await client.streams.create(
                FileSource(video), "Read", "local/read", interval_seconds=step
            )
            await until(lambda: len(stream.df) >= 2)
            await asyncio.to_thread(gateway.stop)
            heard = len(stream.df)
            # The end was seen by the server, and nobody was told.
            await until(lambda: wire.seen[wire.made[-1]] > 2 - step)
            assert stream.is_active
            await asyncio.to_thread(gateway.start)
            await stream.wait(LIMIT_SECONDS)
            return stream, heard

    stream, heard = asyncio.run(main())
    assert stream.stats.reconnections == 1
    assert stream.stats.reconnections_by_cause == {"result channel": 1}
    df = stream.df
    assert len(df) > heard
    assert wire.seen[df["id"].iloc[-1]] > 2 - step
    assert list(df["id"]) == wire.made[: len(df)]  # none is missing in between


def test_a_restart_shows_the_id_before_until_there_is_another(gateway, video):
    async def main():
        async with client_of(gateway) as client:
            stream = await client.streams.create(FileSource(video), "Read", "local/read")
            first = stream.stream_id
            held = Held(gateway)
            restarting = asyncio.create_task(stream.restart())
            await held.wait()
            assert stream.stream_id == first
            with pytest.raises(StreamClosedError, match="no stream of this yet"):
                await stream.info()
            held.let_go()
            await restarting
            assert stream.stream_id != first
            await stream.close()

    asyncio.run(main())
