"""The notebooks are executed as they are, with no key and no network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import overshoot_nb
from overshoot_nb.quickstart import notebook_path

NOTEBOOKS = sorted((Path(overshoot_nb.__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_what_is_committed_is_text_alone(path):
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    assert "widgets" not in book.metadata
    for cell in book.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


def test_the_first_command_runs_the_main_job(tmp_path):
    output = tmp_path / "executed.ipynb"
    done = subprocess.run(
        [sys.executable, "-m", "overshoot_nb", "demo", "--output", str(output)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "embedded local engine" in done.stdout
    book = nbformat.read(output, as_version=4)
    shown = {cell.id: cell.outputs for cell in book.cells if cell.cell_type == "code"}
    assert all(o.output_type != "error" for outputs in shown.values() for o in outputs)
    # The accuracy table: its last row is over all fields.
    score = next(c for c in book.cells if c.source == "demo.score(df)")
    last = score.outputs[0].data["text/plain"].splitlines()[-1].split()
    assert last[0] == "all"
    assert int(last[2]) > 400
    assert float(last[3]) >= 0.98
    # Saved output holds no picture of a progress widget and no key.
    text = json.dumps(book)
    assert "Bearer" not in text


def test_the_notebook_is_found():
    assert notebook_path().is_file()


def test_the_sdk_s_own_page_runs_line_by_line():
    book = nbformat.read(notebook_path().with_name("python_sdk.ipynb"), as_version=4)
    NotebookClient(book, timeout=120, kernel_name="python3").execute()
    shown = {}
    for cell in book.cells:
        if cell.cell_type == "code":
            assert all(o.output_type != "error" for o in cell.outputs)
            shown[cell.id] = "".join(
                o.get("text", "") + o.get("data", {}).get("text/plain", "") for o in cell.outputs
            )
    everything = "\n".join(shown.values())
    # Read by the model, pushed by the server, printed by the page's own callback.
    assert len(re.findall("HAWKS", everything)) > 5
    # Asked for what it cannot do, the model says so instead of making something up.
    assert "not a language model" in everything
    assert "'home_score': 8" in everything
    assert re.search(r"StreamCreateResponse\(stream_id='\w{32}'", everything)
    assert "KeepaliveResponse(status='ok'" in everything
    assert "200 tokens a second" in everything
    assert "ovs_" not in everything
