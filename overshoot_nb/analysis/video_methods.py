"""``VideoMethods``: subtitles and annotated videos, as methods of ``df.overshoot``."""

from __future__ import annotations

import pandas as pd

__all__ = ["VideoMethods"]


class VideoMethods:
    """Part of :class:`~overshoot_nb.analysis.accessor.OvershootAccessor`."""

    _rows: pd.DataFrame
