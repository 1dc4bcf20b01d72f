"""Streams from their creation to their end, with a video that is really published."""

from __future__ import annotations

import asyncio
import itertools
import json
from datetime import UTC, datetime, timedelta

import pytest
from aiortc import AudioStreamTrack, RTCConfiguration, RTCPeerConnection
from asking import obj, page, question

from gatewayserver import KEY, OWNER, Client
from publishing import Peer, text_video
from waiting import LIMIT_SECONDS, until

FIELDS = {
    "id",
    "stream_id",
    "mode",
    "model_name",
    "prompt",
    "result",
    "inference_latency_ms",
    "total_latency_ms",
    "ok",
    "error",
    "finish_reason",
    "created_at",
}


def test_a_stream_in_frame_mode(gateway, two_texts):
    async def run():
        async with Client(gateway.url) as client:
            asked = datetime.now(UTC)
            stream_id, _ = await client.publish(two_texts)
            path = f"/streams/{stream_id}"
            async with client.listening(stream_id) as results:
                first = await results.next()
                assert set(first) == FIELDS
                assert (first["stream_id"], first["mode"]) == (stream_id, "frame")
                assert (first["model_name"], first["prompt"]) == ("local/auto", "Read the text")
                assert (first["ok"], first["error"]) == (True, None)
                assert first["finish_reason"] == "stop"
                made = datetime.fromisoformat(first["created_at"])
                assert asked - timedelta(milliseconds=1) <= made <= datetime.now(UTC)
                assert 0 < first["inference_latency_ms"] <= first["total_latency_ms"] + 0.01
                found = [first, *await results.until(lambda r: "PLATFORM" in r["result"])]
                assert {r["result"] for r in found} == {"SCORE 42", "PLATFORM 9"}
                assert len({r["id"] for r in found}) == len(found)

                status, alive = await client.call("POST", f"{path}/keepalive")
                assert (status, alive["state"], alive["ttl_seconds"]) == (200, "active", 45)
                _, info = await client.call("GET", f"{path}/info")
                assert (info["source_type"], info["state"]) == ("webrtc", "active")
                watch = gateway.registry.get(stream_id, OWNER).watch
                gaps = [b - a for a, b in itertools.pairwise(watch._arrivals)]
                assert 1 / max(gaps) - 0.01 <= info["fps"] <= 1 / min(gaps) + 0.01
                assert (info["frame_width"], info["frame_height"]) == (640, 360)
                assert (info["effective_width"], info["effective_height"]) == (640, 360)
                assert info["inferences_completed"] >= len(found)
                assert info["inferences_failed"] == 0
                # That of the newest result, which may be on its way.
                newest = info["last_inference_latency_seconds"]

                def is_newest(result):
                    return result["inference_latency_ms"] / 1e3 == pytest.approx(newest, abs=1e-3)

                if not any(map(is_newest, found)):
                    await results.until(is_newest)

                assert await client.call("DELETE", path) == (200, {"status": "ok"})
                assert await results.end() == (1001, "client_requested")
            assert await client.call("DELETE", path) == (204, None)
            status, gone = await client.call("POST", f"{path}/keepalive")
            assert status == 404
            assert "client_requested" in gone["message"]
            async with client.listening(stream_id) as results:
                assert await results.end() == (1001, "client_requested")

    asyncio.run(run())


def test_a_stream_in_clip_mode_sees_motion(gateway, two_texts):
    async def run():
        async with Client(gateway.url) as client:
            clip = {"target_fps": 6, "clip_length_seconds": 0.5, "delay_seconds": 0.3}
            schema = obj(text={"type": "string"}, scene_cuts={"type": "integer"})
            stream_id, _ = await client.publish(
                two_texts, clip, mode="clip", output_schema_json=schema
            )
            async with client.listening(stream_id) as results:
                found = await results.until(lambda r: json.loads(r["result"])["scene_cuts"])
                assert all(r["ok"] and r["mode"] == "clip" for r in found)
                texts = {json.loads(r["result"])["text"] for r in found}
                assert texts <= {"SCORE 42", "PLATFORM 9"}
            await client.call("DELETE", f"/streams/{stream_id}")

    asyncio.run(run())


def test_another_prompt_counts_from_the_next_inference(gateway, score_video):
    async def run():
        async with Client(gateway.url) as client:
            stream_id, _ = await client.publish(score_video)
            path = f"/streams/{stream_id}"
            async with client.listening(stream_id) as results:
                assert (await results.next())["result"] == "SCORE 42"
                status, changed = await client.call(
                    "PATCH", f"{path}/config/prompt", {"prompt": "How bright is it?"}
                )
                assert (status, changed["prompt"]) == (200, "How bright is it?")
                found = await results.until(lambda r: r["prompt"] == "How bright is it?")
                # At most one was being answered.
                since = datetime.fromisoformat(changed["updated_at"])
                made = [datetime.fromisoformat(r["created_at"]) for r in found[:-1]]
                assert sum(at > since for at in made) <= 1
                assert found[-1]["result"].startswith("Brightness")

                # What no model answers is a result that says so, and the stream goes on.
                await client.call("PATCH", f"{path}/config/prompt", {"prompt": "Compose a sonnet"})
                refused = (await results.until(lambda r: not r["ok"]))[-1]
                assert refused["prompt"] == "Compose a sonnet"
                assert refused["result"] == ""
                assert "not a language model" in refused["error"]
                assert refused["finish_reason"] is None
                await client.call("PATCH", f"{path}/config/prompt", {"prompt": "Read"})
                assert (await results.until(lambda r: r["ok"]))[-1]["result"] == "SCORE 42"
            _, info = await client.call("GET", f"{path}/info")
            assert info["inferences_failed"] >= 1
            await client.call("DELETE", path)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("inference", "expected"),
    [
        (
            {"output_schema_json": obj(score={"type": "integer"})},
            (True, {"score": 42}, "stop", ""),
        ),
        (
            {"output_schema_json": obj(weather={"type": "string"})},
            (False, "", None, "weather"),
        ),
        ({"max_output_tokens": 1}, (True, "SCORE", "length", "")),
        (
            {"output_schema_json": obj(score={"type": "integer"}), "max_output_tokens": 3},
            (False, '{"score', "length", "max_output_tokens=3"),
        ),
    ],
)
def test_schemas_and_limits(gateway, score_video, inference, expected):
    async def run():
        async with Client(gateway.url) as client:
            stream_id, _ = await client.publish(score_video, **inference)
            async with client.listening(stream_id) as results:
                result = await results.next()
            await client.call("DELETE", f"/streams/{stream_id}")
            return result

    result = asyncio.run(run())
    ok, content, finish_reason, error = expected
    said = result["result"] if isinstance(content, str) else json.loads(result["result"])
    assert (result["ok"], said, result["finish_reason"]) == (ok, content, finish_reason)
    assert error in (result["error"] or "")


def test_a_larger_picture_is_looked_at_in_720p(gateway, tmp_path):
    video = text_video(tmp_path / "large.mp4", "WIDE 7", seconds=0.4, size=(1600, 1200))

    async def run():
        async with Client(gateway.url) as client:
            stream_id, _ = await client.publish(video)
            async with client.listening(stream_id) as results:
                assert (await results.next())["result"] == "WIDE 7"
                _, info = await client.call("GET", f"/streams/{stream_id}/info")
                assert (info["frame_width"], info["frame_height"]) == (1600, 1200)
                assert (info["effective_width"], info["effective_height"]) == (960, 720)
            await client.call("DELETE", f"/streams/{stream_id}")

    asyncio.run(run())


def test_an_offer_with_more_than_video(gateway, score_video):
    """What a browser with a microphone and a data channel sends: the video alone is taken."""

    async def run():
        async with Client(gateway.url) as client:
            peer = Peer(score_video)
            peer.pc.addTrack(AudioStreamTrack())
            peer.pc.createDataChannel("chat")
            body = {
                "source": {"type": "webrtc", "sdp": await peer.offer()},
                "processing": {"interval_seconds": 0.2},
                "inference": {"prompt": "Read", "model": "local/auto"},
            }
            status, created = await client.call("POST", "/streams", body)
            assert status == 201
            path = f"/streams/{created['stream_id']}"
            assert "a=inactive" in created["webrtc"]["sdp"]
            assert (await client.call("POST", f"{path}/keepalive"))[1]["state"] == "pending"
            await peer.accept(created["webrtc"]["sdp"])
            async with client.listening(created["stream_id"]) as results:
                assert (await results.next())["result"] == "SCORE 42"
                await peer.close()
                assert await results.end() == (1001, "webrtc_disconnected")

    asyncio.run(run())


def test_an_offer_without_video_is_refused(gateway):
    async def run():
        async with Client(gateway.url) as client:
            pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            pc.addTransceiver("audio", direction="sendonly")
            pc.addTransceiver("video", direction="recvonly")
            await pc.setLocalDescription(await pc.createOffer())
            body = {
                "source": {"type": "webrtc", "sdp": pc.localDescription.sdp},
                "processing": {"interval_seconds": 0.2},
                "inference": {"prompt": "Read", "model": "local/auto"},
            }
            status, refused = await client.call("POST", "/streams", body)
            await pc.close()
            assert status == 422
            assert "no video" in refused["message"]

    asyncio.run(run())


@pytest.mark.parametrize("processing", [None, {"target_fps": 6}])
def test_asking_again_about_a_result(gateway, score_video, processing):
    async def run():
        async with Client(gateway.url) as client, Client(gateway.url, "another") as stranger:
            stream_id, _ = await client.publish(score_video, processing, prompt="How bright?")
            async with client.listening(stream_id) as results:
                result = await results.next()
            ask = {"result_id": result["id"], "prompt": "Read", "model": "local/auto"}
            status, answer = 404, None
            async with asyncio.timeout(LIMIT_SECONDS):
                while status == 404:
                    status, answer = await client.call("POST", "/chat/completions/clip", ask)
            assert (status, answer["content"], answer["model"]) == (200, "SCORE 42", "local/auto")
            assert answer["finish_reason"] == "stop"
            assert answer["usage"] == {
                "prompt_tokens": 1,
                "completion_tokens": 2,
                "total_tokens": 3,
            }
            path = "/chat/completions/clip"
            cut = await client.call("POST", path, {**ask, "max_tokens": 1, "temperature": 0.5})
            assert (cut[1]["content"], cut[1]["finish_reason"]) == ("SCORE", "length")
            schema = obj(score={"type": "integer"})
            filled = await client.call("POST", path, {**ask, "output_schema": schema})
            assert json.loads(filled[1]["content"]) == {"score": 42}
            for wrong in ({"max_tokens": 0}, {"temperature": 3}, {"model": "x"}, {"top_p": 1}):
                assert (await client.call("POST", path, {**ask, **wrong}))[0] == 422
            beyond = await client.call("POST", path, {**ask, "prompt": "Compose a sonnet"})
            assert (beyond[0], beyond[1]["error"]) == (422, "unsupported_by_local_model")
            assert (await stranger.call("POST", path, ask))[0] == 404
            await client.call("DELETE", f"/streams/{stream_id}")
            # The pictures stay for a while.
            assert (await client.call("POST", path, ask))[0] == 200

    asyncio.run(run())


@pytest.mark.parametrize(
    "first",
    ["", "{}", "[1]", '{"api_key": 3}', '{"api_key": ""}', '{"api_key": "clé"}', "not json"],
)
def test_a_websocket_without_a_key_is_closed(gateway, first):
    async def run():
        async with Client(gateway.url) as client, client.listening("any", first) as results:
            return await results.end()

    assert asyncio.run(run()) == (1008, "authentication failed")


@pytest.mark.parametrize("pieces", [[b"\xff\xfe"], [b"\xe6\xbc", b"\xff"], [b"\xe6\xbc"]])
def test_a_message_that_is_no_text_is_closed_without_a_traceback(gateway, pieces, caplog):
    async def run():
        async with Client(gateway.url) as client:
            url = f"{gateway.url}/v0.2/ws/streams/any"
            async with client._http.ws_connect(url) as socket:
                await send_pieces(socket, pieces)
                message = await socket.receive(timeout=LIMIT_SECONDS)
                return socket.close_code, message.extra

    assert asyncio.run(run()) == (1007, "not UTF-8")
    assert not caplog.records


def test_a_key_may_come_in_pieces(gateway):
    async def run():
        async with Client(gateway.url) as client:
            url = f"{gateway.url}/v0.2/ws/streams/any"
            async with client._http.ws_connect(url) as socket:
                message = json.dumps({"api_key": KEY, "name": "漢"}, ensure_ascii=False).encode()
                await send_pieces(socket, [message[:-4], message[-4:]])
                return (await socket.receive(timeout=LIMIT_SECONDS)).extra

    assert asyncio.run(run()) == "stream not found"


async def send_pieces(socket, pieces):
    """One text message in several frames."""
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        opcode = 0 if number else 1
        head = bytes([opcode | (0x80 if last else 0), 0x80 | len(piece)])
        socket._writer.transport.write(head + bytes(4) + piece)
    await asyncio.sleep(0)


def test_a_key_that_does_not_come_in_time(gateway, monkeypatch):
    monkeypatch.setattr("overshoot_nb.local.result_socket.KEY_SECONDS", 0.1)

    async def run():
        async with Client(gateway.url) as client:
            url = f"{gateway.url}/v0.2/ws/streams/any"
            async with client._http.ws_connect(url) as socket:
                message = await socket.receive(timeout=LIMIT_SECONDS)
                return socket.close_code, message.extra

    assert asyncio.run(run()) == (1008, "authentication failed")


def test_streams_of_others_are_not_found(gateway, score_video):
    async def run():
        async with Client(gateway.url) as client, Client(gateway.url, "another") as stranger:
            stream_id, _ = await client.publish(score_video)
            async with stranger.listening(stream_id) as results:
                assert await results.end() == (1008, "stream not found")
            async with client.listening("unknown") as results:
                assert await results.end() == (1008, "stream not found")
            await client.call("DELETE", f"/streams/{stream_id}")

    asyncio.run(run())


def test_five_streams_share_one_engine_and_chat_goes_on(gateway, score_video, monkeypatch):
    """What is asked is answered in order; a request and the streams take turns."""
    engine = gateway.engine
    lanes, begun = [], []  # of each question by its number; the numbers as they were begun
    begun_before = {}  # how many were, when this one stood in the queue
    submit = engine._submit

    def noted(job, lane):
        number = len(lanes)
        lanes.append(lane)

        def do():
            begun.append(number)
            return job()

        future = submit(do, lane)
        begun_before[number] = len(begun)
        return future

    monkeypatch.setattr(engine, "_submit", noted)

    async def run():
        async with Client(gateway.url) as client:
            ids = [(await client.publish(score_video))[0] for _ in range(5)]
            status, refused = await client.call(
                "POST",
                "/streams",
                {
                    "processing": {"interval_seconds": 1},
                    "inference": {"prompt": "Read", "model": "local/read"},
                },
            )
            assert (status, refused["error"]) == (429, "too_many_streams")
            watches = [gateway.registry.get(stream_id, OWNER) for stream_id in ids]

            def each_has(count):
                return all(w.facts()["inferences_completed"] >= count for w in watches)

            await until(lambda: each_has(1))
            body = question("Read", page([(40, 40, "PLATFORM 9", 40)], size=(320, 180)))
            headers = {"authorization": f"Bearer {KEY}"}
            url = f"{gateway.url}/v1/chat/completions"
            for _ in range(3):
                async with client._http.post(url, json=body, headers=headers) as answer:
                    assert answer.status == 200
            await until(lambda: each_has(4))
            for stream_id in ids:
                await client.call("DELETE", f"/streams/{stream_id}")

    asyncio.run(run())
    requests = [n for n, lane in enumerate(lanes) if lane == "requests"]
    assert len(requests) == 3
    # A request waits for one inference of a stream at most, not for one of each.
    for number in requests:
        assert begun.index(number) - begun_before[number] <= 1
    # The streams stand in one queue, so that none is left out.
    streams = [number for number in begun if lanes[number] == "streams"]
    assert streams == sorted(streams)
