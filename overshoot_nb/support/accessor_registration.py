"""Gives DataFrames their accessor, ``df.overshoot``, where there are DataFrames.

pandas takes longer to import than all of this package, so importing the package does not import it.
The accessor is there once any of these happened after pandas was imported: the package was
imported, or a name of it was used for the first time; rows were made; ``%load_ext overshoot_nb``.
``import overshoot_nb.analysis`` gives it whatever came before.
"""

from __future__ import annotations

import sys

from .registry import opener


def register_accessor() -> None:
    """Register it where pandas is imported already. Idempotent."""
    # One that is being imported has no such name yet, and would be imported in a circle.
    if hasattr(sys.modules.get("pandas"), "DataFrame"):
        opener("accessor")
