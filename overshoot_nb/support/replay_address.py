"""``replay:PATH[?speed=...]``: a recording in the place of a server, as a ``base_url``."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass

from overshoot_nb.errors import ValidationError

from .redaction import display_url, hidden, hidden_line, is_url

#: How such a ``base_url`` begins.
SCHEME = "replay:"

_OPTIONS = re.compile(r"(?P<path>.*)\?(?P<options>(?:\w+=[^&/\\?]*(?:&\w+=[^&/\\?]*)*)?)", re.S)
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
        url = hidden_line(url)
        path: str = hidden(url.strip().removeprefix(SCHEME))
        check_local(path)
        # Options are what has the form of options: a file's name may have question marks.
        options = ""
        if (found := _OPTIONS.fullmatch(path)) is not None:
            path, options = found["path"], found["options"]
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
        return cls(expanded(path), speed)

    def __str__(self) -> str:
        if self.speed is not None:
            return f"{SCHEME}{self.path}?speed={self.speed!r}".removesuffix(".0")
        # Where the name itself looks like options, they are none.
        return f"{SCHEME}{self.path}" + ("?" if _OPTIONS.fullmatch(self.path) else "")


def expanded(path: str | os.PathLike[str]) -> str:
    """A path with the user's folder in the place of ``~``; ``~file`` is a file of that name."""
    return os.path.expanduser(os.fspath(path))  # noqa: PTH111 (Path's own raises for ~file)


def check_local(path: str | os.PathLike[str]) -> None:
    """Refuse a URL in the place of a recording's path, before a path is made of it.

    Raises:
        ValidationError: it is one.
    """
    if is_url(str(path)):
        raise ValidationError(
            f"path={display_url(str(path))!r} is a URL: a recording is a file of this machine, so "
            "give its path"
        )


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
