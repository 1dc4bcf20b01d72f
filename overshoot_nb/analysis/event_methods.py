"""``EventMethods``: events, changes of a value, as methods of ``df.overshoot``."""

from __future__ import annotations

import pandas as pd


class EventMethods:
    """Part of :class:`~overshoot_nb.analysis.accessor.OvershootAccessor`."""

    _rows: pd.DataFrame

    def events(
        self,
        condition: str,
        *,
        min_duration: float = 0.0,
        gap: float = 0.0,
        enter: int = 1,
        leave: int = 1,
    ) -> pd.DataFrame:
        """When something was true: one row for each event.

        ``df.overshoot.events("out.people > 3", min_duration=1.0, gap=0.5, enter=2, leave=2)``.
        Conditions are described at :mod:`overshoot_nb.conditions.condition`. Of each run
        (``stream_id``), the rows that are ``ok`` are looked at in the order of their media time. A
        row of which the condition is not known to be true, for something that it asks about is
        missing, counts as false; one that is not ``ok`` says nothing and is skipped. An event
        begins at the first of ``enter`` true rows in a row and goes on until ``leave`` false rows
        in a row, at the first of which it ends: what was seen holds until something else was seen.
        Where the rows end first, it ends at the last one, and is ongoing. Then events that are at
        most ``gap`` apart become one, and then those shorter than ``min_duration`` are left out.

        Times of day are those of the rows, ``captured_at``: of what was seen, where the source has
        its own clock (``FileSource(start_time=)``), else of when the samples were taken. Rows
        without them give missing ones.

        ===========  ================  ============================================================
        column       dtype             value
        ===========  ================  ============================================================
        stream_id    as in the rows    the run
        start, end   timedelta64[us]   media time
        duration     timedelta64[us]   from start to end
        peak         float64           where the condition compares one number with a fixed one in
                                       one direction: its largest value in the event's true rows
                                       (the smallest for ``<`` and ``<=``); else missing
        n            int64             true rows in the event
        sample       as in the rows    the evidence: the first sample that has the peak, else the
                                       true row in the middle
        at           timedelta64[us]   media time of that sample
        ongoing      bool              whether the rows end before the event does
        start_at,    datetime64        UTC wall clock at ``start`` and ``end``
        end_at       [us, UTC]
        captured_at  datetime64        UTC wall clock at ``at``
                     [us, UTC]
        ===========  ================  ============================================================

        Args:
            condition: what must be true.
            min_duration: seconds; shorter events are left out.
            gap: seconds; events that are no further apart are one.
            enter: true rows in a row that it takes to begin one.
            leave: false rows in a row that it takes to end one.

        Raises:
            ValidationError: the condition cannot be understood, or not of these columns; or a
                parameter is out of its range, or a column is missing.
        """
        from .events import events

        return events(
            self._rows, condition, min_duration=min_duration, gap=gap, enter=enter, leave=leave
        )

    def changes(self, column: str, *, debounce: int = 1, min_hold: float = 0.0) -> pd.DataFrame:
        """When a value became another one: one row for each value that held.

        ``df.overshoot.changes("out.score", debounce=2)``. Of each run (``stream_id``), the rows
        that are ``ok`` are looked at in the order of their media time. A value holds from the
        first of ``debounce`` rows in a row that all have it, until another one does; the last one
        holds until the last row. Then values that held for less than ``min_hold`` are left out,
        and the one before goes on. Missing is a value like others; lists and objects are the same
        where all in them is.

        ==============  ================  =========================================================
        column          dtype             value
        ==============  ================  =========================================================
        stream_id       as in the rows    the run
        at              timedelta64[us]   media time of the first row that has the new value
        before, after   as the column's   the values; before the first one of a run: missing
        sample          as in the rows    the sample of that row
        held            timedelta64[us]   how long the new value held
        captured_at     datetime64        UTC wall clock at ``at``
                        [us, UTC]
        ==============  ================  =========================================================

        Args:
            column: a column's name, such as "out.score"; "score" means it too where no column has
                that name.
            debounce: rows in a row that must agree on a new value.
            min_hold: seconds; what held for less was no change.

        Raises:
            ValidationError: there is no such column, or a parameter is out of its range.
        """
        from .changes import changes

        return changes(self._rows, column, debounce=debounce, min_hold=min_hold)
