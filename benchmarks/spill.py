"""Pictures that go to disk: python benchmarks/spill.py [--rounds 5] [--megabytes 600]

Pictures of 60 KB through a store of 16 MB, with a file for those that leave it and without, and
beside it what anybody would write: each picture written to an open temporary file. All rounds take
turns. Printed: how long a put takes, the bytes a second that reach the file, and how long a random
sample takes to come back from memory and from disk (from the system's cache, where a run's newest
pictures are). The bars: a quarter of the plain file's bytes a second (a stream makes a hundredth),
99 puts of 100 within 1 ms though nothing waits for the disk, a sample from disk within 5 ms.

Exits with 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
# This folder has a module called requests, which other packages would take for theirs.
sys.path = [p for p in sys.path if Path(p or ".").resolve() != HERE]

from overshoot_nb import config  # noqa: E402
from overshoot_nb.store.frames import FrameStore  # noqa: E402
from overshoot_nb.store.spill import Spill  # noqa: E402
from overshoot_nb.types import EncodedFrame, Sample  # noqa: E402

SIZE = 60_000
KEPT = 16 * 1024**2
LEAST = 0.25
PUT_MS = 1.0
GET_MS = 5.0
GETS = 500


def samples(count: int) -> list[Sample]:
    """So many samples, of a hundred different pictures."""
    pictures = [random.Random(k).randbytes(SIZE) for k in range(100)]
    now = datetime.now(UTC)
    # The bytes are copied, so that no two samples share a picture.
    return [
        Sample(i, "frame", i / 2, now, (EncodedFrame(i / 2, b"%c" % (i % 256) + p, 640, 360),))
        for i, p in ((i, pictures[i % 100]) for i in range(count))
    ]


def plain(taken: list[Sample]) -> float:
    """Seconds to write the pictures to a file, one after the other."""
    with tempfile.TemporaryFile(dir=config.spill_dir(), buffering=0) as file:
        started = time.perf_counter()
        for sample in taken:
            file.write(sample.frames[0].data)
        return time.perf_counter() - started


def fill(store: FrameStore, taken: list[Sample]) -> tuple[float, list[float]]:
    """Seconds until all are put, and written where they are; and milliseconds of each put."""
    puts: list[float] = []
    started = time.perf_counter()
    for sample in taken:
        while store.nbytes > KEPT + config.SPILL_WAITING_BYTES * 3 // 4:
            time.sleep(0.0005)  # none is to be dropped; a stream is slower than this anyway
        before = time.perf_counter()
        store.put(sample)
        puts.append((time.perf_counter() - before) * 1e3)
    while store.nbytes > KEPT:
        time.sleep(0.0005)
    return time.perf_counter() - started, puts


def get(store: FrameStore, indices: list[int], taken: list[Sample]) -> list[float]:
    """Milliseconds of each lookup; what is found must be what was put."""
    times: list[float] = []
    for index in indices:
        before = time.perf_counter()
        found = store[index]
        times.append((time.perf_counter() - before) * 1e3)
        assert found.sample == taken[index], index
    return times


def centile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


def main() -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=600)
    options = parser.parse_args()
    taken = samples(options.megabytes * 1_000_000 // SIZE)
    nbytes = sum(sample.nbytes for sample in taken)
    files, spilled, without, with_spill, near, far = [], [], [], [], [], []
    for number in range(options.rounds):  # in turn, so that a busy machine slows all of them
        files.append(plain(taken))
        without += fill(FrameStore(KEPT), taken)[1]
        store = FrameStore(KEPT, spill=Spill())
        seconds, puts = fill(store, taken)
        assert len(store) == len(taken), "pictures were dropped"
        spilled.append(seconds)
        with_spill += puts
        chance = random.Random(number)
        in_memory = len(taken) - KEPT // SIZE + 5
        near += get(store, chance.choices(range(in_memory, len(taken)), k=GETS), taken)
        far += get(store, chance.choices(range(in_memory - 10), k=GETS), taken)
        del store
    ratio = statistics.median(files) / statistics.median(spilled)
    rate = nbytes / statistics.median(spilled) / 1e6
    slow, usual = centile(with_spill, 99), statistics.median(with_spill)
    memory = statistics.median(without)
    print(
        f"{len(taken):,} pictures of {SIZE // 1000} KB, {os.cpu_count()} cores\n"
        f"put: {usual * 1e3:.1f} us, {usual / memory:.1f} x without a file "
        f"({memory * 1e3:.1f} us); 99 of 100 within {slow:.2f} ms\n"
        f"to disk: {rate:.0f} MB/s, {ratio:.2f} x a plain file "
        f"({nbytes / statistics.median(files) / 1e6:.0f} MB/s)\n"
        f"get: {statistics.median(far):.3f} ms from disk (99 of 100: {centile(far, 99):.2f} ms), "
        f"{statistics.median(near):.4f} ms from memory"
    )
    missed = [
        name
        for name, met in (
            (f"at least {LEAST} x a plain file", ratio >= LEAST),
            (f"99 of 100 puts within {PUT_MS} ms", slow <= PUT_MS),
            (f"99 of 100 samples from disk within {GET_MS} ms", centile(far, 99) <= GET_MS),
        )
        if not met
    ]
    for name in missed:
        print(f"MISSED: {name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
