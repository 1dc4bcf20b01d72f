"""The notebooks are executed as they are, with no key and no network."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

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


def executed(name: str) -> list[Any]:
    """The code cells of a notebook, with what they show."""
    book = nbformat.read(notebook_path().with_name(name), as_version=4)
    NotebookClient(book, timeout=120, kernel_name="python3", store_widget_state=False).execute()
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(o.output_type != "error" for cell in cells for o in cell.outputs)
    return cells


def shown(cell: Any, kind: str = "text/plain") -> str:
    """What a cell shows: what it prints and its values of a kind."""
    return "".join(o.get("text", "") + o.get("data", {}).get(kind, "") for o in cell.outputs)


def told(name: str) -> list[tuple[str, str]]:
    """Source of each code cell of a notebook, and what it shows, as text."""
    return [(cell.source, shown(cell)) for cell in executed(name)]


def test_the_sdk_s_own_page_runs_line_by_line():
    everything = "\n".join(text for _, text in told("python_sdk.ipynb"))
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
    cells = told("prompt_tuning.ipynb")

    def of(call: str, nth: int = 0) -> str:
        return [text for source, text in cells if call in source][nth]

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
    assert "local/auto, closed" in of("--prompt-file")
    assert re.search(r"\d rows stay in its df", of("%overshoot stop"))


def test_analysis_is_told_from_answers_to_findings_and_back_to_a_file():
    cells = executed("analysis.ipynb")

    def of(call: str, kind: str = "text/plain") -> str:
        return next(shown(cell, kind) for cell in cells if call in cell.source)

    assert "finished: 72 rows" in of("stream.record(")
    # Rows beside their pictures, which are in the page, and none of them runs anything.
    html = of("show(\"out.event == 'DUNK'\")", "text/html")
    assert html.count("data:image/jpeg;base64,") == 10
    assert "<script" not in html
    # Events and values against the ground truth.
    found = re.search(r"8 of 8 banners found, off by at most (0\.\d\d) s", of("banners found"))
    assert found is not None
    assert float(found[1]) <= 0.5
    changes = re.findall(
        r"0 days 00:00:(\d\d\.\d)\d* +\S+ +(\d\d) ", of('changes("out.home_score"')
    )
    assert changes == [("00.0", "84"), ("03.5", "87"), ("13.5", "89"), ("32.5", "91")]
    # Figures: a chart that JupyterLab draws by itself, and a picture that is one.
    for call in ("timeline(", "plot.latency(", "counts(", "heatmap("):
        picture = np.asarray(decoded(of(call, "image/png")).convert("L"))
        assert min(picture.shape) > 200
        assert picture.std() > 10
    for call in ("timeline(", "plot.latency(", "counts("):
        assert any("vegalite" in kind for kind in kinds_of(cells, call))
    assert re.search(r"local/auto +1 +72 +72 +0\.\d+", of("prices="))
    # A clip, and the video with its answers on it.
    clip = re.search(r"data:video/mp4;base64,([^\"]+)", of("play(most)", "text/html"))
    video = re.search(r"data:video/mp4;base64,([^\"]+)", of("annotate(", "text/html"))
    assert clip is not None
    assert video is not None
    assert len(frames_of(clip[1])) == 6
    assert len(frames_of(video[1])) == 12 * 24
    assert "00:00:04,000 --> 00:00:06,500" in of("to_srt(")
    # While it ran.
    assert re.search(r"0:0\d\.\d out.event == 'THREE POINTER' \(sample \d+\)", of("watched"))
    assert re.search(r"alerted at \[\d\.\d\]", of("watched"))
    # The file: the same rows and bytes, asked again, read by others, played again by nobody.
    assert "the same rows" in of("overshoot_nb.load(")
    assert "the same bytes: True" in of("same = ")
    brightness = re.findall(r"(0\.\d+|[1-9]\d*\.?\d*)$", of("LIGHT"), flags=re.MULTILINE)
    assert len(brightness) == 6
    assert "{'result': 72}" in of("pd.read_parquet")
    assert "00:00:09.500000 0 days 00:00:12" in of("pd.read_parquet")
    assert "the same rows, from replay:" in of(".client()")
    assert re.search(r"clock +12 +12 +1\.0", of("agreement("))


def decoded(picture: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(picture)))


def kinds_of(cells: list[Any], call: str) -> list[str]:
    cell = next(cell for cell in cells if call in cell.source)
    return [kind for output in cell.outputs for kind in output.get("data", {})]


def frames_of(video: str) -> list[Any]:
    with av.open(io.BytesIO(base64.b64decode(video))) as container:
        return list(container.decode(video=0))
