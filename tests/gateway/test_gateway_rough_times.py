"""Times in which the server's connections break, and not one result is lost or doubled."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from overshoot_nb import FileSource, Overshoot
from overshoot_nb.gateway import lease
from overshoot_nb.gateway.results import ResultChannel
from overshoot_nb.runtime.event_loop import get_runtime

from gatewayserver import KEY
from waiting import LIMIT_SECONDS, until

pytestmark = pytest.mark.usefixtures("nothing_left")


class RoughServer:
    """The process of ``rough_server.py``."""

    def __init__(self) -> None:
        program = Path(__file__).with_name("rough_server.py")
        self._process = subprocess.Popen(
            [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.url = self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def do(self, command: str) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        return int(self._line())

    @contextlib.contextmanager
    def stalled(self) -> Iterator[None]:
        """It stands still meanwhile."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.communicate(timeout=LIMIT_SECONDS)
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def rough():
    server = RoughServer()
    yield server
    server.close()


def client_of(server: RoughServer) -> Overshoot:
    return Overshoot(KEY, base_url=f"{server.url}/v0.2")


def test_every_result_comes_exactly_once(rough, video, wire, monkeypatch):
    # A lease of 45 s is renewed every second, for which the server has 3 s.
    monkeypatch.setattr(lease, "RENEWED_AFTER", 1 / 45)
    monkeypatch.setattr(lease, "ANSWERED_WITHIN", 3 / 45)
    monkeypatch.setitem(ResultChannel.__init__.__kwdefaults__, "backoff", (0.2, 0.5, 1.0))
    notes: list[str] = []

    def said(words: str) -> int:
        return sum(words in note for note in notes)

    async def results(stream) -> None:
        """Some come."""
        rows = len(stream.df)
        await until(lambda: len(stream.df) >= rows + 3)

    async def broken(stream) -> None:
        """The channel breaks, and is there again."""
        reconnections = stream.stats.reconnections
        assert await asyncio.to_thread(rough.do, "kill") >= 1
        await until(lambda: stream.stats.reconnections > reconnections)
        await results(stream)

    async def restarted(stream) -> None:
        """The server is away until it was looked for in vain."""
        reconnections = stream.stats.reconnections
        await asyncio.to_thread(rough.do, "stop")
        lost = said("result channel lost")
        await until(lambda: said("result channel lost") >= lost + 2)
        await asyncio.to_thread(rough.do, "start")
        await until(lambda: stream.stats.reconnections > reconnections)
        await results(stream)

    async def main():
        async with client_of(rough) as client:
            stream = await client.streams.create(
                FileSource(video, loop=True), "Read", "local/read", interval_seconds=0.4
            )
            stream._run.journal.watch(look := lambda: notes.append(stream.status))
            await results(stream)
            for _ in range(4):
                await broken(stream)
            await restarted(stream)
            for _ in range(3):
                await broken(stream)
            with rough.stalled():
                vain = said("the lease could not be renewed")
                await until(lambda: said("the lease could not be renewed") > vain)
            await results(stream)
            for _ in range(3):
                await broken(stream)
            stream._run.journal.unwatch(look)
            assert stream.state == "running"
            until_then = wire.puts[-1].media_time
            await results(stream)
            # No more frames, and what was under way has come.
            await stream.pause()
            async with asyncio.timeout(LIMIT_SECONDS):
                while True:
                    info, df, stats = await stream.info(), stream.df, stream.stats
                    if info.state == "idle" and len(df) == made_by(info) == stats.samples:
                        break
                    await asyncio.sleep(0.1)
            assert stream.is_active
            await stream.close()
            return info, df, stats, until_then

    info, df, stats, until_then = asyncio.run(main())
    assert len(df) == made_by(info)
    assert df["id"].is_unique
    assert list(df["sample"]) == list(range(len(df)))
    assert stats.reconnections >= 11
    assert (stats.results, stats.errors) == (info.inferences_completed, info.inferences_failed)
    # Results that came late are about the moment they were made of: the video went on evenly.
    times = df["media_time"].dt.total_seconds()
    assert wire.in_order(times)
    assert until_then <= times.iloc[-1] <= wire.puts[-1].media_time
    assert rough.do("streams") == 0


def made_by(info) -> int:
    """How many results the server has made."""
    return info.inferences_completed + info.inferences_failed


def test_fifty_streams_leave_nothing_behind(rough, video):
    async def tasks() -> int:
        return len(asyncio.all_tasks())

    def counted() -> dict[str, int]:
        me = psutil.Process()
        executors = [t for t in threading.enumerate() if t.name.startswith("asyncio_")]
        return {
            "tasks": get_runtime().run(tasks()),
            # Decoders' own threads too; but an executor has one more whenever it is busy.
            "threads": me.num_threads() - len(executors),
            "sockets": len(me.net_connections("all")),
            "files": me.num_fds(),
            "streams": rough.do("streams"),
        }

    async def some(client: Overshoot, count: int) -> None:
        for number in range(count):
            stream = await client.streams.create(
                FileSource(video), "Read", "local/scene", interval_seconds=0.1
            )
            assert stream.is_active
            if number % 10 == 0:
                async for _ in stream:
                    break
            await stream.close()
            assert stream.state == "closed"

    async def back_to(before: dict[str, int]) -> None:
        """Wait until no more is there than then."""
        deadline = time.monotonic() + LIMIT_SECONDS
        now = await asyncio.to_thread(counted)
        while any(now[name] > before[name] for name in now):
            assert time.monotonic() < deadline, (before, now)
            await asyncio.sleep(0.1)
            now = await asyncio.to_thread(counted)

    async def main():
        async with client_of(rough) as client:
            await some(client, 5)  # what a process needs once: its executor's threads, a connection
            before = await asyncio.to_thread(counted)
            await some(client, 50)
            await back_to(before)

    asyncio.run(main())
