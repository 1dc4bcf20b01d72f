"""What is read over http(s) without FFmpeg: the text of a playlist, a body that names no length.

FFmpeg cannot tell the end of such a body from a connection that broke.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from overshoot_nb.support.redaction import display_url, hidden
from overshoot_nb.support.secret_text import SecretText

from .files import PipeBody

if TYPE_CHECKING:
    import httpx

#: Seconds that a connection may take.
CONNECT_SECONDS = 5.0
#: Bytes of a playlist, at most.
MAX_TEXT_BYTES = 4 << 20
#: FFmpeg's own; servers that choose by it choose the same for both.
_USER_AGENT = "Lavf/61.0.0"
#: Header fields that are for every server: servers choose by them, and they open nothing.
_FOR_ALL = frozenset({"user-agent", "accept", "accept-language"})


class WebBody:
    """The body of one GET request, as a file that is read once.

    Redirects are followed. User info of the URL is for its own server alone, and certificates are
    not checked: both as FFmpeg does, which reads the same from the same place. Header fields are
    for the URL's own server alone, too (:func:`allowed_at`).

    Args:
        url: http or https.
        timeout: seconds without data after which it counts as broken.
        headers: further header fields, as pairs; their values are secrets.

    Attributes:
        name: "": what FFmpeg is told of where it reads.
        broken: why it ended before its end, in words; "" where it did not.

    Raises:
        OSError: it cannot be had; the message may hold the URL.
    """

    name = ""

    def __init__(self, url: str, timeout: float, headers: tuple[tuple[str, str], ...] = ()) -> None:
        # Loaded where it is needed: nothing else here asks for it, and it takes its time.
        import httpx

        parts = urlsplit(url)
        info, _, place = parts.netloc.rpartition("@")
        user, _, password = info.partition(":")
        bare = urlunsplit(parts._replace(netloc=place, fragment=""))
        limits = httpx.Timeout(timeout, connect=CONNECT_SECONDS)
        self._errors: tuple[type[Exception], ...] = (httpx.HTTPError, httpx.InvalidURL)
        client = functools.partial(
            httpx.Client,
            verify=False,
            timeout=limits,
            follow_redirects=True,
            event_hooks={"request": [_cover, functools.partial(_keep_home, bare, headers)]},
        )
        try:
            self._client = client(trust_env=True)
        except (ImportError, ValueError):
            # The environment names a proxy of a kind that FFmpeg would pass over, such as socks5.
            self._client = client(trust_env=False)
        try:
            fields = httpx.Headers({"User-Agent": _USER_AGENT, "Accept": "*/*"})
            fields.update(list(headers))
            fields["Accept-Encoding"] = "identity"
            request = self._client.build_request("GET", bare, headers=fields)
            auth: Any = (unquote(user), unquote(password)) if info else None
            response = self._client.send(request, auth=auth, stream=True)
            if info and response.status_code == 401 and _wants_digest(response):
                response.close()
                response = self._client.send(request, auth=httpx.DigestAuth(*auth), stream=True)
            response.raise_for_status()
        except self._errors as error:
            self._client.close()
            raise OSError(_words(error)) from None
        except BaseException:
            self._client.close()
            raise
        self.broken = ""
        self._response = response
        self._chunks: Iterator[bytes] = response.iter_raw()
        self._left = b""
        #: Where it was found in the end, with the user info where that is its own server.
        self.url = httpx.URL.__str__(response.url)
        found = urlsplit(self.url)
        if info and (found.scheme, found.netloc) == (parts.scheme, place):
            self.url = urlunsplit(found._replace(netloc=f"{info}@{place}"))

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes; b"" at its end, or where it broke off."""
        if not self._left and not self.broken:
            try:
                self._left = next(self._chunks, b"")
            except self._errors as error:
                self.broken = _words(error)
        if size < 0:
            size = len(self._left)
        given, self._left = self._left[:size], self._left[size:]
        return given

    def close(self) -> None:
        """Closes the connection. Idempotent."""
        self._response.close()
        self._client.close()


def header_pairs(source: object) -> tuple[tuple[str, str], ...]:
    """The header fields of a source, which few kinds have."""
    pairs: tuple[tuple[str, str], ...] = getattr(source, "headers", ())
    return pairs


def allowed_at(
    place: str, home: str, headers: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    """The fields that ``place`` may be sent: all at the server of ``home``, else no secrets."""
    if _server(place) == _server(home) or _made_secure(home, place):
        return headers
    return tuple(pair for pair in headers if pair[0].lower() in _FOR_ALL)


def settled(
    url: str, home: str, timeout: float, headers: tuple[tuple[str, str], ...]
) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Where a URL leads in the end, and the fields of ``home`` that may be sent there.

    FFmpeg sends header fields to wherever it is sent on, so it is not to be sent on.
    """
    allowed = allowed_at(url, home, headers)
    try:
        body = WebBody(url, timeout, allowed)
    except OSError:
        return url, allowed  # FFmpeg says why it cannot be had
    body.close()
    # Hidden: a signed place has secrets, and a traceback shows it.
    return hidden(body.url), allowed_at(body.url, url, allowed)


def header_options(place: str, pairs: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Header fields as FFmpeg takes them, which sends them for segments and keys, too.

    Cookies are bound to their server, also where a segment's server sends us on; for other fields
    FFmpeg has nothing of the kind.
    """
    cookies = [value for name, value in pairs if name.lower() == "cookie"]
    each = [part.strip() for cookie in cookies for part in cookie.split(";") if part.strip()]
    host = urlsplit(place).netloc.rpartition("@")[2]  # FFmpeg compares it with its port
    others = [pair for pair in pairs if pair[0].lower() != "cookie"]
    return {
        "cookies": SecretText("\n".join(f"{part}; path=/; domain={host}" for part in each)),
        "headers": SecretText("".join(f"{name}: {value}\r\n" for name, value in others)),
        "max_redirects": "0",
    }


def _server(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    with suppress(ValueError):
        port = parts.port or {"http": 80, "https": 443}.get(scheme)
        return scheme, (parts.hostname or "").rstrip("."), port
    return scheme, "", None


def _made_secure(home: str, place: str) -> bool:
    """Whether a server sends us on to itself, from http to https."""
    name = _server(home)[1]
    return _server(home) == ("http", name, 80) and _server(place) == ("https", name, 443)


def _keep_home(home: str, headers: tuple[tuple[str, str], ...], request: httpx.Request) -> None:
    """Take from a request what another server than the first must not see; httpx takes cookies."""
    import httpx

    allowed = allowed_at(httpx.URL.__str__(request.url), home, headers)
    for name, value in headers:
        if (name, value) not in allowed:
            request.headers.pop(name, None)
        elif name not in request.headers:
            request.headers[name] = value


def _cover(request: httpx.Request) -> None:
    """Let a request's URL show no secrets: httpx logs it, and names it in its errors."""
    request.url = _shown_url()(request.url)


@functools.cache
def _shown_url() -> type[httpx.URL]:
    import httpx

    class ShownURL(httpx.URL):
        def __str__(self) -> str:
            return display_url(super().__str__())

        __repr__ = __str__

    return ShownURL


def body_of(container: Any) -> WebBody | PipeBody | None:
    """What an open container is read from, where FFmpeg does not read it itself."""
    body = getattr(container.file, "file", None)
    return body if isinstance(body, WebBody | PipeBody) else None


def read_text(
    url: str, timeout: float, headers: tuple[tuple[str, str], ...] = ()
) -> tuple[str, str]:
    """A text over http(s), and where it was found in the end.

    Raises:
        OSError: it cannot be had, or is no text of at most 4 MiB.
    """
    body = WebBody(url, timeout, headers)
    try:
        data = b""
        while part := body.read():
            data += part
            if len(data) > MAX_TEXT_BYTES:
                raise OSError("it is too long for a playlist")
        if body.broken:
            raise OSError(body.broken)
        return data.decode("utf-8-sig", "replace"), body.url
    finally:
        body.close()


def _wants_digest(response: httpx.Response) -> bool:
    return "digest" in response.headers.get("www-authenticate", "").lower()


def _words(error: Exception) -> str:
    """The end of a body in words; a fault of the connection in its own."""
    import httpx

    if isinstance(error, httpx.RemoteProtocolError):
        return "the connection was closed before the body was complete"
    if isinstance(error, httpx.TimeoutException):
        return "no data came in time"
    return str(error) or type(error).__name__
