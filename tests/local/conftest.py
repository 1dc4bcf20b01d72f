from __future__ import annotations

import threading

import pytest

from overshoot_nb import local
from overshoot_nb.local.engine import Engine

from gatewayserver import GatewayServer
from publishing import text_video
from waiting import LIMIT_SECONDS, eventually


@pytest.fixture(scope="session", autouse=True)
def engine_closed_at_the_end():
    """One engine for the session, so that its models are loaded once; and no thread after it."""
    yield
    local.close_engine()
    left = ("overshoot-local", "video-decoder")
    # Threads of a peer that closes end when they are ready to.
    assert eventually(lambda: not [t for t in threading.enumerate() if t.name.startswith(left)])


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Clients on a busy machine are given a minute for what they must say or take in time."""
    monkeypatch.setattr("overshoot_nb.local.result_socket.KEY_SECONDS", LIMIT_SECONDS)
    monkeypatch.setattr("overshoot_nb.local.stream_watch.IDLE_SECONDS", LIMIT_SECONDS)
    monkeypatch.setattr("overshoot_nb.local.websocket_protocol.STALLED_SECONDS", LIMIT_SECONDS)


@pytest.fixture(scope="session")
def score_video(tmp_path_factory):
    """Two seconds of SCORE 42."""
    return text_video(tmp_path_factory.mktemp("videos") / "score.mp4", "SCORE 42")


@pytest.fixture(scope="session")
def two_texts(tmp_path_factory):
    """A second of SCORE 42, a second of PLATFORM 9."""
    path = tmp_path_factory.mktemp("videos") / "two.mp4"
    return text_video(path, "SCORE 42", "PLATFORM 9", seconds=1)


@pytest.fixture(scope="session")
def shared_engine():
    engine = Engine()
    engine.preload()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def gateway(shared_engine):
    """A server with leases of 45 s; no stream of it is left after the module."""
    server = GatewayServer(shared_engine)
    yield server
    server.close()


@pytest.fixture
def make_gateway(shared_engine):
    """Servers with registries of the test's own."""
    made = []

    def make(**registry):
        made.append(GatewayServer(shared_engine, **registry))
        return made[-1]

    yield make
    for server in made:
        server.close()
    assert eventually(lambda: "video-decoder" not in {t.name for t in threading.enumerate()})
