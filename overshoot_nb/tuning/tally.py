"""``Tally``: what became of the samples of a backfill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal

__all__ = ["Outcome", "Tally"]

#: An answer that can be used, one that cannot, no answer, or nobody left to ask.
Outcome = Literal["answered", "unusable", "failed", "missing"]


class Tally:
    """An outcome for each sample that has one. One thread writes, any may read.

    Attributes:
        samples: indices of the samples that are meant, ascending.
        known: how many answers were known and cost nothing.
    """

    def __init__(self, samples: Iterable[int]) -> None:
        self.samples = tuple(samples)
        self.known = 0
        self._outcomes: dict[int, Outcome] = {}
        self._missing: dict[int, str] = {}
        self._counts: Counter[Outcome] = Counter()

    def settle(self, sample: int, outcome: Outcome) -> None:
        """Say what became of a sample."""
        self._outcomes[sample] = outcome
        self._counts[outcome] += 1

    def miss(self, sample: int, why: str) -> None:
        """Nobody can be asked about a sample any more."""
        self._missing[sample] = why
        self.settle(sample, "missing")

    def reopen_failed(self) -> None:
        """What got no answer counts as not asked about."""
        for sample, outcome in list(self._outcomes.items()):
            if outcome == "failed":
                del self._outcomes[sample]
        del self._counts["failed"]

    def count(self, *outcomes: Outcome) -> int:
        """Samples with one of these outcomes."""
        return sum(self._counts[outcome] for outcome in outcomes)

    @property
    def missing(self) -> dict[int, str]:
        """Samples that nobody can be asked about, and why."""
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
