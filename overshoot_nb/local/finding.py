"""Plain rules that find a value in the text that was read. Nothing here guesses.

Every function returns None where the page does not show the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Any

from .patterns import matches
from .reading import Page, Piece, Row
from .work import go_on

#: Words at the end of a property's name that a label on the screen would not carry.
_GENERIC = frozenset({"number", "value", "name", "text", "label", "count", "no"})
_NUMBER = re.compile(r"[-+−]?\d[\d,.\u202f\u00a0']*\d|[-+−]?\d")
_QUOTED = re.compile(r"[\"'“‘`]([^\"'”’`]{1,60})[\"'”’`]")


def folded(text: str) -> str:
    """Letters and digits alone, without case: what two spellings of one label share."""
    return "".join(char for char in text.casefold() if char.isalnum())


def labels_of(name: str, schema: Mapping[str, Any]) -> list[str]:
    """The texts that may label a property on the screen, the surest first.

    Texts in quotes in its description; else its title; and the words of its name, with and
    without a generic last word ("gate_number": "gate number", "gate").
    """
    quoted = _QUOTED.findall(str(schema.get("description", "")))
    if quoted:
        return quoted
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").replace("-", " ").split()
    found = [str(schema["title"])] if schema.get("title") else []
    found.append(" ".join(words))
    if len(words) > 1 and words[-1].casefold() in _GENERIC:
        found.append(" ".join(words[:-1]))
    return [label for label in dict.fromkeys(found) if folded(label)]


# ---- places ------------------------------------------------------------------------------------


def _label_piece(page: Page, label: str) -> tuple[Row, Piece, str] | None:
    """The row and box of a label, and what stands behind it in the same box.

    A box that is the label is preferred to one that starts with it, and that to one that has it
    among its words ("00:16 SHOT 11").
    """
    wanted = folded(label)
    best: tuple[Row, Piece, str] | None = None
    best_rank = 3
    for row in page.rows:
        for piece in row.pieces:
            place = _within(piece, wanted)
            if place is None:
                continue
            box, rest, starts = place
            rank = 2 if not starts else 1 if rest else 0
            if rank < best_rank:
                best, best_rank = (row, box, rest), rank
    return best


def _within(piece: Piece, wanted: str) -> tuple[Piece, str, bool] | None:
    """The label's own box in a piece, the text behind it, and whether it starts the piece."""
    rest = _after(piece.text, wanted)
    if rest is not None:
        return piece, rest, True
    words = piece.words()
    for start in range(1, len(words)):
        tail = " ".join(word.text for word in words[start:])
        rest = _after(tail, wanted)
        if rest is not None:
            box = replace(piece, text=tail, x0=words[start].x0)
            return box, rest, False
    return None


def _after(text: str, wanted: str) -> str | None:
    """What follows a label at the start of a text, or None when it does not start with it."""
    seen = ""
    for index, char in enumerate(text):
        if char.isalnum():
            seen += char.casefold()
        if seen == wanted:
            rest = text[index + 1 :]
            if rest[:1].isalnum() and not (rest[0].isdigit() and not wanted[-1].isdigit()):
                return None  # inside a longer word
            # A dash before a space divides; before a digit it is a sign.
            return re.sub(r"^[\s:=.]*([-–—]\s+)?", "", rest).rstrip(" :=\t")
        if not wanted.startswith(seen):
            return None
    return None


def _neighbours(page: Page, row: Row, label: Piece) -> Iterator[Piece]:
    """Pieces near a label: to its right, below it, to its left; the nearest first."""
    right = [p for p in row.pieces if p.x0 >= label.x1 - label.height * 0.3]
    yield from sorted(right, key=lambda p: p.x0)
    reach = label.height * 5
    below = [
        p
        for p in page.pieces
        if label.y1 - label.height * 0.3 <= p.y0 <= label.y1 + reach
        and min(p.x1, label.x1) > max(p.x0, label.x0)
    ]
    yield from sorted(below, key=lambda p: p.y0)
    left = [p for p in row.pieces if p.x1 <= label.x0 + label.height * 0.3]
    yield from sorted(left, key=lambda p: -p.x1)


def near_label(page: Page, labels: Sequence[str], kind: str) -> Any:
    """The text or number that a label names: behind it in its box, right of it, or below it.

    Args:
        kind: "string", "number" or "integer"; a number may also stand left of its label.
    """
    for label in labels:
        place = _label_piece(page, label)
        if place is None:
            continue
        row, piece, rest = place
        if rest:
            value = rest if kind == "string" else number_in(rest, kind)
            if value is not None:
                return value
        for neighbour in _neighbours(page, row, piece):
            if kind == "string":
                if neighbour.x1 > piece.x0:
                    return neighbour.text
            elif (value := number_in(neighbour.text, kind, whole=True)) is not None:
                return value
    return None


# ---- numbers -----------------------------------------------------------------------------------


def number_in(text: str, kind: str = "number", whole: bool = False) -> int | float | None:
    """The first number of a text: "48,210" is 48210, "54 %" is 54, "12:30" has none.

    Args:
        kind: "integer" takes whole numbers only.
        whole: the text must hold nothing else than the number, a unit or currency sign.
    """
    if re.search(r"\d\s*[:/]\s*\d", text) or (whole and re.search(r"\w*[A-Za-z]{4,}", text)):
        return None
    if whole and re.search(r"[A-Za-z]\d", text):
        return None  # "A12" is a name, not a number
    match = _NUMBER.search(text)
    if match is None:
        return None
    digits = re.sub(r"[\s']", "", match.group()).replace("−", "-")
    if re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?", digits):
        digits = digits.replace(",", "")
    elif re.fullmatch(r"[-+]?\d{1,3}(\.\d{3}){2,}", digits):
        digits = digits.replace(".", "")
    elif re.fullmatch(r"[-+]?\d+,\d+", digits):
        digits = digits.replace(",", ".")
    try:
        value = float(digits)
    except ValueError:
        return None
    if value.is_integer() and "." not in digits:
        return int(digits)
    return None if kind == "integer" else value


def numbers(page: Page, kind: str) -> list[int | float]:
    """Every number on the page that stands on its own, in reading order."""
    found = (number_in(word.text, kind, whole=True) for p in page.pieces for word in p.words())
    return [value for value in found if value is not None]


# ---- patterns ----------------------------------------------------------------------------------


def _candidates(page: Page) -> Iterator[tuple[Row, str]]:
    for row in page.rows:
        yield row, row.text
    for row in page.rows:
        for piece in row.pieces:
            yield row, piece.text
    for row in page.rows:
        for piece in row.pieces:
            words = piece.text.split()
            # Longer runs of words first, so that "2 - 1" is preferred to "2".
            for size in range(min(len(words) - 1, 6), 0, -1):
                for start in range(len(words) - size + 1):
                    yield row, " ".join(words[start : start + size])


def _spellings(text: str) -> tuple[str, ...]:
    # The recogniser adds and drops spaces next to punctuation: "12: 34", "#23ALVAREZ".
    tight = re.sub(r"\s*([:./#–-])\s*", r"\1", text)
    loose = re.sub(r"\s*([–-])\s*", r" \1 ", text)
    apart = re.sub(r"(?<=\d)(?=[A-Za-z]{2})", " ", text)
    return tuple(dict.fromkeys((text, tight, loose, apart)))


def all_matches(page: Page, pattern: str) -> list[tuple[Row, str]]:
    """Each text that matches a pattern as a whole, with its row: lines, then boxes, then words.

    Raises:
        Unsupported: matching takes too long.
    """
    found: list[tuple[Row, str]] = []
    for row, text in _candidates(page):
        go_on()
        for spelling in _spellings(text):
            if matches(pattern, spelling, whole=True):
                if not any(row is r and spelling in seen for r, seen in found):
                    found.append((row, spelling))
                break
    return found


def matching(page: Page, pattern: str, labels: Sequence[str]) -> str | None:
    """The text that matches; of several, the one on the row of the label, else the first."""
    found = all_matches(page, pattern)
    return _preferred(page, found, labels)


def _preferred(page: Page, found: Sequence[tuple[Row, str]], labels: Sequence[str]) -> str | None:
    if len(found) > 1:
        for label in labels:
            place = _label_piece(page, label)
            for row, text in found:
                if place is not None and row is place[0]:
                    return text
    return found[0][1] if found else None


# ---- closed sets -------------------------------------------------------------------------------


def _shows(text: str, wanted: str) -> int:
    """How surely a text shows a value: 3 as printed, 2 without case, 1 with a misread letter."""
    tight = re.sub(r"\s+", " ", wanted.strip())
    if re.search(rf"(?<!\w){re.escape(tight)}(?!\w)", text):
        return 3
    goal = folded(wanted)
    if not goal:
        return 0
    words = text.split()
    count = max(1, len(wanted.split()))
    best = 0
    for size in {count, max(1, count - 1), count + 1}:
        for start in range(len(words) - size + 1):
            run = folded("".join(words[start : start + size]))
            if run == goal:
                return 2
            if len(goal) >= 6 and SequenceMatcher(None, run, goal, False).ratio() >= 0.87:
                best = 1
    return best


def all_visible(page: Page, values: Sequence[str]) -> list[tuple[Row, str]]:
    """The values that the page shows, with their row; the surest, then the longest, first."""
    found: list[tuple[int, int, int, Row, str]] = []
    for value in values:
        go_on()
        shown = [(_shows(row.text, value), i, row) for i, row in enumerate(page.rows)]
        sure, index, row = max(shown, key=lambda s: (s[0], -s[1]), default=(0, 0, None))
        if sure and row is not None:
            found.append((-sure, -len(folded(value)), index, row, value))
    found.sort(key=lambda item: item[:3])
    kept: list[tuple[int, int, int, Row, str]] = []
    for item in found:
        # A value that is part of a longer one on the same row ("on", "on time") is not meant.
        if not any(item[3] is k[3] and folded(item[4]) in folded(k[4]) for k in kept):
            kept.append(item)
    return [(item[3], item[4]) for item in kept]


def visible(page: Page, values: Sequence[str], labels: Sequence[str]) -> str | None:
    """Which of the values the page shows; of several, the one on the row of the label."""
    return _preferred(page, all_visible(page, values), labels)


# ---- tables ------------------------------------------------------------------------------------


def table(page: Page, columns: Mapping[str, Sequence[str]]) -> list[dict[str, Page]] | None:
    """Rows of a table whose header shows the labels of at least two columns.

    Args:
        columns: property name -> its labels.

    Returns:
        For each row below the header, the cell of each column as a page of its own; None when
        there is no such header.
    """
    best: dict[str, Piece] = {}
    header = -1
    for index, row in enumerate(page.rows):
        words = [w for piece in row.pieces for w in [piece, *piece.words()]]
        places = {
            name: word
            for name, labels in columns.items()
            for word in [_first(words, labels)]
            if word is not None
        }
        if len(places) > len(best):
            best, header = places, index
    if not best or len(best) < min(2, len(columns)):
        return None
    found = []
    for row in page.rows[header + 1 :]:
        cells: dict[str, list[Piece]] = {}
        for piece in row.pieces:
            cells.setdefault(_column(piece, best), []).append(piece)
        found.append({name: Page((Row(tuple(pieces)),)) for name, pieces in cells.items()})
    return found


def _first(words: Sequence[Piece], labels: Sequence[str]) -> Piece | None:
    goals = {folded(label) for label in labels}
    return next((word for word in words if folded(word.text) in goals), None)


def _column(piece: Piece, columns: Mapping[str, Piece]) -> str:
    """The column whose header starts, is centred or ends nearest to where the piece does."""

    def apart(header: Piece) -> float:
        return min(
            abs(piece.x0 - header.x0),
            abs(piece.x1 - header.x1),
            abs((piece.x0 + piece.x1) - (header.x0 + header.x1)) / 2,
        )

    return min(columns, key=lambda name: apart(columns[name]))
