"""Loopback addresses and relays for WebRTC."""

from __future__ import annotations

import asyncio
import re

import aioice.ice
import pytest
from aiortc import RTCPeerConnection, VideoStreamTrack

from overshoot_nb.publish.ice import allow_loopback


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
    async with asyncio.timeout(10):
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
