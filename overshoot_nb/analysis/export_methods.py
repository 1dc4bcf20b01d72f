"""``ExportMethods``: rows as files, as methods of ``df.overshoot``."""

from __future__ import annotations

import pandas as pd

__all__ = ["ExportMethods"]


class ExportMethods:
    """Part of :class:`~overshoot_nb.analysis.accessor.OvershootAccessor`."""

    _rows: pd.DataFrame
