"""Asking about stored samples: chat servers, v0.2 servers, and the cache before both."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import simplejpeg

from overshoot_nb import FileSource, NotFoundError, Overshoot, ServerError, ValidationError
from overshoot_nb.asking.chat import ChatClient
from overshoot_nb.gateway.api_client import ApiClient
from overshoot_nb.local.engine import Engine
from overshoot_nb.running.asker import ChatAsker, ReinferAsker, result_of
from overshoot_nb.running.service import ChatService, GatewayService
from overshoot_nb.store import answer_cache as cache_module
from overshoot_nb.store.answer_cache import AnswerCache
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.types import EncodedFrame, Sample

from chatserver import ChatServer, Reply
from faultserver import Answer, FaultServer
from gatewayserver import KEY, GatewayServer
from publishing import text_video

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def a_sample(index: int = 0, grey: int = 90, *, age: float = 0.0) -> Sample:
    picture = np.full((24, 32, 3), grey, np.uint8)
    frame = EncodedFrame(index / 2, simplejpeg.encode_jpeg(picture), 32, 24)
    taken = datetime.now(UTC) - timedelta(seconds=age)
    return Sample(index, "frame", index / 2, taken, (frame,))


@pytest.fixture
def cache(tmp_path):
    cache = AnswerCache(tmp_path / "answers.sqlite3")
    yield cache
    cache.close()


# ---- a chat server ----


def asking(server, *calls, cache=None, **asker):
    """Each call is (version, sample, options); what came of each."""

    async def main():
        async with ChatClient("key", base_url=server.url) as chat:
            who = ChatAsker(chat, cache=cache, **asker)
            return [
                await who.ask(await who.prepare(version), sample, **options)
                for version, sample, options in calls
            ]

    return asyncio.run(main())


def test_what_is_asked_is_the_version_and_nothing_else():
    version = PromptVersion(
        3, "count", "m", SCHEMA, max_output_tokens=20, temperature=0.3, note="unsaid"
    )
    with ChatServer(lambda _: '{"n": 4}') as server:
        (asked,) = asking(server, (version, a_sample(), {}))
        body = server.requests[0].body
    assert asked.answer.output == {"n": 4}
    assert not asked.cached
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("m", 20, 0.3)
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert server.requests[0].prompt == "count"
    assert "thread_id" not in body
    assert "unsaid" not in json.dumps(body)


def test_identical_requests_are_asked_once_and_others_are_others(cache):
    plain = PromptVersion(1, "what?", "m")
    sample = a_sample()
    others = [
        (PromptVersion(1, "what??", "m"), sample, {}),
        (PromptVersion(1, "what?", "n"), sample, {}),
        (PromptVersion(1, "what?", "m", temperature=0.0), sample, {}),
        (PromptVersion(1, "what?", "m", max_output_tokens=5), sample, {}),
        (plain, a_sample(grey=91), {}),
        (plain, sample, {"repeat": 1}),
    ]
    with ChatServer(lambda _: "seen") as server:
        first = asking(server, (plain, sample, {}), cache=cache)[0]
        same = (PromptVersion(9, "what?", "m", note="n"), a_sample(7), {})
        again = asking(server, same, cache=cache)[0]
        assert (first.cached, again.cached, len(server.requests)) == (False, True, 1)
        assert again.answer == first.answer
        assert not any(a.cached for a in asking(server, *others, cache=cache))
        assert len(server.requests) == 7
        assert all(a.cached for a in asking(server, *others, cache=cache))
        assert not asking(server, (plain, sample, {}))[0].cached
        assert not asking(server, (plain, sample, {}), cache=cache, response_format="json_object")[
            0
        ].cached
        cache.disable()
        assert not asking(server, (plain, sample, {}), cache=cache)[0].cached
    cache.enable()
    with ChatServer(lambda _: "seen by another") as server:
        assert not asking(server, (plain, sample, {}), cache=cache)[0].cached


def test_what_cannot_be_used_is_asked_again(cache):
    version = PromptVersion(1, "count", "m", SCHEMA)
    # A form of the schema that a server does not take is no failure: it is off in every one.
    off = [Reply('{"error": "off"}', status=501)] * 3
    replies = iter(["no JSON", *off, '{"n": 1}'])
    with ChatServer(lambda _: next(replies)) as server:
        call = (version, a_sample(), {})
        assert not asking(server, call, cache=cache)[0].answer.ok
        with pytest.raises(ServerError):
            asking(server, call, cache=cache)
        assert asking(server, call, cache=cache)[0].answer.ok
        assert asking(server, call, cache=cache)[0].cached
    assert len(cache) == 1


def test_the_file_has_no_key_no_url_and_no_prompt(cache):
    with ChatServer(lambda _: "harmless") as server:
        url = server.url.replace("127.0.0.1", "user:hidden@127.0.0.1")

        async def main():
            async with ChatClient("secret-key", base_url=url) as chat:
                who = ChatAsker(chat, cache=cache)
                question = await who.prepare(PromptVersion(1, "the prompt", "m"))
                await who.ask(question, a_sample())

        asyncio.run(main())
    cache.close()
    content = cache.path.read_bytes()
    assert b"harmless" in content
    for secret in (b"secret-key", b"hidden", b"127.0.0.1", b"the prompt"):
        assert secret not in content


def test_a_version_that_cannot_be_asked_is_refused_before_a_request():
    with ChatServer(lambda _: "x") as server, pytest.raises(ValidationError, match="output_schema"):
        asking(server, (PromptVersion(1, "x", "m", {"type": 1}), a_sample(), {}))
    assert not server.requests


# ---- a v0.2 server ----


def found(**fields) -> Answer:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    answer = {"id": "a", "model": "m", "content": '{"n": 2}', "finish_reason": "stop"}
    return Answer.of({**answer, "usage": usage, **fields})


GONE = Answer.of({"error": "clip_not_found", "message": "no clip is stored"}, 404)


def reinfer(server, version, sample, cache=None, result_id="r-1", **options):
    async def main():
        async with ApiClient("ovs_key", base_url=f"{server.url}/v0.2") as api:
            who = ReinferAsker(api, cache=cache)
            return await who.ask(await who.prepare(version), sample, result_id=result_id, **options)

    return asyncio.run(main())


@pytest.fixture
def server():
    with FaultServer() as server:
        yield server


def test_a_v02_server_is_asked_by_the_result(server):
    server.queue(found())
    version = PromptVersion(2, "count", "m", SCHEMA, max_output_tokens=9, temperature=1.0)
    asked = reinfer(server, version, a_sample())
    assert server.received[0].json == {
        "result_id": "r-1", "prompt": "count", "model": "m", "temperature": 1.0, "max_tokens": 9,
        "output_schema": SCHEMA,
    }  # fmt: skip
    assert (asked.answer.output, asked.answer.ok) == ({"n": 2}, True)
    assert asked.answer.usage.total_tokens == 3
    server.queue(found(content="cut", finish_reason="length"))
    assert "cut off" in reinfer(server, version, a_sample()).answer.error


def test_its_answers_are_kept_by_result_and_question(server, cache):
    version, sample = PromptVersion(2, "count", "m"), a_sample()
    server.queue(found())
    assert not reinfer(server, version, sample, cache).cached
    assert reinfer(server, version, sample, cache).cached
    assert len(server.received) == 1
    for options in ({"result_id": "r-2"}, {"repeat": 1}):
        assert not reinfer(server, version, sample, cache, **options).cached
    assert not reinfer(server, PromptVersion(2, "count!", "m"), sample, cache).cached
    # The order of a schema's properties is that of the answer's; and 1 is not true.
    for properties in ({"x": {}, "y": {}}, {"y": {}, "x": {}}, {"x": {"const": 1}, "y": {}},
                       {"x": {"const": True}, "y": {}}):  # fmt: skip
        server.queue(found(content='{"x": 1, "y": 2}'))
        asked = PromptVersion(2, "count", "m", {"type": "object", "properties": properties})
        assert not reinfer(server, asked, sample, cache).cached
    later = a_sample(age=-60)  # the same id, of another day
    assert not reinfer(server, version, later, cache).cached


def test_a_fresh_result_is_waited_for_and_an_old_one_is_not(server):
    version = PromptVersion(2, "count", "m")
    server.queue(GONE, found())
    assert reinfer(server, version, a_sample(age=1)).answer.ok
    server.queue(GONE)
    with pytest.raises(NotFoundError, match="no clip is stored"):
        reinfer(server, version, a_sample(age=60))
    assert len(server.received) == 1


def test_a_request_waits_for_its_turn_and_a_known_answer_does_not(cache, server):
    turns = []

    async def turn() -> None:
        turns.append(len(chat.requests) + len(server.received))

    async def main():
        version = PromptVersion(1, "what?", "m")
        sample = a_sample()
        async with (
            ChatClient("k", base_url=chat.url) as client,
            ApiClient("k", base_url=f"{server.url}/v0.2") as api,
        ):
            for service in (ChatService(client), GatewayService(api)):
                for kept in (cache, cache, None):
                    who = service.asker(cache=kept, turn=turn)
                    question = await who.prepare(version)
                    await who.ask(question, sample, result_id="r")

    server.queue(found(content="x"))
    with ChatServer(lambda _: "x") as chat:
        asyncio.run(main())
    assert turns == [0, 1, 2, 3]


def test_without_a_result_there_is_nobody_to_ask(server):
    with pytest.raises(NotFoundError, match="sample 3 has no result"):
        reinfer(server, PromptVersion(2, "count", "m"), a_sample(3), result_id="")
    assert not server.received


def test_a_service_says_who_asks(cache):
    async def main():
        async with ChatClient("k", base_url="http://127.0.0.1:9/v1") as chat:
            assert not ChatService(chat).asker(cache=cache).by_result
        async with ApiClient("k", base_url="http://127.0.0.1:9/v0.2") as api:
            assert GatewayService(api).asker(cache=cache).by_result

    asyncio.run(main())


def test_an_answer_and_a_failure_become_rows_like_those_of_a_stream():
    version = PromptVersion(4, "count", "m", SCHEMA)
    sample = a_sample(6)
    with ChatServer(lambda _: '{"n": 4}') as server:
        (asked,) = asking(server, (version, sample, {}))

    async def question():
        async with ChatClient("k", base_url="http://127.0.0.1:9/v1") as chat:
            return await ChatAsker(chat).prepare(version)

    prepared = asyncio.run(question())
    row = result_of(prepared, sample, "stream_1", asked)
    assert (row.sample, row.prompt_version, row.stream_id) == (6, 4, "stream_1")
    assert (row.output, row.ok, row.error) == ({"n": 4}, True, None)
    assert (row.media_time, row.frame_times) == (3.0, (3.0,))
    assert row.captured_at == sample.captured_at
    assert row.total_latency_ms == row.inference_latency_ms > 0
    failed = result_of(prepared, sample, "stream_1", ServerError("it broke", 500))
    assert (failed.ok, failed.result, failed.output) == (False, "", None)
    assert "it broke" in failed.error
    assert failed.model_name == "m"
    assert failed.id != result_of(prepared, sample, "s", ServerError("again")).id


# ---- a stream on a v0.2 server ----


@pytest.fixture(scope="module")
def gateway():
    engine = Engine()
    engine.preload()
    server = GatewayServer(engine)
    yield server
    server.close()
    engine.close()


@pytest.mark.skipif(sys.platform == "win32", reason="loopback media")
def test_a_v02_stream_is_asked_about_the_pictures_of_its_results(
    gateway, tmp_path, monkeypatch, cache
):
    monkeypatch.setattr(cache_module, "_cache", cache)
    video = text_video(tmp_path / "words.mp4", "HAWKS 84", "TIGERS 79")

    async def main():
        async with Overshoot(KEY, base_url=f"{gateway.url}/v0.2") as client:
            source = FileSource(str(video))
            stream = await client.streams.create(
                source, "Read", "local/read", interval_seconds=0.5, keep_frames=False
            )
            await stream.wait()
            df = stream.df
            assert len(df) >= 5
            schema = {"type": "object", "properties": {"text": {"type": ["string", "null"]}}}
            job = await stream.backfill(output_schema=schema, progress=False)
            assert (job.state, job.missing, job.errors) == ("done", {}, 0)
            asked = stream.df
            for live, later in zip(asked["result"], asked["v2.out.text"], strict=True):
                assert live.split() == later.split()
            # Its pictures were never here: the rows alone name them.
            assert len(stream.frames) == 0
            assert job.df["captured_at"].tolist() == df["captured_at"].tolist()
            # What the server forgot is listed; nobody waits for it, sample by sample.
            gateway.registry.clips.clear()
            monkeypatch.setattr("overshoot_nb.running.asker.STORED_SECONDS", 0.0)
            monkeypatch.setattr("overshoot_nb.running.asker.reinfer_when_stored", None)
            job = await stream.backfill("Read it again", progress=False)
            assert sorted(job.missing) == df["sample"].tolist()
            assert "no clip is stored" in next(iter(job.missing.values()))
            job = stream.backfill("Read", model="local/none", progress=False)
            with pytest.raises(ValidationError, match="local/none"):
                await job

    asyncio.run(main())
