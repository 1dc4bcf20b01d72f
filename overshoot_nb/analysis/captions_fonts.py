"""Lines of text as pictures, in the fonts that this machine has.

What the first font lacks is taken from others: Chinese, Japanese and Korean, other scripts, emoji.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from overshoot_nb.errors import MissingDependencyError

from .captions_wrapping import characters

if TYPE_CHECKING:
    from PIL.Image import Image

#: Plain fonts that are easily read, the widest choice of letters first.
_TEXT = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "Arial.ttf",
    "arial.ttf",
    "segoeui.ttf",
    "Helvetica.ttc",
    "LiberationSans-Regular.ttf",
)
_OTHERS = (
    "DejaVuSans.ttf",
    "NotoSansCJK-Regular.ttc",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "AppleSDGothicNeo.ttc",
    "msyh.ttc",
    "malgun.ttf",
    "YuGothM.ttc",
    "wqy-microhei.ttc",
    "DroidSansFallbackFull.ttf",
    "Arial Unicode.ttf",
    "Nirmala.ttf",
    "NotoSansDevanagari-Regular.ttf",
    "NotoColorEmoji.ttf",
    "Apple Color Emoji.ttc",
    "seguiemj.ttf",
    "NotoEmoji-Regular.ttf",
    "Symbola.ttf",
)
#: Fonts of pictures have these sizes alone, in pixels; what is drawn is made smaller.
_PICTURE_SIZES = (109, 160, 96, 64)
#: No font has it: what is drawn for it is what is drawn for all that is missing.
_NOWHERE = "\U0010fffe"
#: Characters to keep the fonts of.
_REMEMBERED = 4096


class Lettering:
    """Text of one size.

    Args:
        size: height of the letters with room above and below, in pixels.

    Raises:
        MissingDependencyError: Pillow is not installed, or has no FreeType.
    """

    def __init__(self, size: int) -> None:
        try:
            from PIL import ImageFont, features
        except ImportError:
            raise MissingDependencyError(
                'captions are drawn with Pillow: pip install "overshoot-nb[plot]", or pillow alone '
                "(annotate(burn=False) needs none)"
            ) from None
        if not features.check("freetype2"):
            raise MissingDependencyError(
                "captions are drawn with Pillow's FreeType, which this build of it lacks: "
                "pip install --force-reinstall pillow (annotate(burn=False) needs none)"
            )
        first = next(_found(_TEXT, size), None) or ImageFont.load_default(size)
        self._fonts = [_Font(first, size)]
        self._others: Iterator[Any] | None = _found(_OTHERS, size)
        self._size = size
        self._font_of = lru_cache(_REMEMBERED)(self._find)
        self.line_height = round(size * 1.25)

    def width(self, text: str) -> float:
        """Pixels from the first letter to the end of the last."""
        return sum(font.width(piece) for font, piece in self._pieces(text))

    def picture(self, text: str) -> Image:
        """The line in white on nothing: RGBA, ``line_height`` high."""
        from PIL import Image

        pieces = list(self._pieces(text))
        width = max(1, round(sum(font.width(piece) for font, piece in pieces)))
        picture = Image.new("RGBA", (width, self.line_height), (255, 255, 255, 0))
        x = 0.0
        for font, piece in pieces:
            picture.alpha_composite(font.drawn(piece, self.line_height), (round(x), 0))
            x += font.width(piece)
        return picture

    def _pieces(self, text: str) -> Iterator[tuple[_Font, str]]:
        """Stretches of text that one font has."""
        current: _Font | None = None
        piece = ""
        for character in characters(text):
            font = current if current and character.isspace() else self._font_of(character[0])
            if font is not current and piece and current:
                yield current, piece
                piece = ""
            current = font
            piece += character
        if current and piece:
            yield current, piece

    def _find(self, character: str) -> _Font:
        for font in self._fonts:
            if font.has(character):
                return font
        # Looked for only now: most texts need none of them.
        while self._others is not None:
            if (other := next(self._others, None)) is None:
                self._others = None
                break
            self._fonts.append(_Font(other, self._size))
            if self._fonts[-1].has(character):
                return self._fonts[-1]
        return self._fonts[0]


class _Font:
    """A font of Pillow, drawn at one size whichever it has."""

    def __init__(self, font: Any, size: int) -> None:
        self._font = font
        self._scale = size / font.size if abs(font.size - size) > 1 else 1.0
        self._missing = bytes(font.getmask(_NOWHERE))
        self.width = lru_cache(_REMEMBERED)(self._width)

    def has(self, character: str) -> bool:
        return character.isspace() or bytes(self._font.getmask(character)) != self._missing

    def _width(self, text: str) -> float:
        return float(self._font.getlength(text)) * self._scale

    def drawn(self, text: str, height: int) -> Image:
        from PIL import Image, ImageDraw

        tall = round(height / self._scale)
        size = max(1, round(self._font.getlength(text))), tall
        picture = Image.new("RGBA", size, (255, 255, 255, 0))
        # The baseline is where it is in every font of the line.
        ImageDraw.Draw(picture).text(
            (0, round(tall * 0.75)),
            text,
            font=self._font,
            fill=(255, 255, 255, 255),
            anchor="ls",
            embedded_color=True,
        )
        if self._scale == 1.0:
            return picture
        small = max(1, round(size[0] * self._scale)), height
        return picture.resize(small, Image.Resampling.BOX)


def _found(names: tuple[str, ...], size: int) -> Iterator[Any]:
    """The fonts of these names that are there."""
    from PIL import ImageFont

    for name in names:
        for place in (name, *_bundled(name)):
            for pixels in (size, *_PICTURE_SIZES):
                try:
                    yield ImageFont.truetype(place, pixels)
                except OSError as error:
                    if "size" in str(error):  # "invalid pixel size": it has others
                        continue
                break


@lru_cache
def _bundled(name: str) -> tuple[str, ...]:
    """The font in Matplotlib, which is often there where systems have no fonts."""
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        return ()
    path = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / name
    return (str(path),) if path.is_file() else ()
