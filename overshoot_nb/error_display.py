"""How an error of this package looks in a notebook: its sentence, and the user's own lines."""

from __future__ import annotations

import linecache
import sys
import sysconfig
import traceback
from pathlib import Path
from typing import Any

__all__ = ["rendered", "rendered_whole"]

#: Where no line of the user's stands: this package, and what Python and pip installed.
_OTHERS = tuple(
    str(Path(folder).resolve())
    for folder in {
        str(Path(__file__).parent),
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    }
)


def rendered(error: BaseException) -> list[str]:
    """The lines of a notebook's error output: the user's own, then the sentence.

    What was caught on the way is said in a line of its own where the error names it as its cause.
    """
    lines: list[str] = []
    for frame, number in traceback.walk_tb(error.__traceback__):
        name = frame.f_code.co_filename
        if not _is_users(name):
            continue
        lines.append(f"{_place(name)}, line {number}, in {frame.f_code.co_name}")
        if source := linecache.getline(name, number, frame.f_globals).strip():
            lines.append(f"    {source}")
    lines.append(f"{type(error).__name__}: {error}")
    cause = error.__cause__
    if cause is not None:
        lines.append(f"Its cause was {type(cause).__name__}: {cause}")
    lines.append("(overshoot_nb.errors.full = True shows the whole traceback)")
    return lines


def rendered_whole(error: BaseException) -> list[str]:
    """The whole traceback, as the shell shows others; its verbose mode would show our variables."""
    shell: Any = _shell()
    style = getattr(shell, "InteractiveTB", None)
    if style is None or getattr(style, "mode", "") == "Verbose":
        return "".join(traceback.format_exception(error)).splitlines()
    shown: list[str] = style.structured_traceback(type(error), error, error.__traceback__)
    return shown


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def _is_users(name: str) -> bool:
    """Whether a file is the user's: a cell, a script, a module of theirs."""
    if name.startswith("<") and not name.startswith("<ipython-input"):
        return False
    path = str(Path(name).resolve())
    return not any(path == other or path.startswith(f"{other}/") for other in _OTHERS) and (
        "site-packages" not in path and "dist-packages" not in path
    )


def _place(name: str) -> str:
    """What a person calls a file: a cell by its number."""
    compiler: Any = getattr(_shell(), "compile", None)
    try:
        known = compiler.format_code_name(name)
    except AttributeError:  # no shell, or an older one
        known = None
    return f"{known[0]} {known[1]}" if known else f"File {name}"
