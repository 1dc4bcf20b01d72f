"""No secret in the variables of a traceback, in a message, or in a pickle."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import io
import pickle
import socket
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

import overshoot_nb
from overshoot_nb import cli, config
from overshoot_nb.asking.endpoint import resolve_endpoint
from overshoot_nb.local import serve
from overshoot_nb.settings.stream_settings import StreamSettings
from overshoot_nb.sources.kinds import (
    CameraSource,
    FileSource,
    HLSSource,
    LiveKitSource,
    RTMPSource,
    RTSPSource,
    as_source,
)
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.support.redaction import display_url, hidden, lacks_secrets, redact
from overshoot_nb.support.secret_text import SecretText

KEY, WORD, QUOTED, TOKEN = "ovs-very-s3cret", "hunt@22", "hunt%4022", "t0ken77"
SECRETS = (KEY, WORD, QUOTED, TOKEN)
USER = f"kim:{QUOTED}@"
RTSP = f"rtsp://{USER}cam.example:554/1?token={TOKEN}"


def base(url: str) -> str:
    return url.replace("://", f"://{USER}") + f"/v1?token={TOKEN}"


@pytest.fixture(scope="module")
def nobody() -> Iterator[str]:
    """The URL of a port where nobody answers."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture(scope="module")
def shell() -> InteractiveShell:
    shell = InteractiveShell()
    shell.InteractiveTB.set_mode("Verbose")
    return shell


Entry = Callable[[str], Any]
#: Every public entry that takes a key or a URL, in ways that fail; the argument is a dead server.
ENTRIES: dict[str, Entry] = {
    "client, no URL": lambda _: overshoot_nb.Overshoot(KEY, base_url=f"htp://{USER}h/?t={TOKEN}"),
    "client, no scheme": lambda _: overshoot_nb.Overshoot(KEY, base_url=f"{USER}host:80/v1"),
    "client, a bad port": lambda _: overshoot_nb.Overshoot(KEY, base_url=f"http://{USER}h:x/v1"),
    "client, a slash in the password": lambda _: overshoot_nb.Overshoot(
        KEY, base_url="http://kim:hunt/hunt@22@host/v1"
    ),
    "client, a bracket": lambda _: overshoot_nb.Overshoot(KEY, base_url=f"http://[{USER}h/v1"),
    "client, bytes": lambda _: overshoot_nb.Overshoot(KEY, base_url=base("http://h").encode()),
    "client, a key in bytes": lambda _: overshoot_nb.Overshoot(KEY.encode()),
    "client, a key with an umlaut": lambda u: overshoot_nb.Overshoot(f"{KEY}ü", base_url=base(u)),
    "client, no timeout": lambda u: overshoot_nb.Overshoot(KEY, base_url=base(u), timeout=0),
    "ApiClient, no URL": lambda _: overshoot_nb.ApiClient(KEY, base_url=f"htp://{USER}h"),
    "ApiClient, a recording": lambda _: overshoot_nb.ApiClient(
        KEY, base_url=f"replay:http://{USER}h/run.parquet"
    ),
    "ApiClient, no timeout": lambda u: overshoot_nb.ApiClient(KEY, base_url=base(u), timeout=-1),
    "ChatClient, a v0.2 server": lambda u: overshoot_nb.ChatClient(
        KEY, base_url=u.replace("//", f"//{USER}") + "/v0.2"
    ),
    "ChatClient, no timeout": lambda u: overshoot_nb.ChatClient(KEY, base_url=base(u), timeout=0),
    "ApiClient, a room": lambda u: created(u, LiveKitSource(f"wss://{USER}h", TOKEN)),
    "ApiClient, a dict": lambda u: created(
        u, {"type": "livekit", "url": f"wss://{USER}h", "token": TOKEN}
    ),
    "ApiClient, a dict without a URL": lambda u: created(u, {"type": "livekit", "token": TOKEN}),
    "get_models": lambda u: overshoot_nb.get_models(KEY, base_url=base(u)),
    "get_models, no URL": lambda _: overshoot_nb.get_models(KEY, base_url=RTSP),
    "get_models, no answer": lambda _: asked_in_vain(),
    "analyze, endless": lambda u: overshoot_nb.analyze(
        RTSP, "Read", "m", api_key=KEY, base_url=base(u)
    ),
    "analyze, no such server": lambda u: overshoot_nb.analyze(
        f"{u.replace('//', '//' + USER)}/clip.mp4?token={TOKEN}",
        "Read",
        api_key=KEY,
        base_url=base(u),
    ),
    "analyze, no such source": lambda u: overshoot_nb.analyze(
        f"{u.replace('//', '//' + USER)}/clip.mp4?token={TOKEN}",
        "Read",
        "m",
        api_key=KEY,
        base_url="local",
    ),
    "analyze, a bad value": lambda u: overshoot_nb.analyze(
        f"http://{USER}h/clip.mp4", "Read", "m", api_key=KEY, base_url=base(u), interval_seconds=-1
    ),
    "analyze, no source": lambda _: overshoot_nb.analyze(f"foo://{USER}h/x", "Read", api_key=KEY),
    "analyze, bytes": lambda _: overshoot_nb.analyze(RTSP.encode(), "Read", api_key=KEY),
    "analyze, a list": lambda _: overshoot_nb.analyze([RTSP], "Read", api_key=KEY),
    "analyze, a path": lambda _: overshoot_nb.analyze(
        Path(f"http://{USER}h/x.mp4"), "Read", api_key=KEY
    ),
    "watch, no prompt": lambda _: overshoot_nb.watch(RTSP),
    "watch, a bad value": lambda _: overshoot_nb.watch(RTSP, "Read", "local/auto", jpeg_quality=0),
    "create, a bad value": lambda u: create(RTSP, u, interval_seconds="x"),
    "create, no source": lambda u: create(f"foo://{USER}h/x?token={TOKEN}", u),
    "create, unreachable": lambda u: create(
        f"{u.replace('http', 'rtsp').replace('//', '//' + USER)}/x?token={TOKEN}", u
    ),
    "create, a bad callback": lambda u: create(RTSP, u, on_result="x"),
    "compare, no repeats": lambda u: overshoot_nb.compare(
        [], ["a"], ["m"], repeats=0, api_key=KEY, base_url=base(u)
    ),
    "compare, no URL": lambda _: overshoot_nb.compare(
        [], ["a"], ["m"], api_key=KEY, base_url=f"htp://{USER}h"
    ),
    "compare, a URL of an image": lambda u: overshoot_nb.compare(
        [f"http://{USER}h/x.jpg"], ["a"], ["m"], api_key=KEY, base_url=base(u)
    ),
    "replay": lambda _: overshoot_nb.replay(f"https://{USER}h/run.parquet?token={TOKEN}"),
    "replay, a path": lambda _: overshoot_nb.replay(Path(f"https://{USER}h/run.parquet")),
    "Replay": lambda _: overshoot_nb.Replay(f"https://{USER}h/run.parquet", speed=-1),
    "base_url of a recording": lambda _: overshoot_nb.Overshoot(
        base_url=f"replay:https://{USER}h/run.parquet?speed=x"
    ),
    "load": lambda _: overshoot_nb.load(f"https://{USER}h/run.parquet"),
    "load, a path": lambda _: overshoot_nb.load(Path(f"https://{USER}h/run.parquet")),
    "analyze, a URL to record to": lambda u: overshoot_nb.analyze(
        [np.zeros((32, 32, 3), np.uint8)],
        "Read",
        "m",
        record=f"s3://{USER}bucket/run.parquet",
        api_key=KEY,
        base_url=base(u),
        progress=False,
    ),
    "annotate": lambda _: pd.DataFrame({"result": ["x"]}).overshoot.annotate("x.mp4", source=RTSP),
    "as_source": lambda _: as_source(f"foo://{USER}h/x?token={TOKEN}"),
    "as_source, bytes": lambda _: as_source(RTSP.encode()),
    "as_source, a tuple": lambda _: as_source((RTSP, RTSP)),
    "FileSource": lambda _: FileSource(f"http://{USER}h/x?token={TOKEN}", timeout=0),
    "FileSource, a list": lambda _: FileSource([RTSP]),
    "FileSource, by name": lambda _: FileSource(path=RTSP, lop=True),
    "FileSource, too many": lambda _: FileSource(RTSP, 1, 2, 3, RTSP),
    "FileSource, a path": lambda _: FileSource(Path(f"http://{USER}h/x")),
    "RTSPSource": lambda _: RTSPSource(f"http://{USER}h/x?token={TOKEN}"),
    "RTSPSource, bytes": lambda _: RTSPSource(RTSP.encode()),
    "RTMPSource": lambda _: RTMPSource(f"rtmp://h/live/{TOKEN}", timeout="x"),
    "HLSSource": lambda _: HLSSource(RTSP),
    "CameraSource": lambda _: CameraSource(RTSP),
    "LiveKitSource": lambda _: LiveKitSource("", TOKEN),
    "LiveKitSource, by name": lambda _: LiveKitSource(url=f"wss://{USER}h", token=TOKEN, x=1),
    "serve": lambda _: serve("127.0.0.1", -1, KEY),
    "serve, not ASCII": lambda _: serve("127.0.0.1", 0, f"{KEY}ü"),
    "the command line": lambda _: cli.main(["serve", "--port", "x", "--key", KEY]),
    "the command line, together": lambda _: cli.main([f"--key={KEY}"]),
    "the command line, a URL": lambda _: cli.main(["models", "--base-url", RTSP, "more"]),
}


async def create(source: Any, server: str, **parameters: Any) -> object:
    async with overshoot_nb.Overshoot(KEY, base_url=base(server)) as client:
        return await client.streams.create(source, "Read", "m", **parameters)


async def created(server: str, source: Any) -> object:
    async with overshoot_nb.ApiClient(KEY, base_url=f"{server}/v0.2") as api:
        inference = overshoot_nb.InferenceConfig("Read", "m")
        return await api.create_stream(source, overshoot_nb.FrameProcessingConfig(), inference)


async def asked_in_vain() -> object:
    """Ask a server that takes the request and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with overshoot_nb.Overshoot(KEY, base_url=base(url), timeout=0.2) as client:
            return await client.get_models()


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it is chained to, also what would not be printed."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is not None and link not in seen:
            seen.append(link)
            waiting += [link.__cause__, link.__context__]
            yield link


def of_ours(error: BaseException) -> None:
    """Leave out the frames of whoever called, which show what was typed there."""
    for link in chain(error):
        tb = link.__traceback__
        while tb is not None and not tb.tb_frame.f_globals["__name__"].startswith("overshoot_nb"):
            tb = tb.tb_next
        link.__traceback__ = tb


@pytest.mark.parametrize("name", ENTRIES)
def test_no_secret_in_a_verbose_traceback(name, nobody, shell, monkeypatch, capsys):
    for variable in (config.ENV_API_KEY, config.ENV_BASE_URL):
        monkeypatch.delenv(variable, raising=False)
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            made = ENTRIES[name](nobody)
            if hasattr(made, "__await__"):
                asyncio.run(made)
        except (Exception, SystemExit) as error:
            raised = error
        else:
            pytest.fail("nothing was raised")
    assert isinstance(raised, overshoot_nb.OvershootError | TypeError | SystemExit)
    shown = [] if isinstance(raised, SystemExit) else [str(raised)]
    of_ours(raised)
    shown += shell.InteractiveTB.structured_traceback(
        type(raised), raised, raised.__traceback__, tb_offset=0
    )
    for link in chain(raised):
        shown += traceback.TracebackException.from_exception(link, capture_locals=True).format()
        for frame, _ in traceback.walk_tb(link.__traceback__):
            shown += map(repr, frame.f_locals.values())
            # What cuts long texts shows a piece.
            shown += [repr(v[:80]) for v in frame.f_locals.values() if isinstance(v, str)]
    text = "\n".join(shown)
    for secret in SECRETS:
        assert secret not in text, text[max(0, text.index(secret) - 1500) :][:2000]


def test_what_ipython_prints_of_a_cell_has_no_secret(nobody, shell, capsys):
    shell.user_ns.update(key=lambda: KEY, url=lambda: base(nobody), camera=lambda: RTSP)
    for cell in (
        "import overshoot_nb\novershoot_nb.Overshoot(key(), base_url=camera())",
        "overshoot_nb.analyze(camera(), 'Read', api_key=key(), base_url=url())",
        "await overshoot_nb.get_models(key(), base_url=url())",
        "%load_ext overshoot_nb\nget_ipython().run_line_magic('overshoot', camera() + ' x -o 1')",
        "get_ipython().run_line_magic('overshoot', camera() + ' \"x')",
        "get_ipython().run_line_magic('overshoot', 'foo' + camera() + ' x')",
        "get_ipython().run_line_magic('overshoot', 'stop a ' + camera())",
        "get_ipython().run_line_magic('overshoot', 'x y --schema ' + camera())",
        "get_ipython().run_line_magic('overshoot', 'x y --prompt-file ' + camera())",
        "get_ipython().run_line_magic('overshoot', camera() + ' x --unknown ' + camera())",
    ):
        ran = shell.run_cell(cell)
        assert ran.error_in_exec is not None
        shown = "".join(capsys.readouterr()) + str(ran.error_in_exec)
        for secret in SECRETS:
            assert secret not in shown, (cell, shown)


# ---- pickles ------------------------------------------------------------------------------------

SOURCES = [
    RTSPSource(RTSP),
    RTMPSource(f"rtmp://{USER}h/live/{TOKEN}"),
    HLSSource(f"https://{USER}h/x.m3u8?token={TOKEN}"),
    FileSource(f"https://h/x.mp4?token={TOKEN}", loop=True),
    LiveKitSource(f"wss://{USER}h", TOKEN),
]


def settings(source: Any) -> StreamSettings:
    return StreamSettings.build(source, "Read", "m")


def pickled(value: Any) -> Iterator[bytes]:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        yield pickle.dumps(value, protocol)


@pytest.mark.parametrize("source", SOURCES, ids=repr)
def test_no_secret_in_a_pickle_of_a_source_settings_or_version(source):
    server = resolve_endpoint("k", f"http://{USER}h/v1?token={TOKEN}").base_url
    version = PromptVersion(1, "Read", "m", _settings=settings(source), _base_url=server)
    values = [source, settings(source), version, asdict(source), asdict(version), [source.url]]
    for value in values:
        for data in pickled(value):
            for secret in SECRETS:
                assert secret.encode() not in data, value
            pickle.loads(data)
        assert not [secret for secret in SECRETS if secret in repr(value)]
    other = pickle.loads(pickle.dumps(source))
    assert other != source
    assert other.label == source.label
    assert pickle.loads(pickle.dumps(settings(source))).source == other
    code = pickle.loads(pickle.dumps(version)).as_code()
    assert "left out" in code
    assert not [secret for secret in SECRETS if secret in code]


@pytest.mark.parametrize("source", SOURCES, ids=repr)
def test_a_copy_in_the_process_is_whole(source):
    for copied in (
        copy.copy(source),
        copy.deepcopy(source),
        copy.deepcopy(settings(source)).source,
    ):
        assert copied == source
        assert str(copied.url) == str(source.url)
        assert any(
            secret in str(asdict(copied)["path" if "File" in repr(source) else "url"])
            for secret in SECRETS
        )


@pytest.mark.parametrize("source", SOURCES[:-1], ids=repr)
def test_what_came_out_of_a_pickle_says_what_it_lacks_when_it_is_opened(source, nobody):
    other = pickle.loads(pickle.dumps(source))
    with pytest.raises(overshoot_nb.SourceError, match="secret was left out") as caught:
        asyncio.run(create(other, nobody))
    assert not [secret for secret in SECRETS if secret in str(caught.value)]


def test_a_source_without_secrets_is_the_same_after_a_pickle():
    for source in (FileSource("12:30@door.mp4"), RTSPSource("rtsp://h/1"), FileSource(Path("a"))):
        assert pickle.loads(pickle.dumps(source)) == source


def test_a_server_s_url_that_lacks_its_secret_is_refused():
    url = pickle.loads(pickle.dumps(resolve_endpoint("k", f"http://{USER}h/v1").base_url))
    with pytest.raises(overshoot_nb.ValidationError, match="left out"):
        overshoot_nb.Overshoot(base_url=url)


# ---- URLs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (RTSP, "rtsp://cam.example:554/1?token=…"),
        ("rtsp://kim:p#ss@h/1", "rtsp://h/1"),
        ("rtsp://kim:p/s?s@h:554/1", "rtsp://h:554/1"),
        ("http://[kim:pw@h/1", "http://h/1"),
        ("http:/kim:pw@h/1", "http:/h/1"),
        ("https://h:8080/@kim/v.mp4", "https://h:8080/@kim/v.mp4"),
        ("https://[::1]/@kim/v.mp4", "https://[::1]/@kim/v.mp4"),
        ("https://h/@kim/v.mp4", "https://h/@kim/v.mp4"),
        ("C:/kim:a@b.mp4", "C:/kim:a@b.mp4"),
    ],
)
def test_a_url_as_it_is_shown(url, shown):
    assert display_url(url) == shown
    assert repr(hidden(url)) == repr(shown)
    assert redact(f"cannot open {url} there") == f"cannot open {shown} there"
    assert hidden(url) == url
    assert lacks_secrets(pickle.loads(pickle.dumps(hidden(url)))) == (
        "pw" in url or "kim:p" in url or url == RTSP
    )


def test_a_piece_of_a_secret_shows_nothing():
    assert repr(hidden(RTSP)[:20]) == "'…'"
    assert repr(SecretText(TOKEN)) == "'…'"
    assert isinstance(hidden(hidden(RTSP)), SecretText)
