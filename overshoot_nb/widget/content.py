"""What messages and traits say of a stream."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from overshoot_nb import config
from overshoot_nb.settings.stream_settings import StreamSettings
from overshoot_nb.store.prompts import PromptVersion as Version
from overshoot_nb.support.html import visible

from .advice import problem_of
from .message_values import Figures, Limits, PromptVersion, Range, Settings
from .messages import Status, Welcome
from .rows import RECENT_CUT, row_of

if TYPE_CHECKING:
    from overshoot_nb.running.run import Run

#: Answers of which the page draws the latency.
LATENCIES = 60
#: Rows that a saved notebook keeps.
RECENT_ROWS = 20


def settings_of(settings: StreamSettings) -> Settings:
    """The settings that the page can change."""
    numbers = settings.numbers
    return {
        "mode": settings.mode,
        "model": settings.model,
        "interval_seconds": numbers.get("interval_seconds"),
        "target_fps": numbers.get("target_fps"),
        "clip_length_seconds": numbers.get("clip_length_seconds"),
        "delay_seconds": numbers.get("delay_seconds"),
        "output_schema": _schema_text(settings.output_schema),
        "max_output_tokens": settings.max_output_tokens,
    }


def _schema_text(schema: Mapping[str, Any] | None) -> str | None:
    return None if schema is None else json.dumps(schema, indent=2, ensure_ascii=False)


def figures_of(run: Run) -> Figures:
    """The counts of this moment."""
    stats = run.stats
    return {
        "samples": stats.samples,
        "results": stats.results,
        "errors": stats.errors,
        "drops": dict(stats.drops),
        "waiting": stats.waiting,
        "in_flight": stats.in_flight,
        "latency_p50_ms": stats.latency_p50_ms,
        "latency_p95_ms": stats.latency_p95_ms,
        "total_tokens": stats.total_tokens,
        "completion_tokens": stats.completion_tokens,
        "cost_cents": stats.cost_cents,
    }


def prompts_of(run: Run) -> list[PromptVersion]:
    """Every prompt version, oldest first."""
    return [_version(version) for version in run.prompts]


def _version(version: Version) -> PromptVersion:
    return {
        "version": version.version,
        "text": version.text,
        "model": version.model,
        "output_schema": _schema_text(version.output_schema),
        "max_output_tokens": version.max_output_tokens,
        "at": version.created_at.timestamp(),
    }


def status_of(run: Run, media_time: float) -> Status:
    """State and figures; ``media_time`` is where the video is."""
    problem = problem_of(run.error) if run.error is not None else None
    if problem is None and run.state == "failed":
        # A recording that was cut off is whole in what it has.
        advice = "Restart it: the rows stay." if run.whole else "What it has can be played."
        problem = {"message": run.note, "advice": advice}
    if problem is not None:
        problem = {**problem, "message": visible(problem["message"])}
    return {
        "kind": "status",
        "sent_at": time.time(),
        "stream_id": run.stream_id,
        "state": run.state,
        "status": visible(run.status),
        "problem": problem,
        "settings": settings_of(run.settings),
        "prompt_version": run.prompt_version,
        "figures": figures_of(run),
        "latencies": run.journal.counters.latest_latencies(LATENCIES),
        "rows": len(run.journal.table),
        "samples": len(run.journal.log),
        "run_start": run.run_start,
        "media_time": media_time,
    }


def welcome_to(page: str, run: Run, query: str) -> Welcome:
    """Everything that a page needs to begin."""
    info = run.info
    source = run.settings.source
    return {
        "kind": "welcome",
        "page": page,
        "live": source.live and run.recorded is None,
        "realtime": run.settings.realtime,
        "duration": run.duration,
        "width": info.width if info is not None else 0,
        "height": info.height if info is not None else 0,
        "limits": LIMITS,
        "live_changes": sorted(run.live_changes),
        "prompts": prompts_of(run),
        "query": query,
    }


def traits_of(run: Run) -> dict[str, Any]:
    """The values of the synced traits, but those that the page owns."""
    table = run.journal.table
    first = max(len(table) - RECENT_ROWS, 0)
    newest = table.results_since(first)
    return {
        "stream_id": run.stream_id,
        "source": visible(run.settings.source.label),
        "settings": settings_of(run.settings),
        "prompt": run.prompt,
        "prompt_version": run.prompt_version,
        "state": run.state,
        "status": visible(run.status),
        "figures": figures_of(run),
        "selected": run.selected,
        "recent": [row_of(first + i, result, RECENT_CUT) for i, result in enumerate(newest)],
    }


def _range(
    low: float,
    high: float | None,
    default: float | None,
    *,
    above: bool = False,
    whole: bool = False,
) -> Range:
    return {"low": low, "high": high, "open": above, "whole": whole, "default": default}


LIMITS: Limits = {
    "interval_seconds": _range(*config.INTERVAL_RANGE, config.INTERVAL_SECONDS, above=True),
    "target_fps": _range(*config.TARGET_FPS_RANGE, config.TARGET_FPS, whole=True),
    "clip_length_seconds": _range(*config.CLIP_LENGTH_RANGE, config.CLIP_LENGTH_SECONDS),
    "delay_seconds": _range(0, None, config.DELAY_SECONDS, above=True),
    "max_output_tokens": _range(1, None, None, whole=True),
    "min_clip_frames": config.MIN_CLIP_FRAMES,
}
