"""``Suggestions``: prompts that a language model wrote, and how good they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from overshoot_nb.store.prompt_diff import PromptDiff
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.support.html import escaped, fragment

from .statistics import PairedTest

if TYPE_CHECKING:
    import pandas as pd

_PROMPT_CUT = 300


@dataclass(frozen=True, slots=True)
class ScoredPrompt:
    """A prompt, and how often it was right about the held-out samples.

    Attributes:
        version: all that is asked. A suggestion is none of the stream's own versions yet, so its
            number is 0:
            ``await stream.update_prompt(suggestion.version)`` makes it one, and asks it.
        n: held-out samples that it was judged by.
        right: how many of them it was right about, in every labelled field.
        low, high: Wilson interval of the accuracy, 95 %, 0..1.
        no_answer: held-out samples about which no answer came; not part of ``n``.
        test: the difference to the current prompt on the samples that both answered, or None for
            the current prompt itself.
    """

    version: PromptVersion
    n: int
    right: int
    low: float
    high: float
    no_answer: int
    test: PairedTest | None

    @property
    def prompt(self) -> str:
        """The prompt: ``await stream.update_prompt(suggestion.prompt)`` applies it."""
        return self.version.text

    @property
    def why(self) -> str:
        """What its writer says for it: the version's note."""
        return self.version.note

    @property
    def accuracy(self) -> float:
        """Share of the judged samples that it was right about, 0..1; NaN where there is none."""
        return self.right / self.n if self.n else float("nan")

    @property
    def difference(self) -> float | None:
        """Its accuracy less that of the current prompt, on the same samples."""
        return self.test.difference if self.test is not None else None

    @property
    def p_value(self) -> float | None:
        """How likely such a difference is where there is none (McNemar's exact test)."""
        return self.test.p_value if self.test is not None else None


class Suggestions(Sequence[ScoredPrompt]):
    """Suggested prompts, the best first; made by ``stream.prompts.suggest(...)``.

    ``suggestions[0].prompt`` is the best one, ``suggestions.df`` has the figures of all.
    First is whose accuracy is surely the highest: that with the highest lower end of the interval,
    so that answers about few samples do not count as much as answers about all.
    None of them is asked by the stream until somebody applies it. The best of several looks
    better than it is: that it won is partly luck, which the p-values do not count.

    Attributes:
        baseline: the current prompt, on the same samples.
        model: the language model that wrote them.
        asked: how many it was asked for.
        training: indices of the samples that it was shown the answers of.
        held_out: indices of those that the prompts were scored on.
    """

    def __init__(
        self,
        suggested: Sequence[ScoredPrompt],
        baseline: ScoredPrompt,
        *,
        model: str,
        asked: int,
        training: Sequence[int],
        held_out: Sequence[int],
    ) -> None:
        self._suggested = list(suggested)
        self.baseline = baseline
        self.model = model
        self.asked = asked
        self.training = tuple(training)
        self.held_out = tuple(held_out)

    @overload
    def __getitem__(self, index: int) -> ScoredPrompt: ...
    @overload
    def __getitem__(self, index: slice) -> list[ScoredPrompt]: ...
    def __getitem__(self, index: int | slice) -> ScoredPrompt | list[ScoredPrompt]:
        return self._suggested[index]

    def __len__(self) -> int:
        return len(self._suggested)

    @property
    def df(self) -> pd.DataFrame:
        """One row for the current prompt, index "current", and for each suggestion: 0, 1, ...

        Columns: prompt, why, n, right, accuracy, low, high, no_answer; difference to the current
        prompt and p_value, both missing for that one.
        """
        import pandas as pd

        names = ("prompt", "why", "n", "right", "accuracy", "low", "high", "no_answer")
        rows = [[*(getattr(s, name) for name in names), s.difference, s.p_value] for s in self._all]
        index: list[Any] = ["current", *range(len(self))]
        frame = pd.DataFrame(rows, index=index, columns=[*names, "difference", "p_value"])
        return frame.astype({"difference": "float64", "p_value": "float64"})

    @property
    def _all(self) -> list[ScoredPrompt]:
        return [self.baseline, *self._suggested]

    @property
    def _head(self) -> str:
        few = f" ({self.asked} were asked for)" if len(self) < self.asked else ""
        count = "1 prompt" if len(self) == 1 else f"{len(self)} prompts"
        return (
            f"{count} suggested by {self.model}{few}, scored on {len(self.held_out)} samples that "
            f"it was not shown; none is in use"
        )

    def __repr__(self) -> str:
        lines = [self._head]
        for name, scored in zip(["current", *range(len(self))], self._all, strict=True):
            figures = " ".join(f"{text:>16}" for text in _figures(scored))
            prompt = " ".join(scored.prompt.split())
            cut = prompt if len(prompt) <= 80 else prompt[:79] + "…"
            lines.append(f"{name!s:>7} {figures}  {cut}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = ("", "accuracy (95 % interval)", "difference", "p-value")
        rows = "".join(
            f"<tr><th>{name}</th>"
            + "".join(f"<td>{escaped(text)}</td>" for text in _figures(scored))
            + f'<td style="text-align: left; white-space: normal">{self._prompt(scored)}</td></tr>'
            for name, scored in zip(["current", *range(len(self))], self._all, strict=True)
        )
        return fragment(
            f"<div>{escaped(self._head)}</div><table><thead><tr>"
            + "".join(f"<th>{name}</th>" for name in head)
            + f'<th style="text-align: left">prompt</th></tr></thead><tbody>{rows}</tbody></table>'
        )

    def _prompt(self, scored: ScoredPrompt) -> str:
        """The prompt, marked where it differs from the current one, and why."""
        marked = PromptDiff.between(self.baseline.version, scored.version).text_html
        why = f"<div><small>{escaped(scored.why)}</small></div>" if scored.why else ""
        return marked + why


def _figures(scored: ScoredPrompt) -> tuple[str, str, str]:
    """Accuracy with its interval, difference and p-value, as text."""
    accuracy = "no answer"
    if scored.n:
        accuracy = f"{scored.accuracy:.0%} ({scored.low:.0%}-{scored.high:.0%})"
    if scored.difference is None or scored.p_value is None:
        return accuracy, "", ""
    return accuracy, f"{100 * scored.difference:+.0f} points", f"p = {scored.p_value:.2g}"
