"""A whole video at once: a finite source is watched to its end, and what was lost is said."""

from __future__ import annotations

import asyncio
import logging
import warnings

from overshoot_nb.errors import IncompleteRunWarning, ValidationError
from overshoot_nb.running.losses import losses_of
from overshoot_nb.running.run import Run
from overshoot_nb.running.run_registry import keep_run
from overshoot_nb.runtime.event_loop import get_runtime
from overshoot_nb.settings.stream_settings import expected_samples
from overshoot_nb.support.progress import TICK_SECONDS, ProgressBar

logger = logging.getLogger("overshoot_nb")

#: Of a note beside the progress bar, which is one line.
NOTE_CHARACTERS = 80


def check_ends(run: Run) -> None:
    """Refuse what turned out to be live.

    Raises:
        ValidationError: it has no end.
    """
    # Played in real time, so it was opened; only now it shows that it has no end.
    if run.settings.source.live:
        raise ValidationError(
            f"{run.settings.source.label} never ends, so it cannot be analysed to its "
            "end; watch it with client.streams.create(...)"
        )


def conclude(run: Run, *, interrupted: bool, stacklevel: int) -> None:
    """Raise what left no rows, and warn of what the rows lack."""
    if not interrupted and run.error is not None:
        if not run.stats.results:
            raise run.error
        logger.warning("the rows end early: %s", run.error)
    keep_run(run)  # the rows alone would not keep their pictures
    if lost := losses_of(run):
        label = run.settings.source.label
        text = f"{label}: {'; '.join(lost)}"
        warnings.warn(text, IncompleteRunWarning, stacklevel=stacklevel)


def watch_to_the_end(run: Run, progress: bool) -> bool:
    """Draw the bar until the stream is over; True when it was interrupted."""
    runtime = get_runtime()
    bar = _bar(run) if progress else None
    try:
        over = runtime.submit(run.wait_over(drain=True))
        while True:
            try:
                over.result(TICK_SECONDS)  # an interrupt is seen as soon
                break
            except TimeoutError:
                _draw(bar, run)
        return False
    except KeyboardInterrupt:
        runtime.run(run.close("interrupted"), finish=True)
        return True
    finally:
        if bar is not None:
            _draw(bar, run)
            bar.close(complete=run.state == "ended")  # the file's own duration is an estimate


async def follow_to_the_end(run: Run, progress: bool) -> None:
    """Draw the bar until the stream is over, on whichever loop this is."""
    bar = _bar(run) if progress else None
    over = asyncio.ensure_future(get_runtime().call(run.wait_over(drain=True)))
    try:
        while not (await asyncio.wait([over], timeout=TICK_SECONDS))[0]:
            _draw(bar, run)
        over.result()
    finally:
        over.cancel()
        if bar is not None:
            _draw(bar, run)
            bar.close(complete=run.state == "ended")


def _bar(run: Run) -> ProgressBar:
    duration = run.duration
    total = None if duration is None else expected_samples(run.settings.processing, duration)
    return ProgressBar(run.settings.source.label, total)


def _draw(bar: ProgressBar | None, run: Run) -> None:
    if bar is not None:
        stats = run.stats
        # What is said while it runs: that a limit is waited for.
        note = run.note[:NOTE_CHARACTERS] if run.is_active else ""
        bar.draw(stats.results + stats.errors, stats.errors, note)
