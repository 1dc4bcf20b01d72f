"""How long a server wants to be left alone, in whichever of the known ways it says it.

==============================  ===================================================================
said by                         as
==============================  ===================================================================
``Retry-After``                 seconds, whole or not, or an HTTP date (RFC 9110, 10.2.3)
``retry-after-ms``              milliseconds (OpenAI, Azure)
``x-ratelimit-reset-after``     seconds
``x-ratelimit-reset``           the end of the window: seconds or milliseconds since 1970, a date
                                (RFC 3339), or seconds from now; ``ratelimit-reset`` alike
``x-ratelimit-reset-requests``  durations such as "1m30s" (OpenAI; ``-tokens`` alike), that of
                                whichever has nothing remaining
``retryDelay`` in the body      a duration (Google)
==============================  ===================================================================

Times of day are taken by the server's own clock, where a ``Date`` header tells it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

#: A number beyond these is no length of time, but seconds or milliseconds since 1970.
_EPOCH_SECONDS: Final = 1e9
_EPOCH_MILLISECONDS: Final = 1e11
_UNITS: Final = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d)\s*)+")
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_RESETS: Final = ("x-ratelimit-reset", "x-rate-limit-reset", "ratelimit-reset")
_COUNTED: Final = ("requests", "tokens")
#: Where a body may say it, below an error.
_LEVELS: Final = ("metadata", "headers", "upstream", "rate_limits", "details")
_MAX_LEVELS: Final = 4
_MAX_ITEMS: Final = 16


def retry_after_seconds(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds from a ``Retry-After`` header, in any of its forms; None when it says nothing.

    Args:
        value: the header.
        now: the server's time; None for ours.
    """
    return _until(value or "", now)


def stated_wait(headers: Mapping[str, str], *, limited: bool) -> float | None:
    """Seconds that the headers of an answer ask to wait; None when they do not say.

    Args:
        headers: their names in any case, or in lower case.
        limited: whether the answer is a refusal for a limit (429); else its counters of a limit
            say nothing.
    """
    if (value := headers.get("retry-after-ms")) and (wait := _length(value)) is not None:
        return max(0.0, wait / 1e3)
    now = _moment(headers.get("date") or "")
    wait = retry_after_seconds(headers.get("retry-after"), now)
    if wait is not None or not limited:
        return wait
    if (value := headers.get("x-ratelimit-reset-after")) and (wait := _length(value)) is not None:
        return max(0.0, wait)
    for name in _RESETS:
        if (wait := _until(headers.get(name) or "", now)) is not None:
            return wait
    return _counted(headers)


def _counted(headers: Mapping[str, str]) -> float | None:
    waits = {}
    for kind in _COUNTED:
        value = headers.get(f"x-ratelimit-reset-{kind}")
        if value and (wait := _length(value)) is not None:
            spent = _length(headers.get(f"x-ratelimit-remaining-{kind}") or "") == 0
            waits[max(0.0, wait)] = spent
    spent_waits = [wait for wait, spent in waits.items() if spent]
    return max(spent_waits or waits, default=None)


def wait_in_body(error: Any, *, limited: bool) -> float | None:
    """The same from the error in an answer's body, and what it quotes of others' headers."""
    for level in _levels(error, _MAX_LEVELS):
        said = {
            str(name).lower().replace("_", "-"): str(value)
            for name, value in list(level.items())[: _MAX_ITEMS * 4]
            if isinstance(value, str | int | float) and not isinstance(value, bool)
        }
        for name in ("retry-after-seconds", "retrydelay", "retry-delay"):
            if name in said:
                said.setdefault("retry-after", said[name])
        if (wait := stated_wait(said, limited=limited)) is not None:
            return wait
    return None


def _levels(value: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        for item in value[:_MAX_ITEMS]:
            yield from _levels(item, depth)
    elif isinstance(value, Mapping) and depth:
        yield value
        for name in _LEVELS:
            yield from _levels(value.get(name), depth - 1)


# ---- one value -----------------------------------------------------------------------------------


def _length(value: str) -> float | None:
    """A number of seconds, or a duration with units."""
    value = value.strip()[:64].lower()
    try:
        seconds = float(value)
    except ValueError:
        if _DURATION.fullmatch(value) is None:
            return None
        seconds = sum(float(n) * _UNITS[unit] for n, unit in _PART.findall(value))
    return seconds if math.isfinite(seconds) else None


def _until(value: str, now: datetime | None) -> float | None:
    """Seconds until the end of a window."""
    lengths = [_length(part) for part in value[:256].split(",")]  # a header that came twice
    seconds = None if None in lengths else max(filter(None, lengths), default=0.0)
    now = now or datetime.now(UTC)
    if seconds is None:
        when = _moment(value)
        seconds = None if when is None else (when - now).total_seconds()
    elif seconds >= _EPOCH_SECONDS:
        since_1970 = seconds / 1e3 if seconds >= _EPOCH_MILLISECONDS else seconds
        seconds = since_1970 - now.timestamp()
    return None if seconds is None else max(0.0, seconds)


def _moment(value: str) -> datetime | None:
    """A time of day, as HTTP or RFC 3339 write it."""
    value = value.strip()[:64]
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError, IndexError):
        try:
            when = datetime.fromisoformat(value.upper())
        except ValueError:
            return None
    try:
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (OverflowError, ValueError):
        return None
