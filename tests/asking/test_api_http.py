"""The HTTP client against a server that misbehaves: errors, tries, time limits, secrets."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import socket
import time
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overshoot_nb import errors
from overshoot_nb._version import __version__
from overshoot_nb.asking.endpoint import Endpoint
from overshoot_nb.asking.faults import error_class, read_error_body
from overshoot_nb.asking.http import HttpClient
from overshoot_nb.asking.reply import Reply
from overshoot_nb.asking.retry import RETRIED_STATUSES, Fault, RetryPolicy
from overshoot_nb.asking.retry_after import retry_after_seconds
from overshoot_nb.asking.route import environment_proxy
from overshoot_nb.support.api_key import ApiKey

from faultserver import Answer, FaultServer

KEY = "ovs-a-very-secret-key-0123456789"
FAST = RetryPolicy(backoff_seconds=0.002)


def make_client(url: str, key: str | None = KEY, **options: Any) -> HttpClient:
    api_key = None if key is None else ApiKey(key)
    options.setdefault("retry", FAST)
    return HttpClient(Endpoint(url, "chat", api_key), **options)


def run(client: HttpClient, call: Callable[[HttpClient], Awaitable[Any]] | None = None) -> Any:
    async def go() -> Any:
        try:
            return await (call or (lambda c: c.send("GET", "/models")))(client)
        finally:
            await client.close()

    return asyncio.run(go())


def fail(server: FaultServer, *answers: Answer, **options: Any) -> errors.OvershootError:
    """The error that a call ends in."""
    server.queue(*answers)
    idempotent = options.pop("idempotent", True)
    with pytest.raises(errors.OvershootError) as caught:
        run(
            make_client(server.url, **options),
            lambda c: c.send("POST", "/x", content=b"{}", idempotent=idempotent),
        )
    return caught.value


# ---- what is sent ------------------------------------------------------------------------------


def test_headers_and_body(server: FaultServer) -> None:
    server.queue(Answer.of({"a": 1}, x_request_id="r-1"))
    client = make_client(f"{server.url}/v1beta")
    reply = run(client, lambda c: c.send("POST", "/chat/completions", content=b'{"q":1}'))
    assert isinstance(reply, Reply)
    assert reply.json() == {"a": 1}
    assert (reply.status, reply.attempts, reply.request_id) == (200, 1, "r-1")
    (request,) = server.received
    assert (request.method, request.target) == ("POST", "/v1beta/chat/completions")
    assert request.body == b'{"q":1}'
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["user-agent"] == f"overshoot-nb/{__version__}"
    assert request.headers["content-type"] == "application/json"


def test_without_a_key_nothing_is_authorized(server: FaultServer) -> None:
    run(make_client(server.url, key=None))
    assert "authorization" not in server.received[0].headers


def test_user_info_becomes_basic_authorization_and_the_query_is_kept(server: FaultServer) -> None:
    url = server.url.replace("http://", "http://me:pass%20word@") + "/v1?api-version=7"
    run(make_client(url, key=None))
    (request,) = server.received
    assert request.target == "/v1/models?api-version=7"
    assert request.headers["authorization"] == "Basic bWU6cGFzcyB3b3Jk"


def test_a_key_goes_before_user_info_and_that_is_said(
    server: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.queue(Answer.of({"detail": f"no hushhush, no {KEY}"}, 500))
    client = make_client(server.url.replace("http://", "http://me:hushhush@"))
    (said,) = [record.getMessage() for record in caplog.records]
    assert said == (
        f"base_url of {server.url} has user info, and there is an API key (argument): a request "
        "carries one of them, and that is the key; leave out the one that is not meant"
    )
    with pytest.raises(errors.ServerError) as caught:
        run(client)
    assert server.received[0].headers["authorization"] == f"Bearer {KEY}"
    shown = everything_said(caught.value) + repr(client) + caplog.text
    assert "hush" not in shown
    assert KEY not in shown


def test_a_token_in_the_place_of_a_name_is_not_shown(server: FaultServer) -> None:
    server.queue(Answer.of({"detail": "no hushtoken"}, 500))
    client = make_client(server.url.replace("http://", "http://hushtoken@"), key=None)
    with pytest.raises(errors.ServerError) as caught:
        run(client)  # a line of the traceback
    assert "hush" not in everything_said(caught.value)


@pytest.mark.parametrize("size", [0, 600_000, 3_000_000])
def test_large_bodies_arrive_whole(server: FaultServer, size: int) -> None:
    content = b"x" * size
    run(make_client(server.url), lambda c: c.send("POST", "/x", content=content))
    (request,) = server.received
    assert request.body == content
    assert request.headers["content-length"] == str(size)


def test_connections_are_kept(server: FaultServer) -> None:
    async def three(client: HttpClient) -> None:
        for _ in range(3):
            await client.send("GET", "/models")

    run(make_client(server.url), three)
    assert (len(server.received), server.connections) == (3, 1)


def test_first_requests_at_once_share_their_connections(server: FaultServer) -> None:
    server.queue(Answer(delay=0.02))
    client = make_client(server.url, max_connections=1)

    async def pair(client: HttpClient) -> None:
        await asyncio.gather(client.send("GET", "/models"), client.send("GET", "/models"))

    run(client, pair)
    assert (len(server.received), server.connections) == (2, 1)


def test_no_more_connections_than_asked_for(server: FaultServer) -> None:
    server.queue(Answer(delay=0.02))

    async def many(client: HttpClient) -> None:
        await asyncio.gather(*(client.send("GET", "/models") for _ in range(6)))

    run(make_client(server.url, max_connections=2), many)
    assert (len(server.received), server.connections) == (6, 2)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # the loop that died had a socket
def test_one_client_in_one_loop_after_another(server: FaultServer) -> None:
    client = make_client(server.url)
    for _ in range(2):
        assert asyncio.run(client.send("GET", "/models")).status == 200
    run(client)
    assert len(server.received) == 3
    del client
    gc.collect()


def test_a_closed_client_says_so(server: FaultServer) -> None:
    async def close_twice() -> None:
        client = make_client(server.url)
        await client.close()
        await client.close()
        with pytest.raises(errors.NetworkError, match="is closed"):
            await client.send("GET", "/models")

    asyncio.run(close_twice())
    assert server.received == []


def test_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch, server: FaultServer) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "inside.test")
    assert environment_proxy("http://inside.test:80") is None
    run(make_client("http://outside.test/v1"))
    assert server.received[0].target == "http://outside.test/v1/models"


# ---- statuses ----------------------------------------------------------------------------------

DOCUMENTED = {
    400: errors.ValidationError,
    401: errors.AuthenticationError,
    402: errors.InsufficientCreditsError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    410: errors.NotFoundError,
    422: errors.ValidationError,
    429: errors.RateLimitError,
}


@pytest.mark.parametrize("status", range(400, 600))
def test_the_status_map_is_complete(status: int) -> None:
    fallback = errors.ServerError if status >= 500 else errors.ApiError
    assert error_class(status) is DOCUMENTED.get(status, fallback)


@pytest.mark.parametrize("status", [*DOCUMENTED, 405, 409, 418, 500, 501, 503, 599])
def test_a_status_raises_its_class(server: FaultServer, status: int) -> None:
    answer = Answer.of({"error": "code", "message": "said", "request_id": "r-9"}, status)
    error = fail(server, answer, retry=RetryPolicy(attempts=1))
    assert type(error) is error_class(status)
    assert isinstance(error, errors.ApiError)
    assert error.status_code == status
    assert error.request_id == "r-9"
    assert error.message == "POST /x: said"


@pytest.mark.parametrize("status", range(400, 600))
def test_what_is_retried(status: int) -> None:
    fault = Fault(errors.ApiError("x"), status)
    listed = {408, 429, 500, 502, 503, 504}
    assert listed == RETRIED_STATUSES
    delay = FAST.delay(fault, 1, idempotent=True, remaining=9)
    assert (delay is not None) == (status in listed)
    create = FAST.delay(fault, 1, idempotent=False, remaining=9)
    assert (create is not None) == (status in {429, 503})


# ---- bodies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message", "details"),
    [
        (
            {"error": "validation_error", "message": "bad fps", "details": {"fps": 99}},
            "bad fps",
            {"fps": 99},
        ),
        ({"error": "not_found"}, "not_found", None),
        ({"detail": "no such stream"}, "no such stream", None),
        (
            {"detail": {"error": {"message": "gone", "type": "t", "code": "frame_evicted"}}},
            "gone",
            {"type": "t", "code": "frame_evicted"},
        ),
        (
            {"error": {"message": "no model", "type": "invalid", "code": None, "param": "model"}},
            "no model",
            {"type": "invalid", "code": None, "param": "model"},
        ),
        (
            {"detail": [{"loc": ["body", "a", 0], "msg": "Field required"}, {"msg": "m"}]},
            "a.0: Field required; m",
            [{"loc": ["body", "a", 0], "msg": "Field required"}, {"msg": "m"}],
        ),
        ([{"error": {"message": "in a list"}}], "in a list", None),
        ("only text", "only text", None),
        ({}, "Bad Request", None),
        (7, "Bad Request", None),
        ({"error": 5, "message": [1]}, "Bad Request", {"error": 5}),
    ],
)
def test_envelopes(server: FaultServer, body: Any, message: str, details: Any) -> None:
    error = fail(server, Answer.of(body, 400))
    assert isinstance(error, errors.ValidationError)
    assert error.message == f"POST /x: {message}"
    assert error.details == details


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"plain words\n\n on lines", "plain words on lines"),
        (
            b"<html><head><title>502 Bad &amp; Gateway</title><style>x{}</style></head>"
            b"<body><h1>nginx</h1></body></html>",
            "502 Bad & Gateway",
        ),
        (b"<html><script>evil()</script><p>just <b>this</b></p>", "just this"),
        (b'{"error": "cut', '{"error": "cut'),
        (b"\xff\xfe\x00", "\ufffd\ufffd"),
        (b"", "Bad Gateway"),
        (b"x" * 5000, "x" * 499 + "…"),
    ],
)
def test_bodies_that_are_no_json(server: FaultServer, body: bytes, message: str) -> None:
    error = fail(server, Answer(502, body, {"x-request-id": "r-2"}), retry=RetryPolicy(attempts=1))
    assert isinstance(error, errors.ServerError)
    assert error.message == f"POST /x: {message}"
    assert error.request_id == "r-2"


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a": ', b"NaN"])
def test_a_success_that_is_no_json(server: FaultServer, body: bytes) -> None:
    server.queue(Answer(200, body))
    reply = run(make_client(server.url))
    with pytest.raises(errors.ServerError, match=r"GET /models: the answer's body") as caught:
        reply.json()
    assert caught.value.status_code == 200


def test_a_body_that_does_not_decode(server: FaultServer) -> None:
    error = fail(server, Answer(200, b"not gzip", {"Content-Encoding": "gzip"}))
    assert isinstance(error, errors.ServerError)
    assert error.status_code == 200
    assert len(server.received) == 1


def test_a_missing_key_is_mentioned(server: FaultServer) -> None:
    error = fail(server, Answer.of({"detail": "who?"}, 401), key=None)
    assert "who? (no API key was given)" in str(error)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    status=st.integers(200, 599).filter(lambda s: s not in (204, 304)),
    body=st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["error", "message", "detail", "details", "code", "request_id", "loc"]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode()),
    ),
)
def test_any_answer_ends_in_a_reply_or_one_of_our_errors(
    server: FaultServer, status: int, body: bytes
) -> None:
    server.queue(Answer(status, body))
    client = make_client(server.url, retry=RetryPolicy(attempts=1))
    problem: errors.ApiError | None = None
    try:
        run(client).json()
    except errors.ApiError as error:
        problem = error
    assert problem is None or (problem.status_code == status and problem.message)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda t: f"<{t}>".encode()))
def test_any_error_body_can_be_read(body: bytes) -> None:
    message = read_error_body(body).message
    assert message is None or (message.isprintable() and len(message) <= 500)


def test_a_deeply_nested_error_body(server: FaultServer) -> None:
    body = b'{"message": "deep", "details": ' + b"[" * 900 + b"]" * 900 + b"}"
    error = fail(server, Answer(400, body))
    assert isinstance(error, errors.ApiError)
    assert (error.message, error.details) == ("POST /x: deep", None)


# ---- tries -------------------------------------------------------------------------------------

OK = Answer.of({"fine": True})


@pytest.mark.parametrize(
    "bad",
    [
        *(Answer(status) for status in sorted(RETRIED_STATUSES)),
        Answer(drop="before"),
        Answer(body=b"x" * 1000, drop="middle"),
        Answer(raw=b"this is no HTTP\r\n\r\n"),
    ],
    ids=lambda a: f"{a.status}-{a.drop}-{bool(a.raw)}",
)
def test_passing_faults_are_survived(server: FaultServer, bad: Answer) -> None:
    server.queue(bad, bad, OK)
    reply = run(make_client(server.url), lambda c: c.send("POST", "/x", content=b"{}"))
    assert reply.json() == {"fine": True}
    assert reply.attempts == len(server.received) == 3


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 409, 410, 422, 501])
def test_lasting_faults_are_asked_once(server: FaultServer, status: int) -> None:
    fail(server, Answer(status), OK)
    assert len(server.received) == 1


def test_tries_are_bounded(server: FaultServer) -> None:
    error = fail(server, Answer(503))
    assert isinstance(error, errors.ServerError)
    assert len(server.received) == FAST.attempts == 3
    assert isinstance(fail(server, Answer(drop="before")), errors.NetworkError)
    assert len(server.received) == 3


@pytest.mark.parametrize(
    ("bad", "requests"),
    [
        (Answer(429), 3),
        (Answer(503), 3),
        (Answer(500), 1),
        (Answer(502), 1),
        (Answer(504), 1),
        (Answer(408), 1),
        (Answer(drop="before"), 1),
        (Answer(body=b"x" * 1000, drop="middle"), 1),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_create_is_never_repeated_blindly(
    server: FaultServer, bad: Answer, requests: int
) -> None:
    fail(server, bad, idempotent=False)
    assert len(server.received) == requests


@pytest.mark.parametrize("idempotent", [True, False])
def test_a_refused_connection_is_tried_again_even_for_a_create(
    idempotent: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    caplog.set_level(logging.DEBUG, "overshoot_nb")
    with pytest.raises(errors.NetworkError, match="could not connect") as caught:
        run(
            make_client(f"http://127.0.0.1:{port}"),
            lambda c: c.send("POST", "/x", content=b"{}", idempotent=idempotent),
        )
    assert not isinstance(caught.value, errors.RequestTimeoutError)
    assert caplog.text.count("trying again") == 2


def test_a_name_that_does_not_resolve() -> None:
    with pytest.raises(errors.NetworkError, match="no-such-host"):
        run(make_client("http://no-such-host.invalid/v1"))


def test_retry_after_in_seconds_is_honoured(server: FaultServer) -> None:
    server.queue(Answer(429, headers={"Retry-After": "0.08"}), OK)
    started = time.perf_counter()
    run(make_client(server.url))
    assert time.perf_counter() - started >= 0.08


def test_retry_after_as_a_date() -> None:
    later = datetime.now(UTC) + timedelta(seconds=30)
    seconds = retry_after_seconds(format_datetime(later, usegmt=True)) or 0
    passed = 30 - (later - datetime.now(UTC)).total_seconds()
    assert 28 - passed < seconds <= 30
    assert retry_after_seconds(format_datetime(later - timedelta(hours=1))) == 0
    assert retry_after_seconds("-5") == 0
    for nonsense in ("soon", "", "nan", "inf", "Mon, 99 Foo 2026", None):
        assert retry_after_seconds(nonsense) is None


def test_a_wait_longer_than_the_cap_is_the_callers(server: FaultServer) -> None:
    error = fail(server, Answer(429, headers={"Retry-After": "3600"}))
    assert isinstance(error, errors.RateLimitError)
    assert error.retry_after == 3600
    assert len(server.received) == 1  # an hour was not waited


def test_no_try_is_begun_that_the_timeout_would_cut_off(server: FaultServer) -> None:
    error = fail(server, Answer(503, headers={"Retry-After": "5"}), timeout=1.0)
    assert isinstance(error, errors.ServerError)
    assert len(server.received) == 1


def test_backoff_grows_has_full_jitter_and_a_bound() -> None:
    policy = RetryPolicy(attempts=9, backoff_seconds=1, max_backoff_seconds=4)
    fault = Fault(errors.ServerError("x"), 500)
    for attempt, bound in [(1, 1), (2, 2), (3, 4), (8, 4)]:
        delays = [
            policy.delay(fault, attempt, idempotent=True, remaining=99) or 0 for _ in range(300)
        ]
        assert max(delays) <= bound
        assert max(delays) > 0.8 * bound
        assert min(delays) < 0.2 * bound
    assert policy.delay(fault, 9, idempotent=True, remaining=99) is None


# ---- regions and redirects ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"error": "region_error", "message": "m", "details": {"expected_region": "eu-west-1"}},
        {"error": "region_error", "message": "m", "region": "eu-west-1"},
        {"detail": {"error": {"code": "region_error", "message": "m", "region": "eu-west-1"}}},
        {"error": "region_error", "message": "this key lives in eu-west-1"},
    ],
)
@pytest.mark.parametrize("idempotent", [True, False])
def test_a_region_error_is_sent_on_once(server: FaultServer, body: Any, idempotent: bool) -> None:
    server.queue(Answer.of(body, 409), OK)
    client = make_client(server.url)
    run(client, lambda c: c.send("POST", "/x", content=b"{}", idempotent=idempotent))
    first, second = server.received
    assert "x-overshoot-region" not in first.headers
    assert second.headers["x-overshoot-region"] == "eu-west-1"

    error = fail(server, Answer.of(body, 409))
    assert isinstance(error, errors.ApiError)
    assert error.status_code == 409
    assert len(server.received) == 2


@pytest.mark.parametrize("region", ["a\r\nX-Evil: 1", "", 5, None, "x" * 100])
def test_a_region_that_cannot_be_a_header_is_not_used(server: FaultServer, region: Any) -> None:
    fail(server, Answer.of({"error": "region_error", "message": "no", "region": region}, 409))
    assert len(server.received) == 1


def test_redirects_are_not_followed(server: FaultServer) -> None:
    with FaultServer() as other:
        where = other.url.replace("http://", "http://u:hush@") + "/v1?token=hush"
        error = fail(server, Answer(307, b"", {"Location": where}), OK)
        assert other.received == []
    assert isinstance(error, errors.ServerError)
    assert error.status_code == 307
    assert f"redirects to {other.url}/v1, which is not followed" in str(error)
    assert "hush" not in str(error)
    assert len(server.received) == 1


# ---- time --------------------------------------------------------------------------------------


def test_a_timeout_is_a_timeout_error(server: FaultServer) -> None:
    error = fail(server, Answer(delay=5), timeout=0.3)
    assert isinstance(error, errors.RequestTimeoutError)
    assert isinstance(error, TimeoutError)
    assert "no answer within 0.3 s" in str(error)
    assert len(server.received) == 1


def test_a_timeout_tells_what_failed_before(server: FaultServer) -> None:
    error = fail(server, Answer.of({"detail": "overloaded"}, 503), Answer(delay=5), timeout=0.2)
    assert isinstance(error, errors.RequestTimeoutError)
    assert "overloaded" in str(error)


@pytest.mark.parametrize(
    ("answer", "policy"),
    [(Answer(delay=30), FAST), (Answer(503, headers={"Retry-After": "15"}), FAST)],
    ids=["waiting for the answer", "waiting for the next try"],
)
def test_cancelling_is_prompt(server: FaultServer, answer: Answer, policy: RetryPolicy) -> None:
    server.queue(answer)

    async def cancel_soon(client: HttpClient) -> float:
        task = asyncio.ensure_future(client.send("GET", "/x"))
        while not server.received:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.02)
        started = time.perf_counter()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.perf_counter() - started

    assert run(make_client(server.url, retry=policy), cancel_soon) < 0.5


def test_closing_ends_calls_under_way(server: FaultServer) -> None:
    server.queue(Answer(delay=30))

    async def close_soon(client: HttpClient) -> None:
        task = asyncio.ensure_future(client.send("GET", "/x"))
        while not server.received:
            await asyncio.sleep(0.005)
        await client.close()
        async with asyncio.timeout(60):
            with pytest.raises(errors.NetworkError):
                await task

    run(make_client(server.url), close_soon)


# ---- secrets -----------------------------------------------------------------------------------


def everything_said(error: BaseException) -> str:
    parts = ["".join(traceback.format_exception(error)), repr(error), str(error)]
    return " ".join([*parts, repr(vars(error))])


@pytest.mark.parametrize(
    "answer",
    [
        Answer.of({"detail": f"key {KEY} is wrong"}, 401),
        Answer.of({"error": "e", "message": "m", "details": {"given": [KEY]}}, 400),
        Answer.of({"error": {"message": KEY, KEY: KEY}}, 422, x_request_id=KEY),
        Answer(400, b'{"message": "m", "x": "' + KEY.replace("o", "\\u006f").encode() + b'"}'),
        Answer(500, f"<title>{KEY}</title>".encode()),
        Answer(200, KEY.encode(), drop="middle"),
        Answer(302, b"", {"Location": f"http://elsewhere.test/{KEY}"}),
        Answer(raw=f"HTTP/1.1 {KEY}\r\n\r\n".encode()),
        Answer(drop="before"),
    ],
    ids=lambda a: f"{a.status}-{a.body[:12]!r}",
)
def test_the_key_is_shown_nowhere(
    server: FaultServer, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    error = fail(server, answer)
    assert server.received[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in everything_said(error)
    assert KEY not in caplog.text


def test_user_info_and_query_are_shown_nowhere(
    server: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = server.url.replace("http://", "http://me:hushhush@") + "/v1?token=hushtoken"
    server.queue(Answer.of({"detail": "no hushhush at token=hushtoken"}, 500))
    client = make_client(url, key=None)
    assert "hush" not in repr(client)
    with pytest.raises(errors.ServerError) as caught:
        run(client)
    assert "HTTP Request: GET" in caplog.text  # httpx does log
    assert "hush" not in everything_said(caught.value)
    assert "hush" not in caplog.text


def test_nothing_shows_the_key_when_nobody_answers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = make_client("http://no-such-host.invalid")
    assert KEY not in repr(client) + repr(client.endpoint) + repr(client.endpoint.key)
    with pytest.raises(errors.NetworkError) as caught:
        run(client)
    assert KEY not in everything_said(caught.value) + caplog.text


@pytest.mark.parametrize("key", ["ovs-\n-key-hushhush", "ovs-ключ-hushhush", "ovs-\x00hushhush"])
def test_a_key_that_no_header_carries_is_refused_unshown(key: str) -> None:
    with pytest.raises(errors.ValidationError) as caught:
        make_client("http://127.0.0.1:1", key=key)
    assert "hushhush" not in everything_said(caught.value)


@pytest.mark.parametrize("url", ["http://h:99999999", "http://[::1", "http://h:port"])
def test_urls_that_cannot_be_used(url: str) -> None:
    with pytest.raises(errors.ValidationError, match="base_url"):
        make_client(url)


# ---- the transport seam ------------------------------------------------------------------------


def test_a_transport_in_place_of_the_network() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if len(seen) == 1:
            raise httpx.ConnectError("down", request=request)
        return httpx.Response(200, json={"ok": True})

    transport = httpx.MockTransport(answer)
    reply = run(make_client("http://anywhere.test/v1", transport=transport))
    assert reply.attempts == 2
    assert str(seen[1].url) == "http://anywhere.test/v1/models"
