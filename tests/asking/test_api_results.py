"""Results over WebSockets, against a real server that breaks, refuses, stalls and goes away."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import socket
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overshoot_nb import errors
from overshoot_nb.asking import network_socket
from overshoot_nb.asking.retry import RetryPolicy
from overshoot_nb.gateway import results
from overshoot_nb.gateway.api_client import ApiClient
from overshoot_nb.gateway.reinfer import reinfer_when_stored
from overshoot_nb.gateway.result_message import MAX_UNREAD_CHARS, ResultMessage, read_result
from overshoot_nb.gateway.results import ResultChannel
from overshoot_nb.local import close_engine
from overshoot_nb.types import FrameProcessingConfig, InferenceConfig

from faultserver import Answer, FaultServer
from resultserver import AWAY, NORMAL, REFUSED, ResultServer, Script, push, refuse, result

KEY = "ovs_a-key-for-the-tests"
QUICK = (0.01,)
FAST = RetryPolicy(backoff_seconds=0.002)
OVER: Script = push(then=(AWAY, "client_requested"))
Scenario = Callable[["Listening"], Awaitable[Any]]


@pytest.fixture
def sender() -> Iterator[ResultServer]:
    with ResultServer() as running:
        yield running


class Listening:
    """A client and the channel it listens to."""

    def __init__(self, url: str, key: str | None, backoff: tuple[float, ...], timeout: float):
        self.api = ApiClient(key, base_url=url, retry=FAST, timeout=timeout)
        self.said: list[str] = []
        self.channel = ResultChannel(
            self.api._http, "s-1", "/ws/streams/s-1", on_status=self.said.append, backoff=backoff
        )

    async def take(self, count: int) -> list[str]:
        """The ids of the next results."""
        async with asyncio.timeout(60):
            return [(await anext(self.channel)).id for _ in range(count)]

    async def all(self) -> tuple[list[ResultMessage], errors.OvershootError]:
        """Every result, and the error that ended it."""
        found: list[ResultMessage] = []
        async with asyncio.timeout(60):
            try:
                async for message in self.channel:
                    found.append(message)
            except errors.OvershootError as error:
                return found, error
        raise AssertionError("the channel ended without an error")


def connected_to(port: int) -> list[Any]:
    """The connections of this process to a port of this machine."""
    mine = [c for c in psutil.net_connections("tcp") if c.pid == os.getpid()]
    return [c for c in mine if c.raddr and c.raddr.port == port]


def run(
    url: str,
    scenario: Scenario,
    *,
    key: str | None = KEY,
    backoff: tuple[float, ...] = QUICK,
    timeout: float = 5,
) -> Any:
    """Play a scenario; afterwards no task and no connection may be left."""

    async def go() -> Any:
        listening = Listening(url, key, backoff, timeout)
        try:
            return await scenario(listening)
        finally:
            await listening.channel.close()
            await listening.api.close()
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}

    try:
        return asyncio.run(go())
    finally:
        port = int(url.rpartition(":")[2].split("/")[0])
        deadline = time.monotonic() + 60
        while connected_to(port):
            assert time.monotonic() < deadline, "a connection is left"
            time.sleep(0.01)


def listen(sender: ResultServer, *scripts: Script, **options: Any) -> Any:
    """All results and the error at the end, of a server that does this."""
    sender.scripts(*scripts)
    return run(sender.url, lambda on: on.all(), **options)


def ids(found: list[ResultMessage]) -> list[str]:
    return [message.id for message in found]


# ---- what goes over the wire -------------------------------------------------------------------


def test_the_key_goes_first_and_results_come_in_order(sender: ResultServer) -> None:
    sender.scripts(push(*(result(f"r{i}") for i in range(50)), then=(AWAY, "client_requested")))

    found: list[ResultMessage] = []

    async def go() -> None:
        async with ApiClient(KEY, base_url=sender.url) as api, api.results("s/1") as channel:
            async for message in channel:
                found.append(message)

    with pytest.raises(errors.StreamClosedError):
        asyncio.run(go())
    assert ids(found) == [f"r{i}" for i in range(50)]
    first = found[0]
    assert (first.stream_id, first.mode, first.model_name) == ("s-1", "frame", "m")
    assert (first.prompt, first.result) == ("Describe", "answer r0")
    assert (first.inference_latency_ms, first.total_latency_ms) == (120.5, 240.0)
    assert (first.ok, first.error, first.finish_reason) == (True, None, "stop")
    assert first.created_at is None
    assert abs(first.received_at.timestamp() - time.time()) < 5
    (visit,) = sender.visits
    assert visit.target == "/v0.2/ws/streams/s%2F1"
    assert visit.first == {"api_key": KEY}
    assert visit.headers["authorization"] == f"Bearer {KEY}"
    assert visit.headers["user-agent"].startswith("overshoot-nb/")
    assert "sec-websocket-extensions" not in visit.headers  # no compression


def test_a_server_that_needs_no_key_still_gets_a_first_message(sender: ResultServer) -> None:
    listen(sender, OVER, key=None)
    assert sender.visits[0].first == {"api_key": "local"}
    assert "authorization" not in sender.visits[0].headers


def test_the_wrong_id_is_refused_before_connecting(sender: ResultServer) -> None:
    async def go() -> None:
        async with ApiClient(KEY, base_url=sender.url) as api:
            for wrong in ("", " ", "..", None):
                with pytest.raises(errors.ValidationError, match="stream_id="):
                    api.results(wrong)  # type: ignore[arg-type]

    asyncio.run(go())


# ---- losses ------------------------------------------------------------------------------------


def test_ten_kills_with_a_backlog_sent_again_lose_and_double_nothing(sender: ResultServer) -> None:
    names = [f"r{i}" for i in range(110)]
    kills = [
        push(*(result(name) for name in names[: 10 * (i + 1)]), then="abort") for i in range(10)
    ]
    last = push(*(result(name) for name in names), then=(AWAY, "client_requested"))

    async def scenario(on: Listening) -> Any:
        return *(await on.all()), on.channel.reconnects, on.said

    sender.scripts(*kills, last)
    found, error, reconnects, said = run(sender.url, scenario)
    assert ids(found) == names
    assert isinstance(error, errors.StreamClosedError)
    assert reconnects == 10
    assert [visit.first for visit in sender.visits] == [{"api_key": KEY}] * 11
    assert len(said) == 20
    lost, again = said[:2]
    assert re.fullmatch(r"result channel lost \(.+\), reconnecting in 0\.0\d+ s", lost)
    assert again == "result channel connected again"


@pytest.mark.parametrize(
    "end",
    [
        "abort",
        "no code",
        (NORMAL, ""),
        (AWAY, ""),
        (AWAY, "server restarting"),
        (1011, "internal error"),
        (1012, "restart"),
        (1013, "too slow"),
        (1014, ""),
    ],
)
def test_ends_that_another_connection_heals(sender: ResultServer, end: Any) -> None:
    found, _ = listen(
        sender, push(result("a"), then=end), push(result("b"), then=(AWAY, "x")), OVER
    )
    assert ids(found) == ["a", "b"]
    assert len(sender.visits) == 3


@pytest.mark.parametrize(
    "refusal",
    [
        refuse(408),
        refuse(429),
        refuse(500),
        refuse(502, b"<html><title>Bad gateway</title></html>"),
        refuse(503),
        refuse(200, b"hello"),
    ],
)
def test_refusals_that_pass(sender: ResultServer, refusal: Script) -> None:
    kill = push(result("a"), then="abort")
    found, _ = listen(sender, kill, refusal, refusal, push(result("b"), then="abort"), OVER)
    assert ids(found) == ["a", "b"]


def test_a_server_that_is_away_for_a_while(sender: ResultServer) -> None:
    sender.scripts(push(result("a")), push(result("a"), result("b")))

    async def scenario(on: Listening) -> Any:
        before = await on.take(1)
        await asyncio.to_thread(sender.leave)
        waiting = asyncio.create_task(on.take(1))
        while len(on.said) < 4:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(sender.come_back)
        return before + await waiting, on.said, on.channel.reconnects

    found, said, reconnects = run(sender.url, scenario)
    assert found == ["a", "b"]
    assert reconnects == 1
    assert f"could not connect to http://127.0.0.1:{sender.port}" in said[1]
    assert said[-1] == "result channel connected again"


def test_a_server_that_stalls_is_noticed(
    sender: ResultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert network_socket.HEARTBEAT_SECONDS * 1.5 <= 30
    monkeypatch.setattr(network_socket, "HEARTBEAT_SECONDS", 0.2)
    sender.scripts(push(result("a"), mute=True), push(result("b")))

    async def scenario(on: Listening) -> Any:
        return await on.take(2), on.said

    found, said = run(sender.url, scenario)
    assert found == ["a", "b"]
    assert "lost (the server gave no sign of life)" in said[0]


def test_a_quiet_server_that_answers_pings_is_kept(
    sender: ResultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_socket, "HEARTBEAT_SECONDS", 0.1)

    async def scenario(on: Listening) -> int:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(on.channel), 0.6)
        return on.channel.reconnects

    sender.scripts(push())
    assert run(sender.url, scenario) == 0


def test_waits_grow_and_start_over_after_a_result(sender: ResultServer) -> None:
    waits = (0.01, 0.02, 0.04)
    kill = push(result("a"), then="abort")
    again = push(result("a"), result("b"), then="abort")

    async def scenario(on: Listening) -> list[str]:
        await on.all()
        return on.said

    # The first connection that only repeats what is known counts as another failure.
    sender.scripts(kill, refuse(500), refuse(503), refuse(503), kill, again, OVER)
    said = run(sender.url, scenario, backoff=waits)
    shown = [float(m[1]) for note in said if (m := re.search(r"in ([\d.]+) s", note))]
    expected = [0.01, 0.02, 0.04, 0.04, 0.04, 0.01]
    assert len(shown) == len(expected)
    for wait, base in zip(shown, expected, strict=True):
        assert 0.75 * base <= wait <= 1.25 * base
    assert results.BACKOFF_SECONDS == (1, 2, 4, 8, 10)


def test_a_connection_that_lived_counts_as_good(
    sender: ResultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "STEADY_SECONDS", 0.0)

    async def scenario(on: Listening) -> list[str]:
        await on.all()
        return on.said

    empty = push(then="abort")
    sender.scripts(empty, empty, empty, OVER)
    said = run(sender.url, scenario, backoff=(0.01, 5.0))
    assert sum("reconnecting in 0.01" in n or "reconnecting in 0.00" in n for n in said) == 3


def test_retry_after_is_waited_for(sender: ResultServer) -> None:
    async def scenario(on: Listening) -> float:
        await on.take(1)
        began = time.monotonic()
        await on.take(1)
        return time.monotonic() - began

    kill = push(result("a"), then="abort")
    sender.scripts(kill, refuse(429, retry_after="0.4"), push(result("b")))
    assert run(sender.url, scenario) >= 0.4


def test_doubles_are_known_by_id_and_the_memory_is_bounded(
    sender: ResultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert results.REMEMBERED_IDS == 4096
    monkeypatch.setattr(results, "REMEMBERED_IDS", 3)
    sent = [result(name) for name in "abcabcdab"]
    found, _ = listen(sender, push(*sent, then=(AWAY, "client_requested")))
    # "d" pushed "a" out, and "a" then "b".
    assert "".join(ids(found)) == "abcdab"


def test_a_consumer_that_is_slow_or_gives_up_loses_nothing(sender: ResultServer) -> None:
    names = [f"r{i}" for i in range(400)]
    padding = "x" * 2_000  # more than the connection's buffers hold

    async def scenario(on: Listening) -> list[str]:
        found = await on.take(1)
        await asyncio.sleep(0.3)
        found += await on.take(len(names) - 1)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(on.channel), 0.01)
        sender.scripts(push(result("late")))
        await asyncio.to_thread(sender.leave)
        await asyncio.to_thread(sender.come_back)
        while True:  # given up again and again, also while it reconnects
            try:
                return [*found, (await asyncio.wait_for(anext(on.channel), 0.015)).id]
            except TimeoutError:
                continue

    sender.scripts(push(*(result(name, padding=padding) for name in names)))
    assert run(sender.url, scenario) == [*names, "late"]


# ---- ends --------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [NORMAL, AWAY])
@pytest.mark.parametrize(
    "reason", ["client_requested", "webrtc_disconnected", "livekit_disconnected", "lease_expired"]
)
def test_a_stream_that_ended_says_why(sender: ResultServer, code: int, reason: str) -> None:
    found, error = listen(sender, push(result("a"), then=(code, reason)))
    assert ids(found) == ["a"]
    assert isinstance(error, errors.StreamClosedError)
    assert error.reason == reason
    assert f"stream s-1 has ended ({reason})" in str(error)
    assert "reate" in str(error)  # what to do
    assert len(sender.visits) == 1


def test_a_reason_within_other_words(sender: ResultServer) -> None:
    _, error = listen(sender, push(then=(AWAY, 'Stream ended: "lease_expired".')))
    assert isinstance(error, errors.StreamClosedError)
    assert error.reason == "lease_expired"


def test_no_credits_left(sender: ResultServer) -> None:
    _, error = listen(sender, push(then=(AWAY, "insufficient_credits")))
    assert isinstance(error, errors.InsufficientCreditsError)
    assert "no credits" in str(error)


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1008, 1009, 1010, 3000, 4001, 4999])
def test_codes_that_end_the_channel(sender: ResultServer, code: int) -> None:
    _, error = listen(sender, push(then=(code, "what it said")))
    assert isinstance(error, errors.WebSocketError)
    assert error.code == code
    assert str(code) in str(error)
    assert "what it said" in str(error)
    assert len(sender.visits) == 1


def test_what_ended_it_is_raised_again(sender: ResultServer) -> None:
    async def scenario(on: Listening) -> None:
        _, error = await on.all()
        with pytest.raises(errors.WebSocketError) as caught:
            await anext(on.channel)
        assert caught.value is error

    sender.scripts(push(then=(REFUSED, "authentication failed")))
    run(sender.url, scenario)


REFUSALS = [
    (400, errors.ValidationError),
    (401, errors.AuthenticationError),
    (402, errors.InsufficientCreditsError),
    (403, errors.PermissionDeniedError),
    (404, errors.NotFoundError),
    (410, errors.NotFoundError),
    (418, errors.ApiError),
    (429, errors.RateLimitError),
    (500, errors.ServerError),
    (503, errors.ServerError),
]


@pytest.mark.parametrize(("status", "kind"), REFUSALS)
def test_a_refused_first_handshake_is_the_error_of_its_status(
    sender: ResultServer, status: int, kind: type[errors.ApiError]
) -> None:
    body = {"error": "code", "message": "said so", "request_id": "q-1", "details": {"a": 1}}
    sender.scripts(refuse(status, body))
    with pytest.raises(kind) as caught:
        run(sender.url, lambda on: on.channel.open())
    error = caught.value
    assert (error.status_code, error.request_id, error.details) == (status, "q-1", {"a": 1})
    assert "WS /v0.2/ws/streams/s-1: said so" in str(error)
    # As any other call: what can pass is tried three times.
    assert len(sender.visits) == (3 if status in (429, 500, 503) else 1)


@pytest.mark.parametrize(("status", "kind"), [r for r in REFUSALS if r[0] not in (429, 500, 503)])
def test_a_refused_reconnection_ends_the_channel(
    sender: ResultServer, status: int, kind: type[errors.ApiError]
) -> None:
    found, error = listen(
        sender, push(result("a"), then="abort"), refuse(status, {"error": "no more"})
    )
    assert ids(found) == ["a"]
    assert type(error) is kind
    assert "no more" in str(error)
    assert len(sender.visits) == 2


def test_answers_that_are_no_websocket(sender: ResultServer) -> None:
    sender.scripts(refuse(200, b"<html>hello</html>"))
    with pytest.raises(errors.ServerError, match="answered 200 instead of opening a WebSocket"):
        run(sender.url, lambda on: on.channel.open())
    # Followed, the key would go to whoever is named there.
    sender.scripts(refuse(307, location=f"{sender.url}/elsewhere?token=of-somebody"), OVER)
    with pytest.raises(errors.ServerError, match=r"redirects to .*elsewhere") as caught:
        run(sender.url, lambda on: on.channel.open())
    assert len(sender.visits) == 1
    assert "of-somebody" not in str(caught.value)


def test_a_handshake_with_the_wrong_proof(server: FaultServer) -> None:
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    server.queue(Answer(raw=head + b"Sec-WebSocket-Accept: wrong\r\n\r\n"))
    with pytest.raises(errors.ServerError, match="handshake is not that of a WebSocket"):
        run(f"{server.url}/v0.2", lambda on: on.channel.open())


def test_another_region_is_gone_to(sender: ResultServer) -> None:
    body = {"error": "region_error", "message": "use us-east", "details": {"region": "us-east"}}
    listen(sender, refuse(409, body), OVER)
    assert sender.visits[1].headers["x-overshoot-region"] == "us-east"


def test_nobody_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v0.2"
        with pytest.raises(errors.NetworkError, match="could not connect"):
            run(url, lambda on: on.channel.open())


def test_no_answer_in_time(server: FaultServer) -> None:
    server.queue(Answer(delay=5))
    with pytest.raises(errors.RequestTimeoutError, match=r"no answer within 0\.2 s"):
        run(f"{server.url}/v0.2", lambda on: on.channel.open(), timeout=0.2)


# ---- messages ----------------------------------------------------------------------------------


UNREADABLE = [
    ("no json", "not JSON"),
    ("", "not JSON"),
    ('{"id": "x", "ok": true, "result": NaN}', "not JSON"),
    ("[1]", "a list, not an object"),
    ("null", "null, not an object"),
    ("{}", "'ok' is missing"),
    (json.dumps({"ok": True, "result": "r"}), "'id' is missing"),
    (result(" "), "'id' is empty"),
    (result("x", ok="yes"), "'ok' is \"yes\", not true or false"),
    (result("x", result=5), "'result' is 5, not text"),
    (result("x", result=None), "'result' is null"),
    (result("x", prompt=[]), "'prompt' is a list"),
    (result("x", total_latency_ms="soon"), "'total_latency_ms' is \"soon\", not a number"),
    (result("x", inference_latency_ms=True), "'inference_latency_ms' is true"),
]


@pytest.mark.parametrize(("text", "said"), UNREADABLE)
def test_a_message_that_cannot_be_read_is_a_result_that_says_so(
    sender: ResultServer, text: str, said: str
) -> None:
    texts = [result("a"), text, result("b")]
    found, _ = listen(sender, push(*texts, then=(AWAY, "client_requested")))
    first, odd, last = found
    assert (first.id, last.id) == ("a", "b")
    assert (odd.ok, odd.result, odd.stream_id) == (False, text, "s-1")
    assert odd.error is not None
    assert said in odd.error
    assert odd.id


def test_unread_messages_have_ids_of_their_own_and_a_bound() -> None:
    one, two = read_result("x" * 10_000, "s"), read_result("x" * 10_001, "s")
    assert one.id != two.id
    # The same message sent again is the same result.
    assert read_result("x" * 10_000, "s").id == one.id
    assert one.result == "x" * MAX_UNREAD_CHARS
    # A server's id is kept: sent again, it is known.
    assert read_result('{"id": "r-1"}', "s").id == "r-1"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"id": 7}, {"id": "7"}),
        ({"unknown": {"deep": [1]}}, {}),
        ({"stream_id": None}, {"stream_id": "s"}),
        ({"mode": "clip"}, {"mode": "clip"}),
        ({"mode": "burst"}, {"mode": None}),
        ({"model_name": None, "prompt": None}, {"model_name": "", "prompt": ""}),
        ({"total_latency_ms": "12.5"}, {"total_latency_ms": 12.5}),
        ({"inference_latency_ms": None}, {"inference_latency_ms": 0.0}),
        ({"finish_reason": "MAX_TOKENS"}, {"finish_reason": "length"}),
        ({"finish_reason": "who knows"}, {"finish_reason": None}),
        ({"ok": False, "result": None, "error": "no fit"}, {"result": "", "error": "no fit"}),
        ({"created_at": "noon"}, {"created_at": None}),
    ],
)
def test_what_is_tolerated(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    message = read_result(result("r", **fields), "s")
    assert message.ok is fields.get("ok", True)
    for name, value in expected.items():
        assert getattr(message, name) == value


def test_when_a_result_was_made() -> None:
    made = read_result(result("r", created_at="2026-01-02T03:04:05.5+01:00"), "s").created_at
    assert made is not None
    assert made.isoformat() == "2026-01-02T02:04:05.500000+00:00"


_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


@settings(max_examples=200, deadline=None)
@given(
    text=st.text(max_size=60)
    | st.dictionaries(st.sampled_from([*ResultMessage.__slots__]), _VALUES).map(json.dumps)
)
def test_any_text_is_a_message(text: str) -> None:
    message = read_result(text, "s")
    assert message.id
    assert message.stream_id
    assert isinstance(message.result, str)
    assert isinstance(message.total_latency_ms, float)
    assert isinstance(message.ok, bool)


def test_binary_messages_are_read(sender: ResultServer) -> None:
    found, _ = listen(sender, push(result("a").encode(), then=(AWAY, "client_requested")))
    assert (ids(found), found[0].ok) == (["a"], True)


def test_the_size_of_a_message_is_bounded(sender: ResultServer) -> None:
    large, too_large = result("a", result="x" * 3_000_000), result("b", result="x" * 5_000_000)
    found, error = listen(sender, push(large, too_large))
    assert [(m.id, len(m.result)) for m in found] == [("a", 3_000_000)]
    assert isinstance(error, errors.WebSocketError)
    assert error.code == 1009
    assert len(sender.visits) == 1


# ---- closing -----------------------------------------------------------------------------------


async def closed_while(on: Listening, reached: Callable[[], bool]) -> None:
    """Close the channel once it is there, and time it."""
    waiting = asyncio.create_task(anext(on.channel, None))
    async with asyncio.timeout(60):
        while not reached():
            await asyncio.sleep(0.005)
    began = time.monotonic()
    await asyncio.gather(on.channel.close(), on.channel.close())
    assert waiting.done()
    assert await waiting is None  # the end, not an error
    assert [message async for message in on.channel] == []
    assert time.monotonic() - began < 20  # of the 30 that servers and back-offs here take


@pytest.mark.parametrize("mute", [False, True])
def test_close_while_waiting(sender: ResultServer, mute: bool) -> None:
    sender.scripts(push(result("a"), mute=mute))

    async def scenario(on: Listening) -> None:
        await on.take(1)
        await closed_while(on, lambda: on.channel._scope is not None)

    run(sender.url, scenario)


def test_close_while_connecting(server: FaultServer) -> None:
    server.queue(Answer(delay=30))
    run(f"{server.url}/v0.2", lambda on: closed_while(on, lambda: bool(server.received)))


def test_close_while_backing_off(sender: ResultServer) -> None:
    sender.scripts(push(then="abort"))
    run(sender.url, lambda on: closed_while(on, lambda: bool(on.said)), backoff=(30.0,))


def test_close_while_reconnecting(server: FaultServer, sender: ResultServer) -> None:
    sender.scripts(push(then="abort"), never)
    run(sender.url, lambda on: closed_while(on, lambda: len(sender.visits) == 2))


async def never(_: Any) -> Any:
    await asyncio.sleep(30)


def test_close_before_and_after(sender: ResultServer) -> None:
    async def scenario(on: Listening) -> None:
        await on.channel.close()
        assert [message async for message in on.channel] == []
        with pytest.raises(errors.StreamClosedError, match="closed before it was open"):
            await on.channel.open()
        await on.channel.close()

    run(sender.url, scenario)
    assert sender.visits == []


def test_closing_the_client_ends_its_channels(sender: ResultServer) -> None:
    async def scenario(on: Listening) -> None:
        await on.channel.open()
        ending = asyncio.create_task(on.all())
        await asyncio.sleep(0.05)
        async with asyncio.timeout(60):
            await on.api.close()
            found, error = await ending
        assert found == []
        assert type(error) is errors.NetworkError
        assert "was closed" in str(error)

    sender.scripts(push())
    run(sender.url, scenario)


def test_a_client_that_is_closed_from_another_loop(sender: ResultServer) -> None:
    sender.scripts(push())

    async def scenario(on: Listening) -> None:
        await on.channel.open()
        ending = asyncio.create_task(on.all())
        await asyncio.sleep(0.05)
        await asyncio.to_thread(lambda: asyncio.run(on.api.close()))
        _, error = await ending
        assert isinstance(error, errors.NetworkError)

    run(sender.url, scenario)


def test_two_tasks_cannot_read_one_channel(sender: ResultServer) -> None:
    sender.scripts(push())

    async def scenario(on: Listening) -> None:
        await on.channel.open()
        first = asyncio.create_task(anext(on.channel, None))
        await asyncio.sleep(0.02)
        with pytest.raises(RuntimeError, match="one task"):
            await anext(on.channel)
        await on.channel.close()
        assert await first is None

    run(sender.url, scenario)


def test_a_cancelled_task_is_cancelled(sender: ResultServer) -> None:
    sender.scripts(push())

    async def scenario(on: Listening) -> None:
        waiting = asyncio.create_task(on.take(1))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    run(sender.url, scenario)


def test_thirty_channels_leave_nothing_behind(sender: ResultServer) -> None:
    sender.scripts(push(result("a")))
    process = psutil.Process()

    async def go() -> None:
        async with ApiClient(KEY, base_url=sender.url) as api:
            for i in range(30):
                async with api.results(f"s-{i}") as channel:
                    assert (await anext(channel)).id == "a"
            assert api._http._sockets == {}

    asyncio.run(go())  # whatever is loaded at first use
    before = process.num_fds(), process.num_threads()
    asyncio.run(go())
    deadline = time.monotonic() + 60
    while sender.present or (process.num_fds(), process.num_threads()) > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)


# ---- the embedded engine -----------------------------------------------------------------------


def test_channels_of_the_engine_in_this_process() -> None:
    pytest.importorskip("starlette")
    ask = InferenceConfig("Describe", "local/scene")

    async def go() -> None:
        async with ApiClient(base_url="local") as api:
            before = asyncio.all_tasks()
            with pytest.raises(errors.WebSocketError) as caught:
                async for _ in api.results("no-such-stream"):
                    pass
            assert caught.value.code == 1008
            with pytest.raises(errors.PermissionDeniedError):
                await api._http.open_socket("/ws/nowhere")

            created = await api.create_stream(None, FrameProcessingConfig(), ask)
            channel = api.results(created.stream_id)
            await channel.open()
            waiting = asyncio.create_task(anext(channel, None))
            await asyncio.sleep(0.05)
            async with asyncio.timeout(60):
                await channel.close()
            assert await waiting is None

            async with api.results(created.stream_id) as other:
                await api.close_stream(created.stream_id)
                with pytest.raises(errors.StreamClosedError) as ended:
                    await anext(other)
            assert ended.value.reason == "client_requested"
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == before

    try:
        asyncio.run(go())
    finally:
        close_engine()


# ---- secrets -----------------------------------------------------------------------------------


def test_keys_passwords_and_queries_show_nowhere(
    sender: ResultServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = [KEY, "a-password-in-a-url", "token=in-the-query"]
    echo = " ".join(secrets)
    url = sender.url.replace("http://", f"http://me:{secrets[1]}@") + f"?{secrets[2]}"
    shown: list[str] = []

    async def scenario(on: Listening) -> None:
        found, error = await on.all()
        shown.extend(f"{message}" for message in found)
        shown.extend(traceback.format_exception(error))
        shown.extend([*on.said, repr(on.channel), repr(on.api)])

    for last in (push(then=(REFUSED, KEY)), refuse(401, echo.encode()), refuse(302, location=url)):
        sender.scripts(
            push(echo, json.dumps({"id": 1, "ok": KEY}), then="abort"),
            refuse(503, echo.encode()),
            push(then=(1011, echo)),
            last,
            refuse(401, echo.encode()),
        )
        run(url, scenario)
        assert sender.visits[0].target.endswith(f"?{secrets[2]}")
    sender.leave()
    with pytest.raises(errors.NetworkError) as caught:
        run(url, lambda on: on.channel.open())
    shown.extend(traceback.format_exception(caught.value))
    shown.append(caplog.text)
    for secret in secrets:
        assert not [text for text in shown if secret in text]
    assert any("[hidden]" in text for text in shown)


# ---- a clip that is not stored yet -------------------------------------------------------------


def reinfer(server: FaultServer, **options: Any) -> Any:
    async def go() -> Any:
        async with ApiClient(KEY, base_url=f"{server.url}/v0.2", retry=FAST) as api:
            return await reinfer_when_stored(api, "r-1", "Again", "m", pause=0.02, **options)

    return asyncio.run(go())


NOT_YET = Answer.of({"error": "not_found", "message": "no such clip", "request_id": "q"}, 404)


def test_a_clip_is_waited_for(server: FaultServer) -> None:
    server.queue(NOT_YET, NOT_YET, Answer.of({"id": "x", "model": "m", "content": "seen"}))
    answer = reinfer(server, temperature=0.5, max_tokens=9, output_schema={"type": "object"})
    assert answer.content == "seen"
    assert len(server.received) == 3
    assert server.received[-1].json == {
        "result_id": "r-1",
        "prompt": "Again",
        "model": "m",
        "temperature": 0.5,
        "max_tokens": 9,
        "output_schema": {"type": "object"},
    }


def test_the_wait_for_a_clip_ends(server: FaultServer) -> None:
    server.queue(NOT_YET)
    began = time.monotonic()
    said = r"no such clip \(asked again for \d+\.\d s"
    with pytest.raises(errors.NotFoundError, match=said) as c:
        reinfer(server, patience=2)
    assert time.monotonic() - began > 1.9
    assert (c.value.status_code, c.value.request_id) == (404, "q")
    assert 3 <= len(server.received) <= 101


def test_other_errors_are_not_waited_for(server: FaultServer) -> None:
    server.queue(Answer.of({"error": "x"}, 422))
    with pytest.raises(errors.ValidationError):
        reinfer(server)
    assert len(server.received) == 1


def test_the_proxy_of_the_requests_is_the_socket_s_too(
    sender: ResultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender.scripts(push(result("r-1"), then=(AWAY, "client_requested")))
    asked: list[str] = []
    forwarded = asyncio.Event()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What a proxy does for http: sends on a request with a whole URL, then whatever comes."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked.append(head)
        there, back = await asyncio.open_connection("127.0.0.1", sender.port)
        back.write(re.sub(r"^GET http://[^/]+", "GET ", head).encode())

        async def pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                target.write(data)
            target.close()

        await asyncio.gather(pipe(reader, back), pipe(there, writer))
        for end in (back, writer):
            with contextlib.suppress(OSError):
                await end.wait_closed()
        forwarded.set()

    async def main() -> None:
        async with await asyncio.start_server(forward, "127.0.0.1", 0) as proxy:
            port = proxy.sockets[0].getsockname()[1]
            monkeypatch.setenv("http_proxy", f"http://user:pass@127.0.0.1:{port}")
            api = ApiClient(KEY, base_url="http://inside.test/v0.2")
            async with api, api.results("s-1") as channel, asyncio.timeout(60):
                assert (await anext(channel)).id == "r-1"
            await asyncio.wait_for(forwarded.wait(), 60)

    asyncio.run(main())
    assert asked[0].startswith("GET http://inside.test/v0.2/ws/streams/s-1 ")
    assert "Proxy-Authorization: Basic dXNlcjpwYXNz" in asked[0]
