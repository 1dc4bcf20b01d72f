"""Every sample is counted once, whatever becomes of it."""

import math
import random
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overshoot_nb.store.journal import Journal
from overshoot_nb.store.stats import Counters
from overshoot_nb.store.table import ResultTable
from overshoot_nb.types import Sample, StreamInferenceResult, Usage


def result(ok: bool, latency: float = 100.0, usage: Usage | None = None) -> StreamInferenceResult:
    return StreamInferenceResult("r", "s", "frame", "m", "p", "", latency, latency, ok, usage=usage)


@given(st.lists(st.sampled_from(["ok", "error", "late", "closed", "missed", "wait", "fly"])))
def test_the_sum_holds_at_every_moment(ends):
    counters = Counters()
    for end in ends:
        if end == "missed":
            counters.missed("undecodable")
        else:
            counters.sampled()
            if end == "late":
                counters.dropped("late")
            elif end != "wait":
                counters.sent()
                if end == "closed":
                    counters.dropped("closed", sent=True)
                elif end != "fly":
                    counters.answered(result(end == "ok"))
        s = counters.snapshot()
        assert s.samples == s.results + s.errors + sum(s.drops.values()) + s.waiting + s.in_flight
    s = counters.snapshot()
    assert s.samples == len(ends)
    assert (s.results, s.errors) == (ends.count("ok"), ends.count("error"))
    assert (s.waiting, s.in_flight) == (ends.count("wait"), ends.count("fly"))
    assert s.drops.get("undecodable", 0) == ends.count("missed")


def test_percentiles_lie_between_two_values_in_proportion():
    counters = Counters()
    assert counters.snapshot().latency_p50_ms is None
    latencies = [float(n) for n in range(1, 101)]
    random.Random(1).shuffle(latencies)
    for latency in latencies:
        counters.sampled()
        counters.sent()
        counters.answered(result(True, latency))
    assert counters.snapshot().latency_p50_ms == 50.5
    assert counters.snapshot().latency_p95_ms == pytest.approx(95.05)


@given(
    st.lists(
        st.lists(st.tuples(st.booleans(), st.floats(0, 1e5) | st.sampled_from([math.nan, 7.0]))),
        max_size=8,
    )
)
def test_percentiles_are_those_of_numpy_whenever_they_are_asked_for(batches):
    counters = Counters()
    known: list[float] = []
    for batch in batches:
        counters.answered(*(result(ok, latency) for ok, latency in batch))
        known += [latency for ok, latency in batch if ok and latency == latency]
        stats = counters.snapshot()
        if not known:
            assert stats.latency_p50_ms is stats.latency_p95_ms is None
            continue
        assert stats.latency_p50_ms == pytest.approx(np.percentile(known, 50))
        assert stats.latency_p95_ms == pytest.approx(np.percentile(known, 95))
        assert stats.latency_latest_ms == known[-1]


def test_stats_and_the_table_have_the_same_percentiles_of_any_number_of_rows():
    chance = random.Random(3)
    journal = Journal(None, 0)
    for n in range(5003):
        latency = chance.lognormvariate(6, 1) if n > 2500 else 40_000.0 + n  # slow at first
        journal.sampled(Sample(n, "frame", n / 10, datetime.now(UTC), ()))
        journal.sent()
        journal.answered(replace(result(chance.random() < 0.8, latency), sample=n))
        if n % 500 == 0:
            journal.counters.snapshot()
    stats = journal.counters.snapshot()
    table = journal.table.df.overshoot.latency(by=()).iloc[0]
    assert stats.results == table["ok"] > 3000
    assert stats.latency_p50_ms == table["inference_p50_ms"]
    assert stats.latency_p95_ms == table["inference_p95_ms"] > 40_000


def test_latencies_that_are_none_count_nowhere():
    rows = [result(True, latency) for latency in (10.0, math.inf, math.nan, 30.0)]
    counters, table = Counters(), ResultTable()
    counters.answered(*rows)
    table.extend(rows)
    assert counters.snapshot().latency_p95_ms == 29.0
    assert table.df.overshoot.latency(by=())["inference_p95_ms"].tolist() == [29.0]


def test_reconnections_are_told_apart_by_their_cause():
    counters = Counters()
    assert counters.snapshot().reconnections == 0
    counters.reconnected("source", 2)
    counters.reconnected("result channel")
    stats = counters.snapshot()
    assert stats.reconnections == 3
    assert stats.reconnections_by_cause == {"source": 2, "result channel": 1}


def test_tokens_are_summed_where_they_are_known():
    counters = Counters()
    for usage in (Usage(10, 2, 12), None, Usage(20, 3, 23)):
        counters.sampled()
        counters.sent()
        counters.answered(result(True, usage=usage))
    s = counters.snapshot()
    assert (s.prompt_tokens, s.completion_tokens, s.total_tokens) == (30, 5, 35)
