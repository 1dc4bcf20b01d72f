"""``Replay``: a recorded run as a source, or as whoever answers."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from overshoot_nb.errors import ValidationError
from overshoot_nb.support.redaction import hides_arguments, redact
from overshoot_nb.support.registry import opener
from overshoot_nb.support.replay_address import ReplayAddress, check_local, check_speed, expanded


@hides_arguments()
@dataclass(frozen=True, slots=True)
class Replay:
    """A recording to be played; a value that opens nothing.

    As a source it gives the recorded pictures at their media times, to whatever model: at any
    moment the last one at or before it. A JPEG that is no larger than the stream's ``max_size``
    is passed on byte for byte. Of a run that was restarted, one reading follows the other.

    :meth:`client` answers as the recorded run was answered, and :meth:`start` plays it whole.

    Args:
        path: the file that ``stream.record(path)`` wrote.
        speed: how many times as fast as it was; None (or ``math.inf``) as fast as the samples are
            used.

    Raises:
        ValidationError: ``path`` is no path, or ``speed`` not above 0.
    """

    path: str | Path = field(repr=False)
    speed: float | None = 1.0
    live: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | os.PathLike) or not str(self.path).strip():
            raise ValidationError(f"path={self.path!r} must be the path of a recording")
        check_local(self.path)
        if self.speed is not None and check_speed(self.speed) == math.inf:
            object.__setattr__(self, "speed", None)

    @property
    def realtime(self) -> bool:
        """Whether it is played by a clock."""
        return self.speed is not None

    @property
    def url(self) -> str:
        """Where it is."""
        return expanded(self.path)

    @property
    def label(self) -> str:
        """What to call it on a screen."""
        return Path(self.url).name or self.url

    @property
    def shown(self) -> str:
        """Where it is, whole."""
        return redact(str(self.path))

    def __repr__(self) -> str:
        return (
            f"Replay({self.shown!r}, speed={self.speed:g})"
            if self.speed
            else (f"Replay({self.shown!r}, speed=None)")
        )

    def client(self) -> Any:
        """A client (``Overshoot``) that answers from the recording, without key and network.

        Its streams play the recorded run in place of their source, which is not even opened: the
        same samples, rows and drops, whatever is asked that was asked then. A notebook that made
        the recording is run again with ``OVERSHOOT_BASE_URL=replay:run.parquet``, unchanged.

        With speed 1, ``analyze`` and streams with ``realtime=False`` do not wait for the clock.

        Raises:
            ValidationError: the file is not there, or no recording.
        """
        speed = None if self.speed == 1 else self.speed or math.inf
        return opener("client")(base_url=str(ReplayAddress(self.url, speed)))

    async def start(self) -> Any:
        """A ``Stream`` that plays the run: its own prompts and settings, its answers included.

        It bears the name of the run's own source. Changes of the prompt come by themselves. The
        stream can be paused, closed and restarted like any other.

        Raises:
            ValidationError: the file is not there, or no recording.
        """
        return await opener("replay_start")(self)
