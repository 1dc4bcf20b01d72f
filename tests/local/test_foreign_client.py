"""A client written by someone else, from the reference of API v0.2 alone: nothing of ours in it.

It publishes a video with aiortc, reads results with the ``websockets`` library and makes plain
HTTP calls, against ``overshoot-nb serve`` in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from fractions import Fraction

import aioice.ice
import av
import httpx
import numpy as np
import pytest
import websockets
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer
from PIL import Image, ImageDraw, ImageFont

from waiting import LIMIT_SECONDS

KEY = "ovs_somebody"
MODEL = "Qwen/Qwen3.5-9B"
FPS = 15


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A departure board, for longer than a test may take.

    aiortc's player goes back in time where it begins again, and nothing more is received then.
    """
    path = tmp_path_factory.mktemp("video") / "board.mp4"
    image = Image.new("RGB", (640, 360), (18, 20, 28))
    draw = ImageDraw.Draw(image)
    for y, text in ((60, "DEPARTURES"), (160, "PLATFORM 9"), (240, "TRACK 731")):
        draw.text((60, y), text, font=ImageFont.load_default(44), fill=(240, 240, 240))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.asarray(image), "rgb24").reformat(format="yuv420p")
        for number in range(round(3 * LIMIT_SECONDS * FPS)):
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def server():
    """The URL of a server of its own process, and the process."""
    command = [sys.executable, "-W", "error", "-m", "overshoot_nb", "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--key", KEY, "--alias", f"{MODEL}=local/auto"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        text=True,
    )
    try:
        yield re.search(r"http://\S+?/v0\.2", process.stdout.readline()).group(), process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def loopback(monkeypatch):
    """Addresses of this machine for aioice, which leaves the loopback out."""
    found = aioice.ice.get_host_addresses

    def addresses(use_ipv4, use_ipv6):
        return [*found(use_ipv4, use_ipv6), "127.0.0.1"]

    monkeypatch.setattr(aioice.ice, "get_host_addresses", addresses)


async def publish(http, pc, processing, **inference):
    """POST /streams with an SDP offer, and the connection to what it answers."""
    await pc.setLocalDescription(await pc.createOffer())
    created = await http.post(
        "/streams",
        json={
            "source": {"type": "webrtc", "sdp": pc.localDescription.sdp},
            "processing": processing,
            "inference": {"prompt": "Read any visible text", "model": MODEL, **inference},
        },
    )
    assert created.status_code == 201, created.text
    stream = created.json()
    assert stream["lease"]["ttl_seconds"] == 45
    answer = stream["webrtc"]
    await pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
    return stream["stream_id"]


async def close_of(socket):
    """How the server closed a WebSocket, after whatever results come before."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            try:
                await socket.recv()
            except websockets.ConnectionClosed as closed:
                return closed.rcvd


def test_the_sequence_of_the_reference(server, video, loopback):
    base, _ = server

    async def run():
        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=LIMIT_SECONDS) as http:
            models = {m["model"]: m for m in (await http.get("/models")).json()}
            assert models[MODEL]["ready"] is True
            assert (await http.get("/healthz")).json() == {"status": "ok"}
            wrong = {"Authorization": "Bearer ovs_wrong"}
            assert (await http.get("/models", headers=wrong)).status_code == 401

            player = MediaPlayer(str(video))
            pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            pc.addTrack(player.video)
            stream_id = await publish(http, pc, {"interval_seconds": 0.3})
            path = f"/streams/{stream_id}"
            socket_url = f"{base.replace('http', 'ws', 1)}/ws/streams/{stream_id}"

            async with websockets.connect(socket_url) as socket:
                await socket.send(json.dumps({"api_key": "ovs_wrong"}))
                with pytest.raises(websockets.ConnectionClosed) as refused:
                    await socket.recv()
                assert refused.value.rcvd.code == 1008

            async with websockets.connect(socket_url) as socket:
                await socket.send(json.dumps({"api_key": KEY}))
                result = json.loads(await asyncio.wait_for(socket.recv(), LIMIT_SECONDS))
                assert result["stream_id"] == stream_id
                assert result["mode"] == "frame"
                assert result["model_name"] == "local/auto"  # who it really was
                assert result["prompt"] == "Read any visible text"
                assert result["ok"] is True
                assert result["finish_reason"] == "stop"
                assert result["result"].splitlines() == ["DEPARTURES", "PLATFORM 9", "TRACK 731"]
                assert result["inference_latency_ms"] > 0
                assert result["total_latency_ms"] > 0

                async with asyncio.timeout(LIMIT_SECONDS):
                    alive = (await http.post(f"{path}/keepalive")).json()
                    while alive["state"] == "idle":  # a busy machine sends nothing for a while
                        alive = (await http.post(f"{path}/keepalive")).json()
                assert alive["status"] == "ok"
                assert alive["state"] == "active"
                assert alive["ttl_seconds"] == 45
                assert {"credits_remaining_cents", "cost_cents", "seconds_charged"} <= set(alive)

                changed = await http.patch(f"{path}/config/prompt", json={"prompt": "How bright?"})
                assert changed.json()["prompt"] == "How bright?"
                async with asyncio.timeout(LIMIT_SECONDS):
                    while result["prompt"] != "How bright?":
                        result = json.loads(await socket.recv())
                assert result["result"].startswith("Brightness")

                info = (await http.get(f"{path}/info")).json()
                assert info["source_type"] == "webrtc"
                assert info["state"] in ("active", "idle")
                assert (info["frame_width"], info["frame_height"]) == (640, 360)
                assert info["inferences_completed"] >= 2
                assert (await http.post(f"{path}/spectate")).status_code == 400

                assert (await http.delete(path)).json() == {"status": "ok"}
                close = await close_of(socket)
                assert (close.code, close.reason) == (1001, "client_requested")
            assert (await http.delete(path)).status_code == 204
            assert (await http.post(f"{path}/keepalive")).status_code == 404
            await pc.close()
            player.video.stop()

    asyncio.run(run())


def test_clip_mode_reinference_and_a_server_that_is_interrupted(server, video, loopback):
    base, process = server

    async def run():
        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=LIMIT_SECONDS) as http:
            player = MediaPlayer(str(video))
            pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            pc.addTrack(player.video)
            schema = {
                "type": "object",
                "properties": {"track": {"type": "integer"}, "motion": {"type": "number"}},
                "required": ["track", "motion"],
            }
            processing = {"target_fps": 6, "clip_length_seconds": 0.5, "delay_seconds": 0.5}
            stream_id = await publish(http, pc, processing, output_schema_json=schema)
            socket_url = f"{base.replace('http', 'ws', 1)}/ws/streams/{stream_id}"
            async with websockets.connect(socket_url) as socket:
                await socket.send(json.dumps({"api_key": KEY}))
                result = json.loads(await asyncio.wait_for(socket.recv(), LIMIT_SECONDS))
                assert result["mode"] == "clip"
                assert json.loads(result["result"])["track"] == 731

                again = {"result_id": result["id"], "prompt": "Read the platform", "model": MODEL}
                async with asyncio.timeout(LIMIT_SECONDS):
                    while True:
                        answer = await http.post("/chat/completions/clip", json=again)
                        if answer.status_code != 404:
                            break
                        await asyncio.sleep(0.1)
                assert "PLATFORM 9" in answer.json()["content"]
                assert set(answer.json()) == {"id", "model", "content", "finish_reason", "usage"}

                # Interrupted with a stream and a listener: it ends, and without a complaint.
                process.send_signal(signal.SIGINT)
                await close_of(socket)
                await asyncio.to_thread(process.wait, LIMIT_SECONDS)
            await pc.close()
            player.video.stop()

    asyncio.run(run())
    assert process.returncode in (0, 130)
    assert process.stderr.read() == ""
