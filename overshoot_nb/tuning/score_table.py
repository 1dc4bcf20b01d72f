"""How a score looks: as text, and as plain HTML in the theme's own colours.

Everything that came from outside (names of fields, prompts and models) is escaped. The bars are
for the eye alone: where styles are stripped, the figures say the same.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import TYPE_CHECKING

from overshoot_nb.errors import ValidationError
from overshoot_nb.support.html import BAR, escaped, fragment

from .statistics import percent

if TYPE_CHECKING:
    from .score import Costs, Score, Tally

__all__ = ["text", "to_html"]

#: Confusion tables that are shown, those of the best version first.
MOST_TABLES = 8
_NAME_CUT = 80
_BAR_WIDTH = "8em"


def text(score: Score) -> str:
    """The score as lines of text."""
    head, body = _cells(score)
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *body)
    ]
    return "\n".join([*lines, _best(score), *score.notes])


def to_html(score: Score) -> str:
    """The score as an HTML fragment."""
    head, body = _cells(score)
    at = head.index("accuracy")
    rows = []
    for cells, (column, field, tally) in zip(body, score.rows(), strict=True):
        strong = column in score.ties and field == score.rows()[-1][1]
        marked = [_td(cell, strong=strong and i == at) for i, cell in enumerate(cells)]
        marked.insert(at + 1, f"<td>{_bar(tally)}</td>")
        rows.append(f"<tr>{''.join(marked)}</tr>")
    notes = "".join(f"<div><small>{escaped(note)}</small></div>" for note in score.notes)
    names = [_th(name) for name in head]
    names.insert(at + 1, "<th></th>")
    return fragment(
        f"<div><strong>{escaped(_best(score))}</strong></div>"
        f"<table><thead><tr>{''.join(names)}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        f"{notes}{_confusions(score)}",
        BAR,
    )


def _best(score: Score) -> str:
    """Who is best, in words."""
    ties = score.ties
    if not ties:
        return "No answer is known to be right or wrong."
    names = ", ".join(map(score.name, ties[:5])) + (", …" if len(ties) > 5 else "")
    total = score.totals[ties[0]]
    share = f"{total.accuracy:.1%}"
    if len(score.totals) == 1:
        return f"{names} is right about {share} ({total.right} of {total.n})."
    if len(ties) == 1:
        return f"Best: {names}, right about {share} ({total.right} of {total.n})."
    return f"A tie at {share}: {names}."


def _cells(score: Score) -> tuple[list[str], list[list[str]]]:
    """Head and rows; columns in which no row has anything are left out."""
    head = [
        *score.names,
        "field",
        "accuracy",
        f"{percent(score.confidence)} interval",
        "right",
        "no answer",
        "unknown",
        "p50",
        "tokens",
        "cost",
    ]
    rows = [
        [*_named(score, column), _cut(field), *_counts(tally), *_costs(score.costs[column])]
        for column, field, tally in score.rows()
    ]
    shown = [i for i in range(len(head)) if i < len(score.names) or any(r[i] for r in rows)]
    return [head[i] for i in shown], [[row[i] for i in shown] for row in rows]


def _named(score: Score, column: Hashable) -> list[str]:
    if len(score.names) == 1:
        return [_cut(score.name(column))]
    return [_cut(str(part)) for part in column]  # type: ignore[attr-defined]


def _counts(tally: Tally) -> list[str]:
    """Accuracy, interval, right, no answer, unknown."""
    low, high = tally.interval
    return [
        f"{tally.accuracy:.1%}" if tally.n else "–",
        f"{low:.1%} – {high:.1%}" if tally.n else "–",
        f"{tally.right} of {tally.n}",
        f"{tally.no_answer}" if tally.no_answer else "",
        f"{tally.unknown}" if tally.unknown else "",
    ]


def _costs(costs: Costs) -> list[str]:
    def figure(value: float, form: str) -> str:
        return "" if math.isnan(value) else form.format(value)

    return [
        figure(costs.latency_p50_ms, "{:,.0f} ms"),
        figure(costs.tokens, "{:,.0f}"),
        figure(costs.cost_cents, "{:.3g} ¢"),
    ]


def _bar(tally: Tally) -> str:
    """Accuracy as a tick, its interval as a band, on a line from 0 to 1."""
    if not tally.n:
        return ""
    low, high = tally.interval
    return (
        f'<div aria-hidden="true" style="position: relative; width: {_BAR_WIDTH}; height: .8em; '
        'border-bottom: 1px solid currentColor">'
        f'<div style="position: absolute; left: {low:.1%}; width: {high - low:.1%}; top: .2em; '
        'bottom: .1em; background: currentColor; opacity: .3"></div>'
        f'<div style="position: absolute; left: calc({tally.accuracy:.1%} - 1px); width: 3px; '
        'top: 0; bottom: 0; background: currentColor"></div></div>'
    )


def _confusions(score: Score) -> str:
    """The confusion tables of closed fields, folded away."""
    tables: list[str] = []
    for column in sorted(score.totals, key=lambda column: column not in score.ties):
        for field in score.fields:
            if len(tables) == MOST_TABLES:
                return "".join(tables)
            try:
                table = score.confusion(column, field)
            except ValidationError:  # no closed set of answers
                continue
            if table.to_numpy().sum() == 0:
                continue
            head = "".join(_th(str(value)) for value in table.columns)
            body = "".join(
                f"<tr>{_th(str(expected))}"
                + "".join(
                    _td(str(count) if count else "·", strong=answer == expected)
                    for answer, count in zip(table.columns, counts, strict=True)
                )
                + "</tr>"
                for expected, counts in zip(table.index, table.to_numpy(), strict=True)
            )
            title = _cut(f"{score.name(column)}, {field}: expected (rows) and answered (columns)")
            tables.append(
                f"<details><summary>{escaped(title)}</summary><table><thead><tr><th></th>"
                f"{head}</tr></thead><tbody>{body}</tbody></table></details>"
            )
    return "".join(tables)


def _th(value: str) -> str:
    return f"<th>{escaped(_cut(value))}</th>"


def _td(value: str, *, strong: bool = False) -> str:
    cell = escaped(_cut(value))
    inner = f"<strong>{cell}</strong>" if strong else cell
    return f'<td style="white-space: nowrap">{inner}</td>'


def _cut(value: str) -> str:
    return value if len(value) <= _NAME_CUT else value[: _NAME_CUT - 1] + "…"
