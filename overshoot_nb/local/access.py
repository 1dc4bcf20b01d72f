"""Who may ask, and whose a stream is."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from starlette.requests import Request

from overshoot_nb import config

from .refusals import ChatRefusal, Refusal, StreamRefusal


class AccessDenied(Exception):
    """The key is missing or not the right one; the message says which."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask.

    Attributes:
        required: a key must be sent.
        key: the one key that is accepted; None accepts any that is not empty.
    """

    required: bool = False
    key: str | None = field(default=None, repr=False)

    def owner_of(self, key: str) -> str:
        """Who has this key: a digest of it, so that the key itself is kept nowhere.

        Raises:
            AccessDenied: it is not accepted.
        """
        if not key.isascii():
            # It comes as other bytes in a header than in JSON, and would be two owners.
            raise AccessDenied("a key has ASCII characters only")
        if self.required or self.key is not None:
            if not key:
                raise AccessDenied("send a key in the header Authorization: Bearer <key>")
        elif key == config.LOCAL:
            # What a client without a key says where it has to say something.
            key = ""
        if self.key is not None and not hmac.compare_digest(key.encode(), self.key.encode()):
            raise AccessDenied("the API key is not valid")
        return hashlib.sha256(key.encode()).hexdigest()

    def owner(self, request: Request) -> str:
        """Who asks.

        Raises:
            Refusal: 401.
        """
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        try:
            return self.owner_of(key.strip() if scheme.casefold() == "bearer" else "")
        except AccessDenied as denied:
            raise _unauthorized(request, str(denied)) from None


def _unauthorized(request: Request, message: str) -> Refusal:
    headers = {"www-authenticate": "Bearer"}
    if is_gateway(request):
        return StreamRefusal(401, "unauthorized", message, headers=headers)
    return ChatRefusal(401, message, "invalid_api_key", "authentication_error", headers)


def is_gateway(request: Request) -> bool:
    """Whether the request is one of the v0.2 surface."""
    return request.url.path.startswith("/v0.2")
