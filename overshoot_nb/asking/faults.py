"""The one map from statuses, error bodies and broken connections to the errors of the package."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson

from overshoot_nb.errors import (
    ApiError,
    AuthenticationError,
    InsufficientCreditsError,
    NetworkError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    ValidationError,
)

from .address import ServerAddress
from .reply import markup_title, read_json
from .retry import Fault
from .retry_after import stated_wait, wait_in_body
from .route import Proxy

#: Statuses with a class of their own. Other 4xx are plain ``ApiError``, the rest ``ServerError``.
STATUS_ERRORS: Mapping[int, type[ApiError]] = MappingProxyType(
    {
        400: ValidationError,
        401: AuthenticationError,
        402: InsufficientCreditsError,
        403: PermissionDeniedError,
        404: NotFoundError,
        410: NotFoundError,
        422: ValidationError,
        429: RateLimitError,
    }
)

MAX_MESSAGE_CHARS = 500
# Enough to find a proxy's title, and a bound on the work for a hostile page.
MAX_TEXT_CHARS = 8_192
MAX_LISTED_ISSUES = 5
#: Of what somebody else's server said, which may itself be an envelope, and of its words.
MAX_QUOTED_CHARS = 65_536
MAX_UPSTREAM_CHARS = 300

#: Codes of a 429 that no waiting helps.
_SPENT_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
#: Overshoot's, OpenRouter's (also of a moderation), Azure's and LiteLLM's places for them.
_UPSTREAM_WORDS = (
    ("upstream", "body"),
    ("upstream", "message"),
    ("metadata", "raw"),
    ("metadata", "reasons"),
    ("innererror", "message"),
    ("provider_specific_fields", "message"),
)


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an error body says, whichever of the known envelopes it came in."""

    message: str | None = None
    code: str | None = None
    request_id: str | None = None
    details: Any = None


def error_class(status: int) -> type[ApiError]:
    """The class of error for an HTTP status that is not a success."""
    if (known := STATUS_ERRORS.get(status)) is not None:
        return known
    # Below 400 is neither an answer nor an error of ours: a redirect, or nonsense.
    return ApiError if 400 <= status < 500 else ServerError


def make_error(
    status: int,
    message: str,
    request_id: str | None = None,
    details: Any = None,
    retry_after: float | None = None,
) -> ApiError:
    """The error for ``status``, of the class that the map says."""
    cls = error_class(status)
    if issubclass(cls, RateLimitError):
        return cls(message, status, request_id, details, retry_after)
    return cls(message, status, request_id, details)


# ---- failed tries ------------------------------------------------------------------------------


def connection_fault(
    address: ServerAddress,
    call: str,
    error: Exception,
    proxy: Proxy | None = None,
    uds: str | None = None,
) -> Fault:
    """A try that brought no whole answer, from the transport's error."""
    # It brings aiohttp: only who made a request needs it.
    from .connection import (
        describe,
        is_certificate_error,
        is_proxy_error,
        is_tls_error,
        never_connected,
    )

    unconnected = never_connected(error)
    verb = "could not connect to" if unconnected else "lost the connection to"
    reason = address.hide(describe(error))
    where = address.origin
    if proxy is not None and getattr(error.__cause__ or error.__context__, "status", 0) == 407:
        return proxy_fault(address, call, proxy)
    if proxy is not None and is_tls_error(error):
        # It may be the certificate of either.
        where = f"{where} (by way of the proxy {proxy.host}, {proxy.variable})"
    elif proxy is not None and (unconnected or is_proxy_error(error)):
        # Nothing else is connected to, nor any other name looked up.
        reason = _without_auth(proxy, reason)
        where = _proxy_in_words(address, proxy)
    elif uds is not None and unconnected:
        where = f"the unix socket {uds}, on which {where} is asked"
    return Fault(
        NetworkError(f"{call}: {verb} {where}: {reason}"),
        reached_server=not unconnected,
        transient=not is_certificate_error(error),
    )


def proxy_fault(address: ServerAddress, call: str, proxy: Proxy) -> Fault:
    """A try that the proxy itself refused (407)."""
    where = _proxy_in_words(address, proxy)
    wants = "refuses the user name and password" if proxy.auth else "wants a user name and password"
    return Fault(
        NetworkError(
            f"{call}: {where}, {wants} (HTTP 407): they go into {proxy.variable} as "
            "http://name:password@host:port"
        ),
        transient=False,
    )


def _proxy_in_words(address: ServerAddress, proxy: Proxy) -> str:
    return f"the proxy {proxy.host} ({proxy.variable}), by which {address.origin} is asked"


def _without_auth(proxy: Proxy, text: str) -> str:
    for secret in proxy.auth or ():
        text = text.replace(secret, "[hidden]") if secret else text
    return text


def answer_fault(
    address: ServerAddress, call: str, status: int, headers: Mapping[str, str], body: bytes
) -> Fault:
    """A try that was answered with anything but a success.

    Args:
        address: the server; its secrets are hidden in what it said.
        call: method and path, for the message.
        status: the HTTP status.
        headers: of the answer, their names in any case.
        body: of the answer.
    """
    said = read_error_body(address.hide_bytes(body))
    wait = stated_wait(headers, limited=status == 429)
    if wait is None and status in (429, 503):
        wait = wait_in_body(said.details, limited=status == 429)
    if 300 <= status < 400:
        # Following it could carry the key to another host.
        target = _shown_location(headers.get("location"))
        message = f"the server redirects to {target}, which is not followed; is base_url right?"
    else:
        message = said.message or _reason_phrase(status)
    if status == 401 and not address.has_key:
        message += " (no API key was given)"
    error = make_error(
        status,
        f"{call}: {address.hide(message)}",
        address.hide(said.request_id or "") or answer_id(address, headers),
        shown_details(address, said),
        wait,
    )
    region = named_region(said) if status == 409 else None
    passing = wait is not None or not is_spent(said)
    return Fault(error, status, wait, transient=passing, region=region)


def answer_id(address: ServerAddress, headers: Mapping[str, str]) -> str | None:
    """The server's id of the request, for its support."""
    return address.hide((headers.get("x-request-id") or "")[:200]) or None


def shown_details(address: ServerAddress, said: ErrorBody) -> Any:
    """The details without secrets that were escaped in the body, and nested within reason."""
    try:
        text = orjson.dumps(said.details)
    except orjson.JSONEncodeError:
        return None
    hidden = address.hide_bytes(text)
    return said.details if hidden == text else orjson.loads(hidden)


# ---- bodies ------------------------------------------------------------------------------------


def read_error_body(body: bytes, *, quoted: bool = False) -> ErrorBody:
    """Read an error body: the service's three envelopes, OpenAI's, FastAPI's, text or HTML.

    The words of whom the server asked in turn come after its own, unless it is ``quoted`` itself.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            value = read_json(body)
        except (ValueError, RecursionError):
            return ErrorBody(message=_readable(body.decode("utf-8", "replace")))
    if isinstance(value, list) and value:
        value = value[0]  # some gateways wrap the one error in an array
    if isinstance(value, str):
        return ErrorBody(message=_readable(value))
    return read_error_object(value, quoted=quoted) if isinstance(value, dict) else ErrorBody()


def is_spent(said: ErrorBody) -> bool:
    """Whether it says that a quota is spent, so that no waiting helps."""
    kind = said.details.get("type") if isinstance(said.details, dict) else None
    return bool({said.code, kind if isinstance(kind, str) else None} & _SPENT_CODES)


def read_error_object(value: dict[str, Any], *, quoted: bool = False) -> ErrorBody:
    """The same of an envelope that is parsed."""
    request_id = _text(value.get("request_id"))
    detail = value.get("detail")
    if isinstance(detail, list):
        return ErrorBody(_list_issues(detail), "validation_error", request_id, detail)
    if isinstance(detail, dict):
        value = {**value, **detail}
        value.pop("detail", None)
    error = value.get("error")
    if isinstance(error, dict):
        message = _first(error, "message", "detail", "type", "code")
        code = _first(error, "code", "type")
        rest = {k: v for k, v in error.items() if k not in ("message", "request_id")}
        request_id = request_id or _text(error.get("request_id"))
    else:
        code = _text(error) or _first(value, "code", "type")
        message = _first(value, "message", "detail", "error", "error_description", "title", "code")
        rest = {k: v for k, v in value.items() if k not in ("message", "request_id")}
        if message is not None and set(rest) <= {"error", "detail"}:
            # All that is left was said in the message, or is the code.
            rest = {"error": code} if code and code != message else {}
    details = rest.pop("details", None)
    if message == code and isinstance(details, list):
        message = f"{code}: {_list_issues(details)}"
    shown = _readable(message) if message else None
    words = None if quoted else _upstream_words(error if isinstance(error, dict) else value)
    if words is not None and words not in (shown or ""):
        shown = f"{shown} [upstream: {words}]" if shown else words
    return ErrorBody(
        message=shown,
        code=code,
        request_id=request_id or _text(value.get("request_id")),
        details=details if details is not None else (rest or None),
    )


def _upstream_words(error: Mapping[str, Any]) -> str | None:
    """What was said by whom the server asked in turn: the reason, where it has only a wrapping."""
    for name, inner in _UPSTREAM_WORDS:
        level = error.get(name)
        said = level.get(inner) if isinstance(level, dict) else None
        if isinstance(said, str | dict | list) and said:
            return _words_of(said)
    return None


def _words_of(said: Any) -> str | None:
    if isinstance(said, str):
        body = said[:MAX_QUOTED_CHARS].encode("utf-8", "replace")
    else:
        try:
            body = orjson.dumps(said)
        except orjson.JSONEncodeError:
            return None
    read = read_error_body(body, quoted=True).message or _readable(body[:MAX_TEXT_CHARS].decode())
    if read is None or len(read) <= MAX_UPSTREAM_CHARS:
        return read
    return read[: MAX_UPSTREAM_CHARS - 1] + "…"


def _list_issues(issues: list[Any]) -> str:
    """FastAPI's list of ``{loc, msg}`` in words."""
    lines = []
    for issue in issues[:MAX_LISTED_ISSUES]:
        if isinstance(issue, dict):
            loc = issue.get("loc")
            where = ".".join(str(p) for p in loc if p != "body") if isinstance(loc, list) else ""
            said = _first(issue, "msg", "message", "type") or "not valid"
            lines.append(f"{where}: {said}" if where else said)
        else:
            lines.append(str(issue))
    if len(issues) > MAX_LISTED_ISSUES:
        lines.append(f"and {len(issues) - MAX_LISTED_ISSUES} more")
    return _readable("; ".join(lines)) or "not valid"


def _text(value: Any) -> str | None:
    return value.strip()[:MAX_TEXT_CHARS] or None if isinstance(value, str) else None


def _first(value: Mapping[str, Any], *names: str) -> str | None:
    return next((text for name in names if (text := _text(value.get(name)))), None)


def _readable(text: str) -> str | None:
    """Text or HTML as one short line, or None when nothing is left."""
    text = text[:MAX_TEXT_CHARS].lstrip("\ufeff")
    if re.match(r"\s*<", text):
        if title := markup_title(text):
            text = title
        else:
            text = re.sub(r"<(script|style)\b.*?(</\1>|\Z)", " ", text, flags=re.S | re.I)
            text = re.sub(r"<[^<>]*>", " ", text)
            text = html.unescape(text)
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(text) > MAX_MESSAGE_CHARS:
        text = text[: MAX_MESSAGE_CHARS - 1] + "…"
    return text or None


def _reason_phrase(status: int) -> str:
    """What a status means when the body does not say."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "the server gave no reason"


# ---- headers and codes -------------------------------------------------------------------------


def _shown_location(location: str | None) -> str:
    """A redirect's target without user info and query."""
    try:
        parts = urlsplit(location or "")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "an unreadable address"
    netloc = host if port is None else f"{host}:{port}"
    shown = urlunsplit((parts.scheme, netloc, parts.path, "", ""))
    return (_readable(shown) or "nowhere")[:200]


_REGION_NAMES = ("expected_region", "expected", "region", "home_region", "correct_region")
_REGION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_REGION_IN_TEXT = re.compile(r"\b[a-z]{2,16}(?:-[a-z]{2,16}){1,3}-?\d{0,2}\b|\b[a-z]{2}-?\d{1,2}\b")


def named_region(body: ErrorBody) -> str | None:
    """The region that a ``region_error`` sends us to, or None for any other error."""
    if body.code != "region_error":
        return None
    levels = [body.details, *(body.details.values() if isinstance(body.details, dict) else ())]
    for level in levels:
        if isinstance(level, dict):
            for name in _REGION_NAMES:
                value = level.get(name)
                # It goes into a header: nothing but a plain word may pass.
                if isinstance(value, str) and _REGION.fullmatch(value):
                    return value
    found = _REGION_IN_TEXT.findall(body.message or "")
    return found[0] if len(set(found)) == 1 else None
