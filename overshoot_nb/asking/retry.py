"""The one retry policy: which faults are worth another try, after how long, and a server's limit.

A limit is a 429, or a 503 that says when to come back. It is the client's, and not that of one
request: nothing of the client is asked until it is over, then a little at first. The time that
this takes is neither a try nor part of a call's timeout.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, TypeVar

from overshoot_nb.errors import OvershootError

logger = logging.getLogger("overshoot_nb")
_Answer = TypeVar("_Answer")

#: The server, or something before it, may answer otherwise in a moment.
RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
#: With these the server says that it did not take the request up.
REFUSAL_STATUSES = frozenset({429, 503})
#: The longest pause after a refusal that does not say when to come back.
MAX_HOLD_SECONDS: Final = 60.0
#: So long after a pause, in seconds, a refusal is of another limit.
FORGET_SECONDS: Final = 60.0
#: A pause of so many seconds is one that somebody notices.
TOLD_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One failed try.

    Attributes:
        error: what the caller gets when no further try is made.
        status: the HTTP status, or None when no whole answer came.
        retry_after: seconds the server asked to wait, or None.
        reached_server: False when the connection was never established.
        transient: False for a fault that a repetition cannot heal, such as a bad certificate.
        region: the region that a ``region_error`` names, or None.
    """

    error: OvershootError
    status: int | None = None
    retry_after: float | None = None
    reached_server: bool = True
    transient: bool = True
    region: str | None = None

    @property
    def is_limit(self) -> bool:
        """Whether the server only wants to be left alone for a while."""
        limited = self.status == 429 or (self.status == 503 and self.retry_after is not None)
        return limited and self.transient


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to try.

    Repeated: connection faults and statuses 408, 429, 500, 502, 503, 504. A call that is not
    idempotent is repeated only where the server surely did nothing: no connection was made, or
    it refused with 429 or 503. Never repeated: every other status (a ``region_error`` is
    redirected once, which is no repetition), and a call whose time is up. A call that waits for
    limits (see :class:`RateLimit`) does so besides its tries.

    Attributes:
        attempts: tries in all.
        backoff_seconds: the wait before the second try is random in 0..this, and the bound
            doubles with each try (exponential backoff with full jitter).
        max_backoff_seconds: the bound's own bound.
        max_retry_after_seconds: a server that asks for a longer wait gets no further try; the
            caller's error carries the wait.
    """

    attempts: int = 3
    backoff_seconds: float = 0.5
    max_backoff_seconds: float = 8.0
    max_retry_after_seconds: float = 20.0

    def delay(
        self, fault: Fault, attempt: int, *, idempotent: bool, remaining: float
    ) -> float | None:
        """Seconds to wait before the next try, or None to give up.

        Args:
            fault: how the last try failed.
            attempt: tries made so far, from 1.
            idempotent: whether doing it twice does no harm.
            remaining: seconds left of the call's timeout.
        """
        if attempt >= self.attempts or not self._repeatable(fault, idempotent):
            return None
        bound = min(self.max_backoff_seconds, self.backoff_seconds * 2.0 ** (attempt - 1))
        delay = random.uniform(0.0, bound)
        if fault.retry_after is not None:
            if fault.retry_after > self.max_retry_after_seconds:
                return None
            # Never before the asked-for time, and not all clients in the same instant.
            delay += fault.retry_after
        return delay if delay < remaining else None

    @staticmethod
    def _repeatable(fault: Fault, idempotent: bool) -> bool:
        if not fault.transient:
            return False
        if fault.status is None:
            return idempotent or not fault.reached_server
        return fault.status in (RETRIED_STATUSES if idempotent else REFUSAL_STATUSES)


# ---- limits ------------------------------------------------------------------------------------


class Waiter(Protocol):
    """Whose request has to wait for a server's limit."""

    def waiting(self, note: str) -> None:
        """Told in words why nothing is asked, and "" when it is asked again. Must not raise."""

    def wanted(self) -> bool:
        """Whether the request is still to be made, after it had to wait."""


class NoLongerWanted(Exception):
    """A request had to wait so long that its :class:`Waiter` does not want it any more."""


class RateLimit:
    """A server's limit on one client: until it is over nothing is asked, and then one request.

    Each answer then makes room for one more at once, until none has to wait for its turn: all
    of them together would only be refused again. Those that wait are asked in their order.

    Args:
        max_wait: seconds; a limit that lasts longer, by what the server says or since it began,
            is not waited for.
        policy: its backoff spaces refusals that do not say when to come back.
    """

    def __init__(self, max_wait: float, policy: RetryPolicy) -> None:
        self.max_wait = max_wait
        self._policy = policy
        self._until = 0.0  # monotonic
        self._began: float | None = None  # monotonic, of the first refusal since an answer
        self._refusals = 0  # in a row, those of one moment counted once
        self._at_once: int | None = None  # requests that may be under way; None for any number
        self._under_way = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._note = ""
        self._told = False
        self._closed = False

    def begin(self) -> bool:
        """Begin a request's turn; False where it has to wait for it, by :meth:`turn`.

        Every turn ends with :meth:`done`.
        """
        if self._at_once is not None and not self._closed:
            return False
        self._under_way += 1
        return True

    async def turn(self, waiter: Waiter | None = None) -> None:
        """Wait for a request's turn, and begin it.

        Raises:
            NoLongerWanted: ``waiter`` says so after the wait.
        """
        future = asyncio.get_running_loop().create_future()
        self._queue.append(future)
        told = ""
        try:
            while not future.done():
                if waiter is not None and told != self._note:
                    told = self._note
                    waiter.waiting(told)
                left = self._until - time.monotonic()
                if left <= 0:
                    self._grant()
                await asyncio.wait([future], timeout=left if left > 0 else None)
        except BaseException:
            try:
                self._queue.remove(future)
            except ValueError:  # it has its turn already
                self.done()
            raise
        finally:
            if told and waiter is not None:
                waiter.waiting("")
        if waiter is not None and not self._closed and not waiter.wanted():
            self.done()
            raise NoLongerWanted

    def done(self) -> None:
        """A turn is over."""
        self._under_way -= 1
        if self._queue:
            self._grant()

    def answered(self) -> None:
        """A request was answered: there is room for one more."""
        if self._at_once is None:
            return
        self._began, self._refusals = None, 0
        self._at_once += 1
        if not self._queue and self._under_way < self._at_once and self._is_over():
            self._at_once = None

    def refused(self, fault: Fault) -> bool:
        """Pause; False where that would be for longer than ``max_wait``."""
        now = time.monotonic()
        if now > self._until + FORGET_SECONDS:
            self._began, self._refusals = None, 0
        together = now < self._until  # with others, of which one said it first
        backoff = self._policy.backoff_seconds * 2.0 ** min(self._refusals, 30)
        jitter = 0.0
        if fault.retry_after:
            wait = fault.retry_after
            # Never before the asked-for time, and not all clients in the same instant.
            jitter = random.uniform(0.0, min(backoff, self._policy.max_backoff_seconds))
        elif together:
            wait = self._until - now
        else:
            wait = min(backoff, MAX_HOLD_SECONDS) * random.uniform(0.5, 1.0)
        began = now if self._began is None else self._began
        if now + wait - began > self.max_wait:
            return False
        self._began, self._at_once = began, 1
        if not together:
            self._refusals += 1
        if (until := now + wait) > self._until:
            self._until = until if together else until + jitter
            self._note = _in_words(self._until - now, fault)
            # Once aloud: whoever waits without a stream's status should know why.
            aloud = not self._told and wait >= TOLD_SECONDS
            self._told = self._told or aloud
            logger.log(logging.WARNING if aloud else logging.INFO, "%s", self._note)
        return True

    def close(self) -> None:
        """Let everybody go on who waits; their client is closed."""
        self._closed = True
        while self._queue:
            self._under_way += 1
            _wake(self._queue.popleft())

    def _is_over(self) -> bool:
        return time.monotonic() >= self._until

    def _grant(self) -> None:
        """Turns for those that wait longest, as many as there are."""
        while self._queue and self._is_over():
            if self._at_once is not None and self._under_way >= self._at_once:
                return
            self._under_way += 1
            _wake(self._queue.popleft())


def _wake(future: asyncio.Future[None]) -> None:
    def wake() -> None:
        if not future.done():
            future.set_result(None)

    loop = future.get_loop()
    if loop is asyncio._get_running_loop():
        wake()
    elif not loop.is_closed():
        loop.call_soon_threadsafe(wake)


def _in_words(seconds: float, fault: Fault) -> str:
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    return (
        f"the server limits requests: nothing is asked for {seconds:.3g} s, until "
        f"{until:%H:%M:%S} UTC [{fault.error}]"
    )


# ---- the tries of one call -----------------------------------------------------------------------


async def repeat(
    attempt: Callable[[int, float], Awaitable[_Answer | Fault]],
    policy: RetryPolicy,
    *,
    idempotent: bool,
    scope: asyncio.Timeout,
    faults: list[Fault],
    redirect: Callable[[str], object],
    limit: RateLimit | None = None,
    waiter: Waiter | None = None,
) -> _Answer:
    """Try, and try again where the policy says so or a limit is over.

    Args:
        attempt: makes one try; told its number, from 1, and the seconds of limits so far.
        policy: when to try again.
        idempotent: whether doing it twice does no harm.
        scope: the timeout of the call, which stands still while a limit is waited for.
        faults: how tries failed; each is added.
        redirect: told the region of a ``region_error``, before it is tried there, once.
        limit: what is waited for; None for a call that does not wait for limits.
        waiter: whose request it is.

    Raises:
        OvershootError: that of the last fault.
        NoLongerWanted: ``waiter`` says so after a wait.
    """
    loop = asyncio.get_running_loop()
    redirected = False
    number = limits = 0
    paused = 0.0
    while True:
        number += 1
        if limit is not None and not limit.begin():
            began = loop.time()
            remaining = (scope.when() or 0.0) - began
            scope.reschedule(None)
            await limit.turn(waiter)
            paused += loop.time() - began
            scope.reschedule(loop.time() + remaining)
        limited = False
        try:
            answer = await attempt(number, paused)
            if limit is not None:
                if not isinstance(answer, Fault):
                    limit.answered()
                elif answer.is_limit:
                    limited = limit.refused(answer)
        finally:
            if limit is not None:
                limit.done()
        if not isinstance(answer, Fault):
            return answer
        faults.append(answer)
        if answer.region is not None and not redirected:
            redirected = True
            redirect(answer.region)
            continue
        if limited:
            limits += 1
            continue
        if limit is not None and answer.is_limit:
            raise answer.error
        remaining = (scope.when() or 0.0) - loop.time()
        tries = number - limits
        delay = policy.delay(answer, tries, idempotent=idempotent, remaining=remaining)
        if delay is None:
            raise answer.error
        logger.debug("%s; trying again in %.2f s", answer.error, delay)
        await asyncio.sleep(delay)
