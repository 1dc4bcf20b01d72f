"""Sources are values; their secrets are shown nowhere."""

from __future__ import annotations

import dataclasses
import threading
import time
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from overshoot_nb.errors import StreamClosedError, ValidationError
from overshoot_nb.sources.kinds import (
    ArraySource,
    CameraSource,
    FileSource,
    HLSSource,
    LiveKitSource,
    RTMPSource,
    RTSPSource,
    as_source,
)
from overshoot_nb.sources.pushed_source import FRAME_QUEUE_LENGTH, FrameSource
from overshoot_nb.support.redaction import display_url, redact


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ("clip.mp4", FileSource("clip.mp4")),
        (" clip.mp4 ", FileSource("clip.mp4")),
        (Path("a") / "clip.mp4", FileSource(str(Path("a") / "clip.mp4"))),
        ("file:///a%20b.mp4", FileSource("/a b.mp4")),
        ("https://h/x.mp4?k=v", FileSource("https://h/x.mp4?k=v")),
        ("https://h/live.M3U8?k=v", HLSSource("https://h/live.M3U8?k=v")),
        ("rtsp://u:p@h:554/x", RTSPSource("rtsp://u:p@h:554/x")),
        ("RTSPS://h/x", RTSPSource("RTSPS://h/x")),
        ("rtmp://h/app/key", RTMPSource("rtmp://h/app/key")),
        ("rtmps://h/app/key", RTMPSource("rtmps://h/app/key")),
        (1, CameraSource(1)),
        ("camera", CameraSource()),
        ("camera:1", CameraSource(1)),
        ("camera:FaceTime HD", CameraSource("FaceTime HD")),
        ("/dev/video2", CameraSource("/dev/video2")),
    ],
)
def test_what_names_a_source(given, source) -> None:
    assert as_source(given) == source


def test_arrays_and_sources_are_sources() -> None:
    picture = np.zeros((4, 6, 3), np.uint8)
    for given in ([picture], (picture,), iter([picture]), np.stack([picture])):
        made = as_source(given)
        assert isinstance(made, ArraySource)
        assert not made.live
        assert not made.realtime
    source = FrameSource(6, 4)
    assert as_source(source) is source


@pytest.mark.parametrize("given", [None, True, 1.5, {}, [], [1, 2], "", "ftp://h/x.mp4", b"x", -1])
def test_anything_else_is_refused_with_what_is_accepted(given) -> None:
    with pytest.raises(ValidationError) as caught:
        as_source(given)
    if given != -1:
        assert "a path or URL" in str(caught.value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: FileSource(""), "path=''"),
        (lambda: FileSource(None), "path=None"),
        (lambda: FileSource("http://h/x", live="yes"), "live='yes'"),
        (lambda: FileSource("http://u:pw@h/x", live=True, loop=True), "^loop=True .* http://h/x"),
        (lambda: FileSource("http://h/x", live=True, realtime=False), "^realtime=False"),
        (lambda: RTSPSource("http://h/x"), "must begin with rtsp:// or rtsps://"),
        (lambda: RTMPSource("rtmp://"), "must begin with rtmp://"),
        (lambda: HLSSource("rtsp://u:pw@h"), r"url='rtsp://h' must begin"),
        (lambda: RTSPSource("rtsp://h", timeout=0), "timeout=0 must be a positive number"),
        (lambda: CameraSource(width=0), "width=0"),
        (lambda: CameraSource(True), "device=True"),
        (lambda: FrameSource(0, 4), "width=0 must be an integer from 1"),
        (lambda: ArraySource(np.zeros((3, 3), np.uint8)), "array of shape"),
        (lambda: ArraySource([], fps=0), "fps=0"),
        (lambda: LiveKitSource("wss://h", ""), "token"),
    ],
)
def test_wrong_parameters(make, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        make()


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "given",
    [
        NOON,
        NOON.astimezone(timezone(timedelta(hours=5, minutes=30))),
        pd.Timestamp(NOON),
        pd.Timestamp(NOON).tz_convert("Asia/Tokyo"),
        datetime(2026, 1, 31, 7),
        pd.Timestamp(2026, 1, 31, 7),
    ],
)
def test_a_clock_of_the_users_is_kept_in_utc(given, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "EST5")  # of those without a zone
        time.tzset()
        file = FileSource("a.mp4", start_time=given)
        pushed = FrameSource(2, 1)
        pushed.push_frame(bytes(8), captured_at=given)
    time.tzset()
    for moment in (file.start_time, pushed.next_frame(None).captured_at):
        assert (type(moment), moment, moment.tzinfo) == (datetime, NOON, UTC)
    assert file == FileSource("a.mp4", start_time=NOON) != FileSource("a.mp4")
    assert "start_time='2026-01-31T12:00:00+00:00'" in repr(file)
    assert "start_time" not in repr(FileSource("a.mp4"))


@pytest.mark.parametrize(
    "given",
    ["2026-01-31", 1.7e9, date(2026, 1, 31), pd.NaT, True, datetime.max, datetime.min, NOON.time()],
)
def test_what_is_no_moment_is_refused(given) -> None:
    with pytest.raises(ValidationError, match="start_time="):
        FileSource("a.mp4", start_time=given)
    source = FrameSource(2, 1)
    with pytest.raises(ValidationError, match="captured_at="):
        source.push_frame(bytes(8), captured_at=given)
    source.close()
    assert source.closed  # it has taken nothing


def test_they_are_frozen_values() -> None:
    for source in (FileSource("a"), RTSPSource("rtsp://h"), CameraSource()):
        with pytest.raises((dataclasses.FrozenInstanceError, AttributeError, TypeError)):
            source.timeout = 3
    assert hash(RTSPSource("rtsp://h")) == hash(RTSPSource("rtsp://h"))
    assert (FileSource("a").live, FileSource("a").realtime) == (False, True)
    assert not FileSource("a", realtime=False).realtime
    assert FileSource("http://h/a", live=True).live
    assert "live=True" in repr(FileSource("http://h/a", live=True))
    # What a playlist is shows when it is opened: until then it is what it is to be.
    assert (HLSSource("http://h").live, HLSSource("http://h").realtime) == (True, True)
    assert not HLSSource("http://h", realtime=False).live
    assert RTSPSource("rtsp://h").live


# ---- secrets -------------------------------------------------------------------------------------

SECRET_URL = "rtsp://admin:hunter%402@cam.local:554/live?token=s3cr3t&fps=15"


def test_no_secret_in_a_repr_or_label() -> None:
    sources = [
        RTSPSource(SECRET_URL),
        RTMPSource(SECRET_URL.replace("rtsp", "rtmp", 1)),
        HLSSource(SECRET_URL.replace("rtsp", "https", 1)),
        FileSource(SECRET_URL.replace("rtsp", "https", 1)),
        FileSource(SECRET_URL),
        LiveKitSource(SECRET_URL.replace("rtsp", "wss", 1), "jwt-secret"),
    ]
    for source in sources:
        for text in (repr(source), str(source), source.label, f"{[source]}"):
            for secret in ("hunter", "admin", "s3cr3t", "jwt-secret"):
                assert secret not in text
        assert "cam.local" in source.label


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (SECRET_URL, "rtsp://cam.local:554/live?token=…&fps=…"),
        ("rtsp://u:p@ss@h/x", "rtsp://h/x"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("http://u:p@[bad/x", "http://[bad/x"),
        ("clip.mp4", "clip.mp4"),
        ("rtmp://h/app", "rtmp://h/app"),
        ("rtmp://u:p@h:1935/app/s3cr3t-k3y", "rtmp://h:1935/app/…"),
        ("RTMPS://h/app/inst/k3y?sign=x", "RTMPS://h/app/…?sign=…"),
        ("https://h/app/clip.mp4", "https://h/app/clip.mp4"),
    ],
)
def test_urls_as_shown(url: str, shown: str) -> None:
    assert display_url(url) == shown


def test_redaction_finds_every_form() -> None:
    message = (
        f"Error opening input {SECRET_URL}: 401; tried rtsp://admin:hunter%402@cam.local/other, "
        "user admin password hunter@2 or hunter%402, token s3cr3t"
    )
    shown = redact(message, SECRET_URL)
    for secret in ("admin", "hunter", "s3cr3t"):
        assert secret not in shown
    assert "401" in shown
    shown = redact("Failed to play a/k3y-1; no k3y-1 at rtmp://h/x", "rtmp://h/x/a/k3y-1")
    assert shown == "Failed to play …; no … at rtmp://h/x"
    # Another stream's URL is redacted too.
    assert redact("rtsp://a:b@h/x failed") == "rtsp://h/x failed"


# ---- pushed frames -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        b"x" * 95,
        np.zeros((4, 6), np.uint8),
        np.zeros((6, 4, 4), np.uint8),
        np.zeros((4, 6, 4), np.float32),
        "text",
    ],
)
def test_a_wrong_frame_says_what_was_expected(frame) -> None:
    with pytest.raises(ValidationError, match=r"expected 96 bytes of RGBA \(6x4x4\).*; got "):
        FrameSource(6, 4).push_frame(frame)


def test_frames_are_copied_and_the_newest_win() -> None:
    source = FrameSource(6, 4)
    picture = np.zeros((4, 6, 3), np.uint8)
    for n in range(FRAME_QUEUE_LENGTH + 3):
        picture[:] = n
        source.push_frame(picture, media_time=float(n))
    picture[:] = 99
    kept = [source.next_frame(0) for _ in range(FRAME_QUEUE_LENGTH)]
    assert [int(k.pixels[0, 0, 0]) for k in kept] == list(range(3, FRAME_QUEUE_LENGTH + 3))
    assert source.next_frame(0.0) is None
    with pytest.raises(ValidationError, match="later than the last"):
        source.push_frame(picture, media_time=1.0)


def test_a_closed_source_takes_nothing() -> None:
    source = FrameSource(2, 1)
    source.push_frame(bytes(8))
    source.close()
    source.close()
    with pytest.raises(StreamClosedError):
        source.push_frame(bytes(8))
    assert not source.closed  # one frame is still to be taken
    assert source.next_frame(None) is not None
    assert source.closed
    assert source.next_frame(None) is None


def test_pushing_from_many_threads() -> None:
    source = FrameSource(2, 1)
    threads = [
        threading.Thread(target=lambda: [source.push_frame(bytes(8)) for _ in range(50)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times = [source.next_frame(0).time for _ in range(FRAME_QUEUE_LENGTH)]
    assert times == sorted(set(times))
