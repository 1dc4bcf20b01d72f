"""Notebooks that run without a front end: what is saved in their cells."""

from __future__ import annotations

import re
from datetime import datetime

import nbformat
import pytest
from nbclient import NotebookClient

from videos import make_video


class Headless:
    """A kernel that is asked cell by cell, as ``jupyter execute`` does."""

    def __init__(self, folder) -> None:
        self._notebook = nbformat.v4.new_notebook()
        self._client = NotebookClient(
            self._notebook, timeout=120, resources={"metadata": {"path": folder}}
        )
        self._kernel = self._client.setup_kernel()
        self._kernel.__enter__()

    def run(self, code: str):
        """Run a cell; its outputs, which later cells may change."""
        self._notebook.cells.append(nbformat.v4.new_code_cell(code))
        index = len(self._notebook.cells) - 1
        self._client.execute_cell(self._notebook.cells[index], index)
        return self._notebook.cells[index].outputs

    def close(self) -> None:
        self._kernel.__exit__(None, None, None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("headless")
    make_video(folder / "clip.mp4", frames=20, fps=10)
    return folder


@pytest.fixture
def no_key(monkeypatch):
    monkeypatch.delenv("OVERSHOOT_API_KEY", raising=False)
    monkeypatch.delenv("OVERSHOOT_BASE_URL", raising=False)


@pytest.fixture(scope="module")
def shared(folder):
    """One kernel for all ways of ending."""
    kernel = Headless(folder)
    kernel.run(
        "%load_ext overshoot_nb\nimport overshoot_nb, time\n"
        "client = overshoot_nb.Overshoot(base_url='local')"
    )
    yield kernel
    kernel.close()


@pytest.fixture
def kernel(folder, no_key):
    kernel = Headless(folder)
    kernel.run("import overshoot_nb")
    yield kernel
    kernel.close()


def html_of(outputs) -> str:
    return "".join(output.get("data", {}).get("text/html", "") for output in outputs)


#: A stream that goes on until it is closed, and one that ends by itself.
LOOPS = "s = overshoot_nb.watch('clip.mp4', 'How bright?', 'local/scene', client=client, loop=True)"
ENDS = (
    "s = overshoot_nb.watch('clip.mp4', 'How bright?', 'local/scene', client=client, "
    "realtime=False)"
)
#: So that what is saved when the cell ends is about a stream that has done something.
ANSWERED = "while not len(s.df):\n    time.sleep(0.02)\n"


@pytest.mark.parametrize(
    "end",
    [
        "await s.close()",
        "s.close().result()",
        "%overshoot stop",
        "overshoot_nb.interactive.stop(s)",
        "await client.close()\nclient = overshoot_nb.Overshoot(base_url='local')",
        "async with s:\n    pass",
    ],
)
def test_a_stream_that_is_closed_is_saved_as_closed(shared, end):
    shown = shared.run(f"{LOOPS}\ns")
    assert "<strong>running" in html_of(shown) or "<strong>starting" in html_of(shown)
    # At once: nothing that comes later is read any more.
    shared.run(ANSWERED + end)
    html = html_of(shown)
    assert html.count("ov-snapshot") > 0
    assert "<strong>closed" in html, html


@pytest.mark.parametrize(
    "end",
    [
        "await s.wait()",
        "s.join()",
        "async for result in s:\n    pass",
        "while s.is_active:\n    time.sleep(0.02)",
    ],
)
def test_a_stream_that_ends_is_saved_with_all_its_results(shared, end):
    shown = shared.run(f"{ENDS}\ns")
    shared.run(end)
    html = html_of(shown)
    assert "<strong>ended" in html, html
    assert "4 results" in html


def results_in(outputs) -> int:
    return int(re.search(r"(\d+) results?", html_of(outputs))[1])


def test_a_stream_that_runs_on_when_the_kernel_ends_says_of_when_it_is(kernel):
    """As papermill and ``jupyter execute`` leave it, which read nothing after the last cell."""
    watch = "s = overshoot_nb.watch('clip.mp4', 'How bright?', 'local/scene', loop=True)"
    first = kernel.run(f"import time\n{watch}\ns")
    before = datetime.now().astimezone().replace(microsecond=0)
    counted = kernel.run("while s.stats.results < 3:\n    time.sleep(0.02)\ns.stats.results")
    results = int(counted[0].data["text/plain"])
    assert results_in(first) >= results >= 3
    when = re.search(r"as of (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", html_of(first))[1]
    shown = datetime.fromisoformat(when).astimezone()
    assert before <= shown <= datetime.now().astimezone()
    assert f"as of {when}" in "".join(o.data.get("text/plain", "") for o in first)
    kernel.run("await s.close()")
    assert "<strong>closed" in html_of(first)
    assert "as of" not in html_of(first)


def test_papermill_keeps_the_figures_of_the_last_cell(folder, tmp_path, no_key):
    papermill = pytest.importorskip("papermill")
    notebook = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        cells=[
            nbformat.v4.new_code_cell(code)
            for code in (
                "import overshoot_nb, time\n"
                "s = overshoot_nb.watch('clip.mp4', 'How bright?', 'local/scene', loop=True)\ns",
                "while s.stats.results < 3:\n    time.sleep(0.02)",
            )
        ],
    )
    nbformat.write(notebook, tmp_path / "in.ipynb")
    papermill.execute_notebook(
        str(tmp_path / "in.ipynb"), str(tmp_path / "out.ipynb"), cwd=folder, progress_bar=False
    )
    outputs = nbformat.read(tmp_path / "out.ipynb", 4).cells[0].outputs
    assert results_in(outputs) >= 3
    assert "as of 20" in html_of(outputs)


def test_the_notice_is_part_of_the_first_widget_and_of_nothing_else(kernel):
    watch = "s = overshoot_nb.watch('clip.mp4', 'How bright?', realtime=False)\ns"
    first = kernel.run(watch)
    others = [
        kernel.run("await s.close()\n1 + 1"),
        kernel.run(watch),
        kernel.run("overshoot_nb.analyze('clip.mp4', 'How bright?', progress=False)"),
    ]
    assert "No API key" in html_of(first)
    assert "No API key" in "".join(o.data.get("text/plain", "") for o in first)
    assert "No API key" not in str(others)
    assert not [o for outputs in (first, *others) for o in outputs if o.output_type == "stream"]
    assert others[0][0].data["text/plain"] == "2"


def test_what_is_said_of_an_address_is_beside_what_is_shown_next(kernel):
    code = "overshoot_nb.Overshoot('key', base_url='http://127.0.0.1:9/v1/chat/completions')"
    (shown,) = kernel.run(code)
    assert shown.output_type == "execute_result"
    said, models = kernel.run(
        "from overshoot_nb.interactive import models\nmodels(base_url='local')"
    )
    assert said.output_type == "display_data"
    assert "/chat/completions, which is cut off" in said.data["text/plain"]
    assert models.output_type == "execute_result"


@pytest.mark.parametrize(
    "code",
    [
        "overshoot_nb.analyze('clip.mp4', 'How bright?', progress=False)",
        "%load_ext overshoot_nb\n%overshoot models",
        "import numpy as np\nc = await overshoot_nb.compare([np.zeros((32, 32, 3), np.uint8)], "
        "'How bright?', progress=False)\nlen(c.df)",
        # As where the front end was not built.
        "from overshoot_nb import errors, widget\n"
        "def none(*args):\n    raise errors.MissingDependencyError('no front end')\n"
        "widget.StreamWidget = none\n"
        "s = overshoot_nb.watch('clip.mp4', 'How bright?')\ns",
    ],
)
def test_where_no_widget_is_shown_the_notice_is_an_output(kernel, code):
    notice, *others = kernel.run(code)
    assert notice.output_type == "display_data"
    assert notice.data["text/plain"].startswith("No API key")
    assert ("no front end" in notice.data["text/plain"]) is ("none" in code)
    assert [output.output_type for output in others] == ["execute_result"]
