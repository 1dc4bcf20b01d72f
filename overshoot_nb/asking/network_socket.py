"""A WebSocket on the network, over aiohttp. Imported when the first one is opened."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from yarl import URL

from overshoot_nb.errors import ValidationError

from .address import ServerAddress
from .connection import TRANSPORT_ERRORS, describe, open_connector
from .route import Route
from .socket import ABNORMAL, SocketClosed

#: After this long without a word the peer is asked for a sign of life, and has half as long for
#: it: a dead one is noticed within 30 s.
HEARTBEAT_SECONDS: Final = 20.0
#: How long a closing handshake may take, and how long the connection's own end after it.
CLOSE_SECONDS: Final = 0.25
DISCONNECT_SECONDS: Final = 0.15
#: Of a refusal's body; enough for any error.
MAX_REFUSAL_BYTES: Final = 64 * 1024
#: Close code of a peer that gave none (RFC 6455, 7.4.1).
NO_CODE: Final = 1005


class HandshakeRefused(Exception):
    """The server answered, but opened no WebSocket.

    Attributes:
        status: the HTTP status.
        headers: of the answer, their names in any case.
        body: of the answer, its beginning.
    """

    def __init__(
        self, said: str, status: int, headers: Mapping[str, str], body: bytes = b""
    ) -> None:
        super().__init__(said)
        self.status = status
        self.headers = headers
        self.body = body


async def open_network_socket(
    address: ServerAddress, route: Route, path: str, headers: Mapping[str, str], max_bytes: int
) -> NetworkSocket:
    """Connect and shake hands, without a time limit of its own; by way of the requests' proxy.

    Args:
        address: the server.
        route: how it is reached.
        path: below the base URL, already quoted.
        headers: to send with the handshake.
        max_bytes: the length of a message that ends the socket. Results are some hundred bytes.

    Raises:
        HandshakeRefused: the server answered otherwise; a redirect is not followed, since that
            could carry the key to another host.
    """
    watch = aiohttp.TraceConfig()
    watch.on_request_redirect.append(_refuse_redirect)
    # A session of its own each: sockets are few and long-lived, and close without company.
    session = aiohttp.ClientSession(
        connector=open_connector(route, limit=1, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(),
        raise_for_status=_refuse_answer,
        trace_configs=[watch],
    )
    try:
        web_socket = await session.ws_connect(
            URL(address.socket_url(path), encoded=True),
            headers=headers,
            proxy=_proxy(route),
            heartbeat=HEARTBEAT_SECONDS,
            max_msg_size=max_bytes,
        )
    except aiohttp.WSServerHandshakeError as error:
        await session.close()
        # Its text has the URL.
        raise HandshakeRefused(
            f"the server's handshake is not that of a WebSocket ({error.message})",
            error.status,
            error.headers or {},
        ) from None
    except BaseException:
        await session.close()
        raise
    return NetworkSocket(session, web_socket, address.hide)


def _proxy(route: Route) -> URL | None:
    proxy = route.proxy
    if proxy is None:
        return None
    if proxy.is_socks:
        raise ValidationError(
            f"{proxy.variable} names a SOCKS proxy, through which no results can be received: "
            "name the server in NO_PROXY, or give a proxy of the kind http://host:port"
        )
    url = URL(proxy.url)
    return url if proxy.auth is None else url.with_user(proxy.auth[0]).with_password(proxy.auth[1])


async def _refuse_redirect(
    _: aiohttp.ClientSession, __: SimpleNamespace, redirect: aiohttp.TraceRequestRedirectParams
) -> None:
    await _refuse_answer(redirect.response)


async def _refuse_answer(response: aiohttp.ClientResponse) -> None:
    """Take down any answer that opens no socket; aiohttp itself would drop its body."""
    if response.status == 101:
        return
    body = b""
    with contextlib.suppress(*TRANSPORT_ERRORS):
        body = await response.content.read(MAX_REFUSAL_BYTES)
    response.close()
    raise HandshakeRefused(
        f"the server answered {response.status} instead of opening a WebSocket",
        response.status,
        response.headers,
        body,
    )


class NetworkSocket:
    """An open WebSocket; the contract is `overshoot_nb.asking.socket.Socket`.

    Args:
        session: the session that it was opened with, closed with it.
        web_socket: aiohttp's side of it.
        hide: takes secrets out of what the peer says.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        web_socket: aiohttp.ClientWebSocketResponse,
        hide: Callable[[str], str],
    ) -> None:
        self._session = session
        self._web_socket = web_socket
        self._hide = hide
        # aiohttp tells of it nowhere in public.
        connection = getattr(web_socket, "_conn", None)
        self._transport = getattr(connection, "transport", None)
        self._closed = False
        self._gone = asyncio.Event()
        self._on_close: Callable[[], object] | None = None

    def on_close(self, told: Callable[[], object]) -> None:
        """Call ``told`` when the socket is closed."""
        self._on_close = told

    async def send(self, text: str) -> None:
        """Send a text message.

        Raises:
            SocketClosed: the connection is over.
        """
        try:
            await self._web_socket.send_str(text)
        except TRANSPORT_ERRORS as error:
            raise self._broken(error) from None

    async def receive(self) -> str:
        """The next text message; a binary one is read as UTF-8.

        Raises:
            SocketClosed: the connection is over; by whom and why is in it.
        """
        try:
            message = await self._web_socket.receive()
        except TRANSPORT_ERRORS as error:
            raise self._broken(error) from None
        if message.type is aiohttp.WSMsgType.TEXT:
            return str(message.data)
        if message.type is aiohttp.WSMsgType.BINARY:
            return bytes(message.data).decode("utf-8", "replace")
        raise self._end(message)

    def _end(self, message: Any) -> SocketClosed:
        """How it ended, from a message of aiohttp's that is none of the peer's texts."""
        if message.type is aiohttp.WSMsgType.CLOSE:
            return SocketClosed(message.data or NO_CODE, self._hide(message.extra or ""))
        fault = message.data if message.type is aiohttp.WSMsgType.ERROR else None
        if isinstance(fault, aiohttp.WebSocketError):
            # The peer broke the protocol, or the bound of a message.
            return SocketClosed(int(fault.code), self._hide(describe(fault)))
        if self._closed:
            return SocketClosed(ABNORMAL, "closed here")
        fault = fault or self._web_socket.exception()
        if not isinstance(fault, Exception):
            return SocketClosed(ABNORMAL, "the connection broke")
        return self._broken(fault)

    def _broken(self, error: Exception) -> SocketClosed:
        if isinstance(error, aiohttp.ServerTimeoutError):
            return SocketClosed(ABNORMAL, "the server gave no sign of life")
        return SocketClosed(ABNORMAL, self._hide(describe(error)))

    async def close(self) -> None:
        """End the connection, within half a second. Idempotent, raises nothing."""
        # RuntimeError: its loop is gone, and its connection with it.
        ignored = (TimeoutError, RuntimeError, *TRANSPORT_ERRORS)
        if self._closed:
            with contextlib.suppress(*ignored):
                async with asyncio.timeout(CLOSE_SECONDS + DISCONNECT_SECONDS):
                    await self._gone.wait()
            return
        self._closed = True
        if self._on_close is not None:
            self._on_close()
        try:
            with contextlib.suppress(*ignored):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._web_socket.close()
        finally:
            with contextlib.suppress(*ignored):
                async with asyncio.timeout(DISCONNECT_SECONDS):
                    await self._session.close()
            # Over TLS, asyncio gives a peer that is frozen half a minute for its last word.
            if self._transport is not None:
                self._transport.abort()
            self._gone.set()
