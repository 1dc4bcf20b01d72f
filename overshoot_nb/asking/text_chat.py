"""Chat completions without pictures, which any language model takes.

The same requests as those about samples, with the same forms of a schema and the same retries;
but the message is plain text, for servers whose language models know no list of parts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from overshoot_nb.types import ChatAnswer, ResponseFormat, Sample

from .chat import ChatClient
from .payload import ChatTemplate, json_bytes

#: A clip of no frames: nothing that a body would have to name.
_NO_SAMPLE = Sample(0, "clip", 0.0, datetime.fromtimestamp(0, UTC), ())


class TextTemplate(ChatTemplate):
    """The body of a chat completion about its prompt alone.

    Args:
        template: the same, about a sample.
    """

    __slots__ = ("_body",)

    def __init__(self, template: ChatTemplate) -> None:
        body = template.without_sample()
        message = body["messages"][-1]
        message["content"] = "".join(part["text"] for part in message["content"])
        self._body = json_bytes(body)

    def fill(self, sample: Sample) -> bytes:
        """The whole body, whatever the sample."""
        return self._body


async def ask_text(
    chat: ChatClient,
    prompt: str,
    model: str,
    *,
    output_schema: Mapping[str, Any] | None = None,
    max_output_tokens: int | None = None,
    temperature: float | None = None,
    response_format: ResponseFormat = "auto",
    system: str | None = None,
    extra_body: Mapping[str, Any] | None = None,
) -> ChatAnswer:
    """POST /chat/completions: ask a language model. Parameters as in :meth:`ChatClient.prepare`.

    Raises:
        ValidationError: a parameter is empty or out of its range.
        RequestTimeoutError: no answer within the timeout.
        NetworkError: no whole answer came.
        ApiError: the server's error, of the class that its status says.
        ServerError: the answer is not a chat completion.
    """
    # The first check of a schema loads its library, which would hold up every stream.
    request = await asyncio.to_thread(
        chat.prepare,
        prompt,
        model,
        output_schema=output_schema,
        max_output_tokens=max_output_tokens,
        temperature=temperature,
        response_format=response_format,
        system=system,
        extra_body=extra_body,
    )
    templates = {way: TextTemplate(template) for way, template in request._templates.items()}
    return await chat.complete(replace(request, _templates=templates), _NO_SAMPLE)
