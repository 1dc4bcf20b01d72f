"""backfill() and compare() with a recording in the place of the server."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pandas as pd
import pytest
from replays import FIRST, MODEL, SECOND, at

import overshoot_nb
from overshoot_nb import Overshoot, ValidationError, compare
from overshoot_nb.recording.replay_service import ReplayAsker

from chatserver import ChatServer, Reply, completion
from videos import make_video, number_in

pytestmark = pytest.mark.usefixtures("no_threads_left")

SCHEMA = {
    "type": "object",
    "properties": {"number": {"type": "integer"}},
    "required": ["number"],
}
#: So that the same picture is the same in every file.
LOSSLESS = {"qp": "0"}


def answer(request) -> str | Reply:
    number = number_in(request.jpegs[0])
    if request.prompt.startswith(SECOND) and number == 6:
        return Reply('{"error": {"message": "not this one"}}', status=400)
    if "response_format" in request.body:
        return Reply(completion(f'{{"number": {number}}}', model="other"))
    return f"{request.prompt[:3]} {number}"


async def tuned(stream) -> None:
    """What a notebook asks later."""
    await stream.backfill(SECOND, column="second", progress=False, cache=False)
    await stream.backfill(output_schema=SCHEMA, column="typed", progress=False, cache=False)
    stream.labels.update({i: f"Whi {3 * i}" for i in range(5)})


async def cell(client: Overshoot, source: object):
    stream = await client.streams.create(source, FIRST, MODEL, interval_seconds=0.1, realtime=False)
    await stream.wait()
    return stream


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("asked")
    video = make_video(folder / "video.mp4", 30, options=LOSSLESS)
    with ChatServer(answer) as server:

        async def main():
            async with Overshoot(base_url=server.url) as client:
                stream = await cell(client, str(video))
                await tuned(stream)
                return stream

        stream = asyncio.run(main())
    stream.record(folder / "run.parquet", progress=False)
    return stream, folder / "run.parquet"


def test_what_was_asked_later_is_answered_again(recorded):
    stream, path = recorded

    async def main():
        async with Overshoot(base_url=at(path)) as client:
            replayed = await cell(client, "gone.mp4")
            assert "second" not in replayed.df
            await tuned(replayed)
            return replayed

    replayed = asyncio.run(main())
    pd.testing.assert_frame_equal(replayed.df, stream.df)
    assert replayed.df["second.error"].notna().sum() == 1
    assert [v.parameters for v in replayed.prompts] == [v.parameters for v in stream.prompts]
    assert replayed.score().df.equals(stream.score().df)


def test_prompts_are_compared(recorded):
    _, path = recorded

    async def main(what, **options):
        return await compare(
            what, [FIRST, SECOND], models=[MODEL], progress=False, cache=False, **options
        )

    async def offline():
        async with Overshoot(base_url=at(path)) as client:
            replayed = await cell(client, "gone.mp4")
            return await main(replayed)

    df = asyncio.run(offline()).df
    assert len(df) == 20
    answers = [part.sort_values("sample")["answer"] for _, part in df.groupby("prompt", sort=False)]
    assert answers[0].tolist() == [f"Whi {3 * i}" for i in range(10)]
    assert answers[1].tolist() == [f"And {3 * i}" if i != 2 else "" for i in range(10)]
    failed = df[~df["ok"]]
    assert failed["sample"].tolist() == [2]
    assert "not this one" in failed["error"].iloc[0]
    # Pictures by themselves are known by what they show, whoever has them.
    pictures = [overshoot_nb.load(path).frames[i].frames[0].data for i in (1, 4)]
    compared = asyncio.run(main(pictures, base_url=at(path)))
    text = compared.df.to_string()
    assert "Whi 3" in text
    assert "Whi 12" in text
    assert "And 12" in text


def test_nothing_else_is_answered(recorded, tmp_path):
    _, path = recorded
    other = make_video(tmp_path / "other.mp4", 60, options=LOSSLESS)

    async def main():
        async with Overshoot(base_url=at(path)) as client:
            replayed = await cell(client, "gone.mp4")
            with pytest.raises(ValidationError, match=r"no answer to 'Why\?'.*prompt versions are"):
                await replayed.backfill("Why?", progress=False)
            with pytest.raises(ValidationError, match="recording, which answers what was asked"):
                await replayed.prompts.suggest(MODEL)
            # A picture that was not there.
            with ChatServer(answer) as server:
                async with Overshoot(base_url=server.url) as asked:
                    stranger = await asked.streams.create(
                        str(other), FIRST, MODEL, interval_seconds=0.75, realtime=False
                    )
                    await stranger.wait()
                    job = stranger.backfill(
                        SECOND,
                        client=client,
                        column="second",
                        max_in_flight=1,  # in order: after an answer, failures do not end it
                        progress=False,
                        cache=False,
                    )
                    await asyncio.wait([asyncio.ensure_future(_settled(job))])
            return stranger.df

    df = asyncio.run(main())
    # The first picture of both videos is the same; the others were never sampled.
    assert df["second"].iloc[0] == "And 0"
    assert df["second.ok"].tolist()[1:] == [False] * (len(df) - 1)
    assert df["second.error"].str.contains("has no answer to")[1:].all()


async def _settled(job) -> None:
    with contextlib.suppress(overshoot_nb.OvershootError):
        await job


def test_repeats_were_not_recorded(recorded):
    stream, path = recorded

    async def main():
        async with Overshoot(base_url=at(path)) as client:
            asker = client._service.asker()
            assert isinstance(asker, ReplayAsker)
            question = await asker.prepare(stream.prompts[1])
            asked = await asker.ask(question, stream.frames[2].sample)
            assert asked.answer.content == "Whi 6"
            assert asked.answer.usage == stream._run.journal.table[2].usage
            assert asked.answer.latency_ms == stream._run.journal.table[2].inference_latency_ms
            with pytest.raises(overshoot_nb.ApiError, match="no repeats"):
                await asker.ask(question, stream.frames[2].sample, repeat=1)

    asyncio.run(main())
