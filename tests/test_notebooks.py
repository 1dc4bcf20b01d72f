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


def executed(name: str) -> list[tuple[str, str]]:
    """Source of each code cell of a notebook, and what it shows, as text."""
    book = nbformat.read(notebook_path().with_name(name), as_version=4)
    NotebookClient(book, timeout=120, kernel_name="python3", store_widget_state=False).execute()
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(o.output_type != "error" for cell in cells for o in cell.outputs)
    return [
        (
            cell.source,
            "".join(
                o.get("text", "") + o.get("data", {}).get("text/plain", "") for o in cell.outputs
            ),
        )
        for cell in cells
    ]


def test_the_sdk_s_own_page_runs_line_by_line():
    everything = "\n".join(text for _, text in executed("python_sdk.ipynb"))
    # Read by the model, pushed by the server, printed by the page's own callback.
    assert len(re.findall("HAWKS", everything)) > 5
    # Asked for what it cannot do, the model says so instead of making something up.
    assert "not a language model" in everything
    assert "'home_score': 8" in everything
    assert re.search(r"StreamCreateResponse\(stream_id='\w{32}'", everything)
    assert "KeepaliveResponse(status='ok'" in everything
    assert "200 tokens a second" in everything
    assert "ovs_" not in everything


def test_prompt_tuning_is_told_from_the_guess_to_the_measured_prompt():
    shown = executed("prompt_tuning.ipynb")

    def of(call: str, nth: int = 0) -> str:
        return [text for source, text in shown if call in source][nth]

    # The guess, then what was tried instead, on the same pictures.
    assert "v1 is right about 80.0% (20 of 25)" in of("stream.score()")
    assert "END OF Q3" in of(".confusion(1")
    assert re.search(r"done: 25 of 25 samples", of('column="pattern"'))
    assert "21 of 25" in of("stream.score()", 2)
    flips = of("stream.flips(1, 2)")
    assert len(re.findall("better$", flips, flags=re.MULTILINE)) == 5
    assert len(re.findall("worse$", flips, flags=re.MULTILINE)) == 4
    assert "Not told from chance yet" in of("stream.paired_test(1, 2)")
    # Few labels say little, and how many more would tell; with these, they do.
    few, more = of("stream.paired_test(1, 3)"), of("stream.paired_test(1, 3)", 1)
    assert re.search(r"p = 0\.06.*about 12 labels more would tell", few, flags=re.DOTALL)
    assert "v3 is better" in more
    assert "36 of 36" in of("stream.score()", -1)
    assert re.search(r'\+ +"FOUL"', of("stream.prompts.diff(1, 3)"))
    grid = of("overshoot_nb.compare")
    assert "they differ on 7" in grid
    assert re.search(r"all events.*best", grid)
    assert re.findall(r"asks version (\d)", of("stream.resume()")) == ["3", "1", "3"]
    assert "flip_rate" in of("stream.stability()")
    assert "no language model" in of("stream.prompts.suggest")
    # Saved, and started again from the file.
    assert 'model = "local/auto"' in of(".save(path)")
    assert "await overshoot_nb.Overshoot" in of(".save(path)")
    assert "local/auto, running" in of("--prompt-file")
    assert re.search(r"\d rows stay in its df", of("%overshoot stop"))
