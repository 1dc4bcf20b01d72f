"""A run that is recorded and loaded is the same run: every column, dtype and byte."""

from __future__ import annotations

import math
import random
import tempfile
from pathlib import Path

import hypothesis
from hypothesis import strategies as st

from overshoot_nb.types import EncodedFrame, Sample, Usage

from made_runs import START, MadeRun, assert_same, load, result_of, same_frame

SCHEMA = {
    "type": "object",
    "properties": {
        "people": {"type": "integer"},
        "score": {"type": "number"},
        "dark": {"type": "boolean"},
        "event": {"enum": ["goal", "foul"]},
        "at": {"type": "string", "format": "date-time"},
        "objects": {"type": "array"},
        "home": {"type": "object", "properties": {"name": {"type": "string"}}},
        "huge": {"type": "integer", "maximum": 10**30},
    },
}
#: The same fields, some of other types, and more of them.
CHANGED = {
    "type": "object",
    "properties": {
        "people": {"type": "number"},
        "event": {"enum": ["goal", "corner"]},
        "dark": {"type": "string"},
        "note 🏀": {"type": "string"},
    },
}

texts = st.text(st.characters(exclude_categories=()), max_size=30) | st.sampled_from(
    ["", " ", "🏀👩‍👩‍👧", "\ud800 alone", "null", '{"a": 1}', "a\0b", "ü" * 300]
)
numbers = (
    st.integers()
    | st.sampled_from([2**63, -(2**63) - 1, 10**25, 0])
    | st.floats(allow_nan=True, allow_infinity=True)
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
fields = st.fixed_dictionaries(
    {},
    optional={
        "people": numbers | st.none(),
        "score": numbers,
        "dark": st.booleans() | texts,
        "event": st.sampled_from(["goal", "foul", "corner", "else"]),
        "at": st.sampled_from(["2026-01-01T10:00:00Z", "tomorrow"]),
        "objects": st.lists(values, max_size=3),
        "home": st.fixed_dictionaries({"name": texts}),
        "huge": numbers,
        "note 🏀": texts,
    },
)
usages = st.none() | st.builds(
    Usage,
    st.integers(0, 2**70),
    st.integers(0, 1000),
    st.integers(0, 2**40),
    st.none() | st.floats(allow_nan=True, allow_infinity=False),
)
pictures = st.lists(
    st.sampled_from([b"", b"\xff\xd8one", b"\xff\xd8two" * 50]), min_size=1, max_size=4
)


@st.composite
def runs(draw: st.DrawFn) -> MadeRun:
    schemas = draw(st.sampled_from([(None,), (SCHEMA,), (SCHEMA, CHANGED), (None, CHANGED)]))
    run = MadeRun(*schemas, mode=draw(st.sampled_from(["frame", "clip"])))
    change_at = draw(st.integers(0, 8)) if len(schemas) > 1 else None
    waiting: list[Sample] = []
    for index in range(draw(st.integers(0, 8))):
        if index == change_at:
            run.adopt(2)
        fate = draw(st.sampled_from(["answer", "answer", "drop", "missed", "late", "waiting"]))
        if fate == "missed":
            run.journal.missed(index, index / 2, draw(texts))
            continue
        video = draw(st.none() | st.sampled_from([b"", b"\0mp4" * 9]))
        sample = run.sampled(*draw(pictures), mode=run.settings.mode, video=video)
        if fate == "drop":
            run.journal.dropped(sample.index, draw(texts), sent=False)
        elif fate == "late":
            waiting.append(sample)
        elif fate == "answer":
            answer(draw, run, sample)
    for sample in draw(st.permutations(waiting)):
        answer(draw, run, sample)
    asked_later(draw, run)
    if draw(st.booleans()):
        run.journal.counters.charged(0.25, 12.5, draw(st.none() | st.floats(0, 100)))
        run.journal.counters.reconnected(*draw(st.sampled_from([(), ("source", 3)])))
    return run


def answer(draw: st.DrawFn, run: MadeRun, sample: Sample) -> None:
    ok = draw(st.booleans())
    run.answered(
        sample,
        draw(texts),
        ok=ok,
        error=None if ok else draw(texts),
        output=draw(st.none() | fields | values),
        usage=draw(usages),
        finish_reason=draw(st.sampled_from([None, "stop", "length"])),
        reasoning=draw(st.none() | texts),
        inference_latency_ms=draw(st.floats(0)),
        prompt=draw(texts),
        prompt_version=run.prompts.current.version,
        answered_at=draw(st.none() | st.just(sample.captured_at)),
    )


def asked_later(draw: st.DrawFn, run: MadeRun) -> None:
    samples = [run.journal.frames[i].sample for i in run.journal.frames]
    if not samples or not draw(st.booleans()):
        return
    version = run.prompts.version_of(
        text=draw(texts), output_schema=draw(st.sampled_from([None, SCHEMA]))
    )
    for sample in draw(st.lists(st.sampled_from(samples), unique_by=lambda s: s.index)):
        said = {
            "output": draw(st.none() | fields),
            "usage": draw(usages),
            "ok": draw(st.booleans()),
        }
        later = result_of(sample, draw(texts), prompt_version=version.version, **said)
        run.journal.later.put(later)
        if draw(st.booleans()):
            run.journal.labels.set(
                sample.index, draw(st.none() | st.just("people")), draw(st.text())
            )
    if draw(st.booleans()):
        run.journal.later.show(draw(st.sampled_from(["v2", "v2 (2)", "später"])), version)


@hypothesis.settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large],
)
@hypothesis.given(runs())
def test_a_loaded_run_is_the_recorded_run(run):
    with tempfile.TemporaryDirectory() as folder:
        loaded = load(run.record(Path(folder) / "run.parquet"))
        assert_same(run, loaded)
        loaded.record(Path(folder) / "again.parquet", progress=False)
        assert_same(run, load(Path(folder) / "again.parquet"))


def test_zero_rows(tmp_path):
    run = MadeRun(SCHEMA)
    assert_same(run, load(run.record(tmp_path / "run.parquet")))
    run = MadeRun()
    run.journal.missed(0, 0.0, "undecodable")
    loaded = load(run.record(tmp_path / "drop.parquet"))
    assert_same(run, loaded)
    assert len(loaded.df) == 0
    assert loaded.stats.drops == {"undecodable": 1}


def test_large_texts_and_pictures_over_many_row_groups(tmp_path):
    noise = random.Random(1)
    run = MadeRun()
    for index in range(30):
        sample = run.sampled(*[noise.randbytes(100_000) for _ in range(5)], mode="clip")
        run.answered(sample, f"{index}" + "ä🏀" * 350_000 if index % 9 == 0 else "short")
    path = run.record(tmp_path / "run.parquet")
    loaded = load(path)
    assert path.stat().st_size > 10e6
    assert_same(run, loaded)
    # Each in a row group that was not looked at yet, backwards too.
    fresh = load(path)
    for index in (29, 0, 15, 14, 29):
        assert fresh.frames[index].sample == run.journal.frames[index].sample


def test_pictures_that_clips_share_and_a_picture_larger_than_a_row_group(tmp_path):
    run = MadeRun()
    shared = [EncodedFrame(k / 6, bytes([k]) * 5000, 64, 36) for k in range(9)]
    for index in range(3):
        clip = Sample(
            index,
            "clip",
            index / 2,
            START,
            tuple(shared[index * 3 : index * 3 + 4]),
            b"mp4" * index,
        )
        run.journal.sampled(clip)
        run.answered(clip)
    big = run.sampled(bytes(9 * 2**20))
    run.answered(big)
    assert_same(run, load(run.record(tmp_path / "run.parquet")))


def test_latencies_and_costs_keep_what_is_missing_apart_from_what_is_nothing(tmp_path):
    run = MadeRun()
    for cents in (None, 0.0, math.nan, -0.0):
        run.answered(run.sampled(b"\xff\xd8"), usage=Usage(1, 2, 3, cents))
    run.answered(run.sampled(b"\xff\xd8"), usage=None, inference_latency_ms=math.nan)
    loaded = load(run.record(tmp_path / "run.parquet"))
    assert_same(run, loaded)
    same_frame(run.df, loaded.df)
    assert [r.usage and r.usage.cost_cents for r in loaded._run.journal.table][:2] == [None, 0.0]
