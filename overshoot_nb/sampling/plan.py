"""Choosing before decoding: which packets the decoder needs, and which of their frames it may skip.

Decoding is nearly all of the cost of sampling. A plan takes the packets of one segment in decode
order and yields those to decode, each with when its frame leaves the screen if the frame is
wanted, so that the wanted frames come out as they would from decoding everything.
"""

from __future__ import annotations

import operator
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

#: Packets that a file's plan looks ahead: more than any codec reorders.
AHEAD = 24
#: Seconds without a frame that are believed: beyond them a clock is wrong, or a duration.
MAX_GAP = 3600.0
#: Packets that a live plan waits for a frame's successor when the stream does not tell.
LIVE_AHEAD = 4
#: Bytes of packets held back in the hope that nothing in the rest of their GOP is wanted.
HELD_BYTES = 16 << 20

#: A packet; the pts of the next frame on screen if its own frame is wanted, else None; whether
#: packets were left out before it, so that the decoder must be drained and flushed first.
Planned = tuple[Any, int | None, bool]
Wants = Callable[[int, int], bool]


class Pace(Protocol):
    """The clock of a file that is played, as a plan sees it."""

    def approach(self, pts: int, held: int) -> None:
        """Blocks until it is time to look at a packet, with ``held`` others held back."""

    def awaited(self) -> bool:
        """Whether a wanted frame is still inside the decoder."""


def plan_file(
    packets: Iterable[Any],
    wants: Wants,
    *,
    frame_duration: int,
    last_end: Callable[[int, int], int] = operator.add,
    intra_only: bool = False,
    clean: Callable[[Any], bool] = lambda packet: True,
    pace: Pace | None = None,
) -> Iterator[Planned]:
    """For a source that gives packets as fast as they are asked for.

    Looks ahead, so that each packet's successor in display order is known, and sends only what a
    wanted frame can depend on: GOPs and tails of GOPs without one are left out.

    Args:
        packets: in decode order.
        wants: whether a frame on screen during ``[start, end)``, in pts, is wanted.
        frame_duration: of a last frame that does not say its own, in units of pts.
        last_end: when a last frame of that pts and duration leaves the screen.
        intra_only: every frame stands alone.
        clean: whether a keyframe needs nothing before it.
        pace: for a file that is played. Reading stops at each packet until it is time for it, so
            a wanted frame must not have to wait in the decoder for the packets of the next one.
            What is held back is asked about again when it is let go: by then something else may
            want it.
    """
    window: deque[tuple[Any, int | None]] = deque()
    times: list[int] = []
    # Unwanted packets, and when their frames are on screen.
    held: list[tuple[Any, int | None, int]] = []
    held_bytes = 0
    left_out = False
    source = iter(packets)
    filling = True
    while True:
        if filling:
            for packet in source:
                pts = packet.pts
                window.append((packet, pts))
                if pts is not None:
                    insort(times, pts)
                if len(window) > AHEAD:
                    break
            else:
                filling = False
        if not window:
            return
        packet, pts = window.popleft()
        end = None
        after = 0
        if pts is not None:
            if pace is not None:
                pace.approach(pts, len(held))
            i = bisect_right(times, pts)
            shown = _on_screen(packet, frame_duration)
            after = times[i] if i < len(times) else last_end(pts, shown)
            if wants(pts, after):
                end = after
            if i > 3 * AHEAD:
                del times[:AHEAD]
        needed = end is not None or (pace is not None and pace.awaited())
        if intra_only:
            if needed:
                yield packet, end, False
            continue
        if held and packet.is_keyframe and pts is not None:
            # Frames that follow the keyframe but are shown before it (an open GOP) still need
            # the GOP before it.
            leading = any(t is None or t < pts for _, t in window)
            if not leading and clean(packet):
                held.clear()
                held_bytes = 0
                left_out = True
        if not needed:
            held.append((packet, pts, after))
            held_bytes += packet.size
            if held_bytes < HELD_BYTES:
                continue
        for kept, start, stop in held:
            again = pace is not None and start is not None and wants(start, stop)
            yield kept, stop if again else None, left_out
            left_out = False
        held.clear()
        held_bytes = 0
        if needed:
            yield packet, end, left_out
            left_out = False


def plan_live(
    packets: Iterable[Any],
    wants: Wants,
    *,
    frame_duration: int,
    last_end: Callable[[int, int], int] = operator.add,
    intra_only: bool = False,
    reorders: bool = False,
) -> Iterator[Planned]:
    """For a source that paces itself: nothing is held back longer than choosing needs.

    A packet is passed on when its successor on screen is known: no later packet is shown before
    the newest decoding time. What is not wanted is decoded at once, so that no work piles up.

    Args:
        packets, wants, frame_duration, last_end, intra_only: as in :func:`plan_file`.
        reorders: whether frames are shown in another order than they are decoded in.
    """
    window: deque[Any] = deque()
    times: list[int] = []

    def pop() -> Planned | None:
        packet = window.popleft()
        pts = packet.pts
        if pts is None:
            return packet, None, False
        i = bisect_right(times, pts)
        shown = _on_screen(packet, frame_duration)
        after = times[i] if i < len(times) else last_end(pts, shown)
        if i > 3 * AHEAD:  # far behind: frames still to come may be shown before this one
            del times[:AHEAD]
        end = after if wants(pts, after) else None
        return None if intra_only and end is None else (packet, end, False)

    def known(newest: int | None) -> bool:
        pts = window[0].pts
        if pts is None or len(window) > AHEAD:
            return True
        i = bisect_right(times, pts)
        if i == len(times):
            return False
        return times[i] <= newest if newest is not None else len(window) > LIVE_AHEAD

    for packet in packets:
        window.append(packet)
        pts = packet.pts
        if pts is not None:
            insort(times, pts)
        newest = packet.dts if reorders else pts
        while window and known(newest):
            if planned := pop():
                yield planned
    while window:
        if planned := pop():
            yield planned


def _on_screen(packet: Any, usual: int) -> int:
    """How long a frame without a successor is shown."""
    said = packet.duration
    return said if said and said * packet.time_base <= MAX_GAP else usual


def clean_start(packet: Any, extradata: bytes | None) -> bool:
    """Whether an H.264 keyframe is an IDR picture.

    Containers also flag recovery points as keyframes, from which a picture is whole only after
    some frames (periodic intra refresh): nothing before them may be left out.
    """
    view = bytes(memoryview(packet))
    if extradata and extradata[0] == 1:  # avcC: units with a length before each
        size, at = (extradata[4] & 3) + 1, 0
        while at + size < len(view):
            kind = view[at + size] & 31
            if kind in (1, 5):
                return kind == 5
            at += size + int.from_bytes(view[at : at + size], "big")
        return False
    at = view.find(b"\0\0\1")
    while 0 <= at < len(view) - 3:
        kind = view[at + 3] & 31
        if kind in (1, 5):
            return kind == 5
        at = view.find(b"\0\0\1", at + 3)
    return False
