"""``df.overshoot``: what can be asked of the rows of streams.

Importing this module gives every DataFrame the accessor. The package does so wherever it makes
one; for rows that come from elsewhere (``pandas.read_parquet``), ``import overshoot_nb.analysis``.
"""

from __future__ import annotations

import pandas as pd

from .event_methods import EventMethods
from .export_methods import ExportMethods
from .picture_methods import PictureMethods
from .table_methods import TableMethods
from .video_methods import VideoMethods


@pd.api.extensions.register_dataframe_accessor("overshoot")
class OvershootAccessor(PictureMethods, EventMethods, TableMethods, ExportMethods, VideoMethods):
    """Pictures, events, figures, plots and exports of the rows of one or more streams.

    Works on ``stream.df`` and on whatever was made of it: filtered, sorted, joined with other
    columns, of several streams one below the other, or loaded from a recording. It never changes
    the DataFrame. A method says which columns it needs where one is not there.
    """

    def __init__(self, rows: pd.DataFrame) -> None:
        self._rows = rows


def of(rows: pd.DataFrame) -> OvershootAccessor:
    """The accessor of ``rows``, with its type: ``of(df).events(...)``.

    Raises:
        AttributeError: ``rows`` is no DataFrame.
    """
    accessor: OvershootAccessor = rows.overshoot  # type: ignore[assignment]
    return accessor
