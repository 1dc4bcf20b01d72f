"""CPU of a request with a 300 KB frame: our ``ChatClient`` against plain httpx with ``json=``.

    python benchmarks/requests.py [--rounds 7] [--requests 160]

The server runs in another process and answers a fixed chat completion. Both clients send the
same frames to it, interleaved round by round; what is counted is the CPU time of this process.
Prints the medians and exits with 1 when a bar is missed.
"""

# ruff: noqa: E402
from __future__ import annotations

import sys
from pathlib import Path

# Run as a script, this file's folder comes first in the path and this file would be "requests".
sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != Path(__file__).resolve().parent]

import argparse
import asyncio
import base64
import json
import os
import socket
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import httpx

from overshoot_nb.asking.chat import ChatClient
from overshoot_nb.types import EncodedFrame, Sample

FRAME_BYTES = 300_000
#: The most that our CPU time may be of httpx's, by requests at once.
BARS = {8: 0.35, 32: 0.25}
PROMPT = "What is happening? Answer in one sentence."
MODEL = "a-model"
TEXT = "A rabbit stands in a meadow."
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": MODEL,
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": TEXT}}
    ],
    "usage": {"prompt_tokens": 300, "completion_tokens": 8, "total_tokens": 308},
}

Ask = Callable[[], Awaitable[str]]


def serve(descriptor: int) -> None:
    """Answer every request on the inherited socket."""
    import uvicorn

    body = json.dumps(ANSWER).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]

    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    uvicorn.run(app, fd=descriptor, log_level="error", lifespan="off", timeout_keep_alive=60)


def plain_httpx(url: str, jpeg: bytes, at_once: int) -> tuple[Ask, Callable[[], Awaitable[None]]]:
    """What most programs do."""
    limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
    client = httpx.AsyncClient(limits=limits, timeout=60)

    async def ask() -> str:
        image = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
        content = [
            {"type": "text", "text": PROMPT},
            {"type": "image_url", "image_url": {"url": image}},
        ]
        response = await client.post(
            f"{url}/chat/completions",
            json={"model": MODEL, "messages": [{"role": "user", "content": content}]},
            headers={"Authorization": "Bearer a-key-for-the-benchmark"},
        )
        response.raise_for_status()
        return response.json()["choices"][0]["message"]["content"]

    return ask, client.aclose


def ours(url: str, jpeg: bytes, at_once: int) -> tuple[Ask, Callable[[], Awaitable[None]]]:
    """The public client, as a stream uses it."""
    client = ChatClient(
        "a-key-for-the-benchmark", base_url=url, timeout=60, max_connections=at_once
    )
    request = client.prepare(PROMPT, MODEL)
    sample = Sample(0, "frame", 0.0, datetime.now(UTC), (EncodedFrame(0.0, jpeg, 1280, 720),))

    async def ask() -> str:
        answer = await client.complete(request, sample)
        assert answer.ok, answer.error
        return answer.content

    return ask, client.close


CLIENTS = {"httpx json=": plain_httpx, "ChatClient": ours}


async def load(ask: Ask, requests: int, at_once: int) -> tuple[float, float]:
    """CPU and wall milliseconds per request."""
    turns = iter(range(requests))

    async def worker() -> None:
        for _ in turns:
            assert await ask() == TEXT

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    scale = 1e3 / requests
    return (time.process_time() - cpu) * scale, (time.perf_counter() - wall) * scale


async def compare(url: str, at_once: int, rounds: int, requests: int) -> float:
    """Print one table and return our CPU time over httpx's."""
    jpeg = os.urandom(FRAME_BYTES)
    opened = {name: open_client(url, jpeg, at_once) for name, open_client in CLIENTS.items()}
    for ask, _ in opened.values():
        await load(ask, at_once * 2, at_once)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in opened}
    for _ in range(rounds):
        for name, (ask, _) in opened.items():
            taken[name].append(await load(ask, requests, at_once))
    for _, close in opened.values():
        await close()

    cpu = {name: statistics.median(c for c, _ in times) for name, times in taken.items()}
    wall = {name: statistics.median(w for _, w in times) for name, times in taken.items()}
    base = cpu["httpx json="]
    print(f"\n{at_once} at once, {FRAME_BYTES // 1000} KB frames, medians of {rounds} x {requests}")
    print(f"{'':14}{'CPU ms':>9}{'ratio':>8}{'wall ms':>10}")
    for name in cpu:
        print(f"{name:14}{cpu[name]:9.2f}{cpu[name] / base:8.2f}{wall[name]:10.2f}", flush=True)
    return cpu["ChatClient"] / base


#: Of the time of a first request, so much may count: the rest is loading.
FIRST_BAR = 0.25
#: A new process asks for the first time; prints how long that took, how much of it was counted
#: against the time limit, and the longest time that the loop stood still, in seconds.
FIRST = """
import asyncio, sys, time
from overshoot_nb.asking.chat import ChatClient
from overshoot_nb.asking.text_chat import ask_text
clock, stalls, real = [], [], asyncio.timeout
def timeout(seconds):
    clock.append(time.perf_counter())
    return real(seconds)
async def tick():
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.001)
        stalls.append(time.perf_counter() - before - 0.001)
async def main():
    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0.01)
    async with ChatClient("key", base_url=sys.argv[1]) as client:
        asyncio.timeout = timeout
        began = time.perf_counter()
        await ask_text(client, "what?", "model")
        ended = time.perf_counter()
    ticking.cancel()
    print(ended - began, ended - clock[0], max(stalls))
asyncio.run(main())
"""


def first_request(url: str, rounds: int) -> float:
    """The part of a process's first request that counts against its time limit, 0..1."""
    found = []
    for _ in range(rounds):
        command = [sys.executable, "-c", FIRST, url]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found.append([float(word) for word in said.split()])
    whole, counted, stall = (statistics.median(column) for column in zip(*found, strict=True))
    print(
        f"first request: {whole * 1e3:.0f} ms, of which {counted * 1e3:.0f} ms count against its "
        f"time limit; longest stall of the loop {stall * 1e3:.0f} ms"
    )
    return counted / whole


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=160)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve)
        return 0

    with socket.create_server(("127.0.0.1", 0)) as listener:
        # The socket is open already, so nothing has to wait for the server to come up.
        port = listener.getsockname()[1]
        command = [sys.executable, __file__, "--serve", str(listener.fileno())]
        server = subprocess.Popen(command, pass_fds=[listener.fileno()])
    missed = []
    try:
        for at_once, bar in BARS.items():
            ratio = asyncio.run(
                compare(f"http://127.0.0.1:{port}/v1", at_once, options.rounds, options.requests)
            )
            verdict = "met" if ratio <= bar else "MISSED"
            print(f"bar: at most {bar:.2f} of httpx's CPU: {ratio:.2f}, {verdict}")
            missed += [at_once] if ratio > bar else []
        ratio = first_request(f"http://127.0.0.1:{port}/v1", options.rounds)
        verdict = "met" if ratio <= FIRST_BAR else "MISSED"
        print(f"bar: at most {FIRST_BAR:.2f} of it counts: {ratio:.2f}, {verdict}")
        missed += [0] if ratio > FIRST_BAR else []
    finally:
        server.terminate()
        server.wait()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
