"""Publishes video into a LiveKit room: the native transport of v0.2.

Needs the extra ``livekit`` when a publisher is used, not when this module is imported.

What was not run: no LiveKit server was at hand, so entering a real room, media in it and leaving
it again have only been run against a stand-in for the SDK's ``Room``. Frames, sources, tracks,
and rooms that cannot be reached or refuse were run with the SDK itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import textwrap
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from overshoot_nb import config
from overshoot_nb.errors import (
    MissingDependencyError,
    NetworkError,
    RequestTimeoutError,
    ServerError,
)
from overshoot_nb.support.redaction import display_url, redact
from overshoot_nb.types import KeepaliveResponse, LiveKitConnection, StreamCreateResponse

from .latest import FeedEnded, LatestFrame

if TYPE_CHECKING:
    import av
    from livekit import rtc

logger = logging.getLogger("overshoot_nb")

# LiveKit's tokens are JSON Web Tokens.
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")


class _WithoutTokens(logging.Filter):
    """The SDK quotes in its log what a server answered, which may quote the token."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = _TOKEN.sub("…", record.getMessage()), ()
        return True


_sdk_logger = logging.getLogger("livekit")
_sdk_logger.addFilter(_WithoutTokens())
# Without any logging set up, Python would print the SDK's warnings into the notebook; what
# matters of them is in our errors.
_sdk_logger.addHandler(logging.NullHandler())

# Seconds to wait before each attempt to enter a room again that was left by accident.
RETURN_DELAYS = (0.0, 1.0, 2.0, 4.0)
LEAVE_SECONDS = 0.8

CLOSED = "the stream was closed before it had entered the LiveKit room"

# The SDK's DisconnectReason, in words. The first group would only repeat itself.
FINAL_REASONS = {
    "CLIENT_INITIATED": "this client left the LiveKit room",
    "DUPLICATE_IDENTITY": "another client entered the LiveKit room with the same identity",
    "PARTICIPANT_REMOVED": "the server removed this client from the LiveKit room",
    "ROOM_DELETED": "the server deleted the LiveKit room",
    "ROOM_CLOSED": "the server closed the LiveKit room",
}
PASSING_REASONS = {
    "SERVER_SHUTDOWN": "the LiveKit server shut down",
    "STATE_MISMATCH": "the LiveKit server no longer knew this client",
    "JOIN_FAILURE": "the LiveKit room could not be entered fully",
    "MIGRATION": "the LiveKit server moved the room",
    "SIGNAL_CLOSE": "the connection to the LiveKit server broke",
    "CONNECTION_TIMEOUT": "the LiveKit server did not answer in time",
    "MEDIA_FAILURE": "no media went through to the LiveKit room",
}


@dataclass(frozen=True, slots=True)
class _Presence:
    """A room that was entered; ``ended`` gets the SDK's DisconnectReason."""

    room: rtc.Room
    ended: asyncio.Future[int]


class LiveKitPublisher:
    """Publishes the newest frames as one video track into the room that the server names.

    A connection that breaks is first mended by the SDK, with tokens that the LiveKit server
    itself renews; the SDK takes none from outside. When the SDK gives up, and the reason may pass,
    the room is entered anew with the newest token of a keepalive, in up to four attempts.
    Nothing in the room is subscribed to. Between entering and the first frame the SDK sends black
    ones of its own.

    Args:
        latest: where the frames come from.
        timeout: seconds that entering the room may take.
    """

    def __init__(
        self, latest: LatestFrame, *, timeout: float = config.MEDIA_TIMEOUT_SECONDS
    ) -> None:
        self._latest = latest
        self._timeout = timeout
        self._target: LiveKitConnection | None = None
        self._source: rtc.VideoSource | None = None
        self._presence: _Presence | None = None
        self._entering: asyncio.Task[_Presence] | None = None
        self._staying: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self._why = ""
        self._closed = False

    async def offer(self) -> None:
        """None: for native transport the server is sent no source.

        Raises:
            MissingDependencyError: the LiveKit SDK is not installed.
        """
        # Its native library is large; other streams share this loop.
        await asyncio.to_thread(_sdk)

    async def connect(self, created: StreamCreateResponse) -> None:
        """Enter the room of the server's answer and publish the track.

        Raises:
            ServerError: the answer names no room.
            NetworkError: the room could not be entered (RequestTimeoutError: in time).
            MissingDependencyError: the LiveKit SDK is not installed.
        """
        if created.livekit is None:
            raise ServerError(
                "this server offers no LiveKit room to publish into; use it with "
                'transport="webrtc" (pip install "overshoot-nb[webrtc]")'
            )
        if self._closed:
            raise NetworkError(CLOSED)
        sdk = _sdk()
        self._target = created.livekit
        # The size is that of the largest frame, and chooses the bit rate; each frame brings its
        # own.
        self._source = sdk.VideoSource(*config.MAX_SIZE)
        self._entering = asyncio.create_task(self._enter(self._source))
        # Not awaited itself: close() cancels it, which is not to look as if we were cancelled.
        try:
            await asyncio.wait({self._entering})
        except asyncio.CancelledError:
            self._entering.cancel()
            raise
        if self._closed or self._entering.cancelled():
            raise NetworkError(CLOSED)
        presence = self._entering.result()
        self._staying = asyncio.create_task(self._stay(presence, self._source))

    def renewed(self, keepalive: KeepaliveResponse) -> None:
        """Keep the token of a keepalive for when the room has to be entered again."""
        if keepalive.livekit_token and self._target is not None:
            self._target = replace(self._target, token=keepalive.livekit_token)

    async def wait_lost(self) -> str:
        """Wait until the room is left for good; returns why. After :meth:`close` at once."""
        await self._lost.wait()
        return self._why

    async def close(self) -> None:
        """Leave the room, within a second. Idempotent, at any point, raises nothing."""
        self._closed = True
        for task in (self._entering, self._staying):
            if task is not None:
                await _cancelled(task)
        self._end("this client left the LiveKit room")
        presence, self._presence = self._presence, None
        if presence is not None:
            await _leave(presence.room)
        source, self._source = self._source, None
        if source is not None:
            await source.aclose()

    async def _enter(self, source: rtc.VideoSource) -> _Presence:
        """Enter the room with the newest token and publish ``source``."""
        sdk = _sdk()
        target = self._target
        assert target is not None
        room = sdk.Room()
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def leave(reason: int) -> None:
            if not ended.done():
                ended.set_result(reason)

        room.on("disconnected", leave)
        # Time for a second attempt of the SDK's own.
        options = sdk.RoomOptions(auto_subscribe=False, connect_timeout=self._timeout / 2)
        self._presence = presence = _Presence(room, ended)
        where = display_url(target.url)
        failure: NetworkError | RequestTimeoutError | None = None
        try:
            async with asyncio.timeout(self._timeout):
                await room.connect(target.url, target.token, options)
                track = sdk.LocalVideoTrack.create_video_track("video", source)
                # One encoding is enough: the server is the only one who looks.
                publishing = sdk.TrackPublishOptions(
                    source=sdk.TrackSource.SOURCE_CAMERA, simulcast=False
                )
                await room.local_participant.publish_track(track, publishing)
        except TimeoutError:
            failure = RequestTimeoutError(
                f"the LiveKit room at {where} could not be entered within {self._timeout:g} s; a "
                'firewall may be in the way, or try transport="webrtc"'
            )
        except Exception as error:
            failure = NetworkError(
                f"the LiveKit room at {where} could not be entered: {_said(error, target)}; check "
                'that it can be reached from here, or try transport="webrtc"'
            )
        if failure is not None:
            await _leave(room)
            # Not chained: the SDK's words may quote the token, and its frames hold it.
            raise failure
        return presence

    async def _stay(self, presence: _Presence, source: rtc.VideoSource) -> None:
        """Send frames, and enter the room again when it was lost, until it is lost for good."""
        sending = asyncio.create_task(_send(self._latest, source))
        try:
            while True:
                waiting: set[asyncio.Future[Any]] = {presence.ended, sending}
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if sending.done():
                    sending.result()  # The video has ended, or this raises. The room stays.
                again = await self._enter_again(_name(await presence.ended), source)
                if again is None:
                    return
                presence = again
        except Exception:
            logger.exception("publishing into a LiveKit room failed in an unforeseen way")
            self._end("publishing into the LiveKit room failed")
        finally:
            await _cancelled(sending)

    async def _enter_again(self, reason: str, source: rtc.VideoSource) -> _Presence | None:
        """The room, entered anew; None where that is of no use, which is said to wait_lost()."""
        if reason in FINAL_REASONS:
            self._end(FINAL_REASONS[reason])
            return None
        why = PASSING_REASONS.get(reason, "the LiveKit room was lost")
        failure: NetworkError | None = None
        for delay in RETURN_DELAYS:
            await asyncio.sleep(delay)
            try:
                return await self._enter(source)
            except NetworkError as error:
                failure = error
                logger.debug("%s, and entering it again failed: %s", why, error)
        self._end(f"{why}, and it could not be entered again: {failure}")
        return None

    def _end(self, why: str) -> None:
        if not self._lost.is_set():
            self._why = why
            self._lost.set()


def video_frame(frame: av.VideoFrame) -> rtc.VideoFrame:
    """A ``yuv420p`` frame as the SDK takes it: I420, its pixels copied once."""
    sdk = _sdk()
    # PyAV leaves out what pads the rows. One dimension, or the SDK would copy it again.
    pixels: Any = frame.to_ndarray().reshape(-1)
    buffer: rtc.VideoFrame = sdk.VideoFrame(
        frame.width, frame.height, sdk.VideoBufferType.I420, memoryview(pixels)
    )
    return buffer


async def _send(latest: LatestFrame, source: rtc.VideoSource) -> None:
    """Give each newest frame to ``source`` until there are no more."""
    # WebRTC maps these times to its own clock, and takes a frame's arrival where the two are far
    # apart: so they are media times, but counted on the clock that it counts on.
    start: float | None = None
    with contextlib.suppress(FeedEnded):
        while True:
            frame = await latest.get()
            if start is None:
                start = time.monotonic() - frame.time
            timestamp_us = round((start + frame.time) * 1_000_000)
            source.capture_frame(video_frame(frame), timestamp_us=timestamp_us)


async def _leave(room: rtc.Room) -> None:
    """Leave ``room``, entered or not, within ``LEAVE_SECONDS``; raises nothing."""
    leaving = asyncio.create_task(room.disconnect())
    try:
        await asyncio.wait({leaving}, timeout=LEAVE_SECONDS)
    finally:
        await _cancelled(leaving)


async def _cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel ``task`` unless it has ended, and wait for its end, whatever that is."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _said(error: Exception, target: LiveKitConnection) -> str:
    """What the SDK or the server said, without secrets and not at length."""
    said = _TOKEN.sub("…", redact(str(error), target.url))
    if target.token:
        said = said.replace(target.token, "…")
    return textwrap.shorten(said, 200, placeholder=" …") or type(error).__name__


def _name(reason: int) -> str:
    """The name of a DisconnectReason, of which later servers may know more."""
    try:
        return str(_sdk().DisconnectReason.Name(reason))
    except ValueError:
        return "UNKNOWN_REASON"


def _sdk() -> Any:
    try:
        from livekit import rtc
    except ImportError as error:
        raise MissingDependencyError(
            'publishing into a LiveKit room needs its SDK: pip install "overshoot-nb[livekit]"'
        ) from error
    return rtc
