"""Versions of what is asked."""

import pytest

from overshoot_nb.prompts import PromptHistory, PromptVersion


def test_only_a_change_makes_a_version():
    first = PromptVersion(1, "Read", "m")
    assert first.followed_by(text="Read", model="m") is first
    second = first.followed_by(output_schema={"type": "object"})
    assert (second.version, second.text, second.output_schema) == (2, "Read", {"type": "object"})
    assert second.created_at >= first.created_at
    assert second.followed_by(max_output_tokens=5).version == 3


def test_history_by_number():
    history = PromptHistory(PromptVersion(1, "Read", "m"))
    history.add(history.current)
    assert len(history) == 1
    history.add(history.current.followed_by(text="Count"))
    assert history[2] is history.current
    assert [v.text for v in history] == ["Read", "Count"]
    assert "v2 (m): 'Count'" in repr(history)
    for number in (0, 3, -1):
        with pytest.raises(LookupError, match=f"no prompt version {number}: .*1 to 2"):
            history[number]
