"""Lines that are not too wide, in columns of text or in pixels."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

_JOINER = "\u200d"
#: Characters to keep the kind of.
_REMEMBERED = 4096
_ASCII_TOKEN = re.compile(r"\s?\S+|\s")


def wrapped(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """The lines of a text, each broken where it is wider than ``width``.

    Between words, and between any two characters of scripts that have no spaces; a word that is
    too wide by itself is broken where it must be, never inside what is shown as one character.

    Args:
        measure: the width of a line.
    """
    lines = []
    for line in text.split("\n"):
        if measure(line) <= width:  # most do
            lines.append(line.rstrip())
            continue
        current = ""
        for token in _tokens(line):
            if current and measure((current + token).rstrip()) > width:
                lines.append(current.rstrip())
                current = ""
                token = token.lstrip()
            current += token
            if measure(current.rstrip()) > width:
                *full, current = _broken(current, width, measure)
                lines += full
        lines.append(current.rstrip())
    return [line for line in lines if line]


def columns(text: str) -> int:
    """How wide a text is in a fixed-width font: wide characters count twice, marks not at all."""
    if text.isascii():
        return len(text)
    if _JOINER in text:
        return sum(_cells(character[0]) for character in characters(text))
    return sum(map(_cells, text))


@lru_cache(_REMEMBERED)
def _cells(character: str) -> int:
    return 0 if _extends(character) else 2 if _is_wide(character) else 1


@lru_cache(_REMEMBERED)
def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


@lru_cache(_REMEMBERED)
def _extends(character: str) -> bool:
    """Whether it is part of what the character before it shows."""
    return (
        character == _JOINER
        or unicodedata.category(character) in ("Mn", "Me", "Cf")
        or 0x1F3FB <= ord(character) <= 0x1F3FF  # skin tones
    )


def characters(text: str) -> list[str]:
    """What is shown as one character, each."""
    if text.isascii():
        return list(text)
    starts = [
        place
        for place, character in enumerate(text)
        if not place or not (_extends(character) or text[place - 1] == _JOINER)
    ]
    return [text[start:end] for start, end in pairwise([*starts, len(text)])]


def _tokens(line: str) -> list[str]:
    """What a line may be broken between; spaces stay with what follows them."""
    if line.isascii():
        return _ASCII_TOKEN.findall(line)
    found: list[list[str]] = []
    for character in characters(line):
        if not found or character.isspace() or _breaks(found[-1][-1], character):
            found.append([character])
        else:
            found[-1].append(character)
    return ["".join(token) for token in found]


def _breaks(before: str, character: str) -> bool:
    if before.isspace():
        return False
    return _is_wide(character[0]) or _is_wide(before[-1])


def _broken(word: str, width: float, measure: Callable[[str], float]) -> list[str]:
    pieces = [""]
    for character in characters(word):
        if pieces[-1] and measure(pieces[-1] + character) > width:
            pieces.append("")
        pieces[-1] += character
    return pieces
