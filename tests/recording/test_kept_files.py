"""What earlier versions wrote opens today: recordings, prompts and labels of ``tests/kept``."""

from __future__ import annotations

import lzma
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import pytest
from replays import at

import overshoot_nb
from overshoot_nb import PromptVersion, Stream, analyze
from overshoot_nb.store.labels import Labels

from chatserver import ChatServer, Request
from videos import HEIGHT, WIDTH, number_in

pytestmark = pytest.mark.usefixtures("no_threads_left")

KEPT = Path(__file__).parent.parent / "kept"
VERSIONS = sorted(folder.name for folder in KEPT.iterdir() if (folder / "plain.parquet").exists())
#: The samples that became rows where a slow server let some be replaced, of how many.
ANSWERED = {
    "0.5.0": {"drops": ([0, 1, 3, 5, 7, 8, 9], 10), "killed": ([0, *range(2, 18)], 18)},
    "0.6.0": {"drops": ([0, 1, 3, 5, 7, 8, 9], 10), "killed": ([0, *range(2, 18)], 18)},
}
SCHEMA = {
    "type": "object",
    "properties": {
        "number": {"type": "integer"},
        "share": {"type": "number"},
        "even": {"type": "boolean"},
        "kind": {"type": "string", "enum": ["low", "high"]},
        "digits": {"type": "array", "items": {"type": "integer"}},
        "half": {"type": ["integer", "null"]},
    },
    "required": ["number", "share", "even", "kind", "digits", "half"],
}
#: Of typed columns.
DTYPES = {
    "number": "Int64",
    "share": "float64",
    "even": "boolean",
    "kind": "category",
    "digits": "object",
    "half": "Int64",
}


@pytest.fixture(params=VERSIONS)
def folder(request: pytest.FixtureRequest) -> Path:
    return KEPT / request.param


def numbers(stream: Stream) -> list[list[int]]:
    """What the pictures of each sample show."""
    kept = (stream.frames[index] for index in stream.frames)
    return [[number_in(frame.data) for frame in sample.frames] for sample in kept]


def seconds(rows: pd.DataFrame) -> list[float]:
    return [time.total_seconds() for time in rows["media_time"]]


def test_files_of_both_versions_are_kept() -> None:
    assert set(ANSWERED) <= set(VERSIONS)


def test_rows_pictures_and_times(folder: Path) -> None:
    run = overshoot_nb.load(folder / "plain.parquet")
    df = run.df
    assert list(df["sample"]) == list(range(8))
    assert seconds(df) == [0.0, 0.4, 0.8, 1.2, 1.6, 2.0, 2.4, 2.8]
    assert list(df["ok"]) == [True, True, True, False, True, True, True, True]
    assert list(df["result"][df["ok"]]) == [f"number {n}" for n in (0, 4, 8, 16, 20, 24, 28)]
    assert df["error"].iloc[3].endswith("this number is refused (HTTP 400)")
    assert df["error"].notna().sum() == 1
    assert {str(df[name].dtype) for name in ("captured_at", "answered_at")} == {
        "datetime64[us, UTC]"
    }
    assert str(df["media_time"].dtype) == "timedelta64[us]"
    assert str(df["total_tokens"].dtype) == "Int64"
    assert df["total_tokens"].sum() == 84
    assert set(df["model"]) == {"test/model"}
    assert df["stream_id"].iloc[0] == run.stream_id
    assert (df["captured_at"].dt.year == 2026).all()
    assert numbers(run) == [[4 * index] for index in range(8)]
    first = run.frames[5].frames[0]
    assert (first.media_time, first.width, first.height) == (2.0, WIDTH, HEIGHT)
    assert (run.state, run.status) == ("ended", "ended: end of the frames at 3.0 s")
    assert (run.stats.samples, run.stats.results, run.stats.errors) == (8, 7, 1)
    assert run.complete


def test_prompts_labels_and_later_answers(folder: Path) -> None:
    run = overshoot_nb.load(folder / "plain.parquet")
    asked = [(p.version, p.text, p.parent, p.note, p.output_schema) for p in run.prompts]
    assert asked == [
        (1, "Which unlucky number?", None, "", None),
        (2, "Say it in words", 1, "in words", None),
        (3, "Now with fields", 1, "", SCHEMA),
    ]
    assert {(p.model, p.max_output_tokens, p.temperature) for p in run.prompts} == {
        ("test/model", 40, 0.25)
    }
    right = {label.sample: label.expected for label in run.labels if not label.rejected}
    assert right == {0: "number 0", 1: "number 4", 2: "number 8", 5: "number 21"}
    assert run.labels.get(4).rejected == ("number 16",)
    assert [round(float(row), 6) for row in run.score().df["accuracy"]][:1] == [0.6]
    df = run.df
    assert list(df["words"]) == [f"it is {4 * index} – “ü”" for index in range(8)]
    assert {n: str(df[f"fields.out.{n}"].dtype) for n in DTYPES} == DTYPES
    assert list(df["fields.out.number"].dropna()) == [4, 8, 20]
    assert list(df["fields.out.kind"].dropna()) == ["low", "low", "high"]
    assert [list(d) for d in df["fields.out.digits"].dropna()] == [[4], [8], [2, 0]]


def test_files_of_prompts_and_labels(folder: Path) -> None:
    run = overshoot_nb.load(folder / "plain.parquet")
    for name, version in (("words", 2), ("fields", 3)):
        loaded = PromptVersion.load(folder / f"{name}.toml")
        assert loaded.parameters == run.prompts[version].parameters
    assert PromptVersion.load(folder / "words.toml").note == "in words"
    labels = Labels.from_json((folder / "labels.json").read_text("utf-8"))
    assert list(labels) == list(run.labels)


def test_typed_columns(folder: Path) -> None:
    run = overshoot_nb.load(folder / "schema.parquet")
    df = run.df
    assert {n: str(df[f"out.{n}"].dtype) for n in DTYPES} == DTYPES
    assert list(df["out.number"]) == [0, 5, 10, 15]
    assert list(df["out.share"]) == [0.0, 0.125, 0.25, 0.375]
    assert list(df["out.even"]) == [True, False, True, False]
    assert list(df["out.kind"]) == ["low", "low", "high", "high"]
    assert list(df["out.kind"].cat.categories) == ["low", "high"]
    assert [list(digits) for digits in df["out.digits"]] == [[0], [5], [1, 0], [1, 5]]
    assert list(df["out.half"].fillna(-1)) == [0, -1, 5, -1]
    assert run.prompts[1].output_schema == SCHEMA
    events = df.overshoot.events("out.number >= 10")
    assert [time.total_seconds() for time in events["start"]] == [1.0]


def test_clips(folder: Path) -> None:
    run = overshoot_nb.load(folder / "clip.parquet")
    df = run.df
    assert list(df["result"]) == ["0 2 4", "10 12 14", "20 22 24"]
    assert set(df["mode"]) == {"clip"}
    assert numbers(run) == [[0, 2, 4], [10, 12, 14], [20, 22, 24]]
    times = [[frame.media_time for frame in run.frames[i].frames] for i in range(3)]
    assert np.allclose(times, [[0.0, 0.2, 0.4], [1.0, 1.2, 1.4], [2.0, 2.2, 2.4]])
    processing = run.settings.processing
    assert (processing.target_fps, processing.clip_length_seconds) == (5, 0.6)


@pytest.mark.parametrize("name", ["drops", "killed"])
def test_drops_and_a_killed_process(folder: Path, name: str, tmp_path: Path) -> None:
    run = overshoot_nb.load(unpacked(folder, name, tmp_path))
    answered, taken = ANSWERED[folder.name][name]
    # The video has 20 frames, 10 a second, and is played again from its start.
    shown = [2 * index % 20 for index in range(taken)]
    assert list(run.df["sample"]) == answered
    assert list(run.df["result"]) == [f"number {shown[index]}" for index in answered]
    assert np.allclose(seconds(run.df), [0.2 * index for index in answered])
    assert numbers(run) == [[number] for number in shown]
    assert run.stats.drops == {"replaced by a newer sample": taken - len(answered)}
    assert run.complete == (name == "drops")
    assert run.state == ("ended" if name == "drops" else "failed")
    drops = run.df.overshoot.drops()
    assert list(drops["count"]) == [taken - len(answered)]


def unpacked(folder: Path, name: str, to: Path) -> Path:
    path = folder / f"{name}.parquet"
    if not path.exists():
        packed = path.with_name(path.name + ".xz").read_bytes()
        path = to / path.name
        path.write_bytes(lzma.decompress(packed))
    return path


def test_a_kept_recording_is_asked_and_played_again(folder: Path) -> None:
    path = folder / "plain.parquet"
    asked: dict[str, Any] = {"interval_seconds": 0.4, "max_output_tokens": 40, "temperature": 0.25}
    replayed = analyze(
        overshoot_nb.replay(path),
        "Which unlucky number?",
        "test/model",
        base_url=at(path),
        progress=False,
        **asked,
    )
    recorded = overshoot_nb.load(path).df
    assert list(replayed["result"].fillna("")) == list(recorded["result"].fillna(""))
    assert list(replayed["ok"]) == list(recorded["ok"])

    def count(request: Request) -> str:
        return f"saw {number_in(request.jpegs[0])}"

    with ChatServer(count) as server:
        other = analyze(
            overshoot_nb.replay(path),
            "And now?",
            "test/model",
            base_url=server.url,
            progress=False,
            **asked,
        )
    assert list(other["result"]) == [f"saw {4 * index}" for index in range(8)]


def test_a_kept_recording_is_annotated_and_recorded_again(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    rows = overshoot_nb.load(folder / "drops.parquet").df
    rows.overshoot.annotate(tmp_path / "file.mp4", source=folder / "video.mp4")
    assert length(tmp_path / "file.mp4") == timedelta(seconds=2)
    rows = overshoot_nb.load(folder / "schema.parquet").df
    rows.overshoot.annotate(tmp_path / "pictures.mp4", caption="{out.number}")
    assert length(tmp_path / "pictures.mp4") >= timedelta(seconds=1.5)
    before = overshoot_nb.load(folder / "plain.parquet")
    before.record(tmp_path / "again.parquet")
    again = overshoot_nb.load(tmp_path / "again.parquet")
    pd.testing.assert_frame_equal(again.df, before.df)
    assert list(again.labels) == list(before.labels)
    assert numbers(again) == numbers(before)


def length(path: Path) -> timedelta:
    with av.open(str(path)) as container:
        return timedelta(microseconds=container.duration)
