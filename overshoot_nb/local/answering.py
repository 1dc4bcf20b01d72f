"""The three local models: which skills each has, and how a prompt or schema becomes an answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from .filling import fill
from .patterns import one_question
from .refusals import Unsupported
from .schema import prepare, schema_in_text
from .skills import DESCRIBE, FIELDS, SKILLS, Look, asked_skills

if TYPE_CHECKING:
    from .pictures import Picture
    from .reading import Page

_SCENE = ("light", "colour", "sharpness", "motion", "faces")
#: The models and the skills that each has.
MODELS: dict[str, tuple[str, ...]] = {
    "local/auto": ("text", *_SCENE),
    "local/read": ("text",),
    "local/scene": _SCENE,
}

_TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about the pictures.

    Attributes:
        prompt: the text of the request.
        schema: JSON schema of the answer as it was sent, or None.
        as_json: True when the answer must be a JSON object (``json_object``); the schema is then
            looked for in the prompt.
        max_tokens: where the answer is cut, or None.
    """

    model: str
    prompt: str
    schema: Mapping[str, Any] | None = None
    as_json: bool = False
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer and its cost, counted in words and punctuation marks (`count_tokens`)."""

    content: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


def count_tokens(text: str) -> int:
    """Words and punctuation marks: the local models have no tokens, and this can be explained."""
    return sum(1 for _ in _TOKEN.finditer(text))


def answer(
    question: Question, pictures: Sequence[Picture], read: Callable[[Picture], Page]
) -> Answer:
    """Answer a question about pictures.

    Raises:
        Unsupported: no skill of the model answers it.
        Invalid: the schema is not one.
    """
    skills = MODELS[question.model]
    if not pictures:
        raise Unsupported(
            f"{question.model} answers about pictures, and the request has none; send an "
            "image_url or video_url part with a data: URL"
        )
    look = Look(pictures, read)
    prompt, schema = question.prompt, question.schema
    if question.as_json and schema is None:
        schema, prompt = schema_in_text(prompt)
    if schema is not None:
        with one_question():
            content = orjson.dumps(fill(prepare(schema), look, skills)).decode()
    elif question.as_json:
        content = orjson.dumps(_natural(_chosen(prompt, question.model), look)).decode()
    else:
        content = _in_words(prompt, question.model, look)
    content, finish_reason = _cut(content, question.max_tokens)
    return Answer(content, finish_reason, count_tokens(question.prompt), count_tokens(content))


def _chosen(prompt: str, model: str) -> list[str]:
    """Names of the skills that a prompt without a schema asks of a model."""
    skills = MODELS[model]
    if model == "local/read":
        return ["text"]
    asked = [skill.name for skill in asked_skills(prompt, skills)]
    if asked:
        return asked
    if model == "local/scene" or DESCRIBE.search(prompt):
        return list(skills)
    raise Unsupported(
        "local/auto is not a language model: it reads text, and measures light, colour, "
        "sharpness, motion and faces. The prompt asks for none of these (it may say read, text, "
        "brightness, colour, sharpness, motion, faces, or describe)",
        skills=[skill.name for skill in SKILLS],
    )


def _in_words(prompt: str, model: str, look: Look) -> str:
    chosen = _chosen(prompt, model)
    if chosen == ["text"]:
        return look.page.text
    said = []
    for skill in SKILLS:
        if skill.name not in chosen:
            continue
        text = skill.say(look)
        if skill.name == "text":
            text = "Text: " + (text.replace("\n", " / ") or "none found") + "."
        said.append(text)
    return " ".join(said)


def _natural(chosen: Sequence[str], look: Look) -> dict[str, Any]:
    """All fields of the chosen skills; those without a value are null."""
    return {field.name: field.value(look) for field in FIELDS if field.skill in chosen}


def _cut(content: str, max_tokens: int | None) -> tuple[str, str]:
    if max_tokens is not None:
        for index, match in enumerate(_TOKEN.finditer(content)):
            if index == max_tokens:
                return content[: match.start()].rstrip(), "length"
    return content, "stop"
