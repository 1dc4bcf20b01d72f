"""Results on their way to listeners, and the pictures kept for them."""

from __future__ import annotations

import asyncio
import threading

import pytest

from overshoot_nb.local import result_feed
from overshoot_nb.local.clips import ClipStore
from overshoot_nb.local.refusals import FeedOver
from overshoot_nb.local.result_feed import ResultFeed


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


async def all_of(listener):
    """What waits for it now."""
    found = []
    while True:
        try:
            found.append(await asyncio.wait_for(listener.next(), 0.02))
        except TimeoutError:
            return found


def test_a_new_listener_gets_what_is_kept():
    async def run():
        clock = Clock()
        feed = ResultFeed(clock)
        for number in range(300):
            clock.now = number * 0.01
            feed.publish(str(number).encode())
        everything = await all_of(feed.listen())
        assert everything == [str(n) for n in range(300 - result_feed.KEPT_RESULTS, 300)]
        clock.now = 61.5
        assert await all_of(feed.listen()) == [str(n) for n in range(150, 300)]
        clock.now = 100
        assert await all_of(feed.listen()) == []

    asyncio.run(run())


def test_what_is_kept_is_bounded_in_bytes(monkeypatch):
    monkeypatch.setattr(result_feed, "KEPT_BYTES", 1000)

    async def run():
        feed = ResultFeed()
        for _ in range(20):
            feed.publish(b"x" * 300)
        return len(await all_of(feed.listen()))

    assert asyncio.run(run()) == 3


def test_what_is_kept_and_waits_is_counted_in_bytes(monkeypatch):
    monkeypatch.setattr(result_feed, "KEPT_BYTES", 1000)
    monkeypatch.setattr(result_feed, "WAITING_BYTES", 2000)

    async def run():
        feed = ResultFeed()
        slow = feed.listen()
        for _ in range(7):
            feed.publish(("漢" * 100).encode())  # of three bytes
        with pytest.raises(FeedOver, match="too slow"):
            await slow.next()
        return len(await all_of(feed.listen()))

    assert asyncio.run(run()) == 3


def test_every_listener_gets_each_result_once_in_order_from_other_threads():
    async def run():
        feed = ResultFeed()

        def publish():
            for number in range(200):
                feed.publish(str(number).encode())

        early = feed.listen()
        publisher = threading.Thread(target=publish)
        publisher.start()
        late = feed.listen()
        wanted = [str(number) for number in range(200)]
        assert [await early.next() for _ in range(200)] == wanted
        assert [await late.next() for _ in range(200)] == wanted
        publisher.join()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("results", "size"),
    [(result_feed.WAITING_RESULTS + 1, 1), (9, 1024 * 1024)],
)
def test_a_listener_that_does_not_keep_up_is_dropped(results, size):
    async def run():
        feed = ResultFeed()
        slow = feed.listen()
        for _ in range(results):
            feed.publish(b"x" * size)
        with pytest.raises(FeedOver) as over:
            await asyncio.wait_for(slow.wait_overrun(), 60)
        assert (over.value.code, over.value.reason) == (1013, "too slow")
        with pytest.raises(FeedOver):
            await slow.next()
        assert not feed._listeners
        # It may come back.
        assert await feed.listen().next() == "x" * size

    asyncio.run(run())


def test_one_result_that_is_larger_than_the_bound_still_comes(monkeypatch):
    monkeypatch.setattr(result_feed, "WAITING_BYTES", 10)

    async def run():
        feed = ResultFeed()
        listener = feed.listen()
        feed.publish(b"x" * 100)
        return await listener.next()

    assert asyncio.run(run()) == "x" * 100


def test_the_end_comes_after_what_waits():
    async def run():
        feed = ResultFeed()
        listener = feed.listen()
        feed.publish(b"last")
        feed.end("lease_expired")
        feed.end("client_requested")
        feed.publish(b"too late")
        assert await listener.next() == "last"
        with pytest.raises(FeedOver) as over:
            await listener.next()
        assert (over.value.code, over.value.reason) == (1001, "lease_expired")
        with pytest.raises(FeedOver, match="lease_expired"):
            feed.listen()

    asyncio.run(run())


def test_listeners_are_counted(monkeypatch):
    monkeypatch.setattr(result_feed, "MAX_LISTENERS", 2)

    async def run():
        feed = ResultFeed()
        first, _ = feed.listen(), feed.listen()
        with pytest.raises(FeedOver) as refused:
            feed.listen()
        assert refused.value.code == 1013
        first.close()
        first.close()
        feed.listen()

    asyncio.run(run())


def test_a_listener_whose_loop_is_gone_is_forgotten():
    feed = ResultFeed()

    async def leave():
        feed.listen()

    asyncio.run(leave())
    feed.publish(b"x")
    assert not feed._listeners
    feed.end("client_requested")


def test_clips_are_bounded_and_belong_to_a_key():
    store = ClipStore(max_clips=3, max_bytes=100)
    for number in range(4):
        store.add(str(number), "me", [b"x" * 10])
    assert store.get("0", "me") is None
    assert store.get("3", "me") == (b"x" * 10,)
    assert store.get("3", "you") is None
    store.add("large", "me", [b"x" * 50, b"y" * 40])
    assert [number for number in "123" if store.get(number, "me")] == ["3"]
    store.add("too large", "me", [b"x" * 101])
    assert store.get("too large", "me") is None
    store.clear()
    assert store.get("large", "me") is None


def test_a_picture_that_a_clip_has_several_times_counts_once():
    store = ClipStore(max_bytes=100)
    jpeg = b"x" * 30
    for number in range(3):
        store.add(str(number), "me", [jpeg] * 6)
    assert [number for number in "012" if store.get(number, "me")] == ["0", "1", "2"]
    assert store.get("0", "me") == (jpeg,) * 6
    store.add("3", "me", [b"y" * 30])
    assert store.get("0", "me") is None
