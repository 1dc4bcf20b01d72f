"""A peer that publishes a video file over WebRTC, as any program with aiortc would."""

from __future__ import annotations

import asyncio
import itertools
import time
from fractions import Fraction

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from PIL import Image, ImageDraw, ImageFont

from overshoot_nb.gateway.publish.ice import allow_loopback

from videos import make_video

FPS = 15


def text_video(path, *texts, seconds=2.0, size=(640, 360)):
    """A video that shows each text for some seconds, light on dark and dark on light in turn."""
    inks = itertools.cycle([((240, 240, 240), (18, 20, 28)), ((20, 20, 30), (235, 230, 225))])
    pictures = []
    for text, (ink, paper) in zip(texts, inks, strict=False):
        image = Image.new("RGB", size, paper)
        ImageDraw.Draw(image).text((40, 60), text, font=ImageFont.load_default(48), fill=ink)
        pictures.append(np.asarray(image))
    count = round(seconds * FPS)
    return make_video(path, [p for p in pictures for _ in range(count)], fps=FPS, gop=FPS)


class FileTrack(MediaStreamTrack):
    """The frames of a file at their times, from the start again at its end.

    ``shown`` has the moment each frame was given away, by number; ``paused`` gives none.
    """

    kind = "video"

    def __init__(self, path):
        super().__init__()
        with av.open(str(path)) as container:
            self._frames = [
                (float(frame.pts * frame.time_base), frame) for frame in container.decode(video=0)
            ]
        self._start = None
        self._number = 0
        self.paused = asyncio.Event()
        self.shown = []

    async def recv(self):
        while self.paused.is_set():
            await asyncio.sleep(0.01)
        if self.readyState != "live":
            raise MediaStreamError
        self._start = self._start or time.monotonic()
        at = self._number / FPS
        await asyncio.sleep(max(0, self._start + at - time.monotonic()))
        _, frame = self._frames[self._number % len(self._frames)]
        frame.pts, frame.time_base = round(at * 90_000), Fraction(1, 90_000)
        self._number += 1
        self.shown.append(time.monotonic())
        return frame


class Peer:
    """One connection that publishes a file: `offer`, `accept` the answer, `close`."""

    def __init__(self, path):
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.track = FileTrack(path)
        self.pc.addTrack(self.track)

    async def offer(self):
        """The SDP offer, with its candidates."""
        allow_loopback(self.pc, always=True)
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return self.pc.localDescription.sdp

    async def accept(self, sdp):
        """Take the answer and wait for the connection."""
        connected = asyncio.Event()

        @self.pc.on("connectionstatechange")
        def _():
            if self.pc.connectionState == "connected":
                connected.set()

        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        await asyncio.wait_for(connected.wait(), 60)

    async def close(self):
        self.track.stop()
        await self.pc.close()
