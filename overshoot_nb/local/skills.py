"""What the local models can do: the skills, their typed fields and the words that ask for them.

A `Look` is one request's pictures, with each skill run at most once and only when asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from . import scene
from .reading import Page
from .scene import MOVING, Scene

if TYPE_CHECKING:
    from .pictures import Picture


class Look:
    """The pictures of one request and what the skills found in them, on demand.

    Text and faces are looked for in the newest picture; motion and cuts over all.
    """

    def __init__(self, pictures: Sequence[Picture], read: Callable[[Picture], Page]) -> None:
        self._pictures = pictures
        self._read = read

    @cached_property
    def page(self) -> Page:
        return self._read(self._pictures[-1])

    @cached_property
    def scene(self) -> Scene:
        return scene.measure(self._pictures)

    @cached_property
    def faces(self) -> list[tuple[int, int, int, int]]:
        return scene.faces(self._pictures[-1])


@dataclass(frozen=True, slots=True)
class Skill:
    """One thing that a local model can do.

    Attributes:
        asks: the words of a prompt that ask for it.
        say: its answer in words.
    """

    name: str
    asks: re.Pattern[str]
    say: Callable[[Look], str]


@dataclass(frozen=True, slots=True)
class Field:
    """A property that a skill can fill.

    Attributes:
        kind: its JSON type.
        value: the value, None where the pictures have none (motion of a single picture).
        aliases: other names of it. Names are compared without case, underscores and hyphens;
            "color" is read as "colour".
    """

    name: str
    skill: str
    kind: str
    value: Callable[[Look], Any]
    aliases: tuple[str, ...] = ()


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _say_light(look: Look) -> str:
    value = look.scene.brightness
    word = "dark" if value < 0.25 else "bright" if value > 0.7 else "medium"
    return f"Brightness: {value:.2f} of 1 ({word}); contrast {look.scene.contrast:.2f}."


def _say_colour(look: Look) -> str:
    return (
        "Colours: " + ", ".join(f"{c.name} {_percent(c.share)}" for c in look.scene.colours[:4])
    ) + "."


def _say_sharpness(look: Look) -> str:
    return f"Sharpness: {look.scene.sharpness:.2f} of 1."


def _say_motion(look: Look) -> str:
    seen = look.scene
    if seen.motion is None:
        return "Motion: unknown, a single picture does not show it."
    cuts = "no scene cut" if not seen.cuts else f"{seen.cuts} scene cut(s)"
    moving = "moving" if seen.motion >= MOVING else "still"
    changed = f"{_percent(seen.motion)} of the picture changed from frame to frame"
    return f"Motion: {moving}, {changed}, {cuts}."


def _say_faces(look: Look) -> str:
    count = len(look.faces)
    found = "none found" if not count else f"{count} found"
    return f"Faces: {found} (upright frontal faces only)."


def _say_text(look: Look) -> str:
    return look.page.text


def _asks(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words})\b", re.IGNORECASE)


SKILLS: tuple[Skill, ...] = (
    Skill(
        "text",
        _asks(
            r"read|reads|readout|texts?|ocr|words?|written|writing|transcribe|letters|digits|"
            r"numbers? (?:shown|visible|on)|signs?|labels?|titles?|subtitles?|headlines?|banners?|"
            r"scores?|scoreboard|clocks?|time|departures?|arrivals?|gates?|prices?|"
            r"number plates?|license plates?|what does (?:it|this|the \w+) say"
        ),
        _say_text,
    ),
    Skill("light", _asks(r"bright\w*|dark\w*|light(?:s|ing)?|exposure|contrast"), _say_light),
    Skill("colour", _asks(r"colou?rs?|coloured|colored|palette|hue"), _say_colour),
    Skill("sharpness", _asks(r"sharp\w*|blurr?\w*|focus\w*|in focus"), _say_sharpness),
    Skill(
        "motion",
        _asks(r"motion|mov(?:e|es|ing|ement|ements)|still|scene (?:cuts?|changes?)|cuts?"),
        _say_motion,
    ),
    Skill("faces", _asks(r"faces?"), _say_faces),
)

#: The words that ask for a description of everything.
DESCRIBE = _asks(
    r"describe|description|caption|summari[sz]e|what do you see|what(?: is|'s|s) happening|"
    r"what(?: is|'s) (?:in|on|visible)|what happens|what can you see"
)


def asked_skills(prompt: str, among: Sequence[str]) -> list[Skill]:
    """The skills whose words the prompt holds, of those named in ``among``."""
    return [skill for skill in SKILLS if skill.name in among and skill.asks.search(prompt)]


def _pieces(look: Look) -> list[dict[str, Any]]:
    return [
        {
            "text": p.text,
            "box": [round(p.x0), round(p.y0), round(p.x1), round(p.y1)],
            "confidence": round(p.confidence, 3),
        }
        for p in look.page.pieces
    ]


def _words(look: Look) -> list[str]:
    return [word for line in look.page.lines for word in line.split()]


def _colours(look: Look) -> list[dict[str, Any]]:
    return [{"name": c.name, "hex": c.hex, "share": c.share} for c in look.scene.colours]


def _first_colour(attribute: str) -> Callable[[Look], Any]:
    def value(look: Look) -> Any:
        return getattr(look.scene.colours[0], attribute) if look.scene.colours else None

    return value


FIELDS: tuple[Field, ...] = (
    Field(
        "text",
        "text",
        "string",
        lambda look: look.page.text,
        ("visible text", "all text", "ocr", "ocr text", "transcript", "full text"),
    ),
    Field(
        "lines",
        "text",
        "array",
        lambda look: look.page.lines,
        ("text lines", "text", "texts", "visible text", "all text"),
    ),
    Field("words", "text", "array", _words),
    Field("boxes", "text", "array", _pieces, ("words", "text boxes", "pieces", "text regions")),
    Field("line_count", "text", "integer", lambda look: len(look.page.rows)),
    Field("word_count", "text", "integer", lambda look: len(_words(look))),
    Field(
        "has_text",
        "text",
        "boolean",
        lambda look: bool(look.page.rows),
        ("text present", "text visible"),
    ),
    Field(
        "brightness",
        "light",
        "number",
        lambda look: look.scene.brightness,
        ("luminance", "brightness level", "mean brightness"),
    ),
    Field("dark", "light", "boolean", lambda look: look.scene.brightness < 0.25, ("is dark",)),
    Field("contrast", "light", "number", lambda look: look.scene.contrast),
    Field(
        "dominant_colour",
        "colour",
        "string",
        _first_colour("name"),
        ("colour", "main colour", "primary colour", "dominant colour name"),
    ),
    Field(
        "dominant_colour_hex",
        "colour",
        "string",
        _first_colour("hex"),
        ("hex", "colour hex", "hex colour"),
    ),
    Field(
        "dominant_colours",
        "colour",
        "array",
        lambda look: [c.name for c in look.scene.colours],
        ("colours", "main colours", "colour names", "palette"),
    ),
    Field("colour_shares", "colour", "array", _colours, ("dominant colours", "colours", "palette")),
    Field("sharpness", "sharpness", "number", lambda look: look.scene.sharpness),
    Field(
        "motion",
        "motion",
        "number",
        lambda look: look.scene.motion,
        ("motion level", "movement", "motion amount"),
    ),
    Field(
        "moving",
        "motion",
        "boolean",
        lambda look: None if look.scene.motion is None else look.scene.motion >= MOVING,
        ("is moving", "motion", "motion detected", "movement", "has motion"),
    ),
    Field(
        "scene_cuts",
        "motion",
        "integer",
        lambda look: look.scene.cuts,
        ("cuts", "cut count", "scene cut count", "scene changes"),
    ),
    Field(
        "scene_cut",
        "motion",
        "boolean",
        lambda look: None if look.scene.cuts is None else look.scene.cuts > 0,
        ("scene change", "scene changed", "cut"),
    ),
    Field(
        "face_count",
        "faces",
        "integer",
        lambda look: len(look.faces),
        ("faces", "number of faces", "faces count"),
    ),
    Field(
        "face_present",
        "faces",
        "boolean",
        lambda look: bool(look.faces),
        ("has face", "has faces", "face visible", "faces present", "face detected"),
    ),
    Field(
        "face_boxes",
        "faces",
        "array",
        lambda look: [list(box) for box in look.faces],
        ("faces",),
    ),
    Field("image_width", "light", "integer", lambda look: look.scene.width, ("frame width",)),
    Field("image_height", "light", "integer", lambda look: look.scene.height, ("frame height",)),
    Field("frame_count", "motion", "integer", lambda look: look.scene.frames),
)


def _key(name: str) -> str:
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    key = re.sub(r"[\s_-]+", "", apart).casefold()
    return re.sub(r"color", "colour", key)


_BY_KEY: dict[str, list[Field]] = {}
for _field in FIELDS:
    for _name in (_field.name, *_field.aliases):
        _BY_KEY.setdefault(_key(_name), []).append(_field)


def field_of(name: str, among: Sequence[str]) -> list[Field]:
    """The fields that go by a property's name, of the skills named in ``among``."""
    return [field for field in _BY_KEY.get(_key(name), []) if field.skill in among]
