"""Flicker, against a slow reference that goes by the words of the documentation."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overshoot_nb.errors import ValidationError
from overshoot_nb.store.fields import comparable
from overshoot_nb.tuning.stability import flicker, stability

from judged_run import JudgedRun, answer, failed, unusable

COLUMNS = [
    "version",
    "model",
    "temperature",
    "field",
    "n",
    "pairs",
    "flip_rate",
    "flickers",
    "flicker_rate",
    "agreement",
]


def slow(values: list[int], runs: list[int], window: int) -> dict[str, float]:
    """The same, sample by sample."""
    n = len(values)
    pairs = [(i, i + 1) for i in range(n - 1) if runs[i] == runs[i + 1]]
    flips = [(i, j) for i, j in pairs if values[i] != values[j]]
    inner = [i for i in range(1, n - 1) if runs[i - 1] == runs[i] == runs[i + 1]]
    flickers = [i for i in inner if values[i - 1] == values[i + 1] != values[i]]
    shares = []
    for i in range(n):
        near = [
            j
            for j in range(max(0, i - window), min(n, i + window + 1))
            if j != i and runs[j] == runs[i]
        ]
        if near:
            shares.append(sum(values[j] == values[i] for j in near) / len(near))
    return {
        "n": n,
        "pairs": len(pairs),
        "flip_rate": len(flips) / len(pairs) if pairs else math.nan,
        "flickers": len(flickers),
        "flicker_rate": len(flickers) / len(inner) if inner else math.nan,
        "agreement": sum(shares) / len(shares) if shares else math.nan,
    }


@given(
    st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), min_size=1, max_size=4),
    st.integers(1, 15),
)
def test_the_figures_are_those_of_the_slow_reference(by_run, window):
    values = [value for run in by_run for value in run]
    runs = [number for number, run in enumerate(by_run) for _ in run]
    found = flicker(np.array(values), np.array(runs), window)
    assert found == pytest.approx(slow(values, runs, window), nan_ok=True)


def rows(run: JudgedRun, **options: Any) -> dict[tuple[int, str], dict[str, Any]]:
    frame = stability(run, **options)
    assert list(frame.columns) == COLUMNS
    return {(r["version"], r["field"]): r for r in frame.to_dict("records")}


def test_by_hand():
    run = JudgedRun(None, None)
    run.sampled(*(answer(i, said) for i, said in enumerate("AABAAC")))
    run.later(answer(5, "D"))  # came second
    run.later(answer(4, "x", version=2), unusable(5, version=2))
    found, later = rows(run, window=1).values()
    assert (later["version"], later["n"]) == (2, 1)
    assert (found["version"], found["model"], found["field"]) == (1, "owner/model", "answer")
    assert math.isnan(found["temperature"])
    assert (found["n"], found["pairs"], found["flickers"]) == (6, 5, 1)
    assert found["flip_rate"] == 3 / 5
    assert found["flicker_rate"] == 1 / 4
    assert found["agreement"] == pytest.approx((1 + 0.5 + 0 + 0.5 + 0.5 + 0) / 6)


def test_fields_runs_and_later_answers():
    run = JudgedRun(None, None)
    run.sampled(
        answer(0, {"people": 1, "open": True}),
        answer(1, {"people": 1.0}),
        unusable(2, '{"people":'),
        answer(3, {"people": 1, "open": True}),
        answer(4, {"people": 2, "open": True}, stream_id="run-2"),
        replace(failed(5), stream_id="run-2"),
        answer(6, {"people": 2, "open": True}, stream_id="run-2"),
    )
    # Asked later, in another run than that of the samples.
    run.later(*(answer(i, "x" if i < 4 else "y", version=2, stream_id="run-2") for i in range(7)))
    run.later(unusable(0, version=2))
    found = rows(run)
    people, is_open, text = found[1, "people"], found[1, "open"], found[2, "answer"]
    assert (people["n"], people["pairs"], people["flip_rate"]) == (5, 3, 0)
    assert people["agreement"] == 1
    # What an answer leaves out is null.
    assert (is_open["flip_rate"], is_open["flickers"]) == (2 / 3, 1)
    assert is_open["flicker_rate"] == 1
    assert (text["n"], text["flip_rate"], text["pairs"]) == (7, 0, 5)


def test_rows_of_another_version_stand_between():
    run = JudgedRun(None, None)
    run.sampled(*(answer(i, "x" if i % 2 else "y", version=1 + i % 2) for i in range(6)))
    found = rows(run)
    assert found[1, "answer"]["flip_rate"] == found[2, "answer"]["flip_rate"] == 0
    assert list(rows(run, versions=[2])) == [(2, "answer")]


def test_an_answer_that_could_not_be_used_gives_way_to_a_later_one():
    run = JudgedRun(None)
    run.sampled(answer(0, "x"), unusable(1), answer(2, "x"))
    run.later(answer(1, "y"), replace(answer(0, "z"), ok=True))
    found = rows(run)[1, "answer"]
    assert (found["n"], found["flickers"]) == (3, 1)


def test_temperature_is_shown():
    run = JudgedRun(None)
    hot = run.prompts.version_of(temperature=1.5)
    run.sampled(answer(0, "x", version=hot.version))
    found = rows(run)[2, "answer"]
    assert found["temperature"] == 1.5
    assert math.isnan(found["flip_rate"])
    assert math.isnan(found["agreement"])


def test_nothing_answered():
    run = JudgedRun(None)
    empty = stability(run)
    run.sampled(failed(0))
    assert len(empty) == len(stability(run)) == 0
    run.sampled(answer(1, "x"))
    assert empty.dtypes.tolist() == stability(run).dtypes.tolist()
    assert list(empty.columns) == COLUMNS


@pytest.mark.parametrize("window", [0, -1, 1.5, True, None, 10**6])
def test_what_is_no_window_is_said(window):
    with pytest.raises(ValidationError, match="window="):
        stability(JudgedRun(None), window=window)


@pytest.mark.parametrize("versions", [[2], 1, ["1"]])
def test_what_are_no_versions_is_said(versions):
    with pytest.raises(ValidationError, match="version"):
        stability(JudgedRun(None), versions=versions)


def test_values_are_compared_once_however_many_fields_a_model_makes_up(monkeypatch):
    seen = []

    def counted(value):
        seen.append(value)
        return comparable(value)

    monkeypatch.setattr("overshoot_nb.tuning.stability.comparable", counted)
    run = JudgedRun({"type": "object"})
    run.sampled(*(answer(i, {f"box {i}": i, "open": i % 2 == 0}) for i in range(200)))
    found = rows(run, window=10)
    assert found[1, "open"]["flicker_rate"] == 1
    assert found[1, "box 7"]["flickers"] == 1  # null before and after
    assert len(found) == 201
    # What is new in each field, null, and the run.
    assert len(seen) == 200 + 2 + 201 + 1


def test_lists_are_compared_as_they_are():
    run = JudgedRun(None)
    run.sampled(*(answer(i, {"boxes": boxes}) for i, boxes in enumerate([[1], [1.0], [], None])))
    assert rows(run)[1, "boxes"]["flip_rate"] == 2 / 3


def test_null_and_what_was_left_out_are_the_same():
    run = JudgedRun(None)
    run.sampled(answer(0, {"a": None, "b": 1}), answer(1, {"b": 1}), answer(2, {"a": 0, "b": 1}))
    assert rows(run)[1, "a"]["flip_rate"] == 0.5
