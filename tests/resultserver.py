"""A real server of result channels on loopback, which does with each connection what it is told."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import WSCloseCode, web

End = tuple[int, str] | Literal["abort", "stay", "no code"]


def result(name: str, **fields: Any) -> str:
    """The message of a result with this id, as the API documents it."""
    value = {
        "id": name,
        "stream_id": "s-1",
        "mode": "frame",
        "model_name": "m",
        "prompt": "Describe",
        "result": f"answer {name}",
        "inference_latency_ms": 120.5,
        "total_latency_ms": 240,
        "ok": True,
        "error": None,
        "finish_reason": "stop",
    }
    return json.dumps({**value, **fields})


@dataclass
class Visit:
    """One request for a WebSocket, and what came over it first."""

    target: str
    headers: dict[str, str]
    first: Any = None
    request: web.Request | None = field(default=None, repr=False)


Script = Callable[["Visit"], Awaitable[web.StreamResponse]]


def refuse(status: int, body: bytes | dict[str, Any] = b"", **headers: str) -> Script:
    """Open no WebSocket, and answer this instead."""

    async def script(_: Visit) -> web.StreamResponse:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return web.Response(status=status, body=content, headers=named)

    return script


def push(*texts: str | bytes, then: End = "stay", mute: bool = False) -> Script:
    """Take the key, send the texts, and end so.

    ``then``: a close code and its reason; "no code" closes without one, "abort" breaks the
    connection, "stay" keeps it until the client leaves. ``mute``: nothing is read, so that pings
    stay unanswered.
    """

    async def script(visit: Visit) -> web.StreamResponse:
        request = visit.request
        assert request is not None
        socket = web.WebSocketResponse(timeout=0.2, max_msg_size=0)
        await socket.prepare(request)
        visit.first = await socket.receive_json()
        for text in texts:
            if isinstance(text, bytes):
                await socket.send_bytes(text)
            else:
                await socket.send_str(text)
        if then == "abort":
            assert request.transport is not None
            request.transport.abort()
        elif then == "no code":
            assert request.transport is not None
            request.transport.write(b"\x88\x00")
            await socket.receive()
        elif then != "stay":
            code, reason = then
            await socket.close(code=code, message=reason.encode())
        elif mute:
            await asyncio.sleep(30)
        else:
            await socket.receive()
        return socket

    return script


class ResultServer:
    """Meets each connection with the next script; the last one repeats.

    Use as a context manager; ``url`` has a free port, ``visits`` everyone who came.
    """

    def __init__(self) -> None:
        self.visits: list[Visit] = []
        self.present = 0
        self.port = 0
        self._scripts: deque[Script] = deque([push()])
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v0.2"

    def scripts(self, *scripts: Script) -> None:
        self.visits.clear()
        self._scripts = deque(scripts)

    def leave(self) -> None:
        """Break every connection and take no more."""
        self._call(self._stop_listening())

    def come_back(self) -> None:
        """Listen again, on the same port."""
        self._call(self._listen())

    def __enter__(self) -> ResultServer:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _call(self, step: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(step, self._loop).result(60)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await self._listen()
        self._ready.set()
        await self._stop.wait()
        await self._stop_listening()

    async def _listen(self) -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._meet)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.01, handler_cancellation=True
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]

    async def _stop_listening(self) -> None:
        for visit in self.visits:
            if visit.request is not None and visit.request.transport is not None:
                visit.request.transport.abort()
        await self._runner.cleanup()

    async def _meet(self, request: web.Request) -> web.StreamResponse:
        names = {name.lower(): text for name, text in request.headers.items()}
        visit = Visit(request.raw_path, names, request=request)
        self.visits.append(visit)
        script = self._scripts.popleft() if len(self._scripts) > 1 else self._scripts[0]
        self.present += 1
        try:
            return await script(visit)
        finally:
            self.present -= 1


NORMAL, AWAY, REFUSED = WSCloseCode.OK, WSCloseCode.GOING_AWAY, WSCloseCode.POLICY_VIOLATION
