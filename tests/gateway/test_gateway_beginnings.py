"""What happens while a stream begins, and as its video ends."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import numpy as np
import pytest

from overshoot_nb import ArraySource, FileSource, Overshoot, StreamClosedError
from overshoot_nb.local.result_feed import ResultFeed

from gatewayserver import KEY

pytestmark = pytest.mark.usefixtures("nothing_left")


def client_of(server) -> Overshoot:
    return Overshoot(KEY, base_url=f"{server.url}/v0.2")


def slowed(server, seconds: float) -> threading.Event:
    """Answer POST /streams so much later; set once one has come."""
    original, came = server.registry.connect, threading.Event()

    async def connect(*args):
        came.set()
        await asyncio.sleep(seconds)
        return await original(*args)

    server.registry.connect = connect
    return came


async def until(condition, seconds: float = 60) -> None:
    # Less than a lease lives, so that one that only expires is not taken for one that was ended.
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_file_begins_when_the_server_can_see_it(gateway, video):
    slowed(gateway, 1.0)

    async def main():
        async with client_of(gateway) as client:
            stream = await client.streams.create(
                FileSource(video), "Read", "local/read", interval_seconds=0.3
            )
            await until(lambda: len(stream.df) >= 2)
            await stream.close()
            return stream.df["media_time"].dt.total_seconds().iloc[0]

    assert asyncio.run(main()) < 0.6  # it was 1.1 when it played to nobody


@pytest.mark.parametrize("frames", [1, 4])
def test_a_short_video_is_seen_too(gateway, frames):
    slowed(gateway, 0.5)
    source = ArraySource(np.full((frames, 120, 160, 3), 200, np.uint8), fps=10)

    async def main():
        async with client_of(gateway) as client:
            stream = await client.streams.create(source, "How bright is it?", "local/scene")
            await stream.wait(60)
            return stream

    stream = asyncio.run(main())
    assert len(stream.df) >= 1
    assert "Brightness" in stream.df["result"].iloc[0]
    assert stream.status.startswith("ended: end of the frames")


def test_a_video_about_which_nothing_was_answered_says_so(gateway, monkeypatch):
    monkeypatch.setattr("overshoot_nb.running.gateway_session.FIRST_ANSWER_SECONDS", 0.3)
    source = ArraySource(np.full((3, 120, 160, 3), 200, np.uint8), fps=10)
    asked, answer = threading.Event(), threading.Event()

    def busy():
        asked.set()
        answer.wait(60)
        raise AssertionError("nobody asked this")

    async def main():
        async with client_of(gateway) as client:
            with pytest.MonkeyPatch.context() as patch:
                # The model has not come to it by then.
                patch.setattr(gateway.engine, "_answer", lambda *_: busy())
                stream = await client.streams.create(source, "Read", "local/read")
                status = await stream.wait(60)
                answer.set()
            return status, asked.is_set()

    status, reached = asyncio.run(main())
    assert reached
    assert "no answer came" in status


@pytest.mark.parametrize("seconds", [0.05, 0.3])
def test_closing_the_client_ends_a_stream_that_begins(gateway, video, seconds):
    came = slowed(gateway, 0.6)

    async def main():
        client = client_of(gateway)
        creating = asyncio.create_task(
            client.streams.create(FileSource(video), "Read", "local/read")
        )
        await asyncio.to_thread(came.wait, 60)
        await asyncio.sleep(seconds)
        began = time.monotonic()
        await client.close()
        assert time.monotonic() - began < 60
        with pytest.raises(StreamClosedError, match="closed"):
            await creating
        await until(lambda: gateway.streams == 0)

    asyncio.run(main())


def test_what_comes_with_the_next_connection_is_waited_for(gateway, video, monkeypatch):
    """The result channel breaks as the video ends; the rest of the answers comes over another."""
    made: list[str] = []
    publish = ResultFeed.publish

    def recorded(feed, message: bytes) -> None:
        made.append(json.loads(message)["id"])
        publish(feed, message)

    monkeypatch.setattr(ResultFeed, "publish", recorded)

    async def main():
        async with client_of(gateway) as client:
            stream = await client.streams.create(
                FileSource(video), "Read", "local/read", interval_seconds=0.25
            )
            await until(lambda: (stream.df["media_time"].dt.total_seconds() > 4.6).any())
            await asyncio.to_thread(gateway.stop)
            await asyncio.sleep(1.5)
            unheard = len(made) - len(stream.df)
            await asyncio.to_thread(gateway.start)
            await stream.wait(60)
            return stream, unheard

    stream, unheard = asyncio.run(main())
    assert stream.stats.reconnections == 1
    assert stream.stats.reconnections_by_cause == {"result channel": 1}
    assert unheard >= 1
    df = stream.df
    assert df["media_time"].dt.total_seconds().iloc[-1] > 5.4
    assert list(df["id"]) == made[: len(df)]  # none is missing in between


def test_a_restart_shows_the_id_before_until_there_is_another(gateway, video):
    async def main():
        async with client_of(gateway) as client:
            stream = await client.streams.create(FileSource(video), "Read", "local/read")
            first = stream.stream_id
            slowed(gateway, 0.5)
            restarting = asyncio.create_task(stream.restart())
            await asyncio.sleep(0.25)
            assert stream.stream_id == first
            with pytest.raises(StreamClosedError, match="no stream of this yet"):
                await stream.info()
            await restarting
            assert stream.stream_id != first
            await stream.close()

    asyncio.run(main())
