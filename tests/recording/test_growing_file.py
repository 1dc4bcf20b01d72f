"""The growing file is a whole Parquet file after each of its writes, and after a part of one."""

from __future__ import annotations

import io
import random
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from overshoot_nb.recording import growing_file
from overshoot_nb.recording.growing_file import GrowingFile
from overshoot_nb.recording.row_groups import EncodedGroup, encode_group

PAGE = 4096
SCHEMA = pa.schema([("kind", pa.string()), ("sample", pa.int64()), ("video", pa.binary())])


def group(first: int, rows: int, size: int = 300) -> EncodedGroup:
    """Rows that say which they are in each column."""
    numbers = list(range(first, first + rows))
    videos = [str(n).encode() * (size // len(str(n))) for n in numbers]
    columns = {"kind": ["result"] * rows, "sample": numbers, "video": videos}
    return encode_group(pa.table(columns, schema=SCHEMA))


def samples(data: bytes) -> tuple[list[int], dict[bytes, bytes]]:
    """What a reader finds: the samples, whose contents are checked, and the metadata."""
    file = pq.ParquetFile(pa.BufferReader(data))
    table = file.read()
    assert table.schema.names == SCHEMA.names
    for row in table.to_pylist():
        text = str(row["sample"]).encode()
        assert row["video"].replace(text, b"") == b""
        assert row["kind"] == "result"
    return table["sample"].to_pylist(), file.metadata.metadata


class WatchedFile(io.BytesIO):
    """A file that looks at itself before and after each write, and at each page torn."""

    def __init__(self) -> None:
        super().__init__()
        self.allowed: list[list[int]] | None = None
        self.writes = 0

    def write(self, data) -> int:  # type: ignore[override]
        at, before = self.tell(), self.getvalue()
        whole = super().write(data)
        self.writes += 1
        if self.allowed is not None:
            after = self.getvalue()
            self.look(after)
            # What a killed process has written of it ends with a page.
            cuts = list(range(PAGE - at % PAGE, whole, PAGE))
            for cut in random.Random(self.writes).sample(cuts, min(1, len(cuts))):
                torn = bytearray(before.ljust(min(len(after), at + cut), b"\0"))
                torn[at : at + cut] = bytes(data)[:cut]
                self.look(bytes(torn))
        return whole

    def look(self, data: bytes) -> None:
        found, _ = samples(data)
        assert found in self.allowed, (self.writes, found)


@pytest.fixture
def small(monkeypatch):
    """A file of small parts, so that a test of a few rows meets all that happens to one."""
    monkeypatch.setattr(growing_file, "STEP_BYTES", 128 * 2**10)
    monkeypatch.setattr(growing_file, "STAGING_BYTES", 12 * 2**10)
    monkeypatch.setattr(growing_file, "SLOT_BYTES", 2**12)
    monkeypatch.setattr(growing_file, "ALIGNMENT", 2**13)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_whole_after_each_write_and_each_torn_write(small, seed):
    chance = random.Random(seed)
    file = WatchedFile()
    growing = GrowingFile(file, SCHEMA, {b"overshoot_nb": b"{}"})
    sealed: list[int] = []
    staged: list[int] = []
    number = 0
    for step in range(20):
        rows = chance.randrange(1, 12)
        new = group(number, rows, size=chance.choice((10, 300, 2000)))
        numbers = list(range(number, number + rows))
        number += rows
        before = sealed + staged
        metadata = {b"overshoot_nb": str(step).encode() * chance.choice((1, 1, 4000))}
        if chance.random() < 0.7:
            file.allowed = [before, [*before, *numbers]]
            growing.write([], [new], metadata, keep=True)
            staged += numbers
        else:
            # Those that were staged are sealed, and the new ones staged in their stead.
            again = [group(n, 1) for n in staged]
            file.allowed = [before, [*before, *numbers]]
            growing.write(again, [new], metadata, keep=False)
            sealed, staged = sealed + staged, numbers
        found, said = samples(file.getvalue())
        assert found == sealed + staged
        assert said[b"overshoot_nb"] == metadata[b"overshoot_nb"]
        assert growing.rows == len(found)
    file.allowed = [sealed + staged]
    growing.write([group(n, 1) for n in staged], [], {}, keep=False)
    growing.finish({b"overshoot_nb": b"the end"})
    found, said = samples(file.getvalue())
    assert found == sealed + staged
    assert said[b"overshoot_nb"] == b"the end"
    assert growing.nbytes == len(file.getvalue())
    assert file.writes > 80


def test_it_is_extended_many_times_and_other_readers_take_it_at_every_stage(tmp_path):
    path = tmp_path / "grows.parquet"
    rows = 0
    with path.open("xb", buffering=0) as file:
        growing = GrowingFile(file, SCHEMA, {b"overshoot_nb": b"{}"})
        read(path, 0)
        for _ in range(6):  # more than there is room for in staging at first
            growing.write([], [group(rows, 2, 6 * 2**20)], {}, keep=True)
            rows += 2
            read(path, rows)
        for k in range(3):  # past the end of the first ground
            growing.write([group(k * rows, rows, 6 * 2**20)], [], {}, keep=False)
            read(path, (k + 1) * rows)
        growing.finish({b"overshoot_nb": b"{}"})
    read(path, 3 * rows)
    assert path.stat().st_size == growing.nbytes < 3 * rows * 6.1 * 2**20
    assert pq.read_metadata(path).num_row_groups == 3


def read(path: Path, rows: int) -> None:
    """pandas, Polars and DuckDB agree on what is in it."""
    expected = list(range(rows))
    assert pd.read_parquet(path, columns=["sample"])["sample"].tolist() == expected
    assert pl.scan_parquet(path).select("sample").collect()["sample"].to_list() == expected
    assert pl.read_parquet(path, columns=["sample"])["sample"].to_list() == expected
    query = f"select sample from read_parquet('{path}') where octet_length(video) > 0"
    assert [n for (n,) in duckdb.sql(query).fetchall()] == expected


def test_what_was_in_force_stays_so_where_the_disk_is_full(small):
    class Full(io.BytesIO):
        left = 10**9

        def write(self, data) -> int:  # type: ignore[override]
            if self.left < len(data):
                super().write(data[: self.left])
                raise OSError(28, "No space left on device")
            self.left -= len(data)
            return super().write(data)

    for left in range(0, 40_000, 1500):
        file = Full()
        growing = GrowingFile(file, SCHEMA, {})
        growing.write([group(0, 3)], [group(3, 2)], {}, keep=True)
        file.left = left
        with pytest.raises(OSError, match="No space"):
            fill(growing)
        found, _ = samples(file.getvalue())
        assert found[:3] == [0, 1, 2]
        assert len(found) == growing.rows


def fill(growing: GrowingFile) -> None:
    for _ in range(40):
        growing.write([group(5, 5, 900)], [group(10, 5, 900)], {}, keep=False)
        growing.write([], [group(15, 5, 900)], {}, keep=True)
