"""A real HTTP server on loopback that misbehaves on order."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal


@dataclass(frozen=True)
class Received:
    """A request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What the server does with one request.

    ``drop``: "before" closes the connection without an answer, "middle" after half the body.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: Literal["before", "middle"] | None = None
    raw: bytes | None = None

    @classmethod
    def of(cls, value: Any, status: int = 200, **headers: str) -> Answer:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return cls(
            status, json.dumps(value).encode(), {"Content-Type": "application/json", **named}
        )


class FaultServer:
    """Answers requests with the queued answers, one each; the last one repeats.

    Use as a context manager; ``url`` has a free port, ``received`` everything that came.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self._answers: deque[Answer] = deque([Answer()])
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def queue(self, *answers: Answer) -> None:
        self.received.clear()
        self._answers = deque(answers)

    def __enter__(self) -> FaultServer:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            task = asyncio.ensure_future(self._converse(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=2**24)
        self.port = server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer_one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client went away
        finally:
            writer.transport.abort()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.received.append(Received(method, target, headers, body))
        answer = self._answers.popleft() if len(self._answers) > 1 else self._answers[0]
        await asyncio.sleep(answer.delay)
        if answer.drop == "before":
            return False
        if answer.raw is not None:
            writer.write(answer.raw)
            await writer.drain()
            writer.write_eof()
            await asyncio.sleep(0.01)
            return False
        fields = {"Content-Length": str(len(answer.body)), **answer.headers}
        phrase = HTTPStatus(answer.status).phrase if answer.status in _KNOWN else "Odd"
        writer.write(f"HTTP/1.1 {answer.status} {phrase}\r\n".encode())
        writer.write("".join(f"{k}: {v}\r\n" for k, v in fields.items()).encode() + b"\r\n")
        if answer.drop == "middle":
            writer.write(answer.body[: len(answer.body) // 2])
            await writer.drain()
            writer.write_eof()
            await asyncio.sleep(0.01)
            return False
        if method != "HEAD" and answer.status not in (204, 304):
            writer.write(answer.body)
        await writer.drain()
        return True


_KNOWN = {int(status) for status in HTTPStatus}
