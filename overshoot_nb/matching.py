"""Which moment of the video and which prompt a result is about that a v0.2 server pushed.

The server says how long ago it took the picture (``total_latency_ms``), not which one it was. So
the time of its capture is that of the message less this latency, less what the picture took on its
way there; and what was on screen then is known here. ``media_time`` of such a row is as exact as
that: at best to a frame.
"""

from __future__ import annotations

import time
from collections import deque
from datetime import UTC, datetime

from .api.parsing import SchemaReader
from .api.results import ResultMessage
from .prompts import PromptVersion
from .publish.recent import RecentFrames
from .sampler import ClipSampler
from .settings import StreamSettings
from .types import ClipProcessingConfig, EncodedFrame, Sample, StreamInferenceResult

__all__ = ["Matching"]

#: What a frame takes from here to the server's sampler: encoding, packets, the receiver's buffer.
#: Measured over loopback; a far server adds its half round trip.
MEDIA_SECONDS = 0.08
#: How far a capture time worked out here may be off.
DOUBT_SECONDS = 0.15
#: Messages from which the server's clock is told from ours.
CLOCK_MESSAGES = 256


class Matching:
    """Rows made of a stream's results.

    Args:
        settings: what the stream does.
        prompt: what is asked at first.
        recent: what was published when; None where the server watches a room of its own.
        first_index: index of the first sample.
    """

    def __init__(
        self,
        settings: StreamSettings,
        prompt: PromptVersion,
        recent: RecentFrames | None,
        *,
        first_index: int,
    ) -> None:
        self._settings = settings
        self._recent = recent
        self._asked = [prompt]
        self._reader = SchemaReader(prompt.output_schema) if prompt.output_schema else None
        self._index = first_index
        self._began = time.time()
        self._lags: deque[float] = deque(maxlen=CLOCK_MESSAGES)
        self._captured: float | None = None  # of the newest result
        self._answered: float | None = None  # monotonic
        self._latency = 0.0
        processing = settings.processing
        self._clip: tuple[int, float] | None = None  # frames, seconds from the first to the last
        if isinstance(processing, ClipProcessingConfig):
            length = ClipSampler(processing).length
            self._clip = length, (length - 1) / processing.target_fps

    # ---- prompts ----

    def asked(self, prompt: PromptVersion) -> None:
        """The server is being told to ask this."""
        if prompt is not self._asked[-1]:
            self._asked.append(prompt)

    def not_asked(self, prompt: PromptVersion) -> None:
        """It refused."""
        if prompt is self._asked[-1] and len(self._asked) > 1:
            self._asked.pop()

    def _version(self, text: str, began: float) -> PromptVersion:
        """The newest version with this text that was there when the inference began."""
        known = [v for v in self._asked if v.text == text] or self._asked
        there = [v for v in known if v.created_at.timestamp() <= began]
        return there[-1] if there else known[0]

    # ---- rows ----

    def row(self, message: ResultMessage) -> tuple[Sample, StreamInferenceResult]:
        """The sample that a result is about, with its index, and its row."""
        made_at = self._made_at(message)
        captured = made_at - message.total_latency_ms / 1e3 - MEDIA_SECONDS
        version = self._version(message.prompt, made_at - message.inference_latency_ms / 1e3)
        sample = self._sample(captured)
        ok, error, output = message.ok, message.error, None
        if ok and self._reader is not None:
            output, error = self._reader.read(message.result)
            ok = error is None
        result = StreamInferenceResult(
            id=message.id,
            stream_id=message.stream_id,
            mode=self._settings.mode,
            model_name=message.model_name or version.model,
            prompt=message.prompt or version.text,
            result=message.result,
            inference_latency_ms=message.inference_latency_ms,
            total_latency_ms=message.total_latency_ms,
            ok=ok,
            error=error,
            finish_reason=message.finish_reason,
            sample=sample.index,
            media_time=sample.media_time,
            frame_times=tuple(frame.media_time for frame in sample.frames),
            captured_at=sample.captured_at,
            answered_at=message.received_at,
            prompt_version=version.version,
            output=output,
        )
        self._index += 1
        self._captured = max(captured, self._captured or captured)
        self._answered = time.monotonic()
        self._latency = message.total_latency_ms / 1e3
        return sample, result

    def _made_at(self, message: ResultMessage) -> float:
        """When the server made it, on our clock: a lost connection delivers results late."""
        received = message.received_at.timestamp()
        if message.created_at is None:
            return received
        created = message.created_at.timestamp()
        # The quickest message tells how the clocks differ.
        self._lags.append(received - created)
        return created + min(self._lags)

    def _sample(self, captured: float) -> Sample:
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
        when = datetime.fromtimestamp(captured, UTC)
        return Sample(self._index, self._settings.mode, max(0.0, media_time), when, frames)

    # ---- the end of a video ----

    def seen_until_end(self) -> bool:
        """Whether the server has answered about the end of what was published."""
        newest = self._recent.newest if self._recent is not None else None
        if newest is None or self._captured is None:
            return False
        return self._captured + self._settings.step_seconds > newest + DOUBT_SECONDS

    def quiet_seconds(self, since: float) -> float:
        """Seconds since the newest answer, or since ``since`` (monotonic) if that is later."""
        return time.monotonic() - max(since, self._answered or since)

    @property
    def latency(self) -> float | None:
        """Total latency of the newest answer in seconds, None before the first."""
        return self._latency if self._answered is not None else None
