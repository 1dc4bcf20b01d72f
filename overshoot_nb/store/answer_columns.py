"""The names of the columns that show later answers beside the rows."""

from __future__ import annotations

from overshoot_nb.errors import ValidationError
from overshoot_nb.support.validation import check_text

from .later_answers import LaterAnswers
from .table import ResultTable


def check_column(later: LaterAnswers, column: str) -> None:
    """Refuse a column that the table has already, or whose parts would be another's.

    Raises:
        ValidationError: it is no name, or taken.
    """
    check_text("column", column)
    if column in ResultTable().df.columns or column == "out" or column.startswith("out."):
        raise ValidationError(f"column={column!r} is a column of the rows themselves")
    for other in later.columns:
        if share_parts(column, other):
            raise ValidationError(
                f"column={column!r} would be mixed up with the parts of column {other!r}"
            )


def share_parts(column: str, other: str) -> bool:
    """Whether one column would be taken for a part of the other."""
    return column.startswith(f"{other}.") or other.startswith(f"{column}.")
