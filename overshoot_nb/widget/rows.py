"""Results as the page shows them: short texts, fields as chips, and which rows fit a filter.

The page makes text nodes of them; characters that would not be seen are written out here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from overshoot_nb.support.html import visible
from overshoot_nb.types import StreamInferenceResult

from .message_values import Row

#: Characters of an answer in the list of results; the whole of it is shown for a selected sample.
ROW_CUT = 400
#: Characters of an answer in a saved notebook.
RECENT_CUT = 120
#: Fields of a structured answer, and characters of each; in a saved notebook, fewer.
CHIPS = 24
CHIP_CUT = 80
RECENT_CHIPS = 8
RECENT_CHIP_CUT = 40


def row_of(row: int, result: StreamInferenceResult, cut: int = ROW_CUT) -> Row:
    """A result as row number ``row``, its texts cut to ``cut`` characters."""
    limits = (CHIPS, CHIP_CUT) if cut > RECENT_CUT else (RECENT_CHIPS, RECENT_CHIP_CUT)
    at = result.answered_at or result.captured_at
    latency = result.inference_latency_ms
    return {
        "row": row,
        "id": result.id,
        "sample": result.sample,
        "media_time": result.media_time,
        "at": at.timestamp() if at is not None else 0.0,
        "ok": result.ok,
        "text": visible(result.result[:cut])[:cut],
        "cut": len(result.result) > cut,
        "chips": _chips(result.output, *limits) if result.ok else None,
        "error": visible(result.error[:cut])[:cut] if result.error is not None else None,
        # What was copied was not asked, and so took no time.
        "latency_ms": round(latency, 1) if math.isfinite(latency) else None,
        "tokens": result.usage.total_tokens if result.usage is not None else None,
        "version": result.prompt_version,
    }


def _chips(output: Any, most: int, cut: int) -> list[tuple[str, str]] | None:
    if not isinstance(output, Mapping):
        return None
    fields = islice(output.items(), most)
    return [(_short(str(key), cut), _text(value, cut)) for key, value in fields]


def _text(value: Any, cut: int) -> str:
    if isinstance(value, str):
        return _short(value, cut)
    if isinstance(value, list | dict):
        # Enough of it to fill the chip; a long list is not written out for that.
        value = value[:CHIPS] if isinstance(value, list) else dict(islice(value.items(), CHIPS))
    return _short(json.dumps(value, ensure_ascii=False, default=str), cut)


def _short(text: str, cut: int) -> str:
    text = visible(text[: cut + 1])
    return text if len(text) <= cut else text[: cut - 1] + "…"


def fits(query: str) -> Callable[[StreamInferenceResult], bool]:
    """Whether a result fits a filter: every word of it, upper and lower case alike.

    ``is:error`` and ``is:ok`` ask for one kind of row, ``v:3`` for those of a prompt version;
    any other word must stand in the answer or the error.
    """
    words = []
    tests: list[Callable[[StreamInferenceResult], bool]] = []
    for word in query.casefold().split():
        if word in ("is:error", "is:ok"):
            tests.append(_is_ok if word == "is:ok" else _is_error)
        elif word.startswith("v:") and word[2:].isdecimal():
            tests.append(_of_version(int(word[2:])))
        else:
            words.append(word)

    def test(result: StreamInferenceResult) -> bool:
        if not all(passes(result) for passes in tests):
            return False
        if not words:
            return True
        text = f"{result.result}\n{result.error or ''}".casefold()
        return all(word in text for word in words)

    return test


def _is_ok(result: StreamInferenceResult) -> bool:
    return result.ok


def _is_error(result: StreamInferenceResult) -> bool:
    return not result.ok


def _of_version(version: int) -> Callable[[StreamInferenceResult], bool]:
    return lambda result: result.prompt_version == version
