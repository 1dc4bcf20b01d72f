"""What happened to the samples of a stream, counted."""

from __future__ import annotations

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
        errors: rows with ``ok=False``.
        drops: samples that were never answered, by reason.
        waiting: samples taken, not yet sent.
        in_flight: requests under way.
        latency_p50_ms, latency_p95_ms: inference latency of the newest 1,000 answers, or None.
        prompt_tokens, completion_tokens, total_tokens: sums over all answers that said.
        cost_cents: sum over all answers that said, in US cents; None where none did.
    """

    samples: int = 0
    results: int = 0
    errors: int = 0
    drops: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    in_flight: int = 0
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cost_cents: float | None = None


class Counters:
    """The running counts behind :class:`StreamStats`; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples = self._sent = self._answered = self._ok = 0
        self._dropped_unsent = 0
        self._drops: Counter[str] = Counter()
        self._latencies: deque[float] = deque(maxlen=LATENCY_WINDOW)
        self._tokens = [0, 0, 0]
        self._cost_cents: float | None = None

    def sampled(self) -> None:
        """A sample was taken; it waits."""
        with self._lock:
            self._samples += 1

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

    def sent(self) -> None:
        """A waiting sample was sent."""
        with self._lock:
            self._sent += 1

    def answered(self, result: StreamInferenceResult) -> None:
        """A sent sample has its row."""
        with self._lock:
            self._answered += 1
            self._ok += result.ok
            if result.ok:
                self._latencies.append(result.inference_latency_ms)
            if result.usage is not None:
                u = result.usage
                for i, n in enumerate((u.prompt_tokens, u.completion_tokens, u.total_tokens)):
                    self._tokens[i] += n
                if u.cost_cents is not None:
                    self._cost_cents = (self._cost_cents or 0.0) + u.cost_cents

    def snapshot(self) -> StreamStats:
        """The figures now, all of the same moment."""
        with self._lock:
            latencies = sorted(self._latencies)
            return StreamStats(
                samples=self._samples,
                results=self._ok,
                errors=self._answered - self._ok,
                drops=dict(self._drops),
                waiting=self._samples - self._sent - self._dropped_unsent,
                in_flight=self._sent - self._answered,
                latency_p50_ms=_percentile(latencies, 0.50),
                latency_p95_ms=_percentile(latencies, 0.95),
                prompt_tokens=self._tokens[0],
                completion_tokens=self._tokens[1],
                total_tokens=self._tokens[2],
                cost_cents=self._cost_cents,
            )

    def latest_latencies(self, count: int) -> list[float]:
        """Inference latencies of the newest answers in milliseconds, oldest first."""
        with self._lock:
            newest = list(islice(reversed(self._latencies), count))
        return newest[::-1]


def _percentile(ordered: list[float], share: float) -> float | None:
    """The smallest value that at least ``share`` of the values do not exceed (nearest rank)."""
    if not ordered:
        return None
    rank = -(-len(ordered) * round(share * 100) // 100)  # ceiling, in whole numbers
    return ordered[max(rank, 1) - 1]
