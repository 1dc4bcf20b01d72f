"""The Tune tab's own module: its size, and that saved notebooks hold none of it."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from test_widget_mirror import SRC

from overshoot_nb.widget.stream_widget import FRONT_END
from overshoot_nb.widget.tuning_steering import TUNE_TAB

KB = 1024


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with what the build made, and what it printed."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.fail("Node.js is missing: npm is not on PATH (https://nodejs.org)", pytrace=False)
    folder = tmp_path_factory.mktemp("static")
    command = [npm, "run", "--silent", "build", "--", f"--outdir={folder}"]
    done = subprocess.run(command, cwd=SRC.parent, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def test_the_tab_is_small(built):
    """What a browser has to read besides the styles, minified; and with them."""
    folder, printed = built
    script = re.search(r"tune\.js: ([\d.]+) KB of script", printed)
    assert script, printed
    assert 10 < float(script[1]) < 40
    assert (folder / "tune.js").stat().st_size < 44 * KB


def test_it_is_a_file_of_its_own_beside_the_widget(built):
    folder, _ = built
    assert {path.name for path in folder.iterdir()} == {FRONT_END.name, TUNE_TAB.name}
    assert TUNE_TAB.parent == FRONT_END.parent
    # Not in what Jupyter writes into notebooks.
    plain = subprocess.run(
        ["node", "build.mjs", "--plain", f"--outdir={folder / 'plain'}"],
        cwd=SRC.parent,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert plain.returncode == 0, plain.stderr
    unpacked = (folder / "plain" / "widget.js").read_text("utf-8")
    assert "ov-tune-grid" not in unpacked
    assert "ov-tune-grid" in (folder / "tune.js").read_text("utf-8")
