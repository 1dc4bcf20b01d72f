"""What load() says of files that are no recordings, of damaged ones, and of those being written."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import overshoot_nb
from overshoot_nb.analysis.rows import sample_of
from overshoot_nb.errors import SampleNotKeptError, ValidationError
from overshoot_nb.recording.arrow_rows import Row, RowWriter
from overshoot_nb.recording.ended_run import rows_of
from overshoot_nb.recording.format import FORMAT
from overshoot_nb.recording.growing_file import GrowingFile
from overshoot_nb.recording.row_groups import encode_group
from overshoot_nb.recording.run_metadata import as_pairs, to_json
from overshoot_nb.running import run_registry
from overshoot_nb.running.run_registry import find_run
from overshoot_nb.running.run_secrets import Secrets
from overshoot_nb.store.frames import FrameStore

from made_runs import assert_same, load, made, refused, rewritten


@pytest.fixture
def recorded(tmp_path):
    return made().record(tmp_path / "run.parquet")


# ---- files that are none -----------------------------------------------------------------------


def test_what_is_no_recording_is_said_to_be_none(tmp_path, recorded):
    text = tmp_path / "notes.txt"
    text.write_text("no parquet")
    refused(text, "no Parquet file")
    (tmp_path / "empty").write_bytes(b"")
    refused(tmp_path / "empty", "is empty")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "table.parquet")
    refused(tmp_path / "table.parquet", "no recording", "pandas.read_parquet")
    with pytest.raises(FileNotFoundError):
        overshoot_nb.load(tmp_path / "none.parquet")
    with pytest.raises(OSError, match="director"):
        overshoot_nb.load(tmp_path)
    for path in (None, 3, "", " "):
        with pytest.raises(ValidationError, match="path="):
            overshoot_nb.load(path)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="client="):
        overshoot_nb.load(recorded, client="http://x")  # type: ignore[arg-type]


@pytest.mark.parametrize("kept", [4, 8, 11, 12, 100, 0.5, -1])
def test_a_copy_that_did_not_finish_is_said_to_be_one(tmp_path, recorded, kept):
    data = recorded.read_bytes()
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    refused(cut, "cut off")


def test_a_newer_format_asks_for_a_newer_package(recorded):
    rewritten(recorded, format=FORMAT + 1, package="9.9.9")
    refused(recorded, "format 2", "9.9.9", "pip install -U overshoot-nb")


@pytest.mark.parametrize(
    "said",
    [
        {"prompts": []},
        {"prompts": [{"version": 2}]},
        {"settings": {}},
        {"settings": None},
        {"current_prompt": 7},
        {"columns": {"v2": 2}},
        {"state": "dancing"},
        {"labels": {"labels": [{"sample": "x"}]}},
        {"format": "one"},
        {"info": {"colour": 3}},
    ],
)
def test_what_is_said_of_the_run_makes_no_sense(recorded, said):
    rewritten(recorded, **said)
    refused(recorded)


def test_the_rows_are_those_of_something_else(tmp_path, recorded):
    table = pq.read_table(recorded)
    for name, column in [
        ("sample", pa.array(["x"] * len(table))),
        ("sample", pa.array([-1, 0, 1, 2, 3, 4])),
        ("sample", pa.array([0, 1, 2, 3, 4, 10**12])),
        ("sample", pa.array([0, 1, 2, 3, 4, None])),
        ("captured_at", pa.array([2**62] * len(table), pa.timestamp("us", tz="UTC"))),
        ("exact", pa.array([b"{"] * len(table))),
    ]:
        place = table.schema.get_field_index(name)
        other = table.set_column(place, name, column)
        refused(rewritten(recorded, other, to=tmp_path / "other.parquet"))
    without = table.drop_columns(["prompt"])
    refused(rewritten(recorded, without, to=tmp_path / "other.parquet"), "no column prompt")


def test_a_damaged_footer_or_column_is_said_to_be_damaged(tmp_path, recorded):
    data = recorded.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    footer = bytearray(data)
    footer[-8 - length : -8] = os.urandom(length)
    (tmp_path / "footer.parquet").write_bytes(footer)
    refused(tmp_path / "footer.parquet", "damaged")
    chunk = pq.read_metadata(recorded).row_group(0).column(1)
    assert chunk.path_in_schema == "sample"
    column = bytearray(data)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    column[start : start + chunk.total_compressed_size] = os.urandom(chunk.total_compressed_size)
    (tmp_path / "column.parquet").write_bytes(column)
    refused(tmp_path / "column.parquet", "damaged")


# ---- damaged pictures --------------------------------------------------------------------------


def test_a_damaged_picture_is_missing_and_no_other_is(tmp_path):
    run = made(20)
    path = run.record(tmp_path / "run.parquet")
    data = bytearray(path.read_bytes())
    jpeg = run.journal.frames[7].frames[0].data
    at = data.index(jpeg)
    data[at + 1000] ^= 1
    path.write_bytes(data)
    loaded = load(path)
    pd.testing.assert_frame_equal(loaded.df, run.df)
    for index in range(20):
        if index != 7:
            assert loaded.frames[index].sample == run.journal.frames[index].sample
    with pytest.raises(SampleNotKeptError, match=r"sample 7 .*run\.parquet is damaged"):
        loaded.frames[7]
    path.write_bytes(data[:at] + jpeg + data[at + len(jpeg) :])  # and it is there again
    assert loaded.frames[7].frames[0].data == jpeg


def test_where_a_page_begins_is_damaged(tmp_path):
    run = made(12, size=50_000)
    path = run.record(tmp_path / "run.parquet")
    data = bytearray(path.read_bytes())
    at = data.index(run.journal.frames[5].frames[0].data)
    data[at - 40 : at] = b"\xff" * 40
    path.write_bytes(data)
    loaded = load(path)
    assert loaded.frames[4].sample == run.journal.frames[4].sample
    for index in (5, 11):  # nobody knows where those behind it are
        with pytest.raises(SampleNotKeptError, match="damaged"):
            loaded.frames[index]


def test_every_byte_may_be_damaged(tmp_path):
    """Whatever byte is: no wrong picture, no other error, and no end of the process."""
    run = made(3, size=500)
    path = run.record(tmp_path / "run.parquet")
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    wrong = 0
    for at in rng.integers(4, len(data) - 8, 150):
        damaged = bytearray(data)
        damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            loaded = load(path)
        except ValidationError:
            wrong += 1
            continue
        for index in range(3):
            if (stored := loaded.frames.get(index)) is not None:
                wrong += stored.frames[0].data != run.journal.frames[index].frames[0].data
    assert wrong > 0


def test_pictures_of_a_file_that_is_gone_or_another_run_now(tmp_path):
    path = made().record(tmp_path / "run.parquet")
    loaded = load(path)
    shutil.move(path, tmp_path / "moved.parquet")
    with pytest.raises(SampleNotKeptError, match="cannot be read"):
        loaded.frames[0]
    assert list(loaded.frames) == list(range(6))
    made(size=77, stream_id="run-2").record(path)
    with pytest.raises(SampleNotKeptError, match="another run"):
        loaded.frames[4]
    made(2).record(path)  # it was cut
    with pytest.raises(SampleNotKeptError, match="no pictures"):
        loaded.frames[4]
    shutil.move(tmp_path / "moved.parquet", path)
    assert len(loaded.frames[4].frames[0].data) == 3000


def test_what_other_programs_wrote_anew_loads_too(tmp_path, recorded):
    """Compressed pictures, other pages and types: as long as what it says of the run is there."""
    run = made()
    table = pq.read_table(recorded)
    options = {"compression": "snappy", "data_page_version": "2.0", "row_group_size": 4}
    pq.write_table(table, recorded, **options)
    assert pq.read_metadata(recorded).num_row_groups == 2
    assert_same(run, load(recorded))
    loaded = load(rewritten(recorded, table.filter(pc.not_equal(table["sample"], 2))))
    assert loaded.df["sample"].tolist() == [0, 1, 3, 4, 5]
    assert loaded.samples[2].fate == "drop"
    assert loaded.samples[2].reason == "not in the recording"
    assert 2 not in loaded.frames
    assert loaded.frames[3].sample == run.journal.frames[3].sample


# ---- a file that is being written --------------------------------------------------------------


def test_a_recording_that_goes_on_loads_up_to_where_it_is(tmp_path):
    run = made(40, size=20_000)
    rows = list(rows_of(run))
    writer = RowWriter(run.journal.table.schemas, Secrets.of(run))
    said = as_pairs(to_json(run, complete=False))  # type: ignore[arg-type]
    path = tmp_path / "run.parquet"

    def group(part: list[Row]):
        return encode_group(writer.table(part))

    with path.open("xb", buffering=0) as file:
        growing = GrowingFile(file, writer.schema, said)
        growing.write([], [group(rows[:4]), group(rows[4:10])], said, keep=False)
        first = load(path)
        assert first.df["sample"].tolist() == list(range(10))
        assert not first.complete
        assert "cut off" in first.status
        assert first.frames[9].sample == run.journal.frames[9].sample
        for staged in (rows[10:12], rows[12:30], rows[12:35]):
            sealed = [group(rows[:10])] if staged == rows[10:12] else []
            growing.write(sealed, [group(staged)], said, keep=False)
        # What was staged is somewhere else now, and something else where it was.
        for index in range(10):
            assert first.frames[index].sample == run.journal.frames[index].sample
        assert 10 not in first.frames
        growing.write([group(rows[10:])], [], said, keep=False)
        growing.finish(as_pairs(to_json(run)))  # type: ignore[arg-type]
    assert first.frames[3].sample == run.journal.frames[3].sample
    assert_same(run, load(path))


# ---- whose rows --------------------------------------------------------------------------------


def test_rows_find_their_run_when_nobody_holds_it(tmp_path):
    path = made(stream_id="run-gone").record(tmp_path / "run.parquet")
    load(path)
    gc.collect()
    run = find_run("run-gone")
    assert run is not None
    assert run.journal.frames[2].frames
    assert find_run("run-gone") is run
    assert find_run("run-nobody-knows") is None
    # Its file is another run's now: its rows are not taken for those.
    run_registry._kept.clear()
    del run
    gc.collect()
    made(stream_id="run-other").record(path)
    assert find_run("run-gone") is None
    # Nor is that read again for each of them.
    run_registry._kept.clear()
    assert find_run("run-gone") is None
    assert not run_registry._kept
    path.unlink()
    assert find_run("run-gone") is None


def test_a_stream_that_lives_comes_before_its_recording(tmp_path):
    run = made(stream_id="run-alive")
    run_registry.remember_run("run-alive", run)  # type: ignore[arg-type]
    loaded = load(run.record(tmp_path / "run.parquet"))
    assert find_run("run-alive") is run
    reference = weakref.ref(run)
    del run
    gc.collect()
    assert reference() is None
    assert find_run("run-alive") is loaded._run


def test_pictures_are_found_in_whatever_recording_of_the_stream_has_them(tmp_path):
    whole = load(made(6, stream_id="run-twice").record(tmp_path / "whole.parquet"))
    begun = load(made(2, stream_id="run-twice").record(tmp_path / "begun.parquet"))
    rows = whole.df
    assert sample_of(5, rows).index == 5
    with pytest.raises(SampleNotKeptError, match="no sample 6"):
        sample_of({"stream_id": "run-twice", "sample": 6})
    del whole, begun
    gc.collect()
    assert sample_of(5, rows).index == 5


def test_pictures_that_a_stream_did_not_keep_are_found_in_its_recording(tmp_path):
    run = made(stream_id="run-forgetful")
    path = run.record(tmp_path / "run.parquet")
    run.journal.frames = FrameStore(0)
    run_registry.remember_run("run-forgetful", run)  # type: ignore[arg-type]
    run_registry.remember_file("run-forgetful", path)
    assert sample_of(1, run.df).index == 1


def test_only_a_few_runs_are_kept_for_their_rows(tmp_path):
    ids = [f"run-kept-{n}" for n in range(run_registry.KEPT_RUNS + 2)]
    for name in ids:
        load(made(1, stream_id=name).record(tmp_path / f"{name}.parquet"))
    gc.collect()
    runs = [weakref.ref(find_run(name)) for name in ids]
    gc.collect()
    assert [reference() is not None for reference in runs] == [False] * 2 + [True] * (len(ids) - 2)


# ---- files and threads -------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="counts the files that the process has open")
def test_no_file_stays_open(recorded):
    before = set(Path("/proc/self/fd").iterdir())
    loaded = load(recorded)
    assert loaded.df is not None
    assert loaded.frames[3].frames
    assert len(set(Path("/proc/self/fd").iterdir()) - before) == 0
    del loaded


def test_many_threads_read_pictures_at_once(tmp_path):
    run = made(60, size=40_000)
    loaded = load(run.record(tmp_path / "run.parquet"))
    wrong: list[int] = []

    def read(start: int) -> None:
        for step in range(60):
            index = (start * 7 + step * 11) % 60
            if loaded.frames[index].sample != run.journal.frames[index].sample:
                wrong.append(index)

    threads = [threading.Thread(target=read, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_no_secret_is_shown(tmp_path):
    run = made(source="rtsp://user:hunter22@camera.example/live?token=abcd1234")
    loaded = load(run.record(tmp_path / "run.parquet"))
    shown = (
        repr(loaded) + loaded._repr_html_() + repr(loaded.settings) + loaded.prompts[1].as_code()
    )
    assert "camera.example" in shown
    for secret in ("hunter22", "abcd1234"):
        assert secret not in shown
        assert secret.encode() not in (tmp_path / "run.parquet").read_bytes()
    assert loaded.settings.source.live
    # And once more: the source is still what it was.
    loaded.record(tmp_path / "again.parquet")
    assert load(tmp_path / "again.parquet").settings == loaded.settings


def test_why_a_run_was_closed_is_said_as_it_was(tmp_path):
    run = made()
    run.state, run.note = "closed", "closed by its user"
    assert load(run.record(tmp_path / "run.parquet")).status == "closed: closed by its user"


# ---- recordings that were not finished, and what older versions wrote --------------------------


def test_one_that_was_not_finished_says_so_also_when_it_is_recorded_again(tmp_path, recorded):
    assert load(recorded).complete
    assert load(recorded).df.attrs["overshoot"]["complete"]
    rewritten(recorded, complete=False, state="running", status="running")
    loaded = load(recorded)
    for one in (loaded, load(_again(loaded, tmp_path))):
        assert one.complete is False
        assert one.status == "failed: the recording was cut off here, or still goes on"
        assert one.df.attrs["overshoot"]["complete"] is False
        assert one.df.attrs["overshoot"]["state"] == "failed"
        assert one.error is None


def _again(stream, folder: Path) -> Path:
    return stream.record(folder / "again.parquet").path


def test_one_that_ends_before_its_run_did_is_whole_but_not_complete_in_its_rows(recorded):
    rewritten(recorded, state="running", status="running")
    loaded = load(recorded)
    assert loaded.complete  # the file is
    assert loaded.status == "ended: recorded up to here"
    assert loaded.df.attrs["overshoot"]["complete"] is False


def test_reconnections_that_were_recorded_without_a_cause_were_those_of_results(recorded):
    counters = {"lease_cents": None, "seconds_charged": None, "credits_remaining_cents": None}
    rewritten(recorded, counters={**counters, "reconnections": 4})
    stats = load(recorded).stats
    assert stats.reconnections == 4
    assert stats.reconnections_by_cause == {"result channel": 4}
    for wrong in ([], {"source": "many"}, {"source": 1.5}):
        said = {**counters, "reconnections": 4, "reconnections_by_cause": wrong}
        refused(rewritten(recorded, counters=said), "is damaged, or no recording")


def test_a_wrong_amount_of_memory_is_not_the_files_fault(recorded, monkeypatch):
    monkeypatch.setenv("OVERSHOOT_MEMORY", "lots")
    with pytest.raises(ValidationError, match=r"^OVERSHOOT_MEMORY='lots' is not an amount"):
        load(recorded)


def test_reasoning_is_recorded_and_files_without_it_load(tmp_path):
    run = made(rows=2)
    thought = run.sampled(b"picture")
    run.answered(thought, "answer 2", reasoning="hm")
    path = run.record(tmp_path / "run.parquet")
    assert [r.reasoning for r in load(path)._run.journal.table] == [None, None, "hm"]
    # As releases before this column wrote them.
    older = rewritten(path, pq.read_table(path).drop_columns("reasoning"), to=tmp_path / "old")
    assert [r.reasoning for r in load(older)._run.journal.table] == [None, None, None]
    assert load(older).df["reasoning"].isna().all()


def test_a_backfill_that_is_called_as_a_column_that_came_later_stands_beside_it(tmp_path):
    """In 0.5.0 both names were free."""
    run = made(rows=2)
    path = run.record(tmp_path / "run.parquet")
    rewritten(path, columns={"reasoning": 1, "reasoning (2)": 1, "copied_from": 1})
    loaded = overshoot_nb.load(path)
    assert list(loaded.df.columns[-9::3]) == ["reasoning (3)", "reasoning (2)", "copied_from (2)"]
    assert loaded.df["copied_from"].isna().all()
    loaded.record(tmp_path / "again.parquet")
    pd.testing.assert_frame_equal(overshoot_nb.load(tmp_path / "again.parquet").df, loaded.df)
