"""A server's end of a WebRTC connection, as plain as aiortc makes it, on loopback."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import av
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from overshoot_nb.gateway.publish.closing import close_peer
from overshoot_nb.gateway.publish.feed import VideoFeed
from overshoot_nb.gateway.publish.ice import allow_loopback
from overshoot_nb.gateway.publish.latest import LatestFrame
from overshoot_nb.gateway.publish.recent import RecentFrames
from overshoot_nb.gateway.publish.webrtc import WebRTCPublisher
from overshoot_nb.sampling.pacing import Pacer
from overshoot_nb.types import StreamCreateResponse, WebRTCAnswer


class Receiver:
    """Answers an offer and keeps what it receives, with the time of its arrival."""

    def __init__(self) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.frames: list[tuple[av.VideoFrame, float]] = []
        self._task: asyncio.Task[None] | None = None
        self._gathering: asyncio.Future[None] | None = None
        self.pc.on("track", self._receive)

    async def answer(self, source: Any) -> StreamCreateResponse:
        offer = RTCSessionDescription(source["sdp"], "offer")
        await self.pc.setRemoteDescription(offer)
        allow_loopback(self.pc, always=True)
        self._gathering = asyncio.ensure_future(self.pc.setLocalDescription())
        await asyncio.shield(self._gathering)
        return StreamCreateResponse("s", webrtc=WebRTCAnswer(self.pc.localDescription.sdp))

    def _receive(self, track: Any) -> None:
        async def keep() -> None:
            try:
                while True:
                    frame = await track.recv()
                    self.frames.append((frame, time.monotonic()))
            except MediaStreamError:
                return

        self._task = asyncio.ensure_future(keep())

    @property
    def times(self) -> list[float]:
        """Times of the frames in seconds, the first being zero."""
        return [(f.pts - self.frames[0][0].pts) / 90_000 for f, _ in self.frames]

    async def until(self, condition: Callable[[], object], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not come to pass"
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        await close_peer(self.pc, self._gathering)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


@asynccontextmanager
async def connected(
    latest: LatestFrame, **options: Any
) -> AsyncIterator[tuple[WebRTCPublisher, Receiver]]:
    """A publisher whose video a receiver takes."""
    publisher, receiver = WebRTCPublisher(latest, loopback=True, **options), Receiver()
    try:
        await publisher.connect(await receiver.answer(await publisher.offer()))
        yield publisher, receiver
    finally:
        await publisher.close()
        await receiver.close()


@contextmanager
def playing(
    source: Any, latest: LatestFrame, recent: RecentFrames | None = None, **options: Any
) -> Iterator[tuple[VideoFeed, Pacer, threading.Thread]]:
    """A feed at work in a thread, at the source's own pace."""
    pacer = Pacer(realtime=not source.live, hold=not source.live)
    feed = VideoFeed(source, latest, recent or RecentFrames(), pacer=pacer, **options)
    thread = threading.Thread(target=feed.run)
    thread.start()
    try:
        yield feed, pacer, thread
    finally:
        feed.interrupt()
        pacer.stop()
        thread.join(60)
        feed.close()
        assert not thread.is_alive()


def run(main: Callable[[asyncio.AbstractEventLoop], Awaitable[None]]) -> None:
    """Runs a test's coroutine function, which takes the loop."""

    async def go() -> None:
        await main(asyncio.get_running_loop())

    asyncio.run(go())
