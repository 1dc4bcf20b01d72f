"""Annotating a video against decoding and encoding it alone: python benchmarks/annotate.py

A minute of 720p at 30 frames a second, with sound, and an answer every half second. Both ways
decode and encode every frame with the same settings; one draws a caption on each and copies the
sound. They run interleaved in one process, and the ratio of medians of wall time is what counts:
the exit status is 1 where the bar does not hold. How fast that is against the video's own length
is reported, and what it takes where nothing is to be drawn.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd

import overshoot_nb  # noqa: F401  # gives DataFrames their accessor
from overshoot_nb.analysis.annotated_picture import ENCODER, X264
from overshoot_nb.demo.drawing import Scene

BAR = 1.35
WIDTH, HEIGHT, FPS = 1280, 720, 30


def make_source(path: Path, seconds: int) -> None:
    """The demo game, at 720p, with a tone."""
    scene = Scene(WIDTH, HEIGHT)
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound: Any = container.add_stream("aac", rate=48000)
        for number in range(seconds * FPS):
            picture = np.asarray(scene.frame(number / FPS % 12))
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(video.encode(None))
        for block in range(seconds * 48000 // 1024):
            tone = np.sin((np.arange(1024) + block * 1024) / 9).astype(np.float32)[None] / 4
            heard = av.AudioFrame.from_ndarray(tone, "fltp", "mono")
            heard.sample_rate, heard.pts, heard.time_base = 48000, block * 1024, Fraction(1, 48000)
            container.mux(sound.encode(heard))
        container.mux(sound.encode(None))


def plain(source: Path, output: Path) -> None:
    """Decodes and encodes, with the same settings."""
    with av.open(str(source)) as container, av.open(str(output), "w") as target:
        video = container.streams.video[0]
        video.thread_type = "AUTO"
        stream: Any = target.add_stream(ENCODER, rate=video.average_rate, options=dict(X264))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = video.time_base
        stream.codec_context.thread_count = 0
        for frame in container.decode(video):
            frame.pict_type = 0
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))


def rows(seconds: int, text: str) -> pd.DataFrame:
    count = seconds * 2
    times = pd.to_timedelta(np.arange(count) * 0.5, unit="s")
    said = [
        text and f"{text} {i}: two players at the left, one with the ball" for i in range(count)
    ]
    return pd.DataFrame({"media_time": times, "result": said})


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="length of the video")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "source.mp4", Path(folder) / "out.mp4"
        make_source(source, options.seconds)
        table, silent = rows(options.seconds, "Answer"), rows(options.seconds, "")

        def annotated(table: pd.DataFrame) -> Callable[[], object]:
            return lambda: table.overshoot.annotate(
                output, source=source, overwrite=True, progress=False
            )

        ways = {
            "decode and encode alone": lambda: plain(source, Path(folder) / "plain.mp4"),
            "annotate": annotated(table),
            "annotate, nothing to draw": annotated(silent),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.rounds):
            for name, way in ways.items():
                times[name].append(timed(way))
        medians = {name: statistics.median(found) for name, found in times.items()}
    alone = medians["decode and encode alone"]
    print(f"{platform.machine()}, Python {platform.python_version()}, PyAV {av.__version__}")
    for name, median in medians.items():
        speed = options.seconds / median
        print(f"{name:28} {median:7.2f} s  {median / alone:5.2f} x  {speed:7.1f} x real time")
    ratio = medians["annotate"] / alone
    held = ratio <= BAR
    print(f"annotate / alone {ratio:.2f}, bar {BAR}: {'held' if held else 'NOT HELD'}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
