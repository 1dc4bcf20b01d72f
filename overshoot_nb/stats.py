"""What happened to the samples of a stream, counted."""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from .types import StreamInferenceResult

__all__ = ["Counters", "StreamStats"]

#: Percentiles are those of this many newest answers.
LATENCY_WINDOW = 1000


@dataclass(frozen=True, slots=True)
class StreamStats:
    """A moment's figures of a stream.

    Every sample ends as exactly one of a result, an error or a drop, so
    ``samples == results + errors + sum(drops.values()) + waiting + in_flight``.

    Attributes:
        samples: moments of the video that were chosen.
        results: rows with ``ok=True``.
        copies: those of them that copy the answer about the very same picture: no request was
            made, and none of the latencies, tokens and costs is theirs.
        errors: rows with ``ok=False``.
        drops: samples that were never answered, by reason.
        waiting: samples taken, not yet sent.
        in_flight: requests under way.
        latency_p50_ms, latency_p95_ms: inference latency of the newest 1,000 answers, or None.
        latency_latest_ms: that of the newest answer, or None.
        prompt_tokens, completion_tokens, total_tokens: sums over all answers that said.
        cost_cents: what the answers and the stream's lease cost as far as the server said, in US
            cents; None where it never did.
        seconds_charged: seconds of the stream that a v0.2 server charged for, else None.
        credits_remaining_cents: what the account had left when the lease was last renewed, in US
            cents; None where the server does not say.
        reconnections: times that the result channel was lost and found again.
    """

    samples: int = 0
    results: int = 0
    errors: int = 0
    drops: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    in_flight: int = 0
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    latency_latest_ms: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cost_cents: float | None = None
    seconds_charged: float | None = None
    credits_remaining_cents: float | None = None
    reconnections: int = 0
    copies: int = 0


class Counters:
    """The running counts behind :class:`StreamStats`; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples = self._sent = self._answered = self._ok = 0
        self._dropped_unsent = self._copies = 0
        self._drops: Counter[str] = Counter()
        self._latencies: deque[float] = deque(maxlen=LATENCY_WINDOW)
        self._tokens = [0, 0, 0]
        self._answers_cents: float | None = None
        self._leases = (_Charged(), _Charged())  # of the runs before, and of this one
        self._credits_cents: float | None = None
        self._reconnections = 0

    def sampled(self, count: int = 1) -> None:
        """Samples were taken; they wait."""
        with self._lock:
            self._samples += count

    def missed(self, reason: str, count: int = 1) -> None:
        """Moments that were chosen gave no sample."""
        with self._lock:
            self._samples += count
            self._dropped_unsent += count
            self._drops[reason] += count

    def dropped(self, reason: str, *, sent: bool = False) -> None:
        """A sample was given up, while it waited or (``sent``) while its request was under way."""
        with self._lock:
            self._drops[reason] += 1
            if sent:
                self._sent -= 1
            self._dropped_unsent += 1

    def sent(self, count: int = 1) -> None:
        """Waiting samples were sent."""
        with self._lock:
            self._sent += count

    def answered(self, *results: StreamInferenceResult) -> None:
        """Sent samples have their rows, and those that copied an answer and were never sent."""
        with self._lock:
            for result in results:
                self._answered += 1
                self._ok += result.ok
                if result.copied_from is not None:
                    self._sent += 1
                    self._copies += 1
                    continue
                # A recording of others may have none.
                if result.ok and math.isfinite(result.inference_latency_ms):
                    self._latencies.append(result.inference_latency_ms)
                if (usage := result.usage) is None:
                    continue
                self._tokens[0] += usage.prompt_tokens
                self._tokens[1] += usage.completion_tokens
                self._tokens[2] += usage.total_tokens
                if usage.cost_cents is not None and math.isfinite(usage.cost_cents):
                    self._answers_cents = (self._answers_cents or 0.0) + usage.cost_cents

    def charged(
        self, cents: float | None, seconds: float | None, credits_cents: float | None
    ) -> None:
        """The ledger of this run's lease so far."""
        with self._lock:
            self._leases = self._leases[0], _Charged(cents, seconds)
            self._credits_cents = credits_cents

    @property
    def lease_cents(self) -> float | None:
        """What the leases of all runs cost in US cents, None where the server does not say."""
        with self._lock:
            return (self._leases[0] + self._leases[1]).cents

    def begin_run(self) -> None:
        """What is charged from now on comes on top."""
        with self._lock:
            before, now = self._leases
            self._leases = before + now, _Charged()

    def reconnected(self, count: int = 1) -> None:
        """The result channel was lost and found again."""
        with self._lock:
            self._reconnections += count

    def snapshot(self) -> StreamStats:
        """The figures now, all of the same moment."""
        with self._lock:
            latencies = sorted(self._latencies)
            lease = self._leases[0] + self._leases[1]
            return StreamStats(
                samples=self._samples,
                results=self._ok,
                errors=self._answered - self._ok,
                drops=dict(self._drops),
                waiting=self._samples - self._sent - self._dropped_unsent,
                in_flight=self._sent - self._answered,
                latency_p50_ms=_percentile(latencies, 0.50),
                latency_p95_ms=_percentile(latencies, 0.95),
                latency_latest_ms=self._latencies[-1] if self._latencies else None,
                prompt_tokens=self._tokens[0],
                completion_tokens=self._tokens[1],
                total_tokens=self._tokens[2],
                cost_cents=_sum(self._answers_cents, lease.cents),
                seconds_charged=lease.seconds,
                credits_remaining_cents=self._credits_cents,
                reconnections=self._reconnections,
                copies=self._copies,
            )

    def latest_latencies(self, count: int) -> list[float]:
        """Inference latencies of the newest answers in milliseconds, oldest first."""
        with self._lock:
            newest = list(islice(reversed(self._latencies), count))
        return newest[::-1]


@dataclass(frozen=True, slots=True)
class _Charged:
    cents: float | None = None
    seconds: float | None = None

    def __add__(self, other: _Charged) -> _Charged:
        return _Charged(_sum(self.cents, other.cents), _sum(self.seconds, other.seconds))


def _sum(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other


def _percentile(ordered: list[float], share: float) -> float | None:
    """The smallest value that at least ``share`` of the values do not exceed (nearest rank)."""
    if not ordered:
        return None
    rank = -(-len(ordered) * round(share * 100) // 100)  # ceiling, in whole numbers
    return ordered[max(rank, 1) - 1]
