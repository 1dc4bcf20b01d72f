"""Which camera is opened: from recorded device lists, and for real where there is none."""

from __future__ import annotations

import sys
from pathlib import Path

import av
import pytest

from overshoot_nb.errors import SourceError
from overshoot_nb.sampling.cameras import Camera, camera_url, in_words, list_cameras
from overshoot_nb.sampling.pipeline import SampleReader
from overshoot_nb.sources.kinds import CameraSource
from overshoot_nb.types import FrameProcessingConfig

# As FFmpeg names them: dshow tells no default, avfoundation's names are its indices.
PNP = r"@device_pnp_\\?\usb#vid_04f2&pid_b6dd#{65e8773d-8f56-11d0-a3b9-00a0c9223196}\global"
OBS = r"@device_sw_{860BB310-5D01-11D0-BD3B-00A0C911CE86}\{A3FCE0F5-3493-419F-958A-ABA1250EC20B}"
WINDOWS = [Camera(PNP, "Integrated Camera"), Camera(OBS, "OBS Virtual Camera")]
MAC = [Camera("0", "FaceTime HD Camera"), Camera("1", "Capture screen 0")]
LINUX = [Camera("/dev/video0"), Camera("/dev/video2"), Camera("/dev/video10")]


@pytest.mark.parametrize(
    ("form", "device", "cameras", "url"),
    [
        ("dshow", "default", WINDOWS, f"video={PNP}"),
        ("dshow", "default", [WINDOWS[0], Camera(OBS, "OBS", is_default=True)], f"video={OBS}"),
        ("dshow", 1, WINDOWS, f"video={OBS}"),
        ("dshow", "Integrated Camera", WINDOWS, f"video={PNP}"),
        ("dshow", "video=OBS Virtual Camera", WINDOWS, f"video={OBS}"),
        ("dshow", PNP, WINDOWS, f"video={PNP}"),
        ("dshow", "Not Listed", WINDOWS, "video=Not Listed"),
        ("dshow", "Integrated Camera", None, "video=Integrated Camera"),
        ("dshow", "video=Integrated Camera", None, "video=Integrated Camera"),
        ("avfoundation", "default", MAC, "default"),
        ("avfoundation", "default", None, "default"),
        ("avfoundation", 1, MAC, "1"),
        ("avfoundation", 1, None, "1"),
        ("avfoundation", "FaceTime HD Camera", MAC, "0"),
        ("avfoundation", "FaceTime HD Camera", None, "FaceTime HD Camera"),
        ("v4l2", "default", LINUX, "/dev/video0"),
        ("v4l2", "default", LINUX[1:], "/dev/video2"),
        ("v4l2", "default", [], "/dev/video0"),
        ("v4l2", 2, LINUX, "/dev/video2"),
        ("v4l2", "/dev/v4l/by-id/usb-cam", LINUX, "/dev/v4l/by-id/usb-cam"),
    ],
)
def test_what_is_opened(form: str, device: str | int, cameras, url: str) -> None:
    assert camera_url(form, device, cameras) == url


@pytest.mark.parametrize("form", ["dshow", "avfoundation"])
def test_an_index_too_far_lists_what_exists(form: str) -> None:
    cameras = WINDOWS if form == "dshow" else MAC
    with pytest.raises(SourceError) as caught:
        camera_url(form, 2, cameras)
    assert "camera 2: there is none; cameras here: 0: " in str(caught.value)
    assert f"1: {cameras[1].description}" in str(caught.value)
    with pytest.raises(SourceError, match="camera 0: there is none; no camera was found here"):
        camera_url(form, 0, [])


@pytest.mark.parametrize("device", ["default", 0])
def test_windows_without_a_list_needs_a_name_and_says_where_to_find_it(device) -> None:
    with pytest.raises(SourceError) as caught:
        camera_url("dshow", device, None)
    assert 'CameraSource("Integrated Camera")' in str(caught.value)
    assert "Device Manager shows it under Cameras" in str(caught.value)


def test_what_exists_in_words() -> None:
    assert in_words(LINUX) == "cameras here: /dev/video0, /dev/video2, /dev/video10"
    assert in_words(MAC) == "cameras here: 0: FaceTime HD Camera, 1: Capture screen 0"
    assert in_words([]) == "no camera was found here"
    assert in_words(None) == "the cameras here cannot be listed"


def test_listing_for_real() -> None:
    """An interface that FFmpeg lacks here cannot be listed; one that it has can."""
    assert list_cameras("no such interface") is None
    if sys.platform.startswith("linux"):
        names = [camera.name for camera in list_cameras("v4l2")]
        assert set(names) == {
            str(path) for path in Path("/dev").glob("video*") if path.name[5:].isdecimal()
        }
        # lavfi lists its (lack of) devices through the same call as dshow and avfoundation do.
        assert list_cameras("lavfi") == ([] if hasattr(av, "enumerate_input_devices") else None)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="opens /dev/video97")
@pytest.mark.parametrize("device", [97, "/dev/video97", "default"])
def test_a_camera_that_is_not_there(device: str | int) -> None:
    if device == "default" and list_cameras("v4l2"):
        pytest.skip("this machine has a camera")
    with pytest.raises(SourceError) as caught:
        SampleReader(CameraSource(device), FrameProcessingConfig(0.5)).open()
    url = "/dev/video0" if device == "default" else "/dev/video97"
    assert f"camera {device!r} ({url}) cannot be opened: " in str(caught.value)
    assert "No such file" in str(caught.value)
    assert str(caught.value).endswith(in_words(list_cameras("v4l2")))
