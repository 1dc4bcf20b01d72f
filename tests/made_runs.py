"""Runs without a stream, to be recorded: whatever a test wants to have happened in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import overshoot_nb
from overshoot_nb.asking.endpoint import resolve_endpoint
from overshoot_nb.errors import ValidationError
from overshoot_nb.recording.ended_run import write_run
from overshoot_nb.recording.format import METADATA_KEY
from overshoot_nb.recordings import Recording
from overshoot_nb.running.run import Run
from overshoot_nb.running.service import open_service
from overshoot_nb.sampling.opening import VideoInfo
from overshoot_nb.settings.stream_settings import StreamSettings
from overshoot_nb.store.journal import Journal
from overshoot_nb.store.prompts import PromptHistory, PromptVersion
from overshoot_nb.stream import Stream
from overshoot_nb.tuning.side_columns import add_side_columns
from overshoot_nb.types import EncodedFrame, Sample, StreamInferenceResult, Usage

START = datetime(2026, 1, 1, tzinfo=UTC)
#: Nobody is asked.
SERVICE = open_service(resolve_endpoint(base_url="http://127.0.0.1:9/v1"), 1.0)


class NoCallbacks:
    """Nobody is called."""

    def report(self, error: BaseException) -> None:
        """Nobody is told."""


class MadeRun(Run):
    """What recording needs of a run.

    Args:
        schemas: the output schema of each prompt version, the first first.
        parameters: of ``client.streams.create``.
    """

    is_active = False
    state = "ended"
    note = "end of file at 3.0 s"
    stream_id = ""
    service: Any = SERVICE
    callbacks: Any = NoCallbacks()
    info = VideoInfo(640, 360, "h264", 29.97, 3.0)

    def __init__(self, *schemas: Any, stream_id: str = "run-1", **parameters: Any) -> None:
        first, *others = schemas or (None,)
        settings = {"source": "clip.mp4", "prompt": "What?", "model": "owner/model", **parameters}
        self.stream_id = stream_id
        self.settings = StreamSettings.build(**settings, output_schema=first)
        self.journal = Journal(first, 1 << 30)
        self.prompts = PromptHistory(
            PromptVersion(1, self.settings.prompt, self.settings.model, first, created_at=START)
        )
        for number, schema in enumerate(others, 2):
            self.prompts.version_of(text=f"What? ({number})", output_schema=schema, note="more")

    def sampled(
        self,
        *pictures: bytes,
        mode: str = "frame",
        media_time: float | None = None,
        video: bytes | None = None,
    ) -> Sample:
        """Take a sample."""
        index = len(self.journal.log)
        at = index / 2 if media_time is None else media_time
        frames = tuple(EncodedFrame(at + k / 10, p, 640, 360) for k, p in enumerate(pictures))
        captured_at = START + timedelta(seconds=index / 2, microseconds=index)
        sample = Sample(index, mode, at, captured_at, frames, video)  # type: ignore[arg-type]
        self.journal.sampled(sample)
        return sample

    def answered(self, sample: Sample, said: str = "yes", **fields: Any) -> StreamInferenceResult:
        """Give a sample its row."""
        result = result_of(sample, said, **{"stream_id": self.stream_id, **fields})
        self.journal.sent()
        self.journal.answered(result)
        return result

    def adopt(self, version: int) -> None:
        """Ask another version from now on."""
        adopted = self.prompts[version]
        if adopted.output_schema is not None:
            self.journal.table.add_schema(adopted.output_schema)
        self.prompts.enforce(adopted)

    def record(self, path: Path) -> Path:
        """Write it as a file."""
        write_run(self, path, overwrite=True, wrote=lambda rows: None)  # type: ignore[arg-type]
        return path

    @property
    def df(self) -> pd.DataFrame:
        """As a stream shows it."""
        frame = self.journal.table.df
        add_side_columns(frame, self.journal.later)
        return frame


def result_of(sample: Sample, said: str = "yes", **fields: Any) -> StreamInferenceResult:
    """An answer about a sample."""
    about = {
        "id": f"res_{sample.index}",
        "stream_id": "run-1",
        "mode": sample.mode,
        "model_name": "owner/model",
        "prompt": "What?",
        "result": said,
        "inference_latency_ms": 100.5,
        "total_latency_ms": 120.25,
        "ok": True,
        "finish_reason": "stop",
        "sample": sample.index,
        "media_time": sample.media_time,
        "frame_times": tuple(frame.media_time for frame in sample.frames),
        "captured_at": sample.captured_at,
        "answered_at": sample.captured_at + timedelta(milliseconds=120),
        "usage": Usage(10, 2, 12),
    }
    return StreamInferenceResult(**{**about, **fields})


def assert_same(run: MadeRun | Stream, loaded: Recording) -> None:
    """Everything that a recording keeps is as it was; floats to the bit, NaN too."""
    ours = run._run if isinstance(run, Stream) else run
    same_frame(run.df, loaded.df)
    journal, again = ours.journal, loaded._run.journal
    assert repr(list(again.table)) == repr(list(journal.table))
    assert [again.log[i] for i in range(len(again.log))] == [
        journal.log[i] for i in range(len(journal.log))
    ]
    assert repr(again.counters.snapshot()) == repr(journal.counters.snapshot())
    assert list(again.frames) == list(journal.frames)
    for index in journal.frames:
        assert again.frames[index].sample == journal.frames[index].sample
    assert later(again) == later(journal)
    assert list(again.later.columns) == list(journal.later.columns)
    assert again.labels.to_json() == journal.labels.to_json()
    assert [shown(v) for v in loaded.prompts] == [shown(v) for v in ours.prompts]
    assert loaded.prompts.current.version == ours.prompts.current.version
    assert loaded.settings == ours.settings
    assert (loaded.stream_id, loaded.state, loaded.status) == (
        ours.stream_id,
        ours.state,
        ours.status,
    )
    assert loaded._run.info == ours.info


def same_frame(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Equal in every column, dtype, category and value."""
    assert list(one) == list(other)
    nested = [name for name in one if one[name].dtype == object]
    pd.testing.assert_frame_equal(
        one.drop(columns=nested), other.drop(columns=nested), check_exact=True
    )
    for name in nested:  # where NaN in a list is no other NaN to pandas
        assert other[name].dtype == object
        assert repr(list(one[name])) == repr(list(other[name]))


def later(journal: Journal) -> Mapping[tuple[int, int], str]:
    """Later answers by version and sample."""
    return {(r.prompt_version, r.sample): repr(r) for r in journal.later}


def shown(version: PromptVersion) -> dict[str, Any]:
    """All fields of a version that it shows."""
    return {f.name: getattr(version, f.name) for f in fields(version) if f.name[0] != "_"}


def load(path: Path) -> Recording:
    """A recording."""
    return overshoot_nb.load(path)


def made(rows: int = 6, size: int = 3000, **parameters) -> MadeRun:
    """A run of answers, a picture of noise each."""
    run = MadeRun(**parameters)
    for index in range(rows):
        picture = np.random.default_rng(index).bytes(size)
        run.answered(run.sampled(picture), f"answer {index}")
    return run


def rewritten(path: Path, table: pa.Table | None = None, /, to: Path | None = None, **said) -> Path:
    """The same run in a file of another writer: with other rows, or saying something else."""
    known = pq.read_metadata(path).metadata[METADATA_KEY.encode()]
    table = pq.read_table(path) if table is None else table
    text = json.dumps({**json.loads(known), **said})
    to = to or path
    pq.write_table(table.replace_schema_metadata({METADATA_KEY: text}), to)
    return to


def refused(path, *words: str) -> None:
    """Not loaded, and the error says all of this."""
    with pytest.raises(ValidationError) as caught:
        overshoot_nb.load(path)
    for word in words:
        assert word in str(caught.value)
    assert str(path) in str(caught.value)
