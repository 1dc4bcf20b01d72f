"""How a backfill looks as the value of a cell.

No colours are set but the theme's own, and everything that came from outside is escaped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overshoot_nb.support.html import BAR, escaped, fragment

if TYPE_CHECKING:
    from .backfill import Backfill

__all__ = ["backfill_html"]

#: Characters of the prompt that are shown.
PROMPT_CUT = 2000


def backfill_html(job: Backfill) -> str:
    """A backfill as an HTML fragment, as it is at this moment."""
    figures = [f"{job.elapsed:.1f} s", _counted(job.requests, "request")]
    if job.cached:
        figures.append(f"{_counted(job.cached, 'answer')} known before")
    if job.tokens:
        figures.append(_counted(job.tokens, "token"))
    if job.cost_cents is not None:
        figures.append(f"{job.cost_cents:,.2f} cents")
    version = job.version
    prompt = version.text
    if len(prompt) > PROMPT_CUT:
        prompt = prompt[: PROMPT_CUT - 1] + "…"
    return fragment(
        f"<div><strong>{escaped(job.column)}</strong> · {escaped(job.status)} · "
        f"{' · '.join(figures)}</div>"
        f'<progress value="{job.done}" max="{job.total}" aria-label="samples done"></progress>'
        f'<div style="opacity: .75; white-space: pre-wrap">{escaped(prompt)}'
        f" <small>(prompt version {version.version}, {escaped(version.model)})</small></div>",
        BAR,
    )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
