"""``df.overshoot.plot``: rows as figures that can go into a report as they are."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from overshoot_nb.errors import MissingDependencyError, ValidationError

if TYPE_CHECKING:
    from types import ModuleType

Backend = Literal["altair", "matplotlib"]


class Plots:
    """Figures of the rows of streams.

    Drawn with Altair where it is installed, else with Matplotlib, or with the one that ``backend``
    names. Altair's are an ``altair.Chart`` (or one of its kin), which shows values where it is
    pointed at; in notebooks they appear without a network, unless another renderer was enabled
    (``altair.renderers.enable``). nbconvert, GitHub and others that draw no charts show a picture
    of it where ``vl-convert-python`` is installed, else a line of text: install that, or give
    ``backend="matplotlib"``, where a notebook is to be read there. Matplotlib's are a
    ``matplotlib.figure.Figure``. Both can be changed and saved as any other:
    ``chart.save("figure.html")``, ``figure.savefig("figure.pdf")``.

    However many rows there are, a figure holds a few thousand values at most; where it shows less
    than there is, it says so.
    """

    def __init__(self, rows: pd.DataFrame) -> None:
        self._rows = rows

    def timeline(
        self,
        column: str | Sequence[str] | None = None,
        *,
        events: str | pd.DataFrame | None = None,
        backend: Backend | None = None,
    ) -> Any:
        """Answers over media time: numbers as lines, anything else as stretches of one value.

        Args:
            column: a column, or several, each in a panel of its own; None shows the first six
                fields of structured answers, else the answers' texts. ``people`` means
                ``out.people`` too.
            events: shaded behind: what ``events(...)`` returned, or its condition.
            backend: "altair" or "matplotlib".

        Returns:
            A chart or figure. Several runs have panels of their own, at most ten in all.

        Raises:
            ValidationError: a column is not there, or an argument is wrong.
            MissingDependencyError: neither library is installed, or not the one asked for.
        """
        draw = _drawing(backend)
        from .timeline import timeline

        return draw(timeline(self._rows, column, events))

    def latency(
        self,
        which: Literal["inference", "total"] = "inference",
        *,
        backend: Backend | None = None,
    ) -> Any:
        """Which share of answers took at most how long, by model and prompt version.

        The median and the 95th percentile are marked. Failed inferences do not count.

        Args:
            which: from request to answer ("inference"), or from capture to answer ("total").
            backend: "altair" or "matplotlib".

        Raises:
            ValidationError: a column is not there, or an argument is wrong.
            MissingDependencyError: neither library is installed, or not the one asked for.
        """
        draw = _drawing(backend)
        from .distributions import latency_curves

        return draw(latency_curves(self._rows, which))

    def counts(self, column: str, *, backend: Backend | None = None) -> Any:
        """How often each value was said; of lists, each item; of many numbers, each range.

        Args:
            column: a column; ``people`` means ``out.people`` too.
            backend: "altair" or "matplotlib".

        Raises:
            ValidationError: the column is not there.
            MissingDependencyError: neither library is installed, or not the one asked for.
        """
        draw = _drawing(backend)
        from .distributions import counts

        return draw(counts(self._rows, column))

    def heatmap(self, column: str, by: str | None = None, *, backend: Backend | None = None) -> Any:
        """A column as coloured cells.

        Without ``by``: how often each value was said, over media time. With it, a number's mean
        over media time for each value of ``by`` (such as ``"model"`` or ``"stream_id"``), and of
        anything else how often each value goes with each of ``by``: of a column and a backfill's
        (``heatmap("out.event", by="v2.out.event")``) the diagonal is where they agree.

        Args:
            column, by: columns; ``people`` means ``out.people`` too.
            backend: "altair" or "matplotlib".

        Raises:
            ValidationError: a column is not there.
            MissingDependencyError: neither library is installed, or not the one asked for.
        """
        draw = _drawing(backend)
        from .distributions import heatmap

        return draw(heatmap(self._rows, column, by))

    def __repr__(self) -> str:
        return "df.overshoot.plot: timeline(), latency(), counts(column), heatmap(column, by)"


def _drawing(backend: str | None) -> Callable[[Any], Any]:
    """Who draws."""
    if backend not in (None, "altair", "matplotlib"):
        raise ValidationError(
            f'backend={backend!r} is not valid: it must be "altair" or "matplotlib"'
        )
    installed = [name for name in ("altair", "matplotlib") if importlib.util.find_spec(name)]
    if backend is None and not installed:
        raise MissingDependencyError(
            'figures need Altair or Matplotlib: pip install altair (both: pip install "overshoot-nb'
            '[plot]")'
        )
    if backend is not None and backend not in installed:
        raise MissingDependencyError(f"backend={backend!r} needs it: pip install {backend}")
    module: ModuleType
    if (backend or installed[0]) == "altair":
        from . import altair_drawing as module
    else:
        from . import matplotlib_drawing as module
    draw: Callable[[Any], Any] = module.draw
    return draw
