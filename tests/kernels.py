"""A real IPython kernel that tests can type into."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jupyter_client.manager import start_new_kernel
from jupyter_core.utils import ensure_event_loop


class Kernel:
    """One kernel; ``run`` returns what a cell printed and showed, as text."""

    def __init__(self, cwd: str) -> None:
        # jupyter_client leaves an event loop behind in the thread that uses it: it gets one of
        # its own, whose loop can be closed.
        self._thread = ThreadPoolExecutor(1)
        self.manager, self.client = self._thread.submit(start_new_kernel, cwd=cwd).result()

    def run(self, code: str, timeout: float = 60) -> str:
        return self._thread.submit(self._run, code, timeout).result()

    def _run(self, code: str, timeout: float) -> str:
        shown: list[str] = []

        def show(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                shown.append(content["text"])
            elif message["msg_type"] == "error":
                shown.append(f"{content['ename']}: {content['evalue']}")
            elif message["msg_type"] in ("execute_result", "display_data"):
                shown.append(content["data"].get("text/plain", ""))

        self.client.execute_interactive(code, timeout=timeout, output_hook=show)
        return "".join(shown)

    def messages(self, code: str, timeout: float = 60) -> list[tuple[str, dict[str, Any]]]:
        """Type and content of everything that a cell sends to the page."""
        sent: list[tuple[str, dict[str, Any]]] = []

        def keep(message: dict[str, Any]) -> None:
            sent.append((message["msg_type"], message["content"]))

        run = self.client.execute_interactive
        self._thread.submit(run, code, timeout=timeout, output_hook=keep).result()
        return sent

    def until(self, code: str, seconds: float = 60) -> str:
        """Evaluate ``code`` until it is truthy."""
        deadline = time.monotonic() + seconds
        while (shown := self.run(code)) in ("False", "0", ""):
            assert time.monotonic() < deadline, f"{code} stayed {shown!r}"
            time.sleep(0.1)
        return shown

    def interrupt(self) -> None:
        """What the notebook's stop button does. From any thread."""
        self.manager.provisioner.process.send_signal(2)

    def close(self) -> None:
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    def _close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=False)
        ensure_event_loop().close()
