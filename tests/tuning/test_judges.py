"""When an answer counts as right."""

from __future__ import annotations

import re
import sys
import threading
import unicodedata
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overshoot_nb.errors import ValidationError
from overshoot_nb.tuning import judges
from overshoot_nb.tuning.judges import FieldJudges

#: No lone surrogates: answers are UTF-8.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
words = st.text("abcdeéß", min_size=1, max_size=6)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
numbers = st.one_of(
    st.integers(-(10**6), 10**6),
    st.decimals(-(10**6), 10**6, places=3).map(float),
)
tolerances = st.sampled_from([0, 0.001, 0.1, 0.5, 1, 10])


# ---- exact -------------------------------------------------------------------------------------


@given(values)
def test_exact_is_true_of_a_value_and_itself(value):
    assert judges.exact(value, value)


@given(values, values)
def test_exact_does_not_care_which_side_is_which(one, other):
    assert judges.exact(one, other) == judges.exact(other, one)


@given(texts, st.sampled_from(["", " ", "\n\t "]), st.sampled_from(["NFC", "NFD"]))
def test_exact_forgives_unicode_form_and_whitespace_around(text, space, form):
    assert judges.exact(space + unicodedata.normalize(form, text) + space, text)


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("1\u00a0200", 1200),
        ("1\u202f200\u202f300", 1_200_300),
        ("−1\u2009200.5", -1200.5),
        ("\u00a03\u202f", 3),
        ("−3", -3),
        ("–3", -3),
        ("‑3", -3),
        ("－８．５", -8.5),
        ("８４", 84),
        ("٣", 3),
    ],
)
def test_numbers_as_typography_and_other_scripts_write_them(answer, number):
    within = judges.number_within()
    for said in (answer, number), (number, answer):
        assert judges.exact(*said)
        assert within(*said)
    assert within(f"about {answer} people", number)
    assert not within(answer, number + 0.1)


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("12\u00a03456", 123456),
        ("1200\u00a0300", 1200300),
        ("3–5", 35),
        ("3–5", -5),
        ("1\u00a020", 120),
        ("10:42", 42),
        ("1,2\u00a0300", 12300),
    ],
)
def test_what_is_no_such_number(answer, number):
    assert not judges.number_within()(answer, number)
    assert not judges.exact(answer, number)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3\u00a0people", "3 people"),
        ("10\u202f%", "10 %"),
        ("−3", "-3"),
        ("3–5", "3-5"),
        ("ＡＢ８", "ＡＢ8"),
        (["a\u2009b", {"k": "−1"}], ["a b", {"k": "-1"}]),
    ],
)
def test_texts_that_look_the_same_are_the_same(one, other):
    assert judges.exact(one, other)
    assert judges.exact(other, one)
    assert judges.contains()(f"it says {one}!" if isinstance(one, str) else one, other)


def test_groups_within_a_number_are_text_to_exact():
    assert not judges.exact("1\u00a0200", "1200")
    assert judges.exact("1\u00a0200", "1 200")
    assert judges.number_within()("1\u00a0200", "1200")
    assert judges.number_within()("1,200", "1\u202f200")
    assert not judges.exact("1,200", 1200)
    assert not judges.exact("007\u00a0", 7)


@given(st.integers(-(2**53), 2**53))
def test_exact_takes_whole_floats_for_integers(number):
    assert judges.exact(float(number), number)
    assert judges.exact([float(number)], [number])
    assert not judges.exact(number + 0.5 if abs(number) < 2**50 else "x", number)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (True, 1),
        (False, 0),
        (None, False),
        (None, ""),
        ("3 people", 3),
        ("13", 3),
        ("007", 7),
        ("+3", 3),
        ("1,000", 1000),
        ("", 0),
        ("1", True),
        ("yes", True),
        ("null", None),
        ("[1]", [1]),
        ("1e999999999999999999999", 1),
        (["3"], [3]),
        ("3.0", "3"),
        ("Hawks", "hawks"),
        ("a  b", "a b"),
        ([1, 2], [2, 1]),
        ({"a": None}, {}),
        ([], {}),
        ([True], [1]),
    ],
)
def test_exact_tells_apart(answer, expected):
    assert not judges.exact(answer, expected)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        (" 3\n", 3),
        ("3.0", 3),
        ("3e0", 3.0),
        ("-0.10", -0.1),
        ("0", 0),
        ("12345678901234567890123", 12345678901234567890123),
        ("true", True),
        ("False", False),
    ],
)
def test_text_that_is_nothing_but_a_number_or_truth_value_says_it(text, value):
    assert judges.exact(text, value)
    assert judges.exact(value, text)
    assert not judges.exact(text + "1", value)


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_its_own_json(number):
    assert judges.exact(orjson.dumps(number).decode() if abs(number) < 2**53 else "0", number) == (
        abs(number) < 2**53
    )


def test_exact_does_not_care_about_the_order_of_keys():
    assert judges.exact({"a": 1, "b": [2.0]}, {"b": [2], "a": 1})


# ---- contains ----------------------------------------------------------------------------------


@given(words, words, words)
def test_contains_finds_what_is_in_the_text(before, wanted, after):
    assert judges.contains()(before + wanted + after, wanted)
    assert judges.contains()((before + wanted + after).upper(), wanted)
    assert judges.contains(ignore_case=False)(f"{before} {wanted}", f" {wanted} ")


@given(words, words)
def test_contains_says_no_where_it_is_not(text, wanted):
    assert judges.contains(ignore_case=False)(text, wanted) == (wanted in text)


@pytest.mark.parametrize(
    ("answer", "expected", "right"),
    [
        ("HAWKS 84", "hawks", True),
        ("STRASSE", "straße", True),
        ("cafe\u0301", "CAFÉ", True),
        ("HAWKS 84", 84, True),
        (84, "8", False),
        (84, "84", True),
        (84.0, 84, True),
        (13, 3, False),
        ("there are 13", 3, False),
        ("there are 3, or 13", 3, True),
        ("1,200 people", 1200, True),
        ("10:42", "10", True),
        ([13, 3], 3, True),
        ([13], 3, False),
        (None, 0, False),
        (True, 1, False),
        (["red car", "van"], "car", True),
        (["red car", "van"], "bus", False),
        (["red car", "van"], ["van", "red"], True),
        ("red car, van", ["van", "bus"], False),
        ("", "", True),
        ("text", "", False),
        (None, None, True),
        ("text", None, False),
        (None, "text", False),
        ([], [], True),
        (["x"], [], False),
        (True, True, True),
    ],
)
def test_contains(answer, expected, right):
    assert judges.contains()(answer, expected) is right


def test_contains_can_mind_case():
    assert not judges.contains(ignore_case=False)("HAWKS", "hawks")


# ---- regex -------------------------------------------------------------------------------------


@given(words, words, words)
def test_regex_searches(before, wanted, after):
    judge = judges.regex()
    assert judge(before + wanted + after, re.escape(wanted))
    assert judge(wanted, f"^{re.escape(wanted)}$")
    assert not judge(f"{wanted}!", f"^{re.escape(wanted)}$")


def test_regex_takes_flags_and_json():
    assert not judges.regex()("HAWKS", "hawks")
    assert judges.regex(re.IGNORECASE)("HAWKS", "hawks")
    assert judges.regex()(84, r"^\d+$")
    assert judges.regex()(None, "^$")


@pytest.mark.parametrize("text", ["What? (3)", "a+b", "[open", "3 (of"])
def test_regex_takes_an_answer_that_was_called_right_for_what_it_is(text):
    assert judges.regex()(text, text)


#: It asks in how many ways the letters can be parted.
EXPLOSIVE = r"(a|aa)+$"


@pytest.mark.parametrize("flags", [0, re.IGNORECASE, re.IGNORECASE | re.DOTALL | re.MULTILINE])
def test_regex_with_a_limit_finds_the_same(flags):
    limited, free = judges.regex(flags, timeout=60), judges.regex(flags)
    for answer, pattern in [
        ("Hawks 84", r"^hawks \d+$"),
        ("x\nHAWKS", "^hawks$"),
        ("a\nb", "a.b"),
        (84, r"^\d\d$"),
        (None, "^$"),
    ]:
        assert limited(answer, pattern) == free(answer, pattern)


def test_regex_with_a_limit_gives_up_and_lets_others_run():
    ticks, done = [], threading.Event()

    def tick() -> None:
        while not done.wait(0.001):
            ticks.append(1)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        with pytest.raises(ValidationError, match=r"judge regex failed .*longer than 0\.2 s"):
            FieldJudges(judges.regex(timeout=0.2)).judge(None, 0, "a" * 200 + "b", EXPLOSIVE)
    finally:
        done.set()
        thread.join()
    assert ticks


@pytest.mark.parametrize("bad", [0, -1, True, "1", float("inf"), float("nan")])
def test_regex_refuses_what_is_no_time(bad):
    with pytest.raises(ValidationError, match="timeout="):
        judges.regex(timeout=bad)


def test_regex_says_which_package_a_limit_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "regex", None)
    with pytest.raises(ValidationError, match="pip install regex"):
        judges.regex(timeout=1)
    assert judges.regex()("abc", "b")


def test_a_pattern_that_is_none_is_said():
    with pytest.raises(ValidationError, match=r"judge regex failed .*sample 7.*expected '\('"):
        FieldJudges("regex").judge(None, 7, "text", "(")
    with pytest.raises(ValidationError, match="no pattern, but a int"):
        FieldJudges("regex").judge("people", 7, "text", 3)


# ---- number_within -----------------------------------------------------------------------------


@given(numbers, numbers, tolerances, tolerances)
def test_number_within_is_its_formula_in_decimal_digits(answer, expected, absolute, relative):
    a, e = Fraction(str(answer)), Fraction(str(expected))
    allowed = max(Fraction(str(absolute)), Fraction(str(relative)) * abs(e))
    judge = judges.number_within(absolute, relative)
    assert judge(answer, expected) == (abs(a - e) <= allowed)
    assert judge(f"about {answer:f} people", expected) == judge(float(f"{answer:f}"), expected)


@given(numbers, tolerances, tolerances)
def test_number_within_takes_the_number_itself(number, absolute, relative):
    assert judges.number_within(absolute, relative)(number, number)


@given(texts)
def test_number_within_takes_any_text(text):
    judge = judges.number_within(1)
    assert judge(text, text)
    assert isinstance(judge(text, 3), bool)


@pytest.mark.parametrize(
    ("answer", "expected", "right"),
    [
        (1.1, 1.0, True),  # as floats they are further apart than 0.1
        (1.1001, 1.0, False),
        ("1.1", 1, True),
        ("1,200 people", 1200, True),
        ("−5 °C", -5, True),
        ("+5", 5, True),
        (".5", 0.5, True),
        ("1e3", 1000, True),
        ("84km", 84, True),
        ("3-2", 3, False),  # two numbers are none
        ("10:42", 10, False),
        ("1.2.3", 1.2, False),
        ("v2", 2, False),
        ("none", 0, False),
        ("none", "None", False),
        ("none", "none", True),
        (True, 1, False),
        (None, 0, False),
        (None, None, True),
        (float("inf"), 1, False),
        ("1e999999999", 1, False),
        (10**4000, 1, False),
        ("9" * 4000, 1, False),
    ],
)
def test_number_within_a_tenth(answer, expected, right):
    assert judges.number_within(0.1)(answer, expected) is right


@pytest.mark.parametrize("bad", [-1, float("nan"), float("inf"), "1", True, None, Decimal(1)])
def test_number_within_refuses_what_is_no_tolerance(bad):
    with pytest.raises(ValidationError, match="absolute="):
        judges.number_within(bad)
    with pytest.raises(ValidationError, match="relative="):
        judges.number_within(0, bad)


# ---- set_overlap -------------------------------------------------------------------------------


@given(st.lists(words, max_size=6), st.randoms())
def test_set_overlap_forgives_order_repetition_and_case(items, random):
    mixed = [random.choice([item, item.upper()]) for item in items * 2]
    # "ß".upper() is "SS", which casefold() makes of both.
    random.shuffle(mixed)
    assert judges.set_overlap()(mixed, items)
    assert judges.set_overlap()(", ".join(mixed), items)
    assert judges.set_overlap()(" ".join(mixed), items)


@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)), st.sampled_from([0.25, 0.5, 1.0]))
def test_set_overlap_is_jaccards_index(one, other, at_least):
    union = one | other
    jaccard = len(one & other) / len(union) if union else 1.0
    judge = judges.set_overlap(at_least)
    assert judge(sorted(one), sorted(other)) == (jaccard >= at_least)
    assert judge(sorted(one), sorted(other)) == judge(sorted(other), sorted(one))


@pytest.mark.parametrize(
    ("answer", "expected", "right"),
    [
        ("red car, van", "van; Red Car", True),
        ("red car, van", ["car", "red", "van"], False),
        ("red car van", ["car", "red", "van"], True),
        ("van\nbus", "bus,van", True),
        (None, [], True),
        ("", None, True),
        ([], ["van"], False),
        ([1, 2.0], [2, 1], True),
        ([True], [1], False),
        (3, [3], True),
        ("1, 2", [2, 1], True),
        ("3", 3, True),
        ("New York", ["new york"], True),
        ("New York", ["York", "New"], True),
        (["New York"], "New York", True),
        ("New York, Paris", ["Paris", "New York"], True),
        (["New York"], "York", False),
        ([{"a": 1}], [{"a": 1.0}], True),
    ],
)
def test_set_overlap(answer, expected, right):
    assert judges.set_overlap()(answer, expected) is right


def test_set_overlap_takes_several_words_for_one_item_where_the_other_side_does():
    assert judges.set_overlap(0.5)("New York", "Paris, New York")
    assert not judges.set_overlap(0.51)("New York", "Paris, New York")


@pytest.mark.parametrize("bad", [0, -1, 1.5, "1", True, float("nan")])
def test_set_overlap_refuses_what_is_no_share(bad):
    with pytest.raises(ValidationError, match="at_least="):
        judges.set_overlap(bad)


# ---- which judge for which field ---------------------------------------------------------------


@given(values, values)
def test_every_judge_takes_any_value_of_an_answer(answer, expected):
    for name in ("exact", "contains", "number_within", "set_overlap"):
        assert FieldJudges(name).judge(None, 0, answer, expected) in (True, False)


def test_judges_by_field():
    chosen = FieldJudges({"people": judges.number_within(1), "text": "contains", None: "contains"})
    assert chosen.judge("people", 0, 4, 3)
    assert chosen.judge("text", 0, "HAWKS 84", "hawks")
    assert chosen.judge(None, 0, "HAWKS 84", "hawks")
    assert not chosen.judge("other", 0, "HAWKS 84", "hawks")
    assert FieldJudges({"answer": "contains"}).judge(None, 0, "HAWKS 84", "hawks")


def test_a_function_is_a_judge_and_a_factory_stands_for_its_default():
    assert FieldJudges(lambda answer, expected: answer > expected).judge(None, 0, 4, 3)
    assert FieldJudges(judges.contains).judge(None, 0, "HAWKS", "hawks")
    assert FieldJudges(lambda a, e: np.bool_(True)).judge(None, 0, 1, 1) is True
    assert FieldJudges(None).of("people") is judges.exact


@pytest.mark.parametrize("bad", ["exakt", 3, {"people": "near"}, {"people": None}, ["exact"]])
def test_what_is_no_judge_is_said(bad):
    with pytest.raises(ValidationError, match="is no judge: give 'exact', 'contains'"):
        FieldJudges(bad)


def test_a_judge_of_a_field_that_nobody_knows_is_said():
    chosen = FieldJudges({"peple": "exact"})
    chosen.check_fields(["peple"])
    with pytest.raises(
        ValidationError, match=r"'peple', which neither .*: they have answer, people"
    ):
        chosen.check_fields(["people", None])


def test_a_judge_that_raises_names_sample_field_and_values():
    def broken(answer: Any, expected: Any) -> bool:
        return answer / expected > 1

    with pytest.raises(ValidationError, match="broken failed") as caught:
        FieldJudges(broken).judge("people", 12, 3, 0)
    for part in ("'people'", "sample 12", "answer 3", "expected 0", "ZeroDivisionError"):
        assert part in str(caught.value)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("verdict", [None, 1, 0.5, "yes", np.array([True, False])])
def test_a_judge_that_says_neither_yes_nor_no_is_said(verdict):
    with pytest.raises(ValidationError, match="and not True or False"):
        FieldJudges(lambda a, e: verdict).judge(None, 0, "a", "b")
