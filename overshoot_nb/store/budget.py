"""``Budget``: when to stop asking."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from overshoot_nb.errors import ValidationError
from overshoot_nb.types import Usage


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that may be spent; at least one of these. Answers from the cache cost nothing.

    A request is made where it fits, judged by the mean of the answers before it; until the first
    answer says what one takes, one request is made at a time.

    Attributes:
        requests: answers asked for; one that takes several tries counts once.
        tokens: tokens of prompts and answers together.
        cents: US cents, as the server reports them.

    Raises:
        ValidationError: none was given, or one is not positive.
    """

    requests: int | None = None
    tokens: int | None = None
    cents: float | None = None

    def __post_init__(self) -> None:
        given = False
        for name, kind in (("requests", Integral), ("tokens", Integral), ("cents", Real)):
            value: Any = getattr(self, name)
            if value is None:
                continue
            given = True
            if (
                isinstance(value, bool)
                or not isinstance(value, kind)
                or not 0 < float(value) < math.inf
            ):
                whole = "a whole number" if kind is Integral else "a number"
                raise ValidationError(f"{name}={value!r} is not valid: a budget is {whole} above 0")
        if not given:
            raise ValidationError("Budget() limits nothing: give requests, tokens or cents")


class Account:
    """What was spent of a budget.

    Attributes:
        requests: answers that were asked for, failures included.
        tokens: tokens that the server reported.
        cents: US cents that it reported, or None where it never did.
    """

    def __init__(self, budget: Budget | None = None) -> None:
        self.budget = budget
        self.requests = 0
        self.tokens = 0
        self.cents: float | None = None
        self._answers = self._with_tokens = self._with_cents = 0

    def failed(self) -> None:
        """A request got no answer."""
        self.requests += 1

    def answered(self, usage: Usage | None) -> None:
        """A request got one."""
        self.requests += 1
        self._answers += 1
        if usage is not None:
            self._with_tokens += 1
            self.tokens += usage.total_tokens
            if usage.cost_cents is not None:
                self._with_cents += 1
                self.cents = (self.cents or 0.0) + usage.cost_cents

    def refusal(self, in_flight: int) -> str | None:
        """Why no further request fits beside those under way; None where one does."""
        budget = self.budget
        if budget is None:
            return None
        if budget.requests is not None and self.requests + in_flight >= budget.requests:
            return f"the budget of {budget.requests:,} requests is spent"
        limits = (
            ("tokens", budget.tokens, self.tokens, self._with_tokens),
            ("cents", budget.cents, self.cents or 0.0, self._with_cents),
        )
        for unit, limit, spent, reports in limits:
            if limit is None:
                continue
            if not self._answers:
                if in_flight:
                    return f"nobody knows yet how many {unit} an answer takes"
            elif not reports:
                return f"the server does not say how many {unit} it takes: no budget can be kept"
            elif spent + (in_flight + 1) * spent / reports > limit:
                return f"the next answer would exceed the budget of {limit:,g} {unit}"
        return None


def check_budget(budget: object) -> None:
    """Refuse what is neither a budget nor None.

    Raises:
        ValidationError: it is something else.
    """
    if budget is not None and not isinstance(budget, Budget):
        raise ValidationError(
            f"budget={budget!r} is not valid: give a Budget, such as Budget(requests=100)"
        )
