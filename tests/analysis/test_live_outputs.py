"""Outputs that follow a stream: in a plain process, and as a real kernel sends them."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pandas as pd
import pytest

from overshoot_nb import Overshoot, ValidationError
from overshoot_nb.runtime import side_thread

from chatserver import ChatServer
from kernels import Kernel
from videos import make_video, number_in

MODEL = "test/model"


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> str:
    """1.5 seconds at 30 frames a second, each frame showing its number."""
    return str(make_video(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=45, fps=30))


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """Idle threads end sooner."""
    monkeypatch.setattr(side_thread, "LINGER_SECONDS", 0.1)


def live_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "overshoot-live"]


def run(clip, watch, **parameters):
    """The stream and what ``watch(stream)`` said, once it is over and no thread is left."""

    async def main(url):
        async with Overshoot("key", base_url=url) as client:
            parameters.setdefault("interval_seconds", 0.1)
            stream = await client.streams.create(clip, "n?", MODEL, **parameters)
            outcome = watch(stream)
            await stream.wait(60)
            deadline = time.monotonic() + 60
            while live_threads():
                assert time.monotonic() < deadline, "a thread is left"
                await asyncio.sleep(0.01)
            return stream, outcome

    with ChatServer(lambda request: str(number_in(request.jpegs[0]))) as server:
        return asyncio.run(asyncio.wait_for(main(server.url), 60))


@dataclass
class Followed:
    """One stream in real time, and what followed it; times are of the monotonic clock."""

    stream: Any = None
    counted: Any = None
    counts: list[tuple[float, int]] = field(default_factory=list)
    slow: list[tuple[float, float]] = field(default_factory=list)
    failing: Any = None
    failed: tuple[object, Exception | None] | None = None
    wrong: Any = None
    closing: Any = None
    closed: list[int] = field(default_factory=list)


@pytest.fixture(scope="module")
def followed(clip) -> Followed:
    found = Followed()

    def count(df):
        found.counts.append((time.monotonic(), len(df)))
        return len(df)

    def slow(df):
        began = time.monotonic()
        time.sleep(0.6)
        found.slow.append((began, time.monotonic()))

    def fails_at_first(df):
        if found.failed is None:
            raise KeyError("<b>not\nyet</b>")
        return "fine"

    def watch(stream):
        found.counted = stream.live(count)
        stream.live(slow)
        found.failing = stream.live(fails_at_first)
        found.wrong = stream.live("events", "oops > 3")
        found.closing = stream.live(lambda df: found.closed.append(len(df)))
        while found.failing.error is None or not found.closed:
            time.sleep(0.01)
        found.failed = found.failing.value, found.failing.error
        found.closing.close()
        found.closing.close()

    found.stream, _ = run(clip, watch)
    return found


def test_it_follows_at_most_twice_a_second_and_ends_with_everything(followed):
    live, made = followed.counted, followed.counts
    assert live.value == len(followed.stream.df) == made[-1][1] > 5
    assert live.error is None
    assert live.updates == len(made)
    assert 3 <= len(made) <= 5  # of 1.5 s
    steps = [later[0] - earlier[0] for earlier, later in pairwise(made)]
    assert min(steps) >= 0.5 - 0.001
    rows = [rows for _, rows in made]
    assert rows == sorted(set(rows))  # only where there are new ones
    assert repr(live) == f"<Live count: up to date, {len(made)} updates>"


def test_a_slow_function_takes_at_most_half_the_time(followed):
    assert len(followed.slow) >= 2
    for one, other in pairwise(followed.slow):
        assert other[0] - one[1] >= 0.6


def test_an_error_is_one_line_and_the_next_update_tries_again(followed):
    live, wrong = followed.failing, followed.wrong
    note, error = followed.failed
    assert repr(note) == r"fails_at_first: KeyError: '<b>not\nyet</b>'"
    assert "<b>" not in note._repr_html_()
    assert isinstance(error, KeyError)
    assert (live.value, live.error) == ("fine", None)
    assert "there is no column oops" in repr(wrong.value)
    assert "\n" not in repr(wrong.value)
    assert followed.stream.state == "ended"
    assert followed.stream.stats.results > 10


def test_closed_it_follows_no_more(followed):
    assert len(followed.closed) == followed.closing.updates == 1
    assert not followed.closing.is_open
    assert followed.counted.is_open


def test_methods_by_name_with_their_options(clip):
    def watch(stream):
        return (
            stream.live("events", "matches(result, '^[3-9].$')", gap=0.5),
            stream.live("changes", "model"),
            stream.live(lambda df, share, of: (df["result"].str.len() > share).sum() / of, 1, of=2),
        )

    stream, (events, changes, share) = run(clip, watch, realtime=False)
    said = stream.df.overshoot.events("matches(result, '^[3-9].$')", gap=0.5)
    pd.testing.assert_frame_equal(events.value, said)
    assert changes.value["after"].tolist() == [MODEL]
    assert share.value == (stream.df["result"].str.len() > 1).sum() / 2


def test_of_a_stream_that_is_over_it_is_made_at_once_and_after_a_restart_it_follows(clip):
    async def main(url):
        async with Overshoot("key", base_url=url) as client:
            stream = await client.streams.create(clip, "n?", MODEL, realtime=False)
            await stream.wait()
            live = stream.live(len)
            assert live.value == 3
            await stream.restart()
            await stream.wait()
            while live.value != 6:
                await asyncio.sleep(0.01)
            live.close()

    with ChatServer(lambda request: "x") as server:
        asyncio.run(asyncio.wait_for(main(server.url), 60))


def test_what_is_no_method_is_refused(clip):
    def watch(stream):
        for what, problem in (
            ("evnts", "no method evnts; did you mean events?"),
            ("_rows", "no method _rows; there are"),
            ("__init__", "no method __init__"),
            ("events.__globals__", "no method events.__globals__"),
            ("plot", "has methods, and is none"),
            ("plot.timelime", "did you mean timeline?"),
            ("", "no method "),
            (3, "not a int"),
        ):
            with pytest.raises(ValidationError, match=re.escape(problem)):
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

    def heard(self, seconds: float, until=lambda content: False) -> list[tuple[float, dict]]:
        """What changed within some seconds, or until something did; whichever cell runs or none."""
        return self._thread.submit(self._heard, seconds, until).result()

    def _heard(self, seconds: float, until) -> list[tuple[float, dict]]:
        found, deadline = [], time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = self.client.get_iopub_msg(timeout=left)
            except Exception:  # queue.Empty
                break
            if message["msg_type"] == "update_display_data":
                found.append((time.monotonic(), message["content"]))
                if until(message["content"]):
                    break
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

    kernel.begin("time.sleep(2)")
    changes = [(at, c) for at, c in kernel.heard(1.7) if c["transient"]["display_id"] == display_id]
    assert 2 <= len(changes) <= 5
    times = [at for at, _ in changes]
    assert all(later - at > 0.35 for at, later in pairwise(times))
    rows = [int(content["data"]["text/plain"].strip("'").split()[0]) for _, content in changes]
    assert rows == sorted(rows)
    assert rows[-1] > rows[0]

    # An alert's bell rings in the same way, and leaves a note without its sound.
    kernel.run("alert = stream.when('sample > 0', 'bell')")

    def silent(content):
        note = content["data"].get("text/html", "")
        return "sample &gt; 0" in note and "audio" not in note

    heard = kernel.heard(10, silent)
    assert any(silent(content) for _, content in heard)

    kernel.run("await stream.close()")
    last = [c for _, c in kernel.heard(1.0) if c["transient"]["display_id"] == display_id]
    assert len(last) <= 1
    kernel.run(
        "from IPython.display import display\n"
        "def threads():\n"
        "    names = [t.name for t in threading.enumerate()]\n"
        "    return [n for n in names if n.startswith(('overshoot-live', 'overshoot-alert'))]\n"
        "deadline = time.monotonic() + 60\n"
        "while threads() and time.monotonic() < deadline: time.sleep(0.05)\n"
        "display((live.value == f'{len(stream.df)} rows', live.error, threads()))"
    )
    assert kernel.changes[-1][2]["data"]["text/plain"] == "(True, None, [])"
    # Shown again, it is the same output in another cell.
    kernel.run("live")
    again = [c for _, kind, c in kernel.changes if kind == "display_data"]
    assert [c["transient"]["display_id"] for c in again] == [display_id]
