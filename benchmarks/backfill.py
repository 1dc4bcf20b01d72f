"""A backfill beside a live stream: python benchmarks/backfill.py [--rounds 3] [--no-engine]

A chat server in a process of its own takes 200 ms to answer. A video of 640x360 is watched in real
time, four samples a second, and kept within a store of 8 MB. Then, while it goes on, another prompt
is asked about 120 stored samples, 8 requests at once. Bars:

- wall time at most 1.25 x the ideal, which is 120 x 0.2 s / 8;
- the live stream drops no more samples than in a run of the same length without a backfill;
- the backfill takes no more memory (peak of the resident set) than the store's bound.

Then the same beside the embedded engine, which answers one request at a time: how much later the
live stream's answers come while a backfill runs, printed, and its drops, which must be no more.
Needs the extras ``local`` and ``test``. Exits with 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# This folder has a module called requests, which other packages would take for theirs.
sys.path = [p for p in sys.path if Path(p or ".").resolve() != HERE]

import av  # noqa: E402
import numpy as np  # noqa: E402
import psutil  # noqa: E402

import overshoot_nb  # noqa: E402
from overshoot_nb import demo  # noqa: E402
from overshoot_nb.store.stats import StreamStats  # noqa: E402

LATENCY = 0.2
SAMPLES = 120
IN_FLIGHT = 8
IDEAL = SAMPLES * LATENCY / IN_FLIGHT
MOST = 1.25
INTERVAL = 0.25
STORE_BYTES = 8 * 1024 * 1024
WIDTH, HEIGHT, FPS = 640, 360, 15

SERVER = """
import asyncio, sys
from aiohttp import web

async def answer(request):
    await request.read()
    await asyncio.sleep(float(sys.argv[1]))
    message = {"role": "assistant", "content": "a street"}
    usage = {"prompt_tokens": 100, "completion_tokens": 3, "total_tokens": 103}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return web.json_response({"id": "c", "model": "m", "choices": [choice], "usage": usage})

async def main():
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def serve() -> tuple[subprocess.Popen[str], str]:
    """A server of its own process, and its URL."""
    command = [sys.executable, "-c", SERVER, str(LATENCY)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tempfile.gettempdir())
    assert server.stdout is not None
    return server, f"http://127.0.0.1:{int(server.stdout.readline())}/v1"


def film(path: Path, seconds: float) -> None:
    """A video with something of a street's detail in it, so that its JPEGs weigh something."""
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 255, (HEIGHT, WIDTH * 2, 3), np.uint8)
    ground = (ground // 4 + 96).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(int(seconds * FPS)):
            shift = number * 4 % WIDTH
            pixels = np.ascontiguousarray(ground[:, shift : shift + WIDTH])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode(None))


class Memory:
    """The most that this process takes while it is watched, beyond what it took before."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._before = self._process.memory_info().rss
        self.grown = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.01):
            self.grown = max(self.grown, self._process.memory_info().rss - self._before)


class Run:
    """What came of the stream from one moment to another."""

    def __init__(self, before: StreamStats, after: StreamStats, latencies: list[float]) -> None:
        self.drops = sum(after.drops.values()) - sum(before.drops.values())
        self.errors = after.errors - before.errors
        self.samples = after.samples - before.samples
        self.p50 = statistics.median(latencies)
        self.p95 = statistics.quantiles(latencies, n=20)[-1]
        self.wall = 0.0
        self.grown = 0
        self.stored = 0

    def __str__(self) -> str:
        return (
            f"{self.samples} samples, {self.drops} drops, {self.errors} errors, capture to answer "
            f"p50 {self.p50:.0f} ms, p95 {self.p95:.0f} ms"
        )


async def rows_of(stream: overshoot_nb.Stream, count: int) -> None:
    """Wait for so many rows."""
    async for _ in stream:
        count -= 1
        if not count:
            return


async def watch(client: overshoot_nb.Overshoot, video: Path, prompt: str | None) -> Run:
    """A live stream until it has SAMPLES rows, and for as long again as a backfill takes."""
    stream = await client.streams.create(
        str(video), "What is it?", "m", interval_seconds=INTERVAL, keep_frames=STORE_BYTES
    )
    await rows_of(stream, SAMPLES)
    before, rows = stream.stats, len(stream.df)
    wall, grown = 0.0, 0
    if prompt is None:
        await asyncio.sleep(IDEAL * MOST)
    else:
        kept = list(stream.frames)[-SAMPLES:]
        with Memory() as memory:
            started = time.perf_counter()
            job = stream.backfill(prompt, samples=kept, max_in_flight=IN_FLIGHT, progress=False)
            await job
            wall = time.perf_counter() - started
        grown = memory.grown
        assert (job.state, job.errors, job.requests) == ("done", 0, SAMPLES), job
        assert stream.df[job.column].notna().sum() == SAMPLES
        await asyncio.sleep(max(IDEAL * MOST - wall, 0))
    run = Run(before, stream.stats, stream.df["total_latency_ms"].tolist()[rows:])
    await stream.close()
    run.wall, run.grown, run.stored = wall, grown, stream.frames.nbytes
    return run


async def watch_engine(video: Path, seconds: float, backfill: bool) -> tuple[Run, int]:
    """A live stream on the embedded engine, and the samples that a backfill got through."""
    source = overshoot_nb.FileSource(str(video))
    async with overshoot_nb.Overshoot(base_url="local") as client:
        stream = await client.streams.create(
            source, demo.PROMPT, "local/auto", interval_seconds=0.5,
            output_schema=demo.SCHEMA,
        )  # fmt: skip
        await rows_of(stream, 8)
        before, rows, asked = stream.stats, len(stream.df), 0
        until = time.monotonic() + seconds
        number = 0
        while time.monotonic() < until:
            if not backfill:
                await asyncio.sleep(0.1)
                continue
            number += 1
            job = stream.backfill(
                f"Read the text ({number})", output_schema=None, progress=False, cache=False
            )
            try:
                async with asyncio.timeout(until - time.monotonic()):
                    await job  # a cancelled await cancels it
            except TimeoutError:
                pass
            asked += job.requests
        run = Run(before, stream.stats, stream.df["total_latency_ms"].tolist()[rows:])
        await stream.close()
        return run, asked


async def against_server(rounds: int) -> list[str]:
    """Measure and print; what was missed."""
    missed = []
    server, url = serve()
    try:
        with tempfile.TemporaryDirectory() as folder:
            video = Path(folder) / "street.mp4"
            film(video, SAMPLES * INTERVAL + 3 * IDEAL)
            async with overshoot_nb.Overshoot("key", base_url=url) as client:
                alone = []
                beside = []
                for number in range(rounds):
                    alone.append(await watch(client, video, None))
                    beside.append(await watch(client, video, f"Is it wet? ({number})"))
    finally:
        server.terminate()
        server.wait()
    for name, runs in (("without", alone), ("with", beside)):
        for run in runs:
            print(f"live stream {name} a backfill: {run}")
    ratios = [run.wall / IDEAL for run in beside]
    ratio = statistics.median(ratios)
    print(
        f"{SAMPLES} samples, {LATENCY * 1e3:.0f} ms, {IN_FLIGHT} at once: wall time {ratio:.2f} x "
        f"the ideal {IDEAL:g} s ({', '.join(f'{r:.2f}' for r in ratios)})"
    )
    grown = statistics.median(run.grown for run in beside)
    print(
        f"memory of the backfill at most {grown / 2**20:.1f} MB (store: {STORE_BYTES >> 20} MB, "
        f"of which {beside[0].stored / 2**20:.1f} MB used)"
    )
    if ratio > MOST:
        missed.append(f"wall time {ratio:.2f} x the ideal, not at most {MOST}")
    if sum(r.drops for r in beside) > sum(r.drops for r in alone):
        missed.append("the live stream dropped more samples beside a backfill")
    if any(r.errors for r in (*alone, *beside)):
        missed.append("the live stream had errors")
    if grown > STORE_BYTES or any(r.stored > STORE_BYTES for r in beside):
        missed.append(f"memory grew by {grown / 2**20:.1f} MB, more than the store's bound")
    return missed


async def beside_engine(rounds: int, video: Path) -> list[str]:
    """Measure and print; what was missed."""
    alone, beside = [], []
    for _ in range(rounds):
        alone.append((await watch_engine(video, 10, backfill=False))[0])
        beside.append(await watch_engine(video, 10, backfill=True))
    for run in alone:
        print(f"embedded engine, stream alone: {run}")
    for run, asked in beside:
        print(f"embedded engine, beside a backfill: {run}; {asked} samples asked about in 10 s")
    if sum(r.drops for r, _ in beside) > sum(r.drops for r in alone):
        return ["on the embedded engine the live stream dropped more samples beside a backfill"]
    return []


async def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-engine", action="store_true")
    parser.add_argument("--no-server", action="store_true")
    args = parser.parse_args()
    missed = []
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"load of the machine before: {load:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        video = Path(demo.video())  # is made once, in the user's own cache folder
        os.environ[overshoot_nb.config.ENV_CACHE_DIR] = folder  # answers of earlier runs
        if not args.no_server:
            missed += await against_server(args.rounds)
        if not args.no_engine:
            missed += await beside_engine(args.rounds, video)
        from overshoot_nb.store.answer_cache import answer_cache

        answer_cache().close()
    for line in missed:
        print("MISSED:", line)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
