"""The v1beta surface (also served as /v1): models and chat completions."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .access import Access
from .catalogue import Catalogue
from .chat import chunks, completion, parse_object, parse_question, streaming
from .engine import Engine
from .refusals import ChatRefusal
from .responding import json_response, read_body, route


class ChatSurface:
    """Chat completions over one engine."""

    def __init__(self, engine: Engine, access: Access, catalogue: Catalogue) -> None:
        self._engine = engine
        self._access = access
        self._catalogue = catalogue
        self._created = int(time.time())

    def routes(self) -> list[Route]:
        """Its endpoints, without the prefix."""
        return [
            route("/models", self._models, "GET"),
            route("/models/{model:path}", self._model, "GET"),
            route("/chat/completions", self._complete, "POST"),
        ]

    def _described(self, name: str, model: str) -> dict[str, Any]:
        # This surface has no word for a full queue.
        status = self._engine.status(model)
        return {
            "id": name,
            "object": "model",
            "created": self._created,
            "owned_by": "overshoot-nb",
            "status": "ready" if status == "saturated" else status,
        }

    async def _models(self, _request: Request) -> Response:
        listed = [
            self._described(name, model)
            for name in self._catalogue.names
            if (model := self._catalogue.resolve(name)) is not None
        ]
        return json_response({"object": "list", "data": listed})

    async def _model(self, request: Request) -> Response:
        name = request.path_params["model"]
        model = self._catalogue.resolve(name)
        if model is None:
            message = self._catalogue.unknown(name)
            raise ChatRefusal(404, message, "model_unavailable", param="model")
        return json_response(self._described(name, model))

    async def _complete(self, request: Request) -> Response:
        self._access.owner(request)
        body = await read_body(request)
        model = ""
        streamed = with_usage = False

        def parsed() -> Any:
            nonlocal model, streamed, with_usage
            asked = parse_object(body)
            streamed, with_usage = streaming(asked)
            question, attachments = parse_question(asked, self._catalogue)
            model = question.model
            return question, attachments

        async def gone() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass

        answer = await self._engine.ask(parsed, gone)
        if streamed:
            # No status but 200 can follow the first event: what is refused was refused by now.
            events = chunks(model, answer, with_usage=with_usage)
            headers = {"cache-control": "no-cache"}
            return Response(b"".join(events), 200, headers, "text/event-stream")
        return json_response(completion(model, answer))
