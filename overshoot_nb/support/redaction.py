"""URLs as they may be shown. User info, query values and RTMP's stream keys may be secrets.

:func:`redact` is how any text about a source loses them: statuses, errors, FFmpeg's own messages.
:func:`hidden` makes an argument one that shows none in a traceback, and keeps none in a pickle.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection
from typing import Any, TypeVar
from urllib.parse import SplitResult, quote, unquote, urlsplit

from .parameters import named_parameters
from .secret_text import LEFT_OUT, SecretText, secret_pairs

# A drive of Windows is a single letter; pathlib makes one slash of two; a recording has a path.
_HEAD = re.compile(r"\s*(?!replay:)[a-zA-Z][a-zA-Z0-9+.-]+:[/\\]+")
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:/+[^\s'\"<>]+")
_BYTES_HEAD = re.compile(_HEAD.pattern.encode())
_AUTHORITY_END = re.compile(r"[/?#]")
#: "me:word@host/...", where the scheme was forgotten.
_BARE_USER_INFO = re.compile(r"\s*[^\s/\\:@]+:[^\s/\\@]+@")


def is_url(text: str) -> bool:
    """Whether a text begins as a URL does, also where a path has taken one of its slashes."""
    return _HEAD.match(text) is not None


def display_url(url: str) -> str:
    """``url`` as it may be shown: without user info, the values of its query, and a stream key.

    The key is what follows the application in the path of an RTMP URL.
    """
    return _cleaned(url, "")


def lacks_secrets(url: str) -> bool:
    """Whether secrets of this URL were left out: when it was pickled, or shown and then copied."""
    if LEFT_OUT not in url:
        return False
    _, info, rest = _apart(url)
    head, _, query = rest.partition("#")[0].partition("?")
    values = [pair.partition("=")[2] for pair in query.split("&")]
    return LEFT_OUT in (info, *values) or head.endswith("/" + LEFT_OUT)


def redact(text: str, url: str = "") -> str:
    """``text`` without the secrets of ``url`` or of any URL inside it.

    FFmpeg quotes URLs, and pieces of them, in its messages.
    """
    if url:
        text = text.replace(url, display_url(url))
    text = _URL.sub(lambda match: display_url(match.group()), text)
    for secret in sorted(_secrets(url), key=len, reverse=True):
        text = text.replace(secret, LEFT_OUT)
    return text


def split_url(url: str) -> SplitResult:
    """A URL in its parts, which are empty where it is none; ``port`` may still raise ValueError.

    Nothing is raised here: the frames below would hold the URL.
    """
    try:
        parts = urlsplit(url)
        parts.hostname  # noqa: B018 (raises for some)
    except ValueError:
        return SplitResult("", "", "", "", "")
    return parts


# ---- arguments and values that hold secrets ------------------------------------------------------


class _Withheld:
    """An argument of a wrong kind that may hold a secret: only its kind is shown."""

    __slots__ = ("kind",)

    def __init__(self, value: object) -> None:
        self.kind = type(value).__name__

    def __repr__(self) -> str:
        return f"<{self.kind}>"


def kind_of(value: object) -> str:
    """The name of a value's type, also of one that was withheld."""
    return value.kind if isinstance(value, _Withheld) else type(value).__name__


def hidden(value: Any, *, server: bool = False) -> Any:
    """An argument as it may stand in a local variable: URLs with secrets are :class:`SecretText`.

    Everything else comes back as it is, also what is no URL at all. Lists, tuples and dicts are
    gone through; what a dict calls "token" is a secret. A frame that takes a URL from the user
    begins with this.

    Args:
        value: what was given.
        server: it is to be the URL of a server, so that anything but text is withheld.
    """
    if isinstance(value, str):
        if isinstance(value, SecretText):
            return value
        bare = server and _BARE_USER_INFO.match(value) is not None
        if (is_url(value) or bare) and (shown := display_url(value)) != value:
            return SecretText(str(value), shown, _cleaned(value, LEFT_OUT + "@"))
        return hidden_line(value) if server else value
    if server and value is not None:
        return _Withheld(value)
    if isinstance(value, bytes | bytearray):
        return _Withheld(value) if _BYTES_HEAD.match(value) else value
    if type(value) in (list, tuple):
        items = [hidden(item) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else type(value)(items)
    if type(value) is dict:
        return {
            name: SecretText(item) if name == "token" and type(item) is str else hidden(item)
            for name, item in value.items()
        }
    if hasattr(value, "__fspath__") and hidden(str(value)) != value and is_url(str(value)):
        return hidden(str(value))
    return value


def hidden_line(line: str) -> str:
    """A line of words, some of which may be URLs, as :func:`hidden` makes it."""
    shown = redact(line)
    return SecretText(line, shown) if shown != line else line


T = TypeVar("T")


def once_made(show: Callable[[T], str]) -> Callable[[T], str]:
    """A ``__repr__`` that holds where the constructor has failed, whose frames show ``self``."""

    @functools.wraps(show)
    def shown(self: T) -> str:
        try:
            return show(self)
        except (AttributeError, TypeError):
            return f"<{type(self).__name__}>"

    return shown


def hides_arguments(secret: Collection[str] = ()) -> Callable[[type[T]], type[T]]:
    """A dataclass whose constructor's frames show no secrets, not even when it refuses a value.

    Args:
        secret: names of fields that are secrets as a whole.
    """

    def decorate(cls: type[T]) -> type[T]:
        make = cls.__init__
        names = list(cls.__dataclass_fields__)  # type: ignore[attr-defined]

        def covered(name: str, value: Any) -> Any:
            if name == "headers":
                return secret_pairs(value)
            return SecretText(value) if name in secret and type(value) is str else hidden(value)

        @functools.wraps(make)
        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            args = tuple(map(covered, names, args)) + tuple(map(hidden, args[len(names) :]))
            kwargs = {name: covered(name, value) for name, value in kwargs.items()}
            make(self, *args, **kwargs)

        cls.__repr__ = once_made(cls.__repr__)  # type: ignore[method-assign]
        cls.__init__ = named_parameters(__init__)  # type: ignore[method-assign]
        return cls

    return decorate


# ---- the parts of a URL --------------------------------------------------------------------------


def _cleaned(url: str, mark: str) -> str:
    """``url`` without its secrets; ``mark`` stands in the place of user info."""
    scheme, info, rest = _apart(url)
    rest, _, query = rest.partition("#")[0].partition("?")
    if key := _stream_key(scheme + rest):
        rest = rest.removesuffix(key) + LEFT_OUT
    head = scheme + (mark if info else "") + rest
    if not query:
        return head
    names = [pair.partition("=")[0] for pair in query.split("&")]
    return head + "?" + "&".join(f"{name}={LEFT_OUT}" for name in names)


def _apart(url: str) -> tuple[str, str, str]:
    """Scheme with its slashes, user info, and what follows; nothing here raises."""
    found = _HEAD.match(url) or _BARE_USER_INFO.match(url)
    if found is None:
        return "", "", url
    start = found.end() if found.re is _HEAD else 0
    scheme, rest = url[:start], url[start:]
    authority = _AUTHORITY_END.split(rest, maxsplit=1)[0]
    info, at, _ = authority.rpartition("@")
    if not at and "@" in rest and _is_no_host(authority):
        # A password with one of "/?#" in it, which had to be written %2F, %3F or %23.
        info, at, _ = rest.rpartition("@")
    return str(scheme), str(info), str(rest[len(info) + len(at) :])


def _is_no_host(authority: str) -> bool:
    """Whether what follows the last colon is no port."""
    host, colon, port = authority.rpartition(":")
    return bool(colon) and bool(host) and not port.isdecimal() and not authority.endswith("]")


def _stream_key(head: str) -> str:
    """The stream key of an RTMP URL without its query; "" where there is none."""
    scheme, _, rest = head.partition("://")
    if not scheme.strip().lower().startswith("rtmp"):
        return ""
    return rest.partition("/")[2].partition("/")[2]


def _secrets(url: str) -> set[str]:
    if not is_url(url):
        return set()
    scheme, info, rest = _apart(url)
    head, _, query = rest.partition("#")[0].partition("?")
    parts = {info, *info.split(":", 1), *(pair.partition("=")[2] for pair in query.split("&"))}
    key = _stream_key(scheme + head)
    parts |= {key, key.rpartition("/")[2]}
    # A single character is no secret worth hiding, and hiding it would garble every message.
    return {s for part in parts for s in (part, unquote(part), quote(part, "")) if len(s) > 1}
