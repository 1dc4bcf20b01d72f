"""A v0.2 server in a thread, and the calls of a client that speaks plain HTTP and WebSockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading

import aiohttp

from overshoot_nb.local.access import Access
from overshoot_nb.local.serving import make_server
from overshoot_nb.local.streams import StreamRegistry

from publishing import Peer
from waiting import LIMIT_SECONDS, Clock

KEY = "ovs_test"
OWNER = Access(required=True).owner_of(KEY)


class GatewayServer:
    """An engine, a registry and a server before them that can be stopped and started again.

    Attributes:
        clock: what leases and prices go by. Unless another is given it stands still, so that no
            lease ends before the test moves it on.
    """

    def __init__(self, engine, *, clock=None, **registry):
        self.engine = engine
        self.clock = clock or Clock()
        self.registry = StreamRegistry(clock=self.clock, **registry)
        self.port = 0
        self.start()

    def start(self):
        made = make_server(port=self.port, engine=self.engine, registry=self.registry)
        self._server, self._listener, self.url, _ = made
        self.port = int(self.url.rpartition(":")[2])
        run = self._server.run
        self._thread = threading.Thread(target=run, kwargs={"sockets": [self._listener]})
        self._thread.start()

    def stop(self):
        self._server.should_exit = True
        self._thread.join(LIMIT_SECONDS)
        assert not self._thread.is_alive()
        self._listener.close()

    @property
    def connections(self):
        """uvicorn's connections, HTTP and WebSocket, of this moment."""
        return list(self._server.server_state.connections)

    @property
    def streams(self):
        """How many streams there are."""
        return len(self.registry._streams)

    def close(self):
        self.stop()
        self.registry.close()


class Client:
    """One key's view of a server; an async context manager."""

    def __init__(self, url, key=KEY):
        self._url = f"{url}/v0.2"
        self._key = key

    async def __aenter__(self):
        headers = {"authorization": f"Bearer {self._key}"}
        self._http = aiohttp.ClientSession(headers=headers)
        self._peers = []
        return self

    async def __aexit__(self, *_):
        for peer in self._peers:
            await peer.close()
        await self._http.close()

    async def call(self, method, path, body=None):
        """Status and JSON of one call."""
        async with self._http.request(method, self._url + path, json=body) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def publish(self, video, processing=None, *, mode=None, **inference):
        """A stream of a video: its id and the peer that publishes it."""
        peer = Peer(video)
        self._peers.append(peer)
        body = {
            "source": {"type": "webrtc", "sdp": await peer.offer()},
            "processing": processing or {"interval_seconds": 0.2},
            "inference": {"prompt": "Read the text", "model": "local/auto", **inference},
        }
        status, created = await self.call(
            "POST", "/streams", body | ({"mode": mode} if mode else {})
        )
        assert status == 201, created
        assert (created["livekit"], created["turn_servers"]) == (None, [])
        assert created["webrtc"]["type"] == "answer"
        await peer.accept(created["webrtc"]["sdp"])
        return created["stream_id"], peer

    @contextlib.asynccontextmanager
    async def listening(self, stream_id, first=None):
        """The results' WebSocket, with the key (or ``first``) sent."""
        url = f"{self._url}/ws/streams/{stream_id}"
        async with self._http.ws_connect(url) as socket:
            await socket.send_str(json.dumps({"api_key": self._key}) if first is None else first)
            yield Results(socket)


class Results:
    """What comes over one WebSocket."""

    def __init__(self, socket):
        self.socket = socket

    async def next(self):
        """The next result."""
        message = await self.socket.receive(timeout=LIMIT_SECONDS)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return json.loads(message.data)

    async def until(self, accept):
        """The results up to the first that is accepted."""
        found = []
        async with asyncio.timeout(LIMIT_SECONDS):
            while not found or not accept(found[-1]):
                found.append(await self.next())
        return found

    async def end(self):
        """Close code and reason, after whatever results come before."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                message = await self.socket.receive()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return message.data, message.extra
