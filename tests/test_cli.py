"""The command line, run as a user runs it."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from overshoot_nb import __version__
from overshoot_nb.cli import main


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
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(words, says, capsys):
    assert main(["serve", *words]) == 1
    complaint = capsys.readouterr().err
    assert complaint.startswith("overshoot-nb: ")
    assert says in complaint
    assert complaint.count("\n") == 1


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
        with urllib.request.urlopen(f"{root}/v1/models", timeout=20) as answer:
            assert "local/read" in [m["id"] for m in json.load(answer)["data"]]
        request = urllib.request.Request(
            f"{root}/v0.2/models", headers={"Authorization": "Bearer wrong"}
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=20)
        assert refused.value.code == 401
        refused.value.close()
    finally:
        server.send_signal(signal.SIGINT)
        print(server.communicate(timeout=20)[0])  # shown where the test failed
    assert server.returncode in (0, 130)
