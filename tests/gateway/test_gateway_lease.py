"""Keeping a lease: the schedule, the ledger, and every way in which it ends."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import httpx
import pytest

from overshoot_nb.asking.retry import RetryPolicy
from overshoot_nb.errors import (
    AuthenticationError,
    InsufficientCreditsError,
    NetworkError,
    NotFoundError,
)
from overshoot_nb.gateway.api_client import ApiClient
from overshoot_nb.gateway.lease import keep_lease
from overshoot_nb.types import KeepaliveResponse, Lease, StreamCreateResponse

from waiting import VirtualLoop

TTL = 45.0


class Server(httpx.AsyncBaseTransport):
    """Answers keepalives from a list; the last answer stays. None is no answer at all."""

    def __init__(self, *answers: tuple[int, dict[str, Any]] | None) -> None:
        self.answers = list(answers)
        self.times: list[float] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path.endswith("/streams/s1/keepalive")
        self.times.append(asyncio.get_running_loop().time())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise httpx.ConnectError("refused")
        return httpx.Response(answer[0], json=answer[1])


def renewed(**fields: Any) -> tuple[int, dict[str, Any]]:
    body = {"status": "ok", "stream_id": "s1", "ttl_seconds": TTL, "state": "active"}
    return 200, body | fields


def keep(server: Server, seconds: float = 600.0) -> tuple[list[KeepaliveResponse], list[str]]:
    """Keep the lease until that ends, or for so long; what was said on the way.

    The seconds are those of a loop that waits for nothing: they pass at once.
    """
    answers: list[KeepaliveResponse] = []
    notes: list[str] = []

    async def run() -> None:
        api = ApiClient(
            "ovs_key",
            base_url="http://127.0.0.1:1/v0.2",
            transport=server,
            retry=RetryPolicy(attempts=1),
        )
        async with api, asyncio.timeout(seconds):
            created = StreamCreateResponse("s1", Lease(TTL))
            await keep_lease(api, created, renewed=answers.append, said=notes.append)

    with contextlib.suppress(TimeoutError), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())
    return answers, notes


def test_it_is_renewed_at_every_third_and_its_answers_are_told() -> None:
    server = Server(renewed(cost_cents=1.5, credits_remaining_cents=98.5, seconds_charged=3.0))
    answers, notes = keep(server, seconds=80)
    assert len(answers) == 5
    assert answers[0].cost_cents == 1.5
    assert answers[0].credits_remaining_cents == 98.5
    assert notes == []
    assert server.times == pytest.approx([15, 30, 45, 60, 75])


def test_another_lease_sets_another_pace() -> None:
    server = Server(renewed(ttl_seconds=30.0))
    keep(server, seconds=40)
    assert server.times == pytest.approx([15, 25, 35])


def test_no_credits_end_it() -> None:
    with pytest.raises(InsufficientCreditsError, match="top up"):
        keep(Server(renewed(), (402, {"error": "insufficient_credits", "message": "top up"})))


def test_a_stream_that_is_gone_ends_it_and_says_what_to_do() -> None:
    with pytest.raises(NotFoundError, match=r"no longer.*restart\(\)") as caught:
        keep(Server((404, {"error": "not_found", "message": "no such stream"})))
    assert caught.value.status_code == 404


def test_a_key_that_is_refused_ends_it() -> None:
    with pytest.raises(AuthenticationError):
        keep(Server((401, {"error": "unauthorized"})))


def test_a_server_that_comes_back_is_asked_again() -> None:
    server = Server(None, (503, {"error": "restarting"}), renewed())
    answers, notes = keep(server, seconds=80)
    assert server.times == pytest.approx([15, 30, 45, 60, 75])
    assert len(answers) == 3
    assert len(notes) == 2
    assert "could not be renewed" in notes[0]


def test_a_server_that_stays_away_ends_it_after_twice_the_lease() -> None:
    server = Server(None)
    with pytest.raises(NetworkError, match="could not be renewed for"):
        keep(server)
    assert server.times == pytest.approx([15, 30, 45, 60, 75, 90, 105])


@pytest.mark.parametrize(("ttl", "pause"), [(0, TTL / 3), (-1, TTL / 3), (0.001, 0.1)])
def test_a_lease_of_nothing_does_not_make_it_hurry(ttl: float, pause: float) -> None:
    server = Server(renewed(ttl_seconds=ttl))
    keep(server, seconds=15 + 9.5 * pause)
    assert server.times == pytest.approx([15 + n * pause for n in range(10)])


@pytest.mark.parametrize("body", [{"status": "ok"}, {"status": "ok", "ttl_seconds": "45"}])
def test_an_answer_without_its_length_renews_it_all_the_same(body: dict[str, Any]) -> None:
    answers, notes = keep(Server((200, body)), seconds=200)
    assert (answers, notes) == ([], [])
