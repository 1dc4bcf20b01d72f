"""The v0.2 calls: verb, path and body of each, its answer as a value, and what is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overshoot_nb import errors
from overshoot_nb.asking.retry import RetryPolicy
from overshoot_nb.gateway.api_client import ApiClient
from overshoot_nb.types import (
    ClipProcessingConfig,
    FrameProcessingConfig,
    InferenceConfig,
    KeepaliveResponse,
    Lease,
    LiveKitConnection,
    ModelInfo,
    ReinferResult,
    SpectateResponse,
    StatusResponse,
    StreamConfigResponse,
    StreamCreateResponse,
    StreamInfo,
    TurnServer,
    Usage,
    WebRTCAnswer,
)

from faultserver import Answer, FaultServer

FAST = RetryPolicy(backoff_seconds=0.002)
KEY = "ovs_a-key-for-the-tests"
ASK = InferenceConfig("Describe", "m")
Call = Callable[[ApiClient], Awaitable[Any]]


@dataclass
class Room:
    """A LiveKit source, as far as the wire is concerned."""

    url: str
    token: str


def run(server: FaultServer, call: Call, answer: Answer | None = None) -> Any:
    if answer is not None:
        server.queue(answer)

    async def go() -> Any:
        async with ApiClient(KEY, base_url=f"{server.url}/v0.2", retry=FAST, timeout=5) as api:
            return await call(api)

    return asyncio.run(go())


def sent(server: FaultServer) -> tuple[str, str, Any]:
    (request,) = server.received
    assert request.headers["authorization"] == f"Bearer {KEY}"
    return request.method, request.target, json.loads(request.body) if request.body else None


# ---- create_stream -----------------------------------------------------------------------------


def test_create_a_native_stream(server: FaultServer) -> None:
    body = {
        "stream_id": "s-1",
        "lease": {"ttl_seconds": 45},
        "livekit": {"url": "wss://room", "token": "tok"},
        "unknown": 1,
    }
    created = run(
        server,
        lambda a: a.create_stream(None, ClipProcessingConfig(target_fps=6), ASK, mode="clip"),
        Answer.of(body, 201),
    )
    assert created == StreamCreateResponse(
        "s-1", Lease(45.0), LiveKitConnection("wss://room", "tok")
    )
    assert sent(server) == (
        "POST",
        "/v0.2/streams",
        {
            "mode": "clip",
            "processing": {"target_fps": 6, "clip_length_seconds": 0.5, "delay_seconds": 0.5},
            "inference": {"prompt": "Describe", "model": "m"},
        },
    )


def test_create_with_everything(server: FaultServer) -> None:
    ask = InferenceConfig("p", "m", {"type": "object"}, 64, "gemini")
    offer = {"type": "webrtc", "sdp": "v=0"}
    turn = [{"urls": ["turn:a", "turn:b"], "username": "u", "credential": "c"}, {"urls": "stun:c"}]
    created = run(
        server,
        lambda a: a.create_stream(offer, FrameProcessingConfig(0.5), ask),
        Answer.of(
            {
                "stream_id": "s",
                "webrtc": {"type": "answer", "sdp": "v=1"},
                "livekit": None,
                "turn_servers": turn,
            },
            201,
        ),
    )
    assert created.webrtc == WebRTCAnswer("v=1")
    assert created.turn_servers == (
        TurnServer(("turn:a", "turn:b"), "u", "c"),
        TurnServer(("stun:c",)),
    )
    assert sent(server)[2] == {
        "source": offer,
        "mode": "frame",
        "processing": {"interval_seconds": 0.5},
        "inference": {
            "prompt": "p",
            "model": "m",
            "backend": "gemini",
            "output_schema_json": {"type": "object"},
            "max_output_tokens": 64,
        },
    }


@pytest.mark.parametrize(
    ("source", "wire"),
    [
        ({"type": "native"}, {"type": "native"}),
        (Room("wss://r", "t"), {"type": "livekit", "url": "wss://r", "token": "t"}),
        (
            {"type": "livekit", "url": "wss://r", "token": "t"},
            {"type": "livekit", "url": "wss://r", "token": "t"},
        ),
    ],
)
def test_sources_on_the_wire(server: FaultServer, source: Any, wire: Any) -> None:
    created = Answer.of({"stream_id": "s"}, 201)
    run(server, lambda a: a.create_stream(source, FrameProcessingConfig(), ASK), created)
    assert sent(server)[2]["source"] == wire


@pytest.mark.parametrize(
    ("source", "processing", "inference", "mode", "said"),
    [
        ("file.mp4", FrameProcessingConfig(), ASK, None, "source of type str"),
        ({"type": "hls"}, FrameProcessingConfig(), ASK, None, "source type 'hls'"),
        ({"type": "webrtc"}, FrameProcessingConfig(), ASK, None, "source sdp"),
        (Room("wss://r", ""), FrameProcessingConfig(), ASK, None, "source token"),
        (None, FrameProcessingConfig(61), ASK, None, "interval_seconds=61"),
        (None, ClipProcessingConfig(target_fps=1), ASK, None, "frames a clip"),
        (None, FrameProcessingConfig(), InferenceConfig("", "m"), None, "prompt=''"),
        (None, FrameProcessingConfig(), ASK, "clip", "mode='clip'"),
        (None, ClipProcessingConfig(), ASK, "frame", "mode='frame'"),
        (
            None,
            FrameProcessingConfig(0.5),
            InferenceConfig("p", "m", max_output_tokens=65),
            None,
            "130 tokens a second",
        ),
        (
            None,
            ClipProcessingConfig(delay_seconds=0.25),
            InferenceConfig("p", "m", max_output_tokens=33),
            None,
            "132 tokens a second",
        ),
    ],
)
def test_create_checks_before_it_sends(
    server: FaultServer, source: Any, processing: Any, inference: Any, mode: Any, said: str
) -> None:
    with pytest.raises(errors.ValidationError, match=said) as caught:
        run(server, lambda a: a.create_stream(source, processing, inference, mode=mode))
    assert caught.value.status_code is None
    assert server.received == []


def test_create_is_not_repeated_blindly(server: FaultServer) -> None:
    for answer, requests in [(Answer(500), 1), (Answer(drop="before"), 1), (Answer(503), 3)]:
        server.queue(answer)
        with pytest.raises(errors.OvershootError):
            run(server, lambda a: a.create_stream(None, FrameProcessingConfig(), ASK))
        assert len(server.received) == requests


# ---- the other calls ---------------------------------------------------------------------------


CALLS: list[tuple[Call, tuple[str, str, Any], Any, Any]] = [
    (
        lambda a: a.keepalive("s-1"),
        ("POST", "/v0.2/streams/s-1/keepalive", None),
        {
            "status": "ok",
            "stream_id": "s-1",
            "ttl_seconds": 45,
            "credits_remaining_cents": 99.5,
            "cost_cents": 0.1,
            "seconds_charged": 12,
            "livekit_token": "t",
            "state": "active",
        },
        KeepaliveResponse("ok", "s-1", 45.0, 99.5, 0.1, 12.0, "t", "active"),
    ),
    (
        lambda a: a.update_prompt("s-1", "Count"),
        ("PATCH", "/v0.2/streams/s-1/config/prompt", {"prompt": "Count"}),
        {
            "id": "c",
            "stream_id": "s-1",
            "prompt": "Count",
            "backend": "overshoot",
            "model": "m",
            "output_schema_json": {"type": "object"},
            "created_at": "2026-01-02T03:04:05Z",
            "updated_at": 1767323045,
        },
        StreamConfigResponse(
            "c",
            "s-1",
            "Count",
            "overshoot",
            "m",
            {"type": "object"},
            datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        ),
    ),
    (
        lambda a: a.close_stream("s-1"),
        ("DELETE", "/v0.2/streams/s-1", None),
        {"status": "ok"},
        StatusResponse("ok"),
    ),
    (
        lambda a: a.stream_info("s-1"),
        ("GET", "/v0.2/streams/s-1/info", None),
        {
            "stream_id": "s-1",
            "source_type": "native",
            "state": "active",
            "fps": 29.9,
            "frame_width": 1920,
            "effective_height": 720.0,
            "inferences_completed": 3,
            "last_inference_latency_seconds": None,
        },
        StreamInfo(
            "s-1",
            "native",
            "active",
            fps=29.9,
            frame_width=1920,
            effective_height=720,
            inferences_completed=3,
        ),
    ),
    (
        lambda a: a.spectate("s-1"),
        ("POST", "/v0.2/streams/s-1/spectate", None),
        {"livekit": {"url": "wss://r", "token": "t"}},
        SpectateResponse(LiveKitConnection("wss://r", "t")),
    ),
    (
        lambda a: a.get_models(),
        ("GET", "/v0.2/models", None),
        [
            {"model": "a", "ready": True, "status": "degraded"},
            {"model": "b", "ready": False, "status": "saturated"},
        ],
        [ModelInfo("a", True, "degraded"), ModelInfo("b", False, "saturated")],
    ),
    (
        lambda a: a.reinfer(
            "r-1", "Again", "m", temperature=0.5, max_tokens=9, output_schema={"type": "object"}
        ),
        (
            "POST",
            "/v0.2/chat/completions/clip",
            {
                "result_id": "r-1",
                "prompt": "Again",
                "model": "m",
                "temperature": 0.5,
                "max_tokens": 9,
                "output_schema": {"type": "object"},
            },
        ),
        {
            "id": "x",
            "model": "m",
            "content": "{}",
            "finish_reason": "stop",
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        },
        ReinferResult("x", "m", "{}", "stop", Usage(1, 2, 3)),
    ),
    (
        lambda a: a.health_check(),
        ("GET", "/v0.2/healthz", None),
        {"status": "ok"},
        StatusResponse("ok"),
    ),
]


@pytest.mark.parametrize(("call", "request_", "body", "value"), CALLS, ids=lambda v: str(v)[:24])
def test_calls(server: FaultServer, call: Call, request_: Any, body: Any, value: Any) -> None:
    assert run(server, call, Answer.of(body)) == value
    assert sent(server) == request_


def test_closing_a_closed_stream(server: FaultServer) -> None:
    closed = Answer(204, b"")
    assert run(server, lambda a: a.close_stream("s"), closed) == StatusResponse("ok")


def test_ids_are_quoted_and_checked(server: FaultServer) -> None:
    run(server, lambda a: a.close_stream("a/../b?c"), Answer.of({"status": "ok"}))
    assert sent(server)[1] == "/v0.2/streams/a%2F..%2Fb%3Fc"
    server.queue(Answer())
    for wrong in ("", " ", "..", ".", None):
        with pytest.raises(errors.ValidationError, match="stream_id="):
            run(server, lambda a, wrong=wrong: a.keepalive(wrong))
    assert server.received == []


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda a: a.update_prompt("s", " "), "prompt="),
        (lambda a: a.reinfer("", "p", "m"), "result_id="),
        (lambda a: a.reinfer("r", "p", "m", temperature=3), "temperature=3"),
        (lambda a: a.reinfer("r", "p", "m", max_tokens=0), "max_tokens=0"),
        (lambda a: a.reinfer("r", "p", "m", output_schema={"type": 1}), "output_schema"),
    ],
)
def test_parameters_are_checked_before_sending(server: FaultServer, call: Call, said: str) -> None:
    with pytest.raises(errors.ValidationError, match=said):
        run(server, call)
    assert server.received == []


@pytest.mark.parametrize(
    ("call", "body", "said"),
    [
        (CALLS[0][0], {"ttl_seconds": "45"}, "the field 'ttl_seconds' is \"45\", not a number"),
        (CALLS[0][0], {"ttl_seconds": True}, "'ttl_seconds'"),
        (CALLS[0][0], {}, "the field 'ttl_seconds' is missing"),
        (CALLS[0][0], [], "the answer is a list"),
        (CALLS[1][0], {"id": "c", "prompt": 5}, "'prompt' is 5"),
        (CALLS[1][0], {"id": "c", "prompt": "p", "created_at": "noon"}, "'created_at'"),
        (CALLS[1][0], {"id": "c", "prompt": "p", "created_at": 1e300}, "'created_at'"),
        (CALLS[1][0], {"id": "c", "prompt": "p", "output_schema_json": "{}"}, "output_schema_json"),
        (CALLS[3][0], {"frame_width": 1.5}, "'frame_width' is 1.5, not a whole number"),
        (CALLS[4][0], {}, "'livekit' is missing"),
        (CALLS[4][0], {"livekit": {"url": "u"}}, "'livekit.token' is missing"),
        (CALLS[5][0], [{"ready": True}], "without a name"),
        (CALLS[7][0], {"status": None}, "'status' is null"),
        (
            lambda a: a.create_stream(None, FrameProcessingConfig(), ASK),
            {"stream_id": "s", "turn_servers": [{"urls": [5]}]},
            "turn_servers[0].urls",
        ),
    ],
)
def test_wrong_types_are_named(server: FaultServer, call: Call, body: Any, said: str) -> None:
    with pytest.raises(errors.ServerError) as caught:
        run(server, call, Answer.of(body))
    assert said in str(caught.value)
    assert caught.value.status_code == 200


def test_statuses_reach_the_caller(server: FaultServer) -> None:
    for status, kind in [
        (402, errors.InsufficientCreditsError),
        (404, errors.NotFoundError),
        (401, errors.AuthenticationError),
    ]:
        body = {"error": "code", "message": "said", "request_id": "r-1", "details": {"a": 1}}
        with pytest.raises(kind) as caught:
            run(server, lambda a: a.keepalive("s"), Answer.of(body, status))
        error = caught.value
        assert isinstance(error, errors.ApiError)
        assert (error.request_id, error.details) == ("r-1", {"a": 1})
        assert "POST /v0.2/streams/s/keepalive: said" in str(error)


_FIELDS = [
    "id", "stream_id", "lease", "ttl_seconds", "livekit", "url", "token", "webrtc", "sdp",
    "turn_servers", "urls", "status", "prompt", "created_at", "fps", "frame_width", "model",
    "content", "usage", "prompt_tokens",
]  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_FIELDS), inner, max_size=8)
    ),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=st.binary(max_size=40) | _JSON.map(lambda v: json.dumps(v).encode()))
def test_any_answer_is_a_value_or_a_server_error(server: FaultServer, body: bytes) -> None:
    server.queue(Answer(200, body))
    caught: list[errors.OvershootError] = []

    async def all_calls(api: ApiClient) -> None:
        for call in [c[0] for c in CALLS] + [
            lambda a: a.create_stream(None, FrameProcessingConfig(), ASK)
        ]:
            try:
                await call(api)
            except errors.OvershootError as error:
                caught.append(error)

    run(server, all_calls)
    assert all(isinstance(error, errors.ServerError) for error in caught)
