"""What the answers should be."""

from __future__ import annotations

import copy
import json
import math
import pickle
import threading
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overshoot_nb.errors import ValidationError
from overshoot_nb.store.columns import TEXT
from overshoot_nb.store.labels import MISSING, Labels
from overshoot_nb.tuning.labelling import label_answer

from judged_run import JudgedRun, answer, failed, unusable

SCHEMA = {
    "type": "object",
    "properties": {"people": {"type": "integer"}, "open": {"type": "boolean"}},
}


class Calls:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


# ---- the labels --------------------------------------------------------------------------------


def test_set_get_and_remove():
    changed = Calls()
    labels = Labels(changed)
    assert not labels
    assert labels.get(3) is None
    labels.set(3, "people", 2)
    labels.set(3, "home.score", None)
    labels.set(1, None, "HAWKS")
    label = labels.get(3, "people")
    assert (label.sample, label.field, label.expected, label.rejected) == (3, "people", 2, ())
    assert abs((datetime.now(UTC) - label.labelled_at).total_seconds()) < 60
    assert labels.get(3, "home.score").expected is None
    assert labels.samples == [1, 3]
    assert labels.fields == [None, "people", "home.score"]
    assert list(labels.of(3)) == ["people", "home.score"]
    assert (len(labels), 3 in labels, 2 in labels) == (3, True, False)
    assert repr(labels) == "Labels(3 of 2 samples: answer, people, home.score)"
    assert changed.count == labels.changes == 3
    labels.remove(3, "people")
    assert list(labels.of(3)) == ["home.score"]
    labels.remove(3)
    assert labels.samples == [1]
    labels.remove(3)
    labels.remove(1, "people")
    assert changed.count == 5  # nothing was there
    labels.clear()
    assert len(labels) == 0
    assert repr(labels) == "Labels(0 of 0 samples)"


def test_rejections_are_kept_once_and_undo_only_what_they_contradict():
    labels = Labels()
    labels.reject(0, "people", 3)
    labels.reject(0, "people", 3.0)
    labels.reject(0, "people", 4)
    label = labels.get(0, "people")
    assert label.expected is MISSING
    assert label.rejected == (3, 4)
    assert label.rejects(4)
    assert not label.rejects(5)
    labels.set(0, "people", 5)
    assert labels.get(0, "people").rejected == ()
    labels.reject(0, "people", 6)
    assert labels.get(0, "people").expected == 5
    labels.reject(0, "people", 5)
    assert labels.get(0, "people").expected is MISSING
    assert labels.get(0, "people").rejected == (6, 5)


def test_what_was_wrong_can_be_taken_back():
    changes = Calls()
    labels = Labels(changes)
    labels.accept(0, None, "x")
    labels.reject(0, None, "x")
    labels.reject(0, None, "y")
    labels.accept(0, None, "z")
    labels.accept(0, None, " x ")
    assert labels.get(0).rejected == ("y",)
    labels.accept(0, None, "y")
    assert not labels
    labels.set(1, "people", 3)
    labels.reject(1, "people", 4)
    labels.accept(1, "people", 4.0)
    assert (labels.get(1, "people").expected, labels.get(1, "people").rejected) == (3, ())
    assert changes.count == labels.changes == 7


def test_update_takes_all_or_nothing():
    changed = Calls()
    labels = Labels(changed)
    labels.update({0: {"people": 3, "home": {"score": 1}}, np.int64(1): "text"})
    assert labels.get(0, "home.score").expected == 1
    assert labels.get(1).expected == "text"
    assert changed.count == 1
    with pytest.raises(ValidationError, match="sample=-1"):
        labels.update({2: "x", -1: "y"})
    assert 2 not in labels
    with pytest.raises(ValidationError, match="mapping of sample to answer"):
        labels.update([1, 2])
    other = Labels()
    other.reject(1, None, "text")
    labels.update(other)
    assert labels.get(1).expected is MISSING
    labels.update(labels)
    assert len(labels) == 3


@pytest.mark.parametrize("sample", [-1, 1.0, "1", True, None])
def test_what_is_no_sample_is_said(sample):
    with pytest.raises(ValidationError, match="sample="):
        Labels().set(sample, None, "x")


@pytest.mark.parametrize("field", ["", 3, ("a", "b")])
def test_what_is_no_field_is_said(field):
    with pytest.raises(ValidationError, match="is no field"):
        Labels().set(0, field, "x")


@pytest.mark.parametrize("value", [math.nan, [math.inf], object(), {1: 2}, datetime.now(UTC), b""])
def test_what_no_answer_can_be_is_said(value):
    with pytest.raises(ValidationError, match=r"no value that an answer can have|names are text"):
        Labels().set(0, None, value)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (np.float64(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([1, 2]), [1, 2]),
        (("a", "b"), ["a", "b"]),
        ({"b", "a"}, ["a", "b"]),
    ],
)
def test_values_are_those_of_json(value, kept):
    labels = Labels()
    labels.set(0, None, value)
    expected = labels.get(0).expected
    assert expected == kept
    assert type(expected) is type(kept)
    json.dumps(expected)


def test_a_label_is_a_copy():
    labels, mine = Labels(), [1]
    labels.set(0, None, mine)
    mine.append(2)
    assert labels.get(0).expected == [1]


def test_the_table():
    labels = Labels()
    labels.set(2, "people", [1])
    labels.set(2, "open", None)
    labels.reject(0, None, "x")
    frame = labels.df
    assert list(frame.columns) == ["sample", "field", "expected", "rejected", "labelled_at"]
    assert frame["sample"].tolist() == [0, 2, 2]
    assert frame["field"].tolist() == ["answer", "people", "open"]
    assert math.isnan(frame["expected"][0])
    assert frame["expected"].tolist()[1:] == [[1], None]
    assert frame["rejected"].tolist() == [["x"], [], []]
    for shown in (frame, Labels().df):
        assert [str(t) for t in shown.dtypes] == [
            "int64",
            str(TEXT),
            "object",
            "object",
            "datetime64[us, UTC]",
        ]


values = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.lists(st.integers()))
edits = st.lists(
    st.tuples(
        st.sampled_from(["set", "reject"]),
        st.integers(0, 5),
        st.sampled_from([None, "people", "home.score", "é"]),
        values,
    )
)


@given(edits)
def test_json_keeps_everything(made):
    labels = Labels()
    for verb, sample, field, value in made:
        getattr(labels, verb)(sample, field, value)
    again = Labels.from_json(labels.to_json())
    assert list(again) == list(labels)
    assert again.to_json() == labels.to_json()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"labels": [1]}',
        '{"labels": [{"sample": 1}]}',
        '{"labels": [{"sample": -1, "field": null, "labelled_at": "2026-01-01T00:00:00+00:00"}]}',
        '{"labels": [{"sample": 1, "field": null, "labelled_at": "yesterday"}]}',
        '{"labels": [{"sample": 1, "field": null, "expected": 1e999, '
        '"labelled_at": "2026-01-01T00:00:00+00:00"}]}',
    ],
)
def test_json_that_is_something_else_is_said(text):
    with pytest.raises(ValidationError, match="no labels as to_json"):
        Labels.from_json(text)


def test_missing_stays_itself():
    assert copy.deepcopy(MISSING) is MISSING
    assert pickle.loads(pickle.dumps(MISSING)) is MISSING
    assert repr(MISSING) == "MISSING"


def test_many_threads_may_label():
    labels, n = Labels(), 200

    def work(field: str) -> None:
        for sample in range(n):
            labels.set(sample, field, sample)
            labels.reject(sample, field, -1)
            assert len(labels.df) > 0

    threads = [threading.Thread(target=work, args=(f"f{i}",)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(labels) == 3 * n
    assert labels.changes == 6 * n
    assert all(label.expected == label.sample for label in labels)


# ---- labelling the answers of a run ------------------------------------------------------------


@pytest.fixture
def run() -> JudgedRun:
    run = JudgedRun(SCHEMA, None)
    run.sampled(
        answer(0, {"people": 3, "open": True}),
        unusable(1),
        failed(2),
        "late",
        answer(4, "HAWKS"),
    )
    run.later(answer(0, "three", version=2), answer(3, "two", version=2))
    return run


def meaning(run: JudgedRun) -> dict:
    return {(x.sample, x.field): x.expected for x in run.journal.labels}


def test_label_says_what_is_expected(run):
    label_answer(run, 0, {"people": 3, "home": {"score": 1}})
    label_answer(run, 0, True, field="open")
    label_answer(run, 3, "any sample can have one")
    label_answer(run, 4, None)
    label_answer(run, 0, {"score": 2}, field="away")
    assert meaning(run) == {
        (0, "people"): 3,
        (0, "home.score"): 1,
        (0, "open"): True,
        (3, None): "any sample can have one",
        (4, None): None,
        (0, "away.score"): 2,
    }


def test_watchers_are_told_once_for_each_label(run):
    told = Calls()
    run.journal.watch(told)
    label_answer(run, 0, {"people": 3, "open": True})
    label_answer(run, 4, right=True)
    assert told.count == 2


def test_right_takes_the_answer_that_was_given(run):
    label_answer(run, 0, right=True)
    label_answer(run, 4, right=True)
    assert meaning(run) == {(0, "people"): 3, (0, "open"): True, (4, None): "HAWKS"}
    run.journal.labels.clear()
    label_answer(run, 0, right=True, field="people")
    assert meaning(run) == {(0, "people"): 3}
    label_answer(run, 0, right=True, version=2)
    assert meaning(run) == {(0, "people"): 3, (0, None): "three"}


def test_wrong_judges_only_what_was_said(run):
    label_answer(run, 0, right=False, field="people")
    label_answer(run, 4, right=False)
    label_answer(run, 3, right=False, version=2)
    labels = run.journal.labels
    assert labels.get(0, "people").rejected == (3,)
    assert labels.get(4).rejected == ("HAWKS",)
    assert labels.get(3).rejected == ("two",)
    assert all(label.expected is MISSING for label in labels)


def test_the_only_field_of_an_answer_is_wrong_where_no_other_could_be():
    one = {"type": "object", "properties": {"people": {"type": "integer"}}}
    run = JudgedRun(one, SCHEMA)
    run.sampled(answer(0, {"people": 3}))
    run.later(answer(0, {"people": 3}, version=2))
    label_answer(run, 0, right=False)
    assert run.journal.labels.get(0, "people").rejected == (3,)
    run.journal.labels.clear()
    label_answer(run, 0, right=False, version=2)  # perhaps it should have said "open"
    assert run.journal.labels.get(0, "people") is None
    assert run.journal.labels.get(0).rejected == ({"people": 3},)


def test_wrong_as_a_whole_takes_back_right_as_a_whole_and_the_other_way_round(run):
    label_answer(run, 0, right=True)
    label_answer(run, 0, right=False)
    labels = run.journal.labels
    assert list(labels.of(0)) == [None]
    assert labels.get(0).rejected == ({"people": 3, "open": True},)
    label_answer(run, 0, right=True)
    assert meaning(run) == {(0, "people"): 3, (0, "open"): True}
    # What was said of single fields is no mistake where the whole is wrong.
    labels.clear()
    label_answer(run, 0, 3, field="people")
    label_answer(run, 0, right=False)
    assert labels.get(0, "people").expected == 3


def test_what_is_expected_takes_back_that_it_was_wrong_as_a_whole(run):
    labels = run.journal.labels
    label_answer(run, 0, right=False)
    label_answer(run, 0, {"people": 3})
    assert labels.get(0).rejected == ({"people": 3, "open": True},)  # "open" may be wrong
    label_answer(run, 0, True, field="open")
    assert labels.get(0) is None
    label_answer(run, 0, right=False)
    label_answer(run, 0, {"people": 3, "open": False})
    assert labels.get(0).rejected == ({"people": 3, "open": True},)


def test_labels_of_free_text_and_of_structured_answers_leave_each_other_alone(run):
    labels = run.journal.labels
    label_answer(run, 0, right=True, version=2)
    label_answer(run, 0, right=False)
    assert (labels.get(0).expected, labels.get(0).rejected) == (
        "three",
        ({"people": 3, "open": True},),
    )
    label_answer(run, 0, right=True)
    assert (labels.get(0).expected, labels.get(0).rejected) == ("three", ())
    label_answer(run, 0, right=False)
    label_answer(run, 0, "3 people")
    labels.update({0: "3 people!"})
    assert labels.get(0).expected == "3 people!"
    assert labels.get(0).rejected == ({"people": 3, "open": True},)


def test_answers_that_all_have_fields_are_labelled_by_field():
    run = JudgedRun(SCHEMA)
    run.sampled(answer(0, {"people": 3, "open": True}))
    with pytest.raises(ValidationError, match=r'answers have fields.*is 3: label\(0, \{"name"'):
        label_answer(run, 0, 3)
    assert len(run.journal.labels) == 0
    run.prompts.version_of(output_schema=None)
    label_answer(run, 0, 3)
    assert run.journal.labels.get(0).expected == 3


def test_an_answer_without_a_field_cannot_be_called_right():
    run = JudgedRun({"type": "object"})
    run.sampled(answer(0, {}))
    with pytest.raises(ValidationError, match="object without fields"):
        label_answer(run, 0, right=True)
    label_answer(run, 0, right=False)
    assert run.journal.labels.get(0).rejected == ({},)


@pytest.mark.parametrize(
    ("sample", "options", "message"),
    [
        (0, {}, "give what is expected"),
        (0, {"expected": "x", "right": True}, "not both"),
        (0, {"expected": "x", "version": 1}, "version= goes with right="),
        (0, {"expected": {}}, "names no field"),
        (0, {"right": 1}, "right=1 is not valid"),
        (0, {"right": True, "field": "peple"}, "no field 'peple': it has people, open"),
        (1, {"right": True}, "cannot be used .cut off., so it counts as wrong already"),
        (1, {"right": False}, "cannot be used"),
        (2, {"right": True}, "no answer about sample 2"),
        (3, {"right": True}, "no answer about sample 3"),
        (4, {"right": True, "version": 2}, "no answer of v2 about sample 4"),
        ("0", {"expected": "x"}, "sample='0'"),
    ],
)
def test_what_cannot_be_labelled_is_said(run, sample, options, message):
    with pytest.raises(ValidationError, match=message):
        label_answer(run, sample, **options)
    assert len(run.journal.labels) == 0


def test_samples_and_versions_that_are_none(run):
    with pytest.raises(LookupError, match="no sample 5: there are 5, from 0 on"):
        label_answer(run, 5, "x")
    with pytest.raises(LookupError, match="no prompt version 3"):
        label_answer(run, 0, right=True, version=3)
