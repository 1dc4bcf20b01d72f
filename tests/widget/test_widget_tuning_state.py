"""The Tune tab where page and Python could come apart: what is stale, hidden, large or refused."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace

import pytest
from test_widget_tuning import TRY, Tab, clip, ended, opened, run

from overshoot_nb import Overshoot
from overshoot_nb.runtime.event_loop import get_runtime
from overshoot_nb.tuning import judges

from chatserver import ChatServer

pytestmark = pytest.mark.usefixtures("no_threads_left")

__all__ = ["clip"]


def test_what_can_be_undone_is_said_anew_where_it_could_not(clip, page_of):
    async def main(client):
        stream = await ended(client, clip)
        tab = await opened(page_of, stream)
        await tab.does("mark", sample=3, version=1, field=None, right=True)
        await tab.until("state", lambda s: s["undo"] == "sample 3, right")
        stream.labels.set(3, None, "something else")
        await asyncio.sleep(0.5)  # that was reported
        refused = await tab.ask("undo")
        assert "labelled otherwise since" in refused["problem"]["message"]
        await tab.until("state", lambda s: s["undo"] == "")

    run(main)


def test_another_judge_judges_anew_wherever_it_is_in_memory(clip, page_of):
    """Functions are told apart by more than their address, which another may have later."""

    class Near:
        """Says the same of itself, whatever it forgives."""

        def __init__(self, by: int) -> None:
            self.by = by

        def __call__(self, answer, expected) -> bool:
            return abs(int(answer) - int(expected)) <= self.by

        def __repr__(self) -> str:
            return "Near()"

    async def main(client):
        stream = await ended(client, clip)
        stream.label(5, str(int(stream.df["result"][5]) + 2))
        tab = await opened(page_of, stream)
        tuning = stream.widget.tuning
        for judge, right in ((Near(5), 1), (Near(0), 0), (judges.number_within(5), 1)):
            tuning.judge = judge

            def judged(state, right=right) -> bool:
                return state["versions"][0]["score"]["right"] == right

            await tab.until("state", judged)

    run(main)


def test_code_goes_to_the_clipboard_of_the_page_that_asked(clip, page_of):
    async def main(client):
        stream = await ended(client, clip)
        one = await opened(page_of, stream, "one")
        await opened(page_of, stream, "two")
        await one.does("want_code", version=1)
        await one.does("want_script")
        told = [m for m in one.page.of("tuned") if m["message"]["kind"] in ("code", "script")]
        assert [m["page"] for m in told] == ["one", "one"]

    run(main)


def test_the_version_in_force_is_listed_however_many_were_tried(clip, page_of):
    async def main(client):
        stream = await ended(client, clip)
        for number in range(70):
            version = stream.prompts.version_of(text=f"Guess {number}")
            result = replace(stream._run.journal.table[0], prompt_version=version.version)
            stream._run.journal.later.put(result)
        tab = Tab(page_of(stream))
        tab.page.hello()
        stream.widget.tuning.version, stream.widget.tuning.baseline = 70, 69
        await tab.does("open", view="view")
        state = await tab.until("state")
        listed = {v["version"]: v["in_force"] for v in state["versions"]}
        assert listed[1]
        assert len(listed) < 70

    run(main)


def test_large_answers_hold_up_no_stream(clip, page_of):
    """Rows of the grid are read on a thread."""

    async def main(client):
        stream = await ended(client, clip)
        journal = stream._run.journal
        output = {"words": [f"word {k}" for k in range(60_000)]}
        text = json.dumps(output)
        for number in range(6):
            version = stream.prompts.version_of(text=f"Guess {number}").version
            for sample in range(16):
                journal.later.put(
                    replace(
                        journal.table[sample], prompt_version=version, result=text, output=output
                    )
                )
        tab = await opened(page_of, stream)
        await tab.until("state", lambda s: len(s["columns"]) > 5)
        worst = 0.0

        async def watch() -> None:
            nonlocal worst
            while True:
                before = time.perf_counter()
                await asyncio.sleep(0.005)
                worst = max(worst, time.perf_counter() - before)

        watching = asyncio.run_coroutine_threadsafe(watch(), get_runtime().loop)
        before = time.perf_counter()
        rows = await tab.rows(*range(16))
        took = time.perf_counter() - before
        watching.cancel()
        assert {len(cell["parts"][0]["text"]) for cell in rows[3]["cells"] if cell["parts"]} == {80}
        assert worst < max(0.1, took / 4)

    run(main)


def test_nothing_is_worked_out_while_no_page_can_be_seen(clip, page_of, monkeypatch):
    async def main(client):
        stream = await ended(client, clip)
        tab = await opened(page_of, stream)
        reporter = stream.widget._tuning._reporter
        worked = []
        work = reporter._work
        monkeypatch.setattr(reporter, "_work", lambda: worked.append(1) or work())
        tab.page.say("beat", visible=False)
        for sample in range(5):
            stream.label(sample, "1")
            await asyncio.sleep(0.1)
        assert not worked
        tab.page.say("beat", visible=True)
        await tab.until("state", lambda s: s["labelled"] == 5)
        assert worked

    run(main)


def test_a_refused_version_is_not_what_a_page_shows_of_the_next_with_its_number(clip, page_of):
    async def main(client):
        stream = await ended(client, clip)
        tab = await opened(page_of, stream)
        refused = stream.prompts.version_of(text="Refused")
        stream._run.journal.touch()
        await tab.page.until("prompts", lambda m: m["prompts"][-1]["text"] == "Refused")
        stream.prompts.discard(refused)
        stream.prompts.version_of(text="Taken")
        stream._run.journal.touch()
        await tab.page.until("prompts", lambda m: m["prompts"][-1]["text"] == "Taken")

    run(main)


def test_a_listed_version_is_applied_with_all_that_it_asks(page_of, clip):
    async def main(client):
        stream = await ended(client, clip)
        schema = {"type": "object", "properties": {"number": {"type": "integer"}}}
        page = page_of(stream)
        page.hello()
        asked = {"text": "Read", "model": "test/other", "output_schema": schema, "temperature": 0.5}
        tried = stream.prompts.version_of(**asked).version
        refused = await page.ask("update", changes={"version": tried}, restart=False)
        assert refused["restart"]  # it is over
        assert (await page.ask("update", changes={"version": tried}, restart=True))[
            "kind"
        ] == "done"
        now = stream.settings
        assert (stream.prompt_version, stream.prompt, now.model) == (tried, "Read", "test/other")
        assert (now.output_schema, now.temperature) == (schema, 0.5)
        await stream.pause()
        assert (await page.ask("update", changes={"version": 1}, restart=False))["kind"] == "done"
        assert (stream.prompt_version, stream.settings.output_schema) == (1, None)
        assert (await page.ask("update", changes={"version": 1}, restart=False))["kind"] == "done"
        unknown = await page.ask("update", changes={"version": 9}, restart=False)
        assert "no prompt version 9" in unknown["problem"]["message"]
        await stream.close()

    run(main)


def test_a_closed_client_is_said_and_labels_go_on(clip, page_of):
    async def main():
        with ChatServer(lambda _: "1") as serving:
            async with Overshoot("ovs-test-secret", base_url=serving.url) as client:
                stream = await ended(client, clip)
            tab = await opened(page_of, stream)
            refused = await tab.ask("try", **TRY)
            assert "closed" in refused["problem"]["message"]
            await tab.does("mark", sample=3, version=1, field=None, right=True)
            await tab.until("state", lambda s: s["labelled"] == 1)
            stream.widget.close()

    asyncio.run(main())


def test_a_view_that_comes_back_to_no_samples_shows_none(clip, page_of):
    async def main(client):
        stream = await ended(client, clip)
        tab = await opened(page_of, stream)
        assert len(tab.samples()) == 20
        await tab.does("close", view="view")
        stream.widget.tuning.only = "flipped"
        await tab.does("open", view="view")
        await tab.until("samples", lambda m: m["total"] == 0)

    run(main)


def test_names_that_a_model_made_up_are_cut_too(clip, page_of):
    async def main(client):
        stream = await ended(client, clip)
        journal = stream._run.journal
        version = stream.prompts.version_of(output_schema={"type": "object"}).version
        output = {"n" * 100: 1, "x" * 100_000: 2}
        first = replace(journal.table[0], prompt_version=version, output=output, result="{}")
        journal.later.put(first)
        tab = await opened(page_of, stream)
        state = await tab.until("state", lambda s: len(s["columns"]) == 2)
        assert len(json.dumps(state)) < 10_000
        titles = {field["name"]: field["title"] for field in state["fields"]}
        row = (await tab.rows(0))[0]
        parts = row["cells"][1]["parts"]
        assert len(json.dumps(row)) < 3_000
        # What is chosen by its title is found by it.
        assert titles["n" * 100] == parts[0]["name"]
        assert "x" * 100_000 not in titles

    run(main)
