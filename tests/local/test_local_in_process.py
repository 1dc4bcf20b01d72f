"""The WebSocket adapter, before apps that behave in all the ways an app can."""

from __future__ import annotations

import asyncio

import pytest

from overshoot_nb.asking.socket import SocketClosed
from overshoot_nb.local import in_process
from overshoot_nb.local.in_process import InProcessSocket


def run(app, use):
    """What ``use`` makes of an open socket; nothing of it is left afterwards."""

    async def play():
        opened = InProcessSocket(app, "/x")
        try:
            await opened.open()
            return await use(opened)
        finally:
            await opened.close()
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}

    return asyncio.run(play())


async def nothing(opened):
    """Only opens it."""


def test_text_goes_both_ways_and_the_close_comes_last():
    async def app(scope, receive, send):
        assert (scope["type"], scope["path"]) == ("websocket", "/x")
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        said = (await receive())["text"]
        for number in range(3):
            await send({"type": "websocket.send", "text": f"{said} {number}"})
        await send({"type": "websocket.close", "code": 4001, "reason": "enough"})
        assert (await receive())["type"] == "websocket.disconnect"

    async def use(opened):
        await opened.send("hello")
        heard = [await opened.receive() for _ in range(3)]
        for _ in range(2):
            with pytest.raises(SocketClosed) as closed:
                await opened.receive()
        with pytest.raises(SocketClosed):
            await opened.send("too late")
        return heard, closed.value.code, closed.value.reason

    assert run(app, use) == (["hello 0", "hello 1", "hello 2"], 4001, "enough")


def test_an_app_that_sends_faster_than_is_read_waits():
    sent = []

    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        for number in range(1000):
            await send({"type": "websocket.send", "text": str(number)})
            sent.append(number)

    async def use(opened):
        await asyncio.sleep(0.05)
        assert len(sent) == in_process.MAX_WAITING
        heard = [await opened.receive() for _ in range(100)]
        assert heard == [str(number) for number in range(100)]
        await asyncio.sleep(0.05)
        assert len(sent) == in_process.MAX_WAITING + 100

    run(app, use)
    assert len(sent) == in_process.MAX_WAITING + 100  # closing freed the app


def test_an_app_that_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr(in_process, "CLOSE_SECONDS", 0.05)
    ended = []

    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    run(app, nothing)
    assert ended


def test_an_app_that_fails_is_a_close_and_a_line_in_the_log(caplog):
    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})
        raise ZeroDivisionError

    async def use(opened):
        with pytest.raises(SocketClosed) as closed:
            await opened.receive()
        return closed.value.code

    assert run(app, use) == 1011
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "websocket.close"}, 1008),
        ({"type": "websocket.close", "code": 4003, "reason": "not you"}, 4003),
    ],
)
def test_an_app_that_does_not_want_the_connection(message, code):
    async def app(scope, receive, send):
        await send(message)

    with pytest.raises(SocketClosed) as denied:
        run(app, nothing)
    assert denied.value.code == code


def test_an_app_that_ends_without_a_word_is_a_broken_connection():
    async def app(scope, receive, send):
        pass

    with pytest.raises(SocketClosed) as broken:
        run(app, nothing)
    assert broken.value.code == 1006
