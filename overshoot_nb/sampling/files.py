"""What a path names before FFmpeg is asked: files, folders, patterns, named pipes, web pages."""

from __future__ import annotations

import errno
import glob
import os
import re
import select
import stat
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from overshoot_nb.errors import SourceError

#: Hosts whose addresses are pages that show a video, and no video.
_PAGES: Final = ("youtube.com", "youtu.be", "youtube-nocookie.com", "vimeo.com", "twitch.tv")
_PAGE: Final = (
    "is a web page that shows a video, and no video itself: give the address of the video, which "
    'the program yt-dlp prints (pip install yt-dlp, then yt-dlp -g -f "best[ext=mp4]" ADDRESS), '
    "or a file that it downloaded"
)
_SCREEN: Final = (
    "the screen is no source by itself. Push pictures of it into "
    "source = overshoot_nb.FrameSource(width, height) with source.push_frame(rgba), as a package "
    "such as mss takes them; a file of this name is there under its whole path"
)
_VIDEO_ENDINGS: Final = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".mpg", ".mpeg", ".flv"}
    | {".wmv", ".gif", ".3gp", ".ogv"}
)
_CLOSED: Final = "may not be read: its rights, or those of a folder before it, do not allow it"
_WORDS: Final = {
    errno.EACCES: _CLOSED,
    errno.EPERM: _CLOSED,
    errno.ENAMETOOLONG: "is too long for the name of a file",
    errno.ELOOP: "is a symbolic link that leads back to itself",
}


def check_file(name: str) -> os.stat_result:
    """Refuse what is no file that could hold a video, in a person's words.

    FFmpeg's messages for these are about formats.

    Raises:
        SourceError: says what is there instead, and what to do.
    """
    path = Path(name)
    try:
        found = path.stat()
    except ValueError:
        raise SourceError(
            f"{ascii(name)[:200]}: no file has a zero character in its name"
        ) from None
    except OSError as error:
        raise _not_there(path, error) from None
    if stat.S_ISDIR(found.st_mode):
        raise SourceError(f"{name}: {_folder(path)}")
    if stat.S_ISREG(found.st_mode):
        if found.st_size == 0:
            raise SourceError(f"{name}: is an empty file")
        if not os.access(name, os.R_OK):
            raise SourceError(f"{name}: {_CLOSED}")
    return found


def is_pipe(found: os.stat_result) -> bool:
    """Whether a file is a named pipe."""
    return stat.S_ISFIFO(found.st_mode)


def page_sentence(url: str) -> str | None:
    """What to do with the address of a page that shows a video; None for other URLs."""
    if not url.lower().startswith(("http://", "https://")):
        return None
    return _PAGE if _is_page(urlsplit(url).hostname) else None


def _is_page(host: str | None) -> bool:
    host = (host or "").lower()
    return any(host == page or host.endswith(f".{page}") for page in _PAGES)


def _not_there(path: Path, error: OSError) -> SourceError:
    name = str(path)
    if (words := _WORDS.get(error.errno or 0)) is not None:
        shown = name if len(name) <= 200 else f"{name[:199]}…"
        refusal = SourceError(f"{shown}: {words}")
    elif error.errno not in (errno.ENOENT, errno.ENOTDIR):
        refusal = SourceError(f"{name}: cannot be read: {error.strerror or error}")
    elif name.lower().partition(":")[0] in ("screen", "desktop"):
        refusal = SourceError(f"{name}: {_SCREEN}")
    elif _is_page(name.partition("/")[0]):
        refusal = SourceError(f"{name}: {_PAGE}")
    elif re.search(r"[*?]|\[.+\]|%0?\d*d", name):
        refusal = SourceError(f"{name}: {_pattern(name)}")
    else:
        hint = "" if path.is_absolute() else f" (in {Path.cwd()})"
        refusal = SourceError(f"{name}: no such file{hint}")
    refusal.errno = error.errno
    return refusal


def _folder(path: Path) -> str:
    try:
        inside = sorted(p.name for p in path.iterdir() if p.suffix.lower() in _VIDEO_ENDINGS)
    except OSError:
        inside = []
    example = f"such as {path / inside[0]}" if inside else "of which none is in it"
    # Only its videos: those of the first one's kind.
    pattern = f"*{Path(inside[0]).suffix}" if inside else "*.mp4"
    return (
        f"is a folder (a directory), and a source is one video, {example}. Ask about one after "
        f"the other: for path in sorted(pathlib.Path({str(path)!r}).glob({pattern!r})): "
        "overshoot_nb.analyze(path, ...)"
    )


def _pattern(name: str) -> str:
    if re.search(r"%0?\d*d", name):
        return (
            "is a pattern of numbered pictures, and a source is one video. Give the pictures as "
            "ArraySource(arrays, fps=...), or make a video of them: "
            f"ffmpeg -i {name} -pix_fmt yuv420p video.mp4"
        )
    found = glob.glob(name)  # noqa: PTH207 (the pattern may be absolute)
    matches = f"{len(found) or 'no'} file{'s match' if len(found) > 1 else ' matches'} it"
    return (
        f"is a pattern ({matches}), and a source is one video. Ask about one after the other: "
        f"for path in sorted(glob.glob({name!r})): overshoot_nb.analyze(path, ...)"
    )


class PipeBody:
    """A named pipe as a file that is read once; nobody is waited for without end.

    Args:
        path: of the pipe.
        open_timeout: seconds that a writer may take to write anything.
        timeout: seconds without data after which it counts as broken.

    Attributes:
        name: "": what FFmpeg is told of where it reads.
        broken: why it ended before its end, in words; "" where it did not.

    Raises:
        OSError: it cannot be opened, or nobody writes into it.
    """

    name = ""

    def __init__(self, path: str, open_timeout: float, timeout: float) -> None:
        self.broken = ""
        self._timeout = timeout
        # Without waiting for a writer; the reads wait.
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        if not self._wait(open_timeout):
            self.close()
            raise OSError(
                f"it is a named pipe, and nobody wrote into it for {open_timeout:g} s: start what "
                "writes into it first"
            )

    def _wait(self, seconds: float) -> bool:
        """Whether there is something to read, or the writer has gone."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes; b"" at its end, or where it broke off."""
        if self.broken or self._fd < 0:
            return b""
        if not self._wait(self._timeout):
            self.broken = f"nothing was written into the pipe for {self._timeout:g} s"
            return b""
        try:
            return os.read(self._fd, size if size >= 0 else 65_536)
        except BlockingIOError:  # the writer is there and has written nothing
            return self.read(size)

    def close(self) -> None:
        """Closes it. Idempotent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
