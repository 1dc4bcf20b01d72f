"""A v0.2 server of the embedded engine, and streams that are published to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from overshoot_nb import config
from overshoot_nb.local.engine import Engine
from overshoot_nb.running import gateway_session
from overshoot_nb.runtime.event_loop import get_runtime

from gatewayserver import GatewayServer
from publishing import text_video
from waiting import LIMIT_SECONDS
from wire import Wire


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """The models, loaded once for a module; its thread is none that other tests should see."""
    engine = Engine()
    engine.preload()
    yield engine
    engine.close()


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A server on a busy machine is given a minute for what it must do in time."""
    monkeypatch.setattr(config, "MEDIA_TIMEOUT_SECONDS", LIMIT_SECONDS)
    for name in ("REASON_SECONDS", "FAREWELL_SECONDS", "DRAIN_SECONDS", "AWAY_SECONDS"):
        monkeypatch.setattr(gateway_session, name, LIMIT_SECONDS)
    # So long without a frame, a stream of the server is idle.
    monkeypatch.setattr("overshoot_nb.local.stream_watch.IDLE_SECONDS", LIMIT_SECONDS)


@pytest.fixture
def never_late(monkeypatch):
    """No frame is left out since the machine is late for it."""
    monkeypatch.setattr("overshoot_nb.gateway.publish.moments.MAX_LATE_SECONDS", LIMIT_SECONDS)
    monkeypatch.setattr("overshoot_nb.sampling.preview.MAX_LATE_SECONDS", LIMIT_SECONDS)


@pytest.fixture
def renewed_often(monkeypatch):
    """A lease of 45 s is renewed every 90 ms; the answer still has its 15 s."""
    monkeypatch.setattr("overshoot_nb.gateway.lease.RENEWED_AFTER", 0.002)


@pytest.fixture
def wire(monkeypatch):
    """What is put on the wire, and what the server makes of it."""
    wire = Wire()
    wire.watch(monkeypatch)
    return wire


@pytest.fixture
def make_gateway(engine):
    """Servers with registries of their own; they end with the test."""
    servers = []

    def make(**registry):
        servers.append(GatewayServer(engine, **registry))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def gateway(make_gateway):
    return make_gateway()


@pytest.fixture(scope="session")
def video(tmp_path_factory):
    """Six seconds at 15 frames a second; one of WORDS every two."""
    return text_video(tmp_path_factory.mktemp("video") / "words.mp4", *WORDS)


#: What is read in the video, two seconds each.
WORDS = ("HAWKS 84", "TIGERS 79", "OVERTIME")


@pytest.fixture
def nothing_left(no_threads_left):
    """Fails the test if it leaves a task on the runtime's loop."""

    async def tasks() -> set[asyncio.Task[object]]:
        return {t for t in asyncio.all_tasks() if t is not asyncio.current_task()}

    runtime = get_runtime()
    before = runtime.run(tasks())

    async def settled() -> list[str]:
        deadline = time.monotonic() + LIMIT_SECONDS
        while left := [t for t in await tasks() - before if not t.done()]:
            if time.monotonic() > deadline:
                return [repr(t) for t in left]
            await asyncio.sleep(0.01)
        return []

    yield
    assert runtime.run(settled()) == []
