"""``PictureMethods``: pictures and clips of rows, as methods of ``df.overshoot``."""

from __future__ import annotations

import pandas as pd

__all__ = ["PictureMethods"]


class PictureMethods:
    """Part of :class:`~overshoot_nb.analysis.accessor.OvershootAccessor`."""

    _rows: pd.DataFrame
