"""``ResultTable``: results go in one by one, a pandas DataFrame comes out on demand."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from overshoot_nb.support.accessor_registration import register_accessor
from overshoot_nb.types import StreamInferenceResult

if TYPE_CHECKING:
    import pandas as pd

    from .table_layout import Layout


class ResultTable:
    """The results of a stream as a table that grows while it is read.

    ``append`` only remembers the result. ``df`` brings the columns up to date and hands out a
    DataFrame that is the caller's own: results that come later never change it, and an edit of it
    is seen in no other. Any thread may append while others read.

    The columns, in this order; the dtypes are the same for every table of the same schema,
    whatever the rows hold and also when there are none:

    ======================  ====================  ================================================
    column                  dtype                 value
    ======================  ====================  ================================================
    sample                  int64                 index of the sample
    media_time              timedelta64[us]       time in the video, since the first frame
    captured_at             datetime64[us, UTC]   wall clock of what is seen: when the sample was
                                                  taken, or as the source's own clock says
    answered_at             datetime64[us, UTC]   when its answer was there
    ok                      bool                  False where the inference failed
    result                  str                   the answer's text; JSON text with a schema
    out.*                   from the schema       the structured answer, see below
    error                   str                   what went wrong, else missing
    reasoning               str                   what the model thought before its answer, where
                                                  the server shows it
    mode                    category              frame or clip
    model                   category              the model that answered
    prompt                  category              what was asked
    prompt_version          int64                 1 for the stream's first prompt
    finish_reason           category              stop, length or content_filter
    inference_latency_ms    float64               milliseconds from request to answer
    total_latency_ms        float64               milliseconds from capture to answer
    prompt_tokens           Int64                 tokens, missing where the server did not say
    completion_tokens       Int64                 likewise
    total_tokens            Int64                 likewise
    cost_cents              float64               US cents, missing where the server did not say
    copied_from             Int64                 the sample with the same picture that was asked
                                                  about, whose answer this is; else missing
    stream_id               category              the stream
    id                      str                   the result's own id
    ======================  ====================  ================================================

    ``str`` is pandas 3's Arrow-backed string dtype, ``string[pyarrow]`` on pandas 2. Times are in
    microseconds on both. The categories of a ``category`` are strings and may grow.

    With an ``output_schema``, each property of the answer is a column ``out.<name>``, of nested
    objects ``out.<name>.<name>``; an answer that is no object is the one column ``out``:

    ========================  =====================================================================
    in the schema             dtype
    ========================  =====================================================================
    string                    str
    string, enum or const     category, those of the schema first
    string, date-time         datetime64[us, UTC]; a time without an offset counts as UTC
    integer                   Int64; object of ints where the schema's own limits exceed 64 bits
    number                    float64: JSON has no NaN, so NaN can only mean missing
    boolean                   boolean
    array                     object: lists
    anything else             object: the value as parsed
    ========================  =====================================================================

    A value that its column cannot hold (not as the schema promised, a date-time that is none, an
    integer beyond 64 bits) is missing there and stays readable in ``result``. Lists and dicts in
    cells are those of the result itself: assign a cell rather than change what it holds.

    Args:
        output_schema: JSON schema of the answers, or None when they are free text.
    """

    def __init__(self, output_schema: Mapping[str, Any] | None = None) -> None:
        self._schemas = [] if output_schema is None else [output_schema]
        self._results: list[StreamInferenceResult] = []
        self._lock = threading.Lock()  # guards what follows; a list's append needs none
        self._layout: Layout | None = None
        self._laid_out = 0  # how many schemas the layout is for
        self._filled = 0
        self._frame: pd.DataFrame | None = None

    def add_schema(self, output_schema: Mapping[str, Any]) -> None:
        """Answers from now on may fit another schema: the table has the columns of all of them.

        A property on which schemas disagree has the narrowest dtype that holds both.
        """
        # No lock: it is held while a large table is built, and this must not wait for that.
        if output_schema not in self._schemas:
            self._schemas = [*self._schemas, output_schema]

    @property
    def schemas(self) -> list[Mapping[str, Any]]:
        """The schemas that answers fit, oldest first: their properties are the columns."""
        return list(self._schemas)

    def append(self, result: StreamInferenceResult) -> None:
        """Add a result as the last row. O(1), from any thread."""
        self._results.append(result)

    def extend(self, results: Iterable[StreamInferenceResult]) -> None:
        """Add results as the last rows."""
        self._results.extend(results)

    def __len__(self) -> int:
        return len(self._results)

    def __getitem__(self, row: int) -> StreamInferenceResult:
        """The result in a row; -1 is the newest."""
        return self._results[row]

    def __iter__(self) -> Iterator[StreamInferenceResult]:
        return iter(self.results_since(0))

    def results_since(self, row: int) -> list[StreamInferenceResult]:
        """The results from a row (>= 0) on, oldest first; those since a ``len(table)`` taken."""
        return self._results[max(row, 0) :]

    @property
    def df(self) -> pd.DataFrame:
        """All rows so far as a DataFrame of the caller's own.

        The cost is in the rows that came since it was last asked for, plus a plain copy of the
        numbers; without new rows nothing is built.
        """
        frame = self._snapshot()
        register_accessor()  # pandas is imported by now
        return frame

    def _snapshot(self) -> pd.DataFrame:
        with self._lock:
            if self._laid_out != len(self._schemas):
                self._layout, self._filled, self._frame = None, 0, None
            if self._frame is None or self._filled != len(self._results):
                self._frame = self._fill()
            return _own(self._frame)

    def __repr__(self) -> str:
        return f"ResultTable({len(self)} rows)"

    def _fill(self) -> pd.DataFrame:
        """Bring the columns up to date and make a frame of them."""
        from .table_layout import Layout  # pandas is slow to import, so not before it is needed

        layout, filled = self._layout, self._filled
        # Until all columns have the new rows, the table has none: an interrupt (Ctrl-C in a cell)
        # halfway leaves columns of different lengths, and the next call starts over.
        self._layout, self._filled, self._frame = None, 0, None
        if layout is None:
            schemas = self._schemas
            layout, filled, self._laid_out = Layout(*schemas), 0, len(schemas)
        rows = self._results[filled:]
        layout.extend(rows)
        frame = layout.frame()
        self._layout, self._filled = layout, filled + len(rows)
        return frame


def _own(frame: pd.DataFrame) -> pd.DataFrame:
    """A copy whose edits do not reach ``frame``."""
    from .columns import PANDAS_3

    # pandas 3 copies a column when it is first written to; pandas 2 writes through.
    return frame.copy(deep=not PANDAS_3)
