"""``TuningChoice``: what the Tune tab looks at; in Python, for every page and for cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from overshoot_nb.errors import ValidationError
from overshoot_nb.support.validation import check_whole

if TYPE_CHECKING:
    from overshoot_nb.running.run import Run
    from overshoot_nb.tuning.judges import Judges

#: The filters of the grid.
ONLY = ("different", "unlabelled", "flipped")


class TuningChoice:
    """Which versions, field and samples the Tune tab shows; ``stream.widget.tuning``.

    Every property can be set, from any thread: all pages follow. What a page chooses is here too,
    so ``stream.backfill(prompt, samples=stream.widget.tuning.samples)`` asks about the stretch
    that was dragged over on the timeline.

    Args:
        run: whose versions and samples.
        changed: called after each change.
    """

    def __init__(self, run: Run, changed: Callable[[], object]) -> None:
        self._run = run
        self._changed = changed
        self._version: int | None = None
        self._baseline: int | None = None
        self._field: str | None = None
        self._samples: range | None = None
        self._only: tuple[str, ...] = ()
        self._judge: Judges = None
        #: Grows with every change.
        self.changes = 0
        #: Grows with every judge: two may look the same, and even be in the same place of memory.
        self.judges = 0

    @property
    def version(self) -> int | None:
        """Number of the version whose answers are judged by keys.

        None: that of the newest backfill, or else the one in force.

        Raises:
            LookupError: on setting, there is no such version.
        """
        return self._version

    @version.setter
    def version(self, number: int | None) -> None:
        self._version = self._known(number)
        self._touch()

    @property
    def baseline(self) -> int | None:
        """Number of the version that it is compared with. None: the one in force, or its parent.

        Raises:
            LookupError: on setting, there is no such version.
        """
        return self._baseline

    @baseline.setter
    def baseline(self, number: int | None) -> None:
        self._baseline = self._known(number)
        self._touch()

    @property
    def field(self) -> str | None:
        """The one field of structured answers that is shown and judged; None: all."""
        return self._field

    @field.setter
    def field(self, name: str | None) -> None:
        if name is not None and not isinstance(name, str):
            raise ValidationError(f"field={name!r} is not valid: it must be a name, or None")
        self._field = name
        self._touch()

    @property
    def samples(self) -> range | None:
        """The stretch of samples that is shown and tried; None: all.

        Raises:
            ValidationError: on setting, it is no stretch of samples that were taken.
        """
        return self._samples

    @samples.setter
    def samples(self, stretch: range | None) -> None:
        if stretch is not None:
            if not isinstance(stretch, range) or stretch.step != 1 or not stretch:
                raise ValidationError(
                    f"samples={stretch!r} is not valid: give a stretch of indices, range(10, 20)"
                )
            newest = len(self._run.journal.log) - 1
            check_whole("first sample", stretch[0], 0, max(newest, 0))
            check_whole("last sample", stretch[-1], 0, max(newest, 0))
        self._samples = stretch
        self._touch()

    @property
    def only(self) -> tuple[str, ...]:
        """Filters of the grid: some of "different", "unlabelled" and "flipped".

        Raises:
            ValidationError: on setting, there is no such filter.
        """
        return self._only

    @only.setter
    def only(self, filters: Iterable[str]) -> None:
        wanted = (filters,) if isinstance(filters, str) else tuple(filters)
        if unknown := set(wanted) - set(ONLY):
            raise ValidationError(
                f"only={sorted(map(str, unknown))} is not valid: there are {', '.join(ONLY)}"
            )
        self._only = tuple(name for name in ONLY if name in wanted)
        self._touch()

    @property
    def judge(self) -> Judges:
        """When an answer counts as right, as in ``stream.score(judge)``; None: "exact"."""
        return self._judge

    @judge.setter
    def judge(self, judge: Judges) -> None:
        self._judge = judge
        self.judges += 1
        self._touch()

    def follow_newest(self) -> None:
        """Look at the newest backfill, beside what is in force."""
        self._version = self._baseline = None
        self._touch()

    def __repr__(self) -> str:
        shown: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("version", "baseline", "field", "samples", "only", "judge")
        }
        return f"TuningChoice({', '.join(f'{n}={v!r}' for n, v in shown.items())})"

    def _known(self, number: int | None) -> int | None:
        return None if number is None else self._run.prompts[number].version

    def _touch(self) -> None:
        self.changes += 1
        self._changed()
