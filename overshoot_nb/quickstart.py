"""Runs or opens the quickstart notebook that comes with the package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from overshoot_nb import config

from .errors import MissingDependencyError, SourceError
from .support.installed import ENGINE_MODULES, missing_packages

NAME = "quickstart.ipynb"
WIDGET = "application/vnd.jupyter.widget-view+json"
#: What the notebook draws and shows with.
SHOWN_WITH = ("altair", "matplotlib", "ipywidgets")
#: A cell of the quickstart takes a few seconds; the first one renders the video.
CELL_SECONDS = 300


def notebook_path() -> Path:
    """The notebook: beside the package in a checkout, inside it in an installed wheel."""
    here = Path(__file__).resolve().parent
    for folder in (here.parent / "notebooks", here / "notebooks"):
        if (folder / NAME).is_file():
            return folder / NAME
    raise SourceError(f"{NAME} is missing from this installation of overshoot-nb")


def open_in_lab() -> int:
    """Open a copy of the notebook in JupyterLab; returns its exit status.

    Raises:
        MissingDependencyError: JupyterLab is not installed.
    """
    _require("jupyterlab", "ipykernel")
    folder = config.cache_dir() / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / NAME
    if not copy.exists():  # never over a user's edits
        shutil.copyfile(notebook_path(), copy)
    # Jupyter asks for this in containers, where everybody is root.
    root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return subprocess.call([sys.executable, "-m", "jupyter", "lab", *root, str(copy)])


def execute(output: str | None = None) -> int:
    """Execute the notebook cell by cell in a kernel of its own, printing what each cell shows.

    Args:
        output: path of the executed copy; None puts it into the cache folder. A run that
            failed goes to a file beside it, whose name says so.

    Returns:
        0, or 1 when a cell failed (its error is printed).

    Raises:
        MissingDependencyError: nbclient or ipykernel is not installed.
    """
    _require("nbclient", "nbformat", "ipykernel")
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    path = Path(output) if output else config.cache_dir() / "notebooks" / f"executed-{NAME}"
    path.parent.mkdir(parents=True, exist_ok=True)
    book = nbformat.read(notebook_path(), as_version=4)
    client = NotebookClient(
        book, timeout=CELL_SECONDS, store_widget_state=False, on_cell_executed=_show
    )
    manager = client.create_kernel_manager()
    if os.name == "posix":
        manager.transport = "ipc"  # no port is opened for other users of the machine to see
    well = False
    try:
        client.execute()
        well = True
    except CellExecutionError as error:
        print(f"\novershoot-nb demo: a cell failed: {error.ename}: {error.evalue}")
    finally:
        path = _written(book, path, well=well)
    print(f"\nThe executed notebook: {path}")
    return 0 if well else 1


def _show(cell: Any, **_: object) -> None:
    """Print a cell and its outputs, as text."""
    if cell.cell_type != "code":
        return
    print("\n" + "\n".join(f"In: {line}" for line in cell.source.splitlines()))
    for output in cell.outputs:
        if output.output_type == "stream":
            print(_without_redraws(output.text), end="")
        elif output.output_type == "error":
            print(f"{output.ename}: {output.evalue}")
        elif WIDGET not in output.get("data", {}):  # as text, a progress bar stays at 0 %
            print(output.get("data", {}).get("text/plain", ""))
    sys.stdout.flush()


def _without_redraws(text: str) -> str:
    """What a progress bar looks like in the end: of each line only what was drawn last."""
    return re.sub(r"[^\n]*\r(?!\n)", "", text)


def _require(*modules: str) -> None:
    """Check all that the demo needs, before anything begins.

    Raises:
        MissingDependencyError: names every missing package, and the one command for all.
    """
    if missing := missing_packages(dict.fromkeys((*ENGINE_MODULES, *modules, *SHOWN_WITH))):
        raise MissingDependencyError(f"the demo needs {', '.join(missing)}: {config.DEMO_INSTALL}")


def _written(book: Any, path: Path, *, well: bool) -> Path:
    """Write the executed notebook; one that failed goes beside, never over one that is good."""
    import nbformat

    if not well:
        path = path.with_name(f"{path.stem}.failed{path.suffix}")
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        nbformat.write(book, new)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return path
