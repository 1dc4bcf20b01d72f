"""``ExportMethods``: rows as files, as methods of ``df.overshoot``."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd


class ExportMethods:
    """Part of :class:`~overshoot_nb.analysis.accessor.OvershootAccessor`.

    A file is written beside its path and takes its place once it is complete: what was there
    before is replaced, and an export that is interrupted leaves it as it was. An index without a
    name (row numbers) is not written; one with a name becomes the first column, as ``media_time``
    of :meth:`resample`. The pictures are not in these files: ``stream.record(path)`` writes one
    that has them.

    To look at rows in FiftyOne (``pip install fiftyone``), write their pictures and give it the
    answers as fields::

        import fiftyone as fo

        samples = []
        for position, row in enumerate(df.itertuples()):
            path = f"frames/{row.stream_id}-{row.sample:06d}.jpg"
            df.overshoot.frame(position).save(path)
            sample = fo.Sample(filepath=path)
            sample["answer"] = row.result
            sample["media_time"] = row.media_time.total_seconds()
            sample["model"] = fo.Classification(label=row.model)
            samples.append(sample)
        dataset = fo.Dataset("run")
        dataset.add_samples(samples)
        fo.launch_app(dataset)

    A workbook is written by pandas. Excel has no dates with a zone, which pandas refuses (all dates
    here are UTC), and shows durations as parts of a day; and where it is not told otherwise, pandas
    makes formulas of texts that begin with ``=``, and links of those that look like one. So
    (``pip install xlsxwriter``)::

        table = df.copy()
        for name in table.select_dtypes("datetimetz"):
            table[name] = table[name].dt.tz_convert(None)  # UTC, without saying so
        table["media_time"] = table["media_time"].dt.total_seconds()
        plain = {"strings_to_formulas": False, "strings_to_urls": False}
        table.to_excel(
            "run.xlsx", index=False, engine="xlsxwriter", engine_kwargs={"options": plain}
        )
    """

    _rows: pd.DataFrame

    def to_parquet(self, path: str | os.PathLike[str]) -> Path:
        """Write the rows as a Parquet file (zstd).

        ``pandas.read_parquet`` gives them back with every dtype, except that lists, objects and
        integers beyond 64 bits are JSON text, and that pandas 2 keeps texts in a storage of its
        own choice. Polars reads them as they are; DuckDB, which does not know Arrow's durations,
        has ``media_time`` in microseconds.

        Returns:
            The path.

        Raises:
            ValidationError: the folder is not there, or columns share a name.
            OSError: the file cannot be written.
        """
        from .exports import to_parquet

        return to_parquet(self._rows, path)

    def to_csv(self, path: str | os.PathLike[str], *, escape_formulas: bool = False) -> Path:
        """Write the rows as a CSV file: UTF-8, comma, a line of names first.

        ``media_time`` is in seconds ("12.5"), dates are ISO 8601 in UTC
        ("2026-01-01T12:00:00.250000Z"), truth values are true and false, lists and objects are
        JSON. What is missing is empty, and an empty text is ``""``. The accessor understands
        rows that ``pandas.read_csv`` makes of it.

        Args:
            escape_formulas: put ``'`` before texts, and names of columns, that a spreadsheet could
                run as a formula: they begin with ``=``, ``+``, ``-`` or ``@``, plain or full-width,
                also behind spaces, or with a tab, a carriage return or a newline. Default: False,
                which writes every text as it is, formulas included, so that programs read what
                was said. Answers are what a model made of what it was shown: give True where the
                file is opened in a spreadsheet.

        Returns:
            The path.

        Raises:
            ValidationError: the folder is not there, or columns share a name.
            OSError: the file cannot be written.
        """
        from .exports import to_csv

        return to_csv(self._rows, path, escape_formulas)

    def to_jsonl(self, path: str | os.PathLike[str]) -> Path:
        """Write the rows as JSON Lines: UTF-8, one object a line, a key for each column.

        ``media_time`` is in seconds, dates are ISO 8601 in UTC, lists and objects are themselves.
        What is missing is null; so are NaN and infinities, which JSON does not have.

        Returns:
            The path.

        Raises:
            ValidationError: the folder is not there, or columns share a name.
            OSError: the file cannot be written.
        """
        from .exports import to_jsonl

        return to_jsonl(self._rows, path)
