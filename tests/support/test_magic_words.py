"""How the line of the magic is split."""

from __future__ import annotations

import pytest

from overshoot_nb.support.magic_words import split_words

NAMES = {
    "p": "a \"b\" 'c'\nd {e} $f # \\g",
    "d": {"x y": "it's"},
    "n": 3,
    "path": "C:\\Users\\x",
}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('a.mp4 "what? #1" # note', ["a.mp4", "what? #1"]),
        ("http://h/a#t=1 hi # \"it's", ["http://h/a#t=1", "hi"]),
        ("# all", []),
        (
            "a —loop –o x —base-url u −−live",
            ["a", "--loop", "-o", "x", "--base-url", "u", "--live"],
        ),
        ('a "—loop" — b', ["a", "—loop", "—", "b"]),
        ("a “what is it’s name” ‘b c’", ["a", "what is it’s name", "b c"]),
        ("a {p} b", ["a", NAMES["p"], "b"]),
        ('a "{p}" $p', ["a", NAMES["p"], NAMES["p"]]),
        ("{d['x y']} {n + 1} {d['x y'][:2]}", ["it's", "4", "it"]),
        ('--schema \'{"type": "object"}\'', ["--schema", '{"type": "object"}']),
        ('{"a":{"b":1}} {none} {{n}} $5 $$n', ['{"a":{"b":1}}', "{none}", "{n}", "$5", "$n"]),
        (r'a\ b "c \" d" \#e', ["a b", 'c " d', "#e"]),
        ('"" a', ["", "a"]),
    ],
)
def test_words(line, words):
    assert split_words(line, NAMES, windows=False) == words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (r'C:\Users\x\clip.mp4 "what is it"', [r"C:\Users\x\clip.mp4", "what is it"]),
        (r'"C:\My Clips\a.mp4" x', [r"C:\My Clips\a.mp4", "x"]),
        (r'"C:\My Clips\" x', ["C:\\My Clips\\", "x"]),
        (r'a "say \"no\" now"', ["a", 'say "no" now']),
        (r"{path}\clip.mp4 \\nas\a", [r"C:\Users\x\clip.mp4", r"\\nas\a"]),
    ],
)
def test_windows_words(line, words):
    assert split_words(line, NAMES, windows=True) == words


def test_an_open_quote_is_an_error():
    with pytest.raises(ValueError, match="No closing quotation"):
        split_words('a "b', {}, windows=False)
