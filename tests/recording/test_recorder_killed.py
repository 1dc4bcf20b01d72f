"""A process that records is killed at random moments: its file opens as it is, nearly all in it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

import overshoot_nb

from videos import number_in

HERE = Path(__file__).parent
TIMES, AT_ONCE = 20, 7
#: What a killed process may lose.
LOST_SECONDS = 5.0
MOMENTS = (0.0, 9.0)
PATIENCE_SECONDS = 40.0

Happened = list[tuple[str, int, float]]


def killed(children: subprocess.Popen[str], path: Path, size: str, seconds: float) -> float:
    """Record, kill, and tell when that was."""
    assert children.stdin is not None
    children.stdin.write(f"{path} {size}\n")
    children.stdin.flush()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (began := happened(path)):
        assert time.monotonic() < deadline, "it did not begin to record"
        assert children.poll() is None
        time.sleep(0.05)
    kind, pid, _ = began[0]
    assert kind == "recording"
    assert pid > 1
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return time.time()


def happened(path: Path) -> Happened:
    """What a recorded stream had, as it said; the first is its process."""
    log = Path(f"{path}.log")
    if not log.exists():
        return []
    lines = [line.split() for line in log.read_text().splitlines(keepends=True) if line[-1] == "\n"]
    return [(kind, int(index), float(when)) for kind, index, when in lines]


def check(path: Path, at: float, events: Happened) -> float:
    """Read the file in four ways; how many seconds before the kill its newest loss was."""
    df = pd.read_parquet(path)
    table = pq.read_table(path)
    assert table.num_rows == len(df) == pl.read_parquet(path).height
    assert duckdb.sql(f"select count(*) from '{path}'").fetchall() == [(len(df),)]
    results = df[df["kind"] == "result"]
    assert results["sample"].is_unique
    for text, frames in zip(results["result"], results["frames"], strict=True):
        assert str(number_in(frames[0]["jpeg"])) == text
    for frames in df.loc[df["kind"] == "waiting", "frames"]:
        number_in(frames[0]["jpeg"])
    there = {
        "result": set(results["sample"]),
        "drop": set(df.loc[df["kind"] == "drop", "sample"]),
        "sample": set(df["sample"]),
    }
    loaded = overshoot_nb.load(path)
    assert not loaded.complete
    assert loaded.state == "failed"
    assert loaded.status == "failed: the recording was cut off here, or still goes on"
    assert loaded.status in repr(loaded)
    assert loaded.status in loaded._repr_html_()
    attrs = loaded.df.attrs["overshoot"]
    assert (attrs["complete"], attrs["status"]) == (False, loaded.status)
    assert len(loaded.samples) == max(there["sample"], default=-1) + 1
    lost = [at - when for kind, index, when in events if index not in there[kind]]
    return max(lost, default=0.0)


@pytest.mark.skipif(sys.platform == "win32", reason="a signal that nothing can catch")
def test_whatever_the_moment_the_file_opens_and_has_all_but_the_last_seconds(tmp_path):
    chance = random.Random()
    paths = [tmp_path / f"{k}.parquet" for k in range(TIMES)]
    sizes = [("usual", "small")[k % 2] for k in range(TIMES)]
    moments = [chance.uniform(*MOMENTS) for _ in paths]
    command = [sys.executable, str(HERE / "recorded_child.py")]
    paths_of_code = [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths_of_code)}
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env=environment) as children,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        ends = list(pool.map(partial(killed, children), paths, sizes, moments))
    count = 0
    for path, size, moment, at in zip(paths, sizes, moments, ends, strict=True):
        events = happened(path)[1:]
        lost = check(path, at, events)
        print(f"{size}, killed after {moment:.2f} s: lost what was less than {lost:.2f} s ago")
        assert lost <= LOST_SECONDS
        count += len(events)
    assert count > 500  # things happened all the time, or it proves nothing
