"""The bounded place for samples between a thread and the loop."""

import asyncio
import threading
import time
from datetime import UTC, datetime

from overshoot_nb.running.handoff import Handoff
from overshoot_nb.types import Sample


def sample(index: int) -> Sample:
    return Sample(index, "frame", index / 2, datetime.now(UTC), ())


def test_in_real_time_the_newest_sample_replaces_the_waiting_one():
    async def main():
        handoff = Handoff(asyncio.get_running_loop(), newest_wins=True)
        assert handoff.put(sample(0)) is None
        assert handoff.put(sample(1)).index == 0
        assert handoff.put(sample(2)).index == 1
        assert len(handoff) == 1
        assert (await handoff.get()).index == 2
        handoff.finish()
        assert await handoff.get() is None

    asyncio.run(main())


def test_otherwise_the_thread_waits_for_room_and_nothing_is_lost():
    async def main():
        handoff = Handoff(asyncio.get_running_loop(), newest_wins=False, capacity=2)
        waiting_at_most = []

        def produce():
            for index in range(20):
                assert handoff.put(sample(index)) is None
                waiting_at_most.append(len(handoff))
            handoff.finish()

        thread = threading.Thread(target=produce)
        thread.start()
        taken = []
        while (one := await handoff.get()) is not None:
            taken.append(one.index)
            await asyncio.sleep(0.001)
        thread.join(60)
        assert taken == list(range(20))
        assert max(waiting_at_most) <= 2

    asyncio.run(main())


def test_a_waiting_get_is_woken_from_the_thread():
    async def main():
        handoff = Handoff(asyncio.get_running_loop(), newest_wins=True)
        getting = asyncio.create_task(handoff.get())
        await asyncio.sleep(0.02)
        threading.Thread(target=handoff.put, args=(sample(7),)).start()
        assert (await asyncio.wait_for(getting, 60)).index == 7

    asyncio.run(main())


def test_abandoning_gives_back_what_waited_and_lets_the_thread_go():
    async def main():
        handoff = Handoff(asyncio.get_running_loop(), newest_wins=False, capacity=1)
        handoff.put(sample(0))
        outcome = []
        thread = threading.Thread(target=lambda: outcome.append(handoff.put(sample(1))))
        thread.start()
        time.sleep(0.05)
        assert thread.is_alive()
        assert [s.index for s in handoff.abandon()] == [0]
        thread.join(60)
        assert not thread.is_alive()
        assert outcome[0].index == 1  # the caller must count it
        assert await handoff.get() is None

    asyncio.run(main())
