"""How sure a figure is: intervals of shares, and a paired test of two prompts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from overshoot_nb import config
from overshoot_nb.support.html import BAR, escaped, fragment
from overshoot_nb.support.intervals import normal_quantile, wilson_interval

#: The share of cases in which so many labels more would tell a difference as large as this one.
POWER = 0.8
_INDEPENDENT = (
    "McNemar's exact test takes samples as independent; those that show the same moment are not: "
    "label moments that are apart."
)
#: Shares of right answers are shown with one decimal.
_PERCENT = ".1%"


def mcnemar_exact(only_old: int, only_new: int) -> float:
    """McNemar's test of paired shares, exact and two-sided: a p-value, 0..1.

    Under the null hypothesis each pair that differs is as likely to differ one way as the other:
    twice the smaller tail of the binomial distribution of 1/2. It takes the pairs as independent
    of each other.

    Q. McNemar, Note on the sampling error of the difference between correlated proportions or
    percentages, Psychometrika 12 (1947) 153-157.

    Args:
        only_old, only_new: pairs of which one alone is right.
    """
    n, fewer = only_old + only_new, min(only_old, only_new)
    if n > _WHOLE_NUMBERS:
        return _tail(n, fewer)
    term = tail = 1
    for k in range(fewer):
        term = term * (n - k) // (k + 1)
        tail += term
    p_value: float = 2 * tail / 2**n
    return min(1.0, p_value)


#: With more pairs than these, whole numbers of so many digits take long.
_WHOLE_NUMBERS = 2_000


def _tail(n: int, fewer: int) -> float:
    """Twice the tail of the binomial distribution of 1/2, in floats, from its largest term on."""
    of_all = math.lgamma(n + 1) - math.lgamma(fewer + 1) - math.lgamma(n - fewer + 1)
    term = total = 1.0  # shares of the largest
    for k in range(fewer, 0, -1):
        term *= k / (n - k + 1)
        total += term
        if term < 1e-17 * total:
            break
    return min(1.0, 2 * total * math.exp(of_all - n * math.log(2)))


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Two versions, judged on the same samples: whether their difference means anything yet.

    The test and the intervals take the samples as independent of each other. Samples that show the
    same moment are not: ten frames of one scene say little more than one of them, and the p-value
    comes out too small. Label moments that are apart.

    Attributes:
        old, new: which are compared.
        both_right, only_old, only_new, both_wrong: samples, by who is right about them.
        confidence: of the interval and of the verdict, 0..1.
        field: the field that was judged, or "" for all labelled ones together.
    """

    old: str
    new: str
    both_right: int
    only_old: int
    only_new: int
    both_wrong: int
    confidence: float = config.CONFIDENCE
    field: str = ""

    @property
    def n(self) -> int:
        """Samples that were judged for both."""
        return self.both_right + self.only_old + self.only_new + self.both_wrong

    @property
    def difference(self) -> float:
        """How much larger the share of right answers of the new one is, -1..1; NaN of none."""
        return (self.only_new - self.only_old) / self.n if self.n else math.nan

    @property
    def low(self) -> float:
        """Lower end of the interval of the difference."""
        return self._interval()[0]

    @property
    def high(self) -> float:
        """Upper end of the interval of the difference."""
        return self._interval()[1]

    @property
    def p_value(self) -> float:
        """How likely so large a difference is where there is none (McNemar, exact, two-sided)."""
        return mcnemar_exact(self.only_old, self.only_new)

    @property
    def is_significant(self) -> bool:
        """Whether the difference can be told from chance, at the confidence."""
        return self.p_value <= 1 - self.confidence

    @property
    def labels_more(self) -> int | None:
        """How many labels more would tell, if the difference is as large as it looks; about.

        With 80 % power at the confidence: R. J. Connor, Sample size for testing differences in
        proportions for the paired-sample design, Biometrics 43 (1987) 207-211. 0 where it can be
        told already, None where there is no difference to be told.
        """
        if self.only_old == self.only_new:
            return None
        if self.is_significant:
            return 0
        differing = (self.only_old + self.only_new) / self.n
        change = abs(self.difference)
        z, z_power = normal_quantile(self.confidence), NormalDist().inv_cdf(POWER)
        spread = z * math.sqrt(differing) + z_power * math.sqrt(differing - change**2)
        needed = (spread / change) ** 2
        # Fewer pairs that differ cannot tell anything, even if all of them say the same.
        fewest = math.ceil(1 - math.log2(1 - self.confidence))
        return max(1, math.ceil(max(needed, fewest / differing)) - self.n)

    @property
    def verdict(self) -> str:
        """What it means, in a sentence or two."""
        old, new = self.old, self.new
        if self.n == 0:
            return f"{old} and {new} have no labelled sample in common."
        about = f" about {self.field}" if self.field else ""
        times = _times(self.only_new)
        right = f"is right{about} {times}" if self.only_new else f"is {times} right{about}"
        counts = (
            f"{new} alone {right}, {old} alone {_times(self.only_old)}, "
            f"of {_count(self.n, 'sample')}"
        )
        if self.only_old + self.only_new == 0:
            return f"No difference: {old} and {new} are right{about} on the same {self.n} samples."
        if self.labels_more is None:
            return f"No difference: {counts}."
        if self.is_significant:
            better = "better" if self.difference > 0 else "worse"
            return f"{new} is {better}: {counts} ({_p(self.p_value)})."
        return (
            f"Not told from chance yet: {counts} ({_p(self.p_value)}). If the difference is "
            f"as large as it looks, about {_count(self.labels_more, 'label')} more would tell."
        )

    def _interval(self) -> tuple[float, float]:
        """The interval of the difference of paired shares.

        R. G. Newcombe, Improved confidence intervals for the difference between binomial
        proportions based on paired data, Statistics in Medicine 17 (1998) 2635-2650, method 10:
        Wilson's intervals of both shares, joined with their correlation.
        """
        n = self.n
        if n == 0:
            return -1.0, 1.0
        a, b, c, d = self.both_right, self.only_new, self.only_old, self.both_wrong
        new, old = (a + b) / n, (a + c) / n
        new_low, new_high = wilson_interval(a + b, n, self.confidence)
        old_low, old_high = wilson_interval(a + c, n, self.confidence)
        margins = (a + b) * (c + d) * (a + c) * (b + d)
        product = a * d - b * c
        if margins == 0:
            phi = 0.0
        else:  # with a correction for continuity where they go together
            phi = (max(product - n / 2, 0) if product > 0 else product) / math.sqrt(margins)

        def joined(x: float, y: float) -> float:
            return math.sqrt(max(x * x - 2 * phi * x * y + y * y, 0.0))

        low = self.difference - joined(new - new_low, old_high - old)
        high = self.difference + joined(old - old_low, new_high - new)
        return max(low, -1.0), min(high, 1.0)

    def __repr__(self) -> str:
        return (
            f"PairedTest({self.old} -> {self.new}: difference {self.difference:+{_PERCENT}} "
            f"[{self.low:+{_PERCENT}}, {self.high:+{_PERCENT}}], {_p(self.p_value)}, "
            f"n = {self.n})\n{self.verdict}"
        )

    def _repr_html_(self) -> str:
        old, new = escaped(self.old), escaped(self.new)
        interval = (
            f"{self.difference:+{_PERCENT}}, {percent(self.confidence)} interval "
            f"{self.low:+{_PERCENT}} to {self.high:+{_PERCENT}}, {_p(self.p_value)}"
        )
        return fragment(
            f"<div><strong>{escaped(self.verdict)}</strong></div>"
            f"<div>{interval}</div>"
            f"<table><thead><tr><th></th><th>{new} right</th><th>{new} wrong</th></tr></thead>"
            f"<tbody><tr><th>{old} right</th><td>{self.both_right}</td><td>{self.only_old}</td>"
            f"</tr><tr><th>{old} wrong</th><td>{self.only_new}</td><td>{self.both_wrong}</td></tr>"
            f"</tbody></table><div><small>{_INDEPENDENT}</small></div>",
            BAR,
        )


def percent(share: float) -> str:
    """A confidence as people write it: "95%", "99.9%"."""
    return f"{share * 100:.6g}%"


def _count(n: int, word: str) -> str:
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def _times(n: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(n, f"{n:,} times")


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
