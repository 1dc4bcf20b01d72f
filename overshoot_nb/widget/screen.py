"""The pictures of a stream on their way to the pages."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from overshoot_nb.sampling.preview import PreviewFrame

from .message_values import Row
from .messages import Picture
from .rows import row_of

if TYPE_CHECKING:
    from overshoot_nb.running.run import Run

    from .kernel_link import KernelLink
    from .pages import Pages


class Screen:
    """A viewer of a stream's preview that sends what it is shown, as fast as pages take it."""

    def __init__(self, run: Run, link: KernelLink, pages: Pages) -> None:
        self._run = run
        self._link = link
        self._pages = pages
        self._newest: PreviewFrame | None = None
        # Read here, where it may be on disk: whoever makes a widget can wait, streams cannot.
        self._kept_index = run.frames.latest_index
        self._kept = run.frames.latest

    @property
    def media_time(self) -> float:
        """Where the video is, in seconds: the newest picture that is known."""
        newest = self._newest_known()
        return newest.media_time if newest is not None else 0.0

    def follow(self) -> None:
        """Watch while a page can be seen, and not otherwise. On the runtime's loop."""
        # Each time, not only at a change: a viewer that failed once was let go.
        if self._pages.watched:
            self._run.preview.watch(self)
        else:
            self.stop()

    def stop(self) -> None:
        """Watch no more."""
        self._run.preview.unwatch(self)

    def show_again(self) -> None:
        """Send the newest picture to a page that has none yet."""
        if (frame := self._newest_known()) is not None:
            self._send(frame)

    def _newest_known(self) -> PreviewFrame | None:
        frames = self._run.frames
        if (index := frames.latest_index) != self._kept_index:
            self._kept_index = index
            self._kept = frames.latest  # taken since then, so that it is still in memory
        stored, newest = self._kept, self._newest
        taken_at = 0.0
        if stored is not None:
            taken_at = (stored.sample.taken_at or stored.captured_at).timestamp()
        # By the clock: after a restart the video is younger than what was shown of it before.
        if (
            stored is None
            or not stored.frames
            or (newest is not None and newest.shown_at >= taken_at)
        ):
            return newest
        frame = stored.frames[-1]
        return PreviewFrame(
            frame.media_time,
            taken_at,
            frame.data,
            frame.width,
            frame.height,
            stored.index,
        )

    # ---- what the reader asks (see preview.Viewer) ----

    def room(self) -> bool:
        """Whether a picture would be taken now."""
        return self._pages.room()

    def show(self, frame: PreviewFrame) -> None:
        """Send a picture."""
        if frame.sample is not None and self._run.state == "paused":
            frame = replace(frame, sample=None)  # of a live source; it is not asked about
        self._newest = frame
        self._send(frame)

    def _send(self, frame: PreviewFrame) -> None:
        message: Picture = {
            "kind": "picture",
            "seq": self._pages.send(),
            "media_time": frame.media_time,
            "shown_at": frame.shown_at,
            "sent_at": time.time(),
            "sample": frame.sample,
            "played": frame.row is not None,
            "answer": self._answer(frame.row),
        }
        self._link.send(message, frame.data)

    def _answer(self, row: int | None) -> Row | None:
        if row is None or row < 0:
            return None
        return row_of(row, self._run.journal.table[row])
