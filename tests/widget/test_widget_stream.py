"""A real stream behind the widget, and a page that the test speaks for."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
import time
from dataclasses import replace

import pytest

from overshoot_nb import FrameSource, Overshoot
from overshoot_nb.runtime.event_loop import get_runtime
from overshoot_nb.store.sample_log import FATES
from overshoot_nb.store.spill_file import SpillFile
from overshoot_nb.types import EncodedFrame
from overshoot_nb.widget.pages import MOST

from chatserver import ChatServer, Reply, Request, completion
from videos import make_video, number_in

pytestmark = pytest.mark.usefixtures("no_threads_left")

MODEL = "test/model"


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> str:
    """Ten seconds at 30 frames a second, each frame showing its number."""
    return str(make_video(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=300, fps=30))


def number(request: Request) -> str:
    return str(number_in(request.jpegs[0]))


def run(coroutine, answer=number, **client_options):
    with ChatServer(answer) as server:

        async def main():
            async with Overshoot(
                "ovs-test-secret", base_url=server.url, **client_options
            ) as client:
                return await coroutine(client)

        return asyncio.run(asyncio.wait_for(main(), 60))


async def until(condition, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def ticks_of(page) -> tuple[list[float], list[str]]:
    """The samples as a page has them, from all its tick messages."""
    times: list[float] = []
    fates: list[str] = []
    for message, (t, f) in zip(page.of("ticks"), page.buffers_of("ticks"), strict=True):
        first = message["first"]
        assert first <= len(times)
        times[first:] = struct.unpack(f"{len(t) // 8}d", t)
        fates[first:] = [FATES[code] for code in f]
    return times, fates


# ---- what a page is told -----------------------------------------------------------------------


def test_a_page_that_says_hello_is_told_everything(clip, page_of):
    async def main(client):
        stream = await client.streams.create(clip, "What number?", MODEL, interval_seconds=0.2)
        await until(lambda: len(stream.df) > 3)
        page = page_of(stream)
        assert not page.messages
        page.hello()
        welcome = await page.until("welcome")
        assert (welcome["page"], welcome["duration"]) == ("page", 10.0)
        assert (welcome["live"], welcome["width"], welcome["height"]) == (False, 160, 96)
        assert welcome["limits"]["target_fps"] == {
            "low": 1,
            "high": 30,
            "open": False,
            "whole": True,
            "default": 6,
        }
        assert [p["text"] for p in welcome["prompts"]] == ["What number?"]
        status = await page.until("status")
        assert (status["state"], status["settings"]["interval_seconds"]) == ("running", 0.2)
        await page.until("picture")
        assert page.buffers_of("picture")[0][0].startswith(b"\xff\xd8")
        await until(lambda: len(stream.df) > 12)
        await stream.close()
        await page.until("status", lambda s: s["state"] == "closed")
        await asyncio.sleep(0.3)
        return stream, page

    stream, page = run(main)
    times, fates = ticks_of(page)
    assert times == [stream.samples[i].media_time for i in range(len(stream.samples))]
    assert fates == [stream.samples[i].fate for i in range(len(stream.samples))]
    rows = {row["row"]: row for m in page.of("rows") for row in m["rows"]}
    assert sorted(rows) == list(range(len(stream.df)))
    assert [rows[i]["text"] for i in sorted(rows)] == stream.df["result"].tolist()
    last = page.of("status")[-1]
    assert last["figures"]["results"] == stream.stats.results
    assert last["latencies"] == stream._run.journal.counters.latest_latencies(60)


def test_nobody_there_nothing_is_sent_and_nothing_is_decoded_for_it(clip, page_of):
    async def main(client):
        stream = await client.streams.create(clip, "What number?", MODEL)
        page = page_of(stream)
        await until(lambda: len(stream.df) > 2)
        assert not page.messages
        assert not stream._run.preview.active
        page.hello()
        await page.until("picture")
        assert stream._run.preview.active
        page.say("bye")
        await until(lambda: not stream._run.preview.active)
        await asyncio.sleep(0.2)
        page.forget()
        rows = len(stream.df)
        await until(lambda: len(stream.df) > rows + 1)
        assert not page.messages

    run(main)


def test_pictures_come_between_samples_and_say_which_are_samples(clip, page_of):
    async def main(client):
        stream = await client.streams.create(clip, "What number?", MODEL)
        page = page_of(stream)
        page.hello()
        await page.until("picture", lambda p: p["sample"] is not None and p["sample"] >= 3)
        await stream.close()
        return stream, page

    stream, page = run(main)
    pictures = page.of("picture")
    sent = {
        p["sample"]: data for p, (data,) in zip(pictures, page.buffers_of("picture"), strict=True)
    }
    assert sent[3] == stream.frames[3].frames[0].data
    times = [p["media_time"] for p in pictures if p["seq"] > pictures[0]["seq"]]
    assert times == sorted(times)
    between = [p for p in pictures if p["sample"] is None]
    assert len(between) > 8
    assert all(abs(p["sent_at"] - p["shown_at"]) < 1 for p in between)


def test_a_page_that_acknowledges_nothing_gets_little(clip, page_of):
    async def main(client):
        stream = await client.streams.create(clip, "What number?", MODEL)
        page = page_of(stream, acks=False)
        page.hello()
        await page.until("picture")
        await asyncio.sleep(3)
        assert len(page.of("picture")) <= MOST
        seq = page.of("picture")[-1]["seq"]
        page.acks = True
        page.say("ack", seq=seq)
        await page.until("picture", lambda p: p["seq"] > seq + 8, seconds=3)
        await stream.close()

    run(main)


def test_a_hidden_page_is_sent_no_picture_and_comes_back(clip, page_of):
    async def main(client):
        stream = await client.streams.create(clip, "What number?", MODEL)
        page = page_of(stream)
        page.hello(visible=False)
        await page.until("rows", lambda m: m["total"] > 1)
        assert len(page.of("picture")) <= 1  # the newest, so that it is not blank
        page.say("beat", visible=True)
        await page.until("picture", lambda p: p["seq"] > 5)
        await stream.close()

    run(main)


def test_two_pages_of_one_widget(clip, page_of):
    async def main(client):
        stream = await client.streams.create(clip, "What number?", MODEL)
        one, two = page_of(stream, name="one"), page_of(stream, name="two")
        assert stream.widget is one.widget is two.widget
        one.hello()
        await one.until("picture", lambda p: p["seq"] > 2)
        two.hello()
        await two.until("welcome", lambda w: w["page"] == "two")
        assert (await two.ask("control", action="pause"))["kind"] == "done"
        await one.until("status", lambda s: s["state"] == "paused")
        await stream.close()

    run(main)


def test_a_page_that_slept_is_told_everything_again(clip, page_of):
    async def main(client):
        stream = await client.streams.create(clip, "What number?", MODEL)
        page = page_of(stream)
        page.say("beat", visible=False)
        await asyncio.sleep(0.2)
        assert not page.messages
        page.say("beat", visible=True)
        await page.until("welcome")
        await page.until("ticks")
        await stream.close()

    run(main)


def test_an_ended_stream_still_shows_its_last_picture(clip, page_of):
    async def main(client):
        stream = await client.streams.create(clip, "Number?", MODEL, realtime=False)
        await stream.wait()
        page = page_of(stream)
        page.hello()
        picture = await page.until("picture")
        assert picture["sample"] == len(stream.samples) - 1
        status = await page.until("status")
        assert (status["state"], status["problem"]) == ("ended", None)

    run(main)


# ---- what a page asks --------------------------------------------------------------------------


def test_rows_that_a_page_scrolls_to(clip, page_of):
    async def main(client):
        stream = await client.streams.create(
            clip, "Number?", MODEL, realtime=False, interval_seconds=0.05
        )
        await stream.wait()
        page = page_of(stream)
        page.hello()
        first = await page.until("rows")
        assert [r["row"] for r in first["rows"]] == list(range(100, 200))
        page.forget()
        page.say("want_rows", rows=[3, 7, 199, 200, -1])
        answer = await page.until("rows")
        assert [r["row"] for r in answer["rows"]] == [3, 7, 199]
        assert answer["total"] == 200
        assert answer["rows"][0]["text"] == stream.df["result"][3]

    run(main)


def test_a_filter_finds_rows_and_those_that_come_later(clip, page_of):
    async def main(client):
        stream = await client.streams.create(clip, "Number?", MODEL, interval_seconds=0.1)
        page = page_of(stream)
        page.hello()
        await until(lambda: len(stream.df) > 8)
        page.say("filter", query="1")
        # Rows that come while it looks may be told before: what it found takes their place.
        found = await page.until("matches", lambda m: not m["append"])
        assert found["query"] == "1"
        begin = page.of("matches").index(found)
        await until(lambda: any(m["append"] for m in page.of("matches")[begin:]))
        await until(lambda: len(stream.df) > 30)
        await stream.close()
        await asyncio.sleep(0.3)
        numbers = [
            n
            for (data,) in page.buffers_of("matches")[begin:]
            for n in struct.unpack(f"{len(data) // 4}I", data)
        ]
        wanted = stream.df.index[stream.df["result"].str.contains("1")].tolist()
        assert numbers == wanted

    run(main)


def test_a_sample_as_a_whole(clip, page_of, no_spill):
    def answer(request: Request):
        if number(request) == "15":
            return Reply(json.dumps({"error": {"message": "no"}}), status=400)
        return "x" * 5000

    async def main(client):
        stream = await client.streams.create(
            clip, "Number?", MODEL, realtime=False, keep_frames=20_000
        )
        await stream.wait()
        page = page_of(stream)
        page.hello()
        await page.until("welcome")
        last = len(stream.samples) - 1
        page.say("look", sample=last)
        detail = await page.until("detail", lambda d: d["sample"] == last)
        assert (detail["fate"], len(detail["text"]), detail["missing"]) == ("result", 5000, None)
        assert detail["row"]["cut"]
        assert (detail["prompt"], detail["model"]) == ("Number?", MODEL)
        assert page.buffers_of("detail")[0] == [stream.frames[last].frames[0].data]
        page.forget()
        page.say("look", sample=1)
        detail = await page.until("detail")
        assert detail["fate"] == "error"
        assert "no" in detail["row"]["error"]
        assert "was dropped from the store" in detail["missing"]
        assert page.buffers_of("detail")[0] == []
        page.forget()
        page.say("look", sample=10_000)  # not there: no answer, no harm
        page.say("look", sample=0)
        assert (await page.until("detail"))["sample"] == 0

    run(main, answer)


def test_pictures_on_disk_are_not_read_on_the_loop_of_the_streams(clip, page_of, monkeypatch):
    readers = set()
    read = SpillFile.read

    def seen(file, position, nbytes):
        readers.add(threading.current_thread().name)
        return read(file, position, nbytes)

    async def main(client):
        stream = await client.streams.create(clip, "Number?", MODEL, realtime=False, keep_frames=1)
        await stream.wait()
        kept = stream.frames
        await until(lambda: kept.nbytes == 0 < kept.nbytes_on_disk)
        monkeypatch.setattr(SpillFile, "read", seen)
        page = page_of(stream)
        page.hello()
        assert (await page.until("picture"))["sample"] == len(stream.samples) - 1
        page.say("look", sample=3)
        assert (await page.until("detail"))["missing"] is None
        monkeypatch.undo()
        assert page.buffers_of("detail") == [[kept[3].frames[0].data]]
        assert readers
        assert not any(name.startswith("overshoot-runtime") for name in readers)

    run(main)


def test_a_clip_of_broken_pictures_is_shown_without_them(clip, page_of):
    async def main(client):
        stream = await client.streams.create(clip, "Number?", MODEL, realtime=False)
        await stream.wait()
        broken = EncodedFrame(0.0, b"no JPEG", 10, 10)
        taken = stream.frames[2].sample
        stream.frames.put(replace(taken, mode="clip", frames=(broken, broken)))
        stream.frames.put(replace(taken, index=len(stream.samples), frames=()))
        page = page_of(stream)
        page.hello()
        await page.until("welcome")
        page.say("look", sample=2)
        detail = await page.until("detail")
        assert detail["text"] == "30"
        assert "JPEG" in detail["missing"]

    run(main)


def test_a_drop_says_why(clip, page_of):
    def slow(request: Request):
        return Reply(completion("late"), delay=0.7)

    async def main(client):
        stream = await client.streams.create(clip, "Number?", MODEL, interval_seconds=0.1)
        page = page_of(stream)
        page.hello()
        await until(lambda: stream.stats.drops)
        dropped = next(i for i in range(len(stream.samples)) if stream.samples[i].fate == "drop")
        page.say("look", sample=dropped)
        detail = await page.until("detail")
        assert (detail["fate"], detail["reason"]) == ("drop", "replaced by a newer sample")
        assert detail["row"] is None
        await stream.close()

    run(main, slow)


def test_controls_and_changes(clip, page_of):
    async def main(client):
        stream = await client.streams.create(clip, "Old", MODEL)
        page = page_of(stream)
        page.hello()
        await page.until("welcome")
        for action, state in (("pause", "paused"), ("resume", "running")):
            assert (await page.ask("control", action=action))["kind"] == "done"
            assert stream.state == state
        schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
        changes = {
            "prompt": "New",
            "interval_seconds": 0.25,
            "output_schema": json.dumps(schema),
            "max_output_tokens": 5,
        }
        assert (await page.ask("update", changes=changes, restart=False))["kind"] == "done"
        assert (stream.prompt, stream.settings.output_schema) == ("New", schema)
        prompts = await page.until("prompts", lambda m: len(m["prompts"]) == 2)
        assert json.loads(prompts["prompts"][1]["output_schema"]) == schema
        cleared = {"output_schema": None, "max_output_tokens": None}
        assert (await page.ask("update", changes=cleared, restart=False))["kind"] == "done"
        assert stream.settings.output_schema is stream.settings.max_output_tokens is None

        refused = await page.ask("update", changes={"mode": "clip"}, restart=False)
        assert (refused["kind"], refused["restart"]) == ("refused", True)
        assert "mode cannot change while the stream runs" in refused["problem"]["message"]
        first = stream.stream_id
        done = await page.ask("update", changes={"mode": "clip", "target_fps": 10}, restart=True)
        assert done["kind"] == "done"
        assert (stream.mode, stream.stream_id != first) == ("clip", True)
        start = await page.until("status", lambda s: s["run_start"] > 0)
        assert start["settings"]["target_fps"] == 10

        assert (await page.ask("control", action="stop"))["kind"] == "done"
        over = await page.ask("update", changes={"prompt": "Late"}, restart=False)
        assert (over["kind"], over["restart"]) == ("refused", True)
        assert (await page.ask("control", action="restart"))["kind"] == "done"
        assert stream.is_active
        await stream.close()

    run(main)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": ""}, "prompt="),
        ({"interval_seconds": 0}, "interval_seconds=0"),
        ({"interval_seconds": "much"}, "interval_seconds='much'"),
        ({"output_schema": "{"}, "the schema is no JSON"),
        ({"output_schema": '{"type": "thing"}'}, "thing"),
        ({"mode": "clip", "target_fps": 99}, "target_fps=99"),
        ({"source": "/etc/passwd"}, "source cannot be changed"),
    ],
)
def test_a_refused_change_says_what_is_wrong(clip, page_of, changes, message):
    async def main(client):
        stream = await client.streams.create(clip, "Old", MODEL)
        page = page_of(stream)
        page.hello()
        before = stream.settings
        refused = await page.ask("update", changes=changes, restart=False)
        assert (refused["kind"], refused["restart"]) == ("refused", False)
        assert message in refused["problem"]["message"]
        assert refused["problem"]["advice"]
        assert stream.settings is before
        await stream.close()

    run(main)


def test_a_schema_is_checked_as_it_is_typed(clip, page_of):
    async def main(client):
        stream = await client.streams.create(clip, "Old", MODEL)
        page = page_of(stream)
        page.hello()
        assert (await page.ask("check_schema", schema='{"type": "object"}'))["kind"] == "done"
        refused = await page.ask("check_schema", schema='{"type": "objekt"}')
        assert "objekt" in refused["problem"]["message"]
        await stream.close()

    run(main)


def test_the_models_of_the_server(clip, page_of):
    async def main(client):
        stream = await client.streams.create(clip, "Old", MODEL)
        page = page_of(stream)
        page.say("want_models")
        models = await page.until("models")
        assert models["error"] is None
        assert {"model": MODEL, "ready": True, "status": "ready"} in models["models"]
        await stream.close()

    run(main)


def test_a_page_that_is_opened_after_a_failed_restart_is_welcome(page_of, tmp_path):
    path = make_video(tmp_path / "clip.mp4", frames=60, fps=30)

    async def main(client):
        stream = await client.streams.create(path, "Number?", MODEL, realtime=False)
        await stream.wait()
        path.rename(tmp_path / "elsewhere.mp4")
        page = page_of(stream)
        refused = await page.ask("control", action="restart")
        assert "clip.mp4" in refused["problem"]["message"]
        page.hello()
        assert (await page.until("welcome"))["duration"] == 2.0
        failed = await page.until("status", lambda s: s["state"] == "failed")
        assert "can be played" in failed["problem"]["advice"]

    run(main)


def test_another_page_that_filters_gets_no_row_twice(clip, page_of):
    async def main(client):
        stream = await client.streams.create(
            clip, "Number?", MODEL, realtime=False, interval_seconds=0.1
        )
        await stream.wait()
        one, two = page_of(stream, name="one"), page_of(stream, name="two")
        one.hello()
        await one.until("welcome")
        one.say("filter", query="is:ok")
        await one.until("matches")
        two.hello()
        await two.until("welcome", lambda w: w["page"] == "two")
        stream.selected = 0  # something to report
        await asyncio.sleep(0.5)
        numbers: list[int] = []
        for message, (data,) in zip(one.of("matches"), one.buffers_of("matches"), strict=True):
            numbers = [*(numbers if message["append"] else []), *memoryview(data).cast("I")]
        assert numbers == list(range(100))

    run(main)


def test_a_widget_that_is_closed_lets_the_stream_go(clip, page_of):
    async def main(client):
        stream = await client.streams.create(clip, "Number?", MODEL)
        page = page_of(stream)
        page.hello()
        await page.until("picture")
        first = stream.widget
        first.close()
        assert not stream._run.preview.active
        assert stream.widget is not first
        assert stream.widget._repr_mimebundle_()
        assert stream.is_active
        await stream.close()

    run(main)


def test_what_an_observer_sets_steers_too(clip):
    async def main(client):
        stream = await client.streams.create(clip, "Number?", MODEL)
        widget = stream.widget

        def choose(change):
            if widget.selected is None and change["new"]:
                widget.selected = change["new"][-1]["sample"]

        widget.observe(choose, "recent")
        await until(lambda: stream.selected is not None)
        await asyncio.sleep(1.2)
        assert widget.selected == stream.selected
        await stream.close()

    run(main)


@pytest.mark.parametrize(
    "message",
    [
        None,
        "hello",
        {},
        {"kind": "unknown"},
        {"kind": "hello"},
        {"kind": "update", "page": "p", "request": 1, "changes": 7, "restart": False},
        {"kind": "control", "page": "p", "request": 1, "action": "explode"},
        {"kind": "want_rows", "rows": "all"},
        {"kind": "look", "sample": "x"},
        {"kind": "ack", "page": "p", "seq": "x"},
        {"kind": "ack"},
    ],
)
def test_messages_of_another_kind_of_page_do_no_harm(clip, page_of, message):
    async def main(client):
        stream = await client.streams.create(clip, "Old", MODEL)
        page = page_of(stream)
        page.widget._receive(page.widget, message, [])
        page.hello()
        await page.until("welcome")
        assert stream.is_active
        await stream.close()

    run(main)


# ---- traits ------------------------------------------------------------------------------------


def test_traits_follow_the_stream_and_can_be_observed(clip):
    async def main(client):
        stream = await client.streams.create(clip, "Old", MODEL)
        seen: list[str] = []
        stream.widget.observe(lambda change: seen.append(change["new"]), "state")
        await stream.update_prompt("New")
        await until(lambda: stream.widget.prompt_version == 2)
        assert stream.widget.prompt == "New"
        await until(lambda: len(stream.widget.recent) > 1)
        newest = stream.widget.recent[-1]
        assert newest["id"] == stream.df["id"][newest["row"]]
        await stream.close()
        await until(lambda: stream.widget.state == "closed")
        assert stream.widget.status == "closed: closed by its user"
        assert seen == ["closed"]
        assert stream.widget.figures["results"] == stream.stats.results

    run(main)


def test_traits_that_are_set_steer_the_stream(clip, page_of):
    async def main(client):
        stream = await client.streams.create(clip, "Old", MODEL)
        page = page_of(stream)
        page.hello()
        await until(lambda: len(stream.samples) > 2)
        stream.widget.selected = 1
        assert stream.selected == 1
        stream.selected = 2
        await until(lambda: stream.widget.selected == 2)
        stream.widget.selected = 10_000
        assert stream.selected == stream.widget.selected == 2
        stream.widget.prompt = "New"
        await until(lambda: stream.prompt == "New")
        stream.widget.prompt = " "
        refused = await page.until("refused")
        assert refused["page"] == ""
        await until(lambda: stream.widget.prompt == "New")
        await stream.close()

    run(main)


def test_traits_are_set_on_the_kernels_loop_and_messages_are_not(clip, page_of):
    """While a cell blocks, no trait changes under it; the page is told all the same."""

    async def main(client):
        stream = await client.streams.create(clip, "Old", MODEL, interval_seconds=0.1)
        page = page_of(stream)
        page.hello()
        await page.until("rows", lambda m: m["total"] > 2)
        await until(lambda: stream.widget.recent)
        page.forget()
        before = stream.widget.recent
        time.sleep(1.5)  # a cell that blocks
        assert stream.widget.recent is before
        assert len(page.of("picture")) > 10
        assert len(page.of("rows")) > 3
        await until(lambda: stream.widget.recent is not before)
        assert "MainThread" not in page.threads
        await stream.close()

    run(main)


def test_nothing_secret_and_no_picture_is_in_a_trait(clip, page_of, tmp_path):
    async def main(client):
        stream = await client.streams.create(
            clip, "Read", MODEL, realtime=False, interval_seconds=0.02
        )
        await stream.wait()
        page = page_of(stream)
        page.hello()
        await page.until("picture")
        await until(lambda: len(stream.widget.recent) == 20)
        return stream, page

    stream, page = run(main, lambda _: "y" * 100_000)
    state = stream.widget.get_state()
    texts = json.dumps({k: v for k, v in state.items() if k not in ("_esm", "_css", "layout")})
    assert len(texts) < 12_000
    assert "ovs-test-secret" not in texts
    assert not any(isinstance(value, bytes | memoryview) for value in state.values())
    assert "ovs-test-secret" not in json.dumps([content for content, _ in page.messages])


# ---- the end -----------------------------------------------------------------------------------


def test_a_stream_that_is_over_leaves_no_timer_and_no_task(clip, page_of):
    async def main(client):
        stream = await client.streams.create(clip, "Old", MODEL)
        page = page_of(stream)
        page.hello()
        await page.until("picture")
        await stream.close()
        page.say("bye")

    run(main)

    async def left() -> int:
        loop = asyncio.get_running_loop()
        live = [h for h in loop._scheduled if not h.cancelled()]  # type: ignore[attr-defined]
        ours = [h for h in live if "overshoot_nb.widget" in repr(h)]
        return len(ours) + len([t for t in asyncio.all_tasks() if "steering" in repr(t)])

    deadline = time.monotonic() + 60
    while (count := get_runtime().run(left())) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert count == 0


def test_a_failed_stream_says_what_to_do(clip, page_of):
    def refuse(request: Request):
        return Reply(json.dumps({"error": {"message": "bad key"}}), status=401)

    async def main(client):
        stream = await client.streams.create(clip, "Old", MODEL)
        page = page_of(stream)
        page.hello()
        failed = await page.until("status", lambda s: s["state"] == "failed")
        assert "bad key" in failed["problem"]["message"]
        assert "OVERSHOOT_API_KEY" in failed["problem"]["advice"]

    run(main, refuse)


def test_pushed_frames_are_shown_while_paused_but_not_as_samples(page_of):
    import numpy as np

    async def main(client):
        source = FrameSource(64, 48)
        stream = await client.streams.create(source, "Colour?", MODEL, interval_seconds=0.1)
        page = page_of(stream)
        page.hello()
        picture = np.full((48, 64, 4), 200, np.uint8)

        async def push(count: int) -> None:
            for _ in range(count):
                source.push_frame(picture)
                await asyncio.sleep(0.04)

        await push(20)
        await page.until("picture", lambda p: p["sample"] is not None)
        await page.ask("control", action="pause")
        await push(5)
        page.forget()
        await push(20)
        paused = page.of("picture")
        assert len(paused) > 3
        assert all(p["sample"] is None for p in paused)
        await stream.close()

    run(main, lambda _: "grey")


def test_a_model_that_names_itself_is_shown_as_it_is(clip, page_of):
    """A server may call its model what it likes, and turn the page's text with that."""

    async def main(client):
        stream = await client.streams.create(clip, "Number?", MODEL, realtime=False)
        await stream.wait()
        journal = stream._run.journal
        journal.answered(replace(journal.table[2], model_name="safe\u202eledom"))
        page = page_of(stream)
        page.hello()
        await page.until("welcome")
        page.say("look", sample=2)
        assert (await page.until("detail"))["model"] == r"safe\u202eledom"

    run(main)
