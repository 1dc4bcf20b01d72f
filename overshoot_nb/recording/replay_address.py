"""``replay:PATH[?speed=...]``: a recording in the place of a server, as a ``base_url``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from overshoot_nb.errors import ValidationError

__all__ = ["SCHEME", "ReplayAddress", "check_speed"]

#: How such a ``base_url`` begins.
SCHEME = "replay:"

_FORM = f"'{SCHEME}run.parquet', or '{SCHEME}run.parquet?speed=4' (speed=inf: without waiting)"


@dataclass(frozen=True, slots=True)
class ReplayAddress:
    """Which recording answers, and how fast.

    Attributes:
        path: the file, as it was written.
        speed: how many times as fast as the run was, ``math.inf`` without waiting; None leaves it
            to what is asked of it.
    """

    path: str
    speed: float | None = None

    @classmethod
    def parse(cls, url: str) -> ReplayAddress:
        """The address that a ``base_url`` names.

        Raises:
            ValidationError: it names no file, or an option that there is not.
        """
        path, mark, options = url.strip().removeprefix(SCHEME).rpartition("?")
        if not mark:
            path, options = options, ""
        path = path.strip()
        if not path:
            raise ValidationError(f"base_url={url!r} names no recording: give {_FORM}")
        speed: float | None = None
        for option in filter(None, options.split("&")):
            name, _, value = option.partition("=")
            if name != "speed":
                raise ValidationError(
                    f"base_url={url!r}: there is no option {name!r}: give {_FORM}"
                )
            try:
                speed = float(value)
            except ValueError:
                raise ValidationError(
                    f"base_url={url!r}: speed={value} is no number: give {_FORM}"
                ) from None
            check_speed(speed)
        return cls(str(Path(path).expanduser()), speed)

    def __str__(self) -> str:
        return f"{SCHEME}{self.path}" + ("" if self.speed is None else f"?speed={self.speed:g}")


def check_speed(speed: object) -> float:
    """A speed as a float.

    Raises:
        ValidationError: it is no number above 0.
    """
    number = isinstance(speed, int | float) and not isinstance(speed, bool)
    if not number or math.isnan(speed) or speed <= 0:  # type: ignore[arg-type, operator]
        raise ValidationError(
            f"speed={speed!r} must be a number above 0: 1 is the pace of the recorded run, "
            "math.inf (or None) is without waiting"
        )
    return float(speed)  # type: ignore[arg-type]
