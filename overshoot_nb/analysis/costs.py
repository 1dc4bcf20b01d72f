"""``tokens`` and ``cost``: what answers took, and what that is in money."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from overshoot_nb.conditions.required_columns import require
from overshoot_nb.errors import ValidationError

from .grouping import Groups, columns_by
from .runs import as_stream_rows, asked, result_rows

#: US cents for a million prompt tokens and a million completion tokens, by model.
Prices = Mapping[str, tuple[float, float]]

_TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens")


def tokens(rows: pd.DataFrame, by: str | Sequence[str]) -> pd.DataFrame:
    """See :meth:`~overshoot_nb.analysis.table_methods.TableMethods.tokens`."""
    rows, by = as_stream_rows(rows, by)
    keys = columns_by(by)
    require(rows, "tokens", *keys, *_TOKENS)
    rows = asked(result_rows(rows))
    groups = Groups(rows, keys)
    counts = rows[list(_TOKENS)].astype("Int64")
    known = counts.notna().all(axis=1).to_numpy(bool)
    sums = groups.whole(groups.each(counts).sum(min_count=1))
    figures: dict[str, Any] = {"n": groups.count(), "known": groups.count(known)}
    figures.update((name, sums[name].array) for name in _TOKENS)
    means = groups.whole(groups.each(counts.astype("Float64").astype("float64")).mean())
    figures["tokens_per_answer"] = means["total_tokens"].array
    return groups.table(figures)


def cost(rows: pd.DataFrame, prices: Prices | None, by: str | Sequence[str]) -> pd.DataFrame:
    """See :meth:`~overshoot_nb.analysis.table_methods.TableMethods.cost`."""
    rows, by = as_stream_rows(rows, by)
    keys = columns_by(by)
    if prices is None:
        require(rows, "cost", *keys, "cost_cents")
    else:
        require(rows, "cost", *keys, "model", "prompt_tokens", "completion_tokens")
    rows = asked(result_rows(rows))
    cents = _cents(rows, prices)
    known = np.isfinite(cents)
    groups = Groups(rows, keys)
    figures: dict[str, Any] = {"n": groups.count(), "priced": groups.count(known)}
    total = np.zeros(groups.size)
    np.add.at(total, groups.codes[known], cents[known])
    total[figures["priced"] == 0] = np.nan  # not said is not free
    figures["cents"] = total
    with np.errstate(invalid="ignore"):
        figures["cents_per_answer"] = total / figures["priced"]
    return groups.table(figures)


def _cents(rows: pd.DataFrame, prices: Prices | None) -> npt.NDArray[np.float64]:
    """What each row cost in US cents, NaN where nobody knows."""
    if "cost_cents" in rows:
        cents = rows["cost_cents"].to_numpy(np.float64, na_value=np.nan, copy=True)
    else:
        cents = np.full(len(rows), np.nan)
    if prices is None:
        return cents
    checked = _checked(prices)
    models = rows["model"].astype(object)
    if len(rows) and not models.isin(list(checked)).any():
        raise ValidationError(
            f"prices= names {', '.join(map(repr, checked)) or 'no model'}, and these rows are of "
            f"{', '.join(repr(m) for m in models.dropna().unique()) or 'none'}"
        )
    counts = [
        rows[name].astype("Float64").to_numpy(np.float64, na_value=np.nan) for name in _TOKENS[:2]
    ]
    for model, (prompt_price, completion_price) in checked.items():
        own = (models == model).to_numpy(bool)
        cents[own] = (counts[0][own] * prompt_price + counts[1][own] * completion_price) / 1e6
    return cents


def _checked(prices: Prices) -> dict[str, tuple[float, float]]:
    if not isinstance(prices, Mapping):
        raise ValidationError(f"prices={prices!r} is not valid: it must be a dict, {_PRICES}")
    checked = {}
    for model, pair in prices.items():
        if not isinstance(pair, Sequence) or len(pair) != 2 or not all(map(_is_price, pair)):
            raise ValidationError(
                f"prices[{model!r}]={pair!r} is not valid: it must be two numbers, {_PRICES}"
            )
        checked[model] = (float(pair[0]), float(pair[1]))
    return checked


_PRICES = (
    "such as {'model': (10, 40)}: US cents for a million prompt tokens, and for a million "
    "completion tokens"
)


def _is_price(value: object) -> bool:
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return number and math.isfinite(value) and value >= 0  # type: ignore[arg-type, operator]
