"""The words of a condition: numbers, texts, names and signs, each with its place."""

from __future__ import annotations

import re
from typing import NamedTuple

from overshoot_nb.errors import ValidationError

from .tree import condition_error

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![\w.])
    | (?P<text>"(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*')
    | `(?P<quoted>[^`]+)`
    | (?P<name>[^\W\d]\w*(?:\.\w+)*)
    | (?P<sign>==|!=|<=|>=|<|>|[-+*/(),]|\[|\])
    | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = frozenset(("and", "or", "not", "in", "is"))
#: What people write who think of another language, or of all of Python.
_HINTS = {
    "=": "compare with ==",
    "&": "write 'and'",
    "|": "write 'or'",
    "!": "write 'not', or != for 'is not the same'",
    ":": "a condition assigns nothing and has no lambda, slices or dicts",
    "{": "a condition has no dicts or sets; a list of constants is [1, 2]",
    "%": "there is + - * / alone",
    "^": "there is + - * / alone",
    ".": "what a value has cannot be asked for; a column's name is written as it is, such as "
    "out.people",
    '"': 'this text has no end; a quotation mark in a text is written \\"',
    "'": "this text has no end; a quotation mark in a text is written \\'",
    "`": "this name has no end; the name of a column is written `between backticks`",
}


class Token(NamedTuple):
    kind: str  # "number", "text", "quoted", "name", "word", "sign" or "end"
    text: str
    position: int


def split(text: str) -> list[Token]:
    """The words of a text; the last one is its end.

    Raises:
        ValidationError: something in it is none; points at it.
    """
    tokens, position = list[Token](), 0
    while True:
        match = _TOKEN.match(text, position)
        if match is None:
            left = text[position:]
            raise _unreadable(text, position + len(left) - len(left.lstrip()))
        kind = str(match.lastgroup)
        start = match.start(kind)
        found = match[kind]
        if kind == "quoted":
            start -= 1  # its backtick
        elif kind == "name" and found in _WORDS:
            kind = "word"
        tokens.append(Token(kind, found, start))
        if kind == "end":
            return tokens
        position = match.end()


def _unreadable(text: str, position: int) -> ValidationError:
    found = text[position]
    hint = f": {_HINTS[found]}" if found in _HINTS else ""
    if found.isdigit() or found == ".":
        found = re.split(r"[^\w.]", text[position:], maxsplit=1)[0] or found
        hint = hint or ": this is no number"
    return condition_error(text, position, f"{found[:40]!r} cannot stand here{hint}")
