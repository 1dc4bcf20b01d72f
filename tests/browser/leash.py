"""``python leash.py MODULE ARGUMENTS...``: as ``python -m``, for as long as someone holds stdin.

However the tests end, by an interrupt, a kill or a crash, the pipe to a server's stdin closes with
them, and the server ends itself.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def end_with_stdin() -> None:
    # Not sys.stdin: the interpreter could not end while a thread reads from it.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=end_with_stdin, daemon=True).start()
    sys.argv = sys.argv[1:]
    sys.path[0] = ""
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
