"""What an alert does when it fires."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any, Literal

from overshoot_nb.errors import ValidationError
from overshoot_nb.support.html import clock
from overshoot_nb.support.notebook import in_kernel
from overshoot_nb.types import StreamInferenceResult

from .bell import RING_SECONDS, bell_note
from .notebook_output import NotebookOutput

logger = logging.getLogger("overshoot_nb")

#: What a caller may give: "bell", `print`, or a function or coroutine function that takes the
#: result, or nothing.
Action = Callable[..., object] | Literal["bell"]
#: Characters of an answer that a line shows.
ANSWER_CUT = 200


def alert_line(name: str, result: StreamInferenceResult) -> str:
    """One line about a result that fired: ``0:12.5 out.people > 3 (sample 24): {"people": 4}``."""
    answer = " ".join(result.result.split())
    if len(answer) > ANSWER_CUT:
        answer = answer[: ANSWER_CUT - 1] + "…"
    return f"{clock(result.media_time)} {name} (sample {result.sample}): {answer}"


def action_of(
    do: object, name: str, pause: Callable[[float], None]
) -> Callable[[StreamInferenceResult], None]:
    """What to call with a result that fired, on a thread of its own.

    Args:
        do: what the caller gave.
        name: of the alert.
        pause: waits some seconds, on that thread.

    Raises:
        ValidationError: ``do`` is none of :data:`Action`.
    """
    if do is print:
        return lambda result: print(alert_line(name, result))
    if do == "bell":
        return _Bell(name, pause).ring
    if not callable(do):
        raise ValidationError(
            f"do={str(do)[:100]!r} is not valid: give a function (of the result, or of nothing), "
            "a coroutine function, print or 'bell'"
        )
    arguments = _arguments(do)
    function: Callable[..., Any] = do

    def act(result: StreamInferenceResult) -> None:
        outcome = function(*(result,)[:arguments])
        if inspect.isawaitable(outcome):
            asyncio.run(_awaited(outcome))

    return act


async def _awaited(outcome: Any) -> None:
    await outcome


def _arguments(do: Callable[..., object]) -> int:
    """Whether the function takes the result (1), or nothing (0)."""
    try:
        signature = inspect.signature(do)
    except (TypeError, ValueError):  # of a builtin, often
        return 1
    for count in (1, 0):
        try:
            signature.bind(*[None] * count)
        except TypeError:
            continue
        return count
    raise ValidationError(
        f"do={getattr(do, '__qualname__', type(do).__name__)}{signature} cannot be called: it must "
        "take one argument, the result, or none"
    )


class _Bell:
    """Rings in the notebook, or in the terminal."""

    def __init__(self, name: str, pause: Callable[[float], None]) -> None:
        self._name = name
        self._pause = pause
        self._output: NotebookOutput | None = None
        self._rung = 0

    def ring(self, result: StreamInferenceResult) -> None:
        self._rung += 1
        line = alert_line(self._name, result)
        logger.info("alert: %s", line)
        if not in_kernel():
            print(f"\a{line}")
            return
        if self._rung > 1:
            line += f" · {self._rung} times so far"
        note = bell_note(line, ringing=True)
        if self._output is None:
            self._output = NotebookOutput()
            self._output.show(note)
        else:
            self._output.change(note)
        # Once it has rung, the sound goes: a notebook that is opened again would ring again.
        self._pause(2 * RING_SECONDS)
        self._output.change(bell_note(line, ringing=False))
