"""How a server is reached: certificates, proxies, unix sockets, and what a wrong address says."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from overshoot_nb import Overshoot, errors, get_models
from overshoot_nb.asking.chat import ChatClient
from overshoot_nb.asking.route import CERTIFICATE_VARIABLES, environment_proxy
from overshoot_nb.cli import main
from overshoot_nb.types import Sample

MODELS = json.dumps({"data": [{"id": name} for name in ("qwen2.5vl:7b", "llava:13b")]})


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._say(200, MODELS) if self.path == "/v1/models" else self._say(404, "not found")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/v1/chat/completions":
            return self._say(404, "404 page not found")
        said = {"error": {"message": 'model "qwen2.5vl:3b" not found, try pulling it first'}}
        return self._say(404, json.dumps(said))

    def _say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def address_string(self) -> str:
        return "test"

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def serving() -> Iterator[Callable[[ThreadingHTTPServer], None]]:
    running: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(server: ThreadingHTTPServer) -> None:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        running.append((server, thread))

    yield start
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def plain(serving) -> str:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving(server)
    return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, found = folder / "key.pem", folder / "cert.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    named = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(found)]
    subprocess.run(["openssl", *words.split(), *named, *files], check=True, capture_output=True)
    return found, key


@pytest.fixture
def secure(serving, certificate) -> str:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # a client that does not trust it
    serving(server)
    return f"https://127.0.0.1:{server.server_port}/v1"


@pytest.fixture(autouse=True)
def _no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*CERTIFICATE_VARIABLES, "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def names(base_url: str, **options) -> list[str]:
    return [m.model for m in asyncio.run(get_models("key", base_url=base_url, **options))]


# ---- certificates --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in CERTIFICATE_VARIABLES if n != "SSL_CERT_DIR"])
def test_a_variable_names_the_certificates(name, secure, certificate, monkeypatch):
    monkeypatch.setenv(name, str(certificate[0]))
    assert len(names(secure)) == 2


@pytest.mark.parametrize("name", CERTIFICATE_VARIABLES)
@pytest.mark.parametrize("kind", ["missing", "broken", "empty folder"])
def test_a_broken_variable_is_named_in_one_error(name, kind, secure, plain, tmp_path, monkeypatch):
    path = tmp_path / "certificates"
    if kind == "broken":
        path.write_text("no certificate")
    elif kind == "empty folder":
        path.mkdir()
    monkeypatch.setenv(name, str(path))
    with pytest.raises(errors.ValidationError, match=f"^{name}=.*certificates"):
        names(secure)
    assert names(f"{plain}/v1")  # which needs no certificates


def test_a_client_names_its_certificates(secure, certificate, caplog):
    with pytest.raises(errors.NetworkError, match="certificate"):
        names(secure)
    assert names(secure, verify=str(certificate[0]))
    assert names(secure, verify=certificate[0])
    assert names(secure, verify=ssl.create_default_context(cafile=certificate[0]))
    with caplog.at_level(logging.WARNING, "overshoot_nb"):
        assert names(secure, verify=False)
        assert names(secure, verify=False)
    assert [r.getMessage() for r in caplog.records if "verify=False" in r.getMessage()] == [
        f"verify=False: the certificate of {secure.removesuffix('/v1')} is not checked"
    ]


@pytest.mark.parametrize("verify", ["/no/such/file.pem", 1.5, ""])
def test_certificates_that_cannot_be_used(verify, secure):
    with pytest.raises(errors.ValidationError, match=r"^verify="):
        names(secure, verify=verify)


# ---- proxies -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("no_proxy", "origin", "bypassed"),
    [
        ("::1", "http://[::1]:8000", True),
        ("[::1]", "http://[::1]:8000", True),
        ("[::1]:8000", "http://[::1]:8000", True),
        ("[::1]:8001", "http://[::1]:8000", False),
        ("10.0.0.0/8", "http://10.1.2.3", True),
        ("10.0.0.0/8", "http://11.1.2.3", False),
        ("fd00::/8", "http://[fd12::1]:80", True),
        ("127.0.0.1", "http://127.0.0.1:9", True),
        ("inside.test:443", "https://inside.test", True),
        ("inside.test:443", "http://inside.test", False),
        ("a.b, .inside.test", "http://x.inside.test", True),
        ("*.inside.test", "http://x.inside.test", True),
        ("inside.test", "http://notinside.test", False),
        ("*", "http://any.test", True),
        ("10.0.0.0/99, ]x[", "http://10.1.2.3", False),
    ],
)
def test_who_is_asked_without_a_proxy(no_proxy, origin, bypassed, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (environment_proxy(origin) is None) is bypassed


@pytest.mark.parametrize("value", ["http://", "http://h:port", "ftp://h:1", "http://[::1", "a b"])
@pytest.mark.parametrize("name", ["HTTP_PROXY", "all_proxy"])
def test_a_broken_proxy_variable_is_named(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    with pytest.raises(errors.ValidationError, match=f"variable {name} cannot be used as a proxy"):
        names("http://server.test/v1")


def test_a_proxy_that_is_not_there_is_called_one(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        monkeypatch.setenv("HTTP_PROXY", f"http://user:hunter2secret@127.0.0.1:{port}")
        with pytest.raises(errors.NetworkError) as caught:
            names("http://server.test/v1")
    assert f"could not connect to the proxy 127.0.0.1:{port} (HTTP_PROXY)" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_proxy_whose_name_is_unknown_is_called_one(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "http://proxy.invalid:3128")
    with pytest.raises(errors.NetworkError, match=r"to the proxy proxy\.invalid:3128 \(ALL_PROXY"):
        names("https://server.test/v1")


def test_a_proxy_that_refuses_is_called_one(serving, monkeypatch):
    class Refusing(Handler):
        def do_CONNECT(self) -> None:
            self._say(407, "who are you")

        def do_GET(self) -> None:
            self._say(407, "who are you")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    serving(server)
    monkeypatch.setenv("ALL_PROXY", f"127.0.0.1:{server.server_port}")
    for url in ("https://server.test/v1", "http://server.test/v1"):
        with pytest.raises(errors.OvershootError, match=r"proxy 127.0.0.1:\d+ \(ALL_PROXY\)"):
            names(url)


def test_a_socks_proxy_without_its_package_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.delitem(sys.modules, "socksio")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(errors.ValidationError, match=r'ALL_PROXY.*pip install "httpx\[socks\]"'):
        environment_proxy("http://server.test")


# ---- unix sockets --------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no unix sockets")
def test_a_unix_socket(serving, certificate, tmp_path):
    class UnixServer(ThreadingHTTPServer):
        address_family = socket.AF_UNIX

        def server_bind(self) -> None:
            self.socket.bind(self.server_address)

    path = tmp_path / "s.sock"
    serving(UnixServer(str(path), Handler))
    secure = UnixServer(str(tmp_path / "tls.sock"), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    serving(secure)
    reached = {"uds": str(tmp_path / "tls.sock"), "verify": str(certificate[0])}
    assert len(names("https://127.0.0.1/v1", **reached)) == 2
    assert names("http://localhost/v1", uds=str(path)) == ["qwen2.5vl:7b", "llava:13b"]
    with pytest.raises(errors.NetworkError, match=r"unix socket .*none.sock"):
        names("http://localhost/v1", uds=str(tmp_path / "none.sock"))


def test_a_url_of_a_unix_socket_says_how_it_is_given():
    with pytest.raises(errors.ValidationError, match="give its path as uds="):
        Overshoot("key", base_url="http+unix://%2Frun%2Fvllm.sock/v1")
    with pytest.raises(errors.ValidationError, match="leave verify and uds out"):
        Overshoot("key", base_url="local", uds="/run/x.sock")


# ---- addresses and models ------------------------------------------------------------------------


def ask(base_url: str, model: str, sample: Sample) -> str:
    async def once() -> str:
        async with ChatClient("key", base_url=base_url) as client:
            with pytest.raises(errors.NotFoundError) as caught:
                await client.complete(client.prepare("what?", model), sample)
            return str(caught.value)

    return asyncio.run(once())


@pytest.fixture
def sample() -> Sample:
    from overshoot_nb.asking.text_chat import _NO_SAMPLE

    return _NO_SAMPLE


def test_an_address_without_v1_says_which_would_be_right(plain, sample, capsys):
    assert f"base_url lacks /v1: '{plain}/v1' would be right" in ask(plain, "m", sample)
    with pytest.raises(errors.NotFoundError, match=f"'{plain}/v1' would be right"):
        names(plain)
    assert main(["models", "--base-url", plain]) == 1
    assert f"'{plain}/v1' would be right" in capsys.readouterr().err


def test_the_path_of_a_call_is_cut_off_with_a_note(plain, caplog):
    with caplog.at_level(logging.WARNING, "overshoot_nb"):
        assert len(names(f"{plain}/v1/chat/completions/")) == 2
    assert f"cut off: asked is {plain}/v1" in caplog.text


def test_an_unknown_model_s_error_lists_the_models_closest_first(plain, sample):
    said = ask(f"{plain}/v1", "qwen2.5vl:3b", sample)
    assert "(the server has no model 'qwen2.5vl:3b'; it lists qwen2.5vl:7b, llava:13b)" in said


def test_a_server_without_models_is_told_and_no_success(plain, capsys):
    assert main(["models", "--base-url", f"{plain}/v1/v2"]) == 1
    assert "lists no models" in capsys.readouterr().err


# ---- warming up ----------------------------------------------------------------------------------


def test_what_requests_need_is_loaded_before_the_clock_starts(plain):
    """In an interpreter that has loaded none of it, within a time limit shorter than loading."""
    code = f"""
import asyncio, sys, threading
from overshoot_nb.asking.chat import ChatClient
import overshoot_nb.asking.http as http
assert "aiohttp" not in sys.modules
started = []
timeout = asyncio.timeout
def watched(seconds):
    started.append("aiohttp" in sys.modules)
    return timeout(seconds)
asyncio.timeout = watched
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name in ("httpx", "aiohttp", "certifi"):
            assert threading.current_thread() is not threading.main_thread(), name
sys.meta_path.insert(0, Finder())
async def main():
    async with ChatClient("key", base_url="{plain}/v1") as client:
        return await client.get_models()
assert len(asyncio.run(main())) == 2
assert started[0], started
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
