"""Which packages are installed, by the names that a package index knows them by."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from typing import Final

#: What the embedded engine imports.
ENGINE_MODULES: Final = ("starlette", "cv2", "PIL", "onnxruntime", "rapidocr", "regex")
#: Modules that are not named as their packages are.
_PACKAGES: Final = {"cv2": "opencv-python-headless", "PIL": "pillow"}


def missing_packages(modules: Iterable[str]) -> list[str]:
    """The packages of those modules that are not installed."""
    return [_PACKAGES.get(name, name) for name in modules if not _installed(name)]


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:
        # It is there, half imported by another thread: cv2 has no spec for a while.
        return True
