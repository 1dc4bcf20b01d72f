"""Which moment, frame and prompt a pushed result is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from overshoot_nb.gateway.matching import MEDIA_SECONDS, Matching
from overshoot_nb.gateway.publish.recent import RecentFrames
from overshoot_nb.gateway.result_message import ResultMessage, read_result
from overshoot_nb.settings.stream_settings import StreamSettings
from overshoot_nb.sources.kinds import FileSource
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.types import EncodedFrame

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
#: What the monotonic clock says then.
ZERO = 5_000.0


class Clock:
    """A monotonic clock, in seconds since the start."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return ZERO + self.seconds


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def message(received: float, **fields: Any) -> ResultMessage:
    """A result received so many seconds after the start."""
    values: dict[str, Any] = {
        "id": f"res-{received}",
        "stream_id": "s1",
        "mode": "frame",
        "model_name": "m",
        "prompt": "first",
        "result": "text",
        "inference_latency_ms": 200.0,
        "total_latency_ms": 300.0,
        "ok": True,
        "error": None,
        "finish_reason": "stop",
        "created_at": None,
        "received_at": at(received),
        "received_monotonic": ZERO + received,
    }
    return ResultMessage(**{**values, **fields})


def played(fps: float = 10, seconds: float = 20) -> RecentFrames:
    """Frame i, whose bytes are its number, is at media time i / fps, so long after the start."""
    recent = RecentFrames()
    for i in range(round(fps * seconds)):
        time = i / fps
        frame = EncodedFrame(time, str(i).encode(), 640, 360)
        recent.add(frame, ZERO + time)
    return recent


def version(number: int, text: str) -> PromptVersion:
    return PromptVersion(number, text, "m")


def matching(
    recent: RecentFrames | None = None, clock: Clock | None = None, **parameters: Any
) -> Matching:
    source = parameters.pop("source", "rtsp://somewhere/live")
    settings = StreamSettings.build(source, "first", "m", **parameters)
    schema = parameters.get("output_schema")
    first = PromptVersion(1, "first", "m", output_schema=schema)
    recent = recent if recent is not None else played()
    return Matching(settings, first, recent, first_index=7, clock=clock or Clock())


def test_the_frame_is_the_one_on_screen_when_the_server_took_it() -> None:
    sample, result = matching().row(message(5.0))
    moment = 5.0 - 0.3 - MEDIA_SECONDS
    assert sample.frames[0].data == str(int(moment * 10)).encode()
    assert sample.media_time == pytest.approx(moment, abs=1e-3)
    assert (sample.index, result.sample) == (7, 7)
    assert result.captured_at == sample.captured_at
    assert abs(result.captured_at - at(moment)) < timedelta(milliseconds=1)
    assert result.answered_at == at(5.0)
    assert result.frame_times == (sample.frames[0].media_time,)


def test_a_clock_of_the_users_is_that_of_what_the_server_saw() -> None:
    then = datetime(2020, 2, 29, tzinfo=UTC)
    sample, result = matching(source=FileSource("v.mp4", start_time=then)).row(message(5.0))
    assert result.captured_at == then + timedelta(seconds=sample.media_time)
    assert abs(sample.taken_at - at(5.0 - 0.3 - MEDIA_SECONDS)) < timedelta(milliseconds=1)
    assert result.total_latency_ms == 300
    recent = RecentFrames()
    recent.add(EncodedFrame(0.0, b"0", 640, 360, then), ZERO)
    sample, result = matching(recent).row(message(5.0))
    assert result.captured_at == sample.captured_at == then


def test_a_clip_has_the_frames_up_to_the_newest() -> None:
    clips = matching(mode="clip", target_fps=5, clip_length_seconds=1.0, delay_seconds=2.0)
    sample, result = clips.row(
        message(5.0, mode="clip", total_latency_ms=500 - 1e3 * MEDIA_SECONDS)
    )
    assert [f.data for f in sample.frames] == [b"37", b"39", b"41", b"43", b"45"]
    assert sample.media_time == pytest.approx(3.7)
    assert result.mode == "clip"
    assert len(result.frame_times) == 5


def test_results_that_come_late_are_dated_by_the_server_s_clock() -> None:
    one = matching()
    # The server's clock is an hour behind; messages take 20 ms.
    hour = 3600.0
    one.row(message(4.02, created_at=at(4.0 - hour)))
    sample, _ = one.row(message(15.0, created_at=at(6.0 - hour)))
    assert sample.media_time == pytest.approx(6.02 - 0.3 - MEDIA_SECONDS, abs=1e-3)
    # Without it, only the time of its arrival is known.
    sample, _ = matching().row(message(15.0))
    assert sample.media_time == pytest.approx(15.0 - 0.3 - MEDIA_SECONDS, abs=1e-3)


def test_indices_count_on_and_times_are_never_negative() -> None:
    one = matching()
    samples = [one.row(message(t, total_latency_ms=9_000.0))[0] for t in (1.0, 1.5, 2.0)]
    assert [s.index for s in samples] == [7, 8, 9]
    assert [s.media_time for s in samples] == [0.0, 0.0, 0.0]


def test_a_room_that_only_the_server_sees_has_times_and_no_frames() -> None:
    settings = StreamSettings.build("rtsp://somewhere/live", "first", "m")
    one = Matching(settings, version(1, "first"), None, first_index=0, clock=Clock())
    sample, result = one.row(message(10.0))
    assert sample.frames == ()
    assert result.frame_times == ()
    assert sample.media_time == pytest.approx(10 - 0.3 - MEDIA_SECONDS, abs=0.5)


@pytest.mark.parametrize(
    ("prompt", "received", "expected"),
    [
        ("first", 5.0, 1),
        ("second", 8.0, 2),
        ("first", 8.0, 1),  # asked before the change, answered after it
        ("first", 12.0, 3),  # the same text again
        ("second", 12.0, 2),
        ("Second.", 12.0, 3),  # the server's own words: what was in force then
        ("Second.", 9.0, 2),
    ],
)
def test_rows_know_which_prompt_made_them(prompt: str, received: float, expected: int) -> None:
    clock = Clock()
    one = matching(clock=clock)
    clock.seconds = 6.0
    assert one.asked(version(2, "second"))
    clock.seconds = 10.0
    assert one.asked(version(3, "first"))
    _, result = one.row(message(received, prompt=prompt))
    assert result.prompt_version == expected
    assert result.prompt == prompt


def test_a_prompt_that_the_server_refused_made_no_row() -> None:
    one = matching()
    refused = version(2, "second")
    one.asked(refused)
    one.not_asked(refused)
    assert one.row(message(5.0, prompt="odd"))[1].prompt_version == 1


def test_a_prompt_that_is_in_force_already_is_not_asked_anew() -> None:
    one = matching()
    second = version(2, "second")
    assert one.asked(second)
    assert not one.asked(second)
    assert one.row(message(5.0, prompt="odd"))[1].prompt_version == 2


@pytest.mark.parametrize("created", [True, False])
@pytest.mark.parametrize("step", [30.0, -30.0, 3600.0, -3600.0])
@pytest.mark.parametrize("whose", ["ours", "the server's"])
def test_clocks_that_are_set(whose: str, step: float, created: bool) -> None:
    recent = played(seconds=60)
    one = matching(recent)
    for n in range(5, 300):
        seconds = n / 5
        ours = theirs = seconds
        if seconds >= 20:
            ours += step if whose == "ours" else 0
            theirs += step if whose != "ours" else 0
        _, row = one.row(
            message(
                seconds,
                received_at=at(ours),
                created_at=at(theirs - 0.02 - 500) if created else None,
            )
        )
        assert row.media_time == pytest.approx(seconds - 0.3 - MEDIA_SECONDS, abs=0.05)
        assert abs(row.captured_at - at(ours - 0.3 - MEDIA_SECONDS)) < timedelta(seconds=0.05)


def test_a_server_s_clock_that_steps_back_a_little_is_known_again_in_time() -> None:
    one = matching(played(seconds=170))
    for seconds in range(1, 160):
        theirs = seconds - (0.5 if seconds >= 20 else 0)
        _, row = one.row(message(float(seconds), created_at=at(theirs)))
    assert row.media_time == pytest.approx(159 - 0.3 - MEDIA_SECONDS, abs=1e-3)


@pytest.mark.parametrize("nonsense", [-1.0, -5e9, 1e9, 1e15, 1e20, float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["total_latency_ms", "inference_latency_ms"])
def test_latencies_that_cannot_be_are_none(name: str, nonsense: float) -> None:
    one = matching()
    one.asked(version(2, "second"))
    sample, row = one.row(message(5.0, prompt="odd", **{name: nonsense}))
    assert getattr(row, name) == 0
    total = row.total_latency_ms / 1e3
    assert sample.media_time == pytest.approx(5 - total - MEDIA_SECONDS, abs=1e-3)
    assert one.row(message(6.0))[0].media_time == pytest.approx(6 - 0.3 - MEDIA_SECONDS, abs=1e-3)


@pytest.mark.parametrize("when", [datetime.min, datetime.max])
def test_a_date_that_cannot_be_spoils_nothing(when: datetime) -> None:
    one = matching()
    one.row(message(4.0, created_at=at(4.0)))
    for seconds, created_at in ((5.0, when.replace(tzinfo=UTC)), (6.0, at(6.0)), (7.0, at(7.0))):
        row = one.row(message(seconds, created_at=created_at))[1]
        assert row.media_time == pytest.approx(seconds - 0.3 - MEDIA_SECONDS, abs=1e-3)


@pytest.mark.parametrize("latency", [0.5, 6.0, 50.0])
def test_long_clips_are_still_known_when_they_are_answered(latency: float) -> None:
    clips = {"mode": "clip", "target_fps": 6, "clip_length_seconds": 60, "delay_seconds": 10}
    recent = RecentFrames(max_bytes=1_000_000)
    one = matching(recent, **clips)
    for i in range(2400):
        recent.add(EncodedFrame(i / 10, b"%06d" % i * 400, 2, 2), ZERO + i / 10)
    sample, row = one.row(message(240.0, mode="clip", total_latency_ms=latency * 1e3))
    first = 240 - latency - MEDIA_SECONDS - 359 / 6
    assert row.media_time == pytest.approx(first, abs=1e-3)
    assert len(sample.frames) == 360
    oldest = 240 - 1_000_000 / 2_400 / 10
    times = [frame.media_time for frame in sample.frames]
    for i, time in enumerate(times):
        expected = max(first + i / 6, oldest)
        assert time == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize("text", ["no JSON", '{"result": "no id"}', "lone \udc80"])
def test_a_message_without_an_id_is_known_again(text: str) -> None:
    assert read_result(text, "s").id == read_result(text, "s").id
    assert read_result(text, "s").id != read_result(text + " ", "s").id


def test_structured_answers_are_checked_here_too() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    one = matching(output_schema=schema)
    _, good = one.row(message(5.0, result='{"n": 3}'))
    assert (good.ok, good.output, good.error) == (True, {"n": 3}, None)
    _, bad = one.row(message(6.0, result='{"n": "three"}'))
    assert (bad.ok, bad.output) == (False, None)
    assert "n" in (bad.error or "")
    _, refused = one.row(message(7.0, result="", ok=False, error="no skill"))
    assert (refused.ok, refused.error) == (False, "no skill")


@pytest.mark.parametrize(
    ("rule", "answer"),
    [({"$dynamicRef": "#gone"}, '{"n": 3}'), ({"multipleOf": 0.5}, f'so {{"n": {"9" * 400}}}')],
)
def test_an_answer_that_cannot_be_checked_ends_nothing(rule: dict[str, Any], answer: str) -> None:
    one = matching(output_schema={"type": "object", "properties": {"n": rule}})
    _, row = one.row(message(5.0, result=answer))
    assert (row.ok, row.output) == (False, None)
    assert "could not be checked" in (row.error or "")


def test_when_the_end_was_answered() -> None:
    one = matching()  # the newest frame is of 19.9 s
    assert not one.seen_until_end()
    one.row(message(19.0))
    assert not one.seen_until_end()
    one.row(message(20.2))  # taken at 19.82: the next one would be after the end
    assert one.seen_until_end()


@pytest.mark.parametrize(
    ("fields", "ok", "said", "output"),
    [
        ({"result": '{"people": 3}', "reasoning": "hm"}, True, None, {"people": 3}),
        ({"result": "", "reasoning": "hm"}, False, "all reasoning", None),
        ({"result": " "}, False, "is empty", None),
        ({"result": "", "ok": False, "error": "busy"}, False, "busy", None),
    ],
)
def test_reasoning_is_no_part_of_a_pushed_answer(fields, ok, said, output) -> None:
    schema = {"type": "object", "properties": {"people": {"type": "integer"}}}
    _, result = matching(output_schema=schema).row(message(5.0, **fields))
    assert (result.ok, result.output) == (ok, output)
    assert (result.error is None) if said is None else (said in (result.error or ""))
    assert result.reasoning == fields.get("reasoning")


def test_a_pushed_answer_can_be_judged_beforehand() -> None:
    told = matching()
    pushed = message(5.0, result="text")
    assert told.row(pushed, told.judged(pushed))[1].ok
