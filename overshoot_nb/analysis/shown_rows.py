"""``ShownRows``: rows with their pictures, as HTML that needs no script and no network."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pybase64

from overshoot_nb.conditions.names import not_there, resolve
from overshoot_nb.conditions.required_columns import require
from overshoot_nb.errors import SampleNotKeptError, ValidationError
from overshoot_nb.store.stored_sample import StoredSample
from overshoot_nb.support.html import clock, escaped, fragment
from overshoot_nb.support.validation import check_whole

from .row_choice import evenly, positions_of
from .rows import media_seconds, sample_of
from .small_pictures import PICTURE_BYTES, small_picture

if TYPE_CHECKING:
    import pandas as pd

#: At most so many rows are shown, and fewer where their pictures would have more bytes than that:
#: a notebook is saved with them.
MOST_ROWS = 100
MOST_BYTES = 4_000_000
#: Columns that are shown where nobody named any, and characters of each value.
COLUMNS = 12
CELL_CUT = 300
NAME_CUT = 60
WIDTH_RANGE = (40, 1280)
#: Which rows these are is said elsewhere, or by the picture.
_NOT_SHOWN = ("stream_id", "sample", "media_time")


class ShownRows:
    """Some rows, each with its picture and its answer side by side; what ``show()`` returns.

    Args:
        rows: rows with at least ``stream_id`` and ``sample``.
        wanted: which of them, as :func:`~overshoot_nb.analysis.row_choice.positions_of` takes it.
        columns: the columns to show; None for the fields of a structured answer, else the answer.
        width: width of a picture in pixels of the page, 40 to 1280.

    Attributes:
        rows: the rows that are shown, at most 100.
        meant: how many rows were meant.

    Raises:
        ValidationError: a column is not there, or a parameter cannot be used.
        LookupError: there is no row at a position.
    """

    def __init__(
        self, rows: pd.DataFrame, wanted: Any, columns: str | Sequence[str] | None, width: int
    ) -> None:
        require(rows, "show", "stream_id", "sample")
        check_whole("width", width, *WIDTH_RANGE)
        positions = positions_of(rows, wanted)
        each = PICTURE_BYTES * max(1.0, (width / 200) ** 2)
        most = max(1, min(MOST_ROWS, int(MOST_BYTES / each)))
        self.meant = len(positions)
        self.rows = rows.iloc[evenly(positions, most)]
        self._of = len(rows)
        self._width = width
        self._columns = _checked(rows, columns)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<{self._counts()} with pictures>"

    def _repr_html_(self) -> str:
        return self._html

    @cached_property
    def _html(self) -> str:
        # No colours but the page's own, so that it is legible in light and dark.
        timed = "media_time" in self.rows.columns
        times = media_seconds(self.rows, "show") if timed else [None] * len(self.rows)
        several = self.rows["stream_id"].nunique() > 1
        once = self.rows.loc[:, ~self.rows.columns.duplicated()]
        records = once.to_dict("records")
        cards = [
            self._card(record, time, several) for record, time in zip(records, times, strict=True)
        ]
        least = min(2 * self._width, 1280)
        return fragment(
            f'<div style="margin:4px 0;opacity:.75">{escaped(self._counts())}</div>'
            '<div style="display:grid;gap:12px 20px;align-items:start;'
            f'grid-template-columns:repeat(auto-fill,minmax(min(100%,{least}px),1fr))">'
            f"{''.join(cards)}</div>"
        )

    def _counts(self) -> str:
        of = f" of {self._of:,}" if self._of != self.meant else ""
        rows = "row" if self.meant == 1 and not of else "rows"
        if self.meant == len(self.rows):
            return f"{self.meant:,}{of} {rows}" if self.meant else f"no rows{of}"
        return f"{len(self.rows)} of {self.meant:,} {rows}, evenly chosen"

    def _card(self, row: dict[Any, Any], time: float | None, several: bool) -> str:
        stored: StoredSample | None = None
        try:
            stored = sample_of(row)
            picture = self._picture(stored)
        except (SampleNotKeptError, ValidationError) as error:
            picture = self._no_picture(str(error))
        if time is None or math.isnan(time):
            time = stored.media_time if stored is not None else None
        wide = ";grid-column:1/-1;flex-wrap:wrap" if stored and len(stored.frames) > 1 else ""
        return (
            f'<div style="display:flex;gap:10px;align-items:flex-start;min-width:0{wide}">'
            f"{picture}"
            '<div style="flex:1 1 0;min-width:120px;overflow-wrap:anywhere;text-align:left">'
            f'<div style="opacity:.75">{escaped(_heading(row, time, several))}</div>'
            f"{self._answer(row)}</div></div>"
        )

    def _picture(self, stored: StoredSample) -> str:
        if not stored.frames:
            return self._no_picture(f"sample {stored.index} has no pictures")
        try:
            small, width, height = small_picture(stored.frames, self._width)
        except (ValueError, ZeroDivisionError) as error:
            return self._no_picture(f"the picture of sample {stored.index} is broken: {error}")
        name = f"sample {stored.index} at {clock(stored.media_time)}"
        return (
            f'<img loading="lazy" decoding="async" width="{width}" height="{height}" '
            f'alt="{escaped(name)}" style="flex:none;max-width:100%;height:auto;margin:0" '
            f'src="data:image/jpeg;base64,{pybase64.b64encode_as_string(small.data)}">'
        )

    def _no_picture(self, why: str) -> str:
        return (
            f'<div style="flex:none;box-sizing:border-box;width:{self._width}px;max-width:100%;'
            "padding:8px;border:1px dashed currentColor;opacity:.75;font-size:.85em;"
            f'overflow-wrap:anywhere;text-align:left">{_escaped(why)}</div>'
        )

    def _answer(self, row: dict[Any, Any]) -> str:
        if self._columns is None and _is_false(row.get("ok")):
            return f"<div><em>failed:</em> {_escaped(_text(row.get('error')))}</div>"
        names = self._columns if self._columns is not None else _usual(self.rows)
        values = {name: _text(row[name]) for name in names}
        if self._columns is None and "result" in row and not any(map(bool, values.values())):
            values = {"result": _text(row["result"])}  # an answer that is not as the schema says
        if list(values) == ["result"]:
            return f'<div style="white-space:pre-wrap">{_escaped(values["result"])}</div>'
        return "".join(
            f"<div><small>{_escaped(str(name).removeprefix('out.'), NAME_CUT)}</small> "
            f"<strong>{_escaped(text)}</strong></div>"
            for name, text in values.items()
        )


def _checked(rows: pd.DataFrame, columns: str | Sequence[str] | None) -> list[str] | None:
    if columns is None:
        return None
    if not isinstance(columns, Iterable):
        raise ValidationError(f"columns={columns!r} is not valid: give names of columns")
    names = [columns] if isinstance(columns, str) else list(columns)
    found: list[str] = []
    for name in names:
        column = resolve(name, rows.columns) if isinstance(name, str) else None
        if column is None:
            raise ValidationError(f"columns={columns!r}: {not_there(str(name), rows.columns)}")
        found.append(column)
    require(rows, "show", *found)
    return found


def _usual(rows: pd.DataFrame) -> list[str]:
    """The fields of a structured answer, else the answer, else whatever else the rows have."""
    names = list(dict.fromkeys(map(str, rows.columns)))
    fields = [name for name in names if name == "out" or name.startswith("out.")]
    if not fields and "result" in names:
        return ["result"]
    return (fields or [name for name in names if name not in _NOT_SHOWN])[:COLUMNS]


def _heading(row: dict[Any, Any], time: float | None, several: bool) -> str:
    words = [clock(time)] if time is not None else []
    words.append(f"sample {_text(row['sample']) or '–'}")
    if several:
        words.append(_text(row["stream_id"]) or "no stream")
    return " · ".join(words)


def _is_false(value: object) -> bool:
    return isinstance(value, bool | np.bool_) and not value


def _text(value: Any) -> str:
    """A value as people read it; "" where it is missing."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple | dict | np.ndarray):
        plain = value.tolist() if isinstance(value, np.ndarray) else value
        return json.dumps(plain, ensure_ascii=False, default=str)
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return ""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        return "" if math.isnan(value) else f"{value:.6g}"
    if isinstance(value, timedelta):
        return clock(value.total_seconds())
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds")
    return str(value)


def _escaped(text: str, cut: int = CELL_CUT) -> str:
    if not text:
        return "–"
    return escaped(text if len(text) <= cut else text[: cut - 1] + "…")
