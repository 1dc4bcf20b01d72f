"""Captions as SubRip and WebVTT files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from overshoot_nb.errors import ValidationError

from .captions import Caption, captions_of
from .captions_text import CaptionText
from .captions_wrapping import columns, wrapped

if TYPE_CHECKING:
    import pandas as pd

_FEWEST_COLUMNS = 8

# SubRip has no escapes. Players take "<i>" for a tag and "{\an8}" for a command, and may take any
# "-->" for times; a space of no width behind the first character makes plain text of them.
_SRT_MARKUP = re.compile(r"<(?=[/a-zA-Z])|\{(?=\\)|--(?=>)")
_ZERO_WIDTH = "\u200b"
_VTT_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def to_srt(
    rows: pd.DataFrame,
    path: str | os.PathLike[str] | None,
    *,
    caption: CaptionText | None,
    hold: float | None,
    width: int,
) -> str | Path:
    """See :meth:`~overshoot_nb.analysis.video_methods.VideoMethods.to_srt`."""
    _check_width(width)
    return _given(srt_text(captions_of(rows, "to_srt", caption, hold), width), path)


def to_vtt(
    rows: pd.DataFrame,
    path: str | os.PathLike[str] | None,
    *,
    caption: CaptionText | None,
    hold: float | None,
    width: int,
) -> str | Path:
    """See :meth:`~overshoot_nb.analysis.video_methods.VideoMethods.to_vtt`."""
    _check_width(width)
    return _given(vtt_text(captions_of(rows, "to_vtt", caption, hold), width), path)


def srt_text(captions: Sequence[Caption], width: int) -> str:
    """The captions as a SubRip file; "" of none."""
    blocks = []
    for number, (start, end, lines) in enumerate(_cues(captions, width), 1):
        text = srt_escaped("\n".join(lines))
        blocks.append(f"{number}\n{_time(start, ',')} --> {_time(end, ',')}\n{text}\n")
    return "\n".join(blocks)


def srt_escaped(text: str) -> str:
    """The lines of a SubRip cue, so that players show them as they are."""
    return _SRT_MARKUP.sub(rf"\g<0>{_ZERO_WIDTH}", text)


def vtt_text(captions: Sequence[Caption], width: int) -> str:
    """The captions as a WebVTT file."""
    blocks = ["WEBVTT\n"]
    for start, end, lines in _cues(captions, width):
        text = "\n".join(lines).translate(_VTT_ESCAPES)
        blocks.append(f"{_time(start, '.')} --> {_time(end, '.')}\n{text}\n")
    return "\n".join(blocks)


def _cues(captions: Sequence[Caption], width: int) -> Iterator[tuple[int, int, list[str]]]:
    """Start and end in milliseconds, and the lines, none of which is empty."""
    for caption in captions:
        start, end = round(caption.start * 1000), round(caption.end * 1000)
        yield start, max(end, start + 1), wrapped(caption.text, width, columns)


def _time(milliseconds: int, point: str) -> str:
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}"


def _given(text: str, path: str | os.PathLike[str] | None) -> str | Path:
    if path is None:
        return text
    where = Path(path)
    part = where.with_name(f".{where.name}.{uuid4().hex}.part")
    try:
        part.write_text(text, "utf-8", newline="\n")
        part.replace(where)
    except OSError as error:  # of the file that was asked for, not of the part beside it
        raise type(error)(error.errno, error.strerror, str(where)) from None
    finally:
        with suppress(OSError):
            part.unlink()
    return where


def _check_width(width: object) -> None:
    if not isinstance(width, int) or isinstance(width, bool) or width < _FEWEST_COLUMNS:
        raise ValidationError(
            f"width={width!r} is not valid: it must be a number of columns, {_FEWEST_COLUMNS} or "
            "more"
        )
