"""``EventMethods``: events, changes of a value, as methods of ``df.overshoot``."""

from __future__ import annotations

import pandas as pd

__all__ = ["EventMethods"]


class EventMethods:
    """Part of :class:`~overshoot_nb.analysis.accessor.OvershootAccessor`."""

    _rows: pd.DataFrame
