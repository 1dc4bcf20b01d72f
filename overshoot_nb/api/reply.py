"""A successful answer, before anybody has looked into it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from overshoot_nb.errors import ServerError

__all__ = ["Promise", "Reply"]


class Promise(Protocol):
    """Something received that should be what the API promises."""

    def nonsense(self, what: str) -> ServerError:
        """The error for it when it is not."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer.

    Attributes:
        call: method and path, for messages.
        status: the HTTP status, 200..299.
        content: the body.
        request_id: the ``x-request-id`` header, or None.
        attempts: tries that it took.
    """

    call: str
    status: int
    content: bytes = field(repr=False)
    request_id: str | None
    attempts: int

    def json(self) -> Any:
        """The body parsed as JSON.

        Raises:
            ServerError: it is not JSON.
        """
        try:
            return orjson.loads(self.content)
        except orjson.JSONDecodeError as error:
            what = "is empty" if not self.content.strip() else f"is not JSON ({error})"
            raise self.nonsense(f"the answer's body {what}") from None

    def nonsense(self, what: str) -> ServerError:
        """The error for an answer that is not what the API promises."""
        return ServerError(f"{self.call}: {what}", self.status, self.request_id)
