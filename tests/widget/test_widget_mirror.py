"""What Python and TypeScript say of the same thing is the same."""

from __future__ import annotations

import re
import typing
from pathlib import Path

import pytest

import overshoot_nb
from overshoot_nb.store.sample_log import FATES
from overshoot_nb.widget import StreamWidget, message_values, messages

SRC = Path(overshoot_nb.__file__).parent.parent / "js" / "src"


def interfaces(file: str) -> dict[str, dict[str, str]]:
    """The interfaces of a module: their fields and types."""
    text = re.sub(r"/\*.*?\*/", "", (SRC / file).read_text("utf-8"), flags=re.DOTALL)
    return {
        name: dict(re.findall(r"^  (\w+\??): (.*);$", body, flags=re.MULTILINE))
        for name, body in re.findall(r"export interface (\w+) \{\n(.*?)\n\}", text, flags=re.DOTALL)
    }


def kind_of(made: type) -> str:
    hint = typing.get_type_hints(made).get("kind")
    return f'"{typing.get_args(hint)[0]}"' if hint is not None else ""


MESSAGES = interfaces("messages.ts")
#: The messages, and what they are made of.
DECLARED = {**vars(message_values), **vars(messages)}


def test_the_same_messages_are_declared():
    made = {name for name, value in DECLARED.items() if typing.is_typeddict(value)}
    assert made == set(MESSAGES)
    for union in ("FromKernel", "FromPage"):
        ours = {member.__name__ for member in typing.get_args(getattr(messages, union))}
        text = (SRC / "messages.ts").read_text("utf-8")
        body = re.search(rf"export type {union} =(.*?);", text, flags=re.DOTALL)
        assert body is not None
        assert ours == set(re.findall(r"\w+", body[1]))


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_a_message_has_the_same_fields(name):
    made = DECLARED[name]
    fields = {f"{f}?" if f in made.__optional_keys__ else f for f in made.__annotations__}
    assert fields == set(MESSAGES[name])
    assert kind_of(made) == MESSAGES[name].get("kind", "")


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_null_is_allowed_in_the_same_fields(name):
    hints = typing.get_type_hints(DECLARED[name])
    nullable = {field for field, hint in hints.items() if type(None) in typing.get_args(hint)}
    written = {f.rstrip("?") for f, kind in MESSAGES[name].items() if re.search(r"\bnull\b", kind)}
    assert nullable == written


def test_the_same_traits_are_declared():
    ours = {
        name
        for name, trait in StreamWidget.class_traits(sync=True).items()
        if trait.this_class is StreamWidget
    }
    assert ours == set(interfaces("model.ts")["Traits"])


def test_fates_have_the_same_codes():
    written = re.search(r"FATES = \[(.*?)\]", (SRC / "messages.ts").read_text("utf-8"))
    assert written is not None
    assert tuple(re.findall(r'"(\w+)"', written[1])) == FATES
