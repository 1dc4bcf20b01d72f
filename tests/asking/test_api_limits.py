"""A server's limit: waited for, shared by the requests of a client, and no longer than allowed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from overshoot_nb import errors
from overshoot_nb.asking.chat import ChatClient
from overshoot_nb.asking.retry import Fault, NoLongerWanted, RateLimit, RetryPolicy
from overshoot_nb.asking.retry_after import retry_after_seconds, stated_wait, wait_in_body
from overshoot_nb.gateway.api_client import ApiClient
from overshoot_nb.types import EncodedFrame, Sample

from chatserver import ChatServer, Reply
from faultserver import Answer, FaultServer

pytest.importorskip("overshoot_nb.asking.connection")  # loading it is no part of a timeout

FAST = RetryPolicy(backoff_seconds=0.002)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FRAME = Sample(0, "frame", 0.0, NOW, (EncodedFrame(0.0, b"\xff\xd8jpeg", 4, 3),))
OK = Answer.of({"id": "c", "choices": [{"message": {"content": "seen"}, "finish_reason": "stop"}]})


def refusal(status: int = 429, **headers: str) -> Answer:
    return Answer.of({"error": {"message": "slow down"}}, status, **headers)


def run(url: str, call: Callable[[ChatClient], Awaitable[Any]], **options: Any) -> Any:
    async def go() -> Any:
        options.setdefault("retry", FAST)
        options.setdefault("timeout", 5)
        async with ChatClient(base_url=url, **options) as client:
            return await call(client)

    return asyncio.run(go())


def ask(server: FaultServer, *answers: Answer, **options: Any) -> Any:
    server.queue(*answers)
    return run(server.url, lambda c: c.complete(c.prepare("What?", "m"), FRAME), **options)


# ---- how long --------------------------------------------------------------------------------


def epoch(seconds: float, scale: int = 1) -> str:
    return str(round((NOW.timestamp() + seconds) * scale))


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "60"}, 60),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "30, 60"}, 60),
        ({"retry-after": "1m30s"}, 90),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=42), usegmt=True)}, 42),
        ({"retry-after": "2026-01-01T00:00:42z"}, 42),
        ({"retry-after": epoch(42)}, 42),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "soon", "x-ratelimit-reset": epoch(7)}, 7),
        ({"x-ratelimit-reset": epoch(7)}, 7),
        ({"x-ratelimit-reset": epoch(7, 1000)}, 7),
        ({"x-ratelimit-reset": epoch(-7)}, 0),
        ({"x-ratelimit-reset": "7"}, 7),
        ({"ratelimit-reset": "7"}, 7),
        ({"x-ratelimit-reset-after": "1.25"}, 1.25),
        ({"x-ratelimit-reset": "2026-01-01t00:00:07.5z"}, 7.5),
        ({"x-ratelimit-reset-requests": "20ms", "x-ratelimit-reset-tokens": "6m0s"}, 360),
        (
            {
                "x-ratelimit-reset-requests": "20ms",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "6m0s",
                "x-ratelimit-remaining-tokens": "5000",
            },
            0.02,
        ),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_every_way_of_saying_how_long(headers: dict[str, str], wait: float | None) -> None:
    # By the server's own clock, which may be years off.
    said = stated_wait({"date": format_datetime(NOW, usegmt=True), **headers}, limited=True)
    assert said == (None if wait is None else pytest.approx(wait, abs=1e-6))


def test_without_its_clock_ours_counts() -> None:
    later = datetime.now(UTC) + timedelta(seconds=30)
    assert 28 < (retry_after_seconds(format_datetime(later, usegmt=True)) or 0) <= 30
    # What is not a refusal for a limit has counters of a limit too, which say nothing then.
    assert stated_wait({"x-ratelimit-reset": "7"}, limited=False) is None
    assert stated_wait({"retry-after": "7"}, limited=False) == 7


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        ({"metadata": {"headers": {"X-RateLimit-Reset": "9"}}}, 9),
        ({"retry_after": 9}, 9),
        ({"retry_after_seconds": 9}, 9),
        ({"upstream": {"rate_limits": {"retry_after": 9.5}}}, 9.5),
        ({"details": [{"@type": "x"}, {"retryDelay": "34s"}]}, 34),
        ({"message": "no", "code": 429}, None),
        ("text", None),
    ],
)
def test_a_body_may_say_it(error: Any, wait: float | None) -> None:
    assert wait_in_body(error, limited=True) == wait


# ---- waiting ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limit",
    [
        refusal(Retry_After="0.05"),
        refusal(retry_after_ms="50"),
        refusal(503, Retry_After="0.05"),
        Answer.of({"error": {"message": "slow down", "retry_after": 0.05}}, 429),
        Answer.of({"error": {"code": 429, "message": "no", "metadata": {"retry_after": 0.05}}}),
    ],
    ids=lambda a: f"{a.status} {a.body[:60]!r}",
)
def test_a_limit_is_no_try(server: FaultServer, limit: Answer) -> None:
    answer = ask(server, *[limit] * 4, OK)
    assert (answer.ok, answer.content, answer.attempts) == (True, "seen", 5)
    assert len(server.received) == 5


def test_a_limit_is_no_part_of_the_timeout_and_of_the_latency(server: FaultServer) -> None:
    answer = ask(server, refusal(Retry_After="2.1"), OK, timeout=2)
    assert answer.ok
    assert answer.latency_ms < 2000  # the model did not take that long


@pytest.mark.parametrize("limit", [refusal(), refusal(Retry_After="0")], ids=["unsaid", "zero"])
def test_a_refusal_that_says_nothing_is_asked_again_ever_less_often(
    server: FaultServer, limit: Answer
) -> None:
    answer = ask(server, *[limit] * 7, OK)
    assert (answer.ok, answer.attempts) == (True, 8)


def test_a_limit_that_is_too_long_is_the_error_at_once(server: FaultServer) -> None:
    began = time.monotonic()
    with pytest.raises(errors.RateLimitError, match="slow down") as caught:
        ask(server, refusal(Retry_After="601"), OK)
    assert caught.value.retry_after == 601
    assert len(server.received) == 1
    with pytest.raises(errors.RateLimitError):
        ask(server, refusal(Retry_After="31"), OK, max_wait=30)
    with pytest.raises(errors.ServerError):
        ask(server, refusal(503, Retry_After="31"), OK, max_wait=30)
    with pytest.raises(errors.RateLimitError):
        ask(server, refusal(), OK, max_wait=0)
    assert len(server.received) == 1
    assert time.monotonic() - began < 30  # of the 31, and more, that it would wait


def test_one_that_never_ends_is_the_error_in_the_end(server: FaultServer) -> None:
    with pytest.raises(errors.RateLimitError):
        ask(server, refusal(Retry_After="0.2"), max_wait=0.5)
    assert 2 <= len(server.received) <= 4
    with pytest.raises(errors.RateLimitError):
        ask(server, refusal(), max_wait=0.3)


def test_a_spent_quota_is_not_waited_for(server: FaultServer) -> None:
    spent = Answer.of({"error": {"message": "pay", "code": "insufficient_quota"}}, 429)
    with pytest.raises(errors.RateLimitError, match="pay"):
        ask(server, spent, OK)
    assert len(server.received) == 1


@pytest.mark.parametrize("max_wait", [-1, float("nan"), float("inf"), "60", True])
def test_what_max_wait_may_be(max_wait: Any) -> None:
    with pytest.raises(errors.ValidationError, match="max_wait="):
        ChatClient(base_url="http://127.0.0.1:9/v1", max_wait=max_wait)


def test_the_pause_is_shared_and_what_follows_is_no_herd() -> None:
    until = 0.0
    under_way: list[int] = []

    def answer(request: Any) -> str | Reply:
        nonlocal until
        now = time.monotonic()
        until = until or now + 0.5
        if now < until:
            return Reply('{"error": "slow"}', 429, {"Retry-After": f"{until - now:.3f}"})
        under_way.append(server.in_flight)
        return "seen"

    async def many(client: ChatClient) -> None:
        request = client.prepare("What?", "m")
        first = asyncio.create_task(client.complete(request, FRAME))
        while not server.requests or server.in_flight:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        # These have met with no limit of their own; and the list of models waits as well.
        others = [client.complete(request, FRAME) for _ in range(11)]
        answers = await asyncio.gather(first, *others, client.get_models())
        assert all(found.ok for found in answers[:-1])

    with ChatServer(answer, delay=0.02) as server:
        run(server.url, many)
        times = [request.at for request in server.requests]
    assert len(times) == 13  # one refusal in all
    assert times[1] >= until
    assert under_way[0] == 1  # one goes first


def test_a_waiter_is_told_and_may_have_lost_interest(server: FaultServer) -> None:
    class Impatient:
        notes: list[str]

        def __init__(self) -> None:
            self.notes = []

        def waiting(self, note: str) -> None:
            self.notes.append(note)

        def wanted(self) -> bool:
            return False

    waiter = Impatient()
    server.queue(refusal(Retry_After="0.1"), OK)
    with pytest.raises(NoLongerWanted):
        run(server.url, lambda c: c.complete(c.prepare("?", "m"), FRAME, waiter=waiter))
    assert len(server.received) == 1
    said, over = waiter.notes
    assert "the server limits requests: nothing is asked for 0.1" in said
    assert "slow down" in said
    assert over == ""


@pytest.mark.parametrize("how", ["cancel", "close"])
def test_a_wait_ends_at_once(server: FaultServer, how: str) -> None:
    server.queue(refusal(Retry_After="500"))

    async def end_soon(client: ChatClient) -> None:
        request = client.prepare("What?", "m")
        tasks = [asyncio.create_task(client.complete(request, FRAME)) for _ in range(3)]
        while client._http._limit._at_once is None or len(client._http._limit._queue) < 3:
            await asyncio.sleep(0.005)
        if how == "close":
            await client.close()
        else:
            for task in tasks:
                task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        kind = errors.NetworkError if how == "close" else asyncio.CancelledError
        assert all(isinstance(end, kind) for end in ended)
        assert client._http._limit._under_way == 0

    async def within(client: ChatClient) -> None:
        async with asyncio.timeout(60):
            await end_soon(client)

    run(server.url, within)
    assert 1 <= len(server.received) <= 3


def test_turns_that_are_given_up_are_given_on() -> None:
    async def main() -> None:
        limit = RateLimit(10, FAST)
        assert limit.begin()
        assert limit.refused(Fault(errors.RateLimitError("x"), 429, 0.01))
        limit.done()
        turns = [asyncio.create_task(limit.turn()) for _ in range(4)]
        async with asyncio.timeout(60):
            await turns[0]
            turns[1].cancel()
            await asyncio.wait([turns[1]])
            limit.done()
            await turns[2]
            assert not turns[3].done()
            limit.answered()  # two at once from now on
            limit.done()
            await turns[3]
            limit.answered()
            limit.done()
        assert limit.begin()

    asyncio.run(main())


# ---- v0.2 ------------------------------------------------------------------------------------


def test_asking_again_about_a_clip_waits_and_keepalives_do_not(server: FaultServer) -> None:
    answer = Answer.of({"id": "r", "model": "m", "content": "<think>hm</think>seen"})

    async def main() -> None:
        async with ApiClient(
            "ovs-key", base_url=f"{server.url}/v0.2", retry=FAST, timeout=5
        ) as api:
            server.queue(*[refusal(Retry_After="0.05")] * 4, answer)
            found = await api.reinfer("r-1", "What?", "m")
            assert (found.content, found.reasoning) == ("seen", "hm")
            server.queue(refusal(Retry_After="30"))
            with pytest.raises(errors.RateLimitError):
                await api.keepalive("s-1")

    asyncio.run(main())
    assert len(server.received) == 1
