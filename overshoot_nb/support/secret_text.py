"""Text and bytes that are whole for whoever uses them, and show no secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, SupportsIndex

#: What stands in the place of a secret.
LEFT_OUT = "…"


class SecretText(str):
    """Text that is whole for whoever uses it, and shows no secret in its repr or in a pickle.

    A pickle holds ``shown``, or ``kept`` where that is given; a copy in the process is whole.
    """

    __slots__ = ("_kept", "_shown")

    _shown: str
    _kept: str

    def __new__(cls, text: str, shown: str = LEFT_OUT, kept: str | None = None) -> Self:
        """``text`` that is shown as ``shown``."""
        made = super().__new__(cls, text)
        made._shown, made._kept = shown, shown if kept is None else kept
        return made

    def __repr__(self) -> str:
        return repr(self._shown)

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        # What shows variables cuts long texts, and would show a piece of this one.
        return SecretText(super().__getitem__(key))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return str, (self._kept,)


class SecretBytes(bytes):
    """Bytes of which only the number is shown; pieces show as little."""

    def __repr__(self) -> str:
        return f"<{len(self):,} bytes>"

    def __getitem__(self, key: Any) -> Any:
        piece = super().__getitem__(key)
        return SecretBytes(piece) if isinstance(piece, bytes) else piece


def secret_pairs(headers: Any) -> Any:
    """Header fields as pairs whose values are secrets; what is no mapping as it is."""
    if not isinstance(headers, Mapping):
        return headers
    return tuple(
        (name, SecretText(value) if type(value) is str else value)
        for name, value in headers.items()
    )
