"""``ReplayService``: a recorded run in the place of a server; see ``service.Service``."""

from __future__ import annotations

import asyncio
import hashlib
import math
import threading
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from weakref import WeakKeyDictionary

from overshoot_nb.asking.endpoint import Endpoint
from overshoot_nb.errors import ApiError, ValidationError
from overshoot_nb.running.asker import Asked, Asker, Question, Turn
from overshoot_nb.running.run import Run
from overshoot_nb.running.session import Sink
from overshoot_nb.sampling.preview import Preview
from overshoot_nb.settings.stream_settings import StreamSettings
from overshoot_nb.store.answer_cache import AnswerCache
from overshoot_nb.store.prompts import PromptVersion, asked_as_text, asked_by
from overshoot_nb.support.replay_address import ReplayAddress
from overshoot_nb.types import ChatAnswer, ModelInfo, ResponseFormat, Sample, StreamInferenceResult

from .held_file import HeldFile
from .loading import load_run
from .recorded_errors import is_failed_request, recorded_error
from .recorded_life import RecordedLife
from .replay_script import parts_of
from .replay_session import Leader, ReplaySession

#: Questions that an error names.
_SHOWN = 5


class ReplayService:
    """Answers from a file. It holds nothing open.

    Args:
        endpoint: a ``base_url`` of "replay:".

    Attributes:
        endpoint: it.
        leader: who asks a stream otherwise when the recording does; None where that is the user.

    Raises:
        ValidationError: the file is not there, or no recording.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        address = ReplayAddress.parse(endpoint.base_url)
        self.endpoint = endpoint
        self.leader: Leader | None = None
        # Wherever the program goes meanwhile, it stays the same file.
        self._path = Path(address.path).absolute()
        self._speed = address.speed
        self._begun: WeakKeyDictionary[Sink, int] = WeakKeyDictionary()  # sessions of each stream
        self._read()

    def _read(self) -> None:
        self._seen = _seen(self._path)
        try:
            self._take(load_run(HeldFile(self._path)))
        except OSError as error:
            why = "no such file" if isinstance(error, FileNotFoundError) else str(error)
            raise ValidationError(f"{self.endpoint.shown}: {self._path}: {why}") from None

    def _take(self, run: RecordedLife) -> None:
        self.run: Run = run
        self._published = run.recorded.surface == "gateway"
        self._modes = {result.mode for result in run.journal.table}
        self._parts = parts_of(run)
        asked = {number for part in self._parts for number in part.chapters}
        if unknown := asked.difference(version.version for version in run.prompts):
            raise ValidationError(
                f"{self._path} is damaged: it has rows of prompt version {min(unknown)}, but not "
                "the prompt"
            )
        self.answers = RecordedAnswers(run)

    def _read_again(self) -> None:
        """Read what took the file's place, if it is whole: it may be recorded from this one."""
        self._seen = _seen(self._path)
        with suppress(ValidationError, OSError):
            run = load_run(HeldFile(self._path))
            if run.recorded.complete:
                self._take(run)

    @property
    def label(self) -> str:
        """What to call it."""
        return self._path.name

    async def get_models(self) -> list[ModelInfo]:
        """The models that the recorded run asked, the first one first."""
        names = dict.fromkeys(version.model for version in self.run.prompts)
        return [ModelInfo(name, ready=True, status="recorded") for name in names]

    async def check(self, settings: StreamSettings, before: StreamSettings | None = None) -> None:
        """See ``Service``: refuses a question or a mode that the recording does not have.

        A file that was recorded anew meanwhile is read again before another stream begins.

        Raises:
            ValidationError: which questions it has is said.
        """
        if before is None and _seen(self._path) != self._seen:
            await asyncio.to_thread(self._read_again)
        self.require_known(PromptVersion(0, **asked_by(settings)))
        if self._modes and settings.mode not in self._modes:
            raise ValidationError(
                f"mode={settings.mode!r}: the recording {self.label} is of mode "
                f"{' and '.join(sorted(self._modes))!r}; nothing else can be replayed"
            )

    def require_known(self, version: PromptVersion) -> None:
        """Refuse a question that the recording does not have.

        Raises:
            ValidationError: which it has is said.
        """
        asked = asked_as_text(version)
        known = list(self.run.prompts)
        if any(asked_as_text(one) == asked for one in known):
            return
        same_text = [one for one in known if one.text == version.text]
        if same_text:
            differing = [
                f"{name}={value!r}, not {version.parameters[name]!r}"
                for name, value in same_text[0].parameters.items()
                if value != version.parameters[name]
            ] or ["a schema of another order"]
            why = f"prompt version {same_text[0].version} was asked with {'; '.join(differing)}"
        else:
            lines = [f"{one.version} ({one.model}): {one.text[:80]!r}" for one in known[:_SHOWN]]
            more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
            why = f"its prompt versions are {'; '.join(lines)}{more}"
        raise ValidationError(
            f"the recording {self.label} has no answer to {version.text[:80]!r} ({version.model}), "
            f"and nothing is invented: {why}"
        )

    def session(
        self,
        settings: StreamSettings,
        prompt: PromptVersion,
        sink: Sink,
        *,
        preview: Preview,
        first_index: int,
    ) -> ReplaySession:
        """See ``Service``: a stream's first session is the first part of the recording.

        A restart is the next one, however many samples came before it; after the last part comes
        the first again. What the source would give is not looked at.
        """
        begun = self._begun.get(sink, 0)
        self._begun[sink] = begun + 1
        speed = self._speed
        if speed is None:
            speed = 1.0 if settings.realtime else math.inf
        return ReplaySession(
            self.run,
            self._parts[begun % len(self._parts)],
            prompt,
            sink,
            preview=preview,
            first_index=first_index,
            speed=speed,
            published=self._published,
            patient=settings.realtime,
            leader=self.leader,
        )

    def asker(
        self,
        *,
        response_format: ResponseFormat = "auto",
        cache: AnswerCache | None = None,
        turn: Turn | None = None,
    ) -> Asker:
        """See ``Service``; it needs no cache and waits for nobody."""
        return ReplayAsker(self)

    @property
    def closed(self) -> bool:
        """See ``Service``."""
        return False

    async def close(self) -> None:
        """See ``Service``."""


def _seen(path: Path) -> tuple[int, int]:
    """What changes when another file takes its place."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


class RecordedAnswers:
    """What a recorded run says about samples. Any thread may ask.

    Args:
        run: the recorded run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._times: dict[tuple[datetime, float], int] | None = None
        self._pictures: dict[bytes, list[int]] | None = None

    def number_of(self, version: PromptVersion) -> int | None:
        """The recorded number of a question, None where it was not asked."""
        asked = asked_as_text(version)
        known = (v.version for v in self._run.prompts if asked_as_text(v) == asked)
        return next(known, None)

    def find(self, version: PromptVersion, sample: Sample) -> StreamInferenceResult | None:
        """The recorded answer about a sample: one of the run's own, or of the same pictures.

        Blocks: pictures are compared where the sample is another run's.
        """
        number = self.number_of(version)
        if number is None:
            return None
        journal = self._run.journal
        found = (journal.answer(index, number) for index in self._indices_of(sample))
        return next((answer for answer in found if answer is not None), None)

    def _indices_of(self, sample: Sample) -> list[int]:
        """The recorded sample that this is, else all that show the same."""
        journal = self._run.journal
        with self._lock:
            if self._times is None:
                # Two samples of a file may be taken in one tick of a coarse clock.
                self._times = {
                    (row.captured_at, row.media_time): row.sample
                    for row in journal.table
                    if row.captured_at is not None
                }
            if (index := self._times.get((sample.captured_at, sample.media_time))) is not None:
                return [index]
            if not sample.frames:
                return []
            if self._pictures is None:
                self._pictures = {}
                for known in journal.frames:
                    stored = journal.frames.get(known)
                    if stored is not None and stored.frames:
                        self._pictures.setdefault(_digest(stored.sample), []).append(known)
            return self._pictures.get(_digest(sample), [])


class ReplayAsker:
    """Answers what was answered in a recording, and nothing else; see ``running.asker.Asker``.

    Args:
        service: the recording.
    """

    by_result = False

    def __init__(self, service: ReplayService) -> None:
        self._service = service

    async def prepare(self, version: PromptVersion) -> Question:
        """See ``Asker``.

        Raises:
            ValidationError: the recording has no such question.
        """
        self._service.require_known(version)
        return Question(version, None, None)

    async def ask(
        self, question: Question, sample: Sample, *, result_id: str = "", repeat: int = 0
    ) -> Asked:
        """See ``Asker``.

        Raises:
            ApiError: nobody asked this about the sample when the recording was made.
            OvershootError: the request failed then.
        """
        version, label = question.version, self._service.label
        if repeat:
            raise ApiError(f"the recording {label} has one answer to each question, no repeats")
        found = await asyncio.to_thread(self._service.answers.find, version, sample)
        if found is None:
            raise ApiError(
                f"the recording {label} has no answer to {version.text[:80]!r} ({version.model}) "
                f"about sample {sample.index}"
            )
        if is_failed_request(found):
            raise recorded_error(found.error)
        answer = ChatAnswer(
            id=found.id,
            model=found.model_name,
            content=found.result,
            ok=found.ok,
            error=found.error,
            output=found.output,
            finish_reason=found.finish_reason,
            usage=found.usage,
            latency_ms=found.inference_latency_ms,
            attempts=1,
            reasoning=found.reasoning,
        )
        return Asked(answer, cached=False)  # it counts as it did then


def _digest(sample: Sample) -> bytes:
    digest = hashlib.sha256()
    for frame in sample.frames:
        digest.update(len(frame.data).to_bytes(8, "big"))
        digest.update(frame.data)
    return digest.digest()
