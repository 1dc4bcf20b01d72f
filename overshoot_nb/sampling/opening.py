"""Opening containers: FFmpeg's options for each kind of source, and its reasons in our errors."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import av.error

from overshoot_nb.errors import SourceError
from overshoot_nb.sources.kinds import CameraSource, FileSource, HLSSource, RTMPSource, RTSPSource
from overshoot_nb.support.redaction import lacks_secrets, redact
from overshoot_nb.support.secret_text import LEFT_OUT

from .cameras import camera_format, camera_url, in_words, list_cameras
from .files import PipeBody, check_file, is_pipe, page_sentence
from .playlists import is_playlist_name, playlists_of
from .web import WebBody, body_of, header_options, header_pairs, settled

ContainerSource = FileSource | HLSSource | RTSPSource | RTMPSource | CameraSource

#: Seconds that opening a network source may take.
OPEN_TIMEOUT_SECONDS = 15.0
#: Seconds of an RTMP stream that FFmpeg looks through for what is in it.
LOOK_SECONDS = 1.0
#: Seconds that FFmpeg may take to say in words why it cannot open something.
ASK_SECONDS = 5.0
_ATTACHED_PICTURE = 0x0400  # AV_DISPOSITION_ATTACHED_PIC
#: Their own text says it all; others are "Invalid data" or "Input/output error".
_CLEAR = (
    av.error.HTTPError,
    av.error.HTTPClientError,
    av.error.ExitError,
    av.error.ProtocolNotFoundError,
    ConnectionError,
    FileNotFoundError,
    TimeoutError,
)
#: Opens what its standard input names and prints what FFmpeg logged.
_ASK = """
import json, os, sys
import av, av.error, av.logging
av.logging.set_level(av.logging.ERROR)
url, options, seconds = json.load(sys.stdin)
try:
    with av.logging.Capture(local=False):
        av.open(url, timeout=seconds, **options)
except av.error.FFmpegError as error:
    print(json.dumps(error.log and error.log[2]), flush=True)
os._exit(0)
"""
_DEFAULT = 0x0001  # AV_DISPOSITION_DEFAULT
#: FFmpeg takes segments of known extensions alone, where it has such a list; whoever serves them
#: may call them anything. Which protocols a playlist may name is another list, and stays. These
#: are the HLS reader's own options: no other takes them, nor does an older one.
_ANY_SEGMENT = {"allowed_segment_extensions": "ALL", "extension_picky": "0"}
#: The same for segments that are files. That of DASH has an option of this name, too.
_ANY_FILE = {"allowed_extensions": "ALL"}


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What is being watched.

    Attributes:
        width, height: display size in pixels: upright, pixels square.
        codec: FFmpeg's name of the codec; "raw" for frames from memory.
        fps: average frames a second, or None.
        duration: seconds, or None where there is no end or it is not known.
    """

    width: int
    height: int
    codec: str
    fps: float | None = None
    duration: float | None = None

    def with_size(self, width: int, height: int) -> VideoInfo:
        """The same with another size."""
        return replace(self, width=width, height=height)


def open_source(
    source: ContainerSource, max_size: tuple[int, int] | None = None
) -> tuple[Any, Any]:
    """Opens a source: the container and its video stream.

    Args:
        source: what to open.
        max_size: width and height in pixels that its pictures are fitted into. Of a playlist's
            variants the smallest one that fills it is opened, else the largest; None: the
            largest.

    Raises:
        SourceError: it cannot be opened or has no video; the message names it.
    """
    if isinstance(source, CameraSource):
        container = _open_camera(source)
    else:
        container = _open_url(source, max_size)
    try:
        stream = _video_stream(container)
        if stream is None:
            kinds = sorted({s.type for s in container.streams if s.type})
            raise SourceError(
                f"{source.label}: has no video"
                + (f", only {' and '.join(kinds)}" if kinds and "video" not in kinds else "")
                + (", only a cover picture" if "video" in kinds else "")
            )
        context = stream.codec_context
        if context is not None and context.name == "webp" and not context.width:
            raise SourceError(
                f"{source.label}: FFmpeg finds no picture in this WebP, as it cannot read animated "
                "ones: make a GIF or a video of it"
            )
        if context is None:
            raise SourceError(f"{source.label}: no decoder for its video is installed")
    except BaseException:
        close_input(container)
        raise
    return container, stream


def close_input(container: Any) -> None:
    """Closes a container that was read, its decoders first. Idempotent.

    PyAV frees a decoder with the GIL held, and waits for its threads meanwhile. Where one of these
    logs into Python just then (``av.logging`` is on), it waits for the GIL: nothing goes on in the
    whole process. So they are let come to rest here, while the GIL is free.
    """
    for stream in container.streams:
        context = stream.codec_context
        if context is not None:
            context.flush_buffers()
    body = body_of(container)
    container.close()
    if body is not None:
        body.close()


@contextmanager
def closing_input(container: Any) -> Iterator[Any]:
    """Closes a container that is read as :func:`close_input` does."""
    try:
        yield container
    finally:
        close_input(container)


def describe(container: Any, stream: Any) -> VideoInfo:
    """What the headers say; the size is that of the coded picture."""
    context = stream.codec_context
    rate = stream.average_rate
    seconds = None
    if stream.duration is not None and stream.duration > 0:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration is not None and container.duration > 0:
        seconds = container.duration / 1e6  # av.time_base
    return VideoInfo(
        context.width, context.height, context.name, float(rate) if rate else None, seconds
    )


def reason(error: BaseException, url: str) -> str:
    """FFmpeg's reason in words, without the URL's secrets."""
    if isinstance(error, av.error.ExitError):
        return "no data came in time"
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return redact(" ".join(words.split()), url)


def _reason_of_refusal(error: BaseException, url: str, options: dict[str, Any]) -> str:
    """Why something cannot be opened, with FFmpeg's own words where its error has none."""
    words = reason(error, url)
    if isinstance(error, _CLEAR) or not isinstance(error, av.error.FFmpegError):
        return words
    said = redact(" ".join(_logged(url, options).split()), url)
    if not said:
        return words
    return words if words in said else f"{words} ({said})"


def _logged(url: str, options: dict[str, Any]) -> str:
    """What FFmpeg logs as it fails to open something; "" where that cannot be found out.

    PyAV hands its log to Python for the whole process or not at all, and what is decoded meanwhile
    may then freeze it (see :func:`close_input`). So it is opened again in a process of its own.
    """
    if not sys.executable or getattr(sys, "frozen", False):  # it would start the program anew
        return ""
    with suppress(OSError, ValueError, RuntimeError, subprocess.SubprocessError):
        asked = subprocess.run(
            [sys.executable, "-P", "-c", _ASK],
            input=json.dumps([url, options, ASK_SECONDS]).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=ASK_SECONDS,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        return str(json.loads(asked.stdout) or "")
    return ""


def _open_url(
    source: FileSource | HLSSource | RTSPSource | RTMPSource, max_size: tuple[int, int] | None
) -> Any:
    lost = any(value == LEFT_OUT for _, value in header_pairs(source))
    if "://" in source.url and (lost or lacks_secrets(source.url)):
        why = (
            f"{LEFT_OUT} stands in its {'headers' if lost else 'URL'} where a secret was left out "
            "(a pickle and what is shown of a source hold none): make the source anew, whole"
        )
        raise SourceError(f"{_name(source)}: cannot be opened: {why}", why)
    if isinstance(source, FileSource) and "://" not in source.url:
        if is_pipe(check_file(source.url)):
            return _open_pipe(source)
    elif (page := page_sentence(source.url)) is not None:
        raise SourceError(f"{_name(source)}: {page}", page)
    places: list[str] = []
    looks = isinstance(source, HLSSource) or is_playlist_name(source.url)
    if looks and isinstance(source, FileSource | HLSSource):
        places = playlists_of(source, max_size)
    try:
        container = _open_first(source, places)
    except SourceError as error:
        refused = isinstance(error.__context__, av.error.InvalidDataError)
        if looks or not refused or not isinstance(source, FileSource) or not source.remote:
            raise
        # FFmpeg takes for a playlist only what is called one, or what its server calls one.
        places = playlists_of(source, max_size)
        if not places:
            raise
        container = _open_first(source, places)
    if isinstance(source, FileSource) and source.remote:
        if not places and container.format.name == "hls" and len(container.streams.video) > 1:
            # Only now it shows that this was a playlist of playlists.
            places = playlists_of(source, max_size)
            if places:
                close_input(container)
                container = _open_first(source, places)
        elif not source.live and container.format.name not in ("hls", "mpjpeg"):
            container = _to_its_end(source, container)
    return container


def _open_first(source: FileSource | HLSSource | RTSPSource | RTMPSource, places: list[str]) -> Any:
    """The first playlist that opens, or what else the source is where there is none.

    Raises:
        SourceError: that of the first where none does.
    """
    if not places:
        return _open_at(source, source.url)
    failed: SourceError | None = None
    for place in places:
        try:
            return _open_at(source, place, "hls")
        except SourceError as error:
            failed = failed or error
    assert failed is not None
    raise failed


def _open_at(
    source: FileSource | HLSSource | RTSPSource | RTMPSource, place: str, form: str | None = None
) -> Any:
    # Given as ``options`` they reach the streams too, and older versions of PyAV then crash where
    # FFmpeg finds a stream only after it opened the container.
    options: dict[str, str] = {}
    timeout: tuple[float, float] | None = (OPEN_TIMEOUT_SECONDS, source.timeout)
    if isinstance(source, RTSPSource):
        options = {"rtsp_transport": "tcp", "allowed_media_types": "video"}
    elif isinstance(source, RTMPSource):
        # FFmpeg looks for more streams in FLV for up to 90 s of it; the first frames wait.
        options = {"analyzeduration": str(round(LOOK_SECONDS * 1e6))}
    elif form == "hls":
        options = _ANY_SEGMENT | _ANY_FILE
    elif isinstance(source, HLSSource) or source.remote:
        options = dict(_ANY_SEGMENT)
    if isinstance(source, FileSource) and not source.remote:
        timeout = None
    if pairs := header_pairs(source):
        place, pairs = settled(place, source.url, source.timeout, pairs)
        options |= header_options(place, pairs)
    how: dict[str, Any] = {"format": form, "container_options": options}
    if "://" not in place and ":" in place:
        # FFmpeg takes what stands before a colon for a protocol, but in a whole path.
        place = str(Path(place).absolute())
    try:
        return av.open(place, format=form, container_options=_plain(options), timeout=timeout)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        why = redact(_reason_of_refusal(error, place, how), source.url)
        raise SourceError(f"{_name(source)}: cannot be opened: {why}", why) from None


def _plain(options: dict[str, str]) -> dict[str, str]:
    """Options as PyAV takes them: it refuses subclasses of str, such as a secret is here."""
    return {name: "".join((value,)) for name, value in options.items()}


def _open_pipe(source: FileSource) -> Any:
    """A named pipe, of which FFmpeg would wait for a writer without end."""
    try:
        body = PipeBody(source.url, OPEN_TIMEOUT_SECONDS, source.timeout)
    except OSError as error:
        why = str(error)
        raise SourceError(f"{_name(source)}: cannot be opened: {why}", why) from None
    try:
        return av.open(body)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        body.close()
        why = body.broken or reason(error, source.url)
        raise SourceError(f"{_name(source)}: cannot be opened: {why}", why) from None


def _to_its_end(source: FileSource, container: Any) -> Any:
    """A body without a length is read here: FFmpeg takes a break for its end, and its end for one.

    What FFmpeg has open stays where the server does not answer a second time.
    """
    if container.size is not None and container.size >= 0:
        return container
    try:
        body = WebBody(source.url, source.timeout, header_pairs(source))
    except OSError:
        return container
    form = container.format.name.partition(",")[0]
    try:
        again = av.open(body, format=form)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        body.close()
        close_input(container)
        why = reason(error, source.url)
        raise SourceError(f"{_name(source)}: cannot be opened: {why}", why) from None
    close_input(container)
    return again


def _name(source: FileSource | HLSSource | RTSPSource | RTMPSource) -> str:
    return source.shown if isinstance(source, FileSource) else source.label


def _video_stream(container: Any) -> Any | None:
    """The first that the file calls its default, else the first; no covers.

    One of which nothing was found, not even its size, comes last.
    """
    videos = [stream for stream in container.streams.video if not is_cover(container, stream)]
    found = [s for s in videos if s.codec_context is not None and s.codec_context.width]
    candidates = found or videos
    marked = [stream for stream in candidates if _disposition(stream) & _DEFAULT]
    return next(iter(marked or candidates), None)


def _disposition(stream: Any) -> int:
    try:
        # A number in some versions of PyAV, in others a flag that is none.
        disposition = stream.disposition
        return int(getattr(disposition, "value", disposition))
    except AttributeError:  # PyAV 14.0 has the property, but it does not work
        return 0


def is_cover(container: Any, stream: Any) -> bool:
    """Whether a video stream is but the cover picture of a music file."""
    try:
        # A number in some versions of PyAV, in others a flag that is none.
        disposition = stream.disposition
        return bool(int(getattr(disposition, "value", disposition)) & _ATTACHED_PICTURE)
    except AttributeError:  # PyAV 14.0 has the property, but it does not work
        pictures = stream.codec_context.name in ("mjpeg", "png", "bmp", "gif", "webp")
        return pictures and bool(container.streams.audio) and not stream.average_rate


def _open_camera(source: CameraSource) -> Any:
    form = camera_format()
    cameras = list_cameras(form)
    url = camera_url(form, source.device, cameras)
    base = {"framerate": "30"} if form == "avfoundation" else {}
    options = base | {"video_size": f"{source.width}x{source.height}"}
    if form == "avfoundation":
        options["pixel_format"] = "nv12"
    timeout = (OPEN_TIMEOUT_SECONDS, source.timeout)
    how: dict[str, Any] = {"format": form, "container_options": base}
    try:
        try:
            return av.open(url, format=form, container_options=options, timeout=timeout)
        except av.error.FFmpegError:
            # Not every camera has every size: then its own default.
            return av.open(url, timeout=timeout, **how)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        why = _reason_of_refusal(error, url, how)
        message = f"camera {source.device!r} ({url}) cannot be opened: {why}; {in_words(cameras)}"
        raise SourceError(message, why) from None
