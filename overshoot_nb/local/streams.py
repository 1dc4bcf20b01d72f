"""The v0.2 streams: their leases, what they cost, and who owns which.

Leases run on the monotonic clock and are looked at when somebody asks, so there is no task to
stop. A stream is pending until it gets media.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from .refusals import StreamRefusal
from .stream_request import StreamRequest

__all__ = [
    "LEASE_SECONDS",
    "MAX_STREAMS",
    "GatewayStream",
    "Price",
    "StreamRegistry",
]

#: A stream expires this long after its last keepalive.
LEASE_SECONDS = 45.0
#: Concurrent streams of one key.
MAX_STREAMS = 5
#: Closed streams whose second DELETE is still answered 204.
_REMEMBERED = 1_000


@dataclass(frozen=True, slots=True)
class Price:
    """What a second of a stream costs. The engine is free unless a test says otherwise.

    Attributes:
        cents_per_second: charged at each keepalive for the time since the last one.
        credits_cents: what a key has at first; None means without end.
    """

    cents_per_second: float = 0.0
    credits_cents: float | None = None


@dataclass(slots=True)
class GatewayStream:
    """One stream of the registry."""

    request: StreamRequest
    owner: str
    started: float
    expires: float
    charged_until: float
    id: str = field(default_factory=lambda: uuid4().hex)
    config_id: str = field(default_factory=lambda: uuid4().hex)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    updated_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds_charged: float = 0.0
    cost_cents: float = 0.0
    state: str = "pending"


class StreamRegistry:
    """All v0.2 streams of one engine. Safe from any thread.

    Args:
        lease_seconds: how long a stream lives without a keepalive.
        price: what streams cost.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        lease_seconds: float = LEASE_SECONDS,
        price: Price | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lease_seconds = lease_seconds
        self._price = price or Price()
        self._clock = clock
        self._lock = threading.Lock()
        self._streams: dict[str, GatewayStream] = {}
        self._closed: dict[str, str] = {}
        self._spent: dict[str, float] = {}

    def create(self, request: StreamRequest, owner: str) -> GatewayStream:
        """A new pending stream.

        Raises:
            StreamRefusal: 429 when the key has as many as it may; 402 without credits.
        """
        with self._lock:
            now = self._clock()
            self._expire(now)
            if sum(s.owner == owner for s in self._streams.values()) >= MAX_STREAMS:
                raise StreamRefusal(
                    429,
                    "too_many_streams",
                    f"a key may have {MAX_STREAMS} streams at once",
                    headers={"retry-after": str(math.ceil(self.lease_seconds))},
                )
            self._need_credits(owner)
            stream = GatewayStream(request, owner, now, now + self.lease_seconds, now)
            self._streams[stream.id] = stream
            return stream

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
            StreamRefusal: 404; 402 when the credits are gone, and the lease is not renewed.
        """
        with self._lock:
            stream = self._get(stream_id, owner)
            now = self._clock()
            seconds = now - stream.charged_until
            cents = seconds * self._price.cents_per_second
            stream.charged_until = now
            stream.seconds_charged += seconds
            stream.cost_cents += cents
            self._spent[owner] = self._spent.get(owner, 0.0) + cents
            self._need_credits(owner)
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

    def close(self, stream_id: str, owner: str) -> bool:
        """End a stream; False when it was closed before.

        Raises:
            StreamRefusal: 404.
        """
        with self._lock:
            if self._closed.get(stream_id) == owner:
                return False
            self._get(stream_id, owner)
            del self._streams[stream_id]
            self._closed[stream_id] = owner
            if len(self._closed) > _REMEMBERED:
                del self._closed[next(iter(self._closed))]
            return True

    def uptime(self, stream: GatewayStream) -> float:
        """Seconds since the stream was created."""
        return self._clock() - stream.started

    def _get(self, stream_id: str, owner: str) -> GatewayStream:
        self._expire(self._clock())
        stream = self._streams.get(stream_id)
        if stream is None or stream.owner != owner:
            raise StreamRefusal(404, "stream_not_found", "no such stream, or its lease has expired")
        return stream

    def _expire(self, now: float) -> None:
        for stream_id in [i for i, s in self._streams.items() if s.expires <= now]:
            del self._streams[stream_id]

    def _credits_left(self, owner: str) -> float | None:
        if self._price.credits_cents is None:
            return None
        return max(0.0, self._price.credits_cents - self._spent.get(owner, 0.0))

    def _need_credits(self, owner: str) -> None:
        if self._credits_left(owner) == 0:
            raise StreamRefusal(
                402, "insufficient_credits", "the account has no credits left", headers={}
            )
