"""What a backfill is to do, worked out from its parameters and checked before it starts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import chain, count, takewhile
from numbers import Integral, Real
from typing import Any

from overshoot_nb.errors import ValidationError
from overshoot_nb.running.run import Run
from overshoot_nb.store.answer_columns import share_parts
from overshoot_nb.store.prompt_fields import ASKED
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.support.validation import (
    check_extra_body,
    check_max_output_tokens,
    check_output_schema,
    check_system,
    check_temperature,
    check_text,
)


def asked_otherwise(
    run: Run, prompt: str | PromptVersion | None, changes: Mapping[str, Any]
) -> dict[str, Any]:
    """All that is to be asked, as fields of a version.

    Raises:
        ValidationError: something of it cannot be asked.
    """
    if isinstance(prompt, PromptVersion):
        base = prompt
    else:
        base = run.prompts.current
        if prompt is not None:
            changes = {"text": prompt, **changes}
    asked = {name: getattr(base, name) for name in ASKED} | dict(changes)
    check_text("prompt", asked["text"])
    check_text("model", asked["model"])
    check_max_output_tokens(asked["max_output_tokens"])
    if asked["max_output_tokens"] is not None:
        asked["max_output_tokens"] = int(asked["max_output_tokens"])
    if asked["temperature"] is not None:
        asked["temperature"] = check_temperature(asked["temperature"])
    check_system(asked["system"])
    if asked["extra_body"] is not None:
        asked["extra_body"] = check_extra_body(asked["extra_body"])
    schema = asked["output_schema"]
    # The first check of a schema loads its library: only where it is one that nobody checked.
    if schema is not None and all(schema != known.output_schema for known in run.prompts):
        asked["output_schema"] = check_output_schema(schema)
    return asked


def samples_meant(run: Run, last: float | None, samples: Iterable[int] | None) -> list[int]:
    """Indices of the samples to ask about, the oldest first.

    Raises:
        ValidationError: the parameters make no sense, or mean no sample.
        LookupError: there is no sample of an index.
    """
    if samples is not None:
        if last is not None:
            raise ValidationError("last and samples both say which samples: give one of them")
        return _listed(run, samples)
    if last is None:
        meant = [result.sample for result in run.journal.table]
        if not meant:
            raise ValidationError("no sample has a row yet: wait for the first answer")
    else:
        meant = _recent(run, last)
    return sorted(set(meant))


def _listed(run: Run, samples: Iterable[int]) -> list[int]:
    try:
        listed = list(samples)
    except TypeError:
        raise ValidationError(
            f"samples={samples!r} is not valid: give sample indices, such as range(10, 20)"
        ) from None
    count = len(run.journal.log)
    for index in listed:
        if not isinstance(index, Integral) or isinstance(index, bool):
            raise ValidationError(f"samples has {index!r}: a sample index is a whole number")
        if not 0 <= index < count:
            raise LookupError(f"no sample {index}: there are {count:,}, counted from 0")
    if not listed:
        raise ValidationError("samples is empty: there is nothing to ask about")
    return sorted({int(index) for index in listed})


def _recent(run: Run, last: float) -> list[int]:
    """Samples with a row of the newest run's last seconds."""
    number = isinstance(last, Real) and not isinstance(last, bool)
    if not number or not 0 < last < math.inf:
        raise ValidationError(f"last={last!r} is not valid: it must be a number of seconds above 0")
    rows = run.journal.table.results_since(0)
    if not rows:
        raise ValidationError("no sample has a row yet: wait for the first answer")
    # A restart counts media time from 0 again, under another stream_id.
    newest_run = rows[-1].stream_id
    own = list(takewhile(lambda row: row.stream_id == newest_run, reversed(rows)))
    log = run.journal.log
    newest_row = max(own, key=lambda row: row.sample)
    newest = newest_row.media_time
    for index in range(newest_row.sample + 1, len(log)):
        if log[index].media_time < newest:
            raise ValidationError(
                "last= counts from the newest sample, and since the restart no sample has a row "
                "yet: wait for the first answer, or give samples="
            )
        newest = log[index].media_time
    meant = [row.sample for row in own if row.media_time >= newest - last]
    if not meant:
        raise ValidationError(
            f"last={last:g}: no sample of the last {last:g} s has a row; the newest that has one "
            f"is at {rows[-1].media_time:g} s of the video, the newest of all at {newest:g} s"
        )
    return meant


def column_of(run: Run, version: PromptVersion) -> str:
    """The column for a version where none was named: the one that shows it already, else "v2".

    What shows another version, because somebody called it so, is left alone.
    """
    shown = run.journal.later.columns
    for column, known in shown.items():
        if known.version == version.version:
            return column
    plain = f"v{version.version}"
    names = chain([plain], (f"{plain} ({number})" for number in count(2)))
    return next(
        name
        for name in names
        if name not in shown and not any(share_parts(name, other) for other in shown)
    )
