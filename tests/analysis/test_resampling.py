"""resample: against a reference in plain Python, and against pandas where it has the same."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overshoot_nb import ValidationError
from overshoot_nb.store.table import ResultTable
from overshoot_nb.types import StreamInferenceResult, Usage

SCHEMA = {
    "type": "object",
    "properties": {
        "people": {"type": "integer"},
        "speed": {"type": "number"},
        "dark": {"type": "boolean"},
        "event": {"enum": ["goal", "foul"]},
        "items": {"type": "array"},
    },
}


def answer(sample: int, at: float, output: Any, *, stream: str = "a", ok: bool = True):
    return StreamInferenceResult(
        f"r{sample}", stream, "frame", "m", "?", "text" if ok else "", 10.0, 20.0, ok,
        sample=sample, media_time=at, output=output if ok else None,
        usage=Usage(3, 2, 5, 0.5) if ok else None,
    )  # fmt: skip


def table(*answers: StreamInferenceResult) -> pd.DataFrame:
    made = ResultTable(SCHEMA)
    for each in answers:
        made.append(each)
    return made.df


OUTPUTS = st.fixed_dictionaries(
    {
        "people": st.one_of(st.none(), st.integers(-5, 5)),
        "speed": st.one_of(st.none(), st.floats(-1e6, 1e6)),
        "dark": st.one_of(st.none(), st.booleans()),
        "event": st.one_of(st.none(), st.sampled_from(["goal", "foul"])),
        "items": st.one_of(st.none(), st.lists(st.integers(), max_size=2)),
    }
)
ANSWERS = st.lists(
    st.tuples(st.integers(0, 12_000_000), OUTPUTS, st.sampled_from(["a", "b"]), st.booleans()),
    max_size=25,
)
STEPS = st.sampled_from([0.3, 0.5, 1, 2.5, 7])


def reference(rows: list[tuple[int, int, dict[str, Any], str, bool]], step: int):
    """(stream, bin) -> what is in it, written from the docstring."""
    runs = list(dict.fromkeys(stream for *_, stream, _ in rows))
    expected = []
    for run in runs:
        own = sorted((r for r in rows if r[3] == run), key=lambda r: r[1])
        bins = defaultdict(list)
        for row in own:
            bins[row[1] // step].append(row)
        for number in range(min(bins), max(bins) + 1):
            inside = bins.get(number, [])
            said = [r[2] for r in inside if r[4]]

            def known(name: str, said: list[dict[str, Any]] = said) -> list[Any]:
                return [o[name] for o in said if o[name] is not None]

            def mean(values: list[float]) -> float | None:
                return math.fsum(values) / len(values) if values else None

            expected.append(
                {
                    "stream_id": run,
                    "media_time": number * step,
                    "n": len(inside),
                    "errors": sum(not r[4] for r in inside),
                    "sample": inside[0][0] if inside else None,
                    "out.people": mean(known("people")),
                    "out.speed": mean(known("speed")),
                    "out.dark": mean(known("dark")),
                    "out.event": (known("event") or [None])[-1],
                    "out.items": (known("items") or [None])[-1],
                    "total_tokens": 5 * len(said) if said else None,
                }
            )
    return expected


@settings(max_examples=150, deadline=None)
@given(ANSWERS, STEPS)
def test_it_is_what_the_docstring_says(drawn, step):
    rows = [(i, us, output, stream, ok) for i, (us, output, stream, ok) in enumerate(drawn)]
    df = table(*(answer(i, us / 1e6, o, stream=s, ok=ok) for i, us, o, s, ok in rows))
    got = df.overshoot.resample(step)
    expected = reference(rows, round(step * 1e6))
    assert got.index.name == "media_time"
    assert got.index.dtype == "timedelta64[us]"
    assert len(got) == len(expected)
    for (at, row), want in zip(got.iterrows(), expected, strict=True):
        assert round(at.total_seconds() * 1e6) == want.pop("media_time")
        for name, value in want.items():
            cell = row[name]
            if isinstance(cell, list):
                assert cell == value
            elif value is None:
                assert cell is None or pd.isna(cell), name
            elif isinstance(value, float):
                assert math.isclose(cell, value, rel_tol=1e-9, abs_tol=1e-9), name
            else:
                assert cell == value, name


def big(n: int = 500) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return table(
        *(
            answer(
                i,
                i * 0.37,
                {"people": int(rng.integers(9)), "speed": float(rng.normal()), "dark": bool(i % 3)},
            )
            for i in range(n)
        )
    )


@pytest.mark.parametrize("how", ["min", "max", "median", "std", "sum", "mean", "p90"])
def test_numbers_are_those_of_pandas(how):
    df = big()
    got = df.overshoot.resample("2s", how)
    theirs = df.set_index("media_time")[["out.people", "out.speed"]].astype("float64")
    theirs = theirs.resample("2s")
    theirs = theirs.quantile(0.9) if how == "p90" else getattr(theirs, how)()
    for name in theirs:
        np.testing.assert_allclose(got[name].astype("float64"), theirs[name], rtol=1e-9)


def test_a_name_takes_what_it_fits_and_leaves_the_rest():
    got = big().overshoot.resample("2s", "max")
    assert str(got["out.people"].dtype) == "Int64"
    assert str(got["out.dark"].dtype) == "boolean"
    assert got["result"].iloc[0] == "text"
    assert big().overshoot.resample("2s", "nunique")["model"].eq(1).all()


def test_a_dict_takes_its_columns_alone_by_names_or_functions():
    df = big()
    got = df.overshoot.resample(2, {"people": lambda s: int(s.max() - s.min()), "dark": "any"})
    assert list(got) == ["stream_id", "n", "errors", "out.people", "out.dark"]
    spread = df.groupby(df["media_time"] // pd.Timedelta("2s"))["out.people"]
    assert got["out.people"].tolist() == (spread.max() - spread.min()).tolist()


def test_empty_stretches_are_there_with_nothing_in_them():
    df = table(answer(0, 1.0, {"people": 2}), answer(1, 4.2, {"people": 4}))
    got = df.overshoot.resample("1s", "sum")
    assert got["n"].tolist() == [1, 0, 0, 1]
    assert got["out.people"].tolist() == [2, pd.NA, pd.NA, 4]
    assert got["total_tokens"].isna().tolist() == [False, True, True, False]
    assert got.index[0] == pd.Timedelta("1s")


def test_a_failed_row_says_nothing_of_the_video_and_counts_as_an_error():
    df = table(answer(0, 0.0, {"people": 2}), answer(1, 0.5, None, ok=False))
    got = df.overshoot.resample("1s").iloc[0]
    assert (got["n"], got["errors"], got["out.people"], got["result"]) == (2, 1, 2.0, "text")


def test_rows_of_a_recording_as_pandas_reads_it():
    df = big(40)
    plain = pd.DataFrame(
        {
            "kind": ["result"] * 40 + ["drop"],
            "sample": [*df["sample"], 40],
            "media_time": [*df["media_time"].dt.total_seconds(), 99.0],
            "ok": [*df["ok"].astype(object), None],
            "out.people": [*df["out.people"].astype(float), None],
            "out.dark": [*df["out.dark"].astype(object), None],
            "result": [*df["result"].astype(object), None],
            "stream_id": [*df["stream_id"].astype(object), "a"],
        }
    )
    got, expected = plain.overshoot.resample("2s"), df.overshoot.resample("2s")
    for name in ("n", "errors", "out.people", "out.dark"):
        assert got[name].astype("float64").tolist() == expected[name].astype("float64").tolist()
    assert got["result"].tolist() == expected["result"].tolist()


def test_no_rows_give_no_stretches_and_the_same_columns():
    df = big(3)
    none = df.head(0).overshoot.resample("1s")
    assert len(none) == 0
    assert list(none) == list(df.overshoot.resample("1s"))
    assert none["out.people"].dtype == "float64"


def test_the_rows_stay_as_they_were_and_their_order_and_index_do_not_matter():
    df = big(50)
    shuffled = df.sample(frac=1, random_state=0)
    shuffled.index = [0] * 50
    before = shuffled.copy()
    pd.testing.assert_frame_equal(shuffled.overshoot.resample("1s"), df.overshoot.resample("1s"))
    pd.testing.assert_frame_equal(shuffled, before)


@pytest.mark.parametrize(
    "by", [0, -1, "0s", "soon", None, True, float("nan"), float("inf"), "1e-9s"]
)
def test_a_wrong_step_is_refused(by):
    with pytest.raises(ValidationError, match="by="):
        big(3).overshoot.resample(by)


def test_what_is_wrong_is_said():
    df = big(3)
    with pytest.raises(ValidationError, match="did you mean 'mean'"):
        df.overshoot.resample("1s", "meen")
    with pytest.raises(ValidationError, match="for numbers and truth values"):
        df.overshoot.resample("1s", {"event": "mean"})
    with pytest.raises(ValidationError, match=r"did you mean out\.people"):
        df.overshoot.resample("1s", {"out.peple": "mean"})
    with pytest.raises(ValidationError, match="needs the column media_time"):
        df.drop(columns="media_time").overshoot.resample("1s")
    with pytest.raises(ValidationError, match="give a longer one"):
        table(answer(0, 0, {}), answer(1, 1e7, {})).overshoot.resample("1ms")


def test_counts_are_not_hidden_by_columns_of_their_name():
    df = pd.DataFrame({"media_time": np.arange(4.0), "n": 7, "errors": "x", "out.a": 1})
    again = df.overshoot.resample(np.int64(2))
    assert list(again) == ["n", "out.a"]
    assert again["n"].tolist() == [2, 2]
    with pytest.raises(ValidationError, match="rename the column first"):
        df.overshoot.resample("1s", {"n": "max"})
