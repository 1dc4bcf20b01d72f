"""The same widget in Notebook 7 and in marimo."""

from __future__ import annotations

from playwright.sync_api import expect

from panel import Panel

SETUP = "%load_ext overshoot_nb\nfrom overshoot_nb import demo\nvideo = str(demo.video())"
START = '%overshoot "{video}" "Read the scoreboard" -o live --model local/read'


def test_notebook_7(notebook7):
    notebook = notebook7.open([SETUP, START])
    notebook.run(0, seconds=120)
    notebook.run(1)
    panel = Panel(notebook)
    panel.wait_for_video()
    assert panel.pictures_within(2) > 10
    panel.expect_row_with("HAWKS")
    panel.apply_prompt("Read the clock")
    panel.expect_row_with("v2")
    assert notebook.execute("int(live.df['prompt_version'].max())") == "2"
    panel.button("Pause").click()
    panel.expect_state("paused")
    notebook.shot("notebook7-paused")
    panel.button("Resume").click()
    panel.expect_state("running")
    notebook.save()
    notebook.reload()
    panel = Panel(notebook)
    panel.wait_for_video()
    panel.expect_rows(2)
    notebook.shot("notebook7-reloaded")
    panel.button("Stop").click()
    panel.expect_state("closed")


def test_marimo(marimo):
    notebook = marimo.open(
        [
            "import overshoot_nb\nfrom overshoot_nb import demo",
            "live = overshoot_nb.watch(str(demo.video()), prompt='Read the scoreboard',"
            " model='local/read')\nlive",
        ]
    )
    panel = Panel(notebook)
    panel.wait_for_video()
    assert panel.pictures_within(2) > 10
    panel.expect_row_with("HAWKS")
    notebook.shot("marimo-running")
    panel.apply_prompt("Read the clock")
    panel.expect_row_with("v2")
    panel.tab("Settings")
    interval = panel.root.get_by_label("Interval")
    interval.fill("1")
    interval.press("Enter")
    expect(panel.root.get_by_text("1 request/s")).to_be_visible()
    panel.button("Pause").click()
    panel.expect_state("paused")
    notebook.shot("marimo-paused")
    panel.button("Stop").click()
    panel.expect_state("closed")
