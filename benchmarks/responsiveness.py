"""How soon what was begun lets go: the engine's loop, cancelled requests, a stream that is closed.

    python benchmarks/responsiveness.py

Times that no test asserts, since a busy machine would fail it. Each is the median of the rounds,
and fails above its bar:

====================  =====  ==================================================================
loop_lag              50 ms  how late a loop turns while the engine answers four requests on it
beside_a_schema      200 ms  GET /models while a request's large schema is looked at
cancelling           100 ms  six requests are cancelled: until all of them have ended
closing                1 s   the engine ends with two requests at work: until it is closed
closing_a_stream       5 s   a stream whose server never answers is closed
====================  =====  ==================================================================
"""

from __future__ import annotations

import asyncio
import base64
import statistics
import sys
import time
from pathlib import Path
from typing import Any

# requests.py in this folder must not stand in for the package of that name, which RapidOCR uses.
sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != Path(__file__).parent]

import httpx  # noqa: E402
import numpy as np  # noqa: E402
import simplejpeg  # noqa: E402

from overshoot_nb import Overshoot, demo, local  # noqa: E402

ROUNDS = 5
BARS_MS = {
    "loop_lag": 50,
    "beside_a_schema": 200,
    "cancelling": 100,
    "closing": 1000,
    "closing_a_stream": 5000,
}


def body(schema: dict[str, Any] | None = None) -> dict[str, Any]:
    """A chat completions request about a picture of noise and bars."""
    noise = np.random.default_rng(7).integers(0, 255, (360, 640, 3), np.uint8)
    noise[::40] = 255
    url = base64.b64encode(simplejpeg.encode_jpeg(noise, 80)).decode()
    picture = {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{url}"}}
    asked: dict[str, Any] = {
        "model": "local/auto",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Read"}, picture]}],
    }
    if schema is not None:
        form = {"name": "answer", "schema": schema}
        asked["response_format"] = {"type": "json_schema", "json_schema": form}
    return asked


def client() -> httpx.AsyncClient:
    """A client of the engine of this process."""
    transport = local.open_transport()
    return httpx.AsyncClient(transport=transport, base_url="http://local/v1beta", timeout=60)


async def loop_lag(c: httpx.AsyncClient) -> float:
    """Median seconds that a sleep of 5 ms takes too long."""
    lags = []
    work = asyncio.gather(*(c.post("/chat/completions", json=body()) for _ in range(4)))
    while not work.done():
        began = time.perf_counter()
        await asyncio.sleep(0.005)
        lags.append(time.perf_counter() - began - 0.005)
    await work
    return statistics.median(lags)


async def beside_a_schema(c: httpx.AsyncClient) -> float:
    """Seconds of a small request beside one with a large schema."""
    large = {"type": "object", "properties": {f"a{i}": {"enum": [str(i)]} for i in range(900)}}
    asked = asyncio.create_task(c.post("/chat/completions", json=body(large)))
    await asyncio.sleep(0.01)
    began = time.perf_counter()
    answer = await c.get("/models")
    took = time.perf_counter() - began
    assert answer.status_code == 200
    await asked
    return took


async def cancelling(c: httpx.AsyncClient) -> float:
    """Seconds until requests that were cancelled have ended."""
    tasks = [asyncio.ensure_future(c.post("/chat/completions", json=body())) for _ in range(6)]
    await asyncio.sleep(0.02)
    began = time.perf_counter()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return time.perf_counter() - began


async def closing(c: httpx.AsyncClient) -> float:
    """Seconds until the engine is closed, with requests at work."""
    tasks = [asyncio.ensure_future(c.post("/chat/completions", json=body())) for _ in range(2)]
    await asyncio.sleep(0.02)
    began = time.perf_counter()
    await asyncio.to_thread(local.close_engine)
    took = time.perf_counter() - began
    await asyncio.gather(*tasks, return_exceptions=True)
    return took


async def closing_a_stream(_: httpx.AsyncClient) -> float:
    """Seconds that ``stream.close()`` takes where a request is never answered."""
    asked = asyncio.Event()

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Overshoot("key", base_url=f"http://127.0.0.1:{port}/v1") as own:
        stream = await own.streams.create(demo.video(), "Read", "a/model")
        await asked.wait()
        began = time.perf_counter()
        await stream.close()
        took = time.perf_counter() - began
    server.close()
    return took


async def measured() -> dict[str, float]:
    """Milliseconds of each, the median of the rounds."""
    found: dict[str, list[float]] = {name: [] for name in BARS_MS}
    for _ in range(ROUNDS):
        async with client() as c:
            await c.post("/chat/completions", json=body())  # the models are loaded
            for measure in (loop_lag, beside_a_schema, cancelling, closing, closing_a_stream):
                found[measure.__name__].append(await measure(c))
    return {name: statistics.median(values) * 1e3 for name, values in found.items()}


def main() -> int:
    """Print each figure and its bar; 1 where one is missed."""
    figures = asyncio.run(measured())
    missed = [name for name, value in figures.items() if value > BARS_MS[name]]
    for name, value in figures.items():
        print(f"{name:16} {value:8.1f} ms  (bar {BARS_MS[name]} ms)")
    print(f"missed: {', '.join(missed)}" if missed else "all bars held")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
