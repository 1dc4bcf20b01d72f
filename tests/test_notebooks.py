"""The notebooks are executed as they are, with no key and no network."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

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
