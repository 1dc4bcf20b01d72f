"""A prompt version as a TOML file that lives in git, and as the cell that starts a stream with it.

The file is written here and not by a library: those escape every quote inside a long text and turn
its line ends into others, so that a schema could not be read and a prompt not be kept exactly.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from overshoot_nb.errors import ValidationError
from overshoot_nb.support.validation import (
    check_extra_body,
    check_inference,
    check_output_schema,
    check_system,
    check_temperature,
)
from overshoot_nb.types import InferenceConfig

from .prompt_fields import PromptFields

if TYPE_CHECKING:
    from typing import NoReturn

_HEAD = (
    "# A prompt of overshoot-nb: PromptVersion.load(path), %overshoot SOURCE --prompt-file path\n"
)
#: Who names a video instead of a file of this kind is told so at once.
_MOST_BYTES = 16 * 2**20

#: What a file may hold, in the order in which it is written.
_KEYS = (
    "note",
    "model",
    "max_output_tokens",
    "temperature",
    "system",
    "prompt",
    "output_schema",
    "extra_body",
)
_TEXTS = ("note", "model", "system", "prompt", "output_schema", "extra_body")
#: Texts that are JSON, and what is in them.
_JSON = {"output_schema": "a JSON schema", "extra_body": "fields of the request's body"}


# ---- writing -------------------------------------------------------------------------------------


def save(version: PromptFields, path: str | os.PathLike[str]) -> None:
    """Write a version as TOML: what it asks and its note, in an order that never changes.

    Raises:
        ValidationError: it has a value that no stream could be asked with.
        OSError: the file cannot be written.
    """
    content = _document(version).encode()
    if len(content) > _MOST_BYTES:
        raise ValidationError(f"prompt is too long for a file of {_MOST_BYTES // 2**20} MB")
    Path(path).write_bytes(content)


def _document(version: PromptFields) -> str:
    _check(version)
    _check_writable("note", version.note)

    parts = [_HEAD]
    if version.note:
        parts.append(f"note = {_string(version.note)}\n")
    parts.append(f"model = {_string(version.model)}\n")
    if version.max_output_tokens is not None:
        parts.append(f"max_output_tokens = {int(version.max_output_tokens)}\n")
    if version.temperature is not None:
        parts.append(f"temperature = {float(version.temperature)!r}\n")
    if version.system is not None:
        parts.append(f"\nsystem = {_lines(version.system)}\n")
    parts.append(f"\nprompt = {_lines(version.text)}\n")
    for name in _JSON:
        if (value := getattr(version, name)) is not None:
            # Indented in the order of its keys, in which the model is shown those of a schema.
            text = json.dumps(dict(value), indent=2, ensure_ascii=False)
            _check_writable(name, text)
            parts.append(f"\n{name} = {_lines(text + chr(10))}\n")
    return "".join(parts)


def _check(version: PromptFields) -> None:
    check_inference(InferenceConfig(version.text, version.model, None, version.max_output_tokens))
    if version.output_schema is not None:
        check_output_schema(version.output_schema)
    if version.temperature is not None:
        check_temperature(version.temperature)
    check_system(version.system)
    if version.extra_body is not None:
        check_extra_body(version.extra_body)


def _check_writable(name: str, text: object) -> None:
    try:
        ok = isinstance(text, str) and text.encode() is not None
    except UnicodeEncodeError:
        ok = False
    if not ok:
        raise ValidationError(
            f"{name}={text!r:.100} is not valid: it must be text that can be written as UTF-8"
        )


def _string(text: str) -> str:
    if "\n" in text:
        return _lines(text)
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    return f'"{_visible(quoted)}"'


def _lines(text: str) -> str:
    """A string in as many lines as it has, the first of which stands on a line of its own."""
    if _stands_as_it_is(text):
        return f"'''\n{text}'''"
    # A quote at the end would be taken for one of those that close it.
    inner, last = (text[:-1], '\\"') if text.endswith('"') else (text, "")
    escaped = inner.replace("\\", "\\\\").replace('"""', '""\\"') + last
    # Editors dislike white space at the end of a line, and take it away.
    escaped = _TRAILING.sub(lambda space: _escape(space[0]), escaped)
    return f'"""\n{_visible(escaped)}"""'


_TRAILING = re.compile(r"[ \t](?=\n|\Z)")


def _stands_as_it_is(text: str) -> bool:
    """Whether a literal string can hold a text that needs escapes in another one."""
    needs = "\\" in text or '"""' in text or text.endswith('"')
    ends = text.endswith("'") or _TRAILING.search(text) is not None
    return needs and "'''" not in text and not ends and _visible(text) == text


def _visible(text: str) -> str:
    """What could not be seen in an editor (or may not stand in TOML) as escapes."""
    return "".join(c if c.isprintable() or c in _KEPT else _escape(c) for c in text)


#: Line ends and tabs; and the joiners of Arabic, Indic scripts and emoji.
_KEPT = "\n\t\u200c\u200d"


def _escape(char: str) -> str:
    code = ord(char)
    if char == "\r":
        return "\\r"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


# ---- reading -------------------------------------------------------------------------------------


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The fields in what :func:`save` wrote, or somebody by hand.

    Raises:
        ValidationError: it is no such file: names the path, the key and what is wrong.
        OSError: the file cannot be read.
    """
    shown = os.fspath(path)
    found = _parsed(Path(path), shown)
    for key in found:
        if key not in _KEYS:
            near = get_close_matches(key, _KEYS, 1)
            hint = f"did you mean {near[0]}?" if near else f"it may have {', '.join(_KEYS)}"
            raise ValidationError(f"{shown}: unknown key {key!r}: {hint}")
    for key in ("model", "prompt"):
        if key not in found:
            raise ValidationError(f"{shown}: the key {key!r} is missing")
    for key in _TEXTS:
        if not isinstance(found.get(key, ""), str):
            how = f" ({_JSON[key]} as JSON between ''' and ''')" if key in _JSON else ""
            _refuse(shown, key, f"it must be text{how}, not {type(found[key]).__name__}")
    fields: dict[str, Any] = {
        "text" if key == "prompt" else key: _object(key, value, shown) if key in _JSON else value
        for key, value in found.items()
    }
    try:
        _check(PromptFields(1, **fields))
    except ValidationError as error:
        raise ValidationError(f"{shown}: {error.message}") from None
    if fields.get("temperature") is not None:
        fields["temperature"] = float(fields["temperature"])
    return fields


def _parsed(path: Path, shown: str) -> Mapping[str, Any]:
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValidationError(f"{shown}: no prompt file: it has more than {_MOST_BYTES:,} bytes")
    try:
        # With or without the mark that some editors of Windows begin a file with.
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValidationError(f"{shown}: no prompt file: not UTF-8 text: {error}") from None
    except (ValueError, RecursionError) as error:
        raise ValidationError(f"{shown}: no TOML: {error}") from None


def _object(key: str, text: str, shown: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        _refuse(shown, key, f"it must be {_JSON[key]} as JSON text: {error}")
    if not isinstance(value, dict):
        _refuse(shown, key, f"{_JSON[key]} is an object, not {value!r:.100}")
    return value


def _refuse(shown: str, key: str, why: str) -> NoReturn:
    raise ValidationError(f"{shown}: {key} is not valid: {why}")
