"""``PromptVersion`` and ``PromptHistory``: what was asked, version by version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

__all__ = ["PromptHistory", "PromptVersion"]


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """A prompt and all that is asked along with it.

    Attributes:
        version: 1 for the first of a stream, one more for each that followed; column
            ``prompt_version`` of the rows.
        text: the prompt.
        model: the model that is asked.
        output_schema: JSON schema of the answer, or None.
        max_output_tokens: limit of an answer, or None.
        created_at: UTC wall clock when it came into force.
    """

    version: int
    text: str
    model: str
    output_schema: Mapping[str, Any] | None = None
    max_output_tokens: int | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC), compare=False)

    def followed_by(self, **changes: Any) -> PromptVersion:
        """The version after this one with some fields changed; itself where none is another."""
        changed = replace(self, **changes)
        if changed == self:
            return self
        return replace(changed, version=self.version + 1, created_at=datetime.now(UTC))


class PromptHistory:
    """The versions of a stream by number: ``history[1]`` is the first. Iterates oldest first."""

    def __init__(self, first: PromptVersion) -> None:
        self._versions = [first]

    @property
    def current(self) -> PromptVersion:
        """The version in force."""
        return self._versions[-1]

    def add(self, version: PromptVersion) -> None:
        """A version came into force; the one in force already changes nothing."""
        if version is not self.current:
            self._versions.append(version)

    def __getitem__(self, version: int) -> PromptVersion:
        """A version by its number.

        Raises:
            LookupError: there is none of that number.
        """
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
        return "\n".join(f"v{v.version} ({v.model}): {v.text[:80]!r}" for v in self._versions)
