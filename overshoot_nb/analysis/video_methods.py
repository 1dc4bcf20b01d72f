"""``VideoMethods``: subtitles and annotated videos, as methods of ``df.overshoot``."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from overshoot_nb.support.redaction import hidden

if TYPE_CHECKING:
    from overshoot_nb.sources.kinds import FileSource

    from .captions_drawing import Position
    from .captions_text import CaptionText


class VideoMethods:
    """Part of :class:`~overshoot_nb.analysis.accessor.OvershootAccessor`."""

    _rows: pd.DataFrame

    def to_srt(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        caption: CaptionText | None = None,
        hold: float | None = None,
        width: int = 42,
    ) -> str | Path:
        """The answers as subtitles (SubRip), which any player shows over the video.

        A row's text holds until the next row's time, ``hold`` seconds at most; equal neighbours
        are one subtitle. Rows of failed inferences say nothing. Rows of ``events()`` last from
        their start to their end.

        Args:
            path: file to write, replaced where there is one; None returns the text.
            caption: a column ("result", "out.people"), a format of columns
                ("{out.clock}  {out.people:02d} people"; "{media_time}" is 0:12.5), or a function
                that takes a row and gives a text or None. Default: the answers, structured ones
                as "people: 3 · dark: no"; of events their number and peak.
            hold: seconds that a text stays at most where no row follows; default: twice the
                median time from one row to the next.
            width: columns in a line; 42 is what broadcasters have.

        Returns:
            The text, or the path that was written (UTF-8).

        Raises:
            ValidationError: the rows are of several runs or lack a column, or a parameter is
                wrong.
            OSError: the file cannot be written.
        """
        from .subtitles import to_srt

        return to_srt(self._rows, path, caption=caption, hold=hold, width=width)

    def to_vtt(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        caption: CaptionText | None = None,
        hold: float | None = None,
        width: int = 42,
    ) -> str | Path:
        """The answers as subtitles for browsers (WebVTT): parameters as of :meth:`to_srt`."""
        from .subtitles import to_vtt

        return to_vtt(self._rows, path, caption=caption, hold=hold, width=width)

    def annotate(
        self,
        path: str | os.PathLike[str],
        *,
        caption: CaptionText | None = None,
        source: str | os.PathLike[str] | FileSource | None = None,
        burn: bool = True,
        sound: bool = True,
        hold: float | None = None,
        start: float | timedelta = 0.0,
        end: float | timedelta | None = None,
        font_size: int | None = None,
        position: Position = "bottom",
        threads: int | None = None,
        progress: bool = True,
        overwrite: bool = False,
    ) -> Path:
        """The video of these rows with their answers on it, as a file.

        The video is the file that the run watched, with all its frames at their own times; where
        that is gone, or was no file on this machine, it is made of the pictures that the stream
        took, which the log says. Sound, subtitles and data are copied bit by bit; sound that the
        format cannot hold (a camera's G.711 in .mp4, ADPCM) becomes AAC. The picture is
        encoded anew (H.264) where captions are drawn, and copied where none falls into the part
        that is written.

        Args:
            path: file to write: .mp4, .m4v, .mov or .mkv.
            caption: what is said, as of :meth:`to_srt`.
            source: the video, where the rows' run does not know it or it was moved.
            burn: draw the captions (needs Pillow: extra ``plot`` or ``local``); False (needs PyAV
                17 or newer) adds them as a subtitle track that can be switched off, and copies the
                picture.
            sound: False leaves the sound out.
            hold: as of :meth:`to_srt`.
            start, end: the part to write, in media time: seconds, or a timedelta, as ``events()``
                gives them (``start=event.start``); default all of it. Where the picture is
                copied, it begins at the keyframe before ``start``.
            font_size: height of the letters in pixels; default: a twentieth of the picture's
                shorter side.
            position: "bottom" or "top".
            threads: of the decoder and of the encoder; default: one for each core.
            progress: show a progress bar.
            overwrite: replace a file that is there; it stays until the new one is whole.

        Returns:
            ``path``. An interrupt or an error leaves no part of a file.

        Raises:
            ValidationError: the rows are of several runs or lack a column, nothing says which
                video they are about, the file is there already, the format cannot hold a track
                of the source, or a parameter is wrong.
            SourceError: the source cannot be read.
            SampleNotKeptError: there is no source, and no picture was kept.
            MissingDependencyError: Pillow or the encoder is not there.
            OSError: the file cannot be written.
        """
        source = hidden(source)
        from .annotate import annotate

        return annotate(
            self._rows,
            path,
            caption=caption,
            source=source,
            burn=burn,
            sound=sound,
            hold=hold,
            start=start,
            end=end,
            font_size=font_size,
            position=position,
            threads=threads,
            progress=progress,
            overwrite=overwrite,
        )

    def annotate_events(
        self,
        folder: str | os.PathLike[str],
        events: pd.DataFrame | str,
        *,
        padding: float | timedelta = 1.0,
        suffix: str = ".mp4",
        caption: CaptionText | None = None,
        source: str | os.PathLike[str] | FileSource | None = None,
        burn: bool = True,
        sound: bool = True,
        hold: float | None = None,
        font_size: int | None = None,
        position: Position = "bottom",
        threads: int | None = None,
        progress: bool = False,
        overwrite: bool = False,
    ) -> list[Path]:
        """A video of each event, with the answers of these rows on it.

        ``df.overshoot.annotate_events("clips", "out.people > 3")``.

        Args:
            folder: where to; made where it is not there. The files are called by the number and
                the start of their event, such as ``event_001_12.5s.mp4``.
            events: rows of ``events()``, all or some of them, or the condition.
            padding: seconds (or a timedelta) that a clip begins earlier and ends later.
            suffix: .mp4, .m4v, .mov or .mkv.
            caption, source, burn, sound, hold, font_size, position, threads, progress, overwrite:
                as of :meth:`annotate`.

        Returns:
            The paths, in the order of the events. What was made before an error stays.

        Raises:
            ValidationError: there is no event, a parameter is wrong, or as of :meth:`annotate`.
            SourceError, SampleNotKeptError, MissingDependencyError, OSError: as of
                :meth:`annotate`.
        """
        source = hidden(source)
        from .annotate import annotate_events

        return annotate_events(
            self._rows,
            folder,
            events,
            padding=padding,
            suffix=suffix,
            caption=caption,
            source=source,
            burn=burn,
            sound=sound,
            hold=hold,
            font_size=font_size,
            position=position,
            threads=threads,
            progress=progress,
            overwrite=overwrite,
        )
