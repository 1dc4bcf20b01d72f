"""What the result channel needs of a WebSocket: text in, text out, and how it ended."""

from __future__ import annotations

from typing import Protocol

#: Close code of a connection that ended without a closing handshake (RFC 6455, 7.4.1).
ABNORMAL = 1006
#: Close code of a server that does not want this client; of v0.2: the key was refused.
POLICY_VIOLATION = 1008


class SocketClosed(Exception):
    """The connection is over.

    Attributes:
        code: WebSocket close code; ``ABNORMAL`` where the connection broke.
        reason: what the server said with it, or what broke, in words; "" for nothing.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code
        self.reason = reason


class Socket(Protocol):
    """One open WebSocket, used by one task of one event loop."""

    async def send(self, text: str) -> None:
        """Send a text message.

        Raises:
            SocketClosed: the connection is over.
        """

    async def receive(self) -> str:
        """The next text message.

        Raises:
            SocketClosed: the connection is over; by whom and why is in it.
        """

    async def close(self) -> None:
        """End the connection, within half a second. Idempotent, raises nothing."""
