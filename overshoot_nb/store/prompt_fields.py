"""What one prompt version asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from overshoot_nb.settings.stream_settings import ASKED as PARAMETERS
from overshoot_nb.settings.stream_settings import StreamSettings

#: The fields that say what is asked; two versions that agree in them are one.
ASKED = ("text", *(name for name in PARAMETERS if name != "prompt"))


@dataclass(frozen=True, slots=True)
class PromptFields:
    """A prompt and all that is asked along with it.

    Attributes:
        version: 1 for the first of a stream, one more for each that followed; column
            ``prompt_version`` of the rows.
        text: the prompt.
        model: the model that is asked.
        output_schema: JSON schema of the answer, or None.
        max_output_tokens: limit of an answer, or None.
        temperature: 0..2, or None for the server's own.
        system: text of the system message before the prompt, or None.
        extra_body: further fields of the request's body, or None.
        created_at: UTC wall clock when it was first asked.
        parent: number of the version that it was made from, or None for the first.
        note: where it comes from or what it is for, in words; "" for nothing.
    """

    version: int
    text: str
    model: str
    output_schema: Mapping[str, Any] | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC), compare=False)
    parent: int | None = field(default=None, compare=False)
    note: str = field(default="", compare=False)
    system: str | None = None
    extra_body: Mapping[str, Any] | None = None
    #: What the stream did with it, for `as_code`.
    _settings: StreamSettings | None = field(default=None, compare=False, repr=False)
    #: The server that was asked, for `as_code`; its secrets are shown nowhere.
    _base_url: str | None = field(default=None, compare=False, repr=False)

    @property
    def parameters(self) -> dict[str, Any]:
        """What is asked, as parameters of ``client.streams.create`` and ``stream.update``."""
        asked = {name: getattr(self, name) for name in ASKED if name != "text"}
        return {"prompt": self.text, **asked}
