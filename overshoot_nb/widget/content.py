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
from .messages import Figures, Limits, PromptVersion, Range, Settings, Status, Welcome
from .rows import RECENT_CUT, row_of

if TYPE_CHECKING:
    from overshoot_nb.stream import Stream

__all__ = ["figures_of", "prompts_of", "settings_of", "status_of", "traits_of", "welcome_to"]

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


def figures_of(stream: Stream) -> Figures:
    """The counts of this moment."""
    stats = stream.stats
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


def prompts_of(stream: Stream) -> list[PromptVersion]:
    """Every prompt version, oldest first."""
    return [_version(version) for version in stream.prompts]


def _version(version: Version) -> PromptVersion:
    return {
        "version": version.version,
        "text": version.text,
        "model": version.model,
        "output_schema": _schema_text(version.output_schema),
        "max_output_tokens": version.max_output_tokens,
        "at": version.created_at.timestamp(),
    }


def status_of(stream: Stream, media_time: float) -> Status:
    """State and figures; ``media_time`` is where the video is."""
    life = stream._life
    problem = problem_of(stream.error) if stream.error is not None else None
    if problem is None and stream.state == "failed":
        # A recording that was cut off is whole in what it has.
        advice = "Restart it: the rows stay." if life.whole else "What it has can be played."
        problem = {"message": life.note, "advice": advice}
    if problem is not None:
        problem = {**problem, "message": visible(problem["message"])}
    return {
        "kind": "status",
        "sent_at": time.time(),
        "stream_id": stream.stream_id,
        "state": stream.state,
        "status": visible(stream.status),
        "problem": problem,
        "settings": settings_of(stream.settings),
        "prompt_version": stream.prompt_version,
        "figures": figures_of(stream),
        "latencies": life.journal.counters.latest_latencies(LATENCIES),
        "rows": len(life.journal.table),
        "samples": len(life.journal.log),
        "run_start": life.run_start,
        "media_time": media_time,
    }


def welcome_to(page: str, stream: Stream, query: str) -> Welcome:
    """Everything that a page needs to begin."""
    life = stream._life
    info = life.info
    source = stream.settings.source
    return {
        "kind": "welcome",
        "page": page,
        "live": source.live and life.recorded is None,
        "realtime": stream.settings.realtime,
        "duration": stream.duration,
        "width": info.width if info is not None else 0,
        "height": info.height if info is not None else 0,
        "limits": LIMITS,
        "live_changes": sorted(life.session.LIVE_CHANGES),
        "prompts": prompts_of(stream),
        "query": query,
    }


def traits_of(stream: Stream) -> dict[str, Any]:
    """The values of the synced traits, but those that the page owns."""
    table = stream._life.journal.table
    first = max(len(table) - RECENT_ROWS, 0)
    newest = table.results_since(first)
    return {
        "stream_id": stream.stream_id,
        "source": visible(stream.settings.source.label),
        "settings": settings_of(stream.settings),
        "prompt": stream.prompt,
        "prompt_version": stream.prompt_version,
        "state": stream.state,
        "status": visible(stream.status),
        "figures": figures_of(stream),
        "selected": stream.selected,
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
