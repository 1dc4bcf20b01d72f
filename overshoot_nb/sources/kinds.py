"""What to watch. Values only: nothing here opens a file, a device or a connection.

A source says where pictures come from; ``capture`` opens it. ``FrameSource`` alone owns something
(its queue of pushed frames): it has a module of its own, and is offered here with the others.

User info and query values of a URL may be secrets: they are part of the value and of equality,
but of no repr, label or message: see ``redaction``. Nor are they in a pickle: what comes out of it
has ``…`` in their place (``rtsp://…@camera/1``, ``?token=…``), is another value, and is refused
when it is opened. A worker makes its source itself, from a secret that it was given otherwise.
Copies in the same process are whole.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt

from overshoot_nb.errors import ValidationError
from overshoot_nb.support.redaction import display_url, hidden, hides_arguments, kind_of, split_url
from overshoot_nb.support.secret_text import LEFT_OUT
from overshoot_nb.support.validation import header_refusal

from .pushed_source import FrameSource, check_size, check_wall_clock
from .replay import Replay

#: Seconds without data after which a network source counts as broken. A native read cannot be
#: broken off, so this is also how long a closed stream may have to wait for its thread.
READ_TIMEOUT_SECONDS = 3.0
#: HLS servers may hold a playlist back for a whole segment.
HLS_READ_TIMEOUT_SECONDS = 15.0
#: Schemes of what comes over a network.
_NETWORK = ("http", "https", "rtsp", "rtsps", "rtmp", "rtmps")


#: Header fields as they are given, and as they are kept: pairs.
Headers = Mapping[str, str] | tuple[tuple[str, str], ...] | None


def _checked_headers(source: FileSource | HLSSource) -> None:
    given = () if source.headers is None else source.headers
    if not isinstance(given, tuple):
        raise ValidationError(
            'headers must be a mapping of names to texts, such as {"Cookie": "..."}, not '
            f"{type(given).__name__}"
        )
    for name, value in given:
        if (why := header_refusal(name, value)) is not None and value != LEFT_OUT:
            raise ValidationError(f"headers: field {name!r:.100}: {why}")
    object.__setattr__(source, "headers", given)


def _text(name: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ValidationError(f"{name}={value!r} must be a non-empty string")


def _positive(name: str, value: object) -> None:
    ok = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e6
    if not ok:
        raise ValidationError(f"{name}={value!r} must be a positive number")


def _scheme(url: str, *schemes: str) -> None:
    if url.partition("://")[0].lower() not in schemes or not url.partition("://")[2]:
        wanted = " or ".join(f"{scheme}://" for scheme in schemes)
        raise ValidationError(f"url={display_url(url)!r} must begin with {wanted}")


@hides_arguments()
@dataclass(frozen=True, slots=True)
class FileSource:
    """A video or picture file, or the http(s) URL of one.

    Where its clock says that there was no frame for more than an hour, that time is passed over,
    and said: media time goes on as if the next frame had followed at once.

    Args:
        path: where it is.
        loop: start again at its end, for ever; media time goes on growing.
        realtime: play at the video's own pace; False takes samples as fast as they are used.
        live: it has no end, and comes at its own pace: a stream over http(s), such as endless
            MPEG-TS. A broken connection is made again, and time goes on by our own clock. A
            camera's MJPEG (multipart) and a playlist without an end are known when they are
            opened.
        timeout: seconds without data after which an http(s) file counts as broken.
        start_time: when its first frame was taken, on the clock on the wall: ``captured_at`` of a
            sample is then this plus its media time, and ``df.overshoot.events(...)`` say when
            things happened. One without a zone is local time; it is kept in UTC. Default: a
            sample's ``captured_at`` is when the sample was taken.
        headers: header fields of every request for an http(s) file, such as
            ``{"Cookie": "...", "User-Agent": "..."}``. Their values are secrets: they are shown
            nowhere, and are in no pickle and no recording. Where the server sends us on to
            another one, only user agent, accept and accept-language go along. Kept as pairs.

    Raises:
        ValidationError: ``path`` is empty or neither a string nor a ``Path``, or a ``Path`` made
            of a URL, which has lost one of its slashes; ``start_time`` is no ``datetime``; or it
            is live, and to start again or to be read as fast as it can be.
    """

    path: str | Path = field(repr=False)
    loop: bool = False
    realtime: bool = True
    timeout: float = field(default=READ_TIMEOUT_SECONDS, kw_only=True)
    live: bool = field(default=False, kw_only=True)
    start_time: datetime | None = field(default=None, kw_only=True)
    headers: Headers = field(default=(), kw_only=True, repr=False)

    def __post_init__(self) -> None:
        _checked_headers(self)
        if self.headers and not self.remote:
            raise ValidationError(
                f"headers= does not apply to {self.shown!r}: it is no http(s) URL"
            )
        if not isinstance(self.path, Path):
            _text("path", self.path)
        if str(self.path).partition(":/")[0].lower() in _NETWORK and "://" not in str(self.path):
            raise ValidationError(
                f"path={self.shown!r} is a URL that a Path has taken a slash from: give it as text"
            )
        if not isinstance(self.live, bool):
            raise ValidationError(f"live={self.live!r} must be True or False")
        if self.live and (self.loop or not self.realtime):
            wrong = "loop=True" if self.loop else "realtime=False"
            raise ValidationError(f"{wrong} does not apply to {self.label}: it is live")
        _positive("timeout", self.timeout)
        if self.start_time is not None:
            object.__setattr__(self, "start_time", check_wall_clock("start_time", self.start_time))

    @property
    def url(self) -> str:
        """What is opened: a URL, or a path with its ``~`` and without ``file:``."""
        return file_path(os.fspath(self.path))

    @property
    def remote(self) -> bool:
        """Whether it is read over the network."""
        return self.url.lower().startswith(("http://", "https://"))

    @property
    def label(self) -> str:
        """What to call it on a screen."""
        return self.shown if "://" in self.url else Path(self.url).name or self.url

    @property
    def shown(self) -> str:
        """Where it is, whole, without the secrets of a URL."""
        return display_url(self.url) if ":/" in self.url else self.url

    def __repr__(self) -> str:
        live = ", live=True" if self.live else ""
        start = "" if self.start_time is None else f", start_time={self.start_time.isoformat()!r}"
        more = live + start
        return f"FileSource({self.shown!r}, loop={self.loop}, realtime={self.realtime}{more})"


@dataclass(frozen=True, slots=True, repr=False)
class _NetworkSource:
    url: str
    timeout: float = field(default=READ_TIMEOUT_SECONDS, kw_only=True)
    _schemes: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        _text("url", self.url)
        _scheme(self.url, *self._schemes)
        _positive("timeout", self.timeout)

    @property
    def live(self) -> bool:
        """Whether it paces itself, and has no end."""
        return True

    @property
    def realtime(self) -> bool:
        """Whether it is watched in real time."""
        return True

    @property
    def label(self) -> str:
        """What to call it on a screen: the URL without its secrets."""
        return display_url(self.url)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.label!r})"


@hides_arguments()
@dataclass(frozen=True, slots=True, repr=False)
class RTSPSource(_NetworkSource):
    """An ``rtsp://`` or ``rtsps://`` stream, read over TCP.

    ``timeout``: seconds without data after which the connection counts as broken (default 3).
    """

    _schemes: ClassVar[tuple[str, ...]] = ("rtsp", "rtsps")


@hides_arguments()
@dataclass(frozen=True, slots=True, repr=False)
class RTMPSource(_NetworkSource):
    """An ``rtmp://`` or ``rtmps://`` stream. ``timeout`` as in :class:`RTSPSource`."""

    _schemes: ClassVar[tuple[str, ...]] = ("rtmp", "rtmps")


@hides_arguments()
@dataclass(frozen=True, slots=True, repr=False)
class HLSSource(_NetworkSource):
    """An HLS playlist (``http(s)://....m3u8``), live or finished.

    Which it is shows when it is opened: a finished one is a file from then on. Of a playlist of
    playlists, the smallest variant that fills ``max_size`` is watched, else the largest.

    Args:
        url: of the playlist.
        timeout: seconds without data after which the connection counts as broken (default 15).
        realtime: of a finished one: play at the video's own pace; False takes samples as fast as
            they are used.
        headers: header fields of every request, as in :class:`FileSource`: for playlists,
            segments and keys. Cookies are for the playlist's own server; FFmpeg sends the other
            fields to every server that the playlist names for segments and keys, and to where
            that one sends it on.
    """

    timeout: float = field(default=HLS_READ_TIMEOUT_SECONDS, kw_only=True)
    realtime: bool = field(default=True, kw_only=True)
    headers: Headers = field(default=(), kw_only=True, repr=False)
    _schemes: ClassVar[tuple[str, ...]] = ("http", "https")

    def __post_init__(self) -> None:
        _NetworkSource.__post_init__(self)
        _checked_headers(self)

    @property
    def live(self) -> bool:
        """Whether it counts as live before it is open: unless it is to be read to its end."""
        return self.realtime


@hides_arguments()
@dataclass(frozen=True, slots=True)
class CameraSource:
    """A camera of this machine.

    Args:
        device: "default" (the platform's, or its first), an index, or the platform's own name
            of it, such as "/dev/video0" or "FaceTime HD Camera". Windows with an older PyAV needs
            the name; opening says so.
        width, height: the picture size to ask for, in pixels; the camera may give another.
        timeout: seconds without a picture after which the camera counts as broken.
    """

    device: str | int = "default"
    width: int = 1280
    height: int = 720
    timeout: float = field(default=READ_TIMEOUT_SECONDS, kw_only=True)
    live: ClassVar[bool] = True
    realtime: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if isinstance(self.device, bool) or not isinstance(self.device, str | int):
            raise ValidationError(f"device={self.device!r} must be a name or an index")
        if isinstance(self.device, str) and "://" in self.device:
            raise ValidationError(
                f"device={self.device!r} is a URL: give RTSPSource(url), or the URL itself"
            )
        if self.device == "" or (isinstance(self.device, int) and self.device < 0):
            raise ValidationError(f"device={self.device!r} must be a name or an index from 0")
        check_size(self.width, self.height)
        _positive("timeout", self.timeout)

    @property
    def label(self) -> str:
        """What to call it on a screen."""
        return "camera" if self.device == "default" else f"camera {self.device}"


@hides_arguments(secret=("token",))
@dataclass(frozen=True, slots=True)
class LiveKitSource:
    """A LiveKit room that the server joins. The token is shown nowhere, and in no pickle."""

    url: str = field(repr=False)
    token: str = field(repr=False)
    live: ClassVar[bool] = True
    realtime: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _text("url", self.url)
        if not isinstance(self.token, str) or not self.token:
            raise ValidationError("token must be a non-empty string")

    @property
    def label(self) -> str:
        """What to call it on a screen."""
        return display_url(self.url)

    def __repr__(self) -> str:
        return f"LiveKitSource({self.label!r})"


@hides_arguments()
@dataclass(frozen=True, slots=True, eq=False)
class ArraySource:
    """Pictures from memory: finite, and not in real time.

    Args:
        frames: an iterable of uint8 arrays, RGB (h, w, 3), RGBA (h, w, 4) or grey (h, w); or one
            array of any of these with the frame as its first axis.
        fps: frames a second, which gives the pictures their times.
    """

    frames: Iterable[npt.NDArray[np.uint8]] = field(repr=False)
    fps: float = 30.0
    live: ClassVar[bool] = False
    realtime: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if isinstance(self.frames, np.ndarray) and self.frames.ndim not in (3, 4):
            raise ValidationError(
                f"frames is an array of shape {self.frames.shape}; expected (n, h, w), "
                "(n, h, w, 3) or (n, h, w, 4), or an iterable of single pictures"
            )
        if not isinstance(self.frames, Iterable):
            raise ValidationError("frames must be an iterable of uint8 arrays")
        _positive("fps", self.fps)

    @property
    def label(self) -> str:
        """What to call it on a screen."""
        return "frames in memory"


#: Anything that can be watched.
SourceConfig = (
    FileSource
    | HLSSource
    | RTSPSource
    | RTMPSource
    | CameraSource
    | FrameSource
    | ArraySource
    | LiveKitSource
    | Replay
)

_ACCEPTED = (
    "a path or URL (rtsp://, rtmp://, http(s)://, .m3u8), a recording (.parquet), a pathlib.Path, "
    "a camera index, "
    '"camera", "camera:1" or "/dev/video0", a list, iterator or array of uint8 pictures, '
    "or a source such as FileSource(...)"
)


def as_source(anything: Any) -> SourceConfig:
    """A source from whatever names one.

    Args:
        anything: a path (of a recording, too), URL, ``Path``, camera index, "camera", "camera:1",
            "/dev/video0", an iterator, list or array of uint8 pictures, or a source, which comes
            back as it is.

    Raises:
        ValidationError: it is none of these.
    """
    anything = hidden(anything)
    if isinstance(anything, SourceConfig):
        return anything
    if isinstance(anything, bool):
        raise ValidationError(f"{anything!r} is no source; give {_ACCEPTED}")
    if isinstance(anything, int):
        return CameraSource(anything)
    if isinstance(anything, str):
        return _from_text(hidden(anything.strip()))
    if isinstance(anything, os.PathLike):
        return _from_path(hidden(os.fsdecode(anything)))
    if isinstance(anything, np.ndarray | Iterator):
        return ArraySource(anything)
    if isinstance(anything, list | tuple) and anything:
        if all(isinstance(item, np.ndarray) for item in anything):
            return ArraySource(anything)
        kinds = sorted({type(item).__name__ for item in anything})
        raise ValidationError(
            f"a {type(anything).__name__} of {', '.join(kinds)} is no source; give {_ACCEPTED}"
        )
    raise ValidationError(f"{kind_of(anything)} is no source; give {_ACCEPTED}")


def _from_text(text: str) -> SourceConfig:
    low = hidden(text.lower())
    if not text:
        raise ValidationError(f"an empty string is no source; give {_ACCEPTED}")
    # A camera's name has no ending: "camera:1.mp4" is a file.
    if low == "camera" or (low.startswith("camera:") and not re.search(r"\.[a-z]\w{1,4}$", low)):
        device = text.partition(":")[2] or "default"
        return CameraSource(int(device) if device.isdecimal() else device)
    if low.startswith("/dev/video"):
        return CameraSource(text)
    scheme, separator = low.partition("://")[:2]  # what follows may be a secret
    if not separator or scheme == "file":
        return _from_path(file_path(text))
    if scheme in ("rtsp", "rtsps"):
        return RTSPSource(text)
    if scheme in ("rtmp", "rtmps"):
        return RTMPSource(text)
    if scheme in ("http", "https"):
        hls = split_url(low).path.endswith((".m3u8", ".m3u"))
        return HLSSource(text) if hls else FileSource(text)
    shown = display_url(text)
    raise ValidationError(f"{shown!r}: {scheme}:// is no known source; give {_ACCEPTED}")


def file_path(text: str) -> str:
    """The path that a ``file:`` URL names; other text with its ``~`` as the user's folder."""
    if text[:6].lower() != "file:/":
        return os.path.expanduser(text) if text.startswith("~") else text  # noqa: PTH111 (str)
    parts = split_url(text)
    # A drive of Windows stands after the slash, or in the place of the host.
    drive = parts.netloc if re.fullmatch("[A-Za-z]:", parts.netloc) else ""
    host = "" if drive or parts.netloc.lower() in ("", "localhost") else f"//{parts.netloc}"
    path = unquote(parts.path)
    return host + (path[1:] if re.match("/[A-Za-z]:(/|$)", path) else drive + path)


def _from_path(path: str) -> SourceConfig:
    # No video is in such a file: it is the recording of a run.
    return Replay(path) if path.lower().endswith(".parquet") else FileSource(path)
