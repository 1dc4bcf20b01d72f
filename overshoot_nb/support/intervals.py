"""How sure a share is: confidence levels, and Wilson's interval."""

from __future__ import annotations

import math
from statistics import NormalDist

from overshoot_nb import config
from overshoot_nb.errors import ValidationError


def check_confidence(confidence: object) -> float:
    """Check a confidence level, 0 < x < 1.

    Raises:
        ValidationError: it is something else.
    """
    number = isinstance(confidence, int | float) and not isinstance(confidence, bool)
    # So near to 1 that its quantile is out of what floats can say, it is no level either.
    if not number or not 0 < confidence < 1 or (1 + confidence) / 2 == 1:  # type: ignore[operator]
        raise ValidationError(
            f"confidence={confidence!r} is not valid: it must be a number, 0 < x < 1, such as 0.95"
        )
    return float(confidence)  # type: ignore[arg-type]


def wilson_interval(
    right: int, n: int, confidence: float = config.CONFIDENCE
) -> tuple[float, float]:
    """The interval of a share, by Wilson's score method, without continuity correction.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference, Journal of
    the American Statistical Association 22 (1927) 209-212. Of no observations it is all of 0..1.

    Args:
        right: how many of ``n`` were right.
        confidence: 0..1.
    """
    if n == 0:
        return 0.0, 1.0
    z = normal_quantile(confidence)
    share = right / n
    middle = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    scale = 1 + z * z / n
    # At the ends the exact bound is 0 or 1; floats would miss it by a little.
    low = 0.0 if right == 0 else (middle - spread) / scale
    high = 1.0 if right == n else (middle + spread) / scale
    return max(low, 0.0), min(high, 1.0)


def normal_quantile(confidence: float) -> float:
    """How many standard deviations on each side hold that share of a normal distribution."""
    return NormalDist().inv_cdf((1 + confidence) / 2)
