"""The synchronous twins that a notebook needs: what the magic delegates to.

One client serves them all, made from the environment when first needed.
"""

from __future__ import annotations

import os
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack

from overshoot_nb.running.service import check_one_client
from overshoot_nb.support.notebook import show_notice

from .asking.endpoint import Endpoint, resolve_endpoint
from .client import Overshoot
from .errors import NotFoundError, ValidationError
from .runtime.event_loop import get_runtime
from .settings.source_options import WatchParameters, source_and_rest
from .settings.stream_settings import StreamSettings
from .store.prompts import ASKED, PromptVersion
from .stream import Stream, close_unheld
from .support.accessor_registration import register_accessor
from .support.api_key import ApiKey, held_key
from .support.parameters import named_parameters
from .support.redaction import hidden
from .types import StreamInferenceResult

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["models", "status", "stop", "watch"]

_clients: dict[Endpoint, Overshoot] = {}


class _Started:
    """A stream that was started here. Its client holds it while it runs, and nobody here after."""

    def __init__(self, stream: Stream) -> None:
        self._stream = weakref.ref(stream)
        self._row: tuple[Any, ...] = ()
        stream._life.journal.watch(self._look)
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


def client(api_key: str | ApiKey | None = None, base_url: str | None = None) -> Overshoot:
    """The client for this key and server; None is what the environment names now."""
    api_key, base_url = held_key(api_key), hidden(base_url, server=True)
    endpoint = resolve_endpoint(api_key, base_url)
    if endpoint not in _clients:
        _clients[endpoint] = Overshoot(endpoint.key, base_url=endpoint.base_url)
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
