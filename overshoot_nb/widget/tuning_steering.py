"""What the Tune tab asks for, carried out on the stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from overshoot_nb.errors import MissingDependencyError, ValidationError
from overshoot_nb.store.prompts import changes_to
from overshoot_nb.tuning.backfill import Backfill, start_backfill
from overshoot_nb.tuning.thumbnails import thumbnail

from .tuning_choice import TuningChoice
from .tuning_grid import ANSWERED
from .tuning_labels import PageLabels
from .tuning_reporter import TuningReporter

if TYPE_CHECKING:
    from overshoot_nb.running.run import Run

    from .kernel_link import KernelLink
    from .pages import Pages

#: The tab's own module, which pages ask for.
TUNE_TAB = Path(__file__).parent / "static" / "tune.js"
#: Rows and pictures that are sent at once.
MOST_ROWS = 200
MOST_THUMBS = 60

Message = Mapping[str, Any]


class TuningSteering:
    """Receives the Tune tab's messages, on the runtime's loop.

    Attributes:
        choice: what the tab looks at.
    """

    def __init__(self, run: Run, link: KernelLink, pages: Pages) -> None:
        self._run = run
        self.choice = TuningChoice(run, run.journal.touch)
        self._labels = PageLabels(run)
        self._reporter = TuningReporter(run, link, pages, self.choice, self._labels)

    def close(self) -> None:
        """Say no more."""
        self._reporter.close()

    def beat(self) -> None:
        """A page is still there; maybe it can be seen again."""
        self._reporter.beat()

    async def act(self, page: str, message: Message) -> None:
        """Do what a page asks for.

        Raises:
            OvershootError: it cannot be done.
        """
        try:
            await self._act(page, message)
        except LookupError as error:  # a sample or version that there is not, or no such message
            raise ValidationError(str(error)) from None

    async def _act(self, page: str, message: Message) -> None:
        reporter, labels = self._reporter, self._labels
        match message["kind"]:
            case "want_script":
                await self._send_script(page)
            case "open":
                reporter.opened(page, str(message["view"]))
            case "close":
                reporter.closed(page, str(message["view"]))
            case "want_cells":
                await reporter.send_rows([int(sample) for sample in message["samples"][:MOST_ROWS]])
            case "want_thumbs":
                await self._send_thumbs([int(s) for s in message["samples"][:MOST_THUMBS]])
            case "choose":
                self._choose(message["changes"])
            case "mark":
                sample, version = int(message["sample"]), int(message["version"])
                labels.mark(sample, version, message["field"], right=bool(message["right"]))
            case "expect":
                labels.expect(
                    int(message["sample"]),
                    int(message["version"]),
                    message["field"],
                    str(message["value"]),
                    typed=bool(message["typed"]),
                )
            case "unlabel":
                field = message["field"]
                labels.forget(int(message["sample"]), field, all_fields=field is None)
            case "undo":
                labels.undo()
            case "try":
                await self._try(message)
            case "cancel":
                self._backfills[int(message["number"])].cancel()
            case "resume":
                self._backfills[int(message["number"])].resume()
            case "apply":
                asked = self._run.prompts[int(message["version"])]
                await self._run.update(changes_to(self._run.settings, asked), asked.note)
            case "want_code":
                asked = self._run.prompts[int(message["version"])]
                code = asked.as_code()
                # To this page alone: the others' clipboards are not ours.
                reporter.say({"kind": "code", "version": asked.version, "code": code}, page=page)

    @property
    def _backfills(self) -> list[Backfill]:
        return self._run.journal.followed_by(Backfill)

    def _choose(self, changes: Message) -> None:
        choice = self.choice
        for name in ("version", "baseline", "field", "only", "judge"):
            if name in changes:
                setattr(choice, name, changes[name])
        if "first" in changes:
            first, last = changes["first"], changes["last"]
            choice.samples = None if first is None else range(int(first), int(last) + 1)

    async def _try(self, message: Message) -> None:
        schema = message["output_schema"]
        changes: dict[str, Any] = {
            "model": str(message["model"]),
            "output_schema": _parsed(schema) if schema is not None else None,
            "max_output_tokens": message["max_output_tokens"],
            "temperature": message["temperature"],
        }
        # On a thread: the first check of a schema loads its library.
        await asyncio.to_thread(
            start_backfill,
            self._run,
            str(message["prompt"]),
            changes,
            samples=self._samples_meant(message["last"]),
            progress=False,
            note=str(message["note"]),
        )
        self.choice.follow_newest()

    def _samples_meant(self, last: int | None) -> list[int]:
        """The last so many samples that have a row, or those of the chosen stretch."""
        fates = np.frombuffer(self._run.samples.read()[1], np.uint8)
        answered = np.flatnonzero(np.isin(fates, ANSWERED))
        stretch = self.choice.samples
        if last is not None:
            answered = answered[-max(1, int(last)) :]
        elif stretch is not None:
            inside = answered[(answered >= stretch.start) & (answered < stretch.stop)]
            answered = inside if len(inside) else np.asarray(stretch)
        samples: list[int] = answered.tolist()
        if not samples:
            raise ValidationError("no sample has a row yet: wait for the first answer")
        return samples

    async def _send_script(self, page: str) -> None:
        try:
            script = await asyncio.to_thread(TUNE_TAB.read_bytes)
        except OSError as error:
            raise MissingDependencyError(
                "the Tune tab's front end was not built: install Node.js 20 or newer, then run "
                f"`pip install -e .` again ({error})"
            ) from None
        self._reporter.say({"kind": "script"}, script, page=page)

    async def _send_thumbs(self, samples: list[int]) -> None:
        frames = self._run.frames

        def drawn(sample: int) -> bytes:
            try:
                pictures = frames[sample].frames
            except LookupError:  # kept no more
                return b""
            small = thumbnail(pictures) if pictures else None
            return small.data if small is not None else b""

        jpegs = await asyncio.to_thread(lambda: [drawn(sample) for sample in samples])
        self._reporter.say({"kind": "thumbs", "samples": samples}, *jpegs)


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError) as error:
        raise ValidationError(f"the schema is no JSON: {error}") from None
