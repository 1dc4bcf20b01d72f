"""Which columns rows must have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overshoot_nb.errors import ValidationError

if TYPE_CHECKING:
    import pandas as pd


def require(rows: pd.DataFrame, method: str, *columns: str) -> None:
    """Refuse rows that lack a column which ``method`` needs, or have it several times.

    Raises:
        ValidationError: they do; it names the method, the columns and what to do.
    """
    if missing := [name for name in columns if name not in rows.columns]:
        names = " and ".join(missing)
        raise ValidationError(
            f"{method}() needs the column{'s' if len(missing) > 1 else ''} {names}, which these "
            "rows do not have: give rows of stream.df with all their columns, or join them back"
        )
    if doubled := [name for name in columns if rows[name].ndim > 1]:
        raise ValidationError(
            f"{method}() needs one column {doubled[0]}, and these rows have several of that name: "
            "rename or drop the others (rows.loc[:, ~rows.columns.duplicated()])"
        )
