"""``Tally``: what became of the samples of a backfill."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from typing import Literal

#: An answer that can be used, one that cannot, no answer, or nobody left to ask.
Outcome = Literal["answered", "unusable", "failed", "missing"]


class Tally:
    """An outcome for each sample that has one. Any thread may use it.

    Attributes:
        samples: indices of the samples that are meant, ascending.
    """

    def __init__(self, samples: Iterable[int]) -> None:
        self.samples = tuple(samples)
        self._lock = threading.Lock()
        self._outcomes: dict[int, Outcome] = {}
        self._missing: dict[int, str] = {}
        self._known: set[int] = set()
        self._counts: Counter[Outcome] = Counter()

    def settle(self, sample: int, outcome: Outcome, *, known: bool = False) -> None:
        """Say what became of a sample; ``known`` where its answer cost nothing."""
        with self._lock:
            if (before := self._outcomes.get(sample)) is not None:
                self._counts[before] -= 1
            self._outcomes[sample] = outcome
            self._counts[outcome] += 1
            if known:
                self._known.add(sample)

    def miss(self, sample: int, why: str) -> None:
        """Nobody can be asked about a sample any more."""
        with self._lock:
            self._missing[sample] = why
        self.settle(sample, "missing")

    def reopen_failed(self) -> None:
        """What got no answer counts as not asked about."""
        with self._lock:
            for sample in [s for s, outcome in self._outcomes.items() if outcome == "failed"]:
                del self._outcomes[sample]
            del self._counts["failed"]

    @property
    def known(self) -> int:
        """Answers that were known and cost nothing."""
        return len(self._known)

    def count(self, *outcomes: Outcome) -> int:
        """Samples with one of these outcomes."""
        return sum(self._counts[outcome] for outcome in outcomes)

    @property
    def missing(self) -> dict[int, str]:
        """Samples that nobody can be asked about, and why."""
        with self._lock:
            return dict(self._missing)

    @property
    def settled(self) -> list[int]:
        """Samples that have an outcome."""
        return [sample for sample in self.samples if sample in self._outcomes]

    @property
    def remaining(self) -> list[int]:
        """Samples that have none yet."""
        return [sample for sample in self.samples if sample not in self._outcomes]

    def __len__(self) -> int:
        return len(self._outcomes)
