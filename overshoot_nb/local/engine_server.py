"""uvicorn's server, which tells before it ends what ends with it."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from .websocket_protocol import WebSocketProtocol

#: Listeners may take so long to take their close.
FAREWELL_SECONDS = 0.5


class EngineServer(uvicorn.Server):
    """A server that is told to stop in one of two ways.

    By a signal: the service ends. Requests and listeners are told so, then the connections are
    closed, and `run` returns; uvicorn's own would raise the signal again, and end the process
    before anything behind `run` is done.

    By ``should_exit``: this server ends, and another one may go on with the same streams.

    Args:
        end: ends the service; called in a thread.
    """

    def __init__(self, config: uvicorn.Config, end: Callable[[], object]) -> None:
        super().__init__(config)
        self._end = end
        self._signalled = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; at once when interrupted twice."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = self._signalled = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the connections, after the farewell where the service ends."""
        ending = None
        if self._signalled:
            for server in self.servers:
                server.close()
            ending = asyncio.create_task(asyncio.to_thread(self._end))
            await self._farewell()
        await super().shutdown(sockets)
        if ending is not None:
            await ending

    async def _farewell(self) -> None:
        """Wait until the listeners have gone."""
        connections = self.server_state.connections
        deadline = asyncio.get_running_loop().time() + FAREWELL_SECONDS
        while any(isinstance(each, WebSocketProtocol) for each in connections):
            if asyncio.get_running_loop().time() > deadline:
                return
            await asyncio.sleep(0.01)
