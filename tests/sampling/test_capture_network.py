"""Sources behind real sockets that break, refuse and come back."""

from __future__ import annotations

import io
import itertools
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from overshoot_nb.errors import SourceError, ValidationError
from overshoot_nb.sampling import reading
from overshoot_nb.sampling.pacing import Pacer
from overshoot_nb.sampling.pipeline import SampleReader
from overshoot_nb.sampling.web import read_text
from overshoot_nb.sources.kinds import FileSource, HLSSource, RTMPSource, RTSPSource
from overshoot_nb.types import FrameProcessingConfig, Sample

from mediaservers import BodyServer, LiveHLSServer, MediaHTTPServer, RTSPServer, running
from videos import barcode, make_video, number_in

PASSWORD = "hunter22"


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch) -> None:
    """The same steps in a tenth of the time."""
    monkeypatch.setattr(reading, "BACKOFF_SECONDS", (0.1, 3.0))


def read(source, interval: float, **options) -> tuple[list[Sample], str]:
    with SampleReader(source, FrameProcessingConfig(interval), **options) as reader:
        taken = list(reader)
    return taken, reader.ending


def numbers(taken: list[Sample]) -> list[int]:
    return [number_in(sample.frames[0].data) for sample in taken]


def test_a_file_over_http_with_a_password(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", 60, container_options={"movflags": "faststart"})
    server = MediaHTTPServer(tmp_path, user=f"admin:{PASSWORD}")
    with running(server):
        url = f"http://admin:{PASSWORD}@{server.address}/a.mp4?token=s3cr3t"
        taken, ending = read(FileSource(url), 0.25)
        assert numbers(taken) == [0, 7, 15, 22, 30, 37, 45, 52]
        assert ending == "end of file at 2.0 s"
        with pytest.raises(SourceError) as caught:
            read(FileSource(url.replace(PASSWORD, "wr0ngpass")), 1)
    text = f"{caught.value} {caught.value.stderr} {caught.value!r}"
    assert "401" in text
    assert server.address in text
    for secret in ("wr0ngpass", "admin", "s3cr3t"):
        assert secret not in text


def test_what_is_read_over_http_is_in_the_log_without_its_secrets(tmp_path: Path, caplog) -> None:
    (tmp_path / "a.txt").write_text("#EXTM3U")
    server = MediaHTTPServer(tmp_path, user=f"admin:{PASSWORD}")
    caplog.set_level(logging.INFO)
    with running(server):
        url = f"http://admin:{PASSWORD}@{server.address}/a.txt?token=s3cr3t"
        assert read_text(url, 5) == ("#EXTM3U", url)
        with pytest.raises(OSError, match="404") as caught:
            read_text(url.replace("/a.txt", "/b.txt"), 5)
    assert server.requests == ["/a.txt?token=s3cr3t", "/b.txt?token=s3cr3t"]
    assert f"{server.address}/a.txt?token=…" in caplog.text
    for secret in (PASSWORD, "admin", "s3cr3t"):
        assert secret not in caplog.text + str(caught.value)


@pytest.mark.parametrize("kind", ["socks5", "unknown"])
def test_a_proxy_of_another_kind_is_passed_over(kind: str, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "a.txt").write_text("#EXTM3U")
    monkeypatch.setenv("all_proxy", f"{kind}://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "socksio", None)  # what httpx needs for the first
    server = MediaHTTPServer(tmp_path)
    with running(server):
        assert read_text(f"http://{server.address}/a.txt", 5)[0] == "#EXTM3U"


def test_a_file_over_http_goes_on_after_a_break(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    pictures = [barcode(n) for n in range(240)]
    for picture in pictures:
        picture[20:] = rng.integers(0, 256, picture[20:].shape, np.uint8)
    path = make_video(
        tmp_path / "a.mp4", pictures, gop=24, container_options={"movflags": "faststart"}
    )
    size = path.stat().st_size
    assert size > 1_000_000
    said: list[str] = []
    server = MediaHTTPServer(tmp_path)
    server.cut = [size // 2]
    with running(server):
        url = f"http://u:{PASSWORD}@{server.address}/a.mp4"
        taken, ending = read(FileSource(url), 0.5, on_status=said.append)
    assert not server.cut
    assert numbers(taken) == [n * 15 for n in range(16)]
    assert [s.media_time for s in taken] == [k / 2 for k in range(16)]
    assert ending == "end of file at 8.0 s"
    assert said[0].startswith("connection lost: ")
    assert "reconnecting in" in said[0]
    assert said[1:] == ["connected again"]
    assert PASSWORD not in " ".join(said)


@pytest.fixture(scope="module")
def playlist(tmp_path_factory) -> Path:
    """The folder of a finished playlist of 3 segments of 1 s: vod.m3u8."""
    folder = tmp_path_factory.mktemp("playlist")
    make_video(
        folder / "vod.m3u8",
        90,
        gop=30,
        format="hls",
        options={"x264-params": "scenecut=0"},
        container_options={"hls_time": "1", "hls_list_size": "0"},
    )
    return folder


def test_hls_ends_where_its_playlist_ends(playlist: Path) -> None:
    server = MediaHTTPServer(playlist, user=f"admin:{PASSWORD}")
    with running(server):
        url = f"http://admin:{PASSWORD}@{server.address}/vod.m3u8"
        taken, ending = read(HLSSource(url), 0.5)
        assert numbers(taken) == [0, 15, 30, 45, 60, 75]
        assert ending == "end at 3.0 s"
        with pytest.raises(SourceError, match="404") as caught:
            read(HLSSource(url.replace("vod", "gone")), 0.5)
    assert PASSWORD not in str(caught.value)


def test_a_finished_playlist_is_a_file_too(playlist: Path) -> None:
    """Read as fast as it comes, whole, to its own end."""
    server = MediaHTTPServer(playlist)
    said: list[str] = []
    with running(server):
        source = FileSource(f"http://{server.address}/vod.m3u8", realtime=False)
        began = time.monotonic()
        taken, ending = read(source, 0.1, on_status=said.append)
        assert time.monotonic() - began < 60
        assert numbers(taken) == [n * 3 for n in range(30)]
        assert [s.media_time for s in taken] == [k / 10 for k in range(30)]
        assert ending == "end of file at 3.0 s"
        assert said == []
        with SampleReader(
            FileSource(source.path, loop=True, realtime=False), FrameProcessingConfig(0.5)
        ) as reader:
            again = []
            for sample in reader:
                again.append(sample)
                if len(again) == 8:
                    reader.interrupt()
    assert numbers(again) == [0, 15, 30, 45, 60, 75, 0, 15]


def test_what_a_playlist_is_shows_when_it_is_opened(playlist: Path, tmp_path: Path) -> None:
    finished, sliding = MediaHTTPServer(playlist), LiveHLSServer(tmp_path, frames=150)
    with running(finished), running(sliding):
        url = f"http://{finished.address}/vod.m3u8"
        for source in (HLSSource(url), FileSource(url, timeout=15)):
            pacer = Pacer(realtime=not source.live, hold=not source.live, tentative=True)
            with SampleReader(source, FrameProcessingConfig(0.5), pacer=pacer) as reader:
                assert reader.source == FileSource(url, timeout=15)
                assert not reader.live
                assert pacer.realtime  # it is played by the clock, and waits while it is paused
                assert reader.info.duration == pytest.approx(3, abs=0.1)
        url = f"http://{sliding.address}/live.m3u8"
        for source in (HLSSource(url, timeout=15), FileSource(url, timeout=15)):
            pacer = Pacer(realtime=not source.live, hold=not source.live, tentative=True)
            with SampleReader(source, FrameProcessingConfig(0.5), pacer=pacer) as reader:
                assert reader.source == HLSSource(url)
                assert reader.live
                assert not pacer.realtime
        for endless in (HLSSource(url, realtime=False), FileSource(url, realtime=False)):
            with pytest.raises(ValidationError, match="never ends"):
                SampleReader(endless, FrameProcessingConfig(0.5)).open()


# ---- where a body ends ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bodies() -> Iterator[BodyServer]:
    file = io.BytesIO()
    make_video(file, 120, format="mpegts", gop=12)
    server = BodyServer(file.getvalue())
    with running(server):
        yield server


@pytest.mark.parametrize("path", ["eof", "eof-close", "chunked", "chunked-close", "length"])
def test_a_body_ends_where_its_server_ends_it(bodies: BodyServer, path: str) -> None:
    said: list[str] = []
    source = FileSource(f"http://{bodies.address}/{path}", realtime=False)
    taken, ending = read(source, 0.25, on_status=said.append)
    assert numbers(taken) == [k * 30 // 4 for k in range(16)]
    assert ending == "end of file at 4.0 s"
    assert said == []


@pytest.mark.parametrize(
    "path",
    [
        "chunked-cut",
        "chunked-cut-close",
        "chunked-edge",
        "chunked-edge-close",
        "length-cut",
        "length-cut-close",
    ],
)
def test_a_body_that_breaks_off_is_told(bodies: BodyServer, path: str) -> None:
    said: list[str] = []
    source = FileSource(f"http://{bodies.address}/{path}?token=s3cr3t", realtime=False)
    taken, ending = read(source, 0.25, on_status=said.append)
    found = numbers(taken)[:-1]  # of the last picture, too, a part may be missing
    assert found == [k * 30 // 4 for k in range(len(found))]  # nothing is given twice
    assert 4 <= len(found) < 12
    for text in (said[0], ending):
        assert "FileSource(url, live=True)" in text
        assert "s3cr3t" not in text
    assert said[0].startswith("connection lost: ")
    assert ending.startswith("cut off at ")


def test_a_proxy_that_cannot_be_used_is_no_end_of_it(
    bodies: BodyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg reads what it can without; it passes over proxies of this kind."""
    monkeypatch.setenv("ALL_PROXY", "odd://127.0.0.1:9")
    taken, ending = read(FileSource(f"http://{bodies.address}/eof", realtime=False), 0.25)
    assert numbers(taken) == [k * 30 // 4 for k in range(16)]
    assert ending == "end of file at 4.0 s"


def test_rtsp_reconnects_and_keeps_the_password(caplog, capfd) -> None:
    said: list[str] = []
    server = RTSPServer(f"admin:{PASSWORD}", breaks=[45])
    with running(server), caplog.at_level(logging.DEBUG):
        url = f"rtsp://admin:{PASSWORD}@{server.address}/live"
        reader = SampleReader(
            RTSPSource(url, timeout=2), FrameProcessingConfig(0.25), on_status=said.append
        )
        taken = []
        with reader:
            assert (reader.info.width, reader.info.height) == (160, 96)
            for sample in reader:
                taken.append(sample)
                if server.connections == 2 and len(taken) >= 9:
                    reader.interrupt()
    assert server.connections == 2
    times = [s.media_time for s in taken]
    assert times == sorted(set(times))
    found = numbers(taken)
    assert found[0] <= 20  # from its first or second keyframe
    again = next(i for i in range(1, len(found)) if found[i] < found[i - 1])
    # On either side of the break the pictures advance with media time.
    for part in (range(again), range(again, len(found))):
        for i, j in itertools.pairwise(part):
            assert abs((found[j] - found[i]) / 30 - (times[j] - times[i])) < 0.05
    assert any(text.startswith("connection lost: ") for text in said)
    assert "reconnecting in" in said[0]
    assert "(attempt 1)" in said[0]
    assert said[-1] == "connected again"
    shown = " ".join([*said, reader.ending, repr(reader.info), caplog.text, *capfd.readouterr()])
    assert PASSWORD not in shown


def test_rtsp_with_hevc() -> None:
    server = RTSPServer("u:p", breaks=[], frames=45, codec="hevc")
    taken = []
    with running(server):
        source = RTSPSource(f"rtsp://u:p@{server.address}/live", timeout=2)
        with SampleReader(source, FrameProcessingConfig(0.2)) as reader:
            assert reader.info.codec == "hevc"
            for sample in reader:
                taken.append(sample)
                if len(taken) == 4:
                    reader.interrupt()
    found = numbers(taken)
    assert found[0] <= 20
    assert [n - found[0] for n in found] == [0, 6, 12, 18]


def test_a_wrong_password_fails_at_once_and_is_not_shown() -> None:
    server = RTSPServer(f"admin:{PASSWORD}", breaks=[], frames=10)
    with running(server):
        url = f"rtsp://admin:wr0ngpass@{server.address}/live"
        began = time.monotonic()
        with pytest.raises(SourceError) as caught:
            read(RTSPSource(url), 0.5)
    assert time.monotonic() - began < 60
    assert server.address in str(caught.value)
    assert "401" in str(caught.value)
    assert "wr0ngpass" not in f"{caught.value!r} {caught.value} {caught.value.stderr}"


def test_interrupting_a_backoff_is_immediate(monkeypatch) -> None:
    monkeypatch.setattr(reading, "BACKOFF_SECONDS", (30.0, 30.0))
    server = RTSPServer("u:p", breaks=[20])
    with running(server):
        reader: SampleReader

        def on_status(text: str) -> None:
            assert "reconnecting in 30 s" in text
            reader.interrupt()

        source = RTSPSource(f"rtsp://u:p@{server.address}/live", timeout=2)
        reader = SampleReader(source, FrameProcessingConfig(0.2), on_status=on_status)
        began = time.monotonic()
        with reader:
            assert len(list(reader)) >= 2
        assert time.monotonic() - began < 25  # of the 30 that it would wait
    assert reader.ending.startswith("stopped at")


@pytest.mark.parametrize(
    "source",
    [
        RTSPSource(f"rtsp://me:{PASSWORD}@127.0.0.1:9/x"),
        RTMPSource(f"rtmp://me:{PASSWORD}@127.0.0.1:9/x/y"),
        HLSSource(f"http://me:{PASSWORD}@127.0.0.1:9/x.m3u8"),
        FileSource(f"http://me:{PASSWORD}@127.0.0.1:9/x.mp4"),
    ],
)
def test_nobody_there(source) -> None:
    began = time.monotonic()
    with pytest.raises(SourceError, match="refused") as caught:
        read(source, 0.5)
    assert time.monotonic() - began < 60
    assert "127.0.0.1:9/x" in str(caught.value)
    assert PASSWORD not in f"{caught.value!r} {caught.value} {caught.value.stderr}"
