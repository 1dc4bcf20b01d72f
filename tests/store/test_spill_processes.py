"""Pictures on disk, in processes of their own: memory, full disks, sudden ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits and signals of POSIX")

HEAD = """
import gc, os, resource, sys, time
from datetime import UTC, datetime
from pathlib import Path
from overshoot_nb.store.frames import FrameStore
from overshoot_nb.store.spill import Spill
from overshoot_nb.types import EncodedFrame, Sample

MB = 2**20
folder = Path(sys.argv[1])

def taken(index, size):
    data = index.to_bytes(8, "big") * (size // 8)
    return Sample(index, "frame", 0.0, datetime.now(UTC), (EncodedFrame(0.0, data, 4, 3),))

def number(stored):
    data = stored.frames[0].data
    assert data == data[:8] * (len(data) // 8)
    return int.from_bytes(data[:8], "big")
"""


def command(code: str, folder: Path) -> list[str]:
    flags = ["-X", "dev", "-W", "error"]
    return [sys.executable, *flags, "-c", HEAD + textwrap.dedent(code), str(folder)]


def run(code: str, folder: Path) -> list[str]:
    """What the code printed; nothing may be complained of, at the interpreter's end either."""
    done = subprocess.run(
        command(code, folder), capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_memory_is_bounded_however_much_is_put(tmp_path: Path) -> None:
    """2 GB of pictures through a store of 64 MB."""
    code = """
        store = FrameStore(64 * MB, spill=Spill(folder, 256 * MB))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for i in range(4096):
            store.put(taken(i, MB // 2))
            while store.nbytes > 90 * MB:  # as a stream does, it takes its time
                time.sleep(0.001)
        while store.nbytes > 64 * MB:
            time.sleep(0.001)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        kept = list(store)
        assert all(number(store[i]) == i for i in kept)
        grown = grown if sys.platform == "linux" else grown // 1024
        print(grown // MB, len(kept), kept[-1])
    """
    grown, kept, newest = map(int, run(code, tmp_path))
    assert grown < 64 + 32 + 40  # in memory, on the way, and what allocating them costs
    assert 600 <= kept <= 640  # 128 in memory and 512 on disk
    assert newest == 4095


def test_a_disk_that_is_full_keeps_what_fits(tmp_path: Path) -> None:
    code = """
        import logging
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        resource.setrlimit(resource.RLIMIT_FSIZE, (20 * MB + 12345, 20 * MB + 12345))
        store = FrameStore(4 * MB, spill=Spill(folder))
        for i in range(400):
            store.put(taken(i, MB // 8))
            while store.nbytes > 6 * MB:
                time.sleep(0.001)
        while store.nbytes > 4 * MB:
            time.sleep(0.001)
        kept = list(store)
        assert all(number(store[i]) == i for i in kept), kept
        assert kept == list(range(kept[0], 400))
        print()
        print(len(kept), store.nbytes_on_disk)
    """
    *told, kept, size = run(code, tmp_path)
    message = " ".join(told)
    assert message.startswith(f"the disk of {tmp_path} has room for no more than")
    assert message.count("the disk of") == 1
    assert 15 * 2**20 < int(size) <= 20 * 2**20
    assert int(kept) >= 32 + 15 * 8 - 33  # a batch may be on the edge


def test_a_disk_with_no_room_from_the_start_drops_and_says_so(tmp_path: Path) -> None:
    code = """
        import logging
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        spill = Spill(folder)
        store = FrameStore(MB, spill=spill)
        for i in range(40):
            store.put(taken(i, MB // 8))
        while spill.failure is None:
            time.sleep(0.001)
        assert list(store) == list(range(32, 40))
        print()
    """
    told = " ".join(run(code, tmp_path))
    assert told == (
        f"no more pictures are kept on disk, the oldest are dropped: {tmp_path}: File too large"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="files without a name are Linux's")
def test_a_process_that_is_killed_leaves_no_file(tmp_path: Path) -> None:
    code = """
        store = FrameStore(MB, spill=Spill(folder))
        for i in range(64):
            store.put(taken(i, MB // 8))
        while store.nbytes > MB:
            time.sleep(0.001)
        print("written", store.nbytes_on_disk, flush=True)
        i = 64
        while True:
            store.put(taken(i, MB // 8))
            i += 1
    """
    with subprocess.Popen(command(code, tmp_path), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"written {7 * 2**20}\n"
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


def test_an_interpreter_ends_while_pictures_are_written(tmp_path: Path) -> None:
    code = """
        store = FrameStore(MB, spill=Spill(folder))
        for i in range(2000):
            store.put(taken(i, MB // 8))
        print("end")
    """
    assert run(code, tmp_path) == ["end"]
    assert list(tmp_path.iterdir()) == []


def test_a_forked_child_writes_nothing_into_its_parents_file(tmp_path: Path) -> None:
    code = """
        store = FrameStore(MB, spill=Spill(folder))
        for i in range(24):
            store.put(taken(i, MB // 8))
        while store.nbytes > MB:
            time.sleep(0.001)
        pid = os.fork()
        if pid == 0:
            assert number(store[0]) == 0
            for i in range(1000, 1040):
                store.put(taken(i, MB // 8))
            assert store.nbytes == MB
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        for i in range(24, 32):
            store.put(taken(i, MB // 8))
        while store.nbytes > MB:
            time.sleep(0.001)
        assert [number(store[i]) for i in range(32)] == list(range(32))
        print("same")
    """
    if sys.version_info >= (3, 12):
        code = "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n" + (
            textwrap.dedent(code)
        )
    assert run(code, tmp_path) == ["same"]
