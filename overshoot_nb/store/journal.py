"""``Journal``: everything that came of a stream's samples, through all its runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import WeakMethod

from overshoot_nb.types import Sample, StreamInferenceResult

from .frames import FrameStore
from .labels import Labels
from .later_answers import LaterAnswers
from .sample_log import SampleLog
from .spill import Spill
from .stats import Counters
from .table import ResultTable

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")


class Follower(Protocol):
    """Whoever has work with the rows of a run: a backfill, an alert, a recorder."""

    @property
    def label(self) -> str:
        """What messages call it."""

    @property
    def idle(self) -> bool:
        """Whether it has done all that the rows so far ask of it."""

    @property
    def over(self) -> Future[None] | None:
        """Done when it is, where the end of the run waits for that; else None."""


class Listener(Protocol):
    """Who is told of each thing that happens, in the order in which it happens.

    Called on the thread on which it happens, the runtime's loop and the one that samples: it must
    neither block nor raise.
    """

    def sampled(self, sample: Sample) -> None:
        """A sample was taken."""

    def missed(self, index: int, media_time: float, reason: str) -> None:
        """A chosen moment gave no sample."""

    def dropped(self, index: int, reason: str) -> None:
        """A sample will not be answered."""

    def answered(self, result: StreamInferenceResult) -> None:
        """A sample has its row."""


class Journal:
    """Rows, pictures, counts and fates, kept in step. Any thread may write while others read.

    Args:
        output_schema: JSON schema of the first answers, or None.
        keep_frames: bytes of pictures to keep in memory; 0 keeps none on disk either.

    Attributes:
        table: the results.
        frames: the sampled pictures.
        log: each sample's time and fate.
        counters: the running counts.
        followers: who has work with the rows, oldest first.
        later: what other prompts and models said about the samples.
        labels: what the answers should be.
    """

    def __init__(self, output_schema: Mapping[str, Any] | None, keep_frames: int) -> None:
        self.table = ResultTable(output_schema)
        self.frames = FrameStore(keep_frames, spill=Spill.configured() if keep_frames else None)
        self.log = SampleLog()
        self.counters = Counters()
        self.later = LaterAnswers()
        self.followers: list[Follower] = []
        # Whoever keeps the labels (a comparison does) keeps no rows and pictures along with them.
        touch = WeakMethod(self.touch)
        self.labels = Labels(lambda: (tell := touch()) and tell())
        self._watchers: list[Callable[[], object]] = []
        self._listeners: tuple[Listener, ...] = ()
        self._lock = threading.Lock()  # of these two: they come and go on any thread

    def listen(self, listener: Listener) -> None:
        """Tell it of everything from now on; from any thread."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def unlisten(self, listener: Listener) -> None:
        """Tell it no more; what is on its way may still come. Idempotent."""
        with self._lock:
            self._listeners = tuple(one for one in self._listeners if one is not listener)

    def followed_by(self, kind: type[T]) -> list[T]:
        """The followers of one kind, oldest first."""
        return [follower for follower in list(self.followers) if isinstance(follower, kind)]

    async def recorded(self, timeout: float | None = None) -> bool:
        """Wait until the files are finished that it is recorded to; they are once it is over.

        False when ``timeout`` seconds were not enough.
        """
        over = [follower.over for follower in list(self.followers)]
        futures = [asyncio.wrap_future(future) for future in over if future is not None]
        if not futures:
            return True
        _, unfinished = await asyncio.wait(futures, timeout=timeout)
        return not unfinished

    async def alerted(self) -> None:
        """Wait until every answer so far was checked by alerts, and what they began is over."""
        while True:
            if all(follower.idle for follower in list(self.followers)):
                return
            await asyncio.sleep(0.005)

    def forked(self) -> None:
        """In a child of ``os.fork()``: who watches and records does so in its parent."""
        self._lock = threading.Lock()  # it may have been held
        self._watchers, self._listeners = [], ()
        self.followers = []

    def watch(self, watcher: Callable[[], object]) -> None:
        """Call ``watcher()`` whenever something changed, from any thread; it must not block."""
        with self._lock:
            self._watchers = [*self._watchers, watcher]

    def unwatch(self, watcher: Callable[[], object]) -> None:
        """Call it no more."""
        with self._lock:
            self._watchers = [w for w in self._watchers if w != watcher]

    def touch(self) -> None:
        """Tell the watchers."""
        for watcher in self._watchers:
            watcher()

    def sampled(self, sample: Sample) -> None:
        """A sample was taken."""
        self.log.sampled(sample.index, sample.media_time)
        self.counters.sampled()
        self.frames.put(sample)
        for listener in self._listeners:
            listener.sampled(sample)
        self.touch()

    def sent(self) -> None:
        """The request of a sample is under way."""
        self.counters.sent()
        self.touch()

    def answer(self, sample: int, version: int) -> StreamInferenceResult | None:
        """What a prompt version said about a sample: as it went, or later.

        Where both said something, it is what was said first and can be used.
        """
        later = self.later.get(sample, version)
        row = self.log[sample].row if 0 <= sample < len(self.log) else None
        if row is None or self.table[row].prompt_version != version:
            return later
        first = self.table[row]
        return later if later is not None and later.ok and not first.ok else first

    def distinct(self, samples: Iterable[int]) -> list[int]:
        """Of samples that show one picture, whose answers are copies of one, only the first."""
        of_picture: dict[int, int] = {}
        for sample in sorted(samples):
            of_picture.setdefault(self.picture_of(sample), sample)
        return list(of_picture.values())

    def picture_of(self, sample: int) -> int:
        """The sample that was asked about the picture that a sample shows: most often itself."""
        row = self.log[sample].row if 0 <= sample < len(self.log) else None
        copied = None if row is None else self.table[row].copied_from
        return sample if copied is None else copied

    def missed(self, index: int, media_time: float, reason: str) -> None:
        """A chosen moment gave no sample."""
        self.log.sampled(index, media_time)
        self.log.dropped(index, reason)
        self.counters.missed(reason)
        for listener in self._listeners:
            listener.missed(index, media_time, reason)
        self.touch()

    def dropped(self, index: int, reason: str, *, sent: bool) -> None:
        """A sample will not be answered."""
        self.counters.dropped(reason, sent=sent)
        self.log.dropped(index, reason)
        for listener in self._listeners:
            listener.dropped(index, reason)
        self.touch()

    def answered(self, result: StreamInferenceResult) -> None:
        """A sample has its row. On the runtime's loop alone: rows are numbered as they come."""
        row = len(self.table)
        self.counters.answered(result)
        self.table.append(result)
        self.log.answered(result.sample, row, ok=result.ok)
        for listener in self._listeners:
            listener.answered(result)
        self.touch()
