"""How steady the answers of a comparison are: between repeats, and from sample to sample."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from overshoot_nb.store.fields import answer_fields, comparable, field_name
from overshoot_nb.types import StreamInferenceResult

from .comparison_plan import Candidate
from .stability import flicker

if TYPE_CHECKING:
    import pandas as pd

#: Neighbours on each side whose agreement counts.
WINDOW = 2

#: The answers of a column, by sample, for each repeat.
Repeats = Sequence[Mapping[int, StreamInferenceResult]]


def stability(
    columns: Sequence[tuple[Candidate, Repeats]], media_time: Mapping[int, float]
) -> pd.DataFrame:
    """Steadiness by column and field; see ``Comparison.stability``.

    Args:
        columns: what was asked, and the answers.
        media_time: of each sample, seconds.
    """
    import pandas as pd

    from overshoot_nb.store.columns import TEXT

    rows: list[dict[str, Any]] = []
    for candidate, repeats in columns:
        usable = [{s: answer_fields(r) for s, r in given.items() if r.ok} for given in repeats]
        for field in dict.fromkeys(f for given in usable for said in given.values() for f in said):
            # An answer without the field says null there.
            said = [{s: comparable(x.get(field)) for s, x in given.items()} for given in usable]
            first = dict(sorted(said[0].items()))
            runs = _runs([media_time[sample] for sample in first])
            rows.append(
                {
                    "prompt": candidate.prompt,
                    "model": candidate.model,
                    "temperature": candidate.version.temperature,
                    "field": field_name(field),
                    "repeats_agree": _agreement(said),
                    **flicker(_codes(list(first.values())), runs, WINDOW),
                }
            )
    types: dict[str, Any] = {
        "prompt": TEXT,
        "model": TEXT,
        "temperature": "float64",
        "field": TEXT,
        "repeats_agree": "float64",
        "n": "int64",
        "pairs": "int64",
        "flip_rate": "float64",
        "flickers": "int64",
        "flicker_rate": "float64",
        "agreement": "float64",
    }
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def _agreement(said: Sequence[Mapping[int, Hashable]]) -> float:
    """The share of pairs of repeats that say the same, mean of all samples with a pair."""
    shares = []
    for sample in set().union(*said):
        values = [given[sample] for given in said if sample in given]
        if len(values) > 1:
            same = sum(n * (n - 1) for n in Counter(values).values())
            shares.append(same / (len(values) * (len(values) - 1)))
    return math.fsum(shares) / len(shares) if shares else math.nan


def _runs(times: Sequence[float]) -> np.ndarray[Any, Any]:
    """A number for each run of a video: within one, time goes on.

    Pictures that are of no video have no time, and so no neighbours.
    """
    return np.concatenate(([0], np.cumsum(np.diff(times) <= 0))) if times else np.empty(0, int)


def _codes(values: Sequence[Hashable]) -> np.ndarray[Any, Any]:
    code_of: dict[Hashable, int] = {}
    return np.array([code_of.setdefault(value, len(code_of)) for value in values], np.int64)
