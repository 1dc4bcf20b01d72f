"""What can be changed about a stream while it runs, and what a restart keeps."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import threading
import time

import numpy as np
import pytest

from overshoot_nb import NotFoundError, Overshoot, SourceError, StreamClosedError, ValidationError
from overshoot_nb.demo import video as demo_video

from chatserver import ChatServer, Request
from videos import make_video, number_in

pytestmark = pytest.mark.usefixtures("no_threads_left")

MODEL = "test/model"


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> str:
    """Ten seconds at 30 frames a second, each frame showing its number."""
    return str(make_video(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=300, fps=30))


def number(request: Request) -> str:
    return str(number_in(request.jpegs[0]))


def run(server: ChatServer, coroutine):
    async def main():
        async with Overshoot("ovs-test-secret", base_url=server.url) as client:
            return await coroutine(client)

    return asyncio.run(asyncio.wait_for(main(), 60))


async def until(condition, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def consistent(stream) -> bool:
    """Every sample is in the log once, and its row is the one that names it."""
    rows = stream.df["sample"].tolist()
    stats = stream.stats
    return (
        len(stream.samples) == stats.samples
        and all(stream.samples[sample].row == row for row, sample in enumerate(rows))
        and sum(stream.samples[i].fate == "drop" for i in range(len(stream.samples)))
        == sum(stats.drops.values())
    )


# ---- while it runs -----------------------------------------------------------------------------


def test_whatever_is_asked_along_with_a_prompt_makes_a_version(clip):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}

    def answer(request: Request) -> str:
        return json.dumps({"n": 1}) if "response_format" in request.body else "text"

    with ChatServer(answer) as server:

        async def main(client):
            stream = await client.streams.create(clip, "One", MODEL, interval_seconds=0.2)
            await until(lambda: len(stream.df) > 1)
            second = await stream.update(prompt="Two", max_output_tokens=9)
            await until(lambda: (stream.df["prompt_version"] == 2).any())
            await stream.update(model="other/model", output_schema=schema)
            await until(lambda: (stream.df["prompt_version"] == 3).sum() > 1)
            same = await stream.update(prompt="Two")
            await stream.close()
            return stream, second, same

        stream, second, same = run(server, main)
    assert [v.version for v in stream.prompts] == [1, 2, 3]
    assert (second.prompt, second.id.endswith("-prompt-2")) == ("Two", True)
    assert same.id.endswith("-prompt-3")
    assert stream.prompts[3].model == stream.model == "other/model"
    assert stream.settings.output_schema == schema
    asked = {(r.prompt, r.body["model"], r.body.get("max_tokens")) for r in server.requests}
    assert asked == {
        ("One", MODEL, None),
        ("Two", MODEL, 9),
        ("Two", "other/model", 9),
    }
    df = stream.df
    assert df["prompt_version"].is_monotonic_increasing
    assert df.loc[df["prompt_version"] == 3, "out.n"].eq(1).all()
    assert df.loc[df["prompt_version"] < 3, "out.n"].isna().all()
    assert consistent(stream)


def test_a_new_interval_counts_from_the_last_frame_and_loses_none(clip):
    with ChatServer(number) as server:

        async def main(client):
            stream = await client.streams.create(
                clip, "What number?", MODEL, interval_seconds=1, max_in_flight=8
            )
            await until(lambda: len(stream.samples) >= 2)
            await stream.update(interval_seconds=0.25)
            await until(lambda: len(stream.samples) >= 12)
            await stream.close()
            return stream

        stream = run(server, main)
    # Of every sample, also of one that a newer replaced.
    chosen = [stream.samples[i].media_time for i in range(len(stream.samples))]
    steps = [round(b - a, 6) for a, b in itertools.pairwise(chosen)]
    change = steps.index(0.25)
    assert 1 <= change <= 4
    assert set(steps[: change - 1]) <= {1.0}
    # Whole new intervals from the last frame on: the first that the video had not passed.
    assert steps[change - 1] in (0.5, 0.75, 1.0)
    assert set(steps[change:]) == {0.25}
    assert consistent(stream)
    times = stream.df["media_time"].dt.total_seconds().tolist()
    assert stream.df["result"].tolist() == [str(math.floor(30 * t)) for t in times]
    assert stream.settings.processing.interval_seconds == 0.25
    assert stream.prompt_version == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "clip"}, "mode cannot change while the stream runs; restart"),
        ({"prompt": ""}, "prompt="),
        ({"interval_seconds": 99}, "interval_seconds=99"),
        ({"prompt": "New", "max_output_tokens": -1}, "max_output_tokens=-1"),
    ],
)
def test_a_refused_change_changes_nothing(clip, changes, message):
    with ChatServer(number) as server:

        async def main(client):
            stream = await client.streams.create(clip, "Old", MODEL)
            before = stream.settings
            with pytest.raises(ValidationError, match=message):
                await stream.update(**changes)
            assert stream.settings is before
            assert stream.prompt_version == len(stream.prompts) == 1
            await stream.update(mode="frame", interval_seconds=0.5)  # as they are
            await stream.close()
            with pytest.raises(StreamClosedError, match=r"cannot update it: .*restart\(\)"):
                await stream.update(prompt="New")

        run(server, main)


def test_the_embedded_engine_refuses_a_model_that_it_lacks_and_goes_on():
    async def main():
        async with Overshoot(base_url="local") as client:
            stream = await client.streams.create(demo_video(), "Read the score", "local/scene")
            with pytest.raises(NotFoundError, match="no model 'gpt-9'; it has local/auto"):
                await stream.update(model="gpt-9")
            await stream.update(model="local/auto")
            await until(lambda: (stream.df["prompt_version"] == 2).any())
            assert stream.is_active
            await stream.close()

    asyncio.run(asyncio.wait_for(main(), 60))


# ---- restarts ----------------------------------------------------------------------------------


def test_a_restart_keeps_the_rows_and_begins_anew(clip):
    with ChatServer(number) as server:

        async def main(client):
            stream = await client.streams.create(clip, "Old", MODEL)
            first = stream.stream_id
            await until(lambda: len(stream.df) >= 2)
            await stream.restart(prompt="New", mode="clip", delay_seconds=1)
            assert (stream.state, stream.mode) == ("running", "clip")
            assert client.streams.active == [stream]
            kept = stream.stats.samples
            await until(lambda: (stream.df["stream_id"] == stream.stream_id).sum() >= 2)
            await stream.close()
            return stream, first, kept

        stream, first, kept = run(server, main)
    df = stream.df
    old, new = df[df["stream_id"] == first], df[df["stream_id"] == stream.stream_id]
    assert len(old) + len(new) == len(df)
    assert len(old) >= 2
    assert (old["mode"] == "frame").all()
    assert (new["mode"] == "clip").all()
    assert set(new["prompt_version"]) == {2}
    assert new["media_time"].iloc[0].total_seconds() == 0
    assert new["sample"].min() >= kept > old["sample"].max()
    assert consistent(stream)


def test_a_stream_that_ended_can_run_again(clip):
    with ChatServer(number) as server:

        async def main(client):
            stream = await client.streams.create(
                clip, "What number?", MODEL, realtime=False, interval_seconds=2
            )
            await stream.wait()
            assert not client.streams.active
            again = asyncio.create_task(stream.restart())
            await again
            assert stream.is_active
            await stream.wait()
            return stream

        stream = run(server, main)
    assert stream.df["result"].tolist() == ["0", "60", "120", "180", "240"] * 2
    assert stream.state == "ended"
    assert stream.df["stream_id"].nunique() == 2
    assert consistent(stream)


def test_waiting_and_iterating_go_on_through_a_restart(clip):
    with ChatServer(number) as server:

        async def main(client):
            stream = await client.streams.create(clip, "What number?", MODEL)
            waiting = asyncio.create_task(stream.wait())
            seen = []

            async def read():
                async for result in stream:
                    seen.append(result.id)

            reading = asyncio.create_task(read())
            await until(lambda: len(stream.df) >= 1)
            await stream.restart()
            await until(lambda: stream.df["stream_id"].nunique() == 2)
            assert not waiting.done()
            assert not reading.done()
            await stream.close("enough")
            assert await waiting == "closed: enough"
            await reading
            assert seen == stream.df["id"].tolist()

        run(server, main)


def test_a_source_that_is_gone_fails_the_restart_and_keeps_the_rows(tmp_path):
    path = make_video(tmp_path / "clip.mp4", frames=60, fps=30)
    with ChatServer(number) as server:

        async def main(client):
            stream = await client.streams.create(path, "What number?", MODEL, realtime=False)
            await stream.wait()
            rows = len(stream.df)
            path.rename(tmp_path / "elsewhere.mp4")
            with pytest.raises(SourceError, match=r"clip\.mp4"):
                await stream.restart()
            assert stream.state == "failed"
            assert isinstance(stream.error, SourceError)
            assert len(stream.df) == rows
            (tmp_path / "elsewhere.mp4").rename(path)
            await stream.restart()
            assert stream.error is None
            await stream.wait()
            assert len(stream.df) == 2 * rows

        run(server, main)


def test_closing_wins_over_a_restart(clip, monkeypatch):
    from overshoot_nb.sampling.reading import ContainerCapture

    opening, go_on = threading.Event(), threading.Event()
    opened = ContainerCapture.open

    def slow(self):
        opening.set()
        go_on.wait(60)
        return opened(self)

    with ChatServer(number) as server:

        async def main(client):
            stream = await client.streams.create(clip, "What number?", MODEL)
            monkeypatch.setattr(ContainerCapture, "open", slow)
            restarting = asyncio.create_task(stream.restart())
            await asyncio.to_thread(opening.wait, 10)
            closing = asyncio.create_task(stream.close("that will do"))
            await asyncio.sleep(0.1)
            go_on.set()
            await closing
            with pytest.raises(StreamClosedError, match="closed while it restarted"):
                await restarting
            assert stream.status == "closed: that will do"
            assert not client.streams.active

        run(server, main)


def test_closing_beside_a_restart_that_has_not_begun_ends_the_stream(clip):
    with ChatServer(number) as server:

        async def main(client):
            stream = await client.streams.create(clip, "What number?", MODEL)
            outcomes = await asyncio.gather(
                stream.restart(), stream.restart(), stream.close(), return_exceptions=True
            )
            assert isinstance(outcomes[1], StreamClosedError)
            assert outcomes[2] is None
            assert not stream.is_active
            assert not client.streams.active
            await stream.wait(timeout=1)

        run(server, main)


def test_an_interrupted_restart_leaves_one_run_or_none(clip, monkeypatch):
    from overshoot_nb.sampling.reading import ContainerCapture

    opened = ContainerCapture.open

    def slow(self):
        time.sleep(0.5)
        return opened(self)

    with ChatServer(number) as server:

        async def main(client):
            stream = await client.streams.create(clip, "What number?", MODEL)
            monkeypatch.setattr(ContainerCapture, "open", slow)
            interrupted = asyncio.create_task(stream.restart())
            await asyncio.sleep(0.2)
            interrupted.cancel()
            await stream.restart()
            assert stream.state == "running"
            assert client.streams.active == [stream]
            before = len(stream.df)
            await until(lambda: len(stream.df) > before)
            assert stream.is_active
            await stream.close()

        run(server, main)


def test_a_pause_while_it_restarts_holds(clip, monkeypatch):
    from overshoot_nb.sampling.reading import ContainerCapture

    opened = ContainerCapture.open

    def slow(self):
        time.sleep(0.5)
        return opened(self)

    with ChatServer(number) as server:

        async def main(client):
            stream = await client.streams.create(clip, "What number?", MODEL)
            monkeypatch.setattr(ContainerCapture, "open", slow)
            restarting = asyncio.create_task(stream.restart())
            await until(lambda: stream.state == "starting")
            await stream.pause()
            assert stream.duration == 10.0  # as it was known, without opening anything
            await restarting
            assert stream.state == "paused"
            await stream.resume()
            assert stream.state == "running"
            await stream.close()

        run(server, main)


def test_a_closed_client_restarts_nothing(clip):
    with ChatServer(number) as server:

        async def main(client):
            stream = await client.streams.create(clip, "What number?", MODEL)
            await client.close()
            with pytest.raises(StreamClosedError, match="this client was closed"):
                await stream.restart()
            assert not stream.is_active

        run(server, main)


# ---- the selected sample -----------------------------------------------------------------------


def test_a_sample_is_selected_by_its_index(clip):
    with ChatServer(number) as server:

        async def main(client):
            stream = await client.streams.create(clip, "What number?", MODEL, realtime=False)
            await stream.wait()
            assert stream.selected is None
            stream.selected = 3
            assert stream.samples[stream.selected].media_time == 1.5
            assert stream.frames[stream.selected].index == 3
            for wrong in (-1, len(stream.samples), "3", True):
                with pytest.raises(ValidationError, match="selected="):
                    stream.selected = wrong
            assert stream.selected == 3
            stream.selected = stream.df["sample"].iloc[-1]
            assert stream.selected == 19
            assert type(stream.selected) is int
            stream.selected = np.int64(2)
            stream.selected = None
            assert stream.selected is None

        run(server, main)
