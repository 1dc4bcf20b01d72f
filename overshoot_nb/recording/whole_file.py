"""A Parquet file that is written from its beginning to its end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from .row_groups import parquet_options


class WholeFile:
    """Row group by row group into a new file; complete when it is left as a context manager.

    Args:
        path: where there is no file yet.
        schema: of every row group.
        metadata: the file's key-value metadata.
    """

    def __init__(self, path: Path, schema: pa.Schema, metadata: Mapping[bytes, bytes]) -> None:
        self._path, self._schema = path, schema.with_metadata(dict(metadata))
        self._writer: pq.ParquetWriter | None = None
        #: Rows so far.
        self.rows = 0

    def add(self, table: pa.Table) -> None:
        """Write a table as a row group."""
        writer = self._writer or self._begin(table)
        described = table.replace_schema_metadata(self._schema.metadata)
        writer.write_table(described, row_group_size=max(table.num_rows, 1))
        self.rows += table.num_rows

    def _begin(self, table: pa.Table | None) -> pq.ParquetWriter:
        # Pictures of a run are much of one size: the first tell how large pages should be.
        options = parquet_options(self._schema, table)
        self._writer = pq.ParquetWriter(str(self._path), self._schema, **options)
        return self._writer

    def __enter__(self) -> WholeFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        (self._writer or self._begin(None)).close()
