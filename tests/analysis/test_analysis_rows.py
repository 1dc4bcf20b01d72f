"""What a row is about, whatever was done to the rows since they were a stream's."""

from __future__ import annotations

import asyncio
import gc
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import overshoot_nb
from overshoot_nb import config
from overshoot_nb.analysis.rows import media_seconds, row_at, run_of, sample_of
from overshoot_nb.conditions.required_columns import require
from overshoot_nb.errors import SampleNotKeptError, ValidationError
from overshoot_nb.running import run_registry

from chatserver import ChatServer
from videos import make_video, number_in

TIMES = pd.to_timedelta([0.1, None, 2.5], unit="s").astype("timedelta64[us]")
ROWS = pd.DataFrame({"media_time": TIMES, "sample": [1, 2, 3]})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of two analyses, of frames and of clips, whose answers are their frames' numbers."""
    path = make_video(tmp_path_factory.mktemp("videos") / "v.mp4", 40, fps=10)
    with ChatServer(lambda request: f"{number_in(request.jpegs[0])}") as server:
        return (
            analyze(path, server, interval_seconds=0.5),
            analyze(
                path, server, mode="clip", target_fps=10, clip_length_seconds=0.5, delay_seconds=1
            ),
        )


def analyze(path: Path, server: ChatServer, **parameters: Any) -> pd.DataFrame:
    return overshoot_nb.analyze(
        str(path), "?", "m", base_url=server.url, progress=False, **parameters
    )


def shown(df: pd.DataFrame, position: int) -> int:
    return number_in(sample_of(position, df).frames[0].data)


# ---- time --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        ROWS.astype({"media_time": "timedelta64[ns]"}),
        ROWS.astype({"media_time": pd.ArrowDtype(pa.duration("us"))}),
        ROWS.assign(media_time=[0.1, None, 2.5]),
        ROWS.assign(media_time=pd.array([0.1, None, 2.5], "Float64")),
        ROWS.assign(media_time=pd.array([0.1, None, 2.5], pd.ArrowDtype(pa.float64()))),
        ROWS.assign(media_time=np.array([0.1, np.nan, 2.5], np.float32)).astype("float64"),
        ROWS.assign(media_time=["0.1", None, "2.5"]),
        pd.read_csv(io.StringIO(ROWS.to_csv())),
        pd.read_csv(io.StringIO(ROWS.to_csv()), dtype_backend="pyarrow"),
        ROWS.set_index(pd.Index([7, 7, 7])),
    ],
    ids=lambda rows: str(rows["media_time"].dtype),
)
def test_media_time_is_seconds_whatever_holds_it(rows: pd.DataFrame) -> None:
    before = rows.copy()
    seconds = media_seconds(rows)
    assert seconds.dtype == np.float64
    np.testing.assert_allclose(seconds, [0.1, np.nan, 2.5], rtol=1e-7)
    seconds[:] = 9  # the caller's own
    pd.testing.assert_frame_equal(rows, before)


def test_media_times_of_microseconds_are_exact() -> None:
    ticks = np.array([0, 1, 100_000, 3_600_000_001], "timedelta64[us]")
    assert media_seconds(pd.DataFrame({"media_time": ticks})).tolist() == [
        0,
        1e-6,
        0.1,
        3600.000001,
    ]


def test_no_rows_have_no_times_and_whole_seconds_are_times() -> None:
    assert media_seconds(ROWS.iloc[:0]).shape == (0,)
    assert media_seconds(ROWS.assign(media_time=[1, 2, 3])).tolist() == [1, 2, 3]


@pytest.mark.parametrize("values", [["x", "y", "z"], [True, False, True], [pd.Timestamp(0)] * 3])
def test_what_is_no_time_is_refused(values: list[Any]) -> None:
    with pytest.raises(ValidationError, match=r"media_time holds .*resample\(\) cannot read"):
        media_seconds(ROWS.assign(media_time=values), "resample")


def test_columns_that_are_not_there_or_twice_are_named() -> None:
    require(ROWS, "events", "media_time", "sample")
    with pytest.raises(ValidationError, match=r"^events\(\) needs the columns ok and stream_id, "):
        require(ROWS, "events", "media_time", "ok", "stream_id")
    with pytest.raises(ValidationError, match="several of that name"):
        require(pd.concat([ROWS, ROWS], axis=1), "events", "sample")


# ---- samples -----------------------------------------------------------------------------------

SAME: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "as it is": lambda df: df,
    "filtered": lambda df: df[df["sample"] % 2 == 1],
    "sorted": lambda df: df.sort_values("sample", ascending=False),
    "joined": lambda df: df.merge(pd.DataFrame({"sample": [1, 3, 5], "note": list("abc")})),
    "outer joined": lambda df: df.merge(pd.DataFrame({"sample": [3.0, 5.0]}), how="left"),
    "one index for all": lambda df: df.set_index(pd.Index([0] * len(df))),
    "indexed by time": lambda df: df.set_index("captured_at"),
    "few columns": lambda df: df[["stream_id", "result", "sample"]],
    "text": lambda df: df.astype({"stream_id": str, "mode": str}),
    "objects": lambda df: df.astype(object),
    "nullable": lambda df: df.convert_dtypes(),
    "through CSV": lambda df: pd.read_csv(io.StringIO(df.to_csv())),
    "twice the other columns": lambda df: pd.concat([df, df[["prompt"]]], axis=1),
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_pictures_are_found_whatever_was_done_to_the_rows(
    runs: tuple[pd.DataFrame, pd.DataFrame], change: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    rows = change(runs[0])
    assert len(rows) >= 3
    wanted = [int(answer) for answer in rows["result"]]
    assert [shown(rows, i) for i in range(len(rows))] == wanted
    assert [number_in(sample_of(row).frames[0].data) for _, row in rows.iterrows()] == wanted
    assert number_in(sample_of(rows.iloc[-1].to_dict()).frames[0].data) == wanted[-1]
    assert shown(rows, -1) == wanted[-1]


def test_rows_of_two_streams_have_their_own_pictures(
    runs: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    both = pd.concat(runs).sort_values("media_time")
    assert both.index.duplicated().any()
    modes = [sample_of(i, both).mode for i in range(len(both))]
    assert modes == list(both["mode"])
    assert [shown(both, i) for i in range(len(both))] == [int(r) for r in both["result"]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"sample": 1}, "the row has no stream_id, by which its pictures are found"),
        ({"stream_id": "s"}, "the row has no sample"),
        ({"stream_id": pd.NA, "sample": 1}, "the row's stream_id is missing: it is of no stream"),
        ({"stream_id": np.nan, "sample": 1}, "the row's stream_id is missing"),
        ({"stream_id": "s", "sample": 1.5}, "the row's sample is 1.5, which is no sample index"),
        ({"stream_id": "s", "sample": "x"}, "the row's sample is 'x'"),
        ((1, 2), "is no row: give its position"),
        (True, "True is no row"),
        ("a", "'a' is no row"),
    ],
)
def test_what_is_no_row_is_refused(row: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        sample_of(row, ROWS)


def test_a_position_that_is_not_there_is_refused() -> None:
    with pytest.raises(LookupError, match=r"there is no row 3: there are 3 rows, 0 to 2"):
        row_at(ROWS, 3)
    with pytest.raises(LookupError, match="there are no rows"):
        sample_of(0, ROWS.iloc[:0])


def test_rows_whose_stream_is_gone_say_what_to_do() -> None:
    assert run_of("nobody's") is None
    with pytest.raises(SampleNotKeptError, match=r"gone with it: keep the stream .* or record it"):
        sample_of({"stream_id": "nobody's", "sample": 0})
    # analyze() gives no stream that could be kept.
    rows = pd.DataFrame({"stream_id": ["nobody's"], "sample": [0]})
    for ask in (lambda: sample_of(0, rows), rows.overshoot.drops):
        with pytest.raises(SampleNotKeptError, match=r"or analyze\(..., record=path\)\) and use"):
            ask()


# ---- runs that are kept for their rows ---------------------------------------------------------


def test_the_last_few_analyses_are_found_and_their_pictures_are_on_disk(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", 10, fps=10)
    with ChatServer(lambda request: "yes") as server:
        frames = [analyze(path, server) for _ in range(run_registry.KEPT_RUNS + 1)]
    gc.collect()
    gone, *kept = [run_of(df["stream_id"].iloc[0]) for df in frames]
    assert gone is None
    for run, df in zip(kept, frames[1:], strict=True):
        assert run is not None
        asyncio.run(written(run.journal.frames))
        assert run.journal.frames.nbytes_on_disk > 0
        assert df.overshoot.frame(0).size == (160, 96)


async def written(frames: Any) -> None:
    async with asyncio.timeout(60):
        while frames.nbytes:
            await asyncio.sleep(0.005)


def test_pictures_that_memory_has_no_room_for_are_found(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", 60, fps=10)
    with ChatServer(lambda request: f"{number_in(request.jpegs[0])}") as server:
        df = analyze(path, server, keep_frames=1)
    assert [shown(df, i) for i in range(len(df))] == list(range(0, 60, 5))


def test_where_nothing_goes_to_disk_only_the_last_analysis_is_kept(
    tmp_path: Path, no_spill: None
) -> None:
    path = make_video(tmp_path / "v.mp4", 10, fps=10)
    with ChatServer(lambda request: "yes") as server:
        first, last = analyze(path, server), analyze(path, server)
    gc.collect()
    assert run_of(first["stream_id"].iloc[0]) is None
    assert last.overshoot.frame(-1).size == (160, 96)


def test_an_analysis_that_keeps_no_frames_says_so(tmp_path: Path) -> None:
    path = make_video(tmp_path / "v.mp4", 10, fps=10)
    with ChatServer(lambda request: "yes") as server:
        df = analyze(path, server, keep_frames=False)
    with pytest.raises(SampleNotKeptError, match="this store keeps no pictures"):
        df.overshoot.frame(0)


def test_a_broken_size_of_the_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(config.ENV_SPILL_BYTES, "much")
    path = make_video(tmp_path / "v.mp4", 10, fps=10)
    with (
        ChatServer(lambda request: "yes") as server,
        pytest.raises(ValidationError, match="OVERSHOOT_SPILL_BYTES='much'"),
    ):
        analyze(path, server)
