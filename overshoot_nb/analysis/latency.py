"""``latency``: how long answers took, by whoever gave them."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from overshoot_nb.conditions.required_columns import require
from overshoot_nb.errors import ValidationError
from overshoot_nb.store.stats import quantile

from .grouping import Groups, columns_by
from .runs import answered, as_stream_rows, asked, result_rows

#: Columns of rows, and what their figures are called.
LATENCIES = {"inference_latency_ms": "inference", "total_latency_ms": "total"}


def latency(
    rows: pd.DataFrame, by: str | Sequence[str], percentiles: Sequence[float]
) -> pd.DataFrame:
    """See :meth:`~overshoot_nb.analysis.table_methods.TableMethods.latency`."""
    compared, (rows, by) = rows, as_stream_rows(rows, by)
    keys = columns_by(by)
    quantiles = _quantiles(percentiles)
    # Of a comparison nothing was sampled: its answers have no time from sample to row.
    known = list(LATENCIES)[: 1 if rows is not compared else None]
    require(rows, "latency", *keys, *known)
    rows = asked(result_rows(rows))
    ok = answered(rows)
    groups = Groups(rows, keys)
    # Of those that were answered: how soon a request failed says nothing of how long one takes.
    measured = rows[known].astype("float64").where(pd.Series(ok, rows.index), axis=0)
    grouped = groups.each(measured)
    mean, largest = groups.whole(grouped.mean()), groups.whole(grouped.max())
    figures: dict[str, Any] = {"n": groups.count(), "ok": groups.count(ok)}
    for column in known:
        which = LATENCIES[column]
        figures[f"{which}_mean_ms"] = mean[column]
        at = _at_quantiles(measured[column].to_numpy(), groups, list(quantiles.values()))
        for name, percentile in zip(quantiles, at, strict=True):
            figures[f"{which}_{name}_ms"] = percentile
        figures[f"{which}_max_ms"] = largest[column]
    return groups.table(figures)


def _at_quantiles(
    values: npt.NDArray[np.float64], groups: Groups, quantiles: list[float]
) -> list[npt.NDArray[np.float64]]:
    """Each quantile of each group, as ``quantile`` has it; NaN of none."""
    known = np.flatnonzero(np.isfinite(values))
    codes = groups.codes[known]
    ordered = values[known[np.lexsort((values[known], codes))]]
    counts = np.bincount(codes, minlength=groups.size)
    some = np.flatnonzero(counts)
    first = (np.cumsum(counts) - counts)[some]

    def pick(rank: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        values: npt.NDArray[np.float64] = ordered[first + rank.astype(np.intp)]
        return values

    made = []
    for share in quantiles:
        figure = np.full(groups.size, np.nan)
        figure[some] = quantile(share, counts[some], pick)
        made.append(figure)
    return made


def _quantiles(percentiles: Sequence[float]) -> dict[str, float]:
    """Quantiles 0..1 by name."""
    quantiles: dict[str, float] = {}
    if isinstance(percentiles, str) or not isinstance(percentiles, Iterable):
        raise ValidationError(
            f"percentiles={percentiles!r} is not valid: it must be several, such as (50, 95)"
        )
    for value in percentiles:
        number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not number or not 0 <= value <= 100:
            raise ValidationError(
                f"percentiles={percentiles!r} is not valid: each must be a number, 0 <= x <= 100"
            )
        quantiles[f"p{value:g}"] = float(value) / 100
    return quantiles
