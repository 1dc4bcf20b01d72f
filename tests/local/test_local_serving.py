"""The engine on a real socket, in a process of its own, and how it starts and ends."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from asking import chat_error, content, held, page, question

from overshoot_nb import errors, local
from overshoot_nb.local.access import Access, AccessDenied
from overshoot_nb.local.engine import MAX_WAITING, Engine
from overshoot_nb.local.serving import make_server
from overshoot_nb.support.installed import missing_packages

from waiting import LIMIT_SECONDS, eventually, until

SIGN = page([(40, 40, "PLATFORM 9", 40)], size=(320, 180))


class Served(NamedTuple):
    """A server in a thread, and the key that it wants."""

    url: str
    key: str | None
    engine: Engine


@pytest.fixture(scope="module", params=[None, "right-key"])
def served(request):
    server, listener, url, engine = make_server(port=0, key=request.param)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield Served(url, request.param, engine)
    server.should_exit = True
    thread.join(LIMIT_SECONDS)
    assert not thread.is_alive()
    listener.close()
    engine.close()


def bearer(key):
    return {"authorization": f"Bearer {key}"}


def test_it_answers_over_a_socket(served):
    url, key, _ = served
    answer = httpx.post(
        f"{url}/v1/chat/completions",
        json=question("Read", SIGN),
        headers=bearer(key or "anything"),
        timeout=LIMIT_SECONDS,
    )
    assert content(answer) == "PLATFORM 9"


def test_keys(served):
    url, key, _ = served
    assert httpx.get(f"{url}/v1beta/models").status_code == 200
    for headers in ({}, {"authorization": "Bearer"}, {"authorization": "Basic abc"}):
        chat = httpx.post(f"{url}/v1beta/chat/completions", json={}, headers=headers)
        assert (chat.status_code, chat_error(chat)["code"]) == (401, "invalid_api_key")
        assert chat.headers["www-authenticate"] == "Bearer"
        gateway = httpx.get(f"{url}/v0.2/models", headers=headers)
        assert (gateway.status_code, gateway.json()["error"]) == (401, "unauthorized")
    wrong = httpx.get(f"{url}/v0.2/models", headers=bearer("wrong"))
    assert wrong.status_code == (401 if key else 200)
    assert key is None or key not in wrong.text


def test_keys_that_are_not_ascii(served):
    """A header's bytes and a WebSocket's JSON would make two owners of one key."""
    url, _, _ = served
    for encoding in ("latin-1", "utf-8"):
        headers = [(b"authorization", "Bearer clé".encode(encoding))]
        assert httpx.get(f"{url}/v0.2/models", headers=headers).status_code == 401
    with pytest.raises(AccessDenied, match="ASCII"):
        Access(required=True).owner_of("clé")


def test_a_key_is_stripped_as_clients_do():
    server, listener, _, engine = make_server(port=0, key=" sesame ")
    listener.close()
    engine.close()
    headers = {"authorization": "Bearer sesame"}

    async def run():
        transport = httpx.ASGITransport(server.config.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as c:
            return (await c.get("/v0.2/healthz", headers=headers)).status_code

    assert asyncio.run(run()) == 200


def test_a_client_that_leaves_frees_its_place(served):
    url, key, engine = served

    async def run():
        async with httpx.AsyncClient(
            base_url=url, headers=bearer(key or "k"), timeout=LIMIT_SECONDS
        ) as c:
            body = question("Read", SIGN)
            assert (await c.post("/v1/chat/completions", json=body)).is_success
            with held(engine):
                for _ in range(MAX_WAITING + 3):
                    asked = asyncio.create_task(c.post("/v1/chat/completions", json=body))
                    await until(lambda: engine.pending == 2)
                    asked.cancel()
                    await until(lambda: engine.pending == 1)
            # Without that, the queue would be full of requests that nobody waits for.
            return await c.post("/v1/chat/completions", json=body)

    assert asyncio.run(run()).status_code == 200


def test_serve_prints_one_line_and_ends_when_interrupted():
    code = "from overshoot_nb.local import serve; serve(port=0, key='secret-key')"
    process = subprocess.Popen(
        [sys.executable, "-u", "-W", "error", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        url = re.search(r"(http://127\.0\.0\.1:[1-9]\d*)/v1beta", line).group(1)
        assert f"{url}/v0.2" in line

        def answers():
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(f"{url}/v1beta/models").is_success

        assert eventually(answers)
        process.send_signal(signal.SIGINT)
        rest, complaints = process.communicate(timeout=LIMIT_SECONDS)
    finally:
        process.kill()
        process.wait()
    assert rest == ""
    assert "Traceback" not in complaints
    assert "secret-key" not in line + complaints


def test_a_port_in_use_is_an_os_error(served):
    url, _, _ = served
    with pytest.raises(OSError, match="in use"):
        local.serve(port=int(url.rpartition(":")[2]))


def test_a_script_that_asked_ends_by_itself_without_threads_or_warnings():
    code = """
import asyncio, threading, httpx
from overshoot_nb import local
async def run():
    async with httpx.AsyncClient(transport=local.open_transport(), base_url="http://x/v1") as c:
        return (await c.get("/models")).status_code
assert asyncio.run(run()) == 200
local.close_engine()
local.close_engine()
assert asyncio.run(run()) == 200
print(threading.active_count())
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "1", "")


def test_a_script_that_leaves_its_streams_running_still_ends(score_video):
    code = f"""
import asyncio, httpx, json
from overshoot_nb import local
from publishing import Peer

async def run():
    peer = Peer({str(score_video)!r})
    source = {{"type": "webrtc", "sdp": await peer.offer()}}
    body = {{"source": source, "processing": {{"interval_seconds": 0.2}},
            "inference": {{"prompt": "How bright?", "model": "local/scene"}}}}
    async with httpx.AsyncClient(transport=local.open_transport(), base_url="http://x/v0.2") as c:
        created = (await c.post("/streams", json=body)).json()
    await peer.accept(created["webrtc"]["sdp"])
    listener = await local.open_socket("/v0.2/ws/streams/" + created["stream_id"])
    await listener.send('{{"api_key": "local"}}')
    print(json.loads(await listener.receive())["ok"])
    await listener.close()

asyncio.run(run())
"""
    tests = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        env={**os.environ, "PYTHONPATH": str(tests)},
    )
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr


def test_missing_packages_name_the_command(monkeypatch):
    local.close_engine()
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "rapidocr" else real(name)
    )
    with pytest.raises(errors.MissingDependencyError, match=r"pip install .overshoot-nb\[local\]."):
        local.open_transport()


def test_a_package_that_another_thread_is_importing_is_not_missing(monkeypatch):
    """cv2 stands in sys.modules without a spec while it loads itself, as the server starts."""
    half = types.ModuleType("half_imported")
    assert half.__spec__ is None
    monkeypatch.setitem(sys.modules, "half_imported", half)
    assert missing_packages(["half_imported", "no_such_package"]) == ["no_such_package"]
