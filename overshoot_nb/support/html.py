"""Text that is not to be trusted as HTML, and how a stream looks as the value of a cell.

Everything that came from outside (labels, prompts, answers) goes through :func:`escaped`, and every
fragment of HTML through :func:`fragment`. No colours are set but the theme's own, so that it is
legible in light and dark.
"""

from __future__ import annotations

import html
import logging
import re
from typing import TYPE_CHECKING, Any

from overshoot_nb.errors import MissingDependencyError
from overshoot_nb.store.stats import StreamStats

from .notebook import in_kernel, take_notice

if TYPE_CHECKING:
    from overshoot_nb.stream import Stream
    from overshoot_nb.types import StreamInferenceResult

__all__ = [
    "BAR",
    "clock",
    "escaped",
    "figures",
    "fragment",
    "show_notice",
    "show_stream",
    "stream_html",
    "visible",
]

logger = logging.getLogger("overshoot_nb")

#: Rows that are shown, and characters of each of their cells.
ROWS = 5
CELL_CUT = 300
COLUMNS = 12
PROMPT_CUT = 2000

#: Control characters but tab and newline, what turns the direction of the text that follows, and
#: halves of characters. Right-to-left letters and joiners are none of these.
_UNSEEN = re.compile(
    r"\r\n?|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
#: The line beside what is shown.
BAR = 'style="border-left: 3px solid currentColor; padding: 2px 0 2px 10px"'
#: What MathJax 3 and 4 (JupyterLab, Notebook 7) and 2 (nbconvert) leave alone.
_NO_MATHS = "mathjax_ignore tex2jax_ignore"


def visible(text: str) -> str:
    r"""``text`` in which control and bidirectional characters are seen: ``\x1b``, ``\u202e``.

    A line break of Windows is one of Unix.
    """
    return _UNSEEN.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    character = found[0]
    if character == "\r\n":
        return "\n"
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def escaped(text: str) -> str:
    """Text from outside as HTML, between tags and in attributes, all of it :func:`visible`."""
    return html.escape(visible(text))


def fragment(markup: str, attributes: str = "") -> str:
    """HTML as an output of a cell, in which no front end takes dollar signs for formulas.

    A formula of a model's could be a link that runs a script, or lie over the page.

    Args:
        markup: what is shown, all texts in it :func:`escaped`.
        attributes: of the element around it, but ``class``.
    """
    return f'<div class="{_NO_MATHS}" {attributes}>{markup}</div>'


def clock(seconds: float) -> str:
    """Media time as people write it: 0:07.5, 1:02:03.0."""
    tenths = round(seconds * 10)
    hours, rest = divmod(tenths, 36_000)
    minutes, rest = divmod(rest, 600)
    text = f"{minutes:02d}" if hours else f"{minutes}"
    return (f"{hours}:" if hours else "") + f"{text}:{rest // 10:02d}.{rest % 10}"


def figures(stats: StreamStats) -> str:
    """The counts in words: "12 results, 1 error, 3 drops, p50 310 ms"."""

    def count(n: int, word: str) -> str:
        return f"{n:,} {word}{'' if n == 1 else 's'}"

    words = [count(stats.results, "result")]
    if stats.errors:
        words.append(count(stats.errors, "error"))
    if drops := sum(stats.drops.values()):
        words.append(count(drops, "drop"))
    if stats.latency_p50_ms is not None:
        words.append(f"p50 {stats.latency_p50_ms:,.0f} ms")
    return ", ".join(words)


def stream_html(stream: Stream, notice: str = "") -> str:
    """The stream as an HTML fragment, as it is at this moment, and a notice below it."""
    head = " · ".join(
        escaped(text)
        for text in (stream.settings.source.label, stream.model, figures(stream.stats))
    )
    status = escaped(stream.status)
    prompt = _short(stream.prompt, PROMPT_CUT)
    return fragment(
        f"<div><strong>{status}</strong> · {head}</div>"
        f'<div style="opacity: .75; white-space: pre-wrap">{prompt}'
        f" <small>(prompt version {stream.prompt_version})</small></div>"
        f"{_newest(stream)}" + (f"<div><small>{escaped(notice)}</small></div>" if notice else ""),
        BAR,
    )


def show_notice(*more: str) -> None:
    """Show what was not said yet, and more, where a cell shows no widget."""
    said = [text for text in (take_notice(), *more) if text]
    if said:
        from IPython.display import publish_display_data

        publish: Any = publish_display_data
        publish({"text/plain": "\n".join(said)})


def show_stream(stream: Stream) -> None:
    """Show a stream in the cell that runs: its widget where a kernel could talk to one.

    Raises:
        NotImplementedError: there is no kernel here, so that IPython takes the text or HTML.
    """
    if not in_kernel():
        raise NotImplementedError
    try:
        widget = stream.widget
    except MissingDependencyError as error:
        show_notice(str(error))
        raise NotImplementedError from error
    widget.show()


def _newest(stream: Stream) -> str:
    """The newest rows: the fields of structured answers, else the answers' text."""
    table = stream._life.journal.table
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
        + "".join(f"<th>{_short(name)}</th>" for name in head)
        + "</tr></thead><tbody>"
        + "".join(f"<tr>{''.join(f'<td>{_short(v)}</td>' for v in row)}</tr>" for row in body)
        + "</tbody></table>"
    )


def _fields(result: StreamInferenceResult) -> dict[str, str]:
    """What an answer says, by the name of its column."""
    if not isinstance(result.output, dict):
        return {"result": result.result}
    return {name: "–" if value is None else str(value) for name, value in result.output.items()}


def _short(text: str, cut: int = CELL_CUT) -> str:
    return escaped(text if len(text) <= cut else text[: cut - 1] + "…")
