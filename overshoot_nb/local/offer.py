"""A publisher's SDP offer, looked over before aiortc gets it.

aiortc sets up a transport for each part and a check for each candidate on the media thread, where
a large offer would hold up every stream; and what it misses later, it misses in tasks of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from .refusals import Invalid

__all__ = ["NamedCandidate", "Offer"]

#: Candidates and parts (m-lines) of an offer; a browser's has about twenty, and three.
MAX_CANDIDATES = 64
MAX_PARTS = 8

#: What a connection cannot be made without.
_NEEDED = ("fingerprint", "ice-ufrag", "ice-pwd")


class NamedCandidate(NamedTuple):
    """A candidate with a name of multicast DNS, as browsers write them to hide addresses."""

    part: int
    candidate: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A checked offer.

    Attributes:
        sdp: the offer without candidates that have a name.
        named: these, where it has no others. To look a name up takes a second when nobody
            answers, and where addresses are known nobody needs it: the publisher sends checks
            from wherever it is.
    """

    sdp: str
    named: tuple[NamedCandidate, ...] = field(default=())

    @classmethod
    def parse(cls, sdp: str) -> Offer:
        """Check an offer.

        Raises:
            Invalid: 422, it is too large, or lacks what a connection needs.
        """
        parts = [part.splitlines() for part in re.split(r"^(?=m=)", sdp, flags=re.MULTILINE)]
        candidates = [
            NamedCandidate(number, line.removeprefix("a=candidate:").strip())
            for number, part in enumerate(parts[1:])
            for line in part
            if line.startswith("a=candidate:")
        ]
        if len(parts) - 1 > MAX_PARTS:
            raise _invalid(f"has more than {MAX_PARTS} parts (m=)")
        if len(candidates) > MAX_CANDIDATES:
            raise _invalid(f"has more than {MAX_CANDIDATES} candidates")
        _need_credentials(parts)
        named = tuple(each for each in candidates if _is_named(each.candidate))
        if not named:
            return cls(sdp)
        lines = [line for part in parts for line in part if not _names_one(line)]
        if len(named) < len(candidates):
            return cls(_joined(lines))
        # More is to come.
        return cls(_joined(line for line in lines if line != "a=end-of-candidates"), named)


def _need_credentials(parts: list[list[str]]) -> None:
    """Each part has them, or all together, or the part whose transport it shares."""
    session, *media = parts
    shared: set[str] = set()
    for line in session:
        if line.startswith("a=group:BUNDLE"):
            shared.update(line.split()[2:])
    bundled = False  # the part that others share was there
    for part in media:
        mid = next((line[len("a=mid:") :] for line in part if line.startswith("a=mid:")), "")
        if mid in shared and bundled:
            continue
        bundled = bundled or mid not in shared
        for name in _NEEDED:
            if not any(line.startswith(f"a={name}:") for line in (*session, *part)):
                raise _invalid(f"has no a={name}, so no connection can be made")


def _names_one(line: str) -> bool:
    return line.startswith("a=candidate:") and _is_named(line)


def _is_named(candidate: str) -> bool:
    # foundation component protocol priority address port ...
    words = candidate.split()
    return len(words) > 4 and words[4].casefold().rstrip(".").endswith(".local")


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)


def _invalid(problem: str) -> Invalid:
    return Invalid(f"source.sdp {problem}", "body.source.sdp")
