"""What happened to the samples of a stream, counted."""

from __future__ import annotations

import math
import threading
from bisect import insort
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from overshoot_nb.types import StreamInferenceResult

#: Newest latencies that are known in the order in which they came.
LATEST = 1000

#: What was lost and found again: the source of the video, or the channel of a server's results.
Reconnected = Literal["source", "result channel"]


def quantile(share: float, count: Any, pick: Callable[[Any], Any]) -> Any:
    """The value that ``share`` (0..1) of the values do not exceed: the one definition of p50, p95.

    Between two values in proportion (linearly), as NumPy's and pandas' own. ``stream.stats``, the
    widget and ``df.overshoot.latency()`` have it of the same rows: all with ``ok=True``.

    Args:
        share: 0.5 for the median.
        count: how many values there are, 1 or more; or an array of that.
        pick: gives the value of a rank from 0, the smallest, on; ranks are whole, as floats. An
            array of counts has an array of ranks.
    """
    place = share * (count - 1)
    below = place // 1
    low, high = pick(below), pick(below + (place > below))
    return low + (high - low) * (place - below)


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
        latency_p50_ms, latency_p95_ms: inference latency of all results, between two of them in
            proportion; None before the first.
        latency_latest_ms: that of the newest answer, or None.
        prompt_tokens, completion_tokens, total_tokens: sums over all answers that said.
        cost_cents: what the answers and the stream's lease cost as far as the server said, in US
            cents; None where it never did.
        seconds_charged: seconds of the stream that a v0.2 server charged for, else None.
        credits_remaining_cents: what the account had left when the lease was last renewed, in US
            cents; None where the server does not say.
        reconnections: times that a connection was lost and found again.
        reconnections_by_cause: the same by what it was: "source" is that of the video, "result
            channel" that on which a v0.2 server sends its results.
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
    reconnections_by_cause: Mapping[str, int] = field(default_factory=dict)
    copies: int = 0


class Counters:
    """The running counts behind :class:`StreamStats`; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples = self._sent = self._answered = self._ok = 0
        self._dropped_unsent = self._copies = 0
        self._drops: Counter[str] = Counter()
        self._latest: deque[float] = deque(maxlen=LATEST)
        # Of all rows, which hold these very numbers: a reference each. Those that came since the
        # last snapshot are not in order yet.
        self._ordered: list[float] = []
        self._unordered: list[float] = []
        self._tokens = [0, 0, 0]
        self._answers_cents: float | None = None
        self._leases = (_Charged(), _Charged())  # of the runs before, and of this one
        self._credits_cents: float | None = None
        self._reconnections: Counter[str] = Counter()

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
                    self._latest.append(result.inference_latency_ms)
                    self._unordered.append(result.inference_latency_ms)
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

    def reconnected(self, cause: Reconnected = "result channel", count: int = 1) -> None:
        """A connection was lost and found again."""
        with self._lock:
            self._reconnections[cause] += count

    def snapshot(self) -> StreamStats:
        """The figures now, all of the same moment."""
        with self._lock:
            self._order()
            lease = self._leases[0] + self._leases[1]
            return StreamStats(
                samples=self._samples,
                results=self._ok,
                errors=self._answered - self._ok,
                drops=dict(self._drops),
                waiting=self._samples - self._sent - self._dropped_unsent,
                in_flight=self._sent - self._answered,
                latency_p50_ms=self._percentile(0.50),
                latency_p95_ms=self._percentile(0.95),
                latency_latest_ms=self._latest[-1] if self._latest else None,
                prompt_tokens=self._tokens[0],
                completion_tokens=self._tokens[1],
                total_tokens=self._tokens[2],
                cost_cents=_sum(self._answers_cents, lease.cents),
                seconds_charged=lease.seconds,
                credits_remaining_cents=self._credits_cents,
                reconnections=self._reconnections.total(),
                reconnections_by_cause=dict(self._reconnections),
                copies=self._copies,
            )

    def latest_latencies(self, count: int) -> list[float]:
        """Inference latencies of the newest answers in milliseconds, oldest first."""
        with self._lock:
            newest = list(islice(reversed(self._latest), count))
        return newest[::-1]

    def _order(self) -> None:
        # One by one it is in the logarithm and a copy of references, a sort looks at all of them.
        if len(self._unordered) < 50:
            for latency in self._unordered:
                insort(self._ordered, latency)
        else:
            self._ordered += self._unordered
            self._ordered.sort()
        self._unordered.clear()

    def _percentile(self, share: float) -> float | None:
        if not self._ordered:
            return None
        value: float = quantile(share, len(self._ordered), lambda r: self._ordered[int(r)])
        return value


@dataclass(frozen=True, slots=True)
class _Charged:
    cents: float | None = None
    seconds: float | None = None

    def __add__(self, other: _Charged) -> _Charged:
        return _Charged(_sum(self.cents, other.cents), _sum(self.seconds, other.seconds))


def _sum(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other


def counts_in_words(stats: StreamStats) -> str:
    """The counts in words: "12 results, 1 error, 3 drops, p50 310 ms"."""

    def count(n: int, word: str) -> str:
        return f"{n:,} {word}{'' if n == 1 else 's'}"

    words = [count(stats.results, "result")]
    if stats.errors:
        words.append(count(stats.errors, "error"))
    if drops := sum(stats.drops.values()):
        words.append(count(drops, "drop"))
    if stats.latency_p50_ms is not None:
        words.append(f"p50 {stats.latency_p50_ms:,.0f} ms")
    return ", ".join(words)
