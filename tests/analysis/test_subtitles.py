"""Rows as subtitles: times, merging, escapes; read back strictly, and by FFmpeg."""

from __future__ import annotations

import html
import io
import math
import re
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

import overshoot_nb  # noqa: F401  # gives DataFrames their accessor
from overshoot_nb.analysis.captions_wrapping import columns, wrapped
from overshoot_nb.errors import ValidationError

Cue = tuple[float, float, str]


def rows(*results: object, step: float = 0.5, **columns: object) -> pd.DataFrame:
    times = pd.to_timedelta(np.arange(len(results)) * step, unit="s").astype("timedelta64[us]")
    table = {
        "sample": range(len(results)),
        "media_time": times,
        "result": pd.Series(list(results), dtype=object),
    }
    return pd.DataFrame({**table, "stream_id": "run-1", **columns})


def seconds(stamp: str, point: str) -> float:
    match = re.fullmatch(rf"(\d\d+):([0-5]\d):([0-5]\d){re.escape(point)}(\d{{3}})", stamp)
    assert match, stamp
    hours, minutes, secs, thousandths = map(int, match.groups())
    return hours * 3600 + minutes * 60 + secs + thousandths / 1000


def parsed_cues(blocks: list[str], point: str) -> list[Cue]:
    cues = []
    for block in blocks:
        times, *lines = block.split("\n")
        start, arrow, end = times.split(" ")
        assert arrow == "-->"
        assert lines
        assert all(line.strip() == line != "" and "-->" not in line for line in lines)
        cues.append((seconds(start, point), seconds(end, point), "\n".join(lines)))
    for start, end, _ in cues:
        assert start < end
    return cues


def parsed_srt(text: str) -> list[Cue]:
    """By the letter: numbers from 1, one empty line between cues, a line end at the end."""
    if not text:
        return []
    assert text.endswith("\n")
    blocks = text.removesuffix("\n").split("\n\n")
    rest = []
    for number, block in enumerate(blocks, 1):
        head, _, tail = block.partition("\n")
        assert head == str(number)
        rest.append(tail)
    return parsed_cues(rest, ",")


def parsed_vtt(text: str) -> list[Cue]:
    assert text.endswith("\n")
    head, *blocks = text.removesuffix("\n").split("\n\n")
    assert head == "WEBVTT"
    cues = parsed_cues(blocks, ".")
    for _, _, said in cues:
        assert "<" not in said
        assert re.sub(r"&(amp|lt|gt);", "", said).count("&") == 0
    return [(start, end, html.unescape(said)) for start, end, said in cues]


def read_by_ffmpeg(text: str, form: str) -> list[Cue]:
    with av.open(io.BytesIO(text.encode()), format=form) as container:
        return [
            (
                float(packet.pts * packet.time_base),
                float((packet.pts + packet.duration) * packet.time_base),
                bytes(packet).decode(),
            )
            for packet in container.demux()
            if packet.size
        ]


def srt(table: pd.DataFrame, **options: object) -> list[Cue]:
    text = table.overshoot.to_srt(**options)
    cues = parsed_srt(text)
    if cues:
        assert read_by_ffmpeg(text, "srt") == cues
    return cues


def test_a_text_holds_until_the_next_row():
    assert srt(rows("a", "b", "c")) == [(0.0, 0.5, "a"), (0.5, 1.0, "b"), (1.0, 2.0, "c")]


def test_rows_may_come_in_any_order_and_times_in_seconds():
    table = rows("a", "b", "c").iloc[[2, 0, 1]]
    assert srt(table) == srt(rows("a", "b", "c"))
    plain = rows("a", "b", "c").assign(media_time=[0.0, 0.5, 1.0])
    assert srt(plain) == srt(table)


def test_equal_neighbours_are_one():
    assert srt(rows("a", "a", "b", "a")) == [(0, 1, "a"), (1, 1.5, "b"), (1.5, 2.5, "a")]


def test_a_text_stays_no_longer_than_hold():
    table = rows("a", "a", "a", "a", "a", "a").iloc[[0, 1, 2, 5]]
    assert srt(table) == [(0.0, 2.0, "a"), (2.5, 3.5, "a")]
    assert srt(table, hold=0.2)[0] == (0.0, 0.2, "a")
    assert srt(table, hold=math.inf) == [(0.0, 3.5, "a")]


def test_what_failed_says_nothing_and_what_is_empty_ends_the_one_before():
    table = rows("a", "failed", "b", "", None, "c", ok=[True, False, True, True, True, True])
    assert srt(table, hold=9) == [(0.0, 1.0, "a"), (1.0, 1.5, "b"), (2.5, 11.5, "c")]


def test_times_are_written_to_the_millisecond_and_beyond_a_day():
    table = rows("a", "b").assign(media_time=[59.9996, 360_000.0])
    assert table.overshoot.to_srt(hold=1).startswith("1\n00:01:00,000 --> 00:01:01,000\n")
    assert "100:00:00.000 --> 100:00:01.000" in table.overshoot.to_vtt(hold=1)
    close = rows("a", "b").assign(media_time=[0.0, 0.0001])
    assert [start for start, _, _ in parsed_srt(close.overshoot.to_srt())] == [0.0, 0.0]


ODD = (
    "<i>no italics</i> & <3 > 2",
    "a --> b",
    "one\n\n\r\n  \n two \x00\x1b[31m",
    "{\\an8}top {plain}",
    "5",
    "00:00:01,000 --> 00:00:02,000",
    "NOTE a\nWEBVTT",
    "מה השעה؟ مرحبا",
    "👩‍👩‍👧 done",
    "half \ud83d",
    "\u2028x\u0085y\x0b",
    "a\u202egpj.exe\u2069\u061c",
)


@pytest.mark.parametrize("text", ODD)
def test_whatever_is_answered_is_text(text):
    (cue,) = srt(rows(text), width=200)
    shown = cue[2].replace("\u200b", "")
    # What would not be seen is written out; letters from right to left and joiners stay.
    written = {"\x00": r"\x00", "\x1b": r"\x1b", "\ud83d": r"\ud83d", "\x85": r"\x85"}
    written |= {"\x0b": r"\x0b", "\u202e": r"\u202e", "\u2069": r"\u2069", "\u061c": r"\u061c"}
    lines = re.split("\r?\n|\u2028", text)
    expected = "\n".join(
        line
        for line in ("".join(written.get(c, c) for c in each).strip() for each in lines)
        if line
    )
    assert shown == expected
    assert parsed_vtt(rows(text).overshoot.to_vtt(width=200)) == [(0.0, 2.0, expected)]


def test_players_find_no_markup_in_subrip():
    with av.open(io.BytesIO(rows(ODD[0]).overshoot.to_srt().encode()), format="srt") as container:
        subtitles = [s for packet in container.demux() for s in packet.decode()]
    # Older PyAV gives sets of them.
    flat = [one for s in subtitles for one in ([s] if hasattr(s, "ass") else s)]
    said = b"".join(one.ass if isinstance(one.ass, bytes) else one.ass.encode() for one in flat)
    # FFmpeg turns tags into ASS commands, which begin with a backslash in braces.
    assert b"i>no italics" in said
    assert b"{\\" not in said


def test_lines_are_broken_between_words_and_wide_characters():
    (cue,) = srt(rows("one two three four five six"), width=10)
    assert cue[2] == "one two\nthree four\nfive six"
    (cue,) = srt(rows("世界" * 6), width=10)
    assert [len(line) for line in cue[2].split("\n")] == [5, 5, 2]
    (cue,) = srt(rows("x" * 25 + "👩‍👩‍👧"), width=10)
    assert cue[2] == "x" * 10 + "\n" + "x" * 10 + "\nxxxxx👩‍👩‍👧"


def test_no_rows_give_files_without_cues(tmp_path: Path):
    assert rows().overshoot.to_srt() == ""
    assert rows().overshoot.to_vtt() == "WEBVTT\n"
    assert rows("", None).overshoot.to_srt(tmp_path / "no.srt").read_bytes() == b""


def test_files_are_written_whole_and_replaced(tmp_path: Path):
    path = tmp_path / "out.srt"
    assert rows("a").overshoot.to_srt(path) == path
    rows("é").overshoot.to_srt(str(path))
    assert path.read_bytes() == "1\n00:00:00,000 --> 00:00:02,000\né\n".encode()
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(OSError, match=r"no folder"):
        rows("a").overshoot.to_srt(tmp_path / "no folder" / "x.srt")


# ---- what is said ------------------------------------------------------------------------------


STRUCTURED = {
    "out.people": pd.array([3, None, 1], "Int64"),
    "out.dark": pd.array([False, True, None], "boolean"),
    "out.score": [0.5, 2.0, math.nan],
    "out.tags": [["a", "ü"], None, []],
}


def texts(**options: object) -> list[str]:
    table = rows("x", "y", "z", **STRUCTURED)
    return [text for _, _, text in srt(table, **options)]


def test_structured_answers_are_in_words():
    assert texts(width=200) == [
        'people: 3 · dark: no · score: 0.5 · tags: ["a","ü"]',
        "dark: yes · score: 2",
        "people: 1 · tags: []",
    ]


def test_a_column_a_format_or_a_function():
    assert texts(caption="result") == ["x", "y", "z"]
    assert texts(caption="out.people") == texts(caption="people") == ["3", "1"]
    form = "{{{people:02d}}} at {media_time}, {out.score:.2f}"
    assert texts(caption=form) == ["{03} at 0:00.0, 0.50", "{} at 0:00.5, 2.00", "{01} at 0:01.0,"]
    assert texts(caption=lambda row: row["sample"] * 2 or None) == ["2", "4"]
    assert texts(caption="{dark}") == ["no", "yes"]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("{out.a:b} it is", "1 it is"),
        ("{a:b:03d} {share {%}:.1f}", "001 0.2"),
        ("{out.share {%}}", "0.25"),
        ("out.share {%}", "0.25"),
        ("{{{a:b}}} {{}}", "{1} {}"),
        ("{why?!} {list[0}", "so 7"),
        ("{a:b:c} {a} {a:03d}", "2 5 005"),
        ("{{v}}{media_time}", "x0:00.0"),
        ("{{w}}", "{w}"),
    ],
)
def test_columns_whose_names_have_what_formats_have(form, said):
    names = {"a:b": 1, "share {%}": 0.25, "why?!": "so", "list[0": 7, "a:b:c": 2, "a": 5}
    columns = {f"out.{name}": [value] for name, value in names.items()}
    table = rows("an answer", **columns, **{"{v}": ["x"]})
    assert [text for _, _, text in srt(table, caption=form, width=200)] == [said]


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("peple", "there is no column peple; did you mean out.people\\?"),
        ("{peple}", "there is no column peple; did you mean out.people\\?"),
        ("{people.__class__}", "there is no column people.__class__"),
        ("{people!r}", "!r is not known"),
        ("{people", "is no format"),
        ("{peo:ple}", "there is no column peo"),
        ("{dark:%Y}", "does not fit"),
        (3, "caption=3 is not valid"),
    ],
)
def test_captions_that_cannot_be_used_are_said(caption, words):
    with pytest.raises(ValidationError, match=words):
        rows("x", "y", "z", **STRUCTURED).overshoot.to_srt(caption=caption)


def test_events_last_from_their_start_to_their_end():
    events = pd.DataFrame(
        {
            "stream_id": "run-1",
            "start": pd.to_timedelta([1.0, 4.0], unit="s"),
            "end": pd.to_timedelta([2.5, 4.0], unit="s"),
            "peak": [7.0, math.nan],
        }
    )
    assert srt(events) == [(1.0, 2.5, "Event 1 (peak 7)"), (4.0, 4.5, "Event 2")]
    assert srt(events, caption=lambda event: "Goal")[0] == (1.0, 2.5, "Goal")


def test_rows_of_several_runs_are_refused():
    both = pd.concat([rows("a"), rows("b").assign(stream_id="run-2")])
    with pytest.raises(ValidationError, match=r"these are of 2: 'run-1', 'run-2'.*df\[df"):
        both.overshoot.to_vtt()


@pytest.mark.parametrize("options", [{"hold": 0}, {"hold": "1"}, {"width": 3}, {"width": True}])
def test_parameters_are_checked(options):
    with pytest.raises(ValidationError, match=next(iter(options))):
        rows("a").overshoot.to_srt(**options)


def test_a_missing_column_is_named():
    with pytest.raises(ValidationError, match=r"to_srt\(\) needs the column media_time"):
        rows("a").drop(columns="media_time").overshoot.to_srt()
    with pytest.raises(ValidationError, match=r"to_srt\(\) needs the column result"):
        rows("a").drop(columns="result").overshoot.to_srt()


def test_ffmpeg_reads_webvtt():
    table = rows("a & b", "<v Bob>c", "d")
    cues = read_by_ffmpeg(table.overshoot.to_vtt(), "webvtt")
    assert [(start, end) for start, end, _ in cues] == [(0.0, 0.5), (0.5, 1.0), (1.0, 2.0)]
    assert [html.unescape(text) for _, _, text in cues] == ["a & b", "<v Bob>c", "d"]


def test_a_hundred_thousand_rows_are_written_soon():
    table = rows(*("abc"[i % 3] for i in range(100_000)), step=0.1)
    assert len(parsed_srt(table.overshoot.to_srt())) == 100_000


def test_a_line_that_fits_is_measured_once():
    measured = []

    def measure(line: str) -> int:
        measured.append(line)
        return columns(line)

    assert wrapped("two people\na dog", 42, measure) == ["two people", "a dog"]
    assert measured == ["two people", "a dog"]


def test_a_folder_that_is_not_there_is_said_by_the_files_own_name(tmp_path):
    where = tmp_path / "nowhere" / "said.srt"
    with pytest.raises(FileNotFoundError) as refused:
        rows("a").overshoot.to_srt(where)
    assert refused.value.filename == str(where)
