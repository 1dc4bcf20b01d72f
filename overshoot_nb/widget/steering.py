"""What a page asks for, carried out on the stream."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from overshoot_nb.errors import OvershootError, ValidationError
from overshoot_nb.support.html import visible
from overshoot_nb.support.validation import check_output_schema

from .advice import problem_of
from .message_values import Problem
from .messages import Detail
from .reporter import matching
from .rows import row_of

if TYPE_CHECKING:
    from overshoot_nb.running.run import Run
    from overshoot_nb.settings.stream_settings import StreamChanges

    from .kernel_link import KernelLink
    from .pages import Pages
    from .reporter import Reporter
    from .tuning_steering import TuningSteering

logger = logging.getLogger("overshoot_nb")

#: Characters of an answer, a prompt or an error that are sent to be read.
WHOLE_CUT = 200_000
#: Rows that are sent at once.
MAX_ROWS = 500


class Steering:
    """Receives the messages of pages, on the runtime's loop."""

    def __init__(
        self,
        run: Run,
        link: KernelLink,
        pages: Pages,
        reporter: Reporter,
        tuning: TuningSteering,
    ) -> None:
        self._tuning = tuning
        self._run = run
        self._link = link
        self._pages = pages
        self._reporter = reporter
        self._tasks: set[asyncio.Task[None]] = set()

    def receive(self, message: dict[str, Any]) -> None:
        """Act on a message; one that is none of ours (of another version's page) is passed over."""
        try:
            self._act(message)
        except (KeyError, TypeError, ValueError):
            return

    def _act(self, message: dict[str, Any]) -> None:
        pages, reporter = self._pages, self._reporter
        match message["kind"]:
            case "hello":
                pages.hello(str(message["page"]), visible=bool(message["visible"]))
                reporter.welcome(str(message["page"]))
            case "beat":
                page, visible = str(message["page"]), bool(message["visible"])
                if pages.beat(page, visible=visible):
                    self._tuning.beat()
                    reporter.send_status(always=True)
                    reporter.follow()
                elif visible:  # it slept for so long that it was forgotten
                    self._act({**message, "kind": "hello"})
            case "bye":
                pages.bye(str(message["page"]))
                reporter.follow()
            case "want_rows":
                reporter.send_rows([int(row) for row in message["rows"][:MAX_ROWS]])
            case "filter":
                self._spawn(self._filter(str(message["page"]), str(message["query"])))
            case "look":
                self._spawn(self._look(int(message["sample"])))
            case "want_models":
                self._spawn(self._models())
            case "control":
                self._request(message, self._control(message["action"]))
            case "update":
                self._request(message, self._update(message["changes"], bool(message["restart"])))
            case "check_schema":
                self._request(message, self._check(str(message["schema"])))
            case "tune":
                asked = self._tuning.act(str(message["page"]), dict(message["message"]))
                self._request(message, asked)

    def update(self, **changes: Any) -> None:
        """Change settings for whoever set a trait; a refusal is shown like one of a page's own."""
        self._request({"page": "", "request": 0}, self._update(changes, False))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- requests that are answered by done or refused ----

    def _request(self, message: dict[str, Any], work: Awaitable[None]) -> None:
        self._spawn(self._answered(message["page"], message["request"], work))

    async def _answered(self, page: str, request: int, work: Awaitable[None]) -> None:
        try:
            await work
        except NeedsRestart as refusal:
            self._refuse(page, request, refusal.problem, restart=True)
        except Exception as error:
            if not isinstance(error, OvershootError):
                logger.exception("a request of the widget failed in an unforeseen way")
            self._refuse(page, request, problem_of(error))
        else:
            self._link.send({"kind": "done", "page": page, "request": request})
        self._reporter.touched()

    def _refuse(self, page: str, request: int, problem: Problem, *, restart: bool = False) -> None:
        self._link.send(
            {
                "kind": "refused",
                "page": page,
                "request": request,
                "problem": problem,
                "restart": restart,
            }
        )

    async def _control(self, action: str) -> None:
        actions: dict[str, Callable[[], Awaitable[object]]] = {
            "pause": lambda: self._run.steer("paused"),
            "resume": lambda: self._run.steer("running"),
            "stop": self._run.close,
            "restart": lambda: self._run.restart({}),
        }
        await actions[action]()

    async def _update(self, given: dict[str, Any], restart: bool) -> None:
        if (number := given.get("version")) is not None:
            given = self._asked_by(int(number))
        changes = cast("StreamChanges", dict(given))
        if isinstance(text := given.get("output_schema"), str):
            changes["output_schema"] = await _schema(text)
        run = self._run
        if restart:
            await run.restart(changes)
            return
        if not run.is_active:
            raise NeedsRestart(
                f"The stream is over ({run.status}).",
                "Restart it with the new values: the rows stay.",
            )
        now = {**run.settings.numbers, "mode": run.settings.mode}
        fixed = [
            name
            for name, value in given.items()
            if name not in run.live_changes and now.get(name) != value
        ]
        if fixed:
            run.settings.changed(changes)  # what no restart would allow is said first
            raise NeedsRestart(
                f"{', '.join(sorted(fixed))} cannot change while the stream runs.",
                "Restart it with the new values: the rows stay.",
            )
        await run.update(changes)

    def _asked_by(self, number: int) -> dict[str, Any]:
        """The settings that a prompt version asks otherwise than the stream does."""
        settings = self._run.settings
        try:
            asked = self._run.prompts[number].parameters
        except LookupError as error:
            raise ValidationError(str(error)) from None
        return {name: value for name, value in asked.items() if value != getattr(settings, name)}

    async def _check(self, text: str) -> None:
        await _schema(text)

    # ---- questions ----

    async def _models(self) -> None:
        try:
            found = await self._run.service.get_models()
            error = None
        except OvershootError as failure:
            found, error = [], str(failure)
        models = [{"model": m.model, "ready": m.ready, "status": m.status} for m in found]
        self._link.send({"kind": "models", "models": models, "error": error})

    async def _filter(self, page: str, query: str) -> None:
        self._pages.ask(page, query)
        if query:
            results = self._run.journal.table.results_since(0)
            # Off the loop: a hundred thousand answers take a while to read.
            found = await asyncio.to_thread(matching, query, 0, results)
            # Rows that came meanwhile: reported now, so that the next report begins after them.
            self._reporter.send_new_rows()
            late = self._run.journal.table.results_since(len(results))
            found += matching(query, len(results), late)
            self._reporter.send_matches(page, query, found, append=False)

    async def _look(self, sample: int) -> None:
        run = self._run
        try:
            record = run.samples[sample]
        except IndexError:
            return
        row, result = None, None
        if record.row is not None:
            result = run.journal.table[record.row]
            row = row_of(record.row, result)
        jpeg: bytes | None = None
        frames, missing = 0, None
        try:
            # It may be read from the disk, and a clip is a strip of its frames to be drawn.
            frames, jpeg = await asyncio.to_thread(_picture, run, sample)
        except (LookupError, ValueError) as error:
            missing = str(error)
        detail: Detail = {
            "kind": "detail",
            "sample": sample,
            "media_time": record.media_time,
            "fate": record.fate,
            "reason": record.reason,
            "row": row,
            "text": visible(result.result[:WHOLE_CUT]) if result is not None else "",
            "prompt": result.prompt[:WHOLE_CUT] if result is not None else "",
            "model": visible(result.model_name if result is not None else run.model),
            "frames": frames,
            "missing": missing,
        }
        self._link.send(detail, *([jpeg] if jpeg else []))


class NeedsRestart(Exception):
    """A change that a running stream cannot make."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.problem: Problem = {"message": message, "advice": advice}


def _picture(run: Run, sample: int) -> tuple[int, bytes | None]:
    """How many frames a sample has, and a JPEG of them.

    Raises:
        LookupError: it is not kept.
        ValueError: a frame is a broken JPEG.
    """
    stored = run.frames[sample]
    return len(stored.frames), stored._repr_jpeg_()


async def _schema(text: str) -> dict[str, Any]:
    """The JSON schema that a text is.

    Raises:
        ValidationError: it is none.
    """
    try:
        schema = json.loads(text)
    except ValueError as error:
        raise ValidationError(f"the schema is no JSON: {error}") from None
    # The first check loads its library, which would hold up every stream.
    await asyncio.to_thread(check_output_schema, schema)
    return cast("dict[str, Any]", schema)
