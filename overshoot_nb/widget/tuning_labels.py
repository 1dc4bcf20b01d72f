"""Labels as pages set them, and how each change is taken back."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from overshoot_nb.errors import ValidationError
from overshoot_nb.store.fields import answer_fields, may_have
from overshoot_nb.store.labels import MISSING, Label, Labels
from overshoot_nb.tuning.labelling import label_answer

if TYPE_CHECKING:
    from overshoot_nb.running.run import Run

#: Changes that can be taken back.
UNDOABLE = 200

Known = dict[str | None, Label]


class _Step(NamedTuple):
    words: str
    sample: int
    before: Known
    after: Known


class PageLabels:
    """Changes of a stream's labels that can be taken back, whichever page made them."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._steps: deque[_Step] = deque(maxlen=UNDOABLE)

    @property
    def undo_words(self) -> str:
        """What :meth:`undo` would take back; "" for nothing."""
        return self._steps[-1].words if self._steps else ""

    def mark(self, sample: int, version: int, field: str | None, *, right: bool) -> None:
        """The answer of a version is right, or wrong.

        Raises:
            ValidationError: there is no answer that could be.
            LookupError: there is no such sample or version.
        """
        words = f"sample {sample}, {'right' if right else 'wrong'}"
        self._change(
            sample,
            words,
            lambda: label_answer(
                self._run, sample, MISSING, field=field, right=right, version=version
            ),
        )

    def expect(
        self, sample: int, version: int, field: str | None, value: str, *, typed: bool
    ) -> None:
        """Say what a field should be.

        Args:
            version: whose answers have the field.
            value: JSON, or what a person typed where ``typed``: read as what the field holds.

        Raises:
            ValidationError: it cannot be expected.
            LookupError: there is no such sample or version.
        """
        expected = self._typed(sample, version, field, value) if typed else json.loads(value)
        words = f"sample {sample}, {value[:60]}"
        self._change(
            sample,
            words,
            lambda: label_answer(
                self._run, sample, expected, field=field, right=None, version=None
            ),
        )

    def forget(self, sample: int, field: str | None, *, all_fields: bool) -> None:
        """Nothing is known of a field any more, or of the sample."""
        labels = self._run.labels
        self._change(
            sample,
            f"sample {sample}, label removed",
            lambda: labels.remove(sample, MISSING if all_fields else field),
        )

    def undo(self) -> None:
        """Take the last change back.

        Raises:
            ValidationError: there is none, or the sample was labelled otherwise since.
        """
        if not self._steps:
            raise ValidationError("there is no change of a label to take back")
        step = self._steps.pop()
        labels = self._run.labels
        if _meaning(labels.of(step.sample)) != _meaning(step.after):
            self._run.journal.touch()  # another step is the last now
            raise ValidationError(
                f"sample {step.sample} was labelled otherwise since, so that stays"
            )
        restore(labels, step.sample, step.before)

    def _change(self, sample: int, words: str, change: Callable[[], object]) -> None:
        labels = self._run.labels
        before = labels.of(sample)
        change()
        after = labels.of(sample)
        if _meaning(after) != _meaning(before):
            self._steps.append(_Step(words, sample, before, after))
            self._run.journal.touch()  # what can be taken back is another now

    def _typed(self, sample: int, version: int, field: str | None, text: str) -> Any:
        """What a person who typed this into a field meant."""
        journal = self._run.journal
        schema = self._run.prompts[version].output_schema
        answer = journal.answer(sample, version)
        said = answer_fields(answer) if answer is not None else {}
        if field is None and (len(said) > 1 or None not in said) and not may_have(schema, None):
            raise ValidationError("choose one field first: the answers have several")
        held = said.get(field, MISSING)
        if isinstance(held, str) or (held is MISSING and schema is None):
            return text
        try:
            value = json.loads(text)
        except ValueError:
            return text
        # "84" stays text where nothing says that the field holds numbers.
        return value if held is not MISSING and held is not None else _fitting(schema, value, text)


def _fitting(schema: Any, value: Any, text: str) -> Any:
    """A value where a schema may mean such values somewhere, else its text."""
    kinds = {bool: "boolean", int: "integer", float: "number", list: "array"}
    kind = kinds.get(type(value))
    known = json.dumps(schema)
    fits = kind is not None and (
        f'"{kind}"' in known or (kind == "integer" and '"number"' in known)
    )
    return value if value is None or fits else text


def _meaning(known: Known) -> dict[str | None, Any]:
    """What labels say, whenever that was said."""
    return {field: (label.expected, label.rejected) for field, label in known.items()}


def restore(labels: Labels, sample: int, known: Known) -> None:
    """Bring the labels of a sample back to what was known."""
    labels.remove(sample)
    for label in known.values():
        if label.expected is not MISSING:
            labels.set(sample, label.field, label.expected)
        for value in label.rejected:
            labels.reject(sample, label.field, value)
