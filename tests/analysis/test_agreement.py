"""agreement: against plain Python, and statsmodels' kappa and Wilson interval."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa as reference_kappa
from statsmodels.stats.proportion import proportion_confint

from overshoot_nb import ValidationError
from overshoot_nb.analysis.agreement import cohens_kappa

PAIRS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", None]),
        st.sampled_from(["a", "b", "c", None]),
        st.booleans(),
        st.booleans(),
    ),
    max_size=40,
)


def frame(pairs) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample": range(len(pairs)),
            "stream_id": "s",
            "ok": [p[2] for p in pairs],
            "out.kind": pd.Series([p[0] for p in pairs], dtype="category"),
            "result": "x",
            "v2": "x",
            "v2.ok": pd.array([p[3] for p in pairs], "boolean"),
            "v2.out.kind": pd.Series([p[1] for p in pairs], dtype="str"),
        }
    )


@settings(max_examples=150, deadline=None)
@given(PAIRS)
def test_a_backfills_column_against_plain_python(pairs):
    got = frame(pairs).overshoot.agreement("v2")
    assert got["field"].tolist() == ["kind"]
    row = got.iloc[0]
    both = [(a, b) for a, b, ok, ok2 in pairs if ok and ok2]
    same = sum(a == b for a, b in both)
    assert (row["n"], row["agree"]) == (len(both), same)
    assert row["differ"] == [i for i, p in enumerate(pairs) if p[2] and p[3] and p[0] != p[1]]
    if not both:
        assert math.isnan(row["share"])
        return
    low, high = proportion_confint(same, len(both), 0.05, "wilson")
    assert (row["low"], row["high"]) == pytest.approx((low, high), abs=1e-9)
    counts = [Counter(side) for side in zip(*both, strict=True)]
    chance = sum(counts[0][k] * counts[1][k] for k in counts[0]) / len(both) ** 2
    if chance == 1:
        assert math.isnan(row["kappa"])
    else:
        assert row["kappa"] == pytest.approx((same / len(both) - chance) / (1 - chance))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=50))
def test_kappa_is_that_of_statsmodels(pairs):
    one, two = (np.array(side) for side in zip(*pairs, strict=True))
    table = np.zeros((4, 4))
    np.add.at(table, (one, two), 1)
    ours = cohens_kappa(one, two)
    if len(set(one) | set(two)) == 1:
        assert math.isnan(ours)
    else:
        assert ours == pytest.approx(reference_kappa(table, return_results=False))


def test_values_that_say_the_same_agree():
    df = pd.DataFrame(
        {
            "out.n": pd.array([3, 4, None], "Int64"),
            "v2.out.n": [3.0, 4.5, np.nan],
            "out.text": ["cafe\u0301 ", "x", "y"],
            "v2.out.text": ["caf\u00e9", "X", "y"],
            "out.list": [[1, 2], [1, 2], None],
            "v2.out.list": [[1, 2], [2, 1], None],
            "out.any": [True, 1, "1"],
            "v2.out.any": [1, 1.0, 1],
            "v2.ok": True,
        }
    )
    got = df.overshoot.agreement("v2").set_index("field")
    assert got["agree"].to_dict() == {"n": 2, "text": 2, "list": 2, "any": 1}
    assert got["n"].eq(3).all()  # null on both sides is the same answer
    assert got.loc["n", "mean_abs_diff"] == 0.25
    assert math.isnan(got.loc["list", "kappa"])
    near = df.overshoot.agreement("v2.out.n", within=0.5)
    assert near["agree"].tolist() == [3]
    assert near["differ"].tolist() == [[]]


def test_free_text_and_columns_of_ones_own():
    df = pd.DataFrame(
        {
            "sample": [5, 6, 7],
            "ok": True,
            "result": ["yes", "no", "yes"],
            "v2": ["yes", "yes", None],
            "v2.ok": pd.array([True, True, False], "boolean"),
            "seen": [1, 2, None],
            "out.people": [1, 3, 3],
        }
    )
    answer = df.drop(columns="out.people").overshoot.agreement("v2").iloc[0]
    assert (answer["field"], answer["n"], answer["agree"], answer["differ"]) == (
        "answer",
        2,
        1,
        [6],
    )
    own = df.overshoot.agreement("seen", column="people").iloc[0]
    assert (own["n"], own["agree"], own["mean_abs_diff"]) == (2, 1, 0.5)  # a gap is no answer


def rows(times, people, stream, first=0, **more) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "stream_id": stream,
            "sample": np.arange(first, first + len(times)),
            "media_time": pd.to_timedelta(times, unit="s"),
            "ok": True,
            "out.people": people,
            **more,
        }
    )


def test_rows_of_the_same_run_are_aligned_by_sample():
    one = rows([0, 1, 2, 3], [1, 2, 3, 4], "s")
    two = one.iloc[[3, 1, 0]].assign(**{"out.people": [4, 9, 1]})
    got = one.overshoot.agreement(two).iloc[0]
    assert (got["n"], got["agree"], got["differ"]) == (3, 2, [1])


def test_rows_of_other_runs_are_aligned_by_time_each_once():
    one = rows([0, 0.04, 1.0, 2.0, 5.0], [1, 7, 2, 3, 4], "s")
    two = rows([2.06, 0.05, 1.2, 5.0], [3, 7, 2, 8], "t", first=100)
    got = one.overshoot.agreement(two).iloc[0]
    assert (got["n"], got["agree"], got["differ"]) == (3, 2, [4])
    assert one.overshoot.agreement(two, tolerance=0.3).iloc[0]["n"] == 4
    # A recording's file has seconds; what is true may leave the out. away.
    truth = pd.DataFrame({"media_time": [0.04, 1.0], "people": [7, None]})
    assert one.overshoot.agreement(truth).iloc[0][["n", "agree"]].tolist() == [1, 1]


def test_several_runs_name_the_run_of_a_sample():
    df = pd.concat([rows([0, 1], [1, 2], "s"), rows([0, 1], [3, 4], "t")])
    other = df.assign(**{"out.people": [1, 9, 9, 4]})
    got = df.overshoot.agreement(other).iloc[0]
    assert got["differ"] == [("s", 1), ("t", 0)]
    with pytest.raises(ValidationError, match="of several runs"):
        df.overshoot.agreement(rows([0], [1], "u"))


def test_a_picture_counts_once_whichever_of_its_rows_were_compared():
    df = frame([("a", "a", True, True)] * 8).assign(
        copied_from=pd.array([None, 0, 0, None, 3, 3, None, 6], "Int64")
    )
    # The other side says nothing of the sample that was asked about, which may be left out, too.
    df.loc[[0, 3, 4], "v2.ok"] = pd.NA
    df.loc[5, "v2.out.kind"] = "b"
    for these in (df, df[df["copied_from"].notna()], df.assign(copied_from=df["copied_from"] / 1)):
        got = these.overshoot.agreement("v2").iloc[0]
        assert (got["n"], got["agree"], got["differ"]) == (3, 2, [5])
    two_runs = pd.concat([df, df.assign(stream_id="t")])
    assert two_runs.overshoot.agreement("v2").iloc[0]["n"] == 6
    assert df.drop(columns="sample").overshoot.agreement("v2").iloc[0]["n"] == 1


def test_no_rows_agree_on_nothing():
    df = rows([0, 1], [1, 2], "s")
    got = df.head(0).overshoot.agreement(df)
    assert got[["n", "agree"]].to_numpy().tolist() == [[0, 0]]
    assert (got["low"].iloc[0], got["high"].iloc[0]) == (0.0, 1.0)


def test_what_is_wrong_is_said():
    df = frame([("a", "b", True, True)])
    with pytest.raises(ValidationError, match="did you mean v2"):
        df.overshoot.agreement("v22")
    with pytest.raises(ValidationError, match="does not say what to compare result with"):
        df.overshoot.agreement("result")
    with pytest.raises(ValidationError, match="within="):
        df.overshoot.agreement("v2", within=-1)
    with pytest.raises(ValidationError, match="confidence="):
        df.overshoot.agreement("v2", confidence=1)
    with pytest.raises(ValidationError, match="no field that both have"):
        df.overshoot.agreement(pd.DataFrame({"town": [1]}))
    with pytest.raises(ValidationError, match="must be a column"):
        df.overshoot.agreement(3)
