"""Gaps: when a stream leaves the embedded engine alone, and a backfill beside such a stream."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from overshoot_nb import FileSource, Overshoot
from overshoot_nb.store.journal import Journal
from overshoot_nb.tuning import gaps as module
from overshoot_nb.tuning.gaps import Gaps
from overshoot_nb.types import Sample, StreamInferenceResult

from videos import make_video

STEP = 0.5


@dataclass
class Watched:
    """What Gaps reads of a run."""

    is_active: bool = True
    journal: Journal = field(default_factory=lambda: Journal(None, 0))
    settings: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(realtime=True, max_in_flight=1, step_seconds=STEP)
    )

    def sample(self, *, ago: float) -> Sample:
        taken = datetime.now(UTC) - timedelta(seconds=ago)
        sample = Sample(len(self.journal.log), "frame", 0.0, taken, ())
        self.journal.sampled(sample)
        return sample

    def answer(self, sample: Sample) -> None:
        self.journal.answered(
            StreamInferenceResult(
                "id", "s", "frame", "m", "p", "x", 1.0, 1.0, True,
                sample=sample.index, captured_at=sample.captured_at,
            )
        )  # fmt: skip


def waits(run: Watched, takes: float = 0.0) -> bool:
    gaps = Gaps(run)
    gaps.took(takes)

    async def main() -> bool:
        waiting = asyncio.create_task(gaps.wait())
        await asyncio.sleep(0)  # its first step, which is its last where nothing is waited for
        at_once = waiting.done()
        await waiting
        return not at_once

    return asyncio.run(main())


@pytest.fixture(autouse=True)
def little_patience(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.1)


def test_it_waits_for_the_answer_under_way_and_for_room_before_the_next_sample():
    run = Watched()
    assert not waits(run)  # no sample yet
    sample = run.sample(ago=0.1)
    assert waits(run)
    run.answer(sample)
    assert not waits(run, takes=0.1)
    assert waits(run, takes=0.45)  # the next sample is due in 0.4 s
    run.settings.step_seconds = 2.0
    assert not waits(run, takes=0.45)


def test_a_stream_that_is_over_paused_or_in_no_hurry_is_not_waited_for():
    run = Watched()
    run.answer(run.sample(ago=3.0))  # long overdue
    assert not waits(run, takes=1.0)
    run.answer(run.sample(ago=0.0))
    assert waits(run, takes=1.0)
    run.is_active = False
    assert not waits(run, takes=1.0)
    run.is_active, run.settings.realtime = True, False
    assert not waits(run, takes=1.0)


def test_an_older_request_of_several_counts_too():
    run = Watched()
    run.settings.max_in_flight = 2
    run.sample(ago=0.2)
    run.answer(run.sample(ago=0.1))
    assert waits(run)


def test_a_backfill_beside_a_stream_on_the_embedded_engine(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 2.0)
    clip = make_video(tmp_path / "clip.mp4", frames=240, fps=30)

    async def main():
        async with Overshoot(base_url="local") as client:
            stream = await client.streams.create(
                FileSource(str(clip), loop=True), "How bright is it?", "local/scene",
                interval_seconds=0.1,
            )  # fmt: skip
            async for result in stream:
                if result.sample >= 15:
                    break
            job = await stream.backfill("Which colours are there?", progress=False, cache=False)
            assert (job.state, job.errors) == ("done", 0)
            await stream.close()
            df = stream.df
            assert df["v2.ok"].sum() == job.total
            assert df["ok"].all()

    asyncio.run(main())
