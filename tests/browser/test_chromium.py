"""Finding a browser, on machines that have none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import chromium

LAUNCH = """
import chromium
from playwright.sync_api import sync_playwright
chromium.USUAL_PLACES = ()
with sync_playwright() as playwright:
    chromium.launch(playwright)
"""


def test_having_no_browser_is_an_error_that_says_what_was_tried(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LAUNCH],
        cwd=Path(chromium.__file__).parent,
        env={
            **os.environ,
            "PATH": str(tmp_path),
            "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path),
            # Nothing answers there.
            "PLAYWRIGHT_DOWNLOAD_HOST": "http://127.0.0.1:9",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    last = done.stderr[done.stderr.index("NoBrowser") :]
    assert "These tests need Google Chrome or Chromium" in last
    assert "none of google-chrome, " in last
    assert "playwright install chromium" in last
    assert "no apt-get" in last


def test_programs_that_are_not_there_are_not_offered(monkeypatch, tmp_path):
    program = tmp_path / "chromium"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(chromium, "USUAL_PLACES", (str(program), "/nowhere/chrome"))
    assert list(chromium._installed()) == []
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert list(chromium._installed()) == [str(program)]
