"""The options of a source beside whatever names one: ``watch("clip.mp4", loop=True)``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from typing import Any, TypedDict

from overshoot_nb.errors import ValidationError
from overshoot_nb.sources.kinds import SourceConfig, as_source
from overshoot_nb.support.redaction import hidden

from .stream_settings import StreamParameters


class SourceOptions(TypedDict, total=False):
    """Options of sources, each described at the sources that have it; None leaves it as it is."""

    headers: Mapping[str, str] | None
    loop: bool | None
    live: bool | None
    start_time: datetime | None
    timeout: float | None
    width: int | None
    height: int | None
    fps: float | None
    speed: float | None


class WatchParameters(StreamParameters, SourceOptions, total=False):
    """What ``watch``, ``analyze`` and the magic take beside source, prompt, model and client."""


def source_and_rest(
    anything: object, parameters: WatchParameters
) -> tuple[SourceConfig, StreamParameters]:
    """The source with its options, and the other parameters.

    Raises:
        ValidationError: it is no source, or one without such an option.
    """
    anything = hidden(anything)
    options = {n: v for n, v in parameters.items() if n in SourceOptions.__annotations__}
    rest: Any = {n: v for n, v in parameters.items() if n not in options}
    return _with(as_source(anything), options), rest


def _with(source: SourceConfig, options: Mapping[str, object]) -> SourceConfig:
    # What is off anyway applies everywhere.
    given: dict[str, Any] = {n: v for n, v in options.items() if v is not None and v is not False}
    if not given:
        return source
    has = [field.name for field in fields(source)] if is_dataclass(source) else []
    takes = [name for name in has if name in SourceOptions.__annotations__]
    for name in given:
        if name not in takes:
            kind = type(source).__name__
            raise ValidationError(
                f"{name}= does not apply to {source.label}, a {kind}: it takes "
                f"{', '.join(f'{one}=' for one in takes) or 'no options'}"
            )
    changed: SourceConfig = replace(source, **given)  # type: ignore[type-var]
    return changed
