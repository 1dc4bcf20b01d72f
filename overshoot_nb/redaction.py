"""URLs as they may be shown. User info, query values and RTMP's stream keys may be secrets.

:func:`redact` is how any text about a source loses them: statuses, errors, FFmpeg's own messages.
"""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit, urlunsplit

__all__ = ["display_url", "redact"]

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\"<>]+")


def display_url(url: str) -> str:
    """``url`` as it may be shown: without user info, the values of its query, and a stream key.

    The key is what follows the application in the path of an RTMP URL.
    """
    head, _, _ = url.partition("#")
    head, _, query = head.partition("?")
    try:
        parts = urlsplit(head)
    except ValueError:
        parts = None
    if parts is not None and parts.scheme and "@" in parts.netloc:
        head = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    elif parts is None and "@" in head:
        head = head.partition("://")[0] + "://" + head.rpartition("@")[2]
    if key := _stream_key(head):
        head = head.removesuffix(key) + "…"
    if not query:
        return head
    names = [pair.partition("=")[0] for pair in query.split("&")]
    return head + "?" + "&".join(f"{name}=…" for name in names)


def redact(text: str, url: str = "") -> str:
    """``text`` without the secrets of ``url`` or of any URL inside it.

    FFmpeg quotes URLs, and pieces of them, in its messages.
    """
    if url:
        text = text.replace(url, display_url(url))
    text = _URL.sub(lambda match: display_url(match.group()), text)
    for secret in sorted(_secrets(url), key=len, reverse=True):
        text = text.replace(secret, "…")
    return text


def _stream_key(head: str) -> str:
    """The stream key of an RTMP URL without its query; "" where there is none."""
    scheme, _, rest = head.partition("://")
    if not scheme.lower().startswith("rtmp"):
        return ""
    return rest.partition("/")[2].partition("/")[2]


def _secrets(url: str) -> set[str]:
    if "://" not in url:
        return set()
    authority, _, rest = url.partition("://")[2].partition("/")
    info = authority.rpartition("@")[0]
    query = (authority + "/" + rest).partition("#")[0].partition("?")[2]
    parts = {info, *info.split(":", 1), *(pair.partition("=")[2] for pair in query.split("&"))}
    key = _stream_key(url.partition("#")[0].partition("?")[0])
    parts |= {key, key.rpartition("/")[2]}
    # A single character is no secret worth hiding, and hiding it would garble every message.
    return {s for part in parts for s in (part, unquote(part)) if len(s) > 1}
