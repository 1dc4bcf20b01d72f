"""The results of a stream: pushed over as many WebSockets as it takes, and asked about again.

How a WebSocket ended decides whether another one is opened: :mod:`~overshoot_nb.gateway.endings`.
A reconnection that gets no answer, or 408, 425, 429, 5xx or anything that is no WebSocket, is
tried again; any other status ends the channel: 401, 402, 403, 404, ...
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Self, TypeVar

import orjson

from overshoot_nb import config
from overshoot_nb.asking.http import HttpClient
from overshoot_nb.asking.socket import Socket, SocketClosed
from overshoot_nb.errors import (
    ApiError,
    NetworkError,
    OvershootError,
    RateLimitError,
    ServerError,
    StreamClosedError,
)

from .endings import ending_error, in_words
from .result_message import ResultMessage, read_result

_T = TypeVar("_T")

#: Waits before one reconnection after another; the last one repeats.
BACKOFF_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 10.0)
#: Each wait is taken times a random number within 1 +- this, so that clients do not come at once.
JITTER: Final = 0.2
#: A connection that lived this long was a good one, even if it had nothing to deliver.
STEADY_SECONDS: Final = 10.0
#: Results that are known again when they are sent again.
REMEMBERED_IDS: Final = 4_096
#: How long a ``close`` waits for the task that iterates to let go.
LET_GO_SECONDS: Final = 0.2

_PASSING_STATUSES: Final = frozenset({408, 425, 429})


class ResultChannel:
    """The results of one stream, each once, in the order in which the server sends them.

    An async context manager and an async iterator, for one task; :meth:`close` may come from any
    task of the loop. After a loss it reconnects by itself, for as long as the server may come
    back, waiting 1, 2, 4, 8, 10, 10, ... s, each +- 20 %; the waits start over after a connection
    that brought a new result or lived for 10 s. A result that is sent again, then or later, is
    known by its id (the newest 4,096 are kept) and left out.

    Args:
        http: the client of the server; closing it ends the channel with NetworkError.
        stream_id: the stream's id.
        path: of its WebSocket below the base URL, already quoted.
        on_status: told in words of each loss and reconnection; must not raise.
        backoff: seconds to wait before one reconnection after another; the last one repeats.

    Attributes:
        reconnects: connections that were made after a loss.
    """

    def __init__(
        self,
        http: HttpClient,
        stream_id: str,
        path: str,
        *,
        on_status: Callable[[str], None] | None = None,
        backoff: Sequence[float] = BACKOFF_SECONDS,
    ) -> None:
        self.reconnects = 0
        self._http = http
        self._stream_id = stream_id
        self._path = path
        self._on_status = on_status
        self._backoff = tuple(backoff)
        self._socket: Socket | None = None
        self._connected_at: float | None = None  # monotonic; None before the first connection
        self._failures = 0  # losses and failed reconnections in a row
        self._loss = ""  # the last of them, in words
        self._retry_after = 0.0
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._error: OvershootError | None = None  # what ended it
        self._closed = False
        self._scope: asyncio.Timeout | None = None  # around whatever is waited for
        self._idle = asyncio.Event()

    def __repr__(self) -> str:
        return f"ResultChannel({self._stream_id!r}, reconnects={self.reconnects})"

    # ---- for the caller ----------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether there is a WebSocket; False while it reconnects."""
        return self._socket is not None

    async def open(self) -> None:
        """Connect for the first time and send the key, tried again as any call is.

        Whether the key is accepted shows with the first result. Idempotent.

        Raises:
            NetworkError: no connection came about (RequestTimeoutError: in time).
            ApiError: the server refused, of the class that its status says.
            StreamClosedError: :meth:`close` was called.
        """
        if self._connected_at is None:
            try:
                await self._breakable(self._connect(retry=True))
            except _Closed:
                raise StreamClosedError(
                    "the result channel was closed before it was open", "closed here"
                ) from None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ResultMessage:
        """The next result; opens the channel if nobody did. Ends after :meth:`close`.

        Raises:
            StreamClosedError: the server ended the stream; ``reason`` is its word for it.
            InsufficientCreditsError: it did so since there are no credits left.
            WebSocketError: it refused the key, or what ended the connection would end any other.
            ApiError: it refused a reconnection: 401, 402, 403, 404, ...
            NetworkError: its client was closed, or it could not be opened.
        """
        if self._error is not None:
            raise self._error
        try:
            return await self._breakable(self._next())
        except _Closed:
            raise StopAsyncIteration from None
        except OvershootError as error:
            self._error = error
            raise

    async def close(self) -> None:
        """End it, within half a second; whoever waits for a result gets the end. Idempotent."""
        self._closed = True
        if self._scope is not None and self._scope.when() is None:
            self._scope.reschedule(asyncio.get_running_loop().time())
            # A socket is used by one task: that one lets go before this one closes.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LET_GO_SECONDS):
                    await self._idle.wait()
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    # ---- waiting -----------------------------------------------------------------------------

    async def _breakable(self, step: Coroutine[Any, Any, _T]) -> _T:
        """Await what `close` may break off at any moment; then `_Closed` is raised."""
        if self._closed or self._scope is not None:
            step.close()
            if self._closed:
                raise _Closed
            raise RuntimeError("a ResultChannel is read by one task at a time")
        self._idle.clear()
        try:
            # No time limit: a scope that close() ends by moving its deadline to now.
            async with asyncio.timeout(None) as self._scope:
                return await step
        except Exception:
            if self._closed:
                raise _Closed from None
            raise
        finally:
            self._scope = None
            self._idle.set()

    async def _next(self) -> ResultMessage:
        while True:
            socket = self._socket or await self._reconnect()
            try:
                text = await socket.receive()
            except SocketClosed as closed:
                await self._lose(socket, closed)
                continue
            message = read_result(text, self._stream_id, self._http.address.hide)
            if self._is_new(message.id):
                self._failures = 0
                return message

    def _is_new(self, result_id: str) -> bool:
        if result_id in self._seen:
            return False
        self._seen[result_id] = None
        if len(self._seen) > REMEMBERED_IDS:
            self._seen.popitem(last=False)
        return True

    # ---- connections -------------------------------------------------------------------------

    async def _connect(self, *, retry: bool) -> Socket:
        socket = await self._http.open_socket(self._path, retry=retry)
        self._socket, self._connected_at = socket, time.monotonic()
        # If it is closed already, receiving will say why.
        with contextlib.suppress(SocketClosed):
            await socket.send(orjson.dumps(self._http.address.first_message()).decode())
        return socket

    async def _lose(self, socket: Socket, closed: SocketClosed) -> None:
        """Let go of a socket that ended, and raise if that ends the channel."""
        self._socket = None
        if time.monotonic() - (self._connected_at or 0.0) >= STEADY_SECONDS:
            self._failures = 0
        self._loss = in_words(closed)
        await socket.close()
        if (error := ending_error(closed, self._stream_id)) is not None:
            raise error

    async def _reconnect(self) -> Socket:
        if self._connected_at is None:
            return await self._connect(retry=True)
        while True:
            if self._http.closed:
                raise NetworkError(f"the result channel ended: {self._http!r} was closed")
            delay = self._delay()
            self._say(f"result channel lost ({self._loss}), reconnecting in {delay:.2g} s")
            await asyncio.sleep(delay)
            try:
                socket = await self._connect(retry=False)
            except (NetworkError, ApiError) as error:
                if not _is_passing(error):
                    raise
                self._loss = str(error)
                self._retry_after = getattr(error, "retry_after", None) or 0.0
                continue
            self.reconnects += 1
            self._say("result channel connected again")
            return socket

    def _delay(self) -> float:
        base = self._backoff[min(self._failures, len(self._backoff) - 1)]
        self._failures += 1
        wait, self._retry_after = min(self._retry_after, config.MAX_WAIT_SECONDS), 0.0
        return max(wait, base * random.uniform(1 - JITTER, 1 + JITTER))

    def _say(self, status: str) -> None:
        if self._on_status is not None:
            self._on_status(status)


class _Closed(Exception):
    """`close` was called."""


def _is_passing(error: OvershootError) -> bool:
    """Whether a reconnection that failed so may succeed later."""
    if isinstance(error, ApiError):
        passing = isinstance(error, ServerError | RateLimitError)
        return passing or error.status_code in _PASSING_STATUSES
    return True
