"""Errors of this package in a notebook: the sentence and the user's line, not our frames."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from typing import Any

import pytest

from overshoot_nb import errors

from kernels import Kernel

SECRET = "word-0123456789"


class ShowingKernel(Kernel):
    """A kernel whose ``error`` is what a cell's error output has."""

    def error(self, code: str) -> tuple[str, str]:
        """The last line, and the traceback without its colours."""
        return self._thread.submit(self._error, code).result()

    def _error(self, code: str) -> tuple[str, str]:
        found: list[dict[str, Any]] = []

        def keep(message: dict[str, Any]) -> None:
            if message["msg_type"] == "error":
                found.append(message["content"])

        self.client.execute_interactive(code, timeout=60, output_hook=keep)
        (content,) = found
        text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(content["traceback"]))
        return f"{content['ename']}: {content['evalue']}", text


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebooks")
    (folder / "helper.py").write_text(
        "import overshoot_nb\n\n\ndef count(path):\n"
        "    return overshoot_nb.analyze(path, 'Count', base_url='local', progress=False)\n"
    )
    (folder / "script.py").write_text("import helper\n\nhelper.count('none.mp4')\n")
    return folder


@pytest.fixture(scope="module")
def kernel(folder):
    kernel = ShowingKernel(str(folder))
    kernel.run("import overshoot_nb, helper")
    yield kernel
    kernel.close()


def is_short(text: str) -> bool:
    return "overshoot_nb/" not in text and "site-packages" not in text and text.count("\n") < 12


def test_a_cell_shows_the_users_own_lines_and_the_sentence(kernel, folder):
    last, text = kernel.error("x = 1\nhelper.count('none.mp4')")
    assert last == f"SourceError: none.mp4: no such file (in {folder})"
    assert is_short(text), text
    lines = text.splitlines()
    assert re.fullmatch(r"Cell In\[?\s*\[?\d+\]?, line 2, in <module>", lines[0]), lines
    assert lines[1] == "    helper.count('none.mp4')"
    assert lines[2] == f"File {folder}/helper.py, line 5, in count"
    assert lines[3].startswith("    return overshoot_nb.analyze(path")
    assert lines[4] == last
    assert "errors.full = True" in lines[5]


@pytest.mark.parametrize(
    "code",
    [
        "client = overshoot_nb.Overshoot(base_url='local')\n"
        "await client.streams.create('none.mp4', 'Read', 'local/read')",
        "client.streams.create('none.mp4', 'Read', 'local/read').result()",
        "overshoot_nb.watch('none.mp4', 'Read')",
        "overshoot_nb.FileSource('')",
        "%run script.py",
        "await client.streams.create('none.mp4', 'Read', 'no/such')",
        "overshoot_nb.watch('none.mp4', 'Read', modle='x')",
    ],
)
def test_every_way_of_calling_is_short(kernel, code):
    last, text = kernel.error(code)
    assert last in text
    assert is_short(text), text
    assert code.splitlines()[-1] in text or "helper.count('none.mp4')" in text


def test_a_cause_is_a_line_of_its_own(kernel):
    _, text = kernel.error(
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n"
        "    raise overshoot_nb.NetworkError('gone') from error"
    )
    assert "NetworkError: gone\nIts cause was ZeroDivisionError: division by zero" in text


def test_all_of_it_is_shown_where_that_is_wanted_and_never_our_variables(kernel):
    kernel.run(f"word = {SECRET!r}\novershoot_nb.errors.full = True")
    try:
        _, text = kernel.error("helper.count('none.mp4')")
        assert "overshoot_nb/batch.py" in text
        kernel.run("%xmode Verbose")
        call = "overshoot_nb.Overshoot(word, base_url='http://h/v1', extra_headers={'a': 3})"
        last, text = kernel.error(call)
        assert "overshoot_nb/client.py" in text
        assert last in text
        assert SECRET not in text
        # Another's error is shown as ever, and without our help.
        assert "ZeroDivisionError" in kernel.error("1 / 0")[1]
    finally:
        kernel.run("overshoot_nb.errors.full = False")
        kernel.run("%xmode Context")


def test_a_script_shows_all(folder):
    ran = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert "overshoot_nb/batch.py" in ran.stderr
    assert ran.stderr.splitlines()[-1].endswith("none.mp4: no such file (in " + str(folder) + ")")


def test_errors_are_pickled_as_before():
    error = pickle.loads(pickle.dumps(errors.ValidationError("no", 422)))
    assert (str(error), error.status_code) == ("no (HTTP 422)", 422)
