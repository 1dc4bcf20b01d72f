"""What a recording holds for other readers: documented columns, odd values, and no secrets."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import math
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from overshoot_nb import LiveKitSource, Overshoot, OvershootError, RTSPSource, load
from overshoot_nb.recording import arrow_rows, format
from overshoot_nb.running.run_secrets import Secrets
from overshoot_nb.types import Usage

from chatserver import ChatServer, Reply
from made_runs import MadeRun, result_of
from videos import make_video

SCHEMA = {
    "type": "object",
    "properties": {
        "people": {"type": "integer"},
        "score": {"type": "number"},
        "dark": {"type": "boolean"},
        "event": {"enum": ["goal", "foul"]},
        "at": {"type": "string", "format": "date-time"},
        "objects": {"type": "array"},
        "huge": {"type": "integer", "maximum": 10**30},
        "text": {"type": "string"},
    },
}


def rows_of(path: Path) -> pd.DataFrame:
    """The rows, on which all readers agree as far as numbers go."""
    df = pd.read_parquet(path)
    lazy = pl.scan_parquet(path)
    assert lazy.select("sample").collect()["sample"].to_list() == df["sample"].tolist()
    assert pl.read_parquet(path).columns == list(df)
    query = f"select count(*), sum(sample), sum(len(frames)) from '{path}'"
    frames = sum(len(f) for f in df["frames"].dropna())
    ((count, total, pictures),) = duckdb.sql(query).fetchall()
    assert (count, total or 0, pictures or 0) == (len(df), df["sample"].sum(), frames)
    return df


def test_the_columns_are_those_that_are_documented(tmp_path):
    run = MadeRun(SCHEMA)
    run.answered(run.sampled(b"one"))
    schema = pq.read_schema(run.record(tmp_path / "run.parquet"))
    documented = re.search(r"={8,} +=+ +=+\ncolumn.*?\n=.*?\n(.*?)\n=", format.__doc__, re.S)
    assert documented is not None
    lines = [re.split(r"  +", line) for line in documented[1].splitlines() if line[0] != " "]
    names = {name: kind for name, kind, _ in lines}
    out = [name for name in schema.names if name.startswith("out.")]
    assert out == [f"out.{name}" for name in SCHEMA["properties"]]
    assert [name for name in schema.names if name not in out] == [n for n in names if n != "out.*"]
    for name, kind in names.items():
        if name != "out.*":
            assert str(schema.field(name).type).partition("<element")[0] == {
                "list<double>": "list",
                "list<struct<...>>": "list",
                "timestamp[us, UTC]": "timestamp[us, tz=UTC]",
            }.get(kind, kind)
    assert [str(schema.field(name).type) for name in out] == [
        "int64",
        "double",
        "bool",
        "string",
        "timestamp[us, tz=UTC]",
        "string",
        "string",
        "string",
    ]


def test_all_but_pictures_is_compressed_and_no_group_is_large(tmp_path, monkeypatch):
    monkeypatch.setattr(arrow_rows, "GROUP_BYTES", 10_000)
    run = MadeRun(SCHEMA)
    for size in (3000, 3000, 3000, 30_000, 100, 9000, 9000):
        run.answered(run.sampled(b"x" * size))
    metadata = pq.read_metadata(run.record(tmp_path / "run.parquet"))
    groups = [metadata.row_group(k) for k in range(metadata.num_row_groups)]
    assert [group.num_rows for group in groups] == [3, 1, 2, 1]
    for group in groups:
        for k in range(group.num_columns):
            column = group.column(k)
            picture = column.path_in_schema in ("frames.list.element.jpeg", "video")
            assert column.compression == ("UNCOMPRESSED" if picture else "ZSTD")
            assert not (picture and column.is_stats_set)
    # What a query may skip groups by.
    assert groups[2].column(metadata.schema.names.index("sample")).statistics.min == 4


def test_a_run_without_rows_is_a_file_without_rows(tmp_path):
    run = MadeRun(SCHEMA)
    df = rows_of(run.record(tmp_path / "run.parquet"))
    assert len(df) == 0
    assert df["out.people"].dtype == "int64"


def test_odd_values_are_there_for_other_readers_too(tmp_path):
    run = MadeRun(SCHEMA)
    long = "é🏀" * 250_000  # a megabyte and more
    nested = {"a": [{"b": None, "c": [1, 2.5, "🏀"]}]}
    outputs = [
        {"people": 2**70, "score": math.nan, "huge": 10**25, "text": "lone \ud800", "objects": []},
        {"people": 3, "score": math.inf, "huge": 7, "text": long, "objects": [nested]},
        {"people": "many", "score": None, "dark": "no", "event": "other", "at": "later"},
        {"dark": True, "event": "goal", "at": "2026-01-01T10:00:00+02:00"},
        [1, 2],
        None,
    ]
    for output in outputs:
        said = json.dumps(output, ensure_ascii=False)
        run.answered(run.sampled(b"p"), said, output=output, usage=Usage(2**70, 1, 2**70 + 1))
    failed = run.sampled(b"p")
    run.answered(failed, "", ok=False, error="no \udfff answer", usage=None, answered_at=None)
    df = rows_of(run.record(tmp_path / "run.parquet"))

    def column(name: str) -> list:
        return [None if v is None or v is pd.NA or v != v else v for v in df[name].tolist()]

    assert column("out.people") == [None, 3, None, None, None, None, None]
    assert column("out.score") == [None, math.inf, None, None, None, None, None]
    assert column("out.dark") == [None, None, None, True, None, None, None]
    assert column("out.event") == [None, None, "other", "goal", None, None, None]
    assert df["out.at"].dropna().tolist() == [pd.Timestamp("2026-01-01T08:00:00Z")]
    assert column("out.huge")[:2] == ["10000000000000000000000000", "7"]
    assert column("out.text")[:2] == ["lone ?", long]
    assert json.loads(column("out.objects")[1]) == [nested]
    assert column("output")[4:] == ["[1, 2]", None, None]
    assert json.loads(column("output")[1])["text"] == long
    assert column("error")[6] == "no ? answer"
    assert column("prompt_tokens") == [None] * 7
    assert column("total_tokens") == [None] * 7
    assert df["answered_at"].isna().tolist() == [False] * 6 + [True]
    # The exact values, as `format` says.
    exact = [x and json.loads(x.decode("utf-8", "surrogatepass")) for x in column("exact")]
    first = json.loads(exact[0]["output"])
    assert (first["text"], first["people"]) == ("lone \ud800", 2**70)
    assert math.isnan(first["score"])
    assert exact[1] == {"prompt_tokens": 2**70, "total_tokens": 2**70 + 1}
    assert exact[6] == {"error": "no \udfff answer"}


def test_another_run_of_the_same_id_lends_no_pictures(tmp_path):
    """A server that is begun anew may give the ids that it gave before."""
    first, second, third = (MadeRun(stream_id="run-lent") for _ in range(3))
    sample = first.sampled(b"of the first")
    first.answered(sample)
    loaded = load(first.record(tmp_path / "first.parquet"))
    # The second keeps none itself.
    second.journal.log.sampled(0, sample.media_time)
    second.answered(replace(sample, captured_at=sample.captured_at + timedelta(days=1)))
    assert rows_of(second.record(tmp_path / "second.parquet"))["frames"].tolist() == [None]
    # What is of the same moment is the same sample.
    third.journal.log.sampled(0, sample.media_time)
    third.answered(sample)
    (frames,) = rows_of(third.record(tmp_path / "third.parquet"))["frames"]
    assert [frame["jpeg"] for frame in frames] == [b"of the first"]
    del loaded


def test_drops_and_later_answers_have_rows_of_their_own(tmp_path):
    run = MadeRun(None, None)
    samples = [run.sampled(f"picture {k}".encode()) for k in range(4)]
    run.journal.missed(4, 2.0, "no frame")
    run.journal.dropped(1, "a newer sample took its place", sent=False)
    run.answered(samples[2])
    run.answered(samples[0])
    later = result_of(samples[0], "otherwise", prompt_version=2, prompt="What? (2)")
    run.journal.later.put(later)
    run.journal.later.show("v2", run.prompts[2])
    df = rows_of(run.record(tmp_path / "run.parquet"))
    assert df[["kind", "sample"]].to_numpy().tolist() == [
        ["drop", 1],
        ["result", 2],
        ["result", 0],
        ["waiting", 3],
        ["drop", 4],
        ["later", 0],
    ]
    assert df["reason"].tolist()[0::4] == ["a newer sample took its place", "no frame"]
    assert [frames is None for frames in df["frames"]] == [False] * 4 + [True] * 2
    assert df["frames"][0][0]["jpeg"] == b"picture 1"
    assert df["media_time"].tolist() == [0.5, 1.0, 0.0, 1.5, 2.0, 0.0]
    assert df["stream_id"].tolist() == ["run-1"] * 6
    assert df["prompt_version"].tolist()[5] == 2


# ---- secrets -----------------------------------------------------------------------------------


def everything_in(path: Path) -> str:
    """All bytes of the file as they are, and all values of it decompressed."""
    table = pq.read_table(path)
    texts = [path.read_bytes().decode("latin-1"), repr(pq.read_metadata(path).metadata)]
    return "\n".join(
        [*texts, *(repr(table.column(name).to_pylist()) for name in table.column_names)]
    )


SECRETS = ("hunter2secret", "admin-name", "tok-123456", "livekit-jwt", "ovs-key-1", "pass-word%40")


def test_no_secret_of_a_source_or_server_is_in_the_file(tmp_path):
    word, token = "hunter2secret", "tok-123456"
    sources = [
        (RTSPSource(f"rtsp://admin-name:{word}@10.0.0.9:554/cam?token={token}"), (word, token)),
        (LiveKitSource(f"wss://room.example/?t={token}", "livekit-jwt"), (token, "livekit-jwt")),
        (f"https://admin-name:{word}@example.com/a.mp4?sig={token}", (word, token)),
        (f"rtmp://example.com/app/{word}", (word,)),
    ]
    for number, (source, secrets) in enumerate(sources):
        run = MadeRun(source=source)
        run.state, run.note = "failed", f"cannot open {getattr(run.settings.source, 'url', source)}"
        sample = run.sampled(b"p")
        user = "admin-name" if "admin-name" in str(getattr(run.settings.source, "url", "")) else ""
        refused = f"{' and '.join(secrets)} of {user} were refused"
        run.answered(sample, error=refused, ok=False)
        run.journal.missed(1, 1.0, f"http://admin-name:x@127.0.0.1/: {secrets[-1]} is wrong")
        found = everything_in(run.record(tmp_path / f"{number}.parquet"))
        assert "example" in found or "10.0.0.9" in found  # it says what was watched
        for secret in (*secrets, "admin-name"):
            assert secret not in found, (source, secret)


def test_user_info_is_in_no_error_of_a_server_that_quotes_its_headers(tmp_path, caplog):
    video = make_video(tmp_path / "v.mp4", frames=3, fps=30)

    def answer(request):
        return Reply(json.dumps({"error": {"message": f"{request.headers}"}}), status=400)

    async def main() -> None:
        url = server.url.replace("//", "//admin-name:pass-word%40@")
        async with Overshoot(base_url=url) as client:
            stream = await client.streams.create(str(video), "?", "m")
            with contextlib.suppress(OvershootError):
                await stream.wait()
            assert "authorization" in stream.df["error"].iloc[0]
            stream.record(tmp_path / "run.parquet")
            assert encoded not in caplog.text + repr(stream.df.to_dict())

    encoded = base64.b64encode(b"admin-name:pass-word@").decode()
    with ChatServer(answer) as server:
        asyncio.run(asyncio.wait_for(main(), 60))
        assert encoded in server.requests[0].headers["authorization"]
    assert encoded not in everything_in(tmp_path / "run.parquet")


@pytest.mark.parametrize("when", ["live", "after"])
def test_no_key_or_password_of_a_real_run_is_in_the_file(tmp_path, when):
    video = make_video(tmp_path / "v.mp4", frames=90, fps=30)

    def answer(request):
        if len(server.requests) % 3 == 0:
            # Some servers quote what they were given.
            return Reply(json.dumps({"error": {"message": f"{request.headers}"}}), status=400)
        return "yes"

    async def main() -> None:
        url = server.url.replace("//", "//admin-name:pass-word%40@") + "?tok=tok-123456"
        async with Overshoot("ovs-key-1234567", base_url=url) as client:
            stream = await client.streams.create(
                str(video), "?", "m", interval_seconds=0.2, response_format="auto"
            )
            if when == "live":
                stream.record(tmp_path / "run.parquet")
            try:
                await stream.wait()
            except Exception as error:
                print(error)
            if when == "after":
                stream.record(tmp_path / "run.parquet")

    with ChatServer(answer) as server:
        asyncio.run(asyncio.wait_for(main(), 60))
        assert server.requests
    found = everything_in(tmp_path / "run.parquet")
    assert '"server": "http://127.0.0.1' in found
    for secret in ("ovs-key-1234567", *SECRETS):
        assert secret not in found


def test_messages_without_secrets_stay_as_they_are():
    run = MadeRun(source=RTSPSource("rtsp://user:pw@10.0.0.9/cam"))
    secrets = Secrets.of(run)
    assert secrets.removed("see https://docs.example/?page=2 (HTTP 429)") == (
        "see https://docs.example/?page=2 (HTTP 429)"
    )
    assert "user" not in secrets.removed("rtsp://user:pw@10.0.0.9/cam: refused")
    assert "…" in repr(secrets)
    assert "pw" not in repr(secrets)
