"""Every way in which the engine says no, and the three envelopes it says it in.

The service answers errors in three shapes, and so does the engine:

- chat: ``{"detail": {"error": {"message", "type", "code"}}}``
- validation: ``{"error": "validation_error", "message", "details"}``
- streams (v0.2): ``{"error", "message", "request_id", "details"}``

Those of chat have ``error.message`` at the top as well, which is where OpenAI's clients look.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4


class Refusal(Exception):
    """A request that is answered with an error.

    Attributes:
        status: HTTP status.
        headers: extra response headers, e.g. ``retry-after``.
        code, kind: ``code`` and ``type`` of the error, as OpenAI's clients read them.
        request_id: what the client called its request, or None.
    """

    code = "error"
    kind = "invalid_request_error"
    request_id: str | None = None

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The JSON body of the error."""
        return {"detail": self.message}

    def chat_body(self) -> dict[str, Any]:
        """The same with what OpenAI's clients show: ``error.message``."""
        error = {"message": self.message, "type": self.kind, "code": self.code, "param": None}
        return {**self.body(), "error": error}


class Invalid(Refusal):
    """A request that is not well formed: a wrong type, an unknown key, a value out of range."""

    code = "validation_error"

    def __init__(self, message: str, where: str = "body", status: int = 422) -> None:
        super().__init__(status, message)
        self.where = where

    def body(self) -> dict[str, Any]:
        return {
            "error": "validation_error",
            "message": self.message,
            "details": [{"loc": self.where.split("."), "msg": self.message}],
            **({} if self.request_id is None else {"request_id": self.request_id}),
        }

    def chat_body(self) -> dict[str, Any]:
        body = super().chat_body()
        body["error"] |= {"param": self.where.removeprefix("body."), "details": body["details"]}
        return body


class ChatRefusal(Refusal):
    """A well-formed chat request that cannot be answered, with one of the service's codes."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str,
        kind: str = "invalid_request_error",
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(status, message, headers)
        self.code = code
        self.kind = kind
        self.more = more

    def body(self) -> dict[str, Any]:
        return {
            "detail": {
                "error": {
                    "message": self.message,
                    "type": self.kind,
                    "code": self.code,
                    **self.more,
                }
            }
        }

    def chat_body(self) -> dict[str, Any]:
        body = self.body()
        return {**body, "error": {"param": None, **body["detail"]["error"]}}


class Unsupported(ChatRefusal):
    """What was asked is beyond the local models; the message names what they can do."""

    def __init__(self, message: str, **more: Any) -> None:
        super().__init__(422, message, "unsupported_by_local_model", **more)


class StreamRefusal(Refusal):
    """A v0.2 stream call that cannot be carried out."""

    def __init__(
        self,
        status: int,
        error: str,
        message: str,
        details: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.error = error
        self.details = details

    def body(self) -> dict[str, Any]:
        request_id = self.request_id or uuid4().hex
        body = {"error": self.error, "message": self.message, "request_id": request_id}
        return body | ({"details": self.details} if self.details is not None else {})


class FeedOver(Exception):
    """No more results come over this WebSocket.

    Attributes:
        code, reason: what it is closed with.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason
