"""analyze(): a whole video to its end, and what an interrupt or a failure leaves."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

import overshoot_nb
from overshoot_nb import (
    AuthenticationError,
    FileSource,
    HLSSource,
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


def test_it_is_faster_than_real_time_and_quiet_on_request(clip, capfd):
    with ChatServer(number) as server:
        started = time.monotonic()
        analyze(server, clip, progress=False)
        assert time.monotonic() - started < 3  # of 4 s of video
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
        out, err = child.communicate(timeout=20)
    assert child.returncode == 0, err
    word, rows, ok = out.splitlines()[-1].split()
    assert (word, ok) == ("rows", "True")
    assert 3 <= int(rows) < 40
    assert "interrupted" in err
    assert "Traceback" not in err
