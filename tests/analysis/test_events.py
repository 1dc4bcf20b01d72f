"""Events and changes against slow references that are written from their definitions."""

from __future__ import annotations

import math
from itertools import groupby

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overshoot_nb import analyze, demo
from overshoot_nb.demo import timeline
from overshoot_nb.errors import ValidationError
from overshoot_nb.store.columns import TEXT

# ---- the definitions, word by word ---------------------------------------------------------------


def by_run(rows: list[dict]) -> dict:
    """Rows that are ok and have a media time, run by run as they first come, by media time."""
    runs: dict = {}
    for row in rows:
        runs.setdefault(row["stream_id"], [])
        if row["ok"] is True and row["t"] is not None:
            runs[row["stream_id"]].append(row)
    return {run: sorted(own, key=lambda row: row["t"]) for run, own in runs.items()}


def slow_events(rows, *, over, min_duration, gap, enter, leave) -> list[tuple]:
    """Events of ``x > over``, which is not known to be true of None; times in microseconds."""

    def true(row):
        return row["x"] is not None and row["x"] > over

    table = []
    for run, own in by_run(rows).items():
        found = []
        begin = None
        for k, row in enumerate(own):
            if begin is None:
                first = own[k : k + enter]
                if len(first) == enter and all(map(true, first)):
                    begin = k
            if begin is not None and not true(row):
                gone = own[k : k + leave]
                if len(gone) == leave and not any(map(true, gone)):
                    found.append([begin, k, False])
                    begin = None
        if begin is not None:
            found.append([begin, len(own) - 1, True])
        merged: list[list] = []
        for begin, end, ongoing in found:
            if merged and own[begin]["t"] - own[merged[-1][1]]["t"] <= gap:
                merged[-1][1:] = [end, ongoing]
            else:
                merged.append([begin, end, ongoing])
        for begin, end, ongoing in merged:
            start, stop = own[begin]["t"], own[end]["t"]
            if stop - start < min_duration:
                continue
            inside = [r for r in own[begin : end + 1] if true(r)]
            peak = max(r["x"] for r in inside)
            evidence = next(r for r in inside if r["x"] == peak)
            seen = (peak, len(inside), evidence["sample"], evidence["t"])
            table.append((run, start, stop, stop - start, *seen, ongoing))
    return table


def slow_changes(rows, *, debounce, min_hold) -> list[tuple]:
    table = []
    for run, own in by_run(rows).items():
        held: list[list] = []  # [value, row]
        for k, row in enumerate(own):
            same = own[k : k + debounce]
            agree = len(same) == debounce and all(r["x"] == row["x"] for r in same)
            if agree and (not held or held[-1][0] != row["x"]):
                held.append([row["x"], row])

        def spans(held, own=own):
            ends = [row["t"] for _, row in held[1:]] + [own[-1]["t"] if own else 0]
            return [end - row["t"] for (_, row), end in zip(held, ends, strict=True)]

        if held:
            long = [h for h, span in zip(held, spans(held), strict=True) if span >= min_hold]
            held = [next(same) for _, same in groupby(long, key=lambda h: (h[0],))]
        before = None
        for (value, row), span in zip(held, spans(held) if held else [], strict=True):
            table.append((run, row["t"], before, value, row["sample"], span))
            before = value
    return table


_NAT = np.timedelta64("NaT", "us")


def frame(rows: list[dict]) -> pd.DataFrame:
    made = pd.DataFrame(
        {
            "sample": pd.Series([row["sample"] for row in rows], dtype="int64"),
            "media_time": np.array(
                [_NAT if row["t"] is None else row["t"] for row in rows], "m8[us]"
            ),
            "ok": pd.Series([row["ok"] for row in rows], dtype="boolean"),
            "out.x": pd.array([row["x"] for row in rows], "Int64"),
            "stream_id": pd.Categorical([row["stream_id"] for row in rows]),
        }
    )
    made.index = [7] * len(rows)  # labels mean nothing
    return made


def micro(column: pd.Series) -> list[int]:
    assert column.dtype == "timedelta64[us]"
    return column.astype("int64").tolist()


def event_tuples(found: pd.DataFrame) -> list[tuple]:
    times = [micro(found[name]) for name in ("start", "end", "duration")]
    rest = [found["peak"].tolist(), found["n"].tolist(), found["sample"].tolist()]
    at, ongoing = micro(found["at"]), found["ongoing"].tolist()
    return list(zip(found["stream_id"].tolist(), *times, *rest, at, ongoing, strict=True))


def change_tuples(found: pd.DataFrame) -> list[tuple]:
    values = [[None if pd.isna(x) else x for x in found[name]] for name in ("before", "after")]
    return list(
        zip(
            found["stream_id"].tolist(),
            micro(found["at"]),
            *values,
            found["sample"].tolist(),
            micro(found["held"]),
            strict=True,
        )
    )


ticks = st.integers(0, 20).map(lambda k: k * 100_000)
row_lists = st.lists(
    st.fixed_dictionaries(
        {
            "t": ticks | st.integers(0, 2_000_000) | st.none(),
            "x": st.integers(0, 4) | st.sampled_from([0, 4, 4, None]),
            "ok": st.sampled_from([True, True, True, True, False, None]),
            "stream_id": st.sampled_from(["run-b", "run-a"]),
        }
    ),
    max_size=40,
).map(lambda rows: [row | {"sample": k} for k, row in enumerate(rows)])
seconds = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 1.0])


@settings(max_examples=60, deadline=None)
@given(row_lists, seconds, seconds, st.integers(1, 3), st.integers(1, 3))
def test_events_are_what_their_definition_says(rows, min_duration, gap, enter, leave):
    found = frame(rows).overshoot.events(
        "out.x > 2", min_duration=min_duration, gap=gap, enter=enter, leave=leave
    )
    slow = slow_events(
        rows,
        over=2,
        min_duration=round(min_duration * 1e6),
        gap=round(gap * 1e6),
        enter=enter,
        leave=leave,
    )
    assert event_tuples(found) == slow


@settings(max_examples=60, deadline=None)
@given(row_lists, seconds, st.integers(1, 3))
def test_changes_are_what_their_definition_says(rows, min_hold, debounce):
    found = frame(rows).overshoot.changes("x", debounce=debounce, min_hold=min_hold)
    assert change_tuples(found) == slow_changes(
        rows, debounce=debounce, min_hold=round(min_hold * 1e6)
    )


NEW_YEAR = pd.Timestamp("2026-01-01", tz="UTC")

# ---- what rows may look like ---------------------------------------------------------------------


def steps(values, *, every=0.5, **columns) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample": range(len(values)),
            "media_time": np.arange(len(values)) * every,
            "out.x": values,
            **columns,
        }
    )


def test_an_event_from_its_first_true_row_to_the_first_row_that_says_otherwise():
    found = steps([0, 5, 9, 7, 0, 0, 5]).overshoot.events("out.x > 3")
    assert found.columns.tolist() == [
        "stream_id", "start", "end", "duration", "peak", "n", "sample", "at", "ongoing",
        "start_at", "end_at", "captured_at",
    ]  # fmt: skip
    assert [str(dtype) for dtype in found.dtypes[1:]] == [
        "timedelta64[us]", "timedelta64[us]", "timedelta64[us]", "float64", "int64", "int64",
        "timedelta64[us]", "bool", *["datetime64[us, UTC]"] * 3,
    ]  # fmt: skip
    assert event_tuples(found.assign(stream_id="")) == [
        ("", 500_000, 2_000_000, 1_500_000, 9.0, 3, 2, 1_000_000, False),
        ("", 3_000_000, 3_000_000, 0, 5.0, 1, 6, 3_000_000, True),
    ]
    assert found["stream_id"].isna().all()


MIDNIGHT = pd.Timestamp("2026-01-31T00:00:00Z").as_unit("us")


@pytest.mark.parametrize(
    "given",
    [
        lambda times: times,
        lambda times: times.dt.tz_convert("Asia/Tokyo").dt.as_unit("ns"),
        lambda times: times.map(pd.Timestamp.isoformat),
        lambda times: times.map(str).astype(object),
    ],
)
def test_events_and_changes_say_the_time_of_day(given):
    # A clock of the source's, which need not go as media time does.
    times = pd.Series(MIDNIGHT + pd.to_timedelta([0, 10, 20, 30, 40], unit="s"))
    rows = steps([0, 5, 9, 0, 0], captured_at=given(times))
    found = rows.overshoot.events("out.x > 3").iloc[0]
    seconds = [(found[name] - MIDNIGHT).total_seconds() for name in ("start_at", "end_at")]
    assert seconds == [10, 30]
    assert found["captured_at"] == times[2]  # of the peak
    changes = rows.overshoot.changes("out.x")
    assert changes["captured_at"].tolist() == times[[0, 1, 2, 3]].tolist()
    assert str(changes["captured_at"].dtype) == "datetime64[us, UTC]"
    indexed = rows.set_index("captured_at").overshoot.events("out.x > 3")
    assert indexed["start_at"].tolist() == [times[1]]


def test_rows_without_a_time_of_day_have_events_without_one():
    for rows in (steps([0, 5, 0]), steps([0, 5, 0], captured_at=[1, 2, 3])):
        found = rows.overshoot.events("out.x > 3")
        assert found[["start_at", "end_at", "captured_at"]].isna().all(axis=None)
        assert str(found["start_at"].dtype) == "datetime64[us, UTC]"
        assert rows.overshoot.changes("out.x")["captured_at"].isna().all()
    assert str(steps([0.0]).overshoot.events("out.x > 3")["end_at"].dtype).endswith("UTC]")


def test_a_flicker_neither_begins_nor_ends_an_event():
    flicker = steps([0, 9, 0, 9, 9, 0, 9, 9, 0, 0])
    found = flicker.overshoot.events("out.x > 3", enter=2, leave=2)
    assert micro(found["start"]) == [1_500_000]
    assert micro(found["end"]) == [4_000_000]
    assert found["n"].tolist() == [4]


def test_what_a_gap_is():
    rows = steps([9, 0, 9, 0, 0, 9, 0])  # 0.5 s and 1.0 s apart
    for gap, count in ((0.0, 3), (0.4, 3), (0.5, 2), (1.0, 1)):
        assert len(rows.overshoot.events("out.x > 3", gap=gap)) == count


def test_what_is_missing_ends_an_event_and_what_failed_says_nothing():
    rows = steps([9, 9, np.nan, 9, 0, 9], ok=[True, False, True, True, False, True])
    for condition in ("out.x > 3", "out.x == 9", "out.x in [9]", "not out.x <= 3"):
        found = rows.overshoot.events(condition)
        assert micro(found["start"]) == [0, 1_500_000]
        assert micro(found["end"]) == [1_000_000, 2_500_000]
        assert found["n"].tolist() == [1, 2]
        assert found["ongoing"].tolist() == [False, True]
    other = rows.overshoot.events("out.x != 9")
    assert micro(other["start"]) == [1_000_000]
    assert other["n"].tolist() == [1]


@pytest.mark.parametrize(
    ("condition", "peak", "sample"),
    [
        ("out.x > 1", 8, 2),
        ("1 < out.x", 8, 2),
        ("not out.x <= 1", 8, 2),
        ("out.x > 1 and not out.dark", 8, 2),
        ("out.x * -1 < -1", -8, 2),
        ("out.x < 9 or out.dark", 2, 1),
        ("not out.x >= 9", 2, 1),
        ("1 < out.x < 9", np.nan, 3),
        ("out.x != 0", np.nan, 3),
        ("out.x > out.y", np.nan, 3),
        ("out.x > 1 and out.y < 1", np.nan, 3),
        ("out.text > 'a'", np.nan, 3),
        ("len(out.text) > 1", 4, 3),
        ("out.x > 1 and out.x > 0", 8, 2),
    ],
)
def test_the_peak_is_of_the_one_number_that_is_compared_in_one_direction(condition, peak, sample):
    rows = steps(
        [0, 2, 8, 5, 8, 3, 0],
        **{
            "out.y": [0] * 7,
            "out.dark": [False] * 7,
            "out.text": ["a", "ab", "ab", "abcd", "ab", "ab", "a"],
        },
    )
    if condition in ("out.x < 9 or out.dark", "not out.x >= 9"):
        rows = rows.iloc[1:6]
    found = rows.overshoot.events(condition)
    assert len(found) == 1
    np.testing.assert_equal(found["peak"].tolist(), [peak])
    assert found["sample"].tolist() == [sample]
    assert micro(found["at"]) == [sample * 500_000]


def test_rows_of_no_run_no_time_or_no_rows_at_all():
    rows = steps([9, 9, 0], stream_id=pd.Series([None, "a", None], dtype=TEXT))
    found = rows.overshoot.events("out.x > 3")
    assert found["n"].tolist() == [1, 1]
    assert found["ongoing"].tolist() == [False, True]
    for none in (rows.iloc[:0], rows.assign(media_time=np.nan), rows.assign(ok=False)):
        events, changes = none.overshoot.events("out.x > 3"), none.overshoot.changes("x")
        assert len(events) == len(changes) == 0
        assert events["start"].dtype == changes["at"].dtype == "timedelta64[us]"


def test_rows_of_a_recording_that_are_no_answers_of_the_run_are_left_out():
    rows = steps(
        [9, 0, 9, 9],
        kind=["result", "later", "drop", "result"],
        ok=pd.array([True, True, None, True], "boolean"),
    )
    assert rows.overshoot.events("out.x > 3")["n"].tolist() == [2]
    for own in (["car"] * 4, [None] * 4):
        assert rows.assign(kind=own).overshoot.events("out.x > 3")["n"].tolist() == [1, 1]


@pytest.mark.parametrize("column", ["ok", "kind", "stream_id"])
def test_columns_that_are_there_twice_are_refused(column):
    rows = steps([9, 0], **{column: [True, True]})
    rows = pd.concat([rows, rows[[column]]], axis=1)
    with pytest.raises(ValidationError, match=f"needs one column {column}, and these rows have"):
        rows.overshoot.events("out.x > 3")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.array([1, 1, None, None, 2], "Int64"), [(None, 1), (1, None), (None, 2)]),
        ([1, 1, 2, 2, 1], [(None, 1), (1, 2), (2, 1)]),
        ([True, True, False, False, False], [(None, True), (True, False)]),
        (pd.array([True, None, None, False, False], "boolean"),
         [(None, True), (True, None), (None, False)]),
        ([1.5, 1.5, np.nan, np.nan, 1.5], [(None, 1.5), (1.5, None), (None, 1.5)]),
        (["a", "a", None, "b", "b"], [(None, "a"), ("a", None), (None, "b")]),
        (pd.Categorical(["a", "b", None, None, "b"]),
         [(None, "a"), ("a", "b"), ("b", None), (None, "b")]),
        (pd.Series([[1], [1.0], [True], [], None], dtype=object),
         [(None, [1]), ([1], [True]), ([True], []), ([], None)]),
        (pd.Series([{"a": 1, "b": 2}, {"b": 2, "a": 1}, {}, 1, True], dtype=object),
         [(None, {"a": 1, "b": 2}), ({"a": 1, "b": 2}, {}), ({}, 1), (1, True)]),
        (pd.to_datetime(["2026-01-01"] * 3 + [None] * 2, utc=True),
         [(None, NEW_YEAR), (NEW_YEAR, None)]),
    ],
)  # fmt: skip
def test_changes_of_any_dtype(values, expected):
    rows = steps(values)
    found = rows.overshoot.changes("out.x")

    def shown(value):
        return None if pd.api.types.is_scalar(value) and pd.isna(value) else value

    pairs = zip(found["before"], found["after"], strict=True)
    assert [(shown(before), shown(after)) for before, after in pairs] == expected
    # True is 1 to ==, and not to us.
    kinds = [isinstance(shown(x), bool | np.bool_) for x in found["after"]]
    assert kinds == [isinstance(after, bool) for _, after in expected]


def test_a_run_begins_with_nothing_before():
    rows = steps(["a", "b", "b", "c"], stream_id=["1", "1", "2", "2"])
    found = rows.overshoot.changes("x")
    assert found["before"].isna().tolist() == [True, False, True, False]
    assert found["after"].tolist() == ["a", "b", "b", "c"]


def test_methods_never_change_the_rows():
    rows = steps([0, 9, 9, 0], stream_id=pd.Categorical(["a"] * 4))
    copy = rows.copy(deep=True)
    rows.overshoot.events("out.x > 3", gap=1.0)
    rows.overshoot.changes("x", debounce=2)
    pd.testing.assert_frame_equal(rows, copy)


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda a: a.events("out.y > 3"), "there is no column out.y; did you mean out.x"),
        (lambda a: a.events("out.x > 3", gap=-1), "gap=-1 is not valid"),
        (lambda a: a.events("out.x > 3", min_duration=math.nan), "min_duration=nan is not valid"),
        (lambda a: a.events("out.x > 3", min_duration="1"), "min_duration='1' is not valid"),
        (lambda a: a.events("out.x > 3", enter=0), "enter=0 is not valid"),
        (lambda a: a.events("out.x > 3", leave=1.5), "leave=1.5 is not valid"),
        (lambda a: a.events("out.x > 3", leave=True), "leave=True is not valid"),
        (lambda a: a.changes("out.y"), "there is no column out.y; did you mean out.x"),
        (lambda a: a.changes(3), "there is no column 3"),
        (lambda a: a.changes("out.x", debounce=0), "debounce=0 is not valid"),
        (lambda a: a.changes("out.x", min_hold=-0.1), "min_hold=-0.1 is not valid"),
        (lambda a: a.changes(["out.x"]), "there is no column"),
    ],
)
def test_what_is_wrong_is_said(call, problem):
    with pytest.raises(ValidationError, match=problem):
        call(steps([0, 9]).overshoot)


def test_columns_that_are_not_there_are_named():
    rows = steps([0, 9])
    for column in ("media_time", "sample"):
        for ask in ("events", "changes"):
            with pytest.raises(ValidationError, match=rf"{ask}\(\) needs the column {column}"):
                getattr(rows.drop(columns=column).overshoot, ask)(
                    "out.x" if ask == "changes" else "x > 1"
                )


# ---- the demo video, whose truth is known --------------------------------------------------------


END, INTERVAL = 13.6, 1.5


@pytest.fixture(scope="module")
def game(tmp_path_factory) -> pd.DataFrame:
    """What is read in the beginning of the demo video, until its shot clock is off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timeline, "DURATION", END)
        patch.setenv("OVERSHOOT_CACHE_DIR", str(tmp_path_factory.mktemp("beginning")))
        beginning = demo.video()
    return analyze(
        str(beginning),
        demo.PROMPT,
        "local/read",
        base_url="local",
        output_schema=demo.SCHEMA,
        interval_seconds=INTERVAL,
        progress=False,
    )


def spans(found: pd.DataFrame) -> list[tuple[float, float]]:
    return [
        (start / 1e6, end / 1e6)
        for start, end in zip(*map(micro, (found["start"], found["end"])), strict=True)
    ]


def assert_within_a_sample(found: pd.DataFrame, expected: list[tuple[float, float]]) -> None:
    """What is sampled at a moment was so since at most one interval before."""
    assert len(found) == len(expected)
    for (start, end), (begun, ended) in zip(spans(found), expected, strict=True):
        assert 0 <= start - begun < INTERVAL
        assert 0 <= end - ended < INTERVAL


@pytest.mark.parametrize("banner", timeline.BANNERS[:2], ids=lambda banner: banner.event)
def test_banners_of_the_demo_are_there_when_they_were_on_screen(game, banner):
    found = game.overshoot.events(f"out.event == '{banner.event}'")
    assert_within_a_sample(found, [(banner.start, banner.end)])
    assert not found["ongoing"].any()
    inside = game.overshoot.events(f"out.event in ['{banner.event}', 'FOUL']")
    assert spans(inside) == spans(found)
    # Where there is no banner, there is another one than this.
    before, after = game.overshoot.events(f"out.event != '{banner.event}'").itertuples()
    assert (before.end, after.start) == (found["start"][0], found["end"][0])


def test_a_shot_clock_that_is_off_is_above_nothing(game):
    times = np.arange(0, END, 1 / timeline.FPS)
    shown = [timeline.truth(time)["shot_clock"] for time in times]
    above = np.array([clock is not None and clock > 10 for clock in shown])
    edges = times[
        np.flatnonzero(np.diff(above, prepend=False, append=False)).clip(max=len(above) - 1)
    ]
    assert shown[-1] is None
    found = game.overshoot.events("out.shot_clock > 10")
    assert_within_a_sample(found, list(zip(edges[::2], edges[1::2], strict=True)))
    assert found["peak"].tolist() == [11, 24]
    assert not found["ongoing"].any()


@pytest.mark.parametrize(("team", "field"), [(0, "home_score"), (1, "away_score")])
def test_scores_of_the_demo_change_when_there_was_a_basket(game, team, field):
    scores = game.overshoot.changes(field)
    expected = [0.0] + [b.at for b in timeline.BASKETS if b.team == team and b.at < END]
    assert len(scores) == len(expected) == 3 - team
    for change, at in zip(scores.itertuples(), expected, strict=True):
        assert 0 <= change.at.total_seconds() - at <= INTERVAL
        assert change.after == timeline.truth(at + 0.1)[field]
