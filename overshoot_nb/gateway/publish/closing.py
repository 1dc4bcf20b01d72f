"""Closing a peer connection so that nothing of it is left, at any point of its life."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection

#: aioice looks at its checks so often while it connects, in seconds; and some more.
_WAKES_WITHIN_SECONDS = 0.05


async def close_peer(pc: RTCPeerConnection, gathering: asyncio.Future[None] | None = None) -> None:
    """Close ``pc``, also while it connects.

    Args:
        pc: the peer connection.
        gathering: its ``setLocalDescription()``, where that may still run. It must not be
            cancelled: sockets that are half way to being gathered would be left behind.
    """
    if gathering is not None:
        await asyncio.wait([gathering])
    for transceiver in pc.getTransceivers():
        # A handshake whose last message has come ends well even after close(), and its sender or
        # receiver would then be started, and stopped by nobody.
        transceiver.sender.send = _start_nothing  # type: ignore[method-assign]
        transceiver.receiver.receive = _start_nothing  # type: ignore[method-assign]
    transports = dict.fromkeys(t.sender.transport.transport for t in pc.getTransceivers())
    connecting = [transport for transport in transports if transport.state == "checking"]
    await pc.close()
    if connecting:
        # aioice's connect() goes on after its close() if a check had just succeeded, and then
        # keeps a connection alive that is none. Closing again ends that.
        await asyncio.sleep(_WAKES_WITHIN_SECONDS)
        for transport in connecting:
            await transport._connection.close()


async def _start_nothing(parameters: object) -> None:
    """In place of ``RTCRtpSender.send()`` and ``RTCRtpReceiver.receive()``."""
