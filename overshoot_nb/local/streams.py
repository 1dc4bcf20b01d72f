"""The v0.2 streams: their leases, what they cost, who owns which, and how they end.

A registry lives as long as it is wanted, whatever servers come and go before it: leases, media,
inferences and results are on a thread of its own (`media_thread`), started by the first stream.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from overshoot_nb import config

from .clips import ClipStore
from .ended import Ended, EndedStreams
from .engine import Engine
from .gateway_stream import GatewayStream
from .media_thread import MediaThread, ThreadEnded
from .refusals import FeedOver, StreamRefusal
from .result_feed import GOING_AWAY, Listener, result_message
from .stream_request import StreamRequest
from .stream_watch import StreamWatch

#: A stream expires this long after its last keepalive.
LEASE_SECONDS = config.LEASE_SECONDS
#: So long somebody waits for the results of a stream that no media can come to.
NO_MEDIA_SECONDS = 10.0
#: What is said then.
NO_ROOM = (
    "no video came: this server has no LiveKit room to publish to, so a native stream gets none. "
    'Publish over WebRTC: transport="webrtc" of overshoot_nb, a source of the type "webrtc"'
)
#: Concurrent streams of one key, and of all together.
MAX_STREAMS = 5
MAX_STREAMS_OF_ALL = 64

# Why streams end, in the words of the service; the last is ours.
CLIENT_REQUESTED = "client_requested"
WEBRTC_DISCONNECTED = "webrtc_disconnected"
LIVEKIT_DISCONNECTED = "livekit_disconnected"
LEASE_EXPIRED = "lease_expired"
INSUFFICIENT_CREDITS = "insufficient_credits"
SERVER_CLOSED = "server_closed"


@dataclass(frozen=True, slots=True)
class Price:
    """What a second of a stream costs. The engine is free unless a test says otherwise.

    Attributes:
        cents_per_second: charged at each keepalive, and at the end, for the time since the last.
        credits_cents: what a key has at first; None means without end.
    """

    cents_per_second: float = 0.0
    credits_cents: float | None = None


class StreamRegistry:
    """All v0.2 streams of one engine. Safe from any thread.

    Args:
        lease_seconds: how long a stream lives without a keepalive.
        price: what streams cost.
        clock: seconds that never go back.
        no_media_seconds: how long results of a native stream are waited for; then one says why
            there are none, and the stream ends. It is left alone while nobody listens.

    Attributes:
        clips: the pictures of the last results.
    """

    def __init__(
        self,
        lease_seconds: float = LEASE_SECONDS,
        price: Price | None = None,
        clock: Callable[[], float] = time.monotonic,
        no_media_seconds: float = NO_MEDIA_SECONDS,
    ) -> None:
        self.lease_seconds = lease_seconds
        self._no_media_seconds = no_media_seconds
        self.clips = ClipStore()
        self._price = price or Price()
        self._clock = clock
        self._lock = threading.Lock()
        self._media = MediaThread()
        self._streams: dict[str, GatewayStream] = {}
        self._ended = EndedStreams()
        self._spent: dict[str, float] = {}
        self._closed = False

    # ---- the calls of the surface --------------------------------------------------------------

    def create(self, request: StreamRequest, owner: str) -> GatewayStream:
        """A new pending stream.

        Raises:
            StreamRefusal: 429 when the key has as many as it may; 402 without credits.
        """
        with self._lock:
            if self._closed:
                raise _closed()
            now = self._clock()
            self._expire(now)
            self._need_room(owner)
            self._need_credits(owner)
            stream = GatewayStream(request, owner, now, now + self.lease_seconds, now)
            self._streams[stream.id] = stream
        self._media.post(self._set_timer, stream)
        return stream

    async def connect(self, stream: GatewayStream, engine: Engine) -> str:
        """Answer the SDP offer of a stream's webrtc source; its video is then watched.

        A stream that cannot be connected is gone.

        Raises:
            Invalid: 422, the offer cannot be used.
            StreamRefusal: 501 without aiortc; 404 when the stream ended meanwhile.
        """
        try:
            return await self._media.call(self._connect(stream, engine))
        except ThreadEnded:
            raise _closed() from None
        except BaseException:
            with self._lock:
                stream.charged_until = math.inf  # it costs nothing
                if self._end(stream, CLIENT_REQUESTED):
                    self._ended.forget(stream.id)
            raise

    def get(self, stream_id: str, owner: str) -> GatewayStream:
        """A stream of this key.

        Raises:
            StreamRefusal: 404 when there is none, or no longer.
        """
        with self._lock:
            return self._get(stream_id, owner)

    def keepalive(self, stream_id: str, owner: str) -> dict[str, Any]:
        """Renew the lease and charge for the time since the last call.

        Raises:
            StreamRefusal: 404; 402 when the credits are gone, which ends the stream.
        """
        with self._lock:
            stream = self._get(stream_id, owner)
            now = self._clock()
            self._charge(stream, now)
            if self._credits_left(owner) == 0:
                self._end(stream, INSUFFICIENT_CREDITS)
                raise _no_credits()
            stream.expires = now + self.lease_seconds
            left = self._credits_left(owner)
            return {
                "status": "ok",
                "stream_id": stream.id,
                "ttl_seconds": self.lease_seconds,
                "credits_remaining_cents": None if left is None else round(left, 4),
                "cost_cents": round(stream.cost_cents, 4),
                "seconds_charged": round(stream.seconds_charged, 3),
                "livekit_token": None,
                "state": stream.state,
            }

    def set_prompt(self, stream_id: str, owner: str, prompt: str) -> GatewayStream:
        """Change the prompt from the next inference on.

        Raises:
            StreamRefusal: 404.
        """
        with self._lock:
            stream = self._get(stream_id, owner)
            stream.request = replace(stream.request, prompt=prompt)
            stream.updated_at = datetime.now(UTC)
            return stream

    def listen(self, stream_id: str, owner: str) -> Listener:
        """The results of a stream, for a task of the running loop.

        Raises:
            StreamRefusal: 404.
            FeedOver: the stream has ended, or too many listen.
        """
        with self._lock:
            stream = self._known(stream_id, owner)
            if isinstance(stream, Ended):
                raise FeedOver(GOING_AWAY, stream.reason)
            listener = stream.feed.listen()
        if stream.request.source_type == "native":
            self._media.post(self._expect_media, stream)
        return listener

    def end(self, stream_id: str, owner: str) -> bool:
        """End a stream as its client asks; False when it had ended before.

        Raises:
            StreamRefusal: 404.
        """
        with self._lock:
            stream = self._known(stream_id, owner)
            return not isinstance(stream, Ended) and self._end(stream, CLIENT_REQUESTED)

    def uptime(self, stream: GatewayStream) -> float:
        """Seconds since the stream was created."""
        return self._clock() - stream.started

    def close(self) -> None:
        """End every stream and the media thread, within about two seconds. Idempotent.

        Not to be called on the media thread.
        """
        with self._lock:
            self._closed = True
            for stream in list(self._streams.values()):
                self._end(stream, SERVER_CLOSED)
        self._media.close()
        self.clips.clear()

    # ---- with the lock held --------------------------------------------------------------------

    def _known(self, stream_id: str, owner: str) -> GatewayStream | Ended:
        self._expire(self._clock())
        known = self._streams.get(stream_id) or self._ended.get(stream_id)
        if known is None or known.owner != owner:
            raise StreamRefusal(404, "stream_not_found", "no such stream")
        return known

    def _get(self, stream_id: str, owner: str) -> GatewayStream:
        known = self._known(stream_id, owner)
        if not isinstance(known, Ended):
            return known
        if known.reason == INSUFFICIENT_CREDITS:
            raise _no_credits()
        raise _gone(known.reason)

    def _end(self, stream: GatewayStream, reason: str) -> bool:
        if stream.ended is not None:
            return False
        stream.ended = reason
        del self._streams[stream.id]
        self._ended.add(stream.id, stream.owner, reason)
        self._charge(stream, min(self._clock(), stream.expires))
        stream.feed.end(reason)
        self._media.post(self._let_go, stream)
        return True

    def _charge(self, stream: GatewayStream, until: float) -> None:
        seconds = max(0.0, until - stream.charged_until)
        cents = seconds * self._price.cents_per_second
        stream.charged_until = until
        stream.seconds_charged += seconds
        stream.cost_cents += cents
        if cents:
            self._spent[stream.owner] = self._spent.get(stream.owner, 0.0) + cents

    def _expire(self, now: float) -> None:
        for stream in [s for s in self._streams.values() if s.expires <= now]:
            self._end(stream, LEASE_EXPIRED)

    def _need_room(self, owner: str) -> None:
        headers = {"retry-after": str(math.ceil(self.lease_seconds))}
        if sum(s.owner == owner for s in self._streams.values()) >= MAX_STREAMS:
            message = f"a key may have {MAX_STREAMS} streams at once"
            raise StreamRefusal(429, "too_many_streams", message, headers=headers)
        if len(self._streams) >= MAX_STREAMS_OF_ALL:
            message = f"the local engine takes {MAX_STREAMS_OF_ALL} streams at once"
            raise StreamRefusal(429, "too_many_streams", message, headers=headers)

    def _credits_left(self, owner: str) -> float | None:
        if self._price.credits_cents is None:
            return None
        return max(0.0, self._price.credits_cents - self._spent.get(owner, 0.0))

    def _need_credits(self, owner: str) -> None:
        if self._credits_left(owner) == 0:
            raise _no_credits()

    # ---- on the media thread -------------------------------------------------------------------

    async def _connect(self, stream: GatewayStream, engine: Engine) -> str:
        assert stream.request.sdp is not None

        def lost() -> None:
            with self._lock:
                self._end(stream, WEBRTC_DISCONNECTED)

        watch = StreamWatch(stream, engine, self.clips, lost)
        try:
            answer = await watch.connect(stream.request.sdp)
            with self._lock:
                if stream.ended is not None:
                    raise _gone(stream.ended)
                stream.watch = watch
        except BaseException:
            await watch.close()
            raise
        return answer

    def _set_timer(self, stream: GatewayStream) -> None:
        if stream.ended is None:
            delay = max(0.0, stream.expires - self._clock())
            stream.timer = asyncio.get_running_loop().call_later(delay, self._lapse, stream)

    def _lapse(self, stream: GatewayStream) -> None:
        with self._lock:
            if stream.ended is None and stream.expires <= self._clock():
                self._end(stream, LEASE_EXPIRED)
        self._set_timer(stream)

    def _expect_media(self, stream: GatewayStream) -> None:
        """Somebody waits for results of a native stream: not for ever."""
        if stream.ended is None and stream.media_timer is None:
            loop = asyncio.get_running_loop()
            stream.media_timer = loop.call_later(self._no_media_seconds, self._no_media, stream)

    def _no_media(self, stream: GatewayStream) -> None:
        stream.media_timer = None
        with self._lock:
            if stream.ended is not None or not stream.feed.listened_to:
                return
            said = result_message(stream.id, stream.request, stream.request.prompt, error=NO_ROOM)
            stream.feed.publish(said)
            self._refund(stream)
            self._end(stream, LIVEKIT_DISCONNECTED)

    def _refund(self, stream: GatewayStream) -> None:
        """A stream that could give nothing costs nothing."""
        if stream.cost_cents:
            self._spent[stream.owner] -= stream.cost_cents
        stream.cost_cents = stream.seconds_charged = 0.0
        stream.charged_until = math.inf

    def _let_go(self, stream: GatewayStream) -> None:
        if stream.media_timer is not None:
            stream.media_timer.cancel()
            stream.media_timer = None
        if stream.timer is not None:
            stream.timer.cancel()
            stream.timer = None
        watch, stream.watch = stream.watch, None
        if watch is not None:
            self._media.spawn(watch.close())


def _closed() -> StreamRefusal:
    return StreamRefusal(503, "engine_closed", "the local engine is closed")


def _gone(reason: str) -> StreamRefusal:
    if reason == SERVER_CLOSED:
        return _closed()
    return StreamRefusal(404, "stream_not_found", f"the stream has ended: {reason}")


def _no_credits() -> StreamRefusal:
    return StreamRefusal(402, "insufficient_credits", "the account has no credits left")
