"""How streams, listeners and servers end, and what outlives what."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
from collections import Counter

import aiohttp
import pytest
from asking import client as http

from overshoot_nb import local
from overshoot_nb.asking.socket import SocketClosed
from overshoot_nb.local import opening
from overshoot_nb.local.access import Access
from overshoot_nb.local.streams import Price

from gatewayserver import KEY, OWNER, Client
from publishing import Peer
from waiting import LIMIT_SECONDS, eventually, until

NATIVE = {
    "processing": {"interval_seconds": 0.5},
    "inference": {"prompt": "Read", "model": "local/read"},
}


def test_a_native_stream_ends_with_its_lease_and_says_so(make_gateway):
    gateway = make_gateway(lease_seconds=0.1)

    async def run():
        async with Client(gateway.url) as client:
            _, created = await client.call("POST", "/streams", NATIVE)
            assert created["livekit"] is None
            path = f"/streams/{created['stream_id']}"
            async with client.listening(created["stream_id"]) as results:
                gateway.clock.now += 0.06
                status, alive = await client.call("POST", f"{path}/keepalive")
                assert (status, alive["state"]) == (200, "pending")
                # Without that it would be over by now.
                gateway.clock.now += 0.06
                assert (await client.call("GET", f"{path}/info"))[0] == 200
                gateway.clock.now += 0.06
                # Nobody asks: the lease ends by itself.
                assert await results.end() == (1001, "lease_expired")

    asyncio.run(run())


def test_who_waits_for_results_of_a_native_stream_is_told_that_none_can_come(make_gateway):
    price = Price(cents_per_second=100, credits_cents=100_000)
    gateway = make_gateway(no_media_seconds=0.3, price=price)

    async def run():
        async with Client(gateway.url) as client:
            _, created = await client.call("POST", "/streams", NATIVE)
            path = f"/streams/{created['stream_id']}"
            gateway.clock.now += 5
            _, alive = await client.call("POST", f"{path}/keepalive")
            assert (alive["state"], alive["cost_cents"]) == ("pending", 500)
            async with client.listening(created["stream_id"]) as results:
                said = await results.next()
                assert (said["ok"], said["result"]) == (False, "")
                assert "no LiveKit room" in said["error"]
                assert 'transport="webrtc"' in said["error"]
                assert said["stream_id"] == created["stream_id"]
                assert await results.end() == (1001, "livekit_disconnected")
            assert (await client.call("POST", f"{path}/keepalive"))[0] == 404
            # None of its seconds was charged.
            _, other = await client.call("POST", "/streams", NATIVE)
            _, alive = await client.call("POST", f"/streams/{other['stream_id']}/keepalive")
            assert (alive["credits_remaining_cents"], alive["cost_cents"]) == (100_000, 0)

    asyncio.run(run())


def test_a_native_stream_that_nobody_listens_to_lives_its_lease(make_gateway, monkeypatch):
    gateway = make_gateway(no_media_seconds=0.05)
    registry, looked, left = gateway.registry, threading.Event(), threading.Event()
    no_media = registry._no_media

    def look(stream):
        no_media(stream)
        looked.set()

    monkeypatch.setattr(registry, "_no_media", look)

    async def run():
        async with Client(gateway.url) as client:
            _, created = await client.call("POST", "/streams", NATIVE)
            path = f"/streams/{created['stream_id']}"
            feed = registry.get(created["stream_id"], OWNER).feed
            # One who listened and went away is nobody; the timer waits until it has gone.
            registry._media.post(left.wait, LIMIT_SECONDS)
            async with client.listening(created["stream_id"]):
                await until(lambda: feed.listened_to)
            await until(lambda: not feed.listened_to)
            left.set()
            assert await asyncio.to_thread(looked.wait, LIMIT_SECONDS)
            for _ in range(3):
                status, alive = await client.call("POST", f"{path}/keepalive")
                assert (status, alive["state"]) == (200, "pending")
            assert await client.call("DELETE", path) == (200, {"status": "ok"})

    asyncio.run(run())


def test_a_published_stream_ends_with_its_lease(make_gateway, score_video):
    gateway = make_gateway(lease_seconds=0.1)

    async def run():
        async with Client(gateway.url) as client:
            stream_id, peer = await client.publish(score_video)
            async with client.listening(stream_id) as results:
                await results.next()
                gateway.clock.now += 0.2
                assert await results.end() == (1001, "lease_expired")
            # The publisher is told by the end of its connection.
            await until(lambda: peer.pc.connectionState == "closed")

    asyncio.run(run())


def test_a_publisher_that_leaves_ends_its_stream(make_gateway, score_video, monkeypatch):
    # It says so: nobody has to find out that nothing comes any more.
    monkeypatch.setattr("aioice.ice.CONSENT_FAILURES", 10**6)
    gateway = make_gateway()

    async def run():
        async with Client(gateway.url) as client:
            stream_id, peer = await client.publish(score_video)
            async with client.listening(stream_id) as one, client.listening(stream_id) as two:
                await one.next()
                await peer.close()
                assert await one.end() == (1001, "webrtc_disconnected")
                assert await two.end() == (1001, "webrtc_disconnected")
            assert (await client.call("DELETE", f"/streams/{stream_id}"))[0] == 204

    asyncio.run(run())


def test_credits_that_are_gone_end_the_stream(make_gateway, score_video):
    gateway = make_gateway(price=Price(cents_per_second=100, credits_cents=50))

    async def run():
        async with Client(gateway.url) as client:
            stream_id, _ = await client.publish(score_video)
            path = f"/streams/{stream_id}/keepalive"
            gateway.clock.now += 0.2
            status, alive = await client.call("POST", path)
            assert status == 200
            assert alive["credits_remaining_cents"] == pytest.approx(30)
            assert alive["cost_cents"] == pytest.approx(20)
            assert alive["seconds_charged"] == pytest.approx(0.2)
            async with client.listening(stream_id) as results:
                gateway.clock.now += 0.3
                status, refused = await client.call("POST", path)
                assert (status, refused["error"]) == (402, "insufficient_credits")
                assert await results.end() == (1001, "insufficient_credits")

    asyncio.run(run())


def test_a_stream_without_frames_is_idle(make_gateway, score_video, monkeypatch):
    monkeypatch.setattr("overshoot_nb.local.stream_watch.IDLE_SECONDS", 0.4)
    gateway = make_gateway()

    async def run():
        async with Client(gateway.url) as client:
            stream_id, peer = await client.publish(score_video)
            path = f"/streams/{stream_id}/info"
            async with client.listening(stream_id) as results:
                await results.next()
                peer.track.paused.set()
                async with asyncio.timeout(LIMIT_SECONDS):
                    while (await client.call("GET", path))[1]["state"] != "idle":
                        await asyncio.sleep(0.05)
                    # The same frame is not looked at twice, once the last ones are through.
                    before = after = -1
                    while after < 0 or after != before:
                        before = (await client.call("GET", path))[1]["inferences_completed"]
                        await asyncio.sleep(0.5)
                        after = (await client.call("GET", path))[1]["inferences_completed"]
                peer.track.paused.clear()
                async with asyncio.timeout(LIMIT_SECONDS):
                    while (await client.call("GET", path))[1]["state"] != "active":
                        await asyncio.sleep(0.05)

    asyncio.run(run())


def test_a_listener_that_comes_late_gets_what_was_before(make_gateway, score_video):
    gateway = make_gateway()

    async def run():
        async with Client(gateway.url) as client:
            stream_id, _ = await client.publish(score_video)
            async with client.listening(stream_id) as early:
                heard = [(await early.next())["id"] for _ in range(4)]
                async with client.listening(stream_id) as late:
                    caught_up = [(await late.next())["id"] for _ in range(7)]
                heard += [(await early.next())["id"] for _ in range(3)]
                assert caught_up == heard

    asyncio.run(run())


def never_reading(url, stream_id):
    """A listener with a small buffer that sends its key and then reads nothing."""
    host, port = url.removeprefix("http://").split(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect((host, int(port)))
    raw.sendall(
        f"GET /v0.2/ws/streams/{stream_id} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert b"101" in raw.recv(1024).split(b"\r\n")[0]
    key = json.dumps({"api_key": KEY}).encode()
    raw.sendall(bytes([0x81, 0x80 | len(key), 0, 0, 0, 0]) + key)  # a text frame, mask 0
    return raw


def drain(raw):
    """Everything up to the end of the connection."""
    raw.settimeout(LIMIT_SECONDS)
    data = b""
    while chunk := raw.recv(1 << 20):
        data += chunk
        if data[-12:-8] == b"\x88\x0a\x03\xf5":  # close, 10 bytes, 1013
            break
    return data


def test_a_listener_that_reads_nothing_holds_up_nobody(make_gateway, score_video):
    gateway = make_gateway()

    async def run():
        async with Client(gateway.url) as client:
            stream_id, _ = await client.publish(score_video)
            feed = gateway.registry.get(stream_id, OWNER).feed
            async with client.listening(stream_id) as brisk:
                slow = await asyncio.to_thread(never_reading, gateway.url, stream_id)
                await until(lambda: len(feed._listeners) == 2)
                await brisk.next()
                # As a stream with long answers would, for a long time.
                sent = 0
                while len(feed._listeners) == 2:
                    large = json.dumps({"id": sent, "result": "x" * 200_000}).encode()
                    # What waited for one that reads nothing would never return.
                    await asyncio.wait_for(asyncio.to_thread(feed.publish, large), LIMIT_SECONDS)
                    sent += 1
                    assert sent < 200
                    await brisk.until(lambda r, last=sent - 1: r["id"] == last)
                # Real results go on too.
                await brisk.until(lambda r: r.get("ok"))
                # Once it reads, it learns why it is alone.
                data = await asyncio.to_thread(drain, slow)
                assert data.endswith(b"\x88\x0a\x03\xf5too slow")
                slow.close()

    asyncio.run(run())


def test_a_listener_that_never_reads_again_is_cut_off(make_gateway, score_video, monkeypatch):
    monkeypatch.setattr("overshoot_nb.local.websocket_protocol.STALLED_SECONDS", 0.3)
    gateway = make_gateway()

    async def run():
        async with Client(gateway.url) as client:
            stream_id, _ = await client.publish(score_video)
            feed = gateway.registry.get(stream_id, OWNER).feed
            raw = await asyncio.to_thread(never_reading, gateway.url, stream_id)
            await until(lambda: len(feed._listeners) == 1)
            for number in range(30):
                feed.publish(json.dumps({"id": number, "result": "x" * 200_000}).encode())
            await until(lambda: not feed._listeners)
            raw.close()

    asyncio.run(run())


def test_streams_go_on_while_their_server_is_stopped(make_gateway, score_video):
    gateway = make_gateway()

    async def run():
        async with Client(gateway.url) as client:
            stream_id, _ = await client.publish(score_video)
            async with client.listening(stream_id) as results:
                before = [await results.next() for _ in range(3)]
                await asyncio.to_thread(gateway.stop)
                code, _ = await results.end()
                assert code == 1012  # the service restarts
            with pytest.raises(aiohttp.ClientConnectionError):
                await client.call("GET", f"/streams/{stream_id}/info")
            stream = gateway.registry.get(stream_id, OWNER)
            made = stream.facts()["inferences_completed"]
            await until(lambda: stream.facts()["inferences_completed"] >= made + 3)
            await asyncio.to_thread(gateway.start)
            assert (await client.call("POST", f"/streams/{stream_id}/keepalive"))[0] == 200
            async with client.listening(stream_id) as results:
                after = await results.until(lambda r: r["id"] == before[-1]["id"])
                assert [r["id"] for r in after][-3:] == [r["id"] for r in before]
                # What was made while nobody could listen is there too.
                missed = [await results.next() for _ in range(3)]
            gaps = [
                (second["created_at"] > first["created_at"])
                for first, second in zip([*after, *missed], [*after, *missed][1:], strict=False)
            ]
            assert all(gaps)

    asyncio.run(run())


def test_a_server_stops_at_once_with_streams_and_listeners(make_gateway, score_video, monkeypatch):
    # Nothing is given up after a while: all of it ends by itself.
    monkeypatch.setattr("overshoot_nb.local.serving.GRACE_SECONDS", 3600)
    monkeypatch.setattr("overshoot_nb.local.media_thread.CLOSE_SECONDS", 3600)
    gateway = make_gateway()

    async def run():
        async with Client(gateway.url) as client:
            stream_id, _ = await client.publish(score_video)
            async with client.listening(stream_id) as results:
                await results.next()
                await asyncio.to_thread(gateway.stop)
                closing = asyncio.to_thread(gateway.registry.close)
                await asyncio.wait_for(closing, LIMIT_SECONDS)
                assert (await results.end())[0] == 1012
            await asyncio.to_thread(gateway.start)  # the fixture stops it
            _, refused = await client.call("POST", "/streams", NATIVE)
            assert refused["error"] == "engine_closed"

    asyncio.run(run())


def test_many_streams_leave_nothing_behind(make_gateway, score_video):
    gateway = make_gateway()

    def things():
        gc.collect()
        # The publishing peers encode on the pool of the test's own loop.
        names = Counter(t.name for t in threading.enumerate() if not t.name.startswith("asyncio_"))
        tasks = asyncio.run_coroutine_threadsafe(_count(), gateway.registry._media._loop)
        return names + Counter(tasks=tasks.result(LIMIT_SECONDS), streams=gateway.streams)

    async def _count():
        return len(asyncio.all_tasks()) - 1

    async def cycle(client):
        stream_id, peer = await client.publish(score_video)
        async with client.listening(stream_id) as results:
            await results.next()
        await client.call("DELETE", f"/streams/{stream_id}")
        await peer.close()

    async def run():
        async with Client(gateway.url) as client:
            await cycle(client)
            before = things()
            for _ in range(6):
                await cycle(client)
            nothing_more = await asyncio.to_thread(eventually, lambda: not things() - before)
            assert nothing_more, things() - before

    asyncio.run(run())


# ---- in-process --------------------------------------------------------------------------------


def test_results_in_process(score_video):
    async def run():
        peer = Peer(score_video)
        async with http("/v0.2") as c:
            body = {**NATIVE, "source": {"type": "webrtc", "sdp": await peer.offer()}}
            created = (await c.post("/streams", json=body)).json()
            path = f"/v0.2/ws/streams/{created['stream_id']}"
            await peer.accept(created["webrtc"]["sdp"])
            opened = await local.open_socket(path)
            await opened.send(json.dumps({"api_key": "local"}))
            assert json.loads(await opened.receive())["result"] == "SCORE 42"
            await opened.close()
            await opened.close()
            with pytest.raises(SocketClosed):
                await opened.receive()

            again = await local.open_socket(path)
            await again.send(json.dumps({"api_key": "local"}))
            await again.receive()
            await c.delete(f"/streams/{created['stream_id']}")
            ended = None
            while ended is None:
                try:
                    await again.receive()
                except SocketClosed as closed:
                    ended = closed
            assert (ended.code, ended.reason) == (1001, "client_requested")
            with pytest.raises(SocketClosed):
                await again.send("{}")
            await again.close()
        await peer.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


def test_the_engines_close_ends_its_streams_and_tells():
    async def run():
        async with http("/v0.2") as c:
            created = (await c.post("/streams", json=NATIVE)).json()
        opened = await local.open_socket(f"/v0.2/ws/streams/{created['stream_id']}")
        await opened.send(json.dumps({"api_key": "local"}))
        (close,) = opening._shared.engine._closers
        feed = close.__self__.get(created["stream_id"], Access().owner_of("local")).feed
        await until(lambda: feed.listened_to)
        await asyncio.to_thread(local.close_engine)
        with pytest.raises(SocketClosed) as ended:
            await opened.receive()
        await opened.close()
        return ended.value

    ended = asyncio.run(run())
    assert (ended.code, ended.reason) == (1001, "server_closed")


@pytest.mark.parametrize(
    ("path", "key", "reason"),
    [
        ("/v0.2/ws/streams/unknown", "local", "stream not found"),
        ("/v0.2/ws/streams/unknown", 3, "authentication failed"),
    ],
)
def test_reasons_in_process(path, key, reason):
    async def run():
        opened = await local.open_socket(path)
        await opened.send(json.dumps({"api_key": key}))
        with pytest.raises(SocketClosed) as ended:
            await opened.receive()
        await opened.close()
        return ended.value

    ended = asyncio.run(run())
    assert (ended.code, ended.reason) == (1008, reason)


def test_a_path_without_an_endpoint_is_no_connection():
    async def run():
        with pytest.raises(SocketClosed) as denied:
            await local.open_socket("/v0.2/nothing")
        return denied.value.code, asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(run()) == (1008, set())
