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
def test_a_bar_that_is_saved_says_how_it_ended(kernel):
    sent = kernel.messages(
        "df = overshoot_nb.analyze('clip.mp4', 'How bright is it?', 'local/scene',\n"
        "    client=client, interval_seconds=2.5)"
    )
    # Without the state of its widgets a saved notebook shows the text alone.
    outputs: dict[str, str] = {}
    for kind, content in sent:
        if kind in ("display_data", "update_display_data"):
            outputs[content["transient"]["display_id"]] = content["data"]["text/plain"]
    (bar,) = outputs.values()
    assert bar.startswith("clip.mp4: 100%")
    assert "4/4" in bar
    (largest,) = kernel.run(
        "import gc, ipywidgets\n"
        "bars = [w for w in gc.get_objects() if type(w) is ipywidgets.FloatProgress]\n"
        "print([(w.value, w.max, w.bar_style) for w in bars][-1:])"
    ).splitlines()
    assert largest == "[(4.0, 4.0, 'success')]"


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


@pytest.mark.skipif(os.name == "nt", reason="interrupts by signal")
def test_a_cell_without_await_joins_a_stream_and_is_told_what_a_call_needs(kernel):
    kernel.run(CREATE)
    shown = kernel.run("stream.close()")
    assert "Stream.close() has not begun: write `await` before it" in shown
    interrupt = threading.Timer(1.0, kernel.interrupt)
    interrupt.start()
    shown = kernel.run("stream.join()")
    interrupt.join()
    assert "KeyboardInterrupt" in shown
    assert kernel.run("stream.is_active") == "True"
    kernel.run(
        "async def late(result): seen.append(result)\n"
        "other = client.streams.create('clip.mp4', 'How bright is it?', 'local/scene', late,\n"
        "    interval_seconds=5, realtime=False).result()\n"
    )
    assert "ended" in kernel.run("other.join(30)")
    kernel.run("stream.close().result()")
    assert kernel.run("stream.is_active") == "False"


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
    assert time.monotonic() - started < 60


# ---- a stream that nobody has any more ---------------------------------------------------------

WATCHED = """
import gc, os, weakref
os.environ["OVERSHOOT_BASE_URL"] = "local"
%load_ext overshoot_nb

def know(stream):
    kept = stream, stream._run, stream._run.journal, stream.frames
    known.append([weakref.ref(one) for one in kept])

def left(first=0):
    "How many of the first stream's parts are still there, once the garbage was collected."
    gc.collect()
    return sum(one() is not None for one in known[first])

known = []
"""

ASKED = 'await client.streams.create("clip.mp4", "How bright is it?", "local/scene", '
OVER = f"""
stream = {ASKED}interval_seconds=5, realtime=False)
await stream.wait()
know(stream)
"""
RUNNING = f"stream = {ASKED}interval_seconds=0.2)\nknow(stream)\n"
LET_GO = "stream.widget.close()\ndel stream\n"
ROWS = "while len(stream.df) < 3: await asyncio.sleep(0.05)\n"


@pytest.mark.parametrize(
    "cells",
    [
        pytest.param([f"{OVER}display(stream)", LET_GO], id="displayed"),
        pytest.param([f"{OVER}display(stream.widget)", LET_GO], id="widget alone"),
        pytest.param([OVER, "stream.widget.tuning.field = None", LET_GO], id="not displayed"),
        pytest.param(
            [f"{RUNNING}display(stream)", f"{ROWS}await stream.close()", LET_GO], id="closed"
        ),
        pytest.param([f"{OVER}stream", LET_GO, "1", "2", "3", "%reset -f out"], id="last value"),
        pytest.param(
            [
                "%overshoot clip.mp4 How bright is it? -m local/scene -o stream",
                "know(stream)\nawait stream.close()",
                LET_GO,
                *("1", "2", "3", "%reset -f out"),
            ],
            id="magic",
        ),
        pytest.param(
            [
                "stream = overshoot_nb.watch('clip.mp4', 'How bright is it?', 'local/scene')",
                "know(stream)\ndisplay(stream)\nawait stream.close()",
                LET_GO,
            ],
            id="watch",
        ),
        pytest.param(
            [
                "async def later(result): pass\n"
                + RUNNING.replace(", interval", ", later, print, interval")
                + "alert = stream.when('ok', print)\nlive = stream.live('latency')\n"
                + "recorder = stream.record('run.parquet', overwrite=True)\ndisplay(stream)",
                f"{ROWS}await stream.close()",
                f"alert.close()\ndel alert, live, recorder\n{LET_GO}",
            ],
            id="callbacks, alert, live, record",
        ),
        pytest.param(
            [
                f"{OVER}stream.record('run.parquet', overwrite=True)",
                "known.clear()\nstream = overshoot_nb.load('run.parquet')\nknow(stream)\n"
                "list(stream.frames.values())\ndisplay(stream)",
                "await stream.restart()\nawait stream.close()",
                LET_GO,
            ],
            id="loaded",
        ),
        pytest.param(
            [
                f"{OVER}display(stream)\nstream.df.overshoot.show()",
                "await stream.backfill('Is it dark?', progress=False)\n"
                "both = [stream.prompts[1], 'How dark is it?']\n"
                "grid = await overshoot_nb.compare(stream, both, progress=False)\n"
                "display(grid, stream.df.overshoot.frame(0))",
                f"del grid\n{LET_GO}",
            ],
            id="compared",
        ),
        pytest.param([f"{OVER}display(stream)", f"{OVER}display(stream)"], id="run again"),
        pytest.param(
            [f"{RUNNING}display(stream)"] * 2 + ["await known[0][0]().close()", LET_GO],
            id="run again while it runs",
        ),
        pytest.param(
            [f"{OVER}stream", f"{OVER}stream", "1", "2", "3", "%reset -f out"],
            id="last value, run again",
        ),
    ],
)
def test_a_stream_that_is_over_and_not_shown_any_more_is_collected(kernel, cells):
    kernel.run("import asyncio\n" + WATCHED)
    for cell in cells:
        shown = kernel.run(cell)
        assert "Error" not in shown, shown
    kernel.until("left() == 0", 60)


def test_what_a_cell_shows_again_is_let_go_by_no_other_cell(kernel):
    kernel.run(WATCHED + OVER + "widget = stream.widget")
    show, other = "display(stream)", "display(stream) # once more"
    for cell in (show, other, show, "1 + 1", other):
        kernel.run(cell)
    assert kernel.run("stream.widget is widget, left()") == "(True, 4)"
    # Nor is it where another cell still shows it.
    kernel.run(OVER)
    kernel.run(show)
    assert kernel.run("known[0][0]().widget is widget, left()") == "(True, 4)"
    kernel.run("del widget")
    kernel.run(other)
    kernel.until("left() == 0", 60)


def test_pictures_of_a_stream_that_out_holds_leave_memory_when_its_cell_runs_again(kernel):
    kernel.run(WATCHED)
    for _ in range(2):
        kernel.run(f"{OVER}stream")
    assert kernel.run("left(0), left(1)") == "(4, 4)"  # IPython's Out has both
    kernel.until("known[0][3]().nbytes == 0")
    assert kernel.run("len(known[0][3]()), len(known[0][3]()[0].frames[0].data) > 1000") == (
        "(2, True)"
    )
    kernel.run("%reset -f out")


def test_the_table_of_what_was_started_keeps_what_nobody_has_any_more(kernel):
    kernel.run(f"{WATCHED}from overshoot_nb import interactive")
    kernel.run(
        "stream = overshoot_nb.watch('clip.mp4', 'How bright is it?', 'local/scene')\n"
        f"know(stream)\n{ROWS}await stream.close()\n"
        "name, rows = stream.stream_id, len(stream.df)"
    )
    kernel.run("del stream")
    kernel.until("left() == 0", 60)
    kernel.run("row = interactive.status().loc[name]")
    assert kernel.run("row['source'], row['status']") == (
        "('clip.mp4', 'closed: closed by its user')"
    )
    assert kernel.run("row['results'] == rows > 2") == "True"
    assert kernel.run("interactive.stop(name)") == "[]"
    assert "no stream 'stream_x'" in kernel.run("interactive.stop('stream_x')")
