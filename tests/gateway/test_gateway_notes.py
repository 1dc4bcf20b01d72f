"""What is said beside a stream's state, and by whom it is wiped."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from overshoot_nb.running.callbacks import CallbackQueue
from overshoot_nb.running.reception import Reception
from overshoot_nb.store.journal import Journal
from overshoot_nb.types import EncodedFrame, KeepaliveResponse, Sample


def test_a_keepalive_wipes_nothing_that_is_being_said():
    said = []

    async def main():
        loop = asyncio.get_running_loop()
        journal = Journal(None, 0)
        queue = CallbackQueue(None, loop, None)
        reception = Reception(journal, queue, on_result=None, on_error=None, say=said.append)
        charged = KeepaliveResponse("ok", "s", 45, credits_remaining_cents=98.0, cost_cents=2.0)
        reception.renewed(charged)
        assert said.pop() == "2.00 cents charged, 98.00 cents of credits left"
        reception.said("result channel lost, reconnecting in 2 s")
        reception.renewed(charged)
        assert said.pop() == "result channel lost, reconnecting in 2 s"
        frame = EncodedFrame(0.0, b"", 2, 2)
        reception.sampled(Sample(0, "frame", 0.0, datetime.now(UTC), (frame,)))
        assert said.pop() == "2.00 cents charged, 98.00 cents of credits left"
        stats = journal.counters.snapshot()
        assert (stats.cost_cents, stats.credits_remaining_cents) == (2.0, 98.0)
        reception.begin_run()
        reception.renewed(KeepaliveResponse("ok", "s2", 45, cost_cents=1.5))
        assert journal.counters.snapshot().cost_cents == 3.5

    asyncio.run(main())
