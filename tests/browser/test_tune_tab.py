"""The Tune tab in JupyterLab: a draft is tried, labelled by keys, scored live and applied."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Locator, expect

from pages import SESSION, JupyterNotebook, NotebookPage
from panel import Panel

SETUP = """%load_ext overshoot_nb
import asyncio, json, time
import overshoot_nb
from overshoot_nb import demo

def asking(event, player):
    properties = {
        "event": {"type": ["string", "null"], **event},
        "player": {"type": ["string", "null"], "pattern": player},
    }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }

LISTED = asking({"enum": ["THREE POINTER", "DUNK", "LAYUP", None]}, r"^#\\d\\d [A-Z]+$")
PATTERN = asking({"pattern": r"^[A-Z]+ [A-Z]+( Q\\d)?$"}, r"^#\\d+ [A-Z]+$")
client = overshoot_nb.Overshoot(base_url="local")
"""
START = """live = await client.streams.create(
    overshoot_nb.FileSource(demo.video(), realtime=False),  # nothing is dropped
    "Read the banner", "local/read", output_schema=LISTED, interval_seconds=0.8,
)
live"""

#: A backfill that answered all it was asked.
DONE = re.compile(r"^done: (\d+) of \1 samples")


class TunePanel(Panel):
    """The widget with its Tune tab open."""

    def open(self) -> None:
        self.tab("Tune")
        expect(self.bench).to_be_visible(timeout=15_000)

    @property
    def bench(self) -> Locator:
        """What stands in place of the results."""
        return self.root.get_by_label("Tune the prompt", exact=True)

    @property
    def draft(self) -> Locator:
        return self.root.get_by_role("textbox", name="Draft of the prompt")

    @property
    def schema(self) -> Locator:
        return self.root.get_by_role("textbox", name="Schema of the draft")

    @property
    def versions(self) -> Locator:
        return self.bench.get_by_role("table", name="Versions of the prompt")

    def version(self, number: int) -> Locator:
        """A row of the list of versions."""
        return self.versions.get_by_role("row").filter(has_text=f"v{number}").last

    @property
    def grid(self) -> Locator:
        return self.bench.get_by_role("grid")

    def cell(self, sample: int, version: int) -> Locator:
        """What a version said about a sample."""
        row = self.grid.get_by_role("row").filter(
            has=self.notebook.page.locator(".ov-tune-number", has_text=f"#{sample}")
        )
        return row.locator(f"[data-version='{version}']").first

    @property
    def tally(self) -> Locator:
        """How many samples the grid has, and how many are labelled."""
        return self.bench.locator(".ov-tally")

    @property
    def card(self) -> Locator:
        return self.bench.get_by_role("region", name="Label")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.notebook.page.keyboard.press(key)


def running(lab) -> tuple[JupyterNotebook, TunePanel]:
    """A stream that is paused once it has some samples; its Tune tab is open."""
    notebook = lab.open([SETUP, START])
    notebook.run(0, seconds=120)
    notebook.page.set_viewport_size({"width": 1280, "height": 1500})
    notebook.run(1)
    panel = TunePanel(notebook)
    panel.wait_for_video()
    # Up to the first banner, and beyond its end.
    notebook.wait(
        "() => Number(document.querySelector('.ov-track').getAttribute('aria-valuemax')) >= 15"
    )
    panel.button("Pause").click()
    panel.expect_state("paused")
    panel.expect_rows(15)
    panel.open()
    return notebook, panel


def test_from_a_draft_to_the_winner_in_force(lab):
    notebook, panel = running(lab)
    expect(panel.draft).to_have_value("Read the banner")
    notebook.shot("tune-opened")

    # A draft, tried on what was sampled.
    panel.draft.fill("Read the banner: any two words")
    panel.root.get_by_text("Model, schema, temperature, note").click()
    panel.schema.fill(notebook.execute("print(json.dumps(PATTERN))").strip())
    panel.root.get_by_label("Note").fill("any words")
    panel.draft.press("Control+Enter")
    expect(panel.root.get_by_text(DONE)).to_be_visible(timeout=60_000)
    expect(panel.version(2)).to_contain_text("any words")
    panel.root.get_by_text("Model, schema, temperature, note").click()
    assert notebook.execute("len(live.prompts), live.prompt_version") == "(2, 1)"
    expect(panel.bench.locator(".ov-tune-diff ins")).to_have_text(": any two words")

    # What both versions said about a sample; only where they differ.
    panel.bench.get_by_role("button", name="Differ").click()
    expect(panel.grid.locator(".ov-tune-row:visible .ov-differs:visible").first).to_be_visible()
    assert notebook.execute("live.widget.tuning.only") == "('different',)"
    notebook.shot("tune-differ")
    panel.bench.get_by_role("button", name="Differ").click()

    # Labels by keys: the field is chosen, then arrows step, R and W judge, digits pick.
    panel.bench.get_by_label("Field", exact=True).select_option("event")
    notebook.execute("live.selected = 5")
    panel.root.focus()
    expect(panel.card).to_contain_text("Sample 5")
    expect(panel.card.locator(".ov-tune-said")).to_contain_text("THREE POINTER")
    cells = notebook.js("() => jupyterapp.shell.currentWidget.content.widgets.length")
    panel.press("r")
    expect(panel.card.locator(".ov-tune-known")).to_have_text("THREE POINTER")
    panel.press("ArrowRight", "r", "ArrowRight", "w")
    expect(panel.card).to_contain_text("Sample 7")
    expect(panel.card.locator(".ov-tune-known")).to_have_text("not THREE POINTER")
    score = panel.version(2).locator(".ov-score-value")
    expect(score).to_have_text("67 %")
    panel.press("u")
    expect(score).to_have_text("100 %")
    labels = "[(x.sample, x.field, x.expected) for x in live.labels]"
    assert notebook.execute(labels) == (
        "[(5, 'event', 'THREE POINTER'), (6, 'event', 'THREE POINTER')]"
    )
    assert notebook.js("() => jupyterapp.shell.currentWidget.content.widgets.length") == cells + 1

    # The closed values of the first version, by their digits: none of them is the fourth.
    panel.bench.get_by_role("button", name="v1", exact=True).last.click()
    panel.root.focus()
    expect(panel.card.get_by_role("button", name="THREE POINTER")).to_be_visible()
    panel.press("End")
    expect(panel.card).not_to_contain_text("Sample 7")
    panel.press("4")
    expect(panel.card.locator(".ov-tune-known")).to_have_text("null")
    # A typed value, whose letters are no commands.
    panel.press("ArrowLeft", "e")
    notebook.page.keyboard.type("DUNK")
    panel.press("Enter")
    expect(panel.card.locator(".ov-tune-known")).to_have_text("DUNK")
    panel.press("Control+z")
    expect(panel.card.locator(".ov-tune-known")).to_have_text("not labelled")
    notebook.shot("tune-labelled")

    # What is labelled in Python is seen here at once, and scored alike.
    notebook.execute(
        "times = {int(s): t.total_seconds() for s, t in live.df[['sample', 'media_time']].values}\n"
        "for s, t in times.items(): live.label(s, demo.truth(t)['event'], field='event')"
    )
    expect(panel.tally).to_contain_text(f"{notebook.execute('len(live.labels)')} labelled")
    for version in (1, 2):
        share = notebook.execute(
            f"print(round(100 * live.score().df.set_index(['version', 'field'])"
            f".loc[({version}, 'event'), 'accuracy']), '%')"
        )
        shown = panel.version(version).locator(".ov-score-value")
        expect(shown).to_have_text(share.strip())
    verdict = notebook.execute("print(live.paired_test(2, 1, field='event').verdict)").strip()
    expect(panel.bench.locator(".ov-tune-verdict")).to_have_text(verdict)
    notebook.shot("tune-scored")

    # Into force, in the stream that runs.
    panel.bench.get_by_role("button", name="v2", exact=True).first.click()
    panel.bench.get_by_role("button", name="Apply v2").click()
    expect(panel.version(2)).to_contain_text("in force")
    assert notebook.execute("live.prompt_version, live.prompt") == (
        "(2, 'Read the banner: any two words')"
    )
    panel.button("Resume").click()
    notebook.execute("time.sleep(2)")
    assert notebook.execute("int(live.df['prompt_version'].iloc[-1])") == "2"
    panel.tab("Prompt")
    expect(panel.bench).to_be_hidden()
    expect(panel.root.get_by_text("v2 in force")).to_be_visible()
    expect(panel.rows.first).to_be_visible()


def test_a_stretch_of_the_timeline_says_what_is_tried_and_two_views_agree(lab):
    notebook, panel = running(lab)
    notebook.execute("display(live.widget)")
    second = TunePanel(notebook, 1)
    second.wait_for_video()
    second.open()
    track = panel.root.locator(".ov-track")
    track.scroll_into_view_if_needed()
    box = track.bounding_box()
    middle = box["y"] + box["height"] / 3
    mouse = notebook.page.mouse
    mouse.move(box["x"] + box["width"] * 3.8 / 36, middle)
    mouse.down()
    mouse.move(box["x"] + box["width"] * 6.0 / 36, middle, steps=5)
    mouse.move(box["x"] + box["width"] * 7.4 / 36, middle)
    mouse.up()
    expect(panel.root.get_by_text("samples 5 to 9 (5 samples)")).to_be_visible()
    expect(second.root.get_by_text("samples 5 to 9 (5 samples)")).to_be_visible()
    expect(second.root.locator(".ov-tune-band")).to_be_visible()
    assert notebook.execute("live.widget.tuning.samples, live.selected") == "(range(5, 10), None)"
    expect(panel.grid).to_have_attribute("aria-rowcount", "6")

    # One view closes its tab; the other one goes on.
    panel.tab("Prompt")
    second.root.get_by_label("Temperature").evaluate("el => { el.closest('details').open = true }")
    second.root.get_by_label("Temperature").fill("0.5")
    second.root.get_by_role("button", name="Try on", exact=True).click()
    expect(second.root.get_by_text(DONE)).to_contain_text("5 of 5", timeout=60_000)
    assert notebook.execute("live.backfills[0].samples, live.prompts[2].temperature") == (
        "((5, 6, 7, 8, 9), 0.5)"
    )
    notebook.execute("live.widget.tuning.samples = None")
    expect(second.root.get_by_role("button", name="Try on last")).to_be_visible()
    # Arrow keys with shift do the same as dragging.
    notebook.execute("live.selected = 6")
    expect(second.card).to_contain_text("Sample 6")
    second.root.focus()
    panel.press("Shift+ArrowRight", "Shift+ArrowRight")
    expect(second.root.get_by_text("samples 6 to 8 (3 samples)")).to_be_visible()
    assert notebook.execute("live.widget.tuning.samples") == "range(6, 9)"


def test_a_reload_keeps_all_and_a_notebook_without_a_kernel_says_what_it_needs(lab):
    notebook, panel = running(lab)
    notebook.execute("live.label(5, 'THREE POINTER', field='event')")
    expect(panel.tally).to_contain_text("1 labelled")
    saved = notebook.save()
    # Neither the tab nor what it shows is in the notebook.
    assert "ov-tune" not in json.dumps(saved)
    notebook.reload()
    panel = TunePanel(notebook)
    panel.wait_for_video()
    panel.open()
    expect(panel.tally).to_contain_text("1 labelled")
    expect(panel.version(1).locator(".ov-score-value")).to_have_text("100 %")

    # The kernel goes: what is there stays to be read, and nothing can be asked.
    notebook.forgive("Canceled future", "Failed to fetch", "kernel")
    notebook.js(f"() => {SESSION}.shutdown()")
    expect(panel.root.get_by_role("button", name="Try on last")).to_be_disabled(timeout=30_000)
    expect(panel.bench.get_by_role("button", name="Apply v1")).to_be_disabled()


def test_the_focus_stays_where_a_button_goes(lab):
    """Keys go on to be the tab's when what was pressed is hidden, or cannot be pressed now."""
    notebook, panel = running(lab)
    within = "() => document.activeElement.closest('.ov') !== null"

    panel.draft.fill("Read the banner: any two words")
    panel.root.get_by_role("button", name="Try on last").focus()
    panel.press("Enter")
    expect(panel.root.get_by_text(DONE)).to_be_visible(timeout=60_000)
    assert notebook.js(within)
    panel.press("ArrowLeft", "r")
    expect(panel.tally).to_contain_text("1 labelled")

    panel.card.get_by_role("button", name="Forget what is expected").click()
    expect(panel.tally).to_contain_text("0 labelled")
    panel.press("r")
    expect(panel.tally).to_contain_text("1 labelled")
    for _ in range(3):
        panel.card.get_by_role("button", name="Undo").click()
        notebook.page.wait_for_timeout(600)
    expect(panel.card.get_by_role("button", name="Undo")).to_be_hidden()
    panel.press("w")
    expect(panel.tally).to_contain_text("1 labelled")

    panel.bench.get_by_role("button", name="Apply v2").focus()
    panel.press("Enter")
    expect(panel.version(2)).to_contain_text("in force")
    assert notebook.js(within)
    panel.press("u")
    expect(panel.tally).to_contain_text("0 labelled")


def test_how_it_looks(lab):
    notebook, panel = running(lab)
    panel.root.get_by_label("Temperature").evaluate("el => { el.closest('details').open = true }")
    panel.schema.fill(notebook.execute("print(json.dumps(PATTERN))").strip())
    panel.draft.press("Control+Enter")
    expect(panel.root.get_by_text(DONE)).to_be_visible(timeout=60_000)
    notebook.execute(
        "for s, t in live.df[['sample', 'media_time']].values:\n"
        "    truth = demo.truth(t.total_seconds())\n"
        "    live.label(int(s), {f: truth[f] for f in ('event', 'player')})\n"
        "live.selected = 8"
    )
    expect(panel.version(2).locator(".ov-score-value")).to_contain_text("%")
    expect(panel.card).to_contain_text("Sample 8")
    sign = panel.bench.locator(".ov-tune-schema del").first.evaluate(
        "el => getComputedStyle(el, '::before').content"
    )
    assert sign == '"- "'  # not told by colour alone
    # What changed fills the place under few versions.
    tops = {
        name: panel.bench.locator(f".ov-tune-{name}").bounding_box()
        for name in ("versions", "changed", "comparison")
    }
    below = tops["versions"]["y"] + tops["versions"]["height"]
    assert abs(tops["changed"]["y"] - below) <= 1
    assert tops["changed"]["height"] > 80
    assert tops["comparison"]["y"] == tops["versions"]["y"]
    for width, height in ((1280, 1500), (1000, 1700), (620, 2300)):
        notebook.page.set_viewport_size({"width": width, "height": height})
        notebook.page.wait_for_timeout(700)
        # Nothing is wider than its place, but for what scrolls.
        for part in (panel.bench, panel.card, panel.root.locator(".ov-tune-draft")):
            assert part.evaluate("el => el.scrollWidth <= el.clientWidth + 1")
        notebook.shot(f"tune-light-{width}")
    notebook.dark()
    for width, height in ((620, 2300), (1280, 1500)):
        notebook.page.set_viewport_size({"width": width, "height": height})
        notebook.page.wait_for_timeout(700)
        notebook.shot(f"tune-dark-{width}")


def labelled_in(notebook: NotebookPage) -> TunePanel:
    """The tab in another host: it comes, shows pictures and answers, and takes labels by keys."""
    panel = TunePanel(notebook)
    panel.wait_for_video()
    panel.expect_row_with("HAWKS")
    panel.open()
    expect(panel.grid.locator(".ov-tune-thumb canvas:visible").first).to_be_visible()
    expect(panel.card.locator(".ov-tune-said")).to_contain_text("HAWKS")
    panel.grid.locator(".ov-tune-row:visible").last.click()
    panel.root.focus()
    panel.press("r")
    expect(panel.tally).to_contain_text("1 labelled")
    expect(panel.version(1).locator(".ov-score-value")).to_have_text("100 %")
    panel.press("u")
    expect(panel.tally).to_contain_text("0 labelled")
    return panel


def test_notebook_7_too(notebook7):
    start = '%overshoot "{demo.video()}" "Read the scoreboard" -o live --model local/read'
    notebook = notebook7.open(["%load_ext overshoot_nb\nfrom overshoot_nb import demo", start])
    notebook.run(0, seconds=120)
    notebook.run(1)
    panel = labelled_in(notebook)
    notebook.shot("tune-notebook7")
    panel.button("Stop").click()
    panel.expect_state("closed")


def test_marimo_too(marimo):
    notebook = marimo.open(
        [
            "import overshoot_nb\nfrom overshoot_nb import demo",
            "live = overshoot_nb.watch(str(demo.video()), prompt='Read the scoreboard',"
            " model='local/read')\nlive",
        ]
    )
    panel = labelled_in(notebook)
    notebook.shot("tune-marimo")
    panel.button("Stop").click()
    panel.expect_state("closed")
