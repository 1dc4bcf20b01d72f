"""One HTTP client for both surfaces: httpx set-up, the retry loop, and errors made from answers.

httpx itself is imported at the first request, so that importing the package stays quick.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import unquote, urlsplit, urlunsplit

import orjson

from overshoot_nb import config
from overshoot_nb._version import __version__
from overshoot_nb.errors import (
    NetworkError,
    OvershootError,
    RequestTimeoutError,
    ServerError,
    ValidationError,
)
from overshoot_nb.validation import check_timeout

from .faults import (
    ErrorBody,
    make_error,
    named_region,
    read_error_body,
    reason_phrase,
    retry_after_seconds,
    shown_location,
)
from .reply import Reply
from .retry import Fault, RetryPolicy

if TYPE_CHECKING:
    import httpx

__all__ = ["HttpClient", "ServerClient"]

logger = logging.getLogger("overshoot_nb")

#: Where the embedded engine's transport is reached; the name is never resolved.
LOCAL_URLS: Final = {"chat": "http://local/v1beta", "gateway": "http://local/v0.2"}
#: Asked again and again: parsing their URL each time would cost more than building the body.
KEPT_PATHS: Final = frozenset({"/chat/completions", "/models"})
REGION_HEADER: Final = "X-Overshoot-Region"
#: Shorter "keys" are stand-ins ("EMPTY", "ollama"); hiding them would only garble messages.
MIN_SECRET_CHARS: Final = 8
HIDDEN: Final = "[hidden]"


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
        self.timeout = check_timeout(timeout)
        self.retry = retry or RetryPolicy()
        self._max_connections = max_connections
        self._shared_transport = transport
        self._clients: dict[asyncio.AbstractEventLoop, httpx.AsyncClient] = {}
        self._closed = False
        self._region: str | None = None
        self._urls: dict[str, httpx.URL] = {}
        self._split_url()
        self._secrets = self._find_secrets()

    def __repr__(self) -> str:
        return f"HttpClient({self._origin}{self._path})"

    # ---- set-up ------------------------------------------------------------------------------

    def _split_url(self) -> None:
        """Take the URL apart, so that its user info and query reach no message and no log."""
        url = LOCAL_URLS[self.endpoint.surface] if self.endpoint.is_local else None
        try:
            parts = urlsplit(url or self.endpoint.base_url)
            port = parts.port
        except ValueError as error:
            raise ValidationError(f"base_url cannot be used: {error}") from None
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        netloc = host if port is None else f"{host}:{port}"
        self._origin = urlunsplit((parts.scheme, netloc, "", "", ""))
        self._path = parts.path.rstrip("/")
        self._query = parts.query
        self._user_info = (
            f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
            if parts.username or parts.password
            else None
        )

    def _find_secrets(self) -> tuple[str, ...]:
        key = self.endpoint.key
        if key is not None and not (key.reveal().isascii() and key.reveal().isprintable()):
            raise ValidationError(
                "the API key has characters that a header cannot carry; was it copied whole?"
            )
        password = (self._user_info or "").partition(":")[2]
        found = (key.reveal() if key else "", password, self._query)
        return tuple(s for s in found if len(s) >= MIN_SECRET_CHARS)

    def _authorization(self) -> str | None:
        if self.endpoint.key is not None:
            return f"Bearer {self.endpoint.key.reveal()}"
        if self.endpoint.is_local:
            return "Bearer local"
        if self._user_info is not None:
            return "Basic " + base64.b64encode(self._user_info.encode()).decode()
        return None

    async def _client(self) -> httpx.AsyncClient:
        """The client of the running loop."""
        if self._closed:
            raise NetworkError(f"the client of {self._origin} is closed")
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

        return open_network_transport(self._origin, self._max_connections, self._query)

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
        call = f"{method} {self._path}{path}"
        faults: list[Fault] = []
        try:
            async with asyncio.timeout(self.timeout) as scope:
                return await self._send(call, method, path, content, idempotent, scope, faults)
        except TimeoutError as error:
            if isinstance(error, OvershootError) or not scope.expired():
                raise
            before = f"; before that: {faults[-1].error}" if faults else ""
            raise RequestTimeoutError(
                f"{call}: no answer within {self.timeout:g} s from {self._origin}{before}"
            ) from None

    async def _send(
        self,
        call: str,
        method: str,
        path: str,
        content: bytes | None,
        idempotent: bool,
        scope: asyncio.Timeout,
        faults: list[Fault],
    ) -> Reply:
        loop = asyncio.get_running_loop()
        redirected = False
        attempt = 0
        while True:
            attempt += 1
            answer = await self._try(call, method, path, content, attempt)
            if isinstance(answer, Reply):
                return answer
            faults.append(answer)
            if answer.region is not None and not redirected:
                redirected = True
                # Kept for later calls too, which would be sent on in the same way.
                self._region = answer.region
                continue
            remaining = (scope.when() or 0.0) - loop.time()
            delay = self.retry.delay(answer, attempt, idempotent=idempotent, remaining=remaining)
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
            response = await client.send(self._request(method, path, content), stream=True)
        except TRANSPORT_ERRORS as error:
            return self._connection_fault(call, error)
        request_id = self._hide((response.headers.get("x-request-id") or "")[:200]) or None
        try:
            body = await response.aread()
        except httpx.DecodingError as error:
            reason = f"the answer's body cannot be decoded: {describe(error)}"
            wrong = ServerError(f"{call}: {self._hide(reason)}", response.status_code, request_id)
            return Fault(wrong, response.status_code)
        except TRANSPORT_ERRORS as error:
            return self._connection_fault(call, error)
        finally:
            with contextlib.suppress(*TRANSPORT_ERRORS):
                await response.aclose()
        if response.is_success:
            return Reply(call, response.status_code, body, request_id, attempt)
        return self._answer_fault(call, response, body, request_id)

    def _request(self, method: str, path: str, content: bytes | None) -> httpx.Request:
        """A request built directly: merging a client's defaults into each one costs more."""
        import httpx

        from .connection import CHUNK_BYTES, in_chunks

        url = self._urls.get(path)
        if url is None:
            url = httpx.URL(f"{self._origin}{self._path}{path}")
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
            ("User-Agent", f"overshoot-nb/{__version__}"),
        ]
        if content is not None:
            fields += [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]
        if self._region is not None:
            fields.append((REGION_HEADER, self._region))
        if (authorization := self._authorization()) is not None:
            fields.append(("Authorization", authorization))
        # httpx masks the authorization in the repr of its headers.
        return httpx.Headers(fields)

    # ---- faults ------------------------------------------------------------------------------

    def _connection_fault(self, call: str, error: Exception) -> Fault:
        from .connection import describe, is_certificate_error, never_connected

        unconnected = never_connected(error)
        verb = "could not connect to" if unconnected else "lost the connection to"
        reason = self._hide(describe(error))
        return Fault(
            NetworkError(f"{call}: {verb} {self._origin}: {reason}"),
            reached_server=not unconnected,
            transient=not is_certificate_error(error),
        )

    def _answer_fault(
        self, call: str, response: httpx.Response, body: bytes, request_id: str | None
    ) -> Fault:
        status = response.status_code
        said = read_error_body(self._hide_bytes(body))
        wait = retry_after_seconds(response.headers.get("retry-after"))
        if 300 <= status < 400:
            # Following it could carry the key to another host.
            target = shown_location(response.headers.get("location"))
            message = f"the server redirects to {target}, which is not followed; is base_url right?"
        else:
            message = said.message or reason_phrase(status)
        if status == 401 and self.endpoint.key is None:
            message += " (no API key was given)"
        error = make_error(
            status,
            f"{call}: {self._hide(message)}",
            self._hide(said.request_id or "") or request_id,
            self._shown_details(said),
            wait,
        )
        region = named_region(said) if status == 409 else None
        return Fault(error, status, wait, region=region)

    def _hide(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def _hide_bytes(self, body: bytes) -> bytes:
        for secret in self._secrets:
            body = body.replace(secret.encode(), HIDDEN.encode())
        return body

    def _shown_details(self, said: ErrorBody) -> Any:
        """The details without secrets that were escaped in the body, and nested within reason."""
        try:
            text = orjson.dumps(said.details)
        except orjson.JSONEncodeError:
            return None
        hidden = self._hide_bytes(text)
        return said.details if hidden == text else orjson.loads(hidden)

    # ---- the end -----------------------------------------------------------------------------

    async def close(self) -> None:
        """Close all connections. Calls under way fail with NetworkError. Idempotent."""
        self._closed = True
        clients, self._clients = self._clients, {}
        if self._shared_transport is not None:
            transport, self._shared_transport = self._shared_transport, None
            await transport.aclose()
            return
        here = asyncio.get_running_loop()
        for loop, client in clients.items():
            if loop is not here and loop.is_running():
                # Its sockets belong to the other loop, which may be busy: do not wait for it.
                asyncio.run_coroutine_threadsafe(client.aclose(), loop)
            else:
                await client.aclose()


class ServerClient:
    """What the clients of both surfaces share: their connections, and how they end."""

    _http: HttpClient

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._http!r})"

    async def close(self) -> None:
        """Close the connections; streams of the server stay. Idempotent.

        Calls under way fail with NetworkError.
        """
        await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
