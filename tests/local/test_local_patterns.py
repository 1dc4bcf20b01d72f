"""Patterns that would take for ever, and schemas that take their time."""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np
import pytest
from asking import client, data_url, obj, page

from overshoot_nb.local import patterns, schema
from overshoot_nb.local.engine import Engine
from overshoot_nb.local.filling import fill
from overshoot_nb.local.patterns import matches, one_question
from overshoot_nb.local.reading import Page, Piece, Row
from overshoot_nb.local.refusals import Invalid, Unsupported
from overshoot_nb.local.schema import fits, prepare
from overshoot_nb.local.skills import Look

from gatewayserver import Client

#: Tries every way to cut a text of a's into ones and twos before it says no.
ENDLESS = "^(a|aa|a?a)+$"
LONG = "a" * 40 + "!"
PICTURE = np.zeros((8, 8, 3), np.uint8)
SCREEN = Page((Row((Piece(LONG, 0, 0, 400, 20),)),))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(patterns, "MAX_SECONDS", 0.05)


def test_the_usual_pattern_that_never_ends():
    assert matches("^(a+)+$", "aaa")
    began = time.monotonic()
    assert not matches("^(a+)+$", LONG)
    assert time.monotonic() - began < 60


def test_a_pattern_that_takes_too_long_is_refused_and_holds_nobody_up():
    beats = 0

    def beat():
        nonlocal beats
        while not ended.wait(0.002):
            beats += 1

    ended = threading.Event()
    beside = threading.Thread(target=beat)
    beside.start()
    with pytest.raises(Unsupported, match="takes longer than") as refused:
        matches(ENDLESS, LONG)
    ended.set()
    beside.join()
    assert refused.value.status == 422
    assert beats >= 3


def test_all_patterns_of_a_question_share_the_time():
    with one_question():
        with pytest.raises(Unsupported):
            matches(ENDLESS, LONG)
        with pytest.raises(Unsupported):
            matches("a", "a")
    assert matches("a", "a")


@pytest.mark.parametrize(
    "part",
    [
        {"type": "object", "patternProperties": {ENDLESS: {}}},
        {"type": "object", "patternProperties": {ENDLESS: {}}, "additionalProperties": False},
        {"type": "object", "propertyNames": {"pattern": ENDLESS}},
        # Another draft's rules for a part would be another draft's matcher.
        {
            "propertyNames": {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "pattern": ENDLESS,
            }
        },
    ],
)
def test_wherever_a_schema_has_it(part):
    with pytest.raises(Unsupported, match="takes longer"):
        fits({LONG: 1}, prepare(part))


@pytest.mark.parametrize("items", [False, True])
def test_while_a_schema_is_filled(items):
    part = {"type": "string", "pattern": ENDLESS}
    wanted = prepare(obj(code={"type": "array", "items": part} if items else part))
    with pytest.raises(Unsupported, match="takes longer"):
        fill(wanted, Look([PICTURE], lambda _picture: SCREEN), ["text"])


def test_patterns_and_properties_still_count():
    wanted = prepare(
        {
            "properties": {"a": {"type": "integer"}},
            "patternProperties": {"^x": {"type": "string", "pattern": "[0-9]"}},
            "additionalProperties": {"type": "null"},
        }
    )
    assert fits({"a": 1, "x1": "v2", "other": None}, wanted)
    for wrong in ({"a": "1"}, {"x1": "v"}, {"x1": 2}, {"other": 1}):
        assert not fits(wrong, wanted)
    closed = prepare(obj(required=False, a={}))
    assert fits({"a": 1}, closed)
    assert "'b'" in schema.first_error({"b": 1}, closed)


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"pattern": "a{99999999999}"}, Invalid),
        ({"pattern": "(" * 500 + ")" * 500}, Invalid),
        ({"patternProperties": {"(": {}}}, Invalid),
        ({"pattern": "a" * 3000}, Unsupported),
        ({"patternProperties": {"a": {}}, "unevaluatedProperties": False}, Unsupported),
    ],
)
def test_patterns_that_are_none(wrong, kind):
    with pytest.raises(kind):
        prepare(wrong)


@pytest.mark.parametrize(
    "huge",
    [
        {"properties": {f"a{i}": {"type": "string"} for i in range(20_000)}},
        {"enum": list(range(200_000))},
        {"type": [{} for _ in range(20_000)]},
        {"$defs": {f"a{i}": {"type": "string"} for i in range(20_000)}},
    ],
)
def test_a_huge_schema_is_refused_before_it_is_checked(huge):
    began = time.thread_time()
    with pytest.raises(Unsupported, match="too large"):
        prepare(huge)
    assert time.thread_time() - began < 0.3


def test_a_schema_that_nests_deeply_is_refused():
    nested = {}
    for _ in range(400):
        nested = {"not": nested}
    with pytest.raises(Unsupported, match="levels"):
        prepare(nested)


def test_a_prompt_full_of_braces_is_searched_in_time():
    began = time.monotonic()
    assert schema.schema_in_text("{" * 20_000)[0] is None
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("path", ["/streams", "/chat/completions/clip"])
def test_schemas_are_checked_off_the_event_loop(path, monkeypatch):
    """Whoever asks meanwhile has an answer."""
    checked = []
    answered = threading.Event()

    def slow(*_):
        checked.append(threading.current_thread())
        assert answered.wait(60)
        raise Invalid("slowly")

    monkeypatch.setattr("overshoot_nb.local.stream_request.prepare", slow)
    monkeypatch.setattr("overshoot_nb.local.gateway_surface.prepare", slow)
    inference = {"prompt": "Read", "model": "local/read"}
    body = {
        "/streams": {
            "processing": {"interval_seconds": 1},
            "inference": {**inference, "output_schema_json": {}},
        },
        "/chat/completions/clip": {**inference, "result_id": "x", "output_schema": {}},
    }[path]

    async def run():
        async with client("/v0.2") as c:
            asked = asyncio.create_task(c.post(path, json=body))
            await asyncio.sleep(0.05)
            assert (await c.get("/healthz")).status_code == 200
            answered.set()
            return (await asked).status_code

    assert asyncio.run(run()) == 422
    assert checked != [threading.current_thread()]


def test_preloading_imports_what_checks_schemas(monkeypatch):
    loaded = []
    monkeypatch.setattr(schema, "load", lambda: loaded.append(threading.current_thread().name))
    monkeypatch.setattr(Engine, "_load", lambda _self: None)
    engine = Engine()
    engine.preload()
    engine._submit(lambda: None, "streams").result(60)
    engine.close()
    assert [name.startswith("overshoot-local") for name in loaded] == [True]


@pytest.mark.parametrize(("model", "preloads"), [("local/scene", 0), ("local/auto", 1)])
def test_a_stream_loads_the_reader_only_for_a_model_that_reads(
    make_gateway, monkeypatch, model, preloads
):
    calls = []
    gateway = make_gateway()
    monkeypatch.setattr(Engine, "preload", lambda _self: calls.append(True))

    async def run():
        async with Client(gateway.url) as c:
            body = {
                "source": {"type": "webrtc", "sdp": "v=0"},
                "processing": {"interval_seconds": 1},
                "inference": {"prompt": "How bright?", "model": model},
            }
            assert (await c.call("POST", "/streams", body))[0] == 422

    asyncio.run(run())
    assert len(calls) == preloads


def test_a_chat_request_with_such_a_pattern_is_answered_422():
    picture = data_url(page([(20, 20, "a" * 34 + "!", 30)], size=(900, 120)))
    body = {
        "model": "local/read",
        "messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": picture}}]}
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"schema": obj(code={"type": "string", "pattern": ENDLESS})},
        },
    }

    async def run():
        async with client("/v1") as c:
            return await c.post("/chat/completions", json=body)

    answer = asyncio.run(run())
    assert answer.status_code == 422
    assert "takes longer" in answer.text
