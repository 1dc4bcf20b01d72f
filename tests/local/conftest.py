from __future__ import annotations

import threading

import pytest

from overshoot_nb import local


@pytest.fixture(scope="session", autouse=True)
def engine_closed_at_the_end():
    """One engine for the session, so that its models are loaded once; and no thread after it."""
    yield
    local.close_engine()
    assert not [t for t in threading.enumerate() if t.name.startswith("overshoot-local")]
