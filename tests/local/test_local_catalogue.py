"""Aliases of models, on both surfaces and the command line."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import httpx
import pytest
from asking import page, question

from overshoot_nb.errors import ValidationError
from overshoot_nb.local.access import Access
from overshoot_nb.local.app import build_app
from overshoot_nb.local.catalogue import Catalogue
from overshoot_nb.local.streams import StreamRegistry

ALIAS = "Qwen/Qwen3.5-9B"
PICTURE = page([(40, 40, "GATE 7", 40)], size=(320, 180))


def test_an_alias_is_accepted_and_listed_and_the_real_model_named(shared_engine):
    registry = StreamRegistry()
    app = build_app(shared_engine, registry, Access(), Catalogue({ALIAS: "local/read"}))

    async def run():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x", timeout=60) as c:
            listed = [m["id"] for m in (await c.get("/v1/models")).json()["data"]]
            assert listed == ["local/auto", "local/read", "local/scene", ALIAS]
            assert (await c.get(f"/v1/models/{ALIAS}")).json()["id"] == ALIAS
            assert ALIAS in [m["model"] for m in (await c.get("/v0.2/models")).json()]
            body = question("Anything", PICTURE, model=ALIAS)
            answer = (await c.post("/v1/chat/completions", json=body)).json()
            assert answer["model"] == "local/read"
            assert answer["choices"][0]["message"]["content"] in ("GATE 7", "GATE7")
            stream = {
                "processing": {"interval_seconds": 1},
                "inference": {"prompt": "Read", "model": ALIAS},
            }
            created = (await c.post("/v0.2/streams", json=stream)).json()
            path = f"/v0.2/streams/{created['stream_id']}/config/prompt"
            changed = await c.patch(path, json={"prompt": "Read on"})
            assert changed.json()["model"] == "local/read"
            other = question("Anything", PICTURE, model="Qwen/other")
            refused = await c.post("/v1/chat/completions", json=other)
            assert refused.status_code == 404
            assert ALIAS in refused.text

    try:
        asyncio.run(run())
    finally:
        registry.close()


@pytest.mark.parametrize(
    "aliases", [{"a": "local/nothing"}, {"": "local/auto"}, {"local/read": "local/auto"}]
)
def test_aliases_are_checked(aliases):
    with pytest.raises(ValidationError, match="alias"):
        Catalogue(aliases)


def test_a_name_that_is_understood_is_not_offered():
    catalogue = Catalogue({"a": "local/read"}, {ALIAS: "local/auto", "a": "local/scene"})
    assert catalogue.resolve(ALIAS) == "local/auto"
    assert catalogue.resolve("a") == "local/read"
    assert ALIAS not in catalogue.names
    assert ALIAS not in catalogue.unknown("Qwen/other")


@pytest.mark.parametrize("word", ["Qwen", "Qwen=nothing", "=local/auto"])
def test_a_wrong_alias_on_the_command_line_is_one_line(word):
    command = [sys.executable, "-m", "overshoot_nb", "serve", "--port", "0", "--alias", word]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "alias" in done.stderr
    assert "Traceback" not in done.stderr
