"""The text of a condition becomes a tree.

The language is described at :mod:`overshoot_nb.conditions.condition`. It looks like Python, but no
part of Python reads it: nothing in a text can be anything but what is listed here, columns may have
names that Python has words for (``out.class``), and a pattern's backslashes stay as they are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Literal, cast

from overshoot_nb.errors import ValidationError

from .names import nearest
from .tokens import Token, split
from .tree import (
    Arithmetic,
    ArithmeticOperator,
    Call,
    Combination,
    Comparison,
    ComparisonOperator,
    Constant,
    ListOf,
    Name,
    Negation,
    Node,
    condition_error,
)
from .values import FUNCTIONS, pattern_problem

#: Longer texts, deeper parentheses and deeper trees are no conditions that anybody wrote. A level
#: of parentheses takes a dozen Python frames, of which there are a thousand.
MAX_LENGTH = 4000
MAX_NESTING = 25
MAX_DEPTH = 60

_ESCAPE = re.compile(r"\\([\\\"'ntr])", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}

_CONSTANTS: dict[str, bool | None] = {"True": True, "False": False, "None": None}
_ORDER = ("==", "!=", "<", "<=", ">", ">=")
_NONE = Constant(None)
_Part = Callable[[], Node]


def parse(text: str) -> Node:
    """The tree of a condition.

    Raises:
        ValidationError: it is none; says what is wrong, and where.
    """
    return _Parser(text).condition()


class _Parser:
    """Recursive descent, one method for each level of binding."""

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise ValidationError(
                f"a condition is a text such as 'out.people > 3', not a {type(text).__name__}"
            )
        self._text = text
        if len(text) > MAX_LENGTH:
            raise self._wrong(
                MAX_LENGTH, f"it has {len(text):,} characters: at most {MAX_LENGTH:,}"
            )
        self._tokens = split(text)
        self._next = 0
        self._depths: dict[int, int] = {}
        self._nesting = 0

    def condition(self) -> Node:
        if self._token.kind == "end":
            raise self._wrong(0, "it is empty; write one such as out.people > 3")
        node = self._either()
        if self._token.kind != "end":
            raise self._unexpected()
        return node

    # ---- tokens ----

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _take(self, *texts: str) -> str | None:
        """The next token's text where it is a sign or word of ``texts``, which is then read."""
        token = self._token
        if token.kind not in ("sign", "word") or token.text not in texts:
            return None
        self._next += 1
        return token.text

    def _wrong(self, position: int, problem: str) -> ValidationError:
        return condition_error(self._text, position, problem)

    def _unexpected(self) -> ValidationError:
        token = self._token
        if token.kind == "end":
            return self._wrong(token.position, "something is missing at its end")
        before = self._tokens[self._next - 1] if self._next else None
        if token.kind == "text" and before is not None and before.kind == "name":
            return self._wrong(
                before.position,
                f"{before.text!r} before a text: a text needs no prefix, backslashes that mean "
                "nothing to a text stay as they are",
            )
        hint = "; join comparisons with 'and' or 'or'" if token.kind != "sign" else ""
        return self._wrong(token.position, f"{token.text[:40]!r} cannot stand here{hint}")

    # ---- levels of binding, loosest first ----

    def _either(self) -> Node:
        return self._combined("or", self._both)

    def _both(self) -> Node:
        return self._combined("and", self._negated)

    def _combined(self, operator: Literal["and", "or"], part: _Part) -> Node:
        position = self._token.position
        parts = [part()]
        while self._take(operator):
            parts.append(part())
        if len(parts) == 1:
            return parts[0]
        return self._grown(Combination(operator, tuple(parts), position))

    def _negated(self) -> Node:
        position = self._token.position
        negations = 0
        while self._take("not"):
            negations += 1
        node = self._compared()
        for _ in range(negations):
            node = self._grown(Negation((node,), position))
        return node

    def _compared(self) -> Node:
        left = self._sum()
        links: list[Node] = []
        while True:
            position = self._token.position
            operator = self._comparison_operator()
            if operator is None:
                break
            right = self._sum()
            if isinstance(right, ListOf) and operator not in ("in", "not in"):
                raise self._wrong(right.position, "a list of constants can stand after 'in' alone")
            if isinstance(left, ListOf):
                raise self._wrong(left.position, "a list of constants can stand after 'in' alone")
            links.append(self._comparison(operator, left, right, position))
            left = right
        if isinstance(left, ListOf) and not links:
            raise self._wrong(left.position, "a list of constants can stand after 'in' alone")
        if len(links) < 2:
            return links[0] if links else left
        return self._grown(Combination("and", tuple(links), links[0].position))

    def _comparison(
        self, operator: ComparisonOperator, left: Node, right: Node, position: int
    ) -> Node:
        """A comparison; one with None asks whether something is missing."""
        if operator in ("==", "!=") and _NONE in (left, right):
            asked = left if right == _NONE else right
            node = self._grown(Call("missing", (asked,), position))
            return node if operator == "==" else self._grown(Negation((node,), position))
        return self._grown(Comparison(operator, (left, right), position))

    def _comparison_operator(self) -> ComparisonOperator | None:
        if operator := self._take(*_ORDER, "in"):
            return cast(ComparisonOperator, operator)
        token = self._token
        if self._take("not"):
            if self._take("in"):
                return "not in"
            raise self._wrong(token.position, "'not' cannot stand here, but before a comparison")
        if self._take("is"):
            operator = "!=" if self._take("not") else "=="
            if self._token.text != "None" or self._token.kind != "name":
                raise self._wrong(token.position, "'is' asks for None alone; compare with ==")
            return cast(ComparisonOperator, operator)
        return None

    def _sum(self) -> Node:
        return self._arithmetic(("+", "-"), lambda: self._arithmetic(("*", "/"), self._signed))

    def _arithmetic(self, operators: tuple[str, ...], part: _Part) -> Node:
        left = part()
        while True:
            position = self._token.position
            operator = self._take(*operators)
            if operator is None:
                return left
            right = part()
            for side in (left, right):
                if isinstance(side, ListOf):
                    raise self._wrong(side.position, "a list cannot be computed with")
            kind = cast(ArithmeticOperator, operator)
            left = self._grown(Arithmetic(kind, (left, right), position))

    def _signed(self) -> Node:
        position = self._token.position
        negative = False
        while sign := self._take("-", "+"):
            negative ^= sign == "-"
        node = self._atom()
        if not negative:
            return node
        if isinstance(node, Constant) and isinstance(node.value, float):
            return Constant(-node.value, position)
        return self._grown(Arithmetic("-", (Constant(0.0, position), node), position))

    def _atom(self) -> Node:
        token = self._token
        if token.kind in ("number", "text", "name", "quoted"):
            self._next += 1
        match token.kind:
            case "number":
                number = float(token.text)
                if math.isinf(number):
                    raise self._wrong(token.position, "this number is too large")
                return Constant(number, token.position)
            case "text":
                return self._constant_text(token)
            case "quoted":
                return Name(token.text, token.position)
            case "name" if token.text in _CONSTANTS:
                return Constant(_CONSTANTS[token.text], token.position)
            case "name":
                if self._take("("):
                    return self._call(token)
                return Name(token.text, token.position)
        if self._take("("):
            node = self._nested(self._either, token.position)
            self._expect(")", token)
            return node
        if self._take("["):
            return self._list(token)
        raise self._unexpected()

    def _constant_text(self, token: Token) -> Constant:
        text = _ESCAPE.sub(lambda m: _ESCAPED.get(m[1], m[1]), token.text[1:-1])
        try:
            text.encode()
        except UnicodeEncodeError:
            raise self._wrong(token.position, "this text has a lone surrogate") from None
        return Constant(text, token.position)

    def _call(self, token: Token) -> Node:
        signature = FUNCTIONS.get(token.text)
        if signature is None:
            known = ", ".join(FUNCTIONS)
            similar = nearest(token.text, FUNCTIONS)
            raise self._wrong(
                token.position,
                f"there is no function {token.text[:40]}{similar or f'; there are {known}'}",
            )
        arguments: list[Node] = []
        while not self._take(")"):
            if arguments and not self._take(","):
                self._expect(")", token)
            arguments.append(self._nested(self._either, token.position))
        if len(arguments) != len(signature):
            wanted = ", ".join(signature)
            raise self._wrong(token.position, f"it is {token.text}({wanted})")
        for name, argument in zip(signature, arguments, strict=True):
            if name == "pattern":
                self._check_pattern(argument)
        return self._grown(Call(token.text, tuple(arguments), token.position))

    def _check_pattern(self, node: Node) -> None:
        if not isinstance(node, Constant) or not isinstance(node.value, str):
            raise self._wrong(node.position, 'a pattern is a text, such as "[0-9]+"')
        if problem := pattern_problem(node.value):
            raise self._wrong(node.position, f"this is no pattern that can be searched: {problem}")

    def _list(self, token: Token) -> ListOf:
        items: list[Constant] = []
        while not self._take("]"):
            if items and not self._take(","):
                self._expect("]", token)
            if items and self._take("]"):
                break
            item = self._nested(self._sum, token.position)
            if not isinstance(item, Constant):
                raise self._wrong(
                    item.position, "a list holds constants alone: numbers, texts, True..."
                )
            items.append(item)
        return ListOf(tuple(items), token.position)

    def _expect(self, sign: str, opened: Token) -> None:
        if not self._take(sign):
            if self._token.kind == "end":
                raise self._wrong(
                    opened.position, f"what is opened here is never closed: {sign} is missing"
                )
            raise self._unexpected()

    # ---- bounds ----

    def _nested(self, part: _Part, position: int) -> Node:
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise self._wrong(position, f"it is nested deeper than {MAX_NESTING} levels")
        node = part()
        self._nesting -= 1
        return node

    def _grown(self, node: Node) -> Node:
        # A long sum is a deep tree without a single parenthesis.
        depth = 1 + max((self._depths.get(id(child), 0) for child in node.children), default=0)
        if depth > MAX_DEPTH:
            raise self._wrong(node.position, f"it is nested deeper than {MAX_DEPTH} levels")
        self._depths[id(node)] = depth
        return node
