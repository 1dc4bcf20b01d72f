"""Failures that stand inside a success: an error in a body that came with status 200."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from overshoot_nb.errors import ServerError

from .address import ServerAddress
from .faults import is_spent, make_error, read_error_object, shown_details
from .reply import Reply
from .retry import Fault
from .retry_after import stated_wait, wait_in_body

#: Of an answer that was broken off.
_FAILED_REASONS: Final = frozenset({"error", "failed", "abort", "aborted"})
#: Where an error has its status, or a word for it; the first that says one counts.
_STATUS_FIELDS: Final = ("code", "status", "status_code", "statusCode", "http_status", "type")
#: The statuses of words, without what stands between their parts.
_STATUS_WORDS: Final = {
    word: status
    for status, words in {
        400: "badrequest badrequesterror contextlengthexceeded invalidargument invalidrequest "
        "invalidrequesterror modelvideounsupported providersafetyblock",
        401: "authenticationerror invalidapikey unauthenticated unauthorized",
        402: "billingdenied insufficientcredits paymentrequired",
        403: "forbidden permissiondenied permissionerror",
        404: "modelnotfound notfound notfounderror",
        408: "requesttimeout",
        429: "billinghardlimitreached insufficientquota ratelimit ratelimited ratelimiterror "
        "ratelimitexceeded resourceexhausted throttled throttling throttlingexception "
        "toomanyrequests",
        500: "apierror internal internalerror internalservererror servererror",
        502: "badgateway providererror upstreamerror upstreamrequestfailed",
        503: "engineoverloaded modelunavailable overloaded overloadederror serveroverloaded "
        "serviceunavailable unavailable",
        504: "deadlineexceeded gatewaytimeout timeout timeouterror upstreamtimeout",
    }.items()
    for word in words.split()
}
_STATUS_AT_END: Final = re.compile(r"(?:^|[^0-9])([45][0-9]{2})$")


def inner_fault(address: ServerAddress, reply: Reply) -> Fault | None:
    """The failure that stands inside a success, or None where there is none. Raises nothing.

    Its class is that of the status that it names, by number or by one of the known words; one
    that names none is a ``ServerError``.

    Args:
        address: the server; its secrets are hidden in what it said.
        reply: the success.
    """
    try:
        value = reply.json()
    except ServerError:
        return None  # whoever needs JSON says so
    found = _inner_error(value)
    if found is None:
        return None
    said = read_error_object(found)
    error = found["error"]
    status = _named_status(error) or _named_status(value if isinstance(value, dict) else {})
    limited = status == 429
    wait = wait_in_body(error, limited=limited)
    if wait is None and limited:
        wait = stated_wait(reply.headers, limited=True)
    message = said.message or "the server gave no reason"
    failure = make_error(
        status or reply.status,
        address.hide(f"{reply.call}: {message} (in an answer with status {reply.status})"),
        address.hide(said.request_id or "") or reply.request_id,
        shown_details(address, said),
        wait,
    )
    passing = wait is not None or not is_spent(said)
    return Fault(failure, status or reply.status, wait, transient=passing)


def _inner_error(value: Any) -> dict[str, Any] | None:
    """What a success says of a failure, as an envelope with a field ``error``."""
    if isinstance(value, list) and value and isinstance(value[0], dict) and "error" in value[0]:
        value = value[0]
    if not isinstance(value, dict):
        return None
    choices = value.get("choices")
    if not choices and isinstance(value.get("detail"), dict):
        value = {**value, **value["detail"]}
        del value["detail"]
    # A stored clip is answered about without a list of choices.
    choice = choices[0] if isinstance(choices, list) and choices else value
    if _says_something(value.get("error")):
        return dict(value)
    if isinstance(choice, dict):
        if _says_something(choice.get("error")):
            return {"error": choice["error"]}
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason.lower() in _FAILED_REASONS:
            said = f"the server broke the answer off, with finish_reason {reason.lower()!r}"
            return {"error": {"message": said}}
    if choices:
        return None
    if value.get("object") == "error" or _says_something(value.get("detail")):
        return dict(value) if "error" in value else {"error": value}
    named = _named_status(value)
    return {"error": value} if named is not None and isinstance(value.get("message"), str) else None


def _says_something(error: Any) -> bool:
    return any(error.values()) if isinstance(error, dict) else bool(error)


def _named_status(error: Any) -> int | None:
    """The status that an error names; of an upstream's where it names none of its own."""
    if not isinstance(error, Mapping):
        return _status_of(error)
    for level in (error, error.get("upstream"), error.get("metadata")):
        if not isinstance(level, Mapping):
            continue
        said = [level.get(name) for name in _STATUS_FIELDS]
        # Numbers first: beside one, a word may be of a family of errors.
        for value in (*(v for v in said if not isinstance(v, str)), *said):
            if (status := _status_of(value)) is not None:
                return status
    return None


def _status_of(value: Any) -> int | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value) if 400 <= value < 600 else None
    if not isinstance(value, str) or len(value) > 64:
        return None
    if (number := _STATUS_AT_END.search(value.strip())) is not None:
        return int(number[1])
    return _STATUS_WORDS.get(re.sub("[^a-z]", "", value.lower()))
