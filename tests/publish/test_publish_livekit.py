"""Publishing into a LiveKit room.

The SDK is the real one. No LiveKit server can be had: what happens inside a room runs against
:class:`StandInRoom`, everything else against the SDK and sockets on loopback.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any, ClassVar

import av
import numpy as np
import pytest
from livekit import rtc

from overshoot_nb import errors
from overshoot_nb.gateway.publish import livekit
from overshoot_nb.gateway.publish.latest import LatestFrame
from overshoot_nb.gateway.publish.livekit import LiveKitPublisher, video_frame
from overshoot_nb.types import KeepaliveResponse, LiveKitConnection, StreamCreateResponse

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJyb29tIjoiYSJ9.c2VjcmV0"


def created(url: str, token: str = TOKEN) -> StreamCreateResponse:
    return StreamCreateResponse("stream", livekit=LiveKitConnection(url, token))


def renewal(token: str | None) -> KeepaliveResponse:
    return KeepaliveResponse("ok", "stream", 45.0, livekit_token=token)


def picture(width: int, height: int, media_time: float = 0.0) -> av.VideoFrame:
    """Noise, so that a row or a plane in the wrong place shows."""
    noise = np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)
    frame = av.VideoFrame.from_ndarray(noise, "rgb24").reformat(format="yuv420p")
    frame.pts, frame.time_base = round(media_time * 90_000), Fraction(1, 90_000)
    return frame


def plane(frame: av.VideoFrame, i: int) -> np.ndarray:
    """The pixels of a plane by PyAV's own account of its layout."""
    source = frame.planes[i]
    rows = np.frombuffer(bytes(source), np.uint8).reshape(-1, source.line_size)
    return rows[: source.height, : source.width]


async def shown(stream: rtc.VideoStream) -> rtc.VideoFrameEvent:
    """The next frame of a track, without the black ones that the SDK sends until the first."""
    async with asyncio.timeout(60):
        while True:
            event = await anext(stream)
            if any(bytes(event.frame.get_plane(0))):
                return event


def publisher(timeout: float = 5.0) -> tuple[LiveKitPublisher, LatestFrame]:
    latest = LatestFrame(asyncio.get_running_loop())
    return LiveKitPublisher(latest, timeout=timeout), latest


@asynccontextmanager
async def endpoint(answer):
    """A TCP server that gives each connection to ``answer(head, writer)``; its ws:// URL."""
    writers = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        await answer(head, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.gather(*(w.wait_closed() for w in writers), return_exceptions=True)


async def say_nothing(head: bytes, writer: asyncio.StreamWriter) -> None:
    pass


async def refuse(head: bytes, writer: asyncio.StreamWriter) -> None:
    """Refuses, and quotes the request with its token."""
    body = b"no such token: " + head
    status = b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: "
    writer.write(status + str(len(body)).encode() + b"\r\n\r\n" + body)
    await writer.drain()
    writer.close()


async def until(condition) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


# ---- with the SDK itself ----


@pytest.mark.parametrize("size", [(640, 360), (642, 362), (1280, 720), (2, 2)])
def test_frames_keep_every_pixel(size: tuple[int, int]) -> None:
    frame = picture(*size)
    given = video_frame(frame)
    assert (given.width, given.height, given.type) == (*size, rtc.VideoBufferType.I420)
    for i in range(3):
        expected = plane(frame, i)
        got = np.frombuffer(given.get_plane(i), np.uint8).reshape(expected.shape)
        assert np.array_equal(got, expected)


def test_frames_come_out_of_the_track_at_their_times() -> None:
    async def run() -> None:
        latest = LatestFrame(asyncio.get_running_loop())
        source = rtc.VideoSource(1280, 720)
        track = rtc.LocalVideoTrack.create_video_track("video", source)
        stream = rtc.VideoStream(track, format=rtc.VideoBufferType.I420)
        sending = asyncio.create_task(livekit._send(latest, source))
        times = []
        try:
            for media_time in (0.0, 0.05, 0.2, 0.25, 0.4):
                frame = picture(320, 240, media_time)
                latest.put(frame)
                event = await shown(stream)
                times.append(event.timestamp_us)
                assert np.array_equal(
                    np.frombuffer(event.frame.data, np.uint8), frame.to_ndarray().reshape(-1)
                )
                await asyncio.sleep(0.1)
            latest.finish()
            await asyncio.wait_for(sending, 60)
        finally:
            sending.cancel()
            await stream.aclose()
            await source.aclose()
        # They came every 0.1 s and keep their own pace, from the first one on. Not exactly: WebRTC
        # moves them towards when they came.
        short, long, shorter, longer = np.diff(times)
        assert short < long
        assert shorter < longer - 30_000

    asyncio.run(run())


def test_a_server_without_rooms_is_named_as_such() -> None:
    async def run() -> None:
        own, _ = publisher()
        assert await own.offer() is None
        with pytest.raises(errors.ServerError, match='transport="webrtc"') as caught:
            await own.connect(StreamCreateResponse("stream"))
        assert "no LiveKit room" in str(caught.value)
        await own.close()

    asyncio.run(run())


def test_nobody_listens() -> None:
    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            host = f"127.0.0.1:{listener.getsockname()[1]}"
        own, _ = publisher()
        url = f"ws://{host}/?key=hidden"
        with pytest.raises(errors.NetworkError) as caught:
            await own.connect(created(url))
        message = str(caught.value)
        assert host in message
        assert "refused" in message
        assert 'transport="webrtc"' in message
        assert "hidden" not in message
        await own.close()

    asyncio.run(run())


def test_a_server_that_says_nothing_costs_the_timeout() -> None:
    async def run() -> None:
        async with endpoint(say_nothing) as url:
            own, _ = publisher(timeout=0.5)
            start = time.monotonic()
            with pytest.raises(errors.RequestTimeoutError, match=r"within 0\.5 s"):
                await own.connect(created(url))
            assert time.monotonic() - start < 60
            await own.close()

    asyncio.run(run())


def test_a_refusal_is_told_without_the_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def run() -> None:
        async with endpoint(refuse) as url:
            own, _ = publisher()
            with pytest.raises(errors.NetworkError) as caught:
                await own.connect(created(url))
            message = str(caught.value)
            assert "401" in message
            assert len(message) < 400
            for text in (message, repr(caught.value), repr(own), repr(own.__dict__)):
                assert TOKEN not in text
            await own.close()
            # The SDK logs what the server said, a little later, and on a thread of its own.
            await until(lambda: "no such token" in caplog.text)

    asyncio.run(run())
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("ending", ["close", "cancel"])
def test_closing_while_it_connects(ending: str) -> None:
    async def run() -> None:
        async with endpoint(say_nothing) as url:
            own, _ = publisher(timeout=30)
            connecting = asyncio.create_task(own.connect(created(url)))
            await asyncio.sleep(0.2)
            if ending == "cancel":
                connecting.cancel()
            start = time.monotonic()
            await own.close()
            await own.close()
            assert time.monotonic() - start < 20  # of the 30 that it would wait
            error = errors.NetworkError if ending == "close" else asyncio.CancelledError
            with pytest.raises(error):
                await connecting
            await asyncio.sleep(0)
            # Of the server: one for each connection to it.
            names = {task.get_coro().__qualname__ for task in asyncio.all_tasks()}
            assert not [name for name in names if "Room" in name or "LiveKit" in name], names
        gc.collect()

    asyncio.run(run())


def test_closing_what_was_never_used(rooms: type[StandInRoom]) -> None:
    async def run() -> None:
        own, _ = publisher()
        await own.close()
        assert await own.wait_lost() == "this client left the LiveKit room"
        with pytest.raises(errors.NetworkError, match="closed"):
            await own.connect(created("wss://room.example", "first"))
        assert rooms.attempts == []

    asyncio.run(run())


def test_the_sdk_is_loaded_when_it_is_used_and_lets_the_interpreter_exit() -> None:
    script = f"""
import asyncio, socket, sys
import overshoot_nb.gateway.publish.livekit as livekit
from overshoot_nb.gateway.publish.latest import LatestFrame
from overshoot_nb.types import LiveKitConnection, StreamCreateResponse
assert not [name for name in sys.modules if name.split(".")[0] == "livekit"]

server = socket.create_server(("127.0.0.1", 0))

async def run():
    own = livekit.LiveKitPublisher(LatestFrame(asyncio.get_running_loop()), timeout=30)
    await own.offer()
    assert "livekit.rtc" in sys.modules
    room = LiveKitConnection("ws://127.0.0.1:%d" % server.getsockname()[1], {TOKEN!r})
    connecting = asyncio.create_task(own.connect(StreamCreateResponse("s", livekit=room)))
    await asyncio.sleep(0.3)
    assert not connecting.done()
    # Left as it is, in the middle of connecting.

asyncio.run(run())
server.detach()  # Open until the process ends.
"""
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - start < 60


def test_a_missing_sdk_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "livekit", None)

    async def run() -> None:
        own, _ = publisher()
        with pytest.raises(errors.MissingDependencyError, match=r"overshoot-nb\[livekit\]"):
            await own.offer()
        await own.close()

    asyncio.run(run())


# ---- inside a room ----


class StandInRoom:
    """Takes the place of ``rtc.Room``: every room can be entered that ``full`` does not name."""

    entered: ClassVar[list[StandInRoom]] = []
    attempts: ClassVar[list[str]] = []
    full: ClassVar[set[str]] = set()
    stuck: ClassVar[bool] = False

    def __init__(self) -> None:
        self.local_participant = self
        self.published: list[tuple[Any, Any]] = []
        self.left = False

    def on(self, event: str, callback) -> None:
        assert event == "disconnected"
        self.disconnected = callback

    async def connect(self, url: str, token: str, options: rtc.RoomOptions) -> None:
        self.url, self.token, self.options = url, token, options
        self.attempts.append(token)
        if token in self.full:
            raise rtc.ConnectError(f"{token} is not let in")
        self.entered.append(self)

    async def publish_track(self, track: rtc.LocalVideoTrack, options: Any) -> None:
        self.published.append((track, options))

    async def disconnect(self) -> None:
        if self.stuck:
            await asyncio.sleep(60)
        self.left = True
        self.disconnected(rtc.DisconnectReason.CLIENT_INITIATED)


@pytest.fixture
def rooms(monkeypatch: pytest.MonkeyPatch) -> type[StandInRoom]:
    class Rooms(StandInRoom):
        entered: ClassVar[list[StandInRoom]] = []
        attempts: ClassVar[list[str]] = []
        full: ClassVar[set[str]] = set()

    monkeypatch.setattr(rtc, "Room", Rooms)
    monkeypatch.setattr(livekit, "RETURN_DELAYS", (0.0, 0.01, 0.01))
    return Rooms


def test_the_track_is_published_and_frames_flow(rooms: type[StandInRoom]) -> None:
    async def run() -> None:
        own, latest = publisher()
        await own.connect(created("wss://room.example", "first"))
        (room,) = rooms.entered
        assert (room.url, room.token) == ("wss://room.example", "first")
        assert room.options.auto_subscribe is False
        ((track, options),) = room.published
        assert options.simulcast is False
        assert options.source == rtc.TrackSource.SOURCE_CAMERA
        stream = rtc.VideoStream(track)
        frame = picture(320, 240)
        latest.put(frame)
        event = await shown(stream)
        assert bytes(event.frame.data) == frame.to_ndarray().tobytes()
        await stream.aclose()
        # The end of the video is not the end of the connection.
        latest.finish()
        lost = asyncio.create_task(own.wait_lost())
        await asyncio.sleep(0.05)
        assert not lost.done()
        await own.close()
        assert room.left
        assert await lost == "this client left the LiveKit room"
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


def test_a_room_left_by_accident_is_entered_with_the_newest_token(
    rooms: type[StandInRoom],
) -> None:
    async def run() -> None:
        own, latest = publisher()
        own.renewed(renewal("too early"))
        await own.connect(created("wss://room.example", "first"))
        for token in ("second", "third", None):
            own.renewed(renewal(token))
        rooms.entered[0].disconnected(rtc.DisconnectReason.SIGNAL_CLOSE)
        await until(lambda: len(rooms.entered) == 2 and rooms.entered[1].published)
        assert rooms.attempts == ["first", "third"]
        stream = rtc.VideoStream(rooms.entered[1].published[0][0])
        latest.put(picture(320, 240))
        await shown(stream)
        await stream.aclose()
        await own.close()
        assert rooms.entered[1].left

    asyncio.run(run())


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("ROOM_DELETED", "the server deleted the LiveKit room"),
        ("DUPLICATE_IDENTITY", "another client entered the LiveKit room with the same identity"),
        ("PARTICIPANT_REMOVED", "the server removed this client from the LiveKit room"),
    ],
)
def test_a_room_that_is_gone_is_not_entered_again(
    rooms: type[StandInRoom], reason: str, words: str
) -> None:
    async def run() -> None:
        own, _ = publisher()
        await own.connect(created("wss://room.example", "first"))
        rooms.entered[0].disconnected(rtc.DisconnectReason.Value(reason))
        assert await asyncio.wait_for(own.wait_lost(), 60) == words
        assert rooms.attempts == ["first"]
        await own.close()
        assert await own.wait_lost() == words

    asyncio.run(run())


def test_a_room_that_lets_nobody_in_again_is_lost(
    rooms: type[StandInRoom], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def run() -> None:
        own, _ = publisher()
        await own.connect(created("wss://room.example", "first"))
        rooms.full.add(TOKEN)
        own.renewed(renewal(TOKEN))
        rooms.entered[0].disconnected(999)  # A reason that this SDK does not know.
        why = await asyncio.wait_for(own.wait_lost(), 60)
        assert why.startswith("the LiveKit room was lost, and it could not be entered again: ")
        assert "is not let in" in why
        assert TOKEN not in why
        assert rooms.attempts == ["first", TOKEN, TOKEN, TOKEN]
        await own.close()

    asyncio.run(run())
    assert TOKEN not in caplog.text


def test_a_room_that_does_not_let_go_is_left_in_time(rooms: type[StandInRoom]) -> None:
    async def run() -> None:
        own, _ = publisher()
        await own.connect(created("wss://room.example", "first"))
        rooms.stuck = True
        start = time.monotonic()
        await own.close()
        assert time.monotonic() - start < 60
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


def test_every_reason_of_the_sdk_is_said_in_words() -> None:
    telephony = {"USER_UNAVAILABLE", "USER_REJECTED", "SIP_TRUNK_FAILURE"}
    known = livekit.FINAL_REASONS.keys() | livekit.PASSING_REASONS.keys()
    assert known <= set(rtc.DisconnectReason.keys())
    assert set(rtc.DisconnectReason.keys()) - known <= telephony | {"UNKNOWN_REASON", "AGENT_ERROR"}
