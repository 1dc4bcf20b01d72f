"""``label_answer``: what a user says about a sample, as labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from overshoot_nb.errors import ValidationError
from overshoot_nb.store.fields import (
    answer_fields,
    comparable,
    field_name,
    field_value,
    fields_of,
    is_answer,
    may_have,
)
from overshoot_nb.store.label_values import check_field, check_sample, cut, expected_fields
from overshoot_nb.store.labels import MISSING, Label, Labels

if TYPE_CHECKING:
    from overshoot_nb.running.run import Run
    from overshoot_nb.types import StreamInferenceResult


def label_answer(
    run: Run,
    sample: int,
    expected: Any = MISSING,
    *,
    field: str | None = None,
    right: bool | None = None,
    version: int | None = None,
) -> None:
    """Label a sample of a run; see :meth:`overshoot_nb.tuning.tunable.Tunable.label`.

    With ``right=False`` and no field, a structured answer of several fields is wrong as a whole:
    which of them is wrong is not known, so it judges answers that say the same in all of them.

    Raises:
        ValidationError: a parameter cannot be used, or there is no answer that could be right.
        LookupError: there is no such sample or version.
    """
    sample, field, labels = check_sample(sample), check_field(field), run.journal.labels
    if sample >= len(run.journal.log):
        raise LookupError(f"no sample {sample}: there are {len(run.journal.log)}, from 0 on")
    if (expected is MISSING) == (right is None):
        raise ValidationError(
            "give what is expected, or right=True or right=False for the answer that was given"
            + (": not both" if right is not None else "")
        )
    if right is None:
        if version is not None:
            raise ValidationError(
                "version= goes with right=: what is expected is so of every version"
            )
        _expect(run, sample, expected, field)
        return
    if not isinstance(right, bool):
        raise ValidationError(f"right={right!r} is not valid: it must be True or False")
    answer = _answer_to_judge(run, sample, version)
    said = answer_fields(answer)
    if field is not None:
        if field not in said:
            names = ", ".join(map(field_name, said))
            raise ValidationError(
                f"the answer about sample {sample} has no field {field!r}: it has {names or 'none'}"
            )
        said = {field: said[field]}
    elif right and not said:
        raise ValidationError(
            f"the answer about sample {sample} is an object without fields, so none could be "
            "right: say what is expected, such as {'people': None}"
        )
    if right:
        labels.set_fields(sample, said)
        if field is None and None not in said:
            # That it is wrong as a whole, if that was said before.
            labels.accept(sample, None, field_value(answer, None))
    elif field is not None or (len(said) == 1 and _has_one_field(run, answer)):
        for name, value in said.items():
            labels.reject(sample, name, value)
    else:
        _reject_whole(labels, sample, answer, said)


def _expect(run: Run, sample: int, expected: Any, field: str | None) -> None:
    """Label with what is expected, which the answers must be able to say."""
    labels = run.journal.labels
    fields = expected_fields(expected, field)
    if None in fields and not any(may_have(v.output_schema, None) for v in run.prompts):
        raise ValidationError(
            f"the answers have fields, so say which of them is {cut(expected)}: "
            f'label({sample}, {{"name": ...}}) or label({sample}, ..., field="name")'
        )
    labels.set_fields(sample, fields)
    # What was said last counts: an answer that was wrong as a whole is right where all it says
    # is expected now.
    whole = labels.get(sample, None)
    if whole is None or None in fields:
        return
    known = labels.of(sample)
    for wrong in whole.rejected:
        if isinstance(wrong, dict) and _is_expected(known, fields_of(wrong)):
            labels.accept(sample, None, wrong)


def _is_expected(known: Mapping[str | None, Label], said: Mapping[str | None, Any]) -> bool:
    """Whether all of an answer is what is expected."""
    return all(
        name in known and comparable(known[name].expected) == comparable(value)
        for name, value in said.items()
    )


def _has_one_field(run: Run, answer: StreamInferenceResult) -> bool:
    """Whether no other field could be the wrong one: one that the answer left out."""
    schema = run.prompts[answer.prompt_version].output_schema
    if schema is None or not isinstance(answer.output, dict):
        return True
    from overshoot_nb.store.output_columns import output_columns  # imports pandas, which is slow

    return len(output_columns(schema)) == 1


def _reject_whole(
    labels: Labels, sample: int, answer: StreamInferenceResult, said: dict[str | None, Any]
) -> None:
    if _is_expected(labels.of(sample), said):
        # All of it was called right before: that was a mistake, somewhere.
        for name in said:
            labels.remove(sample, name)
    labels.reject(sample, None, field_value(answer, None))


def _answer_to_judge(run: Run, sample: int, version: int | None) -> StreamInferenceResult:
    """The answer that was called right or wrong, of a version or as the row has it."""
    journal = run.journal
    if version is None:
        row = journal.log[sample].row
        answer, whose = (None if row is None else journal.table[row]), ""
    else:
        answer, whose = journal.answer(sample, run.prompts[version].version), f" of v{version}"
    if answer is None or not is_answer(answer):
        raise ValidationError(
            f"there is no answer{whose} about sample {sample} that could be right or wrong: "
            "say what is expected"
        )
    if not answer.ok:
        raise ValidationError(
            f"the answer{whose} about sample {sample} cannot be used ({answer.error}), so it "
            "counts as wrong already: say what is expected"
        )
    return answer
