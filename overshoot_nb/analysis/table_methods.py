"""``TableMethods``: figures of rows, as tables and plots, as methods of ``df.overshoot``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import pandas as pd

from overshoot_nb import config

from .runs import BY

if TYPE_CHECKING:
    from .costs import Prices
    from .plotting import Plots
    from .resampling import How


class TableMethods:
    """Part of :class:`~overshoot_nb.analysis.accessor.OvershootAccessor`."""

    _rows: pd.DataFrame

    def resample(
        self, by: str | float | timedelta = "1s", how: str | Mapping[str, How] | None = None
    ) -> pd.DataFrame:
        """What was answered in each stretch of media time, run by run.

        Stretch k holds the rows of ``k * by <= media_time < (k + 1) * by``, from the first
        stretch of a run that has a row to its last; those between without rows are there too,
        with ``n`` 0 and everything else missing. Rows without a media time are left out. What
        failed inferences would say of ``out.*`` and ``result`` does not count.

        Args:
            by: length of a stretch: seconds, a timedelta, or text such as "500ms", "1s", "2min".
            how: None takes of numbers the mean, of truth values the share of true ones (0..1), of
                anything else the last value; of ``sample`` and ``captured_at`` the first; of
                tokens and ``cost_cents`` the sum. A name takes that instead where it fits. A dict
                of columns takes those alone, each by a name or a function of a Series (called with
                the known values of each stretch that has some). Names: first, last, count and
                nunique of anything; mean, median, min, max, sum, std, any, all and percentiles
                ("p95") of numbers and truth values.

        Returns:
            One row for each stretch, run below run. Index ``media_time`` (timedelta64[us]), the
            stretch's begin; columns ``stream_id`` where the rows have it, ``n`` (rows),
            ``errors`` (those with ``ok`` False) where they have ``ok``, then the others in the
            order of the rows; own columns named ``n`` or ``errors`` are left out.

        Raises:
            ValidationError: ``by`` or ``how`` is wrong, or ``media_time`` is not there.
        """
        from .resampling import resample

        return resample(self._rows, by, how)

    def latency(
        self,
        by: str | Sequence[str] = BY,
        percentiles: Sequence[float] = (50, 90, 95, 99),
    ) -> pd.DataFrame:
        """How long answers took, in milliseconds.

        Args:
            by: the columns to tell apart by; ``()`` takes all rows together. Default: model and
                prompt version, and of ``compare(...).df``, which has none, model and prompt.
            percentiles: which, 0..100; interpolated linearly.

        Returns:
            One row for each combination of ``by``, in their order: those columns, ``n`` (rows),
            ``ok`` (those that were answered, of which the figures are), then for both latencies
            ``inference_mean_ms``, ``inference_p50_ms``, ..., ``inference_max_ms`` and
            ``total_mean_ms`` and so on (float64, NaN of none), which a comparison's have not.

        Raises:
            ValidationError: an argument is wrong, or a column is not there.
        """
        from .latency import latency

        return latency(self._rows, by, percentiles)

    def tokens(self, by: str | Sequence[str] = BY) -> pd.DataFrame:
        """How many tokens answers took, failed ones too.

        Args:
            by: the columns to tell apart by; ``()`` takes all rows together. Default: model and
                prompt version, and of ``compare(...).df``, which has none, model and prompt.

        Returns:
            One row for each combination of ``by``: those columns, ``n`` (rows), ``known`` (those
            of which the server said it), ``prompt_tokens``, ``completion_tokens`` and
            ``total_tokens`` (sums, Int64, missing where none is known) and ``tokens_per_answer``
            (mean of ``total_tokens``).

        Raises:
            ValidationError: ``by`` is wrong, or a column is not there.
        """
        from .costs import tokens

        return tokens(self._rows, by)

    def cost(self, prices: Prices | None = None, by: str | Sequence[str] = BY) -> pd.DataFrame:
        """What answers cost in US cents, failed ones too; of a comparison cached ones, too.

        What a v0.2 server charges for the time of a stream is in no row: ``stream.stats`` has it.

        Args:
            prices: ``{"model": (10, 40)}``: US cents for a million prompt tokens and a million
                completion tokens; rows of these models are priced by their tokens. Those of
                others, and all with None, by ``cost_cents``, which is what the server said.
            by: the columns to tell apart by; ``()`` takes all rows together. Default: model and
                prompt version, and of ``compare(...).df``, which has none, model and prompt.

        Returns:
            One row for each combination of ``by``: those columns, ``n`` (rows), ``priced`` (those
            of which the price is known), ``cents`` (their sum, NaN of none) and
            ``cents_per_answer``.

        Raises:
            ValidationError: an argument is wrong, no row is of a model of ``prices``, or a column
                is not there.
        """
        from .costs import cost

        return cost(self._rows, prices, by)

    def drops(self) -> pd.DataFrame:
        """The samples that were never answered, by reason, of the whole streams of these rows.

        A drop has no row, so the streams are asked, however few of their rows these are.

        Returns:
            One row for each stream and reason, the most frequent first: ``stream_id``,
            ``reason``, ``count``, ``share`` (of all samples of the stream, 0..1), ``first`` and
            ``last`` (media time, timedelta64[us]). No rows where nothing was dropped.

        Raises:
            SampleNotKeptError: a stream is gone; the message says how to keep it.
            ValidationError: ``stream_id`` is not there.
        """
        from .drops import drops

        return drops(self._rows)

    def agreement(
        self,
        other: str | pd.DataFrame,
        *,
        column: str | None = None,
        within: float = 0.0,
        tolerance: float = 0.1,
        confidence: float = config.CONFIDENCE,
    ) -> pd.DataFrame:
        """How often two who answered say the same, field by field.

        ``df.overshoot.agreement("v2")`` compares the answers with those of a backfill,
        ``agreement("v2.out.people")`` in one field, ``agreement("seen", column="out.people")``
        any two columns. Another DataFrame is aligned by sample where both are about the same run,
        else by the nearest media time, each row at most once: another model's rows of the same
        video, or a table of what is true (with ``people`` for ``out.people``).

        Only rows that both answered count. Null is an answer too, except where the other side is
        without ``ok``: there it is a gap. Text is the same without the whitespace around it and
        in any Unicode form, 3 is 3.0, and the order of lists matters.

        Args:
            other: a column of these rows, or other rows.
            column: the column of these rows to compare; None finds all fields that both have.
            within: numbers agree that are so far apart.
            tolerance: seconds of media time that rows of different runs may be apart.
            confidence: of the interval, 0 < x < 1.

        Returns:
            One row for each field: ``field``, ``n``, ``agree``, ``share``, ``low`` and ``high``
            (Wilson's interval, samples taken as independent), ``kappa`` (Cohen's, NaN with more
            than 20 different values, of fractions and lists, and where ``within`` counts),
            ``mean_abs_diff`` (of numbers, else NaN) and ``differ``: the samples on which they
            do not agree; (stream_id, sample) where these rows are of several runs.

        Raises:
            ValidationError: an argument is wrong, or there is nothing to compare.
        """
        from .agreement import agreement

        return agreement(self._rows, other, column, within, tolerance, confidence)

    def explode(self, column: str, *, keep_empty: bool = False) -> pd.DataFrame:
        """The items of lists as rows of their own, the keys of objects as columns.

        Args:
            column: a column of lists or objects, such as "out.objects"; an object is a list of
                one. Arrays, and the JSON text that a recording's file has, are understood.
            keep_empty: also a row for each cell without items: an empty list, or missing.

        Returns:
            One row for each item, in order, with the index of the row that it came from (as
            ``DataFrame.explode`` has it) and its ``stream_id``, ``sample`` and ``media_time``
            where there. ``item`` is the place in the list (Int64). The keys of objects are columns
            ``out.objects.<key>``, of nested objects ``out.objects.<key>.<key>``; items that are
            no objects are in ``out.objects``. The dtypes are those of a table's ``out.*`` columns.

        Raises:
            ValidationError: the column is not there, or a cell holds neither list nor object.
        """
        from .exploding import explode

        return explode(self._rows, column, keep_empty)

    @property
    def plot(self) -> Plots:
        """Figures: ``df.overshoot.plot.timeline("out.people")``; see :class:`Plots`."""
        from .plotting import Plots

        return Plots(self._rows)
