"""``agreement``: how often two who answered say the same, field by field."""

from __future__ import annotations

import numbers
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from overshoot_nb.errors import ValidationError
from overshoot_nb.store.fields import comparable
from overshoot_nb.support.intervals import check_confidence, wilson_interval

from .pairing import Pair, Paired, paired_columns, paired_rows
from .runs import answered, plain, result_rows

#: With more different values than these it is no classification, which is what kappa is about.
MOST_CLASSES = 20


def agreement(
    rows: pd.DataFrame,
    other: str | pd.DataFrame,
    column: str | None,
    within: float,
    tolerance: float,
    confidence: float,
) -> pd.DataFrame:
    """See :meth:`~overshoot_nb.analysis.table_methods.TableMethods.agreement`."""
    confidence = check_confidence(confidence)
    for name, value in (("within", within), ("tolerance", tolerance)):
        number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not number or not 0 <= value < float("inf"):
            raise ValidationError(f"{name}={value!r} is not valid: it must be a number, x >= 0")
    rows = result_rows(rows)
    if isinstance(other, str):
        paired = paired_columns(rows, other, column)
    elif isinstance(other, pd.DataFrame):
        paired = paired_rows(rows, result_rows(other), column, tolerance)
    else:
        raise ValidationError(
            f"other={type(other).__name__} is not valid: it must be a column, such as 'v2', or "
            "another DataFrame"
        )
    return _table([_field(paired, pair, within, confidence) for pair in paired.pairs])


class _Field(NamedTuple):
    """One row of the result."""

    field: str
    n: int
    agree: int
    share: float
    low: float
    high: float
    kappa: float
    mean_abs_diff: float
    differ: list[Any]


def _table(fields: list[_Field]) -> pd.DataFrame:
    table = pd.DataFrame(fields, columns=list(_Field._fields))
    numbers_ = dict.fromkeys(("share", "low", "high", "kappa", "mean_abs_diff"), "float64")
    return table.astype({"n": "int64", "agree": "int64", **numbers_, "differ": object})


def _field(paired: Paired, pair: Pair, within: float, confidence: float) -> _Field:
    ours, theirs = plain(paired.ours[pair.ours]), plain(paired.theirs[pair.theirs])
    known = answered(paired.ours) & _said(paired, pair)
    if not pair.null_is_answer:
        known = known & ours.notna().to_numpy(bool) & theirs.notna().to_numpy(bool)
    at = _one_a_picture(paired.ours, np.flatnonzero(known))
    ours, theirs = ours.iloc[at], theirs.iloc[at]
    one, two = _codes(ours, theirs)
    same = one == two
    difference = _difference(ours, theirs)
    if difference is not None:
        same |= difference <= within  # NaN is not
    n, agree = len(at), int(same.sum())
    low, high = wilson_interval(agree, n, confidence)
    known_differences = difference[~np.isnan(difference)] if difference is not None else ()
    return _Field(
        pair.field,
        n,
        agree,
        agree / n if n else np.nan,
        low,
        high,
        _kappa(ours, theirs, one, two) if within == 0 or difference is None else np.nan,
        float(np.mean(known_differences)) if len(known_differences) else np.nan,
        [paired.samples[place] for place in at[~same]],
    )


def _said(paired: Paired, pair: Pair) -> npt.NDArray[np.bool_]:
    """Where the other side holds an answer."""
    if pair.ok is None:
        return np.ones(len(paired.theirs), bool)
    return answered(pd.DataFrame({"ok": paired.theirs[pair.ok]}))


def _one_a_picture(rows: pd.DataFrame, at: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Of the rows at these places that show one picture, the first: a copy is no other trial."""
    if "copied_from" not in rows or rows["copied_from"].isna().all():
        return at
    rows = rows.iloc[at]
    if "sample" not in rows:
        return at[rows["copied_from"].isna().to_numpy(bool)]
    # The row that was asked about need not be among these: others were left out, or not answered.
    picture = rows["copied_from"].where(rows["copied_from"].notna(), rows["sample"])
    run = rows.get("stream_id", "")
    again = pd.DataFrame({"picture": picture, "run": run}).duplicated().to_numpy(bool)
    first: npt.NDArray[np.intp] = at[~again]
    return first


# ---- values --------------------------------------------------------------------------------------


def _codes(ours: pd.Series, theirs: pd.Series) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Numbers that are the same where both say the same; missing is one of them."""
    code_of: dict[Any, int] = {}
    made = []
    values: Any
    for side in (ours, theirs):
        if side.dtype == object:  # lists; and True, which would be taken for 1
            places, values = np.arange(len(side)), side.to_numpy(object)
        else:
            places, values = pd.factorize(side, use_na_sentinel=True)
        # One more at the end, for -1: missing.
        keys = [None if _is_missing(v) else comparable(_python(v)) for v in values]
        lookup = np.array([code_of.setdefault(k, len(code_of)) for k in (*keys, None)], np.intp)
        made.append(lookup[places])
    return made[0], made[1]


def _is_missing(value: Any) -> bool:
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _python(value: Any) -> Any:
    """A value of numpy's as Python's own."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _is_numeric(values: pd.Series) -> bool:
    dtype = values.dtype
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)


def _difference(ours: pd.Series, theirs: pd.Series) -> npt.NDArray[np.float64] | None:
    """How far apart numbers are, NaN where one is missing; None of what are no numbers."""
    if not _is_numeric(ours) or not _is_numeric(theirs):
        return None
    one, two = (
        side.astype("Float64").to_numpy(np.float64, na_value=np.nan) for side in (ours, theirs)
    )
    with np.errstate(invalid="ignore"):
        return np.abs(one - two)


def _kappa(
    ours: pd.Series,
    theirs: pd.Series,
    one: npt.NDArray[np.intp],
    two: npt.NDArray[np.intp],
) -> float:
    """Cohen's kappa where values are classes; NaN of measurements, texts and lists."""
    for side in (ours, theirs):
        if pd.api.types.is_float_dtype(side.dtype):
            numbers_ = side.dropna().to_numpy(np.float64)
            if not (np.isfinite(numbers_) & (numbers_ == np.rint(numbers_))).all():
                return float("nan")
        elif side.dtype == object and any(
            isinstance(v, list | dict | np.ndarray) for v in side.dropna()
        ):
            return float("nan")
    if len(np.union1d(one, two)) > MOST_CLASSES:
        return float("nan")
    return cohens_kappa(one, two)


def cohens_kappa(one: npt.NDArray[np.intp], two: npt.NDArray[np.intp]) -> float:
    """Agreement beyond what chance would give, -1..1; NaN where chance alone agrees always.

    J. Cohen, A coefficient of agreement for nominal scales, Educational and Psychological
    Measurement 20 (1960) 37-46.

    Args:
        one, two: the class that each said, as whole numbers from 0. (n,)
    """
    n = len(one)
    if n == 0:
        return float("nan")
    classes = int(max(one.max(), two.max())) + 1
    counts_one, counts_two = (np.bincount(side, minlength=classes) for side in (one, two))
    # In whole numbers until the end: a chance of 1 is told exactly.
    by_chance = int(counts_one @ counts_two)
    if by_chance == n * n:
        return float("nan")
    observed = int((one == two).sum())
    return (observed * n - by_chance) / (n * n - by_chance)
