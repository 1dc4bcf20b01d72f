"""A publisher's SDP offer, looked over before aiortc gets it.

aiortc says of what it cannot answer little that anybody could act on, and of some offers nothing:
it answers them, and no video comes. And it sets up a transport for each part and a check for each
candidate on the media thread, where a large offer would hold up every stream; and what it misses
later, it misses in tasks of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from .refusals import Invalid

#: Candidates and parts (m-lines) of an offer; a browser's has about twenty, and three.
MAX_CANDIDATES = 64
MAX_PARTS = 8

#: What a connection cannot be made without.
_NEEDED = ("fingerprint", "ice-ufrag", "ice-pwd")

#: Hashes that aiortc compares certificates by, and the bytes of each.
_HASHES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_SETUPS = ("actpass", "active", "passive")
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_SENDING = ("sendrecv", "sendonly")
#: What is repaired or repeated, and no picture by itself.
_HELPERS = ("RTX", "RED", "ULPFEC", "FLEXFEC-03")
#: Letters of an offer that are told.
_SHOWN = 60


class NamedCandidate(NamedTuple):
    """A candidate with a name of multicast DNS, as browsers write them to hide addresses."""

    part: int
    candidate: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A checked offer.

    Attributes:
        sdp: the offer without candidates that have a name, and with the direction of each video.
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
            Invalid: 422, it is too large, sends no video that can be received, or lacks what a
                connection needs.
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
        _need_video(parts)
        _need_credentials(parts)
        _need_candidates(candidates)
        named = tuple(each for each in candidates if _is_named(each.candidate))
        told = _tell_directions(parts)
        if not named:
            return cls(_joined(line for part in parts for line in part) if told else sdp)
        lines = [line for part in parts for line in part if not _names_one(line)]
        if len(named) < len(candidates):
            return cls(_joined(lines))
        # More is to come.
        return cls(_joined(line for line in lines if line != "a=end-of-candidates"), named)


def _value(lines: Iterable[str], name: str) -> str | None:
    """What the first line ``a=name:`` says."""
    start = f"a={name}:"
    return next((line[len(start) :].strip() for line in lines if line.startswith(start)), None)


def _need_video(parts: list[list[str]]) -> None:
    """A video that is sent, in a codec that can be received."""
    session, *media = parts
    videos = [part for part in media if re.match(r"m=video\b", part[0])]
    if not media and not (session and session[0].startswith("v=")):
        raise _invalid("is no SDP: it must begin with v=0 and have a part m=video")
    if not videos:
        kinds = ", ".join(sorted({_shown(part[0][2:].partition(" ")[0]) for part in media}))
        raise _no_video(f"it has no part m=video, {f'only {kinds}' if kinds else 'nor any other'}")
    problems = [_problem(part, session) for part in videos]
    if None not in problems:
        raise _no_video("; ".join(dict.fromkeys(filter(None, problems))))


def _problem(part: list[str], session: list[str]) -> str | None:
    """Why a video cannot be received; None where it can."""
    words = part[0].split()
    if len(words) < 4 or not words[1].partition("/")[0].isdigit():
        return f"the line {_shown(part[0])} is not whole (m=video <port> <protocol> <formats>)"
    if words[1] == "0" and "a=bundle-only" not in part:
        return "its part m=video is switched off (port 0)"
    direction = _direction(part, session)
    if direction not in _SENDING:
        return f"its part m=video is a={direction}, and must be a=sendonly or a=sendrecv"
    named: dict[str, None] = {}
    for line in part:
        found = re.match(r"a=rtpmap:(\d+) +([\w.-]+)/", line)
        if found is not None and found[1] in words[3:]:
            named[found[2].upper()] = None
    supported = _codecs()
    if not any(name in supported for name in named):
        others = ", ".join(name for name in named if name not in _HELPERS)
        return (
            f"its part m=video has none of the codecs that can be received "
            f"({', '.join(supported)}), {f'only {others}' if others else 'nor any other'}"
        )
    return None


def _direction(part: list[str], session: list[str]) -> str:
    for lines in (part, session):
        for line in lines:
            if line.startswith("a=") and line[2:].strip() in _DIRECTIONS:
                return line[2:].strip()
    return "sendrecv"


@cache
def _codecs() -> tuple[str, ...]:
    """What aiortc decodes."""
    from aiortc import RTCRtpReceiver

    known = RTCRtpReceiver.getCapabilities("video")
    found = [] if known is None else known.codecs
    names = dict.fromkeys(codec.mimeType.partition("/")[2].upper() for codec in found)
    return tuple(name for name in names if name not in _HELPERS)


def _tell_directions(parts: list[list[str]]) -> bool:
    """Write the direction of each video into it, where aiortc looks; whether one was missing."""
    session, *media = parts
    told = False
    for part in media:
        own = any(line[2:].strip() in _DIRECTIONS for line in part if line.startswith("a="))
        if part[0].startswith("m=video") and not own:
            part.append(f"a={_direction(part, session)}")
            told = True
    return told


def _need_candidates(candidates: list[NamedCandidate]) -> None:
    """Where there are any, one that can be reached."""
    for each in candidates:
        words = each.candidate.split()
        if len(words) < 8 or not all(words[at].isdigit() for at in (1, 3, 5)):
            raise _invalid(f"has a candidate that is not whole: {_shown(each.candidate)}")
    if candidates and all(each.candidate.split()[2].casefold() != "udp" for each in candidates):
        raise _invalid("has no candidate over UDP, so no connection can be made")


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
        lines = (*part, *session)
        for name in _NEEDED:
            if not _value(lines, name):
                raise _invalid(f"has no a={name}, so no connection can be made")
        if not any(map(_is_fingerprint, lines)):
            raise _invalid(f"has no a=fingerprint of {', '.join(_HASHES)} that is whole")
        setup = _value(lines, "setup")
        if setup not in _SETUPS:
            said = "no a=setup" if not setup else f"a=setup:{_shown(setup)}"
            raise _invalid(f"has {said}; it must be one of {', '.join(_SETUPS)}")
        if part[0].startswith(("m=video", "m=audio")) and "a=rtcp-mux" not in part:
            raise _invalid("has a part without a=rtcp-mux, so no connection can be made")


def _is_fingerprint(line: str) -> bool:
    found = re.match(r"a=fingerprint:(\S+) ([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*)\s*$", line)
    return found is not None and _HASHES.get(found[1].casefold()) == len(found[2].split(":"))


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


def _no_video(reason: str) -> Invalid:
    return _invalid(f"offers no video that can be received: {reason}")


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")
