"""``drops``: the samples that were never answered, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from overshoot_nb.conditions.required_columns import require
from overshoot_nb.errors import SampleNotKeptError
from overshoot_nb.store.columns import TEXT
from overshoot_nb.store.journal import Journal

from .rows import media_seconds, run_of


class _Drop(NamedTuple):
    stream_id: Any
    reason: str
    media_time: float


def drops(rows: pd.DataFrame) -> pd.DataFrame:
    """See :meth:`~overshoot_nb.analysis.table_methods.TableMethods.drops`."""
    require(rows, "drops", "stream_id")
    ids = rows["stream_id"].dropna().unique().tolist()
    if "kind" in rows and "reason" in rows:  # a recording's file as it is
        return _table(ids, _recorded(rows), rows.groupby("stream_id")["sample"].nunique().to_dict())
    dropped: list[_Drop] = []
    taken: dict[Any, int] = {}
    gone: list[str] = []
    for stream_id in ids:
        run = run_of(stream_id)
        if run is None:
            gone.append(str(stream_id))
            continue
        own, taken[stream_id] = _of_stream(run.journal, str(stream_id))
        dropped += [_Drop(stream_id, *one) for one in own]
    if gone:
        raise SampleNotKeptError(
            f"drops() asks the streams, for a sample that was dropped has no row, and of "
            f"{_some(gone)} nothing is known any more: keep the stream that "
            "client.streams.create(...) returns (stream.stats.drops has the counts), or record it "
            "(stream.record(path), or analyze(..., record=path)) and use the rows of "
            "overshoot_nb.load(path)"
        )
    return _table(ids, dropped, taken)


def _of_stream(journal: Journal, stream_id: str) -> tuple[list[tuple[str, float]], int]:
    """Reason and time of each drop of one run of a stream, and how many samples it took.

    A stream that was restarted is several runs, whose samples are counted on: another run begins
    where media time starts over.
    """
    size = len(journal.log)
    records = [journal.log[index] for index in range(size)]
    ids = {journal.table[r.row].stream_id for r in records if r.row is not None}
    if len(ids) > 1:
        records = [
            record
            for stretch in _stretches(records)
            if stream_id in {journal.table[r.row].stream_id for r in stretch if r.row is not None}
            for record in stretch
        ]
    dropped = [(r.reason or "", r.media_time) for r in records if r.fate == "drop"]
    return dropped, len(records)


def _stretches(records: list[Any]) -> Iterator[list[Any]]:
    start = 0
    for index in range(1, len(records) + 1):
        over = index == len(records)
        if over or records[index].media_time < records[index - 1].media_time:
            yield records[start:index]
            start = index


def _recorded(rows: pd.DataFrame) -> list[_Drop]:
    require(rows, "drops", "stream_id", "sample", "media_time")
    own = rows[rows["kind"].isin(["drop"]).to_numpy(bool)].drop_duplicates(["stream_id", "sample"])
    seconds = media_seconds(own, "drops")
    return [
        _Drop(*one) for one in zip(own["stream_id"], own["reason"].fillna(""), seconds, strict=True)
    ]


def _table(ids: list[Any], dropped: list[_Drop], taken: dict[Any, int]) -> pd.DataFrame:
    """One row for each stream and reason, the most frequent first."""
    found: dict[tuple[Any, str], list[float]] = {}
    for drop in dropped:
        found.setdefault((drop.stream_id, drop.reason), []).append(drop.media_time)
    places = {stream_id: place for place, stream_id in enumerate(ids)}
    keys = sorted(
        (key for key in found if key[0] in places),
        key=lambda key: (places[key[0]], -len(found[key]), key[1]),
    )
    counts = [len(found[key]) for key in keys]

    def times(pick: Any) -> Any:
        return pd.to_timedelta([pick(found[key]) for key in keys], unit="s").astype("m8[us]")

    return pd.DataFrame(
        {
            "stream_id": pd.array([str(stream_id) for stream_id, _ in keys], TEXT),
            "reason": pd.array([reason for _, reason in keys], TEXT),
            "count": np.array(counts, np.int64),
            "share": np.array(
                [n / taken[key[0]] for n, key in zip(counts, keys, strict=True)], np.float64
            ),
            "first": times(min),
            "last": times(max),
        }
    )


def _some(ids: list[str]) -> str:
    shown = ", ".join(ids[:3])
    return f"{shown} and {len(ids) - 3} others" if len(ids) > 3 else shown
