"""uvicorn's WebSocket protocol, with an end for connections that take nothing any more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    _Protocol = asyncio.Protocol
else:
    _Protocol = WebSocketsSansIOProtocol

__all__ = ["WebSocketProtocol"]

#: A peer that has read nothing for so long, while there was something to read, is cut off.
STALLED_SECONDS = 20.0


class WebSocketProtocol(_Protocol):
    """Aborts a connection whose peer reads nothing.

    An orderly close waits until what is buffered was sent, which here is never; the socket would
    stay for as long as the peer does.
    """

    _transport: asyncio.Transport
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are of no class of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        super().connection_made(transport)

    def pause_writing(self) -> None:
        super().pause_writing()
        loop = asyncio.get_running_loop()
        self._stalled = loop.call_later(STALLED_SECONDS, self._transport.abort)

    def resume_writing(self) -> None:
        self._progress()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._progress()
        super().connection_lost(exc)

    def _progress(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
