"""Rows as Parquet, CSV and JSON Lines files that any other program reads."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from overshoot_nb.errors import ValidationError
from overshoot_nb.store.columns import TEXT
from overshoot_nb.support.redaction import redact

#: What a spreadsheet takes for a formula at the start of a cell, also behind spaces, which some
#: leave out; full-width and small signs are taken for plain ones. For RE2 and for `re` alike.
_SIGNS = "=+@\\-＝＋－＠﹦﹢﹣﹫"
_SPACES = "\\s\\v\x85\xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
_FORMULA = f"^(?:[\\t\\r\\n]|[{_SPACES}]*[{_SIGNS}])"
#: Lines of a JSON Lines file that are made at once.
_LINES = 10_000


def to_parquet(rows: pd.DataFrame, path: str | os.PathLike[str]) -> Path:
    """See :meth:`~overshoot_nb.analysis.export_methods.ExportMethods.to_parquet`."""
    table = _columns(rows, "to_parquet")
    for name in table:
        if table[name].dtype == object:
            table[name] = _as_text(table[name])
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    return _write(path, lambda file: pa.parquet.write_table(arrow, file, compression="zstd"))


def to_csv(rows: pd.DataFrame, path: str | os.PathLike[str], escape_formulas: bool) -> Path:
    """See :meth:`~overshoot_nb.analysis.export_methods.ExportMethods.to_csv`."""
    table = _columns(rows, "to_csv")
    names = list(map(str, table))
    columns = [_csv_cells(table[name]) for name in table]
    if escape_formulas:
        names = [f"'{name}" if re.match(_FORMULA, name) else name for name in names]
        columns = [_escaped(column) for column in columns]
    arrow = pa.table(columns, names=names) if columns else pa.table({})
    return _write(path, lambda file: pa.csv.write_csv(arrow, file))


def to_jsonl(rows: pd.DataFrame, path: str | os.PathLike[str]) -> Path:
    """See :meth:`~overshoot_nb.analysis.export_methods.ExportMethods.to_jsonl`."""
    table = _columns(rows, "to_jsonl")

    def write(file: BinaryIO) -> None:
        for start in range(0, len(table), _LINES):
            part = table.iloc[start : start + _LINES]
            cells = [_json_cells(part[name]) for name in part]
            names = list(part)
            lines = [
                _json(dict(zip(names, values, strict=True))) for values in zip(*cells, strict=True)
            ]
            file.write(b"".join([line + b"\n" for line in lines]))

    return _write(path, write)


# ---- what is written -----------------------------------------------------------------------------


def _columns(rows: pd.DataFrame, method: str) -> pd.DataFrame:
    """The columns to write: those of the rows, and an index that has a name before them."""
    if any(name is not None for name in rows.index.names):
        there = [name for name in rows.index.names if name in rows.columns]
        rows = rows.reset_index(level=there, drop=True) if there else rows
        rows = rows.reset_index() if any(n is not None for n in rows.index.names) else rows
    table = rows.reset_index(drop=True)
    table.columns = pd.Index([str(name) for name in table.columns], dtype=object)
    if not table.columns.is_unique:
        doubled = sorted(set(map(str, table.columns[table.columns.duplicated()])))
        raise ValidationError(
            f"{method}() needs columns of different names, and these rows have several "
            f"{', '.join(doubled)}: rename or drop the others "
            "(rows.loc[:, ~rows.columns.duplicated()])"
        )
    return table


def _is_missing(value: Any) -> bool:
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def _as_text(values: pd.Series) -> pd.Series:
    """Objects as JSON text, text as it is, missing ones missing."""
    cells = [_text(value) for value in values.to_numpy(object)]
    return pd.Series(pd.array(cells, dtype=TEXT), values.index)


def _text(value: Any) -> str | None:
    if _is_missing(value):
        return None
    text = value if isinstance(value, str) else _json(value).decode()
    return _encodable(text)


def _encodable(text: str) -> str:
    """Text that a file can hold: without lone surrogates."""
    return text.encode("utf-8", "replace").decode()


def _json(value: Any) -> bytes:
    try:
        return orjson.dumps(value, _plain, orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    except (orjson.JSONEncodeError, TypeError):  # integers beyond 64 bits, lone surrogates
        return json.dumps(_finite(value), default=_plain).encode()


def _finite(value: Any) -> Any:
    """The same without NaN, infinities and lone surrogates, which JSON does not have."""
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, str):
        return _encodable(value)
    if isinstance(value, dict):
        return {_encodable(str(key)): _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def _plain(value: Any) -> Any:
    """What JSON has no word for."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if _is_missing(value):
        return None
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    return str(value)


def _seconds(values: pd.Series) -> pd.Series:
    return pd.Series(values.dt.total_seconds())


def _iso(values: pd.Series) -> pa.Array:
    """Dates and times as ISO 8601 text, in UTC where they know their offset."""
    zone = "Z" if values.dt.tz is not None else ""
    times = pa.array(values.dt.tz_convert(None) if zone else values, pa.timestamp("us"))
    text = pc.strftime(times, format="%Y-%m-%dT%H:%M:%S")
    return pc.binary_join_element_wise(text, zone, "")


def _csv_cells(values: pd.Series) -> pa.Array:
    dtype = values.dtype
    if pd.api.types.is_timedelta64_dtype(dtype):
        values = _seconds(values)
    elif pd.api.types.is_datetime64_any_dtype(dtype):
        return _iso(values)
    elif isinstance(dtype, pd.CategoricalDtype):
        cells = _csv_cells(dtype.categories.to_series())
        places = pa.array(values.cat.codes, pa.int64(), mask=values.isna().to_numpy(bool))
        return cells.take(places)
    elif dtype == np.dtype(object):
        values = _as_text(values)
    array = pa.array(values, from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _escaped(column: pa.Array) -> pa.Array:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    quote, nothing = (pa.scalar(text, column.type) for text in ("'", ""))
    risky = pc.match_substring_regex(column, _FORMULA)
    return pc.if_else(risky, pc.binary_join_element_wise(quote, column, nothing), column)


def _json_cells(values: pd.Series) -> list[Any]:
    dtype = values.dtype
    if pd.api.types.is_timedelta64_dtype(dtype):
        values = _seconds(values)
    elif pd.api.types.is_datetime64_any_dtype(dtype):
        return _iso(values).to_pylist()  # type: ignore[no-any-return]
    cells = values.to_numpy(object, copy=True)
    cells[values.isna().to_numpy(bool)] = None
    return cells.tolist()


# ---- the file ------------------------------------------------------------------------------------


def _write(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> Path:
    with written_whole(path) as file:
        write(file)
    return Path(path)


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of ``path`` once it is complete.

    Raises:
        ValidationError: there is no such folder.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise ValidationError(
            f"path={redact(str(path))!r} is not valid: there is no folder "
            f"{redact(str(target.parent))}"
        )
    if target.is_dir():
        raise ValidationError(f"path={str(path)!r} is not valid: it is a folder")
    beside = target.with_name(f".{target.name[:64]}.{secrets.token_hex(4)}")
    try:
        with beside.open("xb") as file:
            yield file
        if target.exists():
            beside.chmod(target.stat().st_mode)
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
