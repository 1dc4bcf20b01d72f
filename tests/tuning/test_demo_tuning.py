"""Two schemas for one video, measured: the embedded engine reads the demo, whose truth is known.

What the package says of them is compared with what plain Python counts from the answers.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections import Counter
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

import overshoot_nb
from overshoot_nb import Overshoot, demo, local
from overshoot_nb.stream import Stream

FIELDS = ("event", "player")


def schema(event: dict[str, Any], player: str, **more: Any) -> dict[str, Any]:
    properties = {
        "event": {"type": ["string", "null"], **event},
        "player": {"type": ["string", "null"], "pattern": player},
        **more,
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


#: A list of events that lacks three of them, and two digits for each player's number.
LIST = schema({"enum": ["THREE POINTER", "DUNK", "LAYUP", None]}, r"^#\d\d [A-Z]+$")
#: Any two words in capitals: finds what the list lacks, and no event of a single word.
PATTERN = schema({"pattern": r"^[A-Z]+ [A-Z]+( Q\d)?$"}, r"^#\d+ [A-Z]+$")
#: Refused wherever the shot clock is off, for it may not be null.
STRICT = schema(
    {"enum": ["LAYUP", None]},
    r"^#\d+ [A-Z]+$",
    shot_clock={"type": "integer", "description": "the seconds beside 'SHOT'"},
)


class Tuned(NamedTuple):
    """The stream, and by hand: what was answered by version and sample, and what is true."""

    stream: Stream
    answers: dict[int, dict[int, dict[str, Any]]]
    truth: dict[int, dict[str, Any]]
    refused: frozenset[int]

    def right(self, version: int, sample: int, field: str | None = None) -> bool:
        said, true = self.answers[version][sample], self.truth[sample]
        return all(said[f] == true[f] for f in ([field] if field else FIELDS))


@pytest.fixture(scope="module")
def tuned():
    async def run() -> Tuned:
        async with Overshoot(base_url="local") as client:
            stream = await client.streams.create(
                source=overshoot_nb.FileSource(demo.video(), realtime=False),
                prompt="Read the banner",
                model="local/read",
                output_schema=LIST,
                interval_seconds=0.8,
            )
            await stream.wait()
            times = {s: t.total_seconds() for s, t in stream.df[["sample", "media_time"]].values}
            # A banner that slides in or out is neither there nor gone.
            settled = [s for s, t in times.items() if not demo.changing(t) & set(FIELDS)][:40]
            quiet = {"cache": False, "progress": False}
            two = await stream.backfill(
                output_schema=PATTERN, samples=settled, column="pattern", **quiet
            )
            assert (two.version.version, two.state) == (2, "done"), two
            asked = [s for s in settled if 12 < times[s] < 20]
            three = await stream.backfill(output_schema=STRICT, samples=asked, **quiet)
            assert three.version.version == 3
            truth = {s: {f: demo.truth(times[s])[f] for f in FIELDS} for s in settled}
            for sample, expected in truth.items():
                stream.label(sample, expected)
            rows = stream.df.set_index("sample")
            answers = {
                1: {s: json.loads(rows["result"][s]) for s in settled},
                2: {s: json.loads(rows["pattern"][s]) for s in settled},
                3: {s: json.loads(rows["v3"][s]) for s in asked if rows["v3.ok"][s]},
            }
            return Tuned(stream, answers, truth, frozenset(asked) - set(answers[3]))

    try:
        yield asyncio.run(asyncio.wait_for(run(), 120))
    finally:
        local.close_engine()


#: 95 % of a normal distribution are within so many deviations; 80 % are below so many.
Z, Z_POWER = 1.959963984540054, 0.8416212335729143


def wilson(right: int, n: int) -> tuple[float, float]:
    share, spread = right / n, Z * Z / n
    middle = (share + spread / 2) / (1 + spread)
    half = Z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return middle - half, middle + half


def mcnemar(better: int, worse: int) -> float:
    n, fewer = better + worse, min(better, worse)
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(fewer + 1)) / 2**n)


def labels_more(better: int, worse: int, n: int) -> int | None:
    """Connor 1987, at 80 % power; and at least the six pairs of which all say the same."""
    if better == worse:
        return None
    differ, change = (better + worse) / n, abs(better - worse) / n
    pairs = ((Z * math.sqrt(differ) + Z_POWER * math.sqrt(differ - change**2)) / change) ** 2
    return math.ceil(max(pairs, 6 / differ)) - n


def test_the_two_schemas_truly_read_other_things(tuned):
    assert len(tuned.truth) == 40
    for field in FIELDS:
        said = [[tuned.answers[v][s][field] for s in tuned.truth] for v in (1, 2)]
        assert said[0] != said[1]
    # Each is better about some samples, and both are wrong about others.
    counts = Counter((tuned.right(1, s), tuned.right(2, s)) for s in tuned.truth)
    assert counts[True, False] >= 4
    assert counts[False, True] >= 4
    assert counts[False, False] >= 2
    # Read as one reads it: a list does not know FOUL, two words in capitals are no DUNK.
    event = {
        v: {(tuned.truth[s]["event"], a["event"]) for s, a in said.items()}
        for v, said in tuned.answers.items()
    }
    assert {("FOUL", None), ("DUNK", "DUNK"), ("FREE THROW", None)} <= event[1]
    assert {("FOUL", None), ("DUNK", None), ("FREE THROW", "FREE THROW")} <= event[2]


def test_the_answers_stand_beside_each_other_in_the_table(tuned):
    rows = tuned.stream.df.set_index("sample")
    for sample in tuned.truth:
        for version, before in ((1, "out."), (2, "pattern.out.")):
            for field in FIELDS:
                cell = rows[before + field][sample]
                assert (None if cell != cell else cell) == tuned.answers[version][sample][field]
    asked = rows["pattern.ok"].notna()
    assert set(rows.index[asked]) == set(tuned.truth)


def test_the_score_table(tuned):
    table = tuned.stream.score().df.set_index(["version", "field"])
    expected = set()
    for version, said in tuned.answers.items():
        for field in (*FIELDS, "all"):
            expected.add((version, field))
            row = table.loc[(version, field)]
            right = sum(tuned.right(version, s, None if field == "all" else field) for s in said)
            assert (row["n"], row["right"]) == (len(said), right), (version, field)
            assert row["accuracy"] == pytest.approx(right / len(said))
            low, high = wilson(right, len(said))
            assert row["low"] == pytest.approx(low, abs=1e-12)
            assert row["high"] == pytest.approx(high, abs=1e-12)
            assert row["no_answer"] == (len(tuned.refused) if version == 3 else 0)
            assert row["unknown"] == 0
    assert set(table.index) == expected
    # What was refused is no wrong answer: it is counted beside them.
    times = [demo.truth(tuned.stream.samples[s].media_time)["shot_clock"] for s in tuned.refused]
    assert times == [None] * len(times)
    assert len(times) >= 4


def test_the_costs_in_the_score_table(tuned):
    table = tuned.stream.score(versions=[1, 2]).df.set_index(["version", "field"])
    rows = tuned.stream.df.set_index("sample").loc[list(tuned.truth)]
    assert table.loc[(1, "all"), "latency_p50_ms"] == pytest.approx(
        rows["inference_latency_ms"].median()
    )
    assert table.loc[(1, "all"), "tokens"] == pytest.approx(rows["total_tokens"].mean())
    # Words and punctuation marks of prompt and answer, as the engine says that it counts them.
    words = [len(re.findall(r"\w+|[^\w\s]", "Read the banner" + text)) for text in rows["pattern"]]
    assert table.loc[(2, "all"), "tokens"] == pytest.approx(sum(words) / 40)


def test_the_confusion_of_events(tuned):
    for version in (1, 2):
        said = tuned.answers[version]
        counts = Counter(
            (
                "null" if (true := tuned.truth[s]["event"]) is None else true,
                "null" if (read := said[s]["event"]) is None else read,
            )
            for s in said
        )
        table = tuned.stream.score().confusion(version, "event")
        shown = {
            (expected, answer): int(table.loc[expected, answer])
            for expected in table.index
            for answer in table.columns
            if table.loc[expected, answer]
        }
        assert shown == counts


@pytest.mark.parametrize("field", [None, *FIELDS])
def test_the_paired_test(tuned, field):
    counts = Counter((tuned.right(1, s, field), tuned.right(2, s, field)) for s in tuned.truth)
    test = tuned.stream.paired_test(1, 2, field=field)
    assert (test.old, test.new, test.n) == ("v1", "v2", 40)
    assert test.both_right == counts[True, True]
    assert test.only_old == counts[True, False]
    assert test.only_new == counts[False, True]
    assert test.both_wrong == counts[False, False]
    better, worse = counts[False, True], counts[True, False]
    assert test.p_value == pytest.approx(mcnemar(better, worse))
    assert test.difference == pytest.approx((better - worse) / 40)
    assert -1 <= test.low <= test.difference <= test.high <= 1
    assert test.low < 0 < test.high  # so few samples tell nothing yet
    assert test.labels_more == labels_more(better, worse, 40)


@pytest.mark.parametrize("field", [None, *FIELDS])
def test_the_flips(tuned, field):
    flips = tuned.stream.flips(1, 2, field=field)
    listed = {
        (row.sample, row.field): (row.expected, row.v1, row.v2, row.change)
        for row in flips.itertuples()
    }
    assert len(listed) == len(flips)
    by_hand = {}
    for sample, true in tuned.truth.items():
        for name in [field] if field else FIELDS:
            before, after = (tuned.right(v, sample, name) for v in (1, 2))
            if before != after:
                by_hand[sample, name] = (
                    true[name],
                    tuned.answers[1][sample][name],
                    tuned.answers[2][sample][name],
                    "better" if after else "worse",
                )
    assert listed == by_hand
    seconds = flips["media_time"].dt.total_seconds()
    times = [tuned.stream.samples[sample].media_time for sample in flips["sample"]]
    assert seconds.tolist() == pytest.approx(times)
    assert set(flips["change"]) == ({"better"} if field == "player" else {"better", "worse"})


def test_the_stability(tuned):
    table = tuned.stream.stability(versions=[2]).set_index("field")
    assert set(table.index) == set(FIELDS)
    for field in FIELDS:
        said = [tuned.answers[2][s][field] for s in sorted(tuned.truth)]
        row = table.loc[field]
        assert (row["n"], row["pairs"]) == (40, 39)
        flips = sum(a != b for a, b in pairwise(said))
        assert row["flip_rate"] == pytest.approx(flips / 39)
        lone = sum(a == c != b for a, b, c in zip(said, said[1:], said[2:], strict=False))
        assert row["flickers"] == lone
        near = [
            [said[k] for k in range(max(0, i - 2), min(40, i + 3)) if k != i] for i in range(40)
        ]
        shares = [others.count(said[i]) / len(others) for i, others in enumerate(near)]
        assert row["agreement"] == pytest.approx(sum(shares) / 40)
