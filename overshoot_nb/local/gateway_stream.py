"""``GatewayStream``: one v0.2 stream of the engine, its lease and what it cost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import uuid4

from .result_feed import ResultFeed
from .stream_request import StreamRequest

#: A pending stream has no picture and no inference yet.
_NO_MEDIA: dict[str, Any] = {
    "fps": None,
    "frame_width": None,
    "frame_height": None,
    "effective_width": None,
    "effective_height": None,
    "inferences_completed": 0,
    "inferences_failed": 0,
    "last_inference_latency_seconds": None,
}


class Watch(Protocol):
    """Whoever looks at a stream's video."""

    @property
    def state(self) -> str:
        """active, or idle when no frames come."""

    def facts(self) -> dict[str, Any]:
        """What is known of its media and inferences."""

    async def close(self) -> None:
        """Look no more."""


@dataclass(slots=True, eq=False)
class GatewayStream:
    """One stream of the registry.

    Attributes:
        ended: why it ended; None while it lives.
        watch: looks at its video, once it is connected.
        timer: what ends the lease; of the media thread.
        media_timer: what ends the waiting for media that cannot come; of the media thread.
    """

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
    feed: ResultFeed = field(default_factory=ResultFeed)
    watch: Watch | None = None
    ended: str | None = None
    timer: asyncio.TimerHandle | None = None
    media_timer: asyncio.TimerHandle | None = None

    @property
    def state(self) -> str:
        """pending until it gets media, then active, or idle when none comes."""
        watch = self.watch
        return "pending" if watch is None else watch.state

    def facts(self) -> dict[str, Any]:
        """What is known of its media and inferences."""
        watch = self.watch
        return _NO_MEDIA if watch is None else watch.facts()
