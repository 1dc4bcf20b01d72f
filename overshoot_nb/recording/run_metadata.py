"""What a recording says of its run beside the rows: settings, prompts, labels, counters.

A JSON object; every number and text in it is as it was, and no secret of a URL, key or token is in
it. Keys of format 1:

====================  ============================================================================
format, package       the format's version (1); this package's, a text
recorded_at           when this was written, ISO 8601 in UTC
complete              False while the file is being written: it was cut off where it stays so
state, status         the run's, then; ``status`` with its reason, in words
stream_ids            of all its runs, oldest first
server, surface       who was asked: its address without secrets; "chat" or "gateway"
settings              all fields of ``StreamSettings``; of the source its ``kind`` (name of the
                      class), ``label`` and plain fields, of ``processing`` its ``mode`` and numbers
prompts               all fields of every ``PromptVersion``, oldest first
current_prompt        number of the version in force
output_schemas        the schemas whose properties are the ``out.*`` columns, oldest first
columns               columns that show later answers: name -> number of the version
labels                all labels, an object as ``Labels.to_json`` writes it
counters              lease_cents, seconds_charged, credits_remaining_cents, reconnections;
                      reconnections_by_cause: "source" and "result channel" (since 0.6.0: before,
                      all were the latter)
info, duration        fields of ``VideoInfo``, or null; seconds, or null
lost_pictures         samples whose pictures the disk was too slow for
====================  ============================================================================
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from datetime import UTC, datetime
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from overshoot_nb._version import __version__
from overshoot_nb.running.run_secrets import Secrets
from overshoot_nb.settings.stream_settings import StreamSettings
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.support.redaction import display_url

from .format import FORMAT, METADATA_KEY
from .recorded_source import RecordedSource

if TYPE_CHECKING:
    from overshoot_nb.running.run import Run
    from overshoot_nb.sources.kinds import SourceConfig

#: Fields of a source that hold an address, which is written without its secrets.
_ADDRESSES = ("path", "url")
_PLAIN = (bool, int, float, str, type(None))


def to_json(
    run: Run,
    *,
    complete: bool = True,
    stream_ids: list[str] | None = None,
    lost_pictures: int = 0,
) -> dict[str, Any]:
    """What is to be known of a run now.

    Args:
        run: whose.
        complete: whether the file has everything, and is written no more.
        stream_ids: ids of its runs. Default: those in its rows, and its own.
        lost_pictures: samples recorded without their pictures.
    """
    journal = run.journal
    if stream_ids is None:
        stream_ids = list(dict.fromkeys([*(row.stream_id for row in journal.table), run.stream_id]))
    stats = journal.counters.snapshot()
    info = run.info
    server, surface = run.asked_server
    return {
        "format": FORMAT,
        "package": __version__,
        "recorded_at": datetime.now(UTC).isoformat(),
        # What was cut off once stays so, recorded again or not.
        "complete": complete and run.whole,
        "state": run.state,
        "status": Secrets.of(run).removed(run.status),
        "stream_ids": stream_ids,
        "server": server,
        "surface": surface,
        "settings": _settings(run.settings),
        "prompts": [_version(version) for version in run.prompts],
        "current_prompt": run.prompts.current.version,
        "output_schemas": journal.table.schemas,
        "columns": {name: v.version for name, v in journal.later.columns.items()},
        "labels": json.loads(journal.labels.to_json()),
        "counters": {
            "lease_cents": journal.counters.lease_cents,
            "seconds_charged": stats.seconds_charged,
            "credits_remaining_cents": stats.credits_remaining_cents,
            "reconnections": stats.reconnections,
            "reconnections_by_cause": dict(stats.reconnections_by_cause),
        },
        "info": asdict(info) if is_dataclass(info) and not isinstance(info, type) else None,
        "duration": getattr(info, "duration", None),
        "lost_pictures": lost_pictures,
    }


def as_pairs(said: dict[str, Any]) -> dict[bytes, bytes]:
    """What ``to_json`` gave, as a file's key-value metadata."""
    return {METADATA_KEY.encode(): json.dumps(said, default=dict).encode()}


def _settings(settings: StreamSettings) -> dict[str, Any]:
    said = {field.name: getattr(settings, field.name) for field in fields(settings)}
    said["source"] = _source(settings.source)
    said["processing"] = {"mode": settings.mode, **settings.numbers}
    return {**said, "max_size": list(settings.max_size)}


def _source(source: SourceConfig) -> dict[str, Any]:
    """What a source is, without its secrets and pictures."""
    if isinstance(source, RecordedSource):
        return dict(source.said)
    names = (
        [field.name for field in fields(source)] if is_dataclass(source) else ["width", "height"]
    )
    said: dict[str, Any] = {"kind": type(source).__name__, "label": source.label}
    for name in names:
        value = getattr(source, name)
        if isinstance(value, PathLike):
            value = fspath(value)
        if isinstance(value, datetime):
            value = value.isoformat()
        if name in _ADDRESSES and isinstance(value, str):
            said[name] = display_url(value) if "://" in value else value
        elif name != "token" and isinstance(value, _PLAIN):
            said[name] = value
    return said


def _version(version: PromptVersion) -> dict[str, Any]:
    # What it knows besides is how to show it as code: the server's address and the settings.
    said = {f.name: getattr(version, f.name) for f in fields(version) if f.name[0] != "_"}
    schema = version.output_schema
    return {
        **said,
        "output_schema": dict(schema) if isinstance(schema, Mapping) else None,
        "created_at": version.created_at.isoformat(),
    }
