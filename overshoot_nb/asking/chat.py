"""Chat completions about pictures, on Overshoot or any OpenAI-compatible server."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from overshoot_nb import config
from overshoot_nb.errors import ApiError, NotFoundError, ValidationError
from overshoot_nb.runtime.coroutines import coroutine
from overshoot_nb.support.api_key import ApiKey, held_key
from overshoot_nb.support.redaction import hidden
from overshoot_nb.support.schema_classes import OutputSchema
from overshoot_nb.support.validation import (
    check_choice,
    check_extra_body,
    check_max_output_tokens,
    check_output_schema,
    check_system,
    check_temperature,
    check_text,
)
from overshoot_nb.types import ChatAnswer, ModelInfo, ResponseFormat, Sample

from .advice import is_wrong_address, right_address, with_advice
from .answer import read_answer
from .endpoint import Endpoint, Verify, reached_by, resolve_endpoint
from .extra_headers import ExtraHeaders, HeldHeaders, held_headers, with_headers
from .faults import make_error
from .http import HttpClient, ServerClient
from .parsing import SchemaReader, model_list
from .payload import ChatTemplate, response_format_field, schema_prompt
from .refusals import (
    FORM_STATUSES,
    FORMS,
    Form,
    Limit,
    is_about_else,
    limit_name,
    other_limit,
    refuses_format,
    refuses_limit,
    refuses_video,
)
from .reply import Reply
from .retry import RetryPolicy, Waiter

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger("overshoot_nb")

#: Errors for which a client looks up what would be right.
MAX_ADVICE = 8


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What is asked about each sample; made by :meth:`ChatClient.prepare`.

    Attributes:
        prompt, model, output_schema, response_format: as they were asked for.
        limited: whether the answer's length was limited.
    """

    # A template for each form of the schema and each name of the output limit.

    prompt: str
    model: str
    output_schema: Mapping[str, Any] | None
    response_format: ResponseFormat
    _templates: Mapping[tuple[Form | None, Limit], ChatTemplate] = field(repr=False)
    _reader: SchemaReader | None = field(repr=False)
    limited: bool = False

    def body(self, sample: Sample) -> bytes:
        """The body of the request about a sample, in the form of the schema that is tried first."""
        return next(iter(self._templates.values())).fill(sample)


class ChatClient(ServerClient):
    """Asks one server about samples. Safe to use from several tasks at once.

    Args:
        api_key: a key, or None to look it up; see ``resolve_endpoint``.
        base_url: a server's URL, ``"local"``, or None for the default.
        timeout: seconds for a whole call, tries and waits included, but for those for a limit.
        transport: an httpx transport in place of the network; closed with the client.
        max_connections: connections kept at most.
        endpoint: a resolved endpoint, in place of ``api_key`` and ``base_url``.
        retry: when to try again.
        max_wait: seconds that a server's limit (429, or 503 with ``Retry-After``) is waited for.
            Until it is over, nothing of this client is asked. A longer one is the error at once.
        max_answer_bytes: of an answer's body; a larger one is a ServerError. Default 4 MiB.
        extra_headers: header fields of every request, such as ``{"api-key": "..."}``. Their
            values are secrets: no message and no repr shows them.
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
        api_key: str | ApiKey | None = None,
        *,
        base_url: str | None = None,
        timeout: float = config.TIMEOUT_SECONDS,
        transport: httpx.AsyncBaseTransport | None = None,
        max_connections: int = config.MAX_CONNECTIONS,
        endpoint: Endpoint | None = None,
        retry: RetryPolicy | None = None,
        max_wait: float = config.MAX_WAIT_SECONDS,
        max_answer_bytes: int = config.MAX_ANSWER_BYTES,
        extra_headers: ExtraHeaders | HeldHeaders | None = None,
        verify: Verify = True,
        uds: str | None = None,
    ) -> None:
        api_key, base_url = held_key(api_key), hidden(base_url, server=True)
        extra_headers = held_headers(extra_headers)
        endpoint = endpoint or resolve_endpoint(api_key, base_url)
        self.endpoint = reached_by(with_headers(endpoint, extra_headers), verify, uds)
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
        #: By model: the form of a schema that "auto" means, and whether an answer came to it.
        self._forms: dict[str, tuple[Form, bool]] = {}
        #: Models that refused every form, for another reason then.
        self._formless: set[str] = set()
        #: What the server calls the output limit.
        self._limit = limit_name(self.endpoint)
        #: What errors say with what would be right, by model and what they said without.
        self._advice: dict[tuple[str, str], str] = {}

    # ---- asking ------------------------------------------------------------------------------

    def prepare(
        self,
        prompt: str,
        model: str,
        *,
        output_schema: OutputSchema | None = None,
        max_output_tokens: int | None = None,
        temperature: float | None = None,
        response_format: ResponseFormat = "auto",
        thread_id: str | None = None,
        system: str | None = None,
        extra_body: Mapping[str, Any] | None = None,
    ) -> ChatRequest:
        """Build what is the same for every sample. Sends nothing.

        Args:
            prompt: what to ask.
            model: the model's name, passed on as given.
            output_schema: a JSON schema that answers must fit (or a pydantic class, a dataclass
                or a TypedDict that says the same), or None for plain text.
            max_output_tokens: the longest answer in tokens, or None for the server's own limit.
            temperature: 0..2, or None for the server's own.
            response_format: how the schema is sent. "json_schema", "json_object" (the schema
                then stands in the prompt), "prompt" (it stands there, and nothing else says so),
                or "auto": the first of these that the server does not refuse (with 400, 422, 500
                or 501), which is remembered for the model.
            thread_id: requests that share one reuse the prompt cache. Sent to Overshoot only.
            system: text of a system message before the prompt, or None.
            extra_body: further fields of the body, such as ``{"seed": 7}``, or None.

        Raises:
            ValidationError: a parameter is empty or out of its range, or the schema is not a
                valid one; the message says where.
        """
        check_text("prompt", prompt)
        check_text("model", model)
        check_max_output_tokens(max_output_tokens)
        check_choice("response_format", response_format, get_args(ResponseFormat))
        check_system(system)
        head, fields = {"model": model}, dict[str, Any]()
        if temperature is not None:
            fields["temperature"] = check_temperature(temperature)
        if thread_id is not None and self.endpoint.is_overshoot:
            check_text("thread_id", thread_id)
            fields["thread_id"] = thread_id
        if extra_body is not None:
            fields |= check_extra_body(extra_body)
        schema = None if output_schema is None else check_output_schema(output_schema)
        forms: tuple[Form | None, ...] = (None,)
        if schema is not None:
            forms = FORMS if response_format == "auto" else (response_format,)
        # The names of the limit that this server is likely to know stand first.
        limits = sorted(get_args(Limit), key=lambda name: name != limit_name(self.endpoint))
        templates = {}
        for form in forms:
            asked, by_form = prompt, dict(fields)
            if form in ("json_object", "prompt") and schema is not None:
                asked = schema_prompt(prompt, schema)
            if form in ("json_schema", "json_object") and schema is not None:
                by_form["response_format"] = response_format_field(schema, form)
            for limit in limits:
                cap = {} if max_output_tokens is None else {limit: int(max_output_tokens)}
                templates[form, limit] = ChatTemplate(asked, {**head, **cap, **by_form}, system)
        reader = None if schema is None else SchemaReader(schema)
        limited = max_output_tokens is not None
        return ChatRequest(prompt, model, schema, response_format, templates, reader, limited)

    @coroutine
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
        try:
            reply, attempts, started = await self._post(request, sample, waiter)
        except ApiError as error:
            error = await self._advised(error, request.model)
            if sample.video is None or not refuses_video(error):
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
    ) -> tuple[Reply, int, float]:
        """The answer, the requests that it took, and when the last one began."""
        form = self._form_of(request)
        complaint: ApiError | None = None
        refused, renamed = 0, False
        while True:
            limit, started = self._limit, time.perf_counter()
            body = request._templates[form, limit].fill(sample)
            try:
                reply = await self._http.send(
                    "POST", "/chat/completions", content=body, waits=True, waiter=waiter
                )
            except ApiError as refusal:
                refused += 1
                if request.limited and not renamed and refuses_limit(refusal, limit):
                    renamed = True
                    self._limit = other_limit(limit)
                    continue
                following = self._form_after(request, form, refusal)
                if following is None:
                    if complaint is None or refusal.status_code not in FORM_STATUSES:
                        raise
                    # It was not the form after all: the first complaint is the better one.
                    self._formless.add(request.model)
                    raise complaint from None
                form, complaint = following, complaint or refusal
                continue
            if renamed:
                logger.info("%r takes %s, not %s", self._http, limit, other_limit(limit))
            if form is not None and request.response_format == "auto":
                self._learn(request.model, form)
            return reply, reply.attempts + refused, started

    # ---- forms of a schema ---------------------------------------------------------------------

    def _form_of(self, request: ChatRequest) -> Form | None:
        """How a request asks for its schema at first."""
        if request.output_schema is None:
            return None
        if request.response_format != "auto":
            return request.response_format
        return self._forms.get(request.model, (FORMS[0], False))[0]

    def _form_after(
        self, request: ChatRequest, form: Form | None, refusal: ApiError
    ) -> Form | None:
        """The form to try next, None where another one would be refused too."""
        if form is None or request.response_format != "auto" or form == FORMS[-1]:
            return None
        if refusal.status_code not in FORM_STATUSES:
            return None
        # Servers do not always name the field. Once an answer came to a form, or none of them
        # helped, what names no field is about something else.
        proven = self._forms.get(request.model, (form, False)) == (form, True)
        elsewhere = proven or request.model in self._formless or is_about_else(refusal)
        if elsewhere and not refuses_format(refusal):
            return None
        # Another request may have found the right one while this was under way.
        learned = self._forms.get(request.model, (form, False))[0]
        return FORMS[max(FORMS.index(form) + 1, FORMS.index(learned))]

    def _learn(self, model: str, form: Form) -> None:
        """An answer came to a form, where "auto" was asked for."""
        before = self._forms.get(model, (FORMS[0], False))
        # A request that was under way meanwhile may have been answered in an earlier form.
        if FORMS.index(form) < FORMS.index(before[0]):
            return
        self._forms[model] = form, True
        if form != before[0]:
            logger.info(
                "%r refuses response_format %s for %s; the schema goes into the prompt from now "
                "on (%s)",
                self._http,
                before[0],
                model,
                form,
            )

    @coroutine
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
