"""``base_url="replay:..."``: which recording answers, how fast, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from overshoot_nb import Overshoot, ValidationError, config
from overshoot_nb.config import resolve_endpoint, resolve_gateway
from overshoot_nb.recording.replay_address import ReplayAddress


@pytest.mark.parametrize(
    ("url", "path", "speed"),
    [
        ("replay:run.parquet", "run.parquet", None),
        ("replay:run.parquet?speed=inf", "run.parquet", math.inf),
        (" replay:some/run 1.parquet?speed=0.5 ", "some/run 1.parquet", 0.5),
        ("replay:C:\\runs\\a.parquet?speed=4", "C:\\runs\\a.parquet", 4.0),
        ("replay:/a/b.parquet?", "/a/b.parquet", None),
    ],
)
def test_addresses(url, path, speed):
    address = ReplayAddress.parse(url)
    assert (address.path, address.speed) == (path, speed)
    assert ReplayAddress.parse(str(address)) == address


def test_home_is_found():
    assert ReplayAddress.parse("replay:~/run.parquet").path == str(Path.home() / "run.parquet")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("replay:", "names no recording"),
        ("replay: ?speed=1", "names no recording"),
        ("replay:run.parquet?sped=4", "no option 'sped'"),
        ("replay:run.parquet?speed=fast", "speed=fast is no number"),
        ("replay:run.parquet?speed=0", "must be a number above 0"),
        ("replay:run.parquet?speed=-2", "must be a number above 0"),
        ("replay:run.parquet?speed=nan", "must be a number above 0"),
    ],
)
def test_what_is_no_address_is_refused(url, said):
    with pytest.raises(ValidationError, match=said):
        Overshoot(base_url=url)


def test_files_that_are_none(tmp_path, monkeypatch):
    with pytest.raises(ValidationError, match=r"none\.parquet: no such file"):
        Overshoot(base_url=f"replay:{tmp_path}/none.parquet")
    (tmp_path / "text.parquet").write_text("a, b\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(config.ENV_BASE_URL, "replay:text.parquet")
    with pytest.raises(ValidationError, match=r"text\.parquet"):
        Overshoot()


def test_no_key_is_looked_for(monkeypatch):
    def asked(*_: object) -> None:
        raise AssertionError("a key was looked for")

    monkeypatch.setattr(config, "find_api_key", asked)
    monkeypatch.setenv(config.ENV_BASE_URL, "replay:run.parquet?speed=4")
    endpoint = resolve_endpoint("a-key")
    assert endpoint.key is None
    assert endpoint.is_replay
    assert not endpoint.is_local
    assert not endpoint.is_overshoot
    assert endpoint.shown == "replay:run.parquet?speed=4"
    monkeypatch.undo()
    monkeypatch.setenv(config.ENV_BASE_URL, "replay:run.parquet")
    # The low-level client of v0.2 has no use for it.
    assert resolve_gateway().base_url == config.GATEWAY_BASE_URL
