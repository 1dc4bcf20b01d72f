"""Streams that are recorded while they run, and after: what is in the file, and when."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

import overshoot_nb
from overshoot_nb import FrameSource, Overshoot, ValidationError
from overshoot_nb.recording import arrow_rows, growing_file, live_recording

from chatserver import ChatServer
from videos import HEIGHT, WIDTH, barcode, make_video, number_in

pytestmark = pytest.mark.usefixtures("no_threads_left")

MODEL = "test/model"


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> str:
    """Four seconds at 30 frames a second, each frame showing its number."""
    return str(make_video(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=120, fps=30))


@pytest.fixture
def small(monkeypatch):
    """Row groups of a few pictures, so that a short stream has many."""
    for module in (arrow_rows, live_recording):
        monkeypatch.setattr(module, "GROUP_BYTES", 12_000)
    monkeypatch.setattr(live_recording, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(growing_file, "STEP_BYTES", 2**17)
    monkeypatch.setattr(growing_file, "STAGING_BYTES", 2**14)
    monkeypatch.setattr(growing_file, "ALIGNMENT", 2**13)


def number(request) -> str:
    return str(number_in(request.jpegs[0]))


def run(coroutine, answer=number, delay=0.0):
    async def main(server):
        async with Overshoot("ovs-test-secret", base_url=server.url) as client:
            return await coroutine(client)

    with ChatServer(answer, delay) as server:
        return asyncio.run(asyncio.wait_for(main(server), 60))


def said(path: Path) -> dict:
    return json.loads(pq.read_metadata(path).metadata[b"overshoot_nb"])


def check(path: Path, stream, *, pictures: bool = True) -> pd.DataFrame:
    """The finished file has all of the stream; returns its rows."""
    rows = pd.read_parquet(path)
    results = rows[rows["kind"] == "result"]
    df = stream.df
    assert results["sample"].tolist() == df["sample"].tolist()
    assert results["id"].tolist() == df["id"].tolist()
    assert results["result"].tolist() == df["result"].tolist()
    table = stream._run.journal.table
    assert results["media_time"].tolist() == [result.media_time for result in table]
    drops = rows[rows["kind"] == "drop"]
    log = stream.samples
    fates = [log[k] for k in range(len(log))]
    assert dict(zip(drops["sample"], drops["reason"], strict=True)) == {
        k: fate.reason for k, fate in enumerate(fates) if fate.fate == "drop"
    }
    assert sorted(rows.loc[rows["kind"] != "later", "sample"]) == list(range(len(log)))
    if pictures:
        for row in results.itertuples():
            sample = stream.frames[row.sample]
            assert [f["jpeg"] for f in row.frames] == [f.data for f in sample.frames]
            assert [f["media_time"] for f in row.frames] == [f.media_time for f in sample.frames]
            assert row.video == sample.video
    metadata = said(path)
    assert metadata["complete"]
    assert metadata["stream_ids"] == (list(dict.fromkeys(df["stream_id"])) or [stream.stream_id])
    assert overshoot_nb.load(path).df.equals(df)
    return rows


# ---- as it goes on -----------------------------------------------------------------------------


def test_a_running_stream_is_recorded_from_its_first_row_to_its_last(clip, tmp_path, small):
    path = tmp_path / "run.parquet"
    between: list[int] = []

    async def main(client):
        stream = await client.streams.create(clip, "?", MODEL, interval_seconds=0.04)
        await until(lambda: len(stream.df) > 5)
        before = len(stream.df)
        recorder = stream.record(path)
        # At once it has what there was.
        first = pd.read_parquet(path)
        assert (
            first.loc[first["kind"] == "result", "sample"].tolist()[:before]
            == (stream.df["sample"].tolist()[:before])
        )
        while stream.is_active:
            rows = await asyncio.to_thread(pq.ParquetFile(path).read, columns=["kind"])
            between.append(rows.num_rows)
            assert recorder.state == "recording"
            assert not said(path)["complete"]
            await asyncio.sleep(0.3)
        assert await stream.wait() == "ended: end of file at 4.0 s"
        assert recorder.state == "finished"
        return stream, recorder

    stream, recorder = run(main)
    assert between == sorted(between)
    assert len(set(between)) > 1
    rows = check(path, stream)
    assert recorder.rows == len(rows)
    assert recorder.nbytes == path.stat().st_size
    assert recorder.path == path
    assert recorder.status.startswith(f"finished: {len(rows)} rows, ")
    assert "run.parquet" in repr(recorder)
    assert "run.parquet" in recorder._repr_html_()
    assert pq.read_metadata(path).num_row_groups > 3
    assert [p.name for p in tmp_path.iterdir()] == ["run.parquet"]


def test_restarts_pauses_and_changes_are_in_it(clip, tmp_path, small):
    path = tmp_path / "run.parquet"
    one = {"type": "object", "properties": {"n": {"type": "integer"}}}
    two = {"type": "object", "properties": {"n": {"type": "number"}, "big": {"type": "boolean"}}}

    def answer(request):
        n = number_in(request.jpegs[0])
        return json.dumps({"n": n, **({"big": n > 9} if "big" in request.prompt else {})})

    async def main(client):
        stream = await client.streams.create(
            clip, "?", MODEL, interval_seconds=0.04, output_schema=one
        )
        stream.record(path)
        await asyncio.sleep(0.4)
        await stream.pause()
        await asyncio.sleep(0.3)
        await stream.resume()
        await stream.update(prompt="big?", output_schema=two)
        await asyncio.sleep(0.4)
        assert not any(name == "out.big" for name in pq.read_schema(path).names)
        await stream.restart(interval_seconds=0.1)
        await asyncio.sleep(0.5)
        stream.label(0, {"n": 3})
        await stream.backfill("? again", samples=[1, 2], progress=False)
        await asyncio.sleep(0.2)
        assert said(path)["labels"]["labels"]
        await stream.close()
        return stream

    stream = run(main, answer)
    rows = check(path, stream)
    assert rows["stream_id"].dropna().nunique() == 2
    assert rows["out.n"].dtype == "float64"
    assert set(rows.loc[rows["prompt_version"] == 2, "out.big"].dropna()) <= {True, False}
    assert rows["out.big"].notna().any()
    assert sorted(rows.loc[rows["kind"] == "later", "sample"]) == [1, 2]
    assert rows.loc[rows["kind"] == "later", "frames"].isna().all()
    metadata = said(path)
    assert metadata["state"] == "closed"
    assert [p["text"] for p in metadata["prompts"]] == ["?", "big?", "? again"]
    assert metadata["columns"] == {"v3": 3}


def test_a_closed_recorder_leaves_a_whole_file_and_the_stream_goes_on(clip, tmp_path):
    async def main(client):
        stream = await client.streams.create(clip, "?", MODEL, interval_seconds=0.1)
        with stream.record(tmp_path / "a.parquet") as recorder:
            await asyncio.sleep(0.5)
        assert recorder.state == "finished"
        rows, size = recorder.rows, (tmp_path / "a.parquet").stat().st_size
        assert stream.is_active
        recorder.close()
        again = stream.record(tmp_path / "a.parquet", overwrite=True)
        other = stream.record(str(tmp_path / "b.parquet"))
        await asyncio.sleep(0.3)
        await stream.close()
        assert (recorder.rows, again.state, other.state) == (rows, "finished", "finished")
        assert (tmp_path / "a.parquet").stat().st_size > size
        assert not stream._run.journal.followers
        return stream

    stream = run(main)
    for name in ("a", "b"):
        check(tmp_path / f"{name}.parquet", stream)


def test_samples_without_an_answer_are_waiting(tmp_path, small):
    """A model that takes its time: what waits is in the file, pictures too, and then its answer."""
    path = tmp_path / "run.parquet"
    answers = threading.Event()

    def answer(request):
        answers.wait(60)
        return number(request)

    async def main(client):
        source = FrameSource(WIDTH, HEIGHT)
        source.push_frame(barcode(5), media_time=0.0)
        stream = await client.streams.create(source, "?", MODEL)
        recorder = stream.record(path)
        await until(lambda: pd.read_parquet(path)["kind"].tolist() == ["waiting"])
        row = pd.read_parquet(path).iloc[0]
        assert number_in(row["frames"][0]["jpeg"]) == 5
        assert pd.isna(row["result"])
        answers.set()
        await until(lambda: "result" in pd.read_parquet(path)["kind"].tolist())
        recorder.close()
        await stream.close()
        return stream

    stream = run(main, answer)
    rows = check(path, stream)
    assert rows["kind"].tolist() == ["result"]  # only while it is written are there both


async def until(condition, seconds=60) -> None:
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("encoding", ["images", "video"])
def test_clips_are_recorded_as_they_were_sent(clip, tmp_path, encoding):
    async def main(client):
        stream = await client.streams.create(
            clip, "?", MODEL, mode="clip", clip_encoding=encoding, realtime=False
        )
        stream.record(tmp_path / "live.parquet")
        await stream.wait()
        stream.record(tmp_path / "after.parquet")
        return stream

    stream = run(main, lambda request: "a clip")
    for name in ("live", "after"):
        rows = check(tmp_path / f"{name}.parquet", stream)
        assert set(rows["mode"]) == {"clip"}
        assert all(len(frames) == 3 for frames in rows["frames"])
        assert rows["video"].notna().all() == (encoding == "video")


def test_pictures_are_recorded_that_the_stream_does_not_keep(clip, tmp_path):
    async def main(client):
        stream = await client.streams.create(clip, "?", MODEL, keep_frames=0, interval_seconds=0.1)
        stream.record(tmp_path / "run.parquet")
        await until(lambda: len(stream.df) > 12)
        await stream.close()
        shutil.copy(tmp_path / "run.parquet", tmp_path / "first.parquet")
        # Later labels go into another recording, or into the same one.
        stream.record(tmp_path / "after.parquet")
        stream.record(tmp_path / "run.parquet", overwrite=True)
        return stream

    stream = run(main)
    rows = whole = check(tmp_path / "first.parquet", stream, pictures=False)
    rows = rows[rows["frames"].notna() & rows["ok"].eq(True)]  # of the first it had none any more
    numbers = [str(number_in(frames[-1]["jpeg"])) for frames in rows["frames"]]
    assert numbers == rows["result"].tolist()
    assert len(rows) > 7
    for again in ("after.parquet", "run.parquet"):
        kept = check(tmp_path / again, stream, pictures=False)
        assert jpegs(kept[kept["kind"] == "result"]) == jpegs(whole[whole["kind"] == "result"])


def jpegs(rows) -> dict[int, list[bytes] | None]:
    """The pictures of each sample."""
    return {
        sample: None if frames is None else [frame["jpeg"] for frame in frames]
        for sample, frames in zip(rows["sample"], rows["frames"], strict=True)
    }


def test_a_v02_stream_is_recorded(tmp_path, clip):
    pytest.importorskip("aiortc")

    async def main():
        async with Overshoot(base_url="local/v0.2") as client:
            stream = await client.streams.create(
                overshoot_nb.FileSource(clip, loop=True),
                "How bright is it?",
                "local/auto",
                interval_seconds=0.5,
            )
            stream.record(tmp_path / "run.parquet")
            await until(lambda: len(stream.df) >= 2, 25)
            await stream.close()
            return stream

    stream = asyncio.run(asyncio.wait_for(main(), 60))
    check(tmp_path / "run.parquet", stream)
    assert said(tmp_path / "run.parquet")["surface"] == "gateway"


# ---- disks and paths ---------------------------------------------------------------------------


def test_a_slow_disk_costs_pictures_and_no_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(live_recording, "QUEUE_BYTES", 10_000)
    held = threading.Event()
    write = live_recording.LiveRecording._write_new

    def slow(self) -> None:
        if threading.current_thread().name.startswith("overshoot-recorder"):
            held.wait(60)
        write(self)

    monkeypatch.setattr(live_recording.LiveRecording, "_write_new", slow)
    path = tmp_path / "run.parquet"
    frames = [barcode(k) for k in range(60)]

    async def main(client):
        source = FrameSource(WIDTH, HEIGHT)
        source.push_frame(frames[0], media_time=0.0)
        stream = await client.streams.create(source, "?", MODEL, interval_seconds=0.02)
        recorder = stream.record(path)
        for k, frame in enumerate(frames[1:], 1):
            source.push_frame(frame, media_time=k / 50)
            await asyncio.sleep(0.02)
        await until(lambda: recorder.lost_pictures > 3)
        closing = asyncio.create_task(stream.close())
        held.set()
        await closing
        return stream, recorder

    stream, recorder = run(main)
    rows = check(path, stream, pictures=False)
    assert recorder.state == "finished"
    assert f"{recorder.lost_pictures} without pictures" in recorder.status
    assert rows["frames"].isna().sum() == recorder.lost_pictures == said(path)["lost_pictures"]
    assert rows["captured_at"].notna().all()


FULL = """
import asyncio, resource, sys
import pandas as pd
from overshoot_nb import FileSource, Overshoot, load
from overshoot_nb.recording import live_recording, unsealed
from chatserver import ChatServer

def one_by_one(rows):
    "Row groups of one row, of which the third finds no room any more."
    for number, row in enumerate(rows):
        if number == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        yield [row]

async def main(path, clip, finishes, delay):
    errors = []
    unsealed.WAITING_SECONDS = 0.1  # what waits for its answer is in the file, too
    with ChatServer(lambda request: "yes", delay=float(delay)) as server:
        async with Overshoot("ovs-test-secret", base_url=server.url) as client:
            stream = await client.streams.create(
                FileSource(clip, loop=True), "?", "test/model", interval_seconds=0.05,
                on_error=errors.append,
            )
            recorder = stream.record(path)
            await asyncio.sleep(1.5)
            # The file cannot be extended any more, nor written beyond this.
            if finishes == "True":
                live_recording.in_groups = one_by_one
                recorder._live._closing = True
            else:
                resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
            while recorder.state == "recording":
                await asyncio.sleep(0.05)
            rows = len(stream.df)
            await asyncio.sleep(0.5)
            assert len(stream.df) > rows and stream.is_active
            await stream.close()
    assert recorder.state == "failed", recorder
    assert [str(error) for error in errors] == [str(recorder.error)]
    assert "no room" in recorder.status, recorder.status
    print(recorder.status)
    recorder.close()
    assert len(pd.read_parquet(path)) > 5
    loaded = load(path)
    assert recorder.rows == len(loaded.samples), (recorder, loaded)
    assert f"failed: {recorder.rows} rows, " in recorder.status
    assert not loaded.complete

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="its limits are others")
@pytest.mark.parametrize(("finishes", "delay"), [(False, 0.4), (True, 0)])
def test_a_full_disk_ends_the_recording_and_not_the_stream(clip, tmp_path, finishes, delay):
    path = tmp_path / "run.parquet"
    code = [str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(code)}
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path), clip, str(finishes), str(delay)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "what it has stays" in done.stderr
    assert (pd.read_parquet(path)["result"].dropna() == "yes").all()


def test_paths_that_cannot_be_written_are_refused(clip, tmp_path):
    async def main(client):
        stream = await client.streams.create(clip, "?", MODEL, interval_seconds=0.5)
        (tmp_path / "there.parquet").write_text("mine")
        for active in (True, False):
            for path, why in (
                (tmp_path / "no" / "run.parquet", "make it first"),
                (tmp_path, "is a folder"),
                ("", "is no path"),
                (7, "is no path"),
                (tmp_path / "there.parquet", "overwrite=True"),
            ):
                with pytest.raises(ValidationError, match=why):
                    stream.record(path)
            if active:
                recorder = stream.record(tmp_path / "run.parquet")
                for overwrite in (True, False):
                    with pytest.raises(ValidationError, match=r"being recorded to|overwrite=True"):
                        stream.record(tmp_path / "run.parquet", overwrite=overwrite)
                assert recorder.state == "recording"
                await stream.close()
        assert (tmp_path / "there.parquet").read_text() == "mine"
        stream.record(tmp_path / "there.parquet", overwrite=True)
        return stream

    stream = run(main)
    check(tmp_path / "there.parquet", stream)
    assert {p.name for p in tmp_path.iterdir()} == {"run.parquet", "there.parquet"}


def test_what_fails_while_it_is_written_leaves_what_was_there(clip, tmp_path, monkeypatch):
    async def main(client):
        stream = await client.streams.create(clip, "?", MODEL, realtime=False)
        await stream.wait()
        return stream

    stream = run(main)
    path = tmp_path / "run.parquet"
    path.write_text("mine")

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("overshoot_nb.recording.whole_file.WholeFile.add", broken)
    with pytest.raises(OSError, match="there is no room left for it"):
        stream.record(path, overwrite=True)
    assert path.read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["run.parquet"]


AT_EXIT = """
import sys, time
from overshoot_nb import FileSource, Overshoot
from overshoot_nb.recording.live_recording import LiveRecording
from overshoot_nb.runtime.event_loop import get_runtime

finish = LiveRecording._finish
LiveRecording._finish = lambda self: (time.sleep(0.3), finish(self))  # a slow disk

path, clip, url, ends = sys.argv[1:]
client = Overshoot("ovs-test-secret", base_url=url)
source = FileSource(clip, loop=ends == "closed", realtime=ends == "closed")
creating = client.streams.create(source, "?", "test/model", interval_seconds=0.1)
stream = get_runtime().run(creating)
stream.record(path)
while len(stream.df) < 5 or (ends == "ended" and stream.is_active):
    time.sleep(0.01)
"""


@pytest.mark.parametrize("ends", ["closed", "ended"])
def test_a_program_that_ends_finishes_its_file(clip, tmp_path, ends):
    path = tmp_path / "run.parquet"
    with ChatServer(number) as server:
        command = [sys.executable, "-c", AT_EXIT, str(path), clip, server.url, ends]
        subprocess.run(command, check=True, timeout=120)
    assert said(path)["complete"]
    assert said(path)["status"].startswith(f"{ends}: ")
    assert (pd.read_parquet(path)["kind"] == "result").sum() >= 5
    assert path.stat().st_size < 2**20
