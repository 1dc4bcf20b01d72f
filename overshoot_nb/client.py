"""``Overshoot``: the client, and ``client.streams.create(...)``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from overshoot_nb import config
from overshoot_nb.gateway.reinfer import reinfer_when_stored

from .asking.endpoint import Verify, reached_by, resolve_endpoint
from .asking.extra_headers import ExtraHeaders, HeldHeaders, held_headers, with_headers
from .errors import StreamClosedError, ValidationError
from .running.lifecycle import Lifecycle
from .running.service import GatewayService, Service, open_service
from .runtime.coroutines import coroutine
from .runtime.event_loop import get_runtime
from .settings.stream_settings import StreamSettings
from .sources.kinds import SourceConfig
from .stream import Stream, close_unheld
from .support.api_key import ApiKey, held_key
from .support.parameters import named_parameters
from .support.redaction import hidden, once_made
from .support.schema_classes import OutputSchema
from .support.validation import check_output_schema
from .types import (
    ClipEncoding,
    Mode,
    ModelInfo,
    ReinferResult,
    ResponseFormat,
    SameFrame,
    StreamInferenceResult,
    Transport,
)


class Overshoot:
    """A client of one server. Nothing is opened before it is needed.

    Args:
        api_key: key of the service; None looks in ``OVERSHOOT_API_KEY``, then in the keyring.
        base_url: the server. None means ``OVERSHOOT_BASE_URL``, else the service when there is a
            key, else "local": the embedded engine, which needs neither key nor network. Any
            OpenAI-compatible URL works, e.g. "http://localhost:11434/v1". One that ends in
            "/v0.2" is a server that samples the video itself ("local/v0.2": the embedded engine).
            "replay:run.parquet" answers as a recorded run was answered: no key, no network.
        timeout: seconds that one request may take.
        max_wait: seconds that a limit of the server (429, or 503 with ``Retry-After``) is waited
            for: until it is over nothing is asked, and no row is lost for it. A longer one is
            the error at once. Default 600.
        extra_headers: header fields of every request, such as ``{"api-key": "..."}`` (Azure) or
            those of a gateway. Their values are secrets: nothing shows them. ``Authorization``
            takes the place of a key that was found. Default: none.
        verify: what an https server's certificate is checked against: True (the usual ones, or
            what ``SSL_CERT_FILE``, ``SSL_CERT_DIR``, ``REQUESTS_CA_BUNDLE`` or
            ``CURL_CA_BUNDLE`` names), the path of a file or folder of certificates, an
            ``ssl.SSLContext``, or False, which checks nothing.
        uds: path of a unix socket on which the server listens; ``base_url`` then says the rest,
            e.g. "http://localhost/v1".

    Raises:
        ValidationError: ``base_url`` is no URL, ``timeout`` not positive, or ``max_wait``
            negative.
    """

    @named_parameters
    def __init__(
        self,
        api_key: str | ApiKey | None = None,
        *,
        base_url: str | None = None,
        timeout: float = config.TIMEOUT_SECONDS,
        max_wait: float = config.MAX_WAIT_SECONDS,
        extra_headers: ExtraHeaders | HeldHeaders | None = None,
        verify: Verify = True,
        uds: str | None = None,
    ) -> None:
        api_key, base_url = held_key(api_key), hidden(base_url, server=True)
        extra_headers = held_headers(extra_headers)
        endpoint = with_headers(resolve_endpoint(api_key, base_url), extra_headers)
        self._endpoint = reached_by(endpoint, verify, uds)
        self._runtime = get_runtime()
        self._service = open_service(self._endpoint, timeout, max_wait)
        self._closed = False
        #: Starts streams, and knows those that run.
        self.streams = Streams(self)

    @property
    def base_url(self) -> str:
        """The server that answers, without secrets of its URL; "local" for the embedded engine."""
        return self._endpoint.shown

    @coroutine
    async def get_models(self) -> list[ModelInfo]:
        """GET /models: the models of the server and whether each is ready."""
        self._require_open()
        return await self._runtime.call(self._service.get_models())

    @coroutine
    async def default_model(self) -> str:
        """The model to ask when none was named.

        "local/auto" on the embedded engine, the first ready one on Overshoot, the first one of a
        recording, and on another server its only one.

        Raises:
            ValidationError: another server has several models, or none.
        """
        if self._endpoint.is_local:
            return config.LOCAL_MODEL
        models = await self.get_models()
        if self._endpoint.is_overshoot or self._endpoint.is_replay:
            models = [m for m in models if m.ready][:1]
        if len(models) == 1:
            return models[0].model
        names = ", ".join(m.model for m in models) or "none that is ready"
        raise ValidationError(f"name a model: {self.base_url} has {names}")

    @coroutine
    async def reinfer(
        self,
        result_id: str,
        prompt: str,
        model: str,
        *,
        temperature: float | None = None,
        max_output_tokens: int | None = None,
        output_schema: OutputSchema | None = None,
    ) -> ReinferResult:
        """Ask again about the very pictures of a result, which a v0.2 server keeps for a while.

        It waits up to 5 s for them to be stored, which takes the service 1 to 2 s.

        Args:
            result_id: column ``id`` of a row.
            prompt: what to ask.
            model: the model to ask.
            temperature: 0..2, or None for the model's own.
            max_output_tokens: the longest answer, or None for the server's own limit.
            output_schema: a JSON schema for the answer, or None for plain text.

        Raises:
            NotFoundError: nothing is stored for this result, or no longer.
            ValidationError: a parameter is empty or out of its range, or this is no v0.2 server.
        """
        self._require_open()
        if not isinstance(self._service, GatewayService):
            raise ValidationError(
                f"{self.base_url} keeps no pictures: reinfer() needs a v0.2 server. Those that "
                "a stream was asked about are in its frames: stream.frames[sample]"
            )
        if output_schema is not None:
            # The first check of a schema loads its library, which would hold up every stream.
            output_schema = await asyncio.to_thread(check_output_schema, output_schema)
        return await self._runtime.call(
            reinfer_when_stored(
                self._service.api,
                result_id,
                prompt,
                model,
                temperature=temperature,
                max_tokens=max_output_tokens,
                output_schema=output_schema,
            )
        )

    @coroutine(finish=True)
    async def close(self) -> None:
        """End every stream of this client and its connections. Idempotent."""
        # A callback that closes its own client must not be waited for by that very close.
        inside = any(stream._run.callbacks.inside() for stream in self.streams.active)
        await self._runtime.call(self._close(drain=not inside), finish=True)

    async def _close(self, *, drain: bool = True) -> None:
        self._closed = True
        self._runtime.forget(self)
        reason = "its client was closed"
        await asyncio.gather(*(s._run.close(reason, drain=drain) for s in self.streams.active))
        await self._service.close()

    async def __aenter__(self) -> Overshoot:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def _require_open(self) -> None:
        if self._closed:
            raise StreamClosedError("this client was closed; make a new Overshoot(...)")
        # From its first use it may hold connections, which a script that forgets to close it
        # should not leave to the garbage collector.
        self._runtime.close_at_exit(self, self._close)

    def _open_service(self) -> Service:
        self._require_open()
        return self._service

    @once_made
    def __repr__(self) -> str:
        return f"<Overshoot {self.base_url}, {len(self.streams.active)} active streams>"


class Streams:
    """``client.streams``."""

    def __init__(self, client: Overshoot) -> None:
        self._client = client
        self._active: list[Stream] = []

    @property
    def active(self) -> list[Stream]:
        """The streams of this client that are not over, oldest first."""
        return list(self._active)

    @coroutine(undo=close_unheld)
    async def create(
        self,
        source: SourceConfig | object,
        prompt: str,
        model: str,
        on_result: Callable[[StreamInferenceResult], object] | None = None,
        on_error: Callable[[Exception], object] | None = None,
        mode: Mode | None = None,
        output_schema: OutputSchema | None = None,
        max_output_tokens: int | None = None,
        target_fps: int | None = None,
        clip_length_seconds: float | None = None,
        delay_seconds: float | None = None,
        interval_seconds: float | None = None,
        *,
        max_in_flight: int | None = None,
        max_size: tuple[int, int] | None = None,
        jpeg_quality: int | None = None,
        clip_encoding: ClipEncoding = "images",
        response_format: ResponseFormat = "auto",
        keep_frames: int | bool | None = None,
        realtime: bool | None = None,
        transport: Transport | None = None,
        temperature: float | None = None,
        same_frame: SameFrame = config.SAME_FRAME,
        system: str | None = None,
        extra_body: Mapping[str, Any] | None = None,
    ) -> Stream:
        """Open a source, start asking about it, and return at once with the running stream.

        Args:
            source: a source, or anything that :func:`overshoot_nb.as_source` makes one of.
            prompt: what to ask about each frame or clip.
            model: model name, verbatim; see ``await client.get_models()``.
            on_result: called with each :class:`StreamInferenceResult`, function or coroutine.
            on_error: called with each error: of a request (which is a row too), of the stream
                (which ends it), or of a callback.
            mode: "frame" or "clip"; None is "frame", or "clip" when only clip parameters are
                given.
            output_schema: JSON schema of the answer, or a pydantic class, a dataclass or a
                TypedDict; its properties become columns ``out.<name>``.
            max_output_tokens: limit of an answer, in tokens. None leaves it to the server.
            target_fps: clip mode: frames a second, 1..30. Default 6.
            clip_length_seconds: clip mode: 0.1..60. Default 0.5.
            delay_seconds: clip mode: seconds from one clip's start to the next's. Default 0.5.
            interval_seconds: frame mode: seconds between frames, at most 60. Default 0.5.
            max_in_flight: requests under way at once. Default 1 in real time, else 4.
            max_size: (width, height) that frames are fitted into, never enlarged.
                Default (1280, 720).
            jpeg_quality: 1..100. Default 80.
            clip_encoding: "images" sends a clip as time-stamped JPEGs, "video" as one MP4.
            response_format: how a schema is asked for: "json_schema", "json_object" (the schema
                goes into the prompt), "prompt" (it goes there alone, for servers that know
                neither), or "auto": the first of these that the server does not refuse.
            keep_frames: bytes of sampled JPEGs to keep in memory, newest first; older ones go to
                a temporary file (``OVERSHOOT_SPILL_BYTES``, 10 GB). False keeps none anywhere.
                Default 256 MB.
            realtime: for files: overrides the source's own ``realtime``.
            transport: how video goes to a v0.2 server: "webrtc" (the default there; extra
                ``webrtc``), or "native", the server's own LiveKit room (extra ``livekit``).
            temperature: 0..2, how freely the model words its answers. None leaves it to the
                server.
            same_frame: what a sample of a file does that shows the very picture (or clip) of the
                one before, under the same prompt version: "copy" gives it that answer as a row of
                its own, without a request, with ``copied_from`` naming the sample that was asked
                about; "ask" asks again. Live sources never show one twice. Default "copy".
            system: text of a system message before the prompt. Default: none. The embedded
                engine's models read it as the beginning of the prompt.
            extra_body: further fields of each request's body, such as ``{"seed": 7}``,
                ``{"reasoning_effort": "low"}`` or ``{"chat_template_kwargs": {...}}``, as the
                server documents them. Fields that a parameter decides are refused. Default: none.

        A v0.2 server takes the samples itself, in real time. Parameters about requests
        (``clip_encoding``, ``response_format``, ``temperature``, ``system``, ``extra_body``) and
        ``same_frame`` mean nothing to it, ``max_in_flight`` is its own affair, and ``media_time``
        of a row is worked out from the latency that it reports.

        Raises:
            ValidationError: a parameter is out of its range; names it, its value and the range.
            SourceError: the source cannot be opened, or is no video.
            NotFoundError: the embedded engine does not have the model. What a chat server refuses
                (the key, the model) ends the stream: see ``status``, ``on_error``, ``wait``.
            ApiError: a v0.2 server refused, of the class that its status says: the key (401),
                credits (402), the model or a value (404, 422), a sixth stream (429).
            NetworkError: a v0.2 server could not be reached, or no media connection came about.
            MissingDependencyError: the transport's extra is not installed.
            StreamClosedError: the client was closed, or the stream while it began.
        """
        source = hidden(source)
        settings = StreamSettings.build(
            source,
            prompt,
            model,
            mode=mode,
            output_schema=output_schema,
            max_output_tokens=max_output_tokens,
            target_fps=target_fps,
            clip_length_seconds=clip_length_seconds,
            delay_seconds=delay_seconds,
            interval_seconds=interval_seconds,
            max_in_flight=max_in_flight,
            max_size=max_size,
            jpeg_quality=jpeg_quality,
            clip_encoding=clip_encoding,
            response_format=response_format,
            keep_frames=keep_frames,
            realtime=realtime,
            transport=transport,
            temperature=temperature,
            same_frame=same_frame,
            system=system,
            extra_body=extra_body,
        )
        return await self.start(settings, on_result, on_error)

    @coroutine(undo=close_unheld)
    async def start(
        self,
        settings: StreamSettings,
        on_result: Callable[[StreamInferenceResult], object] | None = None,
        on_error: Callable[[Exception], object] | None = None,
        *,
        note: str = "",
    ) -> Stream:
        """:meth:`create` with parameters that are already checked.

        ``note`` is kept with the stream's first prompt version.
        """
        for name, callback in (("on_result", on_result), ("on_error", on_error)):
            if callback is not None and not callable(callback):
                raise ValidationError(f"{name}={callback!r} is not callable")
        client = self._client
        client._require_open()
        caller_loop = None if client._runtime.in_loop() else asyncio.get_running_loop()
        return await client._runtime.call(
            self._start(settings, on_result, on_error, caller_loop, note), undo=close_unheld
        )

    async def _start(
        self,
        settings: StreamSettings,
        on_result: Callable[[StreamInferenceResult], object] | None,
        on_error: Callable[[Exception], object] | None,
        caller_loop: asyncio.AbstractEventLoop | None,
        note: str,
    ) -> Stream:
        await self._client._service.check(settings)
        life = Lifecycle(
            settings,
            self._client._service,
            self._client._runtime,
            on_result=on_result,
            on_error=on_error,
            caller_loop=caller_loop,
            on_start=lambda: self._enter(stream),
            on_over=lambda: self._leave(stream),
            note=note,
        )
        stream = Stream(life, self._client._runtime)
        await life.start()
        return stream

    def _enter(self, stream: Stream) -> None:
        self._client._require_open()
        if stream not in self._active:
            self._active.append(stream)

    def _leave(self, stream: Stream) -> None:
        if stream in self._active:
            self._active.remove(stream)


@coroutine
async def get_models(
    api_key: str | ApiKey | None = None,
    *,
    base_url: str | None = None,
    extra_headers: ExtraHeaders | HeldHeaders | None = None,
    verify: Verify = True,
    uds: str | None = None,
) -> list[ModelInfo]:
    """GET /models of the server that ``Overshoot(api_key, base_url=base_url)`` would ask.

    Raises:
        OvershootError: the server cannot be reached or refuses the key.
    """
    api_key, base_url = held_key(api_key), hidden(base_url, server=True)
    extra_headers = held_headers(extra_headers)
    async with Overshoot(
        api_key, base_url=base_url, extra_headers=extra_headers, verify=verify, uds=uds
    ) as client:
        return await client.get_models()
