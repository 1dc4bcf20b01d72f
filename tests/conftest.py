"""What every test shares: an environment without the developer's own keys and caches."""

from __future__ import annotations

import time

import pytest

from overshoot_nb import config

from streamthreads import stream_threads

SPILL = (config.ENV_SPILL_DIR, config.ENV_SPILL_BYTES, config.ENV_MEMORY)


#: Files that take longest, begun first where several processes share the tests.
LONGEST = (
    "test_notebooks.py",
    "test_gateway_rough_times.py",
    "test_readme.py",
    "test_gateway_stream.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session", autouse=True)
def clean_environment(tmp_path_factory):
    """No key, no server and no cache of the person who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("OVERSHOOT_API_KEY", "OVERSHOOT_BASE_URL", *SPILL):
            patch.delenv(name, raising=False)
        patch.setenv("OVERSHOOT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
        yield


@pytest.fixture
def no_spill(monkeypatch):
    """Pictures that leave memory are gone: none are kept on disk."""
    monkeypatch.setenv(config.ENV_SPILL_BYTES, "0")


@pytest.fixture
def no_threads_left():
    """Fails the test if a stream's thread is still there a minute after it."""
    yield
    deadline = time.monotonic() + 60
    while stream_threads():
        assert time.monotonic() < deadline, f"left running: {stream_threads()}"
        time.sleep(0.01)
