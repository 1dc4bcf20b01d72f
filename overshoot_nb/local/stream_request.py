"""The body of POST /streams (v0.2), checked as the service checks it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from overshoot_nb import config
from overshoot_nb.types import ClipProcessingConfig, FrameProcessingConfig, Mode, ProcessingConfig

from .catalogue import Catalogue
from .refusals import Invalid, StreamRefusal
from .schema import prepare

#: Tokens of output a second, at most.
MAX_TOKEN_RATE = config.MAX_TOKENS_PER_SECOND
#: Bytes of an SDP offer, at most; a browser's has some thousand.
MAX_SDP_BYTES = 32 * 1024

#: A clip must come at least once a day.
MAX_DELAY_SECONDS = 86_400.0

#: Letters of a client's own id of a request that are kept.
MAX_ID_LETTERS = 200

_OLD_KEYS = frozenset({"fps", "sampling_ratio"})
_CLIP_KEYS = ("target_fps", "clip_length_seconds", "delay_seconds")


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """The checked body of POST /streams.

    Attributes:
        sdp: the offer of a webrtc source, else None.
        model: the model itself, where an alias was asked for.
    """

    source_type: str
    sdp: str | None
    processing: ProcessingConfig
    prompt: str
    model: str
    backend: str
    output_schema_json: Mapping[str, Any] | None
    max_output_tokens: int

    @property
    def mode(self) -> Mode:
        return "clip" if isinstance(self.processing, ClipProcessingConfig) else "frame"

    @classmethod
    def parse(cls, body: Mapping[str, Any], catalogue: Catalogue | None = None) -> StreamRequest:
        """Check a body as the service does: keys, types, ranges, the token rate.

        Args:
            catalogue: the models; None for those without aliases.

        Raises:
            Invalid: 422, naming the field.
            StreamRefusal: 501, a LiveKit room, which the engine cannot enter.
        """
        # What a client says of itself says nothing about the stream.
        check_keys(body, ("source", "mode", "processing", "inference", "client"), "body")
        processing = _processing(_section(body, "processing"), body.get("mode"))
        interval = (
            processing.delay_seconds
            if isinstance(processing, ClipProcessingConfig)
            else processing.interval_seconds
        )
        inference = _section(body, "inference")
        where = "inference"
        keys = ("prompt", "model", "backend", "output_schema_json", "max_output_tokens")
        check_keys(inference, keys, where)
        catalogue = catalogue or Catalogue()
        name = nonempty_text(inference.get("model"), f"{where}.model")
        model = catalogue.resolve(name)
        if model is None:
            raise Invalid(catalogue.unknown(name), f"body.{where}.model")
        backend = inference.get("backend")
        if backend is None:
            backend = "overshoot"
        if backend != "overshoot":
            raise Invalid(
                f"inference.backend {backend!r} is not one of the local engine's: overshoot",
                f"body.{where}.backend",
            )
        schema = inference.get("output_schema_json")
        if schema is not None:
            prepare(schema, f"body.{where}.output_schema_json")
        source_type, sdp = _source(body.get("source"))
        return cls(
            source_type=source_type,
            sdp=sdp,
            processing=processing,
            prompt=nonempty_text(inference.get("prompt"), f"{where}.prompt"),
            model=model,
            backend=backend,
            output_schema_json=schema,
            max_output_tokens=_output_limit(inference.get("max_output_tokens"), interval),
        )


def _section(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if not isinstance(value, Mapping):
        raise Invalid(f"{name} must be an object", f"body.{name}")
    return value


def check_keys(section: Mapping[str, Any], allowed: tuple[str, ...], where: str) -> None:
    """Refuse keys that are not known.

    Raises:
        Invalid: 422, naming the key and those allowed.
    """
    for key in section:
        if key not in allowed:
            raise Invalid(
                f"{where} has an unknown key {key!r}; it may have {', '.join(allowed)}",
                f"body.{where}.{key}" if where != "body" else f"body.{key}",
            )


def nonempty_text(value: Any, where: str) -> str:
    """The value, when it is a text that is not empty.

    Raises:
        Invalid: 422, naming the field.
    """
    if not isinstance(value, str) or not value.strip():
        raise Invalid(f"{where} must be a text that is not empty", f"body.{where}")
    return value


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Invalid(f"{where} must be a number", f"body.{where}")
    return float(value)


def _source(source: Any) -> tuple[str, str | None]:
    """The type of a source, and its SDP offer where it has one."""
    if source is None:
        return "native", None
    kind = source.get("type") if isinstance(source, Mapping) else None
    if kind == "native":
        check_keys(source, ("type",), "source")
        return "native", None
    if kind == "webrtc":
        check_keys(source, ("type", "sdp"), "source")
        sdp = nonempty_text(source.get("sdp"), "source.sdp")
        if len(sdp.encode()) > MAX_SDP_BYTES:
            raise Invalid(f"source.sdp has more than {MAX_SDP_BYTES} bytes", "body.source.sdp")
        return "webrtc", sdp
    if kind == "livekit":
        raise StreamRefusal(
            501,
            "not_implemented",
            "the local engine enters no LiveKit room; publish to it with a source of type webrtc",
        )
    raise Invalid("source.type must be one of native, webrtc, livekit", "body.source.type")


def _processing(section: Mapping[str, Any], mode: Any) -> ProcessingConfig:
    if mode not in (None, "frame", "clip"):
        raise Invalid("mode must be frame or clip", "body.mode")
    section = _newer(section, mode)
    if mode is None:
        mode = "clip" if any(key in section for key in _CLIP_KEYS) else "frame"
    if mode == "frame":
        check_keys(section, ("interval_seconds",), "processing")
        interval = _number(
            section.get("interval_seconds", config.INTERVAL_SECONDS), "processing.interval_seconds"
        )
        low, high = config.INTERVAL_RANGE
        if not low < interval <= high:
            raise Invalid(
                f"processing.interval_seconds must be more than {low:g} and at most {high:g}",
                "body.processing.interval_seconds",
            )
        return FrameProcessingConfig(interval)
    check_keys(section, _CLIP_KEYS, "processing")
    fps = section.get("target_fps", config.TARGET_FPS)
    least, most = config.TARGET_FPS_RANGE
    if isinstance(fps, bool) or not isinstance(fps, int) or not least <= fps <= most:
        raise Invalid(
            f"processing.target_fps must be an integer from {least} to {most}",
            "body.processing.target_fps",
        )
    length = _number(
        section.get("clip_length_seconds", config.CLIP_LENGTH_SECONDS),
        "processing.clip_length_seconds",
    )
    low, high = config.CLIP_LENGTH_RANGE
    if not low <= length <= high:
        raise Invalid(
            f"processing.clip_length_seconds must be from {low:g} to {high:g}",
            "body.processing.clip_length_seconds",
        )
    delay = _number(section.get("delay_seconds", config.DELAY_SECONDS), "processing.delay_seconds")
    if not 0 < delay <= MAX_DELAY_SECONDS:
        raise Invalid(
            f"processing.delay_seconds must be more than 0 and at most {MAX_DELAY_SECONDS:g}",
            "body.processing.delay_seconds",
        )
    # Rounded, because 0.3 * 10 is a little less than 3.
    if round(fps * length, 9) < config.MIN_CLIP_FRAMES:
        raise Invalid(
            f"a clip needs at least {config.MIN_CLIP_FRAMES} frames, "
            f"and target_fps * clip_length_seconds is {fps * length:g}",
            "body.processing",
        )
    return ClipProcessingConfig(fps, length, delay)


def _newer(section: Mapping[str, Any], mode: Any) -> Mapping[str, Any]:
    """Processing as it is written today.

    Before, a client said its video's frame rate, ``fps``, and which part of its frames to look
    at, ``sampling_ratio``: together these are ``target_fps``.
    """
    if not section.keys() & _OLD_KEYS:
        return section
    fps = _number(section.get("fps", config.TARGET_FPS_RANGE[1]), "processing.fps")
    ratio = _number(section.get("sampling_ratio", 1), "processing.sampling_ratio")
    if fps <= 0:
        raise Invalid("processing.fps must be more than 0", "body.processing.fps")
    if not 0 < ratio <= 1:
        where = "body.processing.sampling_ratio"
        raise Invalid("processing.sampling_ratio must be more than 0 and at most 1", where)
    rest = {key: value for key, value in section.items() if key not in _OLD_KEYS}
    if mode == "frame" or (mode is None and "interval_seconds" in section):
        return rest  # one frame every so often, whatever the video's rate
    least, most = config.TARGET_FPS_RANGE
    return {"target_fps": min(max(round(fps * ratio), least), most)} | rest


def request_id_of(body: Mapping[str, Any]) -> str | None:
    """What a client calls its request, for errors about it.

    Raises:
        Invalid: 422, it is no text.
    """
    client = body.get("client")
    if not isinstance(client, Mapping | None):
        raise Invalid("client must be an object", "body.client")
    said = (client or {}).get("request_id")
    return None if said is None else nonempty_text(said, "client.request_id")[:MAX_ID_LETTERS]


def _output_limit(value: Any, interval: float) -> int:
    where = "inference.max_output_tokens"
    if value is None:
        limit = math.floor(MAX_TOKEN_RATE * interval)
        if limit < 1:
            raise Invalid(
                f"every {interval:g} s is too often: {MAX_TOKEN_RATE} tokens a second leave "
                f"{MAX_TOKEN_RATE * interval:g} tokens for an answer, and it needs at least 1 "
                f"(an interval of {1 / MAX_TOKEN_RATE:g} s)",
                "body.processing",
            )
        return limit
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise Invalid(f"{where} must be an integer of at least 1", f"body.{where}")
    if value / interval > MAX_TOKEN_RATE:
        raise Invalid(
            f"{where} is {value} every {interval:g} s, more than {MAX_TOKEN_RATE} tokens a "
            f"second; at most {math.floor(MAX_TOKEN_RATE * interval)} here",
            f"body.{where}",
        )
    return value
