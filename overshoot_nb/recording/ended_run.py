"""A run that is over, written as one file in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from overshoot_nb.running.run_registry import find_runs
from overshoot_nb.running.run_secrets import Secrets
from overshoot_nb.types import RowKind

from .arrow_rows import Row, RowWriter, in_groups
from .placing import explained, placed
from .run_metadata import as_pairs, to_json
from .whole_file import WholeFile

if TYPE_CHECKING:
    from overshoot_nb.running.run import Run
    from overshoot_nb.types import Sample, StreamInferenceResult


def write_run(run: Run, target: Path, *, overwrite: bool, wrote: Callable[[int], object]) -> int:
    """Write all that a run has; returns the number of rows.

    Args:
        run: whose.
        target: a checked path; what is there stays until the new file is whole.
        overwrite: whether it may be replaced.
        wrote: told how many rows are written, now and then.

    Raises:
        OSError: it cannot be written.
    """
    writer = RowWriter(run.journal.table.schemas, Secrets.of(run))
    with (
        explained(target),
        placed(target, overwrite=overwrite) as path,
        WholeFile(path, writer.schema, as_pairs(to_json(run))) as file,
    ):
        for group in in_groups(rows_of(run)):
            file.add(writer.table(group))
            wrote(file.rows)
    return file.rows


def rows_of(run: Run) -> Iterator[Row]:
    """All that came of a run so far: its rows in their order, drops among them, later answers.

    Nobody remembers when a drop was: it stands before the first row of a later sample.
    """
    journal = run.journal
    results = journal.table.results_since(0)
    # Of one run alone it is known which one a drop was of.
    ids = {result.stream_id for result in results} | {run.stream_id}
    stream_id = ids.pop() if len(ids) == 1 else None
    answered = {result.sample for result in results}
    samples = iter(range(len(journal.log)))
    passed = -1
    for result in results:
        while passed < result.sample:
            passed = next(samples, result.sample)
            if passed not in answered:
                yield _unanswered(run, passed, stream_id)
        yield Row(
            "result",
            result.sample,
            result.media_time,
            _asked_about(run, result),
            result=result,
        )
    for index in samples:
        if index not in answered:
            yield _unanswered(run, index, stream_id)
    for later in journal.later:
        yield Row("later", later.sample, later.media_time, pictures=False, result=later)


def _unanswered(run: Run, index: int, stream_id: str | None) -> Row:
    record = run.journal.log[index]
    kind: RowKind = "drop" if record.fate == "drop" else "waiting"
    sample = _kept(run, index)
    return Row(kind, index, record.media_time, sample, reason=record.reason, stream_id=stream_id)


def _kept(run: Run, index: int) -> Sample | None:
    stored = run.journal.frames.get(index)
    return stored.sample if stored is not None else None


def _asked_about(run: Run, result: StreamInferenceResult) -> Sample | None:
    """The sample of a result; where the run let go of it, out of an earlier recording."""
    if (sample := _kept(run, result.sample)) is not None:
        return sample
    for recorded in find_runs(result.stream_id):
        # By its time too: a server that was begun anew may give ids that it gave before.
        if (
            recorded is not run
            and (sample := _kept(recorded, result.sample)) is not None
            and sample.captured_at == result.captured_at
        ):
            return sample
    return None
