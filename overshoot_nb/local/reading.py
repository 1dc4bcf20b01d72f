"""The skill that reads text: RapidOCR (PP-OCR small, its models ship in its wheel).

A page is what was read of one picture: rows from top to bottom, each a run of pieces from left
to right. A piece is what the detector found in one box, perhaps several words.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .pictures import Picture

__all__ = ["DETECTOR_SIDE", "Page", "Piece", "Reader", "Row", "page_of"]

#: The text detector looks at the picture at this longest side at most; letters are then
#: recognised from the full picture.
DETECTOR_SIDE = 960


@dataclass(frozen=True, slots=True)
class Piece:
    """Text in one box (pixels of the picture sent), with the recogniser's confidence 0..1."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    confidence: float = 1.0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def middle(self) -> float:
        """Vertical middle."""
        return (self.y0 + self.y1) / 2

    def words(self) -> list[Piece]:
        """The words of this piece; their boxes are cut in proportion to their letters."""
        size = max(1, len(self.text))
        unit = (self.x1 - self.x0) / size
        found, start = [], 0
        for word in self.text.split():
            start = self.text.index(word, start)
            end = start + len(word)
            found.append(
                Piece(
                    word,
                    self.x0 + start * unit,
                    self.y0,
                    self.x0 + end * unit,
                    self.y1,
                    self.confidence,
                )
            )
            start = end
        return found


@dataclass(frozen=True, slots=True)
class Row:
    """Pieces on one baseline, left to right."""

    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        return " ".join(piece.text for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Page:
    """Everything read in one picture, in reading order."""

    rows: tuple[Row, ...] = field(default=())

    @property
    def lines(self) -> list[str]:
        return [row.text for row in self.rows]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def pieces(self) -> list[Piece]:
        return [piece for row in self.rows for piece in row.pieces]


def page_of(pieces: Iterable[Piece]) -> Page:
    """Pieces clustered into rows: a piece joins a row when their middles lie in one another."""
    rows: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda p: (p.middle, p.x0)):
        # The newest row is the lowest one so far; only it can share a baseline with this piece.
        if rows and _same_baseline(rows[-1], piece):
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return Page(tuple(Row(tuple(sorted(row, key=lambda p: p.x0))) for row in rows))


def _same_baseline(row: Sequence[Piece], piece: Piece) -> bool:
    top = sum(p.y0 for p in row) / len(row)
    bottom = sum(p.y1 for p in row) / len(row)
    overlap = min(bottom, piece.y1) - max(top, piece.y0)
    return overlap >= 0.5 * min(bottom - top, piece.height)


class Reader:
    """RapidOCR, set up for speed on one core. Not safe for several threads at once."""

    def __init__(self) -> None:
        """Load the models (about half a second).

        Raises:
            ImportError: RapidOCR or ONNX Runtime is not installed.
        """
        import onnxruntime  # noqa: F401  # RapidOCR would otherwise fail with its own words
        from rapidocr import RapidOCR

        self._ocr: Any = RapidOCR(
            params={
                # One thread: two were slower, and the caller's own work needs the other core.
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                "Global.log_level": "critical",
                "Global.use_cls": False,
                # Never enlarge small pictures, which is RapidOCR's default and costs seconds.
                "Det.limit_type": "max",
                "Det.limit_side_len": DETECTOR_SIDE,
                # A box at a time, as wide as its text: by default each short text is padded to
                # 320 pixels, and costs as much as a long one.
                "Rec.rec_batch_num": 1,
                "Rec.rec_img_shape": [3, 48, 32],
            }
        )

    def read(self, picture: Picture) -> Page:
        """The text in an RGB picture."""
        import numpy as np

        bgr = np.ascontiguousarray(picture[:, :, ::-1])
        result = self._ocr(bgr, use_det=True, use_cls=False, use_rec=True)
        boxes, texts, scores = (getattr(result, n, None) for n in ("boxes", "txts", "scores"))
        if boxes is None or texts is None or scores is None:
            return Page()
        pieces = []
        for box, text, score in zip(boxes, texts, scores, strict=True):
            xs, ys = [float(x) for x, _ in box], [float(y) for _, y in box]
            if text := text.strip():
                pieces.append(Piece(text, min(xs), min(ys), max(xs), max(ys), float(score)))
        return page_of(pieces)

    def close(self) -> None:
        """Let go of the models."""
        with contextlib.suppress(AttributeError):
            del self._ocr
