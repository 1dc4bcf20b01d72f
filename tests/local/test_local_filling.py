from __future__ import annotations

import json

import numpy as np
import pytest
from asking import ask, content, obj
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from PIL import Image

from overshoot_nb.local.answering import MODELS, count_tokens
from overshoot_nb.local.filling import fill
from overshoot_nb.local.finding import labels_of, number_in
from overshoot_nb.local.reading import Piece, detector_side, page_of
from overshoot_nb.local.refusals import Invalid, Refusal, Unsupported
from overshoot_nb.local.schema import prepare, schema_in_text
from overshoot_nb.local.skills import Look

TEXT, WHOLE, NULLABLE = {"type": "string"}, {"type": "integer"}, {"type": ["string", "null"]}


def piece(x, y, text, height=20):
    return Piece(text, x, y, x + 11 * len(text), y + height)


BOARD = page_of(
    [
        piece(10, 0, "DEPARTURES"),
        *[
            piece(x, 50, t)
            for x, t in ((10, "TIME"), (130, "DESTINATION"), (330, "GATE"), (440, "STATUS"))
        ],
        *[
            piece(x, 101, t)
            for x, t in ((10, "10:09"), (130, "Lisbon"), (330, "F13"), (440, "On time"))
        ],
        *[piece(x, 150, t) for x, t in ((10, "17:06"), (130, "Oslo"), (440, "Gate closed"))],
        *[
            piece(x, 199, t)
            for x, t in ((10, "18:20"), (130, "Kyoto"), (330, "A2"), (440, "Delayed"))
        ],
        piece(10, 260, "Temperature: -3.5 °C"),
        piece(10, 300, "Visitors"),
        piece(10, 325, "48,210"),
        piece(330, 300, "00:16 SHOT 11"),
    ]
)
PICTURE = np.full((48, 64, 3), (30, 90, 200), np.uint8)


def look(page=BOARD, pictures=(PICTURE,)):
    return Look(list(pictures), lambda _picture: page)


def filled(page=BOARD, **properties):
    return fill(prepare(obj(**properties)), look(page), MODELS["local/auto"])


def test_rows_are_words_on_one_baseline():
    assert BOARD.lines[2:4] == ["10:09 Lisbon F13 On time", "17:06 Oslo Gate closed"]


def test_tables_are_matched_by_their_header():
    flight = obj(
        time={"type": "string", "pattern": r"^\d\d:\d\d$"},
        destination=TEXT,
        gate=NULLABLE,
        status={"enum": ["On time", "Gate closed", "Delayed"]},
    )
    flights = filled(departures={"type": "array", "items": flight})["departures"]
    assert flights == [
        {"time": "10:09", "destination": "Lisbon", "gate": "F13", "status": "On time"},
        {"time": "17:06", "destination": "Oslo", "gate": None, "status": "Gate closed"},
        {"time": "18:20", "destination": "Kyoto", "gate": "A2", "status": "Delayed"},
    ]


def test_rows_without_a_header_are_known_by_their_form():
    row = obj(
        at={"type": "string", "pattern": r"\d\d:\d\d"},
        gate={"type": "string", "pattern": r"[A-F]\d+"},
    )
    assert filled(rows={"type": "array", "items": row}) == {
        "rows": [{"at": "10:09", "gate": "F13"}, {"at": "18:20", "gate": "A2"}]
    }


def test_labels_name_values_behind_right_of_and_below_them():
    assert filled(
        temperature={"type": "number"},
        visitor_number={"type": "integer", "title": "Visitors"},
        clock={"type": "integer", "description": "seconds beside 'SHOT'"},
    ) == {"temperature": -3.5, "visitor_number": 48210, "clock": 11}


def test_a_label_inside_a_longer_word_is_none():
    with pytest.raises(Unsupported, match="vis"):
        filled(vis=WHOLE)


def test_values_that_the_page_does_not_show_are_null_or_refused():
    assert filled(mood=NULLABLE, price={"anyOf": [{"type": "number"}, {"type": "null"}]}) == {
        "mood": None,
        "price": None,
    }
    for schema in (TEXT, WHOLE, {"type": "boolean"}, {"enum": ["a7", "b9"]}, {"const": "yes"}):
        with pytest.raises(Unsupported, match="flavour"):
            filled(flavour=schema)


def test_enums_prefer_what_is_printed_and_the_longer_value():
    page = page_of([piece(0, 0, "NOT ON TIME"), piece(0, 50, "Cancel1ed")])
    assert filled(page, status={"enum": ["time", "on time"]}) == {"status": "on time"}
    assert filled(page, state={"enum": ["CANCELLED", "BOARDING"]}) == {"state": "CANCELLED"}
    with pytest.raises(Unsupported):
        filled(page, status={"enum": ["tim", "no"]})


def test_bounds_of_the_schema_hold():
    with pytest.raises(Unsupported):
        filled(visitors={"type": "integer", "maximum": 10})
    with pytest.raises(Unsupported):
        filled(lines={"type": "array", "maxItems": 1})
    assert filled(lines={"type": "array", "items": TEXT})["lines"] == BOARD.lines


def test_nested_objects_and_references():
    schema = {
        "$defs": {"Flight": obj(gate={"type": "string", "pattern": "^F\\d+$"})},
        "type": "object",
        "properties": {
            "first": {"$ref": "#/$defs/Flight"},
            "light": obj(brightness={"type": "number"}),
            "extra": {"anyOf": [obj(nothing=TEXT), {"type": "null"}]},
        },
        "required": ["first", "light", "extra"],
    }
    answer = fill(prepare(schema), look(), MODELS["local/auto"])
    assert answer["first"] == {"gate": "F13"}
    assert answer["extra"] is None
    assert 0 < answer["light"]["brightness"] < 1


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.org/schema.json"},
        {"$ref": "#/$defs/none"},
        {"$defs": {"a": {"properties": {"a": {"$ref": "#/$defs/a"}}}}, "$ref": "#/$defs/a"},
        {"type": "strin"},
        {"type": "string", "pattern": "("},
    ],
)
def test_schemas_that_cannot_be_followed(schema):
    with pytest.raises((Invalid, Unsupported)):
        prepare(schema)


def test_colour_names_in_both_spellings():
    answer = filled(
        dominantColor={"type": "string"},
        **{"dominant-colours": {"type": "array", "items": TEXT}},
        color_hex={"type": "string", "pattern": "^#[0-9a-f]{6}$"},
    )
    assert answer == {
        "dominantColor": "blue",
        "dominant-colours": ["blue"],
        "color_hex": "#1e5ac8",
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("48,210", 48210),
        ("54 %", 54),
        ("$ 3.50", 3.5),
        ("−7", -7),
        ("12:30", None),
        ("3/4", None),
        ("84 79", 84),
        ("3,5", 3.5),
        ("none", None),
    ],
)
def test_numbers(text, value):
    assert number_in(text) == value


def test_small_parts():
    assert labels_of("gateNumber", {}) == ["gate Number", "gate"]
    assert labels_of("x", {"description": "the number beside 'SHOT'"}) == ["SHOT"]
    assert schema_in_text('say {"a": "}"} by {"type": "object", "properties": {}}.')[0] == {
        "type": "object",
        "properties": {},
    }
    assert schema_in_text("nothing { here")[0] is None
    assert count_tokens("12:30, on time") == 6
    assert [detector_side(n) for n in (64, 640, 1280, 4000)] == [64, 384, 768, 960]


# ---- it never invents --------------------------------------------------------------------------

NAMES = [
    "time",
    "gate",
    "text",
    "lines",
    "faces",
    "brightness",
    "motion",
    "mood",
    "visitors",
    "color",
]
leaves = st.one_of(
    st.sampled_from(
        [{}, True, TEXT, NULLABLE, WHOLE, {"type": "number"}, {"type": "boolean"}, {"type": "null"}]
    ),
    st.fixed_dictionaries(
        {
            "enum": st.lists(
                st.sampled_from(["Oslo", "x", 3, None, True]), min_size=1, unique_by=repr
            )
        }
    ),
    st.sampled_from([r"\d\d:\d\d", "^[A-Z]$", ".*", "^$"]).map(
        lambda pattern: {"type": ["string", "null"], "pattern": pattern}
    ),
    st.fixed_dictionaries({"type": st.just("string"), "maxLength": st.integers(0, 20)}),
    st.fixed_dictionaries({"type": st.just("number"), "minimum": st.integers(-2, 2)}),
)


def objects(parts):
    return st.builds(
        lambda properties, required, closed: {
            "type": "object",
            "properties": properties,
            "required": [name for name in required if name in properties] + required[2:3],
            **({"additionalProperties": False} if closed else {}),
        },
        st.dictionaries(st.sampled_from(NAMES), parts, max_size=4),
        st.lists(st.sampled_from(NAMES), max_size=3, unique=True),
        st.booleans(),
    )


schemas = st.recursive(
    leaves,
    lambda parts: st.one_of(
        objects(parts),
        parts.map(lambda part: {"type": "array", "items": part, "minItems": 1}),
        st.lists(parts, min_size=1, max_size=3).map(lambda branches: {"anyOf": branches}),
    ),
    max_leaves=8,
).filter(lambda schema: isinstance(schema, dict))


@settings(max_examples=250, deadline=None)
@given(schema=schemas, model=st.sampled_from(list(MODELS)))
def test_an_answer_fits_any_schema_or_is_refused(schema, model):
    try:
        answer = fill(prepare(schema), look(), MODELS[model])
    except Refusal as refusal:
        refused = refusal
    else:
        refused = None
    if refused is not None:
        assert refused.status == 422
        return
    Draft202012Validator(schema).validate(answer)
    _only_seen(answer)


def _only_seen(value):
    """Every text of an answer is on the page, or the name or value of a colour."""
    if isinstance(value, dict):
        for inner in value.values():
            _only_seen(inner)
    elif isinstance(value, list):
        for inner in value:
            _only_seen(inner)
    elif isinstance(value, str):
        assert value in BOARD.text or value in ("blue", "#1e5ac8"), value


@settings(max_examples=20, deadline=None)
@given(schema=schemas)
def test_the_same_over_http(schema):
    response = ask("x", Image.new("RGB", (32, 32)), schema=schema)
    if response.status_code == 200:
        Draft202012Validator(schema).validate(json.loads(content(response)))
    else:
        assert response.status_code == 422
        assert response.json()["error"]["code"]
