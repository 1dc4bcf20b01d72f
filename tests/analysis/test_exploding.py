"""explode: every item is found again, whatever it is."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overshoot_nb import ValidationError
from overshoot_nb.analysis.exploding import typed
from overshoot_nb.store.fields import fields_of

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=5),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)
CELLS = st.lists(
    st.one_of(
        st.none(),
        st.lists(VALUES, max_size=4),
        st.dictionaries(st.text(max_size=3), VALUES, max_size=3),
    ),
    max_size=8,
)


def column(cells) -> pd.Series:
    made = np.empty(len(cells), object)
    for i, cell in enumerate(cells):
        made[i] = cell
    return pd.Series(made, dtype=object)


def same(cell, value) -> bool:
    if value is None:
        return cell is None or (not isinstance(cell, list | dict) and pd.isna(cell))
    if isinstance(value, float) and isinstance(cell, float):
        return cell == value or math.isclose(cell, value)
    return cell == value and isinstance(cell, list) == isinstance(value, list)


@settings(max_examples=200, deadline=None)
@given(CELLS, st.booleans())
def test_every_item_is_found_again(cells, keep_empty):
    df = pd.DataFrame({"sample": range(len(cells)), "out.x": column(cells)})
    got = df.overshoot.explode("x", keep_empty=keep_empty)
    expected = []
    for sample, cell in enumerate(cells):
        items = [cell] if isinstance(cell, dict) else (cell or [])
        expected += [(sample, place, item) for place, item in enumerate(items)]
        if not items and keep_empty:
            expected.append((sample, None, None))
    assert len(got) == len(expected)
    for (label, row), (sample, place, item) in zip(got.iterrows(), expected, strict=True):
        assert label == row["sample"] == sample
        assert same(row["item"], place)
        fields = {"out.x": item} if not isinstance(item, dict) else {}
        if isinstance(item, dict):
            fields = {f"out.x.{key}": value for key, value in fields_of(item).items()}
        for name in got.columns[2:]:
            assert same(row[name], fields.get(name)), name


def test_objects_become_columns_with_the_tables_dtypes():
    cells = [[{"label": "car", "box": {"x": 1, "y": 2.5}, "sure": True, "tags": ["a"]}], [], None]
    cells += [[{"label": "bus", "box": {"x": 3}}, {"label": None}]]
    df = pd.DataFrame({"out.objects": column(cells), "media_time": pd.to_timedelta(range(4), "s")})
    df.index = [9, 8, 7, 9]
    got = df.overshoot.explode("out.objects")
    assert list(got) == [
        "media_time", "item", "out.objects.label", "out.objects.box.x", "out.objects.box.y",
        "out.objects.sure", "out.objects.tags",
    ]  # fmt: skip
    assert got.index.tolist() == [9, 9, 9]
    assert [str(d) for d in got.dtypes.iloc[1:]] == [
        "Int64", str(got["out.objects.label"].dtype), "Int64", "float64", "boolean", "object",
    ]  # fmt: skip
    assert pd.api.types.is_string_dtype(got["out.objects.label"].dtype)
    assert got["out.objects.tags"].iloc[0] == ["a"]
    assert got["media_time"].dtype == df["media_time"].dtype


def test_lists_of_a_file_are_understood(tmp_path):
    cells = [[{"label": "car"}], [{"label": "bus"}, {"label": "van"}]]
    df = pd.DataFrame({"sample": [0, 1], "out.x": column(cells)})
    expected = df.overshoot.explode("out.x")
    text = df.assign(**{"out.x": [json.dumps(cell) for cell in cells]})
    pd.testing.assert_frame_equal(text.overshoot.explode("out.x"), expected)
    df.to_parquet(tmp_path / "x.parquet")
    arrays = pd.read_parquet(tmp_path / "x.parquet")
    assert isinstance(arrays["out.x"].iloc[0], np.ndarray)
    pd.testing.assert_frame_equal(arrays.overshoot.explode("out.x"), expected)


def test_no_rows_and_no_items():
    df = pd.DataFrame({"sample": [0, 1], "out.x": column([[], None])})
    assert list(df.overshoot.explode("out.x")) == ["sample", "item", "out.x"]
    assert len(df.overshoot.explode("out.x")) == 0
    assert len(df.head(0).overshoot.explode("out.x", keep_empty=True)) == 0
    assert df.overshoot.explode("out.x", keep_empty=True)["item"].isna().all()


def test_what_is_no_list_is_refused():
    df = pd.DataFrame({"out.x": column([[1], 5])})
    with pytest.raises(ValidationError, match=r"row 1 of out\.x holds 5"):
        df.overshoot.explode("x")
    with pytest.raises(ValidationError, match="needs the column town"):
        df.overshoot.explode("town")


def test_dtypes_hold_every_value():
    index = pd.RangeIndex(2)
    assert str(typed([2**70, 1], index).dtype) == "object"
    assert str(typed([2**60, 0.5], index).dtype) == "object"
    assert str(typed([1, 0.5], index).dtype) == "float64"
    assert str(typed([True, 1], index).dtype) == "object"
    assert str(typed(["\ud800", "x"], index).dtype) == "object"
    assert str(typed([None, None], index).dtype) == "object"


def test_keys_that_are_values_are_refused_before_they_fill_the_memory():
    df = pd.DataFrame({"out.x": [{f"track {i}": 1} for i in range(1_001)]})
    assert df.iloc[1:].overshoot.explode("x").shape == (1_000, 1_001)
    with pytest.raises(ValidationError, match="more than 1,000 different ones"):
        df.overshoot.explode("x")
