"""The rows of a DataFrame run by run, each in the order of media time.

Media time starts at zero in every run, so whatever is done over time is done run by run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from overshoot_nb.types import RowKind

from .rows import media_seconds

_KINDS = frozenset(get_args(RowKind))


#: Columns of ``compare(...).df``, and what rows of a stream call them.
_OF_COMPARISONS = {"latency_ms": "inference_latency_ms", "tokens": "total_tokens"}
#: What rows are told apart by where nobody says; the answers of a comparison have no versions.
BY = ("model", "prompt_version")


def as_stream_rows(
    rows: pd.DataFrame, by: str | Sequence[str]
) -> tuple[pd.DataFrame, str | Sequence[str]]:
    """Rows with the names that a stream's have, and what to tell them apart by; others as is.

    Those of a comparison are told apart by model and prompt where ``by`` is the default.
    """
    if "stream_id" in rows or not {"prompt", "repeat", *_OF_COMPARISONS} <= set(rows.columns):
        return rows, by
    if by == BY and BY[1] not in rows:
        by = ("model", "prompt")
    return rows.rename(columns=_OF_COMPARISONS), by


@dataclass(frozen=True, slots=True)
class Runs:
    """Rows in order: run by run as they first appear, within a run by media time.

    Rows without a media time are left out. n rows, k runs:

    Attributes:
        ids: stream_id of each run; None where the rows do not say. (k,)
        order: positions of the rows, so that ``rows.iloc[order]`` is in order. int (n,)
        run: number of each row's run, in order. int (n,)
        us: media time of each row in microseconds, in order. int64 (n,)
    """

    ids: tuple[Any, ...]
    order: npt.NDArray[np.intp]
    run: npt.NDArray[np.intp]
    us: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def starts(self) -> npt.NDArray[np.intp]:
        """Where each run begins, and the end of the last. (k + 1,)"""
        return np.searchsorted(self.run, np.arange(len(self) + 1)).astype(np.intp)


def asked(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows but those that copy the answer of another about the very same picture."""
    if "copied_from" not in rows:
        return rows
    own = rows["copied_from"].isna().to_numpy(bool)
    return rows if own.all() else rows[own]


def by_run(rows: pd.DataFrame, method: str) -> Runs:
    """The order of rows that have ``media_time``, and perhaps ``stream_id``; ``method`` asks."""
    seconds = media_seconds(rows, method)
    there = np.flatnonzero(np.isfinite(seconds))
    us = np.rint(seconds[there] * 1e6).astype(np.int64)
    if "stream_id" in rows:
        run, names = run_numbers(rows["stream_id"].iloc[there])
        ids = tuple(None if name is None or name != name else name for name in names.tolist())
    else:
        run, ids = np.zeros(len(there), np.intp), (None,) * bool(len(there))
    order = np.lexsort((us, run))
    return Runs(ids, there[order], run[order].astype(np.intp), us[order])


def run_numbers(stream_id: pd.Series[Any]) -> tuple[npt.NDArray[np.intp], pd.Index[Any]]:
    """The number of each row's run, in the order in which they come first, and the runs' ids.

    Rows without an id are one run.
    """
    if isinstance(stream_id.dtype, pd.CategoricalDtype) and len(stream_id):
        codes = stream_id.cat.codes.to_numpy()
        if (codes == codes[0]).all():  # nearly always
            return np.zeros(len(codes), np.intp), pd.Index(stream_id.iloc[:1])
    numbers, ids = pd.factorize(stream_id, use_na_sentinel=False)
    return numbers, pd.Index(ids)


def are_results(rows: pd.DataFrame) -> npt.NDArray[np.bool_] | None:
    """Which rows are those of answers; None where all are, as everywhere but in a recording.

    A recording as it is in its file has rows of drops, and of answers that were asked for later.
    """
    if "kind" not in rows:
        return None
    kind = rows["kind"]
    known = set() if kind.ndim > 1 else set(kind.dropna().unique())
    if not known or not known <= _KINDS:
        return None  # a column of somebody's own
    return kind.isin(["result"]).to_numpy(bool)


def result_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of answers; see :func:`are_results`."""
    results = are_results(rows)
    return rows if results is None else rows[results]


def answered(rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which rows hold an answer: all but the failed ones; all where rows do not say."""
    if "ok" not in rows:
        return np.ones(len(rows), bool)
    return (rows["ok"].isin([True]) & rows["ok"].notna()).to_numpy(bool)


def holds_answers(column: object) -> bool:
    """Whether a column is a part of the answer, of which a failed inference has none."""
    return column in ("result", "out") or (isinstance(column, str) and column.startswith("out."))


def plain(values: pd.Series) -> pd.Series:
    """Booleans that a file gave as objects, for some are missing, as booleans; others as is."""
    if values.dtype != np.dtype(object):
        return values
    known = (v for v in values.array if v is not None and v is not pd.NA and v is not np.nan)
    first = next(known, None)
    if isinstance(first, bool | np.bool_) and pd.api.types.infer_dtype(values) == "boolean":
        return values.astype("boolean")
    return values
