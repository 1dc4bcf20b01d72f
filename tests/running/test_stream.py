"""A stream from end to end, against a real chat server on loopback whose answers the test knows."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

import overshoot_nb
from overshoot_nb import (
    ArraySource,
    AuthenticationError,
    FileSource,
    FrameSource,
    Overshoot,
    RateLimitError,
    ServerError,
    SourceError,
    StreamClosedError,
    ValidationError,
)
from overshoot_nb.sampling import reading

from chatserver import ChatServer, Hang, Reply, completion
from mediaservers import RTSPServer, running
from videos import barcode, make_video, number_in

pytestmark = pytest.mark.usefixtures("no_threads_left")

MODEL = "test/model"


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> str:
    """Four seconds at 30 frames a second, each frame showing its number."""
    return str(make_video(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=120, fps=30))


def number(request) -> str:
    """The number of the frame that a request carries."""
    return str(number_in(request.jpegs[0]))


def run(server: ChatServer, coroutine, **client_options):
    async def main():
        async with Overshoot("ovs-test-secret", base_url=server.url, **client_options) as client:
            return await coroutine(client)

    return asyncio.run(asyncio.wait_for(main(), 60))


def balanced(stream) -> bool:
    s = stream.stats
    rows = s.results + s.errors
    ended = rows + sum(s.drops.values())
    return s.samples == ended + s.waiting + s.in_flight and rows == len(stream.df)


# ---- the rows --------------------------------------------------------------------------------


def test_every_sample_of_a_file_gives_one_row_with_the_frame_on_screen(clip):
    with ChatServer(number) as server:

        async def main(client):
            stream = await client.streams.create(clip, "What number?", MODEL, realtime=False)
            assert await stream.wait() == stream.status
            return stream

        stream = run(server, main)
    df = stream.df
    assert isinstance(df, pd.DataFrame)
    assert df["sample"].tolist() == list(range(8))
    assert df["media_time"].dt.total_seconds().tolist() == [k / 2 for k in range(8)]
    assert df["result"].tolist() == [str(15 * k) for k in range(8)]
    assert df["ok"].all()
    assert (df["prompt_version"] == 1).all()
    assert (df["model"] == MODEL).all()
    assert (df["answered_at"] >= df["captured_at"]).all()
    assert (df["total_latency_ms"] >= df["inference_latency_ms"]).all()
    assert df["total_tokens"].tolist() == [12] * 8
    assert stream.status.startswith("ended: ")
    assert not stream.is_active
    assert stream.stats.samples == stream.stats.results == 8
    assert balanced(stream)


def test_a_clock_of_the_users_is_in_the_rows_and_in_no_latency(clip):
    began = datetime(2020, 2, 29, 12, tzinfo=UTC)
    with ChatServer(number) as server:

        async def main(client):
            source = FileSource(clip, realtime=False, start_time=began)
            stream = await client.streams.create(source, "What number?", MODEL)
            await stream.wait()
            return stream

        stream = run(server, main)
    df = stream.df
    assert df["captured_at"].tolist() == [began + timedelta(seconds=k / 2) for k in range(8)]
    assert (df["total_latency_ms"] >= df["inference_latency_ms"]).all()
    assert (df["total_latency_ms"] < 60_000).all()
    found = df.overshoot.events("sample >= 2").iloc[0]
    assert found["start_at"] == began + timedelta(seconds=1)


def test_frames_lost_before_a_stream_began_are_among_its_drops():
    source = FrameSource(160, 96)
    for n in range(20):
        source.push_frame(barcode(n), media_time=n / 10, captured_at=datetime.now(UTC))
    source.close()
    with ChatServer(number) as server:

        async def main(client):
            stream = await client.streams.create(source, "?", MODEL, interval_seconds=0.1)
            await stream.wait()
            return stream

        stream = run(server, main)
    reason = "lost before the stream began"
    assert stream.stats.drops[reason] == 12
    assert stream.stats.samples == 12 + 7  # the last frame is on screen when it is closed
    assert balanced(stream)
    drops = stream.df.overshoot.drops().set_index("reason")
    assert drops.loc[reason, "count"] == 12


def test_the_request_is_the_frame_as_it_is_kept_and_nothing_of_the_key_leaks(clip, caplog):
    with ChatServer(number) as server:

        async def main(client):
            stream = await client.streams.create(
                clip, "What number?", MODEL, realtime=False, interval_seconds=1, max_output_tokens=7
            )
            await stream.wait()
            return stream, repr(client)

        stream, shown = run(server, main)
        first = server.requests[0]
    assert first.headers["authorization"] == "Bearer ovs-test-secret"
    assert first.body["model"] == MODEL
    assert first.body["max_tokens"] == 7
    assert first.prompt == "What number?"
    assert first.jpegs[0] == stream.frames[0].frames[0].data
    assert len(stream.frames) == 4
    assert "test-secret" not in shown + repr(stream) + stream._repr_html_() + caplog.text


def test_a_clip_carries_its_frames_in_order_with_their_times(clip):
    def answer(request):
        return ",".join(str(number_in(j)) for j in request.jpegs)

    with ChatServer(answer) as server:

        async def main(client):
            stream = await client.streams.create(
                clip,
                "What happens?",
                MODEL,
                realtime=False,
                target_fps=6,
                clip_length_seconds=0.5,
                delay_seconds=1,
            )
            await stream.wait()
            return [r async for r in stream], stream

        results, stream = run(server, main)
    assert [r.result for r in results] == [f"{30 * k},{30 * k + 5},{30 * k + 10}" for k in range(4)]
    assert all(r.mode == "clip" for r in results)
    assert results[1].frame_times == pytest.approx((1.0, 1 + 1 / 6, 1 + 2 / 6))
    texts = [p["text"] for p in server.requests[0].parts if p["type"] == "text"]
    assert len(texts) == 4  # the prompt, and each frame's time
    assert stream.mode == "clip"


def test_structured_answers_become_typed_columns_and_misfits_say_why(clip):
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "even": {"type": "boolean"}},
        "required": ["n", "even"],
    }

    def answer(request):
        n = number_in(request.jpegs[0])
        if n == 30:
            return '{"n": "thirty", "even": true}'
        if n == 60:
            return "I see the number sixty"
        return json.dumps({"n": n, "even": n % 2 == 0})

    with ChatServer(answer) as server:

        async def main(client):
            stream = await client.streams.create(
                clip, "n?", MODEL, realtime=False, interval_seconds=1, output_schema=schema
            )
            await stream.wait()
            return stream.df

        df = run(server, main)
        assert server.requests[0].body["response_format"]["type"] == "json_schema"
    assert df["ok"].tolist() == [True, False, False, True]
    assert df["out.n"].tolist() == [0, pd.NA, pd.NA, 90]
    assert str(df["out.n"].dtype) == "Int64"
    assert str(df["out.even"].dtype) == "boolean"
    assert "n" in df["error"][1]
    assert df["result"][2] == "I see the number sixty"


def test_snapshots_grow_and_never_change(clip):
    with ChatServer(number, delay=0.02) as server:

        async def main(client):
            stream = await client.streams.create(
                clip, "n?", MODEL, realtime=False, max_in_flight=1, interval_seconds=0.2
            )
            lengths, first = [], None
            async for _ in stream:
                lengths.append(len(stream.df))
                if first is None:
                    first = stream.df
                    before = first.copy(deep=True)
            pd.testing.assert_frame_equal(first, before)
            return lengths

        lengths = run(server, main)
    assert lengths == sorted(lengths)
    assert lengths[-1] == 20


# ---- callbacks and iteration -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["function", "coroutine"])
def test_on_result_gets_every_result_on_the_callers_loop(clip, kind):
    with ChatServer(number) as server:

        async def main(client):
            own = asyncio.Queue()  # works only when it is touched on this loop

            async def coroutine(result):
                await own.put(result)

            stream = await client.streams.create(
                clip,
                "n?",
                MODEL,
                own.put_nowait if kind == "function" else coroutine,
                realtime=False,
            )
            got = [await asyncio.wait_for(own.get(), 60) for _ in range(8)]
            await stream.wait()
            return got

        got = run(server, main)
    assert [r.result for r in got] == [str(15 * k) for k in range(8)]
    assert got[0].result_json() == 0


def test_an_exception_in_a_callback_goes_to_on_error_and_the_stream_goes_on(clip):
    errors = []

    def broken(result):
        raise RuntimeError(f"cannot take {result.result}")

    with ChatServer(number) as server:

        async def main(client):
            stream = await client.streams.create(
                clip, "n?", MODEL, broken, errors.append, realtime=False
            )
            await stream.wait()
            return stream

        stream = run(server, main)
    assert [str(e) for e in errors] == [f"cannot take {15 * k}" for k in range(8)]
    assert stream.stats.results == 8


def test_a_stream_can_be_closed_from_its_own_callback(clip):
    with ChatServer(number) as server:

        async def main(client):
            async def stop_at_third(result):
                if result.sample == 2:
                    started = time.monotonic()
                    await stream.close("seen enough")
                    taken.append(time.monotonic() - started)

            taken: list[float] = []
            stream = await client.streams.create(
                FileSource(clip, loop=True), "n?", MODEL, stop_at_third, interval_seconds=0.1
            )
            await stream.wait()
            return stream, taken

        stream, taken = run(server, main)
    assert stream.status == "closed: seen enough"
    assert taken
    assert taken[0] < 4


def test_two_iterators_each_see_everything(clip):
    with ChatServer(number) as server:

        async def collect(stream):
            return [r.sample async for r in stream]

        async def main(client):
            stream = await client.streams.create(clip, "n?", MODEL, realtime=False)
            first = asyncio.create_task(collect(stream))
            await stream.wait()
            return await first, await collect(stream)

        assert run(server, main) == (list(range(8)), list(range(8)))


# ---- steering --------------------------------------------------------------------------------


def test_a_new_prompt_applies_to_the_next_sample_and_rows_know_theirs(clip):
    with ChatServer(lambda request: request.prompt) as server:

        async def main(client):
            stream = await client.streams.create(
                FileSource(clip, loop=True), "first", MODEL, interval_seconds=0.1
            )
            versions = {}
            async for result in stream:
                versions.setdefault(result.prompt_version, result.prompt)
                assert result.result == result.prompt
                if result.prompt_version == 1 and len(versions) == 1 and result.sample == 1:
                    response = await stream.update_prompt("second")
                if 2 in versions:
                    break
            with pytest.raises(ValidationError, match="prompt"):
                await stream.update_prompt("  ")
            same = await stream.update_prompt("second")
            await stream.close()
            return stream, versions, response, same

        stream, versions, response, same = run(server, main)
    assert versions == {1: "first", 2: "second"}
    assert isinstance(response, overshoot_nb.StreamConfigResponse)
    assert (response.prompt, response.stream_id) == ("second", stream.stream_id)
    assert response.updated_at >= response.created_at
    assert same.id == response.id
    assert (stream.prompt, stream.prompt_version) == ("second", 2)
    df = stream.df
    assert (df["prompt"] == df["result"]).all()
    assert df["prompt_version"].is_monotonic_increasing


def test_a_pause_stands_still_and_resumes_where_it_was(clip):
    with ChatServer(number) as server:

        async def main(client):
            stream = await client.streams.create(clip, "n?", MODEL, interval_seconds=0.1)
            await asyncio.sleep(0.5)
            await stream.pause()
            assert stream.state == "paused"
            assert stream.is_active
            await asyncio.sleep(0.3)
            paused_at = stream.stats.samples
            await asyncio.sleep(0.5)
            assert stream.stats.samples == paused_at
            await stream.resume()
            assert stream.state == "running"
            await stream.wait()
            return stream

        stream = run(server, main)
    # A file stands still while it is paused, so no moment of it is missing.
    assert stream.stats.samples == 40
    assert balanced(stream)


def test_in_real_time_late_answers_cost_samples_and_each_is_counted(clip):
    with ChatServer(number, delay=0.35) as server:

        async def main(client):
            stream = await client.streams.create(clip, "n?", MODEL, interval_seconds=0.1)
            started = time.monotonic()
            await stream.wait()
            return stream, time.monotonic() - started

        stream, elapsed = run(server, main)
        assert server.most_in_flight == 1
        asked = len(server.requests)
    assert elapsed > 3.5
    stats = stream.stats
    assert stats.samples == 40
    # 0.35 s each, of a video of 4 s; fewer where the machine has other work.
    assert 0 < stats.results == asked <= 13
    assert stats.drops == {"replaced by a newer sample": 40 - stats.results}
    # The newest frame wins: nothing waits for a whole request, but the last, which none replaces.
    lag = stream.df["total_latency_ms"] - stream.df["inference_latency_ms"]
    assert lag.iloc[:-1].max() < 250


def test_not_in_real_time_nothing_is_dropped_and_several_are_asked_at_once(clip):
    with ChatServer(number, delay=0.3) as server:

        async def main(client):
            stream = await client.streams.create(
                clip, "n?", MODEL, interval_seconds=0.1, realtime=False, max_in_flight=8
            )
            await stream.wait()
            return stream

        stream = run(server, main)
        assert server.most_in_flight == 8
    assert stream.stats.results == 40
    assert stream.stats.drops == {}
    assert stream.df["sample"].is_monotonic_increasing


# ---- errors ----------------------------------------------------------------------------------


def test_a_failed_request_is_a_row_and_the_stream_goes_on(clip):
    errors = []

    def answer(request):
        if number(request) == "30":
            return Reply('{"detail": "this picture is refused"}', status=422)
        return number(request)

    with ChatServer(answer) as server:

        async def main(client):
            stream = await client.streams.create(
                clip,
                "n?",
                MODEL,
                on_error=errors.append,
                realtime=False,
                interval_seconds=1,
                max_in_flight=1,
            )
            await stream.wait()
            return stream

        stream = run(server, main)
    assert stream.df["ok"].tolist() == [True, False, True, True]
    assert "this picture is refused" in stream.df["error"][1]
    assert [type(e) for e in errors] == [ValidationError]
    assert (stream.stats.results, stream.stats.errors) == (3, 1)


def test_a_refused_key_ends_the_stream_with_its_error(clip):
    errors = []

    with ChatServer(lambda _: Reply('{"error": "bad key"}', status=401)) as server:

        async def main(client):
            stream = await client.streams.create(
                FileSource(clip, loop=True), "n?", MODEL, on_error=errors.append
            )
            with pytest.raises(AuthenticationError):
                await stream.wait()
            with pytest.raises(AuthenticationError):
                async for _ in stream:
                    pass
            with pytest.raises(StreamClosedError, match="bad key"):
                await stream.update_prompt("again")
            return stream

        stream = run(server, main)
    assert stream.state == "failed"
    assert "bad key" in stream.status
    assert {type(e) for e in errors} == {AuthenticationError}
    assert len(stream.df) == 1
    assert balanced(stream)


def test_a_server_that_never_answers_right_is_given_up(clip, caplog):
    with ChatServer(lambda _: Reply("<html><title>Gateway</title></html>", status=501)) as server:

        async def main(client):
            stream = await client.streams.create(
                FileSource(clip, loop=True), "n?", MODEL, interval_seconds=0.05
            )
            with pytest.raises(ServerError):
                await stream.wait()
            return stream

        stream = run(server, main)
    assert stream.stats.errors == 3
    assert "failed" in caplog.text  # without on_error, the log says it


def test_faults_that_pass_are_tried_again(clip):
    seen: dict[str, int] = {}

    def answer(request):
        n = number(request)
        seen[n] = seen.get(n, 0) + 1
        if n == "30" and seen[n] == 1:
            raise Hang
        if n == "60" and seen[n] == 1:
            return Reply('{"error": "slow down"}', status=429, headers={"Retry-After": "0"})
        return n

    with ChatServer(answer) as server:

        async def main(client):
            stream = await client.streams.create(
                clip, "n?", MODEL, realtime=False, interval_seconds=1
            )
            await stream.wait()
            return stream

        stream = run(server, main)
    assert stream.df["result"].tolist() == ["0", "30", "60", "90"]
    assert seen == {"0": 1, "30": 2, "60": 2, "90": 1}


def test_a_live_stream_under_a_limit_asks_nothing_and_says_so(clip):
    limited_until = 0.0

    def answer(request):
        if request.at < limited_until or not limited_until:
            return Reply('{"error": "slow down"}', status=429, headers={"Retry-After": "0.8"})
        return number(request)

    async def main(client):
        nonlocal limited_until
        stream = await client.streams.create(
            FileSource(clip, loop=True), "n?", MODEL, interval_seconds=0.05
        )
        while "limits requests" not in stream.status:
            await asyncio.sleep(0.005)
        said_at = time.monotonic()
        limited_until = said_at + 0.5
        assert stream.status.startswith("running: the server limits requests: nothing is asked")
        assert stream.stats.errors == 0
        # Samples are taken, the newest of them waits, and the others are drops.
        while not stream.stats.drops.get("replaced by a newer sample", 0):
            await asyncio.sleep(0.005)
        while stream.stats.results < 2:
            await asyncio.sleep(0.005)
        assert stream.status == "running"
        await stream.close()
        assert balanced(stream)
        # What was refused is not asked again after all this time: a newer one is there.
        assert stream.df["sample"].iloc[0] > 0
        assert stream.df["ok"].all()

    with ChatServer(answer) as server:
        run(server, main)
        first, second = (request.at for request in server.requests[:2])
    assert second - first >= 0.8


def test_an_analysis_under_a_limit_loses_no_row(clip):
    window: list[float] = []

    def answer(request):
        window[:] = [at for at in window if request.at - at < 0.3]
        if len(window) >= 3:
            return Reply('{"error": "slow"}', status=429, headers={"Retry-After": "0.3"})
        window.append(request.at)
        return number(request)

    async def main(client):
        stream = await client.streams.create(
            clip, "n?", MODEL, realtime=False, interval_seconds=0.5
        )
        await stream.wait()
        return stream

    with ChatServer(answer) as server:
        stream = run(server, main, timeout=2)
    assert stream.df["result"].tolist() == [str(15 * k) for k in range(8)]
    assert stream.stats.errors == 0


def test_a_limit_that_is_too_long_ends_what_never_had_an_answer(clip):
    refusal = Reply('{"error": "slow"}', status=429, headers={"Retry-After": "60"})

    async def main(client):
        stream = await client.streams.create(clip, "n?", MODEL, realtime=False)
        with pytest.raises(RateLimitError):
            await stream.wait()

    with ChatServer(lambda _: refusal) as server:
        run(server, main, max_wait=30)


def test_a_stream_that_waits_is_closed_at_once(clip):
    refusal = Reply('{"error": "slow"}', status=429, headers={"Retry-After": "500"})

    async def main(client):
        for end in ("stream", "client"):
            stream = await client.streams.create(clip, "n?", MODEL, realtime=False)
            while "limits requests" not in stream.status:
                await asyncio.sleep(0.005)
            await (stream if end == "stream" else client).close()
            assert not stream.is_active
            assert balanced(stream)

    with ChatServer(lambda _: refusal) as server:
        run(server, main)


def test_what_a_model_thought_stands_beside_its_answer(clip):
    with ChatServer(lambda request: f"<think>{number(request)}?</think>seen") as server:

        async def main(client):
            stream = await client.streams.create(clip, "n?", MODEL, realtime=False)
            await stream.wait()
            return stream

        stream = run(server, main)
    assert set(stream.df["result"]) == {"seen"}
    assert stream.df["reasoning"].iloc[1] == "15?"
    assert stream.df["ok"].all()


def test_what_cannot_start_says_so_at_once_and_leaves_nothing_behind(tmp_path, clip):
    nothing = tmp_path / "missing.mp4"
    with ChatServer(number) as server:

        async def main(client):
            with pytest.raises(SourceError, match=r"missing\.mp4"):
                await client.streams.create(nothing, "n?", MODEL)
            with pytest.raises(ValidationError, match="interval_seconds=0"):
                await client.streams.create(clip, "n?", MODEL, interval_seconds=0)
            with pytest.raises(ValidationError, match="on_result=3"):
                await client.streams.create(clip, "n?", MODEL, 3)
            with pytest.raises(TypeError, match="intervall"):
                await client.streams.create(clip, "n?", MODEL, intervall=1)
            assert client.streams.active == []

        run(server, main)
        assert server.requests == []


# ---- the end ---------------------------------------------------------------------------------


def test_close_is_idempotent_keeps_the_rows_and_counts_what_was_under_way(clip):
    with ChatServer(number, delay=0.3) as server:

        async def main(client):
            stream = await client.streams.create(
                FileSource(clip, loop=True), "n?", MODEL, interval_seconds=0.1
            )
            async for _ in stream:
                break
            await asyncio.sleep(0.15)
            rows = len(stream.df)
            await asyncio.gather(stream.close(), stream.close())
            await stream.close()
            assert stream.state == "closed"
            assert not stream.is_active
            assert len(stream.df) >= rows >= 1
            for call in (stream.pause(), stream.resume(), stream.update_prompt("x")):
                with pytest.raises(StreamClosedError, match="closed by its user"):
                    await call
            return stream

        stream = run(server, main)
    assert stream.stats.in_flight == stream.stats.waiting == 0
    assert stream.stats.drops["stream closed"] >= 1
    assert balanced(stream)
    assert len(stream.frames)


def test_close_is_quick_when_the_server_hangs(clip):
    with ChatServer(number, delay=60) as server:

        async def main(client):
            stream = await client.streams.create(clip, "n?", MODEL)
            await asyncio.sleep(0.3)
            started = time.monotonic()
            await stream.close()
            return time.monotonic() - started

        assert run(server, main) < 2


def test_leaving_the_blocks_closes_stream_and_client(clip):
    with ChatServer(number) as server:

        async def main(client):
            async with await client.streams.create(
                FileSource(clip, loop=True), "n?", MODEL
            ) as stream:
                assert client.streams.active == [stream]
            assert stream.state == "closed"
            other = await client.streams.create(FileSource(clip, loop=True), "n?", MODEL)
            await client.close()
            with pytest.raises(StreamClosedError, match="client was closed"):
                await client.streams.create(clip, "n?", MODEL)
            return other

        other = run(server, main)
    assert other.status == "closed: its client was closed"


def test_waiting_can_be_given_up_without_ending_the_stream(clip):
    with ChatServer(number) as server:

        async def main(client):
            stream = await client.streams.create(FileSource(clip, loop=True), "n?", MODEL)
            with pytest.raises(TimeoutError):
                await stream.wait(timeout=0.1)
            assert stream.is_active

        run(server, main)


def test_a_blocked_loop_does_not_stop_the_stream(clip):
    with ChatServer(number) as server:

        async def main(client):
            seen = []
            stream = await client.streams.create(
                clip, "n?", MODEL, lambda r: seen.append(r.sample), interval_seconds=0.1
            )
            before = len(stream.df)
            time.sleep(1.5)  # what a notebook cell does to its kernel's loop
            rows, called = len(stream.df) - before, len(seen)
            await stream.close()
            return rows, called

        rows, called = run(server, main)
    assert rows >= 8
    assert called >= 4


def test_a_script_that_forgets_to_close_ends_cleanly(clip):
    code = """
import asyncio, sys, overshoot_nb
async def main():
    client = overshoot_nb.Overshoot("key", base_url=sys.argv[1])
    stream = await client.streams.create(
        overshoot_nb.FileSource(sys.argv[2], loop=True), "n?", "test/model")
    async for result in stream:
        print(result.result)
        break
asyncio.run(main())
"""
    with ChatServer(number) as server:
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code, server.url, clip],
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert done.stdout == "0\n", done.stderr
    assert done.stderr == ""
    assert done.returncode == 0
    assert time.monotonic() - started < 60


# ---- other sources ---------------------------------------------------------------------------


def test_pushed_frames_are_asked_about_from_any_thread():
    def answer(request):
        return completion_of_colour(request.jpegs[0])

    with ChatServer(answer) as server:

        async def main(client):
            source = FrameSource(64, 48)
            stream = await client.streams.create(source, "colour?", MODEL, interval_seconds=0.1)

            def push():
                for value in (0, 200):
                    for _ in range(5):
                        source.push_frame(np.full((48, 64, 4), value, np.uint8))
                        time.sleep(0.06)

            thread = threading.Thread(target=push)
            thread.start()
            await asyncio.to_thread(thread.join)
            source.close()
            await stream.wait()
            return stream

        stream = run(server, main)
    colours = stream.df["result"].tolist()
    assert set(colours) == {"dark", "light"}
    assert colours == sorted(colours)


def completion_of_colour(jpeg: bytes) -> str:
    import simplejpeg

    return "light" if simplejpeg.decode_jpeg(jpeg).mean() > 100 else "dark"


def test_arrays_are_a_source_too():
    frames = [np.full((48, 64, 3), value, np.uint8) for value in (0, 0, 250, 250)]
    with ChatServer(lambda r: completion_of_colour(r.jpegs[0])) as server:

        async def main(client):
            stream = await client.streams.create(
                ArraySource(frames, fps=2), "colour?", MODEL, interval_seconds=1
            )
            await stream.wait()
            return stream.df["result"].tolist()

        assert run(server, main) == ["dark", "light"]


def test_a_camera_that_drops_out_comes_back_and_says_so(monkeypatch, caplog):
    monkeypatch.setattr(reading, "BACKOFF_SECONDS", (0.5, 3.0))
    camera = RTSPServer("admin:hunter22", breaks=[45])
    statuses = set()
    with ChatServer(number) as server, running(camera):
        url = f"rtsp://admin:hunter22@{camera.address}/live"

        async def main(client):
            stream = await client.streams.create(url, "n?", MODEL, interval_seconds=0.25)
            while camera.connections < 2 or stream.df["media_time"].max() < pd.Timedelta("2.5s"):
                statuses.add(stream.status)
                await asyncio.sleep(0.01)
            statuses.add(stream.status)
            started = time.monotonic()
            await stream.close()
            return stream, time.monotonic() - started

        stream, took = run(server, main)
    assert took < 60
    assert any("connection lost" in s and "reconnecting in" in s for s in statuses)
    assert "running" in statuses  # before, and again when frames came back
    assert stream.stats.reconnections_by_cause == {"source": camera.connections - 1}
    assert stream.stats.reconnections == camera.connections - 1 >= 1
    assert stream.df.attrs["overshoot"]["reconnections"] == {"source": camera.connections - 1}
    assert stream.df["media_time"].is_monotonic_increasing
    assert stream.df["media_time"].is_unique
    assert balanced(stream)
    shown = f"{statuses} {stream!r} {stream._repr_html_()} {stream.settings} {caplog.text}"
    assert "hunter22" not in shown + stream.df.to_csv()
    assert "admin" not in shown


def test_text_from_outside_is_escaped_where_a_notebook_shows_it(clip):
    evil = "<script>alert(1)</script>"
    with ChatServer(lambda _: Reply(completion(evil))) as server:

        async def main(client):
            stream = await client.streams.create(clip, evil, MODEL, realtime=False)
            await stream.wait()
            return stream

        shown = run(server, main)._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
