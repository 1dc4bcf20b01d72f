"""A replayed run behind the widget: its states, pictures and rows, and what the page steers."""

from __future__ import annotations

import asyncio

import pytest

from overshoot_nb import Overshoot, load, replay

from chatserver import ChatServer
from made_runs import MadeRun
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


async def until(condition, seconds: float = 60.0) -> None:
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


def test_a_page_shows_beside_each_played_picture_what_was_said_of_it(recording, page_of):
    stream, path = recording

    async def main():
        loaded = load(path)
        page = page_of(loaded)
        page.hello()
        newest = await page.until("picture")
        assert not newest["played"]
        assert newest["answer"] is None
        page.forget()
        assert (await page.ask("control", action="restart"))["kind"] == "done"
        await page.until("picture", lambda p: p["sample"] == 8, seconds=20)
        await page.ask("control", action="stop")
        played = [picture for picture in page.of("picture") if picture["played"]]
        assert len(played) > 4
        for picture in played:
            assert picture["answer"]["text"] == stream.df["result"][picture["sample"]]

    asyncio.run(main())


def test_an_answer_stands_until_the_next_one(tmp_path, page_of):
    """Of a camera; the first and every third sample have none."""
    run = MadeRun(source="rtsp://127.0.0.1:9/door")
    for i in range(12):
        sample = run.sampled(b"picture", media_time=i / 10)
        if i and i % 3:
            run.answered(sample, f"answer {i}")
    path = run.record(tmp_path / "run.parquet")

    async def main():
        loaded = load(path)
        page = page_of(loaded)
        page.hello()
        # It was live; what is played of it is not.
        assert not (await page.until("welcome"))["live"]
        await loaded.restart()
        await loaded.wait()
        said = {p["sample"]: p["answer"] for p in page.of("picture") if p["played"]}
        assert len(said) > 6
        for sample, answer in said.items():
            before = sample - 1 if sample % 3 == 0 else sample
            assert (answer and answer["text"]) == (f"answer {before}" if before > 0 else None)

    asyncio.run(main())
