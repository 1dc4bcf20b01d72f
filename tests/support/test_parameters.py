"""Names of parameters: unknown ones say what was meant, renamed ones work for a version."""

from __future__ import annotations

import traceback

import pytest

import overshoot_nb
from overshoot_nb import UnknownParameterError, ValidationError
from overshoot_nb.client import Streams
from overshoot_nb.support import parameters
from overshoot_nb.support.parameters import named_parameters

SECRET = "ovs_a_very_secret_key"


def streams() -> Streams:
    return overshoot_nb.Overshoot(base_url="local").streams


CALLS = {
    "create": (lambda **kw: streams().create("x.mp4", "p", "m", **kw), "interval_second"),
    "watch": (lambda **kw: overshoot_nb.watch("x.mp4", "p", "m", **kw), "base_ur"),
    "analyze": (lambda **kw: overshoot_nb.analyze("x.mp4", "p", "m", **kw), "api_kye"),
    "analyze_async": (lambda **kw: overshoot_nb.analyze_async("x.mp4", "p", **kw), "progres"),
    "compare": (lambda **kw: overshoot_nb.compare([], "p", **kw), "api_kye"),
    "restart": (lambda **kw: overshoot_nb.Stream.restart(None, **kw), "prompts"),
    "update": (lambda **kw: overshoot_nb.Stream.update(None, **kw), "temprature"),
    "backfill": (lambda **kw: overshoot_nb.Stream.backfill(None, "p", **kw), "schema"),
    "load": (lambda **kw: overshoot_nb.load("x.parquet", **kw), "clint"),
    "Overshoot": (overshoot_nb.Overshoot, "base_ur"),
    "FileSource": (lambda **kw: overshoot_nb.FileSource("x.mp4", **kw), "start_tiem"),
    "HLSSource": (lambda **kw: overshoot_nb.HLSSource("http://h/x.m3u8", **kw), "realtme"),
    "RTSPSource": (lambda **kw: overshoot_nb.RTSPSource("rtsp://h/x", **kw), "timout"),
    "RTMPSource": (lambda **kw: overshoot_nb.RTMPSource("rtmp://h/x", **kw), "timout"),
    "CameraSource": (overshoot_nb.CameraSource, "devise"),
    "LiveKitSource": (lambda **kw: overshoot_nb.LiveKitSource("wss://h", **kw), "tokne"),
    "ArraySource": (lambda **kw: overshoot_nb.ArraySource([], **kw), "fsp"),
    "Replay": (lambda **kw: overshoot_nb.Replay("x.parquet", **kw), "sped"),
    "FrameSource": (lambda **kw: overshoot_nb.FrameSource(4, **kw), "heigth"),
}
MEANT = {"api_kye": "api_key", "schema": "output_schema", "start_tiem": "start_time"}


@pytest.mark.parametrize("name", CALLS)
def test_an_unknown_parameter_says_which_was_meant_and_shows_no_value(name):
    call, slip = CALLS[name]
    with pytest.raises(UnknownParameterError, match=rf"^{name}: .* {slip}=; did you mean") as got:
        call(**{slip: SECRET})
    assert isinstance(got.value, ValidationError | TypeError)
    assert f"did you mean {MEANT.get(slip, '')}" in str(got.value)
    ours = traceback.TracebackException.from_exception(got.value, capture_locals=True)
    frames = [frame for frame in ours.stack if "/overshoot_nb/" in frame.filename]
    assert frames
    assert SECRET not in str([frame.locals for frame in frames])


def test_letters_in_another_order_and_names_like_nothing():
    with pytest.raises(UnknownParameterError, match="did you mean model="):
        streams().create("x.mp4", "p", modle="m")
    with pytest.raises(UnknownParameterError, match="it takes captured"):
        named_parameters(lambda captured: captured)(zzz=1)


def test_a_renamed_parameter_works_with_a_warning_at_the_callers_line(monkeypatch):
    monkeypatch.setitem(parameters.RENAMED, "FileSource", {"endless": "loop"})
    with pytest.warns(DeprecationWarning, match="endless= is now loop=") as warned:
        assert overshoot_nb.FileSource("x.mp4", endless=True).loop
    assert [w.filename for w in warned] == [__file__]
    with pytest.raises(ValidationError, match="give loop= alone"):
        overshoot_nb.FileSource("x.mp4", endless=True, loop=False)


def test_a_renamed_parameter_of_a_function(monkeypatch):
    @named_parameters
    def ask(question):
        return question

    monkeypatch.setitem(parameters.RENAMED, ask.__qualname__, {"prompt": "question"})
    with pytest.warns(DeprecationWarning, match="prompt= is now question=") as warned:
        assert ask(prompt="n?") == "n?"
    assert [w.filename for w in warned] == [__file__]


def test_what_was_renamed_goes_to_a_name_that_there_is():
    known = {
        takes.__qualname__.removesuffix(".__init__"): parameters.names_of(takes)
        for takes in (
            Streams.create,
            overshoot_nb.watch,
            overshoot_nb.analyze,
            overshoot_nb.compare,
            overshoot_nb.Overshoot.reinfer,
        )
    }
    for name, renamed in parameters.RENAMED.items():
        assert set(renamed.values()) <= known[name]


def test_names_of_the_version_before_still_work_and_say_the_new_one():
    with pytest.warns(DeprecationWarning, match="compare: schema= is now output_schema="):
        asked = overshoot_nb.compare([], "What?", "a model", schema={"type": "object"})
    with pytest.raises(ValidationError):
        asked.result(60)
    client = overshoot_nb.Overshoot("key", base_url="http://127.0.0.1:9/v1")
    with pytest.warns(DeprecationWarning, match="reinfer: max_tokens= is now max_output_tokens="):
        asked = client.reinfer("r", "What?", "a model", max_tokens=3)
    with pytest.raises(ValidationError, match="keeps no pictures"):
        asked.result(60)
