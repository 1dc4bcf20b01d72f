"""Where a server is, who we say we are there, and what of both no message may show."""

from __future__ import annotations

import base64
from typing import Final
from urllib.parse import quote, unquote, urlunsplit

from overshoot_nb._version import __version__
from overshoot_nb.errors import ValidationError
from overshoot_nb.support.notebook import warn
from overshoot_nb.support.redaction import display_url, once_made, split_url

from .endpoint import Endpoint

#: Where the embedded engine's transport is reached; the name is never resolved.
LOCAL_URLS: Final = {"chat": "http://local/v1beta", "gateway": "http://local/v0.2"}
#: What the embedded engine is told by who has no key.
LOCAL_KEY: Final = "local"
#: Shorter "keys" are stand-ins ("EMPTY", "ollama"); hiding them would only garble messages.
MIN_SECRET_CHARS: Final = 8
HIDDEN: Final = "[hidden]"
REGION_HEADER: Final = "X-Overshoot-Region"


class ServerAddress:
    """One server's URL, taken apart so that its user info and query reach no message and no log.

    Args:
        endpoint: the server and its key.

    Attributes:
        origin: scheme, host and port, as they may be shown.
        path: of the base URL, without a slash at its end.
        query: of the base URL; may be a secret.

    Raises:
        ValidationError: the URL or the key cannot be used.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        key = endpoint.key
        if key is not None and not (key.reveal().isascii() and key.reveal().isprintable()):
            raise ValidationError(
                "the API key has characters that a header cannot carry; was it copied whole?"
            )
        url = LOCAL_URLS[endpoint.surface] if endpoint.is_local else endpoint.base_url
        if not self._take_apart(url):
            # A frame that raises holds no part of the URL.
            raise ValidationError(
                f"base_url={display_url(url)!r} cannot be used: it has no host, its port is no "
                "number up to 65535, or a password in it has one of / ? # @ [ ], which are written "
                "as %2F and so on"
            )
        self._secrets = self._find_secrets()
        if key is not None and self._user_info is not None:
            warn(
                f"base_url of {self.origin} has user info, and there is an API key ({key.origin}): "
                "a request carries one of them, and that is the key; leave out the one that is not "
                "meant"
            )

    def _take_apart(self, url: str) -> bool:
        """Find the parts of the URL; False where it has no host, or no port."""
        parts = split_url(url)
        try:
            port = parts.port
        except ValueError:
            return False
        host = parts.hostname or ""
        if not host:
            return False
        host = f"[{host}]" if ":" in host else host
        netloc = host if port is None else f"{host}:{port}"
        self.origin = urlunsplit((parts.scheme, netloc, "", "", ""))
        self.path = parts.path.rstrip("/")
        self.query = parts.query
        self._user_info = (
            f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
            if parts.username or parts.password
            else None
        )
        return True

    @once_made
    def __repr__(self) -> str:
        return f"ServerAddress({self.origin}{self.path})"

    def _find_secrets(self) -> tuple[str, ...]:
        key = self._endpoint.key
        password = (self._user_info or "").partition(":")[2]
        basic = _encoded(self._user_info or "")  # what a server quotes that quotes its headers
        # Where there is no password, the name may be a token.
        password = password or unquote((self._user_info or "").partition(":")[0])
        found = {key.reveal() if key else "", password, quote(password, ""), basic, self.query}
        found |= {value.reveal() for _, value in self._endpoint.headers}
        # "Bearer ..." is quoted without its first word, too.
        found |= {value.reveal().partition(" ")[2] for _, value in self._endpoint.headers}
        return tuple(s for s in sorted(found, key=len, reverse=True) if len(s) >= MIN_SECRET_CHARS)

    @property
    def has_key(self) -> bool:
        """Whether there is an API key, or header fields that may hold one."""
        return self._endpoint.key is not None or bool(self._endpoint.headers)

    def authorization(self) -> str | None:
        """The ``Authorization`` header of every request, or None."""
        if self._endpoint.key is not None:
            return f"Bearer {self._endpoint.key.reveal()}"
        if self._endpoint.is_local:
            return f"Bearer {LOCAL_KEY}"
        if self._user_info is not None:
            return f"Basic {_encoded(self._user_info)}"
        return None

    def identity(self, region: str | None) -> list[tuple[str, str]]:
        """Header fields of every request that say who asks, and in which region."""
        fields = [("User-Agent", f"overshoot-nb/{__version__}")]
        if region is not None:
            fields.append((REGION_HEADER, region))
        if (authorization := self.authorization()) is not None:
            fields.append(("Authorization", authorization))
        if not self._endpoint.headers:
            return fields
        # What the user gave takes the place of ours.
        given = {name.lower() for name, _ in self._endpoint.headers}
        kept = [pair for pair in fields if pair[0].lower() not in given]
        return kept + [(name, value.reveal()) for name, value in self._endpoint.headers]

    def first_message(self) -> dict[str, str]:
        """What a WebSocket is told first: who asks."""
        key = self._endpoint.key
        # A server that needs no key is nearly always the embedded engine on a port.
        return {"api_key": LOCAL_KEY if key is None else key.reveal()}

    def socket_url(self, path: str) -> str:
        """Where a WebSocket of ``path`` is asked for, query included: not to be shown.

        An http(s) URL: a handshake is a request, and proxies know no other.
        """
        query = f"?{self.query}" if self.query else ""
        return f"{self.origin}{self.path}{path}{query}"

    def hide(self, text: str) -> str:
        """``text`` without the key, the password and the query."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def hide_bytes(self, body: bytes) -> bytes:
        """``body`` without the key, the password and the query."""
        for secret in self._secrets:
            body = body.replace(secret.encode(), HIDDEN.encode())
        return body


def _encoded(user_info: str) -> str:
    return base64.b64encode(user_info.encode()).decode()
