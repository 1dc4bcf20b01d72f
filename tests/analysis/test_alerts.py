"""Alerts on streams that run, against a real chat server on loopback."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
import time
import wave

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overshoot_nb import Overshoot, StreamClosedError, ValidationError
from overshoot_nb.analysis import alerts as alerts_module
from overshoot_nb.analysis.bell import bell_note, bell_wav
from overshoot_nb.analysis.triggers import Trigger
from overshoot_nb.runtime import side_thread

from chatserver import ChatServer, Reply, completion
from videos import make_video, number_in

MODEL = "test/model"
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": ["integer", "null"]}, "word": {"type": "string"}},
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> str:
    """Four seconds at 30 frames a second, each frame showing its number."""
    return str(make_video(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=120, fps=30))


@pytest.fixture(autouse=True)
def no_side_threads_left(monkeypatch):
    monkeypatch.setattr(side_thread, "LINGER_SECONDS", 0.05)
    yield
    deadline = time.monotonic() + 60
    while left := [t.name for t in threading.enumerate() if t.name.startswith("overshoot-alert")]:
        assert time.monotonic() < deadline, f"left running: {left}"
        time.sleep(0.01)


def numbered(request) -> str:
    return json.dumps({"n": number_in(request.jpegs[0]), "word": "<b>"})


def run(watch, clip, answer=numbered, **parameters):
    """A stream of samples 0.2 s apart, which waits for ``watch(stream)`` before it is answered."""
    ready = threading.Event()

    def held(request):
        ready.wait(60)
        return answer(request)

    parameters = {"interval_seconds": 0.2, "realtime": False, "max_in_flight": 1} | parameters

    async def main(url):
        async with Overshoot("key", base_url=url) as client:
            stream = await client.streams.create(
                clip, "n?", MODEL, output_schema=SCHEMA, **parameters
            )
            outcome = watch(stream)
            ready.set()
            await stream.wait(60)
            return stream, outcome

    with ChatServer(held) as server:
        return asyncio.run(asyncio.wait_for(main(server.url), 60))


def samples(results) -> list[int]:
    return [result.sample for result in results]


# ---- when it fires -------------------------------------------------------------------------------


def test_it_fires_once_for_each_time_that_the_condition_becomes_true(clip):
    seen = []
    stream, alert = run(lambda s: s.when("n > 30 and n < 60 or n > 100", seen.append), clip)
    # Sample k shows frame 6 k.
    assert samples(alert.fired) == samples(seen) == [6, 17]
    events = stream.df.overshoot.events("n > 30 and n < 60 or n > 100")
    assert events["start"].dt.total_seconds().tolist() == [r.media_time for r in alert.fired]
    assert alert.is_open
    assert stream.alerts == [alert]
    assert repr(alert).endswith(": fired 2 times, last at 0:03.4 (sample 17)>")


def test_hold_is_media_time_without_a_false_in_between(clip):
    flickers = {3: {"n": 0}, 9: {"n": None}}

    def answer(request):
        sample = number_in(request.jpegs[0]) // 6
        if sample == 12:
            return Reply(completion("no JSON"))
        return json.dumps(flickers.get(sample, {"n": 1}))

    def watch(stream):
        return [
            stream.when(condition, print, hold=hold)
            for condition in ("n == 1", "n > 0", "not n <= 0")
            for hold in (0.8, 1.0, 2.0)
        ]

    _, alerts = run(watch, clip, answer)
    # True from sample 4 to 8 (0.8 s), until null; and from 10 on (2 s): an answer that cannot be
    # used breaks nothing, and tells nothing.
    for short, longer, never in zip(*[iter(alerts)] * 3, strict=True):
        assert samples(short.fired) == [8, 14]
        assert samples(longer.fired) == [15]
        assert never.fired == []


def test_cooldown_is_media_time_since_it_fired(clip):
    def answer(request):
        return json.dumps({"n": number_in(request.jpegs[0]) // 6 % 2})

    _, (often, seldom) = run(
        lambda s: (s.when("n == 1", print), s.when("n == 1", print, cooldown=1.0)), clip, answer
    )
    assert samples(often.fired) == list(range(1, 20, 2))
    assert samples(seldom.fired) == [1, 7, 13, 19]


def test_a_restart_begins_anew(clip):
    async def main(url):
        async with Overshoot("key", base_url=url) as client:
            stream = await client.streams.create(
                clip, "n?", MODEL, output_schema=SCHEMA, interval_seconds=0.2
            )
            alert = stream.when("n >= 0", print, cooldown=100)
            while not alert.fired:
                await asyncio.sleep(0.01)
            await stream.restart()
            while len(alert.fired) < 2:
                await asyncio.sleep(0.01)
            await stream.close()
            return alert

    with ChatServer(numbered) as server:
        alert = asyncio.run(asyncio.wait_for(main(server.url), 60))
    first, second = alert.fired
    assert first.stream_id != second.stream_id


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3), st.booleans()), max_size=40),
    st.integers(0, 6),
    st.integers(0, 8),
)
def test_a_trigger_is_what_its_definition_says(steps, hold, cooldown):
    trigger = Trigger(hold, cooldown)
    time, last = 0, None
    known: list[tuple[int, bool]] = []
    for step, truth in steps:
        time += step
        known.append((time, truth))
        fires = trigger.fires("run", time, truth)
        falses = [t for t, other in known if not other]
        since = min(
            (t for t, other in known if other and t > max(falses, default=-1)), default=None
        )
        held = truth and since is not None and time - since >= hold
        rearmed = last is None or any(t > last for t in falses)
        cool = last is None or time - last >= cooldown
        assert fires == (held and rearmed and cool)
        if fires:
            last = time


def test_an_answer_that_comes_late_can_end_what_holds_and_begins_nothing():
    trigger = Trigger(hold=10, cooldown=0)
    assert not trigger.fires("run", 0, True)
    assert not trigger.fires("run", 8, True)
    assert not trigger.fires("run", 5, False)  # true since 8 at best
    assert not trigger.fires("run", 10, True)
    assert not trigger.fires("run", 3, True)
    assert trigger.fires("run", 18, True)
    assert not trigger.fires("run", 30, True)
    assert not trigger.fires("run", 20, False)  # late again, but after it fired
    assert trigger.fires("run", 40, True)


# ---- what follows --------------------------------------------------------------------------------


def test_a_function_takes_the_result_or_nothing_and_a_coroutine_is_awaited(clip, caplog):
    calls = []

    class Caller:
        def __call__(self, result):
            calls.append(("object", result.sample, threading.current_thread().name))

    async def later(result):
        await asyncio.sleep(0.02)
        calls.append(("coroutine", result.sample, threading.current_thread().name))

    def default(result=None):
        calls.append(("default", result.sample, ""))

    def watch(stream):
        for do in (lambda: calls.append(("none", None, "")), Caller(), later, default):
            stream.when("n == 6", do)

    run(watch, clip)
    assert sorted(kind for kind, _, _ in calls) == ["coroutine", "default", "none", "object"]
    assert {sample for _, sample, _ in calls} == {1, None}
    assert {name for _, _, name in calls} == {"", "overshoot-alert-action"}
    assert not caplog.records


def test_print_is_one_line(clip, capsys):
    run(lambda s: s.when("n == 6 or n == 12", print, name="early"), clip)
    assert capsys.readouterr().out == '0:00.2 early (sample 1): {"n": 6, "word": "<b>"}\n'


def test_the_bell_in_a_terminal_is_a_line_that_rings(clip, capsys, caplog):
    caplog.set_level(logging.INFO, "overshoot_nb")
    run(lambda s: s.when("n == 6", "bell"), clip)
    line = '0:00.2 n == 6 (sample 1): {"n": 6, "word": "<b>"}'
    assert capsys.readouterr().out == f"\a{line}\n"
    assert f"alert: {line}" in caplog.text


def test_the_bell_is_a_short_sound_and_a_note_that_says_no_more_than_text():
    with wave.open(io.BytesIO(bell_wav())) as sound:
        assert 0.3 < sound.getnframes() / sound.getframerate() < 1
        heights = sound.readframes(sound.getnframes())
    assert max(heights) > 200
    assert min(heights) < 60
    note = bell_note("<script>alert(1)</script>", ringing=True)._repr_html_()
    assert "<script>" not in note
    assert "&lt;script&gt;" in note
    assert "data:audio/wav;base64," in note
    assert len(note) < 8000
    assert "audio" not in bell_note("x", ringing=False)._repr_html_()


def test_an_exception_is_logged_and_kept_and_the_next_action_is_done(clip, caplog):
    calls = []

    def act(result):
        calls.append(result.sample)
        if result.sample == 1:
            raise OSError("no light")

    stream, alert = run(lambda s: s.when("n == 6 or n == 18", act), clip)
    assert calls == [1, 3]
    assert str(alert.error) == "no light"
    assert "the action of alert n == 6 or n == 18 raised OSError: no light" in caplog.text
    assert "its action failed: OSError" in repr(alert)
    assert len(stream.df) == 20
    assert stream.state == "ended"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
@pytest.mark.parametrize("kind", ["function", "coroutine"])
def test_an_action_may_raise_what_is_no_error(clip, error, kind, caplog):
    calls, heard = [], []

    def act(result):
        calls.append(result.sample)
        raise error

    async def act_later(result):
        act(result)

    do = act if kind == "function" else act_later
    stream, alert = run(lambda s: s.when("n == 6 or n == 18", do), clip, on_error=heard.append)
    assert calls == [1, 3]
    assert type(alert.error) is type(error)
    assert [type(one) for one in heard] == [type(error)] * 2
    assert f"raised {type(error).__name__}" in caplog.text
    assert stream.state == "ended"


def test_an_action_that_blocks_delays_neither_the_stream_nor_other_alerts(
    clip, monkeypatch, caplog
):
    monkeypatch.setattr(alerts_module, "WAITING", 2)
    release = threading.Event()
    began = []

    async def main(url):
        async with Overshoot("key", base_url=url) as client:
            stream = await client.streams.create(
                clip, "n?", MODEL, output_schema=SCHEMA, interval_seconds=0.2, realtime=False,
                max_in_flight=1,
            )  # fmt: skip

            def block():
                began.append(1)
                release.wait(60)

            blocked = stream.when("sample / 2 == round(sample / 2)", block)
            other = stream.when("n == 114", began.append)
            while stream.is_active or not other.idle:
                await asyncio.sleep(0.01)
            assert began[0] == 1
            assert began[-1].sample == 19
            assert len(began) == 2
            assert stream.stats.results == 20
            assert len(blocked.fired) == 10
            assert blocked.missed == 7  # one under way, two waiting
            assert "fires faster than its action is done" in caplog.text
            blocked.close()
            release.set()
            await stream.wait(60)
            await asyncio.sleep(0.1)
            assert len(began) == 2

    with ChatServer(numbered, delay=0.02) as server:
        asyncio.run(asyncio.wait_for(main(server.url), 60))


def test_wait_returns_when_actions_are_over_and_can_be_awaited_in_one(clip):
    order = []

    def watch(stream):
        async def last(result):
            order.append(await stream.wait())
            await asyncio.sleep(0.1)
            order.append("acted")

        stream.when("n == 114", last)

    run(watch, clip)
    assert [order[0].split(":")[0], order[1]] == ["ended", "acted"]


def test_closed_it_watches_no_more(clip):
    closed = []

    def watch(stream):
        def once(result):
            closed.append(result.sample)
            alert.close()
            alert.close()

        alert = stream.when("sample / 2 == round(sample / 2)", once)
        return alert

    stream, alert = run(watch, clip)
    assert closed == [0]
    assert not alert.is_open
    assert stream.alerts == []
    assert "closed" in repr(alert)


# ---- what is refused -----------------------------------------------------------------------------


def test_what_is_wrong_is_said_before_anything_is_watched(clip):
    def watch(stream):
        for arguments, problem in (
            (("m > 3", print), "there is no column m; there are out.n, out.word"),
            (("n > '3'", print), "a number on the left and a text on the right"),
            (("v2.n > 3", print), "there is no column v2.n"),
            (("n >", print), "something is missing"),
            (("n > 3", "ring"), "do='ring' is not valid"),
            (("n > 3", None), "do='None' is not valid"),
            (("n > 3", lambda a, b: 1), "cannot be called: it must take one argument"),
        ):
            with pytest.raises(ValidationError, match=problem):
                stream.when(*arguments)
        for options, problem in (
            ({"hold": -1}, "hold=-1 is not valid"),
            ({"cooldown": "1"}, "cooldown='1' is not valid"),
            ({"name": " "}, "name=' ' is not valid"),
        ):
            with pytest.raises(ValidationError, match=problem):
                stream.when("n > 3", print, **options)
        assert stream.alerts == []

    stream, _ = run(watch, clip)
    with pytest.raises(StreamClosedError, match=r"stream\.df\.overshoot\.events\('n > 3'\)"):
        stream.when("n > 3", print)


def test_a_schema_that_changes_is_followed(clip):
    async def main(url):
        async with Overshoot("key", base_url=url) as client:
            stream = await client.streams.create(
                clip, "n?", MODEL, output_schema=SCHEMA, interval_seconds=0.2
            )
            alert = stream.when("n >= 0", print, cooldown=0)
            while not alert.fired:
                await asyncio.sleep(0.01)
            other = {"type": "object", "properties": {"n": {"type": "number"}, "w": {}}}
            await stream.update(output_schema=other)
            newer = stream.when("n >= 0 and w == None", print)
            while not newer.fired:
                await asyncio.sleep(0.01)
            await stream.close()
            return alert

    with ChatServer(numbered) as server:
        alert = asyncio.run(asyncio.wait_for(main(server.url), 60))
    assert alert.error is None
    assert len(alert.fired) == 1
