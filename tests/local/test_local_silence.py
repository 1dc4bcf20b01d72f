"""Connections that say nothing, or not enough: each has an end, and others are served."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import threading
import time

import pytest
from asking import question
from PIL import Image

from overshoot_nb.local.http_protocol import ConnectionLimits
from overshoot_nb.local.serving import make_server

from gatewayserver import Client
from waiting import eventually

GET = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer k\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
)
PLENTY = 60


@contextlib.contextmanager
def serving(engine, **limits):
    """The port of a server, and its connections."""
    made = make_server(port=0, engine=engine, limits=ConnectionLimits(**limits))
    server, listener, _, _ = made
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1], server.server_state.connections
    finally:
        server.should_exit = True
        thread.join(PLENTY)
        assert not thread.is_alive()
        listener.close()


async def connect(port):
    return await asyncio.open_connection("127.0.0.1", port)


async def rest(reader):
    """What comes until the connection is closed, in whatever way."""
    got = b""
    async with asyncio.timeout(PLENTY):
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65536):
                got += piece
    return got


async def answered(port, request=GET):
    """The first line of an answer to another client."""
    reader, writer = await connect(port)
    writer.write(request)
    line = await asyncio.wait_for(reader.readline(), PLENTY)
    writer.close()
    return line


async def trickle(writer, pieces):
    """Send a letter now and then until the other side has enough."""
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (b"", b""),
        (b"G", b"408"),
        (GET[:-2], b"408"),
        (HEAD % 100, b"408"),
        (HEAD % 100 + b"{", b"408"),
        (HEAD.replace(b"Content-Length: %d", b"Transfer-Encoding: chunked") + b"5\r\n{", b"408"),
        (b"\x16\x03\x01\x02", b""),
    ],
)
def test_half_a_request_ends(shared_engine, said, says):
    async def run(port):
        reader, writer = await connect(port)
        writer.write(said)
        assert b" 200 " in await answered(port)
        got = await rest(reader)
        writer.close()
        return got

    with serving(shared_engine, head_seconds=0.3, body_seconds=0.3) as (port, connections):
        got = asyncio.run(run(port))
        assert says in got.partition(b"\r\n")[0]
        if b"{" in said:
            assert b"the request's body did not come within 0.3 s" in got
        assert eventually(lambda: not connections)


@pytest.mark.parametrize("part", ["head", "body", "after an answer", "after a refusal"])
def test_a_letter_now_and_then_is_not_enough(shared_engine, part):
    """The limit is of the whole: each letter would be in time."""
    letters = [b"x"] * 3000
    begun, more = {
        "head": (b"", [b"GET /", *letters]),
        "body": (HEAD % 5000, letters),
        "after an answer": (GET, [b"GET /", *letters]),
        "after a refusal": ((HEAD % 5000).replace(b"Bearer k", b""), letters),
    }[part]

    async def run(port):
        reader, writer = await connect(port)
        writer.write(begun)
        sending = asyncio.create_task(trickle(writer, more))
        got = await rest(reader)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()
        return got

    with serving(shared_engine, head_seconds=0.4, body_seconds=0.4) as (port, connections):
        began = time.monotonic()
        got = asyncio.run(run(port))
        assert time.monotonic() - began < PLENTY / 2
        assert {"after an answer": b" 200 ", "after a refusal": b" 401 "}.get(part, b"408") in got
        assert eventually(lambda: not connections)


def test_a_slow_request_that_is_whole_in_time_is_answered(shared_engine):
    body = json.dumps(question("How bright?", Image.new("RGB", (64, 64)))).encode()
    request = HEAD % len(body) + body
    pieces = [request[at : at + 97] for at in range(0, len(request), 97)]

    async def run(port):
        reader, writer = await connect(port)
        for _ in range(2):  # and again over the same connection
            await trickle(writer, pieces)
            assert await read_answer(reader) == 200
        writer.close()

    with serving(shared_engine, head_seconds=30, body_seconds=30) as (port, _):
        asyncio.run(run(port))


async def read_answer(reader):
    """The status of an answer, which is read to its end."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PLENTY)
    lines = head.lower().split(b"\r\n")
    (length,) = [int(line.split()[1]) for line in lines if line.startswith(b"content-length")]
    await reader.readexactly(length)
    return int(head.split()[1])


def test_an_answer_may_take_longer_than_a_request_may(shared_engine):
    hold = threading.Event()
    body = json.dumps(question("How bright?", Image.new("RGB", (64, 64)))).encode()

    async def run(port):
        reader, writer = await connect(port)
        writer.write(HEAD % len(body) + body)
        await asyncio.sleep(0.5)
        hold.set()
        status = await read_answer(reader)
        writer.close()
        return status

    with serving(shared_engine, head_seconds=0.1, body_seconds=0.1) as (port, _):
        shared_engine._submit(lambda: hold.wait(PLENTY), "requests")
        assert asyncio.run(run(port)) == 200


# ---- too many of them --------------------------------------------------------------------------


async def websocket(port):
    """A WebSocket that says nothing after its handshake."""
    reader, writer = await connect(port)
    key = base64.b64encode(os.urandom(16))
    writer.write(
        b"GET /v0.2/ws/streams/any HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % key
    )
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PLENTY)
    assert b" 101 " in head
    return reader, writer


async def half(port):
    reader, writer = await connect(port)
    writer.write(HEAD % 100 + b"{")
    return reader, writer


@pytest.mark.parametrize("opened", [connect, half, websocket])
def test_of_too_many_silent_connections_the_oldest_goes_and_others_are_served(
    shared_engine, opened
):
    async def run(port, connections):
        silent = []
        for _ in range(30):
            silent.append(await opened(port))
            await answered(port)  # it was taken by then
            assert len(connections) <= 8 + 2
        for reader, _ in silent[:20]:
            assert b"408" not in await rest(reader)
        assert b" 200 " in await answered(port)
        assert not silent[-1][0].at_eof()
        for _, writer in silent:
            writer.close()

    with serving(shared_engine, silent=8) as (port, connections):
        asyncio.run(run(port, connections))


def test_what_has_spoken_is_not_silent(shared_engine):
    """A request that is being worked on, and a listener, stay however many come after them."""
    hold = threading.Event()
    body = json.dumps(question("How bright?", Image.new("RGB", (64, 64)))).encode()

    async def run(port):
        reader, writer = await connect(port)
        writer.write(HEAD % len(body) + body)
        async with asyncio.timeout(PLENTY):
            while shared_engine.pending < 2:
                await asyncio.sleep(0.01)
        others = [await connect(port) for _ in range(20)]
        assert b" 200 " in await answered(port)
        hold.set()
        status = await read_answer(reader)
        for _, other in (*others, (reader, writer)):
            other.close()
        return status

    with serving(shared_engine, silent=4) as (port, _):
        shared_engine._submit(lambda: hold.wait(PLENTY), "requests")
        assert asyncio.run(run(port)) == 200


def test_a_listener_that_has_said_its_key_stays(shared_engine):
    body = {
        "processing": {"interval_seconds": 1},
        "inference": {"prompt": "How bright?", "model": "local/scene"},
    }

    async def run(port):
        async with Client(f"http://127.0.0.1:{port}") as client:
            _, created = await client.call("POST", "/streams", body)
            stream = created["stream_id"]
            async with client.listening(stream) as results:
                # What it said has come when something after it was answered.
                await results.socket.ping()
                others = [await websocket(port) for _ in range(20)]
                await client.call("DELETE", f"/streams/{stream}")
                end = await results.end()
            for _, other in others:
                other.close()
            return end

    with serving(shared_engine, silent=4) as (port, _):
        assert asyncio.run(run(port)) == (1001, "client_requested")
