"""Pictures that memory has no room for: the same bytes, wherever they are, within every bound."""

from __future__ import annotations

import gc
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overshoot_nb import config
from overshoot_nb.errors import SampleNotKeptError, ValidationError
from overshoot_nb.store import spill
from overshoot_nb.store.frames import FrameStore
from overshoot_nb.store.journal import Journal
from overshoot_nb.store.spill import Spill
from overshoot_nb.store.spill_file import SpillFile
from overshoot_nb.types import EncodedFrame, Sample

NOW = datetime(2026, 1, 1, 12, 30, 0, 123456, tzinfo=UTC)
KB = 1024


def picture(number: int, size: int = KB) -> EncodedFrame:
    """A frame of so many bytes that are its own."""
    data = random.Random(number).randbytes(size)
    return EncodedFrame(number / 3, data, 640 + number, 360)


def taken(index: int, size: int = KB) -> Sample:
    return Sample(index, "frame", index / 2, NOW, (picture(index, size),))


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.002)


def written(spill: Spill) -> None:
    """Wait until nothing is on its way any more."""
    until(lambda: not spill.nbytes_waiting)


@pytest.fixture
def disk(tmp_path: Path) -> Spill:
    return Spill(tmp_path, 1024 * KB)


class BlockedDisk:
    """A disk that writes nothing until it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()
        self.reached = threading.Event()
        write = SpillFile.write

        def slow(file: SpillFile, position: int, data: bytes) -> None:
            self.reached.set()
            assert self.open.wait(60)
            write(file, position, data)

        monkeypatch.setattr(SpillFile, "write", slow)


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[BlockedDisk]:
    disk = BlockedDisk(monkeypatch)
    yield disk
    disk.open.set()


# ---- where pictures are ------------------------------------------------------------------------


def test_the_same_sample_comes_back_from_memory_from_its_way_and_from_disk(
    disk: Spill, blocked: BlockedDisk
) -> None:
    store = FrameStore(2 * KB, spill=disk)
    for i in range(6):
        store.put(taken(i))
    assert blocked.reached.wait(60)
    assert store.nbytes == 6 * KB
    assert [store[i].sample for i in range(6)] == [taken(i) for i in range(6)]
    blocked.open.set()
    written(disk)
    assert store.nbytes == 2 * KB
    assert store.nbytes_on_disk == 4 * KB
    assert [store[i].sample for i in range(6)] == [taken(i) for i in range(6)]
    assert list(store) == [0, 1, 2, 3, 4, 5]
    assert len(store) == 6
    assert 0 in store
    assert 6 not in store
    assert store.latest is not None
    assert store.latest.index == 5
    assert repr(store) == "FrameStore(samples 0..5; 0.002 MB of 0.002 MB, 0.0039 MB on disk)"


def test_clips_with_a_video_come_back_whole_and_shared_pictures_are_written_once(
    disk: Spill,
) -> None:
    pictures = [picture(k) for k in range(9)]
    clips = [
        Sample(i, "clip", i / 2, NOW, (*pictures[i : i + 4], pictures[i + 3]), b"mp4" * (i + 1))
        for i in range(6)
    ]
    store = FrameStore(1, spill=disk)  # not even one fits
    for clip in clips:
        store.put(clip)
    written(disk)
    assert [store[i].sample for i in range(6)] == clips
    videos = sum(len(clip.video or b"") for clip in clips)
    assert store.nbytes_on_disk == 9 * KB + videos
    frames = store[2].frames
    assert frames[3].data is frames[4].data  # a clip of a slow video repeats its frames


def test_the_one_put_last_is_the_latest_also_on_disk(disk: Spill) -> None:
    store = FrameStore(2 * KB, spill=disk)
    store.put(taken(0))
    store.put(taken(1, 3 * KB))  # larger than memory
    written(disk)
    assert store.latest is not None
    assert store.latest.sample == taken(1, 3 * KB)
    assert list(store) == [0, 1]
    store.put(taken(2))
    assert store.latest.index == 2


def test_a_sample_put_again_replaces_the_one_on_disk(disk: Spill, blocked: BlockedDisk) -> None:
    store = FrameStore(KB, spill=disk)
    for i in range(4):
        store.put(taken(i))
    assert blocked.reached.wait(60)
    again = Sample(0, "frame", 0.0, NOW, (picture(99),))
    store.put(again)  # while the first is being written
    blocked.open.set()
    written(disk)
    assert store[0].sample == again
    store.put(taken(5))
    written(disk)
    assert store[0].sample == again
    assert sorted(store) == [0, 1, 2, 3, 5]


def test_all_of_it_can_leave_memory(disk: Spill) -> None:
    store = FrameStore(100 * KB, spill=disk)
    for i in range(50):
        store.put(taken(i))
    assert store.leave_memory()
    written(disk)
    assert store.nbytes == 0
    assert [store[i].sample for i in store] == [taken(i) for i in range(50)]


def test_what_nobody_can_write_stays_in_memory() -> None:
    store = FrameStore(100 * KB)
    store.put(taken(0))
    assert not store.leave_memory()
    assert store[0].sample == taken(0)


def test_samples_that_waited_too_many_for_the_limit_leave_memory_all_the_same(
    disk: Spill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "SPILL_WAITING_BYTES", 2 * KB)
    store = FrameStore(100 * KB, spill=disk)
    for i in range(50):
        store.put(taken(i))
    assert store.leave_memory()
    written(disk)
    assert len(store) == 50


class Archive:
    """Samples that a recording has."""

    nbytes = 77

    def __init__(self, *samples: Sample) -> None:
        self._samples = {sample.index: sample for sample in samples}

    @property
    def latest(self) -> int | None:
        return max(self._samples, default=None)

    def get(self, index: int) -> Sample | None:
        return self._samples.get(index)

    def indices(self) -> list[int]:
        return list(self._samples)

    def why_not(self, index: int) -> str:
        return f"the recording has no sample {index}"

    def __contains__(self, index: object) -> bool:
        return index in self._samples

    def close(self) -> None:
        self._samples.clear()


def test_samples_are_looked_for_in_memory_then_on_disk_then_in_the_archive(disk: Spill) -> None:
    archive = Archive(taken(0), taken(1), taken(2), taken(3))
    store = FrameStore(KB, spill=disk, backing=archive)
    assert store.latest is not None
    assert store.latest.sample == taken(3)
    assert list(store) == [0, 1, 2, 3]
    newer = {i: Sample(i, "frame", 0.0, NOW, (picture(100 + i),)) for i in (2, 3)}
    store.put(newer[2])
    store.put(newer[3])
    written(disk)
    assert [store[i].sample for i in range(4)] == [taken(0), taken(1), newer[2], newer[3]]
    assert list(store) == [0, 1, 2, 3]
    assert len(store) == 4
    assert store.nbytes_on_disk == KB + 77
    with pytest.raises(SampleNotKeptError, match="the recording has no sample 9"):
        store[9]


def test_a_sample_without_any_picture_in_the_archive_is_none(disk: Spill) -> None:
    store = FrameStore(KB, backing=Archive(taken(0), Sample(1, "clip", 0.5, NOW, ())))
    assert store[0].sample == taken(0)
    with pytest.raises(SampleNotKeptError, match="the recording has no sample 1"):
        store[1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"width": None}, "sample 1 is damaged: its frame 0 is Nonex360 at 0.5 s"),
        ({"height": 0}, "is 640x0"),
        ({"width": -5}, "is -5x360"),
        ({"width": 2**20, "height": 2**20}, "is 1048576x1048576"),
        ({"media_time": None}, "at None s"),
        ({"media_time": float("nan")}, "at nan s"),
    ],
)
def test_a_damaged_sample_of_the_archive_is_one_clear_error(changes: dict, said: str) -> None:
    frame = replace(EncodedFrame(0.5, b"JPEG", 640, 360), **changes)
    store = FrameStore(KB, backing=Archive(taken(0), Sample(1, "frame", 0.5, NOW, (frame,))))
    assert store[0].sample == taken(0)
    with pytest.raises(SampleNotKeptError, match=said):
        store[1]
    assert store.latest is None


def test_a_sample_is_found_while_it_moves_to_the_disk(tmp_path: Path) -> None:
    class Watched(Spill):
        """One that is looked at the moment before a sample comes to it."""

        def put(self, sample: Sample) -> None:
            look = threading.Thread(target=lambda: seen.append(store[sample.index].sample))
            look.start()
            look.join(60)
            super().put(sample)

    seen: list[Sample] = []
    store = FrameStore(KB, spill=Watched(tmp_path, 1024 * KB))
    for i in range(4):
        store.put(taken(i))
    assert seen == [taken(0), taken(1), taken(2)]


def test_a_sample_is_known_while_it_is_noted_down_as_written(disk: Spill) -> None:
    class Watched(dict):
        """Records that are looked for the moment before they are there."""

        def __setitem__(self, index: int, record: object) -> None:
            look = threading.Thread(target=lambda: seen.append(index in disk))
            look.start()
            look.join(0.05)  # it may have to wait until the record is there
            threads.append(look)
            super().__setitem__(index, record)

    seen: list[bool] = []
    threads: list[threading.Thread] = []
    disk._records = Watched()
    disk.put(taken(0))
    written(disk)
    until(lambda: threads and not threads[0].is_alive())
    assert seen == [True]


# ---- bounds ------------------------------------------------------------------------------------


def test_the_oldest_on_disk_go_when_it_is_full(tmp_path: Path) -> None:
    disk = Spill(tmp_path, 10 * KB)
    store = FrameStore(2 * KB, spill=disk)
    for i in range(40):
        store.put(taken(i))
        written(disk)
        assert store.nbytes_on_disk <= 10 * KB
        first = max(0, i - 11)
        assert list(store) == list(range(first, i + 1))
        assert all(store[k].sample == taken(k) for k in store)
    with pytest.raises(SampleNotKeptError) as caught:
        store[3]
    assert str(caught.value) == (
        "sample 3 was dropped from the store (it keeps the last 0.002 MB and 0.0098 MB on disk: "
        "samples 28..39)"
    )


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 60),
    st.integers(0, 200),
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4), max_size=30),
    st.randoms(use_true_random=False),
)
def test_what_is_found_is_what_was_put_whatever_the_sizes(
    tmp_path_factory: pytest.TempPathFactory,
    capacity: int,
    max_bytes: int,
    clips: list[list[int]],
    chance: random.Random,
) -> None:
    disk = Spill(tmp_path_factory.getbasetemp(), capacity)
    pictures = [picture(k, 1 + 3 * k) for k in range(10)]
    store = FrameStore(max_bytes, spill=disk)
    put: dict[int, Sample] = {}
    for i, clip in enumerate(clips):
        put[i] = Sample(i, "clip", i / 2, NOW, tuple(pictures[k] for k in clip))
        store.put(put[i])
        if chance.random() < 0.5:
            written(disk)
            assert store.nbytes <= max_bytes
        assert store.nbytes_on_disk <= capacity
        # Those that are being written may take the place of others at any moment.
        found = [(k, store.get(k)) for k in list(store)]
        assert all(stored is None or stored.sample == put[k] for k, stored in found)
    written(disk)
    assert all(store[k].sample == put[k] for k in store)
    if put and put[len(clips) - 1].nbytes <= max_bytes:
        assert len(clips) - 1 in store


def test_put_never_waits_for_the_disk_and_drops_the_oldest_that_wait(
    disk: Spill, blocked: BlockedDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "SPILL_WAITING_BYTES", 8 * KB)
    monkeypatch.setattr(spill, "BATCH_BYTES", 2 * KB)
    store = FrameStore(4 * KB, spill=disk)
    store.put(taken(0))
    for i in range(1, 7):
        store.put(taken(i))
    assert blocked.reached.wait(60)  # 0, or 0 and 1, are being written
    for i in range(7, 200):
        store.put(taken(i))  # the test would end here
        assert store.nbytes <= 12 * KB
    kept = list(store)
    being_written = [index for index in kept if index < 2]
    waiting = 8 - len(being_written)
    assert kept == [*being_written, *range(196 - waiting, 200)]
    blocked.open.set()
    written(disk)
    assert list(store) == kept
    assert all(store[i].sample == taken(i) for i in kept)


def test_a_store_that_keeps_nothing_keeps_nothing_on_disk(disk: Spill) -> None:
    store = FrameStore(0, spill=disk)
    store.put(taken(0))
    assert len(store) == 0
    assert store.nbytes_on_disk == 0
    assert Journal(None, 0).frames._spill is None


def test_the_disk_is_left_some_free_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    free = [8 * KB]
    monkeypatch.setattr(config, "SPILL_LEAVE_BYTES", 4 * KB)
    monkeypatch.setattr("overshoot_nb.store.spill_file._GROWTH", KB)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": free[0]})())
    disk = Spill(tmp_path, 1024 * KB)
    store = FrameStore(KB, spill=disk)
    with caplog.at_level(logging.WARNING, "overshoot_nb"):
        for i in range(20):
            store.put(taken(i))
            written(disk)
            free[0] = 8 * KB - store.nbytes_on_disk
    assert store.nbytes_on_disk == disk.max_bytes == 4 * KB
    assert list(store) == [15, 16, 17, 18, 19]
    assert all(store[i].sample == taken(i) for i in store)
    assert [record.message for record in caplog.records] == [
        f"the disk of {tmp_path} has room for no more than 0.0039 MB of pictures: the oldest are "
        "dropped"
    ]


def test_a_disk_without_any_room_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(config, "SPILL_LEAVE_BYTES", 2**60)
    disk = Spill(tmp_path)
    store = FrameStore(KB, spill=disk)
    with caplog.at_level(logging.WARNING, "overshoot_nb"):
        for i in range(10):
            store.put(taken(i))
            written(disk)
    assert list(store) == [9]
    assert len(caplog.records) == 1
    assert "no more pictures are kept on disk" in caplog.text
    with pytest.raises(SampleNotKeptError, match=r"none on disk: .*would be left free"):
        store[0]


@pytest.mark.parametrize(
    ("name", "problem"), [("gone", "No such file or directory"), ("file", "Not a directory")]
)
def test_a_folder_that_cannot_be_written_is_told_once(
    name: str, problem: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    disk = Spill(tmp_path / name)
    store = FrameStore(KB, spill=disk)
    with caplog.at_level(logging.WARNING, "overshoot_nb"):
        for i in range(10):
            store.put(taken(i))
            written(disk)
    assert list(store) == [9]
    assert len(caplog.records) == 1
    assert disk.failure == f"{tmp_path / name}: {problem}"
    assert not store.leave_memory()
    assert list(store) == [9]


def test_no_bytes_are_no_size() -> None:
    with pytest.raises(ValueError, match="max_bytes=0 is not valid"):
        Spill(max_bytes=0)


# ---- configuration -----------------------------------------------------------------------------


def test_where_and_how_much_is_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.spill_bytes() == config.SPILL_FRAMES_BYTES
    monkeypatch.setenv(config.ENV_SPILL_DIR, str(tmp_path))
    monkeypatch.setenv(config.ENV_SPILL_BYTES, "12345")
    configured = Spill.configured()
    assert configured is not None
    assert (configured.max_bytes, configured._file.folder) == (12345, tmp_path)
    monkeypatch.setenv(config.ENV_SPILL_BYTES, "0")
    assert Spill.configured() is None
    monkeypatch.setenv(config.ENV_SPILL_BYTES, "ten")
    with pytest.raises(ValidationError, match="OVERSHOOT_SPILL_BYTES='ten' is not a number"):
        Spill.configured()


def test_the_systems_folder_for_temporary_files_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert config.spill_dir() == tmp_path


# ---- all streams together ----------------------------------------------------------------------


@pytest.fixture
def twenty(monkeypatch: pytest.MonkeyPatch) -> None:
    """All stores together keep twenty kilobytes in memory."""
    gc.collect()  # of other tests there may be some left
    monkeypatch.setattr("overshoot_nb.store.frames._memory._stores", [])
    monkeypatch.setenv(config.ENV_MEMORY, "20KB")


def in_memory(*stores: FrameStore) -> list[int]:
    return [store.nbytes // KB for store in stores]


@pytest.mark.usefixtures("twenty")
def test_all_streams_together_have_a_bound_and_older_ones_spill_first(tmp_path: Path) -> None:
    disks = [Spill(tmp_path, 1024 * KB) for _ in range(3)]
    first, second, third = (FrameStore(100 * KB, spill=disk) for disk in disks)
    for store in (second, first):
        for i in range(10):
            store.put(taken(i))
    assert in_memory(first, second, third) == [10, 10, 0]
    for i in range(5):
        third.put(taken(i))
    written(disks[0])
    assert in_memory(first, second, third) == [5, 10, 5]
    for i in range(5, 16):
        third.put(taken(i))
    for disk in disks:
        written(disk)
    # The newest picture of each is at hand, as long as that is possible.
    assert in_memory(first, second, third) == [1, 3, 16]
    first.put(taken(10))  # of the oldest one too
    for i in range(11, 40):
        second.put(taken(i))
    for disk in disks:
        written(disk)
    assert sum(in_memory(first, second, third)) == 20
    assert in_memory(first)[0] == 1
    for store, count in ((first, 11), (third, 16)):
        assert [store[i].sample for i in range(count)] == [taken(i) for i in range(count)]


@pytest.mark.usefixtures("twenty")
def test_what_nobody_holds_any_more_takes_no_room() -> None:
    gone = FrameStore(100 * KB)
    for i in range(20):
        gone.put(taken(i))
    del gone
    gc.collect()
    store = FrameStore(100 * KB)
    for i in range(20):
        store.put(taken(i))
    assert list(store) == list(range(20))


@pytest.mark.usefixtures("twenty")
def test_without_a_disk_the_older_ones_are_dropped_and_it_is_said_why() -> None:
    old, new = FrameStore(100 * KB), FrameStore(100 * KB)
    for store in (old, new):
        for i in range(15):
            store.put(taken(i))
    assert (list(old), list(new)) == ([10, 11, 12, 13, 14], list(range(15)))
    with pytest.raises(SampleNotKeptError, match=r"all streams together 0\.02 MB in memory"):
        old[3]


def test_no_memory_at_all_means_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("overshoot_nb.store.frames._memory._stores", [])
    monkeypatch.setenv(config.ENV_MEMORY, "0")
    disk = Spill(tmp_path, 1024 * KB)
    store = FrameStore(100 * KB, spill=disk)
    for i in range(5):
        store.put(taken(i))
    written(disk)
    assert store.nbytes == 0
    assert store.latest is not None
    assert [store[i].sample for i in range(5)] == [taken(i) for i in range(5)]


@pytest.mark.usefixtures("twenty")
def test_many_streams_on_many_threads_stay_within_the_bound(tmp_path: Path) -> None:
    disks = [Spill(tmp_path, 1024 * KB) for _ in range(4)]
    stores = [FrameStore(15 * KB, spill=disk) for disk in disks]

    def fill(store: FrameStore) -> None:
        for i in range(200):
            store.put(taken(i))
            assert store[i].index == i

    with ThreadPoolExecutor() as pool:
        list(pool.map(fill, stores))
    for disk in disks:
        written(disk)
    assert sum(in_memory(*stores)) <= 20
    for store in stores:
        assert [s.sample for s in store.values()] == [taken(i) for i in range(200)]


# ---- many threads, and the end -----------------------------------------------------------------


def test_threads_put_while_others_get(tmp_path: Path) -> None:
    disk = Spill(tmp_path, 300 * KB)
    store = FrameStore(20 * KB, spill=disk)
    done = threading.Event()
    problems: list[BaseException] = []
    turn = threading.Lock()
    count = [0]
    found = [0]

    def put() -> None:
        while True:
            with turn:
                index, count[0] = count[0], count[0] + 1
                if index >= 4000:
                    return
                store.put(Sample(index, "frame", index / 2, NOW, (picture(index % 50),)))

    def look(seed: int) -> None:
        chance = random.Random(seed)
        try:
            while not done.is_set():
                index = chance.randrange(max(0, count[0] - 350), count[0] + 1)
                if (stored := store.get(index)) is not None:
                    found[0] += 1
                    assert stored.frames == (picture(index % 50),)
                    assert stored.index == index
                assert len(repr(store)) < 200
                assert store.nbytes_on_disk <= 300 * KB
        except BaseException as problem:
            problems.append(problem)

    readers = [threading.Thread(target=look, args=(seed,)) for seed in range(4)]
    writers = [threading.Thread(target=put) for _ in range(4)]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    written(disk)
    done.set()
    for thread in readers:
        thread.join()
    assert problems == []
    assert found[0] > 100
    kept = list(store)
    assert kept[-1] == 3999
    assert len(kept) > 250
    assert all(store[i].frames == (picture(i % 50),) for i in kept)


def spill_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "overshoot-spill"]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc")
def test_file_and_thread_go_with_the_store(tmp_path: Path) -> None:
    gc.collect()
    until(lambda: not spill_threads())
    before = descriptors()
    store = FrameStore(KB, spill=Spill(tmp_path))
    for i in range(5):
        store.put(taken(i))
    written(store._spill)
    assert store.nbytes_on_disk == 4 * KB
    assert descriptors() == before + 1
    assert len(spill_threads()) == 1
    assert list(tmp_path.iterdir()) == []  # no name, so nothing is left whatever happens
    del store
    gc.collect()
    until(lambda: not spill_threads() and descriptors() == before)


def test_the_thread_rests_and_comes_back(disk: Spill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "IDLE_SECONDS", 0.02)
    until(lambda: not spill_threads())
    for i in range(3):
        disk.put(taken(i))
        written(disk)
        until(lambda: not spill_threads())
    assert [disk.get(i) for i in range(3)] == [taken(i) for i in range(3)]


def test_a_file_that_was_cut_has_no_pictures(disk: Spill, caplog: pytest.LogCaptureFixture) -> None:
    disk.put(taken(0))
    written(disk)
    assert disk._file._descriptor is not None
    os.ftruncate(disk._file._descriptor, 10)
    with caplog.at_level(logging.WARNING, "overshoot_nb"):
        assert disk.get(0) is None
    assert "sample 0 cannot be read from disk: 10 of 1024 bytes are there" in caplog.text
    store = FrameStore(KB, spill=disk)
    store.put(taken(0))
    store.put(taken(1))
    assert store[1].sample == taken(1)
