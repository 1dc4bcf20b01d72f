"""SDP offers that are too large, lack something, or hide their addresses."""

from __future__ import annotations

import asyncio
import re
import time

import pytest

from overshoot_nb.local import offer as offers
from overshoot_nb.local.offer import Offer
from overshoot_nb.local.refusals import Invalid
from overshoot_nb.local.webrtc import VideoReceiver

from gatewayserver import Client
from publishing import Peer

NAMED = "a=candidate:9 1 udp 2113937151 5e2a7d1c-0b6f-4f5e-9a66-2e7a3f7c1d11.local 50000 typ host"
END = "a=end-of-candidates\r\n"


@pytest.fixture(scope="module")
def sdp(score_video):
    async def run():
        peer = Peer(score_video)
        made = await peer.offer()
        await peer.close()
        return made

    return asyncio.run(run())


def without(sdp, name):
    return re.sub(rf"a={name}:.*\r\n", "", sdp)


def with_candidates(sdp, *lines):
    return sdp.replace(END, "".join(f"{line}\r\n" for line in lines) + END)


def parts(sdp, count):
    """The offer with its video that many times, without a bundle."""
    head, _, video = sdp.partition("m=video")
    head = re.sub(r"a=group:.*\r\n", "", head)
    return head + "".join(
        re.sub(r"a=mid:\S+", f"a=mid:{n}", f"m=video{video}") for n in range(count)
    )


def test_a_good_offer_is_not_changed(sdp):
    assert Offer.parse(sdp) == Offer(sdp)


@pytest.mark.parametrize("name", ["fingerprint", "ice-ufrag", "ice-pwd"])
def test_what_a_connection_needs(sdp, name):
    with pytest.raises(Invalid, match=f"has no a={name}"):
        Offer.parse(without(sdp, name))
    # It may stand before the parts, for all of them.
    head, _, video = without(sdp, name).partition("m=video")
    line = re.search(rf"a={name}:.*\r\n", sdp).group()
    Offer.parse(f"{head}{line}m=video{video}")


def test_bundled_parts_share_it_and_others_do_not(sdp):
    two = parts(sdp, 2)
    first, second = two.rsplit("m=video", 1)
    lacking = f"{first}m=video{without(second, 'fingerprint')}"
    with pytest.raises(Invalid, match="fingerprint"):
        Offer.parse(lacking)
    Offer.parse(lacking.replace("t=0 0\r\n", "t=0 0\r\na=group:BUNDLE 0 1\r\n"))


@pytest.mark.parametrize("count", [offers.MAX_PARTS, offers.MAX_PARTS + 1])
def test_parts_are_counted(sdp, count):
    if count > offers.MAX_PARTS:
        with pytest.raises(Invalid, match="8 parts"):
            Offer.parse(parts(without(sdp, "candidate"), count))
    else:
        Offer.parse(parts(without(sdp, "candidate"), count))


def test_candidates_are_counted(sdp):
    many = [f"a=candidate:{n} 1 udp 1 10.0.0.{n} 9 typ host" for n in range(offers.MAX_CANDIDATES)]
    Offer.parse(with_candidates(without(sdp, "candidate"), *many))
    with pytest.raises(Invalid, match="64 candidates"):
        Offer.parse(with_candidates(sdp, *many))


def test_names_are_left_out_beside_addresses_and_else_kept_for_later(sdp):
    both = Offer.parse(with_candidates(sdp, NAMED))
    assert both == Offer(sdp)
    only = Offer.parse(with_candidates(without(sdp, "candidate"), NAMED))
    assert only.named == ((0, NAMED.removeprefix("a=candidate:")),)
    assert "candidate" not in only.sdp


def test_an_offer_that_cannot_be_used_is_answered_422(gateway, sdp):
    many = (f"a=candidate:{n} 1 udp 1 10.0.{n >> 8}.{n & 255} 9 typ host" for n in range(4000))

    async def run():
        async with Client(gateway.url) as client:
            for bad in (
                without(sdp, "fingerprint"),
                with_candidates(sdp, *many),
                parts(sdp, 9),
                sdp + "a=" + "é" * 20_000,
            ):
                body = {
                    "source": {"type": "webrtc", "sdp": bad},
                    "processing": {"interval_seconds": 1},
                    "inference": {"prompt": "How bright?", "model": "local/scene"},
                }
                began = time.monotonic()
                status, refused = await client.call("POST", "/streams", body)
                assert (status, refused["error"]) == (422, "validation_error")
                assert refused["message"].startswith("source.sdp has ")
                assert time.monotonic() - began < 0.5
            assert gateway.streams == 0

    asyncio.run(run())


@pytest.mark.parametrize("others", [True, False])
def test_names_that_nobody_answers_for_take_no_time(sdp, others):
    hidden = with_candidates(sdp if others else without(sdp, "candidate"), NAMED)

    async def run():
        receiver = VideoReceiver(lambda _frame: None, lambda: None)
        began = time.monotonic()
        assert "m=video" in await receiver.answer(hidden)
        assert time.monotonic() - began < 0.5
        await asyncio.sleep(0.05)
        await receiver.close()
        assert time.monotonic() - began < 1
        await asyncio.sleep(0.1)  # aiortc's own tasks end a little later
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(run()) == set()


def test_a_publisher_that_hides_its_addresses_is_seen(gateway, score_video):
    """As a browser that may not use the camera does: it finds the server, not the server it."""

    async def run():
        async with Client(gateway.url) as client:
            peer = Peer(score_video)
            client._peers.append(peer)
            hidden = with_candidates(without(await peer.offer(), "candidate"), NAMED)
            body = {
                "source": {"type": "webrtc", "sdp": hidden},
                "processing": {"interval_seconds": 0.2},
                "inference": {"prompt": "How bright?", "model": "local/scene"},
            }
            status, created = await client.call("POST", "/streams", body)
            assert status == 201
            await peer.accept(created["webrtc"]["sdp"])
            async with client.listening(created["stream_id"]) as results:
                assert (await results.next())["ok"]
            await client.call("DELETE", f"/streams/{created['stream_id']}")

    asyncio.run(run())
