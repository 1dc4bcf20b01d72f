"""Rows for the page: cut short, and found by a filter."""

import json
import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from overshoot_nb.types import StreamInferenceResult, Usage
from overshoot_nb.widget.rows import CHIP_CUT, CHIPS, RECENT_CUT, ROW_CUT, fits, row_of


def result(text="", *, ok=True, error=None, version=1, output=None) -> StreamInferenceResult:
    return StreamInferenceResult(
        "res_1",
        "s",
        "frame",
        "m",
        "p",
        text,
        12.34,
        20.0,
        ok,
        error,
        sample=5,
        media_time=2.5,
        prompt_version=version,
        usage=Usage(3, 4, 7),
        output=output,
    )


def test_a_row_says_what_the_list_shows():
    row = row_of(3, result("hello"))
    assert (row["row"], row["sample"], row["text"], row["cut"]) == (3, 5, "hello", False)
    assert (row["latency_ms"], row["tokens"], row["chips"]) == (12.3, 7, None)


def test_a_copy_has_no_latency():
    """JSON has no NaN, and a browser cannot read what has."""
    copied = replace(result("hello"), inference_latency_ms=math.nan, copied_from=4)
    assert row_of(3, copied)["latency_ms"] is None


def test_long_answers_are_cut():
    row = row_of(0, result("x" * 100_000))
    assert len(row["text"]) == ROW_CUT
    assert row["cut"]


@given(
    st.dictionaries(
        st.text(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=300),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=30,
        ),
        max_size=40,
    )
)
def test_chips_are_short_whatever_the_answer_holds(output):
    row = row_of(0, result(json.dumps(output), output=output))
    assert row["chips"] is not None
    assert len(row["chips"]) == min(len(output), CHIPS)
    assert all(len(key) <= CHIP_CUT and len(text) <= CHIP_CUT for key, text in row["chips"])
    json.dumps(row)


def test_the_rows_of_a_saved_notebook_are_small_whatever_the_answers():
    output = {f"{'k' * 60}{i}": "v" * 500 for i in range(60)}
    row = row_of(0, result(json.dumps(output), output=output), RECENT_CUT)
    assert 20 * len(json.dumps(row)) < 25_000


def test_chips_are_texts_as_json_has_them():
    output = {"n": 3, "s": "Q4", "none": None, "yes": True, "list": [1, "a"]}
    assert row_of(0, result(output=output))["chips"] == [
        ("n", "3"),
        ("s", "Q4"),
        ("none", "null"),
        ("yes", "true"),
        ("list", '[1, "a"]'),
    ]
    assert row_of(0, result(output=[1]))["chips"] is None
    assert row_of(0, result(output=output, ok=False))["chips"] is None


def test_a_filter_asks_for_every_word():
    good, bad = result("HAWKS 88 Wolves", version=2), result("", ok=False, error="HTTP 429 goal")
    assert fits("hawks 88")(good)
    assert not fits("hawks 89")(good)
    assert fits("is:error")(bad)
    assert not fits("is:error")(good)
    assert fits("is:ok wolves v:2")(good)
    assert not fits("v:1")(good)
    assert fits("429")(bad)
    assert fits("v:x") is not None
    assert not fits("v:x")(good)
