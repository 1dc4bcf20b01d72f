"""What the Tune tab shows now: the choice, with what was left open worked out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from overshoot_nb.store.fields import answer_fields, closed_values
from overshoot_nb.tuning.backfill import Backfill

from .tuning_choice import TuningChoice

if TYPE_CHECKING:
    from overshoot_nb.running.run import Run

#: Versions across the grid: the newest that were asked, and the two that are compared.
COLUMNS = 8
#: Answers of each version that are looked through for fields.
FIELDS_FROM = 20
#: Fields that can be chosen, and the characters of a name: a model may make names up.
FIELDS = 60
NAME = 200
#: Closed values that have a key of their own.
CHOICES = 9


@dataclass(frozen=True)
class TuningView:
    """What is shown.

    Attributes:
        version, baseline: the version that is judged, and the one beside it.
        columns: the versions across the grid.
        fields: the fields of their answers, and the closed values of each.
        field: the one field that is shown; None: all.
        answers: samples that each version answered.
    """

    version: int
    baseline: int | None
    columns: tuple[int, ...]
    fields: dict[str | None, list[Any]]
    field: str | None
    answers: dict[int, int]


class AnswerCounts:
    """How many samples each version answered, counted as answers come."""

    def __init__(self, run: Run) -> None:
        self._journal = run.journal
        self._prompts = run.prompts
        self._seen = 0
        self._live: Counter[int] = Counter()
        self._later: Counter[int] = Counter()
        self._later_changes = -1

    def count(self) -> dict[int, int]:
        """Samples by version, of those versions that answered any."""
        new = self._journal.table.results_since(self._seen)
        self._seen += len(new)
        self._live.update(result.prompt_version for result in new)
        later = self._journal.later
        if later.changes != self._later_changes:
            self._later_changes = later.changes
            self._later = Counter(
                {
                    v.version: self._beside_live(v.version, later.of(v.version))
                    for v in self._prompts
                }
            )
        return {v: n for v, n in sorted((self._live + self._later).items()) if n}

    def _beside_live(self, version: int, samples: Iterable[int]) -> int:
        """Samples whose own row is not of this version."""
        log, table = self._journal.log, self._journal.table
        rows = (log[sample].row for sample in samples)
        return sum(row is None or table[row].prompt_version != version for row in rows)


def view_of(run: Run, choice: TuningChoice, answers: dict[int, int]) -> TuningView:
    """What a choice comes to."""
    prompts = run.prompts
    backfills = run.journal.followed_by(Backfill)
    version = choice.version
    if version is None or version > len(prompts):  # it was refused, and is no version any more
        version = backfills[-1].version.version if backfills else prompts.current.version
    baseline = choice.baseline
    if baseline is None or baseline == version or baseline > len(prompts):
        others = [prompts.current.version, prompts[version].parent, *reversed(answers)]
        baseline = next((v for v in others if v in answers and v != version), None)
    shown = [*list(answers)[-COLUMNS:], version, *([] if baseline is None else [baseline])]
    columns = tuple(sorted(set(shown)))
    fields = _fields(run, columns)
    schema = prompts[version].output_schema
    return TuningView(
        version,
        baseline,
        columns,
        {field: (closed_values(schema, field) or [])[:CHOICES] for field in fields},
        choice.field if choice.field in fields else None,
        answers,
    )


def _fields(run: Run, columns: tuple[int, ...]) -> list[str | None]:
    """The fields of the newest answers in their order, the whole of unstructured ones first."""
    journal = run.journal
    newest = journal.table.results_since(len(journal.table) - FIELDS_FROM)
    for version in columns:
        newest += list(journal.later.of(version).values())[-FIELDS_FROM:]
    found = dict.fromkeys(
        field
        for result in newest
        if result.prompt_version in columns
        for field in answer_fields(result)
        if field is None or len(field) <= NAME
    )
    return sorted(list(found)[:FIELDS], key=lambda field: field is not None)
