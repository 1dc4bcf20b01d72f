"""ResultTable: dtypes that never change, snapshots that nobody else can change."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overshoot_nb.store import columns as columns_module
from overshoot_nb.store.columns import TEXT, CategoryColumn
from overshoot_nb.store.table import ResultTable
from overshoot_nb.store.table_layout import Layout
from overshoot_nb.types import StreamInferenceResult, Usage

START = datetime(2026, 1, 1, 12, 0, 0, 250_001, tzinfo=UTC)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "count": {"type": "integer"},
        "score": {"type": "number"},
        "open": {"type": "boolean"},
        "weather": {"enum": ["sun", "rain"]},
        "text": {"type": "string"},
        "items": {"type": "array", "items": {"type": "integer"}},
        "at": {"type": "string", "format": "date-time"},
    },
}
OUTPUT = {
    "count": 3,
    "score": 0.5,
    "open": True,
    "weather": "rain",
    "text": "café 🎥",
    "items": [1, 2],
    "at": "2026-01-01T10:00:00+02:00",
}


def result(i: int = 0, **changes: Any) -> StreamInferenceResult:
    made = StreamInferenceResult(
        id=f"r{i}",
        stream_id="s1",
        mode="frame",
        model_name="owner/model",
        prompt="What?",
        result=f"answer {i}",
        inference_latency_ms=100.5 + i,
        total_latency_ms=200.5 + i,
        ok=True,
        finish_reason="stop",
        sample=i,
        media_time=i / 2,
        captured_at=START + timedelta(seconds=i),
        answered_at=START + timedelta(seconds=i + 1),
        usage=Usage(10, i, 10 + i),
        output=OUTPUT,
    )
    return replace(made, **changes)


def failed(i: int = 0) -> StreamInferenceResult:
    """A result with every field missing that may be."""
    return result(
        i,
        ok=False,
        result="",
        error="no answer",
        finish_reason=None,
        usage=None,
        output=None,
        captured_at=None,
        answered_at=None,
    )


def table_of(*results: StreamInferenceResult, schema: Any = None) -> ResultTable:
    table = ResultTable(schema)
    for each in results:
        table.append(each)
    return table


def outputs(schema: Any, *answers: Any) -> pd.DataFrame:
    """The out columns of a table that got these answers."""
    frame = table_of(*(result(output=a) for a in answers), schema=schema).df
    return frame[[c for c in frame.columns if c == "out" or c.startswith("out.")]]


def one(schema: Any, answer: Any) -> Any:
    """The single cell of a one-property schema's column."""
    frame = outputs({"type": "object", "properties": {"x": schema}}, {"x": answer})
    return frame["out.x"].iloc[0]


# ---- columns and dtypes ------------------------------------------------------------------------

BASE_DTYPES = {
    "sample": "int64",
    "media_time": "timedelta64[us]",
    "captured_at": "datetime64[us, UTC]",
    "answered_at": "datetime64[us, UTC]",
    "ok": "bool",
    "result": TEXT,
    "error": TEXT,
    "reasoning": TEXT,
    "mode": "category",
    "model": "category",
    "prompt": "category",
    "prompt_version": "int64",
    "finish_reason": "category",
    "inference_latency_ms": "float64",
    "total_latency_ms": "float64",
    "prompt_tokens": "Int64",
    "completion_tokens": "Int64",
    "total_tokens": "Int64",
    "cost_cents": "float64",
    "copied_from": "Int64",
    "stream_id": "category",
    "id": TEXT,
}


def test_columns_in_order_with_their_dtypes() -> None:
    dtypes = table_of(result()).df.dtypes
    assert list(dtypes.index) == list(BASE_DTYPES)
    assert {n: d for n, d in dtypes.items() if d != BASE_DTYPES[n]} == {}


def test_text_is_the_str_dtype_of_pandas_3() -> None:
    frame = table_of(result()).df
    assert frame["result"].dtype == ("str" if columns_module.PANDAS_3 else "string[pyarrow]")


def test_reasoning_stands_beside_the_answer() -> None:
    frame = table_of(result(0, reasoning="hm"), result(1)).df
    assert frame["reasoning"].iloc[0] == "hm"
    assert pd.isna(frame["reasoning"].iloc[1])


def test_out_columns_stand_after_the_result() -> None:
    names = list(table_of(schema=SCHEMA).df.columns)
    assert names[6:13] == [f"out.{name}" for name in SCHEMA["properties"]]
    assert [n for n in names if not n.startswith("out.")] == list(BASE_DTYPES)


def test_what_an_answer_cost() -> None:
    table = table_of(result(0, usage=Usage(1, 2, 3, 0.25)), result(1, usage=None))
    assert table.df["cost_cents"].tolist() == pytest.approx([0.25, float("nan")], nan_ok=True)


def test_values_of_an_answer() -> None:
    row = table_of(result(4), schema=SCHEMA).df.iloc[0]
    assert row["sample"] == 4
    assert row["media_time"] == pd.Timedelta(seconds=2)
    assert row["captured_at"] == pd.Timestamp(START + timedelta(seconds=4))
    assert row["answered_at"] - row["captured_at"] == pd.Timedelta(seconds=1)
    assert row["ok"]
    assert (row["result"], row["mode"], row["model"]) == ("answer 4", "frame", "owner/model")
    assert (row["prompt"], row["prompt_version"], row["finish_reason"]) == ("What?", 1, "stop")
    assert (row["inference_latency_ms"], row["total_latency_ms"]) == (104.5, 204.5)
    assert list(row[["prompt_tokens", "completion_tokens", "total_tokens"]]) == [10, 4, 14]
    assert pd.isna(row["cost_cents"])  # the server did not say
    assert (row["stream_id"], row["id"]) == ("s1", "r4")
    assert pd.isna(row["error"])
    assert (row["out.count"], row["out.score"], row["out.open"]) == (3, 0.5, True)
    assert (row["out.weather"], row["out.text"], row["out.items"]) == ("rain", "café 🎥", [1, 2])
    assert row["out.at"] == pd.Timestamp("2026-01-01T08:00:00Z")


def test_an_error_is_a_row() -> None:
    row = table_of(failed(2), schema=SCHEMA).df.iloc[0]
    assert not row["ok"]
    assert row["error"] == "no answer"
    missing = ["captured_at", "answered_at", "finish_reason", "total_tokens", "out.count"]
    missing += ["out.score", "out.open", "out.weather", "out.text", "out.items", "out.at"]
    assert row[missing].isna().all()


@pytest.mark.parametrize("schema", [None, SCHEMA])
def test_dtypes_are_the_same_whatever_the_rows_hold(schema: Any) -> None:
    def shape(table: ResultTable) -> dict[str, Any]:
        dtypes = dict(table.df.dtypes)
        for name, dtype in dtypes.items():
            if isinstance(dtype, pd.CategoricalDtype):
                dtypes[name] = ("category", dtype.categories.dtype, dtype.ordered)
        return dtypes

    empty = table_of(schema=schema)
    assert len(empty.df) == 0
    expected = shape(empty)
    for rows in ([result()], [failed()], [result(), failed()], [failed()] * 300):
        assert shape(table_of(*rows, schema=schema)) == expected
    assert shape(table_of(result(output={"weather": 5, "items": "no"}), schema=schema)) == expected


def test_zero_rows_can_be_worked_with() -> None:
    frame = table_of(schema=SCHEMA).df
    assert isinstance(frame.index, pd.RangeIndex)
    assert frame["captured_at"].dt.hour.tolist() == []
    assert frame["result"].str.len().tolist() == []
    assert math.isnan(frame["out.score"].mean())
    assert list(frame["out.weather"].cat.categories) == ["sun", "rain"]


def test_more_categories_than_a_byte_counts() -> None:
    column = CategoryColumn()
    prompts = [f"prompt {i % 400}" for i in range(1000)]
    for start in range(0, 1000, 50):
        column.extend(prompts[start : start + 50])
    arena = columns_module.Arena(column.nbytes)
    assert list(column.array(arena)) == prompts


# ---- from the schema ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "dtype"),
    [
        ({"type": "string"}, TEXT),
        ({"type": ["string", "null"]}, TEXT),
        ({"type": "integer"}, "Int64"),
        ({"type": ["integer", "null"]}, "Int64"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "Int64"),
        ({"oneOf": [{"type": "null"}, {"$ref": "#/$defs/n"}]}, "float64"),
        ({"$ref": "#/$defs/n", "description": "beside"}, "float64"),
        ({"$ref": "#/$defs/a~1b%20c"}, "boolean"),
        ({"allOf": [{"$ref": "#/$defs/n"}]}, "float64"),
        ({"type": ["integer", "number"]}, "float64"),
        ({"type": "boolean"}, "boolean"),
        ({"enum": ["a", None]}, "category"),
        ({"const": "a"}, "category"),
        ({"enum": [1, 2]}, "Int64"),
        ({"enum": [1, "a"]}, "object"),
        ({"type": "string", "format": "date-time"}, "datetime64[us, UTC]"),
        ({"type": "string", "format": "uuid"}, TEXT),
        ({"type": "array"}, "object"),
        ({"type": "object"}, "object"),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "object"),
        ({"type": ["integer", "string"]}, "object"),
        ({"type": "integer", "maximum": 2**64}, "object"),
        ({"$ref": "#/$defs/loop"}, "object"),
        ({"$ref": "#/$defs/absent"}, "object"),
        ({"$ref": "https://example.org/schema"}, "object"),
        ({}, "object"),
        (True, "object"),
    ],
)
def test_dtype_of_a_property(schema: Any, dtype: Any) -> None:
    whole = {
        "type": "object",
        "properties": {"x": schema},
        "$defs": {
            "n": {"type": "number"},
            "a/b c": {"type": "boolean"},
            "loop": {"$ref": "#/$defs/loop"},
        },
    }
    assert outputs(whole).dtypes.to_dict() == {"out.x": dtype}


def test_nested_objects_are_dotted() -> None:
    team = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "score": {"$ref": "#/$defs/n"}},
    }
    schema = {
        "type": "object",
        "properties": {
            "home": team,
            "away": {"anyOf": [{"$ref": "#/$defs/team"}, {"type": "null"}]},
        },
        "$defs": {"n": {"type": "integer"}, "team": team},
    }
    frame = outputs(
        schema,
        {"home": {"name": "A", "score": 1}, "away": {"name": "B", "score": 2}},
        {"home": {"name": "C"}, "away": None},
        {"home": "C", "away": [1]},
    )
    assert list(frame) == ["out.home.name", "out.home.score", "out.away.name", "out.away.score"]
    assert frame["out.home.score"].tolist() == [1, pd.NA, pd.NA]
    assert frame["out.away.name"].isna().tolist() == [False, True, True]


def test_a_tree_without_end_ends_in_an_object_column() -> None:
    node = {
        "type": "object",
        "properties": {"label": {"type": "string"}, "next": {"$ref": "#/$defs/node"}},
    }
    schema = {"$ref": "#/$defs/node", "$defs": {"node": node}}
    tree = {"label": "a", "next": {"label": "b", "next": {"label": "c"}}}
    frame = outputs(schema, tree)
    assert frame["out.label"].tolist() == ["a"]
    assert frame["out.next"].tolist() == [tree["next"]]


def test_conditions_beside_a_type_do_not_hide_the_properties() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
    }
    assert outputs(schema, {"a": 1})["out.a"].tolist() == [1]


def test_names_with_dots_and_names_that_collide_keep_their_values() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a.b": {"type": "integer"},
            "a": {"type": "object", "properties": {"b": {"type": "integer"}}},
            "a.b_2": {"type": "integer"},
            "": {"type": "integer"},
        },
    }
    frame = outputs(schema, {"a.b": 1, "a": {"b": 2}, "a.b_2": 3, "": 4})
    assert frame.columns.is_unique
    assert frame.iloc[0].tolist() == [1, 2, 3, 4]
    assert list(frame)[:2] == ["out.a.b", "out.a.b_2"]


@pytest.mark.parametrize(
    ("schema", "answers", "dtype"),
    [
        ({"type": "array", "items": {"type": "string"}}, [["a", "b"], [], [["c"]]], "object"),
        ({"type": "string"}, ["x", "y"], TEXT),
        ({"type": "number"}, [1.5, 2], "float64"),
        ({"type": "object"}, [{"any": 1}], "object"),
        ({}, ["all", "are", "strings"], "object"),
    ],
)
def test_an_answer_that_is_no_object_is_one_column(schema: Any, answers: Any, dtype: Any) -> None:
    frame = outputs(schema, *answers)
    assert frame.dtypes.to_dict() == {"out": dtype}
    assert frame["out"].tolist() == answers


# ---- odd values --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        ({"type": "integer"}, 2**63 - 1),
        ({"type": "integer"}, -(2**63)),
        ({"type": "integer", "maximum": 2**70}, 2**70),
        ({"type": "number"}, math.inf),
        ({"type": "number"}, 1e308),
        ({"type": "string"}, "x" * 1_000_000),
        ({"type": "string"}, "👩‍👩‍👧 \x00 <script>"),
        ({"type": "string"}, ""),
        ({"type": "boolean"}, False),
        ({"type": "integer"}, 0),
        ({"type": "array"}, [{"deep": [[]]}]),
        ({"enum": ["a"]}, "not listed"),
        ({}, {"k": None}),
    ],
)
def test_survives(schema: Any, answer: Any) -> None:
    assert one(schema, answer) == answer


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        ({"type": "integer"}, 2**63),
        ({"type": "integer"}, 1.5),
        ({"type": "integer"}, math.inf),
        ({"type": "integer"}, math.nan),
        ({"type": "integer"}, True),
        ({"type": "integer"}, "3"),
        ({"type": "number"}, math.nan),
        ({"type": "number"}, 10**400),
        ({"type": "number"}, True),
        ({"type": "boolean"}, 1),
        ({"type": "string"}, 5),
        ({"type": "string"}, ["a"]),
        ({"enum": ["a"]}, ["unhashable"]),
        ({"enum": ["a"]}, 1),
        ({"type": "array"}, "abc"),
        ({"type": "object"}, []),
        ({"type": "string", "format": "date-time"}, "half past ten"),
        ({"type": "string", "format": "date-time"}, "2026-01-01"),
        ({"type": "string", "format": "date-time"}, 20260101),
        ({}, None),
    ],
)
def test_is_missing_and_stays_in_the_result(schema: Any, answer: Any) -> None:
    whole = {"type": "object", "properties": {"x": schema, "y": {"type": "integer"}}}
    good = {"x": None, "y": 1}
    frame = table_of(
        result(output=good),
        result(output={"x": answer, "y": 2}, result=f"{answer!r}"),
        result(output=good),
        schema=whole,
    ).df
    assert frame["out.x"].isna().tolist() == [True, True, True]
    assert frame["out.y"].tolist() == [1, 2, 1]
    assert frame["result"][1] == f"{answer!r}"


def test_an_integer_written_as_a_float_is_one() -> None:
    assert one({"type": "integer"}, 3.0) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00Z"),
        ("2026-01-01 10:00:00.123456-05:30", "2026-01-01T15:30:00.123456Z"),
        ("2026-01-01T10:00:00", "2026-01-01T10:00:00Z"),
        ("2026-01-01t10:00:00z", "2026-01-01T10:00:00Z"),
        ("2026-01-01T10:00:00z", "2026-01-01T10:00:00Z"),
        ("0001-01-01T00:00:00+14:00", None),
    ],
)
def test_date_times(text: str, expected: str | None) -> None:
    value = one({"type": "string", "format": "date-time"}, text)
    assert value.tzinfo is not None
    if expected is not None:
        assert value == pd.Timestamp(expected)


@pytest.mark.parametrize("answer", [None, [], "text", 5, {"other": 1}, {"count": {"no": 1}}])
def test_an_answer_unlike_the_schema_breaks_no_other_row(answer: Any) -> None:
    frame = table_of(result(), result(output=answer), result(), schema=SCHEMA).df
    outs = [c for c in frame if c.startswith("out.")]
    assert frame[outs].iloc[1].isna().all()
    pd.testing.assert_series_equal(frame[outs].iloc[0], frame[outs].iloc[2], check_names=False)


def test_fields_that_are_not_as_typed_are_missing() -> None:
    odd = result(
        1,
        result="lone \ud800 surrogate",
        error=5,
        prompt="also \ud800",
        media_time=math.inf,
        inference_latency_ms=None,
        usage=Usage(2**70, "7", None),  # type: ignore[arg-type]
        captured_at="yesterday",
        answered_at=datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))),
    )
    frame = table_of(result(), odd, result(prompt="also ?")).df
    row = frame.iloc[1]
    assert row["result"] == "lone ? surrogate"
    assert row["prompt"] == "also ?"
    assert row["answered_at"] == pd.Timestamp("2026-01-01T00:00:00Z")
    missing = ["error", "media_time", "inference_latency_ms", "captured_at"]
    missing += ["prompt_tokens", "completion_tokens", "total_tokens"]
    assert row[missing].isna().all()
    assert frame["prompt"].cat.codes.tolist() == [0, 1, 1]


# ---- snapshots ---------------------------------------------------------------------------------


def spoil(frame: pd.DataFrame, row: int) -> None:
    """Change a cell in every column, in place."""
    for name in frame.columns:
        dtype = frame[name].dtype
        if isinstance(dtype, pd.CategoricalDtype):
            frame.at[row, name] = None
        elif dtype == np.dtype(object):
            frame.at[row, name] = ["edited"]
        elif dtype.kind == "m":
            frame.at[row, name] = pd.Timedelta(days=99)
        elif dtype.kind == "M":
            frame.at[row, name] = pd.Timestamp("1999-01-01", tz="UTC")
        elif dtype.kind == "b":
            frame.at[row, name] = False
        elif dtype.kind in "if":
            frame.at[row, name] = -99
        else:
            frame.at[row, name] = "edited"


@pytest.mark.parametrize("row", [0, 299])
def test_an_edit_is_seen_in_no_other_snapshot(row: int) -> None:
    table = table_of(*map(result, range(300)), schema=SCHEMA)
    expected = table_of(*map(result, range(302)), schema=SCHEMA).df

    before, edited, again = table.df, table.df, table.df
    spoil(edited, row)
    assert not edited.iloc[row].equals(expected.iloc[row])
    after = table.df
    table.append(result(300))
    newer = table.df
    spoil(again, row)  # now an old one, with a newer beside it
    table.append(result(301))
    newest = table.df

    for frame in (before, after, newer, newest, table.df):
        pd.testing.assert_frame_equal(frame, expected[: len(frame)])


def test_an_edit_of_an_old_snapshot_that_nobody_shares_stays_in_it() -> None:
    table = table_of(*map(result, range(3)), schema=SCHEMA)
    old = table.df
    table.append(result(3))
    newer = table.df
    spoil(old, 0)  # pandas writes in place: no other frame refers to these rows
    table.append(result(4))
    expected = table_of(*map(result, range(5)), schema=SCHEMA).df
    pd.testing.assert_frame_equal(newer, expected[:4])
    pd.testing.assert_frame_equal(table.df, expected)


def test_names_and_attributes_of_a_snapshot_are_its_own() -> None:
    table = table_of(result(0), result(1))
    edited = table.df
    edited.index.name = edited.columns.name = "mine"
    edited.attrs["note"] = 1
    edited["new"] = 1
    del edited["id"]
    pd.testing.assert_frame_equal(table.df, table_of(result(0), result(1)).df)
    assert table.df.index.name is table.df.columns.name is None
    assert table.df.attrs == {}


def test_arrays_of_a_snapshot_are_not_the_tables_own() -> None:
    table = table_of(*map(result, range(3)), schema=SCHEMA)
    frame = table.df
    for name in ("total_tokens", "out.open", "captured_at"):  # pandas does not guard these
        frame[name].array[0] = frame[name].array[2]
    table.append(result(3))
    pd.testing.assert_frame_equal(table.df, table_of(*map(result, range(4)), schema=SCHEMA).df)


def test_asking_again_without_new_rows_builds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of(result(0))
    first = table.df

    def refuse(self: Layout) -> pd.DataFrame:
        raise AssertionError("built again")

    monkeypatch.setattr(Layout, "frame", refuse)
    again = table.df
    assert again is not first
    pd.testing.assert_frame_equal(again, first)


def test_an_interrupt_halfway_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_of(*map(result, range(5)), schema=SCHEMA)
    assert len(table.df) == 5
    table.append(result(5))
    with monkeypatch.context() as patch:

        def interrupt(self: CategoryColumn, values: Any) -> None:
            raise KeyboardInterrupt

        patch.setattr(CategoryColumn, "extend", interrupt)
        with pytest.raises(KeyboardInterrupt):
            table.df  # noqa: B018
    pd.testing.assert_frame_equal(table.df, table_of(*map(result, range(6)), schema=SCHEMA).df)


ODD_OUTPUTS = st.one_of(
    st.none(),
    st.integers(-(2**65), 2**65),
    st.fixed_dictionaries(
        {},
        optional={
            "count": st.one_of(st.integers(-(2**63), 2**63 - 1), st.none(), st.text(max_size=2)),
            "text": st.one_of(st.text(max_size=5), st.none(), st.booleans()),
            "items": st.one_of(st.lists(st.integers(0, 3), max_size=2), st.none()),
        },
    ),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.text(max_size=4), st.booleans(), ODD_OUTPUTS),
        st.tuples(st.just("snapshot")),
        st.tuples(st.just("edit"), st.integers(0, 99), st.integers(0, 99)),
    ),
    max_size=25,
)
SMALL_SCHEMA = {
    "type": "object",
    "properties": {name: SCHEMA["properties"][name] for name in ("count", "text", "items")},
}


def as_expected(record: dict[str, Any]) -> dict[str, Any]:
    """The oracle's row: what a plain dict holds, by rules written without pandas."""
    output = record["output"] if isinstance(record["output"], dict) else {}
    count, text = output.get("count"), output.get("text")
    return {
        "sample": record["sample"],
        "result": record["result"],
        "prompt": record["prompt"],
        "ok": record["ok"],
        "out.count": count if type(count) is int else None,
        "out.text": text if isinstance(text, str) else None,
        "out.items": output.get("items"),
    }


def plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    names = ["sample", "result", "prompt", "ok", "out.count", "out.text", "out.items"]
    rows = zip(*(frame[n].tolist() for n in names), strict=True)
    return [
        {
            n: v if isinstance(v, list) or not pd.isna(v) else None
            for n, v in zip(names, row, strict=True)
        }
        for row in rows
    ]


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_any_order_of_appends_snapshots_and_edits(steps: list[tuple[Any, ...]]) -> None:
    table = ResultTable(SMALL_SCHEMA)
    oracle: list[dict[str, Any]] = []
    snapshots: list[tuple[pd.DataFrame, list[dict[str, Any]] | None]] = []
    for step in steps:
        match step:
            case ("append", text, ok, output):
                i = len(oracle)
                record = {"sample": i, "result": text, "prompt": text, "ok": ok, "output": output}
                oracle.append(as_expected(record))
                table.append(result(**record))
            case ("snapshot",):
                snapshots.append((table.df, [dict(row) for row in oracle]))
            case ("edit", which, row) if snapshots:
                frame, _ = snapshots[which % len(snapshots)]
                if len(frame):
                    spoil(frame, row % len(frame))
                    snapshots[which % len(snapshots)] = (frame, None)
    snapshots.append((table.df, oracle))
    for frame, expected in snapshots:
        if expected is not None:
            assert plain(frame) == expected


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads take turns often, so that races have many chances."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("eager_threads")
def test_threads_append_while_others_look() -> None:
    table = ResultTable(SCHEMA)
    writers, each = 3, 2000
    done = threading.Event()
    problems: list[BaseException] = []

    def write(writer: int) -> None:
        for i in range(each):
            table.append(result(i, stream_id=f"s{writer}"))

    def look() -> None:
        seen = 0
        try:
            while not done.is_set():
                frame = table.df
                assert len(frame) >= seen
                seen = len(frame)
                for _, rows in frame.groupby("stream_id", observed=True):
                    assert rows["sample"].tolist() == list(range(len(rows)))
                assert (frame["result"] == "answer " + frame["sample"].astype(TEXT)).all()
        except BaseException as problem:
            problems.append(problem)

    looking = [threading.Thread(target=look) for _ in range(2)]
    writing = [threading.Thread(target=write, args=(k,)) for k in range(writers)]
    for thread in looking + writing:
        thread.start()
    for thread in writing:
        thread.join()
    done.set()
    for thread in looking:
        thread.join()
    assert problems == []
    assert len(table.df) == writers * each
    assert table.df["stream_id"].value_counts().tolist() == [each] * writers


# ---- the results themselves --------------------------------------------------------------------


def test_the_results_stay_reachable() -> None:
    made = [result(i) for i in range(4)]
    table = table_of(*made)
    assert len(table) == 4
    assert list(table) == made
    assert table[1] is made[1]
    assert table[-1] is made[3]
    assert table.results_since(2) == made[2:]
    assert table.results_since(9) == []
    with pytest.raises(IndexError):
        table[4]


def test_iterating_ends_though_rows_come() -> None:
    table = table_of(result(0), result(1))

    def watch() -> Iterator[int]:
        for each in table:
            table.append(result(9))
            yield each.sample

    assert list(watch()) == [0, 1]


def test_a_long_run_of_single_rows_stays_in_few_chunks() -> None:
    table = ResultTable()
    for i in range(600):
        table.append(result(i))
        table.df  # noqa: B018
    texts = table.df["result"]
    assert texts.tolist() == [f"answer {i}" for i in range(600)]
    assert texts.array._pa_array.num_chunks <= 28


def test_importing_the_table_imports_neither_pandas_nor_a_plotter() -> None:
    code = (
        "import sys, overshoot_nb.store.table; print({'pandas', 'matplotlib'} & set(sys.modules))"
    )
    # Of the package itself only what the table needs: its __init__ may import more.
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_media_time_is_exact_to_the_microsecond() -> None:
    times = [1 / 3, 0.1 + 0.2, 86_400.000001, -0.5]
    frame = table_of(*(result(media_time=t) for t in times)).df
    assert frame["media_time"].astype(np.int64).tolist() == [333333, 300000, 86400000001, -500000]


# ---- several schemas ---------------------------------------------------------------------------


def properties(**types: Any) -> dict[str, Any]:
    return {"type": "object", "properties": types}


def test_a_second_schema_adds_its_columns_and_keeps_the_rows() -> None:
    table = ResultTable(properties(a={"type": "integer"}))
    table.append(result(0, output={"a": 1}))
    before = table.df
    table.add_schema(properties(b={"type": "boolean"}))
    table.append(result(1, output={"b": True}))
    df = table.df
    assert list(before.filter(like="out.")) == ["out.a"]
    assert list(df.filter(like="out.")) == ["out.a", "out.b"]
    assert df["out.a"].to_list() == [1, pd.NA]
    assert df["out.b"].to_list() == [pd.NA, True]


def test_a_table_that_began_without_a_schema_can_have_one() -> None:
    table = ResultTable()
    table.append(result(0, output=None))
    table.add_schema(properties(a={"type": "integer"}))
    table.append(result(1, output={"a": 2}))
    assert table.df["out.a"].to_list() == [pd.NA, 2]


@pytest.mark.parametrize(
    ("one", "other", "values", "dtype"),
    [
        ({"type": "integer"}, {"type": "number"}, [1, 0.5], "float64"),
        ({"enum": ["a"]}, {"enum": ["b"]}, ["a", "b"], "category"),
        ({"type": "string"}, {"enum": ["b"]}, ["x", "b"], TEXT),
        ({"type": "string"}, {"type": "integer"}, ["x", 1], object),
        ({"type": "integer"}, {"type": "integer", "maximum": 2**70}, [1, 2**69], object),
        ({"type": "string"}, {"type": "string", "format": "date-time"}, ["x", "2026"], TEXT),
    ],
)
def test_a_column_of_two_schemas_holds_the_values_of_both(
    one: Any, other: Any, values: list[Any], dtype: Any
) -> None:
    for first, second, answers in ((one, other, values), (other, one, values[::-1])):
        table = ResultTable(properties(a=first))
        table.append(result(0, output={"a": answers[0]}))
        table.add_schema(properties(a=second))
        table.append(result(1, output={"a": answers[1]}))
        column = table.df["out.a"]
        assert column.dtype == dtype
        assert column.to_list() == answers
