"""The transport to the network, and what its errors mean. Imported at the first request."""

from __future__ import annotations

import functools
import ssl
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from .route import Proxy, Route

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
PROXY_ERRORS = (
    aiohttp.ClientProxyConnectionError,
    aiohttp.ClientHttpProxyError,
    httpx.ProxyError,
)
#: aiohttp warns about larger bodies in one piece, since writing them holds up the loop.
CHUNK_BYTES = 512 * 1024
#: A connection that the server closed meanwhile is a connection fault, and tried again.
KEEPALIVE_SECONDS = 15.0


def open_network_transport(
    route: Route, max_connections: int, query: str = ""
) -> httpx.AsyncBaseTransport:
    """httpx over aiohttp's connections: measured as the cheapest for bodies of this size.

    Args:
        route: how the server is reached.
        max_connections: connections open at most.
        query: added to every URL just before it is sent, so that a secret in it is in no log.
    """
    network: httpx.AsyncBaseTransport
    if (route.proxy is not None and route.proxy.is_socks) or (route.uds and route.tls):
        # aiohttp speaks no SOCKS, and encrypts nothing on a unix socket.
        network = httpx.AsyncHTTPTransport(
            verify=route.tls or _unused_tls(),
            proxy=_httpx_proxy(route.proxy),
            uds=route.uds,
            limits=httpx.Limits(
                max_connections=max_connections, keepalive_expiry=KEEPALIVE_SECONDS
            ),
            trust_env=False,
        )
    else:
        network = AiohttpTransport(
            verify=route.tls or _unused_tls(),
            client=functools.partial(_open_session, route, max_connections),
            proxy=_aiohttp_proxy(route.proxy),
        )
    return _QueryTransport(network, query) if query else network


def _open_session(route: Route, max_connections: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=open_connector(route, limit=max_connections, keepalive_timeout=KEEPALIVE_SECONDS),
        # A cookie of the server has no say in later requests.
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def open_connector(route: Route, **options: Any) -> aiohttp.BaseConnector:
    """aiohttp's connections to a server."""
    if route.uds is not None:
        if route.tls is not None:
            # aiohttp would send it unencrypted.
            raise httpx.UnsupportedProtocol(
                "an https server on a unix socket is not asked for results: give base_url as http"
            )
        return aiohttp.UnixConnector(path=route.uds, **options)
    return aiohttp.TCPConnector(ssl=route.tls or True, **options)


def _httpx_proxy(proxy: Proxy | None) -> httpx.Proxy | None:
    return None if proxy is None else httpx.Proxy(proxy.url, auth=proxy.auth)


def _aiohttp_proxy(proxy: Proxy | None) -> httpx.Proxy | None:
    """With the user info in its URL: aiohttp has done away with the other way."""
    found = _httpx_proxy(proxy)
    if found is not None and proxy is not None and proxy.auth is not None:
        user, password = (quote(part, "") for part in proxy.auth)
        found.auth = None
        found.url = found.url.copy_with(userinfo=f"{user}:{password}".encode())
    return found


@functools.cache
def _unused_tls() -> ssl.SSLContext:
    """A context without certificates: reading them for plain HTTP would take 30 ms."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


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
    if is_proxy_error(error):
        return True
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


def is_proxy_error(error: Exception) -> bool:
    """True when it is the proxy that could not be reached, or that refused."""
    return any(isinstance(link, PROXY_ERRORS) for link in _chain(error))


def is_tls_error(error: Exception) -> bool:
    """True when an encrypted connection did not come about."""
    return any(isinstance(link, ssl.SSLError) for link in _chain(error)) or is_certificate_error(
        error
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
