"""Judging by labels against going through all rows: python benchmarks/tuning.py

A run with many rows of structured answers, a second version backfilled on the labelled samples,
and 500 labels. All ways give the same figures, which is checked; they run interleaved in one
process, and ratios of medians of CPU time are what counts. The bars are asserted: the exit status
is 1 where one does not hold.

- ``score``, ``paired_test`` and ``flips`` against the same judging of answers that were found by
  going through all rows, as one does without an index; and against themselves in a run that has
  the labelled samples alone: what a hundred times as many rows cost.
- ``stability`` against the same figures from a plain pandas groupby of the same answers.
- The diff of two long prompts that differ in a few words, and of two that repeat themselves,
  against ``difflib`` alone.
"""

from __future__ import annotations

import argparse
import gc
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import orjson
import pandas as pd

from overshoot_nb.store.journal import Journal
from overshoot_nb.store.prompt_diff import segments_of
from overshoot_nb.store.prompts import PromptHistory, PromptVersion
from overshoot_nb.tuning.scoring import flips, pair_answers, paired_test, score, score_answers
from overshoot_nb.tuning.stability import stability
from overshoot_nb.types import Sample, StreamInferenceResult, Usage

LABELS = 500
FEWEST_ROWS = 100_000
ROWS_BAR = 0.9  # of going through all rows
MORE_ROWS_BAR = 1.5  # of the labelled samples alone
STABILITY_BAR = 2.5  # of pandas
DIFF_BAR = 0.5  # of difflib

START = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = {
    "type": "object",
    "properties": {
        "people": {"type": "integer"},
        "open": {"type": "boolean"},
        "weather": {"enum": ["sun", "cloud", "rain"]},
    },
}
WEATHER = ("sun", "cloud", "rain")


class Run:
    """A run of so many rows, of which 500 are labelled, without a stream.

    Args:
        rows: rows of version 1; the labelled samples are evenly among them.
    """

    stream_id = "run-1"
    is_active = False
    settings: Any = None
    service: Any = None

    def __init__(self, rows: int) -> None:
        self.journal = Journal(SCHEMA, 0)
        first = PromptVersion(1, "What?", "owner/model", SCHEMA)
        self.prompts = PromptHistory(first)
        self.prompts.version_of(text="What, exactly?")
        step = rows // LABELS
        for index in range(rows):
            # About the labelled samples the same, however many others there are.
            said = index // step if index % step == 0 else index
            captured = START + timedelta(seconds=index / 2)
            self.journal.sampled(Sample(index, "frame", index / 2, captured, ()))
            self.journal.answered(answer(index, said, 1))
        for index in range(LABELS):
            self.journal.later.put(answer(index * step, index, 2))
        self.journal.labels.update(
            {i * step: {"people": i % 5, "open": i % 2 == 0} for i in range(LABELS)}
        )


def answer(sample: int, said: int, version: int) -> StreamInferenceResult:
    """What version says; the second one counts better."""
    output = {
        "people": said % (7 if version == 1 else 6),
        "open": said % 3 == 0,
        "weather": WEATHER[said // 2 % 3],
    }
    return StreamInferenceResult(
        id=f"res-{version}-{sample:08x}",
        stream_id="run-1",
        mode="frame",
        model_name="owner/model",
        prompt="What?",
        result=orjson.dumps(output).decode(),
        inference_latency_ms=700.0,
        total_latency_ms=900.0,
        ok=True,
        finish_reason="stop",
        sample=sample,
        media_time=sample / 2,
        prompt_version=version,
        usage=Usage(300, 20, 320),
        output=output,
    )


# ---- the rivals --------------------------------------------------------------------------------


def through_rows(run: Run) -> dict[int, dict[int, StreamInferenceResult]]:
    """What each version said, by sample, found by going through all that was answered."""
    labelled = set(run.journal.labels.samples)
    found: dict[int, dict[int, StreamInferenceResult]] = {1: {}, 2: {}}
    for row in run.journal.table:
        if row.sample in labelled:
            found[row.prompt_version][row.sample] = row
    for later in run.journal.later:
        if later.sample in labelled:
            found[later.prompt_version].setdefault(later.sample, later)
    return found


def rows_judged(run: Run) -> Any:
    """Score, pairs and flips, each of them through all rows."""
    schemas = {1: SCHEMA, 2: SCHEMA}
    labels = run.journal.labels
    found = score_answers(through_rows(run), labels, schemas=schemas)
    test = pair_answers(through_rows(run), labels, 1, 2, schemas=schemas)
    judged = score_answers(through_rows(run), labels, schemas=schemas).judged
    sides = judged.pivot(index=["sample", "field"], columns="version", values="right")
    flipped = int((sides[1] != sides[2]).sum())
    return found.df.to_dict("records"), (test.only_old, test.only_new, test.n), flipped


def labels_judged(run: Run) -> Any:
    """The same, of the run."""
    test = paired_test(run, 1, 2)
    pairs = (test.only_old, test.only_new, test.n)
    return score(run).df.to_dict("records"), pairs, len(flips(run, 1, 2))


def pandas_stability(run: Run, window: int) -> dict[str, dict[str, float]]:
    """The figures of version 1 by field, from a groupby of what was said."""
    rows = [r for r in run.journal.table if r.ok and r.prompt_version == 1]
    frame = pd.DataFrame([r.output for r in rows])
    keys = pd.Series([r.stream_id for r in rows])
    figures = {}
    for name in frame:
        said = pd.Series(pd.factorize(frame[name])[0])
        by_run = said.groupby(keys)
        before, after = by_run.shift(1), by_run.shift(-1)
        flip = before.notna() & (said != before)
        inner = before.notna() & after.notna()
        flicker = inner & (said != before) & (before == after)
        same, near = pd.Series(0.0, said.index), pd.Series(0, said.index)
        for apart in (*range(-window, 0), *range(1, window + 1)):
            other = by_run.shift(apart)
            near += other.notna()
            same += other == said
        figures[str(name)] = {
            "flip_rate": flip.sum() / before.notna().sum(),
            "flicker_rate": flicker.sum() / inner.sum(),
            "agreement": float((same / near).mean()),
        }
    return figures


def own_stability(run: Run, window: int) -> dict[str, dict[str, float]]:
    frame = stability(run, versions=[1], window=window).set_index("field")
    return frame[["flip_rate", "flicker_rate", "agreement"]].to_dict("index")


def plain_diff(old: str, new: str) -> int:
    """How many runs difflib finds, word by word."""
    matcher = SequenceMatcher(None, old.split(), new.split(), autojunk=False)
    return len(matcher.get_opcodes())


# ---- measuring ---------------------------------------------------------------------------------


def spent(work: Callable[[], object]) -> float:
    """CPU milliseconds."""
    gc.collect()
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1e3


def medians(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """CPU milliseconds of each way, interleaved."""
    for work in ways.values():  # imports, and memory that is new to the process
        work()
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            times[name].append(spent(work))
    return {name: statistics.median(values) for name, values in times.items()}


def judging(total: int, rounds: int) -> bool:
    many, few = Run(total), Run(LABELS)
    by_labels, by_rows = labels_judged(many), rows_judged(many)
    pd.testing.assert_frame_equal(pd.DataFrame(by_labels[0]), pd.DataFrame(by_rows[0]))
    assert by_labels[1:] == by_rows[1:]
    assert by_labels[1:] == labels_judged(few)[1:]
    found = medians(
        {
            "labels": lambda: labels_judged(many),
            "rows": lambda: rows_judged(many),
            "few": lambda: labels_judged(few),
        },
        rounds,
    )
    of_rows, of_few = found["labels"] / found["rows"], found["labels"] / found["few"]
    held = of_rows <= ROWS_BAR and of_few <= MORE_ROWS_BAR
    print(
        f"score, paired_test and flips, {LABELS} labels, {total:,} rows: {found['labels']:.1f} ms; "
        f"through all rows {found['rows']:.1f} ms: ratio {of_rows:.3f} (bar {ROWS_BAR}); "
        f"of {LABELS} rows {found['few']:.1f} ms: ratio {of_few:.2f} (bar {MORE_ROWS_BAR})"
    )

    window = 2
    ours, theirs = own_stability(many, window), pandas_stability(many, window)
    assert ours.keys() == theirs.keys()
    for name, figures in theirs.items():
        np.testing.assert_allclose(list(ours[name].values()), list(figures.values()), rtol=1e-9)
    found = medians(
        {
            "ours": lambda: own_stability(many, window),
            "pandas": lambda: pandas_stability(many, window),
        },
        rounds,
    )
    ratio = found["ours"] / found["pandas"]
    print(
        f"stability, {total:,} rows of {len(ours)} fields: {found['ours']:.0f} ms; "
        f"pandas {found['pandas']:.0f} ms: ratio {ratio:.3f} (bar {STABILITY_BAR})"
    )
    return held and ratio <= STABILITY_BAR


def diffs(rounds: int) -> bool:
    rng = np.random.default_rng(0)
    words = [f"word{number}" for number in rng.zipf(1.5, 3_000) % 500]
    edited = [*words[:1_000], "another", *words[1_003:2_000], "one", *words[2_000:]]
    held = True
    for name, old, new in (
        ("3,000 words, two edits", " ".join(words), " ".join(edited)),
        ("400 words that repeat themselves", "left right " * 200, "right left " * 200),
    ):
        segments = segments_of(old, new)
        assert "".join(text for kind, text in segments if kind != "added") == old
        assert "".join(text for kind, text in segments if kind != "removed") == new
        found = medians(
            {"ours": lambda: segments_of(old, new), "difflib": lambda: plain_diff(old, new)},  # noqa: B023
            rounds,
        )
        ratio = found["ours"] / found["difflib"]
        held = held and ratio <= DIFF_BAR
        print(
            f"diff of {name}: {found['ours']:.1f} ms; difflib {found['difflib']:.0f} ms: "
            f"ratio {ratio:.4f} (bar {DIFF_BAR})"
        )
    return held


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds (default 7)")
    parser.add_argument("--total", type=int, default=100_000, help="rows (default 100000)")
    options = parser.parse_args()
    if options.total < FEWEST_ROWS:
        parser.error(f"--total must be at least {FEWEST_ROWS}: of fewer rows the bars say nothing")
    print(f"Python {platform.python_version()}, pandas {pd.__version__}, numpy {np.__version__}")
    held = [judging(options.total, options.rounds), diffs(max(1, options.rounds // 2))]
    print("all bars hold" if all(held) else "A BAR DOES NOT HOLD")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
