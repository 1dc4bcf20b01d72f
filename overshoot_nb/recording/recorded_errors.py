"""Errors of a recorded run, of the classes that they were, from what was recorded of them."""

from __future__ import annotations

import re

from overshoot_nb.asking.faults import error_class
from overshoot_nb.errors import NetworkError, OvershootError
from overshoot_nb.types import StreamInferenceResult

#: How an :class:`~overshoot_nb.errors.ApiError` ends that has a status.
_STATUS = re.compile(
    r"(?P<message>.*) \(HTTP (?P<status>\d{3})(?:, request (?P<request>.+))?\)", re.S
)


def is_failed_request(result: StreamInferenceResult) -> bool:
    """Whether no answer came. One that cannot be used is an answer."""
    came = result.ok or result.result or result.reasoning or result.usage or result.finish_reason
    return not came


def recorded_error(text: str | None) -> OvershootError:
    """The error that said this: a server's by its status, else that no answer came."""
    text = text or "the request failed"
    if (found := _STATUS.fullmatch(text)) is None:
        return NetworkError(text)
    status = int(found["status"])
    return error_class(status)(found["message"], status, found["request"])
