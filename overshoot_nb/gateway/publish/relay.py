"""A relayed address on a TURN server, as a candidate of an ICE connection that has gathered.

Needs aioice when it is imported; :mod:`.ice` imports it when there is a TURN server.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from typing import Any, NamedTuple

from aioice import Candidate, stun, turn
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol
from aiortc import RTCIceTransport

from overshoot_nb.types import TurnServer

logger = logging.getLogger("overshoot_nb")

# What giving an address back may take. A TURN server that is gone would be asked again for a
# minute; one that is not gone forgets the address by itself.
RELEASE_SECONDS = 0.5


# RFC 7065.
TURN_URL = re.compile(
    r"(?P<scheme>turns?):"
    r"(?:\[(?P<ipv6>[0-9a-f:.%]+)\]|(?P<host>[^\s:?@/\[\]]+))"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?:\?transport=(?P<transport>udp|tcp))?",
    re.IGNORECASE,
)


class TurnAddress(NamedTuple):
    """One way to a TURN server; ``transport`` is "udp" or "tcp"."""

    host: str
    port: int
    transport: str
    tls: bool

    def __str__(self) -> str:
        return f"{self.host}:{self.port} ({'tls' if self.tls else self.transport})"


def turn_addresses(server: TurnServer) -> list[TurnAddress]:
    """The ways to ``server`` that its URLs name and aioice can go; others are passed over."""
    addresses = []
    for url in server.urls:
        match = TURN_URL.fullmatch(url)
        if match is None:
            # Not shown: what cannot be read may hold anything.
            if not url.lower().startswith(("stun:", "stuns:")):
                logger.info("a TURN server's URL cannot be read and is passed over")
            continue
        tls = match["scheme"].lower() == "turns"
        transport = (match["transport"] or ("tcp" if tls else "udp")).lower()
        port = int(match["port"] or (5349 if tls else 3478))
        if port > 65535 or (tls and transport == "udp"):
            logger.info("a TURN server's URL names no way that can be gone and is passed over")
            continue
        addresses.append(TurnAddress(match["ipv6"] or match["host"], port, transport, tls))
    return addresses


async def add_relay(transport: RTCIceTransport, address: TurnAddress, server: TurnServer) -> bool:
    """Allocate an address on ``server`` and make it a candidate of ``transport``.

    Returns:
        False when the server cannot be reached or refuses, which is logged without credentials,
        or when ``transport`` was closed meanwhile.
    """
    connection: Any = transport.iceGatherer._connection
    try:
        relayed, protocol = await turn.create_turn_endpoint(
            lambda: RelayProtocol(connection),
            server_addr=(address.host, address.port),
            username=server.username,
            password=server.credential,
            ssl=address.tls,
            transport=address.transport,
        )
    except (OSError, ValueError, stun.TransactionError) as error:
        logger.info("TURN server %s gave no relay: %s", address, error)
        return False
    if transport.state == "closed":
        await protocol.close()
        return False
    protocol.local_candidate = _candidate(relayed)
    # What gathering does with the one TURN server that a connection can be made with.
    connection._protocols.append(protocol)
    connection._local_candidates.append(protocol.local_candidate)
    return True


class RelayProtocol(StunProtocol):
    """aioice's protocol of one local candidate, whose close does not hang on the TURN server."""

    async def close(self) -> None:
        # The connection closes one protocol after the other. The relays go together, so that
        # several which no longer answer do not add up.
        siblings = {p for p in self.receiver._protocols if isinstance(p, RelayProtocol)}
        await asyncio.gather(*(relay.release() for relay in siblings | {self}))
        await super().close()

    async def release(self) -> None:
        """Give the address back. Its socket is closed then, whatever came of it."""
        relayed: Any = self.transport
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                await relayed._close()


def _candidate(relayed: turn.TurnTransport) -> Candidate:
    host, port = relayed.get_extra_info("sockname")
    related_host, related_port = relayed.get_extra_info("related_address")
    component = 1  # RTP and RTCP share one.
    return Candidate(
        foundation=candidate_foundation("relay", "udp", host),
        component=component,
        transport="udp",
        priority=candidate_priority(component, "relay"),
        host=host,
        port=port,
        type="relay",
        related_address=related_host,
        related_port=related_port,
    )
