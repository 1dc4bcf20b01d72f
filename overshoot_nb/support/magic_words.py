"""The words of a magic's line: quotes, comments, dashes, and Python values in braces."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_DASHES = re.compile("^[-‐‑‒–—―−]+(?=[A-Za-z])")
#: Quotes that autocorrect makes, and what may close each.
_CURLY = {"“": '”“"', "„": '“”"', "‘": "’‘'", "‚": "‘’'"}
_VARIABLE = re.compile(r"\$(\$?)([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")


def split_words(line: str, names: Mapping[str, Any], *, windows: bool) -> list[str]:
    """Split ``line`` as a shell does, then put values in for ``{expression}`` and ``$name``.

    A value stays within its word, whatever it holds. What is no expression of ``names`` (JSON)
    stays as it is written. ``windows``: a backslash is a part of a path, not an escape.

    Raises:
        ValueError: a quote is not closed.
    """
    words: list[str] = []
    word: list[str] | None = None
    at = 0
    quote = ""  # what closes the quote that is open
    plain = True  # whether the word has begun without a quote
    while at < len(line):
        char = line[at]
        following = line[at + 1 : at + 2]
        if char == "{" and (end := _closing(line, at)):
            word = [*(word or []), _value(line[at:end], names)]
            at = end
            continue
        if char == "$" and (found := _VARIABLE.match(line, at)):
            word = [*(word or []), _variable(found, names)]
            at = found.end()
            continue
        if char == "\\":
            # In "C:\\My Clips\\" the last one is a part of the path, too.
            escapes = following == '"' == quote and "\\" not in (word or [])
            if not windows:
                escapes = following != "" and (not quote or ('"' in quote and following in '"\\'))
            if escapes:
                word = [*(word or []), following]
                at += 2
                continue
        if quote:
            ends = char in quote and (len(quote) == 1 or not following.strip())
            if ends:
                quote = ""
            else:
                word = [*(word or []), char]
        elif char.isspace():
            if word is not None:
                words.append(_dashed("".join(word)) if plain else "".join(word))
            word = None
        elif char == "#" and word is None:
            break
        elif char in "\"'" or (char in _CURLY and (word is None or word[-1] == "=")):
            plain = word is not None and plain
            word, quote = word or [], _CURLY.get(char, char)
        else:
            if word is None:
                plain = True
            word = [*(word or []), char]
        at += 1
    if quote:
        raise ValueError("No closing quotation")
    if word is not None:
        words.append(_dashed("".join(word)) if plain else "".join(word))
    return words


def _dashed(word: str) -> str:
    """An option whose dashes autocorrect has joined, as it was typed."""
    found = _DASHES.match(word)
    if found is None or not found[0].strip("-"):
        return word
    rest = word[found.end() :]
    return ("-" if len(rest) == 1 else "--") + rest


def _closing(line: str, start: int) -> int:
    """Where the brace at ``start`` is closed; 0 where it is not."""
    depth, quote = 0, ""
    for at in range(start, len(line)):
        char = line[at]
        if quote:
            quote = "" if char == quote and line[at - 1] != "\\" else quote
        elif char in "\"'":
            quote = char
        else:
            depth += (char == "{") - (char == "}")
            if not depth:
                return at + 1
    return 0


def _value(text: str, names: Mapping[str, Any]) -> str:
    if text.startswith("{{") and text.endswith("}}"):
        return text[1:-1]  # as IPython and str.format read it
    if re.match(r"\{\s*[\"'}]", text):
        return text  # JSON
    from IPython.utils.text import DollarFormatter

    try:
        return str(DollarFormatter().vformat(text, [], dict(names)))
    except Exception:  # whatever the user's expression raises: as IPython, which leaves the text
        return text


def _variable(found: re.Match[str], names: Mapping[str, Any]) -> str:
    if found[1]:
        return "$" + found[2]
    first, *rest = found[2].split(".")
    if first not in names:
        return found[0]
    value = names[first]
    for position, attribute in enumerate(rest):
        if not hasattr(value, attribute):  # a full stop, and what comes after it
            return ".".join([str(value), *rest[position:]])
        value = getattr(value, attribute)
    return str(value)
