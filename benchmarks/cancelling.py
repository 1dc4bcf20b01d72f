"""Whether cancelled calls freeze the process or leave streams: python benchmarks/cancelling.py

Each kind is run some times (``--runs``, 50), each time in a process of its own that is killed after
a minute: a process that is frozen holds the GIL, so it cannot tell by itself.

- create, hevc: ``create()`` is cancelled at many moments, while four open at once; H.264 and HEVC.
- logging: the same where the program itself has FFmpeg's messages logged (``av.logging``).
- threads: eight threads open sources at once, and each is cancelled.
- analyze: ``analyze()`` is interrupted (KeyboardInterrupt) at many moments.
- kernel: cells that create and analyze are stopped as a notebook's stop button does.

Prints how many runs of each kind froze or left something, and exits with 1 where any did.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import http.server
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

import overshoot_nb
from overshoot_nb import FileSource, Overshoot, Stream

KILL_SECONDS = 60
#: Seconds after which calls are cancelled; opening takes 5 to 50 ms.
MOMENTS = (0, 0.002, 0.004, 0.005, 0.006, 0.007, 0.01, 0.015)
#: What was interrupted is over after so many seconds.
SETTLE_SECONDS = 10


def make_clip(path: Path, codec: str = "libx264") -> Path:
    """Six seconds of moving noise, 640x360, with one keyframe."""
    noise = np.random.default_rng(1).integers(0, 256, (360, 640, 3), np.uint8)
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast"} | (
            {"x265-params": "log-level=0"} if "265" in codec else {}
        )
        stream: Any = container.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        stream.codec_context.gop_size = 250
        for index in range(180):
            pixels = np.roll(noise // 4, (index, 3 * index), (0, 1))
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        message = {"message": {"content": "ok"}, "finish_reason": "stop"}
        body = json.dumps({"id": "x", "choices": [message]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass  # a cancelled request hangs up


def serve() -> str:
    """A chat server; its URL."""
    server = _Server(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/v1"


def left() -> list[str]:
    """What still runs after a while: streams, and threads that read sources."""
    until = time.monotonic() + SETTLE_SECONDS
    while True:
        gc.collect()
        # Looked at by class: isinstance() would begin what is loaded when it is first used.
        streams = [str(x) for x in gc.get_objects() if type(x) is Stream and x.is_active]
        threads = [t.name for t in threading.enumerate() if t.name.startswith("overshoot-sampler")]
        if not (found := streams + threads) or time.monotonic() > until:
            return found
        time.sleep(0.05)


# ---- the kinds, each in a process of its own -----------------------------------------------------


async def _cancel_creating(clip: Path, url: str, rounds: int) -> None:
    client = Overshoot("key", base_url=url)  # stays open: closing it would end what was left

    def make() -> asyncio.Task[Stream]:
        source = FileSource(clip, loop=True)
        return asyncio.create_task(client.streams.create(source, "p", "m", interval_seconds=0.2))

    await (await make()).close()
    for moment in MOMENTS:
        for _ in range(rounds):
            task = make()
            await asyncio.sleep(moment)
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                await task.result().close()
    for _ in range(rounds):
        for stream in await asyncio.gather(*(make() for _ in range(4))):
            await stream.close()


def create(clip: Path, rounds: int) -> None:
    asyncio.run(_cancel_creating(clip, serve(), rounds))


def logging(clip: Path, rounds: int) -> None:
    av.logging.set_level(av.logging.VERBOSE)
    create(clip, rounds)


def threads(clip: Path, rounds: int) -> None:
    url = serve()
    with ThreadPoolExecutor(8) as pool:
        each = [
            pool.submit(lambda: asyncio.run(_cancel_creating(clip, url, max(1, rounds // 8))))
            for _ in range(8)
        ]
        for one in each:
            one.result()


def analyze(clip: Path, rounds: int) -> None:
    url = serve()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, interrupt)
    for moment in (*MOMENTS, 0.05, 0.1, 0.2):
        for _ in range(max(1, rounds // 2)):
            try:
                signal.setitimer(signal.ITIMER_REAL, moment + 0.001)
                overshoot_nb.analyze(
                    clip, "p", "m", base_url=url, interval_seconds=0.1, progress=False
                )
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                pass


_CELL = """
import asyncio, os, sys
import overshoot_nb
from overshoot_nb import FileSource, Overshoot
sys.path.insert(0, {here!r})
import cancelling
url = cancelling.serve()
client = Overshoot("key", base_url=url)
clip = {clip!r}
"""
_CELLS = (
    "overshoot_nb.analyze(clip, 'p', 'm', base_url=url, interval_seconds=0.1, progress=False)",
    "while True:\n"
    "    s = await client.streams.create(FileSource(clip, loop=True), 'p', 'm')\n"
    "    await s.close()",
)


def kernel(clip: Path, rounds: int) -> None:
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel()
    try:

        def run(code: str, stop_after: float | None = None) -> str:
            timer = None
            if stop_after is not None:
                # What comes before the cell begins is lost, and one that waits for it goes on.
                code = "print('begun')\n" + code
                timer = threading.Timer(stop_after, manager.interrupt_kernel)
            said: list[str] = []

            def hear(message: dict[str, Any]) -> None:
                said.append(message["content"].get("text", ""))
                if timer is not None and timer.ident is None and "begun" in said[-1]:
                    timer.start()

            client.execute_interactive(code, timeout=KILL_SECONDS, output_hook=hear)
            if timer is not None:
                timer.join()
            return "".join(said)

        run(_CELL.format(here=str(Path(__file__).parent), clip=str(clip)))
        for cell in _CELLS:
            for moment in MOMENTS:
                for _ in range(max(1, rounds // 10)):
                    run(cell, 3 * moment)
        # A stream that a cell had before it was stopped is the user's, as s.
        run("if 's' in globals(): await s.close()")
        said = run("print('left', cancelling.left())")
        assert "left []" in said, said
    finally:
        manager.shutdown_kernel(now=True)


KINDS = {
    "create": (create, "libx264"),
    "hevc": (create, "libx265"),
    "logging": (logging, "libx264"),
    "threads": (threads, "libx264"),
    "analyze": (analyze, "libx264"),
    "kernel": (kernel, "libx264"),
}


def child(kind: str, rounds: int, clip: Path) -> None:
    KINDS[kind][0](clip, rounds)
    found = left()
    if found:
        print(f"left: {found}", file=sys.stderr, flush=True)
    os._exit(bool(found))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kinds", nargs="*", choices=[[], *KINDS], help="default: all")
    parser.add_argument("--runs", type=int, default=50, help="processes of each kind")
    parser.add_argument("--rounds", type=int, default=20, help="calls at each moment, in each")
    parser.add_argument("--child", nargs=2, metavar=("KIND", "CLIP"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child[0], given.rounds, Path(given.child[1]))
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for kind in given.kinds or KINDS:
            codec = KINDS[kind][1]
            clip = Path(folder) / f"{codec}.mp4"
            if not clip.exists():
                make_clip(clip, codec)
            counts = {"ended": 0, "frozen": 0, "left": 0}
            for _ in range(given.runs):
                command = [sys.executable, __file__, "--rounds", str(given.rounds)]
                try:
                    done = subprocess.run(
                        [*command, "--child", kind, str(clip)],
                        timeout=KILL_SECONDS,  # kills it
                        capture_output=True,
                        text=True,
                    )
                except subprocess.TimeoutExpired:
                    counts["frozen"] += 1
                    continue
                counts["left" if done.returncode else "ended"] += 1
                if done.returncode:
                    print(done.stderr[-2000:])
            said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
            print(f"{kind:8} {given.runs} runs: {said}", flush=True)
            bad += counts["frozen"] + counts["left"]
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
