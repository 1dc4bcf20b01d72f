"""``base_url="replay:..."``: which recording answers, how fast, and what is refused."""

from __future__ import annotations

import asyncio
import math
import sys
from pathlib import Path

import pytest

from overshoot_nb import ApiClient, Overshoot, Replay, ValidationError, config
from overshoot_nb.asking.endpoint import resolve_endpoint, resolve_gateway
from overshoot_nb.support.replay_address import ReplayAddress

from made_runs import MadeRun


@pytest.mark.parametrize(
    ("url", "path", "speed"),
    [
        ("replay:run.parquet", "run.parquet", None),
        ("replay:run.parquet?speed=inf", "run.parquet", math.inf),
        (" replay:some/run 1.parquet?speed=0.5 ", "some/run 1.parquet", 0.5),
        ("replay:C:\\runs\\a.parquet?speed=4", "C:\\runs\\a.parquet", 4.0),
        ("replay:/a/b.parquet?", "/a/b.parquet", None),
        ("replay:\\\\server\\share\\a b.parquet", "\\\\server\\share\\a b.parquet", None),
        ("replay:what?.parquet", "what?.parquet", None),
        ("replay:what?.parquet?speed=2", "what?.parquet", 2.0),
        ("replay:a?b=1/c.parquet", "a?b=1/c.parquet", None),
        ("replay:a.parquet?speed=4?", "a.parquet?speed=4", None),
        ("replay:50%20#1 ä🎬.parquet?speed=0.3333333333", "50%20#1 ä🎬.parquet", 0.3333333333),
        ("replay:~no such user", "~no such user", None),
    ],
)
def test_addresses(url, path, speed):
    address = ReplayAddress.parse(url)
    assert (address.path, address.speed) == (path, speed)
    assert ReplayAddress.parse(str(address)) == address


def test_home_is_found():
    assert ReplayAddress.parse("replay:~/run.parquet").path == str(Path.home() / "run.parquet")


@pytest.mark.parametrize(
    "name", ["a b?.parquet", "a?speed=2", "50%25#1.parquet", "naïve 🎬.parquet", "~a&b=c.parquet"]
)
@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_any_name_is_found_again(name, tmp_path, monkeypatch):
    """From a replay to its client, to what that calls itself, and to the code that it shows."""
    run = MadeRun()
    sample = run.sampled(b"picture")
    run.answered(sample, answered_at=sample.captured_at)
    run.record(tmp_path / name)
    monkeypatch.chdir(tmp_path)

    async def main(client: Overshoot) -> str:
        async with client:
            stream = await client.streams.create(
                "rtsp://user:secret@host/x", "What?", "owner/model"
            )
            await stream.wait(60)
            assert len(stream.df) == 1
            return stream.prompts[1].as_code()

    for path in (name, tmp_path / name, f"/{tmp_path}/{name}"):
        for speed in (1.0, 4.0):
            client = Replay(path, speed).client()
            assert client.base_url in repr(client)
            code = asyncio.run(main(Overshoot(base_url=client.base_url)))
            assert f'Overshoot(base_url="{client.base_url}")' in code
            assert "secret" not in code


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

    monkeypatch.setattr("overshoot_nb.asking.endpoint.find_api_key", asked)
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
    with pytest.raises(ValidationError, match="is a recording, which Overshoot"):
        ApiClient(base_url="replay:run.parquet")
