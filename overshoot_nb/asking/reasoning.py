"""Telling a model's reasoning from its answer, wherever the server leaves it.

Reasoning comes in fields of its own, in parts of the content, or in the text itself, marked by
tags (``<think>...</think>`` and its kin, also where the opening one stood in the prompt) or by
channels. Tags within a string of the answer's JSON belong to the answer, and so do those that a
sentence merely mentions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any, Final

#: Fields of a message, and of a part of its content, that hold reasoning. Servers that send
#: several say the same in each.
_FIELDS: Final = ("reasoning", "reasoning_content", "thinking")
_DETAIL_TEXTS: Final = ("text", "summary", "thinking", "reasoning", "content")
_PART_KINDS: Final = ("thinking", "reasoning", "thought", "redacted_thinking")
_MAX_DEPTH: Final = 4

_NAMES: Final = "think|thinking|thought|thoughts|reasoning|seed:think|reflection|scratchpad"
_TAG: Final = re.compile(
    rf"""
      <\s*(?P<close>/)?\s*(?P<name>{_NAMES})(?:\s[^<>]{{0,100}})?>
    | \[(?P<close2>/)?(?P<name2>THINK)\]
    | ◁(?P<close3>/)?(?P<name3>think)▷
    | <\|(?P<edge>begin|start|end)_?(?:of_)?(?P<name4>thought|thinking|think)\|>
    | <\|(?P<gemma>channel)>\s*(?:thought|analysis|thinking)\b
    | <(?P<close5>channel)\|>
    """,
    re.VERBOSE | re.IGNORECASE,
)
#: Whether a text has any of these at all, or channels.
_ANY: Final = re.compile(
    rf"<\s*/?\s*(?:{_NAMES})[\s>]|\[/?THINK\]|◁/?think▷|<\||\|>|\Aanalysis", re.IGNORECASE
)
_CHANNEL: Final = re.compile(
    r"(?:<\|start\|>[^<]{0,100})?<\|channel\|>\s*(?P<name>\w+)(?P<head>.{0,200}?)<\|message\|>",
    re.DOTALL,
)
_CHANNEL_END: Final = re.compile(r"<\|(?:end|return|call|start|channel)\|>")
#: The same without its special tokens, which some servers drop.
_BARE_CHANNELS: Final = re.compile(r"\Aanalysis(?P<analysis>.*?)assistant\n*final", re.DOTALL)
#: Tokens around an answer that follows reasoning.
_FRAME: Final = re.compile(
    r"<\|(?:begin|start|end)_?(?:of_)?(?:response|solution)\|>|<\|(?:return|end)\|>\s*\Z",
    re.IGNORECASE,
)
_BRACKET: Final = re.compile(r"[\[{]")
_QUOTES: Final = "\"'`“‘«„‹「"
_DECODER: Final = json.JSONDecoder(strict=False)
#: Bounds on the work for a hostile answer: places that are tried as the beginning of a JSON
#: value, tags, and tags that are no real ones.
_MAX_STARTS: Final = 1_024
_MAX_TAGS: Final = 4_096
_MAX_SPARED: Final = 64


# ---- fields and parts ----------------------------------------------------------------------------


def field_reasoning(field: Callable[[str], Any]) -> str:
    """The reasoning in a message's fields of its own, "" where there is none.

    Args:
        field: the message's field of a name, None where it has none.
    """
    said = [_flat(field(name), _MAX_DEPTH) for name in _FIELDS]
    texts = list(dict.fromkeys(text for text in said if text.strip()))
    return "\n\n".join(texts) or _flat(field("reasoning_details"), _MAX_DEPTH)


def joined_reasoning(*found: str) -> str | None:
    """All reasoning that was found of one answer, each text once; None where there is none."""
    return "\n\n".join(dict.fromkeys(t.strip() for t in found if t.strip())) or None


def part_texts(parts: Iterable[Any]) -> tuple[str, str]:
    """The text and the reasoning of a content that is a list of parts."""
    texts: list[str] = []
    reasoning: list[str] = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict):
            kind = part.get("type")
            thought = part.get("thought") is True
            if thought or (isinstance(kind, str) and kind.lower().startswith(_PART_KINDS)):
                reasoning.append(_flat(part, _MAX_DEPTH))
            elif isinstance(text := part.get("text"), str):
                texts.append(text)
    return "".join(texts), "\n\n".join(text for text in reasoning if text)


def _flat(value: Any, depth: int) -> str:
    """All texts of a piece of reasoning."""
    if isinstance(value, str):
        return value
    if not depth:
        return ""
    if isinstance(value, list):
        return "".join(_flat(item, depth - 1) for item in value)
    if isinstance(value, dict):
        return next((t for n in _DETAIL_TEXTS if (t := _flat(value.get(n), depth - 1))), "")
    return ""


# ---- text ----------------------------------------------------------------------------------------


def split_reasoning(content: str) -> tuple[str, str]:
    """The answer in a text, and the reasoning that is not part of it ("" for none).

    A closing tag without an opening one ends a reasoning that began in the prompt; an opening one
    without an end begins one that was cut off: then there is no answer after it.
    """
    if _ANY.search(content) is None:
        return content, ""
    if (channels := _channels(content)) is not None:
        answer, reasoning = channels
        rest, more = _cut_tags(answer)
        return _FRAME.sub("", rest).strip(), _with(reasoning, more)
    answer, reasoning = _cut_tags(content)
    if answer == content:
        return content, ""
    return _FRAME.sub("", answer).strip(), reasoning


def _with(*texts: str) -> str:
    return "\n\n".join(text for text in map(str.strip, texts) if text)


def _channels(content: str) -> tuple[str, str] | None:
    """The answer and the reasoning of a text with channels (harmony), None for any other."""
    if (bare := _BARE_CHANNELS.match(content)) is not None:
        return content[bare.end() :], bare["analysis"]
    # One that merely talks of channels begins otherwise.
    first = _CHANNEL.search(content)
    if first is None or _in_json(content, 0, first.start()):
        return None
    if _is_mention(content, first.start(), first.end()):
        return None
    answers: list[str] = []
    # What precedes the first one is the end of a channel that began in the prompt.
    reasoning = [_CHANNEL_END.sub(" ", content[: first.start()])]
    at: re.Match[str] | None = first
    while at is not None:
        end = _CHANNEL_END.search(content, at.end())
        # Tokens that stand in a string of the answer's JSON are none.
        stop = len(content) if end is None else end.start()
        if at["name"].lower() == "final":
            while end is not None and _in_json(content, at.end(), end.start()):
                end = _CHANNEL_END.search(content, end.end())
                stop = len(content) if end is None else end.start()
            answers.append(content[at.end() : stop])
        else:
            reasoning.append(content[at.end() : stop])
        at = _CHANNEL.search(content, stop)
    return "".join(answers[-1:]), _with(*reasoning)


def _cut_tags(content: str) -> tuple[str, str]:
    """A text without its tagged reasoning, and that."""
    kept: list[str] = []
    reasoning: list[str] = []
    reasons = False  # whether an opening tag came
    at = 0  # the beginning of what is neither kept nor cut yet
    spared = _MAX_SPARED
    value_end = 0
    belongs_until = partial(_belongs_until, content, iter(range(_MAX_STARTS)))
    for tag in islice(_TAG.finditer(content), _MAX_TAGS):
        if reasons:
            # Reasoning that mentions an opening tag is not one in the other. Where it is, the
            # last closing tag finds no opening one.
            if not _closes(tag):
                continue
            reasoning.append(content[at : tag.start()])
            reasons = False
        elif tag.start() < value_end:
            continue
        elif (value_end := belongs_until(tag, max(at, value_end), at)) > tag.start():
            spared -= 1
            if not spared:
                break
            continue
        elif _closes(tag):  # what it ends began in the prompt
            reasoning += [*kept, content[at : tag.start()]]
            kept = []
        else:
            kept.append(content[at : tag.start()])
            reasons = True
        at = tag.end()
    (reasoning if reasons else kept).append(content[at:])
    return "".join(kept), _with(*reasoning)


def _closes(tag: re.Match[str]) -> bool:
    if tag["edge"]:
        return tag["edge"].lower() == "end"
    return any(tag[name] for name in ("close", "close2", "close3", "close5"))


def _belongs_until(
    content: str, starts: Iterator[int], tag: re.Match[str], at: int, begin: int
) -> int:
    """Where that ends which a tag belongs to, as part of the answer; 0 where it is a real one.

    Args:
        content: the text.
        starts: gives as many items as there may be tries.
        tag: the tag.
        at: from where on no JSON was looked for yet.
        begin: where the answer begins that the tag may belong to.
    """
    for _ in starts:
        if (bracket := _BRACKET.search(content, at, tag.start())) is None:
            break
        try:
            _, end = _DECODER.raw_decode(content, bracket.start())
        except (ValueError, RecursionError):
            at = bracket.end()
        else:
            if end > tag.start():
                return end
            at = end
    # A value that was cut off may hold it as well.
    if _in_json(content, begin, tag.start()) or _is_mention(content, tag.start(), tag.end()):
        return tag.end()
    return 0


def _in_json(content: str, begin: int, at: int) -> bool:
    """Whether ``at`` is within a string of JSON with which the text from ``begin`` on begins."""
    before = content[begin:at].lstrip()
    before = re.sub(r"\A```\w*\s*", "", before)
    if not before.startswith(("{", "[", '"')):
        return False
    return re.sub(r"\\.", "", before, flags=re.DOTALL).count('"') % 2 == 1


def _is_mention(content: str, start: int, end: int) -> bool:
    """Whether a sentence speaks of the tag: it is quoted, or stands among the words of a line."""
    if start and content[start - 1] in _QUOTES:
        return True
    before = content[max(0, start - 200) : start].rpartition("\n")[2]
    after = content[end : end + 8]
    among = before.endswith((" ", "\t")) and bool(re.search(r"[\w,(]\s+\Z", before))
    goes_on = re.match(r"[.,;:!?)]|[ \t]+[a-z(&]|\s*\Z", after) is not None
    return among and goes_on
