"""One HTTP client for both surfaces: connections, the retry loop, WebSockets to the same server.

httpx and aiohttp are imported at the first request, so that importing the package stays quick.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self, TypeVar

from overshoot_nb import config
from overshoot_nb.errors import NetworkError, OvershootError, RequestTimeoutError, ServerError
from overshoot_nb.support.redaction import once_made
from overshoot_nb.support.registry import opener
from overshoot_nb.support.validation import check_answer_bytes, check_max_wait, check_timeout

from .address import ServerAddress
from .endpoint import Endpoint
from .faults import answer_fault, answer_id, connection_fault, proxy_fault
from .inner_faults import inner_fault
from .reply import Reply
from .retry import Fault, RateLimit, RetryPolicy, Waiter, repeat
from .route import Route, find_route
from .socket import POLICY_VIOLATION, Socket, SocketClosed

if TYPE_CHECKING:
    import httpx

    from .network_socket import NetworkSocket

logger = logging.getLogger("overshoot_nb")

#: Asked again and again: parsing their URL each time would cost more than building the body.
KEPT_PATHS: Final = frozenset({"/chat/completions", "/models"})
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
        max_wait: seconds that calls which wait for a server's limit wait for it at most.
        max_answer_bytes: of an answer's body; a larger one is refused, and no longer read.

    Raises:
        ValidationError: the URL, the key or a number cannot be used.
        MissingDependencyError: at the first request to the embedded engine, when its packages
            are not installed.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        timeout: float = config.TIMEOUT_SECONDS,
        transport: httpx.AsyncBaseTransport | None = None,
        max_connections: int = config.MAX_CONNECTIONS,
        retry: RetryPolicy | None = None,
        max_wait: float = config.MAX_WAIT_SECONDS,
        max_answer_bytes: int = config.MAX_ANSWER_BYTES,
    ) -> None:
        self.endpoint = endpoint
        self.address = ServerAddress(endpoint)
        self.timeout = check_timeout(timeout)
        self.retry = retry or RetryPolicy()
        self.max_answer_bytes = check_answer_bytes(max_answer_bytes)
        self._limit = RateLimit(check_max_wait(max_wait), self.retry)
        self._max_connections = max_connections
        self._shared_transport = transport
        self._clients: dict[asyncio.AbstractEventLoop, httpx.AsyncClient] = {}
        self._sockets: dict[NetworkSocket, asyncio.AbstractEventLoop] = {}
        self._closed = False
        self._warm = False
        self._route: Route | None = None
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
        route = await self.warm_up()
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            import httpx

            client = httpx.AsyncClient(
                transport=self._open_transport(route), timeout=None, trust_env=False
            )
            self._clients[loop] = client
            # Only now anything is awaited: of two first requests one opens the client.
            for other in list(self._clients):
                if other.is_closed() and (gone := self._clients.pop(other, None)) is not None:
                    await self._close_dead(gone)
        return client

    async def warm_up(self) -> Route | None:
        """Load what requests need, off the loop and before any time limit begins.

        Raises:
            ValidationError: a variable of the environment, or ``verify``, cannot be used.
            MissingDependencyError: the embedded engine's packages are not installed.
        """
        if not self._warm:
            self._route = await asyncio.to_thread(self._load)
            self._warm = True
        return self._route

    def _load(self) -> Route | None:
        for name in ("httpx", "certifi"):
            importlib.import_module(name)
        if self._shared_transport is None and self.endpoint.is_local:
            opener("engine_transport")()  # the engine is shared, and made once
        route = self.find_route()
        from . import connection  # noqa: F401

        return route

    def find_route(self) -> Route | None:
        """How the server is reached; None where no network is.

        Raises:
            ValidationError: a variable of the environment, or ``verify``, cannot be used.
        """
        if self.endpoint.is_local or self._shared_transport is not None:
            return None
        return find_route(self.address.origin, self.endpoint.verify, self.endpoint.uds)

    async def _close_dead(self, client: httpx.AsyncClient) -> None:
        """Close a client whose loop is gone; a transport of all loops stays open."""
        if self._shared_transport is None:
            await client.aclose()

    def _open_transport(self, route: Route | None) -> httpx.AsyncBaseTransport:
        if self._shared_transport is None and self.endpoint.is_local:
            # One engine for all loops: its streams are the same whoever asks.
            self._shared_transport = opener("engine_transport")()
        if self._shared_transport is not None:
            return self._shared_transport
        from .connection import open_network_transport

        assert route is not None
        return open_network_transport(route, self._max_connections, self.address.query)

    # ---- requests ----------------------------------------------------------------------------

    async def send(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        idempotent: bool = True,
        waits: bool = False,
        waiter: Waiter | None = None,
    ) -> Reply:
        """Send one call, with further tries where the policy says so.

        Args:
            method: the HTTP method.
            path: below the base URL, beginning with a slash, already quoted.
            content: a JSON body, or None.
            idempotent: False when doing it twice would make two things.
            waits: for an inference: a server's limit is waited for, whichever call of this
                client met with it, and a failure that stands inside a success is one.
            waiter: whose call it is that waits.

        Raises:
            RequestTimeoutError: no answer within the timeout, without the time of limits.
            NetworkError: no whole answer came.
            ApiError: the server's error, of the class that its status says.
            NoLongerWanted: ``waiter`` says so after a wait.
        """
        call = f"{method} {self.address.path}{path}"

        async def attempt(number: int, paused: float) -> Reply | Fault:
            reply = await self._try(call, method, path, content, number)
            if isinstance(reply, Fault):
                return reply
            reply.paused = paused
            # Parsed here once: a large one in a thread.
            fault = await reply.looked_into(inner_fault, self.address, reply)
            return (fault if waits else None) or reply

        limit = self._limit if waits else None
        return await self._carry_out(call, attempt, self.retry, idempotent, limit, waiter)

    async def open_socket(self, path: str, *, retry: bool = True) -> Socket:
        """Open a WebSocket. It ends with its own ``close``, and with the client.

        A peer that is silent for half a minute counts as gone, and a message of
        ``max_answer_bytes`` or more ends the socket (code 1009). The key is still to be
        sent: it is the first message.

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

        async def attempt(_: int, __: float) -> Socket | Fault:
            return await self._try_socket(call, path)

        policy = self.retry if retry else replace(self.retry, attempts=1)
        return await self._carry_out(call, attempt, policy, idempotent=True)

    async def _carry_out(
        self,
        call: str,
        attempt: Callable[[int, float], Awaitable[_Answer | Fault]],
        policy: RetryPolicy,
        idempotent: bool,
        limit: RateLimit | None = None,
        waiter: Waiter | None = None,
    ) -> _Answer:
        """Try, and try again where the policy says so, within the timeout of a call."""
        faults: list[Fault] = []
        if not self._closed:
            await self.warm_up()  # its time is not the server's
        try:
            async with asyncio.timeout(self.timeout) as scope:
                return await repeat(
                    attempt,
                    policy,
                    idempotent=idempotent,
                    scope=scope,
                    faults=faults,
                    redirect=self._redirect,
                    limit=limit,
                    waiter=waiter,
                )
        except TimeoutError as error:
            if isinstance(error, OvershootError) or not scope.expired():
                raise
        # Not chained: the frames of what was broken off have the key, in the request's headers.
        before = f"; before that: {faults[-1].error}" if faults else ""
        raise RequestTimeoutError(
            f"{call}: no answer within {self.timeout:g} s from {self.address.origin}{before}"
        )

    def _redirect(self, region: str) -> None:
        # Kept for later calls too, which would be sent on in the same way.
        self._region = region

    async def _try(
        self, call: str, method: str, path: str, content: bytes | None, attempt: int
    ) -> Reply | Fault:
        """One try: a success, or the fault that it ended in."""
        client = await self._client()
        from .connection import TRANSPORT_ERRORS, BodyRefused, read_body

        try:
            request = self._request(method, path, content and bytes(content))
            response = await client.send(request, stream=True)
        except TRANSPORT_ERRORS as error:
            return self._unreached(call, error)
        status, headers = response.status_code, response.headers
        request_id = answer_id(self.address, headers)
        try:
            body = await read_body(response, self.max_answer_bytes)
        except BodyRefused as refused:
            if not response.is_success:
                return answer_fault(self.address, call, status, headers, refused.body)
            said = self.address.hide(str(refused))
            return Fault(ServerError(f"{call}: {said}", status, request_id), status)
        except TRANSPORT_ERRORS as error:
            return self._unreached(call, error)
        finally:
            with contextlib.suppress(*TRANSPORT_ERRORS):
                await response.aclose()
        if response.is_success:
            return Reply(call, status, body, request_id, attempt, headers, hide=self.address.hide)
        if status == 407 and self._route is not None and self._route.proxy is not None:
            return proxy_fault(self.address, call, self._route.proxy)
        return answer_fault(self.address, call, status, headers, body)

    def _unreached(self, call: str, error: Exception) -> Fault:
        proxy = self._route.proxy if self._route else None
        return connection_fault(self.address, call, error, proxy, self.endpoint.uds)

    async def _try_socket(self, call: str, path: str) -> Socket | Fault:
        """One try: an open socket, or the fault that it ended in."""
        if self._closed:
            raise NetworkError(f"the client of {self.address.origin} is closed")
        if self.endpoint.is_local:
            try:
                socket: Socket = await opener("engine_socket")(f"{self.address.path}{path}")
                return socket
            except SocketClosed as closed:
                # As on a port, where such a refusal is the answer to the handshake.
                status = 403 if closed.code == POLICY_VIOLATION else 500
                return answer_fault(self.address, call, status, {}, closed.reason.encode())
        from .connection import TRANSPORT_ERRORS
        from .network_socket import HandshakeRefused, open_network_socket

        route = await self.warm_up()
        assert route is not None
        identity = dict(self.address.identity(self._region))
        try:
            socket = await open_network_socket(
                self.address, route, path, identity, self.max_answer_bytes
            )
        except HandshakeRefused as refused:
            if refused.status >= 300:
                return answer_fault(
                    self.address, call, refused.status, refused.headers, refused.body
                )
            said = f"{call}: {refused}; is base_url right?"
            return Fault(ServerError(said, refused.status), refused.status)
        except TRANSPORT_ERRORS as error:
            return self._unreached(call, error)
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
            # Answers are small: compressing them costs more than it saves, and what is inflated
            # has no bound.
            ("Accept-Encoding", "identity"),
            *self.address.identity(self._region),
        ]
        if content is not None:
            fields += [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]
        # httpx masks the authorization in the repr of its headers.
        return httpx.Headers(fields)

    # ---- the end -----------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True once :meth:`close` was called."""
        return self._closed

    async def close(self) -> None:
        """Close all connections. Calls under way fail with NetworkError. Idempotent."""
        self._closed = True
        self._limit.close()
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

    async def warm_up(self) -> None:
        """Load what requests need, off the loop. The first request does it otherwise.

        Raises:
            ValidationError: a variable of the environment, or ``verify``, cannot be used.
            MissingDependencyError: the embedded engine's packages are not installed.
        """
        await self._http.warm_up()

    def find_route(self) -> None:
        """See that the server can be asked, as far as that is known before a connection.

        Raises:
            ValidationError: a variable of the environment, or ``verify``, cannot be used.
        """
        self._http.find_route()

    async def close(self) -> None:
        """Close the connections; streams of the server stay. Idempotent.

        Calls under way fail with NetworkError.
        """
        await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
