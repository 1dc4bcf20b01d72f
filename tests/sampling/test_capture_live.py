"""Live sources behind real sockets: RTMP, HLS whose playlist slides, and what http brings."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import pytest

from overshoot_nb.errors import SourceError
from overshoot_nb.sampling import reading
from overshoot_nb.sampling.pipeline import SampleReader
from overshoot_nb.sources.kinds import (
    FileSource,
    HLSSource,
    RTMPSource,
    RTSPSource,
    SourceConfig,
    as_source,
)
from overshoot_nb.types import FrameProcessingConfig, Sample

from mediaservers import (
    LiveHLSServer,
    LiveServer,
    MJPEGServer,
    RTSPServer,
    TSServer,
    running,
    ts_parts,
)
from rtmpserver import RTMPServer
from videos import number_in

USER, PASSWORD, KEY = "an-admin", "hunter22", "live_k3y_92"


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch) -> None:
    """The same steps in a tenth of the time."""
    monkeypatch.setattr(reading, "BACKOFF_SECONDS", (0.1, 3.0))


def assert_in_step(taken: list[Sample], fps: int) -> None:
    """Media time grows, and the pictures advance with it."""
    for before, after in itertools.pairwise(taken):
        numbers = [number_in(sample.frames[0].data) for sample in (before, after)]
        passed = after.media_time - before.media_time
        assert passed > 0
        assert abs((numbers[1] - numbers[0]) / fps - passed) < 0.07


def watched(
    server: LiveServer, source: SourceConfig, interval: float, until: int, said: list[str]
) -> list[tuple[int, int, Sample]]:
    """The connection, the number and the sample of what is seen, up to frame ``until`` of the last.

    Numbers grow within a connection, and step back at the next.
    """
    rows: list[tuple[int, int, Sample]] = []
    reader = SampleReader(source, FrameProcessingConfig(interval), on_status=said.append)
    connection, newest = 0, -1
    with reader:
        assert reader.live
        for sample in reader:
            number = number_in(sample.frames[0].data)
            connection += number < newest
            newest = number
            rows.append((connection, number, sample))
            if connection == len(server.breaks) and number >= until:
                reader.interrupt()
    return rows


def assert_on_the_wall_clock(
    server: LiveServer, rows: list[tuple[int, int, Sample]], within: float
) -> None:
    """Media time of each picture is that of its server's clock, over all connections."""
    # Both clocks are those that the pictures carry: how busy the machine is does not matter.
    apart = [
        sample.frames[0].media_time - server.due[connection, number]
        for connection, number, sample in rows
    ]
    assert {connection for connection, _, _ in rows} == set(range(len(server.breaks) + 1))
    assert max(apart) - min(apart) < within


def test_rtsp_stays_with_the_wall_clock_over_its_reconnections() -> None:
    server = RTSPServer("u:p", breaks=[45] * 4, fps=120)
    with running(server):
        source = RTSPSource(f"rtsp://u:p@{server.address}/live", timeout=2)
        rows = watched(server, source, 0.05, 60, [])
    assert_on_the_wall_clock(server, rows, 0.2)


# ---- http ----------------------------------------------------------------------------------------


def test_a_camera_over_http_opens_with_its_first_pictures() -> None:
    said: list[str] = []
    server = MJPEGServer(frames=6, fps=20)  # and then it is silent
    with running(server):
        source = FileSource(f"http://{server.address}/video", timeout=30)
        with SampleReader(source, FrameProcessingConfig(0.1), on_status=said.append) as reader:
            assert said == []
            assert reader.info.fps is None
            assert (reader.info.width, reader.info.height) == (160, 96)
            assert reader.source == FileSource(source.url, live=True, timeout=30)
            server.stopping.set()


@pytest.mark.parametrize("lengths", [True, False])
def test_a_camera_over_http_is_live(lengths: bool) -> None:
    said: list[str] = []
    server = MJPEGServer(breaks=[12], fps=20, lengths=lengths)
    with running(server):
        source = as_source(f"http://{USER}:{PASSWORD}@{server.address}/video?cam=1")
        rows = watched(server, source, 0.1, 20, said)
    assert_on_the_wall_clock(server, rows, 0.2)
    # Every other picture, at the moment at which it came.
    assert_in_step([sample for connection, _, sample in rows if connection == 0], 20)
    assert said[0].startswith("connection lost: ")
    assert said[-1] == "connected again"
    assert PASSWORD not in " ".join(said)


def test_an_endless_stream_over_http_whose_encoder_restarts() -> None:
    said: list[str] = []
    # Its clock steps back while it is sent, and once more at the next connection.
    clocks = [(range(40), 5000), (range(40, 80), 3), (range(80, 160), 9000)]
    parts = [ts_parts(numbers, begin, fps=60) for numbers, begin in clocks]
    server = TSServer(parts, breaks=[70], fps=60)
    with running(server):
        source = FileSource(f"http://{server.address}/live", live=True, timeout=3)
        rows = watched(server, source, 0.1, 130, said)
    assert_on_the_wall_clock(server, rows, 0.2)
    assert [text[:16] for text in said] == ["connection lost:", "connected again"]
    shown = [number for connection, number, _ in rows if connection]
    assert max(shown) - min(shown) > 90


# ---- RTMP ----------------------------------------------------------------------------------------


def test_rtmp_reconnects_and_shows_no_secret(caplog, capfd) -> None:
    said: list[str] = []
    taken: list[Sample] = []
    server = RTMPServer(KEY, breaks=[60])
    with running(server), caplog.at_level(logging.DEBUG):
        url = f"rtmp://{USER}:{PASSWORD}@{server.address}/live/{KEY}"
        source = RTMPSource(url, timeout=2)
        reader = SampleReader(source, FrameProcessingConfig(0.25), on_status=said.append)
        with reader:
            assert (reader.info.width, reader.info.height) == (160, 96)
            # Left alone, FFmpeg would look for a sound track until the connection ends.
            assert max(number for _, number in server.due) < 59
            for sample in reader:
                taken.append(sample)
                if server.connections == 2 and len(taken) >= 13:
                    reader.interrupt()
    assert server.asked == [(f"rtmp://{server.address}/live", KEY)] * 2
    found = [number_in(sample.frames[0].data) for sample in taken]
    assert found[:8] == [0, 7, 15, 22, 30, 37, 45, 52]
    assert [s.media_time for s in taken[:8]] == [k / 4 for k in range(8)]
    again = next(i for i in range(1, len(found)) if found[i] < found[i - 1])
    assert len(found) - again >= 4
    assert found[again] <= 8  # within a tick of its beginning
    assert_in_step(taken[:again], 30)
    assert_in_step(taken[again:], 30)
    assert taken[again].media_time > taken[again - 1].media_time
    assert said[0].startswith("connection lost: ")
    assert "reconnecting in" in said[0]
    assert "(attempt 1)" in said[0]
    assert said[1:] == ["connected again"]
    shown = [*said, reader.ending, repr(reader.info), repr(source), source.label]
    shown += [caplog.text, *capfd.readouterr()]
    for secret in (USER, PASSWORD, KEY):
        assert secret not in " ".join(shown)


def test_an_rtmp_stream_that_is_not_there() -> None:
    server = RTMPServer(KEY, breaks=[], frames=10)
    with running(server):
        url = f"rtmp://{USER}:{PASSWORD}@{server.address}/live/wr0ng_k3y"
        with pytest.raises(SourceError, match="No such one") as caught:
            SampleReader(RTMPSource(url), FrameProcessingConfig(0.5)).open()
    assert f"rtmp://{server.address}/live/…" in str(caught.value)
    for secret in (USER, PASSWORD, "wr0ng_k3y"):
        assert secret not in f"{caught.value!r} {caught.value} {caught.value.stderr}"


# ---- HLS -----------------------------------------------------------------------------------------


def test_a_live_playlist_survives_its_server_vanishing(tmp_path: Path) -> None:
    said: list[str] = []
    taken: list[Sample] = []
    server = LiveHLSServer(tmp_path, away=(1.6, 2.3))
    with running(server):
        source = HLSSource(f"http://{USER}:{PASSWORD}@{server.address}/live.m3u8", timeout=3)
        reader = SampleReader(source, FrameProcessingConfig(0.25), on_status=said.append)
        connected = 0
        with reader:
            for sample in reader:
                taken.append(sample)
                if said[-1:] != ["connected again"]:
                    continue
                connected = connected or len(taken) - 1
                newest = max(number_in(s.frames[0].data) for s in taken[:connected])
                beyond = number_in(sample.frames[0].data) > newest
                if beyond and len(taken) - connected >= 6:
                    reader.interrupt()
    found = [number_in(sample.frames[0].data) for sample in taken]
    # FFmpeg begins three segments before the end of the playlist.
    assert found[:6] == [15, 22, 30, 37, 45, 52]
    # More than was listed at first: the playlist was read again, and its new segments.
    # Where it goes on depends on when the server was found again: what it still lists comes twice.
    jumps = [i for i in range(1, len(found)) if found[i] - found[i - 1] not in (7, 8)]
    again = jumps[0] if jumps else connected
    assert again > 8
    assert len(found) - again >= 4
    assert_in_step(taken[:again], 30)
    assert_in_step(taken[again:], 30)
    gap = taken[again].media_time - taken[again - 1].media_time
    assert 0.5 <= gap < 3  # it was away for 0.7 s
    assert found[-1] > max(found[:again])
    assert said[0].startswith("connection lost: ")
    assert "(attempt 1)" in said[0]
    assert said[-1] == "connected again"
    for secret in (USER, PASSWORD):
        assert secret not in " ".join([*said, reader.ending, repr(source)])
