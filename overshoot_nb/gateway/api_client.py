"""The v0.2 API, call by call. Nothing runs in the background: keepalives are the caller's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from overshoot_nb import config
from overshoot_nb.asking.endpoint import Endpoint, Verify, reached_by, resolve_gateway
from overshoot_nb.asking.extra_headers import ExtraHeaders, HeldHeaders, held_headers, with_headers
from overshoot_nb.asking.http import HttpClient, ServerClient
from overshoot_nb.asking.parsing import Fields, finish_reason, model_list, usage
from overshoot_nb.asking.payload import json_bytes
from overshoot_nb.asking.reasoning import field_reasoning, joined_reasoning, split_reasoning
from overshoot_nb.asking.reply import Reply
from overshoot_nb.asking.retry import RetryPolicy
from overshoot_nb.errors import ValidationError
from overshoot_nb.runtime.coroutines import coroutine
from overshoot_nb.support.api_key import ApiKey, held_key
from overshoot_nb.support.redaction import hidden
from overshoot_nb.support.secret_text import SecretBytes
from overshoot_nb.support.validation import (
    check_inference,
    check_max_output_tokens,
    check_output_schema,
    check_processing,
    check_temperature,
    check_text,
    check_token_rate,
)
from overshoot_nb.types import (
    FrameProcessingConfig,
    InferenceConfig,
    KeepaliveResponse,
    Lease,
    LiveKitConnection,
    Mode,
    ModelInfo,
    ProcessingConfig,
    ReinferResult,
    SpectateResponse,
    StatusResponse,
    StreamConfigResponse,
    StreamCreateResponse,
    StreamInfo,
    TurnServer,
    WebRTCAnswer,
)

from .results import ResultChannel
from .stream_body import LiveKitRoom, inference_body, processing_body, source_body, stream_path

if TYPE_CHECKING:
    import httpx


class ApiClient(ServerClient):
    """The v0.2 calls, one method each. Safe to use from several tasks at once.

    Every method raises, besides what it names: RequestTimeoutError and NetworkError when no
    answer came, AuthenticationError (401), InsufficientCreditsError (402), PermissionDeniedError
    (403), NotFoundError (404), RateLimitError (429), ValidationError (400, 422), ServerError
    (5xx, or an answer with missing or mistyped fields), or ApiError for any other status.

    Args:
        api_key: a key, or None to look it up in ``OVERSHOOT_API_KEY`` and the keyring.
        base_url: the server's URL; None is the service, ``"local"`` the embedded engine.
        timeout: seconds for a whole call, tries and waits included.
        transport: an httpx transport in place of the network; closed with the client.
        endpoint: a resolved endpoint, in place of ``api_key`` and ``base_url``.
        retry: when to try again.
        max_wait: seconds that :meth:`reinfer` waits for a server's limit (429, or 503 with
            ``Retry-After``). The other calls are of streams that go on meanwhile: they wait for
            20 s at most, within ``timeout``.
        max_answer_bytes: of an answer's body, and of a result; a larger one is refused. Default
            4 MiB.
        extra_headers: header fields of every request, such as ``{"api-key": "..."}``. Their
            values are secrets: no message and no repr shows them.
        verify: what an https server's certificate is checked against: True (the usual ones, or
            what ``SSL_CERT_FILE``, ``SSL_CERT_DIR``, ``REQUESTS_CA_BUNDLE`` or
            ``CURL_CA_BUNDLE`` names), the path of a file or folder of certificates, an
            ``ssl.SSLContext``, or False, which checks nothing.
        uds: path of a unix socket on which the server listens; ``base_url`` then says the rest,
            e.g. "http://localhost/v1".

    Raises:
        ValidationError: the URL, key or a number cannot be used.
    """

    def __init__(
        self,
        api_key: str | ApiKey | None = None,
        *,
        base_url: str | None = None,
        timeout: float = config.TIMEOUT_SECONDS,
        transport: httpx.AsyncBaseTransport | None = None,
        endpoint: Endpoint | None = None,
        retry: RetryPolicy | None = None,
        max_wait: float = config.MAX_WAIT_SECONDS,
        max_answer_bytes: int = config.MAX_ANSWER_BYTES,
        extra_headers: ExtraHeaders | HeldHeaders | None = None,
        verify: Verify = True,
        uds: str | None = None,
    ) -> None:
        api_key, base_url = held_key(api_key), hidden(base_url, server=True)
        extra_headers = held_headers(extra_headers)
        endpoint = endpoint or resolve_gateway(api_key, base_url)
        self.endpoint = reached_by(with_headers(endpoint, extra_headers), verify, uds)
        self._http = HttpClient(
            self.endpoint,
            timeout=timeout,
            transport=transport,
            retry=retry,
            max_wait=max_wait,
            max_answer_bytes=max_answer_bytes,
        )

    # ---- streams -----------------------------------------------------------------------------

    @coroutine
    async def create_stream(
        self,
        source: Mapping[str, Any] | LiveKitRoom | None,
        processing: ProcessingConfig,
        inference: InferenceConfig,
        *,
        mode: Mode | None = None,
    ) -> StreamCreateResponse:
        """POST /streams: start a stream. Not repeated where that could start two.

        Args:
            source: None for native transport (the server makes a LiveKit room and answers with
                its URL and token), ``{"type": "webrtc", "sdp": <offer>}``, or a LiveKit room of
                your own: an object with ``url`` and ``token``.
            processing: frame or clip mode, with its parameters.
            inference: prompt, model, schema, output limit.
            mode: "frame" or "clip"; None takes it from ``processing``.

        Raises:
            ValidationError: a parameter is out of the API's range, or ``mode`` is not that of
                ``processing``.
        """
        source = hidden(source)
        check_processing(processing)
        check_inference(inference)
        if isinstance(processing, FrameProcessingConfig):
            its_mode, interval = "frame", processing.interval_seconds
        else:
            its_mode, interval = "clip", processing.delay_seconds
        if mode is not None and mode != its_mode:
            raise ValidationError(
                f"mode={mode!r} is not valid: processing is a {type(processing).__name__}, "
                f"so it must be {its_mode!r}"
            )
        check_token_rate(inference.max_output_tokens, interval)
        body: dict[str, Any] = {
            "mode": its_mode,
            "processing": processing_body(processing),
            "inference": inference_body(inference),
        }
        if source is not None:
            body["source"] = source_body(source)
        reply = await self._send("POST", "/streams", body, idempotent=False)
        return _stream_created(reply)

    @coroutine
    async def keepalive(self, stream_id: str) -> KeepaliveResponse:
        """POST /streams/{id}/keepalive: renew the lease, every 10 to 20 s.

        Raises:
            InsufficientCreditsError: no credits are left; the lease was not renewed.
        """
        reply = await self._send("POST", f"{stream_path(stream_id)}/keepalive")
        fields = Fields(reply, reply.json())
        return KeepaliveResponse(
            status=fields.text_or_none("status") or "ok",
            stream_id=fields.text_or_none("stream_id") or stream_id,
            ttl_seconds=fields.number("ttl_seconds"),
            credits_remaining_cents=fields.number_or_none("credits_remaining_cents"),
            cost_cents=fields.number_or_none("cost_cents"),
            seconds_charged=fields.number_or_none("seconds_charged"),
            livekit_token=fields.text_or_none("livekit_token"),
            state=fields.text_or_none("state"),
        )

    @coroutine
    async def update_prompt(self, stream_id: str, prompt: str) -> StreamConfigResponse:
        """PATCH /streams/{id}/config/prompt: another prompt, from the next inference on.

        Raises:
            ValidationError: the prompt is empty.
        """
        check_text("prompt", prompt)
        path = f"{stream_path(stream_id)}/config/prompt"
        reply = await self._send("PATCH", path, {"prompt": prompt})
        fields = Fields(reply, reply.json())
        return StreamConfigResponse(
            id=fields.text("id"),
            stream_id=fields.text_or_none("stream_id") or stream_id,
            prompt=fields.text("prompt"),
            backend=fields.text_or_none("backend"),
            model=fields.text_or_none("model"),
            output_schema_json=fields.mapping_or_none("output_schema_json"),
            created_at=fields.time_or_none("created_at"),
            updated_at=fields.time_or_none("updated_at"),
        )

    @coroutine
    async def close_stream(self, stream_id: str) -> StatusResponse:
        """DELETE /streams/{id}: end a stream. One that is closed already is fine."""
        reply = await self._send("DELETE", stream_path(stream_id))
        return _status(reply)

    @coroutine
    async def stream_info(self, stream_id: str) -> StreamInfo:
        """GET /streams/{id}/info: state, frame rate and sizes, and counts of inferences."""
        reply = await self._send("GET", f"{stream_path(stream_id)}/info")
        fields = Fields(reply, reply.json())
        return StreamInfo(
            stream_id=fields.text_or_none("stream_id") or stream_id,
            source_type=fields.text_or_none("source_type"),
            state=fields.text_or_none("state"),
            uptime_seconds=fields.number_or_none("uptime_seconds"),
            fps=fields.number_or_none("fps"),
            frame_width=fields.integer_or_none("frame_width"),
            frame_height=fields.integer_or_none("frame_height"),
            effective_width=fields.integer_or_none("effective_width"),
            effective_height=fields.integer_or_none("effective_height"),
            inferences_completed=fields.integer_or_none("inferences_completed"),
            inferences_failed=fields.integer_or_none("inferences_failed"),
            last_inference_latency_seconds=fields.number_or_none("last_inference_latency_seconds"),
        )

    @coroutine
    async def spectate(self, stream_id: str) -> SpectateResponse:
        """POST /streams/{id}/spectate: watch a native stream for 5 minutes, subscribe-only.

        Raises:
            ValidationError: the stream's transport is not native (400).
        """
        reply = await self._send("POST", f"{stream_path(stream_id)}/spectate")
        livekit = _livekit(Fields(reply, reply.json()))
        if livekit is None:
            raise reply.nonsense("the field 'livekit' is missing, not an object")
        return SpectateResponse(livekit)

    def results(
        self, stream_id: str, *, on_status: Callable[[str], None] | None = None
    ) -> ResultChannel:
        """WS /ws/streams/{id}: the stream's results, as the server pushes them.

        ::

            async with api.results(created.stream_id) as results:
                async for result in results:
                    print(result.result)

        It reconnects by itself, and ends with the error that says why.

        Args:
            stream_id: the stream's id.
            on_status: told in words of each loss and reconnection; must not raise.
        """
        path = f"/ws{stream_path(stream_id)}"
        return ResultChannel(self._http, stream_id, path, on_status=on_status)

    # ---- models and answers ------------------------------------------------------------------

    @coroutine
    async def get_models(self) -> list[ModelInfo]:
        """GET /models: the models, and whether each can be asked now."""
        return model_list(await self._send("GET", "/models"))

    @coroutine
    async def reinfer(
        self,
        result_id: str,
        prompt: str,
        model: str,
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
        output_schema: Mapping[str, Any] | None = None,
    ) -> ReinferResult:
        """POST /chat/completions/clip: ask again about the stored clip of a result.

        Args:
            result_id: the id of a result of a stream.
            prompt: what to ask.
            model: the model to ask.
            temperature: 0..2, or None for the model's own.
            max_tokens: the longest answer, or None for the server's own limit.
            output_schema: a JSON schema for the answer, or None for plain text.

        Raises:
            NotFoundError: no such clip; one is stored 1 to 2 s after its result.
            ValidationError: a parameter is empty or out of its range.
        """
        check_text("result_id", result_id)
        check_text("prompt", prompt)
        check_text("model", model)
        check_max_output_tokens(max_tokens, "max_tokens")
        body: dict[str, Any] = {"result_id": result_id, "prompt": prompt, "model": model}
        if temperature is not None:
            body["temperature"] = check_temperature(temperature)
        if max_tokens is not None:
            body["max_tokens"] = int(max_tokens)
        if output_schema is not None:
            body["output_schema"] = check_output_schema(output_schema)
        reply = await self._send("POST", "/chat/completions/clip", body, waits=True)
        fields = Fields(reply, reply.json())
        content, reasoning = split_reasoning(fields.text_or_none("content") or "")
        apart = field_reasoning(fields.raw)
        return ReinferResult(
            id=fields.text("id"),
            model=fields.text_or_none("model") or model,
            content=content,
            finish_reason=finish_reason(fields.raw("finish_reason")),
            usage=usage(fields.raw("usage")),
            reasoning=joined_reasoning(apart, reasoning),
        )

    @coroutine
    async def health_check(self) -> StatusResponse:
        """GET /healthz: whether the server is up."""
        return _status(await self._send("GET", "/healthz"))

    async def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        idempotent: bool = True,
        waits: bool = False,
    ) -> Reply:
        # A LiveKit room's token may be in it, and frames of ours have it as a variable.
        content = None if body is None else SecretBytes(json_bytes(body))
        return await self._http.send(
            method, path, content=content, idempotent=idempotent, waits=waits
        )


# ---- answers -----------------------------------------------------------------------------------


def _status(reply: Reply) -> StatusResponse:
    if reply.status == 204:
        return StatusResponse("ok")
    return StatusResponse(Fields(reply, reply.json()).text("status"))


def _livekit(fields: Fields) -> LiveKitConnection | None:
    room = fields.object_or_none("livekit")
    return None if room is None else LiveKitConnection(room.text("url"), room.text("token"))


def _stream_created(reply: Reply) -> StreamCreateResponse:
    fields = Fields(reply, reply.json())
    lease = fields.object_or_none("lease")
    webrtc = fields.object_or_none("webrtc")
    return StreamCreateResponse(
        stream_id=fields.text("stream_id"),
        lease=None if lease is None else Lease(lease.number("ttl_seconds")),
        livekit=_livekit(fields),
        webrtc=None
        if webrtc is None
        else WebRTCAnswer(webrtc.text("sdp"), webrtc.text_or_none("type") or "answer"),
        turn_servers=tuple(_turn_server(server) for server in fields.objects("turn_servers")),
    )


def _turn_server(fields: Fields) -> TurnServer:
    return TurnServer(
        urls=fields.texts("urls"),
        username=fields.text_or_none("username"),
        credential=fields.text_or_none("credential"),
    )
