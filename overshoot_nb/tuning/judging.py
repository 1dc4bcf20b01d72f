"""Which answers are right: every answer about a labelled sample, field by field."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from overshoot_nb.errors import ValidationError
from overshoot_nb.store.fields import answer_fields, field_names, field_value, is_answer, may_have
from overshoot_nb.store.labels import MISSING, Label, Labels
from overshoot_nb.types import StreamInferenceResult

from .judges import FieldJudges, Judges

if TYPE_CHECKING:
    import pandas as pd

#: Answers by column (whoever gave them: a version, or a prompt and a model) and sample.
Answers = Mapping[Any, Mapping[int, StreamInferenceResult]]
#: What the answers of a column fit; None is free text.
Schemas = Mapping[Any, Mapping[str, Any] | None]

#: ``unusable``: the answer was cut off or is not as its schema says, which is wrong. The others
#: are neither right nor wrong. ``no answer``: the request failed. ``unknown``: only other answers
#: were found wrong. ``not asked``: the answers of this column have no such field.
Outcome = Literal["right", "wrong", "unusable", "no answer", "unknown", "not asked"]
#: The outcomes of answers that are known to be right or wrong.
DECIDED: frozenset[Outcome] = frozenset(("right", "wrong", "unusable"))


class Judgement(NamedTuple):
    """One answer, in one labelled field.

    Attributes:
        column: who gave it.
        sample: index of the sample.
        field: the labelled field, None for the whole answer.
        expected: the right value, ``MISSING`` where only wrong ones are known.
        answer: what was said in the field; the text that came where it cannot be used.
        outcome: see :data:`Outcome`.
        whole: whether it is about a structured answer as a whole, of which only that is known
            that something in it is wrong.
    """

    column: Hashable
    sample: int
    field: str | None
    expected: Any
    answer: Any
    outcome: Outcome
    whole: bool

    @property
    def right(self) -> bool | None:
        """True or False, or None where that is not known."""
        return self.outcome == "right" if self.outcome in DECIDED else None


def judge_each(
    answers: Answers, labels: Labels, judge: Judges = None, *, schemas: Schemas | None = None
) -> list[Judgement]:
    """Judge every answer about a labelled sample, in every labelled field.

    A column that has the field in none of its answers was not asked about it, unless its schema
    says that it was. In an answer that leaves a field out, it is null.

    Args:
        answers: by column and sample; those about samples without a label do not count.
        labels: what they should be.
        judge: when an answer counts as right.
        schemas: those of the columns, where they are known.

    Raises:
        ValidationError: nothing was labelled, ``judge`` is no judge, or it failed.
    """
    known: dict[int, list[Label]] = {}
    for label in labels:
        known.setdefault(label.sample, []).append(label)
    if not known:
        raise ValidationError(
            "nothing was labelled: say what the answer about some samples should be first, with "
            "stream.label(sample, expected)"
        )
    judges = FieldJudges(judge)
    columns = [
        _Column(column, {s: given[s] for s in known if s in given}, schemas)
        for column, given in answers.items()
    ]
    labelled = dict.fromkeys(label.field for of_sample in known.values() for label in of_sample)
    judges.check_fields([*labelled, *(field for column in columns for field in column.seen)])
    return [
        _judged(column, result, label, judges)
        for column in columns
        for sample, result in column.answers.items()
        for label in known[sample]
    ]


class _Column:
    """The answers of a column about labelled samples, and which fields it was asked about."""

    def __init__(
        self,
        name: Hashable,
        answers: dict[int, StreamInferenceResult],
        schemas: Schemas | None,
    ) -> None:
        self.name, self.answers = name, answers
        self.seen = dict.fromkeys(f for result in answers.values() for f in answer_fields(result))
        self._has_schema = schemas is not None and name in schemas
        self._schema = schemas[name] if schemas is not None and name in schemas else None
        self._asked: dict[str | None, bool] = {}
        #: Whether its answers have fields with names.
        self.is_structured = not self.asked(None)

    def asked(self, field: str | None) -> bool:
        if field not in self._asked:
            self._asked[field] = self._find(field)
        return self._asked[field]

    def _find(self, field: str | None) -> bool:
        if field in self.seen or (self._has_schema and may_have(self._schema, field)):
            return True
        if field is not None and any(f and f.startswith(f"{field}.") for f in self.seen):
            return True
        # Without a single answer that can be used, nothing speaks against it.
        return not self.seen and not self._has_schema


def _judged(
    column: _Column, result: StreamInferenceResult, label: Label, judges: FieldJudges
) -> Judgement:
    answer: Any = None
    outcome: Outcome
    whole = label.field is None and column.is_structured
    if result.ok:
        answer = field_value(result, label.field)
        if label.rejects(answer):
            outcome = "wrong"
        elif not column.asked(label.field):
            outcome = "not asked"
        elif label.expected is MISSING:
            outcome = "unknown"
        else:
            right = judges.judge(label.field, label.sample, answer, label.expected)
            outcome = "right" if right else "wrong"
    elif is_answer(result):
        answer = result.result
        outcome = "unusable" if column.asked(label.field) else "not asked"
    else:
        outcome = "no answer"
    return Judgement(column.name, label.sample, label.field, label.expected, answer, outcome, whole)


def overall(judged: Iterable[Judgement]) -> Outcome:
    """What the fields of one answer come to: right where all are that were asked about."""
    outcomes = {each.outcome for each in judged} - {"not asked"}
    for decisive in ("no answer", "unusable", "wrong", "unknown", "right"):
        if decisive in outcomes:
            return decisive
    return "not asked"


def tidy(judged: Iterable[Judgement], names: Sequence[str] = ("column",)) -> pd.DataFrame:
    """Judgements as a table, one row each.

    Columns: ``names`` (the parts of the column), sample, field, expected (NaN where only wrong
    values are known), answer, outcome, and right: True, False, or missing where it is neither.
    """
    import pandas as pd

    from overshoot_nb.store.columns import TEXT

    rows = list(judged)
    called = field_names(each.field for each in rows)
    keys: list[Any] = [each.column if len(names) > 1 else (each.column,) for each in rows]
    return pd.DataFrame(
        {
            **{name: [key[i] for key in keys] for i, name in enumerate(names)},
            "sample": pd.Series([each.sample for each in rows], dtype="int64"),
            "field": pd.Series([called[each.field] for each in rows], dtype=TEXT),
            "expected": pd.Series(
                [math.nan if each.expected is MISSING else each.expected for each in rows],
                dtype=object,
            ),
            "answer": pd.Series([each.answer for each in rows], dtype=object),
            "outcome": pd.Categorical([each.outcome for each in rows], list(get_args(Outcome))),
            "right": pd.array([each.right for each in rows], dtype="boolean"),
        }
    )
