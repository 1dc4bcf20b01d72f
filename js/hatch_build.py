"""Builds the front end when the Python package is built: hatchling calls this.

- A wheel or an sdist made from a checkout is built with Node, or fails.
- A wheel made from an sdist takes the front end that came with it: no Node.
- An editable install builds it once. Without Node, or without npm's registry, it goes on without
  a front end and says so: the package works, its widget shows plain HTML instead.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STATIC = Path("overshoot_nb", "widget", "static")
#: What the build makes there.
MODULES = ("widget.js", "tune.js")


class MissingToolchain(RuntimeError):
    """Nothing can be built here: no npm, or what it would install cannot be had."""


class FrontEnd(BuildHookInterface):  # type: ignore[type-arg]
    """hatchling's hook for ``js/``."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        if (root / "PKG-INFO").is_file():  # an unpacked sdist
            for module in MODULES:
                if not (root / STATIC / module).is_file():
                    raise RuntimeError(f"this sdist lacks {STATIC / module}")
            return
        try:
            install(root / "js")
            if version != "editable":  # what is shipped is what is built now, and nothing older
                shutil.rmtree(root / STATIC, ignore_errors=True)
            run("npm", "run", "--silent", "build", cwd=root / "js")
        except MissingToolchain as error:
            if version != "editable":
                raise
            self.app.display_warning(f"the widget's front end was not built: {error}")


def install(js: Path) -> None:
    """Install what ``package-lock.json`` names, unless it is there already.

    Raises:
        MissingToolchain: no npm, or it could not install.
    """
    if shutil.which("npm") is None:
        raise MissingToolchain(
            "building it needs Node.js 20.19 or newer, and npm is not on PATH. "
            "Install Node.js from https://nodejs.org and install again"
        )
    installed = js / "node_modules" / ".package-lock.json"
    lock = js / "package-lock.json"
    if installed.is_file() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    try:
        run("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", cwd=js)
    except RuntimeError as error:
        raise MissingToolchain(str(error)) from None


def run(program: str, *arguments: str, cwd: Path) -> None:
    # On Windows npm is a .cmd file, which is only found under its full name.
    command = [shutil.which(program) or program, *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"`{' '.join([program, *arguments])}` failed in {cwd}:\n{done.stderr}")
