"""The timeline, drawn with Altair."""

from __future__ import annotations

import math
from typing import Any

import altair as alt

from .altair_parts import LABELS, ROW_HEIGHT, WIDTH, Datasets, finished, time_x
from .figures import COLOURS, HIGHLIGHT, Band, Line, States, TimeAxis, Timeline, clock

_LINE_HEIGHT = 110
#: Pixels of a label's character, about.
_CHARACTER = 6.2
#: A line of so few points shows them.
_FEW = 120


def draw_timeline(figure: Timeline) -> Any:
    """Panels one below the other."""
    datasets, axis = Datasets(), figure.axis
    # Panels stand exactly below each other only if their labels take the same room.
    texts = [text for p in figure.panels if isinstance(p, States) for text in p.labels]
    room = min(max([40.0, *(len(text) * _CHARACTER for text in texts)]), LABELS)
    panels = []
    for number, (panel, bands) in enumerate(zip(figure.panels, figure.bands, strict=True)):
        last = number == len(figure.panels) - 1
        layers = [_bands(datasets, bands, axis)] if bands else []
        if isinstance(panel, Line):
            layers += _line(datasets, panel, axis, room, last)
            height = _LINE_HEIGHT if len(figure.panels) > 1 else 2 * _LINE_HEIGHT
        else:
            layers.append(_states(datasets, panel, axis, room, last))
            height = max(ROW_HEIGHT * len(panel.labels), ROW_HEIGHT)
        drawn = alt.layer(*layers).properties(width=WIDTH, height=height)
        if panel.title:
            drawn.title = alt.TitleParams(
                text=panel.title, anchor="start", fontSize=12, fontWeight="normal", frame="group"
            )
        panels.append(drawn)
    if not panels:
        panels = [_empty(datasets, axis)]
    return finished(alt.vconcat(*panels, spacing=14), datasets, figure.title, figure.notes)


def _empty(datasets: Datasets, axis: TimeAxis) -> Any:
    chart = datasets.chart([{"t": axis.start, "text": "no rows"}]).mark_text(align="left", dx=8)
    return chart.encode(x=time_x(axis, "t"), text="text:N").properties(width=WIDTH, height=60)


def _bands(datasets: Datasets, bands: tuple[Band, ...], axis: TimeAxis) -> Any:
    # An event of a single moment would have no width.
    thin = (axis.end - axis.start) / WIDTH
    values = [
        {"t": band.start, "e": max(band.end, band.start + thin), "text": band.text}
        for band in bands
    ]
    chart = datasets.chart(values).mark_rect(color=HIGHLIGHT, opacity=0.3)
    tooltip = [alt.Tooltip("text:N", title="event")]
    return chart.encode(x=alt.X("t:Q"), x2="e:Q", tooltip=tooltip)


def _sample(sample: int) -> int | None:
    return sample if sample >= 0 else None


_HOVER = [
    alt.Tooltip("time:N", title="media time"),
    alt.Tooltip("v:Q", title="value", format=".12~g"),
]


def _line(datasets: Datasets, panel: Line, axis: TimeAxis, room: float, last: bool) -> list[Any]:
    values = [
        {
            "t": t,
            "v": None if math.isnan(v) else v,
            "s": _sample(s),
            "time": clock(t, axis.clock),
        }
        for t, v, s in zip(
            panel.times.tolist(), panel.values.tolist(), panel.samples.tolist(), strict=True
        )
    ]
    y = alt.Y(
        "v:Q",
        title=None,
        axis=alt.Axis(
            tickCount=4,
            minExtent=room,
            format=".12~g",
            tickMinStep=1 if panel.is_whole else alt.Undefined,
        ),
        scale=alt.Scale(zero=False, nice=True, padding=4),
    )
    base = datasets.chart(values).encode(x=time_x(axis, "t", shown=last), y=y)
    tooltip = [*_HOVER, alt.Tooltip("s:Q", title="sample")]
    dots: Any = {"opacity": 1, "size": 18} if len(values) <= _FEW else {"opacity": 0, "size": 60}
    return [
        base.mark_line(interpolate="step-after", color=COLOURS[0], strokeWidth=1.5),
        base.mark_circle(color=COLOURS[0], **dots).encode(tooltip=tooltip),
    ]


def _states(datasets: Datasets, panel: States, axis: TimeAxis, room: float, last: bool) -> Any:
    values = [
        {
            "t": t,
            "e": e,
            "v": panel.labels[code],
            "s": _sample(s),
            "n": n,
            "time": f"{clock(t, axis.clock)} to {clock(e, axis.clock)}",
        }
        for t, e, code, s, n in zip(
            panel.starts.tolist(),
            panel.ends.tolist(),
            panel.codes.tolist(),
            panel.samples.tolist(),
            panel.counts.tolist(),
            strict=True,
        )
    ]
    labels = list(panel.labels)
    y = alt.Y(
        "v:N",
        title=None,
        sort=labels,
        scale=alt.Scale(domain=labels),
        axis=alt.Axis(minExtent=room, labelLimit=LABELS, ticks=False, domain=False),
    )
    tooltip = [
        alt.Tooltip("time:N", title="media time"),
        alt.Tooltip("v:N", title="value"),
        alt.Tooltip("n:Q", title="answers"),
        alt.Tooltip("s:Q", title="first sample"),
    ]
    colour = alt.Color(
        "v:N", scale=alt.Scale(domain=labels, range=_cycled(len(labels))), legend=None
    )
    chart = datasets.chart(values).mark_bar(height=alt.RelativeBandSize(0.7))
    return chart.encode(
        x=time_x(axis, "t", shown=last), x2="e:Q", y=y, color=colour, tooltip=tooltip
    )


def _cycled(count: int) -> list[str]:
    """A colour for each, where lines of their own tell them apart too."""
    return [COLOURS[k % 6] for k in range(count)]
