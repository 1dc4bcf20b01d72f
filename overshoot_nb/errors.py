"""Every error that the package raises on purpose.

::

    OvershootError
    ├── ApiError                      the server answered with an error, or with nonsense
    │   ├── ValidationError           400, 422, or refused before sending (also a ValueError)
    │   │   └── UnknownParameterError a parameter that does not exist (also a TypeError)
    │   ├── AuthenticationError       401
    │   ├── InsufficientCreditsError  402
    │   ├── PermissionDeniedError     403 (also a PermissionError)
    │   ├── NotFoundError             404, 410 (also a LookupError)
    │   ├── RateLimitError            429, with ``retry_after``
    │   └── ServerError               5xx, and bodies that are no JSON
    ├── NetworkError                  no answer came (also a ConnectionError)
    │   └── RequestTimeoutError       ... within the timeout (also a TimeoutError)
    ├── WebSocketError                the result channel broke, with ``code``
    ├── StreamClosedError             the stream has ended, with ``reason``
    ├── SourceError                   a source cannot be opened or read (also an OSError)
    │   └── SourceEndedError          a source ended before it gave a single frame
    ├── SampleNotKeptError            a frame store does not hold that sample (also a KeyError)
    └── MissingDependencyError        an optional package is not installed (also an ImportError)

    IncompleteRunWarning              a run lost something of its source or its answers: a warning
                                      (a UserWarning)

The names and attributes of the first two levels are those of the service's own SDK. An error
that a person would expect as a builtin is one.

A notebook shows an error of ours as its sentence and the lines of the user that led to it;
``overshoot_nb.errors.full = True`` shows the whole traceback, as a script always does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: Whether a notebook shows the whole traceback of an error of ours.
full: bool = False


def _render_traceback(error: BaseException) -> Callable[[], list[str]]:
    """What IPython looks for on an error that it shows; it is not there where all is shown."""
    from .traceback_display import renderer

    found = renderer(error, full)
    if found is None:
        raise AttributeError("_render_traceback_")
    return found


class OvershootError(Exception):
    """Base of every error of this package."""

    _render_traceback_ = property(_render_traceback)


class ApiError(OvershootError):
    """The server answered with an error.

    Attributes:
        message: what went wrong, in words.
        status_code: HTTP status, or None when the request was refused before it was sent.
        request_id: the server's id of the request, for its support, or None.
        details: the rest of the error body as the server sent it, or None.
    """

    def __init__(
        self,
        message: str,
        status_code: int | None = None,
        request_id: str | None = None,
        details: Any = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code
        self.request_id = request_id
        self.details = details

    def __str__(self) -> str:
        notes = []
        if self.status_code is not None:
            notes.append(f"HTTP {self.status_code}")
        if self.request_id:
            notes.append(f"request {self.request_id}")
        return f"{self.message} ({', '.join(notes)})" if notes else self.message


class ValidationError(ApiError, ValueError):
    """A parameter is wrong, by our check before sending (``status_code`` None) or the server's."""


class UnknownParameterError(ValidationError, TypeError):
    """A parameter was named that does not exist; the message says which one may be meant."""


class AuthenticationError(ApiError):
    """The key is missing, malformed or revoked (401)."""


class InsufficientCreditsError(ApiError):
    """The account has no credits left (402)."""


class PermissionDeniedError(ApiError, PermissionError):
    """The key may not do this (403)."""

    # OSError (above PermissionError) has a __str__ of its own.
    __str__ = ApiError.__str__


class NotFoundError(ApiError, LookupError):
    """The stream, model or path is not known, or no longer there (404, 410)."""


class RateLimitError(ApiError):
    """Too many requests or streams (429).

    Attributes:
        retry_after: seconds the server asked to wait, or None when it did not say.
    """

    def __init__(
        self,
        message: str,
        status_code: int | None = None,
        request_id: str | None = None,
        details: Any = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, status_code, request_id, details)
        self.retry_after = retry_after


class ServerError(ApiError):
    """The server failed (5xx), or sent something that is not the JSON it promised."""


class NetworkError(OvershootError, ConnectionError):
    """No answer came: the name did not resolve, the connection was refused or broke."""


class RequestTimeoutError(NetworkError, TimeoutError):
    """No answer came within the timeout."""


class WebSocketError(OvershootError):
    """The result channel closed with an error.

    Attributes:
        code: the WebSocket close code, or None when the connection broke without one.
    """

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class StreamClosedError(OvershootError):
    """The stream has ended, so the call cannot be carried out.

    Attributes:
        reason: why it ended, in words.
    """

    def __init__(self, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class SourceError(OvershootError, OSError):
    """A source cannot be opened or read. The message names it, without user info of a URL.

    Attributes:
        stderr: what FFmpeg said, or None.
    """

    def __init__(self, message: str, stderr: str | None = None) -> None:
        super().__init__(message)
        self.stderr = stderr

    def __str__(self) -> str:
        return str(self.args[0])


class SourceEndedError(SourceError):
    """A source ended before it gave a single frame."""


class SampleNotKeptError(OvershootError, KeyError):
    """A frame store does not hold the sample: dropped, or not taken yet; the message says which."""

    def __str__(self) -> str:
        # KeyError would show the message in quotes.
        return str(self.args[0])


class MissingDependencyError(OvershootError, ImportError):
    """An optional package is needed that is not installed; the message has the command."""


class IncompleteRunWarning(UserWarning):
    """Rows of :func:`~overshoot_nb.analyze` lack something; the message says what was lost."""

    _render_traceback_ = property(_render_traceback)
