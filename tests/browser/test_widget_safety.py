"""What models say is text; what is saved is small and holds nothing secret."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pandas as pd
import pytest
from playwright.sync_api import expect

from chatserver import ChatServer, Request
from panel import Panel

SCRIPT = '<img src=x onerror="window.pwned = 1"><script>window.pwned = 1</script><b>bold</b>'
RTL = "שלום עולם — مرحبا"
EMOJI = "🏀👩‍👩‍👧‍👦🇳🇿 e\u0301"
LONG = "0123456789" * 10_000 + " the end"
ANSWERS = [SCRIPT, RTL, EMOJI, LONG, json.dumps({SCRIPT: SCRIPT, "n": None})]


@pytest.fixture
def hostile() -> Iterator[ChatServer]:
    """A server whose answers would do harm where they are taken for HTML."""
    count = iter(range(1_000_000))

    def answer(_: Request) -> str:
        return ANSWERS[next(count) % len(ANSWERS)]

    with ChatServer(answer) as server:
        yield server


def test_answers_and_prompts_are_shown_as_text(lab, hostile):
    notebook = lab.open(
        [
            "import overshoot_nb\nfrom overshoot_nb import demo\n"
            f"client = overshoot_nb.Overshoot('ovs-secret-key', base_url={hostile.url!r})",
            f"live = await client.streams.create(str(demo.video()), {SCRIPT + RTL!r}, 'test/model',"
            " interval_seconds=0.2)\nlive",
        ]
    )
    notebook.run(0, seconds=120)
    notebook.run(1)
    panel = Panel(notebook)
    panel.wait_for_video()
    panel.expect_rows(12)
    panel.expect_row_with("<img src=x onerror=")
    panel.expect_row_with(RTL)
    panel.expect_row_with(EMOJI)
    expect(panel.prompt).to_have_value(SCRIPT + RTL)
    panel.apply_prompt(SCRIPT + "again")
    expect(panel.root.get_by_text("v2 in force")).to_be_visible()

    # A shape of answers that names its fields in HTML.
    notebook.execute(
        "await live.update(output_schema={'type': 'object'}, prompt='<i>fields</i>')", seconds=30
    )
    panel.expect_row_with("v3")
    # The whole of a long answer, in the detail of its sample.
    long = notebook.execute(
        "int(live.df.loc[live.df['result'].str.len() > 1000, 'sample'].iloc[0])"
    )
    notebook.execute(f"live.selected = {long}")
    detail = panel.root.get_by_label("Selected sample")
    expect(detail).to_contain_text("the end")
    script = notebook.execute(
        "int(live.df.loc[live.df['result'].str.startswith('<img'), 'sample'].iloc[0])"
    )
    notebook.execute(f"live.selected = {script}")
    expect(detail).to_contain_text("<script>window.pwned = 1</script>")
    notebook.shot("lab-hostile")

    panel.tab("Settings")
    assert notebook.js("() => window.pwned") is None
    assert panel.root.locator("script, img, iframe, object").count() == 0
    marked = panel.root.locator("b, i").all_text_contents()
    assert not {"bold", "fields"} & set(marked)
    notebook.execute("await live.close()")


def test_a_saved_notebook_grows_little_and_holds_no_picture_and_no_secret(lab, hostile):
    notebook = lab.open(
        [
            "import overshoot_nb, threading, http.server, functools\n"
            "from overshoot_nb import demo\n"
            "video = demo.video()\n"
            "class Quiet(http.server.SimpleHTTPRequestHandler):\n"
            "    def log_message(self, *a): pass\n"
            "server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial("
            "Quiet, directory=str(video.parent)))\n"
            "threading.Thread(target=server.serve_forever, daemon=True).start()\n"
            # Put together, so that it is in no cell.
            "user, token, key = 'hunter' + '22', 's3' + 'cr3t', 'ovs-' + 'secret-key'\n"
            "url = f'http://me:{user}@127.0.0.1:{server.server_port}/{video.name}?token={token}'\n"
            f"client = overshoot_nb.Overshoot(key, base_url={hostile.url!r})",
            "live = await client.streams.create(url, 'Read', 'test/model', realtime=False,"
            " interval_seconds=0.02)\nlive",
        ]
    )
    notebook.run(0, seconds=120)
    before = len(json.dumps(notebook.save()))
    notebook.run(1)
    panel = Panel(notebook)
    panel.wait_for_video()
    assert "ended" in notebook.execute("await live.wait()", seconds=90)
    panel.expect_state("ended")
    panel.expect_rows(500)
    notebook.page.wait_for_timeout(1500)
    whole = json.dumps(notebook.save())
    assert len(whole) - before < 50_000
    state = notebook.execute(
        "import ipywidgets, json\n"
        "print(json.dumps(ipywidgets.Widget.get_manager_state(drop_defaults=True)))"
    )
    # What a front end that saves widgets with their state would add.
    assert len(state) + len(whole) - before < 50_000
    for secret in ("hunter22", "s3cr3t", "ovs-secret-key", "image/jpeg", "/9j/"):
        assert secret not in whole, secret
        assert secret not in state, secret


TEX = (
    r"tea $5 and $6; $\href{javascript:alert(1)}{x}$ \(\style{color:red}{y}\) https://evil.example"
)
TURNED = "safe\u202eexe.txt \u2066\x1b[31m \u200fשלום"


def test_no_output_takes_an_answer_for_a_formula_a_link_or_what_turns_it(lab):
    with ChatServer(lambda request: TEX + TURNED) as server:
        notebook = lab.open(
            [
                "import overshoot_nb, numpy as np\n"
                f"client = overshoot_nb.Overshoot('key', base_url={server.url!r})\n"
                "source = overshoot_nb.ArraySource("
                "[np.full((48, 64, 3), i * 20, np.uint8) for i in range(4)], fps=1)\n"
                f"text = {TEX + TURNED!r}\n"
                "stream = await client.streams.create(source, text, 'test/model',"
                " interval_seconds=1)\nawait stream.wait()",
                "await overshoot_nb.compare(stream, [text, 'b'], ['test/model'], client=client)",
                "stream.df.overshoot.show()",
                "from IPython.display import HTML, display\nHTML(stream._repr_html_())",
                "stream.label(0, text)\nstream.label(1, right=True)\nstream.score()",
                "job = stream.backfill(text + '!', column='v2')\nawait job\njob",
                "stream.prompts.diff(1, 2)",
                "stream.live(lambda df: df[['result']].head(2))",
                "from overshoot_nb.analysis.bell import bell_note\nbell_note(text, ringing=False)",
                "stream",
                # What pandas itself shows is typeset, unless it is told not to.
                "stream.df[['result']].head(2)",
                "import pandas\npandas.options.display.html.use_mathjax = False\n"
                "stream.df[['result']].head(2)",
            ],
            allow=[r"\.woff\b"],  # MathJax's own fonts
        )
        notebook.run(0, seconds=120)
        for cell in range(1, 12):
            notebook.run(cell)
    notebook.wait("() => document.querySelectorAll('mjx-container').length > 0", seconds=60)
    notebook.page.wait_for_timeout(500)
    for cell in range(1, 10):
        output = notebook.cell(cell).locator(".jp-OutputArea")
        text = output.evaluate("o => o.textContent")
        assert output.locator("mjx-container, a").count() == 0, cell
        assert not set("\u202e\u2066\x1b\u200f") & set(text), cell
        if cell in (1, 2, 3, 5, 6):
            assert r"$\href{javascript:alert(1)}{x}$" in text, cell
            assert r"safe\u202eexe.txt \u2066\x1b[31m \u200fשלום" in text, cell
    assert notebook.cell(10).locator("mjx-container").count() > 0, "MathJax did nothing"
    if int(pd.__version__.partition(".")[0]) >= 3:  # older ones leave out the class of MathJax 3
        assert notebook.cell(11).locator("mjx-container").count() == 0
    notebook.shot("lab-formulas")
    notebook.execute("await client.close()")
