"""What would be right instead: the address of a server that was not found, the models it has."""

from __future__ import annotations

import asyncio
import difflib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from overshoot_nb.errors import ApiError, OvershootError
from overshoot_nb.types import ModelInfo

from .faults import make_error
from .parsing import model_list

if TYPE_CHECKING:
    from .http import HttpClient

#: Of what a server lists, so many are named in a message, and of each so many characters.
MAX_NAMED: Final = 10
MAX_NAME_CHARS: Final = 100
#: An error waits so long for what makes it clearer.
ADVICE_SECONDS: Final = 5.0
VERSION: Final = "/v1"
_HAS_VERSION: Final = re.compile(r"/v\d+(?:alpha|beta)?\d*(?:/|$)")
#: LM Studio says it with status 200.
_NO_SUCH_PATH: Final = re.compile(r"unexpected endpoint|unknown (?:url|path|endpoint)", re.I)
_UNKNOWN_MODEL: Final = re.compile(
    r"(?:no such|unknown|invalid|unrecognized) model|model_not_found"
    r"|\bmodels?\b.{0,200}(?:not found|n.t exist|not (?:exist|available)|"
    r"is (?:unknown|invalid))",
    re.I | re.S,
)
_ABOUT_MODEL: Final = re.compile(r"\bmodels?\b", re.I)


def listed(names: Sequence[str], wanted: str = "") -> str:
    """Names of models as a message has them: the closest to ``wanted`` first, a few of many."""

    def likeness(name: str) -> float:
        return -difflib.SequenceMatcher(None, wanted.lower(), name.lower()).ratio()

    if wanted:
        names = sorted(names[:1000], key=likeness)
    shown = [
        "".join(c if c.isprintable() else "?" for c in name[:MAX_NAME_CHARS])
        for name in names[:MAX_NAMED]
    ]
    more = f", and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(shown) + more


def is_wrong_address(error: ApiError) -> bool:
    """Whether the server may have no such path, rather than no such model."""
    said = bool(_NO_SUCH_PATH.search(error.message))
    return said or (error.status_code in (404, 405) and not _ABOUT_MODEL.search(_reason(error)))


def _reason(error: ApiError) -> str:
    """What the server said, without the call before it, whose path may be ``/models``."""
    return error.message.partition(": ")[2]


async def right_address(http: HttpClient) -> str | None:
    """The base URL with ``/v1``, where that is what the server answers under, else None."""
    if _HAS_VERSION.search(http.address.path):
        return None
    if await _models(http, f"{VERSION}/models") is None:
        return None
    return f"{http.address.origin}{http.address.path}{VERSION}"


async def with_advice(http: HttpClient, error: ApiError, model: str) -> ApiError:
    """The error with what would be right instead, or as it is where that is not known.

    Args:
        http: the client that it came from.
        error: what a request for an answer ended in.
        model: the model that was asked.
    """
    said = ""
    if is_wrong_address(error):
        if (address := await right_address(http)) is not None:
            said = f"base_url lacks {VERSION}: {address!r} would be right"
    elif _is_unknown_model(error, model):
        names = [found.model for found in await _models(http, "/models") or ()]
        if names and model not in names:
            said = f"the server has no model {model[:MAX_NAME_CHARS]!r}; it lists "
            said += listed(names, model)
    if not said:
        return error
    return make_error(
        error.status_code or 0, f"{error.message} ({said})", error.request_id, error.details
    )


def _is_unknown_model(error: ApiError, model: str) -> bool:
    if error.status_code not in (400, 404, 422):
        return False
    reason = _reason(error)
    return (error.status_code == 404 and model in reason) or bool(_UNKNOWN_MODEL.search(reason))


async def _models(http: HttpClient, path: str) -> list[ModelInfo] | None:
    """What a list of models holds; None where there is none."""
    try:
        async with asyncio.timeout(ADVICE_SECONDS):
            return model_list(await http.send("GET", path))
    except (OvershootError, TimeoutError):
        return None
