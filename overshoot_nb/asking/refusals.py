"""What servers refuse of a request: names of fields, forms of a schema, videos."""

from __future__ import annotations

import re
from typing import Literal, get_args

import orjson

from overshoot_nb.errors import ApiError
from overshoot_nb.support.redaction import split_url

from .endpoint import Endpoint

Form = Literal["json_schema", "json_object", "prompt"]
Limit = Literal["max_tokens", "max_completion_tokens"]

#: How "auto" asks for a schema, first to last.
FORMS: tuple[Form, ...] = get_args(Form)
#: Statuses with which servers refuse a form of the schema that they do not know.
FORM_STATUSES = frozenset({400, 422, 500, 501})
_FORMAT_REFUSED = re.compile(
    r"response_?format|json_?schema|json_?object|response format|guided|structured|grammar",
    re.IGNORECASE,
)
#: What a server says that complains of something else, which no other form would mend.
_NOT_FORMAT = re.compile(
    r"no such|not found|not exist|context|too (?:long|large|many)|image|picture|credit|quota",
    re.IGNORECASE,
)
#: What is said of a field that a server does not take, and not of one whose number it refuses.
_FIELD_REFUSED = re.compile(
    r"instead|not (?:support|permit|allow|recogni|known|accept)|unsupported|unknown|unrecogni"
    r"|unexpected|extra|deprecated|invalid (?:parameter|field|argument)|no longer",
    re.IGNORECASE,
)
_VIDEO_REFUSED = re.compile(
    r"video|content\[|content.{0,3} type|(?:content|message).part|part type|unsupported|not support"
    r"|multi-?modal|modalit|image_url|mime|media|invalid (?:message|content)|union_tag|input tag"
    r"|: (?:bad request|unprocessable)",
    re.IGNORECASE,
)


def limit_name(endpoint: Endpoint) -> Limit:
    """What a server is likely to call the output limit."""
    # OpenAI's newer models refuse the old name; most other servers know only that one.
    host = split_url(endpoint.base_url).hostname
    new = endpoint.is_overshoot or host == "api.openai.com"
    return "max_completion_tokens" if new else "max_tokens"


def other_limit(limit: Limit) -> Limit:
    """The other name of it."""
    return "max_tokens" if limit == "max_completion_tokens" else "max_completion_tokens"


def refuses_limit(error: ApiError, limit: Limit) -> bool:
    """Whether a server does not know the field of the output limit by this name."""
    if error.status_code not in FORM_STATUSES:
        return False
    words = _words(error)
    return re.search(rf"\b{limit}\b", words) is not None and (
        other_limit(limit) in words.replace(limit, "") or _FIELD_REFUSED.search(words) is not None
    )


def refuses_format(error: ApiError) -> bool:
    """Whether an error names the form in which a schema was asked for."""
    return bool(_FORMAT_REFUSED.search(_words(error)))


def is_about_else(error: ApiError) -> bool:
    """Whether it names something that no other form of the schema would mend."""
    return bool(_NOT_FORMAT.search(_words(error)))


def refuses_video(error: ApiError) -> bool:
    """Whether a server may take no video."""
    # Servers that do not know videos stumble over them more often than they say so.
    if error.status_code in (415, 500, 501):
        return True
    return error.status_code in (400, 404, 422) and bool(_VIDEO_REFUSED.search(_words(error)))


def _words(error: ApiError) -> str:
    details = orjson.dumps(error.details, default=str).decode() if error.details else ""
    return f"{error.message} {details}"
