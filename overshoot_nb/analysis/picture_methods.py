"""``PictureMethods``: pictures and clips of rows, as methods of ``df.overshoot``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from PIL.Image import Image

    from .clip_player import ClipPlayer
    from .shown_rows import ShownRows

#: A row: its position (0 is the first, -1 the last), or itself (``df.iloc[0]``, a mapping).
Row = int | pd.Series | Mapping[str, Any]


class PictureMethods:
    """Part of :class:`~overshoot_nb.analysis.accessor.OvershootAccessor`.

    The pictures of a row are those of its ``sample`` of its ``stream_id``, wherever they are kept:
    in memory, on disk, or in a recording. They are there as long as the stream is (``analyze``
    keeps the last few), or its recording.
    """

    _rows: pd.DataFrame

    def show(
        self,
        rows: int | str | slice | Iterable[int] | Iterable[bool] = 12,
        *,
        columns: str | Sequence[str] | None = None,
        width: int = 200,
    ) -> ShownRows:
        """Show rows with their pictures, side by side; a clip is a strip of its frames.

        The pictures are small copies, so that the notebook can be saved with them: at most 100
        rows are shown, evenly chosen. Where a row has no picture, its place says why.

        Args:
            rows: how many, evenly chosen; a condition (``"out.people > 3"``); a slice of
                positions; positions; or a mask with true or false for each row (a Series is
                aligned by its index, as in ``df[mask]``).
            columns: the columns to show; None for the fields of a structured answer, else the
                answer itself.
            width: width of a picture in pixels, 40 to 1280.

        Raises:
            ValidationError: the rows lack ``stream_id`` or ``sample``, or a parameter cannot be
                used.
            LookupError: there is no row at a position.
        """
        from .shown_rows import ShownRows

        return ShownRows(self._rows, rows, columns, width)

    def frame(self, row: Row, i: int = 0) -> Image:
        """The picture of a row as a Pillow image, as it was sent.

        Args:
            row: its position (0 is the first row, -1 the last), or the row itself.
            i: which frame of a clip; -1 is the last.

        Raises:
            ValidationError: this is no row, or lacks ``stream_id`` or ``sample``; or the picture is
                a broken JPEG.
            LookupError: there is no row at that position, or no such frame.
            SampleNotKeptError: its picture is not kept; says why.
            MissingDependencyError: Pillow is not installed.
        """
        from .rows import sample_of

        return sample_of(row, self._rows).image(i)

    def clip(self, row: Row) -> list[Image]:
        """The pictures of a row in the order of time as Pillow images; one where it is no clip.

        Args:
            row: as for :meth:`frame`.

        Raises:
            ValidationError, LookupError, SampleNotKeptError, MissingDependencyError: as
                :meth:`frame`.
        """
        from .rows import sample_of

        stored = sample_of(row, self._rows)
        return [stored.image(i) for i in range(len(stored.frames))]

    def play(self, row: Row) -> ClipPlayer:
        """The clip of a row as a small MP4 that the notebook plays; ``.data`` is the file's bytes.

        Args:
            row: as for :meth:`frame`.

        Raises:
            ValidationError, LookupError, SampleNotKeptError: as :meth:`frame`.
        """
        from .clip_player import ClipPlayer
        from .rows import sample_of

        return ClipPlayer(sample_of(row, self._rows))
