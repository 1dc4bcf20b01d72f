"""Whatever holds pictures becomes samples."""

from __future__ import annotations

import asyncio
import gc
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
import simplejpeg
from PIL import Image

from overshoot_nb import Overshoot
from overshoot_nb.errors import ValidationError
from overshoot_nb.running.run_registry import find_run
from overshoot_nb.store.frames import FrameStore
from overshoot_nb.store.stored_sample import StoredSample
from overshoot_nb.tuning.pictures import Subject, run_behind, subject_of
from overshoot_nb.types import EncodedFrame, Sample

from chatserver import ChatServer
from videos import (
    barcode,
    corners_of,
    exif_jpeg,
    four_corners,
    make_video,
    mean_colour,
    number_in,
    solid,
)

RED, GREEN = (200, 30, 30), (20, 160, 40)


def jpeg(picture: np.ndarray) -> bytes:
    return simplejpeg.encode_jpeg(picture, 90)


def sample(index: int, media_time: float | None = None) -> Sample:
    at = float(index) if media_time is None else media_time
    frame = EncodedFrame(at, jpeg(barcode(index)), 160, 96)
    return Sample(index, "frame", at, datetime(2026, 1, 1, tzinfo=UTC), (frame,))


def read(subject: Subject) -> list[Sample]:
    return [subject.read(index) for index in subject.media_time]


def only(what) -> EncodedFrame:
    (found,) = read(subject_of(what))
    (frame,) = found.frames
    return frame


# ---- pictures from elsewhere -------------------------------------------------------------------


def test_a_jpeg_stays_as_it_is(tmp_path):
    data = jpeg(barcode(5))
    path = tmp_path / "five.jpg"
    path.write_bytes(data)
    for what in (data, [bytearray(data)], path, [str(path)]):
        frame = only(what)
        assert frame.data == data
        assert (frame.width, frame.height) == (160, 96)


def test_pictures_are_encoded_as_a_stream_would(tmp_path):
    large = solid(GREEN, 2560, 1440)
    path = tmp_path / "large.png"
    Image.fromarray(large).save(path)
    for what in (large, Image.fromarray(large), path, jpeg(large)):
        frame = only(what)
        assert (frame.width, frame.height) == (1280, 720)
        assert mean_colour(frame.data) == pytest.approx(GREEN, abs=4)


@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
def test_arrays_of_each_kind(channels):
    frame = only(np.full((40, 60, *channels), 128, np.uint8))
    assert mean_colour(frame.data) == pytest.approx((128, 128, 128), abs=3)


def test_one_array_of_many_pictures():
    found = read(subject_of(np.stack([barcode(3), barcode(9)])))
    assert [number_in(s.frames[0].data) for s in found] == [3, 9]


def test_a_photo_that_lies_on_its_side_is_turned(tmp_path):
    lying = np.vstack([solid(RED, 64, 32), solid(GREEN, 64, 32)])
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by 90 degrees to see it upright
    path = tmp_path / "photo.jpg"
    Image.fromarray(lying).save(path, exif=exif, quality=95)
    for what in (path, Image.open(path), path.read_bytes()):
        frame = only(what)
        picture = simplejpeg.decode_jpeg(frame.data)
        left, right = picture[:, :24].mean((0, 1)), picture[:, -24:].mean((0, 1))
        assert left == pytest.approx(GREEN, abs=8)
        assert right == pytest.approx(RED, abs=8)


@pytest.mark.parametrize(
    ("orientation", "corners"), [(2, "GRWB"), (4, "BWRG"), (5, "RBGW"), (7, "WGBR")]
)
def test_a_photo_that_is_mirrored_is_shown_as_it_was(orientation, corners):
    assert corners_of(only(exif_jpeg(four_corners(), orientation)).data) == corners


def test_pictures_are_numbered_in_their_order():
    found = read(subject_of([barcode(7), jpeg(barcode(8)), Image.fromarray(barcode(9))]))
    assert [(s.index, number_in(s.frames[0].data)) for s in found] == [(0, 7), (1, 8), (2, 9)]


def test_samples_keep_their_own_numbers_unless_two_are_the_same():
    kept = read(subject_of([sample(4), StoredSample(sample(2))]))
    assert [s.index for s in kept] == [4, 2]
    clash = read(subject_of([sample(4), sample(4, 9.0)]))
    assert [(s.index, s.media_time) for s in clash] == [(0, 4.0), (1, 9.0)]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (5, "int holds no pictures"),
        ([], "no sample"),
        ([object()], "picture 0 is no picture, but object"),
        ([b"nothing"], "picture 0 cannot be read as an image"),
        ([b"\xff\xd8\xff\xe0 cut off"], "picture 0 "),
        ([np.zeros((4, 4, 3))], "float64"),
        ([np.zeros((4, 4, 2), np.uint8)], r"\(4, 4, 2\)"),
        (np.zeros((0, 4, 3), np.uint8), "uint8"),
        (pd.DataFrame({"sample": [1]}), "stream_id"),
        (pd.DataFrame({"sample": [1], "stream_id": ["stream_gone"]}), "are gone"),
        (pd.DataFrame({"sample": [], "stream_id": []}), "no rows of a stream"),
    ],
)
def test_what_holds_no_pictures_is_refused(what, said):
    with pytest.raises(ValidationError, match=said):
        subject_of(what)


def test_a_video_is_told_from_a_picture(tmp_path):
    with pytest.raises(ValidationError, match="is a video"):
        subject_of(make_video(tmp_path / "v.mp4", 5))
    with pytest.raises(FileNotFoundError):
        subject_of(tmp_path / "nothing.png")


# ---- which ones --------------------------------------------------------------------------------


def store_of(*samples: Sample, max_bytes: int = 10**6) -> FrameStore:
    store = FrameStore(max_bytes)
    for each in samples:
        store.put(each)
    return store


def test_the_last_seconds_and_chosen_ones():
    store = store_of(*map(sample, range(6)))
    for what in (store, list(store.values()), type("Kept", (), {"frames": store})()):
        assert list(subject_of(what).media_time) == [0, 1, 2, 3, 4, 5]
        assert list(subject_of(what, last=2).media_time) == [3, 4, 5]
        assert list(subject_of(what, samples=[4, 1, 4]).media_time) == [4, 1]


def test_samples_that_cannot_be_asked_about_are_refused():
    never = EncodedFrame(float("nan"), jpeg(barcode(1)), 160, 96)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for what, said in (
        ([never], "picture 0 has media_time=nan"),
        ([Sample(3, "frame", float("inf"), at, (never,))], "sample 3 has media_time=inf"),
        ([Sample(3, "frame", 0.0, at, ())], "sample 3 has no pictures"),
        (np.array(3, np.uint8), r"picture 0 is an array of shape \(\)"),
    ):
        with pytest.raises(ValidationError, match=said):
            subject_of(what)


def test_samples_that_a_stream_drops_meanwhile_are_left_out():
    class Dropping(FrameStore):
        """One that a stream goes on filling while it is looked at."""

        def __getitem__(self, index):
            if index == 0:
                self.put(sample(self.latest.index + 1))
            return super().__getitem__(index)

    store = Dropping(sum(sample(number).nbytes for number in range(4)))
    for number in range(4):
        store.put(sample(number))
    assert 0 not in list(subject_of(store).media_time)
    assert 0 not in store


def test_what_left_a_store_is_listed():
    size = sample(0).nbytes
    store = store_of(*map(sample, range(6)), max_bytes=2 * size + size // 2)
    found = subject_of(store, samples=[0, 5])
    assert list(found.media_time) == [5]
    assert list(found.missing) == [0]
    assert "dropped from the store" in found.missing[0]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"last": 0}, "last=0"),
        ({"last": "60"}, "last='60'"),
        ({"last": 5, "samples": [1]}, "not both"),
        ({"samples": 3}, "samples=3"),
        ({"samples": [True]}, "True"),
        ({"samples": [-1]}, "-1"),
        ({"samples": []}, "no sample"),
    ],
)
def test_bad_choices_are_refused(parameters, said):
    with pytest.raises(ValidationError, match=said):
        subject_of([sample(0), sample(1)], **parameters)
    with pytest.raises(LookupError, match="no sample 7: there are 2, from 0 to 1"):
        subject_of([sample(0), sample(1)], samples=[7])


# ---- of a stream -------------------------------------------------------------------------------


def test_a_stream_its_frames_and_its_rows_are_the_same_samples(tmp_path):
    video = make_video(tmp_path / "v.mp4", 60, fps=10)

    async def watch(server: ChatServer) -> None:
        async with Overshoot(base_url=server.url) as client:
            stream = await client.streams.create(video, "?", "m", realtime=False)
            await stream.wait()
            df = stream.df
            for what in (stream, stream._run, df):
                found = subject_of(what)
                assert found.run is stream._run
                assert list(found.media_time) == list(range(12))
                assert found.result_ids == dict(zip(df["sample"], df["id"], strict=True))
                kept = [stream.frames[i].frames[0].data for i in range(12)]
                assert [s.frames[0].data for s in read(found)] == kept
            assert run_behind(stream.frames) is None
            assert list(subject_of(df[df["sample"] > 8]).media_time) == [9, 10, 11]
            picked = subject_of(df, samples=df["sample"][[1, 3]])
            assert list(picked.media_time) == [1, 3]
            with pytest.raises(LookupError, match="no sample 99"):
                subject_of(stream, samples=[99])
            with pytest.raises(LookupError, match="no sample 3"):
                subject_of(df.head(2), samples=[3])

            # Rows that were merged with others: samples that are floats, rows of no stream.
            notes = pd.DataFrame({"sample": [3, 4, 99], "note": list("abc")})
            merged = df.merge(notes, on="sample", how="outer")
            assert list(subject_of(merged).media_time) == list(range(12))
            merged["sample"] = merged["sample"].where(merged["stream_id"].notna())
            assert merged["sample"].dtype == "float64"
            assert list(subject_of(merged).media_time) == list(range(12))
            twice = subject_of(pd.concat([df.head(2), df.head(3)]))
            assert list(twice.media_time) == [0, 1, 2]
            with pytest.raises(ValidationError, match="each column once"):
                subject_of(pd.concat([df, df], axis=1))
            with pytest.raises(LookupError, match="no sample 99"):
                subject_of(df.assign(sample=99))

            await stream.restart()
            await stream.wait()
            assert len(stream.df["stream_id"].unique()) == 2
            assert list(subject_of(stream.df).media_time) == list(range(24))
            # Of the video's time in this run.
            assert list(subject_of(stream, last=1.0).media_time) == [21, 22, 23]

            other = await client.streams.create(video, "?", "m", realtime=False)
            await other.wait()
            with pytest.raises(ValidationError, match="rows of 3 streams"):
                subject_of(pd.concat([stream.df, other.df]))

    with ChatServer(lambda request: "yes") as server:
        asyncio.run(watch(server))


def test_frames_that_left_the_store_are_listed_and_not_needed_where_results_are_named(
    tmp_path, no_spill
):
    video = make_video(tmp_path / "v.mp4", 60, fps=10)

    async def watch(server: ChatServer) -> None:
        async with Overshoot(base_url=server.url) as client:
            stream = await client.streams.create(
                video, "?", "m", realtime=False, keep_frames=3 * 4000
            )
            await stream.wait()
            kept = list(stream.frames)
            assert 0 < len(kept) < 12
            found = subject_of(stream)
            assert list(found.media_time) == kept
            assert sorted(found.missing) == sorted(set(range(12)) - set(kept))
            assert "dropped from the store" in found.missing[0]
            named = subject_of(stream, by_result=True)
            assert list(named.media_time) == list(range(12))
            assert not named.missing
            assert named.read(0).frames == ()
            assert named.read(0).media_time == named.media_time[0] == 0.0

    with ChatServer(lambda request: "yes") as server:
        asyncio.run(watch(server))


def test_nobody_holds_a_stream_for_its_rows(tmp_path):
    video = make_video(tmp_path / "v.mp4", 20, fps=10)

    async def watch(server: ChatServer) -> pd.DataFrame:
        async with Overshoot(base_url=server.url) as client:
            stream = await client.streams.create(video, "?", "m", realtime=False)
            await stream.wait()
            assert find_run(stream.stream_id) is stream._run
            return stream.df

    with ChatServer(lambda request: "yes") as server:
        df = asyncio.run(watch(server))
    gc.collect()
    assert find_run(df["stream_id"].iloc[0]) is None
    with pytest.raises(ValidationError, match="are gone with the stream"):
        subject_of(df)
