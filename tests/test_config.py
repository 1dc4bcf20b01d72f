"""Which server answers, and which key it gets."""

from __future__ import annotations

import pickle
import sys
import types

import pytest

import overshoot_nb
from overshoot_nb import ValidationError, config
from overshoot_nb.asking.endpoint import resolve_endpoint, resolve_gateway
from overshoot_nb.store.frames import FrameStore
from overshoot_nb.support.api_key import ApiKey


@pytest.fixture
def env(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)  # as if not installed
    return monkeypatch


def test_without_a_key_the_embedded_engine_answers_and_says_so_once(env, caplog):
    env.setattr("overshoot_nb.asking.endpoint._told_local", False)
    for _ in range(2):
        endpoint = resolve_endpoint()
        assert (endpoint.base_url, endpoint.surface, endpoint.key) == ("local", "chat", None)
        assert endpoint.is_local
        assert endpoint.is_overshoot
    assert caplog.text.count("embedded local engine") == 1


def test_with_a_key_the_service_answers(env, caplog):
    env.setenv("OVERSHOOT_API_KEY", " ovs-from-env\n")
    endpoint = resolve_endpoint()
    assert endpoint.base_url == "https://api.overshoot.ai/v1beta"
    assert endpoint.key.reveal() == "ovs-from-env"
    assert endpoint.key.origin == "OVERSHOOT_API_KEY"
    assert resolve_endpoint("ovs-argument").key.reveal() == "ovs-argument"
    assert caplog.text == ""


def test_the_environment_names_a_server_and_the_argument_wins(env):
    env.setenv("OVERSHOOT_BASE_URL", "http://localhost:11434/v1/")
    assert resolve_endpoint().base_url == "http://localhost:11434/v1"
    assert resolve_endpoint(base_url="local").is_local


def test_the_surface_follows_the_url(env):
    assert resolve_endpoint("k", "https://api.overshoot.ai/v0.2").surface == "gateway"
    assert resolve_endpoint("k", "https://api.overshoot.ai/v1").surface == "chat"
    assert resolve_gateway("k").base_url == "https://api.overshoot.ai/v0.2"


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:11434/v1",
        "https://evilovershoot.ai/v1",
        "https://overshoot.ai.evil.com/v1",
    ],
)
def test_a_key_that_was_found_goes_to_overshoot_alone(env, url):
    env.setenv("OVERSHOOT_API_KEY", "ovs-from-env")
    assert resolve_endpoint(base_url=url).key is None
    assert resolve_gateway(base_url=url).key is None
    assert resolve_endpoint("passed", url).key.reveal() == "passed"
    assert resolve_gateway("passed", base_url=url).key.reveal() == "passed"
    for ours in ("https://api.overshoot.ai/v1beta", "https://eu.api.overshoot.ai/v1"):
        assert resolve_endpoint(base_url=ours).key.reveal() == "ovs-from-env"


def test_the_keyring_is_the_last_place_and_may_be_broken(env):
    ring = types.ModuleType("keyring")
    ring.get_password = lambda service, user: f"from-{service}-{user}"
    env.setitem(sys.modules, "keyring", ring)
    assert resolve_endpoint().key.reveal() == "from-overshoot-api_key"
    assert resolve_endpoint().key.origin == "keyring"

    def broken(service, user):
        raise RuntimeError("no backend")

    ring.get_password = broken
    assert resolve_endpoint().key is None


@pytest.mark.parametrize("url", ["ftp://host/v1", "localhost:11434", "http://", "", "nonsense"])
def test_a_base_url_must_be_one(env, url):
    with pytest.raises(ValidationError, match="base_url"):
        resolve_endpoint("k", url)


def test_a_key_shows_itself_nowhere():
    key = ApiKey("ovs-secret")
    assert "secret" not in f"{key} {key!r} {[key]} {resolve_endpoint(key)}"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)
    assert key == ApiKey("ovs-secret", "keyring")
    assert len({key, ApiKey("ovs-secret")}) == 1


def test_the_cache_folder_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv("OVERSHOOT_CACHE_DIR", str(tmp_path))
    assert config.cache_dir() == tmp_path
    monkeypatch.delenv("OVERSHOOT_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert config.cache_dir() == tmp_path / "xdg" / "overshoot-nb"


def test_a_url_s_secrets_are_shown_nowhere(env):
    url = "https://bob:s3cretpassw0rd@gw.example/v0.2?tenant=t0psecret"
    endpoint = resolve_endpoint("key", url)
    assert endpoint.surface == "gateway"
    assert endpoint.base_url == url
    client = overshoot_nb.Overshoot("key", base_url=url)
    shown = [endpoint.shown, repr(endpoint), client.base_url, repr(client)]
    with pytest.raises(ValidationError) as caught:
        resolve_endpoint("key", "ftp://bob:s3cretpassw0rd@gw.example")
    shown.append(str(caught.value))
    assert "s3cret" not in str(shown)
    assert "t0psecret" not in str(shown)
    assert client.base_url == "https://gw.example/v0.2?tenant=…"


def test_found_keys_go_to_a_v0_2_server_of_this_machine_alone(env):
    env.setenv("OVERSHOOT_API_KEY", "found")
    for url in ("http://127.0.0.1:8000/v0.2", "http://localhost:8000/v0.2/", "http://[::1]:1/v0.2"):
        assert resolve_endpoint(None, url).key.reveal() == "found"
        env.setenv("OVERSHOOT_BASE_URL", url)
        assert resolve_gateway().base_url == url.rstrip("/")
    for url in ("http://127.0.0.1:8000/v1", "http://gw.example/v0.2", "http://10.0.0.1/v0.2"):
        assert resolve_endpoint(None, url).key is None
    env.setenv("OVERSHOOT_BASE_URL", "http://127.0.0.1:8000/v1")
    assert resolve_gateway().base_url.startswith("https://api.overshoot.ai/")


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [
        ("", 512 * 2**20),
        ("   ", 512 * 2**20),
        ("0", 0),
        ("1000000", 1_000_000),
        ("512MB", 512 * 2**20),
        (" 2 gb ", 2 * 2**30),
        ("1.5GiB", 3 * 2**29),
        ("64k", 64 * 2**10),
        ("12 B", 12),
    ],
)
def test_memory_is_given_as_bytes_or_with_a_unit(monkeypatch, text, nbytes):
    monkeypatch.setenv("OVERSHOOT_MEMORY", text)
    assert config.memory_bytes() == nbytes


@pytest.mark.parametrize(
    "text", ["much", "-1", "512 MBytes", "1e9", "MB", "1.5", "nan", "inf", "\u0665MB", "9" * 400]
)
def test_memory_that_is_no_amount_is_refused_by_its_name(monkeypatch, text):
    monkeypatch.setenv("OVERSHOOT_MEMORY", text)
    with pytest.raises(ValidationError, match=r"OVERSHOOT_MEMORY=.* is not an amount of memory"):
        FrameStore()
