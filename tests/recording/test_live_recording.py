"""A run that goes on, written by hand: what a disk that hangs costs, and files that go away."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

import overshoot_nb
from overshoot_nb import ValidationError
from overshoot_nb.recording import live_recording
from overshoot_nb.recording.live_recording import LiveRecording
from overshoot_nb.recording.recorder import Recorder, start_recording
from overshoot_nb.store.journal import Journal

from made_runs import MadeRun

pytestmark = pytest.mark.usefixtures("no_threads_left")


class RunningRun(MadeRun):
    """A run that goes on until it is told to end; it keeps no pictures."""

    is_active = True
    state, note = "running", ""

    def __init__(self, *schemas, **parameters) -> None:
        super().__init__(*schemas, **parameters)
        self.journal = Journal(schemas[0] if schemas else None, 0)

    def finish(self) -> None:
        self.is_active = False
        self.state = "ended"
        self.journal.touch()


def record(run: MadeRun, path: Path, **options: bool) -> Recorder:
    return start_recording(run, path, **{"overwrite": False, "progress": False, **options})


def by_hand(run: MadeRun, path: Path) -> LiveRecording:
    """A recording that is written whenever the test wants it."""
    live = LiveRecording(run, path, wrote=lambda rows, nbytes: None, over=lambda error: None)
    live.begin(overwrite=False, progress=lambda rows: None)
    return live


def end(run: RunningRun, live: LiveRecording) -> None:
    run.finish()
    live.work()


@pytest.fixture
def disk(monkeypatch):
    """A disk that hangs from the first write of a recorder's thread on, until it is set."""
    moves = threading.Event()
    write = LiveRecording._write_new

    def hang(self) -> None:
        if threading.current_thread().name.startswith("overshoot-recorder"):
            moves.wait(60)
        write(self)

    monkeypatch.setattr(LiveRecording, "_write_new", hang)
    yield moves
    moves.set()


# ---- disks that hang ---------------------------------------------------------------------------


def test_pictures_that_a_hanging_disk_does_not_take_are_not_held(tmp_path, monkeypatch):
    monkeypatch.setattr(live_recording, "QUEUE_BYTES", 5_000)
    run = RunningRun()
    live = by_hand(run, tmp_path / "run.parquet")
    gone = []

    class Picture(bytes):
        def __del__(self) -> None:
            gone.append(len(self))

    for _ in range(20):
        sample = run.sampled(Picture(b"x" * 1000))
        run.answered(sample)
    del sample
    gc.collect()
    assert len(gone) == 15
    end(run, live)
    rows = pd.read_parquet(tmp_path / "run.parquet")
    assert rows["frames"].isna().tolist() == [False] * 5 + [True] * 15
    assert rows["captured_at"].notna().all()
    assert set(rows["mode"]) == {"frame"}


def test_a_stream_closes_in_time_whatever_the_disk_does(tmp_path, monkeypatch, disk, caplog):
    monkeypatch.setattr("overshoot_nb.running.lifecycle.CLOSE_SECONDS", 1.2)

    async def main() -> Recorder:
        async with overshoot_nb.Overshoot(base_url="local") as client:
            source = overshoot_nb.FrameSource(64, 48)
            source.push_frame(bytes(64 * 48 * 4))
            stream = await client.streams.create(source, "?", "local/scene")
            recorder = stream.record(tmp_path / "run.parquet")
            async with asyncio.timeout(60):
                await stream.close()
            return recorder

    recorder = asyncio.run(main())
    assert recorder.state == "recording"
    assert "run.parquet is still being written" in caplog.text
    assert len(pd.read_parquet(recorder.path)) <= 1  # whole, all the same
    disk.set()
    recorder.close()
    assert recorder.state == "finished"


def test_a_forked_child_does_not_wait_for_a_thread_that_it_has_not(tmp_path, monkeypatch):
    run = RunningRun()
    recorder = record(run, tmp_path / "run.parquet")
    here = os.getpid()
    with monkeypatch.context() as patched:
        patched.setattr(os, "getpid", lambda: here + 1)
        recorder.close()
    assert recorder.state == "recording"
    recorder.close()
    assert recorder.state == "finished"


def test_whoever_waits_for_a_run_that_ends_as_it_begins_to_be_recorded_waits_for_the_file(
    tmp_path, monkeypatch
):
    run = RunningRun()
    begin = LiveRecording.begin
    waited = []

    def begun(self, **options) -> None:
        run.finish()
        waited.append(asyncio.run(run.journal.recorded(0.01)))
        begin(self, **options)

    monkeypatch.setattr(LiveRecording, "begin", begun)
    recorder = record(run, tmp_path / "run.parquet")
    assert waited == [False]
    assert asyncio.run(run.journal.recorded(10))
    assert recorder.state == "finished"


def test_nobody_waits_for_a_recording_that_did_not_begin(tmp_path, monkeypatch):
    run = RunningRun()

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(live_recording, "GrowingFile", broken)
        with pytest.raises(OSError, match="there is no room left for it"):
            record(run, tmp_path / "run.parquet")
    assert not run.journal.followers
    assert list(tmp_path.iterdir()) == []
    record(run, tmp_path / "run.parquet").close()


# ---- paths -------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="no open file can be moved there")
@pytest.mark.parametrize("how", ["moved", "replaced"])
def test_a_file_that_goes_away_while_it_is_recorded_is_no_finished_recording(
    tmp_path, monkeypatch, how, caplog
):
    monkeypatch.setattr(live_recording, "TICK_SECONDS", 0.01)
    path, other = tmp_path / "run.parquet", tmp_path / "other.parquet"
    run = RunningRun({"type": "object", "properties": {"a": {"type": "integer"}}})
    recorder = record(run, path)
    run.answered(run.sampled(b"x"))
    path.rename(other)
    if how == "replaced":
        path.write_text("mine")
        run.journal.table.add_schema({"type": "object", "properties": {"b": {"type": "string"}}})
        run.finish()
    recorder.over.result(60)  # a file that is gone is noticed while the run goes on
    assert recorder.state == "failed"
    assert "moved, deleted or replaced" in str(recorder.error)
    assert str(path) in caplog.text
    assert pd.read_parquet(other)["kind"].tolist() == ["result"]  # what there was of it
    if how == "replaced":
        assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("~nobody-of-that-name/run.parquet", "home directory"),
        ("run\0.parquet", "null"),
    ],
)
def test_odd_paths_are_refused_in_words(path, why):
    with pytest.raises(ValidationError, match=why):
        record(MadeRun(), path, overwrite=True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are none")
def test_what_is_no_ordinary_file_is_never_replaced(tmp_path):
    os.mkfifo(path := tmp_path / "pipe")
    for run in (MadeRun(), RunningRun()):
        with pytest.raises(ValidationError, match="no ordinary file"):
            record(run, path, overwrite=True)
    assert path.is_fifo()


def test_a_path_is_where_it_was_when_the_recording_began(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "later").mkdir()
    monkeypatch.chdir(tmp_path)
    run = RunningRun()
    recorders = [record(run, "one.parquet"), record(run, "~/two.parquet")]
    monkeypatch.chdir("later")
    run.answered(run.sampled(b"x"))
    run.finish()
    for recorder, name in zip(recorders, ("one", "two"), strict=True):
        recorder.close()
        assert recorder.path == tmp_path / f"{name}.parquet"
        assert pq.read_metadata(recorder.path).num_rows == 1
