"""Who answers: one server, the surface that it speaks, and the sessions that go with it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from overshoot_nb import config
from overshoot_nb.asking.advice import listed
from overshoot_nb.asking.chat import ChatClient
from overshoot_nb.asking.endpoint import Endpoint
from overshoot_nb.errors import NotFoundError, OvershootError, StreamClosedError, ValidationError
from overshoot_nb.gateway.api_client import ApiClient
from overshoot_nb.sampling.preview import Preview
from overshoot_nb.settings.stream_settings import StreamChanges, StreamSettings
from overshoot_nb.sources.kinds import LiveKitSource
from overshoot_nb.store.answer_cache import AnswerCache
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.support.registry import opener
from overshoot_nb.support.validation import check_token_rate
from overshoot_nb.types import ModelInfo, ResponseFormat

from .asker import Asker, ChatAsker, ReinferAsker, Turn
from .chat_session import ChatSession
from .session import Session, Sink

Api = TypeVar("Api", bound=ChatClient | ApiClient)


class Service(Protocol):
    """A server as the streams of one client see it."""

    @property
    def endpoint(self) -> Endpoint:
        """Who it is."""

    async def get_models(self) -> list[ModelInfo]:
        """GET /models."""

    async def check(self, settings: StreamSettings, before: StreamSettings | None = None) -> None:
        """Refuse what this server cannot do, before a source (a camera) is opened for nothing.

        Args:
            settings: what a stream is to do.
            before: what it does now, or None for a new one.

        Raises:
            ValidationError: a parameter means nothing here, or is out of this server's range.
            NotFoundError: the embedded engine has no such model.
        """

    def session(
        self,
        settings: StreamSettings,
        prompt: PromptVersion,
        sink: Sink,
        *,
        preview: Preview,
        first_index: int,
    ) -> Session:
        """A session that is not open yet.

        Args:
            settings: what to watch and how.
            prompt: what to ask at first.
            sink: whom to tell.
            preview: who looks on.
            first_index: index of the first sample.
        """

    def asker(
        self,
        *,
        response_format: ResponseFormat = "auto",
        cache: AnswerCache | None = None,
        turn: Turn | None = None,
    ) -> Asker:
        """Who asks it about samples that were taken before.

        Args:
            response_format: how a schema is asked for.
            cache: where answers are kept, or None.
            turn: awaited before each request.
        """

    @property
    def closed(self) -> bool:
        """Whether its client was closed."""

    async def close(self) -> None:
        """Close the connections."""


class Client(Protocol):
    """A client of one server, as those who ask about stored samples need it."""

    async def default_model(self) -> str:
        """The model to ask when none was named."""

    async def close(self) -> None:
        """End its streams and connections."""

    def _open_service(self) -> Service:
        """Whom it asks.

        Raises:
            StreamClosedError: it was closed.
        """


async def checked_change(
    service: Service, now: StreamSettings, changes: StreamChanges
) -> StreamSettings:
    """What a stream is to do after a change, which its server can do.

    Raises:
        ValidationError: a value is not allowed, or not with this server.
        NotFoundError: the embedded engine has no such model.
    """
    if changes.get("output_schema") is None:
        settings = now.changed(changes)
    else:
        # The first check of a schema loads its library, which would hold up every stream.
        settings = await asyncio.to_thread(now.changed, changes)
    await service.check(settings, now)
    return settings


def open_service(
    endpoint: Endpoint, timeout: float, max_wait: float = config.MAX_WAIT_SECONDS
) -> Service:
    """The service of an endpoint, by the surface that it speaks. Nothing is connected yet.

    Raises:
        ValidationError: the URL, key or a number cannot be used, or the recording cannot be read.
    """
    if endpoint.is_replay:
        # Reads a file, for which pyarrow is loaded.
        service: Service = opener("replay_service")(endpoint)
        return service
    if endpoint.surface == "gateway":
        return GatewayService(ApiClient(endpoint=endpoint, timeout=timeout, max_wait=max_wait))
    return ChatService(ChatClient(endpoint=endpoint, timeout=timeout, max_wait=max_wait))


async def _check_model(
    api: ChatClient | ApiClient, settings: StreamSettings, before: StreamSettings | None
) -> None:
    # Only on the embedded engine, whose list is whole: other servers may take names that they do
    # not list, and refuse the first request otherwise, which ends the stream.
    if not api.endpoint.is_local or (before is not None and before.model == settings.model):
        return
    names = [m.model for m in await api.get_models()]
    if names and settings.model not in names:
        raise NotFoundError(
            f"the embedded engine has no model {settings.model!r}; it has "
            f"{listed(names, settings.model)}"
        )


class _Connected(Generic[Api]):
    """What both services do alike with the client of their surface."""

    def __init__(self, api: Api) -> None:
        self.api: Api = api
        self.endpoint = api.endpoint
        self._warming: asyncio.Task[None] | None = None

    async def get_models(self) -> list[ModelInfo]:
        """See :class:`Service`."""
        return await self.api.get_models()

    @property
    def closed(self) -> bool:
        """See :class:`Service`."""
        return self.api.closed

    async def close(self) -> None:
        """See :class:`Service`."""
        if self._warming is not None:
            await self._warming
        await self.api.close()

    async def _check_route(self) -> None:
        """Refuse what no request could be sent by; what requests need is loaded beside it."""
        # The first answer needs it, the first sample does not: nobody waits for it here.
        self._warming = self._warming or asyncio.create_task(self._warm_up())
        await asyncio.to_thread(self.api.find_route)

    async def _warm_up(self) -> None:
        with contextlib.suppress(OvershootError):  # the first request says it
            await self.api.warm_up()


class ChatService(_Connected[ChatClient]):
    """Chat completions: the samples are taken here."""

    async def check(self, settings: StreamSettings, before: StreamSettings | None = None) -> None:
        """See :class:`Service`."""
        if settings.transport is not None:
            raise ValidationError(
                f"transport={settings.transport!r} is a v0.2 server's, to which video is "
                f"published; {self.endpoint.shown} is sent single frames: leave it out"
            )
        if before is None:
            await self._check_route()
        await _check_model(self.api, settings, before)

    def session(
        self,
        settings: StreamSettings,
        prompt: PromptVersion,
        sink: Sink,
        *,
        preview: Preview,
        first_index: int,
    ) -> Session:
        """See :class:`Service`."""
        return ChatSession(
            settings, prompt, self.api, sink, preview=preview, first_index=first_index
        )

    def asker(
        self,
        *,
        response_format: ResponseFormat = "auto",
        cache: AnswerCache | None = None,
        turn: Turn | None = None,
    ) -> Asker:
        """See :class:`Service`."""
        return ChatAsker(self.api, response_format=response_format, cache=cache, turn=turn)


class GatewayService(_Connected[ApiClient]):
    """v0.2: video is published, the server takes the samples."""

    async def check(self, settings: StreamSettings, before: StreamSettings | None = None) -> None:
        """See :class:`Service`."""
        check_token_rate(settings.max_output_tokens, settings.step_seconds)
        for name, usual in _CHAT_ONLY.items():
            value = getattr(settings, name)
            if value != usual:
                raise ValidationError(
                    f"{name}={value!r} means nothing to a v0.2 server, which takes the samples "
                    "itself: leave it out"
                )
        if isinstance(settings.source, LiveKitSource) and settings.transport is not None:
            raise ValidationError(
                f"transport={settings.transport!r} is for video that is published from here; the "
                "server enters a LiveKitSource's room by itself: leave it out"
            )
        if settings.batch:
            raise ValidationError(
                "realtime=False: a v0.2 server samples the video while it plays, so it cannot "
                "go faster; leave it out, or ask a chat server (analyze() needs one)"
            )
        if before is None:
            await self._check_route()
        await _check_model(self.api, settings, before)

    def session(
        self,
        settings: StreamSettings,
        prompt: PromptVersion,
        sink: Sink,
        *,
        preview: Preview,
        first_index: int,
    ) -> Session:
        """See :class:`Service`."""
        # Not needed, and so not loaded, by those who ask a chat server.
        from .gateway_session import GatewaySession

        return GatewaySession(
            settings, prompt, self.api, sink, preview=preview, first_index=first_index
        )

    def asker(
        self,
        *,
        response_format: ResponseFormat = "auto",
        cache: AnswerCache | None = None,
        turn: Turn | None = None,
    ) -> Asker:
        """See :class:`Service`."""
        return ReinferAsker(self.api, cache=cache, turn=turn)


def check_one_client(client: object, api_key: object, base_url: object) -> None:
    """Refuse a client beside what would make one.

    Raises:
        ValidationError: both were given.
    """
    if client is not None and (api_key is not None or base_url is not None):
        raise ValidationError("give client=, or api_key= and base_url=: not both")


def service_of(client: object) -> Service:
    """Whom a client asks; it is closed at exit if nobody closes it.

    Raises:
        ValidationError: it is no client.
        StreamClosedError: it was closed.
    """
    opened: Callable[[], Service] | None = getattr(client, "_open_service", None)
    if opened is None:
        raise ValidationError(f"client={client!r} is not valid: give a client, Overshoot(...)")
    return opened()


def require_open(service: Service) -> None:
    """Refuse to ask with a client that was closed.

    Raises:
        StreamClosedError: it was.
    """
    if service.closed:
        raise StreamClosedError(
            "the client that would be asked is closed; pass client=Overshoot(...) to backfill()",
            "its client was closed",
        )


def check_service(own_service: Service, service: Service) -> None:
    """Refuse whom nobody can ask about the samples of a run, whose own service is given too.

    Raises:
        StreamClosedError: its client was closed.
        ValidationError: a v0.2 server that did not take the pictures itself.
    """
    require_open(service)
    if not isinstance(service, GatewayService):
        return
    own = isinstance(own_service, GatewayService)
    if not own or own_service.endpoint.base_url != service.endpoint.base_url:
        raise ValidationError(
            f"client={service.endpoint.shown} is a v0.2 server, which can only be asked about the "
            "pictures that it took itself: give a client of a chat server"
        )


#: Parameters about requests with pictures in them, and the values that they have unless given.
_CHAT_ONLY = {
    "clip_encoding": "images",
    "response_format": "auto",
    "temperature": None,
    "system": None,
    "extra_body": None,
    "same_frame": config.SAME_FRAME,
}
