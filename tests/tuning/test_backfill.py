"""stream.backfill(): other prompts on the same samples, while the stream goes on."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import logging
import os
import subprocess
import sys
import threading
from collections import Counter

import pytest

from overshoot_nb import (
    AuthenticationError,
    FrameSource,
    InsufficientCreditsError,
    NetworkError,
    Overshoot,
    RateLimitError,
    ServerError,
    StreamClosedError,
    ValidationError,
)
from overshoot_nb.store.budget import Budget
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.tuning.backfill import Backfill

from chatserver import ChatServer, Reply, completion
from kernels import Kernel
from videos import barcode, make_video, number_in

pytestmark = pytest.mark.usefixtures("no_threads_left")

SCHEMA = {
    "type": "object",
    "properties": {"number": {"type": "integer"}, "even": {"type": "boolean"}},
    "required": ["number"],
}
N = 24  # samples of the clip
STEP = 3  # frames of the clip from one sample to the next


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
    return f"{request.prompt.split()[0]} {number_in(request.jpegs[0])}"


@contextlib.asynccontextmanager
async def analysed(server, clip, **parameters):
    """A stream of N samples that has come to its end."""
    async with Overshoot("key", base_url=server.url) as client:
        stream = await client.streams.create(
            clip, "old", "test/model", interval_seconds=0.1, realtime=False, **parameters
        )
        await stream.wait()
        server.requests.clear()
        server.most_in_flight = 0
        yield stream


async def until(condition, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def asked(server) -> list[int]:
    """The samples that the server was asked about."""
    return sorted(number_in(request.jpegs[0]) // STEP for request in server.requests)


# ---- the answers ----


def test_answers_stand_beside_the_rows_of_the_same_samples(clip):
    async def main():
        async with analysed(server, clip) as stream:
            job = stream.backfill("new prompt", column="second", note="shorter", progress=False)
            assert isinstance(job, Backfill)
            assert await job is job
            df = stream.df
            assert df["result"].tolist() == [f"old {STEP * k}" for k in range(N)]
            assert df["second"].tolist() == [f"new {STEP * k}" for k in range(N)]
            assert df["second.ok"].tolist() == [True] * N
            assert df["second.error"].isna().all()
            assert list(df.columns[-3:]) == ["second", "second.ok", "second.error"]
            assert (job.state, job.done, job.total, job.errors, job.remaining) == (
                "done", N, N, 0, [],
            )  # fmt: skip
            assert (job.cached, job.requests, job.tokens, job.cost_cents) == (0, N, 12 * N, None)
            assert job.missing == {}
            assert stream.backfills == [job]
            version = stream.prompts[2]
            assert (version.text, version.note, version.parent) == ("new prompt", "shorter", 1)
            assert stream.prompts.current is stream.prompts[1]
            rows = job.df
            assert rows["sample"].tolist() == list(range(N))
            assert set(rows["prompt_version"]) == {2}
            assert rows["media_time"].tolist() == df["media_time"].tolist()
            assert set(rows["stream_id"]) == set(df["stream_id"])

    with ChatServer(answer) as server:
        asyncio.run(main())


def test_a_schema_gives_typed_columns_and_only_what_differs_is_asked_otherwise(clip):
    def structured(request):
        if "response_format" not in request.body:
            return answer(request)
        number = number_in(request.jpegs[0])
        return json.dumps({"number": number, "even": number % 2 == 0} if number else {})

    async def main():
        async with analysed(server, clip, max_output_tokens=50) as stream:
            job = await stream.backfill(
                output_schema=SCHEMA, model="other/model", temperature=0.5, progress=False
            )
            assert server.requests[0].body["model"] == "other/model"
            assert server.requests[0].body["temperature"] == 0.5
            assert server.requests[0].body["max_tokens"] == 50
            assert server.requests[0].prompt == "old"
            df = stream.df
            assert df["v2.out.number"].dtype == "Int64"
            assert df["v2.out.even"].dtype == "boolean"
            assert df["v2.out.number"].tolist()[1:] == [STEP * k for k in range(1, N)]
            # The answer that does not fit is shown as what it is.
            assert df["v2.out.number"].isna()[0]
            assert df["v2"][0] == "{}"
            assert not df["v2.ok"][0]
            assert "number" in df["v2.error"][0]
            assert (job.state, job.errors, job.done) == ("done", 1, N)
            again = await job.resume()  # it was an answer: nothing is left to ask
            assert len(server.requests) == N
            assert again.state == "done"

    with ChatServer(structured) as server:
        asyncio.run(main())


def test_which_samples_are_meant(clip):
    async def main():
        async with analysed(server, clip) as stream:
            assert (await stream.backfill("a", last=1, progress=False)).samples == tuple(
                range(N - 11, N)
            )
            assert (await stream.backfill("b", samples=[7, 3, 7], progress=False)).samples == (3, 7)
            assert asked(server) == sorted([*range(N - 11, N), 3, 7])
            df = stream.df
            assert df["v3"].notna().to_numpy().nonzero()[0].tolist() == [3, 7]
            rows = df.loc[[5, 9], "sample"]
            assert (await stream.backfill("c", samples=rows, progress=False)).samples == (5, 9)

    with ChatServer(answer) as server:
        asyncio.run(main())


def test_last_counts_from_the_newest_sample_of_the_newest_run(clip):
    async def main():
        async with analysed(server, clip) as stream:
            await stream.restart(interval_seconds=1.0)
            await stream.wait()
            assert len(stream.df) == N + 3
            assert stream.backfill("a", last=1.5, progress=False).samples == (N + 1, N + 2)
            everything = stream.backfill("b", last=1000, progress=False)
            assert everything.samples == (N, N + 1, N + 2)
            await everything
            # Once more, and the new run has samples but no row yet: what is meant is not there.
            server.delay = 0.3
            await stream.restart(interval_seconds=0.1)
            await until(lambda: len(stream.samples) > N + 4)
            with pytest.raises(ValidationError, match="since the restart no sample has a row"):
                stream.backfill("c", last=1.5)
            server.delay = 0.0
            await stream.wait()
            assert stream.backfill("d", last=0.15, progress=False).samples == (
                N + 3 + N - 2, N + 3 + N - 1,
            )  # fmt: skip

    with ChatServer(answer) as server:
        asyncio.run(main())


def test_wrong_parameters_are_refused_at_once_and_leave_no_trace(clip):
    wrong = [
        ({"prompt": " "}, "prompt="),
        ({"model": ""}, "model="),
        ({"temperature": 3}, "temperature=3"),
        ({"max_output_tokens": 0}, "max_output_tokens=0"),
        ({"output_schema": {"type": 1}}, "output_schema"),
        ({"last": 0}, "last=0"),
        ({"last": float("nan")}, "last=nan"),
        ({"last": 1, "samples": [1]}, "one of them"),
        ({"samples": []}, "empty"),
        ({"samples": 5}, "samples=5"),
        ({"samples": [1.5]}, "1.5"),
        ({"samples": [True]}, "True"),
        ({"column": ""}, "column="),
        ({"column": "result"}, "column='result'"),
        ({"column": "out.x"}, "column='out.x'"),
        ({"column": "kept.ok"}, "'kept'"),
        ({"max_in_flight": 0}, "max_in_flight=0"),
        ({"budget": 100}, "Budget"),
        ({"client": "local"}, "client='local'"),
    ]

    async def main():
        async with analysed(server, clip) as stream:
            await stream.backfill("fine", samples=[0], column="kept", progress=False)
            for parameters, message in wrong:
                with pytest.raises(ValidationError, match=message):
                    stream.backfill(**{"prompt": "x", "progress": False, **parameters})
            for index in (N, -1):
                with pytest.raises(LookupError, match=f"no sample {index}: there are {N}"):
                    stream.backfill("x", samples=[index])
            assert len(stream.prompts) == 2
            assert len(stream.backfills) == 1
            assert list(stream.df.columns[-3:]) == ["kept", "kept.ok", "kept.error"]

    with ChatServer(answer) as server:
        asyncio.run(main())
    for values, message in (
        ({}, "limits nothing"),
        ({"requests": 0}, "requests=0"),
        ({"tokens": 1.5}, "tokens=1.5"),
        ({"cents": -1}, "cents=-1"),
        ({"cents": float("inf")}, "cents=inf"),
    ):
        with pytest.raises(ValidationError, match=message):
            Budget(**values)


def test_no_row_yet_is_said(clip):
    async def main():
        async with Overshoot("key", base_url=server.url) as client:
            stream = await client.streams.create(FrameSource(64, 48), "old", "test/model")
            for parameters in ({}, {"last": 5}):
                with pytest.raises(ValidationError, match="no sample has a row yet"):
                    stream.backfill("new", **parameters)

    with ChatServer(answer) as server:
        asyncio.run(main())


def test_a_version_keeps_its_column_and_no_other_takes_one_that_somebody_named(clip):
    async def main():
        async with analysed(server, clip) as stream:
            named = await stream.backfill("list", column="list", progress=False)
            again = await stream.backfill(stream.prompts[2], samples=[1, 2], progress=False)
            assert (named.column, again.column) == ("list", "list")
            assert [name for name in stream.df if name.startswith(("list", "v2"))] == [
                "list", "list.ok", "list.error",
            ]  # fmt: skip
            await stream.backfill("mine", column="v4", progress=False)
            other = await stream.backfill("other", progress=False)
            assert (other.version.version, other.column) == (4, "v4 (2)")
            assert stream.df["v4"].tolist() == [f"mine {STEP * k}" for k in range(N)]
            assert stream.df["v4 (2)"].tolist() == [f"other {STEP * k}" for k in range(N)]
            # With a name, it is shown there too.
            await stream.backfill("other", column="best", progress=False)
            assert stream.df["best"].tolist() == stream.df["v4 (2)"].tolist()

    with ChatServer(answer) as server:
        asyncio.run(main())


# ---- asked once ----


def test_what_this_version_answered_before_is_not_asked_again(clip):
    async def main():
        async with analysed(server, clip) as stream:
            job = await stream.backfill("old", column="live", progress=False)
            assert (job.version.version, job.cached, job.requests) == (1, N, 0)
            assert stream.df["live"].tolist() == stream.df["result"].tolist()
            await stream.backfill("new", samples=range(10), progress=False, cache=False)
            job = await stream.backfill("new", progress=False, cache=False)
            assert (job.cached, job.requests) == (10, N - 10)
            assert asked(server) == list(range(N))
            job = await stream.backfill(stream.prompts[2], progress=False, cache=False)
            assert (job.version.version, job.requests) == (2, 0)
            assert len(stream.prompts) == 2

    with ChatServer(answer) as server:
        asyncio.run(main())


def test_identical_requests_of_another_stream_come_from_the_cache(clip, own_cache):
    async def main():
        async with analysed(server, clip) as stream:
            await stream.backfill("new", samples=range(20), progress=False)
        async with analysed(server, clip) as stream:
            job = await stream.backfill("new", samples=range(22), progress=False)
            assert (job.cached, job.requests, job.tokens) == (20, 2, 24)
            assert asked(server) == [20, 21]
            assert stream.df["v2"].tolist()[:22] == [f"new {STEP * k}" for k in range(22)]
        async with analysed(server, clip) as stream:
            await stream.backfill("new", samples=range(22), progress=False, cache=False)
            assert len(server.requests) == 22
        own_cache.disable()
        async with analysed(server, clip) as stream:
            assert (await stream.backfill("new", samples=[1], progress=False)).cached == 0

    with ChatServer(answer) as server:
        asyncio.run(main())


# ---- cancelled, resumed, bounded ----


def test_a_cancelled_one_keeps_what_came_and_resumes_with_the_rest(clip):
    async def main():
        async with analysed(server, clip) as stream:
            server.delay = 0.05
            job = stream.backfill("new", max_in_flight=2, progress=False)
            await until(lambda: job.done >= 6)
            job.cancel()
            assert job.state == "cancelled"
            assert await job is job
            kept = job.done
            assert 6 <= kept < N
            assert stream.df["v2"].notna().sum() == kept == N - len(job.remaining)
            assert "by its user" in job.status
            await asyncio.sleep(0.15)
            assert job.done == kept
            server.requests.clear()
            remaining = job.remaining
            assert await job.resume() is job
            assert job.state == "done"
            assert asked(server) == remaining
            assert stream.df["v2"].tolist() == [f"new {STEP * k}" for k in range(N)]
            assert server.most_in_flight <= 4  # a server works on what was given up
            job.cancel()
            assert job.state == "done"

    with ChatServer(answer) as server:
        asyncio.run(main())


def test_cancelling_and_resuming_in_the_same_breath(clip):
    async def main():
        async with analysed(server, clip) as stream:
            job = stream.backfill("new", progress=False)
            job.cancel()
            job.resume()
            job.cancel()
            assert (await job).state == "cancelled"
            for _ in range(5):
                job.resume()
                await asyncio.sleep(0.003)
                job.cancel()
            await job.resume()
            assert job.state == "done"
            assert stream.df["v2"].tolist() == [f"new {STEP * k}" for k in range(N)]

    with ChatServer(answer, delay=0.005) as server:
        asyncio.run(main())


def test_where_no_bar_can_be_made_nothing_has_begun(clip, monkeypatch):
    class Broken:
        def __init__(self, label, total):
            raise ImportError("IProgress not found")

    async def main():
        async with analysed(server, clip) as stream:
            job = stream.backfill("new")
            job.cancel()
            await job
            with monkeypatch.context() as patched:
                patched.setattr("overshoot_nb.tuning.backfill.ProgressBar", Broken)
                with pytest.raises(ImportError):
                    job.resume()
                assert job.state == "cancelled"
                with pytest.raises(ImportError):
                    stream.backfill("newer")
            assert stream.backfills == [job]
            assert "v3" not in stream.df
            async with asyncio.timeout(60):
                assert (await job.resume()).state == "done"

    with ChatServer(answer) as server:
        asyncio.run(main())


def test_several_loops_and_callbacks_may_await_it(clip):
    async def main():
        told = []

        async with analysed(server, clip) as stream:
            server.delay = 0.02
            job = stream.backfill("new", progress=False)

            async def wait() -> str:
                return (await job).state

            elsewhere = asyncio.to_thread(asyncio.run, wait())
            inside = stream._runtime.call(wait())
            assert await asyncio.gather(wait(), wait(), elsewhere, inside) == ["done"] * 4

            async def ask(result) -> None:
                if not told:
                    told.append(stream.backfill("newest", samples=[0], progress=False))
                    told.append((await told[0]).state)

            async with Overshoot("key", base_url=server.url) as client:
                other = await client.streams.create(
                    clip, "old", "test/model", interval_seconds=1.0, realtime=False, on_result=ask
                )
                await other.wait()
            assert told[1] == "done"

    with ChatServer(answer) as server:
        asyncio.run(main())


def test_a_cancelled_await_cancels_it(clip):
    async def main():
        async with analysed(server, clip) as stream:
            server.delay = 0.05
            job = stream.backfill("new", progress=False)
            waiting = asyncio.create_task(job._wait())
            await until(lambda: job.done >= 4)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert job.state == "cancelled"
            assert "interrupted" in job.status
            assert (await job.resume()).state == "done"

    with ChatServer(answer) as server:
        asyncio.run(main())


def test_requests_under_way_are_bounded(clip):
    async def main():
        async with analysed(server, clip) as stream:
            for number in (1, 8, None):
                server.most_in_flight = 0
                await stream.backfill(f"p{number}", max_in_flight=number, progress=False)
                assert server.most_in_flight == (number or 4)

    with ChatServer(answer, delay=0.02) as server:
        asyncio.run(main())


def usage_of(tokens: int | None, cents: float | None = None) -> str:
    body = json.loads(completion("fine"))
    body["usage"] = None
    if tokens is not None:
        body["usage"] = {"prompt_tokens": 0, "completion_tokens": tokens, "total_tokens": tokens}
        if cents is not None:
            body["usage"]["cost_cents"] = cents
    return json.dumps(body)


def test_a_budget_stops_it_and_resuming_spends_as_much_again(clip):
    async def main():
        async with analysed(server, clip) as stream:
            job = await stream.backfill("new", budget=Budget(requests=10), progress=False)
            assert (job.state, job.done, job.requests) == ("stopped", 10, 10)
            assert "10 requests is spent" in job.status
            assert job.remaining == list(range(10, N))
            await job.resume()
            assert (job.state, job.done, job.requests) == ("stopped", 20, 20)
            await job.resume(Budget(requests=1000))
            assert (job.state, job.done, job.requests) == ("done", N, N)
            tokens = await stream.backfill("t", budget=Budget(tokens=100), progress=False)
            assert (tokens.state, tokens.tokens) == ("stopped", 96)  # 12 an answer
            # What is known costs nothing.
            job = await stream.backfill("new", budget=Budget(requests=1), progress=False)
            assert job.state == "done"

    with ChatServer(answer) as server:
        asyncio.run(main())


def test_a_budget_that_cannot_be_kept_stops_it_after_one_answer(clip):
    async def main():
        async with analysed(server, clip) as stream:
            server.answer = lambda _: Reply(usage_of(None))
            for budget, unit in ((Budget(tokens=10**6), "tokens"), (Budget(cents=10), "cents")):
                job = await stream.backfill(f"in {unit}", budget=budget, progress=False)
                assert (job.state, job.requests) == ("stopped", 1)
                assert f"how many {unit}" in job.status
            server.answer = lambda _: Reply(usage_of(1000))
            job = await stream.backfill("large", budget=Budget(tokens=10), progress=False)
            assert job.requests == 1  # nobody could know before

    with ChatServer(answer) as server:
        asyncio.run(main())


# ---- what goes wrong ----


def test_samples_without_pictures_are_listed_and_told(clip, caplog, no_spill):
    async def main():
        async with analysed(server, clip, keep_frames=20_000) as stream:
            kept = list(stream.frames)
            assert 2 <= len(kept) < 20
            with caplog.at_level(logging.WARNING, "overshoot_nb"):
                job = await stream.backfill("new", progress=False)
            gone = [k for k in range(N) if k not in kept]
            assert list(job.missing) == gone
            assert all("was dropped from the store" in why for why in job.missing.values())
            assert (job.state, job.done, job.errors) == ("done", N, 0)
            assert asked(server) == kept
            assert f"{len(gone)} without pictures" in job.status
            assert f"{len(gone)} of {N} samples could not be asked about" in caplog.text
            assert stream.df["v2"].isna().to_numpy().nonzero()[0].tolist() == gone
            await job.resume()
            assert asked(server) == kept

    with ChatServer(answer) as server:
        asyncio.run(main())


def test_pictures_that_leave_while_it_runs_are_listed(clip, no_spill):
    async def main():
        async with analysed(server, clip) as stream:
            server.delay = 0.03
            job = stream.backfill("new", max_in_flight=1, progress=False)
            await until(lambda: job.done >= 3)
            newest = stream.frames.latest.sample
            stream.frames.max_bytes = newest.nbytes
            stream.frames.put(newest)  # the others have to go
            await job
            assert job.state == "done"
            assert len(job.missing) == N - len(server.requests) > 15

    with ChatServer(answer) as server:
        asyncio.run(main())


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, AuthenticationError), (402, InsufficientCreditsError), (422, ValidationError)],
)
def test_what_no_later_sample_would_cure_ends_it_with_the_rest_remaining(clip, status, error):
    async def main():
        async with analysed(server, clip) as stream:
            server.answer = lambda _: Reply('{"error": "no way"}', status=status)
            job = stream.backfill("new", max_in_flight=1, progress=False)
            with pytest.raises(error, match="no way"):
                await job
            assert job.state == "failed"
            assert "no way" in job.status
            tried = 3 if status == 422 else 1
            assert len(server.requests) == job.done == job.errors == tried
            assert job.remaining == list(range(tried, N))
            assert stream.df["v2.ok"].dropna().tolist() == [False] * tried
            assert stream.df["v2"].isna().all()
            server.answer = answer
            await job.resume()
            assert (job.state, job.errors, job.error) == ("done", 0, None)
            assert stream.df["v2"].tolist() == [f"new {STEP * k}" for k in range(N)]
            assert stream.df["v2.error"].isna().all()

    with ChatServer(answer) as server:
        asyncio.run(main())


def test_several_fatal_answers_at_once_are_one_error(clip, caplog):
    together = threading.Barrier(4)

    def refuse(request):
        if request.prompt == "new":
            together.wait(60)
            return Reply('{"error": "bad key"}', status=401)
        return answer(request)

    async def main():
        async with analysed(server, clip) as stream:
            with pytest.raises(AuthenticationError):
                await stream.backfill("new", max_in_flight=4, progress=False)
            gc.collect()  # a task whose error nobody took says so when it goes
            await asyncio.sleep(0.05)
            assert "never retrieved" not in caplog.text

    with ChatServer(refuse) as server:
        asyncio.run(main())


def test_one_failure_is_a_cell_and_is_asked_again_on_resume(clip):
    fails = {6, 9}

    def flaky(request):
        if request.prompt == "new" and number_in(request.jpegs[0]) // STEP in fails:
            return Reply('{"error": "cannot see it"}', status=501)
        return answer(request)

    async def main():
        async with analysed(server, clip) as stream:
            job = await stream.backfill("new", progress=False)
            assert (job.state, job.done, job.errors) == ("done", N, 2)
            assert "2 failed" in job.status
            df = stream.df
            assert "cannot see it" in df.loc[6, "v2.error"]
            assert df.loc[6, "v2.ok"] is not True
            assert df["v2"].isna().sum() == 2
            fails.clear()
            server.requests.clear()
            await job.resume()
            assert asked(server) == [6, 9]
            assert (job.done, job.errors) == (N, 0)
            assert stream.df["v2.ok"].all()

    with ChatServer(flaky) as server:
        asyncio.run(main())


def test_a_server_that_is_gone_is_given_up(clip):
    def dies(request):
        if number_in(request.jpegs[0]) // STEP >= 10 and request.prompt == "new":
            return Reply('{"error": "burning"}', status=501)
        return answer(request)

    async def main():
        async with analysed(server, clip) as stream:
            job = stream.backfill("new", max_in_flight=1, progress=False)
            with pytest.raises(ServerError, match="burning"):
                await job
            assert job.remaining == list(range(20, N))

    with ChatServer(dies) as server:
        asyncio.run(main())


def test_where_the_server_has_had_enough_it_pauses_and_asks_again(clip):
    refused = []

    def busy(request):
        number = number_in(request.jpegs[0]) // STEP
        if request.prompt == "new" and number == 5 and len(refused) < 2:
            refused.append(request.at)
            return Reply('{"error": "slow down"}', status=429, headers={"retry-after": "0.3"})
        return answer(request)

    async def main():
        async with analysed(server, clip) as stream:
            job = await stream.backfill("new", max_in_flight=1, progress=False)
            assert (job.state, job.errors, job.requests) == ("done", 0, N)
            assert len(server.requests) == N + 2
            times = [r.at for r in server.requests]
            pauses = [b - a for a, b in itertools.pairwise(times) if b - a > 0.29]
            assert len(pauses) == 2
            assert stream.df["v2"].tolist() == [f"new {STEP * k}" for k in range(N)]
            server.requests.clear()
            server.answer = lambda _: Reply(
                '{"error": "never"}', status=429, headers={"retry-after": "4000"}, delay=0.05
            )
            job = stream.backfill("newer", progress=False)
            with pytest.raises(RateLimitError):
                await job
            assert len(server.requests) == 4  # at once: longer than what is waited for
            assert len(job.remaining) == N
            assert stream.df["v3.error"].isna().all()

    with ChatServer(busy) as server:
        asyncio.run(main())


def test_closing_the_client_ends_it_with_a_clear_error(clip):
    async def main():
        client = Overshoot("key", base_url=server.url)
        stream = await client.streams.create(
            clip, "old", "test/model", interval_seconds=0.1, realtime=False
        )
        await stream.wait()
        server.delay = 0.05
        job = stream.backfill("new", progress=False)
        await until(lambda: job.done >= 4)
        await client.close()
        with pytest.raises(StreamClosedError, match="client that was asked is closed"):
            await job
        assert job.state == "failed"
        assert job.errors == 0
        assert stream.df["v2.error"].isna().all()
        assert len(job.remaining) == N - job.done
        for again in (job.resume, lambda: stream.backfill("other")):
            with pytest.raises(StreamClosedError, match=r"client=Overshoot"):
                again()
        async with Overshoot("key", base_url=server.url) as other:
            job = await stream.backfill("new", client=other, progress=False)
            assert job.state == "done"
            assert stream.df["v2"].tolist() == [f"new {STEP * k}" for k in range(N)]

    with ChatServer(answer) as server:
        asyncio.run(main())


def test_another_server_may_be_asked_but_no_v02_one_that_took_no_pictures(clip):
    async def main():
        async with analysed(server, clip) as stream:
            with ChatServer(lambda _: "from elsewhere") as elsewhere:
                async with Overshoot("key", base_url=elsewhere.url) as client:
                    await stream.backfill(samples=[1], client=client, model="b", progress=False)
                assert [r.body["model"] for r in elsewhere.requests] == ["b"]
            assert stream.df.loc[1, "v2"] == "from elsewhere"
            async with Overshoot("key", base_url="http://127.0.0.1:9/v0.2") as client:
                with pytest.raises(ValidationError, match=r"v0\.2 server"):
                    stream.backfill("new", client=client)
            async with Overshoot("key", base_url="http://127.0.0.1:9/v1") as client:
                job = stream.backfill("nobody there", client=client, progress=False)
                with pytest.raises(NetworkError):
                    await job
            assert not server.requests

    with ChatServer(answer) as server:
        asyncio.run(main())


# ---- beside the rest ----


def test_the_stream_goes_on_meanwhile(clip):
    async def main():
        async with Overshoot("key", base_url=server.url) as client:
            source = FrameSource(160, 96)
            stream = await client.streams.create(source, "old", "test/model", interval_seconds=0.05)
            stop = threading.Event()

            def film():
                number = 0
                while not stop.wait(0.02):
                    source.push_frame(barcode(number % 500))
                    number += 1

            camera = threading.Thread(target=film)
            camera.start()
            try:
                await until(lambda: len(stream.df) >= 20)
                server.delay = 0.02
                job = await stream.backfill("new", progress=False)
                meanwhile = len(stream.df)
                assert job.state == "done"
                assert meanwhile > job.total
                await until(lambda: len(stream.df) > meanwhile)
            finally:
                stop.set()
                camera.join()
            df = stream.df
            assert df["v2"].notna().sum() == job.total
            numbers = df["result"].str.removeprefix("old ")
            beside = df["v2"].str.removeprefix("new ")
            assert (numbers == beside)[df["v2"].notna()].all()
            await stream.close()
            assert (await stream.backfill("later", last=0.2, progress=False)).state == "done"

    with ChatServer(answer) as server:
        asyncio.run(main())


def test_watchers_are_told_of_every_answer(clip):
    async def main():
        async with analysed(server, clip) as stream:
            told = Counter()
            stream._run.journal.watch(lambda: told.update(["n"]))
            await stream.backfill("new", progress=False)
            assert told["n"] >= N

    with ChatServer(answer) as server:
        asyncio.run(main())


def test_it_holds_no_pictures_once_it_is_over(clip):
    async def main():
        async with analysed(server, clip) as stream:
            pictures = [stream.frames[k].frames[0].data for k in range(N)]
            gc.collect()
            before = [sys.getrefcount(data) for data in pictures]
            done = await stream.backfill("new", progress=False)
            server.answer = lambda _: Reply('{"error": "no"}', status=501)
            failed = stream.backfill("broken", progress=False)
            depths = set()
            for _ in range(3):
                with pytest.raises(ServerError) as caught:
                    await failed
                depths.add(len(caught.traceback))
            assert len(depths) == 1  # nor the frames of those who await it
            del caught
            await asyncio.sleep(0.05)
            # What a loop or a pool remembers of the last call is not the backfill's.
            after = [sys.getrefcount(data) for data in pictures]
            assert sum(a > b for a, b in zip(after, before, strict=True)) == 0
            assert (done.state, failed.state) == ("done", "failed")

    with ChatServer(answer) as server:
        asyncio.run(main())


# ---- how it looks ----


def test_the_bar_is_drawn_on_request(clip, capfd):
    async def main():
        async with analysed(server, clip) as stream:
            await stream.backfill("quiet", progress=False)
            assert capfd.readouterr().err == ""
            await stream.backfill("new", column="loud")
            shown = capfd.readouterr().err
            assert "loud" in shown
            assert f"{N}/{N}" in shown

    with ChatServer(answer, delay=0.01) as server:
        asyncio.run(main())


def test_it_shows_itself_escaped(clip):
    async def main():
        async with analysed(server, clip) as stream:
            job = await stream.backfill("<b>new</b>", column="<i>", progress=False)
            assert repr(job) == f"<Backfill <i> (prompt version 2), done: {N} of {N} samples>"
            page = job._repr_html_()
            assert "&lt;b&gt;new&lt;/b&gt;" in page
            assert "<i>" not in page
            assert f"{12 * N} tokens" in page
            assert f'value="{N}" max="{N}"' in page

    with ChatServer(answer) as server:
        asyncio.run(main())


# ---- the ends of processes and cells ----


def test_a_process_exits_at_once_with_one_under_way(clip, tmp_path):
    code = """
import asyncio, sys
from overshoot_nb import Overshoot
url, clip = sys.argv[1:]
client = Overshoot("key", base_url=url)
async def main():
    stream = await client.streams.create(clip, "old", "m", interval_seconds=0.5, realtime=False)
    await stream.wait()
    return stream, stream.backfill("new", progress=False)
stream, job = asyncio.run(main())
print(job.state, flush=True)
"""

    def slow(request):
        return Reply(completion("late"), delay=120 if request.prompt == "new" else 0)

    with ChatServer(slow) as server:
        child = subprocess.run(
            [sys.executable, "-W", "error", "-c", code, server.url, clip],
            capture_output=True,
            text=True,
            timeout=60,  # the answers under way are not waited for
            env={"OVERSHOOT_CACHE_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
            check=False,
        )
        assert (child.returncode, child.stdout.strip(), child.stderr) == (0, "running", "")


def test_a_version_from_a_file_or_another_stream_is_asked_as_it_is(clip):
    async def main():
        async with analysed(server, clip) as stream:
            version = PromptVersion(7, "from a file", "other/model", max_output_tokens=9)
            job = await stream.backfill(version, samples=[0], progress=False)
            assert (job.version.version, job.column) == (2, "v2")
            assert server.requests[0].body["max_tokens"] == 9
            assert server.requests[0].body["model"] == "other/model"

    with ChatServer(answer) as server:
        asyncio.run(main())


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    kernel = Kernel(str(tmp_path_factory.mktemp("kernel")))
    yield kernel
    kernel.close()


@pytest.mark.skipif(os.name == "nt", reason="interrupts by signal")
def test_interrupting_the_cell_cancels_it_and_the_next_cell_resumes(kernel, clip):
    with ChatServer(answer) as server:
        kernel.run(
            "from overshoot_nb import Overshoot\n"
            f"client = Overshoot('key', base_url={server.url!r})\n"
            f"stream = await client.streams.create({clip!r}, 'old', 'm', interval_seconds=0.1,\n"
            "    realtime=False)\n"
            "await stream.wait()"
        )
        server.delay = 0.3
        interrupt = threading.Timer(1.0, kernel.interrupt)
        interrupt.start()
        shown = kernel.run("await stream.backfill('new', max_in_flight=2, cache=False)")
        interrupt.join()
        assert "Error" in shown or "Interrupt" in shown
        state, done = kernel.run("job = stream.backfills[0]\nprint(job.state, job.done)").split()
        assert state == "cancelled"
        assert 1 <= int(done) < N
        kept = kernel.run("int(stream.df['v2'].notna().sum())")
        assert kept == done
        server.delay = 0.0
        # The bar belongs to the cell that asked for it.
        shown = kernel.run("await job.resume()")
        assert f"done: {N} of {N} samples" in shown
        assert kernel.run("stream.df['v2'].notna().all()") == "np.True_"
        # A cell that does not wait: it goes on while the next one blocks.
        kernel.run("job = stream.backfill('newer', progress=False, cache=False)")
        assert kernel.run("import time; time.sleep(1); print(job.state)").strip() == "done"
        kernel.run("await client.close()")
