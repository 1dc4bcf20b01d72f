"""System text, further fields, classes as schemas and header fields, in every way that asks."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import traceback
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import numpy as np
import pytest

import overshoot_nb
from overshoot_nb import ApiClient, ArraySource, Overshoot, PromptVersion, compare
from overshoot_nb.errors import ApiError, ValidationError
from overshoot_nb.magic import OvershootMagics
from overshoot_nb.store import answer_cache
from overshoot_nb.support.schema_classes import schema_from
from overshoot_nb.support.validation import check_output_schema

from chatserver import ChatServer, Reply
from faultserver import Answer, FaultServer

SYSTEM = "You are a referee."
EXTRA = {"seed": 7, "chat_template_kwargs": {"enable_thinking": False}}
ASKED = {"system": SYSTEM, "extra_body": EXTRA}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    cache = answer_cache.AnswerCache(tmp_path / "answers.sqlite3")
    monkeypatch.setattr(answer_cache, "_cache", cache)
    yield cache
    cache.close()


def pictures(count: int = 2) -> ArraySource:
    return ArraySource([np.full((32, 32, 3), 40 * k, np.uint8) for k in range(count)], fps=2)


def asked_in(request: Any) -> dict[str, Any]:
    """What of ``ASKED`` a request carries."""
    first = request.body["messages"][0]
    system = first["content"] if first["role"] == "system" else None
    return {
        "system": system,
        "extra_body": {k: request.body[k] for k in EXTRA if k in request.body},
    }


NOTHING = {"system": None, "extra_body": {}}


def test_every_way_asks_with_them(tmp_path):
    async def go(server: ChatServer) -> None:
        async with Overshoot(base_url=server.url) as client:
            stream = await client.streams.create(pictures(), "Read", "m", **ASKED)
            await stream.wait()
            assert [asked_in(r) for r in server.requests] == [ASKED, ASKED]

            # They are part of the version: without them it is another question.
            server.requests.clear()
            await stream.backfill(
                "Read", column="plain", system=None, extra_body=None, progress=False
            )
            assert [asked_in(r) for r in server.requests] == [NOTHING, NOTHING]
            assert len(stream.prompts) == 2
            assert set(stream.prompts.diff(1, 2).changes) == {"system", "extra_body"}
            assert "You are a referee. -> default" in repr(stream.prompts.diff(1, 2))
            # The very same is not asked again; what was in force comes along with another text.
            server.requests.clear()
            await stream.backfill("Read", column="same", progress=False)
            assert server.requests == []
            await stream.backfill("Else", column="else", progress=False)
            assert asked_in(server.requests[0]) == ASKED

            server.requests.clear()
            await compare(
                stream, "New", client=client, system="Shorter.", extra_body=None, progress=False
            )
            assert asked_in(server.requests[0]) == {"system": "Shorter.", "extra_body": {}}
            stream.record(tmp_path / "run.parquet")
            await stream.close()

    with ChatServer(lambda _: "yes") as server:
        asyncio.run(go(server))
        server.requests.clear()
        df = overshoot_nb.analyze(
            pictures(), "Read", "m", base_url=server.url, progress=False, **ASKED
        )
        assert len(df) == 2
        assert [asked_in(r) for r in server.requests] == [ASKED, ASKED]
    run = overshoot_nb.load(tmp_path / "run.parquet")
    assert run.prompts[1].system == SYSTEM
    assert run.prompts[1].extra_body == EXTRA
    assert run.settings.extra_body == EXTRA

    async def replay() -> None:
        async with Overshoot(base_url=f"replay:{tmp_path / 'run.parquet'}?speed=inf") as client:
            stream = await client.streams.create(pictures(), "Read", "m", **ASKED)
            await stream.wait()
            assert list(stream.df["result"]) == ["yes", "yes"]
            with pytest.raises(ValidationError, match=r"system='You are a referee.', not 'Else'"):
                await client.streams.create(pictures(), "Read", "m", **(ASKED | {"system": "Else"}))

    asyncio.run(replay())


def test_they_change_while_the_stream_runs():
    async def go(server: ChatServer) -> None:
        async with Overshoot(base_url=server.url) as client:
            source = overshoot_nb.FrameSource(32, 32)
            stream = await client.streams.create(source, "Read", "m", interval_seconds=0.01)
            source.push_frame(np.zeros((32, 32, 4), np.uint8), media_time=0.0)
            while not server.requests:
                await asyncio.sleep(0.01)
            await stream.update(system=SYSTEM, extra_body=EXTRA)
            assert stream.prompts.current.version == 2
            count = len(server.requests)
            source.push_frame(np.ones((32, 32, 4), np.uint8), media_time=1.0)
            while len(server.requests) == count:
                await asyncio.sleep(0.01)
            assert asked_in(server.requests[0]) == NOTHING
            assert asked_in(server.requests[-1]) == ASKED
            with pytest.raises(ValidationError, match="give it as model"):
                await stream.update(extra_body={"model": "x"})
            assert stream.prompts.current.version == 2

    with ChatServer(lambda _: "yes") as server:
        asyncio.run(asyncio.wait_for(go(server), 60))


def test_the_magic_and_a_kept_prompt_ask_with_them(tmp_path, monkeypatch):
    version = PromptVersion(1, "Read", "m", system="Line one.\nLine two.", extra_body=EXTRA)
    version.save(tmp_path / "p.toml")
    kept = PromptVersion.load(tmp_path / "p.toml")
    assert (kept.system, kept.extra_body) == (version.system, version.extra_body)
    assert version == kept
    assert 'system="Line one' in kept.as_code().replace("\n        ", "").replace("(", "")
    assert "enable_thinking" in kept.as_code()
    (tmp_path / "bad.toml").write_text((tmp_path / "p.toml").read_text().replace("seed", "model"))
    with pytest.raises(ValidationError, match=r"bad.toml: extra_body .*give it as model"):
        PromptVersion.load(tmp_path / "bad.toml")

    clip = tmp_path / "clip.mp4"
    from videos import make_video

    make_video(clip, frames=5, fps=10)
    with ChatServer(lambda _: "yes") as server:
        monkeypatch.setenv("OVERSHOOT_BASE_URL", server.url)
        magic = OvershootMagics()
        line = f"'{clip}' Read -m m --system '{SYSTEM}' --extra-body '{json.dumps(EXTRA)}'"
        for words in (line, f"'{clip}' --prompt-file '{tmp_path / 'p.toml'}'"):
            stream = magic.overshoot(words)
            overshoot_nb.runtime.event_loop.get_runtime().run(stream.wait())
        first, second = server.requests
        assert asked_in(first) == ASKED
        assert asked_in(second) == {**ASKED, "system": version.system}


def test_a_v02_server_says_that_they_mean_nothing_to_it():
    async def go() -> None:
        async with Overshoot(base_url="local/v0.2") as client:
            for name, value in ASKED.items():
                with pytest.raises(ValidationError, match=f"{name}=.*means nothing to a v0.2"):
                    await client.streams.create(pictures(), "Read", "local/auto", **{name: value})

    asyncio.run(go())


def test_the_engine_reads_a_system_text_as_the_beginning_of_the_prompt():
    df = overshoot_nb.analyze(
        pictures(1), "Answer.", "local/auto", base_url="local", progress=False, system="How bright?"
    )
    assert "bright" in df["result"].iloc[0].lower() or "dark" in df["result"].iloc[0].lower()


@pytest.mark.parametrize("system", ["", "  ", 3, ["x"], "\ud800"])
def test_a_system_text_is_text(system):
    async def go() -> None:
        async with Overshoot(base_url="local") as client:
            with pytest.raises(ValidationError, match="system="):
                await client.streams.create(pictures(), "Read", "local/auto", system=system)

    asyncio.run(go())


# ---- classes as schemas --------------------------------------------------------------------------


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Ball:
    colour: Colour
    size: float | None = None


@dataclass
class Scene:
    """What is to be seen."""

    people: Annotated[int, "how many"]
    place: Literal["in", "out"]
    balls: list[Ball] = field(default_factory=list)
    score: tuple[int, int] = (0, 0)
    names: dict[str, str] | None = None


class Sign(TypedDict):
    text: str
    language: NotRequired[str]


BALL = {
    "type": "object",
    "properties": {
        "colour": {"type": "string", "enum": ["red", "blue"]},
        "size": {"type": ["number", "null"]},
    },
    "required": ["colour"],
    "additionalProperties": False,
}
SCENE = {
    "type": "object",
    "properties": {
        "people": {"type": "integer", "description": "how many"},
        "place": {"type": "string", "enum": ["in", "out"]},
        "balls": {"type": "array", "items": BALL},
        "score": {
            "type": "array",
            "prefixItems": [{"type": "integer"}] * 2,
            "items": False,
            "minItems": 2,
            "maxItems": 2,
        },
        "names": {
            "anyOf": [
                {"type": "object", "additionalProperties": {"type": "string"}},
                {"type": "null"},
            ]
        },
    },
    "required": ["people", "place"],
    "additionalProperties": False,
}


def test_dataclasses_and_typed_dicts_are_schemas():
    assert check_output_schema(Scene) == SCENE
    assert schema_from(Sign) == {
        "type": "object",
        "properties": {"text": {"type": "string"}, "language": {"type": "string"}},
        "required": ["text"],
        "additionalProperties": False,
    }


def test_a_pydantic_class_is_its_own_schema():
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Seen", people=(int, ...), place=(Literal["in", "out"], "in"))
    assert check_output_schema(model) == model.model_json_schema()
    assert set(schema_from(model)["properties"]) == {"people", "place"}


def test_a_class_gives_typed_columns():
    answer = {"people": 3, "place": "in"}
    with ChatServer(lambda _: json.dumps(answer)) as server:
        df = overshoot_nb.analyze(
            pictures(), "?", "m", base_url=server.url, output_schema=Scene, progress=False
        )
        sent = server.requests[0].body["response_format"]["json_schema"]["schema"]
    assert sent == SCENE
    assert df["out.people"].tolist() == [3, 3]
    assert str(df["out.people"].dtype) == "Int64"


@dataclass
class Endless:
    inner: Endless | None


@dataclass
class Odd:
    when: complex


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"person": "boolean"}, r'"properties": \{"person": \{"type": "boolean"\}\}'),
        ({"type": "object", "person": {"type": "boolean"}}, r"'person' says nothing"),
        ({"description": "number"}, "'description' says nothing"),
        ({"type": "bool"}, r"not a valid JSON schema at \$.type"),
        ({"properties": {"person": "boolean"}}, "not a valid JSON schema"),
        (Ball(Colour.RED), "give the class Ball itself"),
        (int, "this class says nothing about an answer"),
        (["person"], "must be a JSON schema"),
        ("person", "must be a JSON schema"),
        (Endless, "a class within itself"),
        (Odd, "field 'when' is of the type"),
    ],
)
def test_what_is_no_schema_is_refused_before_anything_is_asked(schema, said):
    with ChatServer(lambda _: "{}") as server:

        async def go() -> None:
            async with Overshoot(base_url=server.url) as client:
                with pytest.raises(ValidationError, match=said):
                    await client.streams.create(pictures(), "?", "m", output_schema=schema)
                stream = await client.streams.create(pictures(1), "?", "m")
                await stream.wait()
                with pytest.raises(ValidationError, match=said):
                    await stream.backfill("?", output_schema=schema, progress=False)
                with pytest.raises(ValidationError, match=said):
                    await compare(stream, "!", output_schema=schema, progress=False)

        asyncio.run(go())
        assert len(server.requests) == 1


# ---- header fields -------------------------------------------------------------------------------

SECRET = "az-0123456789abcdef"


def test_header_fields_go_with_every_request_and_are_shown_nowhere(caplog, monkeypatch):
    monkeypatch.setenv("OVERSHOOT_API_KEY", "ovs-key-for-tests")
    caplog.set_level(logging.DEBUG)
    headers = {"api-key": SECRET, "Authorization": f"Bearer {SECRET}", "User-Agent": "mine/1"}
    said: list[str] = []

    async def go(server: ChatServer) -> None:
        async with Overshoot(base_url=server.url, extra_headers=headers) as client:
            headers["api-key"] = "changed later"
            stream = await client.streams.create(pictures(1), "Read", "m", on_error=said.append)
            with pytest.raises(ApiError) as caught:
                await stream.wait()
            said.extend([repr(client), stream.status, repr(client._service.api), str(caught.value)])
            said.append("".join(traceback.format_exception(caught.value)))
            said.append(repr(client._endpoint))
            with pytest.raises(TypeError, match="not pickled"):
                pickle.dumps(client._endpoint)

    echo = Reply(json.dumps({"error": {"message": f"the api-key {SECRET} is not known"}}), 401)
    with ChatServer(lambda _: echo) as server:
        asyncio.run(go(server))
        sent = {k.lower(): v for k, v in server.requests[0].headers.items()}
    assert sent["api-key"] == SECRET
    assert sent["authorization"] == f"Bearer {SECRET}"
    assert sent["user-agent"] == "mine/1"
    assert "[hidden]" in str(said)
    assert SECRET not in str(said) + caplog.text


def test_header_fields_of_the_low_level_client():
    async def go(server: FaultServer) -> None:
        async with ApiClient(base_url=f"{server.url}/v0.2", extra_headers={"x-team": "7"}) as api:
            with pytest.raises(ApiError):
                await api.keepalive("stream_1")

    with FaultServer() as server:
        server.queue(Answer.of({"detail": "gone"}, 404))
        asyncio.run(go(server))
        assert server.received[0].headers["x-team"] == "7"


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ([("a", "b")], "must be a mapping"),
        ({"a b": "c"}, "no name of a header field"),
        ({3: "c"}, "no name of a header field"),
        ({"a": 3}, "must be text, not int"),
        ({"a": f"{SECRET}\r\nb: c"}, "characters that a header cannot carry"),
        ({"Content-Length": "3"}, "decided here"),
        ({"a": "1", "A": "2"}, "there twice"),
        ({"Authorization": "Bearer x"}, "api_key says who asks"),
    ],
)
def test_header_fields_that_cannot_be_sent_are_refused(headers, said):
    for make in (Overshoot, ApiClient):
        with pytest.raises(ValidationError, match=said) as caught:
            make("sk-key-for-tests", extra_headers=headers)
        # The first frame is this one, whose headers they are.
        ours = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        del ours.stack[0]
        assert SECRET not in "".join(ours.format())
