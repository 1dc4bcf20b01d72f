"""A recording as the run that it was."""

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
from overshoot_nb.support.replay_address import check_local

from .recorded_frames import RecordedFrames, picture_columns
from .recorded_life import RecordedLife
from .recorded_metadata import metadata_from_json
from .recorded_rows import COLUMNS, rows_of
from .recording_file import RecordingFile

if TYPE_CHECKING:
    from overshoot_nb.running.service import Client


def load_run(
    path: str | os.PathLike[str] | RecordingFile, client: Client | None = None
) -> RecordedLife:
    """The run of a recording; see :func:`overshoot_nb.load`."""
    if client is not None:
        service_of(client)
    file = path if isinstance(path, RecordingFile) else RecordingFile(checked_path(path))
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


def checked_path(path: object) -> Path:
    """A recording's path, absolute.

    Raises:
        ValidationError: it is none.
    """
    if not isinstance(path, str | os.PathLike) or not str(path).strip():
        raise ValidationError(f"path={path!r} must be the path of a recording")
    check_local(path)
    return Path(path).expanduser().absolute()
