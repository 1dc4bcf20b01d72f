"""``Trigger``: when an alert fires, from one truth after the other."""

from __future__ import annotations


class Trigger:
    """Fires once when something was true for a while, and again only after it was false.

    Times are media time in microseconds. Media time of different runs has nothing to do with each
    other: each starts anew.

    Args:
        hold: so long it must have been true, without a false in between.
        cooldown: so long after it fired it does not fire again.
    """

    def __init__(self, hold: int, cooldown: int) -> None:
        self._hold = hold
        self._cooldown = cooldown
        self._run: str | None = None
        self._restart()

    def _restart(self) -> None:
        self._armed = True
        self._since: int | None = None  # true since then
        self._newest_true: int | None = None
        self._newest: int | None = None
        self._fired: int | None = None

    def fires(self, run: str, time: int, truth: bool) -> bool:
        """Whether it fires now that this is known.

        Answers may come in another order than their moments. One about a moment before others that
        are known already can end what was taken to hold, and begins nothing.

        Args:
            run: the run's ``stream_id``.
            time: the moment that the truth is about.
            truth: whether it is known to be true.
        """
        if run != self._run:
            self._run = run
            self._restart()
        late = self._newest is not None and time < self._newest
        if not late:
            self._newest = time
        if not truth:
            self._was_false(time)
            return False
        if late:
            return False
        self._newest_true = time
        if self._since is None:
            self._since = time
        if not self._armed or time - self._since < self._hold:
            return False
        if self._fired is not None and time - self._fired < self._cooldown:
            return False
        self._armed, self._fired = False, time
        return True

    def _was_false(self, time: int) -> None:
        if self._fired is None or time > self._fired:
            self._armed = True
        if self._since is not None and time >= self._since:
            newest = self._newest_true
            self._since = newest if newest is not None and newest > time else None
