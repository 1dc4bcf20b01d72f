"""Which browser the tests use: one that is installed, Playwright's, or the distribution's.

Each is tried in turn until one starts; having none is an error that says what was tried.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Error, Playwright

NAMES = ("google-chrome", "google-chrome-stable", "chromium", "chromium-browser", "chrome")
USUAL_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "~/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/opt/google/chrome/chrome",
    "/usr/lib/chromium/chromium",
    r"%ProgramFiles%\Google\Chrome\Application\chrome.exe",
    r"%ProgramFiles(x86)%\Google\Chrome\Application\chrome.exe",
    r"%LocalAppData%\Google\Chrome\Application\chrome.exe",
)
ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # A camera and a screen that need no device and no click.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


class NoBrowser(Exception):
    """No browser is there, and none could be had."""


@dataclass(frozen=True, slots=True)
class Candidate:
    origin: str
    path: str


def launch(playwright: Playwright) -> tuple[Browser, str]:
    """Start the first browser that starts, without a window.

    Returns:
        The browser, and which one it is, for a person to read.

    Raises:
        NoBrowser: none does; the text says what was tried.
    """
    failures: list[str] = []
    for candidate in _candidates(playwright, failures):
        try:
            browser = playwright.chromium.launch(
                executable_path=candidate.path, args=list(ARGUMENTS), timeout=60_000
            )
        except Error as error:
            failures.append(f"{candidate.path} does not start: {error.message.splitlines()[0]}")
        else:
            return browser, f"{candidate.path} ({candidate.origin}), version {browser.version}"
    raise NoBrowser(
        "These tests need Google Chrome or Chromium, and there is none:\n- " + "\n- ".join(failures)
    )


def _candidates(playwright: Playwright, failures: list[str]) -> Iterator[Candidate]:
    """From the nearest to the farthest: nothing is fetched while something nearer is untried."""
    installed = list(_installed())
    if not installed:
        failures.append(f"none of {', '.join(NAMES)} on PATH or in the usual places")
    for path in installed:
        yield Candidate("installed", path)
    own = playwright.chromium.executable_path
    if Path(own).is_file():
        yield Candidate("Playwright's", own)
    elif _fetched([sys.executable, "-m", "playwright", "install", "chromium"], failures):
        yield Candidate("Playwright's, downloaded now", own)
    if _from_debian(failures) and (path := shutil.which("chromium")):
        yield Candidate("Debian's package, installed now", path)


def _installed() -> Iterator[str]:
    seen = set()
    for path in [*map(shutil.which, NAMES), *map(_expanded, USUAL_PLACES)]:
        # Several names lead to the same program.
        if path and Path(path).is_file() and (real := Path(path).resolve()) not in seen:
            seen.add(real)
            yield path


def _expanded(place: str) -> str:
    return os.path.expandvars(Path(place).expanduser())


def _from_debian(failures: list[str]) -> bool:
    if shutil.which("apt-get") is None:
        failures.append("no apt-get, which would install Debian's package")
        return False
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    apt = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    # An index that cannot be refreshed may still be good enough.
    _fetched([*apt, "update"], [])
    return _fetched([*apt, "install", "-y", "--no-install-recommends", "chromium"], failures)


def _fetched(command: list[str], failures: list[str]) -> bool:
    said = " ".join(command)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        failures.append(f"`{said}`: {error}")
        return False
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        failures.append(f"`{said}`: {reason[0]}")
    return done.returncode == 0
