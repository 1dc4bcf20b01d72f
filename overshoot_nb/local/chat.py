"""A chat completions request becomes a question and attachments, strictly checked."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

import orjson

from overshoot_nb import config

from .answering import Answer, Question
from .catalogue import Catalogue
from .pictures import Attachment
from .refusals import ChatRefusal, Invalid

_ROLES = ("system", "developer", "user", "assistant", "tool")
_FORMATS = ("text", "json_object", "json_schema")


def parse_object(body: bytes) -> dict[str, Any]:
    """The body as a JSON object.

    Raises:
        Invalid: 400 when it is not JSON, 422 when it is not an object.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"the body is not JSON: {error}", status=400) from None
    if not isinstance(value, dict):
        raise Invalid("the body must be a JSON object")
    return value


def parse(body: bytes, catalogue: Catalogue) -> tuple[Question, Sequence[Attachment]]:
    """The question of a request. Fields that are not known are ignored, as the service does.

    The prompt is the text of the system messages and of the last user message that has pictures
    (else of the last user message); its pictures are the ones asked about.

    Raises:
        Invalid: a field is missing or has a wrong type.
        ChatRefusal: an unknown model, or a URL that is not a data: URL.
    """
    return parse_question(parse_object(body), catalogue)


def parse_question(
    request: Mapping[str, Any], catalogue: Catalogue
) -> tuple[Question, Sequence[Attachment]]:
    """The same of a body that is an object already."""
    name = request.get("model")
    if not isinstance(name, str) or not name:
        raise Invalid("model must be the name of a model", "body.model")
    model = catalogue.resolve(name)
    if model is None:
        raise ChatRefusal(404, catalogue.unknown(name), "model_unavailable", param="model")
    if "thread_id" in request and not isinstance(request["thread_id"], str | None):
        raise Invalid("thread_id must be a string", "body.thread_id")
    _check_choices(request)
    prompt, attachments = _messages(request.get("messages"))
    schema, as_json = _response_format(request.get("response_format"))
    return (
        Question(model, prompt, schema, as_json, _max_tokens(request)),
        attachments,
    )


def _max_tokens(request: Mapping[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        value = request.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise Invalid(f"{name} must be an integer of at least 1", f"body.{name}")
        return value
    return None


def _response_format(value: Any) -> tuple[Mapping[str, Any] | None, bool]:
    where = "body.response_format"
    if value is None:
        return None, False
    kind = value.get("type") if isinstance(value, dict) else None
    if kind not in _FORMATS:
        raise Invalid(f"response_format.type must be one of {', '.join(_FORMATS)}", where)
    if kind != "json_schema":
        return None, kind == "json_object"
    named = value.get("json_schema")
    if not isinstance(named, dict) or not isinstance(named.get("schema"), dict):
        raise Invalid("response_format.json_schema.schema must be an object", where)
    if not isinstance(named.get("name", ""), str):
        raise Invalid("response_format.json_schema.name must be a string", where)
    if not isinstance(named.get("strict"), bool | None):
        raise Invalid("response_format.json_schema.strict must be a boolean", where)
    return named["schema"], False


def _messages(messages: Any) -> tuple[str, list[Attachment]]:
    if not isinstance(messages, list) or not messages:
        raise Invalid("messages must be a list of at least one message", "body.messages")
    system: list[str] = []
    turns: list[tuple[list[str], list[Attachment]]] = []
    # Looking for words in a text keeps the interpreter's lock.
    room = config.ENGINE_TEXT_LETTERS
    for index, message in enumerate(messages):
        where = f"messages.{index}"
        role = message.get("role") if isinstance(message, dict) else None
        if role not in _ROLES:
            raise Invalid(f"{where}.role must be one of {', '.join(_ROLES)}", f"body.{where}.role")
        texts: list[str] = []
        attachments: list[Attachment] = []
        for part in _parts(message.get("content"), role, f"{where}.content"):
            if isinstance(part, Attachment):
                attachments.append(part)
            else:
                texts.append(part)
                room -= len(part)
        if room < 0:
            most = config.ENGINE_TEXT_LETTERS
            raise Invalid(
                f"the texts of a request have more than {most} letters together",
                f"body.{where}",
                status=413,
            )
        if role in ("system", "developer"):
            system += texts
        elif role == "user":
            turns.append((texts, attachments))
    if not turns:
        raise Invalid("messages must hold a user message", "body.messages")
    texts, attachments = next((turn for turn in reversed(turns) if turn[1]), turns[-1])
    if len(attachments) > config.ENGINE_PICTURES:
        raise Invalid(
            f"at most {config.ENGINE_PICTURES} pictures in a request, not {len(attachments)}",
            "body.messages",
        )
    return "\n".join((*system, *texts)), attachments


def _parts(content: Any, role: str, where: str) -> Iterator[str | Attachment]:
    if isinstance(content, str):
        yield content
        return
    if content is None and role in ("assistant", "tool"):
        return
    if not isinstance(content, list):
        raise Invalid(f"{where} must be a string or a list of parts", f"body.{where}")
    for index, part in enumerate(content):
        place = f"{where}.{index}"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            if not isinstance(part.get("text"), str):
                raise Invalid(f"{place}.text must be a string", f"body.{place}.text")
            yield part["text"]
        elif kind in ("image_url", "video_url"):
            holder = part.get(kind)
            url = holder.get("url") if isinstance(holder, dict) else None
            if not isinstance(url, str):
                raise Invalid(f"{place}.{kind}.url must be a string", f"body.{place}.{kind}")
            _only_data(url, place)
            yield Attachment(url, place, video=kind == "video_url")
        else:
            raise Invalid(
                f"{place}.type must be one of text, image_url, video_url", f"body.{place}.type"
            )


def _only_data(url: str, where: str) -> None:
    if url.startswith("data:"):
        return
    scheme = url.partition(":")[0].casefold()
    if scheme == "ovs":
        problem = "the local engine stores no streams, so it has nothing that ovs:// could name"
    elif scheme in ("http", "https"):
        problem = "the local engine fetches nothing from the network"
    else:
        problem = "the URL is not understood"
    raise ChatRefusal(
        400, f"{where}: {problem}; send the picture as a data: URL", "stream_url_invalid"
    )


def _check_choices(request: Mapping[str, Any]) -> None:
    """Refuse what would be missing from the answer; other unknown fields are ignored."""
    if request.get("n") not in (None, 1):
        raise Invalid("n must be 1: the local models give one answer", "body.n")
    if request.get("tool_choice") not in (None, "auto", "none"):
        message = "tool_choice must be auto or none: the local models call no tools"
        raise Invalid(f"{message}. Ask with response_format instead", "body.tool_choice")


def completion(model: str, answer: Answer) -> dict[str, Any]:
    """The body of the answer. There is no cache, so there is no ``overshoot.cache`` block."""
    return {
        "id": f"chatcmpl-{uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answer.content},
                "finish_reason": answer.finish_reason,
            }
        ],
        "usage": usage(answer),
    }


def chunks(model: str, answer: Answer, *, with_usage: bool) -> Iterator[bytes]:
    """The answer as server-sent events, as OpenAI streams it: a chunk for each word.

    The models have an answer whole, so nothing is sent before it is there. The role comes first,
    then the text, then why it ended, then the usage where that was asked for.
    """
    head = {
        "id": f"chatcmpl-{uuid4().hex}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": model,
    }

    def event(delta: Mapping[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        more = {"usage": None} if with_usage else {}
        return b"data: " + orjson.dumps({**head, "choices": [choice], **more}) + b"\n\n"

    yield event({"role": "assistant", "content": ""})
    for word in re.findall(r"\s*\S+|\s+", answer.content):
        yield event({"content": word})
    yield event({}, answer.finish_reason)
    if with_usage:
        said = {**head, "choices": [], "usage": usage(answer)}
        yield b"data: " + orjson.dumps(said) + b"\n\n"
    yield b"data: [DONE]\n\n"


def streaming(request: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether an answer is asked for as events, and whether with its usage.

    Raises:
        Invalid: a field has a wrong type.
    """
    stream, options = request.get("stream"), request.get("stream_options")
    if not isinstance(stream, bool | None):
        raise Invalid("stream must be true or false", "body.stream")
    if not isinstance(options, dict | None):
        raise Invalid("stream_options must be an object", "body.stream_options")
    with_usage = (options or {}).get("include_usage")
    if not isinstance(with_usage, bool | None):
        where = "body.stream_options.include_usage"
        raise Invalid("stream_options.include_usage must be true or false", where)
    return bool(stream), bool(with_usage)


def usage(answer: Answer) -> dict[str, int]:
    """What an answer cost, as both surfaces say it."""
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
    }
