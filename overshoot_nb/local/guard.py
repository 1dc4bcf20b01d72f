"""Which requests reach a served engine at all: by host, by page, by what a body says it is.

A browser does what any page tells it to, on this machine's loopback too. A page elsewhere that
has its own name point to 127.0.0.1 would be of the engine's own origin: so the Host must be a name
that the engine is known by. WebSockets are open to every page: so the Origin is checked. And what
a page may send without asking first is no JSON: so that must be said.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from ipaddress import ip_address
from typing import Any

import orjson
from starlette.responses import Response

from overshoot_nb.errors import ValidationError

from .refusals import ChatRefusal, Refusal, StreamRefusal

logger = logging.getLogger("overshoot_nb.local")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^\s/\\@?#:,\[\]]+)(?::(\d{0,5}))?")
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^\s/\\@?#,]+)")
_JSON = re.compile(r"application/(?:[\w.!#$&^-]+\+)?json")
_DEFAULT_PORTS = {"http": "80", "https": "443"}

#: What a page may read of an answer besides its body.
_EXPOSED = b"retry-after, www-authenticate"
_METHODS = "GET, POST, PATCH, DELETE"
#: Seconds for which a browser need not ask again.
_MAX_AGE = "600"
#: Letters of a header that are told.
_SHOWN = 80


def host_of(authority: str) -> str | None:
    """The name or address of ``host:port``, in small letters; None where it is no such thing."""
    match = _AUTHORITY.fullmatch(authority.strip().casefold())
    return None if match is None else match[1].strip("[]").removesuffix(".")


def is_loopback_name(host: str) -> bool:
    """Whether a name or address of a URL is this machine's loopback."""
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def named_host(name: str) -> str:
    """A host that somebody names, as it is compared.

    Raises:
        ValidationError: it is no host.
    """
    host = host_of(name if name.count(":") < 2 or name.startswith("[") else f"[{name}]")
    try:
        host = host and host.encode("idna" if not host.isascii() else "ascii").decode()
    except UnicodeError:
        host = None
    if not host or "*" in host:
        raise ValidationError(
            f"allowed host {name!r} is not valid: it must be a name or an address such as "
            "lab.example.org, without http:// and without *"
        )
    return host


def named_origin(origin: str, *, key: bool) -> str:
    """An origin that somebody names, as browsers write it.

    Args:
        origin: such as ``https://lab.example.org``; ``*`` is every page.
        key: whether clients need a certain key.

    Raises:
        ValidationError: it is no origin, or every page in spite of a key.
    """
    if origin.strip() == "*":
        if key:
            raise ValidationError(
                "allowed origin '*' is every page there is, which does not go with a key: name "
                "the pages' origins, such as https://lab.example.org"
            )
        return "*"
    plain = _plain_origin(origin.strip().removesuffix("/"))
    if plain is None or "*" in plain:
        raise ValidationError(
            f"allowed origin {origin!r} is not valid: it must be a scheme and a host, such as "
            "https://lab.example.org or http://localhost:3000"
        )
    return plain


def _plain_origin(origin: str) -> str | None:
    match = _ORIGIN.fullmatch(origin.casefold())
    if match is None:
        return None
    scheme, authority = match.groups()
    return f"{scheme}://{authority.removesuffix(':' + _DEFAULT_PORTS.get(scheme, '-'))}"


class Guard:
    """An ASGI app before another one, which lets through what may come.

    Args:
        app: the other one.
        hosts: names and addresses that a Host may have (`named_host`), besides the loopback and
            the address that was reached.
        origins: whose pages may ask and read the answers (`named_origin`). Pages of the same
            host, whatever its port, may ask, and read what their browser lets them.
    """

    def __init__(self, app: App, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        self.app = app
        self._hosts = frozenset(hosts)
        self._origins = frozenset(origins)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it: 403, or 415 where its body is no JSON."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        found: dict[bytes, list[str]] = {}
        for name, value in scope["headers"]:
            found.setdefault(name, []).append(value.decode("latin-1"))
        origins = found.get(b"origin", [])
        named = len(origins) == 1 and self._is_named(origins[0])
        if scope["type"] == "http" and self._origins:
            send = _with_headers(send, _cors(origins[0]) if named else [(b"vary", b"origin")])
        refusal = self._refusal(scope, found, named)
        if refusal is not None:
            await _refuse(refusal, scope, receive, send)
        elif named and _is_preflight(scope, found):
            await Response(status_code=204, headers=_preflight(found))(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _refusal(
        self, scope: MutableMapping[str, Any], found: dict[bytes, list[str]], named: bool
    ) -> Refusal | None:
        hosts = found.get(b"host", [])
        host = host_of(hosts[0]) if len(hosts) == 1 else None
        if host is None or not self._is_ours(host, scope):
            said = "no Host" if not hosts else f"the Host {_shown(hosts[-1])}"
            return _refusal(
                scope,
                403,
                f"the request has {said}, which is not one of this server's names; it is asked as "
                "localhost, or by a name given with --allow-host",
            )
        for origin in found.get(b"origin", []):
            if not named and not _is_of(origin, host):
                return _refusal(
                    scope,
                    403,
                    f"pages of {_shown(origin)} may not ask this server; their origin can be "
                    "given with --allow-origin",
                )
        if scope["type"] == "http" and scope["method"] in ("POST", "PUT", "PATCH"):
            types = found.get(b"content-type", [])
            if _has_body(found) and not (types and all(map(_is_json, types))):
                said = f"not {_shown(types[0])}" if types else "and none was sent"
                return _refusal(
                    scope, 415, f"the header Content-Type must be application/json, {said}"
                )
        return None

    def _is_named(self, origin: str) -> bool:
        return "*" in self._origins or _plain_origin(origin) in self._origins

    def _is_ours(self, host: str, scope: MutableMapping[str, Any]) -> bool:
        if is_loopback_name(host) or host in self._hosts:
            return True
        reached = scope.get("server")
        try:
            # No other machine's name leads a browser to write an address.
            return reached is not None and ip_address(host) == ip_address(reached[0])
        except ValueError:
            return False


def _is_of(origin: str, host: str) -> bool:
    """Whether a page is of the same host; all names of the loopback are one."""
    match = _ORIGIN.fullmatch(origin.casefold())
    if match is None or match[1] not in _DEFAULT_PORTS:
        return False
    of = host_of(match[2])
    return of is not None and (of == host or (is_loopback_name(of) and is_loopback_name(host)))


def _has_body(found: dict[bytes, list[str]]) -> bool:
    lengths = found.get(b"content-length", [])
    return b"transfer-encoding" in found or any(length.strip("0 ") for length in lengths)


def _is_json(content_type: str) -> bool:
    return _JSON.fullmatch(content_type.partition(";")[0].strip().casefold()) is not None


def _is_preflight(scope: MutableMapping[str, Any], found: dict[bytes, list[str]]) -> bool:
    asks = b"access-control-request-method" in found
    return scope["type"] == "http" and scope["method"] == "OPTIONS" and asks


def _cors(origin: str) -> list[tuple[bytes, bytes]]:
    """The page's own origin, never ``*``: with that, browsers send no credentials."""
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", _EXPOSED),
        (b"vary", b"origin"),
    ]


def _preflight(found: dict[bytes, list[str]]) -> dict[str, str]:
    asked = ", ".join(found.get(b"access-control-request-headers", []))
    headers = {
        "access-control-allow-methods": _METHODS,
        "access-control-allow-headers": asked or "authorization, content-type",
        "access-control-max-age": _MAX_AGE,
    }
    if b"access-control-request-private-network" in found:
        headers["access-control-allow-private-network"] = "true"
    return headers


def _with_headers(send: Send, more: list[tuple[bytes, bytes]]) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *more]
        await send(message)

    return sent


def _refusal(scope: MutableMapping[str, Any], status: int, message: str) -> Refusal:
    code = "forbidden" if status == 403 else "unsupported_media_type"
    if scope["path"].startswith("/v0.2"):
        return StreamRefusal(status, code, message)
    kind = "permission_error" if status == 403 else "invalid_request_error"
    return ChatRefusal(status, message, code, kind)


async def _refuse(
    refusal: Refusal, scope: MutableMapping[str, Any], receive: Receive, send: Send
) -> None:
    if scope["type"] == "websocket":
        # Answered 403. No browser shows a page more, and uvicorn before 0.54 garbles it.
        logger.info("a WebSocket was refused: %s", refusal.message)
        await send({"type": "websocket.close", "code": 1008, "reason": "not allowed"})
        return
    chat = not isinstance(refusal, StreamRefusal)
    body = refusal.chat_body() if chat else refusal.body()
    answer = Response(orjson.dumps(body), refusal.status, media_type="application/json")
    await answer(scope, receive, send)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")
