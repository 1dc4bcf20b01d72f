"""``Player``: the pictures of a recorded run on a screen, each at its time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from overshoot_nb.errors import SampleNotKeptError
from overshoot_nb.runtime.event_loop import start_thread
from overshoot_nb.sampling.preview import MAX_LATE_SECONDS, Preview, PreviewFrame
from overshoot_nb.store.journal import Journal
from overshoot_nb.types import EncodedFrame

logger = logging.getLogger("overshoot_nb")


class Player:
    """Plays samples once, from the first on, on a thread of its own. For any thread.

    Pictures are read from the store when they are due and somebody looks; what is late is left out.

    Args:
        samples: indices of what is played, in order.
        journal: when they were, their pictures and answers.
        preview: who looks on.
        on_end: called on the thread when all was played, not when it was stopped.
    """

    def __init__(
        self,
        samples: Sequence[int],
        journal: Journal,
        preview: Preview,
        on_end: Callable[[], object],
    ) -> None:
        self._samples = samples
        self._log = journal.log
        self._frames = journal.frames
        self._preview = preview
        self._on_end = on_end
        self._changed = threading.Condition()
        self._start = 0.0  # monotonic time of media time 0
        self._paused_at: float | None = None
        self._stopped = False
        self._newest = float("-inf")  # media time of the picture shown last
        self._row = -1  # of the answer about it, or about the last one that has an answer

    def start(self) -> None:
        """Begin with the first sample."""
        first = self._log[self._samples[0]].media_time if self._samples else 0.0
        self._start = time.monotonic() - first
        start_thread(self._play, "overshoot-player")

    def pause(self) -> None:
        """Stand still. Idempotent."""
        with self._changed:
            if self._paused_at is None:
                self._paused_at = time.monotonic()

    def resume(self) -> None:
        """Go on after :meth:`pause`. Idempotent."""
        with self._changed:
            if self._paused_at is not None:
                self._start += time.monotonic() - self._paused_at
                self._paused_at = None
                self._changed.notify_all()

    def stop(self) -> None:
        """Show nothing more. Idempotent."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    # ---- on its thread ----

    def _play(self) -> None:
        try:
            for index in self._samples:
                record = self._log[index]
                if not self._wait(record.media_time):
                    return
                if index == self._samples[-1] or not self._passed(record.media_time):
                    self._show(index, record.row)
                if record.row is not None:
                    self._row = record.row
        except Exception:
            logger.exception("a recording could not be played to its end")
        if not self._stopped:
            self._on_end()

    def _show(self, index: int, row: int | None) -> None:
        if not self._preview.active:
            return
        try:
            sample = self._frames[index].sample
        except SampleNotKeptError:
            return  # dropped, or damaged in the file: the picture before stays
        for frame in sample.frames:
            last = frame is sample.frames[-1]
            if frame.media_time <= self._newest or (not last and self._passed(frame.media_time)):
                continue  # clips share moments
            if sample.mode == "clip" and not self._wait(frame.media_time):
                return
            # A clip's earlier pictures stand in for what was between the samples.
            beside = self._row if row is None or not last else row
            self._offer(frame, index if last else None, beside)

    def _offer(self, frame: EncodedFrame, sample: int | None, row: int) -> None:
        def make() -> PreviewFrame:
            return PreviewFrame(
                frame.media_time, time.time(), frame.data, frame.width, frame.height, sample, row
            )

        if self._preview.offer(make):
            self._newest = frame.media_time

    def _passed(self, media_time: float) -> bool:
        return time.monotonic() - self._start - media_time > MAX_LATE_SECONDS

    def _wait(self, media_time: float) -> bool:
        """Block until a media time is due; False when it was stopped."""
        with self._changed:
            while not self._stopped:
                if self._paused_at is not None:
                    self._changed.wait()
                    continue
                left = self._start + media_time - time.monotonic()
                if left <= 0:
                    return True
                self._changed.wait(min(left, threading.TIMEOUT_MAX))
            return False
