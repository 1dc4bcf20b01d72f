"""What a person can do about an error."""

from __future__ import annotations

from overshoot_nb.errors import (
    AuthenticationError,
    InsufficientCreditsError,
    NetworkError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    SourceError,
    StreamClosedError,
    ValidationError,
)

from .message_values import Problem

_ADVICE: tuple[tuple[type[BaseException], str], ...] = (
    (AuthenticationError, "Check the API key (OVERSHOOT_API_KEY), then run the cell again."),
    (InsufficientCreditsError, "Add credits to the account, then restart."),
    (PermissionDeniedError, "Use a key that may do this, then run the cell again."),
    (NotFoundError, "Choose another model under Settings, then restart."),
    (RateLimitError, "Ask less often: a longer interval under Settings."),
    (ServerError, "The server failed; restart in a while."),
    (ValidationError, "Change the value that is named, then try again."),
    (StreamClosedError, "Restart it: the rows stay."),
    # After the API's errors: some of these are OSErrors too.
    (NetworkError, "Check the network and the server's URL, then restart."),
    (SourceError, "Check that the video is there and can be played, then restart."),
)


def problem_of(error: BaseException) -> Problem:
    """An error as the page shows it: in words, and with what to do."""
    advice = next((text for kind, text in _ADVICE if isinstance(error, kind)), "")
    return {"message": f"{type(error).__name__}: {error}", "advice": advice}
