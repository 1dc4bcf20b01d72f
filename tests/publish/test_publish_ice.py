"""Loopback addresses and relays for WebRTC."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aioice.ice
import av
import numpy as np
import psutil
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription, VideoStreamTrack

from overshoot_nb.gateway.publish.ice import add_turn_servers, allow_loopback
from overshoot_nb.gateway.publish.relay import TurnAddress, turn_addresses
from overshoot_nb.types import TurnServer

from turnserver import PASSWORD, USERNAME, turn_server


def addresses(sdp: str) -> list[str]:
    """The addresses of the candidates in ``sdp``, in order."""
    return re.findall(r"^a=candidate:\S+ \d+ udp \d+ (\S+)", sdp, re.MULTILINE)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose only address is 127.0.0.1."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: [])


async def offered(*, always: bool, times: int = 1) -> list[str]:
    pc = RTCPeerConnection()
    try:
        pc.addTrack(VideoStreamTrack())
        for _ in range(times):
            allow_loopback(pc, always=always)
        await pc.setLocalDescription(await pc.createOffer())
        return addresses(pc.localDescription.sdp)
    finally:
        await pc.close()


async def connected(first: RTCPeerConnection, second: RTCPeerConnection) -> None:
    async with asyncio.timeout(60):
        while {first.connectionState, second.connectionState} != {"connected"}:
            await asyncio.sleep(0.02)


def test_loopback_is_the_last_resort(no_network: None) -> None:
    assert asyncio.run(offered(always=False)) == ["127.0.0.1"]


def test_loopback_stays_out_where_another_address_is(monkeypatch: pytest.MonkeyPatch) -> None:
    # 127.0.0.2 stands for the address of a network card; it can be bound on any Linux machine.
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.2"])
    assert asyncio.run(offered(always=False)) == ["127.0.0.2"]
    assert asyncio.run(offered(always=True)) == ["127.0.0.2", "127.0.0.1"]


def test_loopback_is_offered_once(no_network: None) -> None:
    assert asyncio.run(offered(always=True, times=3)) == ["127.0.0.1"]


def test_other_connections_are_left_alone(no_network: None) -> None:
    async def run() -> list[str]:
        pc, other = RTCPeerConnection(), RTCPeerConnection()
        try:
            for each in (pc, other):
                each.addTrack(VideoStreamTrack())
            allow_loopback(pc, always=True)
            await other.setLocalDescription(await other.createOffer())
            return addresses(other.localDescription.sdp)
        finally:
            await pc.close()
            await other.close()

    assert asyncio.run(run()) == []


def test_two_peers_meet_on_a_machine_without_a_network(no_network: None) -> None:
    async def run() -> None:
        caller, answerer = RTCPeerConnection(), RTCPeerConnection()
        try:
            caller.addTrack(VideoStreamTrack())
            allow_loopback(caller, always=False)
            await caller.setLocalDescription(await caller.createOffer())
            await answerer.setRemoteDescription(caller.localDescription)
            allow_loopback(answerer, always=True)
            await answerer.setLocalDescription(await answerer.createAnswer())
            await caller.setRemoteDescription(answerer.localDescription)
            await connected(caller, answerer)
            picture = await answerer.getReceivers()[0].track.recv()
            assert (picture.width, picture.height) == (640, 480)
        finally:
            await caller.close()
            await answerer.close()

    asyncio.run(run())


def test_importing_it_needs_no_webrtc() -> None:
    script = (
        "import sys, overshoot_nb.gateway.publish.ice as ice; "
        "print({'aiortc', 'aioice'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


# ---- relays ----

# Of a network that is reserved for documentation: nobody answers there.
NOWHERE = "a=candidate:1 1 udp 2130706431 192.0.2.1 9 typ host"


class Teal(VideoStreamTrack):
    """One colour, which the other side can be asked for."""

    async def recv(self) -> av.VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), (0, 128, 128), np.uint8), "rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


def known(*urls: str, credential: str = PASSWORD) -> TurnServer:
    return TurnServer(urls, username=USERNAME, credential=credential)


def closed_port() -> int:
    """A TCP port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@asynccontextmanager
async def dead_server() -> AsyncIterator[str]:
    """The URL of a UDP port that takes everything and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        yield f"turn:127.0.0.1:{deaf.getsockname()[1]}"


@asynccontextmanager
async def walled_in() -> AsyncIterator[RTCPeerConnection]:
    """A caller that has offered, and has no socket: behind a firewall that lets no UDP through.

    Needs ``no_network``.
    """
    caller = RTCPeerConnection()
    try:
        caller.addTrack(Teal())
        await caller.setLocalDescription(await caller.createOffer())
        assert addresses(caller.localDescription.sdp) == []
        await asyncio.sleep(0)  # A task of its own, which has nobody to connect to yet.
        yield caller
    finally:
        await caller.close()


@asynccontextmanager
async def answering(caller: RTCPeerConnection) -> AsyncIterator[RTCPeerConnection]:
    """A peer that has answered; in the offer it found an address that leads nowhere."""
    peer = RTCPeerConnection()
    try:
        offer = caller.localDescription.sdp + NOWHERE + "\r\n"
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        allow_loopback(peer, always=True)
        await peer.setLocalDescription(await peer.createAnswer())
        yield peer
    finally:
        await peer.close()


def open_sockets() -> int:
    return len(psutil.Process().net_connections("inet"))


async def until(condition, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_video_reaches_a_peer_through_a_relay_alone(no_network: None, transport: str) -> None:
    async def run() -> None:
        # The allocation has to be refreshed to live through this.
        async with turn_server(lifetime=1) as server:
            async with walled_in() as caller, answering(caller) as peer:
                await add_turn_servers(caller, [known(server.url(transport))])
                assert server.allocated == 1
                await caller.setRemoteDescription(peer.localDescription)
                await connected(caller, peer)
                track = peer.getReceivers()[0].track
                picture = await track.recv()
                assert (picture.width, picture.height) == (64, 48)
                middle = picture.to_ndarray(format="rgb24")[24, 32].astype(int)
                assert np.abs(middle - (0, 128, 128)).max() < 12
                await until(lambda: server.refreshed >= 2)
                sent = server.bytes_to_peers
                assert sent > 0
                await until(lambda: server.bytes_to_peers > sent)
                assert server.bytes_to_clients > 0
            # A relayed address is given back when the connection closes.
            assert server.allocations == {}

    asyncio.run(run())


def test_without_the_relay_there_is_no_way(no_network: None) -> None:
    async def run() -> None:
        async with walled_in() as caller, answering(caller) as peer:
            await add_turn_servers(caller, [TurnServer(("stun:127.0.0.1:9",))])
            await caller.setRemoteDescription(peer.localDescription)
            await asyncio.sleep(0.5)
            assert caller.connectionState == "new"

    asyncio.run(run())


def test_a_relay_that_refuses_is_passed_over(
    no_network: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "not the password"

    async def run() -> None:
        async with turn_server() as server, walled_in() as caller, answering(caller) as peer:
            before = open_sockets()
            servers = [known(server.url("udp"), server.url("tcp"), credential=wrong)]
            servers.append(TurnServer((server.url("udp"),)))
            async with asyncio.timeout(60):
                await add_turn_servers(caller, servers, timeout=10)
            assert server.refused == 2
            assert server.allocated == 0
            # A relay that works is still one.
            await add_turn_servers(caller, [known(server.url())])
            await caller.setRemoteDescription(peer.localDescription)
            await connected(caller, peer)
            await until(lambda: not server.streams)
            assert open_sockets() == before + 2  # The relay's, at both of its ends.

    asyncio.run(run())
    refusals = [r.getMessage() for r in caplog.records if "gave no relay" in r.getMessage()]
    assert len(refusals) == 3
    assert all("401" in refusal for refusal in refusals)
    assert wrong not in caplog.text
    assert PASSWORD not in caplog.text


def test_dead_servers_cost_the_timeout_once(
    no_network: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "overshoot_nb")

    async def run() -> float:
        async with dead_server() as url, dead_server() as other, walled_in() as caller:
            before = open_sockets(), len(asyncio.all_tasks())
            servers = [known(url, other), known(f"turn:127.0.0.1:{closed_port()}?transport=tcp")]
            start = asyncio.get_running_loop().time()
            await add_turn_servers(caller, servers, timeout=0.4)
            took = asyncio.get_running_loop().time() - start
            await asyncio.sleep(0.05)
            assert (open_sockets(), len(asyncio.all_tasks())) == before
            return took

    assert 0.4 <= asyncio.run(run()) < 0.8
    assert caplog.text.count("was not waited for") == 2
    assert caplog.text.count("gave no relay") == 1


def test_a_dead_server_does_not_hold_up_one_that_answers(no_network: None) -> None:
    async def run() -> float:
        async with dead_server() as url, turn_server() as server, walled_in() as caller:
            start = asyncio.get_running_loop().time()
            await add_turn_servers(caller, [known(url, server.url())], timeout=10)
            assert len(server.allocations) == 1
            return asyncio.get_running_loop().time() - start

    assert asyncio.run(run()) < 1


def test_closing_does_not_wait_for_relays_that_are_gone(no_network: None) -> None:
    async def run() -> None:
        async with turn_server() as first, turn_server() as second:
            before = open_sockets(), len(asyncio.all_tasks())
            async with walled_in() as caller, answering(caller) as peer:
                urls = [first.url(), second.url("tcp"), second.url()]
                await add_turn_servers(caller, [known(url) for url in urls])
                assert len(first.allocations) + len(second.allocations) == 3
                await caller.setRemoteDescription(peer.localDescription)
                await connected(caller, peer)
                first.deaf = second.deaf = True
                start = asyncio.get_running_loop().time()
                await caller.close()
                assert asyncio.get_running_loop().time() - start < 0.9
            # What is left are the servers' own sockets of the addresses they still hold.
            await until(lambda: (open_sockets() - 3, len(asyncio.all_tasks())) == before)

    asyncio.run(run())


@pytest.mark.parametrize("ending", ["close", "cancel"])
def test_nothing_is_left_when_it_ends_half_way(no_network: None, ending: str) -> None:
    async def run() -> None:
        async with turn_server() as server, dead_server() as dead:
            before = open_sockets(), len(asyncio.all_tasks())
            async with walled_in() as caller:
                adding = asyncio.create_task(
                    add_turn_servers(caller, [known(server.url(), dead)], timeout=30)
                )
                await asyncio.sleep(0 if ending == "close" else 0.1)
                if ending == "cancel":
                    assert len(server.allocations) == 1
                    adding.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await adding
                else:
                    await caller.close()
                    await until(lambda: server.allocated == 1 and not server.allocations)
                    adding.cancel()
                    await asyncio.wait({adding})
            await until(lambda: server.allocations == {})
            await until(lambda: (open_sockets(), len(asyncio.all_tasks())) == before)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("turn:relay.example", ("relay.example", 3478, "udp", False)),
        ("turn:relay.example:80?transport=tcp", ("relay.example", 80, "tcp", False)),
        ("turns:relay.example", ("relay.example", 5349, "tcp", True)),
        ("TURNS:relay.example:443?transport=TCP", ("relay.example", 443, "tcp", True)),
        ("turn:[2001:db8::1]:3479", ("2001:db8::1", 3479, "udp", False)),
        ("turns:relay.example?transport=udp", None),
        ("turn:relay.example:99999", None),
        ("turn:kim:secret@relay.example", None),
        ("turn:relay.example?transport=sctp", None),
        ("stun:relay.example", None),
        ("https://relay.example/?key=secret", None),
        ("", None),
    ],
)
def test_urls_of_relays(
    url: str, address: tuple[str, int, str, bool] | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    expected = [] if address is None else [TurnAddress(*address)]
    assert turn_addresses(TurnServer((url,))) == expected
    assert "secret" not in caplog.text
