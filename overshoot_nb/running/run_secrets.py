"""The secrets that a run knows, and texts without them."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from overshoot_nb.support.redaction import redact

if TYPE_CHECKING:
    from .run import Run

#: What is shorter could be any word of a message.
_LEAST_LENGTH = 4
#: Of any URL, whosever it is.
_USER_INFO = re.compile(r"(?<=://)[^\s/@'\"<>]+@")


@dataclass(frozen=True, slots=True)
class Secrets:
    """Key, tokens and URLs of a run. Shows itself nowhere."""

    _urls: tuple[str, ...]
    _words: tuple[str, ...]

    @classmethod
    def of(cls, run: Run) -> Secrets:
        """Those of a run's source and server."""
        source = run.settings.source
        # Of a recorded run nobody may have been asked yet, and its own server's are in no file.
        endpoint = run.service.endpoint if run.has_service else None
        found = [endpoint.key.reveal() if endpoint is not None and endpoint.key is not None else ""]
        found.append(str(getattr(source, "token", "")))
        urls = [str(getattr(source, "url", ""))]
        urls += [endpoint.base_url] if endpoint is not None else []
        urls = [url for url in urls if "://" in url and redact(url) != url]
        for url in urls:
            found += _parts(url)
        words = {word for word in found if len(word) >= _LEAST_LENGTH}
        return cls(tuple(urls), tuple(sorted(words, key=len, reverse=True)))

    def removed(self, text: str) -> str:
        """A message about the run without any of them; unchanged where there are none.

        For what servers and FFmpeg say: some quote the key or the URL that they were given.
        """
        for url in self._urls:
            if url in text:
                text = text.replace(url, redact(url))
        for word in self._words:
            text = text.replace(word, "…")
        return _USER_INFO.sub("", text) if "@" in text else text

    def __repr__(self) -> str:
        return "Secrets(…)"


def _parts(url: str) -> list[str]:
    """User info, also as a header has it, query values, and the stream key of an RTMP URL."""
    try:
        parts = urlsplit(url)
        user, password = parts.username or "", parts.password or ""
    except ValueError:
        return []
    basic = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    values = [pair.partition("=")[2] for pair in parts.query.split("&")]
    found = [user, password, basic, *values]
    if parts.scheme.startswith("rtmp"):
        found.append(parts.path.lstrip("/").partition("/")[2])
    return [*found, *map(unquote, found), *(quote(unquote(word), "") for word in found)]
