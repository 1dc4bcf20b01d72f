"""The widget in JupyterLab, steered as a person would, with the embedded engine."""

from __future__ import annotations

import json
import time

from playwright.sync_api import expect

from pages import JupyterNotebook
from panel import Panel

SETUP = """%load_ext overshoot_nb
import time
import overshoot_nb
from overshoot_nb import demo
video = str(demo.video())
"""
START = '%overshoot "{video}" "Read the scoreboard" -o live --interval 0.5 --model local/read'


def running(lab) -> tuple[JupyterNotebook, Panel]:
    """A notebook whose second cell shows a stream that runs, and the widget in it."""
    notebook = lab.open([SETUP, START])
    notebook.run(0, seconds=120)
    notebook.run(1)
    panel = Panel(notebook)
    panel.wait_for_video()
    return notebook, panel


def test_from_the_magic_to_the_stop_button(lab):
    notebook, panel = running(lab)
    panel.expect_state("running")
    assert panel.pictures_within(2) > 10
    panel.expect_row_with("HAWKS")
    notebook.shot("lab-running")

    # Another prompt, by the keyboard: in rows and in stream.df.
    panel.apply_prompt("How bright is it? Read the clock.")
    expect(panel.root.get_by_text("v2 in force")).to_be_visible()
    panel.expect_row_with("v2")
    versions = notebook.execute("sorted(set(live.df['prompt_version'])), live.prompt")
    assert versions == "([1, 2], 'How bright is it? Read the clock.')"

    # The interval, at once.
    panel.tab("Settings")
    notebook.shot("lab-settings")
    interval = panel.root.get_by_label("Interval")
    interval.fill("0.25")
    interval.press("Enter")
    expect(panel.root.get_by_text("4 requests/s")).to_be_visible()
    assert notebook.execute("live.settings.processing.interval_seconds") == "0.25"
    notebook.execute("time.sleep(2.5)")
    step = notebook.execute(
        "n = len(live.samples); live.samples[n - 1].media_time - live.samples[n - 2].media_time"
    )
    assert step == "0.25"

    panel.button("Pause").click()
    panel.expect_state("paused")
    assert notebook.execute("live.state") == "'paused'"
    still = panel.pixels()
    notebook.page.wait_for_timeout(1200)
    assert panel.pixels() == still
    notebook.shot("lab-paused")
    panel.button("Resume").click()
    panel.expect_state("running")
    panel.until_pixels_differ(still)

    # A tick of the timeline: the same sample here and in Python.
    box = panel.root.locator(".ov-track").bounding_box()
    notebook.page.mouse.move(box["x"] + box["width"] * 1.0 / 36, box["y"] + box["height"] / 2)
    expect(panel.root.locator(".ov-popover")).to_be_visible()
    notebook.shot("lab-hover")
    notebook.page.mouse.click(box["x"] + box["width"] * 1.0 / 36, box["y"] + box["height"] / 2)
    expect(panel.root.get_by_label("Selected sample")).to_be_visible()
    notebook.shot("lab-selected")
    selected = int(notebook.execute("live.selected"))
    assert abs(float(notebook.execute("live.samples[live.selected].media_time")) - 1.0) <= 0.5
    notebook.execute(f"live.selected = {selected + 1}")
    expect(panel.root.get_by_label("Selected sample")).to_contain_text(f"{selected + 1}")

    panel.button("Stop").click()
    panel.expect_state("closed")
    assert notebook.execute("live.status") == "'closed: closed by its user'"
    notebook.shot("lab-stopped")


def test_a_reload_shows_the_running_stream_with_its_rows(lab):
    notebook, panel = running(lab)
    panel.expect_rows(2)
    panel.apply_prompt("Read the clock")
    panel.expect_row_with("v2")
    notebook.save()
    notebook.reload()
    panel = Panel(notebook)
    panel.wait_for_video()
    panel.expect_state("running")
    panel.expect_rows(3)
    assert panel.pictures_within(1.5) > 5
    expect(panel.prompt).to_have_value("Read the clock")
    notebook.shot("lab-reloaded")
    panel.button("Stop").click()
    panel.expect_state("closed")


def test_a_notebook_without_a_kernel_shows_what_was(lab):
    notebook, panel = running(lab)
    panel.expect_row_with("HAWKS")
    panel.button("Stop").click()
    panel.expect_state("closed")
    notebook.wait(
        "() => JSON.stringify(jupyterapp.shell.currentWidget.content.widgets[1].model.outputs"
        ".toJSON()).includes('closed by its user')"
    )
    saved = notebook.save()
    notebook.close()
    # What looks for the kernel of the widget finds none, which Jupyter does not expect.
    missing = r"Cannot read properties of null \(reading 'kernel'\)"
    again = lab.reopen_without_kernel(notebook.path, allow=[missing])
    shown = again.page.locator(".ov-snapshot")
    expect(shown).to_be_visible()
    expect(shown).to_contain_text("closed: closed by its user")
    expect(shown).to_contain_text("HAWKS")
    cell = again.cell(1)
    expect(cell.get_by_text("Loading widget")).not_to_be_visible()
    expect(cell.get_by_text("model not found")).not_to_be_visible()
    again.shot("lab-reopened-no-kernel")
    assert "image/" not in json.dumps(saved)

    # With a new kernel that knows nothing of it.
    again.close()
    fresh = lab.reopen(notebook.path, allow=["widget model not found"])
    fresh.page.wait_for_timeout(4000)
    expect(fresh.page.locator(".ov-snapshot")).to_be_visible()
    expect(fresh.cell(1).get_by_text("model not found")).not_to_be_visible()
    fresh.shot("lab-reopened-new-kernel")


def test_the_video_goes_on_while_a_cell_blocks_and_the_controls_too(lab):
    notebook, panel = running(lab)
    notebook.set(2, "time.sleep(60)")
    notebook.start(2)
    notebook.page.wait_for_timeout(500)
    assert panel.pictures_within(2) > 10
    panel.button("Pause").click()
    panel.expect_state("paused", seconds=3)
    panel.button("Resume").click()
    panel.expect_state("running", seconds=3)
    assert not notebook.js("() => window.ranCells[2]")
    notebook.interrupt()
    assert "KeyboardInterrupt" in notebook.finished(2)
    panel.expect_state("running")


def test_what_a_running_stream_cannot_change_offers_a_restart_that_keeps_the_rows(lab):
    notebook, panel = running(lab)
    panel.expect_rows(2)
    panel.tab("Settings")
    panel.root.locator("input[type=radio][value=clip]").check(force=True)
    expect(panel.root.get_by_text("needs a restart")).to_be_visible()
    notebook.shot("lab-needs-restart")
    panel.root.locator(".ov-pending").get_by_role("button", name="Restart").click()
    notebook.wait(
        "() => document.querySelector('.ov-state').textContent === 'running'",
    )
    notebook.execute("time.sleep(4)")
    kept = notebook.execute("live.df.groupby('mode', observed=True)['id'].count().to_dict()")
    counts = json.loads(kept.replace("'", '"'))
    assert counts["frame"] >= 2
    assert counts["clip"] >= 1
    assert notebook.execute("live.df['stream_id'].nunique(), live.mode") == "(2, 'clip')"
    notebook.shot("lab-restarted")


def test_several_views_boxes_and_links(lab):
    notebook, panel = running(lab)
    notebook.execute(
        "import ipywidgets as W\n"
        "slider, text = W.IntText(), W.Label()\n"
        "seen = []\n"
        "live.widget.observe(lambda c: seen.append(c['new']), 'prompt_version')\n"
        "link = W.jslink((live.widget, 'status'), (text, 'value'))\n"
        "both = W.link((live.widget, 'caption'), (W.Checkbox(), 'value'))\n"
        "out = W.interactive_output(lambda v: print('version', v), {'v': live.widget.trait_values"
        " and W.IntText()})\n"
        "tab = W.Tab([W.VBox([live.widget, text]), out])\n"
        "tab.titles = ['stream', 'other']\n"
        "display(tab)\n"
        "live.widget is live.widget"
    )
    second = Panel(notebook, 1)
    second.wait_for_video()
    assert second.pictures_within(1) > 3
    assert panel.pictures_within(1) > 3
    second.apply_prompt("Read the clock")
    expect(panel.root.get_by_text("v2 in force")).to_be_visible()
    expect(second.root.get_by_text("v2 in force")).to_be_visible()
    # Observers are called between cells, so a cell that comes at once may be ahead of them.
    deadline = time.monotonic() + 60
    while (seen := notebook.execute("seen")) != "[2]":
        assert time.monotonic() < deadline, seen
    notebook.execute("live.widget.prompt = 'From Python'")
    expect(panel.prompt).to_have_value("From Python")
    notebook.execute("live.widget.caption = False")
    expect(panel.root.locator(".ov-caption")).to_be_hidden()
    notebook.execute("live.widget.selected = 0")
    expect(second.root.get_by_label("Selected sample")).to_be_visible()
    assert notebook.execute("live.selected") == "0"


def test_dark_theme_and_narrow_cells(lab):
    notebook, panel = running(lab)
    panel.expect_row_with("HAWKS")
    notebook.dark()
    expect(panel.root).to_have_attribute("data-theme", "dark")
    notebook.shot("lab-dark")
    notebook.page.set_viewport_size({"width": 760, "height": 1400})
    notebook.page.wait_for_timeout(500)
    notebook.shot("lab-dark-narrow")
    notebook.page.set_viewport_size({"width": 1280, "height": 900})


def test_keys_stay_in_the_widget(lab):
    notebook, panel = running(lab)
    cells = notebook.js("() => jupyterapp.shell.currentWidget.content.widgets.length")
    panel.root.focus()
    notebook.page.keyboard.press("Space")
    panel.expect_state("paused")
    notebook.page.keyboard.press("ArrowLeft")
    expect(panel.root.get_by_label("Selected sample")).to_be_visible()
    notebook.page.keyboard.press("/")
    filter_box = panel.root.get_by_role("searchbox", name="Filter rows")
    expect(filter_box).to_be_focused()
    # In command mode these would cut, add and delete cells.
    notebook.page.keyboard.type("xabdd hawks")
    notebook.page.keyboard.press("Escape")
    expect(filter_box).to_have_value("")
    assert notebook.js("() => jupyterapp.shell.currentWidget.content.widgets.length") == cells
