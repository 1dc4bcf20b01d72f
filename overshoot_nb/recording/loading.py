"""``load``: a recording as the stream that it was."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from overshoot_nb import config
from overshoot_nb.errors import ValidationError
from overshoot_nb.running.run_registry import remember_file
from overshoot_nb.running.service import service_of
from overshoot_nb.runtime.event_loop import get_runtime
from overshoot_nb.store.frames import FrameStore
from overshoot_nb.store.journal import Journal
from overshoot_nb.support.parameters import named_parameters
from overshoot_nb.support.redaction import hidden
from overshoot_nb.support.replay_address import check_local

from .recorded_frames import RecordedFrames, picture_columns
from .recorded_life import RecordedLife
from .recorded_metadata import metadata_from_json
from .recorded_rows import COLUMNS, rows_of
from .recording import Recording
from .recording_file import RecordingFile

if TYPE_CHECKING:
    from overshoot_nb.running.service import Client

__all__ = ["load", "load_run"]


@named_parameters
def load(path: str | os.PathLike[str], *, client: Client | None = None) -> Recording:
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
    return Recording(run, _checked(path), get_runtime())


def load_run(
    path: str | os.PathLike[str] | RecordingFile, client: Client | None = None
) -> RecordedLife:
    """The run of :func:`load`, for those who need no stream."""
    if client is not None:
        service_of(client)
    file = path if isinstance(path, RecordingFile) else RecordingFile(_checked(path))
    first = file.footer()
    file.metadata(first)  # what is no recording is refused before its columns are looked for
    names = [name for name in COLUMNS if name in file.schema(first).names]
    footer, table = file.read(list(dict.fromkeys([*names, *picture_columns(first)])))
    config.memory_bytes()  # what is wrong with it is not the file's fault
    with _no_garbage_collection():
        try:
            recorded = metadata_from_json(file.metadata(footer))
            journal = Journal(None, 0)
            pictures = RecordedFrames(file, footer, table, recorded.stream_ids)
            journal.frames = FrameStore(recorded.settings.keep_frames, backing=pictures)
            for schema in recorded.output_schemas:
                journal.table.add_schema(schema)
            rows_of(table).fill(journal)
            recorded.fill(journal)
        except ValidationError as error:
            raise ValidationError(f"{file.path} is damaged, or no recording: {error}") from None
    run = RecordedLife(recorded, journal, get_runtime(), client)
    for stream_id in recorded.stream_ids:
        remember_file(stream_id, file.path, run)
    return run


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Many values that all stay are made: looking for garbage among them takes as long again."""
    if not gc.isenabled():  # by whoever will enable it
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _checked(path: object) -> Path:
    if not isinstance(path, str | os.PathLike) or not str(path).strip():
        raise ValidationError(f"path={path!r} must be the path of a recording")
    check_local(path)
    return Path(path).expanduser().absolute()
