"""Who may ask a served engine: from which host, from which page, and with what kind of body."""

from __future__ import annotations

import asyncio
import socket
import threading

import aiohttp
import httpx
import pytest
from asking import chat_error

from overshoot_nb.errors import ValidationError
from overshoot_nb.local.guard import host_of, named_host, named_origin
from overshoot_nb.local.serving import make_server

PAGE = "https://app.example.org"
KEY = {"authorization": "Bearer k"}


class Served:
    """A server in a thread."""

    def __init__(self, engine, **parameters):
        made = make_server(port=0, engine=engine, **parameters)
        self.server, self.listener, self.url, _ = made
        self._thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]})
        self._thread.start()
        self.port = self.listener.getsockname()[1]
        self.http = httpx.Client(timeout=60, trust_env=False)

    def ask(self, path="/v1/models", method="GET", base=None, **headers):
        sent = {**KEY, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.http.request(method, f"{base or self.url}{path}", headers=sent)

    def close(self):
        self.http.close()
        self.server.should_exit = True
        self._thread.join(60)
        assert not self._thread.is_alive()
        self.listener.close()


@pytest.fixture(scope="module")
def served(shared_engine):
    server = Served(shared_engine, allow_hosts=["Lab.Example.ORG"], allow_origins=[PAGE])
    yield server
    server.close()


@pytest.fixture(scope="module")
def plain(shared_engine):
    server = Served(shared_engine)
    yield server
    server.close()


# ---- hosts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:80",
        "localhost.:8888",
        "127.0.0.1",
        "127.9.8.7:1",
        "[::1]",
        "[::1]:8000",
        "lab.example.org",
        "LAB.example.org.:443",
    ],
)
def test_hosts_that_are_the_loopback_or_named(served, host):
    assert served.ask(host=host).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example.org",
        "evil.example.org:8000",
        "localhost.evil.example.org",
        "127.0.0.1.evil.example.org",
        "notlocalhost",
        "sub.lab.example.org",
        "localhost@evil.example.org",
        "evil.example.org#localhost",
        "localhost:80:80",
        "192.168.7.7",
        "10.0.0.1:8000",
        "0.0.0.0:8000",
        "[2001:db8::1]:8000",
        "::1",
        "",
        "x" * 2000,
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/v0.2/models", "/nothing"])
def test_other_hosts_are_refused(served, host, path):
    answer = served.ask(path, host=host)
    assert answer.status_code == 403
    said = answer.json()
    message = said["message"] if path.startswith("/v0.2") else said["detail"]["error"]["message"]
    assert "--allow-host" in message
    assert len(message) < 400


def test_without_a_host_nothing_is_answered(served):
    with socket.create_connection(("127.0.0.1", served.port), 10) as raw:
        raw.sendall(b"GET /v1/models HTTP/1.0\r\n\r\n")
        answer = b""
        while piece := raw.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"no Host" in answer


def test_a_page_that_rebinds_its_name_cannot_ask(plain):
    """It is of the engine's origin then, and its Host and Origin are the same."""
    evil = f"evil.example.org:{plain.port}"
    assert plain.ask(host=evil, origin=f"http://{evil}").status_code == 403
    assert websocket(plain, host=evil, origin=f"http://{evil}") == 403


# ---- what is bound -----------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_other_addresses_than_the_loopback_need_a_key(host, shared_engine):
    if host == "::" and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with pytest.raises(ValidationError, match=r"other machines .* --insecure"):
        make_server(host, 0, engine=shared_engine)
    for allowed in ({"key": "sesame"}, {"insecure": True}):
        try:
            _, listener, _, _ = make_server(host, 0, engine=shared_engine, **allowed)
        except OSError:
            assert host == "::"  # this machine has none
        else:
            listener.close()


def test_a_name_that_leads_elsewhere_needs_a_key(monkeypatch, shared_engine):
    """What a name stands for counts, not how it is written."""
    real = socket.getaddrinfo

    def lookup(host, *rest, **more):
        named = {"lab.example.org": "192.0.2.9", "loop.example.org": "127.0.0.1"}
        return real(named.get(host, host), *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(ValidationError, match=r"can reach lab\.example\.org"):
        make_server("lab.example.org", 0, engine=shared_engine)
    for name in ("loop.example.org", "localhost", "127.3.2.1"):
        _, listener, _, _ = make_server(name, 0, engine=shared_engine)
        assert listener.getsockname()[0].startswith("127.")
        listener.close()


def test_a_host_that_is_none_is_said(shared_engine):
    with pytest.raises(ValidationError, match="no name or address"):
        make_server("x" * 70 + "é.example.org", 0, engine=shared_engine)


def test_on_all_addresses_the_one_that_is_reached_is_a_host(shared_engine):
    server = Served(shared_engine, host="0.0.0.0", key="k")
    try:
        base = f"http://127.0.0.1:{server.port}"
        for host in ("127.0.0.1", "0.0.0.0", socket.gethostname()):
            assert server.ask(base=base, host=host).status_code == 200, host
        for host in ("192.0.2.1", "evil.example.org"):
            assert server.ask(base=base, host=host).status_code == 403, host
        own = own_address()
        if own is not None:
            assert server.ask(base=f"http://{own}:{server.port}").status_code == 200
    finally:
        server.close()


def own_address():
    """An address of this machine that is not the loopback; None where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            return None
        found = probe.getsockname()[0]
    return None if found.startswith(("127.", "0.")) else found


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("lab", "lab"),
        ("Lab.Example.org:8000", "lab.example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("::1", "::1"),
        ("[fd00::2]:80", "fd00::2"),
    ],
)
def test_named_hosts(name, host):
    assert named_host(name) == host


@pytest.mark.parametrize("name", ["", " ", "*", "*.example.org", "http://a", "a/b", "a b", "a@b"])
def test_what_is_no_host(name):
    with pytest.raises(ValidationError, match="allowed host"):
        named_host(name)
    assert host_of("a:b") is None


# ---- bodies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
        "application/vnd.api+json",
    ],
)
def test_bodies_that_say_that_they_are_json(plain, kind):
    answer = plain.http.post(
        f"{plain.url}/v1/chat/completions",
        content=b"[]",
        headers={**KEY, "content-type": kind},
    )
    assert answer.status_code == 422  # it is read, and no object


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "text/plain",
        "text/plain; application/json",
        "text/plain;charset=utf-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "text/plain, application/json",
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v0.2/streams"])
def test_other_bodies_are_not_read(plain, kind, path):
    headers = dict(KEY) if kind is None else {**KEY, "content-type": kind}
    for body in (b"{}", iter([b"{", b"}"])):
        answer = plain.http.post(f"{plain.url}{path}", content=body, headers=headers)
        assert answer.status_code == 415
        assert "application/json" in answer.text
    said = answer.json()
    code = said["error"] if path.startswith("/v0.2") else chat_error(answer)["code"]
    assert code == "unsupported_media_type"


def test_what_has_no_body_needs_no_type(plain):
    for kind in ({}, {"content-type": "application/octet-stream"}):
        answer = plain.http.post(f"{plain.url}/v0.2/streams/x/keepalive", headers={**KEY, **kind})
        assert answer.status_code == 404


# ---- pages -------------------------------------------------------------------------------------


def websocket(served, **headers):
    """The status of a WebSocket's handshake."""

    async def run():
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{served.port}/v0.2/ws/streams/any"
            try:
                async with session.ws_connect(url, headers=headers) as opened:
                    await opened.send_str('{"api_key": "k"}')
                    assert (await opened.receive(timeout=60)).extra == "stream not found"
                    return 101
            except aiohttp.WSServerHandshakeError as refused:
                return refused.status

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 101),
        (PAGE, 101),
        ("HTTPS://APP.example.org:443", 101),
        ("http://localhost:8888", 101),
        ("https://127.0.0.1", 101),
        ("http://[::1]:3000", 101),
        ("http://evil.example.org", 403),
        ("http://app.example.org", 403),
        (f"{PAGE}:8443", 403),
        (f"{PAGE}.evil.example.org", 403),
        ("http://localhost.evil.example.org", 403),
        ("http://localhost@evil.example.org", 403),
        ("null", 403),
        ("file://", 403),
        ("", 403),
        ("chrome-extension://localhost", 403),
    ],
)
def test_pages_elsewhere_get_no_websocket_and_no_answer(served, origin, status):
    headers = {} if origin is None else {"origin": origin}
    assert websocket(served, **headers) == status
    answer = served.ask(**headers)
    assert answer.status_code == (200 if status == 101 else 403)


def test_the_refusal_of_a_websocket_is_said_in_the_log(served, caplog):
    caplog.set_level("INFO", "overshoot_nb.local")
    assert websocket(served, origin="http://evil.example.org") == 403
    assert "'http://evil.example.org' may not ask" in caplog.text


def test_pages_of_a_named_host_may_ask_too(served):
    assert websocket(served, host="lab.example.org", origin="https://lab.example.org") == 101
    assert websocket(served, host="lab.example.org", origin="http://localhost:8888") == 403


def cors(answer):
    return {
        n: v for n, v in answer.headers.items() if n.startswith("access-control") or n == "vary"
    }


def test_a_named_page_may_read_every_answer(served):
    for path, status in (("/v1/models", 200), ("/v0.2/streams/x/info", 404), ("/nothing", 404)):
        answer = served.ask(path, origin=PAGE)
        assert answer.status_code == status
        assert cors(answer) == {
            "access-control-allow-origin": PAGE,
            "access-control-allow-credentials": "true",
            "access-control-expose-headers": "retry-after, www-authenticate",
            "vary": "origin",
        }
    for answer in (
        served.http.get(f"{served.url}/v0.2/models", headers={"origin": PAGE}),
        served.http.post(
            f"{served.url}/v0.2/streams", content=b"{}", headers={**KEY, "origin": PAGE}
        ),
    ):
        assert answer.status_code in (401, 415)
        assert answer.headers["access-control-allow-origin"] == PAGE


def test_a_named_page_may_ask_beforehand(served):
    answer = served.ask(
        "/v0.2/streams/x/config/prompt",
        "OPTIONS",
        origin=PAGE,
        access_control_request_method="PATCH",
        access_control_request_headers="authorization, content-type, x-stainless-os",
        access_control_request_private_network="true",
    )
    assert answer.status_code == 204
    assert cors(answer) == {
        "access-control-allow-origin": PAGE,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "retry-after, www-authenticate",
        "access-control-allow-methods": "GET, POST, PATCH, DELETE",
        "access-control-allow-headers": "authorization, content-type, x-stainless-os",
        "access-control-allow-private-network": "true",
        "access-control-max-age": "600",
        "vary": "origin",
    }


@pytest.mark.parametrize("origin", ["http://evil.example.org", "null", "http://localhost:3000"])
def test_other_pages_read_nothing(served, plain, origin):
    for server in (served, plain):
        for method in ("GET", "OPTIONS"):
            answer = server.ask(method=method, origin=origin, access_control_request_method="POST")
            assert not any(name.startswith("access-control") for name in answer.headers)
    # What is kept between is not for every page alike.
    assert served.ask().headers["vary"] == "origin"
    assert "vary" not in plain.ask().headers


def test_every_page_may_be_named_and_is_told_its_own_origin(shared_engine):
    server = Served(shared_engine, allow_origins=["*"])
    try:
        for origin in ("http://anything.example.org", "null"):
            answer = server.ask(origin=origin)
            assert answer.headers["access-control-allow-origin"] == origin
        assert server.ask(host="evil.example.org").status_code == 403
    finally:
        server.close()
    with pytest.raises(ValidationError, match="does not go with a key"):
        make_server(port=0, key="k", allow_origins=["*"], engine=shared_engine)


@pytest.mark.parametrize(
    ("named", "origin"),
    [
        ("https://Lab.example.org/", "https://lab.example.org"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("vscode-webview://abc", "vscode-webview://abc"),
    ],
)
def test_named_origins(named, origin):
    assert named_origin(named, key=True) == origin


@pytest.mark.parametrize(
    "named", ["", "null", "lab.example.org", "https://a/b", "https://*.a", "//a"]
)
def test_what_is_no_origin(named):
    with pytest.raises(ValidationError, match="allowed origin"):
        named_origin(named, key=False)
