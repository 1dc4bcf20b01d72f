"""The threads that streams run on."""

from __future__ import annotations

import threading


def stream_threads() -> list[str]:
    """Names of the threads that streams run on."""
    prefixes = ("overshoot-sampler", "overshoot-callbacks")
    return [t.name for t in threading.enumerate() if t.name.startswith(prefixes)]
