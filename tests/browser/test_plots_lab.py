"""The figures of df.overshoot.plot in JupyterLab and Notebook 7, whose browser has no network."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, expect

from pages import JupyterNotebook

SETUP = """import numpy as np
import pandas as pd
import overshoot_nb
rows = pd.DataFrame({
    "media_time": pd.to_timedelta(np.arange(60) / 2, unit="s"),
    "sample": np.arange(60),
    "ok": True,
    "out.people": np.arange(60) % 7,
    "out.event": ["<img src=x onerror=alert(1)>", "goal", "goal"] * 20,
    "model": "m",
})
"""
TIMELINE = 'rows.overshoot.plot.timeline(events="people > 4")'
COUNTS = 'rows.overshoot.plot.counts("event")'
MATPLOTLIB = TIMELINE.replace(")", ', backend="matplotlib")')


def figure_of(notebook: JupyterNotebook, cell: int) -> Locator:
    """What a cell draws."""
    notebook.run(cell, seconds=120)
    drawn = notebook.cell(cell).locator(".vega-embed").locator("canvas, svg").first
    expect(drawn).to_be_visible()
    drawn.scroll_into_view_if_needed()
    return drawn


def point_at(notebook: JupyterNotebook, drawn: Locator) -> Locator:
    """Moves over a figure from top to bottom until something is said; what is said."""
    said = notebook.page.locator("#vg-tooltip-element.visible")
    notebook.page.mouse.move(0, 0)  # what was said of another figure goes
    expect(said).to_have_count(0)
    box = drawn.bounding_box()
    for share in range(30, 90, 3):
        x, y = box["x"] + box["width"] * 0.5, box["y"] + box["height"] * share / 100
        notebook.page.mouse.move(x, y)
        notebook.page.wait_for_timeout(50)
        if said.count():
            break
    return said


def check_drawn_without_a_network(host, *others: str) -> JupyterNotebook:
    """Draws the timeline in the second cell; ``others`` are the cells after it, not run yet."""
    notebook = host.open([SETUP, TIMELINE, *others])
    asked: list[str] = []
    notebook.page.on("request", lambda request: asked.append(request.url))
    notebook.run(0, seconds=120)
    drawn = figure_of(notebook, 1)
    assert drawn.bounding_box()["width"] > 500
    # A value of the line, or one of the bands behind it.
    expect(point_at(notebook, drawn)).to_contain_text(re.compile("media time|event"))
    notebook.shot(f"{type(host).__name__}-timeline")
    # What a model said is text, in the figure and where it is pointed at.
    assert notebook.js("() => document.querySelectorAll('img[src=x]').length") == 0
    own = ("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:")
    assert [url for url in asked if not url.startswith(own)] == []
    return notebook


def test_figures_are_drawn_in_lab_without_a_network(lab):
    # One notebook for all: to open one takes longer than what is looked at.
    notebook = check_drawn_without_a_network(lab, COUNTS, MATPLOTLIB)
    # Matplotlib's is a picture without a magic.
    notebook.run(3)
    expect(notebook.cell(3).locator("img")).to_be_visible()
    notebook.shot("lab-matplotlib")
    said = point_at(notebook, figure_of(notebook, 2))
    expect(said).to_contain_text("value")
    expect(said).to_contain_text("share")
    notebook.shot("lab-tooltip")


def test_a_figure_is_drawn_in_notebook_7_without_a_network(notebook7):
    check_drawn_without_a_network(notebook7)
