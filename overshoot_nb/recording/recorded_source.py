"""``RecordedSource``: what a recorded run watched, where it cannot be watched again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_NOT_LIVE = ("FileSource", "ArraySource", "Replay")


@dataclass(frozen=True, slots=True)
class RecordedSource:
    """A source by its name, without the secrets that it would take to open it.

    Args:
        said: what the recording says of it.
    """

    said: Mapping[str, Any] = field(repr=False)

    @property
    def kind(self) -> str:
        """Name of the class that it was, such as "RTSPSource"."""
        return str(self.said["kind"])

    @property
    def label(self) -> str:
        """What to call it on a screen."""
        return str(self.said.get("label", self.kind))

    @property
    def live(self) -> bool:
        """Whether it was live."""
        return bool(self.said.get("live", self.kind not in _NOT_LIVE))

    @property
    def realtime(self) -> bool:
        """Whether it was played by a clock."""
        return self.live or bool(self.said.get("realtime", False))

    def __repr__(self) -> str:
        return f"RecordedSource({self.kind}, {self.label!r})"
