"""A notebook that makes a recording, and how a replay of it is compared with what was recorded."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pandas as pd

import overshoot_nb
from overshoot_nb import Overshoot, Stream
from overshoot_nb.runtime.event_loop import get_runtime

from chatserver import Reply, Request, completion
from videos import number_in

MODEL = "test/model"
FIRST = "Which number?"
SECOND = "And in words?"
SCHEMA = {
    "type": "object",
    "properties": {"number": {"type": "integer"}, "tags": {"type": "array"}},
    "required": ["number"],
}


def answer(request: Request) -> str | Reply:
    """A number; slow now and then, so that samples are dropped, and sometimes an error."""
    number = number_in(request.jpegs[0])
    if number in (18, 21, 60, 63):
        return Reply('{"error": {"message": "not this one"}}', status=400)
    text = f"{request.prompt}: {number} 🎬"
    if "response_format" in request.body:
        text = (
            f'{{"number": {number}, "tags": ["é", {number}]}}'
            if number not in (66, 69, 72)
            else "no JSON"
        )
    return Reply(completion(text), delay=0.25 if number in (12, 45) else 0.005)


async def notebook(source: object, steps: list[Any] | None = None) -> Stream:
    """What a person has in a notebook: it steers by what it sees. Its server is the environment's.

    Every 0.1 s a frame; other prompts after 7 rows and after 13.
    """
    seen: list[Any] = [] if steps is None else steps

    def on_error(error: Exception) -> None:
        seen.append(("error", str(error)))

    async with Overshoot() as client:
        stream = await client.streams.create(
            source,
            FIRST,
            MODEL,
            on_result=lambda result: seen.append((result.sample, result.result)),
            on_error=on_error,
            interval_seconds=0.1,
        )
        rows = 0
        async for _ in stream:
            rows += 1
            if rows == 7:
                await stream.update_prompt(SECOND)
            if rows == 13:
                await stream.update(output_schema=SCHEMA)
        await stream.wait()
        return stream


def run_notebook(source: object, steps: list[Any] | None = None) -> Stream:
    """The notebook, to its end."""
    return asyncio.run(asyncio.wait_for(notebook(source, steps), 60))


def assert_same(replayed: Stream, recorded: Stream) -> None:
    """Equal in every column, picture, drop, figure and question."""
    pd.testing.assert_frame_equal(replayed.df, recorded.df)
    assert list(replayed.frames) == list(recorded.frames)
    for index in recorded.frames:
        assert replayed.frames[index].sample == recorded.frames[index].sample
    assert list_of(replayed) == list_of(recorded)
    assert replayed.stats == recorded.stats
    assert [v.parameters for v in replayed.prompts] == [v.parameters for v in recorded.prompts]
    assert replayed.prompt_version == recorded.prompt_version
    assert replayed.stream_id == recorded.stream_id


def list_of(stream: Stream) -> list[Any]:
    """Time and fate of every sample."""
    return [stream.samples[i] for i in range(len(stream.samples))]


def at(path: Path, speed: str | None = None) -> str:
    """The address of a recording."""
    return f"replay:{path}" + (f"?speed={speed}" if speed is not None else "")


def tasks_left() -> list[str]:
    """The tasks on the runtime's loop."""

    async def names() -> list[str]:
        return [repr(t) for t in asyncio.all_tasks() if t is not asyncio.current_task()]

    return get_runtime().run(names())


def loaded(path: Path) -> Stream:
    """The recording as a stream."""
    return overshoot_nb.load(path)
