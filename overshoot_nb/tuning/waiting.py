"""Waiting in a cell for what happens on the runtime's loop, so that an interrupt is felt."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from overshoot_nb.progress import TICK_SECONDS
from overshoot_nb.runtime import get_runtime

__all__ = ["wait_in_cell"]

T = TypeVar("T")


async def wait_in_cell(coro: Coroutine[Any, Any, T]) -> T:
    """Await ``coro``, which runs on the runtime's loop, from any loop; cancelled along with it.

    A kernel cancels an interrupted cell from a signal handler, which its loop sees only when it
    wakes: it is woken now and then.
    """
    outcome = asyncio.ensure_future(get_runtime().call(coro))
    try:
        while not outcome.done():
            await asyncio.wait([outcome], timeout=TICK_SECONDS)
    finally:
        outcome.cancel()
    return outcome.result()
