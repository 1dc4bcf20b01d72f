"""A successful answer before anybody has looked into it, and the JSON of its body.

Servers, and what stands before them, send JSON in more forms than one: after a byte order mark,
comments or blank lines, with NaN or half a surrogate pair in it, or as an event stream that
nobody asked for. All of these are read.
"""

from __future__ import annotations

import asyncio
import codecs
import html
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

import orjson

from overshoot_nb import config
from overshoot_nb.errors import ServerError

T = TypeVar("T")

_MISSING: Final = object()
_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: Lines before and after the JSON that are not part of it; ")]}'" guards against scripts.
_COMMENTS: Final = re.compile(r"(?:[ \t\r\n\0\ufeff]+|(?::|//|#|\)\]\}')[^\n]*\n?)*")
_EVENT_FIELD: Final = re.compile(r"(?:data|event|id|retry)[ \t]*:")
_DONE: Final = re.compile(r"(?:data:)?[ \t]*\[DONE\]")
_DECODER: Final = json.JSONDecoder(parse_constant=lambda _: None, strict=False)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
#: What the deltas of an event stream are joined from, besides the content.
_JOINED: Final = (
    "content",
    "reasoning",
    "reasoning_content",
    "thinking",
    "reasoning_details",
    "refusal",
)


class Promise(Protocol):
    """Something received that should be what the API promises."""

    def nonsense(self, what: str) -> ServerError:
        """The error for it when it is not."""


@dataclass(slots=True)
class Reply:
    """A successful answer.

    Attributes:
        call: method and path, for messages.
        status: the HTTP status, 200..299.
        content: the body.
        request_id: the ``x-request-id`` header, or None.
        attempts: tries that it took.
        headers: of the answer, their names in any case.
        paused: seconds for which a server's limit was waited for.
        hide: takes secrets out of what the server said, where a message quotes it.
    """

    call: str
    status: int
    content: bytes = field(repr=False)
    request_id: str | None
    attempts: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    paused: float = 0.0
    hide: Callable[[str], str] = field(default=str, repr=False)
    _value: Any = field(default=_MISSING, repr=False)

    def json(self) -> Any:
        """The body parsed as JSON, once.

        Raises:
            ServerError: it is not JSON.
        """
        if self._value is _MISSING:
            try:
                self._value = orjson.loads(self.content)
            except orjson.JSONDecodeError as error:
                self._value = self._read(error)
        return self._value

    def _read(self, problem: ValueError) -> Any:
        try:
            return read_json(self.content)
        except (ValueError, RecursionError):
            pass
        if not self.content.strip():
            raise self.nonsense("the answer's body is empty") from None
        title = markup_title(self.hide(self.content.decode("utf-8", "replace")))
        if title is not None:
            raise self.nonsense(
                f"the answer's body is not JSON but a page{title and f' ({title!r})'}; "
                "is base_url right?"
            ) from None
        raise self.nonsense(f"the answer's body is not JSON ({problem})") from None

    async def looked_into(self, look: Callable[..., T], *args: object) -> T:
        """What ``look`` finds in it; in a thread where it is large, beside the loop's streams."""
        if len(self.content) > config.LARGE_ANSWER_BYTES:
            return await asyncio.to_thread(look, *args)
        return look(*args)

    def nonsense(self, what: str) -> ServerError:
        """The error for an answer that is not what the API promises."""
        return ServerError(f"{self.call}: {self.hide(what)}", self.status, self.request_id)


def markup_title(text: str) -> str | None:
    """The title of an HTML or XML page, "" where it has none; None for what is no page."""
    if not re.match(r"[\s\ufeff]*<[!?a-zA-Z]", text[:64]):
        return None
    found = re.search(r"<title[^<>]*>([^<]*)", text[:8_192], re.IGNORECASE)
    title = " ".join(html.unescape(found[1]).split()) if found else ""
    return "".join(c for c in title if c.isprintable())[:200]


# ---- JSON ----------------------------------------------------------------------------------------


def read_json(body: bytes | str) -> Any:
    """The JSON value in a body, in whatever form; NaN and Infinity in it are null.

    An event stream is one answer, put together from its parts.

    Raises:
        ValueError: there is none.
        RecursionError: it is nested too deeply.
    """
    text = body if isinstance(body, str) else _decoded(body)
    at = _after_comments(text, 0)
    if _EVENT_FIELD.match(text, at):
        return without_surrogates(_joined(list(_events(text))))
    values: list[Any] = []
    while True:
        value, at = _DECODER.raw_decode(text, at)
        values.append(value)
        at = _after_comments(text, at)
        if (done := _DONE.match(text, at)) is not None:
            at = _after_comments(text, done.end())
        if at == len(text):
            break
        if not _is_part(values[0]):
            raise ValueError("there is more than one value")
    if not isinstance(values[0], dict | list):
        raise ValueError("no object and no list")  # which each answer is
    return without_surrogates(_joined(values) if _is_part(values[0]) else values[0])


def _decoded(body: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, "replace")
    return body.decode("utf-8", "replace")


def _after_comments(text: str, at: int) -> int:
    found = _COMMENTS.match(text, at)
    return found.end() if found is not None else at


def without_surrogates(value: Any) -> Any:
    """The value with pairs of surrogates joined, and U+FFFD in place of lone ones.

    No encoding of text can hold these.

    Raises:
        RecursionError: it is nested too deeply.
    """
    if isinstance(value, str):
        if _SURROGATE.search(value) is None:
            return value
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {without_surrogates(k): without_surrogates(item) for k, item in value.items()}
    return value


# ---- event streams -------------------------------------------------------------------------------


def _events(text: str) -> Iterator[Any]:
    """The values of an event stream, errors as they stand in an answer."""
    name = ""
    lines: list[str] = []
    # Not by str.splitlines(), which knows ends of lines that may stand in JSON's strings.
    for line in (*re.split("\r\n|\n|\r", text.removeprefix("\ufeff")), ""):
        if line:
            key, _, said = line.partition(":")
            if key.strip() == "data":
                lines.append(said.removeprefix(" "))
            elif key.strip() == "event":
                name = said.strip()
            continue
        data = "\n".join(lines).strip()
        if data and data != "[DONE]":
            value = _DECODER.decode(data)
            is_error = name == "error" and isinstance(value, dict) and "error" not in value
            yield {"error": value} if is_error else value
        name, lines = "", []


def _is_part(value: Any) -> bool:
    """Whether it is a part of an answer that was to be streamed."""
    choices = value.get("choices") if isinstance(value, dict) else None
    return isinstance(choices, list) and any("delta" in c for c in choices if isinstance(c, dict))


def _joined(parts: list[Any]) -> Any:
    """One chat completion from the parts of a stream."""
    if len(parts) == 1 and not _is_part(parts[0]):
        return parts[0]
    whole: dict[str, Any] = {}
    choice: dict[str, Any] = {}
    joined: dict[str, list[Any]] = {}
    for part in parts:
        if not isinstance(part, dict):
            raise ValueError("a part of the event stream is no object")
        whole.update((k, v) for k, v in part.items() if v is not None and k != "choices")
        choices = part.get("choices")
        for said in choices if isinstance(choices, list) else ():
            if not isinstance(said, dict) or said.get("index") not in (None, 0):
                continue
            delta = said.get("delta")
            choice.update((k, v) for k, v in said.items() if v is not None and k != "delta")
            for name in _JOINED:
                if isinstance(delta, dict) and delta.get(name):
                    joined.setdefault(name, []).append(delta[name])
    if choice or joined:
        message = choice.get("message")
        message = message if isinstance(message, dict) else {"content": None}
        for name, pieces in joined.items():
            message = {**message, name: _together(pieces)}
        whole["choices"] = [{**choice, "message": message}]
    return whole


def _together(pieces: list[Any]) -> Any:
    if all(isinstance(piece, str) for piece in pieces):
        return "".join(pieces)
    return [item for piece in pieces for item in (piece if isinstance(piece, list) else [piece])]
