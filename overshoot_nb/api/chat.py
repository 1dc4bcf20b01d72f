"""Chat completions about pictures, on Overshoot or any OpenAI-compatible server."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import orjson

from overshoot_nb import config
from overshoot_nb.errors import ApiError, NotFoundError, ValidationError
from overshoot_nb.redaction import hidden, split_url
from overshoot_nb.types import ModelInfo, ResponseFormat, Sample
from overshoot_nb.validation import (
    check_choice,
    check_max_output_tokens,
    check_output_schema,
    check_temperature,
    check_text,
)

from .advice import is_wrong_address, right_address, with_advice
from .answer import ChatAnswer, judge_content, read_answer
from .faults import make_error
from .http import HttpClient, ServerClient
from .parsing import SchemaReader, model_list
from .payload import ChatTemplate, response_format_field, schema_prompt
from .reply import Reply
from .retry import RetryPolicy, Waiter

if TYPE_CHECKING:
    import httpx

__all__ = ["ChatAnswer", "ChatClient", "ChatRequest", "judge_content"]

logger = logging.getLogger("overshoot_nb")

#: Errors for which a client looks up what would be right.
MAX_ADVICE = 8
_Form = Literal["json_schema", "json_object"]

_FORMAT_REFUSED = re.compile(r"response_format|json_schema|response format", re.IGNORECASE)
_VIDEO_REFUSED = re.compile(
    r"video|content\[|content.{0,3} type|(?:content|message).part|part type|unsupported|not support"
    r"|multi-?modal|modalit|image_url|mime|media|invalid (?:message|content)|union_tag|input tag"
    r"|: (?:bad request|unprocessable)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What is asked about each sample; made by :meth:`ChatClient.prepare`.

    Attributes:
        prompt, model, output_schema, response_format: as they were asked for.
    """

    prompt: str
    model: str
    output_schema: Mapping[str, Any] | None
    response_format: ResponseFormat
    _templates: Mapping[_Form | None, ChatTemplate] = field(repr=False)
    _reader: SchemaReader | None = field(repr=False)

    def body(self, sample: Sample) -> bytes:
        """The body of the request about a sample, in the form of the schema that is tried first."""
        return next(iter(self._templates.values())).fill(sample)


class ChatClient(ServerClient):
    """Asks one server about samples. Safe to use from several tasks at once.

    Args:
        api_key: a key, or None to look it up; see :func:`overshoot_nb.config.resolve_endpoint`.
        base_url: a server's URL, ``"local"``, or None for the default.
        timeout: seconds for a whole call, tries and waits included, but for those for a limit.
        transport: an httpx transport in place of the network; closed with the client.
        max_connections: connections kept at most.
        endpoint: a resolved endpoint, in place of ``api_key`` and ``base_url``.
        retry: when to try again.
        max_wait: seconds that a server's limit (429, or 503 with ``Retry-After``) is waited for.
            Until it is over, nothing of this client is asked. A longer one is the error at once.
        max_answer_bytes: of an answer's body; a larger one is a ServerError. Default 4 MiB.
        verify: what an https server's certificate is checked against: True (the usual ones, or
            what ``SSL_CERT_FILE``, ``SSL_CERT_DIR``, ``REQUESTS_CA_BUNDLE`` or
            ``CURL_CA_BUNDLE`` names), the path of a file or folder of certificates, an
            ``ssl.SSLContext``, or False, which checks nothing.
        uds: path of a unix socket on which the server listens; ``base_url`` then says the rest,
            e.g. "http://localhost/v1".

    Raises:
        ValidationError: the URL is no chat server's, or the key or a number cannot be used.
    """

    def __init__(
        self,
        api_key: str | config.ApiKey | None = None,
        *,
        base_url: str | None = None,
        timeout: float = config.TIMEOUT_SECONDS,
        transport: httpx.AsyncBaseTransport | None = None,
        max_connections: int = config.MAX_CONNECTIONS,
        endpoint: config.Endpoint | None = None,
        retry: RetryPolicy | None = None,
        max_wait: float = config.MAX_WAIT_SECONDS,
        max_answer_bytes: int = config.MAX_ANSWER_BYTES,
        verify: config.Verify = True,
        uds: str | None = None,
    ) -> None:
        api_key, base_url = config.held_key(api_key), hidden(base_url, server=True)
        self.endpoint = config.reached_by(
            endpoint or config.resolve_endpoint(api_key, base_url), verify, uds
        )
        if self.endpoint.surface != "chat":
            raise ValidationError(
                "base_url ends in /v0.2, which has no chat completions: use ApiClient, "
                f"or a URL such as {config.DEFAULT_BASE_URL!r}"
            )
        self._http = HttpClient(
            self.endpoint,
            timeout=timeout,
            transport=transport,
            max_connections=max_connections,
            retry=retry,
            max_wait=max_wait,
            max_answer_bytes=max_answer_bytes,
        )
        #: Set when the server refused json_schema: ``"auto"`` then means json_object.
        self._schema_refused = False
        #: What errors say with what would be right, by model and what they said without.
        self._advice: dict[tuple[str, str], str] = {}

    # ---- asking ------------------------------------------------------------------------------

    def prepare(
        self,
        prompt: str,
        model: str,
        *,
        output_schema: Mapping[str, Any] | None = None,
        max_output_tokens: int | None = None,
        temperature: float | None = None,
        response_format: ResponseFormat = "auto",
        thread_id: str | None = None,
    ) -> ChatRequest:
        """Build what is the same for every sample. Sends nothing.

        Args:
            prompt: what to ask.
            model: the model's name, passed on as given.
            output_schema: a JSON schema that answers must fit, or None for plain text.
            max_output_tokens: the longest answer in tokens, or None for the server's own limit.
            temperature: 0..2, or None for the server's own.
            response_format: how the schema is sent. "json_schema", "json_object" (the schema
                then stands in the prompt), or "auto": the first, and the second from when the
                server refuses the first.
            thread_id: requests that share one reuse the prompt cache. Sent to Overshoot only.

        Raises:
            ValidationError: a parameter is empty or out of its range, or the schema is not a
                valid one; the message says where.
        """
        check_text("prompt", prompt)
        check_text("model", model)
        check_max_output_tokens(max_output_tokens)
        check_choice("response_format", response_format, get_args(ResponseFormat))
        fields: dict[str, Any] = {"model": model}
        if max_output_tokens is not None:
            fields[self._limit_field()] = int(max_output_tokens)
        if temperature is not None:
            fields["temperature"] = check_temperature(temperature)
        if thread_id is not None and self.endpoint.is_overshoot:
            check_text("thread_id", thread_id)
            fields["thread_id"] = thread_id
        if output_schema is None:
            templates: dict[_Form | None, ChatTemplate] = {None: ChatTemplate(prompt, fields)}
            return ChatRequest(prompt, model, None, response_format, templates, None)

        schema = check_output_schema(output_schema)
        forms: tuple[_Form, ...] = (
            ("json_schema", "json_object") if response_format == "auto" else (response_format,)
        )
        templates = {}
        for form in forms:
            asked = schema_prompt(prompt, schema) if form == "json_object" else prompt
            form_field = {"response_format": response_format_field(schema, form)}
            templates[form] = ChatTemplate(asked, {**fields, **form_field})
        return ChatRequest(prompt, model, schema, response_format, templates, SchemaReader(schema))

    def _limit_field(self) -> str:
        # OpenAI's newer models refuse the old name; most other servers know only that one.
        host = split_url(self.endpoint.base_url).hostname
        new = self.endpoint.is_overshoot or host == "api.openai.com"
        return "max_completion_tokens" if new else "max_tokens"

    async def complete(
        self, request: ChatRequest, sample: Sample, *, waiter: Waiter | None = None
    ) -> ChatAnswer:
        """POST /chat/completions: ask about one sample.

        An answer that cannot be used (it is empty or all reasoning, does not fit the schema, was
        cut off or filtered) is returned with ``ok`` False; a call without an answer raises.

        Args:
            request: what to ask.
            sample: what to ask about.
            waiter: told when a server's limit is waited for, and asked after that whether the
                answer is still wanted. Without one it is.

        Raises:
            RequestTimeoutError: no answer within the timeout.
            NetworkError: no whole answer came.
            ApiError: the server's error, of the class that its status says, or the status that
                an error within a success names.
            ServerError: the answer is not a chat completion.
            NoLongerWanted: ``waiter`` says so.
        """
        started = time.perf_counter()
        try:
            reply, attempts = await self._post(request, sample, waiter)
        except ApiError as error:
            error = await self._advised(error, request.model)
            if sample.video is None or not _refuses_video(error):
                raise error from None
            raise make_error(
                error.status_code or 0,
                f"{error.message}. The server or model may take no video: "
                'use clip_encoding="images"',
                error.request_id,
                error.details,
            ) from None
        latency_ms = (time.perf_counter() - started - reply.paused) * 1e3
        return await reply.looked_into(
            read_answer, reply, request.model, request._reader, attempts, latency_ms
        )

    async def _post(
        self, request: ChatRequest, sample: Sample, waiter: Waiter | None
    ) -> tuple[Reply, int]:
        """The answer, and the requests that it took."""
        form: _Form | None = None
        if request.output_schema is not None:
            if request.response_format != "auto":
                form = request.response_format
            else:
                form = "json_object" if self._schema_refused else "json_schema"
        try:
            reply = await self._send(request, form, sample, waiter)
        except ValidationError as refusal:
            if request.response_format != "auto" or form != "json_schema":
                raise
            if not _refuses_format(refusal):
                raise
            try:
                reply = await self._send(request, "json_object", sample, waiter)
            except ValidationError:
                # It was not the format after all: the first complaint is the better one.
                raise refusal from None
            if not self._schema_refused:
                self._schema_refused = True
                logger.info(
                    "%r refuses response_format json_schema; the schema goes into the prompt "
                    "from now on (json_object)",
                    self._http,
                )
            return reply, reply.attempts + 1
        return reply, reply.attempts

    async def _send(
        self, request: ChatRequest, form: _Form | None, sample: Sample, waiter: Waiter | None
    ) -> Reply:
        body = request._templates[form].fill(sample)
        return await self._http.send(
            "POST", "/chat/completions", content=body, waits=True, waiter=waiter
        )

    async def get_models(self) -> list[ModelInfo]:
        """GET /models: the models that the server offers.

        A server that reports no status for a model has it ready. Other servers than Overshoot
        may have no such list at all: the answer is then empty.

        Raises:
            NetworkError: no answer came.
            ApiError: the server's error.
            ServerError: the answer is not a list of models.
        """
        try:
            reply = await self._http.send("GET", "/models", waits=True)
        except ApiError as error:
            if self.endpoint.is_overshoot or not is_wrong_address(error):
                raise
            if (address := await right_address(self._http)) is None:
                if not isinstance(error, NotFoundError):
                    raise
                return []
            raise NotFoundError(
                f"{error.message} (base_url lacks /v1: {address!r} would be right)",
                error.status_code,
                error.request_id,
            ) from None
        return model_list(reply)

    async def _advised(self, error: ApiError, model: str) -> ApiError:
        """The error with what would be right; looked up once for errors that say the same."""
        said = (model, error.message)
        if said not in self._advice:
            if len(self._advice) >= MAX_ADVICE:
                return error
            self._advice[said] = (await with_advice(self._http, error, model)).message
        advice = self._advice[said]
        if advice == error.message:
            return error
        return make_error(error.status_code or 0, advice, error.request_id, error.details)


# ---- refusals ----------------------------------------------------------------------------------


def _refuses_format(error: ApiError) -> bool:
    return bool(_FORMAT_REFUSED.search(_words(error)))


def _refuses_video(error: ApiError) -> bool:
    # Servers that do not know videos stumble over them more often than they say so.
    if error.status_code in (415, 500, 501):
        return True
    return error.status_code in (400, 404, 422) and bool(_VIDEO_REFUSED.search(_words(error)))


def _words(error: ApiError) -> str:
    details = orjson.dumps(error.details, default=str).decode() if error.details else ""
    return f"{error.message} {details}"
