"""How a result channel's WebSocket ended, and whether another one would fare better.

=========================  =====================================================================
close code                 what follows
=========================  =====================================================================
1001 with a known reason   ``StreamClosedError`` with that reason; ``InsufficientCreditsError``
(1000 is treated alike)    for insufficient_credits
1008                       ``WebSocketError``: the key was refused
1002, 1003, 1007, 1009,    ``WebSocketError``: one side sent what the other cannot take (1009: a
1010, 3000 and above       message of 4 MiB or more), or a server's own code; again would not help
any other, or none         another WebSocket: 1000 and 1001 without a known reason, 1006 (the
                           connection broke), 1011, 1012, 1013, ...
=========================  =====================================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from overshoot_nb.asking.socket import ABNORMAL, POLICY_VIOLATION, SocketClosed
from overshoot_nb.errors import (
    InsufficientCreditsError,
    OvershootError,
    StreamClosedError,
    WebSocketError,
)

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
FINAL_CODES: Final = frozenset({1002, 1003, 1007, 1009, 1010})
#: From here on, codes are those of libraries and applications.
FIRST_OWN_CODE: Final = 3000

OUT_OF_CREDITS: Final = "insufficient_credits"
#: A server's words for why a stream ended, and what to do.
STREAM_ENDINGS: Mapping[str, str] = MappingProxyType(
    {
        "client_requested": "it was deleted, here or by another client with this key. "
        "Create a new one to go on",
        "webrtc_disconnected": "its server lost the WebRTC connection that carries the video. "
        "Check the network, then create it again",
        "livekit_disconnected": "the video's LiveKit room was left, or lost its connection. "
        "Check who publishes into it, then create the stream again",
        "lease_expired": "its server got no keepalive in time. Send one every 10 to 20 s; "
        "if they were sent, check the network. Then create it again",
        OUT_OF_CREDITS: "the account has no credits left. Top it up, then create it again",
    }
)


def in_words(closed: SocketClosed) -> str:
    """What happened, for a status line."""
    if closed.code == ABNORMAL:
        return closed.reason or "the connection broke"
    return f"closed with {closed.code}{f': {closed.reason}' if closed.reason else ''}"


def ending_error(closed: SocketClosed, stream_id: str) -> OvershootError | None:
    """The error that a close means, or None when the server may be there again in a moment."""
    if closed.code in (NORMAL, GOING_AWAY):
        words = re.findall(r"[a-z_]+", closed.reason.lower())
        reason = next((word for word in words if word in STREAM_ENDINGS), None)
        if reason is None:
            return None
        message = f"stream {stream_id} has ended ({reason}): {STREAM_ENDINGS[reason]}"
        if reason == OUT_OF_CREDITS:
            return InsufficientCreditsError(message)
        return StreamClosedError(message, reason)
    if closed.code == POLICY_VIOLATION:
        said = closed.reason or "no reason given"
        return WebSocketError(
            f"the server refused the result channel of stream {stream_id} (1008): {said}. "
            "Is the API key right, and the one that the stream was created with?",
            POLICY_VIOLATION,
        )
    if closed.code in FINAL_CODES or closed.code >= FIRST_OWN_CODE:
        return WebSocketError(
            f"the result channel of stream {stream_id} ended, {in_words(closed)}", closed.code
        )
    return None
