"""Every way in which the engine says no, and the three envelopes it says it in.

The service answers errors in three shapes, and so does the engine:

- chat: ``{"detail": {"error": {"message", "type", "code"}}}``
- validation: ``{"error": "validation_error", "message", "details"}``
- streams (v0.2): ``{"error", "message", "request_id", "details"}``
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

__all__ = ["ChatRefusal", "FeedOver", "Invalid", "Refusal", "StreamRefusal", "Unsupported"]


class Refusal(Exception):
    """A request that is answered with an error.

    Attributes:
        status: HTTP status.
        headers: extra response headers, e.g. ``retry-after``.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The JSON body of the error."""
        return {"detail": self.message}


class Invalid(Refusal):
    """A request that is not well formed: a wrong type, an unknown key, a value out of range."""

    def __init__(self, message: str, where: str = "body", status: int = 422) -> None:
        super().__init__(status, message)
        self.where = where

    def body(self) -> dict[str, Any]:
        return {
            "error": "validation_error",
            "message": self.message,
            "details": [{"loc": self.where.split("."), "msg": self.message}],
        }


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
        body = {"error": self.error, "message": self.message, "request_id": uuid4().hex}
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
