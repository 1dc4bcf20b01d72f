"""``ReplayPictures``: the recorded samples as they were, and what a screen is shown of them."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

from overshoot_nb.errors import SampleNotKeptError
from overshoot_nb.running.run import Run
from overshoot_nb.sampling.preview import Preview, PreviewFrame
from overshoot_nb.types import Sample

from .replay_script import Moment


class ReplayPictures:
    """Samples of a recorded run for the stream in which they come again.

    Args:
        run: the recorded run.
        preview: who looks on.
        shift: what is added to the recorded index of a sample.
    """

    def __init__(self, run: Run, preview: Preview, shift: int) -> None:
        self._run = run
        self._preview = preview
        self._shift = shift
        self._shown_at = float("-inf")

    def read(self, moment: Moment) -> Sample:
        """The sample of a moment with its pictures. Blocks."""
        journal = self._run.journal
        index = moment.index + self._shift
        try:
            return replace(journal.frames[moment.index].sample, index=index)
        except SampleNotKeptError:  # answered, but its pictures were not recorded
            row = journal.log[moment.index].row
            known = journal.table[row] if row is not None else None
            taken_at = known.captured_at if known is not None else None
            return Sample(
                index,
                known.mode if known is not None else self._run.settings.mode,
                moment.media_time,
                taken_at or datetime.now(UTC),
                (),
            )

    def show(self, sample: Sample) -> None:
        """Show a sample's newest picture, if it is not too soon after the one before."""
        if not sample.frames or time.monotonic() - self._shown_at < 1 / self._preview.fps:
            return
        frame = sample.frames[-1]

        def make() -> PreviewFrame:
            return PreviewFrame(
                frame.media_time, time.time(), frame.data, frame.width, frame.height, sample.index
            )

        if self._preview.offer(make):
            self._shown_at = time.monotonic()
