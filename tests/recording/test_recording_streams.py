"""Streams that really ran, recorded and loaded: asked again, scored, played, shown."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import threading
import time
import weakref

import pytest

import overshoot_nb
from overshoot_nb import Overshoot, StreamClosedError, ValidationError, demo
from overshoot_nb.sampling.preview import PreviewFrame

from chatserver import ChatServer
from made_runs import assert_same
from videos import make_video, number_in

pytestmark = pytest.mark.usefixtures("no_threads_left")

SCHEMA = {
    "type": "object",
    "properties": {"number": {"type": "integer"}, "even": {"type": "boolean"}},
    "required": ["number"],
}
CLIPS = {
    "clip_length_seconds": 0.4,
    "target_fps": 10,
    "delay_seconds": 0.2,
    "interval_seconds": None,
}
N = 12
STEP = 3


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> str:
    return str(make_video(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=STEP * N, fps=30))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """What another test asked must be asked again."""
    from overshoot_nb.store import answer_cache

    cache = answer_cache.AnswerCache(tmp_path / "answers.sqlite3")
    monkeypatch.setattr(answer_cache, "_cache", cache)
    yield cache
    cache.close()


def answer(request) -> str:
    """The first word of the prompt, and the number in the picture."""
    number = number_in(request.jpegs[0])
    if "response_format" in request.body:
        return json.dumps({"number": number, "even": number % 2 == 0})
    return f"{request.prompt.split()[0]} {number}"


@contextlib.asynccontextmanager
async def recorded(server, clip, path, **parameters):
    """The recording of a stream of N samples, and a client of its server."""
    given = {"interval_seconds": 0.1, "realtime": False, **parameters}
    async with Overshoot("key", base_url=server.url) as client:
        stream = await client.streams.create(clip, "old", "test/model", **given)
        await stream.wait()
        stream.record(path)
        server.requests.clear()
        yield stream, overshoot_nb.load(path, client=client)


def recording(test, clip, path, **parameters) -> None:
    async def main():
        async with recorded(server, clip, path, **parameters) as (stream, loaded):
            await test(server, stream, loaded)

    with ChatServer(answer) as server:
        asyncio.run(main())


async def until(condition, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


# ---- the same run ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"output_schema": SCHEMA, "max_in_flight": 3},
        CLIPS,
        {**CLIPS, "clip_encoding": "video"},
        {"keep_frames": 0},
    ],
    ids=["text", "schema", "clips", "videos", "no frames"],
)  # fmt: skip
def test_a_stream_is_loaded_as_it_was(clip, tmp_path, parameters):
    async def same(server, stream, loaded):
        assert len(stream.df) > 2
        assert_same(stream, loaded)
        assert (await loaded.info()).inferences_completed == len(stream.df)
        results = [result async for result in loaded]
        assert repr(results) == repr(list(stream._run.journal.table))
        assert await loaded.wait() == stream.status

    def answers(request):
        return "seen" if not request.jpegs else answer(request)

    with ChatServer(answers) as server:

        async def main():
            async with recorded(server, clip, tmp_path / "run.parquet", **parameters) as both:
                await same(server, *both)

        asyncio.run(main())


def test_the_embedded_engine_and_a_restart(tmp_path):
    path = tmp_path / "run.parquet"

    async def main():
        async with Overshoot(base_url="local") as client:
            stream = await client.streams.create(
                demo.video(),
                demo.PROMPT,
                "local/auto",
                output_schema=demo.SCHEMA,
                interval_seconds=9,
                realtime=False,
            )
            await stream.wait()
            await stream.restart(prompt="Read the clock", output_schema=None)
            await stream.wait()
            await stream.backfill("How bright is it?", column="light", progress=False)
            stream.label(1, right=True)
            stream.record(path)
            loaded = overshoot_nb.load(path, client=client)
            assert_same(stream, loaded)
            assert loaded._run.run_start == stream._run.run_start > 0
            ids = loaded.df["stream_id"].unique()
            assert len(ids) == 2
            assert loaded.stream_id == ids[1]
            asked = loaded.backfill("Read any text", column="text", progress=False, samples=[0, 3])
            await asked
            assert loaded.df["text"].notna().sum() == 2

    asyncio.run(main())


def test_a_recording_that_goes_on_is_loaded_meanwhile(clip, tmp_path):
    path = tmp_path / "run.parquet"

    async def main():
        async with Overshoot("key", base_url=server.url) as client:
            stream = await client.streams.create(clip, "old", "test/model", interval_seconds=0.1)
            recorder = stream.record(path)
            loaded = overshoot_nb.load(path)
            assert not loaded.complete
            await until(lambda: recorder.rows > 3, 10)
            loaded = overshoot_nb.load(path)
            seen = len(loaded.samples)
            assert seen > 3
            await stream.wait()
            # What was loaded then goes on being what it was, and finds its pictures.
            assert len(loaded.samples) == seen
            for index in loaded.frames:
                assert loaded.frames[index].sample == stream.frames[index].sample
            assert_same(stream, overshoot_nb.load(path))

    with ChatServer(answer) as server:
        asyncio.run(main())


# ---- asked about -------------------------------------------------------------------------------


def test_other_prompts_are_asked_and_scored_and_recorded_again(clip, tmp_path):
    async def ask(server, stream, loaded):
        job = await loaded.backfill("new prompt", column="second", progress=False)
        assert loaded.df["second"].tolist() == [f"new {STEP * k}" for k in range(N)]
        assert len(server.requests) == N
        assert job.missing == {}
        for k in range(N):
            assert server.requests[k].jpegs[0] in [
                stream.frames[i].frames[0].data for i in stream.frames
            ]
        server.requests.clear()
        found = await overshoot_nb.compare(
            loaded, ["new prompt", loaded.prompts[1], "third"], progress=False
        )
        assert len(found.df) > 0
        assert len(server.requests) == N  # the others are known
        loaded.label(2, "old 6")
        loaded.label(3, "new 9")
        assert loaded.score(versions=[1, 2]).df["right"].tolist() == [1, 1]
        assert loaded.flips(1, 2)["change"].tolist() == ["worse", "better"]
        assert stream.labels.samples == []
        again = tmp_path / "again.parquet"
        loaded.record(again)
        second = overshoot_nb.load(again)
        assert_same(loaded, second)
        assert second.df["second"].tolist() == loaded.df["second"].tolist()
        # Over itself: its pictures are read from the file that is replaced.
        loaded.record(loaded.path, overwrite=True)
        assert_same(loaded, overshoot_nb.load(loaded.path))
        for index in loaded.frames:
            assert loaded.frames[index].sample == stream.frames[index].sample
        said = json.loads(_metadata(loaded.path))
        assert said["server"] == server.url

    recording(ask, clip, tmp_path / "run.parquet")


def _metadata(path) -> bytes:
    from overshoot_nb.recording.recording_file import RecordingFile

    return RecordingFile(path).footer().parquet.metadata[b"overshoot_nb"]


def test_the_default_client_is_made_when_it_is_needed(clip, tmp_path, monkeypatch):
    async def ask(server, stream, loaded):
        alone = overshoot_nb.load(loaded.path)
        assert not alone._run.has_service
        alone.record(tmp_path / "again.parquet")
        assert not alone._run.has_service
        monkeypatch.setenv("OVERSHOOT_BASE_URL", server.url)
        await alone.backfill("new", progress=False, samples=[1])
        assert len(server.requests) == 1
        client = weakref.ref(alone._run._client)
        life = weakref.ref(alone._run)
        del alone
        gc.collect()
        assert life() is None
        await until(lambda: client() is None or client()._closed)

    recording(ask, clip, tmp_path / "run.parquet")


def test_a_client_that_is_closed_is_refused_but_records(clip, tmp_path):
    async def closed(server, stream, loaded):
        client = Overshoot("key", base_url=server.url)
        mine = overshoot_nb.load(loaded.path, client=client)
        await client.close()
        with pytest.raises(StreamClosedError):
            mine.backfill("new", progress=False)
        mine.record(tmp_path / "again.parquet")
        with pytest.raises(StreamClosedError):
            overshoot_nb.load(loaded.path, client=client)

    recording(closed, clip, tmp_path / "run.parquet")


# ---- played ------------------------------------------------------------------------------------


class Viewer:
    """Somebody who looks on."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, PreviewFrame]] = []

    def room(self) -> bool:
        return True

    def show(self, frame: PreviewFrame) -> None:
        self.seen.append((time.monotonic(), frame))


def players() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "overshoot-player"]


def test_it_is_played_paused_and_ended(clip, tmp_path):
    async def play(server, stream, loaded):
        viewer = Viewer()
        loaded._run.preview.watch(viewer)
        states = []
        loaded._run.journal.watch(lambda: states.append(loaded.state))
        df = loaded.df
        begun = time.monotonic()
        await loaded.restart()
        assert (loaded.state, loaded.is_active) == ("running", True)
        await until(lambda: len(viewer.seen) >= 4)
        await loaded.pause()
        assert loaded.state == "paused"
        seen = len(viewer.seen)
        await asyncio.sleep(0.3)
        assert len(viewer.seen) <= seen + 1
        await loaded.resume()
        assert await loaded.wait() == stream.status
        assert (loaded.state, loaded.is_active) == ("ended", False)
        # Each picture once, in order, at its time; the pause comes on top.
        shown = [frame.sample for _, frame in viewer.seen]
        assert shown == sorted(set(shown))
        assert shown[-1] == N - 1
        for _, frame in viewer.seen:
            assert frame.data == stream.frames[frame.sample].frames[0].data
            assert df["sample"][frame.row] == frame.sample
        for at, frame in viewer.seen[:4]:
            assert at - begun >= loaded.samples[frame.sample].media_time - 0.01
        assert time.monotonic() - begun >= loaded.samples[N - 1].media_time + 0.3
        assert loaded.df.equals(df)
        assert set(states) == {"running", "paused", "ended"}
        await until(lambda: not players())

        await loaded.restart()
        await loaded.restart()  # from its start again
        await until(lambda: len(players()) == 1)
        await loaded.close()
        assert loaded.status == stream.status
        await loaded.close()
        await until(lambda: not players())

    recording(play, clip, tmp_path / "run.parquet")


def test_what_a_recording_cannot_do(clip, tmp_path):
    async def refuse(server, stream, loaded):
        for call in (loaded.pause, loaded.resume):
            with pytest.raises(StreamClosedError, match="restart"):
                await call()
        with pytest.raises(StreamClosedError, match="backfill"):
            await loaded.update_prompt("other")
        with pytest.raises(StreamClosedError):
            await loaded.update(model="other")
        with pytest.raises(ValidationError, match="prompt: a recording plays what was recorded"):
            await loaded.restart(prompt="other")
        with pytest.raises(ValidationError):
            await loaded.spectate()
        assert loaded.state == "ended"
        assert server.requests == []

    recording(refuse, clip, tmp_path / "run.parquet")


def test_clips_are_played_frame_by_frame(clip, tmp_path):
    async def play(server, stream, loaded):
        viewer = Viewer()
        loaded._run.preview.watch(viewer)
        await loaded.restart()
        await loaded.wait()
        times = [frame.media_time for _, frame in viewer.seen]
        assert times == sorted(set(times))
        assert len(times) > len(stream.df)
        assert viewer.seen[-1][1].sample is not None
        # Beside a picture is the answer of the clip that it ends, or of the one before.
        beside = -1
        for _, frame in viewer.seen:
            if frame.sample is not None:
                beside = loaded.samples[frame.sample].row
            assert frame.row == beside
        assert beside == len(stream.df) - 1

    with ChatServer(lambda request: "seen") as server:

        async def main():
            async with recorded(server, clip, tmp_path / "run.parquet", **CLIPS) as both:
                await play(server, *both)

        asyncio.run(main())


def test_a_player_that_nobody_holds_stops(clip, tmp_path):
    async def drop(server, stream, loaded):
        mine = overshoot_nb.load(loaded.path)
        await mine.restart()
        await mine.pause()
        assert players()
        del mine
        gc.collect()
        await until(lambda: not players())

    recording(drop, clip, tmp_path / "run.parquet")


def test_pictures_that_are_gone_are_left_out_of_what_is_played(clip, tmp_path, caplog):
    async def play(server, stream, loaded):
        loaded._run.preview.watch(viewer := Viewer())
        loaded.path.unlink()
        await loaded.restart()
        await loaded.wait()
        assert viewer.seen == []

    with caplog.at_level(logging.WARNING, "overshoot_nb"):
        recording(play, clip, tmp_path / "run.parquet")
    assert not caplog.records


# ---- shown -------------------------------------------------------------------------------------


def test_it_looks_like_the_recording_that_it_is(clip, tmp_path):
    async def look(server, stream, loaded):
        assert repr(loaded).startswith("<Recording run.parquet of clip.mp4, test/model, ended: ")
        assert "12 results" in repr(loaded)
        assert "old 33" in loaded._repr_html_()
        assert loaded.duration == stream.duration
        assert loaded.frames.latest.index == N - 1
        assert loaded.prompts[1].as_code() == stream.prompts[1].as_code()

    recording(look, clip, tmp_path / "run.parquet")
