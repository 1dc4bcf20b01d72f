"""Clips in a real browser: it plays them to their end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pytest
import simplejpeg
from playwright.sync_api import Browser

from overshoot_nb.analysis.clip_player import ClipPlayer
from overshoot_nb.types import EncodedFrame, Sample

from chromium import NoBrowser, launch
from stage import Stage

#: Odd sizes, and times that are not evenly apart.
TIMES = (3.0, 3.1, 3.15, 3.4)
COLOURS = ((220, 40, 40), (40, 200, 60), (50, 60, 220), (230, 220, 60))
PLAYED = """async () => {
    const video = document.querySelector("video");
    const ended = new Promise((resolve, reject) => {
        video.addEventListener("ended", resolve);
        video.addEventListener("error", () => reject(video.error.message));
        setTimeout(() => reject(`at ${video.currentTime}, state ${video.readyState}`), 15000);
    });
    // Chromium breaks it off at the end of a single frame.
    await video.play().catch(() => {});
    await ended;
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0);
    return {
        duration: video.duration,
        time: video.currentTime,
        size: [video.videoWidth, video.videoHeight],
        pixel: [...context.getImageData(20, 20, 1, 1).data].slice(0, 3),
    };
}"""


@pytest.fixture(scope="module")
def browser(stage: Stage) -> Iterator[Browser]:
    try:
        browser, _ = stage.call(lambda: launch(stage.playwright))
    except NoBrowser as error:
        pytest.fail(str(error), pytrace=False)
    yield browser
    stage.call(browser.close)


def played(browser: Browser, count: int) -> dict:
    frames = []
    for time, colour in zip(TIMES[:count], COLOURS, strict=False):
        picture = np.full((91, 161, 3), colour, np.uint8)
        frames.append(EncodedFrame(time, simplejpeg.encode_jpeg(picture, 95, "RGB"), 161, 91))
    sample = Sample(0, "clip", 3.0, datetime(2026, 1, 1, tzinfo=UTC), tuple(frames))
    page = browser.new_page()
    page.set_content(f"<!doctype html>{ClipPlayer(sample)._repr_html_()}")
    shown = page.evaluate(PLAYED)
    page.close()
    return shown


def test_a_clip_is_played_to_its_end(stage, browser):
    shown = stage.call(lambda: played(browser, 4))
    assert shown["duration"] == pytest.approx(0.5, abs=0.01)
    assert shown["time"] == pytest.approx(0.5, abs=0.01)
    assert shown["size"] == [162, 92]
    assert np.abs(np.subtract(shown["pixel"], COLOURS[3])).max() <= 8


def test_a_still_is_a_video_of_a_second(stage, browser):
    shown = stage.call(lambda: played(browser, 1))
    assert shown["duration"] == pytest.approx(1.0, abs=0.01)
    assert np.abs(np.subtract(shown["pixel"], COLOURS[0])).max() <= 8
