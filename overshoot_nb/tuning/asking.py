"""Asking about a stored sample: the same question as a stream's, at any later time.

A chat server is sent the sample's pictures again. A v0.2 server took its own pictures, keeps them
for a while, and is asked by the id of the result.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from overshoot_nb._version import __version__
from overshoot_nb.api.chat import ChatAnswer, ChatClient, ChatRequest, judge_content
from overshoot_nb.api.gateway import ApiClient
from overshoot_nb.api.parsing import SchemaReader
from overshoot_nb.api.results import reinfer_when_stored
from overshoot_nb.errors import NotFoundError, ValidationError
from overshoot_nb.prompts import PromptVersion
from overshoot_nb.service import ChatService, GatewayService, Service
from overshoot_nb.types import ResponseFormat, Sample, StreamInferenceResult
from overshoot_nb.validation import check_output_schema

from .answer_cache import AnswerCache

__all__ = ["Asked", "Asker", "ChatAsker", "Question", "ReinferAsker", "asker_of", "result_of"]


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
    """

    by_result = False

    def __init__(
        self,
        chat: ChatClient,
        *,
        response_format: ResponseFormat = "auto",
        cache: AnswerCache | None = None,
    ) -> None:
        self._chat = chat
        self._format: ResponseFormat = response_format
        self._cache = cache
        endpoint = chat.endpoint
        # Another release of the embedded engine may read better.
        self._who = f"{endpoint.base_url} {__version__ if endpoint.is_local else ''}"

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
        )
        return Question(version, request, None)

    async def ask(
        self, question: Question, sample: Sample, *, result_id: str = "", repeat: int = 0
    ) -> Asked:
        """See :class:`Asker`."""
        request = question.request
        assert request is not None, "the question was prepared by another asker"
        if self._cache is None:
            return Asked(await self._chat.complete(request, sample), cached=False)
        key = self._key(request, sample, repeat)
        if (known := await asyncio.to_thread(self._cache.get, key)) is not None:
            return Asked(known, cached=True)
        answer = await self._chat.complete(request, sample)
        if answer.ok:  # what could not be used may be better next time
            await asyncio.to_thread(self._cache.put, key, answer)
        return Asked(answer, cached=False)

    def _key(self, request: ChatRequest, sample: Sample, repeat: int) -> str:
        digest = hashlib.sha256(f"{self._who}\n{self._format}\n{repeat}\n".encode())
        digest.update(request.body(sample))
        return digest.hexdigest()


class ReinferAsker:
    """Asks a v0.2 server about the pictures that it keeps of a result. On the runtime's loop."""

    by_result = True

    def __init__(self, api: ApiClient) -> None:
        self._api = api

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
        version = question.version
        started = time.perf_counter()
        found = await reinfer_when_stored(
            self._api,
            result_id,
            version.text,
            version.model,
            temperature=version.temperature,
            max_tokens=version.max_output_tokens,
            output_schema=version.output_schema,
        )
        output, error = judge_content(found.content, found.finish_reason, None, question.reader)
        answer = ChatAnswer(
            id=found.id,
            model=found.model or version.model,
            content=found.content,
            ok=error is None,
            error=error,
            output=output,
            finish_reason=found.finish_reason,
            usage=found.usage,
            latency_ms=(time.perf_counter() - started) * 1e3,
            attempts=1,
        )
        return Asked(answer, cached=False)


def _reader(schema: Mapping[str, Any]) -> SchemaReader:
    return SchemaReader(check_output_schema(schema))


def asker_of(
    service: Service, *, response_format: ResponseFormat = "auto", cache: AnswerCache | None = None
) -> Asker:
    """Who asks a service.

    Raises:
        ValidationError: nobody can.
    """
    if isinstance(service, ChatService):
        return ChatAsker(service.api, response_format=response_format, cache=cache)
    if isinstance(service, GatewayService):
        return ReinferAsker(service.api)
    raise ValidationError(f"{service.endpoint.shown} cannot be asked about stored samples")


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
    )
