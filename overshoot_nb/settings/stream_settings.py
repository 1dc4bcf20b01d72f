"""What a stream was asked to do, checked as a whole before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from numbers import Integral
from typing import Any, TypedDict, get_args

from overshoot_nb import config
from overshoot_nb.errors import ValidationError
from overshoot_nb.sources.kinds import ArraySource, FileSource, HLSSource, SourceConfig, as_source
from overshoot_nb.sources.replay import Replay
from overshoot_nb.support.redaction import hidden
from overshoot_nb.support.schema_classes import OutputSchema, schema_from
from overshoot_nb.support.validation import (
    check_choice,
    check_extra_body,
    check_inference,
    check_jpeg_quality,
    check_max_size,
    check_processing,
    check_system,
    check_temperature,
    check_whole,
    exact,
)
from overshoot_nb.types import (
    ClipEncoding,
    ClipProcessingConfig,
    FrameProcessingConfig,
    InferenceConfig,
    Mode,
    ProcessingConfig,
    ResponseFormat,
    SameFrame,
    Transport,
)

#: The parameters that say what is asked: those of a prompt version.
ASKED = (
    "prompt",
    "model",
    "output_schema",
    "max_output_tokens",
    "temperature",
    "system",
    "extra_body",
)


class StreamParameters(TypedDict, total=False):
    """The optional parameters of ``client.streams.create`` but its callbacks, described there."""

    mode: Mode | None
    output_schema: OutputSchema | None
    max_output_tokens: int | None
    temperature: float | None
    target_fps: int | None
    clip_length_seconds: float | None
    delay_seconds: float | None
    interval_seconds: float | None
    max_in_flight: int | None
    max_size: tuple[int, int] | None
    jpeg_quality: int | None
    clip_encoding: ClipEncoding
    response_format: ResponseFormat
    keep_frames: int | bool | None
    realtime: bool | None
    transport: Transport | None
    same_frame: SameFrame
    system: str | None
    extra_body: Mapping[str, Any] | None


class StreamChanges(TypedDict, total=False):
    """What can be changed about a stream; described at ``client.streams.create``."""

    prompt: str
    model: str
    mode: Mode
    output_schema: OutputSchema | None
    max_output_tokens: int | None
    temperature: float | None
    target_fps: int
    clip_length_seconds: float
    delay_seconds: float
    interval_seconds: float
    system: str | None
    extra_body: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """All parameters of ``client.streams.create``, resolved: no default is left open.

    Built by :meth:`build`, which is the one place that checks them.
    """

    source: SourceConfig
    prompt: str
    model: str
    processing: ProcessingConfig
    output_schema: Mapping[str, Any] | None
    max_output_tokens: int | None
    max_in_flight: int
    max_size: tuple[int, int]
    jpeg_quality: int
    clip_encoding: ClipEncoding
    response_format: ResponseFormat
    keep_frames: int
    transport: Transport | None = None
    temperature: float | None = None
    same_frame: SameFrame = config.SAME_FRAME
    system: str | None = None
    extra_body: Mapping[str, Any] | None = None

    @property
    def mode(self) -> Mode:
        """ "frame" or "clip"."""
        return "clip" if isinstance(self.processing, ClipProcessingConfig) else "frame"

    @property
    def realtime(self) -> bool:
        """True where late answers cost samples; False where reading waits for answers."""
        return self.source.live or self.source.realtime

    @property
    def batch(self) -> bool:
        """True for a file that is to be read as fast as answers come."""
        read = isinstance(self.source, FileSource | HLSSource | Replay)
        return read and not self.source.realtime

    @property
    def speed(self) -> float:
        """How many times as fast as its own clock a source is played."""
        return self.source.speed or 1.0 if isinstance(self.source, Replay) else 1.0

    @property
    def step_seconds(self) -> float:
        """Media time from one sample to the next: the interval, or a clip's delay."""
        if isinstance(self.processing, ClipProcessingConfig):
            return self.processing.delay_seconds
        return self.processing.interval_seconds

    @classmethod
    def build(
        cls,
        source: object,
        prompt: str,
        model: str,
        *,
        mode: Mode | None = None,
        output_schema: OutputSchema | None = None,
        max_output_tokens: int | None = None,
        target_fps: int | None = None,
        clip_length_seconds: float | None = None,
        delay_seconds: float | None = None,
        interval_seconds: float | None = None,
        max_in_flight: int | None = None,
        max_size: tuple[int, int] | None = None,
        jpeg_quality: int | None = None,
        clip_encoding: ClipEncoding = "images",
        response_format: ResponseFormat = "auto",
        keep_frames: int | bool | None = None,
        realtime: bool | None = None,
        transport: Transport | None = None,
        temperature: float | None = None,
        same_frame: SameFrame = config.SAME_FRAME,
        system: str | None = None,
        extra_body: Mapping[str, Any] | None = None,
    ) -> StreamSettings:
        """Check everything and fill in the defaults.

        Raises:
            ValidationError: names the parameter, its value and what is allowed.
        """
        source = hidden(source)
        config_source = as_source(source)
        if realtime is not None:
            config_source = _with_realtime(config_source, realtime)
        processing = processing_from(
            mode, target_fps, clip_length_seconds, delay_seconds, interval_seconds
        )
        if output_schema is not None:
            output_schema = schema_from(output_schema)
        check_inference(InferenceConfig(prompt, model, output_schema, max_output_tokens))
        check_system(system)
        if extra_body is not None:
            extra_body = check_extra_body(extra_body)
        if temperature is not None:
            temperature = check_temperature(temperature)
        check_choice("clip_encoding", clip_encoding, get_args(ClipEncoding))
        check_choice("response_format", response_format, get_args(ResponseFormat))
        check_choice("same_frame", same_frame, get_args(SameFrame))
        if transport is not None:
            check_choice("transport", transport, get_args(Transport))
        paced = config_source.live or config_source.realtime
        if max_in_flight is None:
            max_in_flight = config.MAX_IN_FLIGHT if paced else config.MAX_IN_FLIGHT_BATCH
        check_whole("max_in_flight", max_in_flight, 1, 256)
        if jpeg_quality is None:
            jpeg_quality = config.JPEG_QUALITY
        check_jpeg_quality(jpeg_quality)
        return cls(
            source=config_source,
            prompt=prompt,
            model=model,
            processing=processing,
            output_schema=output_schema,
            max_output_tokens=max_output_tokens,
            max_in_flight=max_in_flight,
            max_size=config.MAX_SIZE if max_size is None else check_max_size(max_size),
            jpeg_quality=jpeg_quality,
            clip_encoding=clip_encoding,
            response_format=response_format,
            keep_frames=_checked_bytes(keep_frames),
            transport=transport,
            temperature=temperature,
            same_frame=same_frame,
            system=system,
            extra_body=extra_body,
        )

    def watching(self, source: SourceConfig | None) -> StreamSettings:
        """These settings with the source as it turned out to be; None: it was not opened."""
        if source is None or source is self.source:
            return self
        return replace(self, source=source)

    def changed(self, changes: StreamChanges) -> StreamSettings:
        """These settings with some of them changed; numbers of the other mode are its defaults.

        Raises:
            ValidationError: names the parameter, its value and what is allowed.
        """
        unknown = set(changes) - set(StreamChanges.__annotations__)
        if unknown:
            raise ValidationError(
                f"{', '.join(sorted(unknown))} cannot be changed; what can is "
                f"{', '.join(StreamChanges.__annotations__)}"
            )
        mode = changes.get("mode", self.mode)
        numbers = self.numbers if mode == self.mode else {}
        numbers |= {name: value for name, value in changes.items() if name in _NUMBERS}
        processing = processing_from(mode, **numbers)
        asked = {name: changes[name] for name in ASKED if name in changes}  # type: ignore[literal-required]
        if asked.get("output_schema") is not None:
            asked["output_schema"] = schema_from(asked["output_schema"])
        if asked.get("extra_body") is not None:
            asked["extra_body"] = check_extra_body(asked["extra_body"])
        settings = replace(self, processing=processing, **asked)
        check_system(settings.system)
        check_inference(
            InferenceConfig(
                settings.prompt,
                settings.model,
                settings.output_schema,
                settings.max_output_tokens,
            )
        )
        if settings.temperature is not None:
            check_temperature(settings.temperature)
        return settings

    def differing(self, changes: StreamChanges) -> list[str]:
        """The names in ``changes``, without sampling parameters that have that value already."""
        now = {"mode": self.mode, **self.numbers}
        return [name for name, value in changes.items() if name not in now or now[name] != value]

    @property
    def numbers(self) -> dict[str, Any]:
        """The flat sampling parameters of its mode."""
        return {name: getattr(self.processing, name) for name in self.processing.__slots__}


_NUMBERS = ("target_fps", "clip_length_seconds", "delay_seconds", "interval_seconds")


def processing_from(
    mode: Mode | None = None,
    target_fps: int | None = None,
    clip_length_seconds: float | None = None,
    delay_seconds: float | None = None,
    interval_seconds: float | None = None,
) -> ProcessingConfig:
    """The flat sampling parameters as one configuration.

    Without a mode, clip mode is inferred when only clip parameters are given.

    Raises:
        ValidationError: parameters of both modes, or a value out of its range.
    """
    clip = {
        "target_fps": target_fps,
        "clip_length_seconds": clip_length_seconds,
        "delay_seconds": delay_seconds,
    }
    given = {name: value for name, value in clip.items() if value is not None}
    if mode is None:
        mode = "clip" if given and interval_seconds is None else "frame"
    check_choice("mode", mode, get_args(Mode))
    if mode == "frame" and given:
        raise ValidationError(
            f"{_shown(given)} belongs to clip mode; leave it out, or say mode='clip' "
            "(frame mode takes interval_seconds)"
        )
    if mode == "clip" and interval_seconds is not None:
        raise ValidationError(
            f"interval_seconds={interval_seconds!r} belongs to frame mode; clip mode takes "
            "target_fps, clip_length_seconds and delay_seconds"
        )
    processing: ProcessingConfig
    if mode == "clip":
        processing = ClipProcessingConfig(**given)  # type: ignore[arg-type]
    elif interval_seconds is None:
        processing = FrameProcessingConfig()
    else:
        processing = FrameProcessingConfig(interval_seconds)
    check_processing(processing)
    numbers: Any = {name: _as_pythons(getattr(processing, name)) for name in processing.__slots__}
    return replace(processing, **numbers)


def expected_samples(processing: ProcessingConfig, duration: float) -> int:
    """How many samples ``duration`` seconds of video give."""
    # Containers round it; a sample that would come just at the end comes too late.
    length = exact(duration) - Fraction(1, 2000) if duration > 0 else Fraction(0)
    if isinstance(processing, ClipProcessingConfig):
        step = exact(processing.delay_seconds)
        # A clip counts as soon as it has the fewest frames that a clip may have.
        length -= Fraction(config.MIN_CLIP_FRAMES - 1, processing.target_fps)
    else:
        step = exact(processing.interval_seconds)
    return max(ceil(length / step), 0)


def check_finite(source: SourceConfig) -> None:
    """Refuse a source that never ends. Whether a playlist does shows when it is opened.

    Raises:
        ValidationError: the source is live, or loops.
    """
    if isinstance(source, FileSource) and not source.loop and not source.live:
        return
    if isinstance(source, ArraySource | Replay | HLSSource):
        return
    raise ValidationError(
        f"{source.label} never ends, so it cannot be analysed to its end; give a file without "
        "loop=True or live=True, or watch it with client.streams.create(...)"
    )


def _with_realtime(source: SourceConfig, realtime: bool) -> SourceConfig:
    if isinstance(source, FileSource | HLSSource):
        return replace(source, realtime=realtime)
    if isinstance(source, Replay):
        return replace(source, speed=(source.speed or 1.0) if realtime else None)
    if realtime == (source.live or source.realtime):
        return source
    why = "it paces itself" if source.live else "frames from memory have no clock"
    raise ValidationError(f"realtime={realtime!r} does not apply to {source.label}: {why}")


def _as_pythons(number: float) -> float:
    """A fraction, or a number of numpy's, as recordings and pages can hold it."""
    if isinstance(number, int | float):
        return number
    meant = exact(number)
    return int(meant) if isinstance(number, Integral) else float(meant)


def _shown(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items())


def _checked_bytes(keep: int | bool | None) -> int:
    if keep is None or keep is True:
        return config.KEEP_FRAMES_BYTES
    if keep is False:
        return 0
    if not isinstance(keep, int) or keep < 0:
        raise ValidationError(
            f"keep_frames={keep!r} is not a number of bytes (0 or False keeps none, "
            f"True keeps the last {config.KEEP_FRAMES_BYTES // 2**20} MB)"
        )
    return keep
