"""Streams on a v0.2 server are streams as any other: rows, pictures, steering, ends."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time

import numpy as np
import pytest

import overshoot_nb
from overshoot_nb import (
    FileSource,
    FrameSource,
    InsufficientCreditsError,
    LiveKitSource,
    NotFoundError,
    Overshoot,
    RateLimitError,
    ServerError,
    SourceError,
    StreamClosedError,
    ValidationError,
)
from overshoot_nb.gateway.reinfer import reinfer_when_stored
from overshoot_nb.local.refusals import Invalid
from overshoot_nb.local.streams import Price

from gatewayserver import KEY
from waiting import LIMIT_SECONDS, until
from wire import MILLISECOND

pytestmark = pytest.mark.usefixtures("nothing_left")

WORDS = ("HAWKS 84", "TIGERS 79", "OVERTIME")
MODEL = "local/read"


def word_at(media_time: float) -> str:
    """What is read in the video's frame of that time."""
    return WORDS[min(int((media_time + MILLISECOND) // 2), 2)]


def client_of(server) -> Overshoot:
    return Overshoot(KEY, base_url=f"{server.url}/v0.2")


def streams_of(server) -> int:
    return server.streams


def test_a_file_to_its_end(gateway, video, wire):
    results, notes = [], []

    async def main():
        async with client_of(gateway) as client:
            stream = await client.streams.create(
                FileSource(video), "Read the text", MODEL, results.append, interval_seconds=0.3
            )
            assert stream.is_active
            assert streams_of(gateway) == 1
            # Told of every change: a look now and then misses what is said for a moment.
            stream._run.journal.watch(look := lambda: notes.append(stream.status))
            status = await stream.wait(LIMIT_SECONDS)
            stream._run.journal.unwatch(look)
            return stream, status

    stream, status = asyncio.run(main())
    assert status == "ended: end of file at 6.0 s"
    assert streams_of(gateway) == 0
    df = stream.df
    assert list(df["stream_id"].unique()) == [stream.stream_id]
    assert len(stream.stream_id) == 32  # the server's own id
    assert df["ok"].all()
    assert df["id"].is_unique
    assert list(df["id"]) == [r.id for r in results]
    # Nothing is lost, and the end was seen.
    assert list(df["id"]) == wire.made
    assert wire.seen[wire.made[-1]] > wire.puts[-1].media_time - 0.3
    for row in df.itertuples():
        assert row.result == word_at(wire.seen[row.id])
        earliest, latest = wire.bounds[row.id]
        assert earliest - MILLISECOND <= row.media_time.total_seconds() <= latest + MILLISECOND
    assert {str(text) for text in df["result"]} == {word_at(at) for at in wire.seen.values()}
    times = df["media_time"].dt.total_seconds()
    assert wire.in_order(times)
    # Each row has the picture that was on screen when the server took its own.
    assert len(stream.frames) == len(df)
    kept = [stream.frames[i].frames[0] for i in df["sample"]]
    assert all(frame.media_time <= at + MILLISECOND for frame, at in zip(kept, times, strict=True))
    assert {(frame.width, frame.height) for frame in kept} == {(640, 360)}
    assert (df["total_latency_ms"] >= df["inference_latency_ms"]).all()
    stats = stream.stats
    assert (stats.samples, stats.results, stats.in_flight) == (len(df), len(df), 0)
    assert any("waiting for the last answers" in note for note in notes)


def test_clips(gateway, video, wire):
    results = []

    async def main():
        async with client_of(gateway) as client:
            stream = await client.streams.create(
                FileSource(video, loop=True),
                "Is anything moving?",
                "local/scene",
                results.append,
                target_fps=8,
                clip_length_seconds=0.5,
                delay_seconds=1.0,
            )
            await until(lambda: len(stream.df) >= 3)
            await stream.close()
            return stream

    stream = asyncio.run(main())
    assert stream.mode == "clip"
    assert set(stream.df["mode"]) == {"clip"}
    assert "motion" in stream.df["result"].iloc[0].lower()
    # Every 0.1 s a picture is kept, where the machine was not late for it.
    apart = max(
        max(b.media_time - a.media_time, b.at - a.at) for a, b in itertools.pairwise(wire.puts)
    )
    for result in results[1:]:
        assert result.frame_times == tuple(
            f.media_time for f in stream.frames[result.sample].frames
        )
        assert len(result.frame_times) == 4
        length = result.frame_times[-1] - result.frame_times[0]
        assert length == pytest.approx(3 / 8, abs=0.1 + apart)


def test_the_prompt_changes_on_the_server(gateway, video):
    async def main():
        async with client_of(gateway) as client:
            stream = await client.streams.create(
                FileSource(video, loop=True), "Read the text", "local/auto", interval_seconds=0.2
            )
            await until(lambda: len(stream.df) >= 2)
            config = await stream.update_prompt("How bright is it?")
            assert config.stream_id == stream.stream_id
            assert (config.prompt, config.model) == ("How bright is it?", "local/auto")
            assert config.updated_at > config.created_at
            assert (stream.prompt, stream.prompt_version) == ("How bright is it?", 2)
            await until(lambda: (stream.df["prompt_version"] == 2).sum() >= 3)
            with pytest.raises(ValidationError, match=r"interval_seconds.*restart"):
                await stream.update(interval_seconds=1)
            with pytest.raises(ValidationError, match="prompt"):
                await stream.update_prompt(" ")
            await stream.close()
            return stream

    df = asyncio.run(main()).df
    for version, prompt, word in ((1, "Read the text", None), (2, "How bright is it?", "bright")):
        rows = df[df["prompt_version"] == version]
        assert set(rows["prompt"]) == {prompt}
        assert all(("bright" in text.lower()) == (word is not None) for text in rows["result"])
    assert df["prompt_version"].is_monotonic_increasing


def test_a_prompt_that_the_server_refuses_changes_nothing(gateway, video):
    def refuse(*_):
        raise Invalid("not this one", "body.prompt")

    async def main():
        async with client_of(gateway) as client:
            stream = await client.streams.create(
                FileSource(video, loop=True), "Read", MODEL, interval_seconds=0.2
            )
            await stream.update_prompt("Read it")
            gateway.registry.set_prompt = refuse
            for prompt in ("Something else", "Read it"):  # the second is in force already
                with pytest.raises(ValidationError, match="not this one"):
                    await stream.update_prompt(prompt)
            rows = len(stream.df)
            await until(lambda: len(stream.df) >= rows + 3)
            await stream.close()
            return stream

    stream = asyncio.run(main())
    assert (stream.prompt, stream.prompt_version, len(stream.prompts)) == ("Read it", 2, 2)
    assert set(stream.df["prompt_version"].tail(2)) == {2}


def test_an_ended_stream_keeps_its_rows_pictures_alone(gateway, video):
    async def main():
        async with client_of(gateway) as client:
            stream = await client.streams.create(
                FileSource(video, loop=True), "Read", MODEL, interval_seconds=0.3
            )
            await until(lambda: len(stream.df) >= 3)
            recent = stream._run.session._matching._recent
            assert recent.nbytes > 0
            await stream.close()
            return recent.nbytes, len(stream.frames)

    held, kept = asyncio.run(main())
    assert held == 0
    assert kept >= 3


def test_structured_answers_become_columns(gateway, video):
    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}

    async def main():
        async with client_of(gateway) as client:
            stream = await client.streams.create(
                FileSource(video, loop=True),
                "Read",
                MODEL,
                output_schema=schema,
                interval_seconds=0.3,
            )
            await until(lambda: len(stream.df) >= 3)
            await stream.close()
            return stream.df

    df = asyncio.run(main())
    assert set(df["out.text"]) <= set(WORDS)
    assert df["ok"].all()


def test_what_no_model_answers_is_an_error_row(gateway, video):
    async def main():
        async with client_of(gateway) as client:
            stream = await client.streams.create(
                FileSource(video, loop=True), "Count the people", "local/auto", interval_seconds=0.2
            )
            await until(lambda: len(stream.df) >= 2)
            assert stream.is_active
            await stream.close()
            return stream

    stream = asyncio.run(main())
    assert not stream.df["ok"].any()
    assert "not a language model" in stream.df["error"].iloc[0]
    assert stream.stats.errors == len(stream.df)


def test_pause_and_resume(gateway, video, wire, monkeypatch):
    monkeypatch.setattr("overshoot_nb.local.stream_watch.IDLE_SECONDS", 1.0)

    async def idle(stream) -> None:
        """Nothing comes to the server, and what it was asked is answered."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                info = await stream.info()
                if info.state == "idle" and info.inferences_completed == len(stream.df):
                    return
                await asyncio.sleep(0.01)

    async def main():
        before = time.monotonic()
        async with client_of(gateway) as client:
            stream = await client.streams.create(
                FileSource(video, loop=True), "Read", MODEL, interval_seconds=0.2
            )
            await until(lambda: len(stream.df) >= 2)
            await stream.pause()
            paused, put = time.monotonic(), len(wire.puts)
            assert stream.state == "paused"
            await idle(stream)
            # One frame may have been on its way to the wire.
            assert len(wire.puts) <= put + 1
            rows, last = len(stream.df), wire.puts[-1]
            stood = time.monotonic() - paused
            await stream.resume()
            await until(lambda: len(stream.df) >= rows + 3)
            await stream.close()
            return before, stood, last, rows, stream.df["media_time"].dt.total_seconds()

    before, stood, last, rows, times = asyncio.run(main())
    # What is told in the pause is of the time before it.
    assert max(wire.seen[i] for i in wire.made[:rows]) <= last.media_time + 1e-3
    assert times[:rows].max() <= last.media_time
    # The video stood still meanwhile: it is where it would be had there been no pause.
    later = wire.puts[wire.puts.index(last) + 1 :]
    assert later
    for put in later:
        assert put.media_time <= put.at - before - stood
    assert times.max() <= later[-1].media_time


def test_a_restart_is_another_stream_of_the_server_and_keeps_the_rows(gateway, video, wire):
    async def main():
        async with client_of(gateway) as client:
            stream = await client.streams.create(
                FileSource(video, loop=True), "Read", MODEL, interval_seconds=0.2
            )
            await until(lambda: len(stream.df) >= 2)
            first, rows = stream.stream_id, len(stream.df)
            await stream.restart(interval_seconds=0.4, prompt="Read again")
            assert stream.stream_id != first
            assert streams_of(gateway) == 1
            await until(lambda: len(stream.df) >= rows + 2)
            await stream.close()
            return stream.df

    df = asyncio.run(main())
    assert df["stream_id"].nunique() == 2
    assert list(df["sample"]) == list(range(len(df)))
    # It begins anew.
    assert [put.media_time for put in wire.puts].count(0) == 2
    times = df["media_time"].dt.total_seconds()
    for name, at in zip(df["id"], times, strict=True):
        earliest, latest = wire.bounds[name]
        assert earliest - MILLISECOND <= at <= latest + MILLISECOND
    again = next(n for n in range(1, len(wire.puts)) if wire.puts[n].media_time == 0)
    first_run, second_run = wire.puts[:again], wire.puts[again:]
    rows = int((df["stream_id"] == df["stream_id"].iloc[0]).sum())
    assert times[:rows].max() <= first_run[-1].media_time
    assert times[rows:].max() <= second_run[-1].media_time


def test_info_reinfer_and_nothing_to_spectate(gateway, video, monkeypatch):
    def patience(seconds: float) -> None:
        """How long pictures that are to be stored are waited for."""
        monkeypatch.setitem(reinfer_when_stored.__kwdefaults__, "patience", seconds)

    async def main():
        async with client_of(gateway) as client:
            stream = await client.streams.create(
                FileSource(video, loop=True), "Read", MODEL, interval_seconds=0.3
            )
            await until(lambda: len(stream.df) >= 3)
            info = await stream.info()
            assert (info.stream_id, info.source_type) == (stream.stream_id, "webrtc")
            assert (info.state, info.effective_width) == ("active", 640)
            assert info.inferences_completed >= 3
            with pytest.raises(ValidationError, match="LiveKit"):
                await stream.spectate()
            row = stream.df.iloc[0]
            schema = {"type": "object", "properties": {"text": {"type": "string"}}}
            patience(LIMIT_SECONDS)
            again = await client.reinfer(row["id"], "Read", MODEL, output_schema=schema)
            assert again.content_json() == {"text": row["result"]}
            patience(0.6)
            with pytest.raises(NotFoundError, match="asked again"):
                await client.reinfer("nothing", "Read", MODEL)
            await stream.close()
            with pytest.raises(NotFoundError):
                await stream.info()

    asyncio.run(main())


def test_pushed_frames(gateway):
    source = FrameSource(320, 240)

    async def push(stop):
        for grey in range(10**6):
            if stop.is_set():
                return
            source.push_frame(np.full((240, 320, 3), 200 + grey % 50, np.uint8))
            await asyncio.sleep(0.05)

    async def main():
        stop = asyncio.Event()
        pushing = asyncio.create_task(push(stop))
        async with client_of(gateway) as client:
            stream = await client.streams.create(
                source, "How bright is it?", "local/scene", interval_seconds=0.2
            )
            await until(lambda: len(stream.df) >= 3)
            stop.set()
            await pushing
            await stream.close()
            return stream

    stream = asyncio.run(main())
    assert stream.df["ok"].all()
    assert stream.settings.source is source


def test_the_preview_shows_it(gateway, video, never_late):
    class Viewer:
        def __init__(self):
            self.frames = []

        def room(self):
            return True

        def show(self, frame):
            self.frames.append(frame)

    viewer = Viewer()

    async def main():
        async with client_of(gateway) as client:
            stream = await client.streams.create(FileSource(video, loop=True), "Read", MODEL)
            stream._run.preview.watch(viewer)
            await until(lambda: len(viewer.frames) >= 8)
            await stream.close()

    asyncio.run(main())
    # Every frame of the video, from the first one that was shown on.
    steps = [b.media_time - a.media_time for a, b in itertools.pairwise(viewer.frames)]
    assert steps == pytest.approx([1 / 15] * len(steps))


def test_in_process(video):
    async def main():
        async with Overshoot(base_url="local/v0.2") as client:
            assert client.base_url == "local/v0.2"
            stream = await client.streams.create(
                FileSource(video, loop=True),
                "Read",
                await client.default_model(),
                interval_seconds=0.3,
            )
            await until(lambda: len(stream.df) >= 4)
            assert (await stream.info()).source_type == "webrtc"
            await stream.close()
            return stream.df

    df = asyncio.run(main())
    assert set(df["result"]) <= set(WORDS)


# ---- the lease and its price ---------------------------------------------------------------------


def test_costs_are_in_the_stats_and_the_status(make_gateway, video, renewed_often):
    price = Price(cents_per_second=10.0, credits_cents=10_000.0)
    server = make_gateway(price=price)

    async def main():
        async with client_of(server) as client:
            stream = await client.streams.create(FileSource(video, loop=True), "Read", MODEL)
            server.clock.now += 2
            await until(lambda: stream.stats.cost_cents)
            before = stream.stats
            assert (before.cost_cents, before.seconds_charged) == (20, 2)
            assert before.credits_remaining_cents == 10_000 - 20
            await until(lambda: "cents charged" in stream.status)
            assert "cents of credits left" in stream.status
            await stream.restart()
            server.clock.now += 1
            await until(lambda: stream.stats.cost_cents > before.cost_cents)
            assert stream.stats.cost_cents == 30
            await stream.close()

    asyncio.run(main())


def test_no_credits_end_it(make_gateway, video, renewed_often):
    price = Price(cents_per_second=10.0, credits_cents=12.0)
    server = make_gateway(price=price)
    errors = []

    async def main():
        async with client_of(server) as client:
            stream = await client.streams.create(
                FileSource(video, loop=True),
                "Read",
                MODEL,
                on_error=errors.append,
                interval_seconds=0.2,
            )
            await until(lambda: len(stream.df))
            server.clock.now += 2
            with pytest.raises(InsufficientCreditsError):
                await stream.wait(LIMIT_SECONDS)
            return stream

    stream = asyncio.run(main())
    assert stream.state == "failed"
    assert [type(e) for e in errors] == [InsufficientCreditsError]
    assert len(stream.df) > 0
    assert streams_of(server) == 0


def test_a_lease_is_kept(make_gateway, video, renewed_often):
    """The lease is of the server's own clock: a third of it passes after each renewal."""
    server = make_gateway(lease_seconds=45)
    renewals = []
    original = server.registry.keepalive

    def keepalive(*args):
        renewals.append(original(*args))
        server.clock.now += 15
        return renewals[-1]

    server.registry.keepalive = keepalive

    async def main():
        async with client_of(server) as client:
            stream = await client.streams.create(FileSource(video, loop=True), "Read", MODEL)
            await until(lambda: len(renewals) >= 10)  # three leases and more
            assert stream.state == "running"
            await stream.close()

    asyncio.run(main())
    assert {answer["status"] for answer in renewals} == {"ok"}


def test_one_that_was_closed_elsewhere_says_so(gateway, video):
    async def main():
        async with client_of(gateway) as client, client_api(gateway) as api:
            stream = await client.streams.create(FileSource(video, loop=True), "Read", MODEL)
            await until(lambda: len(stream.df) >= 1)
            await api.close_stream(stream.stream_id)
            with pytest.raises(StreamClosedError) as caught:
                await stream.wait(LIMIT_SECONDS)
            assert caught.value.reason == "client_requested"
            assert stream.state == "failed"

    asyncio.run(main())


def client_api(server):
    return overshoot_nb.ApiClient(KEY, base_url=f"{server.url}/v0.2")


# ---- what cannot begin ---------------------------------------------------------------------------


def refused(server, video, error, match, **parameters):
    """Creating fails, and the server has no stream afterwards."""

    async def main():
        async with client_of(server) as client:
            source = parameters.pop("source", None) or FileSource(video)
            model = parameters.pop("model", MODEL)
            with pytest.raises(error, match=match):
                await client.streams.create(source, "Read", model, **parameters)
            assert client.streams.active == []

    asyncio.run(main())
    assert streams_of(server) == 0


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"max_output_tokens": 100}, r"100 / interval 0\.5 s = 200 tokens a second.*<= 64"),
        ({"target_fps": 2, "clip_length_seconds": 1.0}, "2 frames a clip"),
        ({"clip_encoding": "video"}, "clip_encoding='video' means nothing"),
        ({"response_format": "json_object"}, "response_format"),
        ({"same_frame": "ask"}, "same_frame='ask' means nothing"),
        ({"realtime": False}, "cannot go faster"),
        ({"transport": "carrier pigeon"}, "'webrtc', 'native'"),
    ],
)
def test_parameters_are_checked_before_anything_is_sent(gateway, video, parameters, match):
    calls = []
    original = gateway.registry.create
    gateway.registry.create = lambda *args: calls.append(args) or original(*args)
    refused(gateway, video, ValidationError, match, **parameters)
    assert calls == []


def test_a_server_without_rooms_is_not_asked_twice(gateway, video):
    refused(gateway, video, ServerError, 'no LiveKit room.*transport="webrtc"', transport="native")


def test_a_room_of_the_user_s_that_the_server_cannot_enter(gateway, video):
    source = LiveKitSource("wss://rooms.example", "secret-token")
    refused(gateway, video, ServerError, "LiveKit room", source=source)
    refused(gateway, video, ValidationError, "by itself", source=source, transport="native")


def test_a_missing_file_asks_nothing(gateway, video, tmp_path):
    refused(gateway, video, SourceError, "nowhere", source=FileSource(tmp_path / "nowhere.mp4"))


def test_a_model_that_the_server_lacks(gateway, video):
    refused(gateway, video, ValidationError, "Qwen", model="Qwen/Qwen3.5-9B")


def test_five_streams_a_key(gateway, video):
    async def main():
        async with client_of(gateway) as client:
            for _ in range(5):
                await client.streams.create(FileSource(video, loop=True), "Read", MODEL)
            with pytest.raises(RateLimitError):
                await client.streams.create(FileSource(video, loop=True), "Read", MODEL)
            assert len(client.streams.active) == 5
            assert streams_of(gateway) == 5

    asyncio.run(main())
    assert streams_of(gateway) == 0


def test_a_chat_server_has_no_transports(video):
    async def main():
        async with Overshoot(base_url="local") as client:
            with pytest.raises(ValidationError, match="transport='webrtc'"):
                await client.streams.create(
                    FileSource(video, loop=True), "Read", MODEL, transport="webrtc"
                )
            stream = await client.streams.create(FileSource(video, loop=True), "Read", MODEL)
            with pytest.raises(ValidationError, match="nobody else"):
                await stream.spectate()
            await until(lambda: len(stream.df) >= 1)
            info = await stream.info()
            assert (info.source_type, info.frame_width) == ("inline", 640)
            assert info.inferences_completed >= 1
            with pytest.raises(ValidationError, match=r"stream\.frames"):
                await client.reinfer("id", "Read", MODEL)

    asyncio.run(main())


def test_cancelling_a_create_leaves_no_stream_on_the_server(gateway, video, caplog):
    async def main():
        async with client_of(gateway) as client:
            for delay in (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3):
                creating = asyncio.create_task(
                    client.streams.create(FileSource(video, loop=True), "Read", MODEL)
                )
                await asyncio.sleep(delay)
                creating.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    stream = await creating
                    await stream.close()
            await until(lambda: streams_of(gateway) == 0 and not client.streams.active)

    with caplog.at_level(logging.ERROR):
        asyncio.run(main())
    assert caplog.records == []


# ---- cancelled as it begins ----------------------------------------------------------------------


def test_a_create_that_is_cancelled_at_any_moment_leaves_no_stream_of_the_server(gateway, video):
    """Whatever the server had begun by then is deleted."""

    async def main():
        client = client_of(gateway)
        source = FileSource(video, loop=True)
        for milliseconds in (0, 2, 5, 10, 20, 40, 60, 80, 110, 150, 200):
            task = asyncio.create_task(client.streams.create(source, "Read the text", MODEL))
            await asyncio.sleep(milliseconds / 1000)
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                await task.result().close()
        await until(lambda: not client.streams.active and not streams_of(gateway))
        await client.close()

    asyncio.run(main())
