"""Chat completions: what goes over the wire, and every habit that answers have."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overshoot_nb import errors
from overshoot_nb.asking.chat import ChatClient
from overshoot_nb.asking.endpoint import Endpoint
from overshoot_nb.asking.retry import RetryPolicy
from overshoot_nb.support.api_key import ApiKey
from overshoot_nb.types import ChatAnswer, EncodedFrame, ModelInfo, Sample, Usage

from chatserver import ChatServer, Reply
from faultserver import Answer, FaultServer

FAST = RetryPolicy(backoff_seconds=0.002)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = {
    "type": "object",
    "properties": {"count": {"type": "integer"}, "tag": {"type": "string"}},
    "required": ["count"],
}


def frame(time: float = 0.0, data: bytes = b"\xff\xd8jpeg") -> EncodedFrame:
    return EncodedFrame(time, data, 4, 3)


FRAME = Sample(0, "frame", 0.0, NOW, (frame(),))
CLIP = Sample(1, "clip", 0.0, NOW, tuple(frame(k / 6, b"f%d" % k) for k in range(3)))
VIDEO = Sample(2, "clip", 0.0, NOW, (frame(),), video=b"mp4 bytes")


def completion(content: Any = "seen", **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}}
    reason = fields.pop("finish_reason", "stop")
    return {
        "id": "c-1",
        "model": "m-answering",
        "choices": [{**choice, "finish_reason": reason}],
        **fields,
    }


def run(url: str, call: Callable[[ChatClient], Awaitable[Any]], *, endpoint: Any = None) -> Any:
    async def go() -> Any:
        given: dict[str, Any] = {"endpoint": endpoint} if endpoint else {"base_url": url}
        async with ChatClient(**given, retry=FAST, timeout=5) as client:
            return await call(client)

    return asyncio.run(go())


def ask(server: FaultServer, *answers: Answer, sample: Sample = FRAME, **asked: Any) -> ChatAnswer:
    if answers:
        server.queue(*answers)
    answer: ChatAnswer = run(
        server.url, lambda c: c.complete(c.prepare("What?", "m", **asked), sample)
    )
    return answer


def ask_overshoot(server: FaultServer, **asked: Any) -> Any:
    """The body that an Overshoot endpoint gets; only the name of the host makes it one."""
    bodies: list[Any] = []

    def keep(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        return httpx.Response(200, json=completion('{"count": 1}'))

    async def go() -> None:
        transport = httpx.MockTransport(keep)
        async with ChatClient("ovs-key-for-tests", transport=transport) as client:
            await client.complete(client.prepare("What?", "m", **asked), FRAME)

    asyncio.run(go())
    return bodies[0]


# ---- requests ----------------------------------------------------------------------------------


def image(data: bytes) -> dict[str, Any]:
    url = "data:image/jpeg;base64," + base64.b64encode(data).decode()
    return {"type": "image_url", "image_url": {"url": url}}


def test_a_frame_on_the_wire(server: FaultServer) -> None:
    ask(server, Answer.of(completion()))
    (request,) = server.received
    assert (request.method, request.target) == ("POST", "/chat/completions")
    content = [{"type": "text", "text": "What?"}, image(b"\xff\xd8jpeg")]
    assert request.json == {"model": "m", "messages": [{"role": "user", "content": content}]}


def test_a_clip_goes_out_as_images_after_their_times(server: FaultServer) -> None:
    ask(server, Answer.of(completion()), sample=CLIP)
    (message,) = server.received[0].json["messages"]
    assert message["content"] == [
        {"type": "text", "text": "What?"},
        {"type": "text", "text": "t=0.00 s"},
        image(b"f0"),
        {"type": "text", "text": "t=0.17 s"},
        image(b"f1"),
        {"type": "text", "text": "t=0.33 s"},
        image(b"f2"),
    ]


def test_a_clip_as_one_video(server: FaultServer) -> None:
    ask(server, Answer.of(completion()), sample=VIDEO)
    (message,) = server.received[0].json["messages"]
    url = "data:video/mp4;base64," + base64.b64encode(b"mp4 bytes").decode()
    assert message["content"] == [
        {"type": "text", "text": "What?"},
        {"type": "video_url", "video_url": {"url": url}},
    ]


@settings(max_examples=60, deadline=None)
@given(
    prompt=st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])).filter(str.strip),
    data=st.binary(max_size=200),
)
def test_any_prompt_and_any_bytes_arrive_unchanged(prompt: str, data: bytes) -> None:
    client = ChatClient(base_url="http://127.0.0.1:9/v1")
    request = client.prepare(prompt, "m", output_schema=SCHEMA)
    sample = Sample(0, "frame", 0.0, NOW, (frame(0, data),))
    for template in request._templates.values():
        (message,) = json.loads(template.fill(sample))["messages"]
        assert message["content"][0]["text"].startswith(prompt)
        assert message["content"][1] == image(data)


def test_the_name_of_the_limit_depends_on_the_server(server: FaultServer) -> None:
    ask(server, Answer.of(completion()), max_output_tokens=7)
    assert server.received[0].json["max_tokens"] == 7
    assert "max_completion_tokens" not in server.received[0].json
    body = ask_overshoot(server, max_output_tokens=7)
    assert body["max_completion_tokens"] == 7
    assert "max_tokens" not in body
    openai = ChatClient("sk-test", base_url="https://api.openai.com/v1")
    request = openai.prepare("p", "m", max_output_tokens=7)
    assert json.loads(request.body(FRAME))["max_completion_tokens"] == 7


def test_threads_are_for_overshoot_alone(server: FaultServer) -> None:
    ask(server, Answer.of(completion()), thread_id="t-1")
    assert "thread_id" not in server.received[0].json
    assert ask_overshoot(server, thread_id="t-1")["thread_id"] == "t-1"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"prompt": ""}, "prompt="),
        ({"model": " "}, "model="),
        ({"max_output_tokens": 0}, "max_output_tokens=0"),
        ({"response_format": "yaml"}, "response_format='yaml'"),
        ({"output_schema": {"type": "thing"}}, r"output_schema .* at \$\.type"),
    ],
)
def test_wrong_parameters_are_named_before_sending(asked: dict[str, Any], said: str) -> None:
    client = ChatClient(base_url="http://127.0.0.1:9/v1")
    with pytest.raises(errors.ValidationError, match=said):
        client.prepare(**{"prompt": "p", "model": "m", **asked})


def test_a_gateway_has_no_chat() -> None:
    with pytest.raises(errors.ValidationError, match="ApiClient"):
        ChatClient(base_url="https://api.overshoot.ai/v0.2")


# ---- structured output -------------------------------------------------------------------------


def test_a_schema_goes_out_as_json_schema(server: FaultServer) -> None:
    answer = ask(server, Answer.of(completion('{"count": 3}')), output_schema=SCHEMA)
    assert (answer.ok, answer.output, answer.content) == (True, {"count": 3}, '{"count": 3}')
    assert server.received[0].json["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": SCHEMA, "strict": False},
    }


def test_a_closed_schema_is_strict(server: FaultServer) -> None:
    inner = {"type": "array", "items": {**SCHEMA, "additionalProperties": False}}
    closed = {**SCHEMA, "required": ["count", "tag"], "additionalProperties": False}
    for schema, strict in [(closed, True), ({**closed, "$defs": {"inner": inner}}, False)]:
        ask(server, Answer.of(completion('{"count": 3, "tag": ""}')), output_schema=schema)
        assert server.received[0].json["response_format"]["json_schema"]["strict"] is strict


def test_json_object_puts_the_schema_into_the_prompt(server: FaultServer) -> None:
    ask(
        server,
        Answer.of(completion('{"count": 3}')),
        output_schema=SCHEMA,
        response_format="json_object",
    )
    body = server.received[0].json
    assert body["response_format"] == {"type": "json_object"}
    text = body["messages"][0]["content"][0]["text"]
    assert text.startswith("What?\n")
    assert json.loads(text[text.index("{") :]) == SCHEMA


REFUSED = Answer.of({"error": {"message": "response_format.type 'json_schema' unknown"}}, 400)


def test_a_refused_json_schema_falls_back_and_is_remembered(
    server: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "overshoot_nb")
    server.queue(REFUSED, Answer.of(completion('{"count": 3}')))

    async def twice(client: ChatClient) -> None:
        request = client.prepare("What?", "m", output_schema=SCHEMA)
        first = await client.complete(request, FRAME)
        assert (first.ok, first.attempts) == (True, 2)
        again = client.prepare("Else?", "m", output_schema=SCHEMA)
        second = await client.complete(again, FRAME)
        assert (second.ok, second.attempts) == (True, 1)

    run(server.url, twice)
    forms = [request.json["response_format"]["type"] for request in server.received]
    assert forms == ["json_schema", "json_object", "json_object"]
    assert caplog.text.count("json_object") == 1


FORMS = ["json_schema", "json_object", "prompt"]


def form_of(body: dict[str, Any]) -> str:
    text = body["messages"][-1]["content"][0]["text"]
    said = body.get("response_format", {}).get("type")
    assert ("JSON schema" in text) is (said != "json_schema")
    return said or "prompt"


@pytest.mark.parametrize("status", [400, 422, 500, 501])
@pytest.mark.parametrize("words", ["response_format is not supported", "boom"])
def test_a_server_that_takes_no_form_gets_the_schema_in_the_prompt(
    server: FaultServer, status: int, words: str
) -> None:
    tries = FAST.attempts if status == 500 else 1
    no = [Answer.of({"error": {"message": words}}, status)] * tries
    server.queue(*no, *no, *[Answer.of(completion('{"count": 3}'))] * 3)

    async def thrice(client: ChatClient) -> None:
        for prompt in ("What?", "Else?"):
            answer = await client.complete(client.prepare(prompt, "m", output_schema=SCHEMA), FRAME)
            assert answer.output == {"count": 3}
        # Another model of the server may know more.
        other = client.prepare("What?", "other", output_schema=SCHEMA)
        assert (await client.complete(other, FRAME)).ok

    run(server.url, thrice)
    asked = [form_of(request.json) for request in server.received]
    before = [form for form in FORMS[:2] for _ in range(tries)]
    assert asked == [*before, "prompt", "prompt", "json_schema"]


def test_what_was_under_way_meanwhile_goes_on_with_the_form_that_was_found() -> None:
    found, waiting = threading.Event(), threading.Event()

    def answer(request: Any) -> str | Reply:
        if form_of(request.body) == "prompt":
            return '{"count": 3}'
        if request.prompt.startswith("Late"):
            waiting.set()
            assert found.wait(60)
        return Reply('{"error": {"message": "boom"}}', 400)

    async def both(client: ChatClient) -> None:
        late = client.prepare("Late?", "m", output_schema=SCHEMA)
        early = client.prepare("Early?", "m", output_schema=SCHEMA)
        asking = asyncio.create_task(client.complete(late, FRAME))
        assert await asyncio.to_thread(waiting.wait, 30)
        assert (await client.complete(early, FRAME)).ok
        found.set()
        assert (await asking).attempts == 2

    with ChatServer(answer) as server:
        run(server.url, both)
        asked = [(r.prompt.split("?")[0], form_of(r.body)) for r in server.requests]
    assert [form for name, form in asked if name == "Early"] == FORMS
    assert [form for name, form in asked if name == "Late"] == ["json_schema", "prompt"]


def test_a_failure_after_a_form_was_answered_is_no_refusal_of_it(server: FaultServer) -> None:
    server.queue(Answer.of(completion('{"count": 3}')), Answer.of({"detail": "boom"}, 501))

    async def twice(client: ChatClient) -> None:
        request = client.prepare("What?", "m", output_schema=SCHEMA)
        assert (await client.complete(request, FRAME)).ok
        with pytest.raises(errors.ServerError, match="boom"):
            await client.complete(request, FRAME)

    run(server.url, twice)
    assert [form_of(request.json) for request in server.received] == ["json_schema"] * 2


def test_what_no_form_helps_is_tried_in_all_of_them_once(server: FaultServer) -> None:
    server.queue(*[Answer.of({"detail": "boom"}, 400)] * 4)

    async def twice(client: ChatClient) -> None:
        request = client.prepare("What?", "m", output_schema=SCHEMA)
        for _ in range(2):
            with pytest.raises(errors.ValidationError, match="boom"):
                await client.complete(request, FRAME)

    run(server.url, twice)
    assert [form_of(request.json) for request in server.received] == [*FORMS, "json_schema"]


def test_the_form_prompt_says_nothing_beside_the_prompt(server: FaultServer) -> None:
    good = Answer.of(completion('{"count": 3}'))
    ask(server, good, output_schema=SCHEMA, response_format="prompt")
    body = server.received[0].json
    assert "response_format" not in body
    text = body["messages"][0]["content"][0]["text"]
    assert json.loads(text[text.index("{") :]) == SCHEMA


@pytest.mark.parametrize(
    ("url_limit", "words"),
    [
        ("max_tokens", "Unsupported parameter: use 'max_completion_tokens' instead."),
        ("max_tokens", "Unrecognized request argument supplied: max_tokens"),
        ("max_tokens", "body.max_tokens: Extra inputs are not permitted"),
    ],
)
def test_a_refused_name_of_the_limit_is_the_other_one_from_then_on(
    server: FaultServer, url_limit: str, words: str
) -> None:
    said = f"Unsupported parameter: '{url_limit}'. {words}"
    no = Answer.of({"error": {"message": said}}, 400)
    server.queue(no, *[Answer.of(completion('{"count": 3}'))] * 2)

    async def twice(client: ChatClient) -> None:
        request = client.prepare("What?", "m", max_output_tokens=7, output_schema=SCHEMA)
        first = await client.complete(request, FRAME)
        assert (first.output, first.attempts) == ({"count": 3}, 2)
        assert (await client.complete(request, FRAME)).attempts == 1

    run(server.url, twice)
    names = [
        [name for name in request.json if name.startswith("max_")] for request in server.received
    ]
    assert names == [["max_tokens"], ["max_completion_tokens"], ["max_completion_tokens"]]
    assert [form_of(request.json) for request in server.received] == ["json_schema"] * 3


def test_a_limit_that_is_too_high_is_no_refusal_of_its_name(server: FaultServer) -> None:
    no = Answer.of({"error": {"message": "max_tokens must be at most 4096"}}, 400)
    with pytest.raises(errors.ValidationError, match="at most 4096"):
        ask(server, no, max_output_tokens=9999)
    assert len(server.received) == 1


def test_a_system_text_and_further_fields_are_on_the_wire(server: FaultServer) -> None:
    extra = {"seed": 7, "chat_template_kwargs": {"enable_thinking": False}}
    good = Answer.of(completion())
    ask(server, good, system="You count.", extra_body=extra, sample=CLIP)
    body = server.received[0].json
    first, second = body["messages"]
    assert first == {"role": "system", "content": "You count."}
    assert second["role"] == "user"
    assert len(second["content"]) == 7
    assert {name: body[name] for name in extra} == extra


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"model": "x"}, "give it as model"),
        ({"messages": []}, "give it as prompt"),
        ({"max_tokens": 3}, "give it as max_output_tokens"),
        ({"max_completion_tokens": 3}, "give it as max_output_tokens"),
        ({"temperature": 1}, "give it as temperature"),
        ({"response_format": {}}, "give it as output_schema and response_format"),
        ({"stream": True}, "answers are read whole"),
        ({"n": 2}, "one answer"),
        ({"thread_id": "x"}, "prompt cache"),
        ({"seed": float("nan")}, "cannot be written as JSON"),
        ({"seed": object()}, "cannot be written as JSON"),
        ({"user": "\ud800"}, "cannot be written as JSON"),
        ({3: 4}, "field"),
        ([("seed", 7)], "a mapping of fields"),
    ],
)
def test_fields_that_cannot_be_sent_are_refused(extra: Any, said: str) -> None:
    client = ChatClient(base_url="http://127.0.0.1:9/v1")
    with pytest.raises(errors.ValidationError, match=said):
        client.prepare("p", "m", extra_body=extra)


def test_a_form_that_was_asked_for_is_kept(server: FaultServer) -> None:
    with pytest.raises(errors.ValidationError, match="json_schema"):
        ask(server, REFUSED, output_schema=SCHEMA, response_format="json_schema")
    assert len(server.received) == 1


def test_when_the_format_was_not_the_trouble_the_first_error_counts(server: FaultServer) -> None:
    other = Answer.of({"detail": "second"}, 400)
    with pytest.raises(errors.ValidationError, match="unknown"):
        ask(server, REFUSED, other, other, output_schema=SCHEMA)
    assert [form_of(request.json) for request in server.received] == FORMS
    with pytest.raises(errors.ValidationError, match="no such model"):
        ask(server, Answer.of({"detail": "no such model"}, 400), output_schema=SCHEMA)
    # Asked once, and then once for the models that there are.
    assert [r.method for r in server.received] == ["POST", "GET"]


@pytest.mark.parametrize(
    "content",
    [
        '{"count": 3}',
        ' \n{"count": 3}\n',
        '```json\n{"count": 3}\n```',
        '```\n{"count": 3}\n```',
        'Sure! Here it is: {"count": 3}. Anything else?',
        '<think>a set {like, this} or [1]</think>{"count": 3}',
        [{"type": "text", "text": '{"count"'}, {"type": "text", "text": ": 3}"}],
    ],
)
def test_json_is_found_in_what_models_say(server: FaultServer, content: Any) -> None:
    answer = ask(server, Answer.of(completion(content)), output_schema=SCHEMA)
    assert answer.ok, answer.error
    assert answer.output == {"count": 3}


@pytest.mark.parametrize(
    ("content", "reason", "said"),
    [
        ("three", "stop", "is not JSON"),
        ('{"count": "three"}', "stop", r"\$\.count: 'three' is not of type 'integer'"),
        ('{"tag": "x"}', "stop", "'count' is a required property"),
        ('{"count": NaN}', "stop", "is not JSON"),
        ('{"count": 3, "tag": "a very lo', "length", "cut off at the token limit"),
        ("", "length", "cut off at the token limit"),
        ("", "stop", "is not JSON"),
        ("[" * 5000, "stop", "is not JSON"),
        (None, "content_filter", "content filter"),
        ('{"count": 3}', "content_filter", "content filter"),
    ],
)
def test_answers_that_do_not_fit_say_why(
    server: FaultServer, content: Any, reason: str, said: str
) -> None:
    bad = Answer.of(completion(content, finish_reason=reason))
    answer = ask(server, bad, output_schema=SCHEMA)
    assert (answer.ok, answer.output) == (False, None)
    assert answer.content == (content or "")
    assert re.search(said, answer.error or "")


def test_nothing_is_fetched_to_check_an_answer(server: FaultServer) -> None:
    schema = {"$schema": f"{server.url}/draft", "type": "object"}
    assert ask(server, Answer.of(completion("{}")), output_schema=schema).ok
    assert [r.method for r in server.received] == ["POST"]


# ---- answers -----------------------------------------------------------------------------------


def test_a_whole_answer(server: FaultServer) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12, "extra": {}}
    answer = ask(server, Answer.of(completion("A bus.", usage=usage, overshoot={"cache": {}})))
    assert (answer.id, answer.model, answer.content) == ("c-1", "m-answering", "A bus.")
    assert (answer.ok, answer.error, answer.output) == (True, None, None)
    assert (answer.finish_reason, answer.usage) == ("stop", Usage(10, 2, 12))
    assert answer.attempts == 1
    assert 0 < answer.latency_ms < 5000


def test_latency_and_attempts_include_what_failed(server: FaultServer) -> None:
    answer = ask(server, Answer(503, delay=0.06), Answer.of(completion()))
    assert answer.attempts == 2
    assert answer.latency_ms >= 60


@pytest.mark.parametrize(
    ("fields", "usage"),
    [
        ({}, None),
        ({"usage": None}, None),
        ({"usage": {}}, None),
        ({"usage": {"prompt_tokens": "many"}}, None),
        ({"usage": {"prompt_tokens": 3}}, Usage(3, 0, 3)),
    ],
)
def test_usage_may_be_missing(server: FaultServer, fields: Any, usage: Usage | None) -> None:
    assert ask(server, Answer.of(completion(**fields))).usage == usage


@pytest.mark.parametrize(
    ("reason", "ours"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", None),
        (None, None),
        (5, None),
    ],
)
def test_finish_reasons(server: FaultServer, reason: Any, ours: str | None) -> None:
    assert ask(server, Answer.of(completion(finish_reason=reason))).finish_reason == ours


def test_contents_without_a_schema(server: FaultServer) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "x"}, "b", 5]
    assert ask(server, Answer.of(completion(parts))).content == "ab"
    empty = ask(server, Answer.of(completion("")))
    assert (empty.ok, empty.content, empty.error) == (False, "", "the answer is empty")
    missing = ask(server, Answer.of(completion(None)))
    assert (missing.ok, missing.error) == (False, "the answer has no content")
    refusal = completion(None)
    refusal["choices"][0]["message"]["refusal"] = "I will not"
    assert ask(server, Answer.of(refusal)).error == "the model refused: I will not"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "the answer is a list, not an object"),
        ({}, "the answer has no choices"),
        ({"choices": [], "error": {"message": "overloaded"}}, "overloaded"),
        ({"choices": "x"}, "the field 'choices' is \"x\", not a list"),
        ({"choices": [5]}, "the field 'choices[0]' is 5, not an object"),
        ({"choices": [{}]}, "choices[0].message"),
        ({"choices": [{"message": {"content": 5}}]}, "'choices[0].message.content' is 5"),
    ],
)
def test_nonsense_is_a_server_error_that_names_the_field(
    server: FaultServer, body: Any, said: str
) -> None:
    with pytest.raises(errors.ServerError) as caught:
        ask(server, Answer.of(body))
    assert said in str(caught.value)
    assert caught.value.status_code == 200


_KEYS = ["id", "model", "choices", "message", "content", "finish_reason", "usage", "text", "data"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=5)
        | st.fixed_dictionaries({"choices": st.lists(inner, min_size=1, max_size=2)})
        | st.fixed_dictionaries({"message": inner})
        | st.fixed_dictionaries({"content": inner, "id": inner})
    ),
    max_leaves=14,
)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=st.binary(max_size=40) | _JSON.map(lambda v: json.dumps(v).encode()))
def test_any_answer_is_an_answer_or_one_of_our_errors(server: FaultServer, body: bytes) -> None:
    server.queue(Answer(200, body))

    async def all_calls(client: ChatClient) -> None:
        for schema in (None, SCHEMA):
            try:
                await client.complete(client.prepare("p", "m", output_schema=schema), FRAME)
            except errors.OvershootError as error:
                caught.append(error)
        try:
            await client.get_models()
        except errors.OvershootError as error:
            caught.append(error)

    caught: list[errors.OvershootError] = []
    run(server.url, all_calls)
    assert all(isinstance(error, errors.ServerError) for error in caught)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet='{}[]",:0123456789 aeltrufsn\n`', max_size=60))
def test_any_text_can_be_read_for_a_schema(text: str) -> None:
    from overshoot_nb.asking.parsing import SchemaReader

    output, problem = SchemaReader(SCHEMA).read(text)
    assert (problem is None) == isinstance(output, dict)


# ---- video -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer.of({"error": {"message": "Invalid value: 'video_url'"}}, 400), "ValidationError"),
        (
            Answer.of(
                {"detail": {"error": {"message": "no", "code": "model_video_unsupported"}}}, 422
            ),
            "ValidationError",
        ),
        (Answer.of({"error": {"message": "unsupported content[].type"}}, 500), "ServerError"),
        (Answer(501), "ServerError"),
    ],
)
def test_a_server_without_video_says_what_to_do(
    server: FaultServer, answer: Answer, kind: str
) -> None:
    with pytest.raises(errors.ApiError, match='use clip_encoding="images"') as caught:
        ask(server, answer, sample=VIDEO)
    assert type(caught.value).__name__ == kind


def test_other_errors_about_a_video_stay_as_they_are(server: FaultServer) -> None:
    with pytest.raises(errors.AuthenticationError) as caught:
        ask(server, Answer.of({"detail": "key"}, 401), sample=VIDEO)
    assert "clip_encoding" not in str(caught.value)


# ---- models ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "models"),
    [
        ({"object": "list", "data": []}, []),
        ({"data": None}, []),
        (
            {
                "data": [
                    {"id": "a"},
                    {"id": "b", "status": "loading"},
                    {"id": "c", "status": "ready"},
                ]
            },
            [
                ModelInfo("a", True, "ready"),
                ModelInfo("b", False, "loading"),
                ModelInfo("c", True, "ready"),
            ],
        ),
        ({"data": [{"id": "a", "status": {"value": "loaded"}}]}, [ModelInfo("a", True, "ready")]),
        ({"models": [{"name": "n"}]}, [ModelInfo("n", True, "ready")]),
        (["plain"], [ModelInfo("plain", True, "ready")]),
    ],
)
def test_lists_of_models(server: FaultServer, body: Any, models: list[ModelInfo]) -> None:
    server.queue(Answer.of(body))
    assert run(server.url, lambda c: c.get_models()) == models


def test_a_server_without_a_list_of_models(server: FaultServer) -> None:
    server.queue(Answer(404))
    assert run(server.url, lambda c: c.get_models()) == []
    server.queue(Answer.of({"detail": "broken"}, 500))
    with pytest.raises(errors.ServerError, match=r"GET /models: broken"):
        run(server.url, lambda c: c.get_models())
    for nonsense in ({"a": 1}, [5], [{}], 7):
        server.queue(Answer.of(nonsense))
        with pytest.raises(errors.ServerError, match="models"):
            run(server.url, lambda c: c.get_models())


# ---- who answers -------------------------------------------------------------------------------


def test_an_endpoint_can_be_given(server: FaultServer) -> None:
    server.queue(Answer.of(completion()))
    endpoint = Endpoint(f"{server.url}/v9", "chat", ApiKey("a-key-of-ours"))
    run("", lambda c: c.complete(c.prepare("p", "m"), FRAME), endpoint=endpoint)
    assert server.received[0].target == "/v9/chat/completions"
    assert server.received[0].headers["authorization"] == "Bearer a-key-of-ours"


def test_many_at_once_share_a_client(server: FaultServer) -> None:
    server.queue(Answer.of(completion(), 200))

    async def many(client: ChatClient) -> None:
        request = client.prepare("p", "m")
        answers = await asyncio.gather(*(client.complete(request, FRAME) for _ in range(20)))
        assert all(answer.ok for answer in answers)

    run(server.url, many)
    assert len(server.received) == 20


def test_reprs_show_no_secrets() -> None:
    client = ChatClient("ovs-very-secret-key", base_url="http://u:hushhush@127.0.0.1:9/v1?k=hush")
    request = client.prepare("p", "m")
    assert "hush" not in repr(client) + repr(request)
    assert "secret" not in repr(client) + repr(request)
    assert "127.0.0.1:9/v1" in repr(client)
