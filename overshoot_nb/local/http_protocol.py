"""uvicorn's HTTP protocol, with an end for requests that do not come.

uvicorn closes a connection that says nothing after an answer; one that never asks, or that asks by
a letter a minute, it keeps for as long as the client likes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from overshoot_nb import config


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How long, and how many, connections may be silent.

    Attributes:
        head_seconds: a request's head must have come by then; counted from the connection, or
            from the answer before.
        body_seconds: its body must have come by then, counted from its head.
        silent: connections of which no whole request has come, or no first message of a
            WebSocket. With one more, the oldest of them is closed.
    """

    head_seconds: float = config.SERVE_HEAD_SECONDS
    body_seconds: float = config.SERVE_BODY_SECONDS
    silent: int = config.SERVE_SILENT_CONNECTIONS


class _Connection(Protocol):
    def give_up(self) -> None:
        """Close it at once."""


class SilentConnections:
    """The connections that have yet to say something, the longest silent first.

    Args:
        limits: see there.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._waiting: dict[_Connection, None] = {}

    def add(self, connection: _Connection) -> None:
        """One that is silent from now on; it may be the end of another one."""
        self._waiting.pop(connection, None)
        self._waiting[connection] = None
        if len(self._waiting) > self.limits.silent:
            oldest = next(iter(self._waiting))
            del self._waiting[oldest]
            oldest.give_up()

    def remove(self, connection: _Connection) -> None:
        """One that has said something, or has gone. Idempotent."""
        self._waiting.pop(connection, None)


class HTTPProtocol(H11Protocol):
    """Closes a connection whose request does not come in time.

    Args:
        silent: where it stands while nothing whole has come.
    """

    def __init__(self, *args: Any, silent: SilentConnections, **more: Any) -> None:
        super().__init__(*args, **more)
        self._silent = silent
        #: What is waited for, "head" or "body", and after which request.
        self._awaited: tuple[str | None, Any] = (None, None)
        self._timer: asyncio.TimerHandle | None = None
        self._heard = self._left = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are of no class of asyncio's.
        super().connection_made(cast(asyncio.Transport, transport))
        self._watch()

    def data_received(self, data: bytes) -> None:
        self._heard = True
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, *args: Any) -> None:
        self._leave()
        super().handle_websocket_upgrade(*args)

    def give_up(self) -> None:
        self._leave()
        self.transport.abort()

    def _watch(self) -> None:
        """See what has to come next, and set a time for it."""
        cycle: Any = self.cycle
        awaited: str | None = "head"
        if cycle is not None and not cycle.response_complete:
            awaited = "body" if cycle.more_body else None
        if self._left or (awaited == self._awaited[0] and cycle is self._awaited[1]):
            return
        self._awaited = awaited, cycle
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if awaited is None:
            self._silent.remove(self)
            return
        limits = self._silent.limits
        seconds = limits.head_seconds if awaited == "head" else limits.body_seconds
        self._heard = awaited == "body"
        self._timer = self.loop.call_later(seconds, self._too_late, awaited, seconds)
        # Last: it may be its own turn to go.
        self._silent.add(self)

    def _too_late(self, awaited: str, seconds: float) -> None:
        self._leave()
        if self.transport.is_closing():
            return
        if self._heard and not (awaited == "body" and self.cycle.response_started):
            said = f"the request's {awaited} did not come within {seconds:g} s".encode()
            self.transport.write(
                b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: text/plain\r\n"
                b"content-length: %d\r\n\r\n%b" % (len(said), said)
            )
        self.transport.close()

    def _leave(self) -> None:
        self._left = True
        self._silent.remove(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
