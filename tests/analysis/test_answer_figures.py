"""latency, tokens, cost, drops: against plain Python."""

from __future__ import annotations

import statistics
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overshoot_nb import SampleNotKeptError, ValidationError
from overshoot_nb.running.run_registry import remember_run
from overshoot_nb.store.journal import Journal
from overshoot_nb.types import EncodedFrame, Sample, StreamInferenceResult, Usage

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["m1", "m2"]),
        st.integers(1, 2),
        st.floats(0.1, 1e5),
        st.booleans(),
        st.one_of(st.none(), st.tuples(st.integers(0, 9999), st.integers(0, 9999))),
        st.one_of(st.none(), st.floats(0, 10)),
    ),
    max_size=30,
)


def result(i: int, model="m", version=1, ms=10.0, ok=True, tokens=(3, 2), cents=None, stream="a"):
    usage = None if tokens is None else Usage(*tokens, sum(tokens), cents)
    return StreamInferenceResult(
        f"r{i}", stream, "frame", model, "?", "x", ms, 2 * ms, ok, sample=i, media_time=i / 2,
        prompt_version=version, usage=usage,
    )  # fmt: skip


def frame(rows) -> pd.DataFrame:
    journal = Journal(None, 0)
    for i, row in enumerate(rows):
        journal.table.append(result(i, *row))
    return journal.table.df


@settings(max_examples=100, deadline=None)
@given(ROWS)
def test_figures_by_model_and_version_are_those_of_plain_python(rows):
    df = frame(rows)
    models = list(dict.fromkeys(r[0] for r in rows))  # categories are in the order they came
    groups = sorted({(r[0], r[1]) for r in rows}, key=lambda g: (models.index(g[0]), g[1]))
    latency = df.overshoot.latency(percentiles=(0, 37.5, 50, 100))
    tokens, cost = df.overshoot.tokens(), df.overshoot.cost()
    priced = df.overshoot.cost({"m1": (100, 1_000), "m2": (0, 0)}) if rows else cost
    for table in (latency, tokens, cost, priced):
        assert list(zip(table["model"], table["prompt_version"], strict=True)) == groups
    for place, key in enumerate(groups):
        own = [r for r in rows if (r[0], r[1]) == key]
        good = [r[2] for r in own if r[3]]
        row = latency.iloc[place]
        assert (row["n"], row["ok"]) == (len(own), len(good))
        for name, factor in (("inference", 1), ("total", 2)):
            values = [factor * v for v in good]
            if not values:
                assert np.isnan(row[f"{name}_mean_ms"])
                assert np.isnan(row[f"{name}_p50_ms"])
                continue
            assert row[f"{name}_mean_ms"] == pytest.approx(statistics.fmean(values))
            assert row[f"{name}_p50_ms"] == pytest.approx(statistics.median(values))
            assert row[f"{name}_p37.5_ms"] == pytest.approx(np.percentile(values, 37.5))
            assert row[f"{name}_p0_ms"] == min(values)
            assert row[f"{name}_max_ms"] == row[f"{name}_p100_ms"] == max(values)
        said = [r[4] for r in own if r[4] is not None]
        row = tokens.iloc[place]
        assert (row["n"], row["known"]) == (len(own), len(said))
        if said:
            assert row["prompt_tokens"] == sum(p for p, _ in said)
            assert row["total_tokens"] == sum(p + c for p, c in said)
            assert row["tokens_per_answer"] == pytest.approx(sum(map(sum, said)) / len(said))
        else:
            assert row["total_tokens"] is pd.NA
        cents = [r[5] for r in own if r[4] is not None and r[5] is not None]
        row = cost.iloc[place]
        assert row["priced"] == len(cents)
        assert row["cents"] == pytest.approx(sum(cents) if cents else np.nan, nan_ok=True)
        row = priced.iloc[place]
        due = sum(p * 100 + c * 1_000 for p, c in said) / 1e6 if key[0] == "m1" else 0
        assert row["priced"] == len(said)
        assert row["cents"] == pytest.approx(due if said else np.nan, nan_ok=True)


def test_percentiles_are_those_of_pandas():
    rng = np.random.default_rng(0)
    df = frame(
        [
            ("m", int(v), float(ms))
            for v, ms in zip(rng.integers(1, 4, 500), rng.random(500) + 1, strict=True)
        ]
    )
    ours = df.overshoot.latency("prompt_version", (5, 33, 99.9))
    theirs = df.groupby("prompt_version")["total_latency_ms"]
    for name, q in (("p5", 0.05), ("p33", 0.33), ("p99.9", 0.999)):
        np.testing.assert_allclose(ours[f"total_{name}_ms"], theirs.quantile(q))


def test_all_rows_together_and_other_columns():
    df = frame([("m1", 1, 10.0), ("m2", 1, 30.0)])
    assert df.overshoot.latency(by=()).iloc[0]["inference_mean_ms"] == 20
    assert df.overshoot.tokens(by="stream_id")["total_tokens"].tolist() == [10]
    assert len(df.head(0).overshoot.latency()) == 0
    assert len(df.head(0).overshoot.cost()) == 0
    assert df.head(0).overshoot.latency(by=())["n"].tolist() == [0]


def test_a_price_of_another_model_leaves_what_the_server_said():
    df = frame([("m1", 1, 1.0, True, (1_000_000, 0), 7.0), ("m2", 1, 1.0, True, (1, 1), 0.5)])
    assert df.overshoot.cost({"m1": (3, 0)})["cents"].tolist() == [3.0, 0.5]
    assert df.overshoot.cost()["cents_per_answer"].tolist() == [7.0, 0.5]


@pytest.mark.parametrize(
    "prices", [{"m": 3}, {"m": (1,)}, {"m": (1, -1)}, {"m": ("1", 2)}, [("m", 1)]]
)
def test_wrong_prices_are_refused(prices):
    with pytest.raises(ValidationError, match="prices"):
        frame([("m",)]).overshoot.cost(prices)


def test_what_is_wrong_is_said():
    rows = frame([("m",)]).overshoot
    with pytest.raises(ValidationError, match="these rows are of 'm'"):
        rows.cost({"other": (1, 2)})
    with pytest.raises(ValidationError, match="percentiles"):
        rows.latency(percentiles=(101,))
    with pytest.raises(ValidationError, match="needs the column town"):
        rows.latency(by="town")
    for percentiles in (95, "95", None):
        with pytest.raises(ValidationError, match="it must be several"):
            rows.latency(percentiles=percentiles)
    with pytest.raises(ValidationError, match="the result has a figure of that name"):
        rows.latency(by="ok")
    with pytest.raises(ValidationError, match="a column of lists or objects makes no groups"):
        frame([("m",)]).assign(tags=[[1]]).overshoot.tokens(by="tags")
    with pytest.raises(ValidationError, match="names a column twice"):
        rows.tokens(by=("model", "model"))


# ---- drops ---------------------------------------------------------------------------------------


class OneRun:
    """A run, as far as drops look at it."""

    def __init__(self) -> None:
        self.journal = Journal(None, 0)


def sample(i: int, at: float) -> Sample:
    return Sample(i, "frame", at, datetime.now(UTC), (EncodedFrame(at, b"", 1, 1),))


def run_of(*fates: str | None, stream: str = "s1", run: OneRun | None = None) -> OneRun:
    run = run or OneRun()
    journal, first = run.journal, len(run.journal.log)
    for i, reason in enumerate(fates, first):
        at = (i - first) / 2
        journal.sampled(sample(i, at))
        if reason is None:
            journal.sent()
            journal.answered(replace(result(i, stream=stream), media_time=at))
        elif reason != "waiting":
            journal.dropped(i, reason, sent=False)
    remember_run(stream, run)  # type: ignore[arg-type]
    return run


def test_drops_by_reason_with_their_share_and_times():
    run = run_of(None, "late", "late", None, "skipped", None, "late", "waiting", stream="d1")
    got = run.journal.table.df.overshoot.drops()
    assert got["reason"].tolist() == ["late", "skipped"]
    assert got["count"].tolist() == [3, 1]
    assert got["share"].tolist() == [3 / 8, 1 / 8]
    assert got["first"].dt.total_seconds().tolist() == [0.5, 2.0]
    assert got["last"].dt.total_seconds().tolist() == [3.0, 2.0]
    # The whole stream's, whichever of its rows these are.
    pd.testing.assert_frame_equal(run.journal.table.df.head(1).overshoot.drops(), got)


def test_a_restarted_stream_has_drops_of_each_run():
    run = run_of(None, "late", None, stream="d2")
    run_of("late", None, None, stream="d3", run=run)
    got = run.journal.table.df.overshoot.drops()
    assert got["stream_id"].tolist() == ["d2", "d3"]
    assert got["share"].tolist() == pytest.approx([1 / 3, 1 / 3])
    assert got["first"].dt.total_seconds().tolist() == [0.5, 0.0]


def test_no_drops_are_no_rows_of_the_same_columns():
    run = run_of(None, None, stream="d4")  # which is held
    got = run.journal.table.df.overshoot.drops()
    assert list(got) == ["stream_id", "reason", "count", "share", "first", "last"]
    assert len(got) == 0
    assert got["first"].dtype == "timedelta64[us]"


def test_rows_of_a_recordings_file_say_it_themselves():
    df = pd.DataFrame(
        {
            "kind": ["result", "drop", "waiting", "drop"],
            "sample": [0, 1, 2, 3],
            "media_time": [0.0, 0.5, 1.0, 1.5],
            "reason": [None, "late", None, "late"],
            "stream_id": ["gone"] * 4,
        }
    )
    got = df.overshoot.drops()
    assert got["count"].tolist() == [2]
    assert got["share"].tolist() == [0.5]


def test_a_stream_that_is_gone_is_named():
    with pytest.raises(SampleNotKeptError, match="gone-for-good"):
        pd.DataFrame({"stream_id": ["gone-for-good"]}).overshoot.drops()
