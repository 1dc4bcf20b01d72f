"""The skill that reads text: RapidOCR (PP-OCR small, its models ship in its wheel).

A page is what was read of one picture: rows from top to bottom, each a run of pieces from left
to right. A piece is what the detector found in one box, perhaps several words.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .work import go_on

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .pictures import Picture

#: The text detector looks at the picture at this scale, and at this longest side at most: of
#: lines with letters 10 pixels high it finds as many as at full size, for a third of the time.
DETECTOR_SCALE = 0.6
DETECTOR_SIDE = 960
#: Texts that the recogniser is less sure of (0..1) are dropped. On the demo video all real text
#: is read with more than 0.9, and what it sees in players and shadows reaches 0.73.
LEAST_CONFIDENCE = 0.75
#: Pictures of texts whose reading is remembered.
REMEMBERED_TEXTS = 512


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


class Interrupted(Exception):
    """The reader was told to stop."""


class Reader:
    """RapidOCR, set up for speed on one core. Not safe for several threads at once.

    Finding text costs most, and it works as well on a smaller picture; recognising it does not.
    So text is looked for in a copy at `detector_side`, and read from the full picture.
    """

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
                "Global.min_side_len": 1,
                # Never enlarge small pictures, which is RapidOCR's default and costs seconds.
                "Det.limit_type": "max",
                "Det.limit_side_len": DETECTOR_SIDE,
                # As wide as its text: by default each short text is padded to 320 pixels, and
                # costs as much as a long one.
                "Rec.rec_batch_num": 1,
                "Rec.rec_img_shape": [3, 48, 32],
            }
        )
        self._interrupted = False
        self._known: OrderedDict[tuple[tuple[int, ...], bytes], tuple[str, float]] = OrderedDict()

    def read(self, picture: Picture) -> Page:
        """The text in an RGB picture.

        Raises:
            Interrupted: nobody wants to know any more.
        """
        import cv2
        import numpy as np

        bgr = np.ascontiguousarray(picture[:, :, ::-1])
        height, width = bgr.shape[:2]
        scale = detector_side(max(width, height)) / max(width, height)
        # The detector wants multiples of 32.
        small = [max(32, round(side * scale / 32) * 32) for side in (width, height)]
        shrunk = cv2.resize(bgr, small, interpolation=cv2.INTER_AREA)
        found = self._ocr(shrunk, use_det=True, use_cls=False, use_rec=False)
        boxes = getattr(found, "boxes", None)
        pieces = []
        for box in () if boxes is None else boxes:
            if self._interrupted:
                raise Interrupted
            go_on()
            corners = np.asarray(box, np.float32) * (width / small[0], height / small[1])
            text, confidence = self._recognise(_upright(bgr, corners.astype(np.float32)))
            if text and confidence >= LEAST_CONFIDENCE:
                (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
                pieces.append(Piece(text, float(x0), float(y0), float(x1), float(y1), confidence))
        return page_of(pieces)

    def _recognise(self, crop: Picture) -> tuple[str, float]:
        """The text in a crop. The same pixels have the same text, so they are read only once."""
        key = (crop.shape, hashlib.blake2b(crop.data, digest_size=16).digest())
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        result = self._ocr(crop, use_det=False, use_cls=False, use_rec=True)
        texts, scores = getattr(result, "txts", None), getattr(result, "scores", None)
        answer = (str(texts[0]).strip(), float(scores[0])) if texts and scores else ("", 0.0)
        self._known[key] = answer
        if len(self._known) > REMEMBERED_TEXTS:
            self._known.popitem(last=False)
        return answer

    def interrupt(self) -> None:
        """End what is being read, from any thread; nothing is read afterwards."""
        self._interrupted = True

    def close(self) -> None:
        """Let go of the models."""
        self._ocr = None
        self._known.clear()


def detector_side(longest: int) -> int:
    """The longest side at which text is looked for in a picture with this one."""
    return min(longest, max(384, round(longest * DETECTOR_SCALE)), DETECTOR_SIDE)


def _upright(picture: Picture, corners: NDArray[np.float32]) -> Picture:
    """What is within four corners (clockwise from the top left), straightened."""
    import cv2
    import numpy as np

    def side(a: int, b: int, c: int, d: int) -> int:
        lengths = (np.linalg.norm(corners[a] - corners[b]), np.linalg.norm(corners[c] - corners[d]))
        return max(1, int(max(lengths)))

    width, height = side(0, 1, 2, 3), side(0, 3, 1, 2)
    goal = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    crop = cv2.warpPerspective(
        picture,
        cv2.getPerspectiveTransform(corners, goal),
        (width, height),
        borderMode=cv2.BORDER_REPLICATE,
        flags=cv2.INTER_CUBIC,
    )
    # Text from top to bottom is turned to lie.
    turned = np.rot90(crop) if height >= 1.5 * width else crop
    return np.ascontiguousarray(turned, np.uint8)
