"""Every message between kernel and page, as ``js/src/messages.ts`` has them.

A test compares the names and fields of both. What the fields mean is said there.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from overshoot_nb.store.sample_log import Fate
from overshoot_nb.types import Mode, StreamState

from .message_values import Figures, Limits, ModelInfo, Problem, PromptVersion, Row, Settings
from .tuning_messages import FromTuning, ToTuning

# ---- from the kernel -------------------------------------------------------------------------


class Welcome(TypedDict):
    """Answer to ``hello``."""

    kind: Literal["welcome"]
    page: str
    live: bool
    realtime: bool
    duration: float | None
    width: int
    height: int
    limits: Limits
    live_changes: list[str]
    prompts: list[PromptVersion]
    query: str


class Status(TypedDict):
    """State and figures."""

    kind: Literal["status"]
    sent_at: float
    stream_id: str
    state: StreamState
    status: str
    problem: Problem | None
    settings: Settings
    prompt_version: int
    figures: Figures
    latencies: list[float]
    rows: int
    samples: int
    run_start: int
    media_time: float


class Picture(TypedDict):
    """A picture of the video; buffer: the JPEG."""

    kind: Literal["picture"]
    seq: int
    media_time: float
    shown_at: float
    sent_at: float
    sample: int | None
    played: bool
    answer: Row | None


class Ticks(TypedDict):
    """Samples from ``first`` on; buffers: float64 media times, uint8 fates."""

    kind: Literal["ticks"]
    first: int


class Rows(TypedDict):
    """New rows, or those asked for."""

    kind: Literal["rows"]
    total: int
    rows: list[Row]


class Matches(TypedDict):
    """Rows that fit a filter; buffer: uint32 row numbers."""

    kind: Literal["matches"]
    page: str
    query: str
    append: bool


class Detail(TypedDict):
    """A sample as a whole; buffer: the JPEG, where it is kept."""

    kind: Literal["detail"]
    sample: int
    media_time: float
    fate: Fate
    reason: str | None
    row: Row | None
    text: str
    prompt: str
    model: str
    frames: int
    missing: str | None


class Prompts(TypedDict):
    """Every prompt version."""

    kind: Literal["prompts"]
    prompts: list[PromptVersion]


class Models(TypedDict):
    """The models of the server."""

    kind: Literal["models"]
    models: list[ModelInfo]
    error: str | None


class Done(TypedDict):
    """A request was carried out."""

    kind: Literal["done"]
    request: int
    page: str


class Refused(TypedDict):
    """A request was not carried out."""

    kind: Literal["refused"]
    request: int
    page: str
    problem: Problem
    restart: bool


class Tuned(TypedDict):
    """A word of the Tune tab's own."""

    kind: Literal["tuned"]
    page: str
    message: FromTuning


FromKernel = (
    Welcome
    | Status
    | Picture
    | Ticks
    | Rows
    | Matches
    | Detail
    | Prompts
    | Models
    | Done
    | Refused
    | Tuned
)


# ---- to the kernel ---------------------------------------------------------------------------


class Hello(TypedDict):
    """A page begins to show the stream."""

    kind: Literal["hello"]
    page: str
    visible: bool


class Beat(TypedDict):
    """Still here."""

    kind: Literal["beat"]
    page: str
    visible: bool


class Bye(TypedDict):
    """A page shows it no more."""

    kind: Literal["bye"]
    page: str


class Ack(TypedDict):
    """Picture ``seq`` and all before it were drawn."""

    kind: Literal["ack"]
    page: str
    seq: int


class WantRows(TypedDict):
    """These rows, please."""

    kind: Literal["want_rows"]
    rows: list[int]


class Filter(TypedDict):
    """Which rows fit?"""

    kind: Literal["filter"]
    page: str
    query: str


class Look(TypedDict):
    """This sample as a whole, please."""

    kind: Literal["look"]
    sample: int


class Control(TypedDict):
    """A button."""

    kind: Literal["control"]
    page: str
    request: int
    action: Literal["pause", "resume", "stop", "restart"]


class Changes(TypedDict, total=False):
    """New values; those left out stay. ``version`` is all that one asks."""

    version: int
    prompt: str
    mode: Mode
    model: str
    interval_seconds: float
    target_fps: int
    clip_length_seconds: float
    delay_seconds: float
    output_schema: str | None
    max_output_tokens: int | None


class Update(TypedDict):
    """Change what is asked; ``restart`` allows what a running stream cannot change."""

    kind: Literal["update"]
    page: str
    request: int
    changes: Changes
    restart: bool


class CheckSchema(TypedDict):
    """Is this text a JSON schema?"""

    kind: Literal["check_schema"]
    page: str
    request: int
    schema: str


class WantModels(TypedDict):
    """The models, please."""

    kind: Literal["want_models"]


class Tune(TypedDict):
    """A request of the Tune tab."""

    kind: Literal["tune"]
    page: str
    request: int
    message: ToTuning


FromPage = (
    Hello
    | Beat
    | Bye
    | Ack
    | WantRows
    | Filter
    | Look
    | Control
    | Update
    | CheckSchema
    | WantModels
    | Tune
)

#: Loosely typed: what really came from a page is looked at field by field.
Incoming = dict[str, Any]
