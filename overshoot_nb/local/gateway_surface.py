"""The v0.2 surface: streams call by call, and asking again about a result's pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from overshoot_nb.errors import ValidationError
from overshoot_nb.local.gateway_stream import GatewayStream
from overshoot_nb.support.validation import check_temperature

from .access import Access
from .answering import MODELS, Question
from .catalogue import Catalogue
from .chat import parse_object, usage
from .engine import Engine
from .refusals import Invalid, Refusal, StreamRefusal
from .responding import MAX_PLAIN_BYTES, json_response, read_body, route
from .result_socket import ResultSocket
from .schema import prepare
from .stream_request import StreamRequest, check_keys, nonempty_text, request_id_of
from .streams import StreamRegistry

if TYPE_CHECKING:
    from .pictures import Picture


class GatewaySurface:
    """v0.2 over one engine and the streams of one registry."""

    def __init__(
        self, engine: Engine, registry: StreamRegistry, access: Access, catalogue: Catalogue
    ) -> None:
        self._engine = engine
        self._registry = registry
        self._access = access
        self._catalogue = catalogue

    def routes(self) -> list[BaseRoute]:
        """Its endpoints, without the prefix."""
        return [
            route("/models", self._models, "GET"),
            route("/healthz", self._healthz, "GET"),
            route("/streams", self._create, "POST"),
            route("/streams/{id}/keepalive", self._keepalive, "POST"),
            route("/streams/{id}/config/prompt", self._set_prompt, "PATCH"),
            route("/streams/{id}", self._end, "DELETE"),
            route("/streams/{id}/info", self._info, "GET"),
            route("/streams/{id}/spectate", self._spectate, "POST"),
            route("/chat/completions/clip", self._reinfer, "POST"),
            ResultSocket(self._registry, self._access).route(),
        ]

    def _stream(self, request: Request) -> GatewayStream:
        return self._registry.get(request.path_params["id"], self._access.owner(request))

    async def _models(self, request: Request) -> Response:
        self._access.owner(request)
        listed = []
        for name in self._catalogue.names:
            model = self._catalogue.resolve(name)
            assert model is not None
            status = self._engine.status(model)
            ready = status in ("ready", "degraded")
            # This surface has no word for loading: such a model answers, later.
            if status == "loading":
                status, ready = "degraded", True
            listed.append({"model": name, "ready": ready, "status": status})
        return json_response(listed)

    async def _healthz(self, request: Request) -> Response:
        self._access.owner(request)
        return json_response({"status": "ok"})

    # ---- streams -------------------------------------------------------------------------------

    async def _create(self, request: Request) -> Response:
        owner = self._access.owner(request)
        body = await read_body(request, MAX_PLAIN_BYTES)
        asked = parse_object(body)
        request_id = request_id_of(asked)
        try:
            return await self._created(asked, owner)
        except Refusal as refusal:
            refusal.request_id = request_id
            raise

    async def _created(self, asked: Mapping[str, Any], owner: str) -> Response:
        # A schema is checked in there, which takes its time.
        wanted = await asyncio.to_thread(StreamRequest.parse, asked, self._catalogue)
        stream = self._registry.create(wanted, owner)
        created: dict[str, Any] = {
            "stream_id": stream.id,
            "lease": {"ttl_seconds": self._registry.lease_seconds},
            # Native media goes through a LiveKit room, and there is no LiveKit server here.
            "livekit": None,
        }
        if wanted.sdp is not None:
            if "text" in MODELS[wanted.model]:
                # While the connection comes about.
                self._engine.preload()
            answer = await self._registry.connect(stream, self._engine)
            created["webrtc"] = {"type": "answer", "sdp": answer}
            created["turn_servers"] = []
        return json_response(created, 201)

    async def _keepalive(self, request: Request) -> Response:
        owner = self._access.owner(request)
        return json_response(self._registry.keepalive(request.path_params["id"], owner))

    async def _set_prompt(self, request: Request) -> Response:
        owner = self._access.owner(request)
        self._stream(request)
        body = parse_object(await read_body(request, MAX_PLAIN_BYTES))
        check_keys(body, ("prompt",), "body")
        prompt = nonempty_text(body.get("prompt"), "prompt")
        stream = self._registry.set_prompt(request.path_params["id"], owner, prompt)
        wanted = stream.request
        return json_response(
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

    async def _end(self, request: Request) -> Response:
        owner = self._access.owner(request)
        if self._registry.end(request.path_params["id"], owner):
            return json_response({"status": "ok"})
        return Response(status_code=204)

    async def _info(self, request: Request) -> Response:
        stream = self._stream(request)
        return json_response(
            {
                "stream_id": stream.id,
                "source_type": stream.request.source_type,
                "state": stream.state,
                "uptime_seconds": round(self._registry.uptime(stream), 3),
                **stream.facts(),
            }
        )

    async def _spectate(self, request: Request) -> Response:
        self._stream(request)
        raise StreamRefusal(
            400,
            "spectate_unavailable",
            "the local engine has no LiveKit server, so there is no room to look into",
        )

    # ---- asking again --------------------------------------------------------------------------

    async def _reinfer(self, request: Request) -> Response:
        owner = self._access.owner(request)
        body = await read_body(request, MAX_PLAIN_BYTES)
        result_id, question = await asyncio.to_thread(
            lambda: self._reinfer_request(parse_object(body))
        )
        jpegs = self._registry.clips.get(result_id, owner)
        if jpegs is None:
            raise StreamRefusal(
                404, "clip_not_found", f"no clip is stored for the result {result_id!r}"
            )

        async def gone() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass

        answer = await self._engine.ask(lambda: (question, _decoded(jpegs)), gone)
        return json_response(
            {
                "id": f"reinfer-{uuid4().hex}",
                "model": question.model,
                "content": answer.content,
                "finish_reason": answer.finish_reason,
                "usage": usage(answer),
            }
        )

    def _reinfer_request(self, body: dict[str, Any]) -> tuple[str, Question]:
        allowed = ("result_id", "prompt", "model", "temperature", "max_tokens", "output_schema")
        check_keys(body, allowed, "body")
        result_id, prompt, name = (
            nonempty_text(body.get(key), key) for key in ("result_id", "prompt", "model")
        )
        model = self._catalogue.resolve(name)
        if model is None:
            raise Invalid(self._catalogue.unknown(name), "body.model")
        schema = body.get("output_schema")
        if schema is not None:
            prepare(schema, "body.output_schema")
        if body.get("temperature") is not None:
            # The models measure: the same pictures give the same answer at any temperature.
            try:
                check_temperature(body["temperature"])
            except ValidationError as error:
                raise Invalid(error.message, "body.temperature") from None
        limit = body.get("max_tokens")
        if limit is not None and (
            isinstance(limit, bool) or not isinstance(limit, int) or limit < 1
        ):
            raise Invalid("max_tokens must be an integer of at least 1", "body.max_tokens")
        return result_id, Question(model, prompt, schema, max_tokens=limit)


def _decoded(jpegs: Sequence[bytes]) -> list[Picture]:
    import simplejpeg

    return [simplejpeg.decode_jpeg(jpeg, "RGB") for jpeg in jpegs]
