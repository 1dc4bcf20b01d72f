"""What a recording says of its run, read: settings, prompts, labels, counters.

The reverse of :mod:`~overshoot_nb.recording.run_metadata`, which describes the keys.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from itertools import count
from typing import Any, get_args

from overshoot_nb.errors import ValidationError
from overshoot_nb.sampling.opening import VideoInfo
from overshoot_nb.settings.stream_settings import StreamSettings
from overshoot_nb.sources import kinds as sources
from overshoot_nb.store.answer_columns import check_column
from overshoot_nb.store.journal import Journal
from overshoot_nb.store.labels import Labels
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.store.stats import Reconnected
from overshoot_nb.types import ClipProcessingConfig, FrameProcessingConfig, StreamState

from .recorded_rows import NEWER_COLUMNS
from .recorded_source import RecordedSource

#: Sources that can be watched again, but that an address lacks its secrets. Pictures from memory
#: are gone, and rooms with their tokens.
_WHOLE = ("FileSource", "CameraSource", "RTSPSource", "RTMPSource", "HLSSource", "Replay")


_TEXT, _WHOLE_NUMBER, _NUMBER = (str,), (int,), (int, float)
_TEXT_OR_NONE, _WHOLE_OR_NONE, _NUMBER_OR_NONE = (
    (*kinds, type(None)) for kinds in (_TEXT, _WHOLE_NUMBER, _NUMBER)
)
_OBJECT_OR_NONE = (dict, type(None))

#: What each may hold: another could be neither shown, nor summed up, nor recorded again.
_ASKED = {
    "model": _TEXT,
    "output_schema": _OBJECT_OR_NONE,
    "max_output_tokens": _WHOLE_OR_NONE,
    "temperature": _NUMBER_OR_NONE,
    "system": _TEXT_OR_NONE,
    "extra_body": _OBJECT_OR_NONE,
}
_OF_SETTINGS = _ASKED | {
    "prompt": _TEXT,
    "max_in_flight": _WHOLE_NUMBER,
    "jpeg_quality": _WHOLE_NUMBER,
    "clip_encoding": _TEXT,
    "response_format": _TEXT,
    "keep_frames": _WHOLE_NUMBER,
    "transport": _TEXT_OR_NONE,
    "same_frame": _TEXT,
}
_OF_PROMPTS = _ASKED | {"text": _TEXT, "note": _TEXT, "parent": _WHOLE_OR_NONE}
_OF_INFO = {
    "width": _WHOLE_NUMBER,
    "height": _WHOLE_NUMBER,
    "codec": _TEXT,
    "fps": _NUMBER_OR_NONE,
    "duration": _NUMBER_OR_NONE,
}
_OF_COUNTERS = {
    "lease_cents": _NUMBER_OR_NONE,
    "seconds_charged": _NUMBER_OR_NONE,
    "credits_remaining_cents": _NUMBER_OR_NONE,
    "reconnections": _WHOLE_NUMBER,
    "reconnections_by_cause": (dict,),
}
#: The same by what was lost and found again.
_OF_CAUSES = dict.fromkeys(get_args(Reconnected), _WHOLE_NUMBER)


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """What is known of a recorded run beside its rows.

    Attributes:
        settings: what it was asked to do.
        prompts: every version, oldest first.
        current_prompt: number of the version that was in force.
        output_schemas: schemas that its answers fit, oldest first.
        columns: columns that show later answers: name -> number of the version.
        labels: what the answers should be.
        counters: see ``run_metadata``.
        stream_ids: of all its runs, oldest first.
        state, status: as it was; ``status`` with its reason, in words.
        server, surface: who was asked, without secrets; "chat" or "gateway".
        info: what was watched, or None.
        complete: whether the recording was finished.
    """

    settings: StreamSettings
    prompts: tuple[PromptVersion, ...]
    current_prompt: int
    output_schemas: tuple[Mapping[str, Any], ...]
    columns: Mapping[str, int]
    labels: Labels = field(repr=False)
    counters: Mapping[str, Any]
    stream_ids: tuple[str, ...]
    state: StreamState
    status: str
    server: str
    surface: str
    info: VideoInfo | None
    complete: bool

    def fill(self, journal: Journal) -> None:
        """Tell a journal, whose rows are there, what they do not say.

        Raises:
            ValidationError: a column is called as one of the rows themselves.
        """
        for column, version in self.columns.items():
            if column in NEWER_COLUMNS:  # a name that was free when the file was written
                names = (f"{column} ({number})" for number in count(2))
                column = next(name for name in names if name not in self.columns)
            check_column(journal.later, column)
            journal.later.show(column, self.prompts[version - 1])
        journal.labels.update(self.labels)
        said = self.counters.get
        lease = said("lease_cents"), said("seconds_charged"), said("credits_remaining_cents")
        journal.counters.charged(*lease)
        by_cause = said("reconnections_by_cause")
        if by_cause is None:  # before 0.6.0
            by_cause = {"result channel": said("reconnections") or 0}
        for cause in get_args(Reconnected):
            if times := max(by_cause.get(cause, 0), 0):
                journal.counters.reconnected(cause, times)


def metadata_from_json(said: Mapping[str, Any]) -> RecordedRun:
    """What ``run_metadata.to_json`` wrote.

    Raises:
        ValidationError: something is missing, or is not what it should be.
    """
    try:
        settings = _settings(said["settings"])
        server = str(said.get("server", ""))
        prompts = tuple(_version(v, settings, server) for v in said["prompts"])
        current = _fitting(said, {"current_prompt": _WHOLE_NUMBER})["current_prompt"]
        columns = {str(name): int(version) for name, version in said["columns"].items()}
        numbers = [version.version for version in prompts]
        if not prompts or numbers != list(range(1, len(prompts) + 1)):
            raise ValueError(f"prompt versions {numbers[:5]}")
        for number in (current, *columns.values()):
            if number not in numbers:
                raise ValueError(f"prompt version {number}")
        if said["state"] not in get_args(StreamState):
            raise ValueError(f"state {said['state']!r}")
        return RecordedRun(
            settings=settings,
            prompts=prompts,
            current_prompt=current,
            output_schemas=tuple(dict(schema) for schema in said["output_schemas"]),
            columns=columns,
            labels=Labels.from_json(json.dumps(said["labels"])),
            counters=_counters(said["counters"]),
            stream_ids=tuple(map(str, list(said["stream_ids"]))),
            state=said["state"],
            status=str(said["status"]),
            server=server,
            surface=str(said.get("surface", "chat")),
            info=None if said["info"] is None else VideoInfo(**_fitting(said["info"], _OF_INFO)),
            complete=bool(said["complete"]),
        )
    except ValidationError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ValidationError(f"what it says of its run cannot be read ({what[:200]})") from None


def _fitting(said: Mapping[str, Any], kinds: Mapping[str, tuple[type, ...]]) -> dict[str, Any]:
    """What is said, where each value is of its kinds and no number is infinite or none."""
    for name, allowed in kinds.items():
        value = said.get(name)
        # Not isinstance: True is no number here.
        fits = type(value) in allowed or name not in said
        if not fits or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError(f"{name} is {value!r}")
    return dict(said)


def _counters(said: Mapping[str, Any]) -> dict[str, Any]:
    counters = _fitting(said, _OF_COUNTERS)
    _fitting(counters.get("reconnections_by_cause", {}), _OF_CAUSES)
    return counters


def _settings(said: Mapping[str, Any]) -> StreamSettings:
    names = {f.name for f in fields(StreamSettings)}
    plain = {n: v for n, v in _fitting(said, _OF_SETTINGS).items() if n in names}
    if plain["keep_frames"] < 0:
        raise ValueError(f"keep_frames is {plain['keep_frames']}")
    width, height = said["max_size"]
    for size in (width, height):
        _fitting({"max_size": size}, {"max_size": _WHOLE_NUMBER})
    numbers = dict(said["processing"])
    mode = numbers.pop("mode")
    _fitting(numbers, dict.fromkeys(numbers, _NUMBER))
    plain["processing"] = (
        ClipProcessingConfig(**numbers) if mode == "clip" else FrameProcessingConfig(**numbers)
    )
    plain["source"] = _source(said["source"])
    plain["max_size"] = width, height
    return StreamSettings(**plain)


def _source(said: Mapping[str, Any]) -> Any:
    """The source itself where all of it was written, else its name and kind."""
    kind = getattr(sources, str(said["kind"]), None)
    given = {name: value for name, value in said.items() if name not in ("kind", "label")}
    if kind is not None and said["kind"] in _WHOLE:
        try:
            if given.get("start_time") is not None:
                given["start_time"] = datetime.fromisoformat(given["start_time"])
            return kind(**given)
        except (TypeError, ValueError, ValidationError):
            pass  # of another version of this package
    return RecordedSource(dict(said))


def _version(said: Mapping[str, Any], settings: StreamSettings, server: str) -> PromptVersion:
    names = {f.name for f in fields(PromptVersion) if f.name[0] != "_"}
    known = {n: v for n, v in _fitting(said, _OF_PROMPTS).items() if n in names}
    known["created_at"] = datetime.fromisoformat(known["created_at"])
    watched = None if isinstance(settings.source, RecordedSource) else settings
    return PromptVersion(**known, _settings=watched, _base_url=server or None)
