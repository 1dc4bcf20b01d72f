"""A misbehaving server for the tests of the wire."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from faultserver import FaultServer


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a key nor a proxy of the machine that runs the tests takes part."""
    names = ("OVERSHOOT_API_KEY", "OVERSHOOT_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    for name in names:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
