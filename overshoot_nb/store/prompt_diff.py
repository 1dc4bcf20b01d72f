"""``PromptDiff``: what changed from one prompt version to another."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from overshoot_nb.support.html import BAR, escaped, fragment

from .prompt_fields import PromptFields

#: "same" stands in both texts, "removed" in the old one, "added" in the new one.
Kind = Literal["same", "removed", "added"]
#: A piece of a diff.
Segment = tuple[Kind, str]

#: Chinese and Japanese have no spaces between words: each of their characters stands alone.
_ALONE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_MARKS = r"!-/:-@\[-^`{-~"
#: Words, runs of white space, punctuation marks, and runs of the rest, such as emoji.
_WORD = re.compile(rf"[{_ALONE}]|[^\W{_ALONE}]+|\s+|[{_MARKS}]|[^\w\s{_MARKS}]+")

#: Comparing takes time with the pairs of tokens that are the same, for each run of them anew.
_MOST_WORK = 30_000_000
#: Tells tokens that are no likeness by themselves.
_Junk = Callable[[str], bool]

#: How changed text that is nothing but white space is made visible.
_VISIBLE_SPACE = str.maketrans({" ": "·", "\t": "⇥", "\n": "↵\n", "\r": "␍"})

_FIELDS = ("model", "max_output_tokens", "temperature", "system", "extra_body", "output_schema")


@dataclass(frozen=True, slots=True)
class PromptDiff:
    """What changed from one prompt version to another. Made by :meth:`between`.

    The value of a cell shows it. It is false where both ask the same.

    Attributes:
        old, new: the versions.
        segments: the prompt by words. "same" and "removed" joined are the old text, exactly;
            "same" and "added" the new one.
        changes: what else changed: (old, new) of "model", "max_output_tokens", "temperature",
            "system", "extra_body" and "output_schema".
    """

    old: PromptFields
    new: PromptFields
    segments: tuple[Segment, ...]
    changes: Mapping[str, tuple[Any, Any]]

    @classmethod
    def between(cls, old: PromptFields, new: PromptFields) -> PromptDiff:
        """Compare two versions, of the same stream or not."""
        pairs = {name: (getattr(old, name), getattr(new, name)) for name in _FIELDS}
        # As text, as versions are told apart: a schema's order of properties counts, and 1 is
        # not true.
        changes = {
            name: pair
            for name, pair in pairs.items()
            if pair[0] != pair[1]
            or (name in ("output_schema", "extra_body") and len(set(map(_as_text, pair))) == 2)
        }
        return cls(old, new, segments_of(old.text, new.text), changes)

    @property
    def schema_segments(self) -> tuple[Segment, ...]:
        """The schemas by lines of indented JSON; empty where they are the same."""
        if "output_schema" not in self.changes:
            return ()
        before, after = map(_schema_lines, self.changes["output_schema"])
        runs = _runs(before, after) or _whole(before, after)
        return tuple((kind, line) for kind, run in runs for line in run)

    @property
    def text_html(self) -> str:
        """The prompt as HTML, marked where it changed."""
        return _block("".join(_element(kind, text) for kind, text in self.segments))

    def __bool__(self) -> bool:
        return bool(self.changes) or any(kind != "same" for kind, _ in self.segments)

    def __repr__(self) -> str:
        head = f"{_name(self.old)} -> {_name(self.new)}"
        if not self:
            return f"{head}: both ask the same"
        lines = [head, *(f"{name}: {before} -> {after}" for name, before, after in self._plain())]
        lines.append("".join(_marked(kind, text) for kind, text in self.segments))
        if schema := self.schema_segments:
            signs = {"same": " ", "removed": "-", "added": "+"}
            lines.append("output_schema:")
            lines += [f"{signs[kind]} {line.rstrip()}" for kind, line in schema]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = f"<strong>{_name(self.old)} → {_name(self.new)}</strong>"
        if not self:
            return fragment(f"{head}: both ask the same")
        parts = [f"<div>{head}</div>"]
        for name, before, after in self._plain():
            changed = _element("removed", before) + " → " + _element("added", after)
            parts.append(f"<div><code>{name}</code> {changed}</div>")
        parts.append(self.text_html)
        if schema := self.schema_segments:
            parts.append("<div><code>output_schema</code></div>")
            signs = {"same": "  ", "removed": "- ", "added": "+ "}
            lines = "".join(_element(kind, signs[kind] + line) for kind, line in schema)
            parts.append(_block(lines, "font-family: monospace"))
        return fragment("".join(parts), BAR)

    def _plain(self) -> Iterator[tuple[str, str, str]]:
        """Name, old and new value of what fits on a line."""
        for name, pair in self.changes.items():
            if name != "output_schema":
                before, after = ("default" if value is None else _shown(value) for value in pair)
                yield name, before, after


def segments_of(old: str, new: str) -> tuple[Segment, ...]:
    """What changed from one text to another, by words; by lines where that would take long."""
    # Spaces alone are no likeness: they are kept only beside words that are.
    runs = _runs(_WORD.findall(old), _WORD.findall(new), str.isspace)
    if runs is None:
        before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
        runs = _runs(before, after) or _whole(before, after)
    joined = ((kind, "".join(tokens)) for kind, tokens in runs)
    return tuple((kind, text) for kind, text in joined if text)


_Run = tuple[Kind, Sequence[str]]


def _runs(before: list[str], after: list[str], junk: _Junk | None = None) -> list[_Run] | None:
    """What is the same and what is not, in the order of the texts; None where it would take long.

    Args:
        before, after: the tokens.
        junk: tokens that are the same in both only beside others that are.
    """
    most = min(len(before), len(after))
    start = next((i for i in range(most) if before[i] != after[i]), most)
    most -= start
    end = next((i for i in range(most) if before[-1 - i] != after[-1 - i]), most)
    one, other = before[start : len(before) - end], after[start : len(after) - end]
    # What stands everywhere is no likeness either, where all would take too long.
    quick = [autojunk for autojunk in (False, True) if _is_quick(one, other, junk, autojunk)]
    if not quick:
        return None
    runs: list[_Run] = [("same", before[:start])]
    for tag, i1, i2, j1, j2 in SequenceMatcher(junk, one, other, quick[0]).get_opcodes():
        if tag == "equal":
            runs.append(("same", one[i1:i2]))
        else:
            runs += [("removed", one[i1:i2]), ("added", other[j1:j2])]
    runs.append(("same", before[len(before) - end :]))
    return _joined(run for run in runs if run[1])


def _is_quick(one: list[str], other: list[str], junk: _Junk | None, autojunk: bool) -> bool:
    """Whether comparing is quick, in the worst case."""
    there = Counter(other)
    # As difflib has it.
    most = len(other) // 100 + 1 if autojunk and len(other) >= 200 else len(other)
    pairs = sum(
        times * there[token]
        for token, times in Counter(one).items()
        if there[token] <= most and not (junk is not None and junk(token))
    )
    return pairs * min(len(one), len(other)) <= _MOST_WORK


def _joined(runs: Iterable[_Run]) -> list[_Run]:
    """Runs of the same kind that follow each other as one."""
    joined: list[_Run] = []
    for kind, tokens in runs:
        if joined and joined[-1][0] == kind:
            tokens = [*joined.pop()[1], *tokens]
        joined.append((kind, tokens))
    return joined


def _whole(before: list[str], after: list[str]) -> list[_Run]:
    """All of it changed."""
    return [("removed", before), ("added", after)]


def _as_text(value: Mapping[str, Any] | None) -> str:
    return json.dumps(value, default=dict)


def _shown(value: Any) -> str:
    return json.dumps(dict(value), ensure_ascii=False) if isinstance(value, Mapping) else str(value)


def _schema_lines(schema: Mapping[str, Any] | None) -> list[str]:
    if schema is None:
        return ["no schema\n"]
    text = json.dumps(dict(schema), indent=2, ensure_ascii=False, default=str)
    return [f"{line}\n" for line in text.split("\n")]


# ---- how it looks --------------------------------------------------------------------------------

# Half transparent, so that it is legible in light and dark; lines too, for those who see no colour.
_STYLES = {
    "removed": ("del", "background: rgba(248, 81, 73, .25); text-decoration: line-through"),
    "added": ("ins", "background: rgba(46, 160, 67, .25); text-decoration: underline"),
}


def _name(version: PromptFields) -> str:
    return f"v{version.version}" if version.version > 0 else "suggestion"


def _visible(text: str) -> str:
    return text.translate(_VISIBLE_SPACE) if text.isspace() else text


def _marked(kind: str, text: str) -> str:
    """The marks of wdiff."""
    if kind == "removed":
        return f"[-{_visible(text)}-]"
    return f"{{+{_visible(text)}+}}" if kind == "added" else text


def _element(kind: str, text: str) -> str:
    if kind == "same":
        return escaped(text)
    tag, style = _STYLES[kind]
    return f'<{tag} style="color: inherit; {style}">{escaped(_visible(text))}</{tag}>'


def _block(content: str, style: str = "") -> str:
    return f'<div style="white-space: pre-wrap; overflow-wrap: anywhere; {style}">{content}</div>'
