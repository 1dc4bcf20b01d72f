"""Versions of what is asked."""

import pytest

from overshoot_nb.store.prompts import PromptHistory, PromptVersion


def history() -> PromptHistory:
    return PromptHistory(PromptVersion(1, "Read", "m"))


def test_only_a_change_makes_a_version():
    prompts = history()
    assert prompts.version_of(text="Read", model="m") is prompts[1]
    second = prompts.version_of(output_schema={"type": "object"}, note="typed")
    assert (second.version, second.text, second.output_schema) == (2, "Read", {"type": "object"})
    assert (second.parent, second.note) == (1, "typed")
    assert second.created_at >= prompts[1].created_at
    assert prompts.version_of(max_output_tokens=5).version == 3


def test_what_was_asked_before_is_its_own_version_again():
    prompts = history()
    prompts.enforce(prompts.version_of(text="Count"))
    assert prompts.current.version == 2
    prompts.enforce(prompts.version_of(text="Read"))
    assert prompts.current is prompts[1]
    assert prompts.version_of(text="Look").parent == 1


def test_a_version_that_was_only_tried_is_not_in_force():
    prompts = history()
    prompts.version_of(text="Count", temperature=0.5)
    assert (len(prompts), prompts.current.version) == (2, 1)
    assert repr(prompts).splitlines() == ["v1 (in force) (m): 'Read'", "v2 (m): 'Count'"]


def test_a_refused_version_gives_its_number_back():
    prompts = history()
    prompts.discard(prompts.version_of(text="Count"))
    assert len(prompts) == 1
    prompts.discard(prompts.current)
    assert len(prompts) == 1
    assert prompts.version_of(text="Look").version == 2


def test_a_refused_version_that_is_also_asked_about_the_past_stays():
    prompts = history()
    tried = prompts.version_of(text="Count")
    assert prompts.version_of(text="Count") is tried
    prompts.discard(tried)
    assert prompts[2] is tried


def test_schemas_that_differ_in_order_or_in_kind_of_value_are_two_questions():
    def schema(*names: str, const: object = 1) -> dict:
        return {"type": "object", "properties": {name: {"const": const} for name in names}}

    prompts = history()
    numbers = [
        prompts.version_of(output_schema=given).version
        for given in (
            schema("a", "b"),
            schema("b", "a"),
            schema("a", "b", const=True),
            schema("a", "b"),
        )
    ]
    assert numbers == [2, 3, 4, 2]


def test_versions_are_told_apart_by_what_they_show():
    prompts = history()
    prompts.version_of(output_schema={"properties": {"a": {}, "b": {}}}, note="typed")
    prompts.version_of(output_schema={"type": "array"})
    assert repr(prompts).splitlines()[1:] == [
        "v2 (m): 'Read' -> a, b - typed",
        "v3 (m): 'Read' -> JSON",
    ]


def test_history_by_number():
    prompts = history()
    prompts.enforce(prompts.version_of(text="Count"))
    assert prompts[2] is prompts.current
    assert [v.text for v in prompts] == ["Read", "Count"]
    for number in (0, 3, -1):
        with pytest.raises(LookupError, match=f"no prompt version {number}: .*1 to 2"):
            prompts[number]
