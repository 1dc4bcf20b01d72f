"""Answers of backfills beside the rows: dtypes, missing ones, copies."""

from __future__ import annotations

import gc
import json
import warnings
import weakref
from datetime import UTC, datetime

import pandas as pd
import pytest

from overshoot_nb.store.columns import TEXT
from overshoot_nb.store.later_answers import LaterAnswers
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.store.table import ResultTable
from overshoot_nb.tuning.side_columns import add_side_columns
from overshoot_nb.types import StreamInferenceResult

SCHEMA = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "x": {"type": "number"},
        "sure": {"type": "boolean"},
        "kind": {"enum": ["car", "bus"]},
        "note": {"type": "string"},
        "at": {"type": "string", "format": "date-time"},
        "tags": {"type": "array"},
        "home": {"type": "object", "properties": {"score": {"type": "integer"}}},
        "any": {},
    },
}
FULL = {
    "n": 2**60,
    "x": 0.5,
    "sure": True,
    "kind": "bus",
    "note": "n",
    "at": "2026-01-02T03:04:05Z",
    "tags": ["a", "b"],
    "home": {"score": 3},
    "any": "text",
}


def a_result(sample: int, text: str = "live", *, version: int = 1, output=None, **fields):
    known = {
        "id": "r", "stream_id": "s", "mode": "frame", "model_name": "m", "prompt": "p",
        "inference_latency_ms": 1.0, "total_latency_ms": 1.0, "ok": True,
        "captured_at": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    if output is not None:
        text = json.dumps(output)
    return StreamInferenceResult(
        **{**known, **fields}, result=text, sample=sample, prompt_version=version, output=output
    )


def rows(*samples: int) -> pd.DataFrame:
    table = ResultTable()
    for sample in samples:
        table.append(a_result(sample))
    return table.df


def test_texts_stand_on_the_rows_of_their_samples():
    later = LaterAnswers()
    later.show("new", PromptVersion(2, "p", "m"))
    for sample in (5, 1, 99):  # the last has no row
        later.put(a_result(sample, f"of {sample}", version=2))
    later.put(a_result(3, "", version=2, ok=False, error="it broke"))
    later.put(a_result(4, "", version=2))
    later.put(a_result(5, "another version", version=3))
    frame = rows(0, 5, 3, 1, 4)  # answers of a live stream come in any order
    before = list(frame.columns)
    add_side_columns(frame, later)
    assert list(frame.columns) == [*before, "new", "new.ok", "new.error"]
    assert frame["new"].dtype == frame["new.error"].dtype == TEXT
    assert frame["new.ok"].dtype == "boolean"
    assert frame["new"].fillna("-").tolist() == ["-", "of 5", "-", "of 1", ""]
    assert frame["new.ok"].fillna(False).tolist() == [False, True, False, True, True]
    assert frame["new.ok"].isna().tolist() == [True, False, False, False, False]
    assert frame["new.error"].fillna("-").tolist() == ["-", "-", "it broke", "-", "-"]
    assert frame["result"].tolist() == ["live"] * 5


def test_an_answer_without_a_word_is_an_empty_text_and_no_answer_is_missing():
    later = LaterAnswers()
    later.show("new", PromptVersion(2, "p", "m"))
    cut = {"ok": False, "error": "the answer was cut off", "finish_reason": "length"}
    later.put(a_result(0, "", version=2, **cut))
    later.put(a_result(1, "", version=2, ok=False, error="it broke"))
    frame = rows(0, 1)
    add_side_columns(frame, later)
    assert frame["new"].fillna("-").tolist() == ["", "-"]


def test_fields_have_the_dtypes_of_the_table():
    later = LaterAnswers()
    later.show("v2", PromptVersion(2, "p", "m", SCHEMA))
    later.put(a_result(1, version=2, output=FULL))
    later.put(a_result(2, version=2, output={}))
    frame = rows(0, 1, 2)
    add_side_columns(frame, later)
    table = ResultTable(SCHEMA)
    table.append(a_result(1, output=FULL))
    alone = table.df
    for name in alone.columns[alone.columns.str.startswith("out.")]:
        side = frame[f"v2.{name}"]
        assert side.dtype == alone[name].dtype, name
        assert side[1] == alone[name][0], name
        assert side.isna().tolist() == [True, False, True], name
    assert frame["v2.out.tags"][0] is None
    assert frame["v2.out.home.score"][1] == 3


@pytest.mark.parametrize("samples", [(), (0, 1)])
def test_without_rows_or_answers_the_columns_are_there(samples):
    later = LaterAnswers()
    frame = rows(*samples)
    add_side_columns(frame, later)
    assert "v2" not in frame
    later.show("v2", PromptVersion(2, "p", "m", SCHEMA))
    add_side_columns(frame, later)
    assert frame["v2.out.n"].dtype == "Int64"
    assert frame["v2.out.tags"].dtype == object
    assert frame["v2"].dtype == TEXT
    assert frame.filter(like="v2").isna().all(axis=None)
    later.put(a_result(7, version=2, output=FULL))
    add_side_columns(frame, later)
    assert frame["v2"].isna().all()


def test_what_changes_later_is_seen_next_time_and_an_edit_nowhere_else():
    later = LaterAnswers()
    later.show("v2", PromptVersion(2, "p", "m"))
    later.put(a_result(0, "first", version=2))
    one, two = rows(0, 1), rows(0, 1)
    add_side_columns(one, later)
    one.loc[0, "v2"] = "edited"
    one.loc[0, "v2.ok"] = False
    add_side_columns(two, later)
    assert two["v2"][0] == "first"
    assert two["v2.ok"][0]
    later.put(a_result(1, "second", version=2))
    add_side_columns(two, later)
    assert two["v2"].tolist() == ["first", "second"]
    assert one["v2"].fillna("-").tolist() == ["edited", "-"]
    later.hide("v2")
    three = rows(0)
    add_side_columns(three, later)
    assert "v2" not in three


@pytest.mark.parametrize("samples", [(0, 1, 2), (2, 0, 1), (0, 2, 7)])
def test_columns_belong_to_the_frame_whatever_their_type(samples):
    later = LaterAnswers()
    later.show("v2", PromptVersion(2, "p", "m", SCHEMA))
    for sample in range(3):
        later.put(a_result(sample, version=2, output={**FULL, "n": sample}))
    edited, kept = rows(*samples), rows(*samples)
    edited.index = kept.index = pd.Index(list("abc"))  # rows may have names of their own
    add_side_columns(edited, later)
    for name in edited.columns[edited.columns.str.startswith("v2")]:
        edited[name].array[0] = edited[name].array[1]
        if name != "v2.out.tags":  # pandas 2 takes a list for several values
            edited.loc["a", name] = edited.loc["b", name]
    add_side_columns(kept, later)
    assert kept["v2.out.n"].dropna().tolist() == [sample for sample in samples if sample < 3]
    assert kept["v2.out.tags"]["a"] == ["a", "b"]
    fresh = rows(*samples)
    add_side_columns(fresh, later)
    pd.testing.assert_frame_equal(kept.reset_index(drop=True), fresh)


def test_a_hundred_columns_are_no_warning():
    later = LaterAnswers()
    for number in range(2, 15):
        later.show(f"v{number}", PromptVersion(number, "p", "m", SCHEMA))
        later.put(a_result(0, version=number, output=FULL))
    frame = rows(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        add_side_columns(frame, later)
    assert frame.shape[1] > 150


def test_it_keeps_nobodys_answers_alive():
    later = LaterAnswers()
    later.show("v2", PromptVersion(2, "p", "m"))
    add_side_columns(rows(0), later)
    gone = weakref.ref(later)
    del later
    gc.collect()
    assert gone() is None


def test_answers_are_laid_out_once_until_they_change():
    class Counted(LaterAnswers):
        read = 0

        def of(self, version):
            self.read += 1
            return super().of(version)

    later = Counted()
    later.show("v2", PromptVersion(2, "p", "m", {"properties": {"n": {"type": "integer"}}}))
    for sample in range(0, 1000, 20):
        later.put(a_result(sample, version=2, output={"n": sample}))

    def added(count: int) -> pd.DataFrame:
        frame = pd.DataFrame({"sample": range(count)})
        add_side_columns(frame, later)
        assert frame["v2.out.n"].dropna().tolist() == list(range(0, count, 20))
        return frame

    before = added(1000)
    for count in (1000, 500, 1, 0):
        added(count)
    assert later.read == 1
    later.put(a_result(1, version=2, output={"n": -1}))
    frame = pd.DataFrame({"sample": [1, 0]})
    add_side_columns(frame, later)
    assert frame["v2.out.n"].tolist() == [-1, 0]
    assert later.read == 2
    assert before["v2.out.n"].isna()[1]  # a frame that was given out stays as it was
