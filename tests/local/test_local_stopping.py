"""How a server in a process of its own ends, and how the engine ends beneath its callers."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys

import pytest
from asking import client as http
from asking import page, question

from overshoot_nb import local
from overshoot_nb.local import media_thread
from overshoot_nb.local.media_thread import MediaThread, ThreadEnded

from gatewayserver import Client
from publishing import Peer
from waiting import LIMIT_SECONDS, until


@pytest.mark.skipif(os.name == "nt", reason="sends signals to a child")
@pytest.mark.parametrize(("told", "busy"), [(signal.SIGINT, 0), (signal.SIGTERM, 3)])
def test_a_server_that_is_told_to_stop_tells_everyone(told, busy, score_video):
    # Nothing is loaded before it is needed, for the sake of speed.
    code = """
import time
from overshoot_nb.local.engine import Engine
from overshoot_nb.local import serve
from overshoot_nb.local.reading import Reader
from overshoot_nb.local.work import go_on
Engine.preload = lambda engine: None
submit = Engine._submit

def said(engine, job, lane):
    future = submit(engine, job, lane)
    if lane == "requests":
        print("asked", flush=True)
    return future

def endless(reader, picture):
    while True:
        go_on()
        time.sleep(0.01)

Engine._submit, Reader.read = said, endless
serve(port=0)
"""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    async def run():
        # Not flushed, the line would come with the end of the process.
        line = await asyncio.to_thread(process.stdout.readline)
        url = re.search(r"http://127\.0\.0\.1:\d+", line).group()
        async with Client(url) as client:
            stream_id, peer = await client.publish(
                score_video, model="local/scene", prompt="How bright is it?"
            )

            async def ask():
                body = question("Read", page([(4, 4 + 20 * i, "WORDS " * 9) for i in range(17)]))
                async with client._http.post(f"{url}/v1/chat/completions", json=body) as answer:
                    return answer.status

            async with client.listening(stream_id) as results:
                assert (await results.next())["ok"]
                asked = [asyncio.create_task(ask()) for _ in range(busy)]
                for _ in asked:
                    assert await asyncio.to_thread(process.stdout.readline) == "asked\n"
                process.send_signal(told)
                assert await results.end() == (1001, "server_closed")
            assert await asyncio.gather(*asked) == [503] * busy
            output = await asyncio.to_thread(process.communicate, timeout=LIMIT_SECONDS)
            await until(lambda: peer.pc.connectionState == "closed")
            return output

    try:
        output = asyncio.run(run())
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, *output) == (0, "", "")


def test_the_engine_is_closed_while_an_offer_is_answered(score_video, monkeypatch):
    """The caller was not cancelled, and is not told so."""
    answering = asyncio.Event()

    async def never(_receiver, _sdp):
        answering.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("overshoot_nb.local.webrtc.VideoReceiver.answer", never)
    monkeypatch.setattr(media_thread, "CLOSE_SECONDS", 0.1)

    async def run():
        peer = Peer(score_video)
        body = {
            "source": {"type": "webrtc", "sdp": await peer.offer()},
            "processing": {"interval_seconds": 1},
            "inference": {"prompt": "How bright?", "model": "local/scene"},
        }
        async with http("/v0.2") as c:
            asked = asyncio.create_task(c.post("/streams", json=body))
            await until(answering.is_set)
            await asyncio.to_thread(local.close_engine)
            answer = await asyncio.wait_for(asked, LIMIT_SECONDS)
        await peer.close()
        return answer.status_code, answer.json()["error"]

    assert asyncio.run(run()) == (503, "engine_closed")


def test_calls_of_a_thread_that_ends(monkeypatch):
    monkeypatch.setattr(media_thread, "CLOSE_SECONDS", 0.1)

    async def run():
        media, begun = MediaThread(), []

        async def never():
            begun.append(True)
            await asyncio.Event().wait()

        assert await media.call(asyncio.sleep(0, "done")) == "done"
        calls = [asyncio.create_task(media.call(never())) for _ in range(3)]
        await until(lambda: len(begun) == 3)
        calls[0].cancel()
        await asyncio.to_thread(media.close)
        ends = await asyncio.gather(*calls, return_exceptions=True)
        with pytest.raises(ThreadEnded):
            await media.call(never())
        return [type(end) for end in ends]

    assert asyncio.run(run()) == [asyncio.CancelledError, ThreadEnded, ThreadEnded]
