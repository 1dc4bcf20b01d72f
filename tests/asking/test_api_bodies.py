"""Bodies in whatever form they come, failures that stand inside a success, and their bounds."""

from __future__ import annotations

import asyncio
import gzip
import json
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from overshoot_nb import errors
from overshoot_nb.asking.chat import ChatClient
from overshoot_nb.asking.retry import RetryPolicy
from overshoot_nb.gateway.api_client import ApiClient
from overshoot_nb.types import ChatAnswer, EncodedFrame, Sample, Usage

from faultserver import Answer, FaultServer

FAST = RetryPolicy(backoff_seconds=0.002)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FRAME = Sample(0, "frame", 0.0, NOW, (EncodedFrame(0.0, b"\xff\xd8jpeg", 4, 3),))
VIDEO = Sample(0, "clip", 0.0, NOW, FRAME.frames, video=b"mp4 bytes")
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
DONE = {"choices": [{"message": {"content": "a bus"}, "finish_reason": "stop"}], "usage": USAGE}
TEXT = json.dumps(DONE)


def run(url: str, call: Callable[[ChatClient], Awaitable[Any]], **options: Any) -> Any:
    async def go() -> Any:
        async with ChatClient(base_url=url, retry=FAST, timeout=60, **options) as client:
            return await call(client)

    return asyncio.run(go())


def ask(server: FaultServer, *answers: Answer, sample: Sample = FRAME, **options: Any) -> Any:
    server.queue(*answers)
    return run(server.url, lambda c: c.complete(c.prepare("What?", "m"), sample), **options)


def fail(server: FaultServer, *answers: Answer, **options: Any) -> errors.ApiError:
    with pytest.raises(errors.ApiError) as caught:
        ask(server, *answers, **options)
    return caught.value


def events(*parts: Any, end: str = "data: [DONE]\n\n") -> str:
    return "".join(f"data: {json.dumps(part)}\n\n" for part in parts) + end


def delta(reason: str | None = None, **said: Any) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": 0, "delta": said, "finish_reason": reason}]}


# ---- forms -----------------------------------------------------------------------------------


STREAM = (
    delta(role="assistant", content=""),
    delta(reasoning="hm"),
    delta(content="a "),
    delta(content="bus"),
    delta("stop"),
    {"id": "c", "choices": [], "usage": USAGE},
)


@pytest.mark.parametrize(
    "body",
    [
        "\ufeff" + TEXT,
        TEXT.encode("utf-16"),
        TEXT.encode("utf-8-sig") + b"\n",
        "\n\n \n" + TEXT,
        ": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n" + TEXT,
        "// served by x\n# y\n" + TEXT + "\n// end\n",
        ")]}',\n" + TEXT,
        TEXT + "\0",
        TEXT + "\n\ndata: [DONE]\n",
        TEXT[:-1] + ', "logprobs": NaN, "x": [Infinity, -Infinity]}',
        TEXT[:-1] + ', "x": "\\ud800"}',
        TEXT[:-1] + ', "x": 1e999, "y": ' + "9" * 400 + "}",
        events(DONE),
        events(*STREAM),
        events(*STREAM, end=""),
        events(*STREAM).replace("\n", "\r\n"),
        ": comment\n\nevent: message\nid: 4\n" + events(*STREAM),
        "".join(json.dumps(part) + "\n" for part in STREAM),
    ],
    ids=lambda body: repr(body[:40]),
)
def test_whatever_form_a_body_has(server: FaultServer, body: str | bytes) -> None:
    content = body if isinstance(body, bytes) else body.encode()
    answer = ask(server, Answer(200, content))
    assert (answer.ok, answer.content, answer.finish_reason) == (True, "a bus", "stop")
    assert answer.usage == Usage(1, 2, 3)
    assert len(server.received) == 1


def test_what_an_event_stream_is_put_together_from(server: FaultServer) -> None:
    parts = [
        delta(content="see \ud83d"),
        delta(content="\ude00 \u2028 \ud800"),
        delta(reasoning_content="h"),
        delta(reasoning_content="m"),
        {"choices": [{"index": 1, "delta": {"content": "another"}}]},
        delta("length"),
    ]
    answer = ask(server, Answer(200, events(*parts).encode()))
    assert answer.content == "see 😀 \u2028 \ufffd"
    assert (answer.reasoning, answer.finish_reason, answer.id) == ("hm", "length", "c")
    answer.content.encode()  # in no table, file or JSON it is in the way


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<!DOCTYPE html><html><title>Log &amp; in</title>", "a page ('Log & in'); is base_url"),
        (b"\xef\xbb\xbf<html><p>x", "a page; is base_url right?"),
        (b'data: {"choices": [{"delta": {"conte', "is not JSON"),
        (b"NaN", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"a":' * 100_000, "is not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is not JSON"),
        (TEXT.encode() + b" " + TEXT.encode(), "is not JSON"),
        (b'{"choices": [{"message": {"content": 123456789012345678901234567890}}]}', "not text"),
        (b": nothing\n\n", "is not JSON"),
    ],
)
def test_bodies_that_are_no_answer(server: FaultServer, body: bytes, said: str) -> None:
    error = fail(server, Answer(200, body))
    assert isinstance(error, errors.ServerError)
    assert said in error.message


@pytest.mark.parametrize("bound", [2**64 - 1, 2**64, -(2**70), 10**30])
@pytest.mark.parametrize("form", ["json_schema", "json_object"])
def test_schemas_may_have_bounds_beyond_64_bits(server: FaultServer, bound: int, form: Any) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": abs(bound)}}}
    body = {"choices": [{"message": {"content": f'{{"n": {bound}}}'}, "finish_reason": "stop"}]}
    server.queue(Answer.of(body))

    async def call(client: ChatClient) -> ChatAnswer:
        request = client.prepare("?", "m", output_schema=schema, response_format=form)
        return await client.complete(request, FRAME)

    assert run(server.url, call).output == {"n": bound}
    assert str(abs(bound)).encode() in server.received[0].body


# ---- failures inside a success -----------------------------------------------------------------


SERVER, DENIED = errors.ServerError, errors.PermissionDeniedError


def choice(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"content": ""}, "finish_reason": "stop", **fields}]}


@pytest.mark.parametrize(
    ("body", "kind", "status", "retried"),
    [
        ({"error": {"code": 502, "message": "boom"}}, errors.ServerError, 502, True),
        ({"error": {"code": "503", "message": "boom"}}, errors.ServerError, 503, True),
        ({"error": {"code": 401, "message": "boom"}}, errors.AuthenticationError, 401, False),
        ({"error": {"code": 402, "message": "boom"}}, errors.InsufficientCreditsError, 402, False),
        ({"error": {"code": 400, "message": "boom"}}, errors.ValidationError, 400, False),
        ({"error": {"type": "overloaded_error", "message": "boom"}}, errors.ServerError, 503, True),
        ({"error": {"status": "UNAVAILABLE", "message": "boom"}}, errors.ServerError, 503, True),
        ({"error": {"code": "upstream_http_504", "message": "boom"}}, SERVER, 504, True),
        ({"error": "boom", "status": 404}, errors.NotFoundError, 404, False),
        ({"error": "boom"}, errors.ServerError, 200, False),
        ([{"error": {"code": 500, "message": "boom"}}], errors.ServerError, 500, True),
        ({"detail": {"error": {"code": 500, "message": "boom"}}}, errors.ServerError, 500, True),
        ({"object": "error", "code": 404, "message": "boom"}, errors.NotFoundError, 404, False),
        ({"code": 500, "message": "boom", "choices": None}, errors.ServerError, 500, True),
        (choice(error={"code": 502, "message": "boom"}), errors.ServerError, 502, True),
        (choice(error={"message": "boom"}, finish_reason="error"), errors.ServerError, 200, False),
        ({"error": {"message": "boom", "code": 403}, **DONE}, DENIED, 403, False),
    ],
)  # fmt: skip
def test_a_failure_inside_a_success_has_its_class(
    server: FaultServer, body: Any, kind: type, status: int, retried: bool
) -> None:
    error = fail(server, Answer.of(body))
    assert type(error) is kind
    assert error.status_code == status
    assert "boom" in error.message
    # Of an unknown model the list is looked up, once.
    asked = [request for request in server.received if request.method == "POST"]
    assert len(asked) == (3 if retried else 1)
    # What passes is survived.
    if retried:
        assert ask(server, Answer.of(body), Answer.of(DONE)).attempts == 2


def test_a_limit_inside_a_success_is_waited_for(server: FaultServer) -> None:
    limit = Answer.of({"error": {"code": 429, "message": "slow down"}})
    assert ask(server, *[limit] * 4, Answer.of(DONE)).attempts == 5
    error = fail(server, limit, max_wait=0)
    assert isinstance(error, errors.RateLimitError)


def test_an_answer_that_was_broken_off(server: FaultServer) -> None:
    body = {"choices": [{"message": {"content": "a b"}, "finish_reason": "error"}]}
    error = fail(server, Answer.of(body))
    assert isinstance(error, errors.ServerError)
    assert "finish_reason 'error'" in error.message
    streamed = events(delta(content="a b"), {"error": {"code": 502, "message": "boom"}})
    error = fail(server, Answer(200, streamed.encode()))
    assert (error.status_code, len(server.received)) == (502, 3)
    named = "event: error\n" + events({"code": 400, "message": "boom"})
    assert isinstance(fail(server, Answer(200, named.encode())), errors.ValidationError)


@pytest.mark.parametrize(
    "body", [{"error": None, **DONE}, {"error": {}, **DONE}, {"error": "", **DONE}]
)
def test_no_error_is_none(server: FaultServer, body: Any) -> None:
    assert ask(server, Answer.of(body)).ok


@pytest.mark.parametrize("status", [200, 502])
@pytest.mark.parametrize(
    "error",
    [
        {"message": "Provider returned error", "code": 502, "metadata": {"raw": "GPU is on fire"}},
        {"message": "no", "code": 502, "metadata": {"raw": '{"error":"GPU is on fire"}'}},
        {"message": "no", "code": 502, "upstream": {"body": {"detail": "GPU is on fire"}}},
        {"message": "no", "code": 502, "upstream": {"body": "<title>GPU is on fire</title>"}},
        {"code": 502, "upstream": {"body": "GPU is on fire" + "!" * 100_000}},
    ],
)  # fmt: skip
@pytest.mark.parametrize("wrap", [False, True])
def test_the_upstreams_own_words_are_shown(
    server: FaultServer, status: int, error: Any, wrap: bool
) -> None:
    body = {"detail": {"error": error}} if wrap else {"error": error}
    found = fail(server, Answer.of(body, status))
    assert "GPU is on fire" in found.message
    assert (error.get("message") or "") in found.message
    assert len(found.message) < 1000


def test_secrets_in_quoted_words_are_hidden(server: FaultServer) -> None:
    key = "ovs-a-very-secret-key-0123456789"
    raw = json.dumps({"error": {"message": f"key {key} refused"}})
    body = {"error": {"message": "no", "code": 401, "metadata": {"raw": raw}}}
    error = fail(server, Answer.of(body), api_key=key)
    assert key not in f"{error!r} {error} {error.details}"
    assert "refused" in error.message


@pytest.mark.parametrize(
    "body",
    [
        "<html><title>KEY refused</title></html>",
        '{"choices": [{"message": "KEY refused"}]}',
        '{"choices": [{"message": {"content": {}}, "x": "KEY refused"}, "KEY refused"]}',
    ],
)
def test_secrets_in_what_is_no_answer_are_hidden(server: FaultServer, body: str) -> None:
    key = "ovs-a-very-secret-key-0123456789"
    error = fail(server, Answer(body=body.replace("KEY", key).encode()), api_key=key)
    assert key not in f"{error!r} {error} {error.details}"
    assert "[hidden] refused" in error.message


@pytest.mark.parametrize("nested", ["upstream", "metadata"])
def test_errors_without_end_are_read(server: FaultServer, nested: str) -> None:
    inner = {"upstream": "body", "metadata": "raw"}[nested]
    deep = f'{{"{nested}": {{"{inner}": ' * 400 + '"x"' + "}}" * 400
    error = fail(server, Answer(200, f'{{"error": {deep}}}'.encode()))
    assert isinstance(error, errors.ServerError)


@pytest.mark.parametrize(
    "answer",
    [
        Answer.of({"error": {"message": "Internal Server Error"}}, 500),
        Answer(500, b""),
        Answer(400, b""),
        Answer.of({"detail": [{"loc": ["x"], "msg": "Input tag is not one of 'text'"}]}, 422),
        Answer.of({"error": "Invalid 'content': must be 'text' or 'image_url'"}, 400),
        Answer.of({"error": {"message": "model does not support this modality"}}, 400),
        Answer.of({"error": {"code": 500, "message": "boom"}}),
    ],
)
def test_a_video_that_is_refused_gets_the_hint(server: FaultServer, answer: Answer) -> None:
    assert 'use clip_encoding="images"' in fail(server, answer, sample=VIDEO).message
    assert "clip_encoding" not in fail(server, answer).message


def test_other_refusals_of_a_video_stay_as_they_are(server: FaultServer) -> None:
    other = Answer.of({"error": "max_tokens is too large"}, 400)
    assert "clip_encoding" not in fail(server, other, sample=VIDEO).message


# ---- bounds ------------------------------------------------------------------------------------


def large(size: int) -> bytes:
    return TEXT[:-1].encode() + b', "x": "' + b"x" * (size - len(TEXT) - 9) + b'"}'


def test_an_answer_is_bounded(server: FaultServer) -> None:
    assert ask(server, Answer(200, large(4 * 2**20))).ok
    error = fail(server, Answer(200, large(4 * 2**20 + 1)))
    assert isinstance(error, errors.ServerError)
    assert "larger than 4,194,304 bytes" in error.message
    assert len(server.received) == 1
    assert ask(server, Answer(200, large(1000)), max_answer_bytes=1000).ok
    assert "larger than" in fail(server, Answer(200, large(1001)), max_answer_bytes=1000).message
    with pytest.raises(errors.ServerError, match="larger than 1,000"):
        run(server.url, lambda c: c.get_models(), max_answer_bytes=1000)
    with pytest.raises(errors.ValidationError, match="max_answer_bytes=0"):
        ChatClient(base_url=server.url, max_answer_bytes=0)


def test_an_endless_body_is_read_no_further(server: FaultServer) -> None:
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    endless += (b"100000\r\n" + b"x" * 2**20 + b"\r\n") * 64
    error = fail(server, Answer(raw=endless))
    assert "larger than" in error.message
    assert len(server.received) == 1


def test_a_large_error_is_still_that_error(server: FaultServer) -> None:
    body = b'{"error": {"message": "bad key", "x": "' + b"x" * 5_000_000 + b'"}}'
    error = fail(server, Answer(401, body))
    assert isinstance(error, errors.AuthenticationError)
    assert len(error.message) < 1000


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(large(100_000_000), 1)),
        ("deflate", zlib.compress(TEXT.encode())),
        ("br", b"\x0b"),
        ("gzip, gzip", gzip.compress(TEXT.encode())),
    ],
)
def test_what_is_coded_is_refused_and_never_inflated(
    server: FaultServer, coding: str, body: bytes
) -> None:
    tracemalloc.start()
    try:
        error = fail(server, Answer(200, body, {"Content-Encoding": coding}))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(error, errors.ServerError)
    assert "which was not asked for" in error.message
    assert coding in error.message
    assert server.received[0].headers["accept-encoding"] == "identity"
    assert len(server.received) == 1
    assert peak < 48 * 2**20
    # A refusal keeps its class, and identity is no coding.
    refused = fail(server, Answer(401, body, {"Content-Encoding": coding}))
    assert isinstance(refused, errors.AuthenticationError)
    assert ask(server, Answer(200, TEXT.encode(), {"Content-Encoding": "Identity"})).ok


def test_v0_2_is_bounded_alike(server: FaultServer) -> None:
    server.queue(Answer(200, large(5_000_000)))

    async def main() -> None:
        async with ApiClient("ovs-key", base_url=f"{server.url}/v0.2", retry=FAST) as api:
            with pytest.raises(errors.ServerError, match="larger than"):
                await api.get_models()

    asyncio.run(main())


@pytest.mark.parametrize("time", ["2026-01-01t00:00:07z", "2026-01-01T00:00:07z"])
def test_small_letters_in_times(server: FaultServer, time: str) -> None:
    body = {"id": "p", "prompt": "x", "created_at": time}
    server.queue(Answer.of(body))

    async def main() -> None:
        async with ApiClient("ovs-key", base_url=f"{server.url}/v0.2", retry=FAST) as api:
            found = await api.update_prompt("s", "x")
            assert found.created_at == datetime(2026, 1, 1, 0, 0, 7, tzinfo=UTC)

    asyncio.run(main())
