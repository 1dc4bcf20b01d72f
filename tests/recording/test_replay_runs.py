"""A notebook that asked a server is run again from the recording: everything is the same."""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from replays import FIRST, MODEL, SCHEMA, SECOND, answer, assert_same, at, run_notebook, tasks_left

import overshoot_nb
from overshoot_nb import Overshoot, OvershootError, StreamClosedError, ValidationError, analyze
from overshoot_nb.recording import replay_session
from overshoot_nb.recording.recorded_errors import recorded_error
from overshoot_nb.support.validation import check_output_schema

from chatserver import ChatServer, Reply, Request, completion
from videos import make_video, number_in

pytestmark = pytest.mark.usefixtures("no_threads_left")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("replays")


@pytest.fixture(scope="module")
def recorded(folder):
    """The notebook with a server, recorded; the server and the video are gone then."""
    video = make_video(folder / "gone.mp4", 76)
    check_output_schema(SCHEMA)  # the first time its library is loaded, which takes a while
    with ChatServer(answer) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVERSHOOT_BASE_URL", server.url)
        for _ in range(5):  # on a busy machine most samples may come too late
            steps: list[object] = []
            stream = run_notebook(str(video), steps)
            if has_what_can_go_wrong(stream):
                break
    assert has_what_can_go_wrong(stream), stream
    stream.record(folder / "run.parquet", progress=False)
    Path(video).unlink()
    return stream, steps, folder / "run.parquet"


def has_what_can_go_wrong(stream: overshoot_nb.Stream) -> bool:
    rows = stream.df
    return (
        sum(stream.stats.drops.values()) >= 2
        and stream.stats.errors >= 3
        and sorted(set(rows["prompt_version"])) == [1, 2, 3]
        and "out.number" in rows
    )


@pytest.mark.parametrize("speed", ["inf"] * 5 + ["4"])
def test_the_same_notebook_gives_the_same_rows(recorded, monkeypatch, speed):
    stream, steps, path = recorded
    monkeypatch.setenv("OVERSHOOT_BASE_URL", at(path, speed))
    again: list[object] = []
    replayed = run_notebook(str(path.parent / "gone.mp4"), again)
    assert_same(replayed, stream)
    assert again == steps
    assert replayed.status == stream.status
    assert replayed.duration == stream.duration
    assert not tasks_left()


def test_whatever_it_would_have_watched(recorded, monkeypatch):
    stream, _, path = recorded
    monkeypatch.setenv("OVERSHOOT_BASE_URL", at(path, "inf"))
    for source in (
        "camera:7",
        "rtsp://user:secret@127.0.0.1:1/x",
        overshoot_nb.HLSSource("http://127.0.0.1:1/x.m3u8"),
    ):
        assert_same(run_notebook(source), stream)


def test_in_real_time_where_nothing_is_said(recorded):
    """2.5 s of video; the clock starts with its first moment."""
    _, _, path = recorded

    async def main():
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with Overshoot(base_url=at(path)) as client:
            stream = await client.streams.create("camera", FIRST, MODEL, interval_seconds=0.1)
            while not len(stream.df) >= 5:
                await asyncio.sleep(0.005)
            taken = len(stream.samples)
            return loop.time() - began, taken

    seconds, taken = asyncio.run(main())
    # The fifth row is of sample 4 or later.
    assert seconds > 0.38
    assert taken <= seconds / 0.1 + 1  # no faster than the clock


NO_NETWORK = """
import socket, sys
real = socket.socket
class Guarded(real):
    def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
        # An event loop wakes itself through a pair of sockets, which are there already.
        if fileno is None:
            raise AssertionError("a socket was made")
        super().__init__(family, type, proto, fileno)
    def connect(self, *_):
        raise AssertionError("connected")
    connect_ex = bind = sendto = connect
socket.socket = Guarded
def forbidden(*_, **__):
    raise AssertionError("a name was looked up")
socket.getaddrinfo = socket.create_connection = socket.gethostbyname = forbidden
try:
    socket.create_connection(("127.0.0.1", 9))
except AssertionError:
    pass
else:
    raise SystemExit("nothing was forbidden")
sys.path[:0] = sys.argv[2:]
# Half of the time would go by while jsonschema makes a grammar of URLs, if it finds this.
sys.modules["rfc3987_syntax"] = None
from replays import run_notebook
stream = run_notebook("gone.mp4")
df = stream.df
print(len(df), df["result"].iloc[-1], sum(stream.stats.drops.values()), len(stream.frames))
assert not df["id"].isna().any()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="its event loop has no pair of sockets")
def test_neither_a_network_nor_a_key_is_used(recorded, folder):
    stream, _, _ = recorded
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", NO_NETWORK, "-", str(tests), str(tests / "recording")],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("OVERSHOOT")},
            # Relative to where the notebook is, which is what a repository has.
            "OVERSHOOT_BASE_URL": "replay:run.parquet?speed=inf",
            "PYTHONIOENCODING": "utf-8",
        },
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    drops = sum(stream.stats.drops.values())
    said = f"{len(stream.df)} {stream.df['result'].iloc[-1]} {drops} {len(stream.frames)}"
    assert done.stdout.strip() == said


def test_the_run_plays_itself(recorded):
    stream, _, path = recorded

    async def main():
        replayed = await overshoot_nb.replay(path, speed=math.inf).start()
        await replayed.wait(60)
        return replayed

    replayed = asyncio.run(main())
    assert_same(replayed, stream)
    assert replayed.settings.source.label == "gone.mp4"
    assert [v.note for v in replayed.prompts] == [v.note for v in stream.prompts]
    assert not tasks_left()


def test_analyze_asks_a_recording_without_waiting(folder):
    video = make_video(folder / "analyzed.mp4", 60)
    with ChatServer(lambda request: str(number_in(request.jpegs[0]))) as server:

        async def main():
            async with Overshoot(base_url=server.url) as client:
                stream = await client.streams.create(
                    str(video), FIRST, MODEL, interval_seconds=0.05, realtime=False
                )
                await stream.wait()
                return stream

        stream = asyncio.run(main())
    path = folder / "analyzed.parquet"
    stream.record(path, progress=False)
    client = overshoot_nb.replay(path).client()
    # No model is named: it is the recorded one.
    df = analyze("nowhere.mp4", FIRST, client=client, interval_seconds=0.05, progress=False)
    pd.testing.assert_frame_equal(df, stream.df)
    assert [m.model for m in asyncio.run(client.get_models())] == [MODEL]
    df = analyze("nowhere.mp4", FIRST, MODEL, base_url=at(path), progress=False)
    pd.testing.assert_frame_equal(df, stream.df)


# ---- a notebook that steers at other times than it did ------------------------------------------


def steered(path: Path, speed: str, steer) -> overshoot_nb.Stream:
    async def main():
        async with Overshoot(base_url=at(path, speed)) as client:
            stream = await client.streams.create("camera", FIRST, MODEL)
            await steer(stream)
            await stream.wait(60)
            return stream

    return asyncio.run(asyncio.wait_for(main(), 60))


def test_early_changes_of_the_prompt_come_after_what_came_before_them(recorded):
    stream, _, path = recorded

    async def at_once(replayed):
        await replayed.update_prompt(SECOND)
        first = stream.df[stream.df["prompt_version"] == 1]
        pd.testing.assert_frame_equal(
            replayed.df[["sample", "result", "id"]].head(len(first)),
            first[["sample", "result", "id"]],
        )
        await replayed.update(output_schema=SCHEMA)

    assert_same(steered(path, "6", at_once), stream)


def test_late_changes_of_the_prompt_are_waited_for(recorded, monkeypatch, caplog):
    stream, _, path = recorded
    monkeypatch.setattr(replay_session, "PATIENCE_SECONDS", 0.1)

    async def slowly(replayed):
        await asyncio.sleep(0.5)
        assert set(replayed.df["prompt_version"]) == {1}
        assert "prompt version 2" in replayed.status
        assert "update_prompt" in replayed.status
        await replayed.update_prompt(SECOND)
        await asyncio.sleep(0.3)
        assert set(replayed.df["prompt_version"]) == {1, 2}
        await replayed.update(output_schema=SCHEMA)

    assert_same(steered(path, "inf", slowly), stream)
    assert "goes on with prompt version 2" in caplog.text


def test_a_prompt_that_is_left_out_leaves_out_its_rows(recorded):
    stream, _, path = recorded

    async def skip(replayed):
        await replayed.update(prompt=SECOND, output_schema=SCHEMA)

    replayed = steered(path, "inf", skip)
    expected = stream.df[stream.df["prompt_version"] != 2]
    assert list(replayed.df["id"]) == list(expected["id"])
    # It is the second question of this stream, whatever it was in the recording.
    assert set(replayed.df["prompt_version"]) == {1, 2}
    assert replayed.prompts[2].output_schema == SCHEMA
    skipped = len(stream.df) - len(expected)
    assert replayed.stats.drops[replay_session.DROP_NOT_ASKED] == skipped
    assert replayed.stats.waiting == replayed.stats.in_flight == 0


def test_a_question_that_was_never_asked_is_refused(recorded):
    _, _, path = recorded

    async def main():
        async with Overshoot(base_url=at(path, "inf")) as client:
            with pytest.raises(ValidationError, match=r"no answer to 'How many cats\?'") as refused:
                await client.streams.create("camera", "How many cats?", MODEL)
            for said in (FIRST, SECOND, "run.parquet", "3 (test/model)"):
                assert said in str(refused.value)
            with pytest.raises(ValidationError, match="asked with model='test/model', not 'other'"):
                await client.streams.create("camera", FIRST, "other")
            with pytest.raises(ValidationError, match="of mode 'frame'"):
                await client.streams.create("camera", FIRST, MODEL, mode="clip")
            stream = await client.streams.create("camera", FIRST, MODEL)
            with pytest.raises(ValidationError, match="nothing is invented"):
                await stream.update_prompt("How many cats?")
            # The stream goes on as if nothing had been said.
            assert stream.prompt == FIRST
            assert len(stream.prompts) == 1
            await stream.close()

    asyncio.run(main())
    assert not tasks_left()


def test_a_pause_holds_the_samples_back(recorded):
    stream, _, path = recorded

    async def pause(replayed):
        while len(replayed.df) < 3:
            await asyncio.sleep(0.005)
        await replayed.pause()
        assert replayed.state == "paused"
        before = len(replayed.samples)
        await asyncio.sleep(0.25)
        paused = len(replayed.samples)
        assert paused - before <= 1  # one may have been on its way
        # What was under way is answered all the same.
        assert replayed.stats.in_flight == 0
        await asyncio.sleep(0.25)
        assert len(replayed.samples) == paused < 20
        await replayed.resume()
        await replayed.update_prompt(SECOND)
        await replayed.update(output_schema=SCHEMA)

    assert_same(steered(path, "4", pause), stream)


def test_a_run_that_ended_by_itself_can_be_closed_early(recorded):
    _, _, path = recorded

    async def main():
        async with Overshoot(base_url=at(path, "1")) as client:
            stream = await client.streams.create("camera", FIRST, MODEL)
            while len(stream.df) < 2:
                await asyncio.sleep(0.005)
            await stream.close()
            return stream

    stream = asyncio.run(main())
    assert stream.state == "closed"
    assert 2 <= len(stream.df) < 6
    stats = stream.stats
    assert stats.waiting == stats.in_flight == 0
    assert stats.samples == stats.results + stats.errors + sum(stats.drops.values())
    assert not tasks_left()


# ---- other ends ---------------------------------------------------------------------------------


def slowly(request: Request) -> Reply:
    return Reply(completion(str(number_in(request.jpegs[0]))), delay=0.03)


def test_a_run_that_was_closed_is_closed_where_it_was(folder):
    video = make_video(folder / "long.mp4", 150)

    async def cell(base_url: str, source: str):
        async with Overshoot(base_url=base_url) as client:
            stream = await client.streams.create(source, FIRST, MODEL, interval_seconds=0.1)
            while len(stream.df) < 6:
                await asyncio.sleep(0.002)
            await stream.pause()
            await asyncio.sleep(0.1)
            await stream.resume()
            while len(stream.df) < 9:
                await asyncio.sleep(0.002)
            await stream.close()
            return stream

    path = folder / "closed.parquet"
    with ChatServer(slowly) as server:
        stream = asyncio.run(cell(server.url, str(video)))
    stream.record(path, progress=False)
    for speed in ("inf", "3"):
        replayed = asyncio.run(cell(at(path, speed), "camera"))
        assert_same(replayed, stream)
        assert replayed.status == stream.status == "closed: closed by its user"


def test_a_close_that_comes_early_comes_after_all_that_came_before_it(folder):
    path = folder / "closed.parquet"
    stream = overshoot_nb.load(path)

    async def main():
        async with Overshoot(base_url=at(path, "0.5")) as client:
            replayed = await client.streams.create("camera", FIRST, MODEL, interval_seconds=0.1)
            while not len(replayed.df):
                await asyncio.sleep(0.002)
            assert len(replayed.df) < 5
            await replayed.close()
            return replayed

    assert_same(asyncio.run(main()), stream)


def test_nobody_waits_for_ever_for_a_close(folder, monkeypatch):
    monkeypatch.setattr(replay_session, "LINGER_SECONDS", 0.2)
    path = folder / "closed.parquet"

    async def main():
        async with Overshoot(base_url=at(path, "inf")) as client:
            stream = await client.streams.create("camera", FIRST, MODEL)
            return await stream.wait(60)

    assert "ended: the recording ends here, where its stream was closed" in asyncio.run(main())


def test_a_restarted_run_is_restarted(folder):
    video = make_video(folder / "again.mp4", 24)

    async def cell(base_url: str, source: str):
        async with Overshoot(base_url=base_url) as client:
            stream = await client.streams.create(source, FIRST, MODEL, interval_seconds=0.1)
            while len(stream.df) < 4:
                await asyncio.sleep(0.002)
            await stream.restart(prompt=SECOND, interval_seconds=0.2)
            await stream.wait()
            return stream

    path = folder / "again.parquet"
    with ChatServer(slowly) as server:
        stream = asyncio.run(cell(server.url, str(video)))
    assert stream.df["stream_id"].nunique() == 2
    stream.record(path, progress=False)
    for speed in ("inf", "3"):
        replayed = asyncio.run(cell(at(path, speed), "camera"))
        assert_same(replayed, stream)

    async def too_often():
        replayed = await cell(at(path, "inf"), "camera")
        async with Overshoot(base_url=at(path, "inf")) as client:
            # Once more than it was: from the start of the recording.
            stream = await client.streams.create("camera", FIRST, MODEL)
            for _ in range(2):
                await stream.close()
                await stream.restart(prompt=FIRST)
            await stream.close()
            return replayed, stream

    _, more = asyncio.run(too_often())
    assert list(more.df["sample"]) == sorted(more.df["sample"])
    assert list(more.df["id"].head(3)) == list(stream.df["id"].head(3))


def test_a_run_that_failed_fails(folder):
    video = make_video(folder / "failed.mp4", 60)

    def no_money(request: Request) -> Reply:
        if number_in(request.jpegs[0]) > 10:
            return Reply('{"error": {"message": "no credits"}}', status=402)
        return Reply(completion("yes"))

    async def cell(base_url: str, source: str):
        errors: list[str] = []
        async with Overshoot(base_url=base_url) as client:
            stream = await client.streams.create(
                source,
                FIRST,
                MODEL,
                interval_seconds=0.1,
                on_error=lambda error: errors.append(str(error)),
            )
            with pytest.raises(OvershootError, match="no credits"):
                await stream.wait(60)
            return stream, errors

    path = folder / "failed.parquet"
    with ChatServer(no_money) as server:
        stream, errors = asyncio.run(cell(server.url, str(video)))
    stream.record(path, progress=False)
    replayed, again = asyncio.run(cell(at(path, "inf"), "camera"))
    assert_same(replayed, stream)
    assert replayed.status == stream.status
    assert again == errors
    with pytest.raises(StreamClosedError):
        asyncio.run(replayed.pause())


def test_a_recording_that_was_cut_off(folder):
    """What was under way when its process was killed has no outcome."""
    video = make_video(folder / "cut.mp4", 150)
    path, copy = folder / "cutting.parquet", folder / "cut.parquet"

    async def main():
        hold = asyncio.Event()
        loop = asyncio.get_running_loop()

        def answer(request: Request) -> Reply:
            if number_in(request.jpegs[0]) >= 9:
                asyncio.run_coroutine_threadsafe(hold.wait(), loop).result(60)
            return Reply(completion("yes"))

        with ChatServer(answer) as server:
            async with Overshoot(base_url=server.url) as client:
                stream = await client.streams.create(str(video), FIRST, MODEL, interval_seconds=0.1)
                while not (len(stream.df) and stream.stats.in_flight and stream.stats.waiting):
                    await asyncio.sleep(0.01)
                recorder = stream.record(path, progress=False)
                copy.write_bytes(path.read_bytes())
                rows = len(stream.df)
                hold.set()
                await stream.close()
                recorder.close()
                return rows

    rows = asyncio.run(main())

    async def offline():
        async with Overshoot(base_url=at(copy, "inf")) as client:
            stream = await client.streams.create("camera", FIRST, MODEL)
            return await stream.wait(60), stream

    status, stream = asyncio.run(offline())
    assert "cut off" in status
    assert len(stream.df) == rows
    assert stream.stats.drops[replay_session.DROP_CUT_OFF] >= 1
    assert stream.stats.waiting == stream.stats.in_flight == 0


def test_analyze_does_not_wait_for_a_prompt_that_it_cannot_change(recorded, monkeypatch):
    stream, _, path = recorded
    monkeypatch.setattr(replay_session, "PATIENCE_SECONDS", 0.1)
    df = analyze("camera.mp4", FIRST, MODEL, base_url=at(path), progress=False)
    first = stream.df[stream.df["prompt_version"] == 1]
    assert df["id"].tolist() == first["id"].tolist()


def test_errors_are_of_the_classes_that_they_were():
    for error in (
        overshoot_nb.RateLimitError("too many", 429, "req-1"),
        overshoot_nb.ServerError("it (broke)", 503),
        overshoot_nb.AuthenticationError("no key\nat all", 401),
        overshoot_nb.NetworkError("no route to 127.0.0.1"),
    ):
        again = recorded_error(str(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert getattr(again, "status_code", None) == getattr(error, "status_code", None)


def test_a_notebook_may_record_over_what_it_replays(recorded, folder, monkeypatch):
    stream, _, path = recorded
    own = folder / "own.parquet"
    own.write_bytes(path.read_bytes())

    async def main():
        async with Overshoot(base_url=at(own, "inf")) as client:
            replayed = await client.streams.create("camera", FIRST, MODEL)
            recorder = replayed.record(own, overwrite=True, progress=False)
            await replayed.update_prompt(SECOND)
            await replayed.update(output_schema=SCHEMA)
            await replayed.wait()
            recorder.close()
            # Another one finds the new file, which is the same run.
            monkeypatch.setenv("OVERSHOOT_BASE_URL", at(own, "inf"))
            return replayed

    assert_same(asyncio.run(main()), stream)
    assert_same(run_notebook("camera"), stream)
