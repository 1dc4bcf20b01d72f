"""The front end: its types, its own tests, its size and its version."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import overshoot_nb

JS = Path(overshoot_nb.__file__).parent.parent / "js"

KB = 1024


@pytest.fixture(scope="module")
def npm():
    """Runs npm in ``js/`` and returns what it printed; fails with that where npm failed."""
    program = shutil.which("npm")
    if program is None:
        pytest.fail("Node.js is missing: npm is not on PATH (https://nodejs.org)", pytrace=False)
    if not (JS / "node_modules").is_dir():
        pytest.fail(f"{JS / 'node_modules'} is missing: run `npm ci` in {JS}", pytrace=False)

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [program, *arguments], cwd=JS, capture_output=True, text=True, timeout=180
        )
        if done.returncode:
            pytest.fail(f"npm {' '.join(arguments)}\n{done.stdout}{done.stderr}", pytrace=False)
        return done.stdout

    return run


def test_types_hold(npm):
    npm("run", "check")


def test_its_own_tests_pass(npm):
    assert "passed" in npm("test")


@pytest.fixture(scope="module")
def built(npm, tmp_path_factory):
    """The module as it is shipped, and what its build printed."""
    folder = tmp_path_factory.mktemp("static")
    printed = npm("run", "build", "--", f"--outdir={folder}")
    return folder / "widget.js", printed


def test_the_script_is_small(built):
    """What a browser has to read besides the styles, minified and not packed."""
    _, printed = built
    kilobytes = re.search(r"([\d.]+) KB of script", printed)
    assert kilobytes, printed
    assert 10 < float(kilobytes[1]) < 60


def test_what_notebooks_may_save_is_smaller(built):
    """Lab can write a widget's source, styles and all, into each notebook."""
    module, _ = built
    assert 5 * KB < module.stat().st_size <= 40 * KB


def test_python_and_javascript_have_one_version():
    package = json.loads((JS / "package.json").read_text("utf-8"))
    lock = json.loads((JS / "package-lock.json").read_text("utf-8"))
    versions = {package["version"], lock["version"], lock["packages"][""]["version"]}
    assert versions == {overshoot_nb.__version__}


def test_the_lock_names_every_platform():
    """Some registries lack some platforms' packages; a lock made there works nowhere else."""
    packages = json.loads((JS / "package-lock.json").read_text("utf-8"))["packages"]
    optional = {
        name
        for package in packages.values()
        for name in package.get("optionalDependencies", {})
        if name not in package.get("peerDependencies", {})
    }
    assert {name for name in optional if f"node_modules/{name}" not in packages} == set()
