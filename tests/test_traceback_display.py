"""What a notebook shows of an error of ours, in a real kernel; what a script shows."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from overshoot_nb import errors

from kernels import Kernel

CLASSES = [
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, Exception)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shown")
    (folder / "mine.py").write_text(
        "import overshoot_nb\n\n"
        "def look():\n"
        "    own = 'a variable of mine'\n"
        "    return overshoot_nb.analyze('gone.mp4', 'x', 'local/scene', base_url='local')\n"
    )
    (folder / "script.py").write_text("import mine\n\nmine.look()\n")
    return folder


@pytest.fixture(scope="module")
def kernel(folder):
    kernel = Kernel(str(folder))
    kernel.run("import overshoot_nb, mine\nfrom overshoot_nb import errors\n" + SHOWN)
    yield kernel
    kernel.close()


#: What the front end gets: the lines of the message "error".
SHOWN = """
def keep(etype, value, stb, plain=get_ipython()._showtraceback):
    global last
    last = '\\n'.join(stb)
    plain(etype, value, stb)
get_ipython()._showtraceback = keep
"""


def shown(kernel, code):
    assert "Error" in kernel.run(code) or "Warning" in code
    return plain(kernel.run("print(last)"))


def plain(text):
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def test_every_class_raised_in_a_cell_is_its_sentence_and_the_line(kernel):
    for name in CLASSES:
        text = shown(kernel, f"a = 1\nraise errors.{name}('The {name}.')")
        assert re.fullmatch(
            rf"Cell In\[\d+\], line 2\n----> 2 raise errors.{name}\('The {name}.'\)\n"
            rf"{name}: The {name}.\n",
            text,
        ), text


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (
            "client = overshoot_nb.Overshoot(base_url='local')\n"
            "await client.streams.create('gone.mp4', 'x', 'local/scene')",
            2,
        ),
        (
            "client = overshoot_nb.Overshoot(base_url='local')\n\n"
            "client.streams.create('gone.mp4', 'x', 'local/scene').result()",
            3,
        ),
    ],
)
def test_an_error_that_came_through_await_or_result_shows_the_line_of_the_cell(kernel, code, line):
    text = shown(kernel, code)
    assert f"----> {line} {code.splitlines()[-1]}" in text
    assert "SourceError: " in text
    assert "gone.mp4" in text
    assert "File " not in text
    assert "errors.full = True" in text
    assert len(text.splitlines()) <= 6


def test_a_module_and_a_run_script_show_every_line_of_the_user(kernel, folder):
    for code in ("mine.look()", "%run script.py"):
        text = shown(kernel, code)
        assert f"File {folder / 'mine.py'}, line 5, in look\n----> 5     return overshoot" in text
        assert "SourceError: " in text
        assert "site-packages" not in text
        assert "interactive.py" not in text
        assert len(text.splitlines()) <= 12
    assert "----> 3 mine.look()" in text


def test_libraries_between_the_users_lines_are_left_out(kernel):
    text = shown(
        kernel, "import pandas\npandas.Series([1]).map(\n    lambda x: overshoot_nb.FileSource(''))"
    )
    assert re.findall(r"^(?:Cell In\[\d+\]|File .*), line (\d+)", text, re.MULTILINE) == ["2", "3"]


def test_a_cause_is_shown_where_the_user_had_a_part_in_it(kernel):
    text = shown(
        kernel,
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n"
        "    raise errors.SourceError('No such camera.') from error",
    )
    assert re.search(
        r"----> 2     1 / 0\nZeroDivisionError: division by zero\n\nwhich led to:\n\n"
        r"Cell In\[\d+\], line 4\n----> 4     raise .*\nSourceError: No such camera.",
        text,
    )


def test_full_shows_the_whole_traceback_but_variables_of_the_users_frames_only(kernel):
    try:
        kernel.run("overshoot_nb.errors.full = True")
        text = shown(kernel, "mine.look()")
        assert "interactive.py" in text
        kernel.run("%xmode Verbose")
        text = shown(kernel, "mine.look()")
        assert "interactive.py" in text
        assert "own = 'a variable of mine'" in text
        # With their variables, frames of ours would name the arguments that they were given.
        assert not re.search(r"^\s*(model|base_url|prompt|self) = ", text, re.MULTILINE)
    finally:
        kernel.run("%xmode Context\novershoot_nb.errors.full = False")
    assert "interactive.py" not in shown(kernel, "mine.look()")


def test_an_executed_notebook_ends_with_the_sentence(folder):
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("import mine\nmine.look()")]
    )
    with pytest.raises(CellExecutionError) as raised:
        NotebookClient(
            notebook, timeout=60, resources={"metadata": {"path": str(folder)}}
        ).execute()
    text = plain(str(raised.value))
    assert "SourceError: gone.mp4: no such file" in text
    assert "----> 2 mine.look()" in text
    assert "interactive.py" not in text


def test_a_script_shows_everything(folder):
    ran = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 1
    assert "interactive.py" in ran.stderr
    assert "SourceError: " in ran.stderr


@pytest.mark.parametrize("name", CLASSES)
def test_errors_stay_picklable(name):
    error = pickle.loads(pickle.dumps(getattr(errors, name)("gone")))
    assert type(error).__name__ == name
    assert str(error) == "gone"
