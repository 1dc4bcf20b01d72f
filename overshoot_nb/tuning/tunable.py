"""``Tunable``: the methods of a stream that judge its prompts on what it has seen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from overshoot_nb import config
from overshoot_nb.store.labels import MISSING, Labels
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.support.parameters import named_parameters

if TYPE_CHECKING:
    import pandas as pd

    from overshoot_nb.running.run import Run
    from overshoot_nb.running.service import Client
    from overshoot_nb.store.budget import Budget

    from .backfill import Backfill
    from .judges import Judges
    from .score import Score
    from .statistics import PairedTest


class Tunable:
    """Labels, scores, and other prompts on the same samples. ``_run`` is whose."""

    _run: Run

    # ---- other prompts, the same samples ----

    @named_parameters
    def backfill(
        self,
        prompt: str | PromptVersion | None = None,
        *,
        last: float | None = None,
        samples: Iterable[int] | None = None,
        column: str | None = None,
        model: str | None = None,
        output_schema: Any = MISSING,
        max_output_tokens: Any = MISSING,
        temperature: Any = MISSING,
        system: Any = MISSING,
        extra_body: Any = MISSING,
        max_in_flight: int | None = None,
        budget: Budget | None = None,
        cache: bool = True,
        progress: bool = True,
        note: str = "",
        client: Client | None = None,
    ) -> Backfill:
        """Ask something else about samples that were taken, while the stream goes on.

        ``await stream.backfill("Read the clock", last=60, column="v2")`` adds the answers to
        ``stream.df``, row by row on the same sample: ``v2`` (the answer's text), ``v2.ok``,
        ``v2.error``, ``v2.reasoning`` where a model shows any, and with a schema
        ``v2.out.<name>``. What it asks is a version in :attr:`prompts` (and none in force). It
        starts at once; awaiting it (or ``.result()``) waits for the end and raises what made it
        fail, and a cancelled await (an interrupted cell) cancels it. What was answered is kept, and
        :meth:`Backfill.resume` asks about the rest. What the version was answered before, by this
        stream or as the cache knows it, is not asked for again. Pictures that left :attr:`frames`
        are listed in :attr:`Backfill.missing`.

        Args:
            prompt: what to ask, or a version. None asks the prompt in force, of another model.
            last: only samples with a row of the last so many seconds of the video, since the last
                restart. Default: all that have a row.
            samples: sample indices, in place of ``last``; also such as have no row.
            column: name of the column; one that shows another version shows this one instead.
                Default: that which shows the version already, else "v<number of the version>"
                ("v2 (2)" where that name shows another).
            model, output_schema, max_output_tokens, temperature, system, extra_body: what to ask
                otherwise than the version in force does, as in ``client.streams.create``.
            max_in_flight: requests under way at once, 1 to 256. Default 4; of the embedded engine
                1, which answers one at a time and the stream's own samples first.
            budget: when to stop asking. Default: never.
            cache: take the answers of identical requests from the cache, and keep them there.
            progress: show a progress bar (tqdm).
            note: kept with the version, if it is new.
            client: whose server to ask. Default: the stream's own.

        Raises:
            ValidationError: a parameter cannot be used, or no sample is meant.
            LookupError: there is no sample of an index.
            StreamClosedError: the client that would be asked is closed.
        """
        from .backfill import start_backfill

        changes = {
            name: value
            for name, value in (
                ("model", MISSING if model is None else model),
                ("output_schema", output_schema),
                ("max_output_tokens", max_output_tokens),
                ("temperature", temperature),
                ("system", system),
                ("extra_body", extra_body),
            )
            if value is not MISSING
        }
        return start_backfill(
            self._run,
            prompt,
            changes,
            last=last,
            samples=samples,
            column=column,
            max_in_flight=max_in_flight,
            budget=budget,
            cache=cache,
            progress=progress,
            note=note,
            client=client,
        )

    @property
    def backfills(self) -> list[Backfill]:
        """Every :meth:`backfill` so far, oldest first."""
        from .backfill import Backfill

        return self._run.journal.followed_by(Backfill)

    # ---- what the answers should be ----

    @property
    def labels(self) -> Labels:
        """What the answers should be, by sample and field."""
        return self._run.journal.labels

    def label(
        self,
        sample: int,
        expected: Any = MISSING,
        *,
        field: str | None = None,
        right: bool | None = None,
        version: int | None = None,
    ) -> None:
        """Say what the answer about a sample should be, or whether an answer is right.

        ``stream.label(12, "HAWKS 84")``, ``stream.label(12, {"people": 3})`` or
        ``stream.label(12, 3, field="people")`` for one field of a structured answer;
        ``stream.label(12, right=True)`` for the answer that was given. What was found wrong
        judges the answers that say the same, and no others.

        Args:
            sample: index of the sample.
            expected: the answer that is right; of a structured one a dict of (some of) its
                fields. None is a value like others: null.
            field: one field of a structured answer, nested ones with dots ("home.score").
            right: in place of ``expected``: whether the answer of ``version`` is right.
            version: whose answer ``right`` is about. Default: the answer of the sample's row.

        Raises:
            ValidationError: both or neither of ``expected`` and ``right``; or there is no answer,
                or no such field of it, that could be right.
            LookupError: there is no sample of this index.
        """
        from .labelling import label_answer

        label_answer(self._run, sample, expected, field=field, right=right, version=version)

    # ---- how good the versions are ----

    def score(
        self,
        judge: Judges = None,
        *,
        versions: Iterable[int] | None = None,
        confidence: float = config.CONFIDENCE,
    ) -> Score:
        """How often each prompt version is right about the labelled samples.

        Args:
            judge: when an answer counts as right: a judge of ``judges``, its name
                ("exact", "contains", "regex", "number_within", "set_overlap"), a function
                ``judge(answer, expected) -> bool``, or a dict of these by field. Default "exact".
            versions: numbers of the versions. Default: all that answered about a labelled sample.
            confidence: of the intervals, 0..1.

        Raises:
            ValidationError: a parameter cannot be used, nothing was labelled, or a judge failed.
        """
        from .scoring import score

        return score(self._run, judge, versions=versions, confidence=confidence)

    def flips(
        self, old: int, new: int, *, judge: Judges = None, field: str | None = None
    ) -> pd.DataFrame:
        """The labelled samples about which one version is right and the other is not.

        One row for each field that flipped: sample, media_time, field, expected, the two answers
        (columns ``v<old>`` and ``v<new>``) and change, "better" or "worse".

        Raises:
            LookupError: there is no version of that number.
            ValidationError: nothing was labelled, or a judge failed.
        """
        from .scoring import flips

        return flips(self._run, old, new, judge=judge, field=field)

    def paired_test(
        self,
        old: int,
        new: int,
        *,
        judge: Judges = None,
        field: str | None = None,
        confidence: float = config.CONFIDENCE,
    ) -> PairedTest:
        """Whether the difference of two versions means anything yet (McNemar's exact test).

        A sample counts as right where all its labelled fields are, or ``field`` is. The test takes
        the samples as independent of each other, and such as show the same moment are not: label
        moments that are apart, or the p-value comes out too small.

        Raises:
            LookupError: there is no version of that number.
            ValidationError: nothing was labelled, or a judge failed.
        """
        from .scoring import paired_test

        return paired_test(self._run, old, new, judge=judge, field=field, confidence=confidence)

    def stability(self, *, versions: Iterable[int] | None = None, window: int = 2) -> pd.DataFrame:
        """How much the answers flicker from sample to sample, by version and field.

        Needs no labels. Columns are described at :func:`overshoot_nb.tuning.stability.stability`.

        Args:
            versions: numbers of the versions. Default: all that answered.
            window: neighbours on each side whose agreement counts.

        Raises:
            ValidationError: a parameter cannot be used.
        """
        from .stability import stability

        return stability(self._run, versions=versions, window=window)
