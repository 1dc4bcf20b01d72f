"""How a comparison looks: frames down, prompts and models across, as HTML without any script.

Everything that came from outside (prompts, names, answers, errors) is escaped. Colours are tints
over the theme's own, so that it is legible in light and dark, and nothing is said by colour alone.
Where a page strips styles, a plain table is left that says the same.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import groupby

import pybase64

from overshoot_nb.support.html import clock, escaped, fragment
from overshoot_nb.types import EncodedFrame

from .thumbnails import SHOWN_WIDTH

#: Characters that are shown of an answer's field, a prompt and an error.
VALUE_CUT = 280
PROMPT_CUT = 220
ERROR_CUT = 160
EXPECTED_CUT = 80
NAME_CUT = 80
NOTE_CUT = 2000
#: Bytes of HTML, of a cell's fields and of the rows without their pictures, beyond which no more
#: are begun: answers may be of any size, and a notebook is saved with what it shows.
CELL_BYTES = 8_000
ROWS_BYTES = 2_000_000
#: Columns that are shown; nobody reads more of them side by side.
COLUMNS = 48
NBSP = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True)
class GridColumn:
    """What was asked, and how it did.

    Attributes:
        prompt: its name.
        text: what it says.
        model: the model.
        score: (right, labelled, accuracy, low, high), None without labels.
        latency_ms, tokens, cost_cents: median, and the sums; None where not known.
        no_answer: requests that failed.
        badge: "best", "tied" or "".
        temperature: as asked, or None.
    """

    prompt: str
    text: str
    model: str
    score: tuple[int, int, float, float, float] | None = None
    latency_ms: float | None = None
    tokens: int | None = None
    cost_cents: float | None = None
    no_answer: int = 0
    badge: str = ""
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class GridField:
    """A field of an answer.

    Attributes:
        name: "" where the answer is all there is.
        value: what it says.
        differs: from the first column that has it.
        should: what it should be, where it is wrong and that is known; else "".
    """

    name: str
    value: str
    differs: bool = False
    should: str = ""


@dataclass(frozen=True, slots=True)
class GridCell:
    """An answer.

    Attributes:
        fields: what it says; nothing where it was not asked for.
        right: by the labels, None where they say nothing.
        problem: why there is no answer, or why it cannot be used; "" where there is one.
        note: what else there is to say of it.
    """

    fields: tuple[GridField, ...] = ()
    right: bool | None = None
    problem: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class GridRow:
    """A sample and its answers, one for each column.

    Attributes:
        sample: its index.
        media_time: seconds.
        picture: what it looks like, made small, or None.
        expected: what the labels say of whole answers, "" where they say nothing.
        cells: the answers.
        differs: whether the columns differ about it.
    """

    sample: int
    media_time: float
    picture: EncodedFrame | None
    expected: str
    cells: tuple[GridCell, ...]
    differs: bool


def grid_html(
    columns: Sequence[GridColumn], rows: Sequence[GridRow], title: str, notes: Sequence[str]
) -> str:
    """The grid as an HTML fragment.

    Args:
        columns: across.
        rows: down.
        title: what it is, in a line.
        notes: what else must be said, each a line.
    """
    notes = list(notes)
    if len(columns) > COLUMNS:
        notes.append(
            f"{COLUMNS} of {len(columns):,} columns are shown; .df, .scores and .grid() have all."
        )
        columns = columns[:COLUMNS]
    body, begun = _body(rows)
    if begun < len(rows):
        notes.append(f"The answers are long: {begun} of {len(rows)} samples are shown.")
        rows = rows[:begun]
    box = f"ovs{uuid.uuid4().hex[:12]}"
    # Without the style sheet the box would do nothing, so it is hidden then.
    only = (
        f'<input class="ovs-only" type="checkbox" id="{box}" hidden>'
        f'<label class="ovs-only" for="{box}" hidden>Only where they differ</label>'
        if len({row.differs for row in rows}) == 2
        else ""
    )
    said = "".join(f'<div class="ovs-note">{_short(note, NOTE_CUT)}</div>' for note in notes)
    return fragment(
        f'<div class="ovs-compare"><style>{_style()}</style>'
        f'<div class="ovs-title"><b>{escaped(title)}</b></div>{only}'
        f'<div class="ovs-legend"><small>{_legend(columns, rows)}</small></div>'
        f'<div class="ovs-scroll" tabindex="0"><table class="ovs-grid"><thead>{_head(columns)}'
        f"</thead><tbody>{body}</tbody></table></div>{said}</div>"
    )


def _legend(columns: Sequence[GridColumn], rows: Sequence[GridRow]) -> str:
    said = []
    if any(field.differs for row in rows for cell in row.cells for field in cell.fields):
        said.append("<mark>≠</mark> differs from the first column")
    rights = {cell.right for row in rows for cell in row.cells}
    if True in rights:
        said.append("✓ right")
    if False in rights:
        said.append("✗ wrong")
    if any(column.score is not None and column.score[1] for column in columns):
        said.append("in brackets: 95 % interval")
    return " · ".join(said)


# ---- the head ----------------------------------------------------------------------------------


def _head(columns: Sequence[GridColumn]) -> str:
    groups = [list(group) for _, group in groupby(columns, key=lambda c: (c.prompt, c.text))]
    # One that all share is said in the title.
    named = len({column.model for column in columns}) > 1
    figures = [_figures(column, named) for column in columns]
    if all(len(group) == 1 for group in groups):
        cells = "".join(
            f'<th class="ovs-column" scope="col">{_prompt(column)}{below}</th>'
            for column, below in zip(columns, figures, strict=True)
        )
        return f'<tr><th class="ovs-frame" scope="col">sample</th>{cells}</tr>'
    prompts = "".join(
        f'<th class="ovs-column ovs-group" scope="colgroup" colspan="{len(group)}">'
        f"{_prompt(group[0])}</th>"
        for group in groups
    )
    cells = "".join(f'<th class="ovs-column" scope="col">{below}</th>' for below in figures)
    return (
        f'<tr><th class="ovs-frame" rowspan="2" scope="col">sample</th>{prompts}</tr>'
        f"<tr>{cells}</tr>"
    )


def _prompt(column: GridColumn) -> str:
    name, text = _short(column.prompt, PROMPT_CUT), _short(column.text, PROMPT_CUT)
    if column.prompt == column.text:
        return f'<div class="ovs-prompt">{name}</div>'
    return f'<div class="ovs-prompt"><b>{name}</b></div><div class="ovs-text">{text}</div>'


def _figures(column: GridColumn, named: bool) -> str:
    about = [column.model] if named else []
    if column.temperature is not None:
        about.append(f"temperature {column.temperature:g}")
    parts = [f'<div class="ovs-model">{escaped(" · ".join(about))}</div>'] if about else []
    if column.score is not None:
        parts.append(_score(column))
    costs = []
    if column.latency_ms is not None:
        costs.append(f"p50 {column.latency_ms:,.0f} ms")
    if column.tokens is not None:
        costs.append(f"{column.tokens:,} tokens")
    if column.cost_cents is not None:
        costs.append(f"{column.cost_cents:,.3g} ¢")
    if column.no_answer:
        costs.append(f"⚠ {column.no_answer:,} without an answer")
    # A figure and its unit stay in one line.
    said = " · ".join(cost.replace(" ", NBSP) for cost in costs)
    return f'{"".join(parts)}<div class="ovs-costs"><small>{said}</small></div>'


def _score(column: GridColumn) -> str:
    assert column.score is not None
    right, n, accuracy, low, high = column.score
    if not n:
        return '<div class="ovs-score"><small>its answers have no labels</small></div>'
    badge = f' <span class="ovs-badge">★ {escaped(column.badge)}</span>' if column.badge else ""
    return (
        f'<div class="ovs-score"><b>{_percent(accuracy)}</b>{badge}<br><small>'
        f'{right:,} of {n:,} right <span class="ovs-interval">({low * 100:.0f}–{_percent(high)})'
        "</span></small></div>"
        f'<div class="ovs-bar" aria-hidden="true"><i style="left: {low * 100:.1f}%; '
        f'width: {(high - low) * 100:.1f}%"></i><u style="left: {accuracy * 100:.1f}%"></u></div>'
    )


def _percent(share: float) -> str:
    return f"{share * 100:.0f}{NBSP}%"


# ---- the rows ----------------------------------------------------------------------------------


def _body(rows: Sequence[GridRow]) -> tuple[str, int]:
    """The rows that are not too much, and how many these are."""
    said: list[str] = []
    size = 0
    for row in rows:
        if size > ROWS_BYTES:
            break
        said.append(_row(row))
        size += len(said[-1])
    return "".join(said), len(said)


def _row(row: GridRow) -> str:
    expected = (
        f'<div class="ovs-expected">expected: {_short(row.expected, EXPECTED_CUT)}</div>'
        if row.expected
        else ""
    )
    return (
        f'<tr class="{"ovs-differ" if row.differs else "ovs-same"}">'
        f'<th class="ovs-frame" scope="row">{_picture(row)}'
        f'<div class="ovs-when">#{row.sample} · {clock(row.media_time)}</div>{expected}</th>'
        f"{''.join(map(_cell, row.cells[:COLUMNS]))}</tr>"
    )


def _picture(row: GridRow) -> str:
    if row.picture is None:
        return '<div class="ovs-faint">no picture</div>'
    data = pybase64.b64encode(row.picture.data).decode()
    width = min(row.picture.width, SHOWN_WIDTH)
    height = max(1, round(row.picture.height * width / row.picture.width))
    return (
        f'<img src="data:image/jpeg;base64,{data}" width="{width}" height="{height}" '
        f'alt="sample {row.sample}">'
    )


def _cell(cell: GridCell) -> str:
    if not cell.fields and not cell.problem:
        return '<td class="ovs-cell"><span class="ovs-faint">not asked</span></td>'
    lines = _lines(cell.fields)
    if cell.problem:
        lines.append(f'<span class="ovs-problem">⚠ {_short(cell.problem, ERROR_CUT)}</span>')
    if cell.note:
        lines.append(f'<span class="ovs-faint">{escaped(cell.note)}</span>')
    kind, verdict = _VERDICTS[cell.right]
    said = "<br>".join(lines)
    return f'<td class="ovs-cell {kind}">{verdict}<span class="ovs-said">{said}</span></td>'


_VERDICTS = {
    True: ("ovs-right", '<span class="ovs-verdict" title="right">✓</span> '),
    False: ("ovs-wrong", '<span class="ovs-verdict" title="wrong">✗</span> '),
    None: ("", ""),
}


def _lines(fields: Sequence[GridField]) -> list[str]:
    lines: list[str] = []
    size = 0
    for place, field in enumerate(fields):
        if size > CELL_BYTES:
            rest = fields[place:]
            differ = f", {differing} ≠" if (differing := sum(f.differs for f in rest)) else ""
            lines.append(f'<span class="ovs-faint">and {len(rest):,} fields more{differ}</span>')
            break
        lines.append(_field(field))
        size += len(lines[-1])
    return lines


def _field(field: GridField) -> str:
    value = _short(field.value, VALUE_CUT) or '<span class="ovs-faint">(empty)</span>'
    name = ""
    if field.name:
        name = f'<span class="ovs-faint">{_short(field.name, NAME_CUT)}:</span> '
    should = f" ✗{NBSP}should be {_short(field.should, EXPECTED_CUT)}" if field.should else ""
    return name + (f"<mark>≠ {value}</mark>" if field.differs else value) + should


def _short(text: str, cut: int) -> str:
    """Escaped text, cut; what was cut off is shown where the pointer rests."""
    if len(text) <= cut:
        return escaped(text)
    return f'<span title="{escaped(text[: 8 * cut])}">{escaped(text[: cut - 1])}…</span>'


@cache
def _style() -> str:
    return (files(__package__) / "grid.css").read_text("utf-8")
