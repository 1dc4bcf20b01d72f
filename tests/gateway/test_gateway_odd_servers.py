"""Servers other than ours: rooms that they enter, media that never connects, answers that differ.

They speak the documented HTTP and WebSocket surface, over real sockets; what they lack is video.
"""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from aiohttp import web

from overshoot_nb import (
    FileSource,
    LiveKitSource,
    NetworkError,
    NotFoundError,
    Overshoot,
    ServerError,
    config,
)
from overshoot_nb.running.run_html import run_html

from waiting import until

pytestmark = pytest.mark.usefixtures("nothing_left")

ID = "s-1"
#: The lease: no renewal is among the calls.
HOUR = 3600
#: Says yes to video, from an address at which nobody listens.
DEAF = "127.0.0.1 9"


def result(number: int, **fields: Any) -> dict[str, Any]:
    """A result message with the documented fields alone."""
    return {
        "id": f"r-{number}",
        "stream_id": ID,
        "mode": "frame",
        "model_name": "some/model",
        "prompt": "Read",
        "result": f"answer {number}",
        "inference_latency_ms": 80.0,
        "total_latency_ms": 150.0,
        "ok": True,
        "finish_reason": "stop",
        **fields,
    }


class OddServer:
    """In a thread of its own. ``calls`` has every call in order.

    Args:
        created: the answer to POST /streams, made from the body.
        results: pushed to whoever listens, one every 50 ms.
        status: of the answer to POST /streams.
    """

    def __init__(self, created: Any, results: list[dict[str, Any]], status: int = 201) -> None:
        self.calls: list[str] = []
        self.bodies: list[Any] = []
        self.keys: list[str] = []
        self._created = created
        self._results = results
        self._status = status
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,))
        self._thread.start()
        ready.wait()

    def _serve(self, ready: threading.Event) -> None:
        async def start() -> web.AppRunner:
            app = web.Application(middlewares=[self._note])
            app.router.add_post("/v0.2/streams", self._create)
            app.router.add_delete(f"/v0.2/streams/{ID}", self._delete)
            app.router.add_post(f"/v0.2/streams/{ID}/keepalive", self._keepalive)
            app.router.add_get(f"/v0.2/ws/streams/{ID}", self._listen)
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            self.url = f"http://127.0.0.1:{port}/v0.2"
            return runner

        runner = self._loop.run_until_complete(start())
        ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    @web.middleware
    async def _note(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.calls.append(f"{request.method} {request.path.removeprefix('/v0.2')}")
        return await handler(request)

    async def _create(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.json())
        return web.json_response(self._created(self.bodies[-1]), status=self._status)

    async def _delete(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"status": "ok"})

    async def _keepalive(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"status": "ok", "stream_id": ID, "ttl_seconds": HOUR})

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.keys.append(json.loads(await socket.receive_str())["api_key"])
        for message in self._results:
            await socket.send_str(json.dumps(message))
            await asyncio.sleep(0.05)
        await socket.receive()
        return socket

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


@pytest.fixture
def odd():
    servers: list[OddServer] = []

    def make(created: Any, results: Any = (), status: int = 201) -> OddServer:
        servers.append(OddServer(created, list(results), status))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def plain(_: Any) -> dict[str, Any]:
    return {"stream_id": ID, "lease": {"ttl_seconds": HOUR}, "livekit": None}


def deaf_answer(body: dict[str, Any]) -> dict[str, Any]:
    """An answer to the offer whose address nobody listens at."""
    offer = body["source"]["sdp"]
    lines = []
    for line in offer.splitlines():
        if line.startswith("a=candidate:"):
            continue
        if line == "a=sendonly":
            line = "a=recvonly"
        if line == "a=setup:actpass":
            line = "a=setup:active"
        lines.append(line)
    host, port = DEAF.split()
    lines.append(f"a=candidate:1 1 udp 2130706431 {host} {port} typ host")
    lines.append("a=end-of-candidates")
    sdp = "\r\n".join(lines) + "\r\n"
    return plain(body) | {"webrtc": {"type": "answer", "sdp": sdp}}


def create(server: OddServer, source: Any, **parameters: Any) -> Any:
    async def main() -> Any:
        async with Overshoot("ovs_secret-key", base_url=server.url) as client:
            return await client.streams.create(source, "Read", "some/model", **parameters)

    return asyncio.run(main())


def test_a_room_that_the_server_enters_gives_rows_without_pictures(odd):
    server = odd(plain, [result(i) for i in range(5)])
    source = LiveKitSource("wss://rooms.example", "room-token")

    async def main():
        async with Overshoot("ovs_secret-key", base_url=server.url) as client:
            stream = await client.streams.create(source, "Read", "some/model")
            await until(lambda: len(stream.df) >= 5)
            html = run_html(stream._run)
            await stream.close()
            return stream, html

    stream, html = asyncio.run(main())
    assert server.bodies[0]["source"] == {
        "type": "livekit",
        "url": "wss://rooms.example",
        "token": "room-token",
    }
    assert server.keys == ["ovs_secret-key"]
    assert server.calls == ["POST /streams", f"GET /ws/streams/{ID}", f"DELETE /streams/{ID}"]
    assert list(stream.df["result"]) == [f"answer {i}" for i in range(5)]
    assert stream.df["media_time"].is_monotonic_increasing
    assert stream.stream_id == ID
    assert stream.duration is None
    assert "answer 4" in html
    assert "room-token" not in html + repr(stream)
    assert stream.status == "closed: closed by its user"


def test_results_that_are_sent_twice_or_are_no_results(odd):
    messages = [result(0), result(1), result(0), {"nonsense": True}, result(2, ok=False, error="x")]
    server = odd(plain, messages)

    async def main():
        async with Overshoot("ovs_secret-key", base_url=server.url) as client:
            stream = await client.streams.create(LiveKitSource("wss://r.example", "t"), "Read", "m")
            # All that were sent before the last one have come by then.
            await until(lambda: "answer 2" in set(stream.df["result"]))
            await stream.close()
            return stream.df

    df = asyncio.run(main())
    assert list(df["result"]) == ["answer 0", "answer 1", '{"nonsense": true}', "answer 2"]
    assert list(df["ok"]) == [True, True, False, False]
    assert "cannot be read" in df["error"].iloc[2]


def test_a_stream_that_could_not_publish_is_deleted_before_the_error(odd, video, monkeypatch):
    monkeypatch.setattr(config, "MEDIA_TIMEOUT_SECONDS", 1.0)
    server = odd(deaf_answer)
    with pytest.raises(NetworkError, match=r"no media connection.*after \d+\.\d s"):
        create(server, FileSource(video))
    assert server.calls[0] == "POST /streams"
    assert server.calls[-1] == f"DELETE /streams/{ID}"


@pytest.mark.parametrize(
    "answer",
    [plain, lambda body: plain(body) | {"webrtc": {"type": "answer", "sdp": "v=0\r\nnonsense"}}],
    ids=["none", "broken"],
)
def test_an_answer_without_media_is_said_and_the_stream_deleted(odd, video, answer):
    server = odd(answer)
    with pytest.raises(ServerError, match="WebRTC"):
        create(server, FileSource(video))
    assert server.calls[-1] == f"DELETE /streams/{ID}"


def test_a_refused_stream_is_not_deleted(odd, video):
    server = odd(lambda _: {"error": "not_found", "message": "no model some/model"}, status=404)
    with pytest.raises(NotFoundError, match="no model some/model"):
        create(server, FileSource(video))
    assert server.calls == ["POST /streams"]


def test_a_server_that_is_not_there(video):
    with pytest.raises(NetworkError, match="could not connect"):
        asyncio.run(_create_at("http://127.0.0.1:9/v0.2", video))


async def _create_at(url: str, video: Any) -> None:
    async with Overshoot("ovs_secret-key", base_url=url) as client:
        await client.streams.create(FileSource(video), "Read", "some/model")
