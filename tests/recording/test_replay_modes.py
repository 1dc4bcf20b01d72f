"""Clips, v0.2 and the magic, replayed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from replays import FIRST, MODEL, assert_same, at

from overshoot_nb import FileSource, Overshoot, ValidationError

from chatserver import ChatServer
from kernels import Kernel
from publishing import text_video
from videos import make_video, number_in

pytestmark = pytest.mark.usefixtures("no_threads_left")

WORDS = ("HAWKS 84", "TIGERS 79")
LIGHT = "How bright is it?"
COLOURS = "What colours are there?"
CLIPS = {"mode": "clip", "target_fps": 10, "clip_length_seconds": 0.4, "delay_seconds": 0.3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("modes")


@pytest.mark.parametrize("encoding", ["images", "video"])
def test_clips(folder, encoding):
    video = make_video(folder / "clips.mp4", 45)

    async def cell(base_url: str, source: str):
        async with Overshoot(base_url=base_url) as client:
            stream = await client.streams.create(
                source, FIRST, MODEL, clip_encoding=encoding, realtime=encoding == "images", **CLIPS
            )
            await stream.wait(60)
            return stream

    def answer(request) -> str:
        return str(len(request.parts))

    path = folder / f"{encoding}.parquet"
    with ChatServer(answer) as server:
        stream = asyncio.run(cell(server.url, str(video)))
    assert len(stream.df) >= 3
    assert (stream.frames[0].video is not None) == (encoding == "video")
    stream.record(path, progress=False)
    for speed in ("inf", "4"):
        assert_same(asyncio.run(cell(at(path, speed), "gone.mp4")), stream)


def test_a_v0_2_run(folder):
    """Its lease and its costs too; nothing is published, and no room is entered."""
    video = text_video(folder / "words.mp4", *WORDS, seconds=1.0)

    async def cell(base_url: str, source: object):
        async with Overshoot(base_url=base_url) as client:
            stream = await client.streams.create(
                source, LIGHT, "local/scene", interval_seconds=0.25, transport="webrtc"
            )
            while not len(stream.df):
                assert stream.is_active, stream.status
                await asyncio.sleep(0.005)
            await stream.update_prompt(COLOURS)
            await stream.wait(60)
            return stream

    path = folder / "gateway.parquet"
    stream = asyncio.run(cell("local/v0.2", FileSource(video)))
    assert stream.df["prompt_version"].nunique() == 2
    # What a renewal of the lease says, which comes after longer than this takes.
    stream._run.journal.counters.charged(1.25, 4.0, 98.75)
    stream._run.journal.counters.reconnected("source", 2)
    stream._run.journal.counters.reconnected("result channel")
    stream.record(path, progress=False)
    for speed in ("inf", "6"):
        replayed = asyncio.run(cell(at(path, speed), "camera"))
        assert_same(replayed, stream)

    async def spectate():
        async with Overshoot(base_url=at(path, "inf")) as client:
            stream = await client.streams.create("camera", LIGHT, "local/scene")
            info = await stream.info()
            with pytest.raises(ValidationError, match="it is a recording"):
                await stream.spectate()
            await stream.close()
            return info

    info = asyncio.run(spectate())
    assert info.source_type == "replay"
    assert (info.frame_width, info.frame_height) == (640, 360)


def test_the_magic_replays(folder):
    video = make_video(folder / "magic.mp4", 30)

    async def cell(base_url: str):
        async with Overshoot(base_url=base_url) as client:
            stream = await client.streams.create(
                str(video), FIRST, MODEL, interval_seconds=0.2, realtime=False
            )
            await stream.wait(60)
            return stream

    with ChatServer(lambda request: f"number {number_in(request.jpegs[0])}") as server:
        stream = asyncio.run(cell(server.url))
    stream.record(folder / "magic.parquet", progress=False)
    kernel = Kernel(str(folder))
    try:
        kernel.run("%load_ext overshoot_nb")
        kernel.run("%env OVERSHOOT_BASE_URL=replay:magic.parquet?speed=20")
        # No model, no video: the one is recorded, the other not needed.
        shown = kernel.run(f'%overshoot no.mp4 "{FIRST}" -o s --interval 0.2')
        assert "<Stream" in shown
        assert "no.mp4" in shown
        kernel.until("not s.is_active")
        assert kernel.run("print(*s.df['result'])").strip() == " ".join(stream.df["result"])
        assert MODEL in kernel.run("%overshoot models")
        refused = kernel.run('%overshoot no.mp4 "What else?"')
        assert "UsageError: ValidationError: the recording magic.parquet has no answer" in refused
        # The same file as a source, with the embedded engine to answer.
        kernel.run("%env OVERSHOOT_BASE_URL=local")
        kernel.run('%overshoot magic.parquet "How bright is it?" -o t --model local/scene')
        kernel.until("not t.is_active")
        assert kernel.run("len(t.df), bool(t.df['ok'].all())") == "(2, True)"
    finally:
        kernel.close()
