"""to_parquet, to_csv, to_jsonl: what is written is read back, by us and by others."""

from __future__ import annotations

import csv
import inspect
import json
import math
import os
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

from overshoot_nb import ValidationError
from overshoot_nb.store.table import ResultTable
from overshoot_nb.types import StreamInferenceResult, Usage

SCHEMA = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "x": {"type": "number"},
        "yes": {"type": "boolean"},
        "kind": {"enum": ["a", "b"]},
        "text": {"type": "string"},
        "items": {"type": "array"},
        "any": {},
        "big": {"type": "integer", "maximum": 2**80},
        "at": {"type": "string", "format": "date-time"},
    },
}
START = datetime(2026, 1, 1, 12, 0, 0, 250_001, tzinfo=UTC)
ODD = ['=HYPERLINK("http://x")', 'a "quoted", line\nand another', "🎥 é", "", "x" * 10_000]


def rows() -> pd.DataFrame:
    table = ResultTable(SCHEMA)
    for i, text in enumerate(ODD):
        output = {
            "n": i or None, "x": i / 3, "yes": i % 2 == 0, "kind": "ab"[i % 2], "text": text,
            "items": [{"label": text[:5], "score": [i, None, 0.5]}], "any": [None, 1, "t"][i % 3],
            "big": 2**70 + i, "at": "2026-01-01T10:00:00Z",
        }  # fmt: skip
        table.append(
            StreamInferenceResult(
                f"r{i}", "s", "frame", "m", "?", text, 1.5, 2.5, i != 2, None if i != 2 else "no",
                sample=i, media_time=i * 0.3, captured_at=START + timedelta(seconds=i),
                usage=Usage(1, 2, 3, None), output=output if i != 2 else None,
            )
        )  # fmt: skip
    return table.df


def test_parquet_is_read_back_with_every_dtype(tmp_path):
    df = rows()
    assert df.overshoot.to_parquet(tmp_path / "x.parquet") == tmp_path / "x.parquet"
    back = pd.read_parquet(tmp_path / "x.parquet")
    assert list(back) == list(df)
    for name in df:
        if df[name].dtype == object:
            parsed = [None if pd.isna(v) else v for v in back[name]]
            for got, value in zip(parsed, df[name], strict=True):
                assert value is None or got == value or json.loads(got) == value
        else:
            # A category that nothing was ever in has no type in a file.
            strict = str(df[name].dtype) != "category" or len(df[name].cat.categories) > 0
            got = back[name]
            if isinstance(df[name].dtype, pd.StringDtype):
                # Where texts are kept is not in a file: with pandas 2 it is an option.
                assert isinstance(got.dtype, pd.StringDtype)
                got = got.astype(df[name].dtype)
            elif strict and isinstance(df[name].dtype, pd.CategoricalDtype):
                texts = got.cat.categories.astype(df[name].cat.categories.dtype)
                got = got.cat.rename_categories(texts)
            pd.testing.assert_series_equal(got, df[name], check_categorical=strict)
    assert back.overshoot.explode("items")["out.items.label"].iloc[2] == ODD[3][:5]


def test_other_readers_read_all_three(tmp_path):
    df = rows()
    df.overshoot.to_parquet(tmp_path / "x.parquet")
    df.overshoot.to_csv(tmp_path / "x.csv")
    df.overshoot.to_jsonl(tmp_path / "x.jsonl")
    texts = df["out.text"].astype(object).where(df["out.text"].notna(), None).tolist()
    polars = pl.read_parquet(tmp_path / "x.parquet")
    assert polars["out.text"].to_list() == texts
    assert polars["media_time"].to_list() == [t.to_pytimedelta() for t in df["media_time"]]
    assert pl.read_csv(tmp_path / "x.csv")["result"].to_list() == ODD
    assert pl.read_ndjson(tmp_path / "x.jsonl")["result"].to_list() == ODD
    for name, unit in (("x.parquet", 1e6), ("x.csv", 1), ("x.jsonl", 1)):
        found = duckdb.sql(f"select media_time, result, ok from '{tmp_path / name}'").fetchall()
        assert [row[0] / unit for row in found] == pytest.approx([i * 0.3 for i in range(5)])
        assert [row[1] or "" for row in found] == ODD
        assert [row[2] for row in found] == df["ok"].tolist()


def test_csv_says_times_in_seconds_and_tells_empty_from_missing(tmp_path):
    df = rows()
    df.overshoot.to_csv(tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    assert [float(row["media_time"]) for row in cells] == pytest.approx([i * 0.3 for i in range(5)])
    assert cells[0]["captured_at"] == "2026-01-01T12:00:00.250001Z"
    assert json.loads(cells[1]["out.items"]) == df["out.items"].iloc[1]
    assert [row["result"] for row in cells] == ODD
    assert cells[0]["out.n"] == ""
    assert cells[0]["ok"] == "true"
    assert cells[4]["out.big"] == str(2**70 + 4)
    text = (tmp_path / "x.csv").read_text(encoding="utf-8")
    assert ',"",' in text.splitlines()[-2]  # an empty text, beside missing ones
    back = pd.read_csv(tmp_path / "x.csv")
    assert back.overshoot.resample("1s")["n"].tolist() == df.overshoot.resample("1s")["n"].tolist()


def test_formulas_are_neutralised_where_asked_for(tmp_path):
    risky = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "\n=x", "＝1+1", "＋1", "－1", "＠x"]
    risky += ["﹦1", "  =1", "\u3000＝1", "\xa0-1", "\ufeff=1", "\u200b@x", "\x0b=1"]
    fine = ["fine", "a=b", " fine", "x\n=1", "é", "'=1", "−1"]
    texts = [*risky, *fine, None]
    df = pd.DataFrame({"=name": texts, "n": -1, "kind": pd.Series(texts, dtype="category")})
    df["\n＝odd"] = "x"
    df.overshoot.to_csv(tmp_path / "x.csv", escape_formulas=True)
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as file:
        cells = list(csv.reader(file))
    assert cells[0] == ["'=name", "n", "kind", "'\n＝odd"]
    escaped = [f"'{t}" for t in risky] + [*fine, ""]
    assert [row[0] for row in cells[1:]] == [row[2] for row in cells[1:]] == escaped
    assert cells[1][1] == "-1"  # a number is none
    df.overshoot.to_csv(tmp_path / "x.csv")  # as it was said, by default
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as file:
        assert [row[0] for row in csv.reader(file)][1:] == [*risky, *fine, ""]


def test_a_workbook_takes_the_rows_as_the_docstring_prepares_them():
    df = rows()
    table = df.copy()
    for name in table.select_dtypes("datetimetz"):
        table[name] = table[name].dt.tz_convert(None)
    table["media_time"] = table["media_time"].dt.total_seconds()
    assert list(df.select_dtypes("datetimetz"))
    assert table.select_dtypes(["datetimetz", "timedelta"]).empty
    text = inspect.getdoc(df.overshoot.to_csv)
    assert "Default: False" in text


def test_jsonl_has_values_as_they_are(tmp_path):
    df = rows()
    df["odd"] = [math.nan, math.inf, -0.5, None, 1]
    df["surrogate"] = pd.Series(
        ["\ud800", {"k": "\udfff"}, {1: 2}, {"a": math.nan}, {1}], dtype=object
    )
    df.overshoot.to_jsonl(tmp_path / "x.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "x.jsonl").read_bytes().splitlines()]
    assert [list(line) for line in lines] == [list(df)] * 5
    assert [line["media_time"] for line in lines] == pytest.approx([i * 0.3 for i in range(5)])
    assert lines[1]["out.items"] == df["out.items"].iloc[1]
    assert lines[4]["out.big"] == 2**70 + 4
    assert [line["odd"] for line in lines] == [None, None, -0.5, None, 1]
    assert lines[2]["out.n"] is None
    assert [line["surrogate"] for line in lines][2:] == [{"1": 2}, {"a": None}, [1]]
    assert lines[1]["out.at"] == "2026-01-01T10:00:00.000000Z"


def test_an_index_with_a_name_is_a_column(tmp_path):
    rows().overshoot.resample("1s").overshoot.to_csv(tmp_path / "x.csv")
    assert pd.read_csv(tmp_path / "x.csv")["media_time"].tolist() == [0.0, 1.0]
    rows().set_index("sample", drop=False).overshoot.to_csv(tmp_path / "y.csv")
    assert next(iter(pd.read_csv(tmp_path / "y.csv"))) == "sample"


@pytest.mark.parametrize("method", ["to_parquet", "to_csv", "to_jsonl"])
def test_no_rows_are_a_file_too(tmp_path, method):
    path = getattr(rows().head(0).overshoot, method)(tmp_path / "x")
    if method == "to_jsonl":
        assert path.read_bytes() == b""
    else:
        read = pd.read_parquet if method == "to_parquet" else pd.read_csv
        assert list(read(path)) == list(rows())
        assert len(read(path)) == 0


@pytest.mark.parametrize("method", ["to_parquet", "to_csv", "to_jsonl"])
def test_a_file_is_replaced_only_by_a_whole_one(tmp_path, method):
    class Unreadable:
        def __str__(self) -> str:
            raise RuntimeError("no")

    path = tmp_path / "x"
    path.write_text("before")
    if os.name == "posix":
        path.chmod(0o640)
    bad = pd.DataFrame({"a": np.array([1, Unreadable()], object)})
    with pytest.raises(RuntimeError):
        getattr(bad.overshoot, method)(path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    getattr(rows().overshoot, method)(path)
    assert path.read_bytes() != b"before"
    assert list(tmp_path.iterdir()) == [path]
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("method", ["to_parquet", "to_csv", "to_jsonl"])
def test_what_is_wrong_is_said(tmp_path, method):
    df = rows()
    with pytest.raises(ValidationError, match="there is no folder"):
        getattr(df.overshoot, method)(tmp_path / "no" / "x")
    with pytest.raises(ValidationError, match="it is a folder"):
        getattr(df.overshoot, method)(tmp_path)
    doubled = pd.concat([df, df[["ok"]]], axis=1)
    with pytest.raises(ValidationError, match="several ok"):
        getattr(doubled.overshoot, method)(tmp_path / "x")


def test_categories_of_numbers_may_be_missing(tmp_path):
    df = pd.DataFrame({"n": pd.Categorical([2, None, 1]), "at": pd.Categorical([START] * 3)})
    df.overshoot.to_csv(tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    assert [row["n"] for row in cells] == ["2", "", "1"]
    assert cells[0]["at"] == "2026-01-01T12:00:00.250001Z"


def test_what_no_json_can_hold_is_replaced_in_json_lines(tmp_path):
    values = ["\ud800x", ["\udfff"], {"\udead": 2**70}, math.inf]
    df = pd.DataFrame({"out.x": pd.Series(values, dtype=object), "y": [1.0, math.nan, math.inf, 0]})
    df.overshoot.to_jsonl(tmp_path / "x.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "x.jsonl").read_bytes().splitlines()]
    assert [line["out.x"] for line in lines] == ["?x", ["?"], {"?": 2**70}, None]
    assert [line["y"] for line in lines] == [1.0, None, None, 0.0]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_other_threads_files_keep_their_permissions(tmp_path, monkeypatch):
    changed = []
    monkeypatch.setattr(os, "umask", changed.append)
    rows().overshoot.to_csv(tmp_path / "x.csv")
    assert changed == []  # it is the whole process's
