"""Rows with their pictures, in a browser: drawn, in their place, and without running anything."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import simplejpeg
from playwright.sync_api import Browser

from overshoot_nb.running.run_registry import remember_run
from overshoot_nb.store.frames import FrameStore
from overshoot_nb.types import EncodedFrame, Sample

from chromium import NoBrowser, launch
from rig import ARTIFACTS
from stage import Stage

EVIL = "<script>window.ran = 1</script><img src=x onerror='window.ran = 2'>"


@pytest.fixture(scope="module")
def browser(stage: Stage) -> Iterator[Browser]:
    try:
        browser, _ = stage.call(lambda: launch(stage.playwright))
    except NoBrowser as error:
        pytest.fail(str(error), pytrace=False)
    yield browser
    stage.call(browser.close)


class Held(SimpleNamespace):
    """What has weak references, as a run has."""

    __hash__ = object.__hash__


def picture(index: int) -> EncodedFrame:
    y, x = np.mgrid[:360, :640]
    pixels = np.dstack([x * 255 // 640, y * 255 // 360, np.full_like(x, index * 20 % 256)])
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels, np.uint8), quality=80)
    return EncodedFrame(index / 2, data, 640, 360)


@pytest.fixture(scope="module")
def fragment() -> str:
    store = FrameStore()
    now = datetime.now(UTC)
    for i in range(6):
        frames = tuple(picture(i + k) for k in range(1 if i < 4 else 8))
        store.put(Sample(i, "frame" if i < 4 else "clip", i / 2, now, frames))
    run = Held(journal=SimpleNamespace(frames=store))
    remember_run("shown", run)  # type: ignore[arg-type]
    rows = pd.DataFrame(
        {
            "sample": range(7),
            "media_time": pd.to_timedelta(np.arange(7) / 2, unit="s"),
            "stream_id": "shown",
            "ok": [True, True, False, True, True, True, True],
            "error": [None, None, EVIL, None, None, None, None],
            "result": EVIL,
            "out.people": pd.array([3, 4, None, 12, 1, 0, 2], "Int64"),
            "out.what": [EVIL, "a man runs " * 12, None, "x" * 200, "short", EVIL, EVIL],
        }
    )
    return rows.overshoot.show()._repr_html_()


@pytest.mark.parametrize(("width", "dark"), [(1100, False), (1100, True), (360, False)])
def test_it_is_drawn_and_runs_nothing(stage, browser, fragment, width, dark):
    def look():
        page = browser.new_page(
            viewport={"width": width, "height": 700}, color_scheme="dark" if dark else "light"
        )
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.set_content(
            f'<!doctype html><meta name="color-scheme" content="light dark">{fragment}'
        )
        images = page.locator("img")
        assert images.count() == 6
        for image in images.all():
            image.scroll_into_view_if_needed()
            image.evaluate("i => i.decode()")
            shown = image.evaluate("i => i.width")
            assert 100 < shown <= width
            stretch = "i => i.naturalHeight / i.naturalWidth - i.height / i.width"
            assert abs(image.evaluate(stretch)) < 0.02
        assert page.evaluate("window.ran") is None
        assert [url for url in asked if not url.startswith("data:")] == []
        fits = "document.documentElement.scrollWidth <= innerWidth"
        assert page.evaluate(fits), "the page itself must not scroll sideways"
        if width > 1000:
            first, answer = images.first.bounding_box(), page.get_by_text("0:00.0").bounding_box()
            assert answer["x"] > first["x"] + first["width"]  # side by side
        missing = page.get_by_text("no sample 6 yet")
        assert missing.is_visible()
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        name = f"shown-rows-{width}{'-dark' if dark else ''}.png"
        page.screenshot(path=ARTIFACTS / name, full_page=True)
        page.close()

    stage.call(look)
