"""Request bodies: everything that repeats is written once, around the picture's base64.

Building the body of a 300 KB frame takes about 40 us this way, and 1.7 ms with ``json.dumps``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import orjson
import pybase64

from overshoot_nb.types import Sample

_IMAGE_HEAD = b'{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,'
_VIDEO_HEAD = b'{"type":"video_url","video_url":{"url":"data:video/mp4;base64,'
_MEDIA_TAIL = b'"}}'
_BODY_TAIL = b"]}]}"


def json_bytes(value: Any) -> bytes:
    """A value as JSON; integers beyond 64 bits too, which a schema may have as bounds."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


class ChatTemplate:
    """The body of a chat completion about a sample, with room for the sample's pictures.

    Args:
        prompt: the first content part.
        fields: the other fields of the body: model, limits, response format.
        system: text of a system message before it, or None.
    """

    __slots__ = ("_head",)

    def __init__(self, prompt: str, fields: Mapping[str, Any], system: str | None = None) -> None:
        before = [] if system is None else [{"role": "system", "content": system}]
        message = {"role": "user", "content": [{"type": "text", "text": prompt}]}
        body = json_bytes({**fields, "messages": [*before, message]})
        # The messages come last, so that the body ends where the pictures go.
        self._head = body.removesuffix(_BODY_TAIL) + b","

    def fill(self, sample: Sample) -> bytes:
        """The whole body for ``sample``."""
        encode = pybase64.b64encode
        if sample.video is not None:
            media = [_VIDEO_HEAD, encode(sample.video), _MEDIA_TAIL]
        elif sample.mode == "frame":
            media = [_IMAGE_HEAD, encode(sample.frames[0].data), _MEDIA_TAIL]
        else:
            media = []
            for frame in sample.frames:
                time = b'{"type":"text","text":"t=%.2f s"},' % frame.media_time
                media += [b"," if media else b"", time]
                media += [_IMAGE_HEAD, encode(frame.data), _MEDIA_TAIL]
        return b"".join((self._head, *media, _BODY_TAIL))

    def without_sample(self) -> dict[str, Any]:
        """The body without pictures, for models that take none."""
        body: dict[str, Any] = json.loads(self._head.removesuffix(b",") + _BODY_TAIL)
        return body


def response_format_field(
    schema: Mapping[str, Any], form: Literal["json_schema", "json_object"]
) -> dict[str, Any]:
    """The ``response_format`` field of a request."""
    if form == "json_object":
        return {"type": "json_object"}
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema, "strict": _is_closed(schema)},
    }


def schema_prompt(prompt: str, schema: Mapping[str, Any]) -> str:
    """The prompt with the schema in words, for servers that take no ``json_schema``."""
    text = json_bytes(schema).decode()
    return (
        f"{prompt}\n\nAnswer with one JSON value that fits this JSON schema, and nothing else:\n"
        f"{text}"
    )


def _is_closed(node: Any) -> bool:
    """True when every object lists all of its properties: what ``strict`` servers ask for."""
    if isinstance(node, list):
        return all(map(_is_closed, node))
    if not isinstance(node, dict):
        return True
    if node.get("type") == "object" or "properties" in node:
        properties = node.get("properties")
        names = set(properties) if isinstance(properties, dict) else set()
        required = node.get("required")
        if node.get("additionalProperties") is not False or not isinstance(required, list):
            return False
        if names != set(required):
            return False
    return all(map(_is_closed, node.values()))
