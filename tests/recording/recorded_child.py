"""Processes that record a stream until they are killed.

Each line of its input, ``PATH small|usual``, is another process that records to that path. It
writes ``PATH.log``: first "recording", its process id and when it began, then a line for each thing
that its stream has: "sample", "drop" or "result", the index, and when. They are forked: importing
everything takes longer than a recording that is killed soon.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import TextIO

import numpy as np

from overshoot_nb import FrameSource, Overshoot
from overshoot_nb.recording import arrow_rows, growing_file, live_recording

from chatserver import ChatServer
from videos import HEIGHT, WIDTH, barcode, number_in

FPS = 12
#: Nobody is left behind where the test that kills them fails.
MOST_SECONDS = 60


class Witness:
    """Listens as the recording does."""

    def __init__(self, log: TextIO) -> None:
        self.log = log

    def say(self, kind: str, index: int) -> None:
        self.log.write(f"{kind} {index} {time.time()}\n")

    def sampled(self, sample) -> None:
        self.say("sample", sample.index)

    def missed(self, index, media_time, reason) -> None:
        self.say("sample", index)

    def dropped(self, index, reason) -> None:
        self.say("drop", index)

    def answered(self, result) -> None:
        self.say("result", result.sample)


def make_small() -> None:
    """Row groups of a few rows: everything that happens to a file happens often."""
    arrow_rows.GROUP_BYTES = live_recording.GROUP_BYTES = 40_000
    live_recording.TICK_SECONDS = 0.1
    growing_file.STEP_BYTES = 300_000
    growing_file.STAGING_BYTES = 100_000
    growing_file.SLOT_BYTES = 2**13
    growing_file.ALIGNMENT = 2**13


async def main(path: str, log: TextIO) -> None:
    noise = np.random.default_rng(0)
    source = FrameSource(WIDTH, HEIGHT)
    number = 0

    def picture() -> np.ndarray:
        found = barcode(number % 1000)
        found[40:] = noise.integers(0, 255, found[40:].shape, np.uint8)
        return found

    # Every seventh answer is late: its sample waits for a while.
    def answer(request) -> str:
        found = number_in(request.jpegs[0])
        time.sleep(1.5 if found % 7 == 3 else 0.0)
        return str(found)

    with ChatServer(answer) as server:
        async with Overshoot("ovs-test-secret", base_url=server.url) as client:
            source.push_frame(picture(), media_time=0.0)
            stream = await client.streams.create(
                source, "What?", "test/model", interval_seconds=1 / FPS, max_in_flight=4
            )
            stream.record(path)
            witness = Witness(log)
            witness.say("recording", os.getpid())
            stream._run.journal.listen(witness)
            began = time.monotonic()
            while number < FPS * MOST_SECONDS:
                number += 1
                source.push_frame(picture(), media_time=number / FPS)
                await asyncio.sleep(max(0.0, began + number / FPS - time.monotonic()))


def record(path: str, size: str) -> None:
    if size == "small":
        make_small()
    with Path(path + ".log").open("w", buffering=1) as log:  # each line at once
        asyncio.run(main(path, log))


if __name__ == "__main__":
    import pyarrow.parquet  # noqa: F401 - what it would be imported for later

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries them
    for line in sys.stdin:
        if os.fork() == 0:
            record(*line.split())
