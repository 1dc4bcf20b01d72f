"""Outputs that follow a stream: in a plain process, and as a real kernel sends them."""

from __future__ import annotations

import asyncio
import threading
import time
from itertools import pairwise

import pandas as pd
import pytest

from overshoot_nb import Overshoot, ValidationError
from overshoot_nb.analysis import live as live_module

from chatserver import ChatServer
from kernels import Kernel
from videos import make_video, number_in

MODEL = "test/model"


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> str:
    """Two and a half seconds at 30 frames a second, each frame showing its number."""
    return str(make_video(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=75, fps=30))


def live_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "overshoot-live"]


def run(clip, watch, **parameters):
    """The stream and what ``watch(stream)`` said, once it is over and no thread is left."""

    async def main(url):
        async with Overshoot("key", base_url=url) as client:
            parameters.setdefault("interval_seconds", 0.1)
            stream = await client.streams.create(clip, "n?", MODEL, **parameters)
            outcome = watch(stream)
            await stream.wait(20)
            deadline = time.monotonic() + 5
            while live_threads():
                assert time.monotonic() < deadline, "a thread is left"
                await asyncio.sleep(0.01)
            return stream, outcome

    with ChatServer(lambda request: str(number_in(request.jpegs[0]))) as server:
        return asyncio.run(asyncio.wait_for(main(server.url), 40))


def test_it_follows_at_most_twice_a_second_and_ends_with_everything(clip):
    made: list[tuple[float, int]] = []

    def count(df):
        made.append((time.monotonic(), len(df)))
        return len(df)

    stream, live = run(clip, lambda s: s.live(count))
    assert live.value == len(stream.df) == made[-1][1] > 5
    assert live.error is None
    assert live.updates == len(made)
    assert 3 <= len(made) <= 8  # of 2.5 s
    steps = [later[0] - earlier[0] for earlier, later in pairwise(made)]
    assert min(steps) >= live_module.UPDATE_SECONDS - 0.001
    rows = [rows for _, rows in made]
    assert rows == sorted(set(rows))  # only where there are new ones
    assert repr(live) == f"<Live count: up to date, {len(made)} updates>"


def test_a_slow_function_takes_at_most_half_the_time(clip):
    spans: list[tuple[float, float]] = []

    def slow(df):
        began = time.monotonic()
        time.sleep(0.6)
        spans.append((began, time.monotonic()))

    run(clip, lambda s: s.live(slow))
    assert len(spans) >= 2
    for one, other in pairwise(spans):
        assert other[0] - one[1] >= 0.6


def test_methods_by_name_with_their_options(clip):
    def watch(stream):
        return (
            stream.live("events", "matches(result, '^[4-9].$')", gap=0.5),
            stream.live("changes", "model"),
            stream.live(lambda df, share, of: (df["result"].str.len() > share).sum() / of, 1, of=2),
        )

    stream, (events, changes, share) = run(clip, watch, realtime=False)
    said = stream.df.overshoot.events("matches(result, '^[4-9].$')", gap=0.5)
    pd.testing.assert_frame_equal(events.value, said)
    assert changes.value["after"].tolist() == [MODEL]
    assert share.value == (stream.df["result"].str.len() > 1).sum() / 2


def test_an_error_is_one_line_and_the_next_update_tries_again(clip):
    def fails_at_first(df):
        if len(df) < 15:
            raise KeyError("<b>not\nyet</b>")
        return "fine"

    seen = []

    def watch(stream):
        live = stream.live(fails_at_first)
        wrong = stream.live("events", "oops > 3")
        while live.error is None:
            time.sleep(0.01)
        seen.append((live.value, live.error))
        return live, wrong

    stream, (live, wrong) = run(clip, watch)
    note, error = seen[0]
    assert repr(note) == r"fails_at_first: KeyError: '<b>not\nyet</b>'"
    assert "<b>" not in note._repr_html_()
    assert isinstance(error, KeyError)
    assert (live.value, live.error) == ("fine", None)
    assert "there is no column oops" in repr(wrong.value)
    assert "\n" not in repr(wrong.value)
    assert stream.state == "ended"
    assert stream.stats.results > 15


def test_closed_it_follows_no_more(clip):
    made = []

    def watch(stream):
        live = stream.live(lambda df: made.append(len(df)))
        while not made:
            time.sleep(0.01)
        live.close()
        live.close()
        return live

    _, live = run(clip, watch)
    assert len(made) == live.updates == 1
    assert not live.is_open


def test_of_a_stream_that_is_over_it_is_made_at_once_and_after_a_restart_it_follows(clip):
    async def main(url):
        async with Overshoot("key", base_url=url) as client:
            stream = await client.streams.create(clip, "n?", MODEL, realtime=False)
            await stream.wait()
            live = stream.live(len)
            assert live.value == 5
            await stream.restart()
            await stream.wait()
            while live.value != 10:
                await asyncio.sleep(0.01)
            live.close()

    with ChatServer(lambda request: "x") as server:
        asyncio.run(asyncio.wait_for(main(server.url), 30))


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ("evnts", "no method evnts; did you mean events?"),
        ("_rows", "no method _rows; there are"),
        ("__init__", "no method __init__"),
        ("events.__globals__", "no method events.__globals__"),
        ("plot", "has methods, and is none"),
        ("plot.timelime", "did you mean timeline?"),
        ("", "no method "),
        (3, "not a int"),
    ],
)
def test_what_is_no_method_is_refused(clip, what, problem):
    def watch(stream):
        with pytest.raises(ValidationError, match=problem):
            stream.live(what)

    run(clip, watch, realtime=False, interval_seconds=1.0)


# ---- in a kernel ---------------------------------------------------------------------------------


class Watched(Kernel):
    """A kernel whose outputs are noted as they come: (seconds, type of the message, content)."""

    def _run(self, code: str, timeout: float) -> str:
        self.changes: list[tuple[float, str, dict]] = []

        def note(message):
            if message["msg_type"] in ("display_data", "update_display_data"):
                content = message["content"]
                self.changes.append((time.monotonic(), message["msg_type"], content))

        self.client.execute_interactive(code, timeout=timeout, output_hook=note)
        return ""

    def heard(self, seconds: float) -> list[tuple[float, dict]]:
        """What changed within some seconds, whichever cell runs or none."""
        return self._thread.submit(self._heard, seconds).result()

    def _heard(self, seconds: float) -> list[tuple[float, dict]]:
        found, deadline = [], time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = self.client.get_iopub_msg(timeout=left)
            except Exception:  # queue.Empty
                break
            if message["msg_type"] == "update_display_data":
                found.append((time.monotonic(), message["content"]))
        return found

    def begin(self, code: str) -> None:
        """Run a cell without waiting for its end."""
        self._thread.submit(self.client.execute, code).result()


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernel")
    make_video(folder / "clip.mp4", frames=300, fps=30)
    kernel = Watched(str(folder))
    kernel.run(
        "import time, threading, overshoot_nb\n"
        "import overshoot_nb.analysis.live, overshoot_nb.analysis.alerts\n"
        "client = overshoot_nb.Overshoot(base_url='local')"
    )
    yield kernel
    kernel.close()


def test_in_a_kernel_the_output_changes_while_other_cells_block(kernel):
    kernel.run(
        "stream = await client.streams.create('clip.mp4', 'How bright is it?', 'local/scene',"
        " interval_seconds=0.1)"
    )
    kernel.run("live = stream.live(lambda df: f'{len(df)} rows')\nlive")
    shown = [content for _, kind, content in kernel.changes if kind == "display_data"]
    assert len(shown) == 1  # not once more as the cell's value
    display_id = shown[0]["transient"]["display_id"]

    kernel.begin("time.sleep(3)")
    changes = [(at, c) for at, c in kernel.heard(2.5) if c["transient"]["display_id"] == display_id]
    assert 2 <= len(changes) <= 6
    times = [at for at, _ in changes]
    assert all(later - at > 0.35 for at, later in pairwise(times))
    rows = [int(content["data"]["text/plain"].strip("'").split()[0]) for _, content in changes]
    assert rows == sorted(rows)
    assert rows[-1] > rows[0]

    # An alert's bell rings in the same way, and leaves a note without its sound.
    kernel.run("alert = stream.when('sample > 0', 'bell')")
    heard = kernel.heard(4)
    notes = [c["data"].get("text/html", "") for _, c in heard]
    assert any("sample &gt; 0" in note and "audio" not in note for note in notes)

    kernel.run("await stream.close()")
    last = [c for _, c in kernel.heard(2) if c["transient"]["display_id"] == display_id]
    assert len(last) <= 1
    kernel.run(
        "from IPython.display import display\n"
        "names = [t.name for t in threading.enumerate()]\n"
        "display((live.value == f'{len(stream.df)} rows', live.error,"
        " [n for n in names if n.startswith(('overshoot-live', 'overshoot-alert'))]))"
    )
    assert kernel.changes[-1][2]["data"]["text/plain"] == "(True, None, [])"
    # Shown again, it is the same output in another cell.
    kernel.run("live")
    again = [c for _, kind, c in kernel.changes if kind == "display_data"]
    assert [c["transient"]["display_id"] for c in again] == [display_id]
