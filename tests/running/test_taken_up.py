"""Samples of a file that show the very same picture: one is asked about, the others copy it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import threading
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

import overshoot_nb
from overshoot_nb import AuthenticationError, FileSource, Overshoot, ValidationError
from overshoot_nb.sampling.pipeline import SampleReader
from overshoot_nb.settings.stream_settings import StreamSettings
from overshoot_nb.types import ClipProcessingConfig, FrameProcessingConfig

from chatserver import ChatServer, Reply, Request
from videos import make_video, number_in

pytestmark = pytest.mark.usefixtures("no_threads_left")

MODEL = "test/model"
FPS, FRAMES = 10, 6
#: Five samples a frame.
EVERY = 0.02
ALL = list(range(5 * FRAMES))
#: The sample that is asked about for each.
ASKED = [k - k % 5 for k in ALL]


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Ten frames a second, six of them, in a container that counts milliseconds."""
    return str(make_video(tmp_path_factory.mktemp("slow") / "slow.mkv", FRAMES, fps=FPS))


def number(request: Request) -> str:
    return str(number_in(request.jpegs[0]))


def watched(server: ChatServer, source: object, **parameters):  # type: ignore[no-untyped-def]
    """A stream that has ended."""
    parameters = {"interval_seconds": EVERY, "realtime": False, **parameters}

    async def main():  # type: ignore[no-untyped-def]
        async with Overshoot("ovs-test-secret", base_url=server.url) as client:
            stream = await client.streams.create(source, "What number?", MODEL, **parameters)
            with contextlib.suppress(overshoot_nb.OvershootError):
                await stream.wait()
            return stream

    return asyncio.run(asyncio.wait_for(main(), 60))


def balanced(stats) -> bool:  # type: ignore[no-untyped-def]
    dropped = sum(stats.drops.values())
    return stats.samples == stats.results + stats.errors + dropped and not stats.in_flight


def test_what_shows_the_same_copies_its_answer(slow: str) -> None:
    called: list[int] = []
    with ChatServer(number) as server:
        stream = watched(server, slow, on_result=lambda result: called.append(result.sample))
    df = stream.df
    assert len(server.requests) == FRAMES
    assert df["sample"].tolist() == called == ALL
    assert df["result"].tolist() == [str(k // 5) for k in ALL]
    own = [a if a != k else pd.NA for k, a in zip(ALL, ASKED, strict=True)]
    assert str(df["copied_from"].dtype) == "Int64"
    assert df["copied_from"].isna().tolist() == [a is pd.NA for a in own]
    assert df["copied_from"].dropna().tolist() == [a for a in own if a is not pd.NA]
    copied = df["copied_from"].notna()
    for column in ("inference_latency_ms", "total_latency_ms", "prompt_tokens", "total_tokens"):
        assert df[column].isna().tolist() == copied.tolist()
    assert df["id"].nunique() == df["captured_at"].notna().sum() == len(df)
    assert (df["answered_at"] >= df["captured_at"]).all()
    assert df["media_time"].dt.total_seconds().tolist() == pytest.approx([k * EVERY for k in ALL])
    stats = stream.stats
    assert (stats.results, stats.copies, stats.total_tokens) == (30, 24, 6 * 12)
    assert balanced(stats)
    # What was asked is counted, what was copied is not; the pictures are kept once.
    assert df.overshoot.tokens(by=())["n"].tolist() == [FRAMES]
    assert df.overshoot.latency(by=())["n"].tolist() == [FRAMES]
    assert df.overshoot.cost(by=())["n"].tolist() == [FRAMES]
    assert all(stream.frames[k].frames is stream.frames[a].frames for k, a in enumerate(ASKED))
    once = sum(stream.frames[k].nbytes for k in set(ASKED))
    assert stream.frames.nbytes + stream.frames.nbytes_on_disk >= once


def test_clips_of_the_very_same_frames_are_asked_about_once(slow: str) -> None:
    clips = {"target_fps": 10, "clip_length_seconds": 0.3, "delay_seconds": 0.05}
    with ChatServer(lambda r: str([number_in(j) for j in r.jpegs])) as server:
        stream = watched(server, slow, interval_seconds=None, **clips)
    rows = stream._run.journal.table.results_since(0)
    assert len({row.frame_times for row in rows}) == len(server.requests) < len(rows)
    of_frames = {row.frame_times: row.sample for row in reversed(rows)}
    for row in rows:
        first = of_frames[row.frame_times]
        assert row.copied_from == (None if first == row.sample else first)
        assert row.result == rows[first].result
    processing = ClipProcessingConfig(10, 0.3, 0.05)
    taken = list(SampleReader(FileSource(slow), processing, clip_encoding="video"))
    pairs = [(a, b) for a, b in itertools.pairwise(taken) if a.frames == b.frames]
    assert pairs
    assert all(a.frames is b.frames and a.video is b.video for a, b in pairs)


def test_asking_again_can_be_chosen_and_nothing_else_is_taken(slow: str) -> None:
    with ChatServer(number) as server:
        stream = watched(server, slow, same_frame="ask", max_in_flight=8)
    assert len(server.requests) == len(ALL)
    assert stream.df["copied_from"].isna().all()
    assert stream.stats.copies == 0
    assert StreamSettings.build(slow, "?", "?").same_frame == "copy"
    with pytest.raises(ValidationError, match="same_frame='skip'"):
        StreamSettings.build(slow, "?", "?", same_frame="skip")  # type: ignore[arg-type]


def test_an_error_is_asked_again_by_the_next_that_shows_the_same(slow: str) -> None:
    seen: Counter[str] = Counter()

    def once_wrong(request: Request) -> str | Reply:
        seen[number(request)] += 1
        if seen[number(request)] <= 2:
            return Reply('{"error": {"message": "no such thing"}}', status=422)
        return number(request)

    errors: list[Exception] = []
    with ChatServer(once_wrong) as server:
        stream = watched(server, slow, on_error=errors.append, max_in_flight=2)
    df = stream.df
    assert df["sample"].tolist() == ALL
    assert df["ok"].tolist() == [k % 5 >= 2 for k in ALL]
    assert df["copied_from"].isna().tolist() == [k % 5 <= 2 for k in ALL]
    assert df["copied_from"].dropna().tolist() == [k - k % 5 + 2 for k in ALL if k % 5 > 2]
    assert len(server.requests) == 3 * FRAMES
    assert len(errors) == stream.stats.errors == 2 * FRAMES
    assert balanced(stream.stats)


def test_another_prompt_is_asked_about_the_same_picture(slow: str) -> None:
    asked = threading.Event()
    go_on = threading.Event()

    def answer(request: Request) -> str:
        if request.prompt.startswith("What"):
            asked.set()
            assert go_on.wait(60)
        return request.prompt[:4]

    async def main(server: ChatServer):  # type: ignore[no-untyped-def]
        async with Overshoot("ovs-test-secret", base_url=server.url) as client:
            stream = await client.streams.create(
                str(slow),
                "What?",
                MODEL,
                interval_seconds=EVERY,
                realtime=False,
                max_in_flight=1,
            )
            await asyncio.to_thread(asked.wait, 60)
            await stream.update_prompt("Else?")
            go_on.set()
            await stream.wait()
            return stream

    with ChatServer(answer) as server:
        stream = asyncio.run(asyncio.wait_for(main(server), 60))
    df = stream.df
    assert set(df["prompt_version"]) == {1, 2}
    for _, rows in df.groupby("prompt_version"):
        assert set(rows["copied_from"].dropna()) <= set(rows["sample"][rows["copied_from"].isna()])
    assert (df["result"] == df["prompt"].astype(str).str[:4]).all()
    assert balanced(stream.stats)


def test_in_real_time_a_copy_waits_without_a_slot_and_is_not_replaced(slow: str) -> None:
    """While the first answer is awaited, the samples of its picture wait and none is dropped."""
    third_copy = threading.Event()

    def answer(request: Request) -> str:
        if number(request) == "0":
            assert third_copy.wait(60)
        return number(request)

    async def main(server: ChatServer):  # type: ignore[no-untyped-def]
        async with Overshoot("ovs-test-secret", base_url=server.url) as client:
            stream = await client.streams.create(slow, "?", MODEL, interval_seconds=EVERY)
            while stream.stats.samples < 4:
                await asyncio.sleep(0.002)
            in_flight = stream.stats.in_flight
            third_copy.set()
            await stream.wait()
            return stream, in_flight

    with ChatServer(answer) as server:
        stream, in_flight = asyncio.run(asyncio.wait_for(main(server), 60))
    assert in_flight == server.most_in_flight == 1
    rows = {row.sample: row for row in stream._run.journal.table.results_since(0)}
    assert {k: rows[k].copied_from for k in range(4)} == {0: None, 1: 0, 2: 0, 3: 0}
    assert [rows[k].result for k in range(4)] == ["0"] * 4
    assert balanced(stream.stats)


def test_a_fatal_error_ends_it_without_asking_for_each_copy(slow: str) -> None:
    refusal = Reply('{"error": {"message": "bad key"}}', status=401)
    with ChatServer(lambda request: refusal) as server:
        stream = watched(server, slow, max_in_flight=1)
    assert isinstance(stream.error, AuthenticationError)
    assert len(server.requests) == stream.stats.errors == 1
    assert balanced(stream.stats)


def test_closing_ends_the_copies_that_wait(slow: str) -> None:
    asked, over = threading.Event(), threading.Event()

    def hang(request: Request) -> str:
        asked.set()
        over.wait(60)
        return "late"

    async def main(server: ChatServer):  # type: ignore[no-untyped-def]
        async with Overshoot("ovs-test-secret", base_url=server.url) as client:
            stream = await client.streams.create(
                slow, "?", MODEL, interval_seconds=EVERY, realtime=False, max_in_flight=1
            )
            await asyncio.to_thread(asked.wait, 60)
            while stream.stats.waiting < 4:
                await asyncio.sleep(0.002)
            await stream.close()
            over.set()
            return stream

    with ChatServer(hang) as server:
        stream = asyncio.run(asyncio.wait_for(main(server), 60))
    assert stream.stats.drops == {"stream closed": stream.stats.samples}
    assert balanced(stream.stats)


def test_a_recording_keeps_whose_answer_it_is(slow: str, tmp_path: Path) -> None:
    with ChatServer(number) as server:
        df = overshoot_nb.analyze(
            slow,
            "?",
            MODEL,
            base_url=server.url,
            api_key="ovs-test-secret",
            progress=False,
            interval_seconds=EVERY,
            record=tmp_path / "run.parquet",
        )
    loaded = overshoot_nb.load(tmp_path / "run.parquet")
    pd.testing.assert_frame_equal(loaded.df, df)
    assert (loaded.stats.copies, loaded.stats.in_flight, loaded.stats.waiting) == (24, 0, 0)
    assert [number_in(loaded.frames[k].frames[0].data) for k in ALL] == [k // 5 for k in ALL]

    async def again():  # type: ignore[no-untyped-def]
        async with Overshoot(base_url=f"replay:{tmp_path / 'run.parquet'}?speed=inf") as client:
            stream = await client.streams.create("any.mp4", "?", MODEL)
            await stream.wait()
            return stream

    replayed = asyncio.run(asyncio.wait_for(again(), 60))
    assert replayed.df["copied_from"].tolist() == df["copied_from"].tolist()
    assert balanced(replayed.stats)


def test_scores_and_tests_count_a_picture_once(slow: str) -> None:
    with ChatServer(number) as server:

        async def main():  # type: ignore[no-untyped-def]
            async with Overshoot("ovs-test-secret", base_url=server.url) as client:
                stream = await client.streams.create(
                    slow, "?", MODEL, interval_seconds=EVERY, realtime=False
                )
                await stream.wait()
                # The second picture is labelled by copies alone.
                for sample in (*range(5), 6, 7):
                    stream.label(sample, "0")
                before = len(server.requests)
                job = await stream.backfill("Once more?")
                asked = len(server.requests) - before
                return stream, asked, job

        stream, asked, job = asyncio.run(asyncio.wait_for(main(), 60))
    assert asked == FRAMES
    assert (len(job.samples), job.cached) == (len(ALL), len(ALL) - FRAMES)
    later = stream._run.journal.later.of(2)
    assert [later[k].copied_from for k in ALL] == [
        None if a == k else a for k, a in enumerate(ASKED)
    ]
    assert [later[k].result for k in ALL] == [str(k // 5) for k in ALL]
    assert all(math.isnan(later[k].inference_latency_ms) for k in ALL if k % 5)
    totals = stream.score().totals
    assert {v: (t.right, t.n) for v, t in totals.items()} == {1: (1, 2), 2: (1, 2)}
    assert stream.paired_test(1, 2).n == 2
    assert set(stream.stability()["n"]) == {FRAMES}


def test_a_picture_is_encoded_once_for_all_its_samples(slow: str) -> None:
    taken = list(SampleReader(FileSource(slow), FrameProcessingConfig(EVERY)))
    assert len({id(s.frames) for s in taken}) == FRAMES
    assert len(taken) == len(ALL)
