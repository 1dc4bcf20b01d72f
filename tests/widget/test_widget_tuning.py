"""The Tune tab's side of the kernel: a real stream, and a page that the test speaks for."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest

from overshoot_nb import Overshoot, ValidationError
from overshoot_nb.widget import tuning_steering

from chatserver import ChatServer, Reply, Request
from videos import make_video, number_in

pytestmark = pytest.mark.usefixtures("no_threads_left")

MODEL = "test/model"
SCHEMA = {
    "type": "object",
    "properties": {"number": {"type": "integer"}, "even": {"type": "boolean"}},
    "required": ["number", "even"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory) -> str:
    """Twenty seconds at 30 frames a second, each frame showing its number."""
    return str(make_video(tmp_path_factory.mktemp("clips") / "long.mp4", frames=600, fps=30))


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> str:
    """Four seconds at 30 frames a second, each frame showing its number."""
    return str(make_video(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=120, fps=30))


def answer(request: Request) -> str | Reply:
    """The number of the frame; "Guess" is wrong by one where it is a multiple of ten."""
    number = number_in(request.jpegs[0])
    if "Guess" in request.prompt and number % 10 == 0:
        number += 1
    if "response_format" in request.body:
        return json.dumps({"number": number, "even": number % 2 == 0})
    return str(number)


def run(coroutine, server=None):
    with server or ChatServer(answer) as serving:

        async def main():
            async with Overshoot("ovs-test-secret", base_url=serving.url) as client:
                return await coroutine(client)

        return asyncio.run(asyncio.wait_for(main(), 60))


async def ended(client, clip, prompt="Guess the number", **options):
    """A stream of 20 samples that is over."""
    options = {"interval_seconds": 0.2, "realtime": False, **options}
    stream = await client.streams.create(clip, prompt, MODEL, **options)
    await stream.wait()
    return stream


class Tab:
    """The Tune tab of a page."""

    def __init__(self, page) -> None:
        self.page = page

    async def ask(self, kind: str, **fields):
        return await self.page.ask("tune", message={"kind": kind, **fields})

    async def does(self, kind: str, **fields) -> None:
        done = await self.ask(kind, **fields)
        assert done["kind"] == "done", done["problem"]["message"]

    def of(self, kind: str) -> list[tuple[dict, list[bytes]]]:
        with self.page._changed:
            told = [(m["message"], b) for m, b in self.page.messages if m["kind"] == "tuned"]
        return [(message, buffers) for message, buffers in told if message["kind"] == kind]

    async def until(self, kind: str, fits=lambda m: True):
        """The newest message of a kind, once it fits."""
        async with asyncio.timeout(60):
            while not (found := self.of(kind)) or not fits(found[-1][0]):
                await asyncio.sleep(0.01)
        return found[-1][0]

    def samples(self) -> list[int]:
        """The samples of the grid, from all messages."""
        known = np.empty(0, np.uint32)
        for message, (data,) in self.of("samples"):
            known = np.concatenate([known[: message["start"]], np.frombuffer(data, np.uint32)])
            assert len(known) == message["total"]
        return known.tolist()

    async def rows(self, *samples: int) -> dict[int, dict]:
        before = len(self.of("cells"))
        await self.does("want_cells", samples=list(samples))
        message, _ = self.of("cells")[before]
        return {row["sample"]: row for row in message["rows"]}


async def opened(page_of, stream, name="page") -> Tab:
    page = page_of(stream, name=name)
    page.hello()
    tab = Tab(page)
    await tab.does("open", view="view")
    await tab.until("state")
    await tab.until("samples")
    return tab


TRY = {
    "prompt": "Read the number",
    "model": MODEL,
    "output_schema": None,
    "max_output_tokens": None,
    "temperature": None,
    "note": "",
    "last": 10,
}


def test_the_tab_itself_comes_from_the_kernel_when_it_is_asked_for(clip, page_of, tmp_path):
    async def main(client):
        stream = await ended(client, clip)
        tab = Tab(page_of(stream))
        tab.page.hello()
        await tab.does("want_script")
        (_, (script,)) = tab.of("script")[0]
        assert script == tuning_steering.TUNE_TAB.read_bytes()
        assert "tune" not in {kind for kind in tab.page.kinds() if kind != "tuned"}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tuning_steering, "TUNE_TAB", tmp_path / "tune.js")
            refused = await tab.ask("want_script")
        assert "was not built" in refused["problem"]["message"]
        # No trait holds any of it: notebooks stay as small as they are.
        assert len(json.dumps(stream.widget.get_state(), default=str)) < 100_000

    run(main)


def test_a_draft_is_tried_labelled_scored_and_applied(long_clip, page_of):
    async def main(client):
        stream = await client.streams.create(
            long_clip, "Guess the number", MODEL, interval_seconds=0.2
        )
        async with asyncio.timeout(60):
            while len(stream.df) < 20:
                await asyncio.sleep(0.02)
        await stream.pause()
        tab = await opened(page_of, stream)
        state = await tab.until("state", lambda s: s["answered"] >= 20)
        assert (state["version"], state["baseline"]) == (1, None)
        assert state["fields"] == [{"name": None, "title": "answer", "choices": []}]

        stream.widget.tuning.samples = range(10, 20)
        await tab.does("try", **{**TRY, "note": "no guessing", "last": None})
        state = await tab.until(
            "state", lambda s: s["backfills"] and not s["backfills"][0]["active"]
        )
        (backfill,) = state["backfills"]
        assert (backfill["version"], backfill["done"], backfill["total"]) == (2, 10, 10)
        assert (state["version"], state["baseline"], state["columns"]) == (2, 1, [1, 2])
        listed = {v["version"]: v for v in state["versions"]}
        assert (listed[2]["note"], listed[2]["answers"], listed[2]["parent"]) == (
            "no guessing",
            10,
            1,
        )
        assert listed[1]["in_force"]
        assert not listed[2]["in_force"]
        assert stream.prompts[2].text == "Read the number"
        diff = await tab.until("diff", lambda d: (d["old"], d["new"]) == (1, 2))
        assert {"kind": "added", "text": "Read"} in diff["segments"]

        # Sample 15 is frame 90: guessed 91.
        rows = await tab.rows(14, 15)
        cells = {cell["version"]: cell for cell in rows[15]["cells"]}
        assert (cells[1]["text"], cells[2]["text"], cells[2]["differs"]) == ("91", "90", True)
        assert not rows[14]["cells"][1]["differs"]

        for sample in range(10, 20):
            await tab.does("mark", sample=sample, version=2, field=None, right=True)
        state = await tab.until("state", lambda s: s["labelled"] == 10)
        state = await tab.until("state", lambda s: s["versions"][0]["score"]["n"] == 10)
        scores = {v["version"]: v["score"] for v in state["versions"]}
        assert (scores[2]["right"], scores[2]["n"]) == (10, 10)
        assert (scores[1]["right"], scores[1]["n"]) == (8, 10)
        best = stream.score().df.set_index("version")
        assert scores[1]["low"] == pytest.approx(best.loc[1, "low"])
        assert [v["version"] for v in state["versions"] if v["best"]] == [2]
        assert (state["better"], state["worse"]) == (2, 0)
        assert state["verdict"] == stream.paired_test(1, 2).verdict
        rows = await tab.rows(15)
        assert [cell["right"] for cell in rows[15]["cells"]] == [False, True]
        assert rows[15]["labels"] == [{"field": None, "expected": '"90"', "rejected": []}]

        await tab.does("apply", version=2)
        assert stream.prompt == "Read the number"
        state = await tab.until("state", lambda s: s["versions"][0]["in_force"])
        assert state["baseline"] == 1
        await tab.does("want_code", version=2)
        code = await tab.until("code")
        assert code["code"] == stream.prompts[2].as_code()
        await stream.close()
        refused = await tab.ask("apply", version=1)
        assert "over" in refused["problem"]["message"]

    run(main)


def test_labels_set_in_python_show_up_by_themselves(clip, page_of):
    async def main(client):
        stream = await ended(client, clip)
        first, second = await opened(page_of, stream), await opened(page_of, stream, "second")
        stream.label(3, "18")
        for tab in (first, second):
            state = await tab.until("state", lambda s: s["labelled"] == 1)
            assert state["versions"][0]["score"]["n"] == 1
            assert state["undo"] == ""  # what Python did is not a page's to take back
        stream.labels.clear()
        await first.until("state", lambda s: s["labelled"] == 0)
        state = await first.until("state", lambda s: s["versions"][0]["score"] is None)
        assert "Nothing was labelled" in state["verdict"]

    run(main)


def test_many_labels_at_once_are_a_few_reports(clip, page_of):
    async def main(client):
        stream = await ended(client, clip)
        tab = await opened(page_of, stream)
        before = len(tab.of("state"))
        for k in range(1000):
            stream.label(k % 20, str(k))
        await tab.until("state", lambda s: s["labelled"] == 20)
        await asyncio.sleep(0.5)
        assert len(tab.of("state")) - before <= 6
        assert stream.widget._tuning._reporter._report.standing.scores[1]["n"] == 20

    run(main)


def test_what_a_page_chooses_is_in_python_and_the_other_way_round(clip, page_of):
    async def main(client):
        stream = await ended(client, clip)
        tab = await opened(page_of, stream)
        assert tab.samples() == list(range(20))
        await tab.does("choose", changes={"first": 4, "last": 9})
        choice = stream.widget.tuning
        assert choice.samples == range(4, 10)
        await tab.until("samples", lambda m: m["total"] == 6)
        assert tab.samples() == list(range(4, 10))
        await stream.backfill("Read the number", samples=choice.samples, progress=False)
        await tab.until("state", lambda s: s["columns"] == [1, 2])

        choice.only = ["different"]
        await tab.until("samples", lambda m: m["total"] == 1)
        assert tab.samples() == [5]
        choice.samples, choice.only, choice.version = None, (), 1
        state = await tab.until("state", lambda s: s["version"] == 1)
        assert (state["baseline"], state["chosen"]["first"]) == (2, None)
        refused = await tab.ask("choose", changes={"version": 7})
        assert "no prompt version 7" in refused["problem"]["message"]
        with pytest.raises(LookupError, match="7"):
            choice.version = 7
        with pytest.raises(ValidationError, match="different, unlabelled"):
            choice.only = ["odd"]
        with pytest.raises(ValidationError, match="range"):
            choice.samples = 5
        with pytest.raises(ValidationError, match="last sample"):
            choice.samples = range(5, 500)
        assert "version=1" in repr(choice)

    run(main)


def test_each_change_of_a_label_can_be_taken_back(clip, page_of):
    async def main(client):
        stream = await ended(client, clip)
        tab = await opened(page_of, stream)
        await tab.does("mark", sample=3, version=1, field=None, right=False)
        await tab.does("mark", sample=3, version=1, field=None, right=True)
        await tab.does("expect", sample=3, version=1, field=None, value="19", typed=True)
        assert stream.labels.get(3).expected == "19"
        await tab.does("undo")
        assert stream.labels.get(3).expected == "18"
        await tab.does("undo")
        assert stream.labels.get(3).rejected == ("18",)
        state = await tab.until("state", lambda s: s["undo"] == "sample 3, wrong")
        await tab.does("unlabel", sample=3, field=None)
        assert 3 not in stream.labels
        await tab.does("undo")
        await tab.does("undo")
        assert not stream.labels
        refused = await tab.ask("undo")
        assert "no change" in refused["problem"]["message"]

        # What Python says meanwhile is not undone.
        await tab.does("mark", sample=4, version=1, field=None, right=True)
        stream.label(4, "99")
        refused = await tab.ask("undo")
        assert "labelled otherwise since" in refused["problem"]["message"]
        assert stream.labels.get(4).expected == "99"
        assert state["labelled"] == 1

    run(main)


def test_structured_answers_are_labelled_by_field_with_the_values_that_it_can_have(clip, page_of):
    async def main(client):
        stream = await ended(client, clip, output_schema=SCHEMA)
        tab = await opened(page_of, stream)
        state = await tab.until("state")
        assert state["fields"] == [
            {"name": "number", "title": "number", "choices": []},
            {"name": "even", "title": "even", "choices": ["true", "false"]},
        ]
        # Sample 5 is frame 30: guessed 31, which is odd.
        rows = await tab.rows(5)
        assert [(p["name"], p["text"]) for p in rows[5]["cells"][0]["parts"]] == [
            ("number", "31"),
            ("even", "false"),
        ]
        await tab.does("expect", sample=5, version=1, field="even", value="true", typed=False)
        await tab.does("expect", sample=5, version=1, field="number", value="30", typed=True)
        assert stream.labels.get(5, "even").expected is True
        assert stream.labels.get(5, "number").expected == 30
        refused = await tab.ask("expect", sample=5, version=1, field=None, value="3", typed=True)
        assert "choose one field" in refused["problem"]["message"]
        await tab.does("mark", sample=6, version=1, field="even", right=True)
        assert stream.labels.get(6, "even").expected is True
        assert stream.labels.get(6, "number") is None

        await tab.until("state", lambda s: (s["versions"][0]["score"] or {}).get("n") == 2)
        rows = await tab.rows(5)
        assert rows[5]["cells"][0]["right"] is False
        assert [p["right"] for p in rows[5]["cells"][0]["parts"]] == [False, False]
        stream.widget.tuning.field = "even"
        state = await tab.until("state", lambda s: s["chosen"]["field"] == "even")
        score = state["versions"][0]["score"]
        assert (score["n"], score["right"]) == (2, 1)
        rows = await tab.rows(5)
        assert (rows[5]["cells"][0]["text"], rows[5]["cells"][0]["parts"]) == ("false", [])
        stream.widget.tuning.only = "unlabelled"
        await tab.until("samples", lambda m: m["total"] == 18)
        assert not {5, 6} & set(tab.samples())

    run(main)


def test_the_grid_of_a_running_stream_grows_and_sends_only_what_is_new(clip, page_of):
    async def main(client):
        stream = await client.streams.create(clip, "Guess", MODEL, interval_seconds=0.1)
        tab = await opened(page_of, stream)
        await stream.wait()
        await tab.until("samples", lambda m: m["total"] == len(stream.df))
        assert tab.samples() == stream.df["sample"].tolist()
        sent = sum(len(data) // 4 for _, (data,) in tab.of("samples"))
        assert sent == len(stream.df)
        states = len(tab.of("state"))
        assert states < 4 / 0.2 + 5

        await tab.does("close", view="view")
        before = len(tab.of("state"))
        stream.label(3, "x")
        await asyncio.sleep(0.5)
        assert len(tab.of("state")) == before  # nobody looks

    run(main)


def test_a_backfill_is_cancelled_and_resumed(clip, page_of):
    server = ChatServer(answer)

    async def main(client):
        stream = await ended(client, clip)
        tab = await opened(page_of, stream)
        server.delay = 0.2
        await tab.does("try", **{**TRY, "last": 20})
        await tab.until("state", lambda s: s["backfills"] and s["backfills"][0]["done"] >= 2)
        await tab.does("cancel", number=0)
        state = await tab.until("state", lambda s: s["backfills"][0]["state"] == "cancelled")
        assert 0 < state["backfills"][0]["remaining"] < 20
        server.delay = 0
        await tab.does("resume", number=0)
        state = await tab.until("state", lambda s: s["backfills"][0]["state"] == "done")
        assert state["backfills"][0]["remaining"] == 0
        assert state["versions"][0]["answers"] == 20
        refused = await tab.ask("cancel", number=5)
        assert refused["kind"] == "refused"

    run(main, server)


def test_small_pictures_of_samples_and_none_of_those_that_are_gone(clip, page_of):
    async def main(client):
        stream = await ended(client, clip)
        tab = await opened(page_of, stream)
        stream.frames._forget(2)
        await tab.does("want_thumbs", samples=[1, 2, 10_000])
        message, buffers = tab.of("thumbs")[-1]
        assert message["samples"] == [1, 2, 10_000]
        assert buffers[0].startswith(b"\xff\xd8")
        assert len(buffers[0]) < 12_001
        assert buffers[1:] == [b"", b""]

    run(main)


def test_what_cannot_be_done_says_why(clip, page_of):
    async def main(client):
        stream = await ended(client, clip)
        tab = await opened(page_of, stream)

        async def refusal(kind, **fields):
            refused = await tab.ask(kind, **fields)
            assert refused["kind"] == "refused", refused
            return refused["problem"]["message"]

        assert "prompt" in await refusal("try", **{**TRY, "prompt": " "})
        assert "no JSON" in await refusal("try", **{**TRY, "output_schema": "{"})
        assert "temperature" in await refusal("try", **{**TRY, "temperature": 9})
        assert "no sample 500" in await refusal(
            "mark", sample=500, version=1, field=None, right=True
        )
        nothing = await refusal("mark", sample=3, version=1, field="nothing", right=True)
        assert "no field 'nothing'" in nothing
        assert "no prompt version 9" in await refusal("want_code", version=9)
        stream.widget.tuning.judge = lambda answer, expected: 1 / 0
        stream.label(3, "18")
        state = await tab.until("state", lambda s: "failed" in s["verdict"])
        assert state["versions"][0]["score"] is None
        stream.widget.tuning.judge = "contains"
        state = await tab.until("state", lambda s: s["versions"][0]["score"] is not None)
        assert state["chosen"]["judge"] == "contains"

    run(main)
