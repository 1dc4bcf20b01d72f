"""One stream at work: frames come in, chosen ones are asked about, results go out.

Everything here runs on the media thread's loop, but for what the engine calls on its own thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from overshoot_nb import config
from overshoot_nb.sampling.encoder import FrameEncoder, fit

from .answering import Answer, Question
from .live_sampler import Received, make_chooser
from .refusals import Refusal
from .result_feed import result_message
from .webrtc import VideoReceiver

if TYPE_CHECKING:
    import av

    from overshoot_nb.local.gateway_stream import GatewayStream

    from .clips import ClipStore
    from .engine import Engine
    from .pictures import Picture

logger = logging.getLogger("overshoot_nb.local")

#: A stream is idle after so long without a frame.
IDLE_SECONDS = 3.0
#: Frames are counted over the last seconds for the frame rate.
RATE_SECONDS = 3.0
_MAX_COUNTED = 400
_SQUARE = Fraction(1)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the engine's thread made of the sample that was there when its turn came."""

    prompt: str
    newest: Received
    pictures: tuple[Picture, ...]  # BGR, at most 1280x720


class StreamWatch:
    """Watches one stream's video.

    Args:
        stream: whose prompt and settings count, as they are at each inference.
        engine: who is asked; one question of this stream at a time.
        clips: where the pictures of its results are kept.
        on_lost: called once when the peer is gone.

    Raises:
        StreamRefusal: 501, aiortc is not installed.
    """

    def __init__(
        self,
        stream: GatewayStream,
        engine: Engine,
        clips: ClipStore,
        on_lost: Callable[[], object],
    ) -> None:
        self._stream = stream
        self._engine = engine
        self._clips = clips
        self._loop = asyncio.get_running_loop()
        self._receiver = VideoReceiver(self._arrived, on_lost)
        self._chooser = make_chooser(stream.request.processing, self._chosen)
        self._encoder = FrameEncoder(config.MAX_SIZE, config.JPEG_QUALITY)
        # The newest sample replaces one that waits; the engine takes it when it gets to it.
        self._waiting: deque[tuple[Received, ...]] = deque(maxlen=1)
        self._new = asyncio.Event()
        self._answering = asyncio.create_task(self._answer_all())
        self._storing: asyncio.Future[None] | None = None
        self._closed = False
        self._arrivals: deque[float] = deque(maxlen=_MAX_COUNTED)
        self._size: tuple[int, int] | None = None
        self._completed = self._failed = 0
        self._last_latency: float | None = None

    async def connect(self, sdp: str) -> str:
        """Answer the publisher's offer; its video is watched from when it comes.

        Raises:
            Invalid: 422, the offer cannot be used.
        """
        return await self._receiver.answer(sdp)

    async def close(self) -> None:
        """Stop watching and end the connection. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._chooser.close()
        self._waiting.clear()
        self._answering.cancel()
        await asyncio.gather(self._answering, return_exceptions=True)
        await self._receiver.close()
        if self._storing is not None:
            await self._storing

    # ---- what is known of it, from any thread ------------------------------------------------

    @property
    def state(self) -> str:
        """pending until the first frame, then active, or idle when none has come for a while."""
        if not self._arrivals:
            return "pending"
        silent = self._loop.time() - self._arrivals[-1]
        return "idle" if silent > IDLE_SECONDS else "active"

    def facts(self) -> dict[str, Any]:
        """The part of ``info`` that is about media and inferences; None where not known."""
        frame = effective = None
        if self._size is not None:
            frame = self._size
            effective = fit(*frame, aspect=_SQUARE, rotation=0, max_size=config.MAX_SIZE)
        return {
            "fps": self._frame_rate(),
            "frame_width": frame and frame[0],
            "frame_height": frame and frame[1],
            "effective_width": effective and effective[0],
            "effective_height": effective and effective[1],
            "inferences_completed": self._completed,
            "inferences_failed": self._failed,
            "last_inference_latency_seconds": self._last_latency,
        }

    def _frame_rate(self) -> float | None:
        since = self._loop.time() - RATE_SECONDS
        # A copy: frames come meanwhile.
        times = [at for at in self._arrivals.copy() if at >= since]
        if len(times) < 2:
            return None
        return round((len(times) - 1) / (times[-1] - times[0]), 2)

    # ---- frames ------------------------------------------------------------------------------

    def _arrived(self, frame: av.VideoFrame) -> None:
        if self._closed:
            return
        now = self._loop.time()
        self._arrivals.append(now)
        self._size = frame.width, frame.height
        self._chooser.arrived(Received(frame, now))

    def _chosen(self, frames: tuple[Received, ...]) -> None:
        self._waiting.append(frames)
        self._new.set()

    # ---- inferences --------------------------------------------------------------------------

    async def _answer_all(self) -> None:
        while True:
            await self._new.wait()
            self._new.clear()
            if self._waiting:
                await self._infer()

    async def _infer(self) -> None:
        started = self._loop.time()
        asked: _Asked | None = None
        answer: Answer | None = None
        error: str | None = None

        def question() -> tuple[Question, Sequence[Picture]]:
            nonlocal asked
            wanted = self._stream.request
            frames = self._waiting.pop()
            asked = _Asked(wanted.prompt, frames[-1], self._pictures(frames))
            return (
                Question(
                    wanted.model,
                    wanted.prompt,
                    wanted.output_schema_json,
                    max_tokens=wanted.max_output_tokens,
                ),
                [np.ascontiguousarray(picture[:, :, ::-1]) for picture in asked.pictures],
            )

        try:
            answer = await self._engine.ask(question, lane="streams")
        except Refusal as refusal:
            error = refusal.message
        except Exception as fault:
            logger.exception("the local engine failed")
            error = f"the local engine failed: {type(fault).__name__}"
        if asked is None:  # the engine is closed, or no sample was left when its turn came
            return
        if answer is not None and answer.finish_reason == "length" and self._wants_json:
            limit = self._stream.request.max_output_tokens
            error = f"the answer is no whole JSON: it was cut at max_output_tokens={limit}"
        # Its turn may have been waited for since before the frame came that it is about.
        latency = self._loop.time() - max(started, asked.newest.at)
        result_id = uuid4().hex
        self._publish(result_id, asked, answer, error, latency * 1e3)
        if self._storing is not None:
            # Encoding is faster than asking; where it is not, it sets the pace.
            await asyncio.wait([self._storing])
        self._storing = self._loop.run_in_executor(
            None, partial(self._store, result_id, asked.pictures)
        )

    @property
    def _wants_json(self) -> bool:
        return self._stream.request.output_schema_json is not None

    def _pictures(self, frames: Sequence[Received]) -> tuple[Picture, ...]:
        """The pictures of a sample, each frame converted once. On the engine's thread."""
        made: dict[int, Picture] = {}
        for received in frames:
            if id(received) not in made:
                made[id(received)] = self._encoder.picture(received.frame)
        return tuple(made[id(received)] for received in frames)

    def _publish(
        self,
        result_id: str,
        asked: _Asked,
        answer: Answer | None,
        error: str | None,
        latency_ms: float,
    ) -> None:
        request = self._stream.request
        self._last_latency = round(latency_ms / 1e3, 4)
        if error is None:
            self._completed += 1
        else:
            self._failed += 1
        message = result_message(
            self._stream.id,
            request,
            asked.prompt,
            answer,
            error,
            result_id=result_id,
            latency_ms=latency_ms,
            total_ms=(self._loop.time() - asked.newest.at) * 1e3,
        )
        self._stream.feed.publish(message)

    def _store(self, result_id: str, pictures: Sequence[Picture]) -> None:
        made: dict[int, bytes] = {}
        for picture in pictures:
            if id(picture) not in made:
                made[id(picture)] = self._encoder.encode(picture, 0.0).data
        self._clips.add(result_id, self._stream.owner, [made[id(each)] for each in pictures])
