"""What conditions ask of many texts at once, with Arrow's kernels.

Each says exactly what :mod:`condition_values` says of one text; where a kernel would not, for case
is another matter beyond ASCII, Python is asked about those texts alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from .values import containing, search_texts


class Texts:
    """Many texts; what is asked of them is an array of shape (n,).

    Args:
        array: the texts as an Arrow array without nulls.
    """

    def __init__(self, array: Any) -> None:
        self._array = array
        #: The same as Python's.
        self.values: list[str] = array.to_pylist()

    def equal(self, text: str) -> NDArray[np.bool_]:
        """Which are this text."""
        return _truths(pc.equal(self._array, text))

    def among(self, texts: list[str]) -> NDArray[np.bool_]:
        """Which are one of these."""
        return _truths(pc.is_in(self._array, pa.array(texts, self._array.type)))

    def have(self, text: str) -> NDArray[np.bool_]:
        """Which have this text somewhere in them."""
        return _truths(pc.match_substring(self._array, text))

    def contain(self, text: str) -> NDArray[np.bool_]:
        """Which have it in upper or lower case."""
        folded = text.casefold()
        found = np.zeros(len(self.values), np.bool_)
        if folded.isascii():
            found |= _truths(pc.match_substring(pc.ascii_lower(self._array), folded))
        contains = containing(text)
        for place in np.flatnonzero(~_truths(pc.string_is_ascii(self._array))).tolist():
            found[place] = contains(self.values[place])
        return found

    def match(self, pattern: str) -> NDArray[np.bool_]:
        """In which the pattern is found."""
        return search_texts(self._array, pattern)

    def lower(self) -> Texts:
        """The same in lower case."""
        return Texts(pa.array([text.lower() for text in self.values], self._array.type))

    def lengths(self) -> NDArray[np.float64]:
        """How many characters each has."""
        return np.asarray(pc.utf8_length(self._array), np.float64)


def _truths(found: Any) -> NDArray[np.bool_]:
    truths: NDArray[np.bool_] = found.to_numpy(zero_copy_only=False)
    return truths
