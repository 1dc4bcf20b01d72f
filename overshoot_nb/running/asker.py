"""Asking about a stored sample: the same question as a stream's, at any later time.

A chat server is sent the sample's pictures again. A v0.2 server took its own pictures, keeps them
for a while, and is asked by the id of the result.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

from overshoot_nb._version import __version__
from overshoot_nb.asking.answer import judge_content
from overshoot_nb.asking.chat import ChatClient, ChatRequest
from overshoot_nb.asking.endpoint import Endpoint
from overshoot_nb.asking.parsing import SchemaReader
from overshoot_nb.errors import NotFoundError
from overshoot_nb.gateway.api_client import ApiClient
from overshoot_nb.gateway.reinfer import reinfer_when_stored
from overshoot_nb.store.answer_cache import AnswerCache
from overshoot_nb.store.prompts import PromptVersion, asked_as_text
from overshoot_nb.support.validation import check_output_schema
from overshoot_nb.types import (
    ChatAnswer,
    ReinferResult,
    ResponseFormat,
    Sample,
    StreamInferenceResult,
)

#: Waits until a request may be made.
Turn = Callable[[], Awaitable[object]]

#: A v0.2 server stores the pictures of a result 1 to 2 s after it, which is waited for. So long
#: after a sample they are there, or gone for good.
STORED_SECONDS = 30.0
#: What is kept of an answer, in the keys of the cache. Before, it may have been the reasoning.
READ_AS = "without reasoning"


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt version, made ready to be asked; by :meth:`Asker.prepare`."""

    version: PromptVersion
    request: ChatRequest | None
    reader: SchemaReader | None


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer, and whether it came from the cache (no request was made then)."""

    answer: ChatAnswer
    cached: bool


class Asker(Protocol):
    """Whoever can be asked about samples that were taken before."""

    #: Whether :meth:`ask` needs the id of the sample's row, and not its pictures.
    by_result: bool

    async def prepare(self, version: PromptVersion) -> Question:
        """Make a version ready to be asked. Sends nothing.

        Raises:
            ValidationError: it cannot be asked.
        """

    async def ask(
        self, question: Question, sample: Sample, *, result_id: str = "", repeat: int = 0
    ) -> Asked:
        """Ask about one sample, or find in the cache what was answered before.

        Args:
            question: what to ask.
            sample: what to ask about; without pictures where ``by_result``.
            result_id: id of the sample's row, where ``by_result``.
            repeat: 0; the same question of another number is another one to the cache.

        Raises:
            OvershootError: no answer came.
            NotFoundError: the server has the pictures no longer (v0.2).
        """


class ChatAsker:
    """Asks a chat server. On the runtime's loop.

    Args:
        chat: the server.
        response_format: how a schema is asked for.
        cache: where answers are kept, or None.
        turn: awaited before each request, and not where the cache has the answer.
    """

    by_result = False

    def __init__(
        self,
        chat: ChatClient,
        *,
        response_format: ResponseFormat = "auto",
        cache: AnswerCache | None = None,
        turn: Turn | None = None,
    ) -> None:
        self._chat = chat
        self._turn = turn
        self._format: ResponseFormat = response_format
        self._cache = cache
        self._who = _who(chat.endpoint)

    async def prepare(self, version: PromptVersion) -> Question:
        """See :class:`Asker`."""
        # The first check of a schema loads its library, which would hold up every stream.
        request = await asyncio.to_thread(
            self._chat.prepare,
            version.text,
            version.model,
            output_schema=version.output_schema,
            max_output_tokens=version.max_output_tokens,
            temperature=version.temperature,
            response_format=self._format,
            system=version.system,
            extra_body=version.extra_body,
        )
        return Question(version, request, None)

    async def ask(
        self, question: Question, sample: Sample, *, result_id: str = "", repeat: int = 0
    ) -> Asked:
        """See :class:`Asker`."""
        request = question.request
        assert request is not None, "the question was prepared by another asker"
        if self._cache is None or not self._cache.enabled:
            return Asked(await self._complete(request, sample), cached=False)
        cache = self._cache

        def look_up() -> tuple[str, ChatAnswer | None]:
            # Hashing pictures takes longer than what else happens on the loop of the streams.
            digest = hashlib.sha256(f"{self._who}\n{self._format}\n{repeat}\n".encode())
            digest.update(request.body(sample))
            key = digest.hexdigest()
            return key, cache.get(key)

        key, known = await asyncio.to_thread(look_up)
        if known is not None:
            return Asked(known, cached=True)
        answer = await self._complete(request, sample)
        await _keep(cache, key, answer)
        return Asked(answer, cached=False)

    async def _complete(self, request: ChatRequest, sample: Sample) -> ChatAnswer:
        if self._turn is not None:
            await self._turn()
        return await self._chat.complete(request, sample)


class ReinferAsker:
    """Asks a v0.2 server about the pictures that it keeps of a result. On the runtime's loop.

    Args:
        api: the server.
        cache: where answers are kept, or None.
        turn: awaited before each request, and not where the cache has the answer.
    """

    by_result = True

    def __init__(
        self, api: ApiClient, *, cache: AnswerCache | None = None, turn: Turn | None = None
    ) -> None:
        self._api = api
        self._cache = cache
        self._turn = turn

    async def prepare(self, version: PromptVersion) -> Question:
        """See :class:`Asker`."""
        schema = version.output_schema
        return Question(version, None, await asyncio.to_thread(_reader, schema) if schema else None)

    async def ask(
        self, question: Question, sample: Sample, *, result_id: str = "", repeat: int = 0
    ) -> Asked:
        """See :class:`Asker`."""
        if not result_id:
            raise NotFoundError(
                f"sample {sample.index} has no result on the server, which keeps the pictures of "
                "those alone"
            )
        cache = self._cache if self._cache is not None and self._cache.enabled else None
        key = self._key(question.version, sample, result_id, repeat)
        if cache is not None:
            known = await asyncio.to_thread(cache.get, key)
            if known is not None:
                return Asked(known, cached=True)
        if self._turn is not None:
            await self._turn()
        started = time.perf_counter()
        found = await self._reinfer(question.version, sample, result_id)
        output, error = judge_content(
            found.content, found.finish_reason, None, question.reader, reasoning=found.reasoning
        )
        answer = ChatAnswer(
            id=found.id,
            model=found.model or question.version.model,
            content=found.content,
            ok=error is None,
            error=error,
            output=output,
            finish_reason=found.finish_reason,
            usage=found.usage,
            latency_ms=(time.perf_counter() - started) * 1e3,
            attempts=1,
            reasoning=found.reasoning,
        )
        if cache is not None:
            await _keep(cache, key, answer)
        return Asked(answer, cached=False)

    async def _reinfer(
        self, version: PromptVersion, sample: Sample, result_id: str
    ) -> ReinferResult:
        age = datetime.now(UTC) - (sample.taken_at or sample.captured_at)
        fresh = age.total_seconds() < STORED_SECONDS
        reinfer = partial(reinfer_when_stored, self._api) if fresh else self._api.reinfer
        return await reinfer(
            result_id,
            version.text,
            version.model,
            temperature=version.temperature,
            max_tokens=version.max_output_tokens,
            output_schema=version.output_schema,
        )

    def _key(self, version: PromptVersion, sample: Sample, result_id: str, repeat: int) -> str:
        # The time too: a server that numbers its results begins anew some day.
        times = [sample.captured_at, *([sample.taken_at] if sample.taken_at else [])]
        picture = [result_id, *(time.isoformat() for time in times)]
        text = json.dumps([_who(self._api.endpoint), picture, asked_as_text(version), repeat])
        return hashlib.sha256(text.encode()).hexdigest()


def _who(endpoint: Endpoint) -> str:
    # Another release of the embedded engine may read better.
    return f"{endpoint.base_url} {__version__ if endpoint.is_local else ''} {READ_AS}"


async def _keep(cache: AnswerCache, key: str, answer: ChatAnswer) -> None:
    if answer.ok:  # what could not be used may be better next time
        await asyncio.to_thread(cache.put, key, answer)


def _reader(schema: Mapping[str, Any]) -> SchemaReader:
    return SchemaReader(check_output_schema(schema))


def result_of(
    question: Question, sample: Sample, stream_id: str, outcome: Asked | Exception
) -> StreamInferenceResult:
    """An answer, or why there is none, as a row like those of the stream itself.

    Its ``total_latency_ms`` is that of the inference: how long ago the sample was taken says
    nothing about the model.
    """
    version = question.version
    answer = outcome.answer if isinstance(outcome, Asked) else None
    latency = answer.latency_ms if answer is not None else 0.0
    return StreamInferenceResult(
        id=(answer.id if answer is not None else "") or f"res_{uuid.uuid4().hex}",
        stream_id=stream_id,
        mode=sample.mode,
        model_name=(answer.model if answer is not None else "") or version.model,
        prompt=version.text,
        result=answer.content if answer is not None else "",
        inference_latency_ms=latency,
        total_latency_ms=latency,
        ok=answer is not None and answer.ok,
        error=answer.error if answer is not None else str(outcome),
        finish_reason=answer.finish_reason if answer is not None else None,
        sample=sample.index,
        media_time=sample.media_time,
        frame_times=tuple(frame.media_time for frame in sample.frames),
        captured_at=sample.captured_at,
        answered_at=datetime.now(UTC),
        prompt_version=version.version,
        usage=answer.usage if answer is not None else None,
        output=answer.output if answer is not None else None,
        reasoning=answer.reasoning if answer is not None else None,
    )
