"""The lease of a v0.2 stream, renewed until the server ends it or is out of reach for good."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NoReturn

from overshoot_nb import config
from overshoot_nb.errors import NetworkError, NotFoundError, RateLimitError, ServerError
from overshoot_nb.types import KeepaliveResponse, StreamCreateResponse

from .api_client import ApiClient

#: A server that speaks of shorter leases is asked no more often than for one of this, in seconds.
LEAST_LEASE_SECONDS = 0.3

#: After which part of it a lease is renewed, and in which part of it the server must answer.
RENEWED_AFTER = ANSWERED_WITHIN = 1 / 3

#: Failures that pass. The wire tries again by itself; these are what is left after that.
PASSING = (NetworkError, ServerError, RateLimitError)
SUCCESSES = range(200, 300)


async def keep_lease(
    api: ApiClient,
    created: StreamCreateResponse,
    *,
    renewed: Callable[[KeepaliveResponse], object],
    said: Callable[[str], object],
) -> NoReturn:
    """Call keepalive at every third of the lease, until it cannot be kept.

    Args:
        api: the server's calls.
        created: the server's answer to POST /streams.
        renewed: told each answer.
        said: told in words of a try that failed.

    Raises:
        InsufficientCreditsError: no credits are left (402).
        NotFoundError: the stream is over (404).
        NetworkError: it could not be renewed for twice its length.
        ApiError: the server refused otherwise (401, 403, 422).
    """
    loop = asyncio.get_running_loop()
    ttl = config.LEASE_SECONDS
    if created.lease is not None and created.lease.ttl_seconds > 0:
        ttl = max(created.lease.ttl_seconds, LEAST_LEASE_SECONDS)
    renewed_at = loop.time()
    while True:
        await asyncio.sleep(ttl * RENEWED_AFTER)
        try:
            async with asyncio.timeout(ttl * ANSWERED_WITHIN):
                answer = await api.keepalive(created.stream_id)
        except NotFoundError as error:
            raise NotFoundError(
                f"the server knows the stream {created.stream_id} no longer: its lease has "
                "expired, or it was closed elsewhere; restart() begins another and keeps the rows "
                f"[{error.message}]",
                error.status_code,
                error.request_id,
                error.details,
            ) from error
        except (*PASSING, TimeoutError) as error:
            if isinstance(error, ServerError) and (error.status_code or 0) in SUCCESSES:
                renewed_at = loop.time()  # it said so, in words of its own
                continue
            problem = str(error) or "no answer in time"
            gone = loop.time() - renewed_at
            # Longer than the lease can last: a server that was restarted may have kept it.
            if gone > 2 * ttl:
                raise NetworkError(
                    f"the lease of the stream, of {ttl:g} s, could not be renewed for "
                    f"{gone:.0f} s: {problem}"
                ) from error
            said(f"the lease could not be renewed, trying again: {problem}")
            continue
        renewed_at = loop.time()
        if answer.ttl_seconds > 0:
            ttl = max(answer.ttl_seconds, LEAST_LEASE_SECONDS)
        renewed(answer)
