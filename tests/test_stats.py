"""Every sample is counted once, whatever becomes of it."""

import random

from hypothesis import given
from hypothesis import strategies as st

from overshoot_nb.stats import Counters
from overshoot_nb.types import StreamInferenceResult, Usage


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


def test_percentiles_are_values_that_occurred():
    counters = Counters()
    assert counters.snapshot().latency_p50_ms is None
    latencies = [float(n) for n in range(1, 101)]
    random.Random(1).shuffle(latencies)
    for latency in latencies:
        counters.sampled()
        counters.sent()
        counters.answered(result(True, latency))
    assert counters.snapshot().latency_p50_ms == 50
    assert counters.snapshot().latency_p95_ms == 95


def test_tokens_are_summed_where_they_are_known():
    counters = Counters()
    for usage in (Usage(10, 2, 12), None, Usage(20, 3, 23)):
        counters.sampled()
        counters.sent()
        counters.answered(result(True, usage=usage))
    s = counters.snapshot()
    assert (s.prompt_tokens, s.completion_tokens, s.total_tokens) == (30, 5, 35)
