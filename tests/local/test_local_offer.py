"""SDP offers that are too large, lack something, or hide their addresses."""

from __future__ import annotations

import asyncio
import re
import time

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from overshoot_nb.local import offer as offers
from overshoot_nb.local.offer import Offer
from overshoot_nb.local.refusals import Invalid
from overshoot_nb.local.webrtc import VideoReceiver

from gatewayserver import Client
from publishing import Peer
from waiting import eventually

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


async def offered(*kinds, data=False):
    """What a peer offers that has these (kind, direction)."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for kind, direction in kinds:
        peer.addTransceiver(kind, direction=direction)
    if data:
        peer.createDataChannel("chat")
    await peer.setLocalDescription(await peer.createOffer())
    made = peer.localDescription.sdp
    await peer.close()
    return made


def other_codecs(sdp, *names):
    """The offer with these codecs only."""
    fewer = re.sub(r"a=(rtpmap|fmtp|rtcp-fb):.*\r\n", "", sdp)
    numbers = " ".join(str(110 + n) for n in range(len(names)))
    fewer = re.sub(r"(m=video \d+ \S+) .*\r\n", rf"\1 {numbers}\r\n", fewer)
    return fewer + "".join(f"a=rtpmap:{110 + n} {name}/90000\r\n" for n, name in enumerate(names))


def direction(sdp, said, whole=""):
    """The offer with that direction of its video, and of the whole."""
    changed = re.sub(r"a=send(?:recv|only)\r\n", said and f"a={said}\r\n", sdp)
    return changed.replace("t=0 0\r\n", "t=0 0\r\n" + (whole and f"a={whole}\r\n"))


HIGH = "a=fmtp:110 packetization-mode=0;profile-level-id=640032\r\n"
#: What is done to a good offer, and what is said of it.
UNANSWERABLE = {
    "garbage": (lambda _sdp: "hello", "is no SDP: it must begin with v=0"),
    "json": (lambda _sdp: '{"type": "offer"}', "is no SDP"),
    "nothing": (lambda sdp: sdp.partition("m=")[0], "has no part m=video, nor any other"),
    "recvonly": (lambda sdp: direction(sdp, "recvonly"), "is a=recvonly, and must be a=sendonly"),
    "inactive": (lambda sdp: direction(sdp, "inactive"), "is a=inactive"),
    "as the whole": (lambda sdp: direction(sdp, "", "recvonly"), "is a=recvonly"),
    "port 0": (lambda sdp: re.sub(r"m=video \d+", "m=video 0", sdp), "switched off (port 0)"),
    "text": (lambda sdp: sdp.replace("m=video", "m=text"), "no part m=video, only 'text'"),
    "no formats": (lambda sdp: re.sub(r"(m=video \d+ \S+) .*", r"\1", sdp), "is not whole"),
    "no port": (lambda sdp: re.sub("m=video .*", "m=video x RTP 96", sdp), "is not whole"),
    "codecs": (lambda sdp: other_codecs(sdp, "AV1", "H265", "rtx"), "(VP8, H264), only AV1, H265"),
    "no codec": (lambda sdp: without(sdp, "rtpmap"), "received (VP8, H264), nor any other"),
    "rtx": (lambda sdp: other_codecs(sdp, "rtx", "ulpfec"), "received (VP8, H264), nor any other"),
    "profile": (lambda sdp: other_codecs(sdp, "H264") + HIGH, "as its a=fmtp lines have them"),
    "fingerprint": (
        lambda sdp: without(sdp, "fingerprint") + "a=fingerprint:sha-256 AB:CD\r\n",
        "no a=fingerprint of sha-256, sha-384, sha-512 that is whole",
    ),
    "md5": (
        lambda sdp: re.sub(r"fingerprint:sha-\d+", "fingerprint:md5", sdp),
        "no a=fingerprint of",
    ),
    "no fingerprint": (
        lambda sdp: without(sdp, "fingerprint") + "a=fingerprint:\r\n",
        "no a=fingerprint",
    ),
    "no ufrag": (lambda sdp: without(sdp, "ice-ufrag") + "a=ice-ufrag:\r\n", "no a=ice-ufrag"),
    "no setup": (lambda sdp: without(sdp, "setup"), "no a=setup; it must be one of actpass"),
    "setup": (lambda sdp: without(sdp, "setup") + "a=setup:holdconn\r\n", "a=setup:'holdconn'"),
    "no mux": (lambda sdp: sdp.replace("a=rtcp-mux\r\n", ""), "without a=rtcp-mux"),
    "tcp": (lambda sdp: sdp.replace(" udp ", " tcp "), "no candidate over UDP"),
    "candidate": (
        lambda sdp: with_candidates(sdp, "a=candidate:foo"),
        "a candidate that is not whole: 'foo'",
    ),
    "version": (lambda sdp: sdp.replace("v=0", "v=x"), "is no offer that can be answered (inv"),
}


@pytest.mark.parametrize("case", UNANSWERABLE)
def test_an_offer_that_cannot_be_answered_has_a_reason_and_leaves_nothing(sdp, case):
    change, says = UNANSWERABLE[case]
    lost = []

    async def run():
        receiver = VideoReceiver(lambda _frame: None, lambda: lost.append(True))
        with pytest.raises(Invalid) as refused:
            await receiver.answer(change(sdp))
        await receiver.close()
        await asyncio.sleep(0)
        return refused.value, asyncio.all_tasks() - {asyncio.current_task()}

    refusal, left = asyncio.run(run())
    assert (refusal.status, refusal.where) == (422, "body.source.sdp")
    assert refusal.message.startswith("source.sdp ")
    assert says in refusal.message
    assert (left, lost) == (set(), [])


@pytest.mark.parametrize(
    ("kinds", "data", "says"),
    [
        ([("audio", "sendonly")], False, "only 'audio'"),
        ([], True, "only 'application'"),
        ([("audio", "sendrecv"), ("video", "recvonly")], True, "is a=recvonly"),
    ],
)
def test_an_offer_without_a_video_that_is_sent_says_what_it_has(kinds, data, says):
    async def run():
        with pytest.raises(Invalid, match="offers no video") as refused:
            Offer.parse(await offered(*kinds, data=data))
        return refused.value.message

    assert says in asyncio.run(run())


def test_a_refused_offer_leaves_no_stream_and_no_task(make_gateway, sdp):
    gateway = make_gateway()

    async def run():
        async with Client(gateway.url) as client:
            for change, says in UNANSWERABLE.values():
                body = {
                    "source": {"type": "webrtc", "sdp": change(sdp)},
                    "processing": {"interval_seconds": 1},
                    "inference": {"prompt": "How bright?", "model": "local/scene"},
                }
                status, refused = await client.call("POST", "/streams", body)
                assert (status, refused["error"]) == (422, "validation_error")
                assert says in refused["message"]
                assert gateway.streams == 0
        loop = gateway.registry._media._loop
        return await asyncio.to_thread(eventually, lambda: not asyncio.all_tasks(loop))

    assert asyncio.run(run())


@pytest.mark.parametrize(("own", "whole"), [("", ""), ("", "sendonly"), ("", "sendrecv")])
def test_a_direction_that_is_not_said_is_that_of_the_whole_and_else_both(sdp, own, whole):
    async def run():
        receiver = VideoReceiver(lambda _frame: None, lambda: None)
        answer = await receiver.answer(direction(sdp, own, whole))
        await receiver.close()
        return answer

    assert "a=recvonly" in asyncio.run(run())


def test_of_two_videos_one_that_can_be_received_is_enough(sdp):
    two = parts(without(sdp, "candidate"), 2)
    first, second = two.rsplit("m=video", 1)
    Offer.parse(f"{direction(first, 'recvonly')}m=video{second}")


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
