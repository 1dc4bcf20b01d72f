"""The grid of the Tune tab: which samples, and what each version said about them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from overshoot_nb.store.fields import answer_fields, comparable, field_name, is_answer, shown
from overshoot_nb.store.labels import MISSING, Label
from overshoot_nb.store.sample_log import FATES
from overshoot_nb.support.html import visible
from overshoot_nb.types import StreamInferenceResult

from . import tuning_messages as messages
from .tuning_choice import TuningChoice
from .tuning_view import TuningView

if TYPE_CHECKING:
    from overshoot_nb.running.run import Run

    from .tuning_standing import Standing

#: Samples of a grid: the newest of them, as many as browsers can scroll over.
MOST = 200_000
#: Characters of an answer in a cell; of a field; fields of an answer; of a label.
CELL_CUT = 300
PART_CUT = 80
PARTS = 24
LABEL_CUT = 2000
#: Codes of samples that have a row.
ANSWERED = [FATES.index("result"), FATES.index("error")]


# ---- which samples -----------------------------------------------------------------------------


def grid_samples(
    run: Run, choice: TuningChoice, view: TuningView, standing: Standing
) -> tuple[np.ndarray, int]:
    """The samples of the grid, ascending, and how many there are without its filters."""
    journal = run.journal
    fates = np.frombuffer(journal.log.read()[1], np.uint8)
    known = np.isin(fates, ANSWERED)
    later = sorted({sample for version in view.columns for sample in journal.later.of(version)})
    labels = [sample for sample in journal.labels.samples if sample < len(known)]
    known[later] = True
    known[labels] = True
    all_of = int(known.sum())
    if choice.samples is not None:
        known[: choice.samples.start] = False
        known[choice.samples.stop :] = False
    if "unlabelled" in choice.only:
        field = view.field
        done = labels if field is None else [s for s in labels if journal.labels.get(s, field)]
        known[done] = False
    if "flipped" in choice.only:
        known &= _mask(standing.flipped, len(known))
    if "different" in choice.only:
        # Of a sample without later answers there is one answer at most.
        differing = [s for s in later if known[s] and _differ(run, view, s)]
        known &= _mask(differing, len(known))
    return np.flatnonzero(known)[-MOST:].astype(np.uint32), all_of


def _mask(samples: Iterable[int], length: int) -> np.ndarray:
    mask = np.zeros(length, bool)
    mask[[sample for sample in samples if sample < length]] = True
    return mask


def _differ(run: Run, view: TuningView, sample: int) -> bool:
    journal = run.journal
    answers = (journal.answer(sample, version) for version in view.columns)
    said = {frozenset(_said(a, view.field).items()) for a in answers if a is not None}
    return len(said) > 1


def _said(result: StreamInferenceResult, field: str | None) -> dict[str | None, Any]:
    """What an answer says, field by field, in values that are equal where it says the same."""
    if not result.ok:
        return {None: ("error", is_answer(result))}
    fields = answer_fields(result)
    return {f: comparable(v) for f, v in fields.items() if field is None or f == field}


# ---- what was said about them ------------------------------------------------------------------


def grid_rows(
    run: Run, view: TuningView, standing: Standing, samples: Iterable[int]
) -> list[messages.GridRow]:
    """Rows of the grid; samples that there are not are left out."""
    log, labels = run.samples, run.labels
    return [
        {
            "sample": sample,
            "media_time": log[sample].media_time,
            "labels": [_label(label) for label in labels.of(sample).values()],
            "cells": _cells(run, view, standing, sample),
        }
        for sample in samples
        if 0 <= sample < len(log)
    ]


def _cells(run: Run, view: TuningView, standing: Standing, sample: int) -> list[messages.Cell]:
    journal = run.journal
    cells: list[messages.Cell] = []
    before: Mapping[str | None, Any] | None = None
    for version in view.columns:
        result = journal.answer(sample, version)
        if result is None:
            cells.append(
                {
                    "version": version,
                    "answered": False,
                    "ok": False,
                    "text": "",
                    "parts": [],
                    "right": None,
                    "differs": False,
                }
            )
            continue
        said = _said(result, view.field)
        right = standing.verdicts.get((version, sample), {})
        cells.append(
            {
                "version": version,
                "answered": True,
                "ok": result.ok,
                "text": _text(result, view.field),
                "parts": _parts(result, view.field, right, said, before),
                "right": _overall(right, view.field),
                "differs": before is not None and said != before,
            }
        )
        before = said
    return cells


def _overall(right: Mapping[str | None, bool | None], field: str | None) -> bool | None:
    """Of one field, or of all that were judged."""
    if field is not None:
        return right.get(field)
    known = [verdict for verdict in right.values() if verdict is not None]
    return all(known) if known else None


def _text(result: StreamInferenceResult, field: str | None) -> str:
    if not result.ok:
        return visible(cut(result.error or "failed", CELL_CUT))
    if field is not None:
        fields = answer_fields(result)
        return visible(cut(shown(fields[field]), CELL_CUT)) if field in fields else ""
    return visible(cut(result.result, CELL_CUT))


def _parts(
    result: StreamInferenceResult,
    field: str | None,
    right: Mapping[str | None, bool | None],
    said: Mapping[str | None, Any],
    before: Mapping[str | None, Any] | None,
) -> list[messages.Part]:
    """The fields of a structured answer; none where one alone is shown."""
    fields = answer_fields(result)
    if field is not None or None in fields:
        return []
    return [
        {
            "name": visible(cut(field_name(name), PART_CUT)),
            "text": visible(cut(shown(value), PART_CUT)),
            "right": right.get(name),
            "differs": before is not None and before.get(name, MISSING) != said[name],
        }
        for name, value in list(fields.items())[:PARTS]
    ]


def _label(label: Label) -> messages.Label:
    expected = None if label.expected is MISSING else _json(label.expected)
    return {
        "field": label.field,
        "expected": expected,
        "rejected": [_json(value) for value in label.rejected[-3:]],
    }


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LABEL_CUT else json.dumps(cut(shown(value), LABEL_CUT))


def cut(text: str, most: int) -> str:
    """A text of so many characters at most."""
    return text if len(text) <= most else text[: most - 1] + "…"
