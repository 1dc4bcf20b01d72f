"""analyze(): a whole video to its end, and what an interrupt or a failure leaves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import overshoot_nb
from overshoot_nb import (
    AuthenticationError,
    FileSource,
    HLSSource,
    IncompleteRunWarning,
    Overshoot,
    SourceError,
    ValidationError,
)

from chatserver import ChatServer, Reply
from mediaservers import MediaHTTPServer, MJPEGServer, running
from videos import make_video, number_in

pytestmark = pytest.mark.usefixtures("no_threads_left")


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> str:
    return str(make_video(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=120, fps=30))


def number(request) -> str:
    return str(number_in(request.jpegs[0]))


def analyze(server, source, **parameters):
    return overshoot_nb.analyze(
        source, "What number?", "test/model", api_key="key", base_url=server.url, **parameters
    )


def test_it_returns_every_row_in_the_order_of_the_video(clip, capfd):
    with ChatServer(number) as server:
        df = analyze(server, clip, interval_seconds=0.5)
    assert df["result"].tolist() == [str(15 * k) for k in range(8)]
    assert df["media_time"].is_monotonic_increasing
    shown = capfd.readouterr().err
    assert "clip.mp4" in shown
    assert "8/8" in shown


def test_a_finished_playlist_is_a_file_and_a_live_one_never_ends(tmp_path):
    make_video(
        tmp_path / "vod.m3u8",
        60,
        gop=30,
        format="hls",
        container_options={"hls_time": "1", "hls_list_size": "0"},
    )
    text = (tmp_path / "vod.m3u8").read_text()
    (tmp_path / "live.m3u8").write_text(text.replace("#EXT-X-ENDLIST", ""))
    media, pictures = MediaHTTPServer(tmp_path), MJPEGServer()
    with ChatServer(number) as server, running(media), running(pictures):
        url = f"http://{media.address}/vod.m3u8"
        for source in (url, HLSSource(url), FileSource(url)):
            df = analyze(server, source, interval_seconds=0.5, progress=False)
            assert df["result"].tolist() == ["0", "15", "30", "45"]
        df = analyze(server, url, interval_seconds=0.5, record=tmp_path / "run.parquet")
        assert not overshoot_nb.load(tmp_path / "run.parquet").settings.source.live
        for endless in (url.replace("vod", "live"), f"http://{pictures.address}/camera"):
            for parameters in ({}, {"realtime": True}):
                with pytest.raises(ValidationError, match="never ends"):
                    analyze(server, endless, progress=False, **parameters)


def test_a_finished_playlist_is_played_and_held_as_a_file(tmp_path):
    make_video(
        tmp_path / "vod.m3u8",
        60,
        gop=30,
        format="hls",
        container_options={"hls_time": "1", "hls_list_size": "0"},
    )
    media = MediaHTTPServer(tmp_path)
    url = f"http://{media.address}/vod.m3u8"

    async def main(client):
        async with client:
            stream = await client.streams.create(url, "n?", "test/model", interval_seconds=0.25)
            assert stream.settings.source == FileSource(url, timeout=15)
            assert stream.settings.realtime
            await stream.pause()
            await asyncio.sleep(0.3)  # it stands still, and nothing is passed over
            await stream.resume()
            await stream.wait()
            return stream

    with ChatServer(number) as server, running(media):
        stream = asyncio.run(main(Overshoot("key", base_url=server.url)))
    assert stream.state == "ended"
    assert "paused" not in stream.stats.drops
    assert stream.stats.samples == 8


def test_it_can_be_recorded(clip, tmp_path):
    path = tmp_path / "run.parquet"
    with ChatServer(number) as server:
        df = analyze(server, clip, interval_seconds=0.5, record=path)
        with pytest.raises(ValidationError, match="overwrite"):
            analyze(server, clip, interval_seconds=1, record=path)
        run = overshoot_nb.load(path)
        pd.testing.assert_frame_equal(run.df, df)
        assert len(run.frames) == 8
        again = analyze(server, clip, interval_seconds=1, record=path, overwrite=True)
    pd.testing.assert_frame_equal(overshoot_nb.load(path).df, again)


def test_it_is_faster_than_real_time_and_quiet_on_request(clip, capfd, tmp_path):
    with ChatServer(number) as server:
        started = time.monotonic()
        analyze(server, make_video(tmp_path / "long.mp4", frames=180, fps=1), interval_seconds=9)
        assert time.monotonic() - started < 90  # of three minutes of video
        capfd.readouterr()
        analyze(server, clip, progress=False)
    assert capfd.readouterr().err == ""


def test_it_finds_the_only_model_and_takes_a_client_that_it_leaves_open(clip):
    with ChatServer(number) as server:
        client = Overshoot("key", base_url=server.url)
        for _ in range(2):
            df = overshoot_nb.analyze(clip, "n?", client=client, progress=False, mode="clip")
            assert (df["model"] == "test/model").all()
            assert (df["mode"] == "clip").all()
        assert server.requests[0].body["model"] == "test/model"
        asyncio.run(client.close())


def test_arrays_and_callbacks(clip):
    frames = (np.full((48, 64, 3), 10 * k, np.uint8) for k in range(10))
    seen = []
    with ChatServer(lambda _: "seen") as server:
        df = analyze(
            server, frames, on_result=lambda r: seen.append(r.sample), progress=False,
            interval_seconds=0.1,
        )  # fmt: skip
    assert len(df) == 4  # ten frames at 30 a second
    assert seen == [0, 1, 2, 3]


def test_what_never_ends_is_refused(clip):
    with ChatServer(number) as server, pytest.raises(ValidationError, match="never ends"):
        analyze(server, FileSource(clip, loop=True))


def test_errors_before_the_first_answer_are_raised(clip, tmp_path):
    with ChatServer(lambda _: Reply('{"error": "bad key"}', status=401)) as server:
        with pytest.raises(AuthenticationError, match="bad key"):
            analyze(server, clip)
        with pytest.raises(SourceError, match=r"none\.mp4"):
            analyze(server, tmp_path / "none.mp4")


def test_a_failure_later_keeps_the_rows_that_came(clip, caplog):
    def answer(request):
        if int(number(request)) >= 60:
            return Reply('{"error": "no credits left"}', status=402)
        return number(request)

    with ChatServer(answer) as server:
        df = analyze(server, clip, max_in_flight=1, progress=False)
    assert df["result"][:4].tolist() == ["0", "15", "30", "45"]
    assert df["ok"].tolist() == [True] * 4 + [False]
    assert "no credits left" in caplog.text


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT to a child")
def test_an_interrupt_returns_what_came(clip):
    code = """
import signal, sys, overshoot_nb
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
url, clip = sys.argv[1:]
df = overshoot_nb.analyze(clip, "n?", "test/model", lambda r: print(r.sample, flush=True),
                          api_key="k", base_url=url, interval_seconds=0.1, max_in_flight=1)
print("rows", len(df), bool(df["ok"].all()))
"""
    with ChatServer(number, delay=0.25) as server:
        child = subprocess.Popen(
            [sys.executable, "-c", code, server.url, clip],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3):
            child.stdout.readline()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    word, rows, ok = out.splitlines()[-1].split()
    assert (word, ok) == ("rows", "True")
    assert 3 <= int(rows) < 40
    assert "interrupted" in err
    assert "Traceback" not in err


# ---- what was lost -----------------------------------------------------------------------------

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def said(df: pd.DataFrame) -> dict:
    """What the rows say of their run, which any file can hold."""
    attrs = df.attrs["overshoot"]
    assert json.loads(json.dumps(attrs, allow_nan=False)) == attrs
    return attrs


def test_rows_say_how_their_run_went_and_files_and_concat_take_it(clip, tmp_path):
    with ChatServer(number) as server:
        df = analyze(server, clip, interval_seconds=0.5, record=tmp_path / "run.parquet")
        other = analyze(server, clip, interval_seconds=1)
    assert said(df) == {
        "source": "clip.mp4",
        "stream_id": df["stream_id"].iloc[0],
        "state": "ended",
        "status": "ended: end of file at 4.0 s",
        "complete": True,
        "samples": 8,
        "results": 8,
        "errors": 0,
        "drops": {},
        "reconnections": {},
        "prompt_versions": 1,
    }
    df.to_parquet(tmp_path / "rows.parquet")
    assert pd.read_parquet(tmp_path / "rows.parquet").attrs == df.attrs
    assert overshoot_nb.load(tmp_path / "run.parquet").df.attrs == df.attrs
    assert len(pd.concat([df, df])) == len(pd.concat([df, other])) + 4 == 16
    # Nothing depends on it.
    plain = df.copy()
    plain.attrs.clear()
    pd.testing.assert_frame_equal(plain.overshoot.latency(), df.overshoot.latency())
    assert len(pd.concat([df, other]).overshoot.latency(by="stream_id")) == 2
    # It is the caller's own.
    df.attrs["overshoot"]["samples"] = 0
    assert other.attrs["overshoot"]["samples"] == 4


def test_rows_of_a_stream_say_what_it_is_now_and_no_secret(clip):
    with ChatServer(number, delay=0.3) as server:

        async def main():
            async with Overshoot("key-of-mine", base_url=server.url) as client:
                stream = await client.streams.create(
                    FileSource(clip), "?", "test/model", interval_seconds=0.1
                )
                while not stream.stats.drops:
                    await asyncio.sleep(0.02)
                now = stream.df
                await stream.close("as key-of-mine says http://me:secret@host/x")
                return now, stream.df

        now, after = asyncio.run(main())
    assert (said(now)["state"], said(now)["complete"]) == ("running", False)
    assert said(after)["complete"] is False
    assert said(after)["status"] == "closed: as … says http://host/x"
    assert said(after)["drops"]["replaced by a newer sample"] >= 1
    assert said(after)["samples"] == len(after) + sum(said(after)["drops"].values())


def test_a_video_that_was_cut_off_is_one_warning(tmp_path):
    whole = make_video(tmp_path / "long.mp4", 150, container_options={"movflags": "faststart"})
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with ChatServer(number) as server, pytest.warns(IncompleteRunWarning) as all_:
        df = analyze(server, cut, record=tmp_path / "run.parquet")
    assert str(all_[0].message).startswith("cut.mp4: the video was cut off at ")
    assert [one.filename for one in all_] == [__file__]  # it points at who called
    assert len(df) >= 2
    assert said(df)["complete"] is False
    assert "cut off at" in said(df)["status"]
    assert overshoot_nb.load(tmp_path / "run.parquet").df.attrs == df.attrs


def test_stretches_that_cannot_be_decoded_are_one_warning(tmp_path):
    path = make_video(tmp_path / "clip.mp4", 120, gop=20, b_frames=0)
    data = bytearray(path.read_bytes())
    at = len(data) // 2
    data[at : at + 1500] = np.random.default_rng(1).integers(0, 256, 1500, np.uint8).tobytes()
    path.write_bytes(data)
    with ChatServer(lambda _: "yes") as server, pytest.warns(IncompleteRunWarning) as all_:
        df = analyze(server, path, interval_seconds=0.1, output_schema=SCHEMA)
    lost = said(df)["drops"].get("undecodable", 0)
    assert said(df)["samples"] == 40 == len(df) + lost
    assert said(df)["complete"] is False
    (one,) = all_
    text = str(one.message)
    assert "damaged packet" in text
    assert (f"{lost} moment" in text) == (lost > 0)
    # All that was lost is in it.
    assert f"no answer fitted the output_schema ({len(df)} rows: " in text


def test_a_schema_that_no_answer_fitted_is_a_warning(clip):
    with ChatServer(lambda _: '{"m": 3}') as server:
        with pytest.warns(
            IncompleteRunWarning, match=r"no answer fitted the output_schema \(8 rows"
        ):
            df = analyze(server, clip, output_schema=SCHEMA)
        assert not df["ok"].any()
        assert said(df)["complete"]  # the video was seen to its end
        with pytest.warns(IncompleteRunWarning, match="the answer did not fit the output_schema"):
            analyze(server, clip, output_schema=SCHEMA, interval_seconds=5)
    texts = iter(['{"m": 3}'] * 7 + ['{"n": 3}'])
    with ChatServer(lambda request: next(texts)) as server:
        df = analyze(server, clip, output_schema=SCHEMA)  # one is enough
    assert df["ok"].sum() == 1


def test_a_recording_that_was_not_finished_is_cut_off_where_it_is_watched(clip, tmp_path):
    whole, cut = tmp_path / "run.parquet", tmp_path / "cut.parquet"
    with ChatServer(number) as server:
        analyze(server, clip, record=whole)
        about = json.loads(pq.read_metadata(whole).metadata[b"overshoot_nb"])
        table = pq.read_table(whole)
        with pq.ParquetWriter(cut, table.schema) as writer:
            writer.write_table(table)
            said_there = json.dumps(about | {"complete": False})
            writer.add_key_value_metadata({"overshoot_nb": said_there})
        with pytest.warns(IncompleteRunWarning, match=r"cut off at 3\.5 s: the recording was not"):
            df = analyze(server, overshoot_nb.replay(cut))
        assert said(df)["complete"] is False
