"""The transport to the network, and what its errors mean. Imported at the first request."""

from __future__ import annotations

import functools
import ssl
from collections.abc import AsyncIterator
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

__all__ = [
    "CHUNK_BYTES",
    "TRANSPORT_ERRORS",
    "BodyRefused",
    "describe",
    "environment_proxy",
    "in_chunks",
    "is_certificate_error",
    "never_connected",
    "open_network_transport",
    "read_body",
    "trusted_certificates",
]

#: Everything that a transport raises when no whole answer came. httpx-aiohttp does not translate
#: all of aiohttp's errors.
TRANSPORT_ERRORS = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    aiohttp.ClientError,
    OSError,
    EOFError,
)
#: aiohttp warns about larger bodies in one piece, since writing them holds up the loop.
CHUNK_BYTES = 512 * 1024
#: A connection that the server closed meanwhile is a connection fault, and tried again.
KEEPALIVE_SECONDS = 15.0


def open_network_transport(
    origin: str, max_connections: int, query: str = ""
) -> httpx.AsyncBaseTransport:
    """httpx over aiohttp's connections: measured as the cheapest for bodies of this size.

    Args:
        origin: scheme, host and port of the one server that is asked.
        max_connections: connections open at most.
        query: added to every URL just before it is sent, so that a secret in it is in no log.
    """
    tls = trusted_certificates()

    def open_session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=max_connections, keepalive_timeout=KEEPALIVE_SECONDS, ssl=tls
            ),
            # A cookie of the server has no say in later requests.
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    network = AiohttpTransport(verify=tls, client=open_session, proxy=environment_proxy(origin))
    return _QueryTransport(network, query) if query else network


@functools.cache
def trusted_certificates() -> ssl.SSLContext:
    """The certificates that servers are checked against."""
    # Reading the certificates takes 30 ms of the loop's time: once is enough.
    return httpx.create_ssl_context()


def environment_proxy(origin: str) -> httpx.Proxy | None:
    """The proxy that the environment names for ``origin``.

    Looked up once: aiohttp's own ``trust_env`` asks in a thread for every request, which costs as
    much as the rest of the request.
    """
    parts = urlsplit(origin)
    proxies = getproxies()
    url = proxies.get(parts.scheme) or proxies.get("all")
    if not url or proxy_bypass(parts.netloc):
        return None
    url = url if "://" in url else f"http://{url}"
    # aiohttp speaks to no other kind.
    return httpx.Proxy(url) if urlsplit(url).scheme in ("http", "https") else None


async def in_chunks(content: bytes) -> AsyncIterator[bytes]:
    """A large body in pieces, so that the loop does other work between them."""
    for start in range(0, len(content), CHUNK_BYTES):
        yield content[start : start + CHUNK_BYTES]


class BodyRefused(Exception):
    """An answer's body is not read to its end; says why.

    Attributes:
        body: what was read of it.
    """

    def __init__(self, said: str, body: bytes = b"") -> None:
        super().__init__(said)
        self.body = body


async def read_body(response: httpx.Response, max_bytes: int) -> bytes:
    """The body of an answer, as it came.

    Args:
        response: an answer of which only the head was read.
        max_bytes: of its body; what comes beyond is not read.

    Raises:
        BodyRefused: it is larger, or coded, which no request of ours asks for: a few bytes could
            become gigabytes.
    """
    coding = response.headers.get("content-encoding", "").strip()
    if coding and coding.lower() != "identity":
        raise BodyRefused(
            f"the answer's body is coded as {coding[:40]!r}, which was not asked for, so it was "
            "not read: let the server, or the proxy before it, send answers uncompressed"
        )
    if response.is_stream_consumed:  # by a transport that had it at once
        body = await response.aread()
        if len(body) > max_bytes:
            raise _too_large(max_bytes, body[:max_bytes])
        return body
    chunks: list[bytes] = []
    left = max_bytes
    async for chunk in response.aiter_raw():
        chunks.append(chunk[:left])
        left -= len(chunk)
        if left < 0:
            raise _too_large(max_bytes, b"".join(chunks))
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(max_bytes: int, body: bytes) -> BodyRefused:
    return BodyRefused(
        f"the answer's body is larger than {max_bytes:,} bytes (max_answer_bytes), so it was not "
        "read to its end",
        body,
    )


class _QueryTransport(httpx.AsyncBaseTransport):
    """Adds the query of the base URL to each request."""

    def __init__(self, transport: httpx.AsyncBaseTransport, query: str) -> None:
        self._transport = transport
        self._query = query.encode()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        # A copy: httpx logs the URL of the request that it handed over.
        complete = httpx.Request(
            request.method,
            request.url.copy_with(query=self._query),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        return await self._transport.handle_async_request(complete)

    async def aclose(self) -> None:
        await self._transport.aclose()


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what caused it, innermost first."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    return chain[::-1]


def never_connected(error: Exception) -> bool:
    """True when the request surely never reached the server."""
    for link in _chain(error):
        # httpx-aiohttp gives ConnectTimeout for every fault of a connection, so aiohttp's own
        # error decides where there is one.
        if isinstance(link, aiohttp.ClientError):
            return isinstance(
                link,
                aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | aiohttp.InvalidURL,
            )
    return isinstance(
        error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.InvalidURL
    )


def is_certificate_error(error: Exception) -> bool:
    """True when the server's certificate is not trusted: trying again does not help."""
    return any(
        isinstance(link, ssl.SSLCertVerificationError | aiohttp.ClientConnectorCertificateError)
        for link in _chain(error)
    )


def describe(error: Exception) -> str:
    """What went wrong in a few words, from the innermost error that says something."""
    for link in _chain(error):
        text = str(link).strip()
        if text and not isinstance(link, aiohttp.InvalidURL | httpx.InvalidURL):
            return " ".join(text.split())[:300]
    return type(error).__name__
