"""What the Tune tab's messages say of versions, fields, backfills and the choice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from overshoot_nb.store.fields import field_names
from overshoot_nb.store.prompt_diff import Kind
from overshoot_nb.support.html import visible
from overshoot_nb.tuning.backfill import Backfill

from . import tuning_messages as messages
from .tuning_choice import TuningChoice
from .tuning_grid import PART_CUT, cut
from .tuning_standing import Standing, judge_name
from .tuning_view import TuningView

if TYPE_CHECKING:
    from overshoot_nb.running.run import Run

#: Versions that are listed, and backfills: the newest.
VERSIONS = 50
BACKFILLS = 10
#: Characters of a diff, and of what else changed.
DIFF_CUT = 20_000
CHANGE_CUT = 400


def versions_of(run: Run, view: TuningView, standing: Standing) -> list[messages.TunedVersion]:
    """The newest versions, those that are shown and the one in force, newest first."""
    known, current = list(run.prompts), run.prompts.current
    return [
        {
            "version": version.version,
            "note": version.note,
            "parent": version.parent,
            "temperature": version.temperature,
            "in_force": version is current,
            "answers": view.answers.get(version.version, 0),
            "score": standing.scores.get(version.version),
            "best": version.version in standing.best,
        }
        for version in reversed(known)
        if version.version > len(known) - VERSIONS
        or version.version in view.columns
        or version is current
    ]


def fields_of(view: TuningView) -> list[messages.Field]:
    """The fields that can be chosen."""
    titles = field_names(view.fields)
    return [
        {
            "name": field,
            "title": cut(titles[field], PART_CUT),
            "choices": [_json(value) for value in choices],
        }
        for field, choices in view.fields.items()
    ]


def backfills_of(run: Run) -> list[messages.BackfillState]:
    """The newest backfills, oldest first."""
    backfills = list(enumerate(run.journal.followed_by(Backfill)))
    return [
        {
            "number": number,
            "version": job.version.version,
            "state": job.state,
            "status": job.status,
            "done": job.done,
            "total": job.total,
            "errors": job.errors,
            "cached": job.cached,
            "missing": len(job.missing),
            "remaining": len(job.remaining),
            "active": job.state == "running",
        }
        for number, job in backfills[-BACKFILLS:]
    ]


def chosen_of(choice: TuningChoice, view: TuningView) -> messages.Chosen:
    """What was chosen."""
    samples = choice.samples
    return {
        "version": choice.version,
        "baseline": choice.baseline,
        "field": view.field,
        "first": samples[0] if samples is not None else None,
        "last": samples[-1] if samples is not None else None,
        "only": list(choice.only),
        "judge": judge_name(choice.judge),
    }


def diff_of(run: Run, old: int | None, new: int) -> messages.Diff:
    """What changed from one version to another; of one alone, its text."""
    diff = run.prompts.diff(new if old is None else old, new)
    return {
        "kind": "diff",
        "old": new if old is None else old,
        "new": new,
        "segments": _cut(diff.segments),
        "schema": _cut(_changed_lines(diff.schema_segments)),
        "changes": [
            {"name": name, "old": _change(before), "new": _change(after)}
            for name, (before, after) in diff.changes.items()
            if name != "output_schema"
        ],
    }


def _cut(segments: Iterable[tuple[Kind, str]]) -> list[messages.Segment]:
    shown: list[messages.Segment] = []
    room = DIFF_CUT
    for kind, text in segments:
        shown.append({"kind": kind, "text": visible(text[:room])})
        room -= len(text)
        if room <= 0:
            break
    return shown


def _changed_lines(lines: Iterable[tuple[Kind, str]]) -> Iterator[tuple[Kind, str]]:
    """What changed; a dot line for each run of lines that did not."""
    for kind, run in groupby(lines, key=lambda line: line[0]):
        if kind == "same":
            yield kind, "⋯"
        else:
            yield from ((kind, text.rstrip("\n")) for _, text in run)


def _change(value: Any) -> str:
    text = _json(value)
    return text if len(text) <= CHANGE_CUT else json.dumps(text[: CHANGE_CUT - 1] + "…")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=dict)
