"""A loaded recording in JupyterLab: looked through, played, paused, to its end."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from pages import JupyterNotebook
from panel import Panel
from videos import make_video

SETUP = """import overshoot_nb
client = overshoot_nb.Overshoot(base_url="local")
stream = await client.streams.create(
    {video!r}, "How bright is it?", "local/auto", interval_seconds=0.5, realtime=False
)
await stream.wait()
stream.record({path!r}, progress=False)
await client.close()
del stream
rec = overshoot_nb.load({path!r})
"""
SECONDS = 8


def opened(lab, folder: Path) -> tuple[JupyterNotebook, Panel]:
    """A notebook whose second cell shows a recording, and the widget in it."""
    video = make_video(folder / "clip.mp4", frames=30 * SECONDS, fps=30)
    setup = SETUP.format(video=str(video), path=str(folder / "run.parquet"))
    notebook = lab.open([setup, "rec"])
    notebook.run(0, seconds=120)
    notebook.run(1)
    panel = Panel(notebook)
    panel.wait_for_video()
    return notebook, panel


def test_a_recording_is_looked_through_and_played(lab, tmp_path):
    notebook, panel = opened(lab, tmp_path)
    panel.expect_state("ended")
    panel.expect_rows(2 * SECONDS)
    rows = notebook.execute("rec.df.shape, len(rec.frames)")
    last = panel.pixels()
    notebook.shot("recording-loaded")

    # A tick of the timeline: its picture and its answer, of the file.
    box = panel.root.locator(".ov-track").bounding_box()
    notebook.page.mouse.click(box["x"] + box["width"] * 3 / SECONDS, box["y"] + box["height"] / 2)
    expect(panel.root.get_by_label("Selected sample")).to_be_visible()
    selected = int(notebook.execute("rec.selected"))
    assert abs(float(notebook.execute("rec.samples[rec.selected].media_time")) - 3) <= 0.5
    answer = notebook.execute("print(rec._run.journal.table[rec.selected].result)").strip()
    detail = panel.root.get_by_label("Selected sample")
    expect(detail).to_contain_text(answer[:20])
    picture = detail.locator("img, canvas").first
    expect(picture).to_be_visible()
    notebook.shot("recording-selected")
    notebook.execute(f"rec.selected = {selected + 1}")
    expect(detail).to_contain_text(f"{selected + 1}")

    # Played: each picture at its time.
    panel.button("Restart").click()
    panel.expect_state("running")
    panel.until_pixels_differ(last)
    assert panel.pictures_within(3) >= 4
    panel.button("Pause").click()
    panel.expect_state("paused")
    still = panel.pixels()
    notebook.page.wait_for_timeout(1200)
    assert panel.pixels() == still
    assert notebook.execute("rec.state") == "'paused'"
    # Over the picture stands what was said about it, not the newest answer.
    said = panel.root.locator(".ov-caption > .ov-label").inner_text()
    shown = panel.root.locator(".ov-clock > span").first.inner_text().split(" / ")[0]
    assert said == shown != f"0:0{SECONDS - 0.5}"
    notebook.shot("recording-paused")
    panel.button("Resume").click()
    panel.expect_state("running")
    panel.until_pixels_differ(still)
    panel.expect_state("ended", seconds=SECONDS + 5)
    assert panel.pixels() == last
    assert notebook.execute("rec.df.shape, len(rec.frames)") == rows
    notebook.shot("recording-ended")

    # Again, also when it was shown to its end; and stopped.
    panel.button("Restart").click()
    panel.expect_state("running")
    panel.until_pixels_differ(last)
    panel.button("Stop").click()
    panel.expect_state("ended")
    assert notebook.execute("rec.is_active") == "False"


def test_a_recording_is_filtered_and_tuned(lab, tmp_path):
    notebook, panel = opened(lab, tmp_path)
    panel.expect_rows(2 * SECONDS)
    panel.tab("Tune")
    notebook.shot("recording-tune")
    notebook.execute("job = await rec.backfill('Read any text', column='text', progress=False)")
    assert notebook.execute("job.state") == "'done'"
    expect(panel.root.get_by_text("v2").first).to_be_visible()
    notebook.shot("recording-tuned")
    # It is asked nothing by itself: what would change it says so.
    panel.tab("Prompt")
    panel.apply_prompt("Read the clock")
    refusal = panel.root.get_by_text("a recording plays what was recorded", exact=False).first
    expect(refusal).to_be_visible()
    notebook.shot("recording-refused")
