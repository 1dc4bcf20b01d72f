"""A whole video at once: ``analyze`` runs a finite source to its end and returns the rows."""

from __future__ import annotations

import asyncio
import logging
import os
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Unpack

from overshoot_nb.client import Overshoot
from overshoot_nb.errors import IncompleteRunWarning, ValidationError
from overshoot_nb.running.losses import losses_of
from overshoot_nb.running.run_registry import keep_run
from overshoot_nb.running.service import check_one_client
from overshoot_nb.runtime.coroutines import coroutine
from overshoot_nb.runtime.event_loop import get_runtime
from overshoot_nb.settings.source_options import WatchParameters, source_and_rest
from overshoot_nb.settings.stream_settings import (
    StreamParameters,
    StreamSettings,
    check_finite,
    expected_samples,
)
from overshoot_nb.sources.kinds import SourceConfig
from overshoot_nb.stream import Stream, close_unheld
from overshoot_nb.support.api_key import ApiKey, held_key
from overshoot_nb.support.notebook import show_notice
from overshoot_nb.support.parameters import named_parameters
from overshoot_nb.support.progress import TICK_SECONDS, ProgressBar
from overshoot_nb.support.redaction import hidden
from overshoot_nb.types import StreamInferenceResult

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["analyze", "analyze_async"]

logger = logging.getLogger("overshoot_nb")

#: Of a note beside the progress bar, which is one line.
NOTE_CHARACTERS = 80


@named_parameters
def analyze(
    source: SourceConfig | object,
    prompt: str,
    model: str | None = None,
    on_result: Callable[[StreamInferenceResult], object] | None = None,
    on_error: Callable[[Exception], object] | None = None,
    *,
    client: Overshoot | None = None,
    api_key: str | ApiKey | None = None,
    base_url: str | None = None,
    progress: bool = True,
    record: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    **parameters: Unpack[WatchParameters],
) -> pd.DataFrame:
    """Ask about a whole video, as fast as answers come, and return the DataFrame.

    It blocks until the end. Interrupting it (Ctrl+C, the notebook's stop button) ends the stream
    and returns the rows that came.

    Args:
        source: a file, URL or frames; anything finite that ``as_source`` takes.
        prompt: what to ask about each frame or clip.
        model: model name; None asks the server's default (``Overshoot.default_model``).
        on_result, on_error: as in ``client.streams.create``.
        client: the client to use; None makes one from ``api_key`` and ``base_url``.
        api_key, base_url: as :class:`overshoot_nb.Overshoot` takes them; not beside ``client``.
        progress: show a progress bar (tqdm), in notebooks and terminals.
        record: a file to keep the run in, as ``stream.record`` does.
        overwrite: replace that file where there is one.
        parameters: every other parameter of ``client.streams.create``, and the options of the
            source: ``timeout=10``, ``start_time=...``.

    Returns:
        One row a sample in the order of the video; columns as in ``stream.df``. Its pictures
        (``df.overshoot.frame(0)``) are on disk, as long as it is one of the last few analyses, or
        in its recording. ``df.attrs["overshoot"]`` says how the run ended, and what it lost.

    Warns:
        IncompleteRunWarning: once, where the video was cut off, parts of it could not be decoded,
            or no answer fitted the ``output_schema``; it names all of these.

    Raises:
        ValidationError: a parameter is out of its range, the source never ends, or ``record`` is
            there already.
        OSError: ``record`` cannot be written.
        SourceError: the source cannot be opened.
        OvershootError: no request succeeded. When some did, the failure is logged and their
            rows are returned.
    """
    source, api_key, base_url = hidden(source), held_key(api_key), hidden(base_url, server=True)
    record = hidden(record)
    check_one_client(client, api_key, base_url)
    runtime = get_runtime()
    given, rest = _finite(source, parameters)
    own = Overshoot(api_key, base_url=base_url) if client is None else client
    show_notice()
    try:
        name = model if model is not None else runtime.run(own.default_model())
        settings = StreamSettings.build(given, prompt, name, **rest)
        stream = runtime.run(own.streams.start(settings, on_result, on_error), undo=close_unheld)
        try:
            _begin(stream, record, overwrite)
            interrupted = _watch(stream, progress)
        finally:
            runtime.run(stream.close(), finish=True)
    finally:
        if client is None:
            runtime.run(own.close(), finish=True)
    if interrupted:
        logger.warning("interrupted: the %d rows that came are returned", len(stream.df))
    _conclude(stream, interrupted=interrupted, stacklevel=4)
    return stream.df


@coroutine
async def analyze_async(
    source: SourceConfig | object,
    prompt: str,
    model: str | None = None,
    on_result: Callable[[StreamInferenceResult], object] | None = None,
    on_error: Callable[[Exception], object] | None = None,
    *,
    client: Overshoot | None = None,
    api_key: str | ApiKey | None = None,
    base_url: str | None = None,
    progress: bool = True,
    record: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    **parameters: Unpack[WatchParameters],
) -> pd.DataFrame:
    """:func:`analyze` to be awaited: the loop of the caller goes on meanwhile.

    Parameters, rows, warnings and errors are those of :func:`analyze`. Cancelling it ends the
    stream, and leaves nothing running; rows that came are in the recording, where there is one.
    """
    source, api_key, base_url = hidden(source), held_key(api_key), hidden(base_url, server=True)
    record = hidden(record)
    check_one_client(client, api_key, base_url)
    given, rest = _finite(source, parameters)
    own = Overshoot(api_key, base_url=base_url) if client is None else client
    show_notice()
    try:
        name = model if model is not None else await own.default_model()
        settings = StreamSettings.build(given, prompt, name, **rest)
        stream = await own.streams.start(settings, on_result, on_error)
        try:
            _begin(stream, record, overwrite)
            await _follow(stream, progress)
        finally:
            await stream.close()
    finally:
        if client is None:
            await own.close()
    _conclude(stream, interrupted=False, stacklevel=3)
    # A table of many rows takes a while to make, and so does importing pandas.
    return await asyncio.to_thread(lambda: stream.df)


def _finite(source: object, parameters: WatchParameters) -> tuple[SourceConfig, StreamParameters]:
    given, rest = source_and_rest(source, parameters)
    rest.setdefault("realtime", False)
    check_finite(given)
    return given, rest


def _begin(stream: Stream, record: str | os.PathLike[str] | None, overwrite: bool) -> None:
    if stream.settings.source.live:
        # Played in real time, so it was opened; only now it shows that it has no end.
        raise ValidationError(
            f"{stream.settings.source.label} never ends, so it cannot be analysed to its "
            "end; watch it with client.streams.create(...)"
        )
    if record is not None:
        stream.record(record, overwrite=overwrite)


def _conclude(stream: Stream, *, interrupted: bool, stacklevel: int) -> None:
    """Raise what left no rows, and warn of what the rows lack."""
    if not interrupted and stream.error is not None:
        if not stream.stats.results:
            raise stream.error
        logger.warning("the rows end early: %s", stream.error)
    keep_run(stream._life)  # the rows alone would not keep their pictures
    if lost := losses_of(stream._life):
        label = stream.settings.source.label
        text = f"{label}: {'; '.join(lost)}"
        warnings.warn(text, IncompleteRunWarning, stacklevel=stacklevel)


def _watch(stream: Stream, progress: bool) -> bool:
    """Draw the bar until the stream is over; True when it was interrupted."""
    runtime = get_runtime()
    bar = _bar(stream) if progress else None
    try:
        over = runtime.submit(stream._life.wait_over(drain=True))
        while True:
            try:
                over.result(TICK_SECONDS)  # an interrupt is seen as soon
                break
            except TimeoutError:
                _draw(bar, stream)
        return False
    except KeyboardInterrupt:
        runtime.run(stream.close("interrupted"), finish=True)
        return True
    finally:
        if bar is not None:
            _draw(bar, stream)
            bar.close(complete=stream.state == "ended")  # the file's own duration is an estimate


async def _follow(stream: Stream, progress: bool) -> None:
    """Draw the bar until the stream is over, on whichever loop this is."""
    bar = _bar(stream) if progress else None
    over = asyncio.ensure_future(get_runtime().call(stream._life.wait_over(drain=True)))
    try:
        while not (await asyncio.wait([over], timeout=TICK_SECONDS))[0]:
            _draw(bar, stream)
        over.result()
    finally:
        over.cancel()
        if bar is not None:
            _draw(bar, stream)
            bar.close(complete=stream.state == "ended")


def _bar(stream: Stream) -> ProgressBar:
    duration = stream.duration
    total = None if duration is None else expected_samples(stream.settings.processing, duration)
    return ProgressBar(stream.settings.source.label, total)


def _draw(bar: ProgressBar | None, stream: Stream) -> None:
    if bar is not None:
        stats = stream.stats
        # What is said while it runs: that a limit is waited for.
        note = stream._life.note[:NOTE_CHARACTERS] if stream.is_active else ""
        bar.draw(stats.results + stats.errors, stats.errors, note)
