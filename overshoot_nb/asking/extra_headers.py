"""Header fields that the user adds to every request of a client: their values are secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from overshoot_nb.errors import ValidationError
from overshoot_nb.support.api_key import ApiKey
from overshoot_nb.support.validation import header_refusal

from .endpoint import Endpoint

#: What a client takes.
ExtraHeaders = Mapping[str, str]
#: The same as it is kept.
HeldHeaders = tuple[tuple[str, ApiKey], ...]

#: They say how the body travels, which is decided here.
_OWN: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
    }
    | {"expect", "host", "te", "trailer", "transfer-encoding", "upgrade"}
)


def held_headers(extra_headers: object) -> HeldHeaders:
    """The fields as they may stand in a local variable; checked by :func:`with_headers`.

    A frame that takes them from the user begins with this.
    """
    if extra_headers is None:
        return ()
    if isinstance(extra_headers, tuple):
        return extra_headers
    if not isinstance(extra_headers, Mapping):
        kind = type(extra_headers).__name__
        del extra_headers
        raise ValidationError(
            f'extra_headers must be a mapping of names to texts, such as {{"api-key": "..."}}, '
            f"not {kind}"
        )
    return tuple((name, ApiKey(value, "extra_headers")) for name, value in extra_headers.items())


def with_headers(endpoint: Endpoint, headers: HeldHeaders) -> Endpoint:
    """An endpoint whose every request carries the fields.

    A field ``Authorization`` takes the place of a key that was found, never of one that was given.

    Raises:
        ValidationError: a name or a value cannot be sent, or decides what is decided here; the
            message names the field and shows no value.
    """
    if not headers:
        return endpoint
    seen: set[str] = set()
    for name, value in headers:
        why = _refusal(name, value, endpoint)
        if why is None and name.lower() in seen:
            why = "it is there twice"
        if why is not None:
            raise ValidationError(f"extra_headers: field {name!r:.100}: {why}")
        seen.add(name.lower())
    key = None if "authorization" in seen else endpoint.key
    return replace(endpoint, key=key, headers=headers)


def _refusal(name: object, value: ApiKey, endpoint: Endpoint) -> str | None:
    if (why := header_refusal(name, value.reveal())) is not None:
        return why
    assert isinstance(name, str)
    if name.lower() in _OWN:
        return "it says how the body travels, which is decided here"
    key = endpoint.key if name.lower() == "authorization" else None
    if key is not None and key.origin == "argument":
        return "api_key says who asks, too: give one of them"
    return None
