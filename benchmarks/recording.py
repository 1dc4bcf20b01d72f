"""What writing recordings costs: python benchmarks/recording.py

A run of 10,000 rows with frames of 60 KB is written as a file, and the same table with a plain
``pyarrow.parquet.write_table``; both in turn, onto the same disk. Then a stream runs with and
without being recorded: CPU of the whole process, and drops. Bars: more than 100 MB a second, no
picture and no row lost, at most a few per cent of CPU. The exit status is 1 where one does not
hold.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from overshoot_nb import FrameSource, Overshoot
from overshoot_nb.asking.endpoint import resolve_endpoint
from overshoot_nb.recording.arrow_rows import RowWriter, in_groups
from overshoot_nb.recording.ended_run import rows_of, write_run
from overshoot_nb.running.run_secrets import Secrets
from overshoot_nb.running.service import open_service
from overshoot_nb.settings.stream_settings import StreamSettings
from overshoot_nb.store.journal import Journal
from overshoot_nb.store.prompts import PromptHistory, PromptVersion
from overshoot_nb.support.progress import TICK_SECONDS
from overshoot_nb.types import EncodedFrame, Sample, StreamInferenceResult, Usage

MEGABYTES_A_SECOND = 100.0
#: Of a plain write_table of the same table.
MOST_TIME = 2.0
#: Of the CPU of the same stream, unrecorded.
MOST_CPU = 1.15

PICTURE_BYTES = 60_000
SCHEMA = {
    "type": "object",
    "properties": {
        "people": {"type": "integer"},
        "dark": {"type": "boolean"},
        "scene": {"type": "string"},
        "boxes": {"type": "array"},
    },
}


class MadeRun:
    """A run that is over: what writing needs of one."""

    is_active = False

    def __init__(self, rows: int) -> None:
        self.stream_id = "stream-1"
        self.settings = StreamSettings.build("clip.mp4", "What?", "m", output_schema=SCHEMA)
        self.service = open_service(resolve_endpoint(base_url="http://127.0.0.1:9/v1"), 1.0)
        self.prompts = PromptHistory(PromptVersion(1, "What?", "m", SCHEMA))
        self.journal = Journal(SCHEMA, 2**40)
        noise = np.random.default_rng(0)
        start = datetime(2026, 1, 1, tzinfo=UTC)
        for index in range(rows):
            at = start + timedelta(seconds=index / 2)
            frame = EncodedFrame(index / 2, noise.bytes(PICTURE_BYTES), 1280, 720)
            self.journal.sampled(Sample(index, "frame", index / 2, at, (frame,)))
            output = {"people": index % 7, "dark": index % 3 == 0, "scene": f"a hall {index % 97}"}
            self.journal.sent()
            self.journal.answered(
                StreamInferenceResult(
                    id=f"res-{index:08x}",
                    stream_id=self.stream_id,
                    mode="frame",
                    model_name="m",
                    prompt="What?",
                    result=str({**output, "boxes": [index, 1]}),
                    inference_latency_ms=700.5,
                    total_latency_ms=900.5,
                    ok=True,
                    sample=index,
                    media_time=index / 2,
                    frame_times=(index / 2,),
                    captured_at=at,
                    answered_at=at,
                    usage=Usage(300, 20, 320),
                    output={**output, "boxes": [index, 1]},
                )
            )


def tables(run: Any) -> Iterator[pa.Table]:
    """The run's rows as the tables that its row groups are made of."""
    writer = RowWriter(run.journal.table.schemas, Secrets.of(run))
    yield from map(writer.table, in_groups(rows_of(run)))


def plainly(whole: list[pa.Table], path: Path) -> None:
    """The same rows by Arrow alone, the pictures uncompressed too."""
    names = whole[0].schema.names
    compression = {name: "zstd" for name in names if name not in ("frames", "frame_times", "video")}
    compression["frame_times.list.element"] = "zstd"
    table = pa.concat_tables(whole)
    pq.write_table(
        table,
        path,
        compression=compression,
        use_dictionary=list(compression),
        row_group_size=whole[0].num_rows,
    )


def seconds(step: Any) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def measure_writing(rows: int, rounds: int, folder: Path) -> bool:
    """Print how fast a run is written; True where the bars hold."""
    run: Any = MadeRun(rows)
    whole = list(tables(run))
    ours, plain = [], []
    path = folder / "run.parquet"
    for _ in range(rounds):  # in turn, so that a busy machine or disk slows both
        # Both into new files: the pages of a file that is replaced have to be given back.
        path.unlink(missing_ok=True)
        ours.append(
            seconds(lambda: write_run(run, path, overwrite=False, wrote=lambda written: None))
        )
        size = path.stat().st_size
        path.unlink()
        plain.append(seconds(lambda: plainly(whole, path)))
    rate = size / 1e6 / statistics.median(ours)
    plain_rate = size / 1e6 / statistics.median(plain)
    ratio = statistics.median(a / b for a, b in zip(ours, plain, strict=True))
    print(
        f"{rows:,} rows with {PICTURE_BYTES:,} bytes of picture, {size / 1e6:.0f} MB: "
        f"{rate:.0f} MB/s (bar {MEGABYTES_A_SECOND:.0f}); write_table of the table made of them "
        f"before {plain_rate:.0f} MB/s; {ratio:.2f} x its time (bar {MOST_TIME})"
    )
    return rate > MEGABYTES_A_SECOND and ratio <= MOST_TIME


# ---- a stream ----------------------------------------------------------------------------------

#: A server of its own process, whose CPU is not ours.
SERVER = """
import sys
sys.path.insert(0, sys.argv[1])
from chatserver import ChatServer
with ChatServer(lambda request: "yes") as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def chat_server() -> Iterator[str]:
    tests = str(Path(__file__).parent.parent / "tests")
    command = [sys.executable, "-c", SERVER, tests]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        assert process.stdin is not None
        process.stdin.close()


async def live(url: str, path: Path | None, length: float) -> tuple[float, int, int, int]:
    """Run a stream of 10 samples a second; CPU seconds, rows, drops and lost pictures."""
    noise = np.random.default_rng(1)
    pictures = [noise.integers(0, 90, (360, 640, 3), np.uint8) for _ in range(10)]
    source = FrameSource(640, 360)
    source.push_frame(pictures[0], media_time=0.0)
    async with Overshoot("key", base_url=url) as client:
        stream = await client.streams.create(source, "?", "m", interval_seconds=0.1)
        recorder = stream.record(path) if path is not None else None
        await asyncio.sleep(1)
        before, dropped = time.process_time(), sum(stream.stats.drops.values())
        began = time.monotonic()
        for number in range(1, int(length * 30)):
            source.push_frame(pictures[number % 10], media_time=number / 30)
            await asyncio.sleep(max(0.0, began + number / 30 - time.monotonic()))
        spent = time.process_time() - before
        drops = sum(stream.stats.drops.values()) - dropped
        await asyncio.sleep(TICK_SECONDS)
        await stream.close()
        return spent, len(stream.df), drops, recorder.lost_pictures if recorder else 0


def measure_stream(rounds: int, length: float, folder: Path) -> bool:
    """Print what recording costs a stream; True where the bars hold."""
    cpu: dict[bool, list[float]] = {True: [], False: []}
    drops: dict[bool, int] = {True: 0, False: 0}
    lost = rows = 0
    with chat_server() as url:
        for number in range(rounds):
            for recorded in (True, False):
                path = folder / f"live{number}.parquet" if recorded else None
                spent, count, dropped, missing = asyncio.run(live(url, path, length))
                cpu[recorded].append(spent)
                drops[recorded] += dropped
                lost += missing
                if path is not None:
                    rows = pq.read_metadata(path).num_rows
                    lost += max(count - rows, 0)
    share = {k: statistics.median(v) / length * 100 for k, v in cpu.items()}
    ratio = statistics.median(cpu[True]) / statistics.median(cpu[False])
    print(
        f"a stream of 10 samples a second at 640x360, {rows} rows: {share[True]:.1f} % of a core "
        f"recorded, {share[False]:.1f} % not: {ratio:.2f} x (bar {MOST_CPU}); drops {drops[True]} "
        f"and {drops[False]}; {lost} rows or pictures lost (bar 0)"
    )
    # A busy machine drops samples either way.
    return ratio <= MOST_CPU and lost == 0 and drops[True] <= max(drops[False], 1)


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--rows", type=int, default=10_000, help="rows (default 10000)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of a stream (default 10)")
    options = parser.parse_args()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"Python {platform.python_version()}, pyarrow {pa.__version__}; load before: {load:.1f}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        held = [
            measure_writing(options.rows, options.rounds, folder),
            measure_stream(options.rounds, options.seconds, folder),
        ]
    print("all bars hold" if all(held) else "A BAR DOES NOT HOLD")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
