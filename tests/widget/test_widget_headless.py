"""Notebooks that run without a front end: what is saved in their cells."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient

from videos import make_video


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Executes cells as ``jupyter execute`` does; returns the outputs of each."""
    folder = tmp_path_factory.mktemp("headless")
    make_video(folder / "clip.mp4", frames=20, fps=10)

    def execute(*cells: str, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.delenv("OVERSHOOT_API_KEY", raising=False)
        monkeypatch.delenv("OVERSHOOT_BASE_URL", raising=False)
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": folder}})
        client.execute()
        return [cell.outputs for cell in notebook.cells]

    return execute


def html_of(outputs) -> str:
    return "".join(output.get("data", {}).get("text/html", "") for output in outputs)


WATCH = "s = overshoot_nb.watch('clip.mp4', 'How bright?', realtime=False)\ns"


@pytest.mark.parametrize(
    ("end", "state"),
    [
        ("await s.wait()\nawait s.close()", "ended"),
        ("s.join()", "ended"),
        ("async for r in s:\n    pass", "ended"),
        ("import time\nwhile s.is_active:\n    time.sleep(0.05)", "ended"),
        ("from overshoot_nb import interactive\nawait interactive.client().close()", ""),
        ("s.close().result()", ""),
        ("%overshoot stop", ""),
    ],
)
def test_the_end_stands_in_the_cell_that_shows_the_stream(run, monkeypatch, end, state):
    outputs = run(
        "%load_ext overshoot_nb\nimport overshoot_nb", WATCH, end, monkeypatch=monkeypatch
    )
    html = html_of(outputs[1])
    assert "ov-snapshot" in html
    assert "<strong>running" not in html, html
    assert f"<strong>{state}" in html
    if state == "ended":
        assert "4 results" in html


def test_the_notice_is_part_of_the_first_widget_and_of_nothing_else(run, monkeypatch):
    outputs = run(
        "import overshoot_nb",
        WATCH,
        "await s.close()\n1 + 1",
        WATCH,
        "overshoot_nb.analyze('clip.mp4', 'How bright?', progress=False)",
        monkeypatch=monkeypatch,
    )
    assert not [o for cell in outputs for o in cell if o.output_type == "stream"]
    assert "No API key" in html_of(outputs[1])
    assert "No API key" in "".join(o.data.get("text/plain", "") for o in outputs[1])
    assert "No API key" not in str(outputs[0]) + str(outputs[2]) + str(outputs[3:])
    assert outputs[2][0].data["text/plain"] == "2"


def test_where_no_stream_is_shown_the_notice_is_an_output(run, monkeypatch):
    outputs = run(
        "import overshoot_nb\novershoot_nb.analyze('clip.mp4', 'How bright?', progress=False)",
        monkeypatch=monkeypatch,
    )
    (notice, frame) = outputs[0]
    assert notice.data["text/plain"].startswith("No API key")
    assert "How bright?" not in notice.data["text/plain"]
    assert frame.output_type == "execute_result"
