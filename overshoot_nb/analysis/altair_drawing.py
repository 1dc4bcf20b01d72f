"""Figures drawn with Altair.

The data's own fields have short, fixed names, and what a model said is only ever data: no text of
it becomes part of an expression.
"""

from __future__ import annotations

import math
from functools import singledispatch
from typing import Any

import altair as alt

from .altair_parts import LABELS, LABELS_ROOM, ROW_HEIGHT, WIDTH, Datasets, finished, time_x
from .altair_timeline import draw_timeline
from .figures import COLOURS, Bars, Curves, Matrix, Timeline, clock

#: Cells of a heatmap that there is room to write into.
_MOST_WRITTEN = 150


@singledispatch
def draw(figure: Any) -> Any:
    """A figure as an Altair chart."""
    raise TypeError(type(figure).__name__)


@draw.register
def _(figure: Timeline) -> Any:
    return draw_timeline(figure)


# ---- latency -------------------------------------------------------------------------------------


@draw.register
def _(figure: Curves) -> Any:
    datasets = Datasets()
    names = [curve.name for curve in figure.curves]
    labels = {curve.name: f"{curve.name} (n = {curve.n:,})" for curve in figure.curves}
    points = [
        {"ms": ms, "p": percent, "who": labels[curve.name]}
        for curve in figure.curves
        for ms, percent in zip(curve.ms.tolist(), curve.percent.tolist(), strict=True)
    ]
    marks = [
        {"ms": ms, "p": p, "who": labels[curve.name], "text": f"p{p} {ms:,.0f} ms"}
        for curve in figure.curves
        for p, ms in curve.marks
    ]
    x = alt.X(
        "ms:Q",
        title=figure.x_title,
        scale=alt.Scale(
            type="log" if figure.log else "linear",
            zero=False,
            nice=True,
            # Without any answer there is nothing to take it from.
            domain=alt.Undefined if figure.curves else [0, 1],
        ),
        axis=alt.Axis(format=",.12~g", tickCount=8, labelOverlap=True),
    )
    y = alt.Y("p:Q", title="Answers at or below (%)", scale=alt.Scale(domain=[0, 100]))
    domain = [labels[name] for name in names]
    colour = alt.Color(
        "who:N",
        scale=alt.Scale(domain=domain, range=list(COLOURS[: len(domain)])),
        # One alone is said in the subtitle.
        legend=None
        if len(names) <= 1
        else alt.Legend(
            title=None, orient="bottom", columns=2, labelLimit=300, symbolType="stroke"
        ),
    )
    tooltip = [
        alt.Tooltip("who:N", title="answers of"),
        alt.Tooltip("ms:Q", title="latency (ms)", format=",.1f"),
        alt.Tooltip("p:Q", title="at or below (%)", format=".1f"),
    ]
    base = datasets.chart(points).encode(x=x, y=y, color=colour)
    marked = datasets.chart(marks).encode(x=x, y=y, color=colour)
    layers = [
        base.mark_line(interpolate="step-after", strokeWidth=2),
        base.mark_circle(size=60, opacity=0).encode(tooltip=tooltip),
        marked.mark_circle(size=70, opacity=1).encode(
            tooltip=[tooltip[0], alt.Tooltip("text:N", title="percentile")]
        ),
    ]
    if len(names) == 1:  # of several they would lie on each other
        layers.append(marked.mark_text(align="left", dx=9, dy=9).encode(text="text:N"))
    chart = alt.layer(*layers).properties(width=WIDTH, height=280)
    return finished(chart, datasets, figure.title, figure.notes)


# ---- counts and heatmaps -------------------------------------------------------------------------


@draw.register
def _(figure: Bars) -> Any:
    datasets = Datasets()
    values = [
        {
            "v": label,
            "n": count,
            "share": count / figure.total if figure.total else 0,
            "text": f"{count:,} ({count / figure.total:.1%})" if figure.total else "0",
        }
        for label, count in zip(figure.labels, figure.counts, strict=True)
    ]
    labels = list(figure.labels)
    tooltip = [
        alt.Tooltip("v:N", title="value"),
        alt.Tooltip("n:Q", title=figure.unit.lower(), format=","),
        alt.Tooltip("share:Q", title="share", format=".1%"),
    ]
    amount: dict[str, Any] = {"title": figure.unit, "scale": alt.Scale(nice=True, zero=True)}
    counted = alt.Axis(format=",~d", values=_whole_ticks(max(figure.counts, default=0) or 1))
    base = datasets.chart(values).encode(tooltip=tooltip)
    if figure.upright:
        x = alt.X("v:N", title=figure.what, sort=labels, axis=alt.Axis(labelAngle=_slope(labels)))
        y = alt.Y("n:Q", axis=counted, **amount)
        chart = base.mark_bar(color=COLOURS[0]).encode(x=x, y=y)
        return finished(
            chart.properties(width=WIDTH, height=240), datasets, figure.title, figure.notes
        )
    y = alt.Y(
        "v:N",
        title=None,
        sort=labels,
        axis=alt.Axis(labelLimit=LABELS, ticks=False, domain=False),
    )
    # Room for the text behind the longest bar.
    largest = max(figure.counts, default=0) or 1
    amount["scale"] = alt.Scale(domain=[0, largest * 1.18], nice=False)
    counted.grid = True
    x = alt.X("n:Q", axis=counted, **amount)
    bars = base.mark_bar(color=COLOURS[0]).encode(x=x, y=y)
    text = base.mark_text(align="left", dx=4, color="#333333").encode(x=x, y=y, text="text:N")
    chart = alt.layer(bars, text).properties(
        width=WIDTH - 120, height=max(ROW_HEIGHT * len(labels), ROW_HEIGHT)
    )
    return finished(chart, datasets, figure.title, figure.notes)


def _slope(labels: list[str]) -> int:
    """Long labels stand at an angle."""
    return 0 if sum(map(len, labels)) * 8 <= WIDTH else -40


def _whole_ticks(most: int) -> list[int]:
    step = next(s for p in range(19) for s in (10**p, 2 * 10**p, 5 * 10**p) if 6 * s > most)
    return list(range(0, most + 1, step))


@draw.register
def _(figure: Matrix) -> Any:
    datasets = Datasets()
    lines, columns = figure.values.shape
    values = []
    for line in range(lines):
        for column in range(columns):
            value = float(figure.values[line, column])
            if math.isnan(value):
                continue
            cell: dict[str, Any] = {"y": figure.y_labels[line], "v": value}
            cell["n"] = int(figure.counts[line, column])
            if figure.axis is not None:
                cell["t"], cell["e"] = figure.edges[column], figure.edges[column + 1]
                begin, end = (clock(cell[k], figure.axis.clock) for k in ("t", "e"))
                cell["x"] = f"{begin} to {end}"
            else:
                cell["x"] = figure.x_labels[column]
            values.append(cell)
    y = alt.Y(
        "y:N",
        title=figure.y_title,
        sort=list(figure.y_labels),
        scale=alt.Scale(domain=list(figure.y_labels)),
        axis=alt.Axis(
            labelLimit=LABELS,
            maxExtent=LABELS_ROOM,
            titlePadding=10,
            ticks=False,
            domain=False,
            grid=False,
        ),
    )
    colour = alt.Color(
        "v:Q",
        title=figure.value_title,
        scale=alt.Scale(scheme="viridis", domainMin=0)
        if figure.whole
        else alt.Scale(scheme="viridis"),
        legend=None
        if not values
        else alt.Legend(
            format=".12~g",
            orient="bottom",
            direction="horizontal",
            gradientLength=240,
            titleLimit=WIDTH,
            values=_whole_ticks(int(figure.counts.max(initial=0)))
            if figure.whole
            else alt.Undefined,
        ),
    )
    tooltip = [
        alt.Tooltip("x:N", title="media time" if figure.axis is not None else figure.x_title),
        alt.Tooltip("y:N", title=figure.y_title),
        alt.Tooltip("v:Q", title=figure.value_title, format=",.4~g"),
    ]
    if not figure.whole:
        tooltip.append(alt.Tooltip("n:Q", title="answers", format=","))
    base = datasets.chart(values).encode(y=y, tooltip=tooltip)
    if figure.axis is not None:
        x = time_x(figure.axis, "t")
        chart: Any = base.mark_rect().encode(x=x, x2="e:Q", color=colour)
        width: float = WIDTH
    else:
        x_labels = list(figure.x_labels)
        x = alt.X(
            "x:N",
            title=figure.x_title,
            sort=x_labels,
            scale=alt.Scale(domain=x_labels),
            axis=alt.Axis(labelAngle=-40, labelLimit=160, ticks=False, domain=False),
        )
        chart = base.mark_rect().encode(x=x, color=colour)
        width = min(max(60 * columns, 120), WIDTH)
        if lines * columns <= _MOST_WRITTEN and figure.whole:
            most = max((cell["v"] for cell in values), default=0)
            ink = alt.condition(f"datum.v > {most / 2:g}", alt.value("black"), alt.value("white"))
            written = base.mark_text(fontSize=11).encode(x=x, text="v:Q", color=ink)
            chart = alt.layer(chart, written)
    height = max((ROW_HEIGHT + 6) * lines, ROW_HEIGHT)
    return finished(
        chart.properties(width=width, height=height), datasets, figure.title, figure.notes
    )
