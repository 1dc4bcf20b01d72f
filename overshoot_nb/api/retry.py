"""The one retry policy: which faults are worth another try, and after how long."""

from __future__ import annotations

import random
from dataclasses import dataclass

from overshoot_nb.errors import OvershootError

__all__ = ["RETRIED_STATUSES", "Fault", "RetryPolicy"]

#: The server, or something before it, may answer otherwise in a moment.
RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
#: With these the server says that it did not take the request up.
REFUSAL_STATUSES = frozenset({429, 503})


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


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to try.

    Repeated: connection faults and statuses 408, 429, 500, 502, 503, 504. A call that is not
    idempotent is repeated only where the server surely did nothing: no connection was made, or
    it refused with 429 or 503. Never repeated: every other status (a ``region_error`` is
    redirected once, which is no repetition), and a call whose time is up.

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
        if fault.status is None:
            return fault.transient and (idempotent or not fault.reached_server)
        return fault.status in (RETRIED_STATUSES if idempotent else REFUSAL_STATUSES)
