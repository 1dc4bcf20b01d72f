"""What went over the wire of a published video, and what the server saw of it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from overshoot_nb.gateway.matching import MEDIA_SECONDS, Matching
from overshoot_nb.gateway.publish.latest import LatestFrame
from overshoot_nb.local.stream_watch import StreamWatch

#: What times are rounded to, and more.
MILLISECOND = 1e-3


@dataclass(frozen=True)
class Put:
    """A frame for the wire: its media time, and when it was put there."""

    media_time: float
    at: float


@dataclass
class Wire:
    """The frames and results of one run, as they came to pass; all moments are monotonic.

    Attributes:
        puts: every frame that was given to the wire, in order.
        made: ids of the server's results, in order.
        seen: media time of the newest frame that a result is about, by its id.
        lags: seconds from when the server made a result to when it was here, of each row.
        bounds: the earliest and the latest media time that its row may say, by its id: what was
            on screen when that frame was put, and when it came to the server. The second is
            later by what the machine took for frame and result, however long that was.
    """

    puts: list[Put] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    seen: dict[str, float] = field(default_factory=dict)
    lags: list[float] = field(default_factory=list)
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)

    def in_order(self, media_times: Sequence[float]) -> bool:
        """Whether the rows' media times go up.

        A message that is quicker than all before it tells more of the server's clock: the row
        that it makes may be dated back by as much.
        """
        quickest = itertools.accumulate(self.lags, min)
        steps = itertools.pairwise(zip(media_times, quickest, strict=True))
        return all(
            later >= earlier - MILLISECOND or quicker < quick - MILLISECOND
            for (earlier, quick), (later, quicker) in steps
        )

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Notes down from now on what product and server do."""
        put, publish, row = LatestFrame.put, StreamWatch._publish, Matching.row
        arrivals: dict[str, tuple[float, float]] = {}  # of the frame, and when it was answered

        def noted_put(latest: LatestFrame, frame: Any) -> None:
            self.puts.append(Put(frame.pts / 90_000, time.monotonic()))
            put(latest, frame)

        def noted_publish(watch: StreamWatch, result_id: str, asked: Any, *rest: Any) -> None:
            self.made.append(result_id)
            self.seen[result_id] = asked.newest.frame.pts / 90_000
            arrivals[result_id] = asked.newest.at, time.monotonic()
            publish(watch, result_id, asked, *rest)

        def noted_row(matching: Matching, message: Any, judged: Any = None) -> Any:
            self.lags.append((message.received_at - message.created_at).total_seconds())
            if message.id in arrivals:  # the server is of this process
                arrived, answered = arrivals[message.id]
                shown = self._put_at(self.seen[message.id])
                held_up = message.received_monotonic - answered
                recent = matching._recent
                assert recent is not None
                self.bounds[message.id] = (
                    recent.media_time(shown - MEDIA_SECONDS) or 0.0,
                    recent.media_time(arrived + held_up - MEDIA_SECONDS) or 0.0,
                )
            return row(matching, message, judged)

        # Times on the wire begin at a random number: with a small one they are media times.
        monkeypatch.setattr("aiortc.rtcrtpsender.random32", itertools.count(1).__next__)
        monkeypatch.setattr(LatestFrame, "put", noted_put)
        monkeypatch.setattr(StreamWatch, "_publish", noted_publish)
        monkeypatch.setattr(Matching, "row", noted_row)

    def _put_at(self, media_time: float) -> float:
        """When the frame of that media time was put, in the newest run."""
        return min(reversed(self.puts), key=lambda put: abs(put.media_time - media_time)).at
