"""How right the answers of a table are, next to what the demo video shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .timeline import SCHEMA, changing, truth

if TYPE_CHECKING:
    import pandas as pd


def score(df: pd.DataFrame) -> pd.DataFrame:
    """How right the answers in a result table are (frame mode, asked with `SCHEMA`).

    Args:
        df: has ``media_time`` (timedelta, or seconds) and ``out.<field>`` columns. An answer that
            is missing counts as wrong, unless the truth is that there is nothing to see. Fields
            in the middle of a change at that moment are left out.

    Returns:
        A row a field and a last one, "all", with the columns ``right`` and ``samples`` (counts)
        and ``accuracy`` (0..1; missing without samples).

    Raises:
        KeyError: there is no ``media_time`` column.
    """
    import pandas as pd

    times = df["media_time"]
    if pd.api.types.is_timedelta64_dtype(times):
        times = times.dt.total_seconds()
    fields = list(SCHEMA["properties"])
    answered = pd.Series(True, index=df.index) if "ok" not in df else df["ok"].fillna(False)
    right = dict.fromkeys(fields, 0)
    samples = dict.fromkeys(fields, 0)
    for row, time in enumerate(times):
        shown, in_change = truth(float(time)), changing(float(time))
        for field in fields:
            if field in in_change:
                continue
            column = f"out.{field}"
            value = df[column].iloc[row] if column in df else None
            samples[field] += 1
            right[field] += bool(answered.iloc[row]) and _same(value, shown[field])
    result = pd.DataFrame({"right": right, "samples": samples}, index=fields)
    result.loc["all"] = result.sum()
    result["accuracy"] = result["right"] / result["samples"].where(result["samples"] > 0)
    result.index.name = "field"
    return result


def _same(value: Any, wanted: Any) -> bool:
    import pandas as pd

    missing = value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))
    if missing or wanted is None:
        return missing and wanted is None
    return bool(value == wanted)
