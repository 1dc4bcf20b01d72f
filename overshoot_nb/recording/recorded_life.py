"""``RecordedLife``: what a stream that was loaded from a file has in place of a life of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal, NoReturn
from weakref import finalize

from overshoot_nb.errors import StreamClosedError, ValidationError
from overshoot_nb.running.run import Callbacks, Run
from overshoot_nb.running.service import service_of
from overshoot_nb.runtime.event_loop import Runtime
from overshoot_nb.sampling.preview import Preview
from overshoot_nb.sampling.reading import CUT_OFF
from overshoot_nb.settings.stream_settings import StreamChanges
from overshoot_nb.store.journal import Journal
from overshoot_nb.store.prompts import PromptHistory
from overshoot_nb.support.registry import opener
from overshoot_nb.types import (
    SpectateResponse,
    StreamConfigResponse,
    StreamInferenceResult,
    StreamInfo,
    StreamState,
)

from .player import Player
from .recorded_metadata import RecordedRun

if TYPE_CHECKING:
    from overshoot_nb.running.service import Client, Service

_PLAYS = "plays what was recorded"


class _NoCallbacks:
    """A recorded run calls nobody."""

    def inside(self) -> bool:
        return False

    async def drain(self, timeout: float | None = None) -> bool:
        """True: there are none to wait for."""
        return True

    def report(self, error: BaseException) -> None:
        """Nobody is told."""


_NO_CALLBACKS = _NoCallbacks()


class RecordedLife(Run):
    """A run that is over, and can be played.

    It offers what ``Lifecycle`` offers to a stream, its widget and
    its tuning. While it is played its state is "running" or "paused"; nothing is taken or asked
    then, and no row is added.

    Args:
        recorded: what the file says of the run.
        journal: its rows and pictures.
        runtime: where it is steered.
        client: whose server is asked from now on; None for the default client.
    """

    def __init__(
        self,
        recorded: RecordedRun,
        journal: Journal,
        runtime: Runtime,
        client: Client | None = None,
    ) -> None:
        self._recorded = recorded
        self.error = None
        self.settings = recorded.settings
        self.journal = journal
        self.preview = Preview()
        self.info = recorded.info
        self.prompts = PromptHistory.restored(recorded.prompts, recorded.current_prompt, self)
        self.run_start = _run_start(recorded, journal)
        self._runtime = runtime
        self._client = client  # kept, for its service is
        self._service = None if client is None else service_of(client)
        self._player: Player | None = None
        self._over = asyncio.Event()
        self._over.set()
        # Not complete: it was being recorded when its file was read, or its process was killed.
        ended = recorded.state if recorded.state in ("ended", "failed", "closed") else "ended"
        note = recorded.status.removeprefix(recorded.state).removeprefix(": ")
        if not recorded.complete:
            ended, note = "failed", f"the recording was {CUT_OFF} here, or still goes on"
        elif ended != recorded.state:
            note = "recorded up to here"
        self._end: tuple[StreamState, str] = ended, note
        self.state: StreamState = ended
        self.note = note

    @property
    def stream_id(self) -> str:
        """Id of the run; of its last one where it was restarted."""
        return self.recorded.stream_ids[-1] if self.recorded.stream_ids else ""

    @property
    def is_active(self) -> bool:
        """Whether it is being played."""
        return self._player is not None

    @property
    def recorded(self) -> RecordedRun:
        """What the file says of the run."""
        return self._recorded

    @property
    def end(self) -> tuple[StreamState, str]:
        """State and note but while it is played."""
        return self._end

    @property
    def live_changes(self) -> frozenset[str]:
        """None: a recording is what it is."""
        return frozenset()

    @property
    def callbacks(self) -> Callbacks:
        """None: a recorded run calls nobody."""
        return _NO_CALLBACKS

    @property
    def asked_server(self) -> tuple[str, str]:
        """Who was asked, as the recording says it; not to be asked again."""
        return self._recorded.server, self._recorded.surface

    @property
    def service(self) -> Service:
        """Who is asked now; a default client is made when it is first needed."""
        if self._service is None:
            client: Client = opener("client")()
            self._client = client
            self._service = client._open_service()  # so that it is closed at exit
            closing = finalize(self, _close, self._runtime, client)
            closing.atexit = False
        return self._service

    @property
    def has_service(self) -> bool:
        """Whether somebody is, or was, asked about the recording."""
        return self._service is not None

    # ---- playing ----

    async def restart(self, changes: StreamChanges) -> None:
        """Play it from its start.

        Raises:
            ValidationError: there are changes, which only a stream that asks can make.
        """
        if changes:
            raise ValidationError(
                f"{', '.join(sorted(changes))}: a recording plays what was recorded. Ask "
                "something else about it with backfill(...), or watch it as a source: "
                "client.streams.create(source=overshoot_nb.replay(path), ...)"
            )
        self._stop()
        samples = range(self.run_start, len(self.journal.log))
        loop = asyncio.get_running_loop()

        def ended() -> None:
            loop.call_soon_threadsafe(self._played, player)

        player = self._player = Player(samples, self.journal, self.preview, ended)
        self._over.clear()
        self._set_state("running", _PLAYS)
        player.start()

    async def steer(self, state: Literal["paused", "running"]) -> None:
        """Pause or resume what is played.

        Raises:
            StreamClosedError: it is not played.
        """
        if (player := self._player) is None:
            verb = "pause" if state == "paused" else "resume"
            raise StreamClosedError(
                f"cannot {verb}: the recording is not being played ({self.status}); restart() "
                "plays it",
                reason=self.note,
            )
        if state == "paused":
            player.pause()
        else:
            player.resume()
        self._set_state(state, _PLAYS if state == "running" else "")

    async def close(self, reason: str = "", *, drain: bool = True) -> None:
        """Play no more; idempotent."""
        self._stop()

    def stop_playing(self) -> None:
        """:meth:`close` from any thread, for a recording that nobody holds any more."""
        if (player := self._player) is not None:
            player.stop()

    def _stop(self) -> None:
        if self._player is not None:
            self._player.stop()
            self._played(self._player)

    def _played(self, player: Player) -> None:
        if player is self._player:
            self._player = None
            self._over.set()
            self._set_state(*self._end)

    def _set_state(self, state: StreamState, note: str) -> None:
        self.state, self.note = state, note
        self.journal.touch()

    # ---- what only a stream that asks can do ----

    async def update(self, changes: StreamChanges, note: str = "") -> StreamConfigResponse:
        """Refused, as of any stream that is over.

        Raises:
            StreamClosedError: always.
        """
        self._refuse("update")

    def _refuse(self, verb: str) -> NoReturn:
        raise StreamClosedError(
            f"cannot {verb}: this is a recording of a stream that is over; backfill(...) asks "
            "something else about its samples",
            reason=self._end[1],
        )

    async def describe(self) -> StreamInfo:
        """State, sizes and counts, as they were recorded."""
        stats, info = self.journal.counters.snapshot(), self.info
        latest = stats.latency_latest_ms
        return StreamInfo(
            stream_id=self.stream_id,
            source_type="recording",
            state=self.state,
            fps=info.fps if info is not None else None,
            frame_width=info.width if info is not None else None,
            frame_height=info.height if info is not None else None,
            inferences_completed=stats.results,
            inferences_failed=stats.errors,
            last_inference_latency_seconds=None if latest is None else latest / 1e3,
        )

    async def spectate(self) -> SpectateResponse:
        """Refused.

        Raises:
            ValidationError: always.
        """
        raise ValidationError("a recording has no room where others could watch it")

    # ---- its rows ----

    async def wait_over(self, *, drain: bool) -> None:
        """Wait until it is not played any more."""
        await self._over.wait()

    async def results_after(self, seen: int) -> list[StreamInferenceResult]:
        """The results from number ``seen`` on; [] at the end."""
        return self.journal.table.results_since(seen)


def _run_start(recorded: RecordedRun, journal: Journal) -> int:
    """Index of the first sample of the last run, as far as the rows tell."""
    if len(recorded.stream_ids) < 2:
        return 0
    last = recorded.stream_ids[-1]
    before = max((r.sample for r in journal.table if r.stream_id != last), default=-1)
    first = min((r.sample for r in journal.table if r.stream_id == last), default=None)
    if first is None:
        return 0 if before < 0 else min(before + 1, max(len(journal.log) - 1, 0))
    # Samples without a row stand between the runs: by their times, which begin again.
    log, start = journal.log, first
    while start > 0 and start - 1 > before:
        if log[start - 1].media_time > log[start].media_time:
            break
        start -= 1
    return start


def _close(runtime: Runtime, client: Client) -> None:
    runtime.submit(client.close())
