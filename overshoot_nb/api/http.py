"""One HTTP client for both surfaces: connections, the retry loop, WebSockets to the same server.

httpx and aiohttp are imported at the first request, so that importing the package stays quick.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self, TypeVar

from overshoot_nb import config
from overshoot_nb._version import __version__
from overshoot_nb.errors import (
    NetworkError,
    OvershootError,
    RequestTimeoutError,
    ServerError,
)
from overshoot_nb.redaction import once_made
from overshoot_nb.validation import check_timeout

from .address import ServerAddress
from .faults import answer_fault, answer_id, connection_fault
from .reply import Reply
from .retry import Fault, RetryPolicy
from .socket import POLICY_VIOLATION, Socket, SocketClosed

if TYPE_CHECKING:
    import httpx

    from .network_socket import NetworkSocket

__all__ = ["HttpClient", "ServerClient"]

logger = logging.getLogger("overshoot_nb")

#: Asked again and again: parsing their URL each time would cost more than building the body.
KEPT_PATHS: Final = frozenset({"/chat/completions", "/models"})
REGION_HEADER: Final = "X-Overshoot-Region"
_Answer = TypeVar("_Answer", Reply, Socket)


class HttpClient:
    """Sends requests to one server, tries again where that can help, and raises clear errors.

    Connections open at the first request, in the loop that runs then; another loop gets
    connections of its own.

    Args:
        endpoint: the server and its key.
        timeout: seconds for a whole call: waiting for a connection, tries and the waits between.
        transport: an httpx transport to use in place of the network; closed with the client.
        max_connections: connections kept at most, per loop.
        retry: when to try again.

    Raises:
        ValidationError: the URL, the timeout or the key cannot be used.
        MissingDependencyError: at the first request to the embedded engine, when its packages
            are not installed.
    """

    def __init__(
        self,
        endpoint: config.Endpoint,
        *,
        timeout: float = config.TIMEOUT_SECONDS,
        transport: httpx.AsyncBaseTransport | None = None,
        max_connections: int = config.MAX_CONNECTIONS,
        retry: RetryPolicy | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.address = ServerAddress(endpoint)
        self.timeout = check_timeout(timeout)
        self.retry = retry or RetryPolicy()
        self._max_connections = max_connections
        self._shared_transport = transport
        self._clients: dict[asyncio.AbstractEventLoop, httpx.AsyncClient] = {}
        self._sockets: dict[NetworkSocket, asyncio.AbstractEventLoop] = {}
        self._closed = False
        self._region: str | None = None
        self._urls: dict[str, httpx.URL] = {}

    @once_made
    def __repr__(self) -> str:
        return f"HttpClient({self.address.origin}{self.address.path})"

    # ---- set-up ------------------------------------------------------------------------------

    async def _client(self) -> httpx.AsyncClient:
        """The client of the running loop."""
        if self._closed:
            raise NetworkError(f"the client of {self.address.origin} is closed")
        if "httpx" not in sys.modules:
            # It takes a fifth of a second, which the streams of this loop need not wait for.
            await asyncio.to_thread(importlib.import_module, "httpx")
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            import httpx

            client = httpx.AsyncClient(
                transport=self._open_transport(), timeout=None, trust_env=False
            )
            self._clients[loop] = client
            # Only now anything is awaited: of two first requests one opens the client.
            for other in list(self._clients):
                if other.is_closed() and (gone := self._clients.pop(other, None)) is not None:
                    await self._close_dead(gone)
        return client

    async def _close_dead(self, client: httpx.AsyncClient) -> None:
        """Close a client whose loop is gone; a transport of all loops stays open."""
        if self._shared_transport is None:
            await client.aclose()

    def _open_transport(self) -> httpx.AsyncBaseTransport:
        if self._shared_transport is None and self.endpoint.is_local:
            from overshoot_nb.local import open_transport

            # One engine for all loops: its streams are the same whoever asks.
            self._shared_transport = open_transport()
        if self._shared_transport is not None:
            return self._shared_transport
        from .connection import open_network_transport

        return open_network_transport(
            self.address.origin, self._max_connections, self.address.query
        )

    # ---- requests ----------------------------------------------------------------------------

    async def send(
        self, method: str, path: str, *, content: bytes | None = None, idempotent: bool = True
    ) -> Reply:
        """Send one call, with further tries where the policy says so.

        Args:
            method: the HTTP method.
            path: below the base URL, beginning with a slash, already quoted.
            content: a JSON body, or None.
            idempotent: False when doing it twice would make two things.

        Raises:
            RequestTimeoutError: no answer within the timeout.
            NetworkError: no whole answer came.
            ApiError: the server's error, of the class that its status says.
        """
        call = f"{method} {self.address.path}{path}"

        async def attempt(number: int) -> Reply | Fault:
            return await self._try(call, method, path, content, number)

        return await self._carry_out(call, attempt, self.retry, idempotent)

    async def open_socket(self, path: str, *, retry: bool = True) -> Socket:
        """Open a WebSocket. It ends with its own ``close``, and with the client.

        A peer that is silent for half a minute counts as gone, and a message of 4 MiB or more
        ends the socket (code 1009). The key is still to be sent: it is the first message.

        Args:
            path: below the base URL, beginning with a slash, already quoted.
            retry: False for a single try, where the caller has a plan of its own.

        Raises:
            RequestTimeoutError: no answer within the timeout.
            NetworkError: no connection came about, or the client is closed.
            ApiError: the server's refusal, of the class that its status says.
            MissingDependencyError: the embedded engine's packages are not installed.
        """
        call = f"WS {self.address.path}{path}"

        async def attempt(_: int) -> Socket | Fault:
            return await self._try_socket(call, path)

        policy = self.retry if retry else replace(self.retry, attempts=1)
        return await self._carry_out(call, attempt, policy, idempotent=True)

    async def _carry_out(
        self,
        call: str,
        attempt: Callable[[int], Awaitable[_Answer | Fault]],
        policy: RetryPolicy,
        idempotent: bool,
    ) -> _Answer:
        """Try, and try again where the policy says so, within the timeout of a call."""
        faults: list[Fault] = []
        try:
            async with asyncio.timeout(self.timeout) as scope:
                return await self._repeat(attempt, policy, idempotent, scope, faults)
        except TimeoutError as error:
            if isinstance(error, OvershootError) or not scope.expired():
                raise
        # Not chained: the frames of what was broken off have the key, in the request's headers.
        before = f"; before that: {faults[-1].error}" if faults else ""
        raise RequestTimeoutError(
            f"{call}: no answer within {self.timeout:g} s from {self.address.origin}{before}"
        )

    async def _repeat(
        self,
        attempt: Callable[[int], Awaitable[_Answer | Fault]],
        policy: RetryPolicy,
        idempotent: bool,
        scope: asyncio.Timeout,
        faults: list[Fault],
    ) -> _Answer:
        loop = asyncio.get_running_loop()
        redirected = False
        number = 0
        while True:
            number += 1
            answer = await attempt(number)
            if not isinstance(answer, Fault):
                return answer
            faults.append(answer)
            if answer.region is not None and not redirected:
                redirected = True
                # Kept for later calls too, which would be sent on in the same way.
                self._region = answer.region
                continue
            remaining = (scope.when() or 0.0) - loop.time()
            delay = policy.delay(answer, number, idempotent=idempotent, remaining=remaining)
            if delay is None:
                raise answer.error
            logger.debug("%s; trying again in %.2f s", answer.error, delay)
            await asyncio.sleep(delay)

    async def _try(
        self, call: str, method: str, path: str, content: bytes | None, attempt: int
    ) -> Reply | Fault:
        """One try: a success, or the fault that it ended in."""
        client = await self._client()
        import httpx

        from .connection import TRANSPORT_ERRORS, describe

        try:
            request = self._request(method, path, content and bytes(content))
            response = await client.send(request, stream=True)
        except TRANSPORT_ERRORS as error:
            return connection_fault(self.address, call, error)
        request_id = answer_id(self.address, response.headers)
        try:
            body = await response.aread()
        except httpx.DecodingError as error:
            reason = f"the answer's body cannot be decoded: {describe(error)}"
            wrong = ServerError(
                f"{call}: {self.address.hide(reason)}", response.status_code, request_id
            )
            return Fault(wrong, response.status_code)
        except TRANSPORT_ERRORS as error:
            return connection_fault(self.address, call, error)
        finally:
            with contextlib.suppress(*TRANSPORT_ERRORS):
                await response.aclose()
        if response.is_success:
            return Reply(call, response.status_code, body, request_id, attempt)
        return answer_fault(self.address, call, response.status_code, response.headers, body)

    async def _try_socket(self, call: str, path: str) -> Socket | Fault:
        """One try: an open socket, or the fault that it ended in."""
        if self._closed:
            raise NetworkError(f"the client of {self.address.origin} is closed")
        if self.endpoint.is_local:
            from overshoot_nb.local import open_socket

            try:
                return await open_socket(f"{self.address.path}{path}")
            except SocketClosed as closed:
                # As on a port, where such a refusal is the answer to the handshake.
                status = 403 if closed.code == POLICY_VIOLATION else 500
                return answer_fault(self.address, call, status, {}, closed.reason.encode())
        from .connection import TRANSPORT_ERRORS
        from .network_socket import HandshakeRefused, open_network_socket

        try:
            socket = await open_network_socket(self.address, path, dict(self._identity()))
        except HandshakeRefused as refused:
            if refused.status >= 300:
                return answer_fault(
                    self.address, call, refused.status, refused.headers, refused.body
                )
            said = f"{call}: {refused}; is base_url right?"
            return Fault(ServerError(said, refused.status), refused.status)
        except TRANSPORT_ERRORS as error:
            return connection_fault(self.address, call, error)
        if self._closed:
            await socket.close()
            raise NetworkError(f"the client of {self.address.origin} was closed meanwhile")
        self._sockets[socket] = asyncio.get_running_loop()
        socket.on_close(lambda: self._sockets.pop(socket, None))
        return socket

    def _request(self, method: str, path: str, content: bytes | None) -> httpx.Request:
        """A request built directly: merging a client's defaults into each one costs more."""
        import httpx

        from .connection import CHUNK_BYTES, in_chunks

        url = self._urls.get(path)
        if url is None:
            url = httpx.URL(f"{self.address.origin}{self.address.path}{path}")
            if path in KEPT_PATHS:
                self._urls[path] = url
        headers = self._headers(content)
        large = content is not None and len(content) > CHUNK_BYTES
        body = in_chunks(content) if large and content is not None else content
        return httpx.Request(method, url, headers=headers, content=body)

    def _headers(self, content: bytes | None) -> httpx.Headers:
        import httpx

        fields = [
            ("Accept", "application/json"),
            # Answers are small: compressing them costs more than it saves.
            ("Accept-Encoding", "identity"),
            *self._identity(),
        ]
        if content is not None:
            fields += [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]
        # httpx masks the authorization in the repr of its headers.
        return httpx.Headers(fields)

    def _identity(self) -> list[tuple[str, str]]:
        """Header fields that say who asks, and in which region."""
        fields = [("User-Agent", f"overshoot-nb/{__version__}")]
        if self._region is not None:
            fields.append((REGION_HEADER, self._region))
        if (authorization := self.address.authorization()) is not None:
            fields.append(("Authorization", authorization))
        return fields

    # ---- the end -----------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True once :meth:`close` was called."""
        return self._closed

    async def close(self) -> None:
        """Close all connections. Calls under way fail with NetworkError. Idempotent."""
        self._closed = True
        here = asyncio.get_running_loop()
        for socket, loop in list(self._sockets.items()):
            await self._close_there(socket.close(), loop, here)
        clients, self._clients = self._clients, {}
        if self._shared_transport is not None:
            transport, self._shared_transport = self._shared_transport, None
            await transport.aclose()
            return
        for loop, client in clients.items():
            await self._close_there(client.aclose(), loop, here)

    @staticmethod
    async def _close_there(
        closing: Coroutine[None, None, None],
        loop: asyncio.AbstractEventLoop,
        here: asyncio.AbstractEventLoop,
    ) -> None:
        if loop is not here and loop.is_running():
            # Its connections belong to the other loop, which may be busy: do not wait for it.
            asyncio.run_coroutine_threadsafe(closing, loop)
        else:
            await closing


class ServerClient:
    """What the clients of both surfaces share: their connections, and how they end."""

    _http: HttpClient

    @once_made
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._http!r})"

    @property
    def closed(self) -> bool:
        """True once :meth:`close` was called."""
        return self._http.closed

    async def close(self) -> None:
        """Close the connections; streams of the server stay. Idempotent.

        Calls under way fail with NetworkError.
        """
        await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
