"""What changed from one prompt version to another."""

from __future__ import annotations

import random
import re
from difflib import SequenceMatcher
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from overshoot_nb.store import prompt_diff
from overshoot_nb.store.prompt_diff import PromptDiff, segments_of
from overshoot_nb.store.prompts import PromptHistory, PromptVersion

SCHEMA = {"type": "object", "properties": {"score": {"type": "string"}}}
NUMBER = {"type": "object", "properties": {"score": {"type": "integer"}}}

words = st.lists(
    st.sampled_from(["the", "clock", "Read", ",", " ", "\n", "\t", "  ", "計", "👩‍🚀"])
)
texts = st.text() | words.map("".join)


def side(segments, kind):
    return "".join(text for k, text in segments if k in ("same", kind))


@given(texts, texts)
@example("Read\r\nit\x85now\u2028then", "Read\nit\x85now then\x00")
@example("", "x")
def test_the_segments_are_both_texts_exactly(old, new):
    segments = segments_of(old, new)
    assert side(segments, "removed") == old
    assert side(segments, "added") == new
    assert all(text for _, text in segments)


@given(texts)
def test_the_same_text_has_no_change(text):
    assert {kind for kind, _ in segments_of(text, text)} <= {"same"}


def test_words_are_compared_and_not_letters():
    assert segments_of("Read the signs.", "Read all big signs.") == (
        ("same", "Read "),
        ("removed", "the"),
        ("added", "all big"),
        ("same", " signs."),
    )


def test_punctuation_is_compared_by_marks_and_emoji_whole():
    assert segments_of("Read (it). 👩\u200d🚀", "Read it. 👩\u200d🔬") == (
        ("same", "Read "),
        ("removed", "("),
        ("same", "it"),
        ("removed", ")"),
        ("same", ". "),
        ("removed", "👩\u200d🚀"),
        ("added", "👩\u200d🔬"),
    )


def test_languages_without_spaces_are_compared_by_characters():
    assert segments_of("時計を読む", "時刻を読む") == (
        ("same", "時"),
        ("removed", "計"),
        ("added", "刻"),
        ("same", "を読む"),
    )


def test_a_change_in_a_very_long_prompt_is_one_of_words():
    lines = [f"rule {number} of many" for number in range(20_000)]
    changed = [*lines[:9_000], "another rule", *lines[9_001:]]
    segments = segments_of("\n".join(lines), "\n".join(changed))
    assert side(segments, "removed") == "\n".join(lines)
    assert side(segments, "added") == "\n".join(changed)
    assert len("".join(text for kind, text in segments if kind != "same")) < 40


class Compared(SequenceMatcher):
    """Counts what comparing looks at: pairs of equal tokens, for each run anew."""

    looks = 0

    def find_longest_match(self, alo=0, ahi=None, blo=0, bhi=None):
        there = self.b2j
        Compared.looks += sum(len(there.get(token, ())) for token in self.a[alo:ahi])
        return super().find_longest_match(alo, ahi, blo, bhi)


WORDS = random.Random(1).choices(["the", "a", "of", "in", "see"], k=2_000)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a " * 1_000, "b " + "a " * 999 + "b"),
        ("a b " * 500, "b a " * 500),
        (" ".join(WORDS[:1_000]), " ".join(WORDS[1_000:])),
        ("\n".join(WORDS), "\n".join(reversed(WORDS))),
        ("x y\n" * 5_000, "y x\n" * 5_000),
        ("。、" * 2_000, "、。" * 2_000),
    ],
)
def test_texts_that_repeat_themselves_take_no_longer_than_others(old, new, monkeypatch):
    monkeypatch.setattr(prompt_diff, "SequenceMatcher", Compared)
    Compared.looks = 0
    segments = segments_of(old, new)
    assert side(segments, "removed") == old
    assert side(segments, "added") == new
    assert Compared.looks <= 30_000_000


def test_large_schemas_that_repeat_themselves_are_compared(monkeypatch):
    def schema(first: int) -> dict[str, Any]:
        field = {"type": "string", "enum": ["a", "b"]}
        return {"type": "object", "properties": {f"f{first + i}": field for i in range(600)}}

    monkeypatch.setattr(prompt_diff, "SequenceMatcher", Compared)
    Compared.looks = 0
    old = PromptVersion(1, "Read", "m", schema(0))
    diff = PromptDiff.between(old, PromptVersion(2, "Read", "m", schema(3)))
    changed = [line for kind, line in diff.schema_segments if kind != "same"]
    assert Compared.looks <= 30_000_000
    assert '    "f0": {\n' in changed
    assert '    "f602": {\n' in changed
    assert len(changed) < 60


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"const": 1}, {"const": True}),
        ({"properties": {"a": {}, "b": {}}}, {"properties": {"b": {}, "a": {}}}),
    ],
)
def test_schemas_differ_where_they_make_two_versions(old, new):
    history = PromptHistory(PromptVersion(1, "Read", "m", old))
    assert history.version_of(output_schema=new).version == 2
    diff = history.diff(1, 2)
    assert diff
    assert diff.changes["output_schema"] == (old, new)
    assert {"removed", "added"} <= {kind for kind, _ in diff.schema_segments}


def test_all_that_is_asked_is_compared():
    old = PromptVersion(1, "Read", "m/a", SCHEMA, 50, None)
    new = PromptVersion(2, "Read", "m/b", NUMBER, None, 0.0, note="cooler")
    diff = PromptDiff.between(old, new)
    assert diff.changes == {
        "model": ("m/a", "m/b"),
        "output_schema": (SCHEMA, NUMBER),
        "max_output_tokens": (50, None),
        "temperature": (None, 0.0),
    }
    assert ("removed", '      "type": "string"\n') in diff.schema_segments
    assert ("added", '      "type": "integer"\n') in diff.schema_segments
    shown = repr(diff)
    assert "model: m/a -> m/b" in shown
    assert "max_output_tokens: 50 -> default" in shown
    assert '-       "type": "string"' in shown
    assert '+       "type": "integer"' in shown


def test_a_schema_that_came_or_went():
    diff = PromptDiff.between(PromptVersion(1, "Read", "m"), PromptVersion(2, "Read", "m", SCHEMA))
    assert diff.schema_segments[0] == ("removed", "no schema\n")
    assert {kind for kind, _ in diff.schema_segments[1:]} == {"added"}


def test_versions_that_ask_the_same_have_no_diff():
    diff = PromptDiff.between(PromptVersion(1, "Read", "m"), PromptVersion(3, "Read", "m"))
    assert not diff
    assert repr(diff) == "v1 -> v3: both ask the same"
    assert "both ask the same" in diff._repr_html_()


def test_the_history_shows_the_change_from_number_to_number():
    prompts = PromptHistory(PromptVersion(1, "Read the signs", "m"))
    prompts.version_of(text="Read the clock")
    assert repr(prompts.diff(1, 2)) == "v1 -> v2\nRead the [-signs-]{+clock+}"
    assert prompts.diff(2, 1)
    with pytest.raises(LookupError, match="no prompt version 3"):
        prompts.diff(1, 3)


def test_changed_white_space_can_be_seen():
    diff = PromptDiff.between(PromptVersion(1, "Read it", "m"), PromptVersion(2, "Read  it\n", "m"))
    assert repr(diff) == "v1 -> v2\nRead[-·-]{+··+}it{+↵\n+}"


def test_html_is_escaped_and_marked_by_elements():
    old = PromptVersion(1, "Say <b>this</b> & that", "<m>")
    new = PromptVersion(2, "Say <i>this</i> & that", "m", {"const": "</div><script>"})
    page = PromptDiff.between(old, new)._repr_html_()
    assert set(re.findall(r"<(\w+)", page)) == {"div", "strong", "code", "ins", "del"}
    assert "&lt;m&gt;" in page
    assert "&lt;/div&gt;&lt;script&gt;" in page
    assert page.count("<ins") == page.count("</ins>")
    assert page.count("<del") == page.count("</del>")
