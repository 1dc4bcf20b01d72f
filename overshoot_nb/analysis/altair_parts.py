"""What the figures drawn with Altair share: their frame, their data, their time axis."""

from __future__ import annotations

from typing import Any

import altair as alt

from .altair_chart import offline
from .figures import GREY, TimeAxis, wrapped

#: Pixels.
WIDTH = 640
#: Of one state, bar or line of a heatmap.
ROW_HEIGHT = 24
#: The longest label.
LABELS = 270
#: The room that they may take beside an axis; its title comes after it.
LABELS_ROOM = LABELS + 12
#: Characters of a subtitle's line.
_LINE = 105


def finished(chart: Any, datasets: Datasets, title: str, notes: tuple[str, ...]) -> Any:
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
    chart.datasets = datasets.values
    return offline(chart)


class Datasets:
    """The data of a figure, by name: charts are copied often, and their data need not be."""

    def __init__(self) -> None:
        self.values: dict[str, list[dict[str, Any]]] = {}

    def chart(self, values: list[dict[str, Any]]) -> alt.Chart:
        """A chart of a list of records. It is no DataFrame, of which 5,000 rows are too many."""
        name = f"data{len(self.values) + 1}"
        self.values[name] = values
        return alt.Chart(alt.NamedData(name))


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
