"""Recordings that a stranger made: whatever they hold, they load, or are refused with one error."""

from __future__ import annotations

import json
import math
import time

import duckdb
import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from overshoot_nb.errors import SampleNotKeptError
from overshoot_nb.recording.arrow_rows import RowWriter
from overshoot_nb.recording.format import METADATA_KEY
from overshoot_nb.recording.recording_file import RecordingFile
from overshoot_nb.running.run_secrets import Secrets

from made_runs import assert_same, load, made, refused, rewritten


@pytest.fixture
def recorded(tmp_path):
    return made().record(tmp_path / "run.parquet")


def metadata(path) -> dict:
    return json.loads(pq.read_metadata(path).metadata[METADATA_KEY.encode()])


def with_column(path, name, values, to=None):
    """The recording with other values in one column."""
    table = pq.read_table(path)
    place = table.schema.get_field_index(name)
    return rewritten(path, table.set_column(place, name, values), to=to or path)


@pytest.mark.parametrize(
    "said",
    [
        {"current_prompt": 1.0},
        {"current_prompt": True},
        {"counters": {"lease_cents": "much"}},
        {"counters": {"seconds_charged": math.nan}},
        {"counters": {"reconnections": 1.5}},
        {"columns": {"sample": 1}},
        {"columns": {"out.people": 1}},
        {"columns": {"\ud800": 1}},
        {"info": {"width": "wide", "height": 9, "codec": "raw"}},
        {"output_schemas": ["people"]},
    ],
    ids=str,
)
def test_what_a_run_cannot_have_is_refused(recorded, said):
    rewritten(recorded, **said)
    refused(recorded, "damaged, or no recording")


@pytest.mark.parametrize(
    "field",
    [
        {"keep_frames": -1},
        {"keep_frames": "all"},
        {"model": None},
        {"prompt": 5},
        {"max_size": ["a", "b"]},
        {"processing": {"mode": "frame", "interval_seconds": math.nan}},
    ],
    ids=str,
)
def test_settings_that_no_stream_has_are_refused(recorded, field):
    rewritten(recorded, settings={**metadata(recorded)["settings"], **field})
    refused(recorded, next(iter(field)).split("_")[0].replace("processing", "interval"))


def test_a_recording_of_before_samples_copied_answers(recorded):
    """It lacks the column and the setting; it loads, and is given columns, all the same."""
    before = load(recorded).df
    settings = metadata(recorded)["settings"]
    del settings["same_frame"]
    older = pq.read_table(recorded).drop_columns(["copied_from"])
    rewritten(recorded, older, settings=settings)
    run = load(recorded)
    pd.testing.assert_frame_equal(run.df, before)
    assert run.df["copied_from"].isna().all()
    wider = RowWriter(
        [{"type": "object", "properties": {"n": {"type": "integer"}}}], Secrets((), ())
    )
    table = wider.with_outputs(older)
    assert table.schema == wider.schema
    assert table.column("copied_from").null_count == len(older)


@pytest.mark.parametrize("field", [{"text": None}, {"model": 7}, {"note": 9}, {"parent": "x"}])
def test_prompts_that_are_no_text_are_refused(recorded, field):
    (version,) = metadata(recorded)["prompts"]
    rewritten(recorded, prompts=[{**version, **field}])
    refused(recorded, next(iter(field)))


def test_reconnections_are_not_counted_one_by_one(recorded):
    rewritten(recorded, counters={"reconnections": 10**12})
    assert load(recorded).stats.reconnections == 10**12


@pytest.mark.parametrize("depth", [900, 100_000])
def test_what_is_nested_deeply_is_refused_or_loads(recorded, depth):
    said = json.dumps({**metadata(recorded), "labels": "@"})
    text = said.replace('"@"', "[" * depth + "]" * depth)
    table = pq.read_table(recorded)
    pq.write_table(table.replace_schema_metadata({METADATA_KEY: text}), recorded)
    refused(recorded)
    with_answers = made().record(recorded.with_name("other.parquet"))
    with_column(with_answers, "output", pa.array(["[" * depth + "]" * depth] * 6))
    assert len(load(with_answers).df) == 6


@pytest.mark.parametrize("time", [math.nan, math.inf, -math.inf])
def test_a_time_that_is_none_is_refused(recorded, time):
    with_column(recorded, "media_time", pa.array([0.0, time, 1.0, 1.5, 2.0, 2.5]))
    refused(recorded, "media_time")


@pytest.mark.parametrize(
    "exact",
    [
        {"sample": 1.5},
        {"sample": "x"},
        {"media_time": "late"},
        {"id": {}},
        {"result": 5},
        {"frame_times": [1]},
        {"output": 5},
        {"total_tokens": "9"},
        {"ok": "no"},
        [],
    ],
    ids=str,
)
def test_exact_values_of_other_types_are_refused(recorded, exact):
    with_column(recorded, "exact", pa.array([json.dumps(exact).encode()] * 6))
    refused(recorded, "damaged in its column exact")


def test_two_columns_of_one_name_are_refused(recorded):
    table = pq.read_table(recorded)
    rewritten(recorded, table.append_column("sample", table["sample"]))
    refused(recorded)


@pytest.mark.parametrize(
    "pictures",
    [
        [{"media_time": None, "width": 1, "height": 1, "jpeg": b"x"}],
        [{"media_time": 0.0, "width": None, "height": 1, "jpeg": b"x"}],
        [{"media_time": 0.0, "width": 1, "height": -1, "jpeg": b"x"}],
        [{"media_time": math.nan, "width": 1, "height": 1, "jpeg": b"x"}],
        [{"media_time": 0.0, "width": 1, "height": 1, "jpeg": None}],
        [{"media_time": 0.0, "width": 1, "height": 1, "jpeg": "text"}],
        [{"media_time": 0.0, "width": 1, "height": 1}],
        [None, {"media_time": 0.0, "width": 1, "height": 1, "jpeg": b"x"}],
    ],
    ids=str,
)
def test_pictures_that_are_none_are_missing(recorded, pictures):
    loaded = load(with_column(recorded, "frames", pa.array([pictures] * 6)))
    assert len(loaded.df) == 6
    with pytest.raises(SampleNotKeptError, match="damaged"):
        loaded.frames[0]


def test_columns_of_pictures_that_hold_something_else(tmp_path, recorded):
    to = tmp_path / "other.parquet"
    refused(with_column(recorded, "frames", pa.array([1] * 6), to=to), "column frames holds int64")
    nothing = pa.nulls(6, pa.string())
    assert list(load(with_column(recorded, "frames", nothing, to=to)).frames) == []
    empty = pa.array([[]] * 6, pq.read_schema(recorded).field("frames").type)
    assert list(load(with_column(recorded, "frames", empty, to=to)).frames) == []
    loaded = load(with_column(recorded, "video", pa.array([1] * 6), to=to))
    with pytest.raises(SampleNotKeptError, match="damaged"):
        loaded.frames[0]


def test_rows_beyond_all_bytes_are_refused_before_they_are_read(tmp_path):
    path = tmp_path / "bomb.parquet"
    rows = pa.nulls(3_000_000, pa.int8())
    said = {METADATA_KEY: json.dumps({"format": 1})}
    schema = pa.schema([("sample", pa.int8())], metadata=said)
    pq.write_table(pa.table([rows], schema=schema), path)
    assert path.stat().st_size < 100_000
    refused(path, "cannot hold the 3,000,000 rows that it claims")


# ---- what other programs made of a recording ---------------------------------------------------


def by_pandas(path, to, said) -> None:
    table = pa.Table.from_pandas(pd.read_parquet(path), preserve_index=False)
    pq.write_table(table.replace_schema_metadata({METADATA_KEY: said}), to)


def by_polars(path, to, said) -> None:
    polars.read_parquet(path).write_parquet(to, metadata={METADATA_KEY: said})


def by_duckdb(path, to, said) -> None:
    text = said.replace("'", "''")
    duckdb.sql(
        f"COPY (SELECT * FROM '{path}') TO '{to}' "
        f"(FORMAT parquet, KV_METADATA {{{METADATA_KEY}: '{text}'}})"
    )


@pytest.mark.parametrize("rewrite", [by_pandas, by_polars, by_duckdb])
def test_a_recording_that_another_program_wrote_anew(tmp_path, recorded, rewrite):
    """Table and pictures are the same where what it says of its run was kept, else it says so."""
    said = json.dumps(metadata(recorded))
    rewrite(recorded, tmp_path / "kept.parquet", said)
    assert_same(made(), load(tmp_path / "kept.parquet"))
    pq.write_table(
        pq.read_table(tmp_path / "kept.parquet").replace_schema_metadata(),
        tmp_path / "lost.parquet",
    )
    refused(tmp_path / "lost.parquet", "without what recordings say of their runs")


# ---- files that take each other's place --------------------------------------------------------


def test_a_group_that_only_looks_the_same_gives_no_other_picture(tmp_path):
    """Same rows, same sizes, no statistics, no checksums: only what is read tells them apart."""
    path = made(4).record(tmp_path / "run.parquet")
    table = pq.read_table(path)
    run = made(4)

    options = {"compression": "none", "use_dictionary": False, "write_statistics": False}

    def written(order: list[int]) -> None:
        pq.write_table(table.take(pa.array(order)), path, **options)

    written([0, 1, 2, 3])
    fresh, known = load(path), load(path)
    assert known.frames[0].sample == run.journal.frames[0].sample  # which remembers the group
    time.sleep(0.02)  # a file system's own clock
    written([3, 2, 1, 0])
    for loaded in (fresh, known):
        for index in range(4):
            assert loaded.frames[index].sample == run.journal.frames[index].sample


def test_a_group_that_is_gone_is_not_read(tmp_path):
    file = RecordingFile(made(6).record(tmp_path / "run.parquet"))
    footer = file.footer()
    made(5).record(file.path)

    def read(group) -> None:
        raise AssertionError("read by the footer of another file")

    assert file.from_group(footer, 0, read) == (None, file.footer())
    assert np.sum(file.footer().rows) == 5
