"""What Python and TypeScript say of the Tune tab's messages is the same."""

from __future__ import annotations

import re
import typing

import pytest
from test_widget_mirror import SRC, interfaces, kind_of

from overshoot_nb.widget import tuning_messages
from overshoot_nb.widget.tuning_choice import ONLY

MESSAGES = interfaces("tune/messages.ts")
TEXT = (SRC / "tune" / "messages.ts").read_text("utf-8")


def test_the_same_messages_are_declared():
    made = {name for name, value in vars(tuning_messages).items() if typing.is_typeddict(value)}
    assert made == set(MESSAGES)
    for union in ("FromTuning", "ToTuning"):
        ours = {m.__name__ for m in typing.get_args(getattr(tuning_messages, union))}
        body = re.search(rf"export type {union} =(.*?);", TEXT, flags=re.DOTALL)
        assert body is not None
        assert ours == set(re.findall(r"\w+", body[1]))


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_a_message_has_the_same_fields(name):
    made = getattr(tuning_messages, name)
    assert set(made.__annotations__) == set(MESSAGES[name])
    written = MESSAGES[name].get("kind", "")
    # A segment's kind is one of several.
    assert kind_of(made) == written.split(" | ")[0]
    hints = typing.get_type_hints(made)
    nullable = {field for field, hint in hints.items() if type(None) in typing.get_args(hint)}
    assert nullable == {f for f, kind in MESSAGES[name].items() if re.search(r"\bnull\b", kind)}


def test_the_same_filters_are_known():
    written = (SRC / "tune" / "grid.ts").read_text("utf-8")
    body = re.search(r"const FILTERS.*?= \{\n(.*?)\n\}", written, flags=re.DOTALL)
    assert body is not None
    assert tuple(re.findall(r"^  (\w+):", body[1], flags=re.MULTILINE)) == ONLY
