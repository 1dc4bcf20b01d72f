"""What the figures drawn with Altair share: their frame, their data, their time axis."""

from __future__ import annotations

from typing import Any

import altair as alt

from .altair_chart import offline
from .figures import GREY, TimeAxis, wrapped

__all__ = ["LABELS", "ROW_HEIGHT", "WIDTH", "data", "finished", "time_x"]

#: Pixels.
WIDTH = 640
#: Of one state, bar or line of a heatmap.
ROW_HEIGHT = 24
#: The longest label.
LABELS = 270
#: Characters of a subtitle's line.
_LINE = 105


def finished(chart: Any, title: str, notes: tuple[str, ...]) -> Any:
    """A chart with its title and notes, in the style of all."""
    text = alt.TitleParams(
        text=title,
        subtitle=wrapped(notes, _LINE),
        anchor="start",
        fontSize=15,
        subtitleFontSize=11,
        subtitleColor=GREY,
        offset=12,
    )
    chart = (
        chart.properties(title=text, background="white", padding=12)
        .configure_view(stroke=None)
        .configure_axis(
            labelFontSize=11,
            titleFontSize=12,
            titleFontWeight="normal",
            labelColor="#333333",
            gridColor="#E8E8E8",
            domainColor="#888888",
            tickColor="#888888",
        )
        .configure_legend(labelFontSize=11, titleFontSize=12, titleFontWeight="normal")
    )
    return offline(chart)


def data(values: list[dict[str, Any]]) -> alt.Data:
    """Values as the data of a chart."""
    # Given as they are: the limit of 5,000 rows is about DataFrames, and these are few.
    return alt.Data(values=values)  # type: ignore[no-untyped-call]


# ---- time ----------------------------------------------------------------------------------------

_CLOCKS = {
    1: "format(datum.value, '.12~g')",
    2: "floor(datum.value / 60) + ':' + format(floor(datum.value % 60), '02d')",
    3: (
        "floor(datum.value / 3600) + ':' + format(floor(datum.value % 3600 / 60), '02d') + ':' "
        "+ format(floor(datum.value % 60), '02d')"
    ),
}


def time_x(axis: TimeAxis, field: str, *, shown: bool = True) -> alt.X:
    """A field in seconds as media time; ``shown`` is whether the axis has its labels."""
    return alt.X(
        f"{field}:Q",
        title=axis.title if shown else None,
        scale=alt.Scale(domain=[axis.start, axis.end], nice=False, zero=False),
        axis=alt.Axis(
            values=list(axis.ticks),
            labelExpr=_CLOCKS[axis.clock],
            labels=shown,
            ticks=shown,
            grid=True,
            labelOverlap=True,
        ),
    )
