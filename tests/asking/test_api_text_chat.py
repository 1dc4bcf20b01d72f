"""Chat completions without pictures."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from overshoot_nb import errors
from overshoot_nb.asking.chat import ChatClient
from overshoot_nb.asking.retry import RetryPolicy
from overshoot_nb.asking.text_chat import ask_text
from overshoot_nb.types import ChatAnswer

from faultserver import Answer, FaultServer

SCHEMA = {
    "type": "object",
    "properties": {"word": {"type": "string"}},
    "required": ["word"],
    "additionalProperties": False,
}


def completion(content: str) -> Answer:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    return Answer.of({"id": "c-1", "model": "m", "choices": [choice], "usage": usage})


def ask(server: FaultServer, *answers: Answer, times: int = 1, **asked: Any) -> ChatAnswer:
    async def go() -> ChatAnswer:
        retry = RetryPolicy(backoff_seconds=0.002)
        async with ChatClient(base_url=server.url, retry=retry, timeout=5) as chat:
            for _ in range(times):
                answer = await ask_text(chat, 'Say "no"\n', "m", **asked)
            return answer

    server.queue(*answers)
    return asyncio.run(go())


def test_the_message_is_plain_text(server: FaultServer) -> None:
    answer = ask(server, completion("no"), max_output_tokens=50, temperature=0)
    [request] = server.received
    assert (request.method, request.target.rpartition("/")[2]) == ("POST", "completions")
    assert request.json == {
        "model": "m",
        "max_tokens": 50,
        "temperature": 0.0,
        "messages": [{"role": "user", "content": 'Say "no"\n'}],
    }
    assert (answer.ok, answer.content, answer.output) == (True, "no", None)
    assert answer.usage is not None
    assert answer.usage.total_tokens == 7


def test_a_schema_is_asked_for_and_checked(server: FaultServer) -> None:
    answer = ask(server, completion('{"word": "no"}'), output_schema=SCHEMA)
    assert (answer.ok, answer.output) == (True, {"word": "no"})
    form = server.received[0].json["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["schema"] == SCHEMA
    answer = ask(server, completion('{"words": 1}'), output_schema=SCHEMA)
    assert not answer.ok
    assert "does not fit the schema" in (answer.error or "")


def test_a_refused_json_schema_falls_back_and_is_remembered(server: FaultServer) -> None:
    refused = Answer.of({"error": {"message": "response_format is not supported"}}, 400)
    fine = completion('Sure: ```json\n{"word": "no"}\n```')
    answer = ask(server, refused, fine, times=2, output_schema=SCHEMA)
    assert answer.output == {"word": "no"}
    bodies = [request.json for request in server.received]
    assert [b["response_format"]["type"] for b in bodies] == [
        "json_schema", "json_object", "json_object",
    ]  # fmt: skip
    assert '"additionalProperties":false' in bodies[1]["messages"][0]["content"]


def test_errors_are_those_of_every_request(server: FaultServer) -> None:
    with pytest.raises(errors.AuthenticationError):
        ask(server, Answer.of({"error": {"message": "no key"}}, 401))
    with pytest.raises(errors.ServerError, match="no choices"):
        ask(server, Answer.of({"choices": []}))
    with pytest.raises(errors.ValidationError, match="temperature"):
        ask(server, completion(""), temperature=3)
    with pytest.raises(errors.ValidationError, match="prompt"):
        asyncio.run(ask_text(ChatClient(base_url=server.url), " ", "m"))
