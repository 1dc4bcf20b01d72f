"""What a stream needs of a session, and a session of its stream, whoever samples the video."""

from __future__ import annotations

from typing import ClassVar, Protocol

from overshoot_nb.errors import OvershootError
from overshoot_nb.sampling.opening import VideoInfo
from overshoot_nb.sources.kinds import SourceConfig
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.store.stats import Reconnected, StreamStats
from overshoot_nb.types import (
    KeepaliveResponse,
    Sample,
    SpectateResponse,
    StreamConfigResponse,
    StreamInferenceResult,
    StreamInfo,
)


class Sink(Protocol):
    """What a session tells its stream; ``sampled``, ``missed`` and ``dropped`` from any thread.

    Of each index, ``sampled`` or ``missed`` comes first, in the order of the indices.
    """

    def sampled(self, sample: Sample) -> None: ...
    def sent(self, sample: Sample) -> None: ...
    def missed(self, index: int, media_time: float, reason: str) -> None: ...
    def dropped(self, sample: Sample, reason: str, *, sent: bool = False) -> None: ...
    def answered(self, result: StreamInferenceResult, error: OvershootError | None) -> None: ...
    def said(self, note: str) -> None: ...
    def held(self, note: str) -> None: ...
    def renewed(self, answer: KeepaliveResponse) -> None: ...
    def reconnected(self, cause: Reconnected = "result channel") -> None: ...


class Session(Protocol):
    """One reading of a source: :meth:`open`, then :meth:`run`, and always :meth:`stop`.

    All on the runtime's loop.
    """

    #: What can be changed while it runs, as named in ``client.streams.create``.
    LIVE_CHANGES: ClassVar[frozenset[str]]

    @property
    def stream_id(self) -> str:
        """Its id in every row; where the server gives it, "" until :meth:`open` has it."""

    @property
    def info(self) -> VideoInfo | None:
        """What is watched, once it is open; None where only the server sees it."""

    @property
    def source(self) -> SourceConfig | None:
        """What is watched; once it is open, as it turned out to be. None: it is not opened."""

    @property
    def paused(self) -> bool:
        """Whether it was told to take no samples."""

    async def open(self) -> None:
        """Open the source and all that the answers need.

        Raises:
            SourceError: the source cannot be opened, or is no video.
            OvershootError: the server refused, or no connection to it came about.
        """

    async def run(self) -> str:
        """Go on to the end of the source; returns the sentence that says why it ended.

        Raises:
            OvershootError: the source failed, or no answer can come any more.
        """

    async def stop(self) -> None:
        """End everything that :meth:`open` began, within 4 s. Idempotent."""

    async def ask(self, prompt: PromptVersion) -> StreamConfigResponse:
        """Ask this from now on.

        Raises:
            OvershootError: it cannot be asked; the one before stays.
        """

    def change_interval(self, seconds: float) -> None:
        """Take a frame every so many seconds from now on.

        Raises:
            ValidationError: it is out of range, or cannot be changed.
        """

    def pause(self) -> None:
        """Take no samples: a file stands still, a live source is read on and passed over."""

    def resume(self) -> None:
        """Go on."""

    async def describe(self, stats: StreamStats) -> StreamInfo:
        """Its state, sizes and counts; ``stats`` are those of its stream."""

    async def spectate(self) -> SpectateResponse:
        """Where others can watch it.

        Raises:
            ValidationError: nobody can.
        """
