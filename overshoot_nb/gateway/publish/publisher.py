"""Video of this machine on its way to a server that samples it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from overshoot_nb.types import KeepaliveResponse, StreamCreateResponse


class Publisher(Protocol):
    """One media connection: :meth:`offer`, then :meth:`connect`, and always :meth:`close`."""

    async def offer(self) -> Mapping[str, Any] | None:
        """What POST /streams is to be sent as ``source``; None for native transport."""

    async def connect(self, created: StreamCreateResponse) -> None:
        """Connect to what the server answered; media flows when this returns.

        Raises:
            NetworkError: no connection came about in time.
            ServerError: the answer cannot be used.
        """

    def renewed(self, keepalive: KeepaliveResponse) -> None:
        """The lease was renewed; its answer may bring a new token."""

    async def wait_lost(self) -> str:
        """Wait until the connection is lost for good; returns what happened, in words."""

    async def close(self) -> None:
        """End the connection, within a second. Idempotent, at any point, raises nothing."""
