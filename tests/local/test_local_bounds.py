"""What one request may ask of the engine: pixels, frames, seconds; and only while it is wanted."""

from __future__ import annotations

import asyncio
import base64
import io
import struct
import threading
import time
import zlib
from fractions import Fraction

import av
import numpy as np
import orjson
import pytest
from asking import call, chat_error, content, data_url, fields, obj, question
from PIL import Image

from overshoot_nb import config
from overshoot_nb.local.answering import Question
from overshoot_nb.local.engine import ClientGone, Engine
from overshoot_nb.local.pictures import Attachment, decode
from overshoot_nb.local.reading import Reader
from overshoot_nb.local.refusals import ChatRefusal
from overshoot_nb.local.serving import make_server
from overshoot_nb.local.work import Work, go_on

from waiting import eventually

COUNT = obj(frame_count={"type": "integer"})


def ask(*urls, kind="image_url", prompt="How bright is it?", **more):
    body = question(prompt, **more)
    body["messages"][0]["content"] += [{"type": kind, kind: {"url": url}} for url in urls]
    return call("POST", "/chat/completions", json=body)


def refused(response, status=413):
    assert response.status_code == status, response.text
    return chat_error(response)["message"]


def png(width, height, rows=0):
    """A black PNG, grey, of which only so many rows are there."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    data = zlib.compress(bytes((width + 1) * rows))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    file = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(file).decode()


def mp4(count, size=(64, 48), *, step=1, encoder="libx264", movflags="", rate=10):
    """A video with a frame every ``step`` ticks, of which a second has ``rate``."""
    buffer = io.BytesIO()
    options = {"movflags": movflags} if movflags else {"video_track_timescale": str(rate)}
    with av.open(buffer, "w", format="mp4", options=options) as container:
        stream = container.add_stream(encoder, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
        stream.time_base = Fraction(1, rate)
        stream.options = {"preset": "ultrafast", "bf": "0"} if encoder == "libx264" else {}
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(
                np.full((size[1], size[0], 3), number % 200, np.uint8), format="rgb24"
            )
            frame.pts, frame.time_base = number * step, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def video_url(data):
    return "data:video/mp4;base64," + base64.b64encode(data).decode()


def watch(*videos):
    urls = (video_url(video) for video in videos)
    return ask(*urls, kind="video_url", prompt="x", schema=COUNT)


# ---- pictures ----------------------------------------------------------------------------------


def test_many_large_pictures_are_refused_by_what_their_headers_say():
    """Nothing of them is decoded: the files are cut off, which nobody notices."""
    message = refused(ask(*[png(6000, 6000)] * 64))
    assert message.startswith("messages.0.content.4: ")
    assert "140 megapixels together" in message


def test_each_picture_is_well_and_all_are_too_many():
    fine = png(5000, 5000, 5000)
    assert content(ask(fine, fine)).startswith("Brightness: 0.00")
    assert "140 megapixels" in refused(ask(*[fine] * 6))


def test_frames_of_videos_and_pictures_count_together(monkeypatch):
    monkeypatch.setattr(config, "ENGINE_PIXELS", 64 * 48 * 5)
    body = question("x", schema=COUNT)
    parts = [
        {"type": "image_url", "image_url": {"url": png(64, 48, 48)}},
        {"type": "video_url", "video_url": {"url": video_url(mp4(9))}},
    ]
    body["messages"][0]["content"] += parts
    answer = call("POST", "/chat/completions", json=body)
    assert fields(answer)["frame_count"] == 4  # of nine frames every third
    body["messages"][0]["content"] += [parts[0]] * 4
    assert "together" in refused(call("POST", "/chat/completions", json=body))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_an_animated_picture_the_first_counts(kind):
    buffer = io.BytesIO()
    shades = [Image.new("RGB", (64, 64), (v, v, v)) for v in (255, *range(50))]
    shades[0].save(buffer, kind, save_all=True, append_images=shades[1:], lossless=True)
    url = f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
    assert content(ask(url)).startswith("Brightness: 1.00")


@pytest.mark.parametrize("wrong", ["PNG", "GIF", "TIFF", "BMP"])
def test_a_picture_of_another_format_than_it_says_is_not_opened(wrong):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, wrong)
    said = "jpeg" if wrong == "PNG" else "png"
    url = f"data:image/{said};base64,{base64.b64encode(buffer.getvalue()).decode()}"
    assert "cannot be decoded" in refused(ask(url), 400)


def test_a_jpeg_with_a_thousand_scans_is_refused():
    """Each costs as much as the whole picture, and a few bytes."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "JPEG", progressive=True)
    jpeg = buffer.getvalue()
    last = jpeg.rindex(b"\xff\xda")
    many = jpeg[:last] + jpeg[last:-2] * 1000 + jpeg[-2:]
    url = "data:image/jpeg;base64," + base64.b64encode(many).decode()
    assert "100 scans" in refused(ask(url), 400)
    assert content(ask("data:image/jpeg;base64," + base64.b64encode(jpeg).decode()))


def test_pictures_that_lie_on_their_side_are_turned_and_grey_ones_are_rgb():
    turned = Image.new("L", (40, 20), 200)
    exif = turned.getexif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    turned.save(buffer, "JPEG", exif=exif)
    url = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
    (picture,) = decode([Attachment(url, "x", video=False)])
    assert picture.shape == (40, 20, 3)
    assert picture.dtype == np.uint8


# ---- videos ------------------------------------------------------------------------------------


@pytest.mark.parametrize("movflags", ["", "frag_keyframe+empty_moov"])
def test_frames_of_videos_have_a_bound_together(monkeypatch, movflags):
    """Also of those that say nothing of how many there are."""
    monkeypatch.setattr(config, "ENGINE_VIDEO_FRAMES", 20)
    fine = mp4(12, movflags=movflags)
    assert fields(watch(fine))["frame_count"] == 12
    assert "20 frames together" in refused(watch(fine, fine))
    assert "20 frames together" in refused(watch(mp4(21, movflags=movflags)))


@pytest.mark.parametrize("movflags", ["", "frag_keyframe+empty_moov"])
def test_pixels_of_videos_have_a_bound_together(monkeypatch, movflags):
    monkeypatch.setattr(config, "ENGINE_VIDEO_PIXELS", 10_000_000)
    message = refused(watch(mp4(12, (1280, 720), movflags=movflags)))
    assert "10 megapixels together" in message
    assert message.startswith("messages.0.content.1: ")


@pytest.mark.parametrize("movflags", ["", "frag_keyframe+empty_moov"])
def test_a_video_that_lasts_too_long_is_refused(movflags):
    assert fields(watch(mp4(3, step=2000, movflags=movflags)))["frame_count"] == 3
    assert "600 seconds together" in refused(watch(mp4(3, step=4000, movflags=movflags)))


def test_a_video_whose_clock_says_thirty_years_is_refused():
    data = mp4(2, step=1_000_000_000, rate=1)
    assert "600 seconds together" in refused(watch(data))


def test_a_long_video_in_a_few_bytes_is_refused_before_it_is_decoded():
    """What held the engine for minutes: many black frames, of which each is next to nothing."""
    began = time.monotonic()
    data = mp4(config.ENGINE_VIDEO_FRAMES + 1, (16, 16), rate=1000)
    encoded = time.monotonic()
    assert f"{config.ENGINE_VIDEO_FRAMES} frames" in refused(watch(data))
    assert time.monotonic() - encoded < max(60, encoded - began)


def test_a_header_that_promises_millions_of_frames_is_not_believed():
    """FFmpeg would take a gigabyte for a file of two kilobytes."""
    data = bytearray(mp4(10))
    sizes, chunks = data.index(b"stsz"), data.index(b"stsc")
    struct.pack_into(">II", data, sizes + 8, 1, 30_000_000)
    struct.pack_into(">I", data, chunks + 16, 30_000_000)
    assert "samples together" in refused(watch(bytes(data)))


def test_words_in_a_videos_title_are_no_tables():
    buffer = io.BytesIO(mp4(3))
    titled = io.BytesIO()
    with av.open(buffer) as source, av.open(titled, "w", format="mp4") as copy:
        copy.metadata["title"] = "truncated, truncated"
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    assert fields(watch(titled.getvalue()))["frame_count"] == 3


def test_frames_that_are_larger_than_the_header_says_are_refused(monkeypatch):
    monkeypatch.setattr(config, "ENGINE_PICTURE_PIXELS", 100_000)
    data = mp4(2, (640, 480), encoder="mjpeg")
    entry = data.index(b"mp4v")
    small = bytearray(data)
    struct.pack_into(">HH", small, entry + 4 + 24, 16, 16)
    message = refused(watch(bytes(small)), 400)
    assert "pixels are more than" in message or "cannot be decoded" in message
    assert "pixels are more than" in refused(watch(data), 400)


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_a_video_that_is_cut_off_is_answered_or_refused(cut):
    data = mp4(30, movflags="frag_keyframe+empty_moov")
    assert watch(data[: int(len(data) * cut)]).status_code in (200, 400)


# ---- texts, and the time of one request --------------------------------------------------------


def test_texts_have_a_bound_together():
    long = "read " * 150_000
    body = question(long)
    body["messages"].insert(0, {"role": "system", "content": long})
    response = call("POST", "/chat/completions", json=body)
    assert response.status_code == 413
    assert "1000000 letters" in response.json()["message"]


def test_a_request_that_takes_too_long_is_given_up_and_the_next_one_answered():
    engine = Engine(max_seconds=0.2)
    black = png(64, 64, 64)
    started = threading.Event()

    def slow():
        started.set()
        while True:
            go_on()
            time.sleep(0.01)

    async def run():
        with pytest.raises(ChatRefusal) as error:
            await engine.ask(slow)
        quick = Question("local/scene", "How bright?"), [Attachment(black, "x", video=False)]
        return error.value, await engine.ask(lambda: quick)

    error, answer = asyncio.run(asyncio.wait_for(run(), 60))
    engine.close()
    assert (error.status, error.code) == (413, "request_too_large")
    assert "longer than 0.2 s" in error.message
    assert answer.content.startswith("Brightness")


def test_a_video_is_given_up_in_the_middle():
    work = Work(0.0)
    with work.begun(), pytest.raises(ChatRefusal, match="longer than 0 s"):
        decode([Attachment(video_url(mp4(3)), "x", video=True)])


class Boxes:
    boxes = [((0, 0), (9, 0), (9, 9), (0, 9))] * 6000


@pytest.fixture
def slow_reading(monkeypatch):
    """An engine that reads a page for minutes, and the event of its beginning."""
    reading = threading.Event()

    def slowly(_reader, _crop):
        reading.set()
        time.sleep(0.01)
        return "x", 1.0

    monkeypatch.setattr(Reader, "_recognise", slowly)
    monkeypatch.setattr("overshoot_nb.local.reading._upright", lambda picture, _corners: picture)
    engine = Engine(max_seconds=600)
    engine._load()._ocr = lambda *_, **__: Boxes()
    yield engine, reading
    engine.close()


BODY = question("Read", Image.new("RGB", (64, 64)))


def test_work_ends_when_an_in_process_caller_cancels(slow_reading):
    engine, reading = slow_reading
    picture = np.zeros((64, 64, 3), np.uint8)

    async def run():
        def parse():
            return Question("local/read", "Read"), [picture]

        asked = [asyncio.create_task(engine.ask(parse)) for _ in range(3)]
        await asyncio.to_thread(reading.wait, 60)
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)

    asyncio.run(run())
    assert eventually(lambda: engine.pending == 0 and engine._running is None)


def test_work_ends_when_the_client_says_that_it_is_gone(slow_reading):
    engine, reading = slow_reading

    async def run():
        def parse():
            return Question("local/read", "Read"), [np.zeros((64, 64, 3), np.uint8)]

        async def gone():
            await asyncio.to_thread(reading.wait, 60)

        with pytest.raises(ClientGone):
            await engine.ask(parse, gone)

    asyncio.run(run())
    assert eventually(lambda: engine.pending == 0 and engine._running is None)


def test_work_ends_and_the_queue_is_left_when_clients_close_their_connections(slow_reading):
    engine, reading = slow_reading
    server, listener, url, _ = make_server(port=0, engine=engine)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    host, _, port = url.removeprefix("http://").partition(":")
    body = orjson.dumps(BODY)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer k\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()

    async def run():
        clients = []
        for count in range(1, 5):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(head + body)
            clients.append(writer)
            async with asyncio.timeout(60):
                while engine.pending < count:
                    await asyncio.sleep(0.005)
        await asyncio.to_thread(reading.wait, 60)
        # Those that wait leave the queue with all that they hold, while the first is worked on.
        for writer in clients[1:]:
            writer.close()
        async with asyncio.timeout(60):
            while engine.pending > 1:
                await asyncio.sleep(0.005)
        waiting = len(engine._lanes["requests"])
        clients[0].close()
        return waiting

    try:
        assert asyncio.run(run()) == 0
        assert eventually(lambda: engine.pending == 0 and engine._running is None)
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def test_a_small_question_is_answered_as_before():
    assert content(ask(data_url(Image.new("RGB", (64, 64))))).startswith("Brightness: 0.00")
