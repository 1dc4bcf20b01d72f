"""What a run lost, said where its rows are: in ``df.attrs`` and in one warning of ``analyze()``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from overshoot_nb.sampling.pipeline import UNDECODABLE
from overshoot_nb.sampling.reading import CUT_OFF, PASSED_OVER

from .run_secrets import Secrets

if TYPE_CHECKING:
    from overshoot_nb.types import StreamInferenceResult

    from .run import Run

#: Where a DataFrame says what is known of its run.
ATTRS_KEY = "overshoot"
#: Characters of an error that a warning shows.
_ERROR_CUT = 200


def attrs_of(run: Run) -> dict[str, Any]:
    """What ``df.attrs["overshoot"]`` says of the run at this moment; plain JSON values.

    ======================  ======================================================================
    source                  what was watched, without the secrets of a URL
    stream_id               of the run, or of the newest where it was restarted
    state, status           of the stream; ``status`` with its reason, in words
    complete                True where the source was watched to its own end, none of it was cut
                            off or damaged, and the run was recorded to its end, where it was
                            recorded; False while the stream runs
    samples                 moments of the video that were chosen
    results, errors         rows with and without an answer
    drops                   samples that were never answered: how many by each reason
    reconnections           connections that were lost and found again: how many by what they were
    prompt_versions         how many there are
    ======================  ======================================================================

    It is small, for pandas copies it at nearly every step.
    """
    stats = run.journal.counters.snapshot()
    state, note = run.end
    status = f"{state}: {note}" if note else state
    ended = state == "ended" and (run.recorded is None or run.recorded.state == "ended")
    return {
        "source": run.settings.source.label,
        "stream_id": run.stream_id,
        "state": state,
        "status": Secrets.of(run).removed(status),
        "complete": ended and not _unseen(note, stats.drops),
        "samples": stats.samples,
        "results": stats.results,
        "errors": stats.errors,
        "drops": dict(stats.drops),
        "reconnections": dict(stats.reconnections_by_cause),
        "prompt_versions": len(run.prompts),
    }


def losses_of(run: Run) -> list[str]:
    """What a run that has ended lost, a phrase each; [] where nothing."""
    stats = run.journal.counters.snapshot()
    said = _unseen(run.note, stats.drops) if run.state == "ended" else []
    for version in run.prompts:
        if version.output_schema is None:
            continue
        rows = [row for row in run.journal.table if row.prompt_version == version.version]
        answers = [row for row in rows if row.ok or _is_answer(row)]
        if answers and not any(row.ok for row in answers):
            which = f" of prompt version {version.version}" if len(run.prompts) > 1 else ""
            why = " ".join((answers[0].error or "").split())[:_ERROR_CUT]
            fitted = "the answer did not fit" if len(answers) == 1 else "no answer fitted"
            said.append(f"{fitted} the output_schema{which} ({len(answers)} rows: {why})")
    return said


def _unseen(note: str, drops: Any) -> list[str]:
    """What of the source was not seen."""
    said = []
    if CUT_OFF in note:
        said.append(f"the video was {note}" if note.startswith(CUT_OFF) else note)
    elif PASSED_OVER in note:
        said.append(note)
    if undecodable := drops.get(UNDECODABLE, 0):
        moments = "1 moment" if undecodable == 1 else f"{undecodable:,} moments"
        said.append(f"{moments} could not be decoded and have no row")
    return said


def _is_answer(row: StreamInferenceResult) -> bool:
    """Whether a server answered, if not as it was asked to."""
    return bool(row.result) or row.finish_reason is not None
