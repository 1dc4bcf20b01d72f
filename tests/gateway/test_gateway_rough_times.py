"""A minute in which the server's connections break, and not one result is lost or doubled."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from overshoot_nb import FileSource, Overshoot
from overshoot_nb.runtime.event_loop import get_runtime

from gatewayserver import KEY

pytestmark = pytest.mark.usefixtures("nothing_left")

STALL_SECONDS = 20.0
SECONDS = 60.0


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

    def stall(self, seconds: float) -> None:
        self._process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.communicate(timeout=60)
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def rough():
    server = RoughServer()
    yield server
    server.close()


def client_of(server: RoughServer) -> Overshoot:
    return Overshoot(KEY, base_url=f"{server.url}/v0.2")


def test_every_result_comes_exactly_once(rough, video):
    notes: set[str] = set()

    async def bad_times() -> None:
        """Ten broken connections, a restart and a stall."""
        began = time.monotonic()

        async def at(seconds: float, command: str) -> None:
            await asyncio.sleep(began + seconds - time.monotonic())
            async with asyncio.timeout(60):  # until there is a connection to break
                while not await asyncio.to_thread(rough.do, command):
                    await asyncio.sleep(0.05)

        for seconds in (3, 6, 9, 12):
            await at(seconds, "kill")
        await at(15, "restart")
        for seconds in (19, 22, 25):
            await at(seconds, "kill")
        await asyncio.to_thread(rough.stall, STALL_SECONDS)
        for seconds in (50, 53, 56):
            await at(seconds, "kill")
        await asyncio.sleep(began + SECONDS - time.monotonic())

    async def main():
        async with client_of(rough) as client:
            stream = await client.streams.create(
                FileSource(video, loop=True), "Read", "local/read", interval_seconds=0.4
            )
            times = asyncio.create_task(bad_times())
            while not times.done():
                notes.add(stream.status)
                await asyncio.sleep(0.05)
            await times
            assert stream.state == "running"
            # No more frames, and what was under way has come.
            await stream.pause()
            await asyncio.sleep(3)
            info, df, stats = await stream.info(), stream.df, stream.stats
            assert stream.is_active
            await stream.close()
            return info, df, stats

    info, df, stats = asyncio.run(main())
    made = info.inferences_completed + info.inferences_failed
    assert made > 60
    assert len(df) == made
    assert df["id"].is_unique
    assert list(df["sample"]) == list(range(made))
    assert stats.reconnections >= 11
    assert (stats.results, stats.errors) == (info.inferences_completed, info.inferences_failed)
    assert any("result channel lost" in note for note in notes)
    # Results that came late are about the moment they were made of: the video went on evenly.
    times = df["media_time"].dt.total_seconds()
    assert times.is_monotonic_increasing
    assert times.iloc[-1] == pytest.approx(SECONDS, abs=4)
    assert rough.do("streams") == 0


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

    async def settled() -> dict[str, int]:
        await asyncio.sleep(1)
        return await asyncio.to_thread(counted)

    async def main():
        async with client_of(rough) as client:
            await some(client, 5)  # what a process needs once: its executor's threads, a connection
            before = await settled()
            await some(client, 50)
            return before, await settled()

    before, after = asyncio.run(main())
    assert after == before
