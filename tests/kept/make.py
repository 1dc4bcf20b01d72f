"""Makes the files of one version beside this script: recordings, prompts, labels.

Run with the package of the version whose files are wanted, and the tests' own folder of today::

    git worktree add /tmp/then v0.5.0-or-its-commit
    PYTHONPATH=/tmp/then:tests python tests/kept/make.py

They land in ``tests/kept/<version>/`` (another folder: the first argument). Files that are there
are never made anew: what an old version wrote is kept as it is. A prompt's answers are decided by
the picture alone: a barcode with the number of its frame.
"""

from __future__ import annotations

import asyncio
import json
import lzma
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import overshoot_nb
from overshoot_nb import ArraySource, FileSource, Overshoot

from chatserver import ChatServer, Reply, Request
from videos import barcode, make_video, number_in

KEPT = Path(__file__).parent
FPS = 10
SCHEMA = {
    "type": "object",
    "properties": {
        "number": {"type": "integer"},
        "share": {"type": "number"},
        "even": {"type": "boolean"},
        "kind": {"type": "string", "enum": ["low", "high"]},
        "digits": {"type": "array", "items": {"type": "integer"}},
        "half": {"type": ["integer", "null"]},
    },
    "required": ["number", "share", "even", "kind", "digits", "half"],
}
#: About so many frames the server fails.
FAILING = (12,)


def answer(request: Request) -> str | Reply:
    """What is asked about a picture: its number, as a text, as words or with fields."""
    numbers = [number_in(jpeg) for jpeg in request.jpegs]
    number = numbers[0]
    if "unlucky" in request.prompt and number in FAILING:
        return Reply(json.dumps({"error": {"message": "this number is refused"}}), status=400)
    if "fields" in request.prompt:
        half = number // 2 if number % 2 == 0 else None
        fields = {
            "number": number,
            "share": number / 40,
            "even": number % 2 == 0,
            "kind": "low" if number < 10 else "high",
            "digits": [int(digit) for digit in str(number)],
            "half": half,
        }
        return json.dumps(fields)
    if "clip" in request.prompt:
        return " ".join(map(str, numbers))
    if "words" in request.prompt:
        return f"it is {number} – “ü”"
    return f"number {number}"


def pictures(count: int) -> np.ndarray:
    """``count`` frames, each with its number."""
    return np.stack([barcode(number) for number in range(count)])


async def plain(client: Overshoot, folder: Path) -> None:
    """Frames with a failed one; labels, answers that came later; files of prompts and labels."""
    stream = await client.streams.create(
        ArraySource(pictures(30), fps=FPS),
        "Which unlucky number?",
        "test/model",
        interval_seconds=0.4,
        max_output_tokens=40,
        temperature=0.25,
        realtime=False,
        max_in_flight=1,
    )
    await stream.wait()
    for index in (0, 1, 2):
        stream.label(index, f"number {4 * index}")
    stream.label(4, right=False)
    stream.label(5, "number 21")
    job = stream.backfill(
        "Say it in words", column="words", last=60, note="in words", progress=False, cache=False
    )
    await job
    await stream.backfill(
        "Now with fields",
        column="fields",
        samples=[1, 2, 5],
        output_schema=SCHEMA,
        progress=False,
        cache=False,
    )
    stream.record(folder / "plain.parquet")
    stream.prompts[2].save(folder / "words.toml")
    stream.prompts[3].save(folder / "fields.toml")
    (folder / "labels.json").write_text(stream.labels.to_json(), "utf-8")
    await stream.close()


async def schema(client: Overshoot, folder: Path) -> None:
    """Typed columns, recorded while they came."""
    stream = await client.streams.create(
        ArraySource(pictures(20), fps=FPS),
        "Now with fields",
        "test/model",
        interval_seconds=0.5,
        output_schema=SCHEMA,
        realtime=False,
        max_in_flight=1,
    )
    stream.record(folder / "schema.parquet")
    await stream.wait()
    stream.label(0, {"number": 0, "even": True})
    stream.label(3, 14, field="number")
    await stream.close()


async def clip(client: Overshoot, folder: Path) -> None:
    """Clips of three frames."""
    stream = await client.streams.create(
        ArraySource(pictures(30), fps=FPS),
        "Which clip?",
        "test/model",
        mode="clip",
        target_fps=5,
        clip_length_seconds=0.6,
        delay_seconds=1.0,
        realtime=False,
        max_in_flight=1,
    )
    stream.record(folder / "clip.parquet")
    await stream.wait()
    await stream.close()


async def drops(client: Overshoot, server: ChatServer, folder: Path, video: Path) -> None:
    """A file in real time, of which a slow server misses some."""
    server.delay = 0.35
    stream = await client.streams.create(
        FileSource(path=str(video)), "Which number?", "test/model", interval_seconds=0.2
    )
    stream.record(folder / "drops.parquet")
    await stream.wait()
    await stream.close()
    server.delay = 0.0


async def killed(base_url: str, path: str, video: str) -> None:
    """Record a file in real time until the process is killed."""
    client = Overshoot(base_url=base_url)
    stream = await client.streams.create(
        FileSource(path=video, loop=True), "Which number?", "test/model", interval_seconds=0.2
    )
    stream.record(path)
    await asyncio.sleep(120)


def kill_one(server: ChatServer, folder: Path, video: Path) -> None:
    """A recording without its end: its process is killed once rows are in it."""
    path = folder / "killed.parquet"
    script = str(Path(__file__).resolve())
    command = [sys.executable, script, "killed", server.url, path.name, str(video)]
    process = subprocess.Popen(command, env=os.environ)
    asked = len(server.requests)
    while len(server.requests) < asked + 12:
        time.sleep(0.05)
    time.sleep(1.5)  # what came is on disk within a second
    process.send_signal(signal.SIGKILL)
    process.wait()
    # It lies in the 64 MB that a recording reserves, nearly all of them zeros.
    packed = path.with_name(path.name + ".xz")
    packed.write_bytes(lzma.compress(path.read_bytes()))
    path.unlink()


async def make(folder: Path) -> None:
    folder.mkdir(parents=True)
    video = folder / "video.mp4"
    make_video(video, 20, fps=FPS, gop=10)
    with ChatServer(answer) as server:
        os.chdir(folder)  # so that recordings name the video without a place of this machine
        async with Overshoot(base_url=server.url) as client:
            await plain(client, folder)
            await schema(client, folder)
            await clip(client, folder)
            await drops(client, server, folder, Path("video.mp4"))
        kill_one(server, folder, Path("video.mp4"))


def main(*given: Any) -> None:
    if given[:1] == ("killed",):
        asyncio.run(killed(*given[1:]))
        return
    folder = Path(given[0]).resolve() if given else KEPT / overshoot_nb.__version__
    asyncio.run(make(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
