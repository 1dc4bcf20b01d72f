"""The notebook servers: real ones, on free loopback ports, apart from the person's own settings."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

LEASH = Path(__file__).with_name("leash.py")

# One server for Lab and Notebook 7: nobody to log in, nothing fetched, nothing searched for.
JUPYTER_CONFIG: dict[str, dict[str, Any]] = {
    "ServerApp": {
        "ip": "127.0.0.1",
        "port_retries": 0,
        "open_browser": False,
        "allow_root": True,
        "password": "",
        "disable_check_xsrf": True,
        "terminals_enabled": False,
    },
    "IdentityProvider": {"token": ""},
    "FileContentsManager": {"delete_to_trash": False},
    "LanguageServerManager": {"autodetect": False},
    "LabApp": {"expose_app_in_browser": True, "extension_manager": "readonly"},
    "JupyterNotebookApp": {"expose_app_in_browser": True},
}
LAB_SETTINGS: dict[str, dict[str, Any]] = {
    "@jupyterlab/apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    # Every cell is in the DOM, wherever the page is scrolled to.
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
}
MARIMO_CONFIG = """
[runtime]
auto_instantiate = true

[save]
autosave = "off"
"""


class Server:
    """A notebook server in a process of its own, with its own home, serving ``folder``."""

    def __init__(self, home: Path, module: str, arguments: list[str], alive: str, port: int):
        self.folder = home / "notebooks"
        self.folder.mkdir(parents=True)
        self.url = f"http://127.0.0.1:{port}"
        self._alive = self.url + alive
        self._log_path = home / "server.log"
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(LEASH), module, *arguments],
                cwd=self.folder,
                env=_environment(home),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                # An interrupt in the terminal is the tests' to handle.
                start_new_session=True,
            )

    def wait_until_up(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while True:
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended at once:\n{self.log()}")
            try:
                with urllib.request.urlopen(self._alive, timeout=60):
                    return
            except OSError:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"no answer from the server:\n{self.log()}") from None
                time.sleep(0.05)

    def log(self, characters: int = 5000) -> str:
        """The end of what it has logged."""
        return self._log_path.read_text("utf-8", "replace")[-characters:]

    def request(self, path: str, method: str = "GET") -> Any:
        """Call its HTTP interface; returns the JSON that comes back, or None."""
        request = urllib.request.Request(self.url + path, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            body = response.read()
        return json.loads(body) if body else None

    def close(self, seconds: float = 15) -> None:
        """End it and its kernels."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait()


class JupyterServer(Server):
    """JupyterLab under ``/lab``, Notebook 7 under ``/notebooks``."""

    def __init__(self, home: Path) -> None:
        self._settings = home / "settings"
        for name, values in LAB_SETTINGS.items():
            self._write(self._settings / f"{name}.jupyterlab-settings", values)
        self._write(home / "config" / "jupyter_server_config.json", JUPYTER_CONFIG)
        port = _free_port()
        super().__init__(home, "jupyterlab", [f"--port={port}"], "/api/status", port)

    def forget_theme(self) -> None:
        """Back to Lab's own theme, for pages that are opened from now on."""
        theme = self._settings / "@jupyterlab/apputils-extension/themes.jupyterlab-settings"
        theme.unlink(missing_ok=True)

    def end_kernel(self, path: str) -> None:
        """Shut down the kernels of the notebook at ``path``, relative to ``folder``."""
        for session in self.request("/api/sessions"):
            if session["path"] == path:
                self.request(f"/api/sessions/{session['id']}", "DELETE")

    @staticmethod
    def _write(path: Path, values: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), "utf-8")


class MarimoServer(Server):
    """marimo's editor for a folder: ``/?file=NAME.py``."""

    def __init__(self, home: Path) -> None:
        config = home / ".config" / "marimo" / "marimo.toml"
        config.parent.mkdir(parents=True)
        config.write_text(MARIMO_CONFIG, "utf-8")
        port = _free_port()
        arguments = [
            "edit",
            ".",
            f"--port={port}",
            "--headless",
            "--no-token",
            "--no-sandbox",
            "--skip-update-check",
            # A kernel goes so many seconds after its page.
            "--session-ttl=10",
        ]
        super().__init__(home, "marimo", arguments, "/health", port)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _environment(home: Path) -> dict[str, str]:
    """This process's, without anything that would bring a person's own configuration in."""
    foreign = ("JUPYTER", "IPYTHON", "MARIMO", "XDG_", "PYTEST")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {
        **kept,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_DATA_HOME": str(home / ".local" / "share"),
        "XDG_STATE_HOME": str(home / ".local" / "state"),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "MARIMO_SKIP_UPDATE_CHECK": "1",
    }
