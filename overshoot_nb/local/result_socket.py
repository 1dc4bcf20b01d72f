"""The WebSocket that a stream's results are pushed over."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import orjson
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from overshoot_nb import config

from .access import Access, AccessDenied
from .refusals import FeedOver, StreamRefusal
from .result_feed import Listener
from .streams import StreamRegistry

#: The key must have come by then.
KEY_SECONDS = config.SERVE_KEY_SECONDS
#: How long a listener that takes nothing may take to take the close of the connection.
CLOSE_SECONDS = 10.0

POLICY_VIOLATION = 1008


class ResultSocket:
    """``/ws/streams/{id}``: the key comes in, then every result goes out."""

    def __init__(self, registry: StreamRegistry, access: Access) -> None:
        self._registry = registry
        self._access = access

    def route(self) -> WebSocketRoute:
        """Its endpoint, without the prefix."""
        return WebSocketRoute("/ws/streams/{id}", self._serve)

    async def _serve(self, websocket: WebSocket) -> None:
        await websocket.accept()
        # Where the client has gone, nobody is there to be told anything.
        with contextlib.suppress(WebSocketDisconnect):
            try:
                await self._push_all(websocket)
            except FeedOver as over:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CLOSE_SECONDS):
                        await websocket.close(over.code, over.reason)

    async def _push_all(self, websocket: WebSocket) -> None:
        """Push until it is over.

        Raises:
            FeedOver: to be told to the client.
            WebSocketDisconnect: it has gone.
        """
        try:
            async with asyncio.timeout(KEY_SECONDS):
                owner = self._access.owner_of(_key(await _received(websocket)))
        except (TimeoutError, AccessDenied):
            raise FeedOver(POLICY_VIOLATION, "authentication failed") from None
        try:
            listener = self._registry.listen(websocket.path_params["id"], owner)
        except StreamRefusal:
            raise FeedOver(POLICY_VIOLATION, "stream not found") from None
        try:
            await _first_of(
                _push(websocket, listener), _until_gone(websocket), listener.wait_overrun()
            )
        finally:
            listener.close()


async def _push(websocket: WebSocket, listener: Listener) -> None:
    while True:
        await websocket.send_text(await listener.next())


async def _until_gone(websocket: WebSocket) -> None:
    while True:
        await _received(websocket)


async def _received(websocket: WebSocket) -> dict[str, Any]:
    message = dict(await websocket.receive())
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code") or 1005, message.get("reason"))
    return message


def _key(message: dict[str, Any]) -> str:
    """The key in a client's first message.

    Raises:
        AccessDenied: it is not ``{"api_key": "<key>"}``.
    """
    try:
        key = orjson.loads(message.get("text") or message.get("bytes") or b"")["api_key"]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        key = None
    if not isinstance(key, str):
        raise AccessDenied('the first message must be {"api_key": "<key>"}')
    return key.strip()


async def _first_of(*coros: Any) -> None:
    """Run all until the first one ends, and raise what it raised."""
    tasks = [asyncio.create_task(coro) for coro in coros]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
