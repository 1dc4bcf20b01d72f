"""Sampling frames of a file, side by side with other tools: python benchmarks/sampling.py

A frame every 0.5 s and every 5 s at 640x360 as JPEG, through ``SampleReader``, against the ffmpeg
program, OpenCV, decord and, where it is installed, TorchCodec in both of its seek modes. Every way
runs in a process of its own, interleaved round by round; wall and CPU time count from after its
imports to its last JPEG. Two more ways are checked, not timed: that each frame given is the right
one, and pixel for pixel that of a full decode.

Prints medians over the best rival's and exits with 1 unless every row is within the bars.
Needs the ffmpeg program, and from PyPI opencv-python-headless and decord. TorchCodec is a rival
where it can be imported: torchcodec 0.12 loads with a CPU build of torch 2.13, whose wheels are
called 2.13.0+cpu. Its decoder scales the pictures itself.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import partial
from itertools import count, takewhile
from pathlib import Path
from typing import Any

WALL_BAR, CPU_BAR = 0.90, 0.75
SIZE = 640, 360
QUALITY = 80
OURS = "SampleReader"

# ---- the clips ---------------------------------------------------------------------------------

_TAGS = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
_TAGS += ["-color_range", "tv"]
#: Without keyframes at scene cuts, so that GOPs are as long as their names say.
_H264 = ["-c:v", "libx264", "-sc_threshold", "0"]
#: name: (what it shows, size, filters before encoding, encoder)
CLIPS: dict[str, tuple[str, tuple[int, int], str, list[str]]] = {
    "h264-gop250": ("1080p30 H.264 GOP 250", (1920, 1080), "", [*_H264, "-g", "250"]),
    "h264-gop30": ("1080p30 H.264 GOP 30", (1920, 1080), "", [*_H264, "-g", "30"]),
    "h264-vfr-b8": (
        "1080p VFR H.264, 8 B-frames",
        (1920, 1080),
        ",select='not(eq(mod(n,7),3))*not(between(mod(n,200),90,120)*mod(n,3))'",
        ["-c:v", "libx264", "-bf", "8", "-b_strategy", "2", "-refs", "4", "-fps_mode", "vfr"],
    ),
    "hevc-720": (
        "720p30 HEVC",
        (1280, 720),
        "",
        ["-c:v", "libx265", "-preset", "fast", "-tag:v", "hvc1", "-x265-params", "log-level=none"],
    ),
}


def barcode(width: int) -> str:
    """Draws the frame's number as 12 bits along the upper left edge."""
    side = width // 40
    boxes = [f"drawbox=x=0:y=0:w={side * 12}:h={side}:color=black:t=fill"]
    boxes += [
        f"drawbox=x={bit * side}:y=0:w={side}:h={side}:color=white:t=fill"
        f":enable='mod(floor(n/{2**bit}),2)'"
        for bit in range(12)
    ]
    return ",".join(boxes)


def make_clip(folder: Path, name: str, seconds: int) -> Path:
    """Encodes a clip once: a slow zoom over fine detail, a moving picture in it, film grain."""
    _, (w, h), filters, encoder = CLIPS[name]
    path = folder / f"{name}-{seconds}s.mp4"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    scene = (
        "mandelbrot=size=640x360:rate=30:start_scale=0.6:end_scale=0.02:end_pts=600:maxiter=200,"
        f"scale={w}:{h}[a];"
        f"testsrc2=size={w // 3}x{h // 3}:rate=30[b];"
        "[a][b]overlay=x='(W-w)*(0.5+0.4*sin(t))':y='(H-h)*(0.5+0.4*cos(t*0.7))',"
        f"noise=alls=3:allf=t:all_seed=1,{barcode(w)}{filters},format=yuv420p[v]"
    )
    made = path.with_suffix(".part.mp4")
    command = ["ffmpeg", "-v", "error", "-y", "-filter_complex", scene, "-map", "[v]"]
    command += ["-t", str(seconds), *encoder, *_TAGS, "-movflags", "+faststart", str(made)]
    subprocess.run(command, check=True)
    made.rename(path)
    return path


# ---- the ways: a clip and an interval become (time or None, JPEG) -------------------------------


def ticks(every: str, end: float) -> list[float]:
    step = Fraction(every)
    return [float(t) for t in takewhile(lambda t: t < end, (k * step for k in count()))]


def ours(path: str, every: str) -> Iterator[tuple[float, bytes]]:
    from overshoot_nb.sampling.pipeline import SampleReader
    from overshoot_nb.sources.kinds import FileSource
    from overshoot_nb.types import FrameProcessingConfig

    processing = FrameProcessingConfig(interval_seconds=float(every))
    source = FileSource(path, realtime=False)
    with SampleReader(source, processing, max_size=SIZE, jpeg_quality=QUALITY) as reader:
        for sample in reader:
            yield sample.frames[0].media_time, sample.frames[0].data


def ffmpeg(path: str, every: str) -> list[tuple[None, bytes]]:
    command = ["ffmpeg", "-v", "error", "-i", path, "-an"]
    command += ["-vf", f"fps=1/{every},scale={SIZE[0]}:{SIZE[1]}", "-c:v", "mjpeg", "-q:v", "3"]
    out = subprocess.run([*command, "-f", "image2pipe", "-"], capture_output=True, check=True)
    return [(None, b"\xff\xd8\xff" + jpeg) for jpeg in out.stdout.split(b"\xff\xd8\xff")[1:]]


def opencv(path: str, every: str) -> Iterator[tuple[float, bytes]]:
    import cv2

    video = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    step, taken = float(every), 0
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    while video.grab():
        at = video.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if at >= taken * step - 1e-6:  # the first at or after: it cannot look back
            _, picture = video.retrieve()
            small = cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA)
            yield at, cv2.imencode(".jpg", small, options)[1].tobytes()
            taken += 1


def decord(path: str, every: str) -> Iterator[tuple[float, bytes]]:
    import decord
    import simplejpeg

    video = decord.VideoReader(path, ctx=decord.cpu(0), width=SIZE[0], height=SIZE[1])
    times = video.get_frame_timestamp(range(len(video)))[:, 0].tolist()
    picks = [bisect_right(times, t + 1e-6) - 1 for t in ticks(every, times[-1] + 1e-3)]
    for i in range(0, len(picks), 8):
        batch = video.get_batch(picks[i : i + 8]).asnumpy()
        for pick, picture in zip(picks[i : i + 8], batch, strict=True):
            yield times[pick], simplejpeg.encode_jpeg(picture, QUALITY, "RGB", "420")


def torchcodec(path: str, every: str, seek_mode: str) -> Iterator[tuple[float, bytes]]:
    import simplejpeg
    from torchcodec.decoders import VideoDecoder
    from torchcodec.transforms import Resize

    video = VideoDecoder(
        path,
        dimension_order="NHWC",
        num_ffmpeg_threads=0,  # as many as FFmpeg likes, as the other ways have
        seek_mode=seek_mode,
        transforms=[Resize((SIZE[1], SIZE[0]))],
    )
    times = ticks(every, video.metadata.end_stream_seconds)
    for i in range(0, len(times), 8):
        batch = video.get_frames_played_at(times[i : i + 8])
        for at, picture in zip(batch.pts_seconds.tolist(), batch.data.numpy(), strict=True):
            yield at, simplejpeg.encode_jpeg(picture, QUALITY, "RGB", "420")


WAYS: dict[str, tuple[Callable[[str, str], Iterable[tuple[Any, bytes]]], list[str]]] = {
    OURS: (ours, ["overshoot_nb.sampling.pipeline"]),
    "ffmpeg": (ffmpeg, []),
    "OpenCV": (opencv, ["cv2"]),
    "decord": (decord, ["decord", "simplejpeg", "numpy"]),
    "torchcodec": (
        partial(torchcodec, seek_mode="exact"),
        ["torchcodec.decoders", "torchcodec.transforms", "simplejpeg"],
    ),
    "t. approximate": (
        partial(torchcodec, seek_mode="approximate"),
        ["torchcodec.decoders", "torchcodec.transforms", "simplejpeg"],
    ),
}


def without_what_is_missing() -> None:
    """Leaves TorchCodec out, and says why, where it is not installed or does not load."""
    command = [sys.executable, "-c", "import torchcodec.decoders"]
    tried = subprocess.run(command, capture_output=True, text=True)
    if tried.returncode:
        print(f"without TorchCodec: {tried.stderr.strip().splitlines()[-1]}")
        for way in ("torchcodec", "t. approximate"):
            del WAYS[way]


def cpu_seconds() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)


def run_one(way: str, path: str, every: str) -> None:
    """In a process of its own: measures one way and prints it as JSON."""
    run, imports = WAYS[way]
    for module in imports:
        importlib.import_module(module)
    cpu, wall = cpu_seconds(), time.perf_counter()
    frames = list(run(path, every))
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    rss = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(json.dumps({"wall": wall, "cpu": cpu, "rss": rss / 1024, "frames": len(frames)}))


# ---- right frames, right pixels -----------------------------------------------------------------


def checksum(frame: Any) -> int:
    return zlib.crc32(frame.to_ndarray().tobytes())


def full_decode(path: str) -> tuple[list[tuple[Fraction, int]], Fraction]:
    """Every frame's time and pixels, and the last one's end; one thread, nothing of ours."""
    import av

    frames = []
    with av.open(path) as container:
        container.streams.video[0].thread_type = "NONE"
        for frame in container.decode(video=0):
            frames.append((frame.pts * frame.time_base, checksum(frame)))
            end = (frame.pts + frame.duration) * frame.time_base
    zero = frames[0][0]
    return [(at - zero, value) for at, value in frames], end - zero


def our_frames(path: str, every: str) -> list[tuple[Fraction, int]]:
    """What our capture decodes for each tick: the frame's time and pixels."""
    from overshoot_nb.sampling.capture import make_capture
    from overshoot_nb.sampling.sampler import FrameSampler
    from overshoot_nb.sources.kinds import FileSource
    from overshoot_nb.types import FrameProcessingConfig

    sampler = FrameSampler(FrameProcessingConfig(float(every)))
    capture = make_capture(FileSource(path), print)
    capture.open()
    out = []
    for shown in capture.frames(sampler):
        for _ in sampler.take(shown.start, shown.end):
            out.append((shown.start * shown.unit, checksum(shown.frame)))
    capture.close()
    return out


def identical(path: str, every: str, decoded: tuple[list[tuple[Fraction, int]], Fraction]) -> bool:
    """Whether every tick before the end of the last frame gets the frame on screen then."""
    frames, end = decoded
    times = [at for at, _ in frames]
    step, expected = Fraction(every), []
    for k in takewhile(lambda k: k * step < end, count()):
        expected.append(frames[bisect_right(times, k * step) - 1])
    return our_frames(path, every) == expected


# ---- the table ----------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--secs", type=int, default=20, help="length of the clips")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--every", nargs="*", default=["0.5", "5"])
    parser.add_argument("--clips", nargs="*", default=list(CLIPS), choices=list(CLIPS))
    parser.add_argument("--make", action="store_true", help="only make the clips")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run_one(*arguments.one)
        return 0
    if shutil.which("ffmpeg") is None:
        parser.error("the ffmpeg program is not on PATH")
    from overshoot_nb import config

    folder = config.cache_dir() / "benchmarks"
    if arguments.make:
        for name in arguments.clips:
            make_clip(folder, name, arguments.secs)
        return 0
    without_what_is_missing()
    failed = False
    others = [way for way in WAYS if way != OURS]
    heads = "".join(f"{way:>16}" for way in others)
    print(
        f"{'wall / CPU, over the ffmpeg program':40}{OURS:>16}{heads}   over the best     MB  same"
    )
    for name in arguments.clips:
        path = str(make_clip(folder, name, arguments.secs))
        decoded = full_decode(path)
        for every in arguments.every:
            runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
            for _ in range(arguments.rounds):
                for way in WAYS:
                    command = [sys.executable, __file__, "--one", way, path, every]
                    out = subprocess.run(command, capture_output=True, text=True, check=True)
                    runs[way].append(json.loads(out.stdout.splitlines()[-1]))
            wall, cpu, rss = (
                {way: statistics.median(run[key] for run in runs[way]) for way in WAYS}
                for key in ("wall", "cpu", "rss")
            )
            wall_ratio = wall[OURS] / min(wall[way] for way in others)
            cpu_ratio = cpu[OURS] / min(cpu[way] for way in others)
            same = identical(path, every, decoded)
            good = wall_ratio <= WALL_BAR and cpu_ratio <= CPU_BAR and same
            failed |= not good
            cells = "".join(
                f"{wall[way] / wall['ffmpeg']:9.2f} / {cpu[way] / cpu['ffmpeg']:.2f}"
                for way in (OURS, *others)
            )
            label = f"{CLIPS[name][0]}, every {every} s"
            print(
                f"{label:40}{cells}   {wall_ratio:.2f} / {cpu_ratio:.2f} "
                f"{rss[OURS]:6.0f}  {'yes' if same else 'NO'}{'' if good else '  TOO HIGH'}",
                flush=True,
            )
    print(
        f"bars: wall <= {WALL_BAR}, CPU <= {CPU_BAR} of the best rival in each column, same frames"
    )
    print(
        f"{os.cpu_count()} cores, clips of {arguments.secs} s, medians of {arguments.rounds} rounds"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
