"""``PromptVersion`` and ``PromptHistory``: what was asked, version by version."""

from __future__ import annotations

import json
import operator
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from overshoot_nb.settings.stream_settings import StreamChanges, StreamSettings
from overshoot_nb.support.api_key import held_key
from overshoot_nb.support.redaction import hidden
from overshoot_nb.support.registry import opener

from .prompt_fields import ASKED, PromptFields

if TYPE_CHECKING:
    import os

    from .prompt_diff import PromptDiff


@dataclass(frozen=True, slots=True)
class PromptVersion(PromptFields):
    """A prompt and all that is asked along with it, by its number; see :class:`PromptFields`."""

    def as_code(self) -> str:
        """The cell that starts a stream with this version, as Python source.

        Settings that are the defaults are left out. Secrets of URLs are too, and are said to be.
        """
        from .prompt_code import as_code

        return as_code(self, self._settings)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as a TOML file, for git; :meth:`load` and ``%overshoot --prompt-file`` read it.

        Raises:
            ValidationError: it has a value that no stream could be asked with.
            OSError: the file cannot be written.
        """
        from .prompt_file import save

        save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PromptVersion:
        """Read what :meth:`save` wrote; ``stream.update_prompt(...)`` takes it.

        Raises:
            ValidationError: it is no such file; says what is wrong, and where.
            OSError: the file cannot be read.
        """
        from .prompt_file import read

        return cls(1, **read(path))


def asked_by(settings: StreamSettings) -> dict[str, Any]:
    """What a stream of these settings asks, as fields of a version."""
    asked = {name: getattr(settings, name) for name in ASKED if name != "text"}
    return {"text": settings.prompt, **asked}


def changes_to(settings: StreamSettings, version: PromptVersion) -> StreamChanges:
    """What a stream of these settings has to change to ask a version."""
    asked = version.parameters
    return cast("StreamChanges", {n: v for n, v in asked.items() if v != getattr(settings, n)})


def asked_as_text(version: PromptVersion) -> str:
    """All that a version asks: what differs in it is answered differently.

    The order of a schema's properties is that of the answer's, so it counts; and 1 is not true.
    """
    asked = version.parameters
    # Left out where there is none: what was kept before there were any is still known.
    asked = {k: v for k, v in asked.items() if v is not None or k not in ("system", "extra_body")}
    if isinstance(version.temperature, int):
        asked["temperature"] = float(version.temperature)
    # What no schema can hold is refused where it is prepared, which says where.
    return json.dumps(asked, default=lambda x: dict(x) if isinstance(x, Mapping) else repr(x))


class PromptHistory:
    """The versions of a stream by number: ``history[1]`` is the first. Iterates oldest first.

    Any thread may use it.

    Args:
        first: version 1, in force.
        run: the run that asks, for :meth:`suggest`; None where there is none.
    """

    def __init__(self, first: PromptVersion, run: object | None = None) -> None:
        self._versions = [first]
        self._current = first
        self._run = run
        self._lock = threading.Lock()
        self._sought: set[int] = set()  # numbers that somebody found rather than made

    @classmethod
    def restored(
        cls, versions: Sequence[PromptVersion], current: int, run: object | None = None
    ) -> PromptHistory:
        """The history of a run that was kept: all its versions from 1 on, and the one in force."""
        history = cls(versions[0], run)
        history._versions = list(versions)
        history._current = history[current]
        return history

    @property
    def current(self) -> PromptVersion:
        """The version in force: what the stream asks now."""
        return self._current

    def version_of(
        self, *, settings: StreamSettings | None = None, note: str = "", **asked: Any
    ) -> PromptVersion:
        """The version that asks just this; a new one where there is none yet.

        Args:
            settings: what the stream does with it.
            note: kept with a new one.
            asked: those of ``ASKED`` that differ from the version in force.
        """
        with self._lock:
            wanted = replace(self._current, **asked)
            for known in self._versions:
                if _same_question(known, wanted):
                    self._sought.add(known.version)
                    return known
            new = replace(
                wanted,
                version=self._versions[-1].version + 1,
                created_at=datetime.now(UTC),
                parent=self._current.version,
                note=note,
                _settings=settings if settings is not None else self._current._settings,
            )
            self._versions.append(new)
            return new

    def enforce(self, version: PromptVersion) -> None:
        """A version of this history came into force."""
        with self._lock:
            self._current = version

    def discard(self, version: PromptVersion) -> None:
        """Forget a version that was refused, where it is the newest and nobody else asks it."""
        with self._lock:
            used = version is self._current or version.version in self._sought
            if self._versions[-1] is version and not used:
                self._versions.pop()

    def diff(self, old: int, new: int) -> PromptDiff:
        """What changed from one version to another: words of the prompt, and the other fields.

        Raises:
            LookupError: there is no version of that number.
        """
        from .prompt_diff import PromptDiff

        return PromptDiff.between(self[old], self[new])

    async def suggest(self, model: str, **options: Any) -> Any:
        """Better prompts from a text-capable model, scored on labels that it was not shown.

        Returns ``Suggestions``; see :func:`overshoot_nb.tuning.suggesting.suggest`, which takes
        the same parameters.
        """
        options = {name: _covered(name, value) for name, value in options.items()}
        if self._run is None:
            raise LookupError("these versions belong to no run whose labels could be learned from")
        return await opener("suggest")(self._run, model, **options)

    def __getitem__(self, version: int) -> PromptVersion:
        """A version by its number.

        Raises:
            LookupError: there is none of that number, or it is no number.
        """
        try:
            version = operator.index(version)
        except TypeError:
            hint = ": give its .version" if isinstance(version, PromptVersion) else ""
            raise LookupError(
                "prompt versions are found by their number, such as 1, not by a "
                f"{type(version).__name__}{hint}"
            ) from None
        if not 1 <= version <= len(self._versions):
            raise LookupError(
                f"no prompt version {version}: there are versions 1 to {len(self._versions)}"
            )
        return self._versions[version - 1]

    def __len__(self) -> int:
        return len(self._versions)

    def __iter__(self) -> Iterator[PromptVersion]:
        return iter(list(self._versions))

    def __repr__(self) -> str:
        return "\n".join(map(self._line, self))

    def _line(self, version: PromptVersion) -> str:
        line = f"v{version.version}{' (in force)' if version is self._current else ''}"
        line += f" ({version.model}): {version.text[:80]!r}"
        if version.output_schema is not None:
            properties = version.output_schema.get("properties")
            names = ", ".join(map(str, properties)) if isinstance(properties, Mapping) else "JSON"
            line += f" -> {names[:80]}"
        return f"{line} - {version.note}" if version.note else line


def _covered(name: str, value: object) -> Any:
    return held_key(value) if name == "api_key" else hidden(value, server=name == "base_url")


def _same_question(one: PromptVersion, other: PromptVersion) -> bool:
    # As text, a schema's order of properties counts, and 1 is not true.
    return replace(one, version=other.version) == other and all(
        json.dumps(getattr(one, name), default=dict)
        == json.dumps(getattr(other, name), default=dict)
        for name in ("output_schema", "extra_body")
    )
