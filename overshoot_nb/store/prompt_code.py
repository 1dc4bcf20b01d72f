"""A prompt version as the cell that starts a stream with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from numbers import Integral
from typing import Any

from overshoot_nb import config
from overshoot_nb.errors import ValidationError
from overshoot_nb.settings.stream_settings import StreamSettings
from overshoot_nb.sources.kinds import ArraySource, LiveKitSource, SourceConfig, as_source
from overshoot_nb.sources.pushed_source import FrameSource
from overshoot_nb.support.redaction import display_url
from overshoot_nb.support.replay_address import SCHEME

from .prompt_fields import ASKED, PromptFields

#: Characters of a line of code.
_WIDTH = 88
_INDENT = "    "

#: What a stream does with a prompt, besides its source and how it samples.
_PLAIN = (
    "max_in_flight",
    "max_size",
    "jpeg_quality",
    "clip_encoding",
    "response_format",
    "keep_frames",
    "transport",
    "same_frame",
)


def as_code(version: PromptFields, settings: StreamSettings | None) -> str:
    """The cell that starts a stream with a version, as Python source.

    Settings that are the defaults are left out, and so are the secrets of URLs, which a comment
    says. Keys are never part of it: they are looked up as always.

    Args:
        version: what to ask.
        settings: the source and how it is watched. None where the version comes from a file:
            the code then takes its source from a variable named ``source``.
    """
    # A version that belongs to no stream has no number of its own.
    name = f"Prompt version {version.version}" if version.version > 0 else "Suggested prompt"
    comments = [f"# {name}{_worded(version.note)}"]
    client = "overshoot_nb.Overshoot()"
    if version._base_url not in (None, config.DEFAULT_BASE_URL):
        assert version._base_url is not None
        shown = _url(version._base_url, "the server's URL", comments)
        client = f"overshoot_nb.Overshoot(base_url={_literal(shown)})"
    if settings is None:
        comments.append("# source: what to watch, such as a file, a URL or a camera")
        source = "source"
    else:
        source = _source(settings.source, comments)
    arguments = [source, _text(version.text), _literal(version.model)]
    arguments += [f"{name}={value}" for name, value in _options(version, settings)]
    body = "".join(f"{_INDENT}{argument},\n" for argument in arguments)
    said = "\n".join(comments)
    return f"import overshoot_nb\n\n{said}\nstream = await {client}.streams.create(\n{body})\n"


def _worded(note: str) -> str:
    # Nothing that could end the comment.
    words = "".join(c if c.isprintable() else " " for c in note).split()
    return f": {' '.join(words)}" if words else ""


def _options(version: PromptFields, settings: StreamSettings | None) -> Iterator[tuple[str, str]]:
    """Names and values, as code, of the parameters that are not the defaults."""
    for name in ASKED:
        if name not in ("text", "model") and (value := getattr(version, name)) is not None:
            yield name, _literal(value, len(name) + 1)
    if settings is None:
        return
    if settings.mode == "clip":
        yield "mode", '"clip"'
    usual = StreamSettings.build(settings.source, "?", "?", mode=settings.mode)
    for name, value in settings.numbers.items():
        if value != usual.numbers[name]:
            yield name, _literal(value)
    for name in _PLAIN:
        if (value := getattr(settings, name)) != getattr(usual, name):
            yield name, _literal(value)


# ---- sources -------------------------------------------------------------------------------------


def _source(source: SourceConfig, comments: list[str]) -> str:
    if isinstance(source, FrameSource):
        comments.append("# Push frames into the source: stream.settings.source.push_frame(...)")
        return f"overshoot_nb.FrameSource({source.width}, {source.height})"
    if isinstance(source, ArraySource):
        comments.append("# frames: the pictures, which were in memory")
        return f"overshoot_nb.ArraySource(frames, fps={_flat(source.fps)})"
    given: dict[str, Any] = {}
    for field in fields(source):
        value = getattr(source, field.name)
        if field.default is MISSING or value != field.default:
            given[field.name] = value
    if given.pop("headers", None):
        comments.append("# headers=: the source's header fields are left out: put them back.")
    for name in given.keys() & {"path", "url"}:
        given[name] = _url(str(given[name]), "the source's URL", comments)
    if isinstance(source, LiveKitSource):
        comments.append("# The room's token is left out: put one in its place.")
        given["token"] = "…"
    where = given.get("path", given.get("url"))
    if len(given) == 1 and where is not None and _says_all(where, source):
        return _literal(where)
    arguments = ", ".join(
        _literal(value) if name in ("path", "url") else f"{name}={_literal(value)}"
        for name, value in given.items()
    )
    return f"overshoot_nb.{type(source).__name__}({arguments})"


def _says_all(where: str, source: SourceConfig) -> bool:
    """Whether a path or URL is taken for this very source."""
    try:
        taken = as_source(where)
    except ValidationError:
        return False
    return type(taken) is type(source) and getattr(taken, "url", None) == where


def _url(url: str, what: str, comments: list[str]) -> str:
    """A path, or a URL without its secrets."""
    if "://" not in url or url.startswith(SCHEME) or (shown := display_url(url)) == url:
        return url
    comments.append(f"# Secrets of {what} are left out: put them back.")
    return shown


# ---- literals ------------------------------------------------------------------------------------


def _text(text: str) -> str:
    """A text as one literal; one of several lines as a literal for each, side by side."""
    lines = text.splitlines(keepends=True)
    if len(lines) < 2:
        return _literal(text)
    inner = "".join(f"{_INDENT * 2}{_literal(line)}\n" for line in lines)
    return f"(\n{inner}{_INDENT})"


def _literal(value: Any, taken: int = 0, depth: int = 1) -> str:
    """A value as Python source: on one line where it fits, else indented.

    Args:
        value: strings, numbers, None, and dicts, lists and tuples of these.
        taken: characters of the line that are used already.
        depth: levels of indentation.
    """
    flat = _flat(value)
    if len(flat) + taken + depth * len(_INDENT) < _WIDTH or not value:
        return flat
    if isinstance(value, Mapping):
        items = [(f"{_flat(key)}: ", inner) for key, inner in value.items()]
    elif isinstance(value, list):
        items = [("", inner) for inner in value]
    else:
        return flat
    indent = _INDENT * (depth + 1)
    lines = (f"{indent}{name}{_literal(inner, len(name), depth + 1)},\n" for name, inner in items)
    return f"{flat[0]}\n{''.join(lines)}{_INDENT * depth}{flat[-1]}"


def _flat(value: Any) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Mapping):
        pairs = (f"{_flat(key)}: {_flat(inner)}" for key, inner in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flat, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(_flat, value))})"
    if value is None or isinstance(value, bool):
        return repr(value)
    # Numbers of numpy and fractions too, which the cell would have to import.
    return repr(int(value) if isinstance(value, Integral) else float(value))


def _quoted(text: str) -> str:
    """A string in double quotes, as most formatters have it, where that needs no more escapes."""
    plain = repr(text)
    if plain[0] == "'" and '"' not in text:
        return f'"{plain[1:-1]}"'
    return plain
