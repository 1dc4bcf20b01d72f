"""Notebooks that are open in the browser: run cells, read what they show, save, reload."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, ConsoleMessage, Error, Locator, Page

from servers import JupyterServer, MarimoServer

RUN_CELL = """(index) => {
    const notebook = jupyterapp.shell.currentWidget.content;
    notebook.activeCellIndex = index;
    notebook.deselectAll();
    window.ranCells ??= {};
    window.ranCells[index] = false;
    jupyterapp.commands.execute("notebook:run-cell").finally(() => {
        window.ranCells[index] = true;
    });
}"""
SET_CELL = """async ([index, source]) => {
    const notebook = jupyterapp.shell.currentWidget.content;
    while (notebook.widgets.length <= index) {
        notebook.activeCellIndex = notebook.widgets.length - 1;
        await jupyterapp.commands.execute("notebook:insert-cell-below");
    }
    notebook.widgets[index].model.sharedModel.setSource(source);
}"""
KERNEL_IS_IDLE = """() => {
    const kernel = jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel;
    return kernel?.status === "idle" && kernel.connectionStatus === "connected";
}"""
# The notebook that is shown, in a page that has one.
SESSION = "jupyterapp.shell.currentWidget.sessionContext.session"


class NotebookPage:
    """What a notebook is in every front end.

    Args:
        page: the browser's page.
        artifacts: where screenshots go.
        noise: regular expressions of errors in the console that are the front end's own.
    """

    def __init__(self, page: Page, artifacts: Path, noise: Sequence[str]) -> None:
        self.page = page
        self._artifacts = artifacts
        self._noise = [re.compile(pattern) for pattern in noise]
        self._errors: list[str] = []
        self._devtools: CDPSession | None = None
        page.on("console", self._said)
        page.on("pageerror", self._raised)

    @property
    def errors(self) -> list[str]:
        """What the console said is wrong, but for the front end's own noise."""
        return [e for e in self._errors if not any(p.search(e) for p in self._noise)]

    def forgive(self, *noise: str) -> None:
        """Errors that match one of these regular expressions are none, past and to come."""
        self._noise += [re.compile(pattern) for pattern in noise]

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._errors.append(f"{message.text} ({message.location.get('url', '')})")

    def _raised(self, error: Error) -> None:
        thrown_in = re.search(r"\w+://[^\s)]+", error.stack or "")
        self._errors.append(f"uncaught: {error.message} ({thrown_in[0] if thrown_in else ''})")

    @property
    def widgets(self) -> Locator:
        """The roots of our widget, in the order of the page; also inside shadow roots."""
        return self.page.locator(".ov")

    def click(self, selector: str, widget: int = 0) -> None:
        """Click what ``selector`` finds inside a widget."""
        self.widgets.nth(widget).locator(selector).click()

    def js(self, function: str, argument: Any = None) -> Any:
        """Call a JavaScript function in the page; returns its result, awaited."""
        return self.page.evaluate(function, argument)

    def wait(self, function: str, argument: Any = None, seconds: float = 30) -> Any:
        """Wait until a JavaScript function returns something truthy; returns that.

        Raises:
            playwright.sync_api.TimeoutError: it did not within ``seconds``.
        """
        found = self.page.wait_for_function(function, arg=argument, timeout=seconds * 1000)
        return found.json_value()

    def shot(self, name: str) -> Path:
        """Keep a picture of the window as ``name``.png; returns where it is."""
        self._artifacts.mkdir(parents=True, exist_ok=True)
        path = self._artifacts / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def throttle(self, rate: float) -> None:
        """Make the page's processor ``rate`` times slower; 1 is its own speed."""
        # It lasts as long as the session that asked for it.
        if self._devtools is None:
            self._devtools = self.page.context.new_cdp_session(self.page)
        self._devtools.send("Emulation.setCPUThrottlingRate", {"rate": rate})

    def close(self) -> None:
        """Close the page, and end its kernel."""
        with suppress(Error):  # It may have gone already, with an interrupted browser.
            self.page.close()


class JupyterNotebook(NotebookPage):
    """A notebook in JupyterLab or Notebook 7. Cells count from 0."""

    def __init__(
        self, page: Page, artifacts: Path, noise: Sequence[str], server: JupyterServer, path: str
    ) -> None:
        super().__init__(page, artifacts, noise)
        self.server, self.path = server, path

    def opened(self, kernel: bool = True) -> JupyterNotebook:
        """Wait until its cells are shown and, unless it has no ``kernel``, that is idle."""
        self.wait("() => Boolean(window.jupyterapp)", seconds=60)
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
        if kernel:
            self.wait(KERNEL_IS_IDLE, seconds=60)
        return self

    def start(self, cell: int) -> None:
        """Run a cell without waiting for its end."""
        self.js(RUN_CELL, cell)

    def finished(self, cell: int, seconds: float = 60) -> str:
        """Wait for the end of what ``start`` started; returns the cell's text."""
        self.wait("(index) => window.ranCells[index]", cell, seconds)
        return self.text(cell)

    def run(self, cell: int, seconds: float = 60) -> str:
        """Run a cell to its end; returns its text."""
        self.start(cell)
        return self.finished(cell, seconds)

    def execute(self, source: str, seconds: float = 60) -> str:
        """Write ``source`` into a new last cell and run it; returns its text."""
        last = self.js("() => jupyterapp.shell.currentWidget.content.widgets.length")
        self.set(last, source)
        return self.run(last, seconds)

    def set(self, cell: int, source: str) -> None:
        """Write ``source`` into a cell; cells are added up to there."""
        self.js(SET_CELL, [cell, source])

    def outputs(self, cell: int) -> list[dict[str, Any]]:
        """A cell's outputs, as they would be saved."""
        return self.js(
            "(i) => jupyterapp.shell.currentWidget.content.widgets[i].model.outputs.toJSON()", cell
        )

    def text(self, cell: int) -> str:
        """What a cell printed, returned or raised."""
        parts: list[str] = []
        for output in self.outputs(cell):
            match output["output_type"]:
                case "stream":
                    parts.append("".join(output["text"]))
                case "error":
                    parts.append("\n".join(output["traceback"]))
                case _:
                    parts.append("".join(output["data"].get("text/plain", "")))
        return "".join(parts)

    def cell(self, cell: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-Cell").nth(cell)

    def command(self, name: str, **arguments: Any) -> None:
        """Run one of the front end's commands."""
        self.js("([n, a]) => jupyterapp.commands.execute(n, a).then(() => {})", [name, arguments])

    def dark(self) -> None:
        """Switch to the dark theme; the next notebook that is opened is light again."""
        self.command("apputils:change-theme", theme="JupyterLab Dark")
        self.wait("() => document.body.dataset.jpThemeLight === 'false'")

    def interrupt(self) -> None:
        self.js(f"() => {SESSION}.kernel.interrupt()")

    def restart(self) -> None:
        """Restart the kernel."""
        self.js(f"() => {SESSION}.kernel.restart()")
        self.wait(KERNEL_IS_IDLE, seconds=60)

    def reload(self) -> None:
        """Load the page anew; the kernel goes on."""
        self.page.reload()
        self.opened()

    def save(self) -> dict[str, Any]:
        """Save the notebook; returns what is in the file."""
        self.js("() => jupyterapp.shell.currentWidget.context.save()")
        return json.loads((self.server.folder / self.path).read_text("utf-8"))

    def close(self) -> None:
        super().close()
        self.server.end_kernel(self.path)


class MarimoNotebook(NotebookPage):
    """A notebook in marimo's editor, which runs all its cells when it is opened."""

    def __init__(
        self, page: Page, artifacts: Path, noise: Sequence[str], server: MarimoServer, path: str
    ) -> None:
        super().__init__(page, artifacts, noise)
        self.server, self.path = server, path
        self._runs = 0
        page.on("websocket", lambda socket: socket.on("framereceived", self._heard))

    def opened(self, cells: int) -> MarimoNotebook:
        """Wait until all ``cells`` are shown and have run."""
        self.wait("(n) => document.querySelectorAll('.marimo-cell').length >= n", cells, 60)
        self.finished(1)
        return self

    def run_all(self, seconds: float = 60) -> None:
        """Run all cells again, to their end."""
        before = self._runs
        self.page.locator("[data-testid=command-palette-button]").click()
        self.page.locator("[cmdk-item]", has_text="Re-run all cells").click()
        self.finished(before + 1, seconds)

    def finished(self, runs: int, seconds: float = 60) -> None:
        """Wait until so many runs of cells have come to their end since the page was opened."""
        deadline = time.monotonic() + seconds
        while self._runs < runs:
            assert time.monotonic() < deadline, f"{self._runs} runs are over, not yet {runs}"
            self.page.wait_for_timeout(50)

    def _heard(self, frame: str | bytes) -> None:
        # marimo's own word for it: what cells show of their state can change too fast to be seen.
        head = frame[:200] if isinstance(frame, str) else frame[:200].decode("utf-8", "replace")
        self._runs += "completed-run" in head

    def cell(self, cell: int) -> Locator:
        return self.page.locator(".marimo-cell").nth(cell)

    def text(self, cell: int) -> str:
        """What a cell printed and returned, as it is shown."""
        shown = self.cell(cell).locator("[id^=output-], [data-testid=console-output-area]")
        return "\n".join(shown.all_inner_texts())


def marimo_source(cells: Iterable[str]) -> str:
    """A marimo notebook with these cells. Lines of strings over several lines are indented."""
    parts = ["import marimo\n\napp = marimo.App()\n"]
    for cell in cells:
        body = "\n".join(f"    {line}" if line else "" for line in cell.splitlines())
        parts.append(f"\n@app.cell\ndef _():\n{body}\n    return\n")
    return "\n".join(parts) + '\n\nif __name__ == "__main__":\n    app.run()\n'
