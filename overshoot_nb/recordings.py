"""Recorded runs: loaded as the streams that they were, and played again."""

from __future__ import annotations

import asyncio
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Unpack, cast
from weakref import finalize, ref

from .client import Overshoot
from .recording.loading import checked_path, load_run
from .recording.recorded_life import RecordedLife
from .recording.recording_file import RecordingFile
from .recording.replay_service import ReplayService
from .runtime.coroutines import coroutine
from .runtime.event_loop import Runtime, get_runtime
from .settings.stream_settings import StreamChanges
from .sources.replay import Replay
from .store.prompts import PromptVersion, asked_by
from .store.stats import counts_in_words
from .stream import Stream, close_unheld
from .support.parameters import named_parameters
from .support.redaction import hidden
from .support.replay_address import ReplayAddress


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
        super().__init__(life, runtime)
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


@named_parameters
def load(path: str | os.PathLike[str], *, client: Overshoot | None = None) -> Recording:
    """A recorded run as a stream that has ended.

    ``overshoot_nb.load("run.parquet").df`` is the recorded stream's ``df``, row by row and dtype
    by dtype. The table is read at once, pictures only when they are looked at, from the file:
    keep it where it is. A file that is being recorded loads, too, up to where it is.

    Args:
        path: the file that ``stream.record(path)`` wrote.
        client: whose server answers ``backfill`` and ``compare`` that name no client. Default:
            that of ``Overshoot()``, made when it is first needed.

    Raises:
        ValidationError: the file is no recording, was cut off or damaged, or has a newer format.
        StreamClosedError: the client was closed.
        OSError: it is not there, or cannot be read.
    """
    path = hidden(path)
    run = load_run(path, client)
    return Recording(run, checked_path(path), get_runtime())


def replay(path: str | os.PathLike[str], speed: float | None = 1.0) -> Replay:
    """A recording to be played: ``replay("run.parquet")``.

    - As a source it gives the recorded pictures: ``client.streams.create(replay(path), ...)``,
      or just the path in its place.
    - ``replay(path).client()`` is a client that answers from it, with no key and no network. So
      does every client where ``OVERSHOOT_BASE_URL`` is ``replay:run.parquet``.
    - ``await replay(path).start()`` plays the run as it was.

    Args:
        path: the file that ``stream.record(path)`` wrote.
        speed: how many times as fast as it was; ``math.inf`` or None: without waiting.

    Raises:
        ValidationError: the file is no recording, or ``speed`` is not above 0.
        OSError: the file is not there, or cannot be read.
    """
    path = hidden(path)
    chosen = Replay(Path(path) if isinstance(path, os.PathLike) else path, speed)
    file = RecordingFile(chosen.url)
    file.metadata(file.footer())  # refuses what is none
    return chosen


async def start(chosen: Replay) -> Stream:
    """See :meth:`Replay.start`.

    Raises:
        ValidationError: the file is not there, or no recording.
    """
    address = ReplayAddress(chosen.url, chosen.speed or math.inf)
    client = Overshoot(base_url=str(address))
    return await get_runtime().call(_start(client), undo=close_unheld)


async def _start(client: Overshoot) -> Stream:
    service = client._open_service()
    assert isinstance(service, ReplayService)
    first, *later = service.run.prompts
    settings = replace(service.run.settings, **first.parameters)
    begun: asyncio.Future[Stream] = asyncio.get_running_loop().create_future()

    async def lead(version: PromptVersion) -> None:
        stream = await begun
        await stream._run.update(cast("StreamChanges", version.parameters), version.note)

    service.leader = lead
    try:
        stream = await client.streams.start(settings, note=first.note)
    finally:
        # It has nothing that would have to be closed.
        get_runtime().forget(client)
    # Their numbers are those of the recording, also where some were never asked by the run itself.
    for version in later:
        asked = {name: getattr(version, name) for name in asked_by(settings)}
        stream.prompts.version_of(settings=settings, note=version.note, **asked)
    begun.set_result(stream)
    return stream
