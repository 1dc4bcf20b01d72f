"""Whose answers are compared with whose: columns beside each other, or rows of two DataFrames."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from overshoot_nb.conditions.required_columns import require
from overshoot_nb.errors import ValidationError

from .rows import media_seconds
from .runs import by_run


class Pair(NamedTuple):
    """One field on both sides.

    Attributes:
        field: what it is called: "people", "answer" for the whole of an answer.
        ours, theirs: its columns.
        ok: the column that says whether the other side has answered, or None.
        null_is_answer: whether a missing value is one that was said ("no banner").
    """

    field: str
    ours: str
    theirs: str
    ok: str | None
    null_is_answer: bool


class Paired(NamedTuple):
    """Both sides, row by row; n rows.

    Attributes:
        ours, theirs: the rows. (n,)
        samples: what each row is about: its sample; of several runs (stream_id, sample). (n,)
        pairs: the columns to compare.
    """

    ours: pd.DataFrame
    theirs: pd.DataFrame
    samples: list[Any]
    pairs: list[Pair]


def paired_columns(rows: pd.DataFrame, other: str, column: str | None) -> Paired:
    """A column of the rows and what it is to be compared with, among the same rows.

    ``v2`` of a backfill stands for all its fields, ``v2.out.people`` for one.
    """
    fields = [c for c in rows.columns if isinstance(c, str) and c.startswith(f"{other}.out.")]
    if other not in rows and not fields and column is None and f"out.{other}" in rows:
        other = f"out.{other}"
    if other not in rows and not fields:
        near = get_close_matches(other, [str(c) for c in rows.columns], 1)
        raise ValidationError(
            f"agreement() needs the column {other}, which these rows do not have"
            + (f"; did you mean {near[0]}?" if near else "")
        )
    if column is not None:
        if column not in rows and f"out.{column}" in rows:
            column = f"out.{column}"
        require(rows, "agreement", column, other)
        pairs = [_pair(rows, column, other)]
    elif ".out." in other:
        ours = other[other.index(".out.") + 1 :]
        require(rows, "agreement", ours, other)
        pairs = [_pair(rows, ours, other)]
    else:
        shared = [c for c in fields if c[len(other) + 1 :] in rows]
        if shared:
            pairs = [_pair(rows, c[len(other) + 1 :], c) for c in shared]
        elif f"{other}.ok" in rows:
            require(rows, "agreement", "result")
            pairs = [_pair(rows, "result", other)]
        else:
            raise ValidationError(
                f"agreement({other!r}) does not say what to compare {other} with: it is no column "
                f"of a backfill; name the other one, agreement({other!r}, column='out.people')"
            )
    return Paired(rows, rows, _samples(rows), pairs)


def _pair(rows: pd.DataFrame, ours: str, theirs: str) -> Pair:
    side = theirs.split(".out.")[0]
    # Another column of the same answers has failed with them.
    ok = f"{side}.ok" if f"{side}.ok" in rows else None
    own = theirs == "out" or theirs.startswith("out.")
    return Pair(_field(ours), ours, theirs, ok, ok is not None or (own and "ok" in rows))


def _field(column: str) -> str:
    return "answer" if column in ("result", "out") else column.removeprefix("out.")


def _samples(rows: pd.DataFrame) -> list[Any]:
    samples = rows["sample"].tolist() if "sample" in rows else list(range(len(rows)))
    if "stream_id" in rows and rows["stream_id"].nunique(dropna=False) > 1:
        return list(zip(rows["stream_id"].tolist(), samples, strict=True))
    return samples


# ---- two DataFrames ------------------------------------------------------------------------------


def paired_rows(
    rows: pd.DataFrame, other: pd.DataFrame, column: str | None, tolerance: float
) -> Paired:
    """Rows about the same samples of the same run, else about the same media time."""
    pairs = _shared(rows, other, column)
    if _same_runs(rows, other):
        keys = ["stream_id", "sample"]
        ours, theirs = _matched(rows, other, keys)
    else:
        ours, theirs = _nearest(rows, other, tolerance)
    left = rows.iloc[ours]
    return Paired(left, other.iloc[theirs], _samples(left), pairs)


def _shared(rows: pd.DataFrame, other: pd.DataFrame, column: str | None) -> list[Pair]:
    answers = [c for c in rows.columns if isinstance(c, str) and c.startswith("out.")]
    if column is not None:
        if column not in rows and f"out.{column}" in rows:
            column = f"out.{column}"
        require(rows, "agreement", column)
        answers = [column]
    elif not answers or not any(_theirs(other, c) for c in answers):
        answers = [c for c in ("out", "result") if c in rows and c in other][:1]
    ok = "ok" if "ok" in other else None
    pairs = [
        Pair(_field(ours), ours, theirs, ok, ok is not None)
        for ours in answers
        if (theirs := _theirs(other, ours)) is not None
    ]
    if not pairs:
        raise ValidationError(
            "agreement() found no field that both have: these rows have "
            f"{', '.join(answers) or 'no out. columns'}, and the others "
            f"{', '.join(map(str, other.columns[:20])) or 'no columns'}"
        )
    require(rows, "agreement", *(pair.ours for pair in pairs))
    require(other, "agreement", *(pair.theirs for pair in pairs))
    return pairs


def _theirs(other: pd.DataFrame, column: str) -> str | None:
    """The column of the same field: a table of what is true may leave the out. away."""
    for name in (column, column.removeprefix("out.")):
        if name in other:
            return name
    return None


def _same_runs(rows: pd.DataFrame, other: pd.DataFrame) -> bool:
    for side in (rows, other):
        if "stream_id" not in side or "sample" not in side:
            return False
    ids = [set(side["stream_id"].dropna().astype(object)) for side in (rows, other)]
    return bool(ids[0] & ids[1])


def _matched(rows: pd.DataFrame, other: pd.DataFrame, keys: list[str]) -> Any:
    """Positions of the rows about the same samples; of several the first one counts."""
    sides = []
    for place, side in (("ours", rows), ("theirs", other)):
        plain = side[keys].astype({"stream_id": object}).reset_index(drop=True)
        plain[place] = np.arange(len(plain))
        sides.append(plain.dropna(subset=keys).drop_duplicates(keys))
    both = sides[0].merge(sides[1], on=keys).sort_values("ours")
    return both["ours"].to_numpy(), both["theirs"].to_numpy()


def _nearest(rows: pd.DataFrame, other: pd.DataFrame, tolerance: float) -> Any:
    """Positions of the rows that are nearest to each other in time, each at most once."""
    for name, side in (("these rows", rows), ("the others", other)):
        media_seconds(side, "agreement")
        if len(by_run(side, "agreement")) > 1:
            raise ValidationError(
                f"agreement() compares rows of different runs by their media time, and {name} are "
                "of several runs: give those of one on both sides"
            )
    one, two = by_run(rows, "agreement"), by_run(other, "agreement")
    left = pd.DataFrame({"us": one.us, "left_us": one.us, "ours": one.order})
    right = pd.DataFrame({"us": two.us, "right_us": two.us, "theirs": two.order})
    # Equal times on one side would hide each other.
    left, right = left.drop_duplicates("us"), right.drop_duplicates("us")
    near = pd.merge_asof(
        left, right, on="us", direction="nearest", tolerance=round(tolerance * 1e6)
    ).dropna(subset=["theirs"])
    near["apart"] = (near["left_us"] - near["right_us"]).abs()
    near = near.sort_values("apart", kind="stable").drop_duplicates("theirs").sort_values("us")
    return near["ours"].to_numpy(), near["theirs"].astype("int64").to_numpy()
