"""Right and wrong by version and field, against figures worked out by hand."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overshoot_nb.errors import ValidationError
from overshoot_nb.store.labels import Labels
from overshoot_nb.support.intervals import wilson_interval
from overshoot_nb.tuning import judges
from overshoot_nb.tuning.labelling import label_answer
from overshoot_nb.tuning.scoring import (
    flips,
    judge_answers,
    pair_answers,
    paired_test,
    score,
    score_answers,
)

from judged_run import JudgedRun, answer, failed, unusable

SCHEMA = {
    "type": "object",
    "properties": {
        "people": {"type": "integer"},
        "lamp": {"enum": ["red", "green", None]},
    },
}
YES_NO = ["yes", "no", "maybe"]


def free_text_run() -> JudgedRun:
    """Version 1 live, version 2 later, about ten samples; the truth is "yes" of even ones.

    ======  ======================================  ==========================================
    sample  version 1                               version 2
    ======  ======================================  ==========================================
    0..5    right                                   right about 0..3, wrong about 4 and 5
    6, 7    wrong                                   right
    8       cut off                                 right
    9       no answer                               wrong
    10      right (not labelled)                    right
    11      dropped, labelled                       right
    ======  ======================================  ==========================================
    """
    run = JudgedRun(None, None)
    truth = ["yes", "no"] * 6
    wrong = ["no", "yes"] * 6
    first = [truth[i] if i < 6 else wrong[i] for i in range(8)]
    run.sampled(
        *(answer(i, said, latency_ms=100 + i, cents=0.5) for i, said in enumerate(first)),
        unusable(8),
        failed(9),
        answer(10, truth[10], latency_ms=9_000),
        "late",
    )
    second = [wrong[i] if i in (4, 5, 9) else truth[i] for i in range(12)]
    run.later(*(answer(i, s, version=2, tokens=None) for i, s in enumerate(second)))
    run.journal.labels.update({i: truth[i] for i in (*range(10), 11)})
    return run


def row(score: Any, version: int, field: str) -> dict[str, Any]:
    frame = score.df
    found = frame[(frame["version"] == version) & (frame["field"] == field)]
    assert len(found) == 1
    return found.iloc[0].to_dict()


# ---- scores ------------------------------------------------------------------------------------


def test_the_table_of_free_text_versions():
    found = score(free_text_run())
    assert list(found.df.columns) == [
        "version",
        "field",
        "n",
        "right",
        "accuracy",
        "low",
        "high",
        "no_answer",
        "unknown",
        "latency_p50_ms",
        "tokens",
        "cost_cents",
    ]
    assert found.df["field"].tolist() == ["answer", "answer"]  # one field: no row of all
    one, two = row(found, 1, "answer"), row(found, 2, "answer")
    assert (one["n"], one["right"], one["no_answer"], one["unknown"]) == (9, 6, 1, 0)
    assert one["accuracy"] == pytest.approx(6 / 9)
    assert (one["low"], one["high"]) == wilson_interval(6, 9)
    # Of 100..107 and the one that was cut off (100): neither the failed nor the unlabelled one.
    assert one["latency_p50_ms"] == 103
    assert one["tokens"] == 12
    assert one["cost_cents"] == 0.5
    assert (two["n"], two["right"], two["no_answer"]) == (11, 8, 0)
    assert math.isnan(two["tokens"])
    assert math.isnan(two["cost_cents"])
    assert found.best == 2
    assert found.ties == [2]


def test_the_interval_follows_the_confidence():
    found = score(free_text_run(), confidence=0.5, versions=[1])
    assert (row(found, 1, "answer")["low"], row(found, 1, "answer")["high"]) == wilson_interval(
        6, 9, 0.5
    )
    assert found.df["version"].tolist() == [1]


def structured_run() -> JudgedRun:
    """Four samples; people are 0, 1, 2, 3 and the lamp is red, green, off (null), red."""
    run = JudgedRun(SCHEMA, SCHEMA)
    truth = [(0, "red"), (1, "green"), (2, None), (3, "red")]
    run.sampled(
        answer(0, {"people": 0, "lamp": "red"}),
        answer(1, {"people": 1, "lamp": "red"}),
        answer(2, {"people": 5}),  # says nothing of the lamp: null
        answer(3, {"people": 4, "lamp": "blue"}),
    )
    run.later(
        *(answer(i, {"people": p, "lamp": lamp}, version=2) for i, (p, lamp) in enumerate(truth))
    )
    run.journal.labels.update({i: {"people": p, "lamp": s} for i, (p, s) in enumerate(truth)})
    return run


def test_fields_and_all_of_them():
    found = score(structured_run())
    assert found.df["field"].tolist() == ["people", "lamp", "all"] * 2
    assert found.df["right"].tolist() == [2, 2, 1, 4, 4, 4]
    assert found.df["n"].tolist() == [4] * 6
    assert found.best == 2


def test_judges_by_field():
    run = structured_run()
    found = score(run, {"people": judges.number_within(1), "lamp": "exact"}, versions=[1])
    assert found.df["right"].tolist() == [3, 2, 1]
    with pytest.raises(ValidationError, match="'peple', which neither"):
        score(run, {"peple": "exact"})


def test_confusion_tables():
    found = score(structured_run())
    table = found.confusion(1, "lamp")
    assert table.index.tolist() == ["red", "green", "null", "blue"]
    assert (table.index.name, table.columns.name) == ("expected", "answer")
    assert table.to_dict("index") == {
        "red": {"red": 1, "green": 0, "null": 0, "blue": 1},
        "green": {"red": 1, "green": 0, "null": 0, "blue": 0},
        "null": {"red": 0, "green": 0, "null": 1, "blue": 0},
        "blue": {"red": 0, "green": 0, "null": 0, "blue": 0},
    }
    # Not closed, but few: in the order of numbers.
    assert found.confusion(1, "people").columns.tolist() == ["0", "1", "2", "3", "4", "5"]
    free = score(free_text_run()).confusion(1)
    assert free.columns.tolist() == ["yes", "no", "(unusable)"]
    assert free.to_numpy().tolist() == [[3, 1, 1], [1, 3, 0]]


def test_confusion_tables_that_are_none():
    found = score(structured_run())
    with pytest.raises(
        ValidationError, match="say which field is meant: labelled are people, lamp"
    ):
        found.confusion(1)
    with pytest.raises(ValidationError, match="no field 'lmp' was labelled"):
        found.confusion(1, "lmp")
    with pytest.raises(LookupError, match="v3 was not scored: v1, v2 were"):
        found.confusion(3, "lamp")
    run = JudgedRun(None)
    run.sampled(*(answer(i, f"text {i}") for i in range(30)))
    run.journal.labels.update({i: f"text {i}" for i in range(30)})
    with pytest.raises(ValidationError, match="'answer' has no closed set of answers"):
        score(run).confusion(1)


def test_what_was_found_wrong_judges_only_the_same_answers():
    run = JudgedRun(None, None)
    run.sampled(*(answer(i, said) for i, said in enumerate(["a", "b", "c"])))
    run.later(*(answer(i, said, version=2) for i, said in enumerate(["a ", "x", "y"])))
    label_answer(run, 0, right=False)
    label_answer(run, 1, right=False)
    label_answer(run, 2, right=True)
    found = score(run)
    assert (row(found, 1, "answer")["n"], row(found, 1, "answer")["right"]) == (3, 1)
    two = row(found, 2, "answer")
    assert (two["n"], two["right"], two["unknown"]) == (2, 0, 1)


def test_an_answer_that_was_called_wrong_is_wrong_whatever_the_judge_says():
    run = JudgedRun(None)
    run.sampled(answer(0, "HAWKS 84"))
    run.journal.labels.set(0, None, "HAWKS")
    assert score(run, "contains").totals[1].right == 1
    run.journal.labels.reject(0, None, "HAWKS 84")
    assert score(run, "contains").totals[1].right == 0


def test_wrong_as_a_whole_counts_in_all_and_in_no_field():
    run = structured_run()
    run.journal.labels.clear()
    label_answer(run, 0, right=True)
    label_answer(run, 1, right=False)
    label_answer(run, 2, right=False)
    found = score(run)
    assert found.df[["version", "field", "n", "right"]].to_numpy().tolist() == [
        [1, "people", 1, 1],
        [1, "lamp", 1, 1],
        [1, "all", 3, 1],
        [2, "people", 1, 1],
        [2, "lamp", 1, 1],
        [2, "all", 1, 1],  # of other answers nothing is known
    ]
    test = paired_test(run, 1, 2)
    assert (test.both_right, test.n) == (1, 1)
    run.later(answer(1, {"people": 1, "lamp": "red"}, version=2))  # the first answer stays
    assert row(score(run), 2, "all")["n"] == 2


def test_only_wholes_that_are_wrong():
    run = structured_run()
    run.journal.labels.clear()
    label_answer(run, 1, right=False)
    found = score(run)
    assert found.df[["version", "field", "n", "right"]].to_numpy().tolist() == [
        [1, "all", 1, 0],
        [2, "all", 0, 0],
    ]
    assert found.best == 1
    assert "v1" in repr(found)


def test_fields_that_a_version_was_not_asked_about():
    run = JudgedRun(None, SCHEMA)
    run.sampled(answer(0, "three"), answer(1, "four"))
    run.later(answer(0, {"people": 3}, version=2), answer(1, {"people": 4}, version=2))
    run.journal.labels.set(0, None, "three")
    run.journal.labels.set(0, "people", 3)
    run.journal.labels.set(0, "lamp", "red")
    run.journal.labels.set(1, "people", 5)
    found = score(run)
    cells = {
        (version, field): (tally.n, tally.right, tally.unknown)
        for version, field, tally in found.rows()
        if field != "answer" or version == 1
    }
    assert cells == {
        (1, "answer"): (1, 1, 0),
        (1, "people"): (0, 0, 2),
        (1, "lamp"): (0, 0, 1),
        (1, "all"): (1, 1, 1),
        (2, "people"): (2, 1, 0),
        (2, "lamp"): (1, 0, 0),  # asked by its schema, and never answered: null
        (2, "all"): (2, 0, 0),
    }
    assert math.isnan(row(found, 1, "people")["accuracy"])
    with pytest.raises(ValidationError, match="no labelled sample about which it is known"):
        paired_test(run, 1, 2)


def test_scores_that_cannot_be():
    run = JudgedRun(None)
    run.sampled(answer(0, "x"), "late")
    with pytest.raises(ValidationError, match="nothing was labelled"):
        score(run)
    run.journal.labels.set(1, None, "x")
    with pytest.raises(ValidationError, match="no labelled sample was answered yet"):
        score(run)
    run.journal.labels.set(0, None, "x")
    for options, message in (
        ({"versions": [2]}, "no prompt version 2"),
        ({"versions": 1}, "versions=1 is not valid"),
        ({"confidence": 95}, "confidence=95"),
        ({"judge": "near"}, "is no judge"),
        ({"judge": lambda a, e: None}, "not True or False, about field 'answer' of sample 0"),
    ):
        with pytest.raises(ValidationError, match=message):
            score(run, **options)


def test_ties_are_said():
    run = JudgedRun(None, None)
    run.sampled(answer(0, "x"), answer(1, "y"))
    run.later(answer(0, "x", version=2), answer(1, "z", version=2))
    run.journal.labels.update({0: "x", 1: "w"})
    found = score(run)
    assert (found.best, found.ties) == (1, [1, 2])
    assert repr(found).endswith("A tie at 50.0%: v1, v2.")
    run.journal.labels.clear()
    run.journal.labels.reject(1, None, "nothing like it")
    assert score(run).best is None
    assert repr(score(run)).endswith("No answer is known to be right or wrong.")


# ---- flips and pairs ---------------------------------------------------------------------------


def test_flips():
    found = flips(free_text_run(), 1, 2)
    assert list(found.columns) == [
        "sample",
        "media_time",
        "field",
        "expected",
        "v1",
        "v2",
        "change",
    ]
    assert found["sample"].tolist() == [4, 5, 6, 7, 8]
    assert found["change"].tolist() == ["worse", "worse", "better", "better", "better"]
    assert found["expected"].tolist() == ["yes", "no", "yes", "no", "yes"]
    assert found["v1"].tolist() == ["yes", "no", "no", "yes", "HAWK"]
    assert found["v2"].tolist() == ["no", "yes", "yes", "no", "yes"]
    assert found["media_time"].dt.total_seconds().tolist() == [2, 2.5, 3, 3.5, 4]
    assert found["media_time"].dtype == "timedelta64[us]"
    turned = flips(free_text_run(), 2, 1)
    assert turned["change"].tolist() == ["better", "better", "worse", "worse", "worse"]


def test_flips_of_a_field():
    run = structured_run()
    assert flips(run, 1, 2)[["sample", "field"]].to_numpy().tolist() == [
        [1, "lamp"],
        [2, "people"],
        [3, "people"],
        [3, "lamp"],
    ]
    assert flips(run, 1, 2, field="lamp")["sample"].tolist() == [1, 3]
    none = flips(run, 1, 2, judge=lambda answer, expected: True)
    assert len(none) == 0
    assert none.dtypes.astype(str).tolist() == flips(run, 1, 2).dtypes.astype(str).tolist()


def test_the_paired_test():
    test = paired_test(free_text_run(), 1, 2)
    assert (test.both_right, test.only_old, test.only_new, test.both_wrong) == (4, 2, 3, 0)
    assert (test.old, test.new, test.n) == ("v1", "v2", 9)
    assert test.p_value == 1.0
    run = structured_run()
    assert paired_test(run, 1, 2).only_new == 3
    lamp = paired_test(run, 1, 2, field="lamp", confidence=0.9)
    assert (lamp.both_right, lamp.only_new, lamp.field, lamp.confidence) == (2, 2, "lamp", 0.9)


def test_pairs_that_cannot_be():
    run = structured_run()
    for what in (flips, paired_test):
        with pytest.raises(LookupError, match="no prompt version 3"):
            what(run, 1, 3)
        with pytest.raises(ValidationError, match="the same"):
            what(run, 2, 2)
        with pytest.raises(ValidationError, match="no field 'lmp' was labelled"):
            what(run, 1, 2, field="lmp")
        run_without = JudgedRun(None, None)
        with pytest.raises(ValidationError, match="nothing was labelled"):
            what(run_without, 1, 2)


outcomes = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30)


@given(outcomes)
def test_scores_flips_and_pairs_agree(said):
    run = JudgedRun(None, None)
    run.sampled(*(answer(i, "x" if old else "y") for i, (old, _) in enumerate(said)))
    run.later(*(answer(i, "x" if new else "z", version=2) for i, (_, new) in enumerate(said)))
    run.journal.labels.update(dict.fromkeys(range(len(said)), "x"))
    test, flipped, found = paired_test(run, 1, 2), flips(run, 1, 2), score(run)
    assert test.only_old == (flipped["change"] == "worse").sum() == said.count((True, False))
    assert test.only_new == (flipped["change"] == "better").sum() == said.count((False, True))
    assert test.both_right == said.count((True, True))
    assert found.totals[1].right == test.both_right + test.only_old
    assert found.totals[2].right == test.both_right + test.only_new
    assert test.difference == pytest.approx(found.totals[2].accuracy - found.totals[1].accuracy)


# ---- answers of any origin ---------------------------------------------------------------------


def test_answers_by_prompt_and_model():
    labels = Labels()
    labels.update({0: {"people": 1}, 1: {"people": 2}, 9: {"people": 3}})
    answers = {
        ("short", "m/a"): {0: answer(0, {"people": 1}), 1: unusable(1), 2: answer(2, {"x": 1})},
        ("long", "m/b"): {0: answer(0, {"people": 2}), 1: failed(1)},
        ("text", "m/b"): {0: answer(0, "1")},
    }
    names = ("prompt", "model")
    frame = judge_answers(answers, labels, names=names)
    assert frame.columns.tolist() == [
        *names,
        "sample",
        "field",
        "expected",
        "answer",
        "outcome",
        "right",
    ]
    assert frame["outcome"].tolist() == ["right", "unusable", "wrong", "no answer", "not asked"]
    assert frame["right"].tolist() == [True, False, False, pd.NA, pd.NA]
    assert frame["answer"].tolist() == [1, "HAWK", 2, None, None]
    found = score_answers(answers, labels, names=names)
    assert found.df["prompt"].tolist() == ["short", "long", "text"]
    assert found.df["model"].tolist() == ["m/a", "m/b", "m/b"]
    assert found.best == ("short", "m/a")
    assert found.name(found.best) == "short · m/a"
    assert "short" in found._repr_html_()
    test = pair_answers(answers, labels, ("short", "m/a"), ("long", "m/b"), old_name="short")
    assert (test.only_old, test.n, test.old) == (1, 1, "short")


def test_judged_and_its_dtypes():
    frame = score(free_text_run()).judged
    assert frame.columns.tolist()[:2] == ["version", "sample"]
    assert frame["version"].dtype == "int64"
    assert frame["right"].dtype == "boolean"
    assert len(frame) == 10 + 11


class CountedRows:
    """A table whose rows are counted as they are looked at; all of them at once are refused."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self.seen: list[int] = []

    def __getitem__(self, row: int) -> Any:
        self.seen.append(row)
        return self._table[row]

    def __len__(self) -> int:
        return len(self._table)


def test_only_the_rows_of_labelled_samples_are_looked_at():
    run = JudgedRun(None, None)
    run.sampled(*(answer(i, "x") for i in range(2_000)))
    run.journal.labels.update({i * 200: "x" if i % 2 else "y" for i in range(10)})
    run.later(*(answer(i * 200, "y", version=2) for i in range(10)))
    for judged in (
        lambda: score(run).totals[1].right == 5,
        lambda: paired_test(run, 1, 2).only_new == 5,
        lambda: len(flips(run, 1, 2)) == 10,
    ):
        table = run.journal.table
        counted = run.journal.table = CountedRows(table)
        assert judged()
        run.journal.table = table
        assert set(counted.seen) == {i * 200 for i in range(10)}
        assert len(counted.seen) <= 4 * 10  # a few looks at each, of either version


# ---- what would mislead ------------------------------------------------------------------------


def test_values_that_say_the_same_and_look_different_are_one_in_the_confusion():
    run = JudgedRun({"type": "object", "properties": {"boxes": {"type": "array"}}})
    run.sampled(
        answer(0, {"boxes": [1.0]}),
        answer(1, {"boxes": [{"a": 1, "b": 2}]}),
        answer(2, {"boxes": [1]}),
    )
    run.journal.labels.update(
        {0: {"boxes": [1]}, 1: {"boxes": [{"b": 2, "a": 1}]}, 2: {"boxes": [2]}}
    )
    found = score(run)
    table = found.confusion(1)
    assert table.loc["[1]"].tolist() == [1, 0, 0]
    assert table.to_numpy().trace() == found.tallies[1, "boxes"].right == 2
    assert table.to_numpy().sum() == 3
    assert "[2]" in found._repr_html_()


def test_a_number_stands_for_the_free_text_that_says_it():
    run = JudgedRun(None)
    run.sampled(answer(0, "3"), answer(1, "3 people"))
    label_answer(run, 0, 3)
    label_answer(run, 1, 3)
    assert score(run).totals[1].right == 1
    assert score(run, "number_within").totals[1].right == 2
    assert score(run).confusion(1).loc["3"].to_dict() == {"3": 1, "3 people": 1}


def test_versions_that_were_judged_on_different_samples_are_said_to_be():
    run = JudgedRun(None, None)
    run.sampled(*(answer(i, "x") for i in range(4)))
    run.journal.labels.update({0: "y", 1: "x", 2: "x", 3: "x"})
    run.later(answer(1, "x", version=2))
    found = score(run)
    assert found.best == 2
    [note] = found.notes
    assert note.startswith("Not judged on the same samples: v1 on 4, v2 on 1, of which 1 the same.")
    assert repr(found).endswith(note)
    assert note in Shown(found._repr_html_()).texts
    run.later(*(answer(i, "x", version=2) for i in range(4)))
    assert score(run).notes == []
    assert score(run, versions=[1]).notes == []


def test_labels_that_judge_no_answer_are_said():
    run = JudgedRun(SCHEMA)
    run.sampled(answer(0, {"people": 3}), answer(1, {"people": 3}))
    run.journal.labels.update({0: {"peple": 3}})
    found = score(run)
    assert found.notes == ["Labelled, but no field of these answers: 'peple'."]
    assert row(found, 1, "peple")["n"] == 0
    run.journal.labels.clear()
    run.journal.labels.update({0: "3", 1: "3"})
    found = score(run)
    assert found.notes == [
        "Labels of whole answers judge none of these, which have fields: label those."
    ]
    assert row(found, 1, "all")["n"] == 0
    assert found.notes[0] in repr(found)
    # That an answer is wrong as a whole is no such label.
    run.journal.labels.update({0: {"people": 3}})
    run.journal.labels.remove(0, None)
    run.journal.labels.remove(1)
    label_answer(run, 1, right=False)
    assert score(run).notes == []


def test_a_field_that_is_called_answer_is_not_the_whole_answer():
    schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
    run = JudgedRun(None, schema)
    run.sampled(answer(0, "yes"), answer(1, "yes"))
    run.later(*(answer(i, {"answer": "no"}, version=2) for i in range(2)))
    run.journal.labels.update({0: "yes", 1: "yes"})
    run.journal.labels.update({0: {"answer": "yes"}, 1: {"answer": "no"}})
    found = score(run)
    assert row(found, 1, "(whole answer)")["right"] == 2
    assert row(found, 2, "answer")["n"] == 2
    assert row(found, 1, "answer")["n"] == 0
    assert set(found.judged["field"]) == {"answer", "(whole answer)"}
    assert found.confusion(2, "answer").loc["yes", "no"] == 1
    with pytest.raises(ValidationError, match="no labelled sample about which it is known"):
        paired_test(run, 1, 2, field="answer")


def test_a_field_called_answer_is_not_wrong_for_what_is_wrong_as_a_whole():
    schema = {"type": "object", "properties": {"answer": {"type": "string"}, "n": {}}}
    run = JudgedRun(schema, schema)
    run.sampled(answer(0, {"answer": "yes", "n": 1}))
    run.later(answer(0, {"answer": "yes", "n": 2}, version=2))
    label_answer(run, 0, right=False)
    label_answer(run, 0, "yes", field="answer")
    assert paired_test(run, 1, 2, field="answer").both_right == 1
    assert paired_test(run, 1, 2).only_new == 1


def test_no_versions_and_versions_by_something_else_are_said():
    run = free_text_run()
    with pytest.raises(ValidationError, match="versions names no version"):
        score(run, versions=[])
    with pytest.raises(LookupError, match=r"by a PromptVersion: give its \.version"):
        flips(run, run.prompts[1], run.prompts[2])
    with pytest.raises(LookupError, match="by their number, such as 1, not by a slice"):
        run.prompts[1:]


# ---- how it reads ------------------------------------------------------------------------------


class Shown(HTMLParser):
    """Tags that are open, styles, and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.styles: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.styles += [value or "" for name, value in attrs if name == "style"]
        # One class around all, which front ends take for "no formulas".
        around = [("class", "mathjax_ignore tex2jax_ignore")] if len(self.open) == 1 else []
        assert all(
            name in ("style", "aria-hidden") or [(name, value)] == around for name, value in attrs
        )

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_text():
    assert repr(score(structured_run(), versions=[2])).splitlines() == [
        "version  field   accuracy  95% interval    right   p50     tokens",
        "v2       people  100.0%    51.0% – 100.0%  4 of 4  100 ms  12",
        "v2       lamp    100.0%    51.0% – 100.0%  4 of 4  100 ms  12",
        "v2       all     100.0%    51.0% – 100.0%  4 of 4  100 ms  12",
        "v2 is right about 100.0% (4 of 4).",
    ]


def test_html_is_escaped_and_has_no_colours_of_its_own():
    evil = "<script>alert(1)</script>"
    run = JudgedRun(None)
    run.sampled(answer(0, {evil: evil}), answer(1, {evil: "b"}))
    run.journal.labels.update({0: {evil: "<img src=x onerror=y>"}, 1: {evil: "b"}})
    text = score(run)._repr_html_()
    shown = Shown(text)
    assert not shown.open
    assert evil in shown.texts
    assert "<script" not in text
    assert "<img" not in text
    for style in shown.styles:
        assert not re.search(r"#|rgb|hsl|white;|black|color: (?!currentColor)", style)
        for colour in re.findall(r"background: ([^;]+)", style):
            assert colour == "currentColor"


def test_html_shows_the_figures_and_the_confusion():
    text = score(structured_run())._repr_html_()
    shown = Shown(text)
    assert "Best: v2, right about 100.0% (4 of 4)." in shown.texts
    assert "4 of 4" in shown.texts
    assert "v1, lamp: expected (rows) and answered (columns)" in shown.texts
    assert text.index("v2, lamp: expected") < text.index("v1, lamp: expected")


def test_html_stays_small_with_many_versions_and_long_names():
    run = JudgedRun(*[None] * 60)
    run.sampled(answer(0, "x"))
    for version in range(2, 61):
        run.later(answer(0, "x" * 50_000, version=version))
    run.journal.labels.set(0, None, "x" * 50_000)
    found = score(run)
    assert len(found._repr_html_()) < 120_000
    assert max(map(len, repr(found).splitlines())) < 200


@settings(max_examples=30)
@given(st.text(max_size=20), st.text(max_size=20))
def test_any_names_make_whole_html(field, said):
    run = JudgedRun(None)
    run.sampled(answer(0, {field or "x": said}))
    run.journal.labels.set(0, field or "x", said)
    assert not Shown(score(run)._repr_html_()).open
