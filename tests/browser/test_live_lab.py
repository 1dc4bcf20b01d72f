"""Live outputs and alerts in JupyterLab: what a person sees change while other cells run."""

from __future__ import annotations

import re

SETUP = """import time
import overshoot_nb
from overshoot_nb import demo
client = overshoot_nb.Overshoot(base_url="local")
stream = await client.streams.create(
    str(demo.video()), "How bright is it?", "local/scene", interval_seconds=0.2
)
"""
LIVE = """live = stream.live(lambda df: f"{len(df)} rows so far")
live"""
EVENTS = 'stream.live("events", "sample > 3")'
BELL = 'alert = stream.when("sample > 0", "bell", name="<i>later</i>")'


def test_outputs_change_in_their_own_cells_while_another_one_runs(lab):
    notebook = lab.open([SETUP, LIVE, EVENTS, BELL, "time.sleep(5)\nprint('slept')"])
    notebook.run(0, seconds=120)
    notebook.run(1)
    notebook.run(2)
    notebook.run(3)

    def rows() -> int:
        shown = notebook.cell(1).locator(".jp-OutputArea-output").all_inner_texts()
        assert len(shown) == 1, shown
        found = re.search(r"(\d+) rows so far", shown[0])
        return int(found[1]) if found else 0

    notebook.start(4)
    seen = []
    for _ in range(8):
        seen.append(rows())
        notebook.page.wait_for_timeout(450)
    assert not notebook.js("() => window.ranCells[4]"), "the other cell is over already"
    assert len(set(seen)) >= 3, seen
    assert seen == sorted(seen)

    table = notebook.cell(2).locator("table")
    assert table.get_by_role("columnheader", name="start", exact=True).count() == 1
    assert table.locator("tbody tr").count() == 1
    # The bell's note is in the cell that set it, as text, and its sound has gone.
    note = notebook.cell(3).locator('[role="alert"]')
    assert "<i>later</i> (sample " in note.inner_text()
    assert note.locator("i").count() == 0
    notebook.wait("() => !document.querySelector('.jp-Notebook audio')", seconds=10)
    notebook.shot("lab-live")

    assert notebook.finished(4).strip() == "slept"
    notebook.execute("await stream.close()")
    total = notebook.execute("len(stream.df)")
    notebook.wait(
        "(text) => document.querySelectorAll('.jp-Notebook .jp-Cell')[1].innerText.includes(text)",
        f"{total} rows so far",
    )
    # What is saved is what is shown, once.
    saved = notebook.save()
    assert len(saved["cells"][1]["outputs"]) == 1
    assert f"{total} rows so far" in str(saved["cells"][1]["outputs"])
    assert "audio" not in str(saved["cells"][3]["outputs"])
