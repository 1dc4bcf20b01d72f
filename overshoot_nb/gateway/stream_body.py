"""What POST /streams is told, and where a stream is found below the base URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable
from urllib.parse import quote

from overshoot_nb.errors import ValidationError
from overshoot_nb.support.redaction import hidden, lacks_secrets
from overshoot_nb.support.secret_text import LEFT_OUT
from overshoot_nb.support.validation import check_output_schema, check_text
from overshoot_nb.types import ClipProcessingConfig, InferenceConfig, ProcessingConfig


@runtime_checkable
class LiveKitRoom(Protocol):
    """A source that is a LiveKit room of the user's own: its URL and a token to enter it."""

    @property
    def url(self) -> str: ...

    @property
    def token(self) -> str: ...


def stream_path(stream_id: str) -> str:
    """The path of a stream below the base URL, its id quoted.

    Raises:
        ValidationError: it is no id.
    """
    check_text("stream_id", stream_id)
    if stream_id in (".", ".."):
        raise ValidationError(f"stream_id={stream_id!r} is not valid: it must be a stream's id")
    return f"/streams/{quote(stream_id, safe='')}"


def processing_body(processing: ProcessingConfig) -> dict[str, Any]:
    """The field ``processing``."""
    # float() and int(): numpy's numbers are welcome here, and unknown to JSON.
    if isinstance(processing, ClipProcessingConfig):
        return {
            "target_fps": int(processing.target_fps),
            "clip_length_seconds": float(processing.clip_length_seconds),
            "delay_seconds": float(processing.delay_seconds),
        }
    return {"interval_seconds": float(processing.interval_seconds)}


def inference_body(inference: InferenceConfig) -> dict[str, Any]:
    """The field ``inference``.

    Raises:
        ValidationError: the output schema is none.
    """
    body: dict[str, Any] = {"prompt": inference.prompt, "model": inference.model}
    if inference.backend is not None:
        body["backend"] = inference.backend
    if inference.output_schema_json is not None:
        body["output_schema_json"] = check_output_schema(inference.output_schema_json)
    if inference.max_output_tokens is not None:
        body["max_output_tokens"] = int(inference.max_output_tokens)
    return body


def source_body(source: Mapping[str, Any] | LiveKitRoom) -> dict[str, Any]:
    """The field ``source``.

    Raises:
        ValidationError: it is of no known kind, or lacks what its kind needs.
    """
    if isinstance(source, Mapping):
        needed: tuple[str, ...] | None = {
            "native": (),
            "webrtc": ("sdp",),
            "livekit": ("url", "token"),
        }.get(str(source.get("type")))
        if needed is None:
            raise ValidationError(
                f"source type {source.get('type')!r} is not valid: it must be "
                '"native", "webrtc" or "livekit"'
            )
        body = {"type": source["type"], **{name: source.get(name) for name in needed}}
    elif isinstance(source, LiveKitRoom):
        body = {"type": "livekit", "url": source.url, "token": source.token}
    else:
        raise ValidationError(
            f"source of type {type(source).__name__} cannot be sent to the server: it must be "
            'None (native), {"type": "webrtc", "sdp": ...} or an object with url and token'
        )
    covered: dict[str, Any] = hidden(body)
    del body
    for name, value in covered.items():
        if not isinstance(value, str) or not value:
            # The value stays unsaid: it may be a token.
            raise ValidationError(f"source {name} is not valid: it must be text that is not empty")
        if value == LEFT_OUT or (name == "url" and lacks_secrets(value)):
            raise ValidationError(
                f"source {name} was left out ({LEFT_OUT}), as it is when a source is pickled: make "
                "the source anew, from the whole URL and token"
            )
    return covered
