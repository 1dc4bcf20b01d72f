"""The grid of a comparison in a browser that runs no scripts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from overshoot_nb.tuning.grid_html import GridCell, GridColumn, GridField, GridRow, grid_html

from chromium import NoBrowser, launch
from stage import Stage

YES = GridCell((GridField("", "yes"),), True)
NO = GridCell((GridField("", "no", differs=True),), False)
COLUMNS = [
    GridColumn("v1", "What is it? " * 9, "m", (1, 2, 0.5, 0.1, 0.9), 310.0, 1234),
    GridColumn("v2", "What?", "m", (2, 2, 1.0, 0.3, 1.0), badge="best"),
    GridColumn("v3", "Which?", "m"),
]
ROWS = [
    GridRow(0, 0.0, None, "yes", (YES, YES, YES), False),
    GridRow(1, 0.5, None, "yes", (YES, NO, YES), True),
    GridRow(2, 1.0, None, "", (YES, YES, YES), False),
]


@pytest.fixture(scope="module")
def browser(stage: Stage) -> Iterator[Browser]:
    try:
        browser, _ = stage.call(lambda: launch(stage.playwright))
    except NoBrowser as error:
        pytest.fail(str(error), pytrace=False)
    yield browser
    stage.call(browser.close)


def shown_in(browser: Browser, html: str, width: int, dark: bool = False):
    page = browser.new_page(
        java_script_enabled=False,
        viewport={"width": width, "height": 700},
        color_scheme="dark" if dark else "light",
    )
    page.set_content(f'<!doctype html><meta name="color-scheme" content="light dark">{html}')
    return page


def test_the_filter_works_without_scripts_and_for_its_own_grid_alone(stage, browser):
    def look():
        grids = [grid_html(COLUMNS, ROWS, title, []) for title in ("one", "two")]
        page = shown_in(browser, "".join(grids), 1000)
        first, second = page.locator(".ovs-compare").all()
        assert first.locator("tbody tr:visible").count() == 3
        first.get_by_text("Only where they differ").click()
        assert first.locator("input").is_checked()
        assert first.locator("tbody tr:visible").count() == 1
        assert "#1" in first.locator("tbody tr:visible").inner_text()
        assert second.locator("tbody tr:visible").count() == 3
        first.get_by_text("Only where they differ").click()
        assert first.locator("tbody tr:visible").count() == 3
        page.close()

    stage.call(look)


def test_where_styles_are_stripped_a_plain_table_is_left(stage, browser):
    def look():
        html = grid_html(COLUMNS, ROWS, "one", [])
        start, end = html.index("<style>"), html.index("</style>")
        page = shown_in(browser, html[:start] + html[end:], 1000)
        assert not page.locator("input").is_visible()
        assert not page.get_by_text("Only where they differ").is_visible()
        text = page.locator("table").inner_text()
        assert "✗ ≠ no" in text
        assert "1 of 2 right (10–90\N{NO-BREAK SPACE}%)" in text
        page.close()

    stage.call(look)


@pytest.mark.parametrize("dark", [False, True])
def test_a_narrow_page_scrolls_the_grid_and_keeps_the_sample_in_sight(stage, browser, dark):
    def look():
        page = shown_in(browser, grid_html(COLUMNS, ROWS, "one", []), 320, dark)
        wide = "document.documentElement.scrollWidth <= innerWidth"
        assert page.evaluate(wide), "the page itself must not scroll sideways"
        scroll = page.locator(".ovs-scroll")
        before = page.locator("tbody .ovs-frame").first.bounding_box()
        assert scroll.evaluate("e => { e.scrollLeft = 150; return e.scrollLeft }") > 50
        assert page.locator("tbody .ovs-frame").first.bounding_box() == before
        # What slides over other cells is not seen through.
        cell = page.locator("tbody .ovs-frame").first
        ink, paper = cell.evaluate(
            "e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]"
        )
        assert ink != paper
        assert "rgba" not in paper
        page.close()

    stage.call(look)
