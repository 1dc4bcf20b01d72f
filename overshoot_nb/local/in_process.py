"""A WebSocket to an ASGI app of the same process, without a server."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any

from overshoot_nb.asking.socket import ABNORMAL, SocketClosed

logger = logging.getLogger("overshoot_nb.local")

#: Messages that may wait to be received; then the app waits.
MAX_WAITING = 64
#: How long the app may take to end once the socket was closed.
CLOSE_SECONDS = 0.5

NORMAL = 1000
POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011


class InProcessSocket:
    """One open WebSocket (`overshoot_nb.asking.socket.Socket`); the app runs as a task beside it.

    Args:
        app: an ASGI app.
        path: of the endpoint.
    """

    def __init__(self, app: Any, path: str) -> None:
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._received: deque[str] = deque()
        self._over: SocketClosed | None = None
        self._accepted = False
        self._changed = asyncio.Condition()
        self._app = asyncio.create_task(self._run(app, path))

    async def open(self) -> None:
        """Shake hands.

        Raises:
            SocketClosed: the app does not want the connection.
        """
        self._to_app.put_nowait({"type": "websocket.connect"})
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: self._accepted or self._over)
        except BaseException:
            await self.close()
            raise
        if not self._accepted:
            assert self._over is not None
            denied = self._over
            await self.close()
            code = POLICY_VIOLATION if denied.code == NORMAL else denied.code
            raise SocketClosed(code, denied.reason or "the connection was refused")

    async def send(self, text: str) -> None:
        """Send a text message.

        Raises:
            SocketClosed: the connection is over.
        """
        if self._over is not None:
            raise self._over
        self._to_app.put_nowait({"type": "websocket.receive", "text": text})

    async def receive(self) -> str:
        """The next text message.

        Raises:
            SocketClosed: the connection is over, and everything before that was received.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._received or self._over)
            if not self._received:
                assert self._over is not None
                raise self._over
            message = self._received.popleft()
            self._changed.notify_all()
            return message

    async def close(self) -> None:
        """End the connection, within half a second. Idempotent, raises nothing."""
        async with self._changed:
            if self._over is None:
                self._over = SocketClosed(NORMAL)
                self._received.clear()
                self._to_app.put_nowait({"type": "websocket.disconnect", "code": NORMAL})
            self._changed.notify_all()
        _, running = await asyncio.wait([self._app], timeout=CLOSE_SECONDS)
        for task in running:
            task.cancel()

    # ---- the app's side ------------------------------------------------------------------------

    async def _run(self, app: Any, path: str) -> None:
        scope: dict[str, Any] = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [],
            "client": None,
            "server": None,
            "subprotocols": [],
            "state": {},
            "extensions": {},
        }
        ended = SocketClosed(ABNORMAL, "the app ended without a word")
        try:
            await app(scope, self._to_app.get, self._take)
        except OSError:
            pass  # told it that nobody listens any more
        except Exception:
            logger.exception("the local engine failed")
            ended = SocketClosed(INTERNAL_ERROR, "the local engine failed")
        finally:
            await self._end(ended)

    async def _take(self, message: Any) -> None:
        kind = message["type"]
        if kind == "websocket.close":
            # Said once: what comes after the handshake is over is not sent.
            await self._end(SocketClosed(message.get("code", NORMAL), message.get("reason") or ""))
            return
        async with self._changed:
            if kind == "websocket.send":
                await self._changed.wait_for(
                    lambda: self._over or len(self._received) < MAX_WAITING
                )
            if self._over is not None:
                raise OSError("the WebSocket is closed")
            if kind == "websocket.accept":
                self._accepted = True
            elif kind == "websocket.send":
                self._received.append(message["text"])
            self._changed.notify_all()

    async def _end(self, over: SocketClosed) -> None:
        async with self._changed:
            if self._over is None:
                self._over = over
                self._to_app.put_nowait({"type": "websocket.disconnect", "code": over.code})
            self._changed.notify_all()
