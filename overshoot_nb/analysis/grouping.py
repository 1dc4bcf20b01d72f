"""Rows by what is the same in them: by model, prompt version, whatever columns are named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from overshoot_nb.errors import ValidationError


def columns_by(by: str | Sequence[str]) -> list[str]:
    """``by=`` as a list of columns.

    Raises:
        ValidationError: it is none, or a column is named twice.
    """
    keys = [by] if isinstance(by, str) else by
    if not isinstance(keys, Sequence) or not all(isinstance(key, str) for key in keys):
        raise ValidationError(f"by={by!r} is not valid: it must be a column's name, or several")
    if len(set(keys)) < len(keys):
        raise ValidationError(f"by={by!r} names a column twice")
    return list(keys)


class Groups:
    """The groups of rows, in the order of their keys; all rows are one without keys.

    Rows of which a key is missing are a group too.

    Args:
        rows: a DataFrame that has the columns ``keys``.

    Attributes:
        codes: number of each row's group. int (n,)
        size: how many there are.
    """

    def __init__(self, rows: pd.DataFrame, keys: Sequence[str]) -> None:
        self._keys = pd.DataFrame({key: rows[key].reset_index(drop=True) for key in keys})
        if keys:
            grouped = self._keys.groupby(list(keys), observed=True, dropna=False, sort=True)
            try:
                self.codes: npt.NDArray[Any] = grouped.ngroup().to_numpy(np.intp)
            except TypeError:
                raise ValidationError(
                    f"by={list(keys)!r} is not valid: a column of lists or objects makes no groups"
                ) from None
            self.size = int(self.codes.max(initial=-1)) + 1
        else:
            self.codes, self.size = np.zeros(len(rows), np.intp), 1

    def count(self, which: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.intp]:
        """How many rows each group has, or how many of ``which``."""
        codes = self.codes if which is None else self.codes[which]
        return np.bincount(codes, minlength=self.size)

    def table(self, figures: Mapping[str, Any]) -> pd.DataFrame:
        """A row for each group: its keys, then ``figures``, each of shape (size,).

        Raises:
            ValidationError: a key has the name of a figure, and one would hide the other.
        """
        if doubled := [key for key in self._keys if key in figures]:
            raise ValidationError(
                f"by={doubled[0]!r} is not valid: the result has a figure of that name; rename "
                f"the column first: df.rename(columns={{{doubled[0]!r}: 'by'}})"
            )
        first = np.full(self.size, -1, np.intp)
        first[self.codes[::-1]] = np.arange(len(self.codes))[::-1]
        columns: dict[Any, Any] = {key: self._keys[key].array.take(first) for key in self._keys}
        return pd.DataFrame({**columns, **figures}, index=range(self.size))

    def each(self, values: pd.DataFrame) -> Any:
        """The columns of ``values``, n rows, grouped."""
        return values.reset_index(drop=True).groupby(self.codes)

    def whole(self, figures: pd.DataFrame) -> pd.DataFrame:
        """What :meth:`each` made, a row for each group; of no rows they are missing."""
        return figures.reindex(range(self.size))
