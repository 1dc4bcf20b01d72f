"""A v0.2 stream end to end, over loopback: python benchmarks/gateway.py [--rounds 5] [--seconds 20]

`overshoot-nb serve` runs in a process of its own, with its models loaded. Two things, each with its
bar:

- first: from calling ``client.streams.create`` to the first result, one frame's inference included;
- glass to result: from the moment at which a picture is pushed into a 640x360 source at 15 frames a
  second to its row, less the model's own time. Each picture shows its number, which is what the
  model reads: so the row itself tells which picture it is about. The same rows tell how far
  ``media_time``, which is worked out from latencies, is from the picture's own.

Also printed: the share of a core that publishing takes. Needs the extras ``local`` and ``webrtc``.
Exits with 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# This folder has a module called requests, which other packages would take for theirs.
sys.path = [p for p in sys.path if Path(p or ".").resolve() != HERE]

import cv2  # noqa: E402
import numpy as np  # noqa: E402

import overshoot_nb  # noqa: E402

FIRST_SECONDS = 2.0
GLASS_MS = 300.0
WIDTH, HEIGHT, FPS = 640, 360, 15
MODEL = "local/read"


def serve() -> tuple[subprocess.Popen[str], str]:
    """A server of its own process, and the URL of its v0.2 surface."""
    command = [sys.executable, "-m", "overshoot_nb", "serve", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    found = re.search(r"http\S+/v0\.2", server.stdout.readline())
    assert found is not None
    return server, found[0]


def picture(number: int) -> np.ndarray:
    """A picture that shows its number."""
    pixels = np.full((HEIGHT, WIDTH, 3), 30, np.uint8)
    pixels[:, : (number * 8) % WIDTH] += 20  # something moves
    where = (150, 210)
    cv2.putText(
        pixels, f"{number:05d}", where, cv2.FONT_HERSHEY_SIMPLEX, 4, (255, 255, 255), 8, cv2.LINE_AA
    )
    return pixels


class Camera:
    """Pushes numbered pictures in real time, and remembers when."""

    def __init__(self) -> None:
        self.source = overshoot_nb.FrameSource(WIDTH, HEIGHT)
        self.pushed: dict[int, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Camera:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        number = 0
        while not self._stop.wait(max(0.0, began + number / FPS - time.monotonic())):
            pixels = picture(number)
            self.pushed[number] = time.time()
            self.source.push_frame(pixels)
            number += 1


async def first_result(client: overshoot_nb.Overshoot) -> float:
    """Seconds from ``create`` to its first result."""
    with Camera() as camera:
        began = time.perf_counter()
        stream = await client.streams.create(camera.source, "Read any text", MODEL)
        async for _ in stream:
            break
        took = time.perf_counter() - began
        await stream.close()
    return took


async def glass_to_result(client: overshoot_nb.Overshoot, seconds: float) -> dict[str, list[float]]:
    """Of each row: its latency less the model's, and the error of its ``media_time``, in ms."""
    over: list[float] = []
    off: list[float] = []
    models: list[float] = []
    with Camera() as camera:
        stream = await client.streams.create(
            camera.source, "Read any text", MODEL, interval_seconds=0.5
        )
        await asyncio.sleep(1)
        spent, began = time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        share = (time.process_time() - spent) / (time.monotonic() - began)
        await stream.close()
    for row in stream.df.itertuples():
        number = re.sub(r"\D", "", row.result)
        if len(number) != 5 or row.answered_at is None:
            continue
        shown = camera.pushed[int(number)]
        latency = (row.answered_at.timestamp() - shown) * 1e3
        over.append(latency - row.inference_latency_ms)
        models.append(row.inference_latency_ms)
        off.append((row.captured_at.timestamp() - shown) * 1e3)
    return {"over": over, "off": off, "model": models, "share": [share]}


async def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20)
    args = parser.parse_args()
    server, url = serve()
    try:
        async with overshoot_nb.Overshoot("key", base_url=url) as client:
            await first_result(client)  # the models are loaded now
            firsts = [await first_result(client) for _ in range(args.rounds)]
            found = await glass_to_result(client, args.seconds)
    finally:
        server.terminate()
        server.wait()
    first, over = statistics.median(firsts), statistics.median(found["over"])
    print(f"create() to the first result: {first:.2f} s ({', '.join(f'{f:.2f}' for f in firsts)})")
    print(f"rows whose picture was read: {len(found['over'])}")
    print(f"the model's own time, p50: {statistics.median(found['model']):.0f} ms")
    print(f"glass to result over that, p50: {over:.0f} ms, most {max(found['over']):.0f} ms")
    off = [abs(x) for x in found["off"]]
    print(f"time worked out for a picture, off by p50 {statistics.median(off):.0f} ms")
    print(f"this process while publishing: {found['share'][0]:.1%} of a core, drawing included")
    missed = []
    if first >= FIRST_SECONDS:
        missed.append(f"first result after {first:.2f} s, not under {FIRST_SECONDS} s")
    if over >= GLASS_MS:
        missed.append(f"glass to result {over:.0f} ms, not under {GLASS_MS:.0f} ms")
    for line in missed:
        print("MISSED:", line)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
