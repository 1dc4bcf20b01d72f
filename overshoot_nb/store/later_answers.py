"""``LaterAnswers``: what other prompts and models said about samples that have a row already."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from overshoot_nb.types import StreamInferenceResult

from .prompts import PromptVersion


class LaterAnswers:
    """Answers by prompt version and sample, and the columns that show them beside the rows.

    One answer for each version and sample: an answer that can be used replaces one that cannot,
    and never the other way round. Any thread may write while others read.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[int, dict[int, StreamInferenceResult]] = {}
        self._columns: dict[str, PromptVersion] = {}
        #: Grows with every change, so that what was made of them can be kept until then.
        self.changes = 0

    def put(self, result: StreamInferenceResult) -> None:
        """Keep an answer; ``result.prompt_version`` and ``result.sample`` say what it is about."""
        with self._lock:
            answers = self._answers.setdefault(result.prompt_version, {})
            known = answers.get(result.sample)
            if known is None or result.ok or not known.ok:
                answers[result.sample] = result
                self.changes += 1

    def get(self, sample: int, version: int) -> StreamInferenceResult | None:
        """The answer of a version about a sample, None where it was not asked later."""
        return self._answers.get(version, {}).get(sample)

    def of(self, version: int) -> dict[int, StreamInferenceResult]:
        """All later answers of a version, by sample."""
        with self._lock:
            return dict(self._answers.get(version, {}))

    def show(self, column: str, version: PromptVersion) -> None:
        """Show the answers of a version as a column of the table, in place of what it showed."""
        with self._lock:
            self._columns[column] = version
            self.changes += 1

    def hide(self, column: str) -> None:
        """Show a column no more; the answers are kept. Nothing where there is none."""
        with self._lock:
            self._columns.pop(column, None)
            self.changes += 1

    @property
    def columns(self) -> dict[str, PromptVersion]:
        """What each column shows, in the order in which they came."""
        with self._lock:
            return dict(self._columns)

    def __iter__(self) -> Iterator[StreamInferenceResult]:
        with self._lock:
            return iter([r for answers in self._answers.values() for r in answers.values()])

    def __len__(self) -> int:
        return sum(map(len, self._answers.values()))
