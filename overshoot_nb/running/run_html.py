"""How a run looks as the value of a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overshoot_nb.store.stats import counts_in_words
from overshoot_nb.support.html import BAR, clock, cut, escaped, fragment

if TYPE_CHECKING:
    from overshoot_nb.types import StreamInferenceResult

    from .run import Run

#: Rows that are shown, and characters of each of their cells.
ROWS = 5
CELL_CUT = 300
COLUMNS = 12
PROMPT_CUT = 2000


def run_html(run: Run, notice: str = "", as_of: str = "") -> str:
    """A run as an HTML fragment, as it is at this moment, and a notice below it.

    Args:
        run: what is shown.
        notice: what is said below it; "" for nothing.
        as_of: when that is, in words.
    """
    words = (run.settings.source.label, run.model, counts_in_words(run.stats), as_of)
    head = " · ".join(escaped(text) for text in filter(None, words))
    status = escaped(run.status)
    prompt = cut(run.prompt, PROMPT_CUT)
    return fragment(
        f"<div><strong>{status}</strong> · {head}</div>"
        f'<div style="opacity: .75; white-space: pre-wrap">{prompt}'
        f" <small>(prompt version {run.prompt_version})</small></div>"
        f"{_newest(run)}" + (f"<div><small>{escaped(notice)}</small></div>" if notice else ""),
        BAR,
    )


def _newest(run: Run) -> str:
    """The newest rows: the fields of structured answers, else the answers' text."""
    table = run.journal.table
    rows = table.results_since(len(table) - ROWS)
    if not rows:
        return "<div><em>no rows yet</em></div>"
    fields = list(dict.fromkeys(name for r in rows if r.ok for name in _fields(r)))[:COLUMNS]
    failed = not all(r.ok for r in rows)
    head = ["time", *fields, *(["error"] if failed else [])]
    body = [
        [
            clock(r.media_time),
            *(_fields(r).get(name, "–") if r.ok else "–" for name in fields),
            *([r.error or ""] if failed else []),
        ]
        for r in rows
    ]
    return (
        "<table><thead><tr>"
        + "".join(f"<th>{cut(name, CELL_CUT)}</th>" for name in head)
        + "</tr></thead><tbody>"
        + "".join(
            f"<tr>{''.join(f'<td>{cut(v, CELL_CUT)}</td>' for v in row)}</tr>" for row in body
        )
        + "</tbody></table>"
    )


def _fields(result: StreamInferenceResult) -> dict[str, str]:
    """What an answer says, by the name of its column."""
    if not isinstance(result.output, dict):
        return {"result": result.result}
    return {name: "–" if value is None else str(value) for name, value in result.output.items()}
