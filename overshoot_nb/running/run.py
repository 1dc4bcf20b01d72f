"""What tuning needs of a run, whether it goes on, is over, or was loaded from a file."""

from __future__ import annotations

from typing import Protocol

from overshoot_nb.settings.stream_settings import StreamSettings
from overshoot_nb.store.journal import Journal
from overshoot_nb.store.prompts import PromptHistory

from .service import Service

__all__ = ["Run"]


class Run(Protocol):
    """Rows, pictures and prompts of one stream; ``Lifecycle`` is one.

    Attributes:
        journal: rows, pictures, labels and later answers.
        prompts: what was asked.
        settings: what it does, or did.
    """

    journal: Journal
    prompts: PromptHistory
    settings: StreamSettings

    @property
    def service(self) -> Service:
        """Whom it asks, or asked."""

    @property
    def stream_id(self) -> str:
        """Its id in the rows."""

    @property
    def is_active(self) -> bool:
        """Whether it still takes samples."""
