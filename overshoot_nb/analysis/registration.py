"""Gives DataFrames their accessor as soon as there are DataFrames.

pandas takes longer to import than all of this package, so importing the package does not import it.
Yet rows that come from elsewhere should have ``.overshoot`` too, in whichever order the two were
imported: the accessor is registered right after pandas is imported, by whoever imports it.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["register_accessor"]


def register_accessor() -> None:
    """Register it now where pandas is imported already, else when it is. Idempotent."""
    if "pandas" in sys.modules:
        _register()
    elif not any(isinstance(finder, _AfterPandas) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterPandas())


def _register() -> None:
    # Importing it is what registers it.
    from . import accessor  # noqa: F401


class _AfterPandas(MetaPathFinder):
    """Sees the import of pandas, steps aside, and has the accessor registered after it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where pandas is, as everybody else would find it; None for all other modules."""
        if name != "pandas":
            return None
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_and_register(module: ModuleType) -> None:
            load(module)
            _register()

        spec.loader.exec_module = load_and_register  # type: ignore[method-assign]
        return spec
