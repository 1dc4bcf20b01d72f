"""Reasoning is told from the answer wherever a server leaves it, and is never the answer."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from overshoot_nb.asking.answer import judge_content, read_answer
from overshoot_nb.asking.parsing import SchemaReader
from overshoot_nb.asking.reasoning import split_reasoning
from overshoot_nb.asking.reply import Reply
from overshoot_nb.gateway.result_message import read_result

PEOPLE = {
    "type": "object",
    "properties": {"people": {"type": "integer"}},
    "required": ["people"],
}
RIGHT, WRONG = '{"people": 3}', 'perhaps {"people": 1}? no'


def answered(
    message: dict[str, Any], schema: dict[str, Any] | None = None, reason: str = "stop"
) -> Any:
    body = orjson.dumps({"choices": [{"message": message, "finish_reason": reason}]})
    reader = None if schema is None else SchemaReader(schema)
    return read_answer(Reply("POST /x", 200, body, None, 1), "m", reader, 1, 1.0)


@pytest.mark.parametrize(
    ("content", "reasoning"),
    [
        (f"<think>{WRONG}</think>{RIGHT}", WRONG),
        (f"<think>\n{WRONG}\n</think>\n\n{RIGHT}\n", WRONG),
        (f"<THINK>{WRONG}</Think>{RIGHT}", WRONG),
        (f"< think >{WRONG}</ think >{RIGHT}", WRONG),
        (f'<think lang="en">{WRONG}</think>{RIGHT}', WRONG),
        (f"<thinking>{WRONG}</thinking>{RIGHT}", WRONG),
        (f"<reasoning>{WRONG}</reasoning>{RIGHT}", WRONG),
        (f"<thought>{WRONG}</thought>{RIGHT}", WRONG),
        (f"<seed:think>{WRONG}</seed:think>{RIGHT}", WRONG),
        (f"[THINK]{WRONG}[/THINK]{RIGHT}", WRONG),
        (f"◁think▷{WRONG}◁/think▷{RIGHT}", WRONG),
        (f"<|begin_of_thought|>{WRONG}<|end_of_thought|>{RIGHT}", WRONG),
        (f"<|channel>thought\n{WRONG}<channel|>{RIGHT}", WRONG),
        (f"{WRONG}</think>{RIGHT}", WRONG),
        (f"{WRONG}\n</think>\n{RIGHT}", WRONG),
        (f"{WRONG}[/THINK]{RIGHT}", WRONG),
        (f"<think>a<think>{WRONG}</think>b</think>{RIGHT}", f"a<think>{WRONG}\n\nb"),
        (f"<think>to use <think>? {WRONG}</think>{RIGHT}", f"to use <think>? {WRONG}"),
        (f"<think>a</think><think>{WRONG}</think>{RIGHT}", f"a\n\n{WRONG}"),
        (f"{RIGHT}\n<think>{WRONG}", WRONG),
        (
            f"<|channel|>analysis<|message|>{WRONG}<|end|><|start|>assistant"
            f"<|channel|>final<|message|>{RIGHT}<|return|>",
            WRONG,
        ),
        (
            f"{WRONG}<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>{RIGHT}",
            WRONG,
        ),
        (f"analysis{WRONG}assistantfinal{RIGHT}", WRONG),
    ],
)
def test_reasoning_is_cut_first_and_kept(content: str, reasoning: str) -> None:
    assert split_reasoning(content) == (RIGHT, reasoning)
    answer = answered({"content": content}, PEOPLE)
    assert (answer.ok, answer.output, answer.content) == (True, {"people": 3}, RIGHT)
    assert answer.reasoning == reasoning


@pytest.mark.parametrize(
    "content",
    [
        '{"text": "<think>x</think>"}',
        '{"text": "ends with </think>"}',
        '[{"text": "<|channel|>final<|message|>x"}]',
        '```json\n{"text": "[THINK] is a tag"}\n```',
        '{"text": "cut off in <think>the midd',
        '"</think> is a tag"',
        'The sign says "<think>".',
        "Use `<think>` and `</think>`.",
        "The page shows <think> as text.",
        "The tags <think> and </think> mark reasoning.",
        "He will be <thinking>",
        "a < b, and c > d </b>",
        "The analysis of the assistant final was clear.",
    ],
)
def test_what_an_answer_says_of_tags_stays(content: str) -> None:
    assert split_reasoning(content) == (content, "")
    # And after real reasoning, too.
    assert split_reasoning(f"<think>hm</think>\n{content}") == (content, "hm")


@pytest.mark.parametrize("content", ["<think></think>\n\nA bus.", "</think>A bus."])
def test_no_reasoning_at_all_is_none(content: str) -> None:
    answer = answered({"content": content})
    assert (answer.ok, answer.content, answer.reasoning) == (True, "A bus.", None)


@pytest.mark.parametrize(
    "message",
    [
        {"content": "A bus.", "reasoning": "hm"},
        {"content": "A bus.", "reasoning_content": "hm", "reasoning": "hm"},
        {"content": "A bus.", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
        {"content": "A bus.", "reasoning_details": [{"summary": "h"}, {"text": "m"}]},
        {"content": "<think>hm</think>A bus.", "reasoning_content": "hm"},
        {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "A bus."}]},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                {"type": "text", "text": "A "},
                {"type": "text", "text": "bus."},
            ]
        },
        {"content": [{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "A bus."}]},
        {"content": [{"text": "hm", "thought": True}, {"text": "A bus."}]},
    ],
)
def test_fields_and_parts_of_their_own(message: dict[str, Any]) -> None:
    answer = answered(message)
    assert (answer.ok, answer.content, answer.reasoning) == (True, "A bus.", "hm")


@pytest.mark.parametrize(
    "message",
    [
        {"content": f"<think>{RIGHT}"},
        {"content": f"<think>{RIGHT}</think> \n"},
        {"content": f"<|channel|>analysis<|message|>{RIGHT}"},
        {"content": None, "reasoning": RIGHT},
        {"content": "", "reasoning_content": RIGHT},
        {"content": "\n", "reasoning_content": RIGHT},
        {"content": [{"type": "thinking", "thinking": RIGHT}]},
    ],
)
@pytest.mark.parametrize("schema", [None, PEOPLE])
def test_an_answer_that_is_all_reasoning(message: dict[str, Any], schema: Any) -> None:
    answer = answered(message, schema)
    assert (answer.ok, answer.output, answer.content.strip()) == (False, None, "")
    assert answer.reasoning == RIGHT
    assert answer.error is not None
    assert "all reasoning" in answer.error
    cut = answered(message, schema, "length")
    assert "cut off at the token limit while the model was still reasoning" in cut.error


@pytest.mark.parametrize("content", ["", " \n"])
def test_an_empty_answer(content: str) -> None:
    assert answered({"content": content}).error == "the answer is empty"
    assert answered({"content": content}, PEOPLE).error == "the answer is empty, which is not JSON"


@pytest.mark.parametrize(
    ("schema", "content", "value"),
    [
        (PEOPLE, '{"people": 1} no, rather {"people": 3}', {"people": 3}),
        (PEOPLE, '{"people": 3} as I said, not {"cars": 1}', {"people": 3}),
        (PEOPLE, "x {y} " * 200 + RIGHT, {"people": 3}),
        (PEOPLE, '{"people": 1}\n```json\n{"people": 3}\n```\nDone.', {"people": 3}),
        ({"enum": ["yes", "no"]}, '```json\n"yes"\n```', "yes"),
        ({"enum": ["yes", "no"]}, '```json "yes" ```', "yes"),
        ({"enum": ["yes", "no"]}, 'First:\n```\n"no"\n```\nthen:\n```json\n"yes"\n```\n', "yes"),
        ({"enum": ["yes", "no"]}, '~~~\n"yes"\n~~~', "yes"),
        ({"enum": ["yes", "no"]}, '```json\n"yes"', "yes"),
        ({"type": "integer"}, "```\n3\n```", 3),
        ({"type": "integer"}, "```3```", 3),
        ({"type": "boolean"}, "```json\ntrue\n```", True),
        ({"type": "string"}, '```json\n"a [1] {2}"\n```', "a [1] {2}"),
        ({"type": "integer", "maximum": 2**64}, str(2**64), 2**64),
        ({"type": "integer"}, f"```json\n{2**70}\n```", 2**70),
        ({"type": "array"}, f"[{10**30}]", [10**30]),
        ({"type": "string"}, '"lone \\ud83d, pair \\ud83d\\ude00"', "lone \ufffd, pair 😀"),
        ({"type": "array"}, 'see ["\\ud83d"]', ["\ufffd"]),
    ],
)
def test_the_last_value_that_fits(schema: Any, content: str, value: Any) -> None:
    output, problem = SchemaReader(schema).read(content)
    assert problem is None
    assert (output, type(output)) == (value, type(value))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"people": NaN}', "is not JSON: NaN"),
        ('{"people": 1e999}', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"a":' * 100_000, "is not JSON"),
        ('{"people": ' + "9" * 5000 + "}", "is not JSON"),
        ('```json\n"perhaps"\n```', "'perhaps' is not of type 'object'"),
    ],
)
def test_what_cannot_be_read_says_why(content: str, said: str) -> None:
    output, problem = SchemaReader(PEOPLE).read(content)
    assert output is None
    assert said in (problem or "")


def test_a_checker_that_stumbles_is_no_crash() -> None:
    schema = {"type": "number", "multipleOf": 0.1}
    output, problem = SchemaReader(schema).read("1" + "0" * 400)
    assert output is None
    assert problem is not None


@pytest.mark.parametrize(
    "text", ["<think></think>", "a <think> b ", "</think>x", "{[<think>", '"<think>', "{ ", "[1] {"]
)
def test_hostile_texts_are_read_in_time(text: str) -> None:
    hostile = text * (300_000 // len(text))
    began = time.process_time()
    split_reasoning(hostile)
    SchemaReader(PEOPLE).read(hostile)
    assert time.process_time() - began < 60


# ---- v0.2 ------------------------------------------------------------------------------------


def test_results_that_are_pushed_are_cut_too() -> None:
    message = {"id": "r", "ok": True, "result": f"<think>{WRONG}</think>{RIGHT}"}
    read = read_result(orjson.dumps(message).decode(), "s")
    assert (read.ok, read.result, read.reasoning) == (True, RIGHT, WRONG)
    apart = {"id": "r", "ok": True, "result": RIGHT, "reasoning": "hm"}
    assert read_result(orjson.dumps(apart).decode(), "s").reasoning == "hm"
    lone = read_result('\ufeff{"id": "r", "ok": true, "result": "a \\ud800", "x": NaN}', "s")
    assert (lone.ok, lone.result, lone.error) == (True, "a \ufffd", None)


def test_a_judge_names_what_is_wrong() -> None:
    assert judge_content("seen", "stop", None, None) == (None, None)
    assert judge_content(None, "stop", None, None)[1] == "the answer has no content"
    assert judge_content(None, "stop", "I will not", None)[1] == "the model refused: I will not"
