"""``watch``, ``analyze`` and their like: what the magic delegates to.

One client serves them all, made from the environment when first needed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack

from overshoot_nb.running.service import check_one_client
from overshoot_nb.store.prompt_fields import ASKED
from overshoot_nb.support.notebook import show_notice

from .asking.endpoint import Endpoint, resolve_endpoint
from .asking.extra_headers import ExtraHeaders, HeldHeaders, held_headers, with_headers
from .batch.whole_video import check_ends, conclude, follow_to_the_end, watch_to_the_end
from .client import Overshoot
from .errors import NotFoundError, ValidationError
from .runtime.coroutines import coroutine
from .runtime.event_loop import get_runtime
from .settings.source_options import WatchParameters, source_and_rest
from .settings.stream_settings import StreamParameters, StreamSettings, check_finite
from .sources.kinds import SourceConfig
from .store.prompts import PromptVersion
from .stream import Stream, close_unheld
from .support.accessor_registration import register_accessor
from .support.api_key import ApiKey, held_key
from .support.parameters import named_parameters
from .support.redaction import hidden
from .types import StreamInferenceResult

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger("overshoot_nb")

_clients: dict[Endpoint, Overshoot] = {}


class _Started:
    """A stream that was started here. Its client holds it while it runs, and nobody here after."""

    def __init__(self, stream: Stream) -> None:
        self._stream = weakref.ref(stream)
        self._row: tuple[Any, ...] = ()
        stream._run.journal.watch(self._look)
        self._look()

    @property
    def stream(self) -> Stream | None:
        """It, None where nobody has it any more."""
        return self._stream()

    @property
    def row(self) -> tuple[Any, ...]:
        """Its id, then its row of :func:`status`: of the end, where it is gone."""
        stream = self.stream
        return self._row if stream is None else _row(stream)

    def _look(self) -> None:
        stream = self.stream
        if stream is not None and not stream.is_active:
            self._row = _row(stream)


#: Newest last; those over are kept for `status`.
_started: deque[_Started] = deque(maxlen=50)


def client(
    api_key: str | ApiKey | None = None,
    base_url: str | None = None,
    extra_headers: ExtraHeaders | HeldHeaders | None = None,
) -> Overshoot:
    """The client for this key, server and header fields; None is what the environment names now."""
    api_key, base_url = held_key(api_key), hidden(base_url, server=True)
    extra_headers = held_headers(extra_headers)
    endpoint = with_headers(resolve_endpoint(api_key, base_url), extra_headers)
    if endpoint not in _clients:
        _clients[endpoint] = Overshoot(
            endpoint.key, base_url=endpoint.base_url, extra_headers=extra_headers
        )
    return _clients[endpoint]


def _asked(
    given: Overshoot | None, api_key: str | ApiKey | None, base_url: str | None
) -> Overshoot:
    """The client that was given, else that of this key and server."""
    api_key, base_url = held_key(api_key), hidden(base_url, server=True)
    check_one_client(given, api_key, base_url)
    return given if given is not None else client(api_key, base_url)


@named_parameters
def watch(
    source: object,
    prompt: str | None = None,
    model: str | None = None,
    on_result: Callable[[StreamInferenceResult], object] | None = None,
    on_error: Callable[[Exception], object] | None = None,
    *,
    client: Overshoot | None = None,
    api_key: str | ApiKey | None = None,
    base_url: str | None = None,
    kept: PromptVersion | None = None,
    record: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    **parameters: Unpack[WatchParameters],
) -> Stream:
    """Start a stream and return it at once; parameters as in ``client.streams.create``.

    Args:
        source: what to watch.
        prompt: what to ask; may be left out beside ``kept``.
        model: the model to ask. Default: that of ``kept``, else the server's.
        on_result, on_error: as in ``client.streams.create``; called on a thread of their own.
        client: the client to use; None takes one for ``api_key`` and ``base_url``, which stays
            open for the next call.
        api_key, base_url: as :class:`overshoot_nb.Overshoot` takes them; not beside ``client``.
        kept: a version that was kept in a file: prompt, model, schema and limits. What is given
            beside it takes their place.
        record: a file to keep the run in, as ``stream.record`` does.
        overwrite: replace that file where there is one.
        parameters: those of ``client.streams.create``, and the options of the source
            (``loop=True``, ``timeout=10``). None leaves it to ``kept``, or to the default.

    Raises:
        ValidationError: there is no prompt, or ``record`` is there already.
        OSError: ``record`` cannot be written.
        OvershootError: as ``client.streams.create``.
    """
    source, record = hidden(source), hidden(record)
    api_key, base_url = held_key(api_key), hidden(base_url, server=True)
    if kept is not None:
        prompt = kept.text if prompt is None else prompt
        model = kept.model if model is None else model
        for name in ASKED:
            if name not in ("text", "model") and parameters.get(name) is None:
                parameters[name] = getattr(kept, name)  # type: ignore[literal-required]
    if prompt is None:
        raise ValidationError("prompt is missing: give what to ask")
    given, rest = source_and_rest(source, parameters)
    asked = _asked(client, api_key, base_url)
    runtime = get_runtime()
    name = model if model is not None else runtime.run(asked.default_model())
    settings = StreamSettings.build(given, prompt, name, **rest)
    note = kept.note if kept is not None else ""
    stream = runtime.run(
        asked.streams.start(settings, on_result, on_error, note=note), undo=close_unheld
    )
    try:
        if record is not None:
            stream.record(record, overwrite=overwrite)
        _started.append(_Started(stream))
    except BaseException as error:
        why = "it could not be recorded" if isinstance(error, Exception) else "interrupted"
        runtime.run(stream.close(why), finish=True)
        raise
    return stream


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
            interrupted = watch_to_the_end(stream._run, progress)
        finally:
            runtime.run(stream.close(), finish=True)
    finally:
        if client is None:
            runtime.run(own.close(), finish=True)
    if interrupted:
        logger.warning("interrupted: the %d rows that came are returned", len(stream.df))
    conclude(stream._run, interrupted=interrupted, stacklevel=4)
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
            await follow_to_the_end(stream._run, progress)
        finally:
            await stream.close()
    finally:
        if client is None:
            await own.close()
    conclude(stream._run, interrupted=False, stacklevel=3)
    # A table of many rows takes a while to make, and so does importing pandas.
    return await asyncio.to_thread(lambda: stream.df)


def _finite(source: object, parameters: WatchParameters) -> tuple[SourceConfig, StreamParameters]:
    given, rest = source_and_rest(source, parameters)
    rest.setdefault("realtime", False)
    check_finite(given)
    return given, rest


def _begin(stream: Stream, record: str | os.PathLike[str] | None, overwrite: bool) -> None:
    check_ends(stream._run)
    if record is not None:
        stream.record(record, overwrite=overwrite)


def stop(stream: Stream | str | None = None) -> list[Stream]:
    """Close a stream (or the one with this id), or all that were started here; returns them.

    Raises:
        NotFoundError: no stream that was started here has this id.
    """
    if stream is None:
        chosen = [s for s in _streams() if s.is_active]
    elif isinstance(stream, Stream):
        chosen = [stream]
    else:
        chosen = [s for s in _streams() if s.stream_id == stream]
        if not chosen and stream not in [started.row[0] for started in _started]:
            known = ", ".join(s.stream_id for s in _streams() if s.is_active) or "none"
            raise NotFoundError(f"no stream {stream!r}; running: {known}")
    for one in chosen:
        get_runtime().run(one.close(), finish=True)
    return chosen


def status() -> pd.DataFrame:
    """One row for each stream that was started here, newest last."""
    import pandas as pd

    register_accessor()
    columns = ["source", "model", "prompt", "status", "results", "errors", "drops", "p50_ms"]
    rows = {stream_id: row for stream_id, *row in (started.row for started in _started)}
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("stream_id")


def _streams() -> list[Stream]:
    return [stream for started in _started if (stream := started.stream) is not None]


def _row(stream: Stream) -> tuple[Any, ...]:
    stats = stream.stats
    return (
        stream.stream_id,
        stream.settings.source.label,
        stream.model,
        stream.prompt,
        stream.status,
        stats.results,
        stats.errors,
        sum(stats.drops.values()),
        stats.latency_p50_ms,
    )


@named_parameters
def models(
    *,
    client: Overshoot | None = None,
    api_key: str | ApiKey | None = None,
    base_url: str | None = None,
) -> pd.DataFrame:
    """The models of the server: name, whether it can be asked now, and its status.

    Raises:
        OvershootError: the server cannot be reached or refuses the key.
    """
    api_key, base_url = held_key(api_key), hidden(base_url, server=True)
    import pandas as pd

    asked = _asked(client, api_key, base_url)
    found = get_runtime().run(asked.get_models())
    register_accessor()
    show_notice()
    return pd.DataFrame(
        [(m.model, m.ready, m.status) for m in found], columns=["model", "ready", "status"]
    )
