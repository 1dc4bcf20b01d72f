"""uvicorn's WebSocket protocol, with an end for connections that take nothing any more.

And with a quiet one for those that send what is no text, or nothing at all.
"""

from __future__ import annotations

import asyncio
import codecs
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState

from .http_protocol import SilentConnections

#: A peer that has read nothing for so long, while there was something to read, is cut off.
STALLED_SECONDS = 20.0

INVALID_DATA = 1007


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Holds up who sends to a peer that does not read, and in the end aborts the connection.

    An orderly close waits until what is buffered was sent, which here is never; the socket would
    stay for as long as the peer does. uvicorn before 0.54 buffers without bound.

    Args:
        silent: where it stands until its first message has come.
    """

    _transport: asyncio.Transport
    _stalled: asyncio.TimerHandle | None = None
    _decoder: codecs.IncrementalDecoder | None = None

    def __init__(self, *args: Any, silent: SilentConnections, **more: Any) -> None:
        super().__init__(*args, **more)
        self._silent = silent

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are of no class of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._flowing = asyncio.Event()
        self._flowing.set()
        super().connection_made(transport)
        self._silent.add(self)

    def give_up(self) -> None:
        """Close it at once: others want its place."""
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._silent.remove(self)
        self._flow()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._flowing.clear()
        loop = asyncio.get_running_loop()
        self._stalled = loop.call_later(STALLED_SECONDS, self._transport.abort)

    def resume_writing(self) -> None:
        self._flow()
        super().resume_writing()

    async def send(self, message: Any) -> None:
        await self._flowing.wait()
        await super().send(message)

    def shutdown(self) -> None:
        try:
            super().shutdown()
        except InvalidState:  # before 0.54, where the close was sent already
            self._transport.close()

    def handle_text(self, event: Any) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        if self._is_text(event):
            self._spoken(event)
            super().handle_text(event)

    def handle_bytes(self, event: Any) -> None:
        self._decoder = None
        self._spoken(event)
        super().handle_bytes(event)

    def handle_cont(self, event: Any) -> None:
        if self._is_text(event):
            self._spoken(event)
            super().handle_cont(event)

    def _spoken(self, event: Any) -> None:
        if event.fin:
            self._silent.remove(self)

    def _is_text(self, event: Any) -> bool:
        """Whether a frame goes on as it must; where not, the connection ends without much ado.

        uvicorn would log a traceback for whatever anybody sends.
        """
        try:
            if self._decoder is not None:
                self._decoder.decode(event.data, event.fin)
        except UnicodeDecodeError:
            self._decoder = None
            if self.conn.close_sent is None:
                self.conn.fail(INVALID_DATA, "not UTF-8")
                self.handle_parser_exception()
            return False
        return True

    def _flow(self) -> None:
        self._flowing.set()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
