"""Altair charts that appear in a notebook without a network."""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Any

import altair as alt

#: What JupyterLab 4, Notebook 7 and VS Code draw themselves. Altair's own default is a page that
#: loads the libraries from a server.
_MIME = "application/vnd.vegalite.v5+json"
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
#: Pixels of the picture for each of the chart's.
_SCALE = 1.5


class _Offline:
    """How a chart shows itself where no renderer was chosen."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        if alt.renderers.active != "default":
            return super()._repr_mimebundle_(include, exclude)  # type: ignore[misc]
        spec = self.to_dict()  # type: ignore[attr-defined]
        # The same in both versions, as far as these charts go; the front end has version 5.
        spec["$schema"] = _SCHEMA
        bundle: dict[str, Any] = {_MIME: spec, "text/plain": repr(self)}
        metadata: dict[str, Any] = {}
        if picture := _png(spec):
            # For whoever draws no charts: nbconvert, GitHub, an editor.
            bundle["image/png"] = picture
        return bundle, metadata

    def __repr__(self) -> str:
        return f"<{type(self).__mro__[2].__name__} of df.overshoot.plot>"


def _png(spec: dict[str, Any]) -> bytes | None:
    """The chart as a picture, where vl-convert is installed."""
    if importlib.util.find_spec("vl_convert") is None:
        return None
    import vl_convert

    try:
        picture: bytes = vl_convert.vegalite_to_png(spec, scale=_SCALE)
    except ValueError:  # the chart itself is there all the same
        return None
    return picture


@cache
def _class(kind: type) -> type:
    return type(kind.__name__, (_Offline, kind), {"__doc__": kind.__doc__})


def offline(chart: Any) -> Any:
    """The same chart, which needs no network to be seen; so do copies of it."""
    kind: Any = type(chart)
    # A chart takes its attributes for those of the figure.
    object.__setattr__(chart, "__class__", _class(kind))
    return chart
