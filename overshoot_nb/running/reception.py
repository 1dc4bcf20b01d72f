"""``Reception``: what a stream's session tells it goes into the journal and to the callbacks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from overshoot_nb.errors import OvershootError
from overshoot_nb.store.journal import Journal
from overshoot_nb.store.stats import Reconnected
from overshoot_nb.types import KeepaliveResponse, Sample, StreamInferenceResult

from .callbacks import CallbackQueue

ResultCallback = Callable[[StreamInferenceResult], object]
ErrorCallback = Callable[[Exception], object]


class Reception:
    """A stream's :class:`~overshoot_nb.running.session.Sink`, through all its runs.

    Args:
        journal: where everything is kept.
        callbacks: the queue of the user's callbacks.
        on_result, on_error: these.
        say: shows a note beside the stream's state; "" for none.
    """

    def __init__(
        self,
        journal: Journal,
        callbacks: CallbackQueue,
        *,
        on_result: ResultCallback | None,
        on_error: ErrorCallback | None,
        say: Callable[[str], None],
    ) -> None:
        self._journal = journal
        self._callbacks = callbacks
        self._on_result = on_result
        self._on_error = on_error
        self._say = say
        self._standing = ""  # what is said while there is nothing else to say
        self._passing = False  # whether something else is being said
        self._changed = asyncio.Event()

    # ---- from the session ----

    def sampled(self, sample: Sample) -> None:
        """A sample was taken, so whatever was wrong with the source is over."""
        self._passing = False
        self._say(self._standing)
        self._journal.sampled(sample)

    def sent(self, sample: Sample) -> None:
        """Its request is under way."""
        self._journal.sent()

    def missed(self, index: int, media_time: float, reason: str) -> None:
        """A chosen moment gave no sample."""
        self._journal.missed(index, media_time, reason)

    def dropped(self, sample: Sample, reason: str, *, sent: bool = False) -> None:
        """A sample will not be answered."""
        self._journal.dropped(sample.index, reason, sent=sent)

    def answered(self, result: StreamInferenceResult, error: OvershootError | None) -> None:
        """A sample has its row."""
        self._journal.answered(result)
        self.wake()
        if error is None:
            if self._on_result is not None:
                self._callbacks.put(self._on_result, result)
        elif self._on_error is not None:
            self._callbacks.put(self._on_error, error)

    def said(self, note: str) -> None:
        """Something happens that the user should see, e.g. a reconnection; "" when it is over."""
        self._passing = bool(note)
        self._say(note or self._standing)
        self._journal.touch()

    def held(self, note: str) -> None:
        """Nothing is asked for a while, whatever else happens; "" when it is asked again."""
        self._standing = note
        if not self._passing:
            self.said("")

    def renewed(self, answer: KeepaliveResponse) -> None:
        """The server's ledger, with a lease that it renewed."""
        self._journal.counters.charged(
            answer.cost_cents, answer.seconds_charged, answer.credits_remaining_cents
        )
        self._standing = _ledger(answer)
        if not self._passing:
            self.said("")

    def reconnected(self, cause: Reconnected = "result channel") -> None:
        """A connection was lost and is there again."""
        self._journal.counters.reconnected(cause)
        self._journal.touch()

    # ---- for those who wait ----

    def wake(self) -> None:
        """Let those look who wait for :meth:`change`."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self) -> None:
        """Wait for the next row, or the end."""
        await self._changed.wait()

    def failed(self, error: Exception) -> bool:
        """The stream failed; False where nobody wants to be called about it."""
        if self._on_error is None:
            return False
        self._callbacks.put(self._on_error, error)
        return True

    def begin_run(self) -> None:
        """Another run: its costs come on top of those before it."""
        self._standing, self._passing = "", False
        self._journal.counters.begin_run()


def _ledger(answer: KeepaliveResponse) -> str:
    said = []
    if answer.cost_cents:
        said.append(f"{answer.cost_cents:.2f} cents charged")
    if answer.credits_remaining_cents is not None:
        said.append(f"{answer.credits_remaining_cents:.2f} cents of credits left")
    return ", ".join(said)
