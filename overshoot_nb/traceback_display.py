"""How a notebook shows an error of ours: its sentence, and the lines of the user that led to it.

IPython asks an exception that it shows for ``_render_traceback_``, which gives lines of text. A
script and pytest never ask, so that they show everything.
"""

from __future__ import annotations

import copy
import linecache
import sys
import sysconfig
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final

_US: Final = __name__.partition(".")[0]
_FOLDER: Final = Path(__file__).parent
#: Whose frames are above every cell.
_HOSTS: Final = (_US, "IPython", "ipykernel")
_STANDARD: Final = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib")})
#: As many frames of the user, and lines of one call, are shown: a recursion has a thousand.
_MOST_FRAMES: Final = 12
_MOST_LINES: Final = 8


def renderer(error: BaseException, full: bool) -> Callable[[], list[str]] | None:
    """What IPython calls to show ``error``; None where its own way of showing is right.

    With ``full`` that is so, but in the mode Verbose, which shows variables: those of frames that
    are not the user's are left out.
    """
    if not full:
        return partial(_short, error)
    shell = _shell()
    if shell is None or not getattr(shell.InteractiveTB, "include_vars", False):
        return None
    return partial(_without_our_variables, error, shell)


def _short(error: BaseException) -> list[str]:
    shell = _shell()
    if shell is not None:
        # What %debug opens; the shell sets it only where it shows the error itself.
        shell.InteractiveTB.tb = error.__traceback__
    coloured = shell is not None and str(shell.colors).lower() != "nocolor"
    links = list(_chain(error))
    parts = []
    for link in links:
        frames = _users_frames(link.__traceback__)
        if link is not error and not frames:
            continue
        if len(frames) > _MOST_FRAMES:
            frames = frames[:2] + frames[2 - _MOST_FRAMES :]
        places = [_place(tb, shell, coloured) for tb in frames]
        name = _coloured(type(link).__name__, "31", coloured)
        notes = map(str, getattr(link, "__notes__", ()))
        parts.append("\n".join([*places, f"{name}: {link}", *notes]))
    lines = "\n\nwhich led to:\n\n".join(parts)
    if any(_is_ours(tb.tb_frame) for link in links for tb in _each(link.__traceback__)):
        lines += f"\n\n`{_US}.errors.full = True` shows the whole traceback from then on."
    return lines.split("\n")


def _without_our_variables(error: BaseException, shell: Any) -> list[str]:
    shown = copy.copy(shell.InteractiveTB)
    make: Callable[[Any], str] = shown.format_record

    def format_record(record: Any) -> str:
        # The method of the copy's class reads the copy's setting.
        shown.include_vars = _is_users(record.frame)
        return make(record)

    shown.format_record = format_record
    shell.InteractiveTB.tb = error.__traceback__
    lines = shown.structured_traceback(type(error), error, error.__traceback__, tb_offset=1)
    return list(lines)


def _shell() -> Any:
    """The running shell of IPython, or None; IPython is not imported for this."""
    module = sys.modules.get("IPython")
    return module.get_ipython() if module is not None and hasattr(module, "get_ipython") else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The errors that led to this one, the first of them first; itself last."""
    links: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in links:
        links.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return reversed(links)


def _each(tb: TracebackType | None) -> Iterator[TracebackType]:
    while tb is not None:
        yield tb
        tb = tb.tb_next


def _users_frames(tb: TracebackType | None) -> list[TracebackType]:
    """Where the user's code is."""
    return [each for each in _each(tb) if _is_users(each.tb_frame)]


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _is_ours(frame: FrameType) -> bool:
    # A dataclass's constructor has no file; the module's name says whose it is.
    return _module(frame) == _US or Path(frame.f_code.co_filename).is_relative_to(_FOLDER)


def _is_installed(frame: FrameType) -> bool:
    # Compiled code names its source by a path that is not there; its module has a file.
    files = frame.f_code.co_filename, str(frame.f_globals.get("__file__", ""))
    parts = {part for file in files for part in Path(file).parts}
    return not parts.isdisjoint(("site-packages", "dist-packages"))


def _is_users(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    if _is_ours(frame) or _module(frame) in _HOSTS or _is_installed(frame):
        return False
    return not file.startswith("<frozen ") and not any(map(Path(file).is_relative_to, _STANDARD))


def _place(tb: TracebackType, shell: Any, coloured: bool) -> str:
    """Cell or file, line and function, and the marked lines of the call."""
    code = tb.tb_frame.f_code
    first, last, _, _ = next(
        islice(code.co_positions(), max(tb.tb_lasti, 0) // 2, None), (None,) * 4
    )
    first = first or tb.tb_lineno or 0
    last = min(last or first, first + _MOST_LINES - 1)
    named = getattr(getattr(shell, "compile", None), "format_code_name", lambda _: None)
    name = named(code.co_filename)
    where = " ".join(name) if name else f"File {code.co_filename}"
    function = "" if code.co_name == "<module>" else f", in {code.co_name}"
    lines = [f"{where}, line {first}{function}"]
    for number in range(first, last + 1):
        text = linecache.getline(code.co_filename, number, tb.tb_frame.f_globals).rstrip()
        if text:
            mark = _coloured("---->", "32", coloured) if number == first else "     "
            lines.append(f"{mark} {number} {text}")
    return "\n".join(lines)


def _coloured(text: str, colour: str, coloured: bool) -> str:
    return f"\x1b[{colour}m{text}\x1b[39m" if coloured else text
