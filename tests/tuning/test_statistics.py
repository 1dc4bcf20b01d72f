"""Intervals and tests against scipy, statsmodels, exact computation and published figures."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from overshoot_nb.errors import ValidationError
from overshoot_nb.support.intervals import check_confidence, wilson_interval
from overshoot_nb.tuning.statistics import PairedTest, mcnemar_exact

confidences = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 0.999])
counts = st.integers(0, 60)


def paired(both_right: int, only_old: int, only_new: int, both_wrong: int, **more) -> PairedTest:
    return PairedTest("v1", "v2", both_right, only_old, only_new, both_wrong, **more)


# ---- one share ---------------------------------------------------------------------------------


@given(st.integers(1, 500), st.floats(0, 1), confidences)
def test_wilsons_interval_is_that_of_statsmodels_and_scipy(n, share, confidence):
    right = round(share * n)
    found = wilson_interval(right, n, confidence)
    wanted = proportion_confint(right, n, alpha=1 - confidence, method="wilson")
    assert found == pytest.approx(wanted, abs=1e-12)
    theirs = stats.binomtest(right, n).proportion_ci(confidence, method="wilson")
    assert found == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert 0 <= found[0] <= right / n <= found[1] <= 1


def test_wilsons_interval_at_the_ends():
    assert wilson_interval(0, 0) == (0, 1)
    assert wilson_interval(0, 10)[0] == 0
    assert wilson_interval(10, 10)[1] == 1
    assert wilson_interval(8, 10) == pytest.approx((0.4901625, 0.9433178), abs=1e-7)


@pytest.mark.parametrize("bad", [0, 1, -0.5, 95, "0.95", None, True, float("nan")])
def test_a_confidence_that_is_none_is_said(bad):
    with pytest.raises(ValidationError, match="confidence="):
        check_confidence(bad)


# ---- McNemar -----------------------------------------------------------------------------------


@given(counts, counts)
def test_mcnemars_test_is_that_of_statsmodels_and_scipy(only_old, only_new):
    found = mcnemar_exact(only_old, only_new)
    table = [[5, only_old], [only_new, 7]]
    assert found == pytest.approx(mcnemar(table, exact=True).pvalue, abs=1e-12)
    if only_old + only_new:
        binomial = stats.binomtest(only_old, only_old + only_new).pvalue
        assert found == pytest.approx(binomial, abs=1e-12)
    assert found == mcnemar_exact(only_new, only_old)


def test_mcnemars_test_of_none_and_of_many():
    assert mcnemar_exact(0, 0) == 1
    assert mcnemar_exact(0, 6) == 0.03125
    wanted = stats.binomtest(9_800, 20_000).pvalue
    assert mcnemar_exact(9_800, 10_200) == pytest.approx(wanted, rel=1e-9)
    assert mcnemar_exact(0, 5_000) == 0  # less than the least float


# ---- the difference of two paired shares -------------------------------------------------------


def test_newcombes_own_example():
    # His table: 36 pairs right both times, 12 and 2 once, none never; method 10.
    test = paired(36, 2, 12, 0)
    assert test.difference == pytest.approx(0.2)
    assert (test.low, test.high) == pytest.approx((0.0569, 0.3404), abs=5e-5)


def newcombe(a: int, b: int, c: int, d: int, confidence: float) -> tuple[float, float]:
    """His method 10, step by step as the paper lists them; b and c as there."""
    n = a + b + c + d
    one, two = (a + b) / n, (a + c) / n
    l1, u1 = proportion_confint(a + b, n, alpha=1 - confidence, method="wilson")
    l2, u2 = proportion_confint(a + c, n, alpha=1 - confidence, method="wilson")
    marginal = (a + b) * (c + d) * (a + c) * (b + d)
    numerator = a * d - b * c
    if numerator > n / 2:
        numerator -= n / 2
    elif numerator >= 0:
        numerator = 0
    phi = numerator / math.sqrt(marginal) if marginal else 0
    dl1, du1, dl2, du2 = one - l1, u1 - one, two - l2, u2 - two
    return (
        one - two - math.sqrt(dl1**2 - 2 * phi * dl1 * du2 + du2**2),
        one - two + math.sqrt(dl2**2 - 2 * phi * dl2 * du1 + du1**2),
    )


@given(st.integers(1, 60), counts, counts, counts, confidences)
def test_the_interval_is_newcombes(a, b, c, d, confidence):
    test = paired(a, c, b, d, confidence=confidence)
    low, high = newcombe(a, b, c, d, confidence)
    assert (test.low, test.high) == pytest.approx((max(low, -1), min(high, 1)), abs=1e-7)


@given(counts, counts, counts, counts, confidences)
def test_the_interval_holds_the_difference_and_turns_with_it(a, b, c, d, confidence):
    test = paired(a, b, c, d, confidence=confidence)
    assert test.n == a + b + c + d
    assert -1 <= test.low <= test.high <= 1
    if test.n:
        assert test.low - 1e-12 <= test.difference <= test.high + 1e-12
    turned = paired(a, c, b, d, confidence=confidence)
    assert (turned.low, turned.high) == pytest.approx((-test.high, -test.low), abs=1e-12)


@pytest.mark.parametrize(
    "shares",
    [
        (0.7, 0.05, 0.15, 0.1),
        (0.4, 0.1, 0.1, 0.4),
        (0.6, 0.15, 0.2, 0.05),
    ],
)
def test_the_interval_holds_the_truth_as_often_as_it_says(shares):
    n, covered, truth = 24, 0.0, shares[2] - shares[1]
    multinomial = stats.multinomial(n, shares)
    for a, b, c in product(range(n + 1), repeat=3):
        if a + b + c <= n:
            counts = (a, b, c, n - a - b - c)
            test = paired(*counts)
            if test.low <= truth <= test.high:
                covered += multinomial.pmf(counts)
    assert 0.94 <= covered <= 0.985


# ---- how many labels more ----------------------------------------------------------------------


def connor(differing: float, change: float, confidence: float) -> float:
    """Connor's number of pairs, written down again with scipy's quantiles."""
    z, z_power = stats.norm.ppf(1 - (1 - confidence) / 2), stats.norm.ppf(0.8)
    root = z * math.sqrt(differing) + z_power * math.sqrt(differing - change**2)
    return (root / change) ** 2


def exact_power(n: int, only_old: float, only_new: float, confidence: float) -> float:
    """How often McNemar's exact test of n pairs tells the difference."""
    differing = only_old + only_new
    power = 0.0
    for m in range(n + 1):
        least = stats.binom.pmf(m, n, differing)
        if least < 1e-12:
            continue
        k = np.arange(m + 1)
        p = np.array([mcnemar_exact(int(x), int(m - x)) for x in k])
        told = k[p <= 1 - confidence]
        power += least * stats.binom.pmf(told, m, only_new / differing).sum()
    return power


def test_labels_more_are_connors():
    test = paired(30, 2, 6, 2)  # 40 pairs, 8 differ, by 4
    assert not test.is_significant
    assert test.labels_more == math.ceil(connor(0.2, 0.1, 0.95)) - 40 == 115
    strict = paired(30, 2, 6, 2, confidence=0.99)
    assert strict.labels_more == math.ceil(connor(0.2, 0.1, 0.99)) - 40


@pytest.mark.parametrize("counts", [(30, 2, 6, 2), (20, 5, 10, 5), (25, 4, 9, 2), (60, 5, 0, 15)])
@pytest.mark.parametrize("confidence", [0.95, 0.9])
def test_so_many_labels_tell_in_about_four_cases_of_five(counts, confidence):
    test = paired(*counts, confidence=confidence)
    if test.is_significant:
        assert test.labels_more == 0
        return
    n = test.n + test.labels_more
    power = exact_power(n, test.only_old / test.n, test.only_new / test.n, confidence)
    # The formula is that of the asymptotic test; the exact one is a little more careful.
    assert 0.7 <= power <= 0.85


def test_labels_more_where_all_that_differ_say_the_same():
    assert paired(0, 0, 4, 0).labels_more == 2
    # Five pairs that differ cannot reach 5 %, six can.
    assert paired(0, 0, 5, 0).labels_more == 1
    assert paired(0, 0, 6, 0).labels_more == 0
    assert paired(0, 0, 6, 0).is_significant
    assert paired(10, 0, 0, 10).labels_more is None
    assert paired(10, 3, 3, 10).labels_more is None
    assert paired(0, 0, 0, 0).labels_more is None


@given(counts, counts, counts, counts, confidences)
def test_labels_more_are_none_zero_or_some(a, b, c, d, confidence):
    test = paired(a, b, c, d, confidence=confidence)
    if b == c:
        assert test.labels_more is None
    elif test.p_value <= 1 - confidence:
        assert test.labels_more == 0
    else:
        assert test.labels_more >= 1


# ---- how it reads ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ((0, 0, 0, 0), "v1 and v2 have no labelled sample in common."),
        ((9, 0, 0, 1), "No difference: v1 and v2 are right on the same 10 samples."),
        (
            (9, 2, 2, 1),
            "No difference: v2 alone is right twice, v1 alone twice, of 14 samples.",
        ),
        (
            (20, 1, 9, 10),
            "v2 is better: v2 alone is right 9 times, v1 alone once, of 40 samples (p = 0.021).",
        ),
        (
            (20, 12, 0, 0),
            "v2 is worse: v2 alone is never right, v1 alone 12 times, of 32 samples (p < 0.001).",
        ),
        (
            (30, 2, 6, 2),
            "Not told from chance yet: v2 alone is right 6 times, v1 alone twice, of 40 samples "
            "(p = 0.289). If the difference is as large as it looks, about 115 labels more would "
            "tell.",
        ),
        (
            (0, 0, 5, 0),
            "Not told from chance yet: v2 alone is right 5 times, v1 alone never, of 5 samples "
            "(p = 0.062). If the difference is as large as it looks, about 1 label more would "
            "tell.",
        ),
    ],
)
def test_the_verdict_in_words(counts, verdict):
    assert paired(*counts).verdict == verdict
    assert verdict in repr(paired(*counts))


def test_the_verdict_names_the_field():
    assert "v2 alone is right about people 9 times" in paired(20, 1, 9, 10, field="people").verdict


@given(st.integers(0, 3_000), st.integers(1, 3_000))
def test_many_pairs_are_exact(only_old, only_new):
    # Whole numbers: scipy gives 0 for what is tiny.
    pairs = only_old + only_new
    ways = tail = 1
    for fewer in range(min(only_old, only_new)):
        ways = ways * (pairs - fewer) // (fewer + 1)
        tail += ways
    expected = float(min(Fraction(2 * tail, 2**pairs), 1))
    assert mcnemar_exact(only_old, only_new) == pytest.approx(expected, rel=1e-8, abs=1e-300)


@pytest.mark.parametrize("counts", [(50_000, 50_100), (50_000, 50_000), (0, 100_000)])
def test_very_many_pairs(counts):
    expected = stats.binomtest(counts[1], sum(counts)).pvalue
    assert mcnemar_exact(*counts) == pytest.approx(expected, rel=1e-6)


def test_a_confidence_whose_quantile_is_infinite_is_none():
    with pytest.raises(ValidationError, match="confidence="):
        check_confidence(0.9999999999999999)
    assert check_confidence(0.999999999999)


def test_html_says_what_the_test_takes_for_granted():
    assert "label moments that are apart" in PairedTest("a", "b", 3, 1, 2, 1)._repr_html_()


def test_html_is_escaped_and_has_no_colours_of_its_own():
    test = PairedTest("<b>old</b>", "a & b", 20, 1, 9, 10, field="<i>")
    shown = test._repr_html_()
    assert "&lt;b&gt;old" in shown
    assert "a &amp; b" in shown
    assert "<b>" not in shown
    assert "<i>" not in shown
    assert "#" not in shown.replace("&#x27;", "")
    assert "rgb" not in shown
    for count in (20, 1, 9, 10):
        assert f"<td>{count}</td>" in shown
