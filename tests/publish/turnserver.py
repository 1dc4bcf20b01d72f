"""A small TURN server (RFC 8656) over UDP and TCP with long-term credentials, for loopback."""

from __future__ import annotations

import asyncio
import secrets
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aioice import stun, turn
from aioice.stun import Class, Method

REALM = "relay.test"
USERNAME, PASSWORD = "kim", "correct horse"


@dataclass
class Allocation:
    client: tuple[str, int]
    expiry: asyncio.TimerHandle
    transport: asyncio.DatagramTransport | None = None
    permitted: set[str] = field(default_factory=set)
    channels: dict[int, tuple[str, int]] = field(default_factory=dict)


class RelayedPort(asyncio.DatagramProtocol):
    """What peers send to a relayed address, on its way to the client."""

    def __init__(self, server: TurnServer, allocation: Allocation) -> None:
        self.server, self.allocation = server, allocation

    def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
        self.server.to_client(self.allocation, data, peer)


class StreamClient(turn.TurnStreamMixin, asyncio.Protocol):
    """A client that speaks TURN over TCP."""

    def __init__(self, server: TurnServer) -> None:
        self.server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.client = transport.get_extra_info("peername")
        self.server.streams[self.client] = self

    def connection_lost(self, error: Exception | None) -> None:
        del self.server.streams[self.client]

    def datagram_received(self, data: bytes, client: tuple[str, int]) -> None:
        self.server.datagram_received(data, client)

    def send(self, packet: bytes) -> None:
        self.transport.write(self._padded(packet))


class TurnServer(asyncio.DatagramProtocol):
    """Counts what it relays; ``allocations`` holds what is still allocated, by client.

    ``lifetime`` is that of an allocation in seconds. ``deaf`` makes it drop every packet.
    """

    def __init__(self, lifetime: int) -> None:
        self.lifetime = lifetime
        self.deaf = False
        self.allocations: dict[tuple[str, int], Allocation] = {}
        self.streams: dict[tuple[str, int], StreamClient] = {}
        self.allocated = self.refused = self.refreshed = 0
        self.bytes_to_peers = self.bytes_to_clients = 0
        self._nonce = secrets.token_hex(8).encode()
        self._opening: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self._listener = await loop.create_server(lambda: StreamClient(self), "127.0.0.1", 0)

    def url(self, transport: str = "udp") -> str:
        if transport == "udp":
            host, port = self._transport.get_extra_info("sockname")
        else:
            host, port = self._listener.sockets[0].getsockname()
        return f"turn:{host}:{port}?transport={transport}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def close(self) -> None:
        for client in list(self.allocations):
            self._forget(client)
        self._transport.close()
        self._listener.close()
        for stream in self.streams.values():
            stream.transport.close()

    def datagram_received(self, data: bytes, client: tuple[str, int]) -> None:
        if self.deaf:
            return
        if turn.is_channel_data(data):
            channel, length = struct.unpack("!HH", data[:4])
            if (allocation := self.allocations.get(client)) and channel in allocation.channels:
                self._to_peer(allocation, data[4 : 4 + length], allocation.channels[channel])
            return
        message = stun.parse_message(data)
        if message.message_class == Class.INDICATION and message.message_method == Method.SEND:
            peer = message.attributes["XOR-PEER-ADDRESS"]
            if (allocation := self.allocations.get(client)) and peer[0] in allocation.permitted:
                self._to_peer(allocation, message.attributes["DATA"], peer)
        elif message.message_class == Class.REQUEST and self._authenticated(message, client):
            self._answer(message, client)

    def to_client(self, allocation: Allocation, data: bytes, peer: tuple[str, int]) -> None:
        if peer[0] not in allocation.permitted:
            return
        self.bytes_to_clients += len(data)
        for channel, bound in allocation.channels.items():
            if bound == peer:
                packet = struct.pack("!HH", channel, len(data)) + data
                self._send(packet, allocation.client)
                return
        indication = stun.Message(Method.DATA, Class.INDICATION)
        indication.attributes |= {"XOR-PEER-ADDRESS": peer, "DATA": data}
        self._send(bytes(indication), allocation.client)

    def _to_peer(self, allocation: Allocation, data: bytes, peer: tuple[str, int]) -> None:
        if allocation.transport is not None:
            self.bytes_to_peers += len(data)
            allocation.transport.sendto(data, peer)

    def _authenticated(self, request: stun.Message, client: tuple[str, int]) -> bool:
        key = turn.make_integrity_key(USERNAME, REALM, PASSWORD)
        if request.attributes.get("USERNAME") == USERNAME and request.check_message_integrity(key):
            return True
        self.refused += "USERNAME" in request.attributes
        self._reply(request, client, {"REALM": REALM, "NONCE": self._nonce}, error=401)
        return False

    def _answer(self, request: stun.Message, client: tuple[str, int]) -> None:
        method, given = request.message_method, request.attributes
        allocation = self.allocations.get(client)
        if method == Method.ALLOCATE:
            if allocation is None:
                opening = asyncio.create_task(self._allocate(request, client))
                self._opening.add(opening)
                opening.add_done_callback(self._opening.discard)
            else:
                self._reply(request, client, error=437)
        elif allocation is None:
            self._reply(request, client, error=437)
        elif method == Method.REFRESH:
            allocation.expiry.cancel()
            if given["LIFETIME"] == 0:
                self._forget(client)
            else:
                self.refreshed += 1
                allocation.expiry = self._expire_later(client)
            self._reply(request, client, {"LIFETIME": min(given["LIFETIME"], self.lifetime)})
        elif method == Method.CREATE_PERMISSION:
            allocation.permitted.add(given["XOR-PEER-ADDRESS"][0])
            self._reply(request, client)
        elif method == Method.CHANNEL_BIND:
            allocation.permitted.add(given["XOR-PEER-ADDRESS"][0])
            allocation.channels[given["CHANNEL-NUMBER"]] = given["XOR-PEER-ADDRESS"]
            self._reply(request, client)
        else:
            self._reply(request, client, error=400)

    async def _allocate(self, request: stun.Message, client: tuple[str, int]) -> None:
        allocation = Allocation(client, self._expire_later(client))
        self.allocations[client] = allocation
        self.allocated += 1
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: RelayedPort(self, allocation), local_addr=("127.0.0.1", 0)
        )
        allocation.transport = transport
        relayed = transport.get_extra_info("sockname")
        attributes = {
            "XOR-RELAYED-ADDRESS": relayed,
            "XOR-MAPPED-ADDRESS": client,
            "LIFETIME": self.lifetime,
        }
        self._reply(request, client, attributes)

    def _expire_later(self, client: tuple[str, int]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self.lifetime, self._forget, client)

    def _forget(self, client: tuple[str, int]) -> None:
        allocation = self.allocations.pop(client)
        allocation.expiry.cancel()
        if allocation.transport is not None:
            allocation.transport.close()

    def _reply(
        self,
        request: stun.Message,
        client: tuple[str, int],
        attributes: dict[str, object] | None = None,
        error: int | None = None,
    ) -> None:
        kind = Class.RESPONSE if error is None else Class.ERROR
        reply = stun.Message(request.message_method, kind, request.transaction_id)
        if error is not None:
            reply.attributes["ERROR-CODE"] = (error, "Refused")
        reply.attributes |= attributes or {}
        if error != 401:
            reply.add_message_integrity(turn.make_integrity_key(USERNAME, REALM, PASSWORD))
        self._send(bytes(reply), client)

    def _send(self, packet: bytes, client: tuple[str, int]) -> None:
        if client in self.streams:
            self.streams[client].send(packet)
        else:
            self._transport.sendto(packet, client)


@asynccontextmanager
async def turn_server(lifetime: int = 600):
    """A server on free ports of 127.0.0.1."""
    server = TurnServer(lifetime)
    await server.open()
    try:
        yield server
    finally:
        server.close()
