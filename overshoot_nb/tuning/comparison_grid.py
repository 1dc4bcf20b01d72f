"""What a comparison's grid says: which answers differ, and what stands in each cell."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from overshoot_nb.store.fields import answer_fields, comparable, field_name, is_answer, shown
from overshoot_nb.types import EncodedFrame, StreamInferenceResult

from .grid_html import GridCell, GridField, GridRow

#: Rows that are shown: a notebook that the grid is saved in holds a picture of each.
ROWS = 40

#: The first answers about a sample, one for each column; None where it was not asked.
Answers = Sequence[StreamInferenceResult | None]


def differ(answers: Answers) -> bool:
    """Whether the columns say different things about a sample.

    Fields that only some answers have (prompts may have different schemas) say nothing about
    that. An answer differs from none, and from one that cannot be used.
    """
    given = [answer for answer in answers if answer is not None]
    return len({answer.ok for answer in given}) > 1 or any(map(any, _differences(answers)))


def said(answer: StreamInferenceResult) -> str | None:
    """An answer in a line: its text, or its fields; None where it cannot be used."""
    if not answer.ok:
        return None
    fields = answer_fields(answer)
    if list(fields) == [None]:
        return shown(fields[None])
    return ", ".join(f"{field_name(name)}: {shown(value)}" for name, value in fields.items())


def rows_shown(samples: Sequence[int], differing: Collection[int]) -> list[int]:
    """Which samples are shown where there are too many: first those that differ, in their order."""
    order = sorted(range(len(samples)), key=lambda i: samples[i] not in differing)  # stable
    return [samples[i] for i in sorted(order[:ROWS])]


def grid_rows(
    samples: Sequence[int],
    *,
    media_time: Mapping[int, float],
    pictures: Mapping[int, EncodedFrame],
    expected: Callable[[int], str],
    answers: Callable[[int], Sequence[Sequence[StreamInferenceResult]]],
    right: Callable[[int, int], bool | None],
    should: Callable[[int, int], Mapping[str | None, str]],
    differing: Collection[int],
) -> list[GridRow]:
    """The rows of the grid.

    Args:
        samples: indices.
        media_time: of each, seconds.
        pictures: small ones, of some.
        expected: what the labels say about whole answers about a sample, "" for nothing.
        answers: about a sample, for each column its repeats; none where it was not asked.
        right: whether the answer of a column (its place) about a sample is right.
        should: what the fields should be in which it is wrong.
        differing: the samples about which the columns differ.
    """
    rows = []
    for sample in samples:
        repeats = answers(sample)
        first = [given[0] if given else None for given in repeats]
        cells = tuple(
            _cell(given, marked, right(place, sample), should(place, sample))
            for place, (given, marked) in enumerate(zip(repeats, _differences(first), strict=True))
        )
        picture = pictures.get(sample)
        rows.append(
            GridRow(
                sample, media_time[sample], picture, expected(sample), cells, sample in differing
            )
        )
    return rows


def _differences(answers: Answers) -> list[list[bool]]:
    """For each answer, whether each of its fields differs from the first answer that has it."""
    first: dict[str | None, object] = {}
    differences = []
    for answer in answers:
        fields = answer_fields(answer) if answer is not None else {}
        differences.append(
            [
                first.setdefault(name, key := comparable(value)) != key
                for name, value in fields.items()
            ]
        )
    return differences


def _cell(
    repeats: Sequence[StreamInferenceResult],
    marked: Sequence[bool],
    right: bool | None,
    should: Mapping[str | None, str],
) -> GridCell:
    if not repeats:
        return GridCell()
    answer = repeats[0]
    note = _note(repeats)
    if not is_answer(answer):
        return GridCell((), None, f"no answer: {answer.error or 'the request failed'}", note)
    if not answer.ok:
        problem = f"cannot be used: {answer.error or 'not as asked for'}"
        text = (GridField("", answer.result),) if answer.result else ()
        return GridCell(text, right, problem, note)
    fields = answer_fields(answer)
    return GridCell(
        tuple(
            # Of a whole answer it stands beside the picture, once for all columns.
            GridField(name or "", shown(value), differs, should.get(name, "") if name else "")
            for (name, value), differs in zip(fields.items(), marked, strict=True)
        ),
        right,
        "",
        note,
    )


def _note(repeats: Sequence[StreamInferenceResult]) -> str:
    first, *others = [comparable(said(answer)) for answer in repeats]
    changed = sum(other != first for other in others)
    return f"{changed} of {len(others)} repeats say otherwise" if changed else ""
