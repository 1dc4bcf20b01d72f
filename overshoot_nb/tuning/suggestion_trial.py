"""How prompts are tried out on labelled samples: which of them, and how often they are right."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from overshoot_nb.errors import StreamClosedError, ValidationError
from overshoot_nb.running.run import Run
from overshoot_nb.runtime.event_loop import get_runtime
from overshoot_nb.store.answer_cache import answer_cache
from overshoot_nb.store.budget import Account, Budget
from overshoot_nb.store.fields import field_value, is_answer, may_have
from overshoot_nb.store.labels import MISSING, Label, Labels
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.support.intervals import wilson_interval
from overshoot_nb.support.progress import TICK_SECONDS, ProgressBar
from overshoot_nb.types import StreamInferenceResult

from .comparison_asking import ComparisonWork
from .judges import FieldJudges, Judges
from .judging import DECIDED, Judgement, judge_each, overall
from .pictures import subject_of
from .statistics import PairedTest
from .suggestion_request import SOMETHING_ELSE, Example, Idea
from .suggestions import ScoredPrompt

logger = logging.getLogger("overshoot_nb")

#: The fewest samples to learn from, and to score on.
FEWEST = 3

#: Answers by sample.
Answers = Mapping[int, StreamInferenceResult]


@dataclass(frozen=True, slots=True)
class Judged:
    """A labelled sample, and the current prompt's answer about it.

    Attributes:
        example: the answer, and what is right.
        can_score: whether other prompts can be asked about it, and judged.
    """

    example: Example
    can_score: bool


@dataclass(frozen=True, slots=True)
class Split:
    """The labelled samples in two.

    Attributes:
        training: what the language model is shown.
        held_out: indices of the samples to score on, ascending.
    """

    training: list[Example]
    held_out: list[int]


def check_enough(labelled: int, of: str = "labelled samples") -> None:
    """Refuse to split too few.

    Raises:
        ValidationError: says how many more are needed.
    """
    needed = 2 * FEWEST
    if labelled < needed:
        raise ValidationError(
            f"suggest() needs at least {needed} {of} ({FEWEST} to learn from and {FEWEST} to "
            f"score on), and there are {labelled}: label {needed - labelled} more"
        )


def split(judged: Sequence[Judged], holdout: float, chance: random.Random) -> Split:
    """Split samples by chance, with the same share of wrong answers on both sides.

    Raises:
        ValidationError: there are too few, or there is no failure to learn from.
    """
    check_enough(len(judged), "labelled samples that were answered or still have their pictures")
    wrong = [j for j in judged if not j.example.right]
    right = [j for j in judged if j.example.right]
    if not wrong:
        raise ValidationError(
            f"the prompt is right about all {len(right)} labelled samples, so there is no failure "
            "to learn from: label samples that it is wrong about"
        )
    wanted = min(max(FEWEST, round(holdout * len(judged))), len(judged) - FEWEST)
    usable_wrong = _shuffled([j for j in wrong if j.can_score], chance)
    usable_right = _shuffled([j for j in right if j.can_score], chance)
    # One failure stays to be learned from.
    most_wrong = min(len(usable_wrong), len(wrong) - 1)
    taken_wrong = min(round(holdout * len(wrong)), most_wrong, wanted)
    taken_wrong = max(taken_wrong, min(wanted - len(usable_right), most_wrong))
    held = [*usable_wrong[:taken_wrong], *usable_right[: wanted - taken_wrong]]
    if len(held) < FEWEST:
        raise ValidationError(
            f"suggest() scores prompts on at least {FEWEST} samples whose right answer is known "
            f"and whose pictures are still there, and there are {len(held)} besides those to "
            f"learn from: label {FEWEST - len(held)} more recent ones"
        )
    held_out = {j.example.sample for j in held}
    training = [j.example for j in judged if j.example.sample not in held_out]
    return Split(training, sorted(held_out))


def _shuffled(judged: list[Judged], chance: random.Random) -> list[Judged]:
    chance.shuffle(judged)
    return judged


class Trial:
    """Asks prompts about the labelled samples of a run, of the run's own server, and judges them.

    Args:
        run: whose samples and labels; labels that change meanwhile change nothing here.
        current: the version to compare with.
        judge: when an answer is right.
        max_in_flight: requests under way at once.
        budget: what may be spent on answers about samples, of all prompts together; None for any.
        cache: whether answers that are known to the cache are taken from there.
        progress: whether to show a progress bar.

    Raises:
        ValidationError: there are too few labels, or nobody can be asked.
        StreamClosedError: the client of the run is closed.
    """

    def __init__(
        self,
        run: Run,
        current: PromptVersion,
        judge: Judges,
        max_in_flight: int,
        *,
        budget: Budget | None,
        cache: bool,
        progress: bool,
    ) -> None:
        if run.service.closed:
            raise StreamClosedError(
                "the client of this stream is closed, so its server cannot be asked about samples",
                "its client was closed",
            )
        FieldJudges(judge)  # refuses what is no judge before anything is asked
        self._run = run
        self._current = current
        self._judge = judge
        self._max_in_flight = max_in_flight
        self._account = Account(budget)
        self._progress = progress
        self._labels = Labels()
        self._labels.update(run.journal.labels)
        for sample in self._labels.samples:
            if sample >= len(run.journal.log):  # of another run, as labels from a file may be
                self._labels.remove(sample)
        check_enough(len(self._labels.samples))
        self._asker = run.service.asker(
            response_format=run.settings.response_format,
            cache=answer_cache() if cache else None,
        )
        self._subject = subject_of(
            run, samples=self._labels.samples, by_result=self._asker.by_result
        )
        self._answers: dict[int, StreamInferenceResult] = {}

    async def judged(self) -> list[Judged]:
        """The current prompt's answers; those that are not known yet are asked for.

        Raises:
            OvershootError: the server does not answer.
        """
        journal = self._run.journal
        for sample in self._labels.samples:
            answer = journal.answer(sample, self._current.version)
            if answer is not None and is_answer(answer):
                self._answers[sample] = answer
        asked_about = [index for index in self._subject.media_time if index not in self._answers]
        if asked_about:
            [answers] = await self._ask([self._current], asked_about, "current prompt")
            self._answers.update(answers)
        right = self._right([self._answers])[0]
        schema = self._current.output_schema
        asked = {field for field in self._labels.fields if may_have(schema, field)}
        can_ask = self._subject.media_time
        judged = []
        for sample, is_right in right.items():
            # What no answer of this prompt can say is nothing to learn from.
            labels = {
                field: label
                for field, label in self._labels.of(sample).items()
                if field in asked or field is None
            }
            example = _example(sample, labels, self._answers[sample], is_right)
            judged.append(Judged(example, sample in can_ask and _is_known(labels)))
        return judged

    async def scored(self, ideas: Sequence[Idea], held_out: Sequence[int]) -> list[ScoredPrompt]:
        """The current prompt, and behind it the ideas, best first, on the held-out samples.

        Raises:
            OvershootError: the server does not answer.
        """
        # Numbers of their own, which no version of the run can come to have.
        drafts = [
            replace(
                self._current,
                version=-number,
                text=idea.prompt,
                parent=self._current.version,
                note=idea.why,
            )
            for number, idea in enumerate(ideas, start=1)
        ]
        current = {sample: self._answers[sample] for sample in held_out}
        columns = [current, *await self._ask(drafts, held_out, "suggested prompts")]
        verdicts = self._right(columns)
        versions = [self._current, *(replace(draft, version=0) for draft in drafts)]
        tried = [
            _Tried(version, right, len(held_out) - sum(map(is_answer, answers.values())))
            for version, answers, right in zip(versions, columns, verdicts, strict=True)
        ]
        # By what is sure: one that was right about the only sample it answered is not the best.
        # Equally good ones as they were suggested, those without an answer last.
        best_first = sorted(tried[1:], key=lambda each: each.sure, reverse=True)
        return [
            tried[0].scored(None),
            *(
                each.scored(_paired(f"suggestions[{place}]", verdicts[0], each.verdicts))
                for place, each in enumerate(best_first)
            ),
        ]

    async def _ask(
        self, versions: Sequence[PromptVersion], samples: Sequence[int], label: str
    ) -> list[dict[int, StreamInferenceResult]]:
        """The answers of each version, by sample."""
        wanted = set(samples)
        times = self._subject.media_time
        chosen = {index: time for index, time in times.items() if index in wanted}
        subject = replace(self._subject, media_time=chosen, missing={})
        service = self._run.service
        work = ComparisonWork(subject, versions, 1, self._asker, lambda: service.closed)
        shown = label if self._progress else None
        await get_runtime().call(_with_bar(work, self._account, self._max_in_flight, shown))
        found: list[dict[int, StreamInferenceResult]] = [{} for _ in versions]
        place = {version.version: answers for version, answers in zip(versions, found, strict=True)}
        for (number, sample, _), given in work.answers.items():
            place[number][sample] = given.result
        return found

    def _right(self, columns: Sequence[Answers]) -> list[dict[int, bool]]:
        """Whether each column's answers are right in every labelled field, where that is known."""
        answers: dict[Hashable, Answers] = dict(enumerate(columns))
        verdicts: dict[Hashable, dict[int, bool]] = {column: {} for column in answers}
        schemas: dict[Hashable, Any] = dict.fromkeys(answers, self._current.output_schema)
        judged: dict[tuple[Hashable, int], list[Judgement]] = {}
        for each in judge_each(answers, self._labels, self._judge, schemas=schemas):
            judged.setdefault((each.column, each.sample), []).append(each)
        for (column, sample), fields in judged.items():
            if (outcome := overall(fields)) in DECIDED:
                verdicts[column][sample] = outcome == "right"
        return list(verdicts.values())


async def _with_bar(
    work: ComparisonWork, account: Account, max_in_flight: int, label: str | None
) -> None:
    """Ask, on the runtime's loop, and draw a bar of that name meanwhile."""
    bar = None if label is None else ProgressBar(label, work.total)

    async def draw(bar: ProgressBar) -> None:
        while True:
            bar.draw(len(work.answers), work.errors)
            await asyncio.sleep(TICK_SECONDS)

    drawing = None if bar is None else asyncio.create_task(draw(bar))
    try:
        for reason in await work.carry_out(account, max_in_flight, known=False):
            logger.warning("not every prompt was asked about every sample: %s", reason)
    finally:
        if bar is not None and drawing is not None:
            drawing.cancel()
            bar.draw(len(work.answers), work.errors)
            bar.close()


def _is_known(labels: Mapping[str | None, Label]) -> bool:
    """Whether any answer can be judged, and not only one that was found wrong."""
    return any(label.expected is not MISSING for label in labels.values())


def _example(
    sample: int, labels: Mapping[str | None, Label], result: StreamInferenceResult, right: bool
) -> Example:
    if None in labels or not result.ok:
        # Also what could not be used, and was wrong for that. Of a structured answer that is wrong
        # as a whole, the fields say what would be right, where that is known.
        answer = field_value(result, None) if result.ok else result.result or result.error
        return Example(sample, answer, _expected(labels), right)
    said = {field or "": field_value(result, field) for field in labels}
    return Example(sample, said, _expected(labels), right)


def _expected(labels: Mapping[str | None, Label]) -> Any:
    values = {
        field: SOMETHING_ELSE if label.expected is MISSING else label.expected
        for field, label in labels.items()
    }
    whole = values.pop(None, SOMETHING_ELSE)
    return values if values and whole == SOMETHING_ELSE else whole


class _Tried(NamedTuple):
    """A version, whether it was right by sample, and how many samples it did not answer."""

    version: PromptVersion
    verdicts: Mapping[int, bool]
    no_answer: int

    @property
    def right(self) -> int:
        return sum(self.verdicts.values())

    @property
    def sure(self) -> float:
        """The lower end of the accuracy's interval, which grows with it and with the answers."""
        return wilson_interval(self.right, len(self.verdicts))[0] if self.verdicts else -1.0

    def scored(self, test: PairedTest | None) -> ScoredPrompt:
        low, high = wilson_interval(self.right, len(self.verdicts))
        return ScoredPrompt(
            self.version,
            n=len(self.verdicts),
            right=self.right,
            low=low,
            high=high,
            no_answer=self.no_answer,
            test=test,
        )


def _paired(name: str, old: Mapping[int, bool], new: Mapping[int, bool]) -> PairedTest:
    """The test of two prompts on the samples that both were judged by."""
    pairs = [(old[sample], new[sample]) for sample in old if sample in new]
    counts = Counter(pairs)
    return PairedTest(
        "current",
        name,
        both_right=counts[True, True],
        only_old=counts[True, False],
        only_new=counts[False, True],
        both_wrong=counts[False, False],
    )
