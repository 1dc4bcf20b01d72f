"""The names of parameters: those that are not known, and those that were renamed.

:func:`named_parameters` is put on what takes parameters from the user. A name that is not known
is an :class:`UnknownParameterError` that says which one was meant. A name of the version before
still works, with a ``DeprecationWarning`` that says the new one: rename by adding to
:data:`RENAMED`, and take the entry out one version later.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import typing
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any, ParamSpec, TypeVar

from overshoot_nb.errors import UnknownParameterError, ValidationError

from .secret_text import secret_pairs

P = ParamSpec("P")
R = TypeVar("R")

#: Old name to new name, by the qualified name of what takes it, where that is defined:
#: ``{"Tunable.backfill": {"old": "new"}, "FileSource": {"old": "new"}}``.
RENAMED: dict[str, dict[str, str]] = {
    "compare": {"schema": "output_schema"},
    "Overshoot.reinfer": {"max_tokens": "max_output_tokens"},
}


class Given:
    """Arguments on their way to whoever takes them: shown in no traceback, and given out once."""

    __slots__ = ("_args", "_kwargs")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if "headers" in kwargs:
            kwargs["headers"] = secret_pairs(kwargs["headers"])
        self._args, self._kwargs = args, kwargs

    def args(self) -> tuple[Any, ...]:
        """Those by position; none from then on."""
        args, self._args = self._args, ()
        return args

    def kwargs(self) -> dict[str, Any]:
        """Those by name; none from then on."""
        kwargs, self._kwargs = self._kwargs, {}
        return kwargs

    def settled(self, takes: Callable[..., object]) -> Exception | None:
        """Old names become new ones. The error where that cannot be, or a name is not known."""
        known = names_of(takes)
        if known.issuperset(self._kwargs):
            return None
        error = self._renamed(takes.__qualname__, known)
        if error is not None:
            self.args()
            self.kwargs()
        return error

    def _renamed(self, name: str, known: Collection[str]) -> Exception | None:
        name = name.removesuffix(".__init__")
        shown = name.rpartition(".")[2]
        for given in [one for one in self._kwargs if one not in known]:
            new = RENAMED.get(name, {}).get(given)
            if new is None:
                return UnknownParameterError(_unknown(shown, given, known))
            if new in self._kwargs:
                return ValidationError(f"{shown}: {given}= is now {new}=: give {new}= alone")
            message = f"{shown}: {given}= is now {new}=, and will be refused in the next version"
            # Past this, settled(), and the frame of the decorator.
            warnings.warn(message, DeprecationWarning, stacklevel=4)
            self._kwargs[new] = self._kwargs.pop(given)
        return None


def named_parameters(takes: Callable[P, R]) -> Callable[P, R]:
    """What the user calls, with its parameters' names checked.

    Raises:
        UnknownParameterError: (of what comes back) a name is not known.
    """

    @functools.wraps(takes)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        given = Given(args, kwargs)
        del args, kwargs  # they may be secrets, and this frame is part of every traceback
        if (error := given.settled(takes)) is not None:
            raise error
        return takes(*given.args(), **given.kwargs())

    return checked


@functools.cache
def names_of(takes: Callable[..., object]) -> frozenset[str]:
    """The names that may be given, those of an unpacked ``TypedDict`` included."""
    names: set[str] = set()
    for parameter in inspect.signature(takes).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            names.update(_unpacked(takes, parameter.name))
        elif parameter.kind is not parameter.POSITIONAL_ONLY:
            names.add(parameter.name)
    return frozenset(names - {"self"})


def _unpacked(takes: Callable[..., object], name: str) -> Mapping[str, object]:
    # Only this annotation: others may name what is imported for type checkers alone.
    function: Any = inspect.unwrap(takes)
    text = function.__annotations__[name]
    unpacked = eval(text, function.__globals__) if isinstance(text, str) else text
    found: Mapping[str, object] = typing.get_args(unpacked)[0].__annotations__
    return found


def _unknown(shown: str, name: str, known: Collection[str]) -> str:
    # Letters in another order first: "modle" is nearer to "mode" by their number.
    near = [one for one in sorted(known) if sorted(one) == sorted(name.lower())]
    near = near or difflib.get_close_matches(name.lower(), sorted(known), n=1, cutoff=0.6)
    # "schema" for "output_schema": a part of a longer name is not near to it in letters.
    near = near or [one for one in sorted(known) if name and (name in one or one in name)][:1]
    hint = f"did you mean {near[0]}=?" if near else f"it takes {', '.join(sorted(known))}"
    return f"{shown}: there is no parameter {name}=; {hint}"
