"""``replay``: a recorded run as a source, or as whoever answers."""

from __future__ import annotations

import asyncio
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from overshoot_nb.runtime.event_loop import get_runtime
from overshoot_nb.settings.stream_settings import StreamChanges
from overshoot_nb.sources.replay import Replay
from overshoot_nb.store.prompts import asked_by
from overshoot_nb.support.redaction import hidden
from overshoot_nb.support.replay_address import ReplayAddress

from .recording_file import RecordingFile
from .replay_service import ReplayService

if TYPE_CHECKING:
    from overshoot_nb.client import Overshoot
    from overshoot_nb.store.prompts import PromptVersion
    from overshoot_nb.stream import Stream

__all__ = ["replay", "start"]


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
    from overshoot_nb.client import Overshoot
    from overshoot_nb.stream import close_unheld

    address = ReplayAddress(chosen.url, chosen.speed or math.inf)
    client = Overshoot(base_url=str(address))
    return await get_runtime().call(_start(client), undo=close_unheld)


async def _start(client: Overshoot) -> Stream:
    service = client._service
    assert isinstance(service, ReplayService)
    first, *later = service.run.prompts
    settings = replace(service.run.settings, **first.parameters)
    begun: asyncio.Future[Stream] = asyncio.get_running_loop().create_future()

    async def lead(version: PromptVersion) -> None:
        stream = await begun
        await stream._life.update(cast("StreamChanges", version.parameters), version.note)

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
