"""Publishing over WebRTC to a plain aiortc receiver on loopback; and what happens when it fails."""

from __future__ import annotations

import asyncio
import gc
import re
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from aiortc.codecs.vpx import Vp8Decoder, Vp8Encoder, vp8_depayload
from aiortc.jitterbuffer import JitterFrame
from receiver import Receiver, connected, playing, run
from test_publish_feed import number_on

from overshoot_nb.errors import NetworkError, ServerError
from overshoot_nb.gateway.publish.encoding import RateControl, ReadableVp8Encoder, full_bitrate
from overshoot_nb.gateway.publish.latest import LatestFrame
from overshoot_nb.gateway.publish.webrtc import WebRTCPublisher
from overshoot_nb.sources.kinds import FileSource
from overshoot_nb.sources.pushed_source import FrameSource
from overshoot_nb.types import StreamCreateResponse, WebRTCAnswer

from videos import make_video, solid


def wire_frame(picture: np.ndarray, pts: int = 0) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
    frame.pts, frame.time_base = pts, Fraction(1, 90_000)
    return frame


def text(number: int, width: int = 640, height: int = 360) -> np.ndarray:
    """Small high-contrast strokes that move, as text does that scrolls."""
    rng = np.random.default_rng(7)
    small = (rng.random((height // 4, width // 4)) > 0.7).astype(np.uint8) * 200 + 30
    page = np.kron(small, np.ones((4, 4), np.uint8))
    page[: height // 2] = np.roll(page[: height // 2], number * 2, 1)
    return np.repeat(page[:, :, None], 3, 2)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = np.mean((a.astype(float) - b.astype(float)) ** 2)
    return 10 * float(np.log10(255**2 / max(error, 1e-3)))


# ---- video arrives -------------------------------------------------------------------------------


def test_a_video_arrives_in_order_at_its_times(tmp_path: Path) -> None:
    async def main(loop) -> None:
        latest = LatestFrame(loop)
        # Six a second: the newest frame wins, and a busy machine may be late for fifteen.
        path = make_video(tmp_path / "v.mp4", 20, fps=6)
        async with connected(latest) as (_, receiver):
            with playing(FileSource(path), latest):
                await receiver.until(lambda: len(receiver.frames) >= 20)
            # The last one is sent twice: aiortc gives out a frame when the next one comes.
            assert [number_on(frame) for frame, _ in receiver.frames] == list(range(20))
            assert receiver.times == pytest.approx([n / 6 for n in range(20)], abs=1e-3)
            assert {(f.width, f.height) for f, _ in receiver.frames} == {(160, 96)}

    run(main)


def test_a_fast_video_arrives_in_order_on_a_busy_machine_too(tmp_path: Path) -> None:
    async def main(loop) -> None:
        latest = LatestFrame(loop)
        path = make_video(tmp_path / "v.mp4", 30, fps=15)
        async with connected(latest) as (_, receiver):
            with playing(FileSource(path), latest):
                await receiver.until(
                    lambda: [number_on(f) for f, _ in receiver.frames][-1:] == [29]
                )
            numbers = [number_on(frame) for frame, _ in receiver.frames]
            # A frame that is late gives way to the next; none comes twice, or at another's time.
            assert numbers == sorted(set(numbers))
            assert len(numbers) >= 15
            first = numbers[0]
            expected = [(n - first) / 15 for n in numbers]
            assert receiver.times == pytest.approx(expected, abs=1e-3)

    run(main)


def test_a_picture_that_was_there_before_the_connection_arrives() -> None:
    async def main(loop) -> None:
        latest = LatestFrame(loop)
        source = FrameSource(64, 48)
        source.push_frame(solid((200, 60, 30), 64, 48))
        with playing(source, latest):
            await asyncio.sleep(0.2)
            async with connected(latest) as (_, receiver):
                await receiver.until(lambda: receiver.frames)
                rgb = receiver.frames[0][0].to_ndarray(format="rgb24")
                assert rgb[24, 32].tolist() == pytest.approx((200, 60, 30), abs=8)

    run(main)


def test_latency_is_the_receivers_wait_for_the_next_frame() -> None:
    async def main(loop) -> None:
        latest = LatestFrame(loop)
        async with connected(latest) as (_, receiver):
            for n in range(20):
                latest.put(wire_frame(text(n), n * 6000))
                # The one before this is there now: the next is put when it has come, or never.
                await receiver.until(lambda n=n: len(receiver.frames) >= n)
                await asyncio.sleep(1 / 15)
        assert [round(t * 15) for t in receiver.times[:19]] == list(range(19))

    run(main)


def test_keyframes_come_when_they_are_asked_for() -> None:
    encoder = ReadableVp8Encoder()
    keys = []
    for n in range(12):
        payloads, _ = encoder.encode(wire_frame(text(n), n * 3000), n == 6)
        keys.append(not vp8_depayload(payloads[0])[0] & 1)  # RFC 6386, 9.1
    assert [n for n, key in enumerate(keys) if key] == [0, 6]


# ---- quality -------------------------------------------------------------------------------------


def encoded(encoder: Vp8Encoder, width: int, height: int) -> tuple[float, float]:
    """Mean PSNR of moving text, and megabits a second at 15 frames a second."""
    decoder, quality, size = Vp8Decoder(), [], 0
    for n in range(30):
        frame = wire_frame(text(n, width, height), n * 6000)
        luma = frame.to_ndarray()[:height]
        payloads, timestamp = encoder.encode(frame, n == 0)
        assert timestamp == pytest.approx(n * 6000, abs=1)  # aiortc's own may be one less
        data = b"".join(vp8_depayload(payload) for payload in payloads)
        size += len(data)
        for seen in decoder.decode(JitterFrame(data, timestamp)):
            quality.append(psnr(luma, seen.to_ndarray()[:height]))
    assert len(quality) == 30
    return float(np.mean(quality)), size * 8 / 2e6


@pytest.mark.parametrize("size", [(640, 360), (1280, 720)])
def test_text_is_sharper_than_by_default(size) -> None:
    ours, rate = encoded(ReadableVp8Encoder(), *size)
    default, _ = encoded(Vp8Encoder(), *size)
    assert ours > default + 3
    assert ours > 28
    assert rate < 1.3 * full_bitrate(*size) / 1e6


def test_bitrates_by_size() -> None:
    assert full_bitrate(320, 180) == full_bitrate(640, 360) == 1_500_000
    assert full_bitrate(1280, 720) == 3_000_000
    assert 1_500_000 < full_bitrate(960, 540) < 3_000_000


def test_a_receiver_that_guesses_low_because_little_came_changes_nothing() -> None:
    now = 0.0
    rate = RateControl(lambda: now)
    for _ in range(20):
        now += 0.1
        rate.sent(1000)  # 80 kb/s
        rate.estimated(120_000)
    assert rate.limit == 3_000_000


def test_a_narrow_network_lowers_the_rate_at_once_and_it_rises_in_steps() -> None:
    now = 0.0
    rate = RateControl(lambda: now)
    for _ in range(10):
        now += 0.1
        rate.sent(25_000)  # 2 Mb/s
    rate.estimated(800_000)
    assert rate.limit == 800_000
    rate.estimated(100)
    assert rate.limit == 250_000
    limits = []
    for _ in range(100):
        now += 1
        rate.estimated(900_000)
        limits.append(rate.limit)
    assert limits[3] == 250_000
    assert limits[4] == 312_500
    assert limits[-1] == 3_000_000


def test_the_sender_has_our_encoder_and_follows_the_rate() -> None:
    async def main(loop) -> None:
        latest = LatestFrame(loop)
        async with connected(latest) as (publisher, receiver):
            latest.put(wire_frame(text(0)))
            sender = publisher._transceiver.sender
            encoder = sender._RTCRtpSender__encoder
            assert isinstance(encoder, ReadableVp8Encoder)
            for n in range(1, 40):
                latest.put(wire_frame(text(n * 9), n * 3000))
                await asyncio.sleep(0.02)
            encoder.target_bitrate = 300_000
            assert encoder.target_bitrate == 300_000
            latest.put(wire_frame(text(41), 41 * 3000))
            latest.put(wire_frame(text(42), 42 * 3000))
            await receiver.until(lambda: receiver.frames)
            await receiver.until(lambda: encoder._context.bit_rate == 300_000)

    run(main)


# ---- failures ------------------------------------------------------------------------------------


async def answered(source, change=lambda sdp: sdp) -> StreamCreateResponse:
    """What a server answers, without staying there to be connected to."""
    receiver = Receiver()
    created = await receiver.answer(source)
    await receiver.close()
    return StreamCreateResponse("s", webrtc=WebRTCAnswer(change(created.webrtc.sdp)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda sdp: "", "cannot be used"),
        (lambda sdp: "v=0\r\nnonsense", "cannot be used"),
        (lambda sdp: sdp.replace("m=video", "m=audio"), "cannot be used"),
        (lambda sdp: re.sub("a=ice-pwd.*\r\n", "", sdp), "cannot be used"),
        (lambda sdp: sdp.replace("VP8", "VP9").replace("H264", "H265"), "cannot be used"),
        (lambda sdp: sdp.replace("a=recvonly", "a=inactive"), "takes no video"),
    ],
)
def test_an_answer_that_cannot_be_used(change, message: str) -> None:
    async def main(loop) -> None:
        publisher = WebRTCPublisher(LatestFrame(loop), loopback=True)
        created = await answered(await publisher.offer(), change)
        with pytest.raises(ServerError, match=message):
            await publisher.connect(created)
        await publisher.close()

    run(main)


def test_an_answer_without_webrtc() -> None:
    async def main(loop) -> None:
        publisher = WebRTCPublisher(LatestFrame(loop), loopback=True)
        await publisher.offer()
        with pytest.raises(ServerError, match="without a WebRTC description"):
            await publisher.connect(StreamCreateResponse("s"))
        await publisher.close()

    run(main)


def test_a_server_that_cannot_be_reached() -> None:
    async def main(loop) -> None:
        publisher = WebRTCPublisher(LatestFrame(loop), loopback=True, timeout=0.5)
        created = await answered(await publisher.offer())
        began = loop.time()
        with pytest.raises(NetworkError) as caught:
            await publisher.connect(created)
        assert loop.time() - began < 1
        assert re.search(
            r"after 0\.\d s: tried \d address(es)? \(\d host\) here with \d address(es)? "
            r"\(\d host\) there; .* UDP",
            str(caught.value),
        )
        began = loop.time()
        await publisher.close()
        assert loop.time() - began < 1

    run(main)


def test_a_server_without_addresses() -> None:
    async def main(loop) -> None:
        publisher = WebRTCPublisher(LatestFrame(loop), loopback=True, timeout=0.3)
        created = await answered(
            await publisher.offer(), lambda sdp: re.sub("a=candidate.*\r\n", "", sdp)
        )
        with pytest.raises(NetworkError, match="named no address"):
            await publisher.connect(created)
        await publisher.close()

    run(main)


def test_a_lost_connection_is_told() -> None:
    async def main(loop) -> None:
        async with connected(LatestFrame(loop)) as (publisher, receiver):
            lost = asyncio.create_task(publisher.wait_lost())
            await asyncio.sleep(0.1)
            assert not lost.done()
            await receiver.close()
            assert await asyncio.wait_for(lost, 60) == "the server closed the media connection"

    run(main)


def test_closing_is_told_too() -> None:
    async def main(loop) -> None:
        async with connected(LatestFrame(loop)) as (publisher, _):
            lost = asyncio.create_task(publisher.wait_lost())
            await asyncio.sleep(0)
            await publisher.close()
            await publisher.close()
            assert await asyncio.wait_for(lost, 60) == "the media connection was closed"

    run(main)


# ---- nothing is left -----------------------------------------------------------------------------


PROC = Path("/proc/self/fd")


def sockets() -> int:
    found = 0
    for fd in PROC.iterdir():
        try:
            found += str(fd.readlink()).startswith("socket:")
        except OSError:
            continue
    return found


async def settled(loop, before: tuple[int, set]) -> None:
    """Waits until tasks and sockets are those of before."""
    end = time.monotonic() + 60
    while True:
        gc.collect()
        tasks = asyncio.all_tasks() - before[1]
        if not tasks and sockets() <= before[0]:
            return
        assert time.monotonic() < end, f"left: {tasks}, {sockets() - before[0]} sockets"
        await asyncio.sleep(0.02)


linux = pytest.mark.skipif(not PROC.is_dir(), reason="counts sockets in /proc")


@linux
def test_twenty_connections_leave_nothing() -> None:
    async def main(loop) -> None:
        problems: list = []
        loop.set_exception_handler(lambda _, context: problems.append(context))
        before = sockets(), asyncio.all_tasks()
        threads = set(threading.enumerate())
        for n in range(20):
            latest = LatestFrame(loop)
            async with connected(latest) as (publisher, _):
                latest.put(wire_frame(solid((n, n, n), 64, 48)))
                await asyncio.sleep(0.01)
                began = loop.time()
                await publisher.close()
                assert loop.time() - began < 1
        await settled(loop, before)
        assert not problems
        extra = [t.name for t in threading.enumerate() if t not in threads]
        assert all(name.startswith("asyncio_") for name in extra), extra

    run(main)


@linux
@pytest.mark.parametrize("after", [0, 0.002, 0.01, 0.03, 0.06, 0.1, 0.3])
@pytest.mark.parametrize("there", [True, False])
def test_giving_up_half_way_leaves_nothing(after: float, there: bool) -> None:
    async def main(loop) -> None:
        problems: list = []
        loop.set_exception_handler(lambda _, context: problems.append(context))
        before = sockets(), asyncio.all_tasks()
        publisher, receiver = WebRTCPublisher(LatestFrame(loop), loopback=True), Receiver()

        answers: list[asyncio.Future] = []

        async def work() -> None:
            source = await publisher.offer()
            answering = receiver.answer(source) if there else answered(source)
            answers.append(asyncio.ensure_future(answering))
            created = await asyncio.shield(answers[0])
            await publisher.connect(created)

        task = asyncio.create_task(work())
        await asyncio.sleep(after)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await publisher.close()
        await asyncio.gather(*answers)
        await receiver.close()
        await settled(loop, before)
        assert not problems

    run(main)


@linux
def test_a_handshake_that_ends_well_after_closing_starts_nothing() -> None:
    async def main(loop) -> None:
        before = sockets(), asyncio.all_tasks()
        publisher, receiver = WebRTCPublisher(LatestFrame(loop), loopback=True), Receiver()
        created = await receiver.answer(await publisher.offer())
        dtls = publisher._transceiver.sender.transport
        stop = dtls.transport.stop

        async def stop_once_connected() -> None:
            while dtls.state != "connected":
                await asyncio.sleep(0.002)
            await stop()

        dtls.transport.stop = stop_once_connected
        task = asyncio.create_task(publisher.connect(created))
        while dtls.state != "connecting":
            await asyncio.sleep(0)
        await publisher.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await receiver.close()
        await settled(loop, before)

    run(main)
