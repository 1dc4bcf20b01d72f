"""The fields of an answer, and what they can say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overshoot_nb.store.fields import (
    answer_fields,
    closed_values,
    comparable,
    field_name,
    field_value,
    fields_of,
    is_answer,
    may_have,
    shown,
)

from judged_run import answer, failed, unusable

SCHEMA = {
    "type": "object",
    "properties": {
        "open": {"type": "boolean"},
        "lamp": {"$ref": "#/$defs/Lamp"},
        "maybe": {"anyOf": [{"$ref": "#/$defs/Lamp"}, {"type": "null"}]},
        "sure": {"type": ["null", "boolean"]},
        "only": {"const": "x"},
        "people": {"type": "integer"},
        "home": {
            "anyOf": [
                {
                    "type": "object",
                    "properties": {"score": {"type": "integer"}, "won": {"type": "boolean"}},
                },
                {"type": "null"},
            ]
        },
        "a.b": {"enum": [1, 2]},
        "free": {"type": "object"},
        "self": {"$ref": "#"},
        "mixed": {"oneOf": [{"enum": ["low", "high"]}, {"type": "integer"}]},
        "again": {"$ref": "#/$defs/Again"},
    },
    "$defs": {
        "Lamp": {"enum": ["red", None, "green"]},
        "Again": {"$ref": "#/$defs/Again"},
    },
}


# ---- answers -----------------------------------------------------------------------------------


def test_a_structured_answer_has_a_field_for_each_leaf():
    said = {"people": 3, "home": {"score": 84, "by": {"q1": 20}}, "lines": [1, {"x": 2}], "e": {}}
    assert answer_fields(answer(0, said)) == {
        "people": 3,
        "home.score": 84,
        "home.by.q1": 20,
        "lines": [1, {"x": 2}],
        "e": {},
    }


def test_names_that_look_the_same_stay_two_fields():
    assert fields_of({"a.b": 1, "a": {"b": 2}}) == {"a.b": 1, "a.b_2": 2}
    assert fields_of({"b": 1}, "a") == {"a.b": 1}


@pytest.mark.parametrize("said", ["HAWKS 84", 3, True, ["a"], 0.0])
def test_any_other_answer_is_one_field(said):
    assert answer_fields(answer(0, said)) == {None: said}
    assert field_value(answer(0, said), None) == said
    assert field_name(None) == "answer"
    assert field_name("home.score") == "home.score"


def test_what_cannot_be_used_has_no_fields():
    assert answer_fields(unusable(0)) == answer_fields(failed(0)) == {}
    assert is_answer(unusable(0))
    assert is_answer(unusable(0, ""))
    assert is_answer(answer(0, ""))
    assert not is_answer(failed(0))
    assert is_answer(replace(failed(0), result="{"))


def test_the_value_of_a_field():
    said = answer(0, {"home": {"score": 84, "won": None}, "a.b": 1})
    assert field_value(said, "home.score") == 84
    assert field_value(said, "home.won") is None
    assert field_value(said, "a.b") == 1
    assert field_value(said, "home") == {"score": 84, "won": None}
    assert field_value(said, None) == {"home": {"score": 84, "won": None}, "a.b": 1}
    for absent in ("away", "home.lost", "home.score.x", "a"):
        assert field_value(said, absent) is None


names = st.text("ab.", min_size=1, max_size=3)
objects = st.recursive(
    st.dictionaries(names, st.integers(-9, 9), min_size=1, max_size=3),
    lambda below: st.dictionaries(names, below | st.integers(-9, 9), min_size=1, max_size=3),
    max_leaves=8,
)


def leaves(value: Any) -> int:
    return sum(map(leaves, value.values())) if isinstance(value, dict) else 1


@given(objects)
def test_no_leaf_is_lost(said):
    fields = answer_fields(answer(0, said))
    assert len(fields) == leaves(said)
    for field, value in fields.items():
        assert field_value(answer(0, said), field) == value


# ---- values ------------------------------------------------------------------------------------


def test_values_that_say_the_same_have_one_key():
    assert comparable(" cafe\u0301\n") == comparable("café")
    assert comparable([3, {"a": 1, "b": 2}]) == comparable((3.0, {"b": 2.0, "a": 1}))
    keys = [comparable(v) for v in (True, 1, "1", None, "", [], {}, False, 0, [1], ["1"], "None")]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" HAWKS ", "HAWKS"),
        (True, "true"),
        (None, "null"),
        (3.0, "3"),
        (0.5, "0.5"),
        (["é", None], '["é", null]'),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_values_as_text(value, text):
    assert shown(value) == text


# ---- schemas -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("open", [True, False]),
        ("lamp", ["red", "green", None]),
        ("maybe", ["red", "green", None]),
        ("sure", [True, False, None]),
        ("only", ["x"]),
        ("home.won", [True, False]),
        ("a.b", [1, 2]),
        ("self.open", [True, False]),
        ("self.self.lamp", ["red", "green", None]),
        ("people", None),
        ("home", None),
        ("home.score", None),
        ("home.lost", None),
        ("free.x", None),
        ("mixed", None),
        ("again", None),
        ("nothing", None),
        (None, None),
    ],
)
def test_closed_values(field, values):
    assert closed_values(SCHEMA, field) == values


def test_closed_values_of_an_answer_without_fields():
    assert closed_values({"enum": ["yes", "no"]}, None) == ["yes", "no"]
    assert closed_values({"type": "boolean"}, None) == [True, False]
    assert closed_values({"type": "boolean"}, "open") is None
    assert closed_values(None, None) is None
    assert closed_values({}, None) is None


def test_true_and_one_are_two_values():
    found: list[Literal[True, 1, 0]] | None = closed_values({"enum": [True, 1, 0, 1.0]}, None)
    assert [(type(v), v) for v in found or []] == [(bool, True), (float, 1.0), (int, 0)]


@pytest.mark.parametrize(
    ("schema", "field", "may"),
    [
        (SCHEMA, "people", True),
        (SCHEMA, "home", True),
        (SCHEMA, "home.score", True),
        (SCHEMA, "home.lost", False),
        (SCHEMA, "free.anything", True),
        (SCHEMA, "people.x", False),
        (SCHEMA, "peple", False),
        (SCHEMA, "again", True),
        (SCHEMA, None, False),
        ({"type": "object"}, "x", True),
        ({"type": "string"}, None, True),
        ({"type": "string"}, "x", False),
        ({"type": ["object", "null"]}, "x", True),
        ({"type": ["object", "null"]}, None, True),
        ({"properties": {"home": {"type": ["object", "null"]}}}, "home.score", True),
        ({"type": ["object"], "properties": {"a": {}}}, None, False),
        (None, None, True),
        (None, "x", False),
    ],
)
def test_what_a_schema_may_have(schema, field, may):
    assert may_have(schema, field) is may
