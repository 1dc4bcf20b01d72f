"""``Recording``: a run that was kept as a file, as the stream that it was."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack, cast
from weakref import finalize, ref

from overshoot_nb.runtime.coroutines import coroutine
from overshoot_nb.runtime.event_loop import Runtime
from overshoot_nb.settings.stream_settings import StreamChanges
from overshoot_nb.store.stats import counts_in_words
from overshoot_nb.stream import Stream

from .recorded_life import RecordedLife

if TYPE_CHECKING:
    from overshoot_nb.running.lifecycle import Lifecycle

__all__ = ["Recording"]


class Recording(Stream):
    """A recorded stream; made by :func:`overshoot_nb.load`.

    A :class:`~overshoot_nb.stream.Stream` that has ended: its rows, pictures, samples, figures,
    prompts and labels are those of the run. Other prompts and models can be asked about its
    samples (:meth:`backfill`, ``compare``), it can be labelled and scored, shown as a widget, and
    recorded again, with what came to it. Pictures are read from the file when they are looked at.

    :meth:`restart` plays it in its widget; :meth:`pause`, :meth:`resume` and :meth:`close` steer
    that. It takes no samples and asks nothing by itself: ``overshoot_nb.replay(path)`` is the
    recording as a source.
    """

    def __init__(self, life: RecordedLife, path: Path, runtime: Runtime) -> None:
        # It offers what a stream asks of its life.
        super().__init__(cast("Lifecycle", life), runtime)
        self._recorded = life.recorded
        self._path = path
        # A player that is paused would wait for ever. It holds the run, which need not stay
        # otherwise.
        finalize(self, _stop_playing, ref(life))

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def complete(self) -> bool:
        """Whether the recording was finished; else it was cut off, or still goes on."""
        return self._recorded.complete

    @coroutine
    async def restart(self, **changes: Unpack[StreamChanges]) -> None:
        """Play it from its start, in its widget, each picture at its time. No row is added.

        Of a stream that was restarted, the last run. ``wait()`` waits for the end.

        Raises:
            ValidationError: ``changes``: a recording plays what was recorded.
        """
        await super().restart(**changes)

    def __repr__(self) -> str:
        return (
            f"<Recording {self._path.name} of {self.settings.source.label}, "
            f"{self.model}, {self.status}; {counts_in_words(self.stats)}>"
        )


def _stop_playing(life: ref[RecordedLife]) -> None:
    if (run := life()) is not None:
        run.stop_playing()
