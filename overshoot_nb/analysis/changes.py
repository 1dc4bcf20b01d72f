"""``changes``: when a value became another one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from overshoot_nb.conditions.names import not_there, resolve
from overshoot_nb.conditions.required_columns import require
from overshoot_nb.conditions.values import key
from overshoot_nb.errors import ValidationError
from overshoot_nb.support.validation import check_whole

from .events import MOST_ROWS
from .run_order import RunOrder, duration_in, stretches


def changes(
    rows: pd.DataFrame, column: str, *, debounce: int = 1, min_hold: float = 0.0
) -> pd.DataFrame:
    """See :meth:`overshoot_nb.analysis.event_methods.EventMethods.changes`."""
    check_whole("debounce", debounce, 1, MOST_ROWS)
    shortest = duration_in("min_hold", min_hold)
    name = resolve(column, rows.columns) if isinstance(column, str) else None
    if name is None:
        raise ValidationError(f"changes(): {not_there(str(column), rows.columns)}")
    require(rows, "changes", "media_time", "sample", name)
    order = RunOrder.of(rows, "changes")
    values = rows[name].iloc[order.positions].reset_index(drop=True)
    said = _numbered(values)
    starts = order.begins()
    starts[1:] |= said[1:] != said[:-1]
    first, length = stretches(starts)
    first = _where_another(order, said, first[length >= debounce])
    end = _ends(order, first)
    first = _where_another(order, said, first[order.times[end] - order.times[first] >= shortest])
    end = _ends(order, first)
    after = _nullable(values.iloc[first].reset_index(drop=True))
    before = after.shift(1)
    before[order.begins_among(first)] = _missing_in(before)
    return pd.DataFrame(
        {
            "stream_id": order.stream_ids(rows, first),
            "at": order.times[first].view("m8[us]"),
            "before": before,
            "after": after,
            "sample": order.samples(rows, first),
            "held": (order.times[end] - order.times[first]).view("m8[us]"),
            "captured_at": order.wall_clock(rows, first),
        }
    )


def _where_another(
    order: RunOrder, said: NDArray[np.intp], first: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Those of the places that say another value than the one before them, or begin a run."""
    another = order.begins_among(first)
    another[1:] |= said[first[1:]] != said[first[:-1]]
    return first[another]


def _ends(order: RunOrder, first: NDArray[np.intp]) -> NDArray[np.intp]:
    """Where what holds from these places ends: at the next one, or at the last row of the run."""
    end: NDArray[np.intp] = np.searchsorted(order.runs, order.runs[first], side="right") - 1
    follows = ~order.begins_among(first)[1:]
    end[:-1][follows] = first[1:][follows]
    return end


def _numbered(values: pd.Series[Any]) -> NDArray[np.intp]:
    """The same number for the same value; missing is a value like others."""
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return values.cat.codes.to_numpy().astype(np.intp)
    if pd.api.types.is_object_dtype(dtype) or isinstance(dtype, pd.ArrowDtype):
        # Lists cannot be told apart by pandas, and it takes True for 1.
        return pd.factorize(_objects([key(value) for value in values]), use_na_sentinel=True)[0]
    return pd.factorize(values, use_na_sentinel=True)[0]


def _objects(values: list[Any]) -> NDArray[np.object_]:
    cells = np.empty(len(values), object)
    cells[:] = values
    return cells


def _nullable(values: pd.Series[Any]) -> pd.Series[Any]:
    """The same values in a dtype that can say that there is none."""
    kind = values.dtype.kind
    if isinstance(values.dtype, np.dtype) and kind in "iub":
        name = "boolean" if kind == "b" else "UInt64" if kind == "u" else "Int64"
        return values.astype(name)  # type: ignore[call-overload,no-any-return]
    return values


def _missing_in(values: pd.Series[Any]) -> Any:
    return None if pd.api.types.is_object_dtype(values.dtype) else pd.NA
