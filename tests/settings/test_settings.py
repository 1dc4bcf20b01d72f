"""The parameters of streams.create: the seed's defaults, inference of the mode, clear refusals."""

import inspect
import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overshoot_nb import (
    ArraySource,
    ClipProcessingConfig,
    FileSource,
    FrameProcessingConfig,
    FrameSource,
    HLSSource,
    InferenceConfig,
    ValidationError,
    config,
)
from overshoot_nb.client import Streams
from overshoot_nb.settings.stream_settings import (
    StreamParameters,
    StreamSettings,
    check_finite,
    expected_samples,
    processing_from,
)


def build(**parameters):
    return StreamSettings.build("clip.mp4", "Read any visible text", "local/read", **parameters)


def test_the_defaults_are_those_of_the_documented_sdk():
    assert FrameProcessingConfig() == FrameProcessingConfig(interval_seconds=0.5)
    assert ClipProcessingConfig() == ClipProcessingConfig(6, 0.5, 0.5)
    assert InferenceConfig("p", "m").output_schema_json is None
    settings = build()
    assert settings.mode == "frame"
    assert settings.processing == FrameProcessingConfig(0.5)
    assert settings.output_schema is None
    assert settings.max_output_tokens is None
    assert build(mode="clip").processing == ClipProcessingConfig(6, 0.5, 0.5)
    assert (settings.max_size, settings.jpeg_quality) == ((1280, 720), 80)


@pytest.mark.parametrize(
    "given_", [{"target_fps": 6}, {"clip_length_seconds": 0.5}, {"delay_seconds": 2}]
)
def test_clip_mode_is_inferred_from_clip_parameters_alone(given_):
    assert isinstance(processing_from(**given_), ClipProcessingConfig)
    assert isinstance(processing_from(mode="clip", **given_), ClipProcessingConfig)
    with pytest.raises(ValidationError, match=f"{next(iter(given_))}=.*belongs to clip mode"):
        processing_from(mode="frame", **given_)
    with pytest.raises(ValidationError, match="belongs to clip mode"):
        processing_from(interval_seconds=1, **given_)


def test_parameters_of_the_other_mode_are_refused_not_ignored():
    with pytest.raises(ValidationError, match="interval_seconds=2 belongs to frame mode"):
        build(mode="clip", interval_seconds=2)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"interval_seconds": 0}, "interval_seconds=0 .*60"),
        ({"interval_seconds": 60.5}, r"interval_seconds=60\.5 .*60"),
        ({"interval_seconds": float("nan")}, "interval_seconds=nan"),
        ({"interval_seconds": True}, "interval_seconds=True"),
        ({"target_fps": 31}, "target_fps=31 .*1 .*30"),
        ({"target_fps": 2.5}, r"target_fps=2\.5"),
        ({"clip_length_seconds": 0.05}, r"clip_length_seconds=0\.05 .*0\.1 .*60"),
        ({"delay_seconds": 0}, "delay_seconds=0"),
        ({"target_fps": 2, "clip_length_seconds": 1}, "2 frames a clip.*at least 3"),
        ({"mode": "video"}, "mode='video' .*one of 'frame', 'clip'"),
        ({"max_output_tokens": 0}, "max_output_tokens=0"),
        ({"output_schema": {"type": "strin"}}, "schema"),
        ({"output_schema": "string"}, "output_schema"),
        ({"max_in_flight": 0}, "max_in_flight=0 .*a whole number from 1"),
        ({"jpeg_quality": 101}, "jpeg_quality=101"),
        ({"max_size": 720}, "max_size=720"),
        ({"max_size": (0, 720)}, "max_size=.0, 720"),
        ({"clip_encoding": "gif"}, "clip_encoding='gif' .*one of 'images', 'video'"),
        ({"response_format": "xml"}, "response_format='xml' .*one of 'auto'"),
        ({"keep_frames": -1}, "keep_frames=-1"),
    ],
)
def test_each_bad_value_is_named_with_its_range(parameters, message):
    with pytest.raises(ValidationError, match=message):
        build(**parameters)


@pytest.mark.parametrize(
    ("prompt", "model", "message"),
    [("", "m", "prompt"), ("   ", "m", "prompt"), (None, "m", "prompt"), ("p", "", "model")],
)
def test_prompt_and_model_must_say_something(prompt, model, message):
    with pytest.raises(ValidationError, match=message):
        StreamSettings.build("clip.mp4", prompt, model)


def test_files_are_played_in_real_time_one_request_at_a_time_unless_said_otherwise():
    assert build().realtime
    assert build().max_in_flight == config.MAX_IN_FLIGHT
    fast = build(realtime=False)
    assert not fast.realtime
    assert fast.max_in_flight == config.MAX_IN_FLIGHT_BATCH
    assert fast.source == FileSource("clip.mp4", realtime=False)


def test_realtime_is_a_file_s_choice_and_refused_where_it_would_do_nothing():
    arrays = ArraySource([np.zeros((4, 4, 3), np.uint8)])
    with pytest.raises(ValidationError, match=r"realtime=True does not apply.*no clock"):
        StreamSettings.build(arrays, "p", "m", realtime=True)
    with pytest.raises(ValidationError, match=r"realtime=False does not apply.*paces itself"):
        StreamSettings.build("rtsp://camera.local/1", "p", "m", realtime=False)
    assert not StreamSettings.build(arrays, "p", "m", realtime=False).realtime
    assert StreamSettings.build("rtsp://camera.local/1", "p", "m", realtime=True).realtime


def test_keep_frames_is_bytes_or_yes_or_no():
    assert build().keep_frames == build(keep_frames=True).keep_frames == config.KEEP_FRAMES_BYTES
    assert build(keep_frames=False).keep_frames == build(keep_frames=0).keep_frames == 0
    assert build(keep_frames=1_000).keep_frames == 1_000


def test_every_optional_parameter_of_create_is_one_everywhere():
    """create(), the typed dictionary that analyze() takes, and build() must not drift apart."""
    create = set(inspect.signature(Streams.create).parameters)
    built = inspect.signature(StreamSettings.build).parameters
    optional = {name for name, p in built.items() if p.kind is p.KEYWORD_ONLY}
    assert set(StreamParameters.__annotations__) == optional
    assert create == optional | {"self", "source", "prompt", "model", "on_result", "on_error"}


def test_endless_sources_are_no_batch():
    check_finite(FileSource("clip.mp4"))
    check_finite(ArraySource([np.zeros((4, 4, 3), np.uint8)]))
    check_finite(HLSSource("http://h/may-be-finished.m3u8"))
    stream = FileSource("http://h/x.ts", live=True)
    for endless in (FileSource("clip.mp4", loop=True), stream, FrameSource(4, 4)):
        with pytest.raises(ValidationError, match="never ends"):
            check_finite(endless)


@given(
    interval=st.integers(1, 600).map(lambda n: n / 10),
    frames=st.integers(1, 2000),
    rate=st.sampled_from([10, 24, 30]),
)
def test_expected_samples_counts_the_ticks_before_the_end(interval, frames, rate):
    duration = Fraction(frames, rate)
    ticks = 0
    while ticks * Fraction(str(interval)) < duration:
        ticks += 1
    got = expected_samples(FrameProcessingConfig(interval), float(duration))
    # A float duration may lie a hair beside the exact one where a tick falls on the very end.
    assert abs(got - ticks) <= (Fraction(duration) % Fraction(str(interval)) == 0)


@pytest.mark.parametrize("rounding", [1_000, 1_000_000])
def test_as_many_samples_are_expected_as_frames_are_met(rounding):
    """Whatever the container made of the duration."""
    for rate in (Fraction(30), Fraction(60), Fraction(30_000, 1001), Fraction(60_000, 1001)):
        for frames in (61, 62, 91):
            duration = float(round(frames / rate * rounding) / rounding)
            assert expected_samples(FrameProcessingConfig(float(1 / rate)), duration) == frames


def test_expected_clips_need_their_fewest_frames():
    clips = ClipProcessingConfig(target_fps=6, clip_length_seconds=0.5, delay_seconds=0.5)
    assert expected_samples(clips, 0.3) == 0
    assert expected_samples(clips, 0.4) == 1
    assert expected_samples(clips, 10.0) == 20


# ---- changes -----------------------------------------------------------------------------------


def test_changes_keep_the_rest():
    before = StreamSettings.build("clip.mp4", "Read", "m", interval_seconds=2, jpeg_quality=50)
    after = before.changed({"prompt": "Count", "max_output_tokens": 9})
    assert (after.prompt, after.model, after.max_output_tokens) == ("Count", "m", 9)
    assert after.processing == FrameProcessingConfig(2)
    assert (after.jpeg_quality, after.source) == (50, before.source)
    assert before.prompt == "Read"


def test_a_change_of_mode_takes_the_other_modes_defaults():
    frames = StreamSettings.build("clip.mp4", "Read", "m", interval_seconds=2)
    clips = frames.changed({"mode": "clip", "clip_length_seconds": 1.0})
    assert clips.processing == ClipProcessingConfig(clip_length_seconds=1.0)
    again = clips.changed({"delay_seconds": 3})
    assert again.processing == ClipProcessingConfig(clip_length_seconds=1.0, delay_seconds=3)
    assert again.changed({"mode": "frame"}).processing == FrameProcessingConfig()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": " "}, "prompt="),
        ({"interval_seconds": 0}, "interval_seconds=0"),
        ({"target_fps": 6}, "target_fps=6 belongs to clip mode"),
        ({"mode": "clip", "target_fps": 99}, "target_fps=99"),
        ({"output_schema": {"type": "thing"}}, "output_schema"),
        ({"max_output_tokens": 0}, "max_output_tokens=0"),
        ({"source": "other.mp4"}, "source cannot be changed; what can is prompt, model"),
    ],
)
def test_changes_are_checked_as_at_the_start(changes, message):
    with pytest.raises(ValidationError, match=message):
        StreamSettings.build("clip.mp4", "Read", "m").changed(changes)


@pytest.mark.parametrize("third", [1 / 3, Fraction(1, 3), np.float64(1 / 3), np.float32(1 / 3)])
def test_numbers_of_other_kinds_become_pythons_own(third):
    settings = StreamSettings.build("clip.mp4", "?", "?", interval_seconds=third)
    assert settings.numbers == {"interval_seconds": 1 / 3}
    clips = processing_from(target_fps=np.int64(9), clip_length_seconds=third)
    assert json.loads(json.dumps(clips.clip_length_seconds)) == 1 / 3
    assert type(clips.target_fps) is int
