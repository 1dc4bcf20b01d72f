"""What the endpoints of both surfaces share: bodies in, answers and refusals out."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from .access import is_gateway
from .engine import ClientGone
from .refusals import ChatRefusal, Invalid, Refusal, StreamRefusal

logger = logging.getLogger("overshoot_nb.local")

#: The largest body that is read, and the largest without pictures: nothing else of the process
#: goes on while JSON is parsed.
MAX_BODY_BYTES = 20 * 1024 * 1024
MAX_PLAIN_BYTES = 1024 * 1024

Endpoint = Callable[[Request], Awaitable[Response]]


def json_response(
    content: Any, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """An answer in JSON."""
    return Response(orjson.dumps(content), status, headers, "application/json")


def route(path: str, endpoint: Endpoint, method: str) -> Route:
    """A route whose refusals become error bodies, and whose faults become a logged 500."""

    async def answered(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Refusal as refusal:
            told = _as_gateway_says(refusal) if is_gateway(request) else refusal
            return json_response(body_of(told, request), told.status, told.headers)
        except (ClientGone, ClientDisconnect):
            return Response(status_code=499)  # nobody reads it
        except Exception as error:
            logger.exception("the local engine failed")
            message = f"the local engine failed: {type(error).__name__}"
            fault: Refusal = (
                StreamRefusal(500, "internal_error", message)
                if is_gateway(request)
                else ChatRefusal(500, message, "internal_error", "server_error")
            )
            return json_response(body_of(fault, request), fault.status)

    return Route(path, answered, methods=[method])


def body_of(refusal: Refusal, request: Request) -> dict[str, Any]:
    """The body of a refusal, as the surface that was asked has it."""
    return refusal.body() if is_gateway(request) else refusal.chat_body()


def _as_gateway_says(refusal: Refusal) -> Refusal:
    """The engine refuses in chat's words; v0.2 has an envelope of its own."""
    if not isinstance(refusal, ChatRefusal):
        return refusal
    told = StreamRefusal(
        refusal.status,
        refusal.code,
        refusal.message,
        details=refusal.more or None,
        headers=refusal.headers,
    )
    told.request_id = refusal.request_id
    return told


async def not_routed(request: Request, error: Exception) -> Response:
    """The answer where no endpoint is."""
    assert isinstance(error, HTTPException)
    message = f"{error.detail}: {request.method} {request.url.path}"
    headers = dict(error.headers or {})
    code = "not_found" if error.status_code == 404 else "method_not_allowed"
    refusal = (
        StreamRefusal(error.status_code, code, message)
        if is_gateway(request)
        else Refusal(error.status_code, message)
    )
    refusal.code = code
    return json_response(body_of(refusal, request), error.status_code, headers)


async def read_body(request: Request, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """The whole body; of one chunk, as in-process, without a copy.

    Raises:
        Refusal: 413 when it is larger than ``max_bytes``.
    """
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise Invalid(f"the body is larger than {max_bytes // 1024 // 1024} MiB", status=413)
        if chunk:
            chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
