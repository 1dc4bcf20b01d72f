"""The command line, run as a user runs it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import httpx
import pytest

from overshoot_nb import __version__
from overshoot_nb.cli import main

from chatserver import ChatServer


def overshoot_nb(*words: str, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "overshoot_nb", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def test_version_and_help():
    assert overshoot_nb("--version").stdout.strip() == f"overshoot-nb {__version__}"
    shown = overshoot_nb("--help").stdout
    for command in ("demo", "serve", "models", "doctor"):
        assert command in shown
    assert overshoot_nb().returncode == 2


def test_models_lists_those_of_the_embedded_engine():
    done = overshoot_nb("models")
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "local/auto",
        "local/read",
        "local/scene",
    ]
    assert "embedded local engine" in done.stderr  # it says who answers


def test_doctor_says_what_is_there():
    done = overshoot_nb("doctor")
    assert done.returncode == 0
    for word in ("Python", "rapidocr", "aiortc", "none; the embedded engine", "local/read (ready)"):
        assert word in done.stdout


def test_doctor_tells_a_key_source_but_never_the_key():
    env = {**os.environ, "OVERSHOOT_API_KEY": "ovs-very-secret"}
    done = overshoot_nb("doctor", "--base-url", "http://127.0.0.1:9/v1", env=env)
    assert done.returncode == 1
    assert "found (OVERSHOOT_API_KEY)" in done.stdout
    assert "NetworkError" in done.stdout
    assert "very-secret" not in done.stdout + done.stderr


def test_an_error_is_one_line_and_a_status():
    done = overshoot_nb("models", "--base-url", "not a url")
    assert done.returncode == 1
    assert done.stderr.startswith("overshoot-nb: base_url='not a url'")
    assert "Traceback" not in done.stderr


def test_models_takes_a_key_and_header_fields_from_variables(monkeypatch, capsys):
    with ChatServer(lambda request: "0") as server:
        monkeypatch.setenv("SERVER_KEY", "very-secret")
        monkeypatch.setenv("SERVER_FIELDS", '{"api-version": "hidden-value"}')
        named = ["--key-env", "SERVER_KEY", "--extra-headers-env", "SERVER_FIELDS"]
        assert main(["models", "--base-url", server.url, *named]) == 0
        assert "test/model" in capsys.readouterr().out
        assert server.listings[0]["authorization"] == "Bearer very-secret"
        assert server.listings[0]["api-version"] == "hidden-value"
        monkeypatch.setenv("SERVER_FIELDS", "hidden-value")
        for option, value, says in (
            ("--extra-headers-env", "SERVER_FIELDS", "'SERVER_FIELDS' is not valid: the variable"),
            ("--extra-headers-env", '{"a": "hidden-value"}', "… is not valid: there is no such"),
            ("--key-env", "very-secret", "… is not valid: there is no such"),
        ):
            assert main(["models", "--base-url", server.url, option, value]) == 1
            said = capsys.readouterr().err
            assert f"{option} {says}" in said
            assert "hidden-value" not in said
            assert "very-secret" not in said


def test_a_port_that_is_taken_is_said_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = overshoot_nb("serve", "--port", port)
    assert done.returncode == 1
    assert done.stderr.startswith(f"overshoot-nb: cannot listen on 127.0.0.1:{port}: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--port", "99999"], "port=99999 is not valid"),
        (["--port", "-5"], "port=-5 is not valid"),
        (["--key", " "], "the key is empty"),
        (["--key", "clé"], "other than ASCII"),
        (["--key-env", "NO_SUCH_VARIABLE"], "--key-env 'NO_SUCH_VARIABLE' is not valid"),
        (["--key-file", "no-such-file"], "--key-file 'no-such-file' cannot be read: No such file"),
        (["--key-file", "."], "--key-file '.' cannot be read"),
        (["--key-file", os.devnull], "must hold one line"),
        (["--host", "0.0.0.0"], "other machines can reach 0.0.0.0, and without a key"),
        (["--host", ""], "other machines can reach 0.0.0.0"),
        (["--allow-host", "http://lab"], "allowed host 'http://lab' is not valid"),
        (["--allow-origin", "lab"], "allowed origin 'lab' is not valid"),
        (["--allow-origin", "*", "--key", "k"], "does not go with a key"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(words, says, capsys):
    assert main(["serve", *words]) == 1
    complaint = capsys.readouterr().err
    assert complaint.startswith("overshoot-nb: ")
    assert says in complaint
    assert complaint.count("\n") == 1


@pytest.fixture
def asked_as_served(monkeypatch):
    """What a server that would run answers to a key, by its status."""
    statuses = {}

    def run(server, sockets):
        async def ask():
            transport = httpx.ASGITransport(server.config.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as c:
                for key in ("sesame", "another"):
                    headers = {"authorization": f"Bearer {key}"}
                    statuses[key] = (await c.get("/v0.2/models", headers=headers)).status_code

        asyncio.run(ask())

    monkeypatch.setattr("overshoot_nb.local.engine.Engine.preload", lambda _self: None)
    monkeypatch.setattr("uvicorn.Server.run", run)
    return statuses


HELD = [b"sesame", b"sesame\n", b" sesame\r\n\r\n", b"\xef\xbb\xbfsesame"]


@pytest.mark.parametrize("held", HELD)
def test_the_key_comes_from_a_file(held, tmp_path, asked_as_served, capsys):
    (tmp_path / "key").write_bytes(held)
    assert main(["serve", "--port", "0", "--key-file", str(tmp_path / "key")]) == 0
    assert asked_as_served == {"sesame": 200, "another": 401}
    assert "sesame" not in "".join(capsys.readouterr())


NO_KEYS = [b"one-secret\ntwo\n", b"\xff\xfesecret", b" \n", b"secret" * 1000]


@pytest.mark.parametrize("held", NO_KEYS)
def test_a_file_that_holds_no_key_is_said_without_what_it_holds(held, tmp_path, capsys):
    (tmp_path / "key").write_bytes(held)
    assert main(["serve", "--port", "0", "--key-file", str(tmp_path / "key")]) == 1
    said = capsys.readouterr()
    assert "--key-file" in said.err
    assert "secret" not in said.out + said.err


def test_the_key_comes_from_a_variable(monkeypatch, asked_as_served, capsys):
    monkeypatch.setenv("ENGINE_KEY", " sesame ")
    assert main(["serve", "--port", "0", "--key-env", "ENGINE_KEY"]) == 0
    assert asked_as_served == {"sesame": 200, "another": 401}
    assert "sesame" not in "".join(capsys.readouterr())
    monkeypatch.setenv("ENGINE_KEY", " ")
    assert main(["serve", "--port", "0", "--key-env", "ENGINE_KEY"]) == 1
    assert "it is empty" in capsys.readouterr().err.replace("\n", " ")


def test_one_place_of_a_key_is_enough(capsys):
    with pytest.raises(SystemExit):
        main(["serve", "--key", "a", "--key-env", "B"])
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--insecure"], ["--key", "sesame"]])
def test_other_machines_may_ask_where_that_is_meant(words, asked_as_served):
    assert main(["serve", "--port", "0", "--host", "0.0.0.0", *words]) == 0
    assert asked_as_served["sesame"] == 200


def test_the_url_is_flushed(monkeypatch):
    """Whoever starts a server reads the line from a pipe."""

    class Pipe(io.StringIO):
        flushed = ""

        def flush(self):
            self.flushed = self.getvalue()

    pipe = Pipe()
    monkeypatch.setattr(sys, "stdout", pipe)
    monkeypatch.setattr("overshoot_nb.local.engine.Engine.preload", lambda _self: None)
    monkeypatch.setattr("uvicorn.Server.run", lambda _self, sockets: None)
    assert main(["serve", "--port", "0"]) == 0
    assert "/v0.2 (streams)" in pipe.flushed


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT to a child")
def test_serve_answers_on_a_port_until_it_is_stopped():
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "overshoot_nb", "serve", "--port", "0", "--key", "sesame"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        line = server.stdout.readline()
        url = next(w for w in line.replace(",", " ").split() if w.startswith("http://"))
        root = "/".join(url.split("/")[:3])
        with urllib.request.urlopen(f"{root}/v1/models", timeout=60) as answer:
            assert "local/read" in [m["id"] for m in json.load(answer)["data"]]
        request = urllib.request.Request(
            f"{root}/v0.2/models", headers={"Authorization": "Bearer wrong"}
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=60)
        assert refused.value.code == 401
        refused.value.close()
    finally:
        server.send_signal(signal.SIGINT)
        print(server.communicate(timeout=60)[0])  # shown where the test failed
    assert server.returncode in (0, 130)
