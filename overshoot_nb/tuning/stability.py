"""Answers that flicker: how often they change from one sample to the next."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from overshoot_nb.store.fields import answer_fields, comparable, field_name
from overshoot_nb.support.validation import check_whole
from overshoot_nb.types import StreamInferenceResult

from .scoring import chosen_versions

if TYPE_CHECKING:
    import pandas as pd

    from overshoot_nb.running.run import Run

#: Neighbours on each side, at most.
MOST_NEIGHBOURS = 1000

_Integers = npt.NDArray[np.int64]


def stability(run: Run, *, versions: Iterable[int] | None = None, window: int = 2) -> pd.DataFrame:
    """How much the answers flicker from sample to sample, by version and field.

    Neighbours are samples of one run of the stream that follow each other among those that the
    version gave a usable answer about. Two answers are the same as the judge ``exact`` says.

    ======================  ===================================================================
    column                  value
    ======================  ===================================================================
    version, model          who answered
    temperature             of its requests, missing for the server's own
    field                   a field of the answers, "answer" where they have none
    n                       usable answers
    pairs                   neighbours
    flip_rate               share of the pairs that differ, NaN without any
    flickers                answers that differ from both neighbours, which agree (A B A)
    flicker_rate            share of these among the answers with two neighbours
    agreement               how many of the ``window`` neighbours on each side say the same, as
                            a share, mean of all answers that have any
    ======================  ===================================================================

    Args:
        versions: numbers of the versions. Default: all that answered.
        window: neighbours on each side whose agreement counts.

    Raises:
        ValidationError: a parameter cannot be used.
    """
    import pandas as pd

    from overshoot_nb.store.columns import TEXT

    check_whole("window", window, 1, MOST_NEIGHBOURS)
    rows: list[dict[str, Any]] = []
    usable, run_of = _usable(run, chosen_versions(run, versions))
    for number, answers in usable.items():
        version = run.prompts[number]
        samples = run.journal.distinct(answers)  # a copy of an answer is steady by itself
        # What was asked later was perhaps asked in another run than that of the sample.
        runs = _codes([run_of.get(sample, answers[sample].stream_id) for sample in samples])
        places: dict[str | None, list[int]] = defaultdict(list)
        said: dict[str | None, list[Any]] = defaultdict(list)
        for place, sample in enumerate(samples):
            for field, value in answer_fields(answers[sample]).items():
                places[field].append(place)
                said[field].append(value)
        for field, given in said.items():
            # An answer without the field says null there. Models may make up fields without end,
            # so that most answers have few of them all.
            values = np.zeros(len(samples), np.int64)
            values[places[field]] = _codes(given, {comparable(None): 0})
            rows.append(
                {
                    "version": number,
                    "model": version.model,
                    "temperature": version.temperature,
                    "field": field_name(field),
                    **flicker(values, runs, window),
                }
            )
    types: dict[str, Any] = {
        "version": "int64",
        "model": TEXT,
        "temperature": "float64",
        "field": TEXT,
        "n": "int64",
        "pairs": "int64",
        "flip_rate": "float64",
        "flickers": "int64",
        "flicker_rate": "float64",
        "agreement": "float64",
    }
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def flicker(values: _Integers, runs: _Integers, window: int) -> dict[str, float]:
    """The figures of one field.

    Args:
        values: what was said, in time order; equal numbers for what is the same.
        runs: the run of each; those of a run stand together.
        window: neighbours on each side whose agreement counts.
    """
    n = len(values)
    together = runs[1:] == runs[:-1]
    flips = together & (values[1:] != values[:-1])
    inner = together[1:] & together[:-1]
    flickers = flips[1:] & flips[:-1] & (values[2:] == values[:-2])
    same, neighbours = np.zeros(n), np.zeros(n)
    for apart in range(1, min(window, n - 1) + 1):
        near = runs[apart:] == runs[:-apart]
        agree = near & (values[apart:] == values[:-apart])
        for side in (slice(apart, None), slice(None, -apart)):
            neighbours[side] += near
            same[side] += agree
    some = neighbours > 0
    return {
        "n": n,
        "pairs": int(together.sum()),
        "flip_rate": _share(flips, together),
        "flickers": int(flickers.sum()),
        "flicker_rate": _share(flickers, inner),
        "agreement": float((same[some] / neighbours[some]).mean()) if some.any() else math.nan,
    }


def _share(part: npt.NDArray[np.bool_], whole: npt.NDArray[np.bool_]) -> float:
    total = int(whole.sum())
    return int(part.sum()) / total if total else math.nan


def _codes(values: list[Any], code_of: dict[Hashable, int] | None = None) -> _Integers:
    """A number for each value; the same for those that say the same.

    Args:
        values: of any kind.
        code_of: numbers that are taken, by what :func:`comparable` makes of values.
    """
    code_of = {} if code_of is None else code_of
    try:
        # Most values came before just as they are: these need no comparing.
        looks = dict.fromkeys(zip(map(type, values), values, strict=True), 0)
    except TypeError:  # lists
        return np.array([code_of.setdefault(comparable(v), len(code_of)) for v in values], np.int64)
    for look in looks:
        looks[look] = code_of.setdefault(comparable(look[1]), len(code_of))
    found = map(looks.__getitem__, zip(map(type, values), values, strict=True))
    return np.fromiter(found, np.int64, len(values))


def _usable(
    run: Run, versions: list[int]
) -> tuple[dict[int, dict[int, StreamInferenceResult]], dict[int, str]]:
    """Every usable answer, by version and sample; and the run of each sample that has a row."""
    found: dict[int, dict[int, StreamInferenceResult]] = {version: {} for version in versions}
    run_of: dict[int, str] = {}
    for row in run.journal.table:
        run_of[row.sample] = row.stream_id
        if row.ok and row.prompt_version in found:
            found[row.prompt_version][row.sample] = row
    for version, answers in found.items():
        for sample, later in run.journal.later.of(version).items():
            if later.ok:
                answers.setdefault(sample, later)
    return {version: answers for version, answers in found.items() if answers}, run_of
