"""Addresses that aiortc does not gather by itself: loopback, and relays learned after the offer.

aiortc has no public way to either, so this module and :mod:`.relay` reach into the ICE connection
(aioice's ``Connection``) under an ``RTCPeerConnection``. Only the instances that one peer
connection owns are touched; nothing is patched in the libraries.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from overshoot_nb.types import TurnServer

if TYPE_CHECKING:
    from aioice import Candidate
    from aiortc import RTCIceTransport, RTCPeerConnection

    from .relay import TurnAddress

logger = logging.getLogger("overshoot_nb")

LOOPBACK = "127.0.0.1"
# Once there is one relay, what the others may still take: a list of relays is often one relay by
# several ways (UDP, TCP, TLS), of which a firewall swallows some without a word.
GRACE_SECONDS = 0.5


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
    for transport in _ice_transports(pc):
        _add_loopback(_connection(transport), always)


async def add_turn_servers(
    pc: RTCPeerConnection, servers: Sequence[TurnServer], *, timeout: float = 5.0
) -> None:
    """Let ``pc`` also be reached through TURN servers that it learned of after its offer.

    An address is allocated on each server and checked like an address of this machine. The
    offer is out, so the other side is not told; it learns the address from the first check
    that comes from there.

    To be called after ``setLocalDescription`` and before ``setRemoteDescription``. A server that
    cannot be reached or refuses is logged (never with its credential) and passed over: this
    raises nothing. Closing ``pc`` gives the addresses back.

    Args:
        pc: the peer connection, with its transceivers.
        servers: ``turn:`` URLs over UDP or TCP and ``turns:`` URLs over TLS are used; others
            (``stun:``) are passed over.
        timeout: seconds that this takes at most, for all servers together. Once one has
            answered, the others are waited for 0.5 s only.
    """
    from .relay import add_relay, turn_addresses

    allocations: dict[asyncio.Task[bool], TurnAddress] = {}
    for server in servers:
        for address in turn_addresses(server):
            for transport in _ice_transports(pc):
                allocation = asyncio.create_task(add_relay(transport, address, server))
                allocations[allocation] = address
    try:
        for slow in await _first_and_its_peers(set(allocations), timeout):
            logger.info("TURN server %s was not waited for", allocations[slow])
    finally:
        # A task that is done stays so.
        for allocation in allocations:
            allocation.cancel()
        await asyncio.gather(*allocations, return_exceptions=True)


async def _first_and_its_peers(
    allocations: set[asyncio.Task[bool]], timeout: float
) -> set[asyncio.Task[bool]]:
    """Wait until all have ended or their time is over; returns those that have not ended."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while allocations:
        ended, allocations = await asyncio.wait(
            allocations,
            timeout=max(0.0, deadline - loop.time()),
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not ended:
            break
        if any(allocation.result() for allocation in ended):
            deadline = min(deadline, loop.time() + GRACE_SECONDS)
    return allocations


def _ice_transports(pc: RTCPeerConnection) -> list[RTCIceTransport]:
    """The ICE transports of ``pc``, each once; bundled media share one."""
    owners: list[Any] = [transceiver.receiver for transceiver in pc.getTransceivers()]
    if pc.sctp is not None:
        owners.append(pc.sctp)
    # As keys: a list without doubles, in order.
    return list(dict.fromkeys(owner.transport.transport for owner in owners))


def _connection(transport: RTCIceTransport) -> Any:
    return transport.iceGatherer._connection


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
