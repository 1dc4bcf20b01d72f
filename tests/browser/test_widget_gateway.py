"""The widget over a stream that a v0.2 server samples: the same, but for what it cannot change."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from panel import Panel

SETUP = """%load_ext overshoot_nb
%env OVERSHOOT_BASE_URL={url}
%env OVERSHOOT_API_KEY=ovs_test
import overshoot_nb
from overshoot_nb import demo
video = str(demo.video())
"""
START = '%overshoot "{video}" "Read the scoreboard" -o live --interval 0.5 --model local/auto'


@pytest.fixture(scope="module")
def gateway():
    """URL of the v0.2 surface of a server in a process of its own."""
    command = [sys.executable, "-m", "overshoot_nb", "serve", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ.copy())
    found = re.search(r"http\S+/v0\.2", server.stdout.readline())
    yield found[0]
    server.terminate()
    server.wait(timeout=10)
    server.stdout.close()


def test_video_answers_and_controls_of_a_published_stream(lab, gateway):
    notebook = lab.open([SETUP.replace("{url}", gateway), START])
    notebook.run(0, seconds=120)
    notebook.run(1)
    panel = Panel(notebook)
    panel.wait_for_video()
    panel.expect_state("running")
    panel.expect_row_with("HAWKS")
    assert panel.pictures_within(2) > 10
    assert notebook.execute("len(live.stream_id), live.stream_id.startswith('stream_')") == (
        "(32, False)"
    )

    # The server's own PATCH, from the page.
    panel.apply_prompt("How bright is it?")
    expect(panel.root.get_by_text("v2 in force")).to_be_visible()
    panel.expect_row_with("bright")
    assert notebook.execute("sorted(set(live.df['prompt_version'])), live.prompt") == (
        "([1, 2], 'How bright is it?')"
    )
    notebook.shot("lab-gateway")

    # The server samples, so the interval takes a restart: another stream of the server.
    first = notebook.execute("live.stream_id")
    rows = int(notebook.execute("len(live.df)"))
    panel.tab("Settings")
    interval = panel.root.get_by_label("Interval")
    interval.fill("1")
    interval.press("Enter")
    expect(panel.root.get_by_text("needs a restart")).to_be_visible()
    panel.root.locator(".ov-pending").get_by_role("button", name="Restart").click()
    expect(panel.root.get_by_text("needs a restart")).to_be_hidden()
    panel.expect_state("running")
    expect(panel.root.get_by_text("1 request/s")).to_be_visible()
    assert notebook.execute("live.stream_id") != first
    assert int(notebook.execute("len(live.df)")) >= rows

    panel.button("Stop").click()
    panel.expect_state("closed")
