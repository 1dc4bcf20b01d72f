"""What the grid of a comparison says, as data and as HTML."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import simplejpeg

from overshoot_nb.tuning.comparison_grid import ROWS, differ, grid_rows, rows_shown, said
from overshoot_nb.tuning.grid_html import GridCell, GridColumn, GridField, GridRow, grid_html
from overshoot_nb.tuning.thumbnails import SHOWN_WIDTH, THUMBNAIL_BYTES, thumbnail
from overshoot_nb.types import EncodedFrame, StreamInferenceResult

from videos import barcode, mean_colour, solid


def answer(value, *, ok: bool = True, error: str | None = None, sample: int = 0):
    """An answer: text, or a structured one; None is a request that failed."""
    return StreamInferenceResult(
        id="r",
        stream_id="s",
        mode="frame",
        model_name="m",
        prompt="?",
        result="" if value is None else str(value),
        inference_latency_ms=1.0,
        total_latency_ms=1.0,
        ok=ok and value is not None,
        error=error,
        finish_reason=None if value is None else "stop",
        sample=sample,
        output=value if isinstance(value, dict) and ok else None,
    )


# ---- how large it grows --------------------------------------------------------------------------


def test_answers_of_any_size_make_a_page_that_can_be_saved():
    fields = tuple(GridField(f"<k{n}>" * 300, "<&>" * 500, n == 399) for n in range(400))
    rows = [
        GridRow(n, float(n), None, "", (GridCell(fields), GridCell(fields)), n % 2 == 0)
        for n in range(ROWS)
    ]
    columns = [GridColumn("a", "a", "m"), GridColumn("b", "b", "m")]
    page = grid_html(columns, rows, "title", ["<note>" * 10_000])
    assert len(page) < 3_000_000
    assert "fields more, 1 ≠" in page
    assert "<k" not in page
    wide = [GridColumn(f"prompt {n}", "?", "m") for n in range(1000)]
    cells = tuple(GridCell((GridField("", "yes " * 70),)) for _ in wide)
    many = [GridRow(n, float(n), None, "", cells, False) for n in range(ROWS)]
    page = grid_html(wide, many, "title", [])
    assert len(page) < 3_000_000
    assert "48 of 1,000 columns are shown" in page
    assert page.count("<td") == 48 * page.count("<tr class=")
    # Long answers: the rows that there is room for, and how many these are is said.
    cell = GridCell(tuple(GridField(str(n), "y" * 279) for n in range(30)))
    many = [GridRow(n, float(n), None, "", (cell,) * 20, False) for n in range(ROWS)]
    page = grid_html(wide[:20], many, "title", [])
    assert f"The answers are long: {page.count('<tr class=')} of {ROWS} samples" in page


# ---- which answers differ ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["yes", "yes"], False),
        (["yes", " yes\n"], False),
        (["caf\u00e9", "cafe\u0301"], False),
        (["yes", "no"], True),
        ([{"a": 3}, {"a": 3.0}], False),
        ([{"a": 1}, {"a": True}], True),
        ([{"a": None}, {"a": "x"}], True),
        ([{"a": {"b": [1, 2]}}, {"a": {"b": [2, 1]}}], True),
        # Only fields that both have can differ.
        ([{"a": 1}, {"b": 2}], False),
        ([{"a": 1}, {"b": 2}, {"b": 3}], True),
        (["84", {"home": 84}], False),
        (["yes", None], True),
        ([None, None], False),
        (["yes"], False),
    ],
)
def test_answers_differ_in_what_they_say(values, expected):
    assert differ([answer(value) for value in values]) is expected
    # A column that was not asked says nothing.
    assert differ([answer(values[0]), None, *map(answer, values[1:])]) is expected


def test_an_answer_that_cannot_be_used_differs_from_one_that_can():
    assert differ([answer({"a": 1}), answer("cut o", ok=False)])
    assert not differ([answer("cut o", ok=False), answer("cut of", ok=False)])


def test_an_answer_in_a_line():
    assert said(answer(" yes ")) == "yes"
    assert said(answer({"a": {"b": 1.0}, "c": None})) == "a.b: 1, c: null"
    assert said(answer("cut", ok=False)) is None


def test_samples_that_differ_are_shown_first_in_the_order_of_time():
    samples = list(range(100))
    assert rows_shown(samples[:ROWS], {5}) == samples[:ROWS]
    shown = rows_shown(samples, {90, 99})
    assert shown == [*range(ROWS - 2), 90, 99]
    assert rows_shown(samples, set(range(50, 100))) == list(range(50, 50 + ROWS))


def test_each_cell_says_what_there_is_to_say():
    answers = [
        [answer({"a": 1, "b": "x"})],
        [answer({"a": 2, "b": "x"}), answer({"a": 1, "b": "x"}), answer({"a": 2, "b": "x"})],
        [answer(None, error="HTTP 500")],
        [answer("not JSON", ok=False, error="no JSON")],
        [],
    ]
    (row,) = grid_rows(
        [7],
        media_time={7: 3.5},
        pictures={},
        expected=lambda sample: "a: 1",
        answers=lambda sample: answers,
        right=lambda column, sample: [True, False, None, False, None][column],
        should=lambda column, sample: {"a": "1"} if column == 1 else {},
        differing={7},
    )
    assert (row.sample, row.media_time, row.expected, row.differs) == (7, 3.5, "a: 1", True)
    assert row.cells == (
        GridCell((GridField("a", "1"), GridField("b", "x")), True),
        GridCell(
            (GridField("a", "2", True, "1"), GridField("b", "x")),
            False,
            note="1 of 2 repeats say otherwise",
        ),
        GridCell(problem="no answer: HTTP 500"),
        GridCell((GridField("", "not JSON"),), False, "cannot be used: no JSON"),
        GridCell(),
    )


# ---- as HTML -----------------------------------------------------------------------------------


class Page(HTMLParser):
    """The elements of a fragment: checks that they are closed in their order."""

    VOID = frozenset({"img", "input", "br"})

    def __init__(self, fragment: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(fragment)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def row(sample: int, *cells: GridCell, differs: bool = False, expected: str = "") -> GridRow:
    picture = thumbnail((frame(barcode(sample)),))
    return GridRow(sample, sample / 2, picture, expected, cells, differs)


def frame(picture: np.ndarray, media_time: float = 0.0) -> EncodedFrame:
    height, width = picture.shape[:2]
    return EncodedFrame(media_time, simplejpeg.encode_jpeg(picture, 90), width, height)


SAME = GridCell((GridField("", "yes"),), True)
OTHER = GridCell((GridField("", "no", True),), False)
COLUMNS = [
    GridColumn("v1", "What?", "m", (14, 20, 0.7, 0.48, 0.86), 312.4, 12345, 1.5),
    GridColumn("v2", "What is it?", "m", (18, 20, 0.9, 0.7, 0.97), badge="best"),
]


def test_the_grid_shows_frames_answers_scores_and_the_winner():
    page = Page(
        grid_html(COLUMNS, [row(3, SAME, OTHER, expected="yes")], "2 prompts, m", ["Note."])
    )
    assert "2 prompts, m" in page.text
    assert "Note." in page.text
    assert "70\N{NO-BREAK SPACE}%" in page.text
    assert "14 of 20 right (48–86\N{NO-BREAK SPACE}%)" in page.text
    assert "p50\N{NO-BREAK SPACE}312\N{NO-BREAK SPACE}ms" in page.text
    assert "12,345\N{NO-BREAK SPACE}tokens" in page.text
    assert "1.5\N{NO-BREAK SPACE}¢" in page.text
    assert page.text.count("★ best") == 1
    assert "#3 · 0:01.5" in page.text
    assert "expected: yes" in page.text
    # Not by colour alone.
    assert "✓ yes" in page.text
    assert "✗ ≠ no" in page.text
    field = GridCell((GridField("home", "84", should="85"),), False)
    assert (
        "home: 84 ✗\N{NO-BREAK SPACE}should be 85"
        in Page(grid_html(COLUMNS, [row(0, field, SAME)], "", [])).text
    )
    (image,) = page.all("img")
    kind, _, data = (image["src"] or "").partition(",")
    assert kind == "data:image/jpeg;base64"
    assert simplejpeg.is_jpeg(base64.b64decode(data))
    assert len(page.all("mark")) == 2  # the answer, and the legend


def test_models_stand_below_the_prompts_that_they_share():
    columns = [GridColumn(p, p, m) for p in ("one", "two") for m in ("model-a", "model-b")]
    page = Page(grid_html(columns, [row(0, SAME, SAME, SAME, SAME)], "t", []))
    assert [th.get("colspan") for th in page.all("th")[1:3]] == ["2", "2"]
    assert page.text.count("model-a") == 2
    # The one model that all share is said in the title.
    page = Page(grid_html(COLUMNS, [row(0, SAME, SAME)], "t", []))
    assert not any("ovs-model" in (div.get("class") or "") for div in page.all("div"))


@pytest.mark.parametrize("nasty", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'])
def test_what_came_from_outside_is_text(nasty):
    column = GridColumn(nasty, nasty + "!", nasty, badge=nasty, score=(1, 1, 1.0, 0.2, 1.0))
    other = GridColumn("other", "other", "other", temperature=0.5)
    cells = (
        GridCell((GridField(nasty, nasty), GridField(nasty, nasty * 50, True)), None, nasty, nasty),
        GridCell(problem=nasty * 50),
    )
    html = grid_html(
        [column, other], [row(0, *cells, differs=True, expected=nasty * 9)], nasty, [nasty]
    )
    page = Page(html)
    assert not page.all("script")
    assert len(page.all("img")) == 1
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert nasty in page.text


def test_the_filter_needs_no_script_and_is_hidden_where_styles_are_stripped():
    html = grid_html(COLUMNS, [row(0, SAME, SAME), row(1, SAME, OTHER, differs=True)], "t", [])
    page = Page(html)
    (box,) = page.all("input")
    (label,) = page.all("label")
    assert box["type"] == "checkbox"
    assert label["for"] == box["id"]
    assert "hidden" in box
    assert "hidden" in label
    assert ".ovs-only:checked ~ .ovs-scroll .ovs-same { display: none; }" in html
    assert [tr.get("class") for tr in page.all("tr")[1:]] == ["ovs-same", "ovs-differ"]
    again = Page(
        grid_html(COLUMNS, [row(0, SAME, SAME), row(1, SAME, OTHER, differs=True)], "t", [])
    )
    assert again.all("input")[0]["id"] != box["id"]
    # Where all rows are alike there is nothing to filter.
    assert not Page(grid_html(COLUMNS, [row(0, SAME, SAME)], "t", [])).all("input")


def test_what_is_too_long_is_cut_and_shown_on_hover():
    long = "word " * 200
    page = Page(grid_html(COLUMNS, [row(0, GridCell((GridField("", long),)), SAME)], "t", []))
    assert long not in page.text
    assert long[:250] in page.text
    assert any(long.startswith((span.get("title") or "x")[:900]) for span in page.all("span"))


def test_the_style_touches_nothing_outside():
    (style,) = re.findall(
        r"<style>(.*?)</style>", grid_html(COLUMNS, [row(0, SAME, SAME)], "t", []), re.S
    )
    style = re.sub(r"/\*.*?\*/", "", style, flags=re.S)
    style = re.sub(r"@media[^{]*\{", "", style)
    for selectors in re.findall(r"([^{}]+)\{", style):
        for selector in selectors.split(","):
            assert selector.strip().startswith(".ovs-compare"), selector


# ---- thumbnails --------------------------------------------------------------------------------


def test_a_thumbnail_is_small_whatever_the_picture():
    noise = np.random.default_rng(1).integers(0, 255, (720, 1280, 3), np.uint8)
    small = thumbnail((frame(noise),))
    assert len(small.data) <= THUMBNAIL_BYTES
    assert (small.width, small.height) == (SHOWN_WIDTH * 3 // 2, 122)
    assert simplejpeg.decode_jpeg(small.data).shape == (122, 216, 3)


def test_a_thumbnail_keeps_colours_and_shape_and_is_never_larger():
    upright = thumbnail((frame(solid((20, 160, 40), 100, 400)),))
    assert (upright.width, upright.height) == (54, 216)
    assert mean_colour(upright.data) == pytest.approx((20, 160, 40), abs=5)
    tiny = thumbnail((frame(solid((20, 160, 40), 16, 12)),))
    assert (tiny.width, tiny.height) == (16, 12)


def test_a_clip_is_a_sheet_of_four_of_its_frames():
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (0, 0, 0), (250, 250, 250)]
    frames = tuple(frame(solid(c, 320, 180), k / 6) for k, c in enumerate(colours))
    sheet = simplejpeg.decode_jpeg(thumbnail(frames).data)
    h, w = sheet.shape[0] // 2, sheet.shape[1] // 2
    tiles = [sheet[y : y + h, x : x + w] for y in (0, h) for x in (0, w)]
    shown = [tile[8:-8, 8:-8].mean((0, 1)) for tile in tiles]
    for tile, k in zip(shown, (0, 2, 3, 5), strict=True):
        assert tile == pytest.approx(colours[k], abs=16)
