"""Text from outside as HTML: one place escapes it, makes it seen, and keeps MathJax away."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pandas as pd
import pytest

import overshoot_nb
from overshoot_nb.analysis.bell import bell_note
from overshoot_nb.analysis.notebook_output import Note, _shown
from overshoot_nb.store.prompt_diff import PromptDiff
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.support.html import escaped, fragment, visible
from overshoot_nb.tuning.statistics import PairedTest

PACKAGE = Path(overshoot_nb.__file__).parent
AROUND = '<div class="mathjax_ignore tex2jax_ignore"'
FORMULA = r"$\href{javascript:alert(1)}{x}$"

CONTROLS = [chr(c) for c in (*range(0x20), *range(0x7F, 0xA0)) if chr(c) not in "\t\n\r"]
TURNING = list("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@pytest.mark.parametrize("character", [*CONTROLS, *TURNING, "\r", "\ud83d"], ids=ascii)
def test_what_would_not_be_seen_is_written_out(character):
    code = ord(character)
    written = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    assert visible(f"a{character}b") == f"a{written}b"
    assert escaped(f"<{character}>") == f"&lt;{written}&gt;"
    escaped(character).encode()


@pytest.mark.parametrize(
    "text",
    [
        "שלום עולם — مرحبا",
        "👩‍👩‍👧‍👦 क्\u200dष می\u200cخواهم",
        "a\tb\nc",
        "é e\u0301 \xa0x",
        "\u2029\ufeff",
    ],
)
def test_letters_and_joiners_stay(text):
    assert visible(text) == text


def test_line_breaks_of_windows_are_line_breaks():
    assert visible("a\r\nb\r") == "a\nb\\x0d"


def test_one_place_escapes():
    # A second one would forget what turns the direction of text.
    others = [
        path
        for path in PACKAGE.rglob("*.py")
        if re.search(r"\bhtml\.escape\(|from html import", path.read_text("utf-8"))
    ]
    assert others == [PACKAGE / "support/html.py"]


def test_every_output_is_out_of_the_reach_of_mathjax():
    old, new = (PromptVersion(n, FORMULA + str(n) + "\u202e", "m") for n in (1, 2))
    test = PairedTest(FORMULA, "b\u202e", 3, 1, 0, 2)
    table = pd.DataFrame({"result": [FORMULA + "\u202e"]})
    outputs = [
        PromptDiff.between(old, new),
        PromptDiff.between(old, old),
        test,
        bell_note(FORMULA + "\u202e", ringing=True),
        Note(FORMULA + "\u202e"),
        _shown(table),
        _shown(table["result"].to_frame()),
    ]
    for output in outputs:
        markup = output._repr_html_()
        assert markup.startswith(AROUND), output
        assert "\u202e" not in markup, output
        assert markup.rstrip().endswith("</div>"), output
    assert _shown(3) == 3
    assert html.escape(FORMULA) in _shown(table)._repr_html_()
    assert fragment("x", 'style="margin: 0"') == f'{AROUND} style="margin: 0">x</div>'


def test_every_class_with_html_of_its_own_goes_through_a_fragment():
    # What gives HTML says so with a fragment, or hands on to what does.
    made = {
        "analysis/clip_player.py": "a video and its title, which is numbers",
        "analysis/notebook_output.py": "given by whoever makes the note",
        "stream.py": "run_html",
    }
    for path in PACKAGE.rglob("*.py"):
        source = path.read_text("utf-8")
        if "def _repr_html_" in source:
            name = path.relative_to(PACKAGE).as_posix()
            assert name in made or "fragment(" in source, name
