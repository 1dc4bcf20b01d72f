"""Addresses that aiortc does not gather by itself: loopback, and relays learned after the offer.

aiortc has no public way to either, so this is the one module that reaches into the ICE
connection (aioice's ``Connection``) under an ``RTCPeerConnection``. Only the instances that one
peer connection owns are touched; nothing is patched in the libraries.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aioice import Candidate, Connection
    from aiortc import RTCPeerConnection

__all__ = ["allow_loopback"]

LOOPBACK = "127.0.0.1"


def allow_loopback(pc: RTCPeerConnection, *, always: bool) -> None:
    """Let ``pc`` offer 127.0.0.1 as a host candidate, which aioice leaves out.

    To be called once its transceivers are there and before it gathers: after ``addTrack`` or
    ``addTransceiver`` where it offers, after ``setRemoteDescription`` where it answers, and
    before ``setLocalDescription`` in both. Calling it again changes nothing.

    Args:
        pc: the peer connection.
        always: True: besides the machine's other addresses. False: only where there is none,
            as on a machine without a network.
    """
    for connection in _connections(pc):
        _add_loopback(connection, always)


def _add_loopback(connection: Any, always: bool) -> None:
    gather: Callable[..., Awaitable[list[Candidate]]] = connection.get_component_candidates

    async def gather_with_loopback(
        component: int, addresses: list[str], **options: Any
    ) -> list[Candidate]:
        if LOOPBACK not in addresses and (always or not addresses):
            addresses = [*addresses, LOOPBACK]
        return await gather(component=component, addresses=addresses, **options)

    # The connection calls this method of its own with the addresses that it found.
    connection.get_component_candidates = gather_with_loopback


def _connections(pc: RTCPeerConnection) -> list[Connection]:
    """The ICE connections of ``pc``, each once; bundled media share one."""
    owners: list[Any] = [transceiver.receiver for transceiver in pc.getTransceivers()]
    if pc.sctp is not None:
        owners.append(pc.sctp)
    # As keys: a list without doubles, in order.
    return list(
        dict.fromkeys(owner.transport.transport.iceGatherer._connection for owner in owners)
    )
