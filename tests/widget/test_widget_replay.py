"""A replayed run behind the widget: its states, pictures and rows, and what the page steers."""

from __future__ import annotations

import asyncio

import pytest

from overshoot_nb import Overshoot, replay

from chatserver import ChatServer
from videos import make_video, number_in

pytestmark = pytest.mark.usefixtures("no_threads_left")

MODEL = "test/model"


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replayed")
    video = make_video(folder / "clip.mp4", frames=120, fps=30)

    async def main(url):
        async with Overshoot(base_url=url) as client:
            stream = await client.streams.create(
                str(video), "What number?", MODEL, interval_seconds=0.2, realtime=False
            )
            await stream.wait()
            return stream

    with ChatServer(lambda request: str(number_in(request.jpegs[0]))) as server:
        stream = asyncio.run(main(server.url))
    stream.record(folder / "run.parquet", progress=False)
    return stream, folder / "run.parquet"


async def until(condition, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def test_a_page_sees_and_steers_a_replay(recording, page_of):
    recorded, path = recording

    async def main():
        stream = await replay(path, speed=4).start()
        page = page_of(stream)
        page.hello()
        picture = await page.until("picture", lambda p: p["sample"] is not None)
        sent = page.buffers_of("picture")[page.of("picture").index(picture)][0]
        assert sent == recorded.frames[picture["sample"]].frames[0].data
        await page.until("status", lambda s: s["state"] == "running")
        assert (await page.ask("control", action="pause"))["kind"] == "done"
        assert stream.state == "paused"
        await page.until("status", lambda s: s["state"] == "paused")
        taken = len(stream.samples)
        await asyncio.sleep(0.2)
        assert len(stream.samples) == taken < 20
        assert (await page.ask("control", action="resume"))["kind"] == "done"
        await until(lambda: not stream.is_active)
        await page.until("status", lambda s: s["state"] == "ended")
        await page.until("rows", lambda m: any(row["row"] == 19 for row in m["rows"]))
        rows = {row["row"]: row["text"] for m in page.of("rows") for row in m["rows"]}
        assert [rows[i] for i in sorted(rows)] == recorded.df["result"].tolist()
        # Once more, and stopped in the middle.
        assert (await page.ask("control", action="restart"))["kind"] == "done"
        await until(lambda: len(stream.df) > 22)
        assert (await page.ask("control", action="stop"))["kind"] == "done"
        assert stream.state == "closed"
        return stream

    stream = asyncio.run(main())
    assert stream.df["result"].tolist()[:20] == recorded.df["result"].tolist()
    assert stream.stats.waiting == stream.stats.in_flight == 0
