"""What is on screen when: the script of the demo game, and the truth about every moment of it.

Text changes at times that are never a multiple of half a second, and no change lasts that long,
so that a frame taken every 0.5 s always shows a finished picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

FPS = 24
DURATION = 36.0
#: How long a score takes to flip, and a banner to slide in or out.
CHANGE_SECONDS = 0.18
#: The second half begins: the period and the game clock change, and the camera changes sides.
PERIOD_BREAK = 19.27
#: The fraction of a second at which the clocks count down.
_TICK = 0.27
#: The game clock in seconds when the video begins, and when the fourth quarter does.
_FIRST_CLOCK, _SECOND_CLOCK = 16, 12 * 60

TEAMS = ("HAWKS", "TIGERS")
_START = (84, 79)


@dataclass(frozen=True, slots=True)
class Basket:
    """Points for a team (index into `TEAMS`)."""

    at: float
    team: int
    points: int


@dataclass(frozen=True, slots=True)
class Banner:
    """A caption at the bottom of the picture, from ``start`` until it slides out at ``end``."""

    start: float
    end: float
    event: str
    player: str | None


BASKETS = (
    Basket(3.27, 0, 3),
    Basket(8.73, 1, 2),
    Basket(13.23, 0, 2),
    Basket(21.27, 1, 3),
    Basket(28.27, 1, 1),
    Basket(29.27, 1, 1),
    Basket(32.27, 0, 2),
)
BANNERS = (
    Banner(3.77, 6.27, "THREE POINTER", "#23 ALVAREZ"),
    Banner(9.23, 11.73, "DUNK", "#11 OKAFOR"),
    Banner(13.73, 15.23, "LAYUP", "#7 LINDQVIST"),
    Banner(15.73, 18.77, "END OF Q3", None),
    Banner(21.77, 24.23, "THREE POINTER", "#30 MORETTI"),
    Banner(25.77, 27.73, "FOUL", "#23 ALVAREZ"),
    Banner(28.77, 30.73, "FREE THROW", "#11 OKAFOR"),
    Banner(32.77, 35.23, "DUNK", "#45 BRANDT"),
)
#: (time, seconds on the shot clock from then on); None: it is off.
_SHOT_CLOCKS: tuple[tuple[float, int | None], ...] = (
    (0.0, 11),
    (3.27, 24),
    (8.73, 24),
    (13.23, None),
    (PERIOD_BREAK, 24),
    (21.27, 24),
    (26.27, 14),
    (29.27, 24),
    (32.27, 24),
)

PROMPT = (
    "Read the scoreboard: both scores, the period, the game clock and the shot clock; "
    "and the banner at the bottom when there is one."
)

#: What to ask for: the fields of `truth`.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "home_score": {"type": "integer", "description": "the points beside 'HAWKS'"},
        "away_score": {"type": "integer", "description": "the points beside 'TIGERS'"},
        "period": {"type": "string", "enum": ["Q3", "Q4"]},
        "clock": {
            "type": "string",
            "pattern": r"^\d\d:\d\d$",
            "description": "the game clock",
        },
        "shot_clock": {
            "type": ["integer", "null"],
            "description": "the seconds beside 'SHOT', null when it is off",
        },
        "event": {
            "type": ["string", "null"],
            "enum": [*dict.fromkeys(banner.event for banner in BANNERS), None],
            "description": "what the banner says, null when there is none",
        },
        "player": {
            "type": ["string", "null"],
            "pattern": r"^#\d+ [A-Z]+$",
            "description": "number and name in the banner, null when there is none",
        },
    },
    "required": ["home_score", "away_score", "period", "clock", "shot_clock", "event", "player"],
    "additionalProperties": False,
}


def frame_time(media_time: float) -> float:
    """The time of the frame that is on screen at ``media_time`` seconds."""
    last = math.ceil(DURATION * FPS) - 1
    # A whole frame time may arrive as a float a little below it.
    return min(max(0, math.floor(media_time * FPS + 1e-6)), last) / FPS


def _ticks(since: float, until: float) -> int:
    """How often the clocks count down in (since, until]."""
    return math.floor(until - _TICK + 1e-9) - math.floor(since - _TICK + 1e-9)


def truth(media_time: float) -> dict[str, Any]:
    """The fields of `SCHEMA` as they are on screen at ``media_time`` seconds.

    A field that is `changing` has its new value already.
    """
    now = frame_time(media_time)
    scores = list(_START)
    for basket in BASKETS:
        if basket.at <= now:
            scores[basket.team] += basket.points
    second = now >= PERIOD_BREAK
    if second:
        clock = _SECOND_CLOCK - _ticks(PERIOD_BREAK, now)
    else:
        clock = max(0, _FIRST_CLOCK - _ticks(0.0, now))
    banner = next((b for b in BANNERS if b.start <= now < b.end), None)
    return {
        "home_score": scores[0],
        "away_score": scores[1],
        "period": "Q4" if second else "Q3",
        "clock": f"{clock // 60:02d}:{clock % 60:02d}",
        "shot_clock": _shot_clock(now),
        "event": banner.event if banner else None,
        "player": banner.player if banner else None,
    }


def _shot_clock(now: float) -> int | None:
    since, seconds = next(item for item in reversed(_SHOT_CLOCKS) if item[0] <= now)
    return None if seconds is None else max(0, seconds - _ticks(since, now))


def changing(media_time: float) -> frozenset[str]:
    """The fields whose text is in the middle of a change at ``media_time``: flipping, sliding."""
    now = frame_time(media_time)
    found: set[str] = set()
    for basket in BASKETS:
        if basket.at <= now < basket.at + CHANGE_SECONDS:
            found.add("home_score" if basket.team == 0 else "away_score")
    for banner in BANNERS:
        for at in (banner.start, banner.end):
            if at <= now < at + CHANGE_SECONDS:
                found |= {"event", "player"}
    return frozenset(found)
