"""Which camera is meant, in the platform's own words: v4l2, avfoundation, dshow."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import av.error

from overshoot_nb.errors import SourceError


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera as the platform lists it.

    Attributes:
        name: what FFmpeg opens: a path, an index, or Windows' device path.
        description: what a person calls it; may be empty.
        is_default: whether the platform says that it is its default.
    """

    name: str
    description: str = ""
    is_default: bool = False


def camera_format() -> str:
    """FFmpeg's name of this platform's camera interface."""
    return {"darwin": "avfoundation", "win32": "dshow"}.get(sys.platform, "v4l2")


def list_cameras(form: str) -> list[Camera] | None:
    """The cameras of this machine in the platform's order; None where they cannot be listed."""
    if form == "v4l2":
        found = [path for path in Path("/dev").glob("video*") if path.name[5:].isdecimal()]
        return [Camera(str(path)) for path in sorted(found, key=lambda path: int(path.name[5:]))]
    enumerate_input_devices = getattr(av, "enumerate_input_devices", None)
    if enumerate_input_devices is None:  # an older PyAV
        return None
    try:
        devices = enumerate_input_devices(form)
    except (av.error.FFmpegError, OSError, ValueError):
        return None
    # Where the kind is not told, it may be a camera.
    return [
        Camera(device.name, device.description, device.is_default)
        for device in devices
        if not device.media_types or "video" in device.media_types
    ]


def camera_url(form: str, device: str | int, cameras: Sequence[Camera] | None) -> str:
    """FFmpeg's name of a camera.

    Args:
        form: "v4l2", "avfoundation" or "dshow".
        device: as in ``CameraSource``: "default", an index, or a name
            or description as listed.
        cameras: what exists, or None where that is not known.

    Raises:
        SourceError: there is no such camera, or only its name would tell which one is meant.
    """
    if form == "v4l2":
        if device == "default":
            return cameras[0].name if cameras else "/dev/video0"
        return f"/dev/video{device}" if isinstance(device, int) else device
    if form == "avfoundation" and device == "default":
        return "default"  # FFmpeg asks the platform
    if cameras is None:
        return _unlisted(form, device)
    prefix = "video=" if form == "dshow" else ""
    if isinstance(device, str) and device != "default":
        wanted = device.removeprefix(prefix)
        for camera in cameras:
            if wanted in (camera.name, camera.description):
                return prefix + camera.name
        return prefix + wanted
    index = device if isinstance(device, int) else _default(cameras)
    if index >= len(cameras):
        raise SourceError(f"camera {device!r}: there is none; {in_words(cameras)}")
    return prefix + cameras[index].name


def in_words(cameras: Sequence[Camera] | None) -> str:
    """What exists, for an error message."""
    if cameras is None:
        return "the cameras here cannot be listed"
    if not cameras:
        return "no camera was found here"
    listed = [f"{i}: {camera.description or camera.name}" for i, camera in enumerate(cameras)]
    if all(re.fullmatch(r"/dev/video\d+", camera.name) for camera in cameras):
        listed = [camera.name for camera in cameras]  # they carry their own numbers
    return f"cameras here: {', '.join(listed)}"


def _default(cameras: Sequence[Camera]) -> int:
    return next((i for i, camera in enumerate(cameras) if camera.is_default), 0)


def _unlisted(form: str, device: str | int) -> str:
    if form != "dshow":
        return str(device)
    if isinstance(device, int) or device == "default":
        raise SourceError(
            f"camera {device!r}: this version of PyAV (av {av.__version__}) cannot list the "
            "cameras of Windows. Give the camera's name, such as CameraSource(\"Integrated "
            'Camera"): Device Manager shows it under Cameras. Or: pip install -U av'
        )
    return f"video={device.removeprefix('video=')}"
