"""The Starlette app: v1beta (also as /v1) and the HTTP half of v0.2 over one engine."""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from .answering import MODELS
from .chat import completion, parse, parse_object, unknown_model
from .engine import ClientGone, Engine
from .refusals import ChatRefusal, Invalid, Refusal, StreamRefusal
from .schema import prepare
from .stream_request import StreamRequest, check_keys, nonempty_text
from .streams import GatewayStream, StreamRegistry

__all__ = ["MAX_BODY_BYTES", "Access", "build_app"]

logger = logging.getLogger("overshoot_nb.local")

#: The largest body that is read.
MAX_BODY_BYTES = 20 * 1024 * 1024

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask.

    Attributes:
        required: a bearer key must be sent.
        key: the one key that is accepted; None accepts any that is not empty.
    """

    required: bool = False
    key: str | None = field(default=None, repr=False)

    def owner(self, request: Request) -> str:
        """Who asks: a digest of the key, so that the key itself is kept nowhere.

        Raises:
            Refusal: 401.
        """
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        key = key.strip() if scheme.casefold() == "bearer" else ""
        if (self.required or self.key is not None) and not key:
            raise self._denied(request, "send a key in the header Authorization: Bearer <key>")
        if self.key is not None and not hmac.compare_digest(key.encode(), self.key.encode()):
            raise self._denied(request, "the API key is not valid")
        return hashlib.sha256(key.encode()).hexdigest()

    @staticmethod
    def _denied(request: Request, message: str) -> Refusal:
        headers = {"www-authenticate": "Bearer"}
        if _is_gateway(request):
            return StreamRefusal(401, "unauthorized", message, headers=headers)
        return ChatRefusal(401, message, "invalid_api_key", "authentication_error", headers)


def build_app(engine: Engine, registry: StreamRegistry, access: Access) -> Starlette:
    """The whole service as one ASGI app. It starts nothing and holds no event loop."""
    chat = _ChatSurface(engine, access)
    gateway = _GatewaySurface(engine, registry, access)
    app = Starlette(
        routes=[
            Mount("/v1beta", routes=chat.routes()),
            Mount("/v1", routes=chat.routes()),
            Mount("/v0.2", routes=gateway.routes()),
        ],
        exception_handlers={HTTPException: _not_routed},
    )
    # Built now, because several event loops may bring their first request at once.
    app.middleware_stack = app.build_middleware_stack()
    return app


# ---- common to both surfaces -------------------------------------------------------------------


def _is_gateway(request: Request) -> bool:
    return request.url.path.startswith("/v0.2")


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, "application/json")


def _answering(endpoint: Endpoint) -> Endpoint:
    """An endpoint whose refusals become error bodies, and whose faults become a logged 500."""

    async def answered(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Refusal as refusal:
            return _json(refusal.body(), refusal.status, refusal.headers)
        except (ClientGone, ClientDisconnect):
            return Response(status_code=499)  # nobody reads it
        except Exception as error:
            logger.exception("the local engine failed")
            message = f"the local engine failed: {type(error).__name__}"
            fault: Refusal = (
                StreamRefusal(500, "internal_error", message)
                if _is_gateway(request)
                else ChatRefusal(500, message, "internal_error", "server_error")
            )
            return _json(fault.body(), fault.status)

    return answered


def _route(path: str, endpoint: Endpoint, method: str) -> Route:
    return Route(path, _answering(endpoint), methods=[method])


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{error.detail}: {request.method} {request.url.path}"
    headers = dict(error.headers or {})
    if _is_gateway(request):
        kind = "not_found" if error.status_code == 404 else "method_not_allowed"
        body = StreamRefusal(error.status_code, kind, message).body()
    else:
        body = {"detail": message}
    return _json(body, error.status_code, headers)


async def _body(request: Request) -> bytes:
    """The whole body; of one chunk, as in-process, without a copy.

    Raises:
        Refusal: 413 when it is larger than `MAX_BODY_BYTES`.
    """
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise Invalid(
                f"the body is larger than {MAX_BODY_BYTES // 1024 // 1024} MiB", status=413
            )
        if chunk:
            chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


# ---- v1beta ------------------------------------------------------------------------------------


class _ChatSurface:
    def __init__(self, engine: Engine, access: Access) -> None:
        self._engine = engine
        self._access = access
        self._created = int(time.time())

    def routes(self) -> list[Route]:
        return [
            _route("/models", self.models, "GET"),
            _route("/models/{model:path}", self.model, "GET"),
            _route("/chat/completions", self.complete, "POST"),
        ]

    def _described(self, model: str) -> dict[str, Any]:
        # This surface has no word for a full queue.
        status = self._engine.status(model)
        return {
            "id": model,
            "object": "model",
            "created": self._created,
            "owned_by": "overshoot-nb",
            "status": "ready" if status == "saturated" else status,
        }

    async def models(self, _request: Request) -> Response:
        return _json({"object": "list", "data": [self._described(model) for model in MODELS]})

    async def model(self, request: Request) -> Response:
        model = request.path_params["model"]
        if model not in MODELS:
            raise ChatRefusal(404, unknown_model(model), "model_unavailable", param="model")
        return _json(self._described(model))

    async def complete(self, request: Request) -> Response:
        self._access.owner(request)
        body = await _body(request)
        model = ""

        def parsed() -> Any:
            nonlocal model
            question, attachments = parse(body)
            model = question.model
            return question, attachments

        async def gone() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass

        answer = await self._engine.ask(parsed, gone)
        return _json(completion(model, answer))


# ---- v0.2 --------------------------------------------------------------------------------------


class _GatewaySurface:
    def __init__(self, engine: Engine, registry: StreamRegistry, access: Access) -> None:
        self._engine = engine
        self._registry = registry
        self._access = access

    def routes(self) -> list[Route]:
        return [
            _route("/models", self.models, "GET"),
            _route("/healthz", self.healthz, "GET"),
            _route("/streams", self.create, "POST"),
            _route("/streams/{id}/keepalive", self.keepalive, "POST"),
            _route("/streams/{id}/config/prompt", self.set_prompt, "PATCH"),
            _route("/streams/{id}", self.close, "DELETE"),
            _route("/streams/{id}/info", self.info, "GET"),
            _route("/streams/{id}/spectate", self.spectate, "POST"),
            _route("/chat/completions/clip", self.reinfer, "POST"),
        ]

    def _stream(self, request: Request) -> GatewayStream:
        return self._registry.get(request.path_params["id"], self._access.owner(request))

    async def models(self, request: Request) -> Response:
        self._access.owner(request)
        listed = []
        for model in MODELS:
            status = self._engine.status(model)
            ready = status in ("ready", "degraded")
            # This surface has no word for loading: such a model answers, later.
            if status == "loading":
                status, ready = "degraded", True
            listed.append({"model": model, "ready": ready, "status": status})
        return _json(listed)

    async def healthz(self, request: Request) -> Response:
        self._access.owner(request)
        return _json({"status": "ok"})

    async def create(self, request: Request) -> Response:
        owner = self._access.owner(request)
        wanted = StreamRequest.parse(parse_object(await _body(request)))
        stream = self._registry.create(wanted, owner)
        lease = {"ttl_seconds": self._registry.lease_seconds}
        # Native media goes through a LiveKit room, and there is no LiveKit server here.
        return _json({"stream_id": stream.id, "lease": lease, "livekit": None}, 201)

    async def keepalive(self, request: Request) -> Response:
        owner = self._access.owner(request)
        return _json(self._registry.keepalive(request.path_params["id"], owner))

    async def set_prompt(self, request: Request) -> Response:
        owner = self._access.owner(request)
        self._stream(request)
        body = parse_object(await _body(request))
        check_keys(body, ("prompt",), "body")
        prompt = nonempty_text(body.get("prompt"), "prompt")
        stream = self._registry.set_prompt(request.path_params["id"], owner, prompt)
        wanted = stream.request
        return _json(
            {
                "id": stream.config_id,
                "stream_id": stream.id,
                "prompt": wanted.prompt,
                "backend": wanted.backend,
                "model": wanted.model,
                "output_schema_json": wanted.output_schema_json,
                "created_at": stream.created_at.isoformat(),
                "updated_at": stream.updated_at.isoformat(),
            }
        )

    async def close(self, request: Request) -> Response:
        owner = self._access.owner(request)
        if self._registry.close(request.path_params["id"], owner):
            return _json({"status": "ok"})
        return Response(status_code=204)

    async def info(self, request: Request) -> Response:
        stream = self._stream(request)
        return _json(
            {
                "stream_id": stream.id,
                "source_type": stream.request.source_type,
                "state": stream.state,
                "uptime_seconds": round(self._registry.uptime(stream), 3),
                # A pending stream has no picture and no inference yet.
                "fps": None,
                "frame_width": None,
                "frame_height": None,
                "effective_width": None,
                "effective_height": None,
                "inferences_completed": 0,
                "inferences_failed": 0,
                "last_inference_latency_seconds": None,
            }
        )

    async def spectate(self, request: Request) -> Response:
        self._stream(request)
        raise StreamRefusal(
            400,
            "spectate_unavailable",
            "the local engine has no LiveKit server, so there is no room to look into",
        )

    async def reinfer(self, request: Request) -> Response:
        self._access.owner(request)
        body = parse_object(await _body(request))
        allowed = ("result_id", "prompt", "model", "temperature", "max_tokens", "output_schema")
        check_keys(body, allowed, "body")
        for name in ("result_id", "prompt", "model"):
            nonempty_text(body.get(name), name)
        if body["model"] not in MODELS:
            raise Invalid(unknown_model(body["model"]), "body.model")
        if body.get("output_schema") is not None:
            prepare(body["output_schema"], "body.output_schema")
        raise StreamRefusal(
            404, "clip_not_found", f"no clip is stored for the result {body['result_id']!r}"
        )
