"""A model's answer about a sample: read from a chat completion, and judged."""

from __future__ import annotations

from typing import Any

from overshoot_nb.types import ChatAnswer, FinishReason

from .parsing import Fields, SchemaReader, finish_reason, usage
from .reasoning import field_reasoning, joined_reasoning, part_texts, split_reasoning
from .reply import Reply


def read_answer(
    reply: Reply, model: str, reader: SchemaReader | None, attempts: int, latency_ms: float
) -> ChatAnswer:
    """The answer in a chat completion.

    Args:
        reply: the completion.
        model: what was asked, for servers that do not name who answers.
        reader: reads what a schema asks for; None for plain text.
        attempts: requests that it took.
        latency_ms: what they took.

    Raises:
        ServerError: it is no chat completion.
    """
    fields = Fields(reply, reply.json())
    choices = fields.objects("choices")
    if not choices:
        raise reply.nonsense("the answer has no choices")
    message = choices[0].object_or_none("message")
    if message is None:
        raise reply.nonsense("the field 'choices[0].message' is missing, not an object")
    content, reasoning = _said(message)
    reason = finish_reason(choices[0].raw("finish_reason"))
    refusal = message.raw("refusal")
    output, error_text = judge_content(
        content,
        reason,
        refusal if isinstance(refusal, str) else None,
        reader,
        reasoning=reasoning,
    )
    name, answer_id = fields.raw("model"), fields.raw("id")
    return ChatAnswer(
        id=answer_id if isinstance(answer_id, str) else "",
        model=name if isinstance(name, str) and name else model,
        content=content or "",
        ok=error_text is None,
        error=error_text,
        output=output,
        finish_reason=reason,
        usage=usage(fields.raw("usage")),
        latency_ms=latency_ms,
        attempts=attempts,
        reasoning=reasoning,
    )


def _said(message: Fields) -> tuple[str | None, str | None]:
    """The text of a message (a string, null, or a list of parts) and the reasoning, apart."""
    parts = message.raw("content")
    content: str | None
    apart = ""
    if isinstance(parts, list):
        content, apart = part_texts(parts)
    else:
        content = message.text_or_none("content")
    within = ""
    if content:
        content, within = split_reasoning(content)
    return content, joined_reasoning(field_reasoning(message.raw), apart, within)


def judge_content(
    content: str | None,
    reason: FinishReason | None,
    refusal: str | None,
    reader: SchemaReader | None,
    *,
    reasoning: str | None = None,
) -> tuple[Any, str | None]:
    """The parsed output, and why the answer cannot be used (None when it can).

    Args:
        content: the answer without its reasoning.
        reason: why the model stopped.
        refusal: what it said instead of an answer.
        reader: reads what a schema asks for; None for plain text.
        reasoning: what it thought before.
    """
    if reason == "content_filter":
        return None, "the server's content filter stopped the answer"
    if content is None or not content.strip():
        return None, _why_empty(content, reason, refusal, reader, reasoning)
    if reader is None:
        return None, None
    output, problem = reader.read(content)
    if problem is not None and reason == "length":
        problem = f"the answer was cut off at the token limit ({problem})"
    return output, problem


def _why_empty(
    content: str | None,
    reason: FinishReason | None,
    refusal: str | None,
    reader: SchemaReader | None,
    reasoning: str | None,
) -> str:
    if refusal:
        return f"the model refused: {refusal[:300]}"
    if reason == "length":
        where = "while the model was still reasoning" if reasoning else "before its first word"
        return f"the answer was cut off at the token limit {where}: raise max_output_tokens"
    if reasoning:
        return "the answer is all reasoning: nothing follows it (it is in the column reasoning)"
    if content is None:
        return "the answer has no content"
    return "the answer is empty" + ("" if reader is None else ", which is not JSON")
