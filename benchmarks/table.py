"""The live table against the usual ways to grow a DataFrame: python benchmarks/table.py

Rows come one at a time, a DataFrame is asked for every 100 rows. All ways take the same
``StreamInferenceResult`` objects and give the same columns with the same dtypes; they run
interleaved in one process, and ratios of medians are what counts. The bars are asserted: the exit
status is 1 where one does not hold.

The rivals: a cached DataFrame that each time gets the new rows by ``pandas.concat`` ("chunks"),
and one built anew from a list of dicts ("dicts").
"""

from __future__ import annotations

import argparse
import gc
import itertools
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from overshoot_nb.store.table import ResultTable
from overshoot_nb.types import StreamInferenceResult, Usage

EVERY = 100
WHOLE_RUN_BAR = 0.40  # of chunks
SNAPSHOT_BAR = 0.05  # of dicts

SCHEMA = {
    "type": "object",
    "properties": {
        "people": {"type": "integer"},
        "door_open": {"type": "boolean"},
        "confidence": {"type": "number"},
        "weather": {"enum": ["sun", "cloud", "rain"]},
        "scene": {"type": "string"},
        "boxes": {"type": "array", "items": {"type": "integer"}},
    },
}


def result(i: int, structured: bool) -> StreamInferenceResult:
    """The i-th answer: every 50th failed."""
    ok = i % 50 != 0
    captured = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=i / 2)
    output = {
        "people": i % 7,
        "door_open": i % 3 == 0,
        "confidence": i % 100 / 100,
        "weather": ("sun", "cloud", "rain")[i % 3],
        "scene": f"a hall with {i % 97} boxes",
        "boxes": [i, i + 1],
    }
    return StreamInferenceResult(
        id=f"res-{i:08x}",
        stream_id=f"stream-{i % 3}",
        mode="frame",
        model_name="owner/model",
        prompt="What is happening?",
        result=f"A person walks past the door at second {i}, carrying box {i % 97}." if ok else "",
        inference_latency_ms=700.0 + i % 7,
        total_latency_ms=900.0 + i % 7,
        ok=ok,
        error=None if ok else "no answer within 30 s",
        finish_reason="stop" if ok else None,
        sample=i,
        media_time=i / 2,
        captured_at=captured,
        answered_at=captured + timedelta(milliseconds=900),
        usage=Usage(300 + i % 5, 20 + i % 9, 320 + i % 5 + i % 9) if ok else None,
        output=output if ok and structured else None,
    )


def row(r: StreamInferenceResult, structured: bool) -> dict[str, Any]:
    """A result as one flat record, in the table's order."""
    record: dict[str, Any] = {
        "sample": r.sample,
        "media_time": r.media_time,
        "captured_at": r.captured_at,
        "answered_at": r.answered_at,
        "ok": r.ok,
        "result": r.result,
    }
    if structured:
        output = r.output or {}
        record |= {f"out.{name}": output.get(name) for name in SCHEMA["properties"]}
    usage = r.usage
    return record | {
        "error": r.error,
        "mode": r.mode,
        "model": r.model_name,
        "prompt": r.prompt,
        "prompt_version": r.prompt_version,
        "finish_reason": r.finish_reason,
        "inference_latency_ms": r.inference_latency_ms,
        "total_latency_ms": r.total_latency_ms,
        "prompt_tokens": usage and usage.prompt_tokens,
        "completion_tokens": usage and usage.completion_tokens,
        "total_tokens": usage and usage.total_tokens,
        "cost_cents": usage and usage.cost_cents,
        "stream_id": r.stream_id,
        "id": r.id,
    }


def column(values: list[Any], dtype: Any) -> Any:
    """A list as an array of the table's dtype, by the quickest public way there is."""
    if dtype == "timedelta64[us]":
        return np.rint(np.array(values) * 1e6).astype("i8").view("m8[us]")
    if isinstance(dtype, pd.DatetimeTZDtype):
        # Naive UTC datetimes convert in C, aware ones do not.
        naive = np.array([v.replace(tzinfo=None) for v in values], "M8[us]")
        return pd.Series(naive).dt.tz_localize("UTC")
    if dtype == np.dtype(object):
        return pd.Series(values, dtype=object)
    if isinstance(dtype, np.dtype):
        if dtype.kind == "f":
            values = [np.nan if v is None else v for v in values]
        return np.array(values, dtype)
    return pd.array(values, dtype=dtype)


class Dicts:
    """A list of dicts, made a DataFrame each time."""

    def __init__(self, dtypes: dict[str, Any]) -> None:
        self.dtypes = dtypes
        self.structured = any(name.startswith("out.") for name in dtypes)
        self.rows: list[dict[str, Any]] = []

    def append(self, r: StreamInferenceResult) -> None:
        self.rows.append(row(r, self.structured))

    @property
    def df(self) -> pd.DataFrame:
        frame = pd.DataFrame(self.rows, columns=list(self.dtypes))
        frame["media_time"] = column(frame["media_time"].tolist(), self.dtypes["media_time"])
        return frame.astype(self.dtypes)


class Chunks:
    """A cached DataFrame; the new rows become one more, column by column, and are concatenated.

    The categories are given to it beforehand, which the table has to find: concatenating
    categoricals of different categories would be far slower.
    """

    def __init__(self, dtypes: dict[str, Any]) -> None:
        self.dtypes = dtypes
        self.structured = any(name.startswith("out.") for name in dtypes)
        self.cached: pd.DataFrame | None = None
        self.new: list[StreamInferenceResult] = []

    def append(self, r: StreamInferenceResult) -> None:
        self.new.append(r)

    @property
    def df(self) -> pd.DataFrame:
        if self.new:
            rows = [row(r, self.structured) for r in self.new]
            columns = {n: column([r[n] for r in rows], t) for n, t in self.dtypes.items()}
            chunk = pd.DataFrame(columns, copy=False)
            self.new = []
            frames = [chunk] if self.cached is None else [self.cached, chunk]
            self.cached = pd.concat(frames, ignore_index=True)
        assert self.cached is not None
        return self.cached.copy(deep=False)


def whole_run(table: Any, results: list[StreamInferenceResult]) -> float:
    """CPU seconds of appending all results with a snapshot every 100."""
    gc.collect()
    start = time.process_time()
    for i, r in enumerate(results, 1):
        table.append(r)
        if i % EVERY == 0:
            table.df  # noqa: B018 - the work is in the property
    return time.process_time() - start


class Snapshot(NamedTuple):
    """Of a table at full length, after 100 more rows. CPU time.

    ``first`` is the first snapshot after the one that caught up with all rows: its memory is new
    to the process. ``usual`` is the median of ten in a row.
    """

    append_us: float
    first_ms: float
    usual_ms: float
    again_us: float


def last_snapshot(table: Any, results: list[StreamInferenceResult]) -> Snapshot:
    """Appends all results and measures the last ten snapshots, one every 100 rows."""
    few = 10
    for r in results[: -few * EVERY]:
        table.append(r)
    table.df  # noqa: B018
    gc.collect()
    spent = []
    for start in range(len(results) - few * EVERY, len(results), EVERY):
        times = [time.process_time()]
        for r in results[start : start + EVERY]:
            table.append(r)
        times.append(time.process_time())
        table.df  # noqa: B018
        times.append(time.process_time())
        table.df  # noqa: B018
        times.append(time.process_time())
        spent.append([b - a for a, b in itertools.pairwise(times)])
    append, snapshot, again = (statistics.median(v) for v in zip(*spent, strict=True))
    return Snapshot(append / EVERY * 1e6, spent[0][1] * 1e3, snapshot * 1e3, again * 1e6)


def filled(rows: int, structured: bool) -> ResultTable:
    table = ResultTable(SCHEMA if structured else None)
    for i in range(rows):
        table.append(result(i, structured))
    return table


def spoil(frame: pd.DataFrame) -> None:
    """Change a cell in every column."""
    for name in frame.columns:
        if isinstance(frame[name].dtype, pd.CategoricalDtype):
            if "edited" not in frame[name].cat.categories:
                frame[name] = frame[name].cat.add_categories(["edited"])
            frame.at[1, name] = "edited"
        elif isinstance(frame.at[1, name], list):
            frame.at[1, name] = ["edited"]
        elif frame[name].dtype.kind in "mM":
            frame.at[1, name] += pd.Timedelta(days=1)
        elif frame[name].dtype.kind == "b":
            frame.at[1, name] = not frame.at[1, name]
        else:
            frame.at[1, name] = -1 if pd.api.types.is_numeric_dtype(frame[name]) else "edited"


def check_isolation(structured: bool) -> None:
    """Edit fresh and old snapshots while rows come: none but they may change."""
    table = filled(300, structured)
    kept: list[pd.DataFrame] = []
    edited: list[pd.DataFrame] = []
    waiting: list[pd.DataFrame] = []
    for i in range(300, 320):
        kept.append(table.df)
        edited.append(table.df)  # fresh: others of the same rows exist
        waiting.append(table.df)
        if len(waiting) > 5:
            edited.append(waiting.pop(0))  # old: later ones exist
            spoil(edited[-1])
            spoil(edited[-2])
        else:
            spoil(edited[-1])
        kept.append(table.df)
        table.append(result(i, structured))
    kept.append(table.df)
    for frame in kept:
        pd.testing.assert_frame_equal(frame, filled(len(frame), structured).df)
    for frame in edited:  # or the check would prove nothing
        expected = filled(len(frame), structured).df
        for name in frame:
            assert not frame[name].head(9).equals(expected[name].head(9)), name


def compare(structured: bool, total: int, rounds: int) -> bool:
    """Print one table's figures; True where its bars hold."""
    results = [result(i, structured) for i in range(total)]
    sample = ResultTable(SCHEMA if structured else None)
    for r in results[:1000]:
        sample.append(r)
    dtypes = dict(sample.df.dtypes)
    ours: Callable[[], Any] = lambda: ResultTable(SCHEMA if structured else None)  # noqa: E731
    ways = {"table": ours, "chunks": lambda: Chunks(dtypes), "dicts": lambda: Dicts(dtypes)}
    frames = {}
    for name, make in ways.items():
        table = make()
        for r in results[:1000]:
            table.append(r)
        frames[name] = table.df
    for name in ("chunks", "dicts"):  # the rivals really give the same
        pd.testing.assert_frame_equal(frames["table"], frames[name])

    runs: dict[str, list[float]] = {"table": [], "chunks": []}
    snaps: dict[str, list[Snapshot]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name in runs:
            runs[name].append(whole_run(ways[name](), results))
        for name, make in ways.items():
            table = make()
            if name == "dicts":  # asking again would build it again: one snapshot tells it all
                for r in results:
                    table.append(r)
                gc.collect()
                start = time.process_time()
                table.df  # noqa: B018
                built = (time.process_time() - start) * 1e3
                snaps[name].append(Snapshot(0.0, built, built, 0.0))
            else:
                snaps[name].append(last_snapshot(table, results))

    print(f"\n{'with' if structured else 'without'} out.* columns ({len(dtypes)} columns)")
    run = {name: statistics.median(values) for name, values in runs.items()}
    snap = {
        name: Snapshot(*(statistics.median(v) for v in zip(*s, strict=True)))
        for name, s in snaps.items()
    }
    run_ratio = run["table"] / run["chunks"]
    dicts = snap["dicts"].first_ms
    first_ratio = snap["table"].first_ms / dicts
    usual_ratio = snap["table"].usual_ms / dicts
    print(
        f"  {total} appends, a snapshot every {EVERY}: table {run['table']:.2f} s, "
        f"chunks {run['chunks']:.2f} s: ratio {run_ratio:.3f} (bar {WHOLE_RUN_BAR})"
    )
    print(
        f"  snapshot at {total} rows, {EVERY} new: table {snap['table'].first_ms:.2f} ms at first, "
        f"{snap['table'].usual_ms:.2f} ms usually; dicts {dicts:.0f} ms: ratios "
        f"{first_ratio:.4f}, {usual_ratio:.4f} (bar {SNAPSHOT_BAR} for both); "
        f"chunks {snap['chunks'].first_ms:.2f}, {snap['chunks'].usual_ms:.2f} ms"
    )
    print(
        f"  append {snap['table'].append_us:.2f} us; "
        f"df again without new rows {snap['table'].again_us:.0f} us"
    )
    return run_ratio <= WHOLE_RUN_BAR and max(first_ratio, usual_ratio) <= SNAPSHOT_BAR


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default 3)")
    parser.add_argument("--total", type=int, default=100_000, help="rows (default 100000)")
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, pandas {pd.__version__}, numpy {np.__version__}")
    held = [compare(structured, options.total, options.rounds) for structured in (False, True)]
    for structured in (False, True):
        check_isolation(structured)  # raises where an edit is seen elsewhere
    print("\nan edit of any snapshot is seen in no other: checked in every column")
    print("all bars hold" if all(held) else "A BAR DOES NOT HOLD")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
