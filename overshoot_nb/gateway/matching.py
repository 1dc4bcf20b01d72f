"""Which moment of the video and which prompt a result is about that a v0.2 server pushed.

The server says how long ago it took the picture (``total_latency_ms``), not which one it was. So
the time of its capture is that of the message less this latency, less what the picture took on its
way there; and what was on screen then is known here. ``media_time`` of such a row is as exact as
that: at best to a frame.

All of it is reckoned in ``time.monotonic()``. Clocks on walls are set now and then, ours and the
server's: ours is asked only for what a row says of it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from overshoot_nb.asking.answer import judge_content
from overshoot_nb.asking.parsing import SchemaReader
from overshoot_nb.sampling.sampler import ClipSampler
from overshoot_nb.settings.stream_settings import StreamSettings
from overshoot_nb.sources.kinds import FileSource
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.types import ClipProcessingConfig, EncodedFrame, Sample, StreamInferenceResult

from .publish.recent import RecentFrames
from .result_message import ResultMessage

#: What a frame takes from here to the server's sampler: encoding, packets, the receiver's buffer.
#: It is 0.01 to the embedded engine over loopback, and 0.07 to a receiver that holds a frame until
#: the next one comes; a far server adds its half round trip.
MEDIA_SECONDS = 0.03
#: How far a capture time worked out here may be off.
DOUBT_SECONDS = 0.15
#: How old a result may be when it arrives: what a server takes for it, and what it sends again to
#: a listener that was away.
LATE_SECONDS = 120.0
#: From the messages of so many seconds, at most so many, the server's clock is told from ours.
CLOCK_SECONDS, CLOCK_MESSAGES = 120.0, 256
#: Results may be made in another order than they are sent; a clock that goes back by more was set.
ORDER_SECONDS = 2.0
#: A latency beyond a day is none.
MAX_LATENCY_MS = 86_400_000.0


class Matching:
    """Rows made of a stream's results.

    Args:
        settings: what the stream does.
        prompt: what is asked at first.
        recent: what was published when; None where the server watches a room of its own.
        first_index: index of the first sample.
        clock: seconds, as ``ResultMessage.received_monotonic``.
    """

    def __init__(
        self,
        settings: StreamSettings,
        prompt: PromptVersion,
        recent: RecentFrames | None,
        *,
        first_index: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._recent = recent
        self._clock = clock
        self._asked = [(float("-inf"), prompt)]  # since when
        self._reader = SchemaReader(prompt.output_schema) if prompt.output_schema else None
        self._index = first_index
        self._began = clock()
        self._server = ServerClock()
        self._captured: float | None = None  # of the newest result
        self._answered: float | None = None
        self._latency = 0.0
        processing = settings.processing
        self._clip: tuple[int, float] | None = None  # frames, seconds from the first to the last
        if isinstance(processing, ClipProcessingConfig):
            length = ClipSampler(processing).length
            self._clip = length, (length - 1) / processing.target_fps
        if recent is not None:
            recent.keep_for(LATE_SECONDS + (self._clip[1] if self._clip else 0.0))

    # ---- prompts ----

    def asked(self, prompt: PromptVersion) -> bool:
        """The server is being told to ask this; False where it was the last one anyway."""
        if prompt is self._asked[-1][1]:
            return False
        self._asked.append((self._clock(), prompt))
        return True

    def not_asked(self, prompt: PromptVersion) -> None:
        """It refused a prompt that it was told to ask instead of another."""
        if self._asked[-1][1] is prompt:  # it may have been asked before that, too
            self._asked.pop()

    def _version(self, text: str, began: float) -> PromptVersion:
        """The newest version with this text that was there when the inference began."""
        known = [(since, v) for since, v in self._asked if v.text == text] or self._asked
        there = [v for since, v in known if since <= began]
        return there[-1] if there else known[0][1]

    # ---- rows ----

    def judged(self, message: ResultMessage) -> tuple[Any, str | None]:
        """The parsed answer, and why it cannot be used; of a large one in any thread."""
        if not message.ok:
            return None, message.error
        return judge_content(
            message.result, message.finish_reason, None, self._reader, reasoning=message.reasoning
        )

    def row(
        self, message: ResultMessage, judged: tuple[Any, str | None] | None = None
    ) -> tuple[Sample, StreamInferenceResult]:
        """The sample that a result is about, with its index, and its row. Raises nothing.

        Args:
            message: the result.
            judged: what :meth:`judged` says of it, where it was asked already.
        """
        message = replace(
            message,
            inference_latency_ms=_latency(message.inference_latency_ms),
            total_latency_ms=_latency(message.total_latency_ms),
        )
        made_at = self._made_at(message)
        captured = made_at - message.total_latency_ms / 1e3 - MEDIA_SECONDS
        ago = timedelta(seconds=message.received_monotonic - captured)
        version = self._version(message.prompt, made_at - message.inference_latency_ms / 1e3)
        sample = self._sample(captured, message.received_at - ago)
        output, error = self.judged(message) if judged is None else judged
        result = StreamInferenceResult(
            id=message.id,
            stream_id=message.stream_id,
            mode=self._settings.mode,
            model_name=message.model_name or version.model,
            prompt=message.prompt or version.text,
            result=message.result,
            inference_latency_ms=message.inference_latency_ms,
            total_latency_ms=message.total_latency_ms,
            ok=message.ok and error is None,
            error=message.error if error is None and self._reader is None else error,
            finish_reason=message.finish_reason,
            sample=sample.index,
            media_time=sample.media_time,
            frame_times=tuple(frame.media_time for frame in sample.frames),
            captured_at=sample.captured_at,
            answered_at=message.received_at,
            prompt_version=version.version,
            output=output,
            reasoning=message.reasoning,
        )
        self._index += 1
        self._captured = max(captured, self._captured or captured)
        self._answered = self._clock()
        self._latency = message.total_latency_ms / 1e3
        return sample, result

    def _made_at(self, message: ResultMessage) -> float:
        """When the server made it, on our clock: a lost connection delivers results late."""
        received = message.received_monotonic
        if message.created_at is None:
            return received
        return self._server.ours(message.created_at.timestamp(), received)

    def _sample(self, captured: float, when: datetime) -> Sample:
        first = captured if self._clip is None else captured - self._clip[1]
        frames: tuple[EncodedFrame, ...] = ()
        media_time: float | None = None
        if self._recent is not None:
            media_time = self._recent.media_time(first)
            if self._clip is not None:
                frames = self._recent.between(first, captured, self._clip[0])
            elif (frame := self._recent.at(captured)) is not None:
                frames = (frame,)
        if media_time is None:
            media_time = first - self._began
        media_time = max(0.0, media_time)
        taken_at, source = None, self._settings.source
        if isinstance(source, FileSource) and source.start_time is not None:
            when, taken_at = source.start_time + timedelta(seconds=media_time), when
        elif frames and frames[0].captured_at is not None:
            when, taken_at = frames[0].captured_at, when
        return Sample(self._index, self._settings.mode, media_time, when, frames, taken_at=taken_at)

    # ---- the end of a video ----

    def seen_until_end(self) -> bool:
        """Whether the server has answered about the end of what was published."""
        newest = self._recent.newest if self._recent is not None else None
        if newest is None or self._captured is None:
            return False
        return self._captured + self._settings.step_seconds > newest + DOUBT_SECONDS

    def quiet_seconds(self, since: float) -> float:
        """Seconds since the newest answer, or since ``since`` (monotonic) if that is later."""
        return self._clock() - max(since, self._answered or since)

    @property
    def latency(self) -> float | None:
        """Total latency of the newest answer in seconds, None before the first."""
        return self._latency if self._answered is not None else None


class ServerClock:
    """When messages were sent, on our clock: the quickest one tells how the two differ.

    The server's clock may be set. Where it is put on, the next message is the quickest of all;
    where it is put back, times that step back tell of it, or else that the others grow old.
    """

    def __init__(self) -> None:
        self._lags: deque[tuple[float, float]] = deque(maxlen=CLOCK_MESSAGES)  # when, how much
        self._newest = float("-inf")

    def ours(self, sent: float, received: float) -> float:
        """When a message was sent, never later than it was received.

        Args:
            sent: seconds on the server's clock.
            received: seconds on ours; they never step back.
        """
        lag = received - sent
        while self._lags and self._lags[0][0] < received - CLOCK_SECONDS:
            self._lags.popleft()
        quickest = min((known for _, known in self._lags), default=lag)
        if sent < self._newest - ORDER_SECONDS or lag - quickest > LATE_SECONDS:
            self._lags.clear()
        self._newest = sent
        self._lags.append((received, lag))
        return sent + min(known for _, known in self._lags)


def _latency(milliseconds: float) -> float:
    return milliseconds if 0 <= milliseconds <= MAX_LATENCY_MS else 0.0
