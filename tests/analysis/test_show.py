"""Rows with their pictures: which ones, what stands beside them, and how large that is."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pandas as pd
import pytest
import simplejpeg

from overshoot_nb.analysis.row_choice import evenly, positions_of
from overshoot_nb.analysis.small_pictures import small_picture
from overshoot_nb.errors import SampleNotKeptError, ValidationError
from overshoot_nb.running import run_registry
from overshoot_nb.store.frames import FrameStore
from overshoot_nb.types import EncodedFrame, Sample

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def picture(colour: tuple[int, int, int], width: int = 320, height: int = 180) -> EncodedFrame:
    pixels = np.full((height, width, 3), colour, np.uint8)
    return EncodedFrame(0.0, simplejpeg.encode_jpeg(pixels, quality=90), width, height)


RED, GREEN, BLUE = (picture(colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255)))


@pytest.fixture
def remembered() -> Any:
    """A function that makes a run with these samples, whose rows find them."""
    held: list[object] = []

    def remember(stream_id: str, *samples: Sample) -> None:
        store = FrameStore()
        for sample in samples:
            store.put(sample)
        run = SimpleNamespaceRun(journal=SimpleNamespace(frames=store))
        held.append(run)
        run_registry.remember_run(stream_id, run)  # type: ignore[arg-type]

    return remember


class SimpleNamespaceRun(SimpleNamespace):
    """Weakly referred to, as a run is; a dictionary's keys go by identity."""

    __hash__ = object.__hash__


def frame(index: int, *frames: EncodedFrame, video: bytes | None = None) -> Sample:
    mode = "frame" if len(frames) < 2 else "clip"
    return Sample(index, mode, index / 2, NOW, frames, video)


def rows_of(count: int, stream_id: str = "s", **columns: Any) -> pd.DataFrame:
    samples = range(count)
    times = pd.to_timedelta([k / 2 for k in samples], unit="s")
    answers = {"result": [f"answer {k}" for k in samples], "ok": True, "error": None, **columns}
    return pd.DataFrame({"sample": samples, "media_time": times, "stream_id": stream_id, **answers})


@pytest.fixture
def ten(remembered: Any) -> pd.DataFrame:
    remembered("s", *(frame(k, (RED, GREEN, BLUE)[k % 3]) for k in range(10)))
    return rows_of(10)


class Page(HTMLParser):
    """The tags and texts of a fragment."""

    def __init__(self, fragment: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(fragment)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def images(self) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == "img"]

    @property
    def text(self) -> str:
        return "".join(self.texts)


def page_of(df: pd.DataFrame, *args: Any, **options: Any) -> Page:
    return Page(df.overshoot.show(*args, **options)._repr_html_())


def pixels(image: dict[str, str | None]) -> np.ndarray:
    source = image["src"] or ""
    assert source.startswith("data:image/jpeg;base64,")
    return simplejpeg.decode_jpeg(base64.b64decode(source.partition(",")[2]))


# ---- which rows --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "positions"),
    [
        (3, [0, 4, 9]),
        (1, [0]),
        (0, []),
        (50, list(range(10))),
        (np.int64(2), [0, 9]),
        (slice(2, 5), [2, 3, 4]),
        (slice(-2, None), [8, 9]),
        (slice(None, None, -4), [9, 5, 1]),
        ([5, 1, -1], [5, 1, 9]),
        (range(3), [0, 1, 2]),
        (np.array([4, 2]), [4, 2]),
        (pd.Series([4, 2]), [4, 2]),
        (pd.Index([3]), [3]),
        ([], []),
        (np.arange(10) > 7, [8, 9]),
        ([False] * 9 + [True], [9]),
        (pd.Series([True] + [None] * 9, dtype="boolean"), [0]),
        (pd.Series([True] + [None] * 9, dtype=object), [0]),
        (pd.Series([False] * 10), []),
        ("sample >= 8", [8, 9]),
        ("out.people > 100", []),
        ("people > 3 and not result == 'answer 6'", [4, 5, 7, 8, 9]),
    ],
)
def test_rows_are_chosen_by_place(wanted: Any, positions: list[int]) -> None:
    people = [0, 1, 2, 3, 4, 5, 6, 7, 8, None]
    rows = rows_of(10, **{"out.people": pd.array([*people[:9], 9], "Int64")})
    rows.index = pd.Index([0] * 10)
    assert positions_of(rows, wanted) == positions


def test_a_mask_of_the_rows_in_another_order_is_of_the_same_rows() -> None:
    rows = rows_of(10)
    mask = rows["sample"] >= 8
    shuffled = rows.iloc[[3, 8, 0, 9, 1, 2, 4, 5, 6, 7]]
    assert positions_of(shuffled, mask) == [1, 3]
    assert positions_of(shuffled, mask.reindex(shuffled.index)) == [1, 3]
    assert positions_of(shuffled, mask.to_numpy()) == [8, 9]
    with pytest.raises(ValidationError, match="the mask is a Series of other rows"):
        positions_of(rows, mask.set_axis(range(5, 15)))


@pytest.mark.parametrize(
    ("wanted", "error", "message"),
    [
        (-1, ValidationError, "rows=-1 is not valid: it must be 0 or more"),
        (True, ValidationError, "rows=True is not valid: give a number of rows, a condition"),
        (1.5, ValidationError, "rows=float is not valid"),
        (None, ValidationError, "rows=NoneType is not valid"),
        ([1, 1.5], ValidationError, "rows holds more than whole numbers"),
        (["a"], ValidationError, "rows holds more than whole numbers"),
        ([True], ValidationError, "the mask has 1 values, and there are 10 rows"),
        ([10], LookupError, "there is no row 10: there are 10 rows, from 0 on"),
        ([-11], LookupError, "there is no row -11"),
        (slice("a", "b"), ValidationError, "is no slice of positions"),
        ("nothing > 3", ValidationError, "there is no column nothing"),
        ("sample >", ValidationError, None),
        ({"a": 1}, ValidationError, "rows=dict is not valid"),
    ],
)
def test_what_chooses_no_rows_is_refused(
    wanted: Any, error: type[Exception], message: str | None
) -> None:
    with pytest.raises(error, match=message):
        positions_of(rows_of(10), wanted)


def test_evenly_has_the_first_and_the_last() -> None:
    for length in range(1, 40):
        for count in range(2, 12):
            chosen = evenly(list(range(length)), count)
            assert (chosen[0], chosen[-1]) == (0, length - 1)
            assert len(set(chosen)) == min(length, count)
            assert chosen == sorted(chosen)


# ---- what is shown -----------------------------------------------------------------------------


def test_each_row_has_its_picture_its_time_and_its_answer(ten: pd.DataFrame) -> None:
    shown = ten.overshoot.show([1, 5])
    assert len(shown) == 2
    assert repr(shown) == "<2 of 10 rows with pictures>"
    page = Page(shown._repr_html_())
    assert [pixels(image)[80, 150].argmax() for image in page.images] == [1, 2]
    assert [image["alt"] for image in page.images] == ["sample 1 at 0:00.5", "sample 5 at 0:02.5"]
    assert all(i["loading"] == "lazy" and i["decoding"] == "async" for i in page.images)
    assert [(i["width"], i["height"]) for i in page.images] == [("200", "113")] * 2
    assert "0:00.5 · sample 1answer 1" in page.text
    assert not any(word in page.text for word in ("answer 0", "answer 2"))


def test_twelve_rows_are_shown_and_they_span_the_whole(ten: pd.DataFrame) -> None:
    assert list(ten.overshoot.show().rows["sample"]) == list(range(10))
    many = pd.concat([ten] * 10, ignore_index=True)
    assert len(many.overshoot.show()) == 12
    assert list(many.overshoot.show().rows.index)[::11] == [0, 99]


def test_no_text_is_markup(remembered: Any) -> None:
    remembered(EVIL, frame(0, RED))
    names = {f"out.{EVIL}": [EVIL], "out.list": [[EVIL, {EVIL: EVIL}]], "out.kind": [EVIL]}
    structured = rows_of(2, EVIL, result=EVIL, prompt=EVIL, model=EVIL, error=EVIL)
    structured = structured.assign(**{n: v * 2 for n, v in names.items()}, **{"v2 <b>": EVIL})
    failed = structured.assign(ok=False)
    text = rows_of(2, EVIL + "2", result=EVIL)
    for rows in (structured, failed, text, pd.concat([structured, text])):
        for columns in (None, list(rows.columns)):
            page = page_of(rows, 9, columns=columns)
            assert {tag for tag, _ in page.tags} <= {"div", "img", "small", "strong", "em"}
            assert all(
                (image["src"] or "").startswith("data:image/jpeg;base64,") for image in page.images
            )
            allowed = {
                "style", "src", "alt", "width", "height", "loading", "decoding",
            }  # fmt: skip
            # One class around all, which front ends take for "no formulas".
            assert page.tags[0][1].pop("class") == "mathjax_ignore tex2jax_ignore"
            assert all(set(attributes) <= allowed for _, attributes in page.tags)
            assert "<script>alert(1)</script>" in page.text


def test_fields_of_structured_answers_and_columns_by_name(ten: pd.DataFrame) -> None:
    rows = ten.assign(
        **{
            "out.people": pd.array([*range(9), None], "Int64"),
            "out.dark": pd.array([True, None] * 5, "boolean"),
            "out.share": np.linspace(0, 1, 10),
            "out.at": pd.Timestamp("2026-01-31 12:30:00.5", tz="UTC"),
            "out.names": [["a", {"b": 1}]] * 10,
        }
    )
    text = page_of(rows, [1]).text
    assert "people 1" in text
    assert "dark –" in text
    assert "share 0.111111" in text
    assert "at 2026-01-31 12:30:00.500+00:00" in text
    assert 'names ["a", {"b": 1}]' in text
    assert "answer" not in text
    assert "answer 1" in page_of(rows, [1], columns="result").text
    chosen = page_of(rows, [1], columns=["people", "media_time", "ok"]).text
    assert "people 1media_time 0:00.5ok true" in chosen
    nothing = rows.assign(**{n: None for n in rows.columns if n.startswith("out.")})
    assert "answer 1" in page_of(nothing, [1]).text  # not as the schema says, so as it came
    with pytest.raises(ValidationError, match=r"there is no column peple; did you mean out.people"):
        rows.overshoot.show(columns=["peple"])


def test_failed_rows_say_why(ten: pd.DataFrame) -> None:
    rows = ten.assign(ok=[True] * 9 + [False], error=[None] * 9 + ["it was too late"])
    assert "failed: it was too late" in page_of(rows, [9]).text
    assert "failed" not in page_of(rows, [8]).text


def test_a_clip_is_a_strip_in_the_order_of_time(remembered: Any) -> None:
    remembered("s", frame(0, RED, GREEN, BLUE), frame(1, *[RED] * 59, BLUE))
    page = page_of(rows_of(2), 2)
    strip, long = (pixels(image) for image in page.images)
    height, width, _ = strip.shape
    assert [strip[height // 2, width * k // 6].argmax() for k in (1, 3, 5)] == [0, 1, 2]
    assert width > 2.9 * 180
    assert long.shape[1] < 8.2 * 183  # of many frames, some
    assert long[40, -40].argmax() == 2
    assert sum("grid-column:1/-1" in (a.get("style") or "") for _, a in page.tags) == 2


def test_a_picture_that_is_missing_says_why_in_its_place(remembered: Any) -> None:
    broken = EncodedFrame(0.0, b"no jpeg", 10, 10)
    remembered("s", frame(0, RED), frame(2), frame(3, broken))
    rows = pd.concat([rows_of(4), rows_of(1, "gone <i>")])
    page = page_of(rows, 9)
    assert len(page.images) == 1
    assert "sample 1 was dropped from the store" in page.text
    assert "sample 2 has no pictures" in page.text
    assert "the picture of sample 3 is broken" in page.text
    assert "the pictures of stream gone <i> are gone with it" in page.text
    assert all(f"answer {k}" in page.text for k in range(4))


def test_rows_that_were_joined_with_others_say_that_they_have_no_sample(ten: pd.DataFrame) -> None:
    other = pd.DataFrame({"sample": [3, 77], "note": ["x", "y"]})
    page = page_of(ten.merge(other, how="outer"), "missing(result)", columns="note")
    assert "the row's stream_id is missing: it is of no stream" in page.text
    assert "note y" in page.text


def test_no_rows(ten: pd.DataFrame) -> None:
    empty = ten.iloc[:0].overshoot.show()
    assert repr(empty) == "<no rows with pictures>"
    assert "no rows" in Page(empty._repr_html_()).text
    assert repr(ten.overshoot.show("sample > 99")) == "<no rows of 10 with pictures>"
    assert repr(ten.iloc[:1].overshoot.show()) == "<1 row with pictures>"


def test_what_is_needed_is_named(ten: pd.DataFrame) -> None:
    with pytest.raises(ValidationError, match=r"show\(\) needs the column stream_id"):
        ten.drop(columns="stream_id").overshoot.show()
    for width in (0, 39, 1281, "wide", True):
        with pytest.raises(ValidationError, match="width"):
            ten.overshoot.show(width=width)


def test_columns_that_are_there_twice_break_nothing(ten: pd.DataFrame) -> None:
    doubled = pd.concat([ten, ten[["result"]]], axis=1)
    assert "answer 3" in page_of(doubled, [3]).text
    with pytest.raises(ValidationError, match="several of that name"):
        doubled.overshoot.show(columns="result")


# ---- how large it is ---------------------------------------------------------------------------


def noise(seed: int, width: int = 640, height: int = 360) -> EncodedFrame:
    grain = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return EncodedFrame(0.0, simplejpeg.encode_jpeg(grain, quality=80), width, height)


@pytest.mark.parametrize("width", [200, 1280])
def test_however_many_are_asked_for_the_notebook_stays_small(remembered: Any, width: int) -> None:
    grain = noise(1), noise(2)
    remembered("s", *(frame(k, grain[k % 2]) for k in range(10_000)))
    rows = rows_of(10_000, result="long " * 10_000)
    shown = rows.overshoot.show(10_000, width=width)
    assert 1 < len(shown) <= 100
    assert shown.meant == 10_000
    assert repr(shown) == f"<{len(shown)} of 10,000 rows, evenly chosen with pictures>"
    assert shown.rows["sample"].iloc[[0, -1]].tolist() == [0, 9_999]
    assert len(shown._repr_html_()) < 6_000_000


def test_twelve_usual_pictures_are_a_few_kilobytes_each(remembered: Any) -> None:
    y, x = np.mgrid[:720, :1280]
    scene = np.dstack([x % 256, y % 256, (x + y) // 8 % 256]).astype(np.uint8)
    large = EncodedFrame(0.0, simplejpeg.encode_jpeg(scene, quality=90), 1280, 720)
    assert len(large.data) > 60_000
    remembered("s", *(frame(k, large) for k in range(12)))
    shown = rows_of(12).overshoot.show()
    assert len(shown._repr_html_()) < 12 * 24_000
    assert shown._repr_html_() is shown._repr_html_()  # made once


def test_small_pictures_are_not_blown_up() -> None:
    _, width, height = small_picture([picture((9, 9, 9), 64, 48)], 200)
    assert (width, height) == (64, 48)
    _, width, height = small_picture([picture((9, 9, 9), 360, 1280)], 200)
    assert height == 300


# ---- one by one --------------------------------------------------------------------------------


def test_frame_clip_and_play(remembered: Any) -> None:
    pytest.importorskip("PIL")
    frames = [EncodedFrame(k / 10, f.data, 320, 180) for k, f in enumerate((RED, GREEN, BLUE))]
    remembered("s", frame(0, RED), frame(1, *frames))
    rows = rows_of(3)
    assert rows.overshoot.frame(0).getpixel((5, 5))[0] > 240
    assert rows.overshoot.frame(1, -1).getpixel((5, 5))[2] > 240
    assert rows.overshoot.frame(rows.iloc[1], 1).getpixel((5, 5))[1] > 240
    with pytest.raises(IndexError, match="sample 1 has 3 frames, no frame 3"):
        rows.overshoot.frame(1, 3)
    assert [np.argmax(p.getpixel((5, 5))) for p in rows.overshoot.clip(1)] == [0, 1, 2]
    assert len(rows.overshoot.clip(0)) == 1
    player = rows.overshoot.play(1)
    assert "<video" in player._repr_html_()
    with av.open(io.BytesIO(player.data)) as container:
        assert [f.time for f in container.decode(video=0)] == pytest.approx([0, 0.1, 0.2])
    with pytest.raises(SampleNotKeptError, match="no sample 2 yet"):
        rows.overshoot.frame(2)


def test_what_events_give_can_be_shown(ten: pd.DataFrame) -> None:
    events = pd.DataFrame(
        {"stream_id": "s", "sample": [2], "peak": [7.0], "start": [pd.Timedelta("1s")]}
    )
    page = page_of(events)
    assert "0:01.0 · sample 2peak 7start 0:01.0" in page.text
    assert pixels(page.images[0])[80, 150].argmax() == 2


def test_it_is_json_for_a_saved_notebook(ten: pd.DataFrame) -> None:
    fragment = ten.overshoot.show()._repr_html_()
    assert json.loads(json.dumps(fragment)) == fragment
    assert html.unescape(re.sub("<[^>]*>", "", fragment)).startswith("10 rows")


def test_what_names_no_columns_is_refused(ten: pd.DataFrame) -> None:
    with pytest.raises(ValidationError, match="columns=3 is not valid: give names of columns"):
        ten.overshoot.show(columns=3)
