"""Real notebook servers and a real browser, for all the tests of a session.

    def test_sum(lab):
        notebook = lab.open(["x = 1", "print(x + 1)"])
        notebook.run(0)
        assert notebook.run(1).strip() == "2"
        notebook.shot("two")

Tests in this folder run in the thread that Playwright lives in (``stage.py``), so they can use
pages directly. What a test opened is closed after it, and an error in the browser's console fails
it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import nbformat
from playwright.sync_api import Browser, BrowserContext, Error, Page

import chromium
from pages import JupyterNotebook, MarimoNotebook, NotebookPage, marimo_source
from servers import JupyterServer, MarimoServer, Server
from stage import Stage

AnyNotebook = TypeVar("AnyNotebook", bound=NotebookPage)

# Errors in the console that are the front ends' own, whatever the notebook shows.
LAB_NOISE: tuple[str, ...] = (
    # A page that has just joined a kernel hears of comms that it has not asked about yet.
    r"^Comm not found for comm id",
    # A kernel is restarted while Lab's debugger asks it something.
    r"Canceled future for \w+ message before replies were done",
    # ipywidgets' own extension, in a notebook without a kernel.
    r"Cannot read properties of null \(reading 'kernel'\) \(\S+/jupyterlab-manager/static/",
)
NOTEBOOK_NOISE = (
    *LAB_NOISE,
    # Plugins of Lab's that Notebook leaves out are missed by others of Lab's.
    r"Cannot read properties of undefined \(reading 'schema'\)",
    r"Command 'filebrowser:open-path' not registered",
)
MARIMO_NOISE: tuple[str, ...] = ()

ARTIFACTS = Path(
    os.environ.get("OVERSHOOT_TEST_ARTIFACTS") or Path(__file__).with_name("artifacts")
).absolute()


class Rig:
    """One Jupyter server, one browser, and marimo's server once it is asked for."""

    def __init__(self, stage: Stage, home: Path) -> None:
        self._stage, self._home = stage, home
        self._browser: Browser | None = None
        self._context: BrowserContext | None = None
        self._servers: dict[str, Server] = {}
        self.browser_name = ""
        self.numbers = itertools.count(1)

    def start(self) -> None:
        """Start what every test needs.

        Raises:
            chromium.NoBrowser: there is none.
        """
        # The server starts while the browser does.
        server = self._servers["jupyter"] = JupyterServer(self._home / "jupyter")
        self._browser, self.browser_name = chromium.launch(self._stage.playwright)
        # One context: the front ends' own code is fetched once.
        self._context = self._browser.new_context(viewport={"width": 1280, "height": 900})
        self._context.set_default_timeout(30_000)
        server.wait_until_up()

    @property
    def jupyter(self) -> JupyterServer:
        server = self._servers["jupyter"]
        assert isinstance(server, JupyterServer)
        return server

    @property
    def marimo(self) -> MarimoServer:
        """marimo's server, started when first asked for."""
        server = self._servers.get("marimo")
        if server is None:
            server = self._servers["marimo"] = MarimoServer(self._home / "marimo")
            server.wait_until_up()
        assert isinstance(server, MarimoServer)
        return server

    def new_page(self) -> Page:
        assert self._context is not None
        return self._context.new_page()

    def close(self) -> None:
        """End the servers that were started, and the browser."""
        try:
            if self._browser is not None:
                with suppress(Error):  # It may have gone already, with an interrupt.
                    self._browser.close()
        finally:
            for server in self._servers.values():
                server.close()


class Host(Generic[AnyNotebook]):
    """One front end, as one test sees it: opens notebooks, and closes them at the test's end.

    Args:
        test: the test's name, from which notebooks have theirs.
    """

    noise: tuple[str, ...] = ()

    def __init__(self, rig: Rig, test: str) -> None:
        self._rig = rig
        self._test = "".join(c if c.isalnum() else "-" for c in test).strip("-")
        self.notebooks: list[AnyNotebook] = []

    @property
    def server(self) -> Server:
        raise NotImplementedError

    @property
    def folder(self) -> Path:
        """Where the notebooks are, and their kernels start."""
        return self.server.folder

    def errors(self) -> list[str]:
        """What is wrong by the consoles of the pages that this test opened."""
        return [error for notebook in self.notebooks for error in notebook.errors]

    def close(self) -> None:
        """Close what was opened."""
        for notebook in self.notebooks:
            notebook.close()
        self.notebooks.clear()

    def report(self) -> list[tuple[str, str]]:
        """Pictures, errors and the server's log, for a test that failed: headings and texts."""
        sections = []
        for number, notebook in enumerate(self.notebooks, 1):
            try:
                shown = str(notebook.shot(f"failed-{self._test}-{number}"))
            except Error as error:
                shown = f"none: {error.message}"
            sections.append((f"screenshot {number}", shown))
        if errors := self.errors():
            sections.append(("console", "\n".join(errors)))
        sections.append(("end of the server's log", self.server.log()))
        return sections


class JupyterHost(Host[JupyterNotebook]):
    """Notebooks in a front end of Jupyter's."""

    @property
    def server(self) -> JupyterServer:
        return self._rig.jupyter

    def _address(self, path: str) -> str:
        """Where the notebook is opened, below the server's URL."""
        raise NotImplementedError

    def open(self, cells: Sequence[str], *, allow: Sequence[str] = ()) -> JupyterNotebook:
        """Write a notebook with these code cells, and open it with a kernel of its own.

        Args:
            allow: regular expressions of errors that its console may show.
        """
        path = f"{self._test}-{next(self._rig.numbers)}.ipynb"
        book = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={
                "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
            },
        )
        nbformat.write(book, self.folder / path)
        return self.reopen(path, allow=allow)

    def reopen(self, path: str, *, allow: Sequence[str] = ()) -> JupyterNotebook:
        """Open a saved notebook in a page of its own: with its kernel, or a new one."""
        notebook = self._page(path, allow)
        notebook.page.goto(self.server.url + self._address(path))
        return notebook.opened()

    def _page(self, path: str, allow: Sequence[str]) -> JupyterNotebook:
        self.server.forget_theme()
        notebook = JupyterNotebook(
            self._rig.new_page(), ARTIFACTS, [*self.noise, *allow], self.server, path
        )
        self.notebooks.append(notebook)
        return notebook


class LabHost(JupyterHost):
    """JupyterLab. Each page has a workspace of its own, so that no tab comes back."""

    noise = LAB_NOISE

    def _address(self, path: str) -> str:
        return f"{self._workspace()}/tree/{path}"

    def _workspace(self) -> str:
        return f"/lab/workspaces/page-{next(self._rig.numbers)}"

    def reopen_without_kernel(self, path: str, *, allow: Sequence[str] = ()) -> JupyterNotebook:
        """Open a saved notebook as a reader does who starts no kernel; one that runs is ended."""
        self.server.end_kernel(path)
        notebook = self._page(path, allow)
        notebook.page.goto(self.server.url + self._workspace())
        notebook.wait("() => window.jupyterapp?.restored.then(() => true)", seconds=60)
        choice = {"shouldStart": False, "canStart": True, "autoStartDefault": False}
        notebook.command("docmanager:open", path=path, factory="Notebook", kernelPreference=choice)
        return notebook.opened(kernel=False)


class Notebook7Host(JupyterHost):
    """Notebook 7."""

    noise = NOTEBOOK_NOISE

    def _address(self, path: str) -> str:
        return f"/notebooks/{path}"


class MarimoHost(Host[MarimoNotebook]):
    """marimo's editor."""

    noise = MARIMO_NOISE

    @property
    def server(self) -> MarimoServer:
        return self._rig.marimo

    def open(self, cells: Sequence[str], *, allow: Sequence[str] = ()) -> MarimoNotebook:
        """Write a notebook with these cells, open it, and wait until all have run.

        Args:
            allow: regular expressions of errors that its console may show.
        """
        path = f"{self._test}-{next(self._rig.numbers)}.py"
        (self.folder / path).write_text(marimo_source(cells), "utf-8")
        notebook = MarimoNotebook(
            self._rig.new_page(), ARTIFACTS, [*self.noise, *allow], self.server, path
        )
        self.notebooks.append(notebook)
        notebook.page.goto(f"{self.server.url}/?file={path}")
        return notebook.opened(len(cells))
