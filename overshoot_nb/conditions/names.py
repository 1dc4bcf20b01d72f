"""Which column a name in a condition means, and what it may have been meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

#: Names of columns that a message lists.
_LISTED = 12


def resolve(name: str, columns: Iterable[object]) -> str | None:
    """The column that a name means: that of the name, else ``out.<name>``; None where neither is.

    A structured answer's field is ``out.people``, and ``people`` where no column has that name.
    """
    known = columns if isinstance(columns, (set, frozenset, dict)) else set(columns)
    for candidate in (name, f"out.{name}"):
        if candidate in known:
            return candidate
    return None


def nearest(name: str, known: Iterable[object]) -> str:
    """The names that ``name`` may have been meant to be, as the end of a message; "" for none."""
    names = {str(one).casefold(): str(one) for one in known}
    short = {folded.removeprefix("out."): shown for folded, shown in names.items()}
    wanted = name[:200].casefold()
    found = [names[match] for match in difflib.get_close_matches(wanted, names, 3, 0.7)]
    bare = wanted.removeprefix("out.")
    found += [short[match] for match in difflib.get_close_matches(bare, short, 3, 0.7)]
    distinct = list(dict.fromkeys(found))[:3]
    return f"; did you mean {' or '.join(distinct)}?" if distinct else ""


def not_there(name: str, columns: Iterable[object]) -> str:
    """What to say about a name that no column has."""
    known = [str(column) for column in columns]
    if close := nearest(name, known):
        return f"there is no column {name[:100]}{close}"
    outs = [column for column in known if column.startswith("out")]
    listed = [column[:40] for column in (outs or known)]
    more = f" and {len(known) - len(listed[:_LISTED])} more" if len(known) > _LISTED else ""
    names = ", ".join(listed[:_LISTED]) or "none"
    return f"there is no column {name[:100]}; there are {names}{more}"
