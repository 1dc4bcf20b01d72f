"""A finished recording that is given more ``out.*`` columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq

from .arrow_rows import RowWriter
from .placing import placed
from .whole_file import WholeFile


def widen(path: Path, writer: RowWriter, metadata: Mapping[bytes, bytes]) -> None:
    """Write a file anew, row group by row group, and put it in its place.

    Args:
        path: a finished recording, which stays as it is until the new one is whole.
        writer: of the columns that it is to have.
        metadata: the file's key-value metadata.

    Raises:
        OSError: it cannot be written.
    """
    with (
        placed(path, overwrite=True) as new,
        pq.ParquetFile(path) as old,
        WholeFile(new, writer.schema, metadata) as file,
    ):
        for number in range(old.num_row_groups):
            file.add(writer.with_outputs(old.read_row_group(number)))
