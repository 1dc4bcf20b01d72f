"""A v0.2 server of the embedded engine, and streams that are published to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from overshoot_nb.local.engine import Engine
from overshoot_nb.runtime.event_loop import get_runtime

from gatewayserver import GatewayServer
from publishing import text_video


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """The models, loaded once for a module; its thread is none that other tests should see."""
    engine = Engine()
    engine.preload()
    yield engine
    engine.close()


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
        for _ in range(100):
            left = [t for t in await tasks() - before if not t.done()]
            if not left:
                return []
            await asyncio.sleep(0.02)
        return [repr(t) for t in left]

    yield
    assert runtime.run(settled()) == []
