"""FrameStore: the newest pictures, bounded in bytes, clear about those it has not."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from overshoot_nb import config
from overshoot_nb.errors import (
    MissingDependencyError,
    OvershootError,
    SampleNotKeptError,
    ValidationError,
)
from overshoot_nb.store.frames import FrameStore
from overshoot_nb.store.stored_sample import StoredSample
from overshoot_nb.types import EncodedFrame, Sample

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def frame(size: int, media_time: float = 0.0) -> EncodedFrame:
    """A frame of so many bytes, which are no picture."""
    return EncodedFrame(media_time, bytes(size), 640, 360)


def sample(index: int, *frames: EncodedFrame, video: bytes | None = None) -> Sample:
    mode = "frame" if len(frames) == 1 else "clip"
    return Sample(index, mode, index / 2, NOW, frames, video)


def store_of(count: int, size: int, max_bytes: int) -> FrameStore:
    store = FrameStore(max_bytes)
    for i in range(count):
        store.put(sample(i, frame(size)))
    return store


def picture(colour: tuple[int, int, int], width: int = 64, height: int = 48) -> EncodedFrame:
    pixels = np.full((height, width, 3), colour, np.uint8)
    return EncodedFrame(0.0, simplejpeg.encode_jpeg(pixels, quality=95), width, height)


# ---- keeping and dropping ----------------------------------------------------------------------


def test_is_a_mapping_in_the_order_of_the_samples() -> None:
    store = store_of(3, 10, 1000)
    assert isinstance(store, Mapping)
    assert list(store) == [0, 1, 2]
    assert len(store) == 3
    assert 2 in store
    assert 3 not in store
    assert [s.index for s in store.values()] == [0, 1, 2]
    assert store.get(7) is None
    assert store.latest is not None
    assert store.latest.index == 2
    assert store.nbytes == 30
    assert store != store_of(3, 10, 1000)


def test_the_oldest_go_first() -> None:
    store = store_of(10, 10, 45)
    assert list(store) == [6, 7, 8, 9]
    assert store.nbytes == 40
    store.put(sample(10, frame(30)))
    assert list(store) == [9, 10]


def test_exactly_full_drops_nothing() -> None:
    assert len(store_of(4, 10, 40)) == 4


def test_the_default_is_the_packages_own() -> None:
    assert FrameStore().max_bytes == config.KEEP_FRAMES_BYTES


def test_zero_bytes_keep_none() -> None:
    store = store_of(3, 10, 0)
    assert len(store) == 0
    assert store.latest is None
    store.put(sample(3))  # not even one without pictures
    assert len(store) == 0


def test_a_negative_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="max_bytes=-1 is negative"):
        FrameStore(-1)


def test_one_too_large_by_itself_drops_no_other() -> None:
    store = store_of(2, 10, 50)
    store.put(sample(2, frame(51)))
    assert list(store) == [0, 1]


def test_the_bytes_are_shared_not_copied() -> None:
    store = FrameStore()
    taken = sample(0, frame(100), frame(100), video=bytes(50))
    store.put(taken)
    assert store[0].sample is taken
    assert store[0].frames[1].data is taken.frames[1].data
    assert store[0].video is taken.video
    assert store.nbytes == store[0].nbytes == 250


def test_pictures_that_clips_share_count_once() -> None:
    frames = [frame(10) for _ in range(6)]
    store = FrameStore(50)
    for i in range(3):  # 0-3, 1-4, 2-5: six pictures in all, twelve with repeats
        store.put(sample(i, *frames[i : i + 4]))
    assert list(store) == [1, 2]
    assert store.nbytes == 50


def test_a_sample_put_again_replaces_the_first() -> None:
    store = store_of(3, 10, 100)
    store.put(sample(1, frame(25)))
    assert store.nbytes == 45
    assert sorted(store) == [0, 1, 2]
    assert store[1].nbytes == 25


@settings(deadline=None)
@given(
    st.integers(0, 60),
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4), max_size=30),
)
def test_bytes_are_those_of_the_pictures_held(max_bytes: int, clips: list[list[int]]) -> None:
    pictures = [frame(5 + k) for k in range(10)]
    store = FrameStore(max_bytes)
    for i, clip in enumerate(clips):
        store.put(sample(i, *(pictures[k] for k in clip)))
        held = {id(f.data): len(f.data) for s in store.values() for f in s.frames}
        assert store.nbytes == sum(held.values()) <= max_bytes
        kept = list(store)
        assert kept == sorted(kept)


def test_threads_put_while_others_look() -> None:
    store = FrameStore(1000)
    done = threading.Event()
    problems: list[BaseException] = []

    def look() -> None:
        try:
            while not done.is_set():
                assert store.nbytes <= 1010
                for index in store:
                    if (stored := store.get(index)) is not None:
                        assert stored.index == index
                repr(store)
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=look)
    thread.start()
    for i in range(5000):
        store.put(sample(i, frame(10)))
    done.set()
    thread.join()
    assert problems == []
    assert list(store) == list(range(4900, 5000))


# ---- what it has not ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("store", "index", "message"),
    [
        (
            store_of(401, 1024**2, 281 * 1024**2),
            3,
            "sample 3 was dropped from the store (it keeps the last 281 MB: samples 120..400)",
        ),
        (store_of(401, 10, 1000), 9000, "no sample 9000 yet (the newest is 400)"),
        (FrameStore(), 0, "no sample 0 yet (none was taken)"),
        (
            store_of(2, 10, 0),
            1,
            "sample 1 was not kept: this store keeps no pictures (0 bytes)",
        ),
        (store_of(2, 10, 100), -1, "no sample -1: samples count from 0, and .latest is the newest"),
        (store_of(2, 10, 100), "a", "'a' is no sample index: an index is an integer, 0 or more"),
        (store_of(2, 10, 100), 0.5, "0.5 is no sample index: an index is an integer, 0 or more"),
    ],
)
def test_says_why_a_sample_is_not_there(store: FrameStore, index: Any, message: str) -> None:
    with pytest.raises(SampleNotKeptError) as caught:
        store[index]
    assert str(caught.value) == message
    assert isinstance(caught.value, KeyError)
    assert isinstance(caught.value, OvershootError)


def test_an_index_from_a_dataframe_works() -> None:
    store = store_of(3, 10, 20)
    assert store[np.int64(2)].index == 2  # type: ignore[index]
    with pytest.raises(SampleNotKeptError, match="sample 0 was dropped"):
        store[np.int64(0)]  # type: ignore[index]


def test_repr_says_what_is_kept() -> None:
    assert repr(FrameStore()) == "FrameStore(no samples; 0 MB of 256 MB)"
    store = store_of(401, 1024**2, 281 * 1024**2)
    assert repr(store) == "FrameStore(samples 120..400; 281 MB of 281 MB)"


# ---- looking at them ---------------------------------------------------------------------------


def test_what_is_known_of_a_stored_sample() -> None:
    taken = sample(4, picture((255, 0, 0)))
    stored = StoredSample(taken)
    assert (stored.index, stored.mode, stored.media_time) == (4, "frame", 2.0)
    assert (stored.captured_at, stored.frames) == (NOW, taken.frames)
    assert stored.video is None
    assert repr(stored) == "<sample 4 at 2 s: 1 frame, 64x48>"


def test_image_is_a_pillow_image() -> None:
    pytest.importorskip("PIL")
    stored = StoredSample(sample(0, picture((255, 0, 0)), picture((0, 0, 255), 32, 16)))
    assert stored.image().size == (64, 48)
    assert stored.image(-1).size == (32, 16)
    red, green, blue = stored.image(0).convert("RGB").getpixel((5, 5))
    assert red > 240
    assert max(green, blue) < 15
    with pytest.raises(IndexError, match="sample 0 has 2 frames, no frame 2"):
        stored.image(2)


def test_image_without_pillow_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] == "PIL":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match="pip install pillow"):
        StoredSample(sample(0, picture((1, 2, 3)))).image()


def test_a_frame_is_shown_as_the_bytes_that_were_sent() -> None:
    taken = sample(0, picture((255, 0, 0)))
    assert StoredSample(taken)._repr_jpeg_() is taken.frames[0].data


def test_a_clip_is_shown_as_a_strip_in_time_order() -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    shown = StoredSample(sample(0, *(picture(c) for c in colours)))._repr_jpeg_()
    assert shown is not None
    strip = simplejpeg.decode_jpeg(shown)
    assert strip.shape == (48, 3 * 64, 3)
    for k, colour in enumerate(colours):
        assert np.abs(strip[24, 64 * k + 32].astype(int) - colour).max() < 20


def test_a_long_clip_of_large_frames_becomes_a_small_strip() -> None:
    frames = [picture((k * 4, 0, 0), 1280, 720) for k in range(50)]
    shown = StoredSample(sample(0, *frames))._repr_jpeg_()
    assert shown is not None
    strip = simplejpeg.decode_jpeg(shown)
    assert strip.shape == (180, 12 * 320, 3)
    first, last = strip[90, 160, 0], strip[90, -160, 0]
    assert first < 10
    assert last > 185


def test_frames_of_different_sizes_make_a_strip_too() -> None:
    stored = StoredSample(sample(0, picture((255, 0, 0), 64, 48), picture((0, 0, 255), 33, 21)))
    shown = stored._repr_jpeg_()
    assert shown is not None
    assert simplejpeg.decode_jpeg(shown).shape == (48, 97, 3)


def test_a_sample_without_frames_shows_no_picture() -> None:
    stored = StoredSample(sample(0, video=b"mp4"))
    assert stored._repr_jpeg_() is None
    assert repr(stored) == "<sample 0 at 0 s: 0 frames>"


def test_a_broken_picture_is_one_clear_error() -> None:
    broken = EncodedFrame(0.0, b"no JPEG", 10, 10)
    stored = StoredSample(Sample(3, "frame", 0.0, datetime(2026, 1, 1, tzinfo=UTC), (broken,)))
    with pytest.raises(ValidationError, match="sample 3: frame 0 is a broken JPEG"):
        stored.image()
