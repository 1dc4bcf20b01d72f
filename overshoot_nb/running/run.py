"""``Run``: what a live stream and a loaded recording both are to those who look at a run."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Literal, Protocol

from overshoot_nb.errors import ValidationError
from overshoot_nb.settings.stream_settings import StreamChanges, StreamSettings
from overshoot_nb.store.frames import FrameStore
from overshoot_nb.store.journal import Journal
from overshoot_nb.store.labels import Labels
from overshoot_nb.store.prompts import PromptHistory
from overshoot_nb.store.sample_log import SampleLog
from overshoot_nb.store.stats import StreamStats
from overshoot_nb.support.validation import check_whole
from overshoot_nb.types import (
    Mode,
    SpectateResponse,
    StreamConfigResponse,
    StreamInferenceResult,
    StreamInfo,
    StreamState,
)

if TYPE_CHECKING:
    from overshoot_nb.sampling.opening import VideoInfo
    from overshoot_nb.sampling.preview import Preview

    from .service import Service


class Callbacks(Protocol):
    """The calls of the user's callbacks that wait."""

    def inside(self) -> bool:
        """Whether a callback makes this call."""

    async def drain(self, timeout: float | None = None) -> bool:
        """Wait until all were made; False when ``timeout`` seconds were not enough."""

    def report(self, error: BaseException) -> None:
        """Tell ``on_error``."""


class RecordedFacts(Protocol):
    """What a file says of the run that it holds."""

    @property
    def state(self) -> StreamState:
        """How it ended."""

    @property
    def complete(self) -> bool:
        """Whether it was recorded to its end."""


class Run(Protocol):
    """One run: rows, pictures and prompts, its state, and what steers it.

    Attributes:
        journal: rows, pictures, labels and later answers.
        prompts: what was asked.
        settings: what it does, or did.
        state, note: the state, and its reason or what is happening, in words.
        error: what made it fail, or None.
        preview: who looks on.
        run_start: index of the first sample since the last restart.
        info: what is watched, once it was opened.
    """

    journal: Journal
    prompts: PromptHistory
    settings: StreamSettings
    state: StreamState
    note: str
    error: Exception | None
    preview: Preview
    run_start: int
    info: VideoInfo | None
    _selected: int | None = None

    # ---- what it is ----

    @property
    def service(self) -> Service:
        """Whom it asks, or asked."""

    @property
    def stream_id(self) -> str:
        """Its id in the rows."""

    @property
    def is_active(self) -> bool:
        """Whether it still takes samples, or is played."""

    @property
    def live_changes(self) -> frozenset[str]:
        """The parameters that can change while it goes on."""

    @property
    def callbacks(self) -> Callbacks:
        """The calls of the user's callbacks that wait."""

    @property
    def recorded(self) -> RecordedFacts | None:
        """What its file says of it; None where it is no recording."""
        return None

    @property
    def asked_server(self) -> tuple[str, str]:
        """The server that was asked, without secrets, and its surface: "chat" or "gateway"."""
        endpoint = self.service.endpoint
        return endpoint.shown, endpoint.surface

    @property
    def has_service(self) -> bool:
        """Whether somebody is, or was, asked about it here."""
        return True

    @property
    def whole(self) -> bool:
        """Whether nothing of it is missing: its recording was finished, where it has one."""
        return self.recorded is None or self.recorded.complete

    @property
    def end(self) -> tuple[StreamState, str]:
        """State and note; those of its own end while a recording is played."""
        return self.state, self.note

    @property
    def status(self) -> str:
        """State and note in one line."""
        return f"{self.state}: {self.note}" if self.note else self.state

    @property
    def mode(self) -> Mode:
        """ "frame" or "clip"."""
        return self.settings.mode

    @property
    def model(self) -> str:
        """The model that is asked."""
        return self.settings.model

    @property
    def prompt(self) -> str:
        """The prompt in force."""
        return self.prompts.current.text

    @property
    def prompt_version(self) -> int:
        """The number of the version in force."""
        return self.prompts.current.version

    @property
    def duration(self) -> float | None:
        """Length of the video in seconds, or None where it has no end or does not say."""
        return self.info.duration if self.info is not None else None

    # ---- what came of it ----

    @property
    def frames(self) -> FrameStore:
        """The sampled pictures."""
        return self.journal.frames

    @property
    def stats(self) -> StreamStats:
        """The counts of this moment."""
        return self.journal.counters.snapshot()

    @property
    def samples(self) -> SampleLog:
        """Time and fate of every sample."""
        return self.journal.log

    @property
    def labels(self) -> Labels:
        """What the answers should be."""
        return self.journal.labels

    @property
    def selected(self) -> int | None:
        """Index of the sample that is selected, or None.

        Raises:
            ValidationError: on setting, there is no sample of that index.
        """
        return self._selected

    @selected.setter
    def selected(self, index: int | None) -> None:
        if index is not None:
            # A cell of the DataFrame is NumPy's own kind of integer.
            index = int(index) if isinstance(index, Integral) and index is not True else index
            if not len(self.samples):
                raise ValidationError(f"selected={index!r}: no sample was taken yet")
            check_whole("selected", index, 0, len(self.samples) - 1)
        self._selected = index
        self.journal.touch()

    # ---- steering, on the runtime's loop ----

    async def update(self, changes: StreamChanges, note: str = "") -> StreamConfigResponse:
        """Change what it does while it goes on."""

    async def restart(self, changes: StreamChanges) -> None:
        """Begin again; all rows are kept."""

    async def steer(self, state: Literal["paused", "running"]) -> None:
        """Pause or resume."""

    async def close(self, reason: str = "closed by its user", *, drain: bool = True) -> None:
        """End it; idempotent. ``drain`` calls the callbacks that wait."""

    async def wait_over(self, *, drain: bool) -> None:
        """Wait for the end, and (``drain``) until every callback was called."""

    async def results_after(self, seen: int) -> list[StreamInferenceResult]:
        """The results from number ``seen`` on, as soon as there is one; [] at the end."""

    async def describe(self) -> StreamInfo:
        """State, sizes and counts."""

    async def spectate(self) -> SpectateResponse:
        """Where others can watch."""
