"""Asking again about the pictures of a result that a v0.2 server keeps for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from overshoot_nb.errors import NotFoundError
from overshoot_nb.types import ReinferResult

from .api_client import ApiClient

# ---- asked again ---------------------------------------------------------------------------------


async def reinfer_when_stored(
    api: ApiClient,
    result_id: str,
    prompt: str,
    model: str,
    *,
    temperature: float | None = None,
    max_tokens: int | None = None,
    output_schema: Mapping[str, Any] | None = None,
    patience: float = 5.0,
    pause: float = 0.5,
) -> ReinferResult:
    """POST /chat/completions/clip, as soon as the result's clip is stored.

    A clip is stored 1 to 2 s after its result; until then the server answers 404.

    Args:
        api: the client to ask with.
        result_id, prompt, model, temperature, max_tokens, output_schema: as in
            :meth:`~overshoot_nb.gateway.api_client.ApiClient.reinfer`.
        patience: seconds for which a 404 is answered by asking again.
        pause: seconds between two requests.

    Raises:
        NotFoundError: still 404 after that; the message says how long was waited.
        OvershootError: as :meth:`~overshoot_nb.gateway.api_client.ApiClient.reinfer`.
    """
    began = time.monotonic()
    while True:
        try:
            return await api.reinfer(
                result_id,
                prompt,
                model,
                temperature=temperature,
                max_tokens=max_tokens,
                output_schema=output_schema,
            )
        except NotFoundError as error:
            waited = time.monotonic() - began
            if waited + pause > patience:
                raise NotFoundError(
                    f"{error.message} (asked again for {waited:.1f} s: a clip is stored 1 to 2 s "
                    "after its result, and not kept for ever)",
                    error.status_code,
                    error.request_id,
                    error.details,
                ) from None
        await asyncio.sleep(pause)
