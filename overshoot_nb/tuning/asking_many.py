"""Asking many questions, a few at a time and within a budget.

For whoever asks about more than one sample: what is asked, and what becomes of an answer, is the
caller's affair.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from overshoot_nb.store.budget import Account

Job = TypeVar("Job")


async def ask_many(
    jobs: Iterable[Job],
    ask: Callable[[Job], Awaitable[Job | None]],
    account: Account,
    max_in_flight: int,
) -> str:
    """Carry out the jobs in their order; returns why it stopped before the last one, or "".

    What ``ask`` raises ends it, and so does being cancelled: what is under way then is cancelled.

    Args:
        jobs: what there is to ask.
        ask: asks one, and tells the account what it took. Returns what of it is to be asked next,
            or None.
        account: what may be spent.
        max_in_flight: jobs under way at once.
    """
    waiting = deque(jobs)
    under_way: set[asyncio.Task[None]] = set()

    async def carry_out(job: Job) -> None:
        if (left := await ask(job)) is not None:
            waiting.appendleft(left)

    try:
        while waiting or under_way:
            refusal = account.refusal(len(under_way)) if waiting else "all are asked about"
            if refusal is None and len(under_way) < max_in_flight:
                under_way.add(asyncio.create_task(carry_out(waiting.popleft())))
            elif under_way:
                finished, under_way = await asyncio.wait(
                    under_way, return_when=asyncio.FIRST_COMPLETED
                )
                await asyncio.gather(*finished)  # raises what the first of them raised
            else:
                return refusal or ""
        return ""
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
