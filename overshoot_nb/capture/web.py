"""What is read over http(s) without FFmpeg: the text of a playlist, a body that names no length.

FFmpeg cannot tell the end of such a body from a connection that broke.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from overshoot_nb.redaction import display_url

from .files import PipeBody

if TYPE_CHECKING:
    import httpx

__all__ = ["MAX_TEXT_BYTES", "WebBody", "body_of", "header_pairs", "read_text"]

#: Seconds that a connection may take.
CONNECT_SECONDS = 5.0
#: Bytes of a playlist, at most.
MAX_TEXT_BYTES = 4 << 20
#: FFmpeg's own; servers that choose by it choose the same for both.
_USER_AGENT = "Lavf/61.0.0"


class WebBody:
    """The body of one GET request, as a file that is read once.

    Redirects are followed. User info of the URL is for its own server alone, and certificates are
    not checked: both as FFmpeg does, which reads the same from the same place.

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
            event_hooks={"request": [_cover]},
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
