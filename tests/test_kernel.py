"""What a notebook does beyond the magic: await, callbacks in blocked cells, interrupts, the end."""

from __future__ import annotations

import os
import threading
import time

import pytest

from kernels import Kernel
from videos import make_video


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernel")
    make_video(folder / "clip.mp4", frames=300, fps=30)
    kernel = Kernel(str(folder))
    kernel.run("import time, overshoot_nb\nclient = overshoot_nb.Overshoot(base_url='local')")
    yield kernel
    kernel.close()


CREATE = """
seen = []
stream = await client.streams.create(
    "clip.mp4", "How bright is it?", "local/scene", seen.append, interval_seconds=0.2
)
"""


def test_streams_are_awaited_in_a_cell_and_go_on_while_the_next_one_blocks(kernel):
    assert kernel.run(CREATE) == ""
    rows, called = kernel.run(
        "before = len(stream.df), len(seen)\ntime.sleep(2)\n"
        "print(len(stream.df) - before[0], len(seen) - before[1])"
    ).split()
    assert int(rows) >= 5
    assert int(called) >= 3
    assert "closed" in kernel.run("await stream.close()\nprint(stream.status)")


def test_results_can_be_iterated_in_a_cell(kernel):
    kernel.run(CREATE)
    shown = kernel.run(
        "async for result in stream:\n    print(result.sample)\n    if result.sample >= 2: break"
    )
    assert shown.split() == ["0", "1", "2"]
    kernel.run("await stream.close()")


def test_a_prompt_is_updated_while_the_stream_runs(kernel):
    kernel.run(CREATE)
    shown = kernel.run("print((await stream.update_prompt('How dark is it?')).prompt)")
    assert shown.strip() == "How dark is it?"
    kernel.until("bool((stream.df['prompt_version'] == 2).any())")
    kernel.run("await stream.close()")


@pytest.mark.skipif(os.name == "nt", reason="interrupts by signal")
def test_interrupting_analyze_keeps_what_came(kernel):
    interrupt = threading.Timer(2.0, kernel.interrupt)
    interrupt.start()
    shown = kernel.run(
        "source = overshoot_nb.FileSource('clip.mp4')\n"
        "df = overshoot_nb.analyze(source, 'How bright is it?', 'local/scene', client=client,\n"
        "    interval_seconds=0.2, realtime=True, progress=False)\n"
        "print('rows', len(df), client.streams.active)"
    )
    interrupt.join()
    rows = int(shown.split("rows")[-1].split()[0])
    assert 3 <= rows < 40
    assert shown.strip().endswith("[]")
    assert "KeyboardInterrupt" not in shown


@pytest.mark.skipif(os.name == "nt", reason="interrupts by signal")
def test_interrupting_a_cell_that_awaits_a_stream_ends_the_cell_and_not_the_stream(kernel):
    kernel.run(CREATE)
    interrupt = threading.Timer(1.0, kernel.interrupt)
    interrupt.start()
    shown = kernel.run("await stream.wait()")
    interrupt.join()
    assert "Cancelled" in shown or "Interrupt" in shown
    assert kernel.run("stream.is_active") == "True"
    kernel.run("await stream.close()")


def test_a_stream_shows_itself_as_html_and_its_frames_as_pictures(kernel):
    kernel.run(CREATE)
    kernel.until("len(stream.df) > 0")
    assert "clip.mp4" in kernel.run("print(stream._repr_html_())")
    assert kernel.run("stream.frames.latest._repr_jpeg_()[:2]") == "b'\\xff\\xd8'"
    kernel.run("await stream.close()")


def test_a_kernel_with_a_running_stream_shuts_down_at_once(tmp_path):
    make_video(tmp_path / "clip.mp4", frames=300, fps=30)
    kernel = Kernel(str(tmp_path))
    kernel.run("import overshoot_nb\nclient = overshoot_nb.Overshoot(base_url='local')")
    kernel.run(CREATE)
    started = time.monotonic()
    kernel.close()
    assert time.monotonic() - started < 4
