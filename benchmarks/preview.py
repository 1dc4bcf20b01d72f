"""What the preview costs beyond sampling: python benchmarks/preview.py [--seconds 30]

A file is played in real time with a sample every 0.5 s, watched by a viewer that always has room,
against the same run with nobody watching. Every run is in a process of its own, interleaved round
by round; what is counted is the CPU time of the whole process while the file plays, as a share of
one core. Sending a picture to a browser is not part of it, and is added at its measured cost.

Prints medians and exits with 1 when the bar is missed. Needs the ffmpeg program to make the clips.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from overshoot_nb import config
from overshoot_nb.sampling.pacing import Pacer
from overshoot_nb.sampling.pipeline import SampleReader
from overshoot_nb.sampling.preview import Preview, PreviewFrame, Viewer
from overshoot_nb.sources.kinds import FileSource
from overshoot_nb.types import FrameProcessingConfig

#: The most that the preview may cost at 640x360, sending included, as a share of one core.
BAR = 0.08
#: CPU seconds of the kernel to send a picture of 640x360 to a browser.
SENDING = 1.3e-3
#: Of the pictures that there could be, those that must be shown for a run to count.
SHOWN = 0.95

#: name: (what it is, its size, whether the bar is for it)
CLIPS = {
    "360p": ("640x360 30 fps H.264", (640, 360), True),
    "1080p": ("1920x1080 30 fps H.264, GOP 250", (1920, 1080), False),
}


class Taker(Viewer):
    """Who watches: takes every picture and keeps none."""

    def __init__(self) -> None:
        self.count = 0

    def room(self) -> bool:
        return True

    def show(self, frame: PreviewFrame) -> None:
        self.count += 1


def make_clip(folder: Path, name: str, seconds: int) -> Path:
    """Encodes a clip once: a slow zoom over fine detail, with film grain."""
    w, h = CLIPS[name][1]
    path = folder / f"preview-{name}-{seconds}s.mp4"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    scene = (
        "mandelbrot=size=640x360:rate=30:start_scale=0.6:end_scale=0.02:end_pts=600:maxiter=200,"
        f"scale={w}:{h},noise=alls=3:allf=t:all_seed=1,format=yuv420p"
    )
    made = path.with_suffix(".part.mp4")
    command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", scene, "-t", str(seconds)]
    command += ["-c:v", "libx264", "-g", "250", "-sc_threshold", "0", str(made)]
    subprocess.run(command, check=True)
    made.rename(path)
    return path


def play(path: str, watched: bool) -> dict[str, float]:
    """Plays a clip to its end."""
    preview = Preview()
    viewer = Taker()
    if watched:
        preview.watch(viewer)
    pacer = Pacer(realtime=True, hold=True)
    with SampleReader(
        FileSource(path), FrameProcessingConfig(), pacer=pacer, preview=preview
    ) as reader:
        cpu, began = time.process_time(), time.perf_counter()
        samples = sum(1 for _ in reader)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - began
    return {"cpu": cpu, "wall": wall, "samples": samples, "shown": viewer.count}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="how long each clip is")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clips", nargs="*", default=list(CLIPS), choices=list(CLIPS))
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        path, watched = arguments.one
        print(json.dumps(play(path, watched == "on")))
        return 0
    if shutil.which("ffmpeg") is None:
        parser.error("the ffmpeg program is not on PATH")
    folder = config.cache_dir() / "benchmarks"
    failed = False
    print(
        f"{'share of one core':34}{'off':>9}{'on':>9}{'preview':>9}{'+ sending':>11}{'shown':>9}",
        flush=True,
    )
    for name in arguments.clips:
        label, _, barred = CLIPS[name]
        path = str(make_clip(folder, name, arguments.seconds))
        runs: dict[str, list[dict[str, float]]] = {"off": [], "on": []}
        for _ in range(arguments.rounds):
            for way, done in runs.items():
                command = [sys.executable, __file__, "--one", path, way]
                out = subprocess.run(command, capture_output=True, text=True, check=True)
                done.append(json.loads(out.stdout.splitlines()[-1]))
        seconds = arguments.seconds
        off, on = (
            statistics.median(run["cpu"] for run in runs[way]) / seconds for way in ("off", "on")
        )
        shown = statistics.median(run["shown"] for run in runs["on"]) / seconds
        cost = on - off
        whole = cost + shown * SENDING
        good = shown >= SHOWN * config.PREVIEW_FPS and (whole <= BAR or not barred)
        failed |= not good
        print(
            f"{label:34}{off:9.1%}{on:9.1%}{cost:9.1%}{whole:11.1%}{shown:6.1f}/s"
            f"{'' if good else '  MISSED'}",
            flush=True,
        )
    print(
        f"bar: {BAR:.0%} at 640x360, with {SENDING * 1e3:.1f} ms to send each picture; "
        f"at least {SHOWN:.0%} of {config.PREVIEW_FPS} pictures a second"
    )
    print(
        f"{os.cpu_count()} cores, clips of {arguments.seconds} s, "
        f"medians of {arguments.rounds} rounds"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
