"""A recording of 10,000 rows with 60 KB pictures, loaded: python benchmarks/loading.py [--rounds 5]

The bars: its table (``load(path).df``) in under 0.5 s, and a random picture in under 20 ms: the
95th percentile of 200, each in a row group that was not looked at before. Also printed, as ratios
side by side: the table over what pandas takes to read the same columns, and over what it takes to
read the whole file; a picture over what Arrow takes to read the row group that it is in.

The file (600 MB) is made first, in --folder, and is in the system's cache then, as after a run.
Exits with 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# This folder has a module called requests, which other packages would take for theirs.
sys.path = [p for p in sys.path if Path(p or ".").resolve() != HERE]

import pandas as pd  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

import overshoot_nb  # noqa: E402
from overshoot_nb.config import resolve_endpoint  # noqa: E402
from overshoot_nb.recording.ended_run import write_run  # noqa: E402
from overshoot_nb.running.service import open_service  # noqa: E402
from overshoot_nb.settings.stream_settings import StreamSettings  # noqa: E402
from overshoot_nb.store.journal import Journal  # noqa: E402
from overshoot_nb.store.prompts import PromptHistory, PromptVersion  # noqa: E402
from overshoot_nb.types import EncodedFrame, Sample, StreamInferenceResult, Usage  # noqa: E402

ROWS = 10_000
PICTURE_BYTES = 60_000
PICTURES = 200
TABLE_SECONDS = 0.5
PICTURE_SECONDS = 0.020
SCHEMA = {
    "type": "object",
    "properties": {
        "people": {"type": "integer"},
        "dark": {"type": "boolean"},
        "event": {"enum": ["goal", "foul", "none"]},
        "note": {"type": "string"},
        "objects": {"type": "array"},
    },
}


class MadeRun:
    """A run with rows and pictures, that no server answered."""

    stream_id = "run-1"
    is_active = False

    def __init__(self) -> None:
        self.settings = StreamSettings.build("clip.mp4", "What?", "owner/model")
        self.service = open_service(resolve_endpoint(base_url="http://127.0.0.1:9/v1"), 1.0)
        self.prompts = PromptHistory(PromptVersion(1, "What?", "owner/model", SCHEMA))
        self.journal = Journal(SCHEMA, 1 << 40)
        noise = random.Random(0)
        # A few pictures many times over: it is the file that is to be large, not this process.
        pictures = [noise.randbytes(PICTURE_BYTES) for _ in range(150)]
        start = datetime(2026, 1, 1, tzinfo=UTC)
        for index in range(ROWS):
            at = start + timedelta(seconds=index / 2)
            frame = EncodedFrame(index / 2, pictures[index % len(pictures)], 1280, 720)
            self.journal.sampled(Sample(index, "frame", index / 2, at, (frame,)))
            self.journal.sent()
            self.journal.answered(_result(index, at))


def _result(index: int, at: datetime) -> StreamInferenceResult:
    said = {
        "people": index % 7,
        "dark": index % 3 == 0,
        "event": ("goal", "foul", "none")[index % 3],
        "note": f"The scoreboard reads {index} to {index + 1}, and somebody runs to the left.",
        "objects": [{"name": "ball", "x": index / 3}],
    }
    return StreamInferenceResult(
        f"res_{index}", "run-1", "frame", "owner/model", "What?", str(said), 310.5, 402.25, True,
        finish_reason="stop", sample=index, media_time=index / 2, captured_at=at,
        frame_times=(index / 2,), answered_at=at, usage=Usage(900, 40, 940, 0.01), output=said,
    )  # fmt: skip


def seconds(step: Callable[[], Any]) -> float:
    """How long a step takes."""
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def table(path: Path, rounds: int) -> float:
    """Print the figures of the table; returns seconds."""
    small = [c for c in pq.read_schema(path).names if c not in ("frames", "video", "exact")]
    first = seconds(lambda: overshoot_nb.load(path).df)
    ours, columns, whole = [], [], []
    for _ in range(rounds):  # taken in turn, so that a busy machine slows all of them
        ours.append(seconds(lambda: overshoot_nb.load(path).df))
        columns.append(seconds(lambda: pd.read_parquet(path, columns=small)))
        whole.append(seconds(lambda: pd.read_parquet(path)))
    ours_s, columns_s, whole_s = map(statistics.median, (ours, columns, whole))
    print(
        f"table of {ROWS:,} rows: {ours_s * 1e3:.0f} ms (the first time {first * 1e3:.0f} ms), "
        f"{ours_s / columns_s:.1f} x pandas on the columns without pictures "
        f"({columns_s * 1e3:.0f} ms), {ours_s / whole_s:.2f} x pandas on all columns "
        f"({whole_s * 1e3:.0f} ms)"
    )
    return ours_s


def pictures(path: Path) -> float:
    """Print the figures of random pictures; returns the 95th percentile in seconds."""
    parquet = pq.ParquetFile(path)
    groups, each = parquet.num_row_groups, ROWS // parquet.num_row_groups
    random.seed(1)
    columns = ["sample", "frames"]
    ours, arrow = [], []
    while len(ours) < PICTURES:
        frames = overshoot_nb.load(path).frames  # which know no group yet
        for group in random.sample(range(groups), min(groups, PICTURES - len(ours))):
            index = min(group * each + random.randrange(each), ROWS - 1)
            ours.append(seconds(partial(frames.__getitem__, index)))
            if len(ours) % 4 == 0:
                arrow.append(seconds(partial(parquet.read_row_group, group, columns)))
    parquet.close()
    p50, p95 = statistics.median(ours), statistics.quantiles(ours, n=20)[-1]
    print(
        f"a random picture: p50 {p50 * 1e3:.1f} ms, p95 {p95 * 1e3:.1f} ms of {len(ours)}, "
        f"{p50 / statistics.median(arrow):.2f} x Arrow on its row group "
        f"({statistics.median(arrow) * 1e3:.1f} ms)"
    )
    return p95


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="where the file is made; default: a temporary folder")
    options = parser.parse_args()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"load of the machine before: {load:.1f}")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "run.parquet"
        taken = seconds(partial(write_run, MadeRun(), path, overwrite=False, wrote=int))
        megabytes = path.stat().st_size / 1e6
        print(f"written: {megabytes:.0f} MB in {taken:.1f} s, {megabytes / taken:.0f} MB/s")
        missed = []
        if (took := table(path, options.rounds)) >= TABLE_SECONDS:
            missed.append(f"the table took {took:.2f} s, not under {TABLE_SECONDS} s")
        if (took := pictures(path)) >= PICTURE_SECONDS:
            missed.append(f"a picture took {took * 1e3:.1f} ms, not under 20 ms")
    for what in missed:
        print(f"MISSED: {what}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
