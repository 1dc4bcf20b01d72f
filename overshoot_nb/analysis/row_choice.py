"""Which rows are meant: a number of them, a condition, a slice, positions or a mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from overshoot_nb.errors import ValidationError

_ACCEPTED = (
    'a number of rows, a condition such as "out.people > 3", a slice, positions, or a mask of '
    "true and false"
)


def evenly(positions: list[int], count: int) -> list[int]:
    """So many of the positions, first and last among them; all where there are no more."""
    if len(positions) <= count:
        return positions
    if count == 1:
        return positions[:1]
    step = (len(positions) - 1) / (count - 1)
    return [positions[round(k * step)] for k in range(count)]


def positions_of(rows: pd.DataFrame, wanted: Any) -> list[int]:
    """The positions of the rows that are meant; labels of the index are never positions.

    Args:
        rows: the rows.
        wanted: a number of rows, taken evenly where there are more; a condition; a slice;
            positions (-1 is the last); or one true or false for each row, where missing is false
            (a Series is aligned by its index).

    Raises:
        ValidationError: it is none of these, or does not fit the rows.
        LookupError: there is no row at a position.
    """
    everything = range(len(rows))
    if isinstance(wanted, str):
        from overshoot_nb.conditions.condition import Condition

        return np.flatnonzero(Condition(wanted).true_of(rows)).tolist()
    if isinstance(wanted, slice):
        try:
            return list(everything[wanted])
        except (TypeError, ValueError) as error:
            raise ValidationError(f"rows={wanted!r} is no slice of positions: {error}") from error
    if isinstance(wanted, bool | np.bool_):
        raise ValidationError(f"rows={wanted!r} is not valid: give {_ACCEPTED}")
    if isinstance(wanted, int | np.integer):
        if wanted < 0:
            raise ValidationError(f"rows={wanted} is not valid: it must be 0 or more")
        return evenly(list(everything), int(wanted)) if wanted else []
    return _listed(rows, wanted)


def _listed(rows: pd.DataFrame, wanted: Any) -> list[int]:
    if isinstance(wanted, pd.DataFrame | dict) or not hasattr(wanted, "__iter__"):
        raise ValidationError(f"rows={type(wanted).__name__} is not valid: give {_ACCEPTED}")
    given = wanted if isinstance(wanted, pd.Series) else pd.Series(list(wanted))
    if len(given) == 0:
        return []
    known = given.dropna()
    if len(known) == 0 or all(isinstance(one, bool | np.bool_) for one in known):
        if len(given) != len(rows):
            raise ValidationError(
                f"the mask has {len(given)} values, and there are {len(rows)} rows: give one "
                "true or false for each row"
            )
        if isinstance(wanted, pd.Series):
            given = _aligned(given, rows)
        return np.flatnonzero(given.fillna(False).to_numpy(dtype=bool)).tolist()
    if not all(isinstance(one, int | np.integer) for one in given):
        raise ValidationError(f"rows holds more than whole numbers: give {_ACCEPTED}")
    positions = [int(one) for one in given]
    if wrong := [one for one in positions if not -len(rows) <= one < len(rows)]:
        raise LookupError(f"there is no row {wrong[0]}: there are {len(rows)} rows, from 0 on")
    return [one % len(rows) for one in positions]


def _aligned(mask: pd.Series, rows: pd.DataFrame) -> pd.Series:
    """A mask in the order of the rows, where it was made of them in another order.

    Raises:
        ValidationError: it is of other rows.
    """
    labels = mask.index
    if labels.equals(rows.index):
        return mask
    if labels.is_unique and rows.index.is_unique and rows.index.isin(labels).all():
        return mask.reindex(rows.index)
    if labels.equals(pd.RangeIndex(len(labels))):  # made by itself, in the order of the rows
        return mask
    raise ValidationError(
        "the mask is a Series of other rows, as its index says: make it of these rows, or give its "
        "values in their order (mask.to_numpy())"
    )
