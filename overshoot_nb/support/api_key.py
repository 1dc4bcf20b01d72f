"""``ApiKey``: a key that shows itself nowhere."""

from __future__ import annotations

from typing import Any


class ApiKey:
    """A key that shows itself nowhere: not in a repr, a log, an error or a pickle."""

    __slots__ = ("_value", "origin")

    def __init__(self, value: Any, origin: str = "argument") -> None:
        self._value: str = value
        #: Where it was found: "argument", the name of the environment variable, or "keyring".
        self.origin = origin

    def reveal(self) -> str:
        """The key itself, for the Authorization header alone."""
        return self._value

    def __repr__(self) -> str:
        return f"ApiKey('…', origin={self.origin!r})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ApiKey) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("an API key is not pickled")


def held_key(api_key: object) -> ApiKey | None:
    """A key as it may stand in a local variable, whatever was given; checked by what takes it.

    A frame that takes a key from the user begins with this.
    """
    return api_key if api_key is None or isinstance(api_key, ApiKey) else ApiKey(api_key)
