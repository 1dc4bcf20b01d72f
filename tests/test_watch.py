"""watch() and the magic take what analyze() takes."""

from __future__ import annotations

import inspect
import threading

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

import overshoot_nb
from overshoot_nb import Overshoot, ValidationError, interactive
from overshoot_nb.magic import OvershootMagics, _start_parser
from overshoot_nb.settings.source_options import SourceOptions
from overshoot_nb.support.parameters import names_of

from chatserver import ChatServer, Reply
from videos import make_video, number_in

pytestmark = pytest.mark.usefixtures("no_threads_left")
KEY = "a-key-that-nobody-sees"


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> str:
    return str(make_video(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=30, fps=30))


@pytest.fixture
def server():
    def answer(request):
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return Reply('{"error": "no"}', 401)
        return str(number_in(request.jpegs[0]))

    with ChatServer(answer) as server:
        yield server
    for client in interactive._clients.values():
        client.close().result()
    interactive._clients.clear()


@pytest.fixture
def magic():
    shell = InteractiveShell()
    shell.register_magics(OvershootMagics)
    yield lambda line, **names: (
        shell.user_ns.update(names),
        shell.run_line_magic("overshoot", line),
    )[1]
    shell.history_manager.end_session()


def test_watch_asks_a_server_that_wants_a_key_and_loops(clip, server):
    results, enough = [], threading.Event()

    def on_result(result):
        results.append(result)
        if len(results) > 3:
            enough.set()

    stream = overshoot_nb.watch(
        clip, "n?", "test/model", on_result, api_key=KEY, base_url=server.url, loop=True
    )
    assert enough.wait(60)  # two are all that the file has once
    assert stream.settings.source.loop
    interactive.stop(stream)
    assert {result.result for result in results} == {"0", "15"}


def test_watch_uses_a_client_and_leaves_it_open(clip, server):
    client = Overshoot(KEY, base_url=server.url)
    stream = overshoot_nb.watch(clip, "n?", client=client, realtime=False)
    assert stream.join(60) == stream.status
    assert interactive.models(client=client)["model"].tolist() == ["test/model"]
    client.close().result()


def test_an_option_that_the_source_does_not_have(clip):
    with pytest.raises(ValidationError, match=r"width= does not apply .* FileSource: it takes"):
        overshoot_nb.watch(clip, "n?", width=640)
    with pytest.raises(ValidationError, match=r"loop= does not apply to camera, a CameraSource"):
        overshoot_nb.watch("camera", "n?", loop=True)


def test_the_magic_takes_server_key_and_loop(clip, server, magic, monkeypatch):
    monkeypatch.setenv("GUARD_KEY", KEY)
    line = f'{clip} "n?" --base-url {server.url} --key-env GUARD_KEY'
    stream = magic(f"{line} --loop --max-size 64x48 --temperature 0.5 -m test/model")
    assert stream.settings.source.loop
    assert stream.settings.max_size == (64, 48)
    assert stream.settings.temperature == 0.5
    interactive.stop(stream)
    stream = magic(f"{line} --no-realtime")
    stream.join(60)
    assert stream.df["result"].tolist() == ["0", "15"]
    assert KEY not in repr(stream) + str(stream.__dict__)
    shown = magic(f"models --base-url {server.url} --key-env GUARD_KEY")
    assert shown["model"].tolist() == ["test/model"]


def test_the_magic_takes_a_client_and_functions_of_the_notebook(clip, server, magic):
    got = []
    client = Overshoot(KEY, base_url=server.url)
    names = {"mine": client, "note": got.append, "number": 3}
    stream = magic(f'{clip} "n?" --client mine --on-result note --no-realtime', **names)
    stream.join(60)
    assert [result.result for result in got] == ["0", "15"]
    with pytest.raises(UsageError, match="--client number: a int"):
        magic(f'{clip} "n?" --client number')
    with pytest.raises(UsageError, match="--client other: no such variable"):
        magic(f'{clip} "n?" --client other')
    with pytest.raises(UsageError, match="--on-result other: no variable"):
        magic(f'{clip} "n?" --on-result other')
    client.close().result()


def test_the_magic_takes_header_fields_of_a_variable_and_shows_none(clip, magic):
    def answer(request):
        if request.headers.get("api-key") != KEY:
            return Reply('{"error": "no"}', 401)
        return str(number_in(request.jpegs[0]))

    with ChatServer(answer) as server:
        line = f'{clip} "n?" --base-url {server.url} --extra-headers fields --no-realtime'
        stream = magic(line, fields={"api-key": KEY}, wrong=[KEY], client=Overshoot("x"))
        stream.join(30)
        assert stream.df["result"].tolist() == ["0", "15"]
        assert KEY not in repr(stream) + str(stream.__dict__)
        shown = magic(f"models --base-url {server.url} --extra-headers fields")
        assert shown["model"].tolist() == ["test/model"]
        for value, says in (
            ("wrong", "extra_headers must be a mapping"),
            (KEY, "--extra-headers takes the name of a variable"),
            ("fields --client client", "--extra-headers does not go with --client"),
        ):
            for command in (f'{clip} "n?"', "models"):
                with pytest.raises(UsageError, match=says) as got:
                    magic(f"{command} --extra-headers {value}")
                assert KEY not in str(got.value)
        for asked in interactive._clients.values():
            asked.close().result()
        interactive._clients.clear()


def test_a_key_variable_that_is_not_set_is_an_error_that_shows_no_key(clip, magic, monkeypatch):
    monkeypatch.delenv("GUARD_KEY", raising=False)
    with pytest.raises(UsageError, match="--key-env GUARD_KEY: there is no such environment"):
        magic(f'{clip} "n?" --key-env GUARD_KEY')
    with pytest.raises(UsageError) as got:
        magic(f'{clip} "n?" --key-env {KEY}')
    assert KEY not in str(got.value)


def test_the_parameters_of_watch_analyze_and_the_magic_are_one_list():
    watched, analyzed = names_of(overshoot_nb.watch), names_of(overshoot_nb.analyze)
    assert watched - analyzed == {"kept"}
    assert analyzed - watched == {"progress"}
    assert names_of(overshoot_nb.analyze_async) == analyzed
    assert list(inspect.signature(overshoot_nb.analyze).parameters) == list(
        inspect.signature(overshoot_nb.analyze_async).parameters
    )
    of_other_names = {
        "api_key": "key_env",
        "interval_seconds": "interval",
        "target_fps": "fps",
        "clip_length_seconds": "clip",
        "delay_seconds": "delay",
        "output_schema": "schema",
        "kept": "prompt_file",
    }
    options = {action.dest for action in _start_parser()._actions}
    taken = {of_other_names.get(name, name) for name in watched}
    # A client has extra_headers; the other ways take one whole, and so does --client.
    assert taken == options - {"help", "out", "extra_headers"}


def test_source_options_are_those_that_sources_have():
    from dataclasses import fields

    kinds = (overshoot_nb.FileSource, overshoot_nb.HLSSource, overshoot_nb.CameraSource)
    kinds += (overshoot_nb.ArraySource, overshoot_nb.Replay, overshoot_nb.RTSPSource)
    named = {field.name for kind in kinds for field in fields(kind) if field.init}
    what = {"path", "url", "device", "frames", "realtime"}
    assert named - what == set(SourceOptions.__annotations__)
