"""A finished recording that is given more ``out.*`` columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq

from .arrow_rows import RowWriter
from .parquet_file import SealedFile
from .placing import placed
from .row_groups import encode_group

__all__ = ["widen"]


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
        new.open("xb", buffering=0) as file,
    ):
        sealed = SealedFile(file, writer.schema)
        for number in range(old.num_row_groups):
            sealed.add(encode_group(writer.with_outputs(old.read_row_group(number))))
        sealed.finish(metadata)
