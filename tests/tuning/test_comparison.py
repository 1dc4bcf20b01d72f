"""The same samples, asked with several prompts and models."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import math
import os
import subprocess
import sys
import threading
import time
import weakref
from datetime import timedelta

import pandas as pd
import pytest
import simplejpeg

from overshoot_nb import FileSource, Overshoot
from overshoot_nb.errors import (
    AuthenticationError,
    RateLimitError,
    ServerError,
    StreamClosedError,
    ValidationError,
)
from overshoot_nb.local.engine import Engine
from overshoot_nb.store import answer_cache
from overshoot_nb.store.budget import Account, Budget
from overshoot_nb.store.frames import FrameStore
from overshoot_nb.store.labels import Labels
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.tuning.comparison import compare
from overshoot_nb.tuning.comparison_asking import RECENT, ComparisonWork
from overshoot_nb.tuning.comparison_grid import ROWS
from overshoot_nb.tuning.comparison_plan import candidates_of
from overshoot_nb.tuning.comparison_result import Comparison
from overshoot_nb.tuning.pictures import subject_of
from overshoot_nb.types import EncodedFrame, Sample

from chatserver import ChatServer, Reply, completion
from gatewayserver import KEY, GatewayServer
from kernels import Kernel
from publishing import text_video
from videos import barcode, make_video, number_in

SCHEMA = {
    "type": "object",
    "properties": {
        "number": {"type": "integer"},
        "kind": {"type": "string", "enum": ["even", "odd"]},
    },
    "required": ["number", "kind"],
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Ports are used again: what another test's server was asked must be asked again."""
    cache = answer_cache.AnswerCache(tmp_path / "answers.sqlite3")
    monkeypatch.setattr(answer_cache, "_cache", cache)
    yield cache
    cache.close()


def number(request) -> int:
    return number_in(request.jpegs[0])


def kind(n: int) -> str:
    return "even" if n % 2 == 0 else "odd"


def answers(request):
    """Reads the number; asked for its kind, ``model-b`` always says even."""
    n = number(request)
    if "response_format" in request.body:
        said = kind(n) if request.body["model"] == "model-a" else "even"
        return json.dumps({"number": n, "kind": said})
    if "kind" in request.prompt:
        return kind(n) if request.body["model"] == "model-a" else "even"
    return str(n)


def run(what, prompts, models="model-a", *, answer=answers, delay=0.0, **parameters):
    """A comparison against a server of its own, and the server."""
    parameters.setdefault("progress", False)

    async def ask(url: str) -> Comparison:
        return await compare(what, prompts, models, base_url=url, **parameters)

    with ChatServer(answer, delay) as server:
        return asyncio.run(ask(server.url)), server


PICTURES = [barcode(n) for n in range(6)]
PICTURES_AS_JPEG = [simplejpeg.encode_jpeg(picture, 90) for picture in PICTURES[:2]]


# ---- what is asked -----------------------------------------------------------------------------


def test_every_prompt_is_asked_of_every_model_about_every_picture():
    comparison, server = run(PICTURES, ["which number?", "which kind?"], ["model-a", "model-b"])
    assert len(server.requests) == 24
    assert [c.key for c in comparison.candidates] == [
        (prompt, model)
        for prompt in ("which number?", "which kind?")
        for model in ("model-a", "model-b")
    ]
    df = comparison.df
    assert list(df.columns) == [
        "sample", "media_time", "prompt", "model", "repeat", "answer", "ok", "error",
        "latency_ms", "tokens", "prompt_tokens", "completion_tokens", "cost_cents",
        "cached", "right",
    ]  # fmt: skip
    assert len(df) == 24
    assert df["ok"].all()
    assert not df["cached"].any()
    assert df["right"].isna().all()
    assert (df["tokens"] == 12).all()
    assert df["cost_cents"].isna().all()
    assert (df["latency_ms"] > 0).all()
    by_key = df.set_index(["sample", "prompt", "model"])["answer"]
    for n in range(6):
        assert by_key[n, "which number?", "model-b"] == str(n)
        assert by_key[n, "which kind?", "model-a"] == kind(n)
        assert by_key[n, "which kind?", "model-b"] == "even"


def test_what_asks_the_same_is_asked_once():
    twice = [barcode(3), barcode(3), barcode(4)]
    comparison, server = run(
        twice, {"one": "which number?", "other": "which number?"}, ["model-a", "model-a"]
    )
    assert len(server.requests) == 2
    assert [c.key for c in comparison.candidates] == [("one", "model-a"), ("other", "model-a")]
    assert list(comparison.df["answer"]) == ["3", "3", "3", "3", "4", "4"]
    same, server = run(PICTURES[:1], ["which number?", "which number?"])
    assert len(same.candidates) == len(server.requests) == 1


@pytest.mark.parametrize("max_in_flight", [1, 4])
@pytest.mark.parametrize("refusals", [0, 1])
def test_pictures_that_are_the_same_are_asked_about_once_in_whatever_order(max_in_flight, refusals):
    refused = itertools.count()

    def said(request):
        if next(refused) < refusals:
            return Reply('{"error": {"message": "slow down"}}', 429)
        return answers(request)

    many = [barcode(n) for n in (1, 1, 2, 1, 2, 1, 3)]
    comparison, server = run(
        many,
        "which number?",
        answer=said,
        cache=False,
        repeats=2,
        max_in_flight=max_in_flight,
        delay=0.01,
    )
    assert len(server.requests) == 2 * 3 + refusals
    df = comparison.df
    assert list(df["answer"][df["repeat"] == 1]) == list("1121213")
    assert list(df["sample"][df["repeat"] == 0]) == list(range(7))
    assert df["cached"].sum() == 2 * 4
    assert len(comparison.pictures) == 7


def test_versions_that_differ_in_a_schemas_order_or_types_are_asked_by_themselves():
    properties = ({"x": {}, "y": {}}, {"y": {}, "x": {}}, {"x": {"const": 1}, "y": {}},
                  {"x": {"const": True}, "y": {}})  # fmt: skip
    versions = [
        PromptVersion(1, "?", "m", {"type": "object", "properties": asked}) for asked in properties
    ]
    comparison, server = run(
        PICTURES[:1], versions, None, answer=lambda request: '{"x": 1, "y": 2}'
    )
    assert len(server.requests) == 4
    assert [c.prompt for c in comparison.candidates] == ["v1", "v1 (2)", "v1 (3)", "v1 (4)"]
    assert [c.version.output_schema for c in comparison.candidates] == [
        version.output_schema for version in versions
    ]


def test_answers_are_kept_and_can_be_asked_for_anew(own_cache):
    async def ask(url: str, **parameters) -> Comparison:
        return await compare(
            PICTURES, "which kind?", "model-a", base_url=url, progress=False, **parameters
        )

    with ChatServer(answers) as server:
        asyncio.run(ask(server.url))
        again = asyncio.run(ask(server.url))
        assert len(server.requests) == 6
        assert again.df["cached"].all()
        assert list(again.df["answer"]) == [kind(n) for n in range(6)]
        anew = asyncio.run(ask(server.url, cache=False))
        assert len(server.requests) == 12
        assert not anew.df["cached"].any()
    assert len(own_cache) == 6


def test_repeats_are_asked_again_and_say_how_steady_the_answers_are():
    asked: dict[int, int] = {}

    def wavering(request) -> str:
        n = number(request)
        asked[n] = asked.get(n, 0) + 1
        return "sometimes" if n == 2 and asked[n] == 2 else "always"

    comparison, server = run(
        PICTURES[:4], "?", repeats=3, answer=wavering, temperature=0.5, max_in_flight=1
    )
    assert len(server.requests) == 12
    assert {request.body["temperature"] for request in server.requests} == {0.5}
    df = comparison.df
    assert list(df["repeat"]) == [0, 1, 2] * 4
    steady = comparison.stability()
    assert list(steady["temperature"]) == [0.5]
    assert list(steady["field"]) == ["answer"]
    # Three of four samples agree in all three pairs, one in one of three.
    assert steady["repeats_agree"][0] == pytest.approx((3 + 1 / 3) / 4)
    # Pictures of no video have no neighbours.
    assert steady["pairs"][0] == 0
    assert math.isnan(steady["flip_rate"][0])
    assert "1 of 2 repeats say otherwise" in comparison._repr_mimebundle_()["text/html"]
    with pytest.raises(ValidationError, match="repeats=0"):
        run(PICTURES, "?", repeats=0)


def test_a_schema_makes_typed_columns_and_fields_that_differ():
    comparison, _ = run(PICTURES, "look", ["model-a", "model-b"], output_schema=SCHEMA)
    df = comparison.df
    assert df["out.number"].dtype == "Int64"
    assert str(df["out.kind"].dtype) == "category"
    assert sorted(comparison.differing) == [1, 3, 5]
    grid = comparison.grid(only_different=True, field="kind")
    assert list(grid.index) == [1, 3, 5]
    assert list(grid["look", "model-a"]) == ["odd"] * 3
    assert list(grid["look", "model-b"]) == ["even"] * 3
    assert comparison.grid().loc[2, ("look", "model-a")] == "number: 2, kind: even"
    assert len(comparison.grid()) == 6
    with pytest.raises(LookupError, match=r"a field 'size': there are number, kind"):
        comparison.grid(field="size")


def test_versions_bring_their_own_model_schema_and_limits():
    plain = PromptVersion(1, "which kind?", "model-a")
    typed = PromptVersion(2, "look", "model-b", SCHEMA, max_output_tokens=50, temperature=0.0)
    comparison, server = run(PICTURES[:1], [plain, typed], None)
    assert [c.key for c in comparison.candidates] == [("v1", "model-a"), ("v2", "model-b")]
    asked = {request.body["model"]: request.body for request in server.requests}
    assert asked["model-b"]["max_tokens"] == 50
    assert asked["model-b"]["temperature"] == 0.0
    assert "response_format" in asked["model-b"]
    assert "response_format" not in asked["model-a"]
    both, _ = run(PICTURES[:1], [plain, typed], ["model-a"], output_schema=None)
    assert [c.version.output_schema for c in both.candidates] == [None, None]
    clash, _ = run(PICTURES[:1], [plain, PromptVersion(1, "which number?", "model-a")], None)
    assert [c.prompt for c in clash.candidates] == ["v1", "v1 (2)"]


def test_everything_may_come_from_generators():
    comparison, _ = run(
        (barcode(n) for n in range(4)),
        (prompt for prompt in ("which number?", "which kind?")),
        (f"model-{x}" for x in "ab"),
        samples=(n for n in (1, 3)),
    )
    assert comparison.samples == (1, 3)
    assert len(comparison.candidates) == 4
    alone, _ = run(iter(PICTURES[:1]), iter(["which number?"]), None)
    assert len(alone.candidates) == 1


def test_the_only_model_of_a_server_need_not_be_named():
    comparison, _ = run(PICTURES[:1], "which number?", None)
    assert [c.model for c in comparison.candidates] == ["test/model"]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"prompts": []}, "prompts is empty"),
        ({"prompts": 5}, "prompts=5"),
        ({"prompts": [5]}, "prompts has 5"),
        ({"prompts": [" "]}, "text that is not empty"),
        ({"prompts": {"": "x"}}, "the name"),
        ({"models": []}, "models is empty"),
        ({"models": [""]}, "models="),
        ({"output_schema": "integer"}, "output_schema='integer'"),
        ({"output_schema": {"type": "nothing"}}, "output_schema"),
        ({"temperature": 3}, "temperature=3"),
        ({"max_output_tokens": 0}, "max_output_tokens=0"),
        ({"max_in_flight": 0}, "max_in_flight=0"),
        ({"budget": 5}, "budget=5"),
        ({"judge": "nearly"}, "nearly"),
        ({"labels": {0: {}}}, "names no field"),
        ({"labels": [1]}, "labels"),
        ({"samples": [1], "last": 2}, "not both"),
    ],
)
def test_bad_parameters_are_refused_before_anything_is_asked(parameters, said):
    given = {"what": PICTURES, "prompts": "which number?", **parameters}
    with ChatServer(answers) as server:
        call = compare(base_url=server.url, progress=False, **{"models": "m", **given})
        with pytest.raises(ValidationError, match=said):
            asyncio.run(call)
        assert not server.requests


def test_a_client_is_a_client_and_open():
    async def ask() -> None:
        with pytest.raises(ValidationError, match="client='local' is not valid"):
            await compare(PICTURES, "?", client="local")
        client = Overshoot(base_url="local")
        await client.close()
        with pytest.raises(StreamClosedError, match="make a new Overshoot"):
            await compare(PICTURES, "?", client=client)

    asyncio.run(ask())


def test_a_client_that_nobody_closes_is_closed_at_exit(tmp_path):
    code = """
import asyncio, sys
from overshoot_nb import Overshoot, compare
async def main():
    client = Overshoot("key", base_url=sys.argv[1])
    comparison = await compare(sys.argv[2], "?", "m", client=client, progress=False)
    print(len(comparison.df))
asyncio.run(main())
"""
    (tmp_path / "picture.jpg").write_bytes(PICTURES_AS_JPEG[0])
    with ChatServer(lambda request: "yes") as server:
        child = subprocess.run(
            [sys.executable, "-W", "error", "-c", code, server.url, tmp_path / "picture.jpg"],
            capture_output=True, text=True, timeout=120, check=False,
            env={"OVERSHOOT_CACHE_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
    assert (child.returncode, child.stdout.strip(), child.stderr) == (0, "1", "")


def test_a_client_and_a_url_are_not_both_given():
    async def ask(url: str) -> None:
        async with Overshoot(base_url=url) as client:
            comparison = await compare(PICTURES[:1], "which number?", client=client, progress=False)
            assert list(comparison.df["answer"]) == ["0"]
            with pytest.raises(ValidationError, match="not both"):
                await compare(PICTURES, "?", client=client, base_url=url)
        with pytest.raises(StreamClosedError, match="closed"):
            await compare(PICTURES, "?", "m", client=client)

    with ChatServer(answers) as server:
        asyncio.run(ask(server.url))


# ---- what goes wrong ---------------------------------------------------------------------------


def test_a_model_that_fails_is_shown_beside_those_that_answer():
    def one_fails(request):
        if request.body["model"] == "model-c":
            return Reply(json.dumps({"error": {"message": "no such model"}}), 404)
        return answers(request)

    comparison, server = run(
        PICTURES, "which kind?", ["model-a", "model-c"], answer=one_fails, max_in_flight=1
    )
    # Once was enough to know.
    assert sum(request.body["model"] == "model-c" for request in server.requests) == 1
    df = comparison.df.set_index(["sample", "model"])
    said = df.loc[(0, "model-c"), "error"]
    assert (
        "no such model (the server has no model 'model-c'; it lists test/model) (HTTP 404)" in said
    )
    assert not df.loc[(0, "model-c"), "ok"]
    assert len(df) == 7
    assert len(comparison.stopped) == 1
    assert "no such model" in comparison.stopped[0]
    html = comparison._repr_mimebundle_()["text/html"]
    assert "no answer: POST /v1/chat/completions: no such model (the server has no model" in html
    assert "not asked" in html
    assert "1 without an answer" in repr(comparison)
    assert comparison.grid().loc[0, ("which kind?", "model-c")] is None


def test_columns_that_were_not_judged_on_the_same_samples_are_said_to_be():
    def sometimes_fails(request):
        if request.body["model"] == "model-b" and number(request) < 2:
            return Reply(json.dumps({"error": {"message": "cannot see it"}}), 422)
        return answers(request)

    labels = {n: kind(n) for n in range(6)}
    comparison, _ = run(
        PICTURES, "which kind?", ["model-a", "model-b"], answer=sometimes_fails, labels=labels
    )
    said = "Not judged on the same samples: which kind? · model-a on 6, which kind? · model-b on 4"
    assert said in repr(comparison)
    assert said in comparison._repr_mimebundle_()["text/html"]
    same, _ = run(PICTURES, "which kind?", ["model-a", "model-b"], labels=labels)
    assert "Not judged" not in repr(same)


def test_nothing_at_all_answered_is_an_error():
    refused = Reply(json.dumps({"error": {"message": "bad key"}}), 401)
    with pytest.raises(AuthenticationError, match="bad key"):
        run(PICTURES, "?", answer=lambda request: refused)
    broken = Reply("{}", 500, headers={"x-should-retry": "false"})
    for pictures in (PICTURES[:4], PICTURES[:1]):
        with pytest.raises(ServerError):
            run(pictures, "?", answer=lambda request: broken)


def test_after_a_429_nothing_is_asked_for_a_while_and_nothing_is_lost():
    def busy(request):
        if len(server.requests) in (3, 5):
            return Reply('{"error": "slow down"}', 429, headers={"retry-after": "0.3"})
        return answers(request)

    async def ask() -> Comparison:
        return await compare(
            PICTURES, "which number?", "m", base_url=server.url, max_in_flight=1, progress=False
        )

    with ChatServer(busy) as server:
        comparison = asyncio.run(ask())
    assert list(comparison.df["answer"]) == [str(n) for n in range(6)]
    assert comparison.stopped == ()
    times = [request.at for request in server.requests]
    assert len(times) == 8
    assert sum(later - sooner > 0.29 for sooner, later in itertools.pairwise(times)) == 2


def test_requests_that_are_refused_together_are_one_refusal():
    def busy(request):
        if len(server.requests) <= 4:
            return Reply('{"error": "no"}', 429, headers={"retry-after": "0.1"}, delay=0.05)
        return answers(request)

    async def ask() -> Comparison:
        return await compare(PICTURES, "which number?", "m", base_url=server.url, progress=False)

    with ChatServer(busy) as server:
        comparison = asyncio.run(ask())
        assert list(comparison.df["answer"]) == [str(n) for n in range(6)]
        assert len(server.requests) == 10
    never = Reply('{"error": "no"}', 429, headers={"retry-after": "4000"})
    with pytest.raises(RateLimitError):
        run(PICTURES, ["?", "??"], answer=lambda request: never)


def test_an_answer_that_cannot_be_used_is_kept_as_it_is():
    comparison, _ = run(
        PICTURES[:1], "look", output_schema=SCHEMA, answer=lambda request: '{"number": "x"}',
        labels={0: {"number": 0}},
    )  # fmt: skip
    (row,) = comparison.df.to_dict("records")
    assert row["answer"] == '{"number": "x"}'
    assert row["ok"] is False
    assert row["right"] is False
    assert pd.isna(row["out.number"])
    assert "cannot be used" in comparison._repr_mimebundle_()["text/html"]


def test_a_budget_ends_it_with_whole_rows():
    comparison, server = run(
        PICTURES, ["which number?", "which kind?"], budget=Budget(requests=6), max_in_flight=2
    )
    assert len(server.requests) == 6
    assert sorted(comparison.df["sample"].unique()) == [0, 1, 2]
    assert comparison.stopped == ("the budget of 6 requests is spent",)
    assert "budget of 6 requests" in repr(comparison)
    assert "not asked" in comparison._repr_mimebundle_()["text/html"]


def test_what_was_answered_before_an_interrupt_is_not_asked_again():
    async def interrupted(server: ChatServer) -> None:
        asking = asyncio.create_task(
            compare(PICTURES, "which kind?", "m", base_url=server.url, progress=False)
        )
        while len(server.requests) < 3:
            await asyncio.sleep(0.005)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    with ChatServer(answers, delay=0.03) as server:

        async def both() -> Comparison:
            await interrupted(server)
            return await compare(PICTURES, "which kind?", "m", base_url=server.url, progress=False)

        kept = 0
        comparison = asyncio.run(both())
        kept = int(comparison.df["cached"].sum())
        assert len(comparison.df) == 6
        assert kept < 6
        # Those under way when it was interrupted were asked in vain, at most four.
        assert len(server.requests) <= 6 + 4


@pytest.mark.skipif(os.name == "nt", reason="interrupts by signal")
def test_interrupting_a_cell_ends_it_without_waiting_for_an_answer(tmp_path):
    kernel = Kernel(str(tmp_path))
    (tmp_path / "picture.jpg").write_bytes(PICTURES_AS_JPEG[0])

    def interrupt_once_asked() -> None:
        while not server.requests:
            time.sleep(0.01)
        kernel.interrupt()

    try:
        # The answer never comes: only the interrupt ends the cell.
        with ChatServer(lambda request: "yes", delay=600) as server:
            kernel.run("import overshoot_nb")
            interrupt = threading.Thread(target=interrupt_once_asked)
            interrupt.start()
            shown = kernel.run(
                "await overshoot_nb.compare('picture.jpg', '?', 'm', progress=False, cache=False,\n"
                f"    base_url={server.url!r}, api_key='key')"
            )
            interrupt.join()
            assert "Cancelled" in shown or "Interrupt" in shown
            assert len(server.requests) == 1
    finally:
        kernel.close()


def test_requests_under_way_are_bounded_and_the_bar_is_drawn(capsys):
    comparison, server = run(
        PICTURES, ["which kind?", "which number?"], delay=0.02, max_in_flight=3, progress=True
    )
    assert server.most_in_flight == 3
    assert len(comparison.df) == 12
    assert "12/12" in capsys.readouterr().err


def test_a_bar_that_cannot_be_drawn_costs_no_answer(monkeypatch):
    def gone(self, done, errors=0):
        raise ValueError("I/O operation on closed file")

    monkeypatch.setattr("overshoot_nb.support.progress.ProgressBar.draw", gone)
    comparison, _ = run(PICTURES, "which kind?", progress=True)
    assert len(comparison.df) == 6


def test_a_client_that_is_closed_meanwhile_is_one_clear_error():
    async def ask(server: ChatServer) -> None:
        client = Overshoot(base_url=server.url)
        asking = asyncio.create_task(
            compare(PICTURES, "?", "m", client=client, max_in_flight=4, progress=False)
        )
        while len(server.requests) < 4:
            await asyncio.sleep(0.005)
        await client.close()
        with pytest.raises(StreamClosedError, match="closed"):
            await asking

    with ChatServer(answers, delay=0.2) as server:
        asyncio.run(ask(server))


# ---- labels ------------------------------------------------------------------------------------


def test_scores_winner_and_paired_test_are_right():
    labels = {n: {"kind": kind(n)} for n in range(6)}
    comparison, _ = run(
        PICTURES, "look", ["model-b", "model-a"], output_schema=SCHEMA, labels=labels
    )
    scores = comparison.scores
    assert list(scores["prompt"]) == ["look", "look"]
    assert list(scores["model"]) == ["model-b", "model-a"]
    assert list(scores["right"]) == [3, 6]
    assert list(scores["n"]) == [6, 6]
    # Wilson, 3 of 6 at 95 %.
    assert scores["low"][0] == pytest.approx(0.18761, abs=1e-5)
    assert scores["high"][0] == pytest.approx(0.81239, abs=1e-5)
    assert comparison.winner is not None
    assert comparison.winner.key == ("look", "model-a")
    right = comparison.df.set_index(["sample", "model"])["right"]
    assert [right[n, "model-b"] for n in range(6)] == [True, False] * 3
    assert right.xs("model-a", level="model").all()
    test = comparison.paired_test("model-b", "model-a")
    assert (test.both_right, test.only_old, test.only_new, test.both_wrong) == (3, 0, 3, 0)
    assert test.p_value == pytest.approx(0.25)
    assert test.new == "look · model-a"
    assert comparison.paired_test(0, ("look", "model-a"), field="kind").only_new == 3
    with pytest.raises(LookupError, match="several columns"):
        comparison.paired_test("look", "model-a")
    with pytest.raises(LookupError, match="no column: look"):
        comparison.paired_test("model-z", "model-a")
    html = comparison._repr_mimebundle_()["text/html"]
    assert html.count("★ best") == 1
    assert html.count("✗</span>") == 3
    assert html.count("✓</span>") == 9
    assert html.count("✗\N{NO-BREAK SPACE}should be odd") == 3
    assert "<- best" in repr(comparison)


def test_labels_that_are_made_later_count():
    labels = Labels()
    comparison, _ = run(PICTURES, "which kind?", ["model-a", "model-b"], labels=labels)
    assert comparison.winner is None
    assert comparison.df["right"].isna().all()
    with pytest.raises(ValidationError, match="nothing was labelled"):
        _ = comparison.scores
    labels.set(1, None, "odd")
    assert comparison.winner is not None
    assert comparison.winner.model == "model-a"
    assert comparison.df["right"].notna().sum() == 2
    labels.set(1, None, "neither")
    # Nobody is right: the first is as good as any, and nobody is called best.
    assert comparison.winner.model == "model-a"
    assert "★" not in comparison._repr_mimebundle_()["text/html"]


def test_a_judge_decides_and_where_it_fails_the_answers_are_shown_all_the_same():
    comparison, _ = run(
        PICTURES[:2], "which kind?", labels={0: "EVEN number", 1: "ODD"},
        judge=lambda answer, expected: answer.upper() in expected,
    )  # fmt: skip
    assert list(comparison.df["right"]) == [True, True]

    def failing(answer, expected):
        raise RuntimeError("<b>no idea</b>")

    broken, _ = run(PICTURES[:2], "which kind?", labels={0: "even"}, judge=failing)
    with pytest.raises(ValidationError, match="no idea"):
        _ = broken.scores
    html = broken._repr_mimebundle_()["text/html"]
    assert "No score: " in html
    assert "<b>no idea" not in html
    assert ">even<" in html


def test_of_many_samples_some_are_shown_and_only_small_pictures_are_held():
    pictures = [barcode(n) for n in range(ROWS + 10)]
    comparison, _ = run(pictures, "which kind?", ["model-a", "model-b"], max_in_flight=8)
    html = comparison._repr_mimebundle_()["text/html"]
    assert html.count("<img ") == ROWS == len(comparison.pictures)
    assert f"{ROWS} of {ROWS + 10} samples are shown" in html
    assert len(comparison.df) == 2 * (ROWS + 10)
    # All that differ are there.
    assert {n for n in range(ROWS + 10) if n % 2} <= set(comparison.shown)
    assert len(html) < 400_000


def test_what_is_no_picture_costs_no_answer():
    frames = [
        EncodedFrame(0.0, b"no JPEG", 10, 10),
        EncodedFrame(0.0, PICTURES_AS_JPEG[1], 160, 96),
    ]
    comparison, _ = run(frames, "?", answer=lambda request: "yes")
    assert list(comparison.df["answer"]) == ["yes", "yes"]
    assert list(comparison.pictures) == [1]
    assert "no picture" in comparison._repr_mimebundle_()["text/html"]


# ---- of streams --------------------------------------------------------------------------------


def watched(tmp_path, check, *, prompt="which kind?", answer=answers, **parameters):
    """Runs ``await check(stream, server)`` on a stream of twelve samples that is over."""
    video = make_video(tmp_path / "v.mp4", 60, fps=10)

    async def watch(server: ChatServer):
        async with Overshoot(base_url=server.url) as client:
            stream = await client.streams.create(
                video, prompt, "model-a", realtime=False, **parameters
            )
            await stream.wait()
            return await check(stream, server)

    with ChatServer(answer) as server:
        return asyncio.run(watch(server))


def test_a_stream_is_not_asked_again_what_it_asked(tmp_path):
    async def check(stream, server):
        before = len(server.requests)
        assert before == 12
        stream.label(1, "odd")
        comparison = await compare(
            stream, [stream.prompts[1], "which number?"], last=2.5, progress=False
        )
        assert comparison.samples == (6, 7, 8, 9, 10, 11)
        assert len(server.requests) == before + 6
        df = comparison.df
        assert df[df["prompt"] == "v1"]["cached"].all()
        assert list(df[df["prompt"] == "v1"]["answer"]) == [kind(5 * n) for n in range(6, 12)]
        assert list(df["media_time"].unique()) == [timedelta(seconds=n / 2) for n in range(6, 12)]
        assert comparison.candidates[0].version is stream.prompts[1]
        # What was only compared is no version of the stream, until it is applied.
        assert len(stream.prompts) == 1
        assert comparison.labels is stream.labels

        anew = await compare(stream, stream.prompts[1], cache=False, progress=False)
        assert not anew.df["cached"].any()
        rows = await compare(stream.df.head(3), "which number?", progress=False)
        assert rows.samples == (0, 1, 2)
        assert list(rows.df["right"].isna()) == [True, False, True]
        assert [c.model for c in rows.candidates] == ["model-a"]
        # In a video there are neighbours.
        steady = comparison.stability().set_index("prompt")
        assert steady["pairs"]["which number?"] == 5
        assert steady["flip_rate"]["which number?"] == 1.0
        # The frames alone know no server.
        async with Overshoot(base_url=server.url) as client:
            frames = await compare(
                stream.frames, "which number?", "model-a", client=client, progress=False
            )
        assert frames.samples == tuple(range(12))
        assert frames.df["cached"].sum() == 9  # three were asked as rows, six as the last ones

    watched(tmp_path, check)


def test_a_number_that_the_stream_gives_to_another_prompt_meanwhile_is_not_mixed_up(tmp_path):
    def said(request):
        if request.prompt == "meanwhile":
            return "of the backfill"
        return "compared" if request.prompt == "compared" else answers(request)

    async def check(stream, server):
        # Version 2 of the stream is another prompt than the one that is numbered 2 here.
        plan = candidates_of([("compared", "compared")], None, {}, model="model-a", run=stream._run)
        await stream.backfill("meanwhile", progress=False)
        assert plan[0].version.version == stream.prompts[2].version == 2
        work = ComparisonWork(
            subject_of(stream), [plan[0].version], 1, stream._run.service.asker(), lambda: False
        )
        await stream._runtime.call(work.carry_out(Account(), 4, known=True))
        assert {given.result.result for given in work.answers.values()} == {"compared"}

    watched(tmp_path, check, answer=said)


def test_whoever_keeps_a_comparison_keeps_no_stream(tmp_path):
    async def check(stream, server):
        stream.label(1, "odd")
        comparison = await compare(stream, "which number?", progress=False)
        job = await stream.backfill("which number?", progress=False)
        assert job.done == 12
        return comparison, [weakref.ref(kept) for kept in (stream._run, stream.frames)]

    comparison, gone = watched(tmp_path, check)
    gc.collect()
    assert [reference() for reference in gone] == [None, None]
    comparison.labels.set(0, None, "even")
    assert len(comparison.labels) == 2


def test_a_stream_asks_a_text_as_it_asks_its_own(tmp_path):
    async def check(stream, server):
        comparison = await compare(stream, "look closely", samples=[2], progress=False)
        (candidate,) = comparison.candidates
        assert candidate.version.output_schema == SCHEMA
        assert candidate.version.temperature == 0.25
        assert (candidate.version.version, candidate.version.parent) == (2, 1)
        assert candidate.version.created_at > stream.prompts[1].created_at
        assert server.requests[-1].body["temperature"] == 0.25
        plain = await compare(
            stream, "which kind?", output_schema=None, samples=[2], progress=False
        )
        assert list(plain.df["answer"]) == ["even"]

    watched(tmp_path, check, prompt="look", output_schema=SCHEMA, temperature=0.25)


def test_frames_that_left_the_store_are_listed(tmp_path, no_spill):
    async def check(stream, server):
        kept = set(stream.frames)
        assert 0 < len(kept) < 12
        comparison = await compare(stream, "which number?", progress=False)
        assert set(comparison.samples) == kept
        assert set(comparison.missing) == set(range(12)) - kept
        assert "dropped from the store" in comparison.missing[0]
        assert "could not be asked about" in repr(comparison)
        assert "could not be asked about" in comparison._repr_mimebundle_()["text/html"]

    watched(tmp_path, check, keep_frames=3 * 4000)


class OnDisk:
    """A frame archive that makes each sample anew, and knows how many of them are held."""

    class Held(Sample):
        __slots__ = ("__weakref__",)

    def __init__(self, samples, gone=()):
        self.samples = samples
        self.gone = gone
        self.made = []
        self.most = 0
        self.threads = set()
        self.latest = max(samples)
        self.nbytes = 0

    def get(self, index):
        self.threads.add(threading.current_thread().name)
        if index in self.gone:
            return None
        known = self.samples[index]
        sample = self.Held(index, "frame", known.media_time, known.captured_at, known.frames)
        self.made.append(weakref.ref(sample))
        self.most = max(self.most, sum(ref() is not None for ref in self.made))
        return sample

    def indices(self):
        return list(self.samples)

    def why_not(self, index):
        return f"sample {index} cannot be read"

    def __contains__(self, index):
        return index in self.samples

    def close(self):
        pass


def test_pictures_on_disk_are_read_when_they_are_asked_about_and_let_go(tmp_path):
    async def check(stream, server):
        disk = OnDisk({i: stored.sample for i, stored in stream.frames.items()})
        stream._run.journal.frames = FrameStore(backing=disk)
        few = await compare(
            stream, "other?", budget=Budget(requests=2), max_in_flight=1, progress=False
        )
        assert len(few.df) == 2
        asked = len(disk.made) - len(few.shown)
        assert asked <= 3, "what nobody asks about is not read"
        disk.made.clear()
        comparison = await compare(
            stream, ["which number?", "other?"], max_in_flight=2, cache=False, progress=False
        )
        assert len(comparison.df) == 24
        assert comparison.df["ok"].all()
        assert len(comparison.pictures) == 12
        assert disk.most <= RECENT + 2 + 1
        assert not any(name.startswith("overshoot-runtime") for name in disk.threads)

    watched(tmp_path, check)


def test_a_sample_that_is_gone_when_it_would_be_asked_about_is_listed(tmp_path):
    async def check(stream, server):
        disk = OnDisk({i: stored.sample for i, stored in stream.frames.items()}, gone={3})
        stream._run.journal.frames = FrameStore(backing=disk)
        comparison = await compare(stream, ["which number?", "other?"], progress=False)
        assert comparison.missing == {3: "sample 3 cannot be read"}
        assert comparison.samples == (0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11)

    watched(tmp_path, check)


def test_the_winner_can_be_applied_to_a_stream_that_goes_on(tmp_path):
    video = make_video(tmp_path / "v.mp4", 600, fps=10)

    async def watch(server: ChatServer) -> None:
        async with Overshoot(base_url=server.url) as client:
            stream = await client.streams.create(video, "which number?", "model-a")
            while len(stream.df) < 2:
                await asyncio.sleep(0.02)
            stream.label(0, "even")
            comparison = await compare(
                stream, [stream.prompts[1], "which kind?"], samples=[0, 1], progress=False
            )
            assert comparison.winner is not None
            await stream.update_prompt(comparison.winner.version)
            assert stream.prompt == "which kind?"
            assert stream.prompt_version == 2

    with ChatServer(answers) as server:
        asyncio.run(watch(server))


def test_another_server_is_asked_with_its_own_model_and_knows_no_answers_of_the_stream(tmp_path):
    async def check(stream, server):
        with ChatServer(lambda request: "other", 0.0) as other:
            async with Overshoot(base_url=other.url) as client:
                comparison = await compare(
                    stream, "which kind?", samples=[0], client=client, progress=False
                )
            assert [c.model for c in comparison.candidates] == ["test/model"]
            assert list(comparison.df["answer"]) == ["other"]
            assert len(other.requests) == 1

    watched(tmp_path, check)


def test_a_server_says_what_it_costs():
    def charged(request):
        body = json.loads(completion("yes"))
        body["usage"]["cost"] = 0.005  # dollars
        return Reply(json.dumps(body))

    comparison, _ = run(PICTURES[:2], "?", answer=charged)
    assert list(comparison.df["cost_cents"]) == [0.5, 0.5]
    assert "1\N{NO-BREAK SPACE}¢" in comparison._repr_mimebundle_()["text/html"]
    assert "1 cents" in repr(comparison)


# ---- a v0.2 server -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gateway():
    engine = Engine()
    engine.preload()
    server = GatewayServer(engine)
    yield server
    server.close()
    engine.close()


@pytest.mark.skipif(sys.platform == "win32", reason="loopback media")
def test_a_v02_stream_is_asked_about_the_pictures_of_its_results(gateway, tmp_path, monkeypatch):
    video = text_video(tmp_path / "words.mp4", "HAWKS 84", "TIGERS 79")
    schema = {"type": "object", "properties": {"text": {"type": ["string", "null"]}}}

    async def watch() -> None:
        async with Overshoot(KEY, base_url=f"{gateway.url}/v0.2") as client:
            stream = await client.streams.create(
                FileSource(str(video)), "Read", "local/read", interval_seconds=0.5,
                keep_frames=False,
            )  # fmt: skip
            await stream.wait()
            rows = stream.df
            comparison = await compare(
                stream, [stream.prompts[1], "Read it all"], output_schema=schema, progress=False
            )
            assert comparison.samples == tuple(rows["sample"])
            assert comparison.missing == {}
            df = comparison.df
            assert df["ok"].all()
            for prompt in ("v1", "Read it all"):
                said = df[df["prompt"] == prompt]["out.text"]
                for live, later in zip(rows["result"], said, strict=True):
                    assert live.split() == later.split()
            assert "no picture" in comparison._repr_mimebundle_()["text/html"]

            gateway.registry.clips.clear()
            monkeypatch.setattr("overshoot_nb.running.asker.STORED_SECONDS", 0.0)
            gone = await compare(stream, "Read once more", progress=False)
            assert gone.samples == ()
            assert list(gone.missing) == list(rows["sample"])
            assert "no clip is stored" in next(iter(gone.missing.values()))
            assert "could not be asked about" in gone._repr_mimebundle_()["text/html"]
            with pytest.raises(ValidationError, match="only be asked about the pictures"):
                await compare(PICTURES, "Read", "local/read", client=client)

    asyncio.run(watch())


def test_figures_of_its_rows():
    comparison, _ = run(PICTURES, ["which number?", "which kind?"], ["model-a", "model-b"])
    df = comparison.df
    asked = [
        ("model-a", "which kind?"),
        ("model-a", "which number?"),
        ("model-b", "which kind?"),
        ("model-b", "which number?"),
    ]
    latency = df.overshoot.latency()
    assert sorted(zip(latency["model"], latency["prompt"], strict=True)) == asked
    assert list(latency["n"]) == list(latency["ok"]) == [6] * 4
    own = df[(df["model"] == "model-a") & (df["prompt"] == "which kind?")]["latency_ms"]
    (mean,) = latency[(latency["model"] == "model-a") & (latency["prompt"] == "which kind?")][
        "inference_mean_ms"
    ]
    assert mean == pytest.approx(own.mean())
    assert not [name for name in latency.columns if name.startswith("total")]
    tokens = df.overshoot.tokens(by=())
    assert list(tokens["total_tokens"]) == [24 * 12]
    assert df.overshoot.cost()["priced"].sum() == 0
    cost = df.overshoot.cost({"model-a": (10, 40)}, by="model")
    assert list(cost["priced"]) == [12, 0]
    assert cost["cents"].iloc[0] == pytest.approx(12 * (10 * 10 + 2 * 40) / 1e6)
