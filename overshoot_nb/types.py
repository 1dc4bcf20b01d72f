"""The values that flow through the package. Nothing here opens, sends or draws anything.

Times: ``media_time`` is seconds of the video since its first frame; ``captured_at`` and
``answered_at`` are UTC wall clock; latencies are milliseconds and say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import orjson

from overshoot_nb import config

Mode = Literal["frame", "clip"]
#: Of a row of a recording: what it is about.
RowKind = Literal["result", "drop", "waiting", "later"]
ClipEncoding = Literal["images", "video"]
ResponseFormat = Literal["auto", "json_schema", "json_object", "prompt"]
#: What a sample does that shows the picture of the one before: copy its answer, or ask again.
SameFrame = Literal["copy", "ask"]
#: How video is published to a v0.2 server: its own LiveKit room is "native".
Transport = Literal["webrtc", "native"]
FinishReason = Literal["stop", "length", "content_filter"]
ModelStatus = Literal["ready", "degraded", "saturated", "loading", "unavailable"]
#: A stream is active in the first three, and over in the last three.
StreamState = Literal["starting", "running", "paused", "ended", "failed", "closed"]


# ---- what to do ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FrameProcessingConfig:
    """Frame mode: one frame every ``interval_seconds`` of media time (0 < x <= 60)."""

    interval_seconds: float = config.INTERVAL_SECONDS


@dataclass(frozen=True, slots=True)
class ClipProcessingConfig:
    """Clip mode: every ``delay_seconds`` a clip of ``clip_length_seconds`` at ``target_fps``.

    Ranges: ``target_fps`` an integer 1..30, ``clip_length_seconds`` 0.1..60,
    ``delay_seconds`` > 0, and at least 3 frames a clip (``target_fps * clip_length_seconds``).
    """

    target_fps: int = config.TARGET_FPS
    clip_length_seconds: float = config.CLIP_LENGTH_SECONDS
    delay_seconds: float = config.DELAY_SECONDS


ProcessingConfig = FrameProcessingConfig | ClipProcessingConfig


@dataclass(frozen=True, slots=True)
class InferenceConfig:
    """What to ask: prompt, model, and optionally a JSON schema and an output limit in tokens."""

    prompt: str
    model: str
    output_schema_json: Mapping[str, Any] | None = None
    max_output_tokens: int | None = None
    backend: Literal["overshoot", "gemini"] | None = None


# ---- what was seen ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One frame of the video as JPEG bytes.

    Attributes:
        media_time: the frame's own time, seconds since the first frame.
        data: JPEG bytes; the same bytes go to the model, the frame store and the screen.
        width, height: size of the JPEG in pixels, upright.
        captured_at: UTC wall clock of what it shows, where whoever pushed it said so, else None.
    """

    media_time: float
    data: bytes = field(repr=False)
    width: int
    height: int
    captured_at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Sample:
    """A chosen moment of the video: one frame, or the frames of a clip in time order.

    Attributes:
        index: 0, 1, 2, ... in the order the samples of a stream were taken.
        mode: "frame" or "clip".
        media_time: the asked-for time in seconds: k x interval, or the start of the clip.
        captured_at: UTC wall clock of what is seen: when the sample was taken, unless the source
            has a clock of its own (``FileSource(start_time=)``, ``push_frame(captured_at=)``).
        frames: one frame, or all frames of the clip. The frame on screen at the asked-for time:
            its own ``media_time`` is at or before it, give or take half a tick of a clock that
            rounds.
        video: the clip as one MP4 (``clip_encoding="video"``), else None.
        taken_at: UTC wall clock when the sample was taken, where ``captured_at`` is another one's;
            else None. Latencies are reckoned from it.
    """

    index: int
    mode: Mode
    media_time: float
    captured_at: datetime
    frames: tuple[EncodedFrame, ...]
    video: bytes | None = field(default=None, repr=False)
    taken_at: datetime | None = field(default=None, compare=False)

    @property
    def nbytes(self) -> int:
        """Bytes held by the encoded pictures."""
        return sum(len(f.data) for f in self.frames) + len(self.video or b"")


# ---- what was answered -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that one inference used, and what it cost where the server says so."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cost_cents: float | None = None


@dataclass(frozen=True, slots=True)
class StreamInferenceResult:
    """One answer about one sample.

    The first eleven fields are those of the service's SDK; the rest say which moment of the
    video the answer is about. An inference that failed is a result too: ``ok`` is False,
    ``result`` what came (perhaps ""), ``error`` says why.

    Attributes:
        result: the answer's text; JSON text when a schema was given.
        inference_latency_ms: from sending the request to its whole answer.
        total_latency_ms: from the sample's capture to its answer, waiting included.
        output: the parsed JSON answer when a schema was given and the answer fits it, else None.
        sample: index of the sample; ``media_time``, ``captured_at``, ``frame_times`` are its own.
        prompt_version: 1 for the first prompt of the stream, one more at each update.
        copied_from: index of the sample that was asked about, where this one shows the very same
            picture and has its answer: without a request, so its latencies are NaN and ``usage``
            is None. None for an answer of its own.
        reasoning: what the model thought before its answer, where the server shows it; it is no
            part of ``result``.
    """

    id: str
    stream_id: str
    mode: Mode
    model_name: str
    prompt: str
    result: str
    inference_latency_ms: float
    total_latency_ms: float
    ok: bool
    error: str | None = None
    finish_reason: FinishReason | None = None
    # Ours:
    sample: int = 0
    media_time: float = 0.0
    frame_times: tuple[float, ...] = ()
    captured_at: datetime | None = None
    answered_at: datetime | None = None
    prompt_version: int = 1
    usage: Usage | None = None
    output: Any = None
    copied_from: int | None = None
    reasoning: str | None = None

    def result_json(self) -> Any:
        """The answer parsed as JSON.

        Raises:
            ValueError: the answer is not JSON.
        """
        if self.output is not None:
            return self.output
        return orjson.loads(self.result)


#: What a server's message may be late, in seconds.
_LATE_SECONDS = 120.0


def taken_at(result: StreamInferenceResult) -> datetime | None:
    """UTC wall clock when the sample of a stream's row was taken; None where that is not known.

    ``captured_at`` may be a clock of the source's, which says nothing of when the stream worked.
    """
    captured, answered = result.captured_at, result.answered_at
    if captured is None or answered is None:
        return captured
    try:
        taken = answered - timedelta(milliseconds=result.total_latency_ms)
    except (OverflowError, ValueError):  # a recording of others
        return captured
    # As good as the same: a server's answer may have come late, which its latency does not tell.
    same = abs((captured - taken).total_seconds()) <= _LATE_SECONDS
    return captured if same else taken


# ---- the v0.2 surface, call by call ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lease:
    """How long a stream lives without a keepalive, in seconds."""

    ttl_seconds: float


@dataclass(frozen=True, slots=True)
class LiveKitConnection:
    """A LiveKit room and the token to enter it."""

    url: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WebRTCAnswer:
    """The server's SDP answer."""

    sdp: str = field(repr=False)
    type: str = "answer"


@dataclass(frozen=True, slots=True)
class TurnServer:
    """A relay to pass to the WebRTC connection."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class StreamCreateResponse:
    """Answer of POST /streams."""

    stream_id: str
    lease: Lease | None = None
    livekit: LiveKitConnection | None = None
    webrtc: WebRTCAnswer | None = None
    turn_servers: tuple[TurnServer, ...] = ()


@dataclass(frozen=True, slots=True)
class KeepaliveResponse:
    """Answer of POST /streams/{id}/keepalive. Costs are in cents; None where not reported."""

    status: str
    stream_id: str
    ttl_seconds: float
    credits_remaining_cents: float | None = None
    cost_cents: float | None = None
    seconds_charged: float | None = None
    livekit_token: str | None = field(default=None, repr=False)
    state: str | None = None


@dataclass(frozen=True, slots=True)
class StreamConfigResponse:
    """Answer of PATCH /streams/{id}/config/prompt: the configuration now in force."""

    id: str
    stream_id: str
    prompt: str
    backend: str | None = None
    model: str | None = None
    output_schema_json: Mapping[str, Any] | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StatusResponse:
    """Answer of GET /healthz and DELETE /streams/{id}."""

    status: str


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """Answer of GET /streams/{id}/info. None where the server does not know yet."""

    stream_id: str
    source_type: str | None = None
    state: str | None = None
    uptime_seconds: float | None = None
    fps: float | None = None
    frame_width: int | None = None
    frame_height: int | None = None
    effective_width: int | None = None
    effective_height: int | None = None
    inferences_completed: int | None = None
    inferences_failed: int | None = None
    last_inference_latency_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class SpectateResponse:
    """Answer of POST /streams/{id}/spectate: a subscribe-only LiveKit connection."""

    livekit: LiveKitConnection


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model of the server and whether it can be asked now."""

    model: str
    ready: bool
    status: str


@dataclass(frozen=True, slots=True)
class ReinferResult:
    """Answer of POST /chat/completions/clip; ``content`` is without the model's reasoning."""

    id: str
    model: str
    content: str
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    reasoning: str | None = None

    def content_json(self) -> Any:
        """The content parsed as JSON.

        Raises:
            ValueError: the content is not JSON.
        """
        return orjson.loads(self.content)


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """The model's answer about one sample.

    Attributes:
        id: the server's id of the completion, "" when it gives none.
        model: the model that the server says answered.
        content: the answer's text without the model's reasoning, "" when there is none.
        ok: False when there is no usable answer; ``error`` says why.
        output: the parsed JSON when a schema was given and the answer fits it, else None.
        finish_reason: why the model stopped, or None when the server does not say it.
        usage: tokens used, or None when not reported.
        latency_ms: the whole call, further tries and their waits included; but not the time for
            which a server's limit was waited for.
        attempts: requests that it took.
        reasoning: what the model thought before its answer, None where the server shows none.
    """

    id: str
    model: str
    content: str
    ok: bool
    error: str | None
    output: Any
    finish_reason: FinishReason | None
    usage: Usage | None
    latency_ms: float
    attempts: int
    reasoning: str | None = None
