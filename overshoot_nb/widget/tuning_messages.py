"""What the Tune tab and the kernel say to each other, as ``js/src/tune/messages.ts`` has it.

A test compares the names and fields of both. What the fields mean is said there.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class Accuracy(TypedDict):
    """How often a version is right about the labelled samples."""

    n: int
    right: int
    accuracy: float
    low: float
    high: float


class TunedVersion(TypedDict):
    """A version of the prompt, as the list has it."""

    version: int
    note: str
    parent: int | None
    temperature: float | None
    in_force: bool
    answers: int
    score: Accuracy | None
    best: bool


class Field(TypedDict):
    """A field of the answers."""

    name: str | None
    title: str
    choices: list[str]


class BackfillState(TypedDict):
    """A version that is asked about many samples."""

    number: int
    version: int
    state: str
    status: str
    done: int
    total: int
    errors: int
    cached: int
    missing: int
    remaining: int
    active: bool


class Chosen(TypedDict):
    """What was chosen, in Python or here."""

    version: int | None
    baseline: int | None
    field: str | None
    first: int | None
    last: int | None
    only: list[str]
    judge: str


# ---- from the kernel -------------------------------------------------------------------------


class Script(TypedDict):
    """The Tune tab itself."""

    kind: Literal["script"]


class TuneState(TypedDict):
    """Everything but the grid."""

    kind: Literal["state"]
    revision: int
    version: int
    baseline: int | None
    chosen: Chosen
    judges: list[str]
    columns: list[int]
    versions: list[TunedVersion]
    fields: list[Field]
    labelled: int
    answered: int
    better: int
    worse: int
    verdict: str
    backfills: list[BackfillState]
    undo: str


class Samples(TypedDict):
    """The samples that the grid shows, ascending."""

    kind: Literal["samples"]
    start: int
    total: int


class Part(TypedDict):
    """What one field says, and whether it is right."""

    name: str
    text: str
    right: bool | None
    differs: bool


class Cell(TypedDict):
    """What a version said."""

    version: int
    answered: bool
    ok: bool
    text: str
    parts: list[Part]
    right: bool | None
    differs: bool


class Label(TypedDict):
    """What a field should say."""

    field: str | None
    expected: str | None
    rejected: list[str]


class GridRow(TypedDict):
    """A sample."""

    sample: int
    media_time: float
    labels: list[Label]
    cells: list[Cell]


class Cells(TypedDict):
    """Rows of the grid."""

    kind: Literal["cells"]
    revision: int
    rows: list[GridRow]


class Thumbs(TypedDict):
    """Small pictures: buffer i is the JPEG of sample i."""

    kind: Literal["thumbs"]
    samples: list[int]


class Segment(TypedDict):
    """A piece of both texts, of the old one alone or of the new one."""

    kind: Literal["same", "removed", "added"]
    text: str


class Change(TypedDict):
    """A part of a version other than its text and its schema, as JSON texts."""

    name: str
    old: str
    new: str


class Diff(TypedDict):
    """What changed from the baseline to the version."""

    kind: Literal["diff"]
    old: int
    new: int
    segments: list[Segment]
    schema: list[Segment]
    changes: list[Change]


class Code(TypedDict):
    """The cell that starts a stream with a version."""

    kind: Literal["code"]
    version: int
    code: str


FromTuning = Script | TuneState | Samples | Cells | Thumbs | Diff | Code


# ---- to the kernel ---------------------------------------------------------------------------


class WantScript(TypedDict):
    """The tab itself, please."""

    kind: Literal["want_script"]


class Open(TypedDict):
    """A view shows the tab."""

    kind: Literal["open"]
    view: str


class Close(TypedDict):
    """A view shows it no more."""

    kind: Literal["close"]
    view: str


class WantCells(TypedDict):
    """These rows of the grid, please."""

    kind: Literal["want_cells"]
    samples: list[int]


class WantThumbs(TypedDict):
    """These small pictures, please."""

    kind: Literal["want_thumbs"]
    samples: list[int]


class Choose(TypedDict):
    """Choose otherwise."""

    kind: Literal["choose"]
    changes: dict[str, Any]


class Mark(TypedDict):
    """The answer of a version is right, or wrong."""

    kind: Literal["mark"]
    sample: int
    version: int
    field: str | None
    right: bool


class Expect(TypedDict):
    """What a field should say: JSON, or where `typed` what somebody wrote."""

    kind: Literal["expect"]
    sample: int
    version: int
    field: str | None
    value: str
    typed: bool


class Unlabel(TypedDict):
    """Nothing is known of it any more."""

    kind: Literal["unlabel"]
    sample: int
    field: str | None


class Undo(TypedDict):
    """Take back the last change of a label that was made on a page."""

    kind: Literal["undo"]


class Try(TypedDict):
    """Ask this about the last `last` samples, or where that is null about the chosen ones."""

    kind: Literal["try"]
    prompt: str
    model: str
    output_schema: str | None
    max_output_tokens: int | None
    temperature: float | None
    note: str
    last: int | None


class CancelBackfill(TypedDict):
    """Ask no more."""

    kind: Literal["cancel"]
    number: int


class ResumeBackfill(TypedDict):
    """Ask about the rest."""

    kind: Literal["resume"]
    number: int


class ApplyVersion(TypedDict):
    """Bring a version into force."""

    kind: Literal["apply"]
    version: int


class WantCode(TypedDict):
    """The cell that starts a stream with it, please."""

    kind: Literal["want_code"]
    version: int


ToTuning = (
    WantScript
    | Open
    | Close
    | WantCells
    | WantThumbs
    | Choose
    | Mark
    | Expect
    | Unlabel
    | Undo
    | Try
    | CancelBackfill
    | ResumeBackfill
    | ApplyVersion
    | WantCode
)
