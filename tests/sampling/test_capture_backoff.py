"""When a lost connection is tried again."""

from __future__ import annotations

import random

import pytest

from overshoot_nb.sampling.reading import reconnect_delay


@pytest.mark.parametrize(
    ("attempt", "nominal"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (7, 30), (50, 30)]
)
def test_waits_double_from_1_to_30_seconds_give_or_take_a_fifth(attempt, nominal) -> None:
    random.seed(attempt)
    waits = [reconnect_delay(attempt) for _ in range(2000)]
    low, high = max(1.0, nominal * 0.8), min(30.0, nominal * 1.2)
    assert all(low <= wait <= high for wait in waits)
    # Spread over the whole of that range.
    assert min(waits) < low + 0.05 * nominal
    assert max(waits) > high - 0.05 * nominal
    assert len(set(waits)) > 500


def test_waiting_for_days_does_not_overflow() -> None:
    assert 24 <= reconnect_delay(100_000) <= 30
