"""What figures show of odd values, before any library draws them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overshoot_nb.analysis.distributions import counts, heatmap, latency_curves
from overshoot_nb.analysis.figures import clock, time_axis
from overshoot_nb.analysis.timeline import timeline

ALIKE = ["q" * 60 + end for end in "0123"]


@pytest.mark.parametrize("dtype", ["object", "string", "category"])
def test_values_that_begin_alike_stay_apart(dtype):
    texts = [*ALIKE, ALIKE[0]]
    df = pd.DataFrame({"out.x": pd.Series(texts, dtype=dtype), "media_time": np.arange(5.0)})
    bars = counts(df, "x")
    assert dict(zip((label[-1] for label in bars.labels), bars.counts, strict=True)) == {
        "0": 2, "1": 1, "2": 1, "3": 1,
    }  # fmt: skip
    (panel,) = timeline(df, "x", None).panels
    assert len(set(panel.labels)) == 4
    assert all(len(label) <= 40 for label in panel.labels)


def test_objects_that_say_the_same_are_one_and_others_are_not():
    values = [[1, 2], (1, 2), [2, 1], np.array([1, 2]), True, 1, "true", {"b": 1, "a": 2}]
    df = pd.DataFrame({"out.x": pd.Series([*values, {"a": 2, "b": 1}], dtype=object)})
    assert sorted(counts(df, "x").counts) == [1, 1, 1, 1, 2, 3]


def test_texts_alike_at_both_ends_get_numbers():
    texts = [f"{'q' * 60}{k}{'q' * 60}" for k in range(3)]
    labels = counts(pd.DataFrame({"out.x": texts}), "x").labels
    assert len(set(labels)) == 3
    assert [label[:3] for label in labels[1:]] == ["(2)", "(3)"]


@pytest.mark.parametrize(
    "values",
    [
        1.7e9 + np.arange(100.0),
        1e15 + np.arange(100.0) / 2,
        np.arange(100) * 1e-15,
        np.arange(100) / 7 - 3,
        np.linspace(-0.8, 0.8, 100) * 1e308,
        np.linspace(-1, 1, 100) * 1.7e308 / 2 + np.r_[-0.85e308, np.zeros(98), 0.85e308],
    ],
)
def test_ranges_of_numbers_are_told_apart_and_hold_all_of_them(values):
    df = pd.DataFrame({"out.x": values, "media_time": np.arange(100.0)})
    bars = counts(df, "x")
    assert len(set(bars.labels)) == len(bars.labels) <= 20
    assert len(bars.labels) > 5
    assert sum(bars.counts) == bars.total == 100
    lines = heatmap(df, "x", None)
    assert len(set(lines.y_labels)) == len(lines.y_labels)
    assert lines.counts.sum() == 100


def test_models_whose_names_begin_alike_have_curves_of_their_own():
    df = pd.DataFrame({"model": np.repeat(ALIKE, 3), "inference_latency_ms": np.arange(12.0) + 1})
    curves = latency_curves(df, "inference").curves
    assert len({curve.name for curve in curves}) == 4
    assert [curve.n for curve in curves] == [3] * 4


def test_events_of_other_runs_are_not_shaded():
    df = pd.DataFrame({"stream_id": "a", "media_time": np.arange(6.0), "out.n": range(6)})
    events = pd.DataFrame({"stream_id": ["a", "b", None], "start": [1.0, 2.0, 3.0]})
    events["end"] = events["start"] + 1
    (bands,) = timeline(df, "n", events).bands
    assert [band.start for band in bands] == [1.0, 3.0]


def test_lists_are_no_panel_whatever_the_index():
    df = pd.DataFrame({"media_time": np.arange(3.0), "out.tags": [None, ["a"], []], "out.n": 1})
    df = pd.concat([df, df])
    assert [panel.title for panel in timeline(df, None, None).panels] == [""]
    assert timeline(df, None, None).title == "out.n over media time"
    assert "of too many" not in " ".join(timeline(df, None, None).notes)


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 1e6), st.floats(0.001, 1e6))
def test_ticks_are_few_round_and_inside(start, span):
    axis = time_axis(start, start + span)
    slack = 1e-6 + 1e-8 * span
    assert len(axis.ticks) <= 11
    assert all(axis.start - slack <= t <= axis.end + slack for t in axis.ticks)
    assert len({axis.label(t) for t in axis.ticks}) == len(axis.ticks)


@pytest.mark.parametrize(
    ("seconds", "parts", "text"),
    [
        (0, 1, "0"),
        (12.5, 1, "12.5"),
        (185, 2, "3:05"),
        (3785.25, 3, "1:03:05.25"),
        (-5, 2, "-0:05"),
    ],
)
def test_times_are_written_as_people_do(seconds, parts, text):
    assert clock(seconds, parts) == text
