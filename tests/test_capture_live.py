"""Live sources behind real sockets: RTMP, and HLS whose playlist slides."""

from __future__ import annotations

import itertools
import logging
import time
from pathlib import Path

import pytest

from overshoot_nb.capture import reading
from overshoot_nb.errors import SourceError
from overshoot_nb.pipeline import SampleReader
from overshoot_nb.sources import HLSSource, RTMPSource
from overshoot_nb.types import FrameProcessingConfig, Sample

from mediaservers import LiveHLSServer, running
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


# ---- RTMP ----------------------------------------------------------------------------------------


def test_rtmp_reconnects_and_shows_no_secret(caplog, capfd) -> None:
    said: list[str] = []
    taken: list[Sample] = []
    server = RTMPServer(KEY, breaks=[60])
    with running(server), caplog.at_level(logging.DEBUG):
        url = f"rtmp://{USER}:{PASSWORD}@{server.address}/live/{KEY}"
        source = RTMPSource(url, timeout=2)
        reader = SampleReader(source, FrameProcessingConfig(0.25), on_status=said.append)
        began = time.monotonic()
        with reader:
            assert (reader.info.width, reader.info.height) == (160, 96)
            # Left alone, FFmpeg would look for a sound track until the connection ends, at 2 s.
            assert time.monotonic() - began < 1.9
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
        with reader:
            for sample in reader:
                taken.append(sample)
                if said[-1:] == ["connected again"] and time.monotonic() - server.began > 3.2:
                    reader.interrupt()
    found = [number_in(sample.frames[0].data) for sample in taken]
    # FFmpeg begins three segments before the end of the playlist.
    assert found[:6] == [15, 22, 30, 37, 45, 52]
    # More than was listed at first: the playlist was read again, and its new segments.
    again = next(i for i in range(1, len(found)) if found[i] < found[i - 1])
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
