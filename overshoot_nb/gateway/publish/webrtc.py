"""Publishes video over WebRTC, with aiortc."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from overshoot_nb import config
from overshoot_nb.errors import MissingDependencyError, NetworkError, ServerError
from overshoot_nb.types import KeepaliveResponse, StreamCreateResponse

from .closing import close_peer
from .latest import LatestFrame

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection, RTCRtpTransceiver

logger = logging.getLogger("overshoot_nb")

#: Seconds that closing may take.
CLOSE_SECONDS = 0.8
_OVER = ("failed", "closed")


class WebRTCPublisher:
    """One WebRTC connection that sends video and receives nothing.

    A ``Publisher``, for one loop: :meth:`offer`, :meth:`connect`,
    :meth:`close`. No STUN server is asked; the server's answer names relays if there are any.

    Args:
        latest: where the frames come from.
        loopback: offer 127.0.0.1 besides the machine's other addresses. Where there is no other,
            it is offered in any case.
        timeout: seconds that connecting may take once the server has answered.

    Raises:
        MissingDependencyError: aiortc is not installed.
    """

    def __init__(
        self,
        latest: LatestFrame,
        *,
        loopback: bool = False,
        timeout: float = config.MEDIA_TIMEOUT_SECONDS,
    ) -> None:
        if importlib.util.find_spec("aiortc") is None:
            raise MissingDependencyError(
                'publishing over WebRTC needs aiortc: pip install "overshoot-nb[webrtc]"'
            )
        self._latest = latest
        self._loopback = loopback
        self._timeout = timeout
        self._pc: RTCPeerConnection | None = None
        self._transceiver: RTCRtpTransceiver | None = None
        self._gathering: asyncio.Future[None] | None = None
        self._changed = asyncio.Event()
        self._closed = False

    # ---- connecting ----------------------------------------------------------------------------

    async def offer(self) -> Mapping[str, Any] | None:
        """See ``Publisher``: ``{"type": "webrtc", "sdp": ...}``."""
        # The first import takes a while, which the streams of this loop need not wait for.
        await asyncio.to_thread(_load_encoding)
        from aiortc import RTCConfiguration, RTCPeerConnection

        from .ice import allow_loopback
        from .track import FeedTrack

        if self._closed:
            raise RuntimeError("the publisher was closed")
        pc = self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        pc.on("connectionstatechange", self._changed.set)
        self._transceiver = pc.addTransceiver(FeedTrack(self._latest), direction="sendonly")
        allow_loopback(pc, always=self._loopback)
        # Never broken off: see close_peer().
        self._gathering = asyncio.ensure_future(pc.setLocalDescription())
        await asyncio.shield(self._gathering)
        return {"type": "webrtc", "sdp": pc.localDescription.sdp}

    async def connect(self, created: StreamCreateResponse) -> None:
        """See :class:`~overshoot_nb.gateway.publish.publisher.Publisher`."""
        from aiortc import RTCSessionDescription

        from .encoding import encode_readably
        from .ice import add_turn_servers

        pc, transceiver = self._pc, self._transceiver
        if pc is None or transceiver is None:
            raise RuntimeError("connect() comes after offer()")
        if created.webrtc is None:
            raise ServerError(
                "the server answered without a WebRTC description: it may not take video "
                'over WebRTC; transport="native" is the other way'
            )
        await add_turn_servers(pc, created.turn_servers)
        try:
            await pc.setRemoteDescription(
                RTCSessionDescription(sdp=created.webrtc.sdp, type=created.webrtc.type)
            )
        # Descriptions are parsed without checks: a broken one can raise nearly anything.
        except Exception as error:
            raise ServerError(
                f"the server's WebRTC answer cannot be used: {type(error).__name__}: {error}"
            ) from error
        if transceiver.currentDirection != "sendonly":
            raise ServerError("the server's WebRTC answer takes no video")
        encode_readably(transceiver)
        await self._wait_connected(pc)

    async def _wait_connected(self, pc: RTCPeerConnection) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout):
                while pc.connectionState not in ("connected", *_OVER):
                    self._changed.clear()
                    await self._changed.wait()
        if pc.connectionState != "connected":
            raise NetworkError(self._why_not(pc, loop.time() - began))

    def _why_not(self, pc: RTCPeerConnection, seconds: float) -> str:
        ours, theirs = _candidates(self._transceiver)
        if not theirs:
            return (
                f"no media connection after {seconds:.1f} s: the server named no address to send "
                "video to; ask whoever runs it"
            )
        advice = (
            "the server may be gone, or a firewall holds back UDP: try another network"
            if ours["relay"]
            else "a firewall or proxy may hold back UDP, and the server named no relay (TURN) that "
            "could be used: try another network"
        )
        return (
            f"no media connection to the server after {seconds:.1f} s: tried {_counted(ours)} "
            f"here with {_counted(theirs)} there; {advice}"
        )

    def renewed(self, keepalive: KeepaliveResponse) -> None:
        """See ``Publisher``. Nothing to do: WebRTC has no token."""

    # ---- its end -------------------------------------------------------------------------------

    async def wait_lost(self) -> str:
        """See :class:`~overshoot_nb.gateway.publish.publisher.Publisher`."""
        pc = self._pc
        while pc is not None and not self._closed and pc.connectionState not in _OVER:
            self._changed.clear()
            await self._changed.wait()
        if self._closed or pc is None:
            return "the media connection was closed"
        if pc.connectionState == "closed":
            return "the server closed the media connection"
        return "the media connection broke: nothing has come from the server for about 30 s"

    async def close(self) -> None:
        """See :class:`~overshoot_nb.gateway.publish.publisher.Publisher`."""
        self._closed = True
        self._changed.set()
        pc, self._pc = self._pc, None
        if pc is None:
            return
        closing = asyncio.ensure_future(close_peer(pc, self._gathering))
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await asyncio.shield(closing)
        except TimeoutError:
            closing.cancel()
            logger.info("the media connection did not close within %.1f s", CLOSE_SECONDS)
        except Exception:
            logger.info("the media connection did not close in order", exc_info=True)


def _candidates(transceiver: Any) -> tuple[Counter[str], Counter[str]]:
    """How many addresses of each kind there are, ours and the server's."""
    ice = transceiver.sender.transport.transport
    return _kinds(ice.iceGatherer.getLocalCandidates()), _kinds(ice.getRemoteCandidates())


def _kinds(candidates: Sequence[Any]) -> Counter[str]:
    # Not those that were only met on the way ("prflx"): nobody named them.
    return Counter(candidate.type for candidate in candidates if candidate.type != "prflx")


def _counted(kinds: Counter[str]) -> str:
    total = sum(kinds.values())
    if not total:
        return "no address"
    each = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return f"{total} address{'es' if total > 1 else ''} ({each})"


def _load_encoding() -> None:
    from . import encoding  # noqa: F401
