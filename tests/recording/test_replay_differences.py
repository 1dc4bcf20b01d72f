"""A notebook that is earlier, later or another than it was; recordings of odd runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from replays import FIRST, MODEL, SECOND, at, tasks_left

import overshoot_nb
from overshoot_nb import Overshoot, Replay, Stream, StreamClosedError, ValidationError
from overshoot_nb.recording import replay_session
from overshoot_nb.recording.loading import load_run
from overshoot_nb.recording.replay_service import RecordedAnswers
from overshoot_nb.sampling.pipeline import SampleReader
from overshoot_nb.types import FrameProcessingConfig, Sample

from made_runs import MadeRun

pytestmark = pytest.mark.usefixtures("no_threads_left")

JPEG = simplejpeg.encode_jpeg(np.zeros((360, 640, 3), np.uint8), 50, "BGR")


def made(count: int = 0, *, state: str = "ended", versions: int = 1) -> MadeRun:
    """A run of FIRST with a row each half second."""
    run = MadeRun(*[None] * versions, prompt=FIRST, model=MODEL)
    answer(run, count)
    run.state, run.note = state, "by whoever"  # type: ignore[misc]
    return run


def answer(run: MadeRun, count: int, **fields: object) -> None:
    for _ in range(count):
        run.answered(run.sampled(JPEG), **fields)


def played(path: Path, steer: Callable[[Stream], Awaitable[object]], speed: str = "inf") -> Stream:
    """The recording, asked FIRST, in the hands of ``steer``."""

    async def main() -> Stream:
        async with Overshoot(base_url=at(path, speed)) as client:
            stream = await client.streams.create("camera", FIRST, MODEL)
            await steer(stream)
            return stream

    stream = asyncio.run(asyncio.wait_for(main(), 60))
    assert not tasks_left()
    return stream


async def to_the_end(stream: Stream) -> None:
    await stream.wait(60)


async def rows(stream: Stream, count: int) -> None:
    while len(stream.df) < count:
        await asyncio.sleep(0.002)


# ---- a notebook that is another -----------------------------------------------------------------


def test_a_change_that_never_comes_fails_the_stream(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(replay_session, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(replay_session, "GIVE_UP_SECONDS", 0.1)
    run = made(4, versions=2)
    answer(run, 4, prompt_version=2)
    path = run.record(tmp_path / "run.parquet")

    async def forget(stream: Stream) -> None:
        with pytest.raises(ValidationError, match=r"version 2, 'What\? \(2\)', which nobody asked"):
            await stream.wait(60)
        with pytest.raises(ValidationError, match="update_prompt"):
            async for _ in stream:
                pass

    stream = played(path, forget)
    assert len(stream.df) == 4
    assert stream.state == "failed"
    assert "goes on with prompt version 2" in caplog.text


def test_analyze_says_that_there_is_more(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(replay_session, "PATIENCE_SECONDS", 0.05)
    run = made(4, versions=2)
    answer(run, 4, prompt_version=2)
    path = run.record(tmp_path / "run.parquet")
    df = overshoot_nb.analyze("no.mp4", FIRST, MODEL, base_url=at(path), progress=False)
    assert len(df) == 4
    assert "goes on with prompt version 2, 'What? (2)', which nobody asked" in caplog.text


def test_changes_that_come_after_the_end_are_no_errors(tmp_path):
    """Without waiting, a run of seconds is through before a notebook looks up."""
    path = made(5).record(tmp_path / "run.parquet")

    async def late(stream: Stream) -> None:
        await stream.wait(60)
        assert (await stream.update(interval_seconds=2.0)).prompt == FIRST
        await stream.pause()
        await stream.resume()
        await stream.update_prompt(FIRST)
        with pytest.raises(ValidationError, match="nothing is invented"):
            await stream.update_prompt(SECOND)
        assert stream.status == "ended: by whoever"
        assert len(stream.df) == 5
        await stream.close()
        assert stream.state == "ended"

    played(path, late)


def test_what_is_closed_or_failed_is_so_in_a_replay_too(tmp_path):
    path = made(5).record(tmp_path / "run.parquet")

    async def closed(stream: Stream) -> None:
        await stream.close()
        with pytest.raises(StreamClosedError):
            await stream.pause()

    played(path, closed, "0.5")


# ---- a notebook that is earlier -----------------------------------------------------------------


def test_what_is_caught_up_with_comes_in_its_order(tmp_path):
    """Else a long recording would have all of its pictures in memory at once."""
    run = made(150, versions=2)
    answer(run, 2, prompt_version=2)
    path = run.record(tmp_path / "run.parquet")
    waiting: list[int] = []

    async def early(stream: Stream) -> None:
        journal = stream._run.journal

        class Listener:
            def answered(self, result) -> None:
                waiting.append(len(stream.samples) - 1 - result.sample)

            def sampled(self, *_) -> None: ...

            missed = dropped = sampled

        journal.listen(Listener())
        await stream.update_prompt(load_run(path).prompts[2])
        await stream.wait(60)

    stream = played(path, early, "10")
    assert stream.df["sample"].tolist() == list(range(152))
    assert len(waiting) > 140
    assert max(waiting) == 0


def test_a_restart_that_comes_early_goes_on_with_the_next_part(tmp_path, monkeypatch, caplog):
    """Even where there was no time for what came before it."""
    monkeypatch.setattr(replay_session, "CATCH_UP_SECONDS", 0.0)
    run = made(50)
    run.stream_id = "run-2"
    for k in range(5):
        run.answered(run.sampled(JPEG, media_time=k / 2), "again")
    path = run.record(tmp_path / "run.parquet")

    async def again(stream: Stream) -> None:
        await rows(stream, 1)
        await stream.restart()
        await stream.wait(60)

    stream = played(path, again, "10")
    assert stream.df["stream_id"].tolist()[-6:] == ["run-1"] + ["run-2"] * 5
    assert 1 <= (stream.df["stream_id"] == "run-1").sum() < 5
    assert "was ended early, after" in caplog.text
    assert "of 50 samples" in caplog.text


def test_nothing_comes_after_a_close(tmp_path, monkeypatch):
    """An update that is still catching up ends with it."""
    monkeypatch.setattr(replay_session, "CATCH_UP_SECONDS", 0.05)
    run = made(3000, versions=2)
    answer(run, 2, prompt_version=2)
    path = run.record(tmp_path / "run.parquet")
    second = load_run(path).prompts[2]

    async def close(stream: Stream) -> None:
        updating = asyncio.ensure_future(stream.update_prompt(second))
        await rows(stream, 5)
        await stream.close()
        taken = len(stream.samples)
        await asyncio.gather(updating, return_exceptions=True)
        await asyncio.sleep(0.1)
        assert len(stream.samples) == taken < 3000

    stats = played(path, close, "1").stats
    assert stats.waiting == stats.in_flight == 0


# ---- odd runs -----------------------------------------------------------------------------------


def test_a_run_without_a_row(tmp_path):
    run = made(versions=2)
    sample = run.sampled(JPEG)
    run.journal.dropped(sample.index, "stream closed", sent=False)
    run.adopt(2)
    stream = played(run.record(tmp_path / "run.parquet"), to_the_end)
    assert stream.state == "ended"
    assert len(stream.df) == 0
    assert stream.stats.drops == {"stream closed": 1}
    assert list(stream.frames) == [0]


def test_rows_of_a_prompt_that_is_not_there_are_damage(tmp_path):
    run = made()
    answer(run, 2, prompt_version=9)
    path = run.record(tmp_path / "run.parquet")
    with pytest.raises(ValidationError, match="damaged: it has rows of prompt version 9"):
        Overshoot(base_url=at(path))


def test_times_that_go_back_are_not_waited_for(tmp_path):
    run = made(2)
    run.answered(run.sampled(JPEG, media_time=-5.0))
    answer(run, 1)
    path = run.record(tmp_path / "run.parquet")
    assert len(played(path, to_the_end, "20").df) == 4
    with SampleReader(Replay(path, None), FrameProcessingConfig(0.5)) as reader:
        assert len(list(reader)) == 4


def test_samples_of_one_tick_are_told_apart(tmp_path):
    """Files are read faster than some clocks tick; and many pictures show the same."""
    run = made(versions=2)
    moment = run.sampled(JPEG).captured_at
    for index in range(1, 4):
        run.answered(run.sampled(JPEG), f"it is {index}", captured_at=moment)
    recorded = load_run(run.record(tmp_path / "run.parquet"))
    answers = RecordedAnswers(recorded)
    first = recorded.prompts[1]
    for index in range(1, 4):
        stored = recorded.journal.frames[index].sample
        asked = Sample(index + 7, "frame", stored.media_time, moment, stored.frames)
        found = answers.find(first, asked)
        assert found is not None
        assert found.result == f"it is {index}"
    # Elsewhere it is known by what it shows. Of four that do, the first was not answered.
    other = answers.find(first, Sample(0, "frame", 99.0, moment, stored.frames))
    assert other is not None
    assert other.result == "it is 1"
