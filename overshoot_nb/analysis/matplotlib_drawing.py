"""Figures drawn with Matplotlib, without pyplot: nothing is kept, and no backend is chosen."""

from __future__ import annotations

import io
import math
import unicodedata
import warnings
from functools import singledispatch
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from . import figures
from .figures import COLOURS, GREY, HIGHLIGHT, Bars, Curves, Line, Matrix, States, TimeAxis, wrapped

_WIDTH = 8.0
_LINE_HEIGHT = 1.5
#: Inches of one state, bar or line of a heatmap.
_ROW_HEIGHT = 0.32
#: Characters of a label; of one that stands at an angle.
_LABEL, _SLANTED = 44, 24
#: Characters of a note's line.
_LINE = 120
_MOST_WRITTEN = 150
_FEW = 120
_DPI = 144


class ReportFigure(Figure):
    """A figure that notebooks show without ``%matplotlib inline``."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        with warnings.catch_warnings():
            # What a model says may be in any script; a box is shown for what the font lacks.
            warnings.filterwarnings("ignore", "Glyph .* missing from")
            self.savefig(file, format="png", dpi=_DPI)
        return file.getvalue()


@singledispatch
def draw(figure: Any) -> Figure:
    """A figure as one of Matplotlib's."""
    raise TypeError(type(figure).__name__)


def plain(text: str) -> str:
    """Text that Matplotlib takes for no formula."""
    return text.replace("$", r"\$")


def _label(text: str, width: int = _LABEL) -> str:
    """A label that leaves room for what it labels: ``width`` is in characters of Latin text."""
    kept, short = len(text), text
    while kept > 2 and sum(map(_room, short)) > width:
        kept -= 1  # of the begin and of the end: texts that begin alike differ there
        short = f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"
    return plain(short)


def _room(letter: str) -> int:
    return 2 if letter in "MW" or unicodedata.east_asian_width(letter) in "WF" else 1


def _number(value: float, _: object = None) -> str:
    return f"{value:,.10g}"


def _nothing(axes: Axes, text: str) -> None:
    axes.text(0.02, 0.5, text, transform=axes.transAxes, va="center", fontsize=9)
    axes.set_yticks([])


def _figure(title: str, notes: tuple[str, ...], height: float) -> ReportFigure:
    lines = wrapped(notes, _LINE)
    figure = ReportFigure(
        figsize=(_WIDTH, height + 0.55 + 0.17 * len(lines)), layout="constrained", facecolor="white"
    )
    FigureCanvasAgg(figure)
    figure.suptitle(plain(title), x=0.01, ha="left", fontsize=12, fontweight="bold")
    figure.supxlabel(plain("\n".join(lines)), x=0.01, ha="left", fontsize=8, color=GREY)
    return figure


def _quiet(axes: Axes) -> None:
    """Only the lines that help to read it."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#888888")
    axes.tick_params(labelsize=9, color="#888888")
    axes.grid(True, color="#E8E8E8", linewidth=0.8)
    axes.set_axisbelow(True)


# ---- time ----------------------------------------------------------------------------------------


@draw.register
def _(figure: figures.Timeline) -> Figure:
    panels = figure.panels
    alone = len(panels) == 1
    heights = [
        _LINE_HEIGHT * (1.8 if alone else 1)
        if isinstance(panel, Line)
        else max(_ROW_HEIGHT * len(panel.labels), 0.4) + 0.2
        for panel in panels
    ] or [0.6]
    drawn = _figure(figure.title, figure.notes, sum(heights) + 0.3 * len(heights) + 0.3)
    grid = drawn.subplots(
        len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for axes, panel, bands in zip(grid[:, 0], panels, figure.bands, strict=False):
        _quiet(axes)
        if panel.title:
            axes.set_title(plain(panel.title), loc="left", fontsize=9.5)
        if isinstance(panel, Line):
            _line(axes, panel)
        else:
            _states(axes, panel)
        thin = (figure.axis.end - figure.axis.start) / 600
        for band in bands:
            end = max(band.end, band.start + thin)
            axes.axvspan(band.start, end, color=HIGHLIGHT, alpha=0.3, linewidth=0, zorder=0)
    if not panels:
        _nothing(grid[0, 0], "no rows")
    _time(grid[-1, 0], figure.axis)
    return drawn


def _time(axes: Axes, axis: TimeAxis) -> None:
    axes.set_xlim(axis.start, axis.end)
    axes.set_xticks(axis.ticks, [axis.label(tick) for tick in axis.ticks])
    axes.set_xlabel(axis.title, fontsize=10)


def _line(axes: Axes, panel: Line) -> None:
    axes.plot(
        panel.times,
        panel.values,
        drawstyle="steps-post",
        color=COLOURS[0],
        linewidth=1.2,
        marker="o" if len(panel.times) <= _FEW else None,
        markersize=2.5,
        clip_on=False,  # the first and the last value are on the frame
    )
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=panel.is_whole, min_n_ticks=1))
    axes.yaxis.set_major_formatter(FuncFormatter(_number))
    if np.isnan(panel.values).all():
        axes.set_yticks([])


def _states(axes: Axes, panel: States) -> None:
    for code in range(len(panel.labels)):
        own = panel.codes == code
        spans = np.stack([panel.starts[own], (panel.ends - panel.starts)[own]], axis=1)
        axes.broken_barh(spans.tolist(), (code - 0.35, 0.7), color=COLOURS[code % 6])
    axes.set_yticks(range(len(panel.labels)), [_label(label) for label in panel.labels])
    axes.set_ylim(max(len(panel.labels), 1) - 0.5, -0.5)
    axes.grid(False, axis="y")


# ---- latency -------------------------------------------------------------------------------------


@draw.register
def _(figure: Curves) -> Figure:
    drawn = _figure(figure.title, figure.notes, 3.6)
    axes = drawn.subplots()
    _quiet(axes)
    for curve, colour in zip(figure.curves, COLOURS, strict=False):
        label = plain(f"{curve.name} (n = {curve.n:,})")
        axes.plot(
            curve.ms, curve.percent, drawstyle="steps-post", color=colour, lw=1.8, label=label
        )
        for percentile, ms in curve.marks:
            axes.plot([ms], [percentile], "o", color=colour, markersize=5)
            if len(figure.curves) == 1:
                axes.annotate(
                    f"p{percentile} {ms:,.0f} ms",
                    (ms, percentile),
                    (7, -11),
                    textcoords="offset points",
                    fontsize=9,
                )
    if figure.log:
        axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(_number))
    axes.margins(x=0.08)
    if not figure.curves:
        axes.set_xlim(0, 1)
    axes.set_ylim(0, 103)
    axes.set_xlabel(figure.x_title, fontsize=10)
    axes.set_ylabel("Answers at or below (%)", fontsize=10)
    if len(figure.curves) > 1:  # one alone is said in the notes
        axes.legend(fontsize=9, frameon=False, loc="lower right")
    return drawn


# ---- counts and heatmaps -------------------------------------------------------------------------


@draw.register
def _(figure: Bars) -> Figure:
    labels = [_label(label) for label in figure.labels]
    places = range(len(labels))
    room = (max(figure.counts, default=0) or 1) * 1.05
    if figure.upright:
        drawn = _figure(figure.title, figure.notes, 3.2)
        axes = drawn.subplots()
        _quiet(axes)
        axes.grid(False, axis="x")
        axes.bar(places, figure.counts, color=COLOURS[0])
        slanted = sum(map(len, labels)) > 80
        axes.set_xticks(
            places, labels, rotation=40 if slanted else 0, ha="right" if slanted else "center"
        )
        axes.set_xlabel(plain(figure.what), fontsize=10)
        axes.set_ylabel(figure.unit, fontsize=10)
        axes.set_ylim(0, room)
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        return drawn
    drawn = _figure(figure.title, figure.notes, max(_ROW_HEIGHT * len(labels), 0.4) + 0.6)
    axes = drawn.subplots()
    _quiet(axes)
    axes.grid(False, axis="y")
    axes.barh(places, figure.counts, color=COLOURS[0], height=0.7)
    for place, count in enumerate(figure.counts):
        axes.annotate(
            f"{count:,} ({count / figure.total:.1%})",
            (count, place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    axes.set_yticks(places, labels)
    axes.set_ylim(max(len(labels), 1) - 0.5, -0.5)
    axes.set_xlim(0, (max(figure.counts, default=0) or 1) * 1.18)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel(figure.unit, fontsize=10)
    return drawn


@draw.register
def _(figure: Matrix) -> Figure:
    lines, columns = figure.values.shape
    slanted = max([len(_label(label, _SLANTED)) for label in figure.x_labels], default=0)
    drawn = _figure(figure.title, figure.notes, max(0.36 * lines, 0.9) + 1.5 + 0.055 * slanted)
    axes = drawn.subplots()
    axes.tick_params(labelsize=9, color="#888888")
    axes.spines[:].set_visible(False)
    axes.set_ylabel(plain(figure.y_title), fontsize=10)
    if np.isnan(figure.values).all():
        axes.set_xticks([])
        _nothing(axes, "no values")
        return drawn
    edges = figure.edges if figure.axis is not None else np.arange(columns + 1) - 0.5
    least = 0.0 if figure.whole else None
    mesh = axes.pcolormesh(
        np.asarray(edges),
        np.arange(lines + 1) - 0.5,
        np.ma.masked_invalid(figure.values),
        cmap=matplotlib.colormaps["viridis"],
        vmin=least,
        # The image of a vector file has seams between cells otherwise.
        linewidth=0,
        rasterized=True,
    )
    axes.set_ylim(lines - 0.5, -0.5)
    axes.set_yticks(range(lines), [_label(label) for label in figure.y_labels])
    if figure.axis is not None:
        _time(axes, figure.axis)
    else:
        labels = [_label(label, _SLANTED) for label in figure.x_labels]
        axes.set_xticks(range(columns), labels, rotation=40, ha="right")
        axes.set_xlabel(plain(figure.x_title), fontsize=10)
        if figure.whole and lines * columns <= _MOST_WRITTEN:
            _write_cells(axes, figure)
    bar = drawn.colorbar(
        mesh, ax=axes, label=plain(figure.value_title), location="bottom", shrink=0.5, aspect=40
    )
    bar.ax.tick_params(labelsize=9)
    bar.formatter = FuncFormatter(_number)
    bar.outline.set_visible(False)
    if figure.whole:
        bar.locator = MaxNLocator(5, integer=True)
    bar.update_ticks()
    return drawn


def _write_cells(axes: Axes, figure: Matrix) -> None:
    most = float(np.nanmax(figure.values, initial=0.0))
    for (line, column), value in np.ndenumerate(figure.values):
        if not math.isnan(value):
            ink = "black" if value > most / 2 else "white"
            axes.text(column, line, f"{value:,.0f}", ha="center", va="center", color=ink, size=9)
