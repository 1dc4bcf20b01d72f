"""``TableMethods``: figures of rows, as tables and plots, as methods of ``df.overshoot``."""

from __future__ import annotations

import pandas as pd

__all__ = ["TableMethods"]


class TableMethods:
    """Part of :class:`~overshoot_nb.analysis.accessor.OvershootAccessor`."""

    _rows: pd.DataFrame
