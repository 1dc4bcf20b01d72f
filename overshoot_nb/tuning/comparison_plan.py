"""What a comparison asks, worked out from its parameters and checked before anything is sent."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from overshoot_nb.errors import ValidationError
from overshoot_nb.running.run import Run
from overshoot_nb.store.prompt_fields import ASKED
from overshoot_nb.store.prompts import PromptVersion, asked_as_text
from overshoot_nb.support.schema_classes import schema_from
from overshoot_nb.support.validation import (
    check_extra_body,
    check_max_output_tokens,
    check_system,
    check_temperature,
    check_text,
)

Prompt = str | PromptVersion


@dataclass(frozen=True, slots=True)
class Candidate:
    """A column of a comparison: a prompt, asked of a model.

    Attributes:
        prompt: the prompt's name: its text, where none was given.
        version: all that is asked; ``await stream.update_prompt(candidate.version)`` applies it.
    """

    prompt: str
    version: PromptVersion

    @property
    def model(self) -> str:
        """The model that is asked."""
        return self.version.model

    @property
    def key(self) -> tuple[str, str]:
        """The prompt's name and the model: its column in ``Comparison.grid()``."""
        return self.prompt, self.version.model


def candidates_of(
    prompts: Sequence[tuple[str, Prompt]],
    models: object,
    changes: Mapping[str, Any],
    *,
    model: str,
    run: Run | None,
) -> tuple[Candidate, ...]:
    """Each prompt with each model, once.

    What a version of the run asks already has that version's number.

    Args:
        prompts: as :func:`named_prompts` gives them.
        models: names of models; None asks those of the versions, and ``model``.
        changes: fields of a version that are otherwise than a prompt brings along, or the run's
            prompt in force.
        model: asked with texts where no other is named.
        run: whose prompts come with what is in force there.

    Raises:
        ValidationError: names what cannot be asked.
    """
    names = _models(models)
    changes = _checked(changes)
    version_of = _numbering(run)
    found: dict[tuple[str, str], Candidate] = {}
    for name, prompt in prompts:
        version = _version(prompt, model, run) if isinstance(prompt, str) else prompt
        for asked in names or (version.model,):
            candidate = Candidate(name, version_of(replace(version, **changes, model=asked)))
            found.setdefault(candidate.key, candidate)
    return tuple(found.values())


def _version(text: str, model: str, run: Run | None) -> PromptVersion:
    """A text, asked as the prompt in force is."""
    if run is None:
        return PromptVersion(0, text, model)
    current = run.prompts.current
    asked = {name: getattr(current, name) for name in ASKED} | {"text": text, "model": model}
    return PromptVersion(0, **asked, parent=current.version, _settings=current._settings)


def named_prompts(prompts: object) -> list[tuple[str, Prompt]]:
    """The prompts and their names, which are all different.

    Args:
        prompts: texts, versions, or a dict of these by name.

    Raises:
        ValidationError: names what is no prompt.
    """
    if isinstance(prompts, str | PromptVersion):
        prompts = [prompts]
    if isinstance(prompts, Mapping):
        pairs = list(prompts.items())
    elif isinstance(prompts, Iterable):
        pairs = [(None, prompt) for prompt in prompts]
    else:
        raise ValidationError(f"prompts={prompts!r} is not valid: give prompts, or a dict of them")
    if not pairs:
        raise ValidationError("prompts is empty: give at least one")
    named: dict[str, Prompt] = {}
    for given, prompt in pairs:
        if not isinstance(prompt, str | PromptVersion):
            raise ValidationError(
                f"prompts has {prompt!r}: a prompt is text, or a PromptVersion such as "
                "stream.prompts[1]"
            )
        if given is not None:
            check_text("prompts: the name", given)
        if isinstance(prompt, str):
            check_text("prompts" if given is None else f"prompts[{given!r}]", prompt)
        own = given or (prompt if isinstance(prompt, str) else f"v{prompt.version}")
        name, number = own, 1
        while name in named and not _same(named[name], prompt):
            number += 1
            name = f"{own} ({number})"
        named[name] = prompt
    return list(named.items())


def _same(one: Prompt, other: Prompt) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return asked_as_text(one) == asked_as_text(other)


def _models(models: object) -> tuple[str, ...]:
    if models is None:
        return ()
    given = [models] if isinstance(models, str) else models
    if not isinstance(given, Iterable):
        raise ValidationError(f"models={models!r} is not valid: give names of models")
    names: list[Any] = list(given)
    if not names:
        raise ValidationError("models is empty: give at least one, or leave it out")
    for name in names:
        check_text("models", name)
    return tuple(dict.fromkeys(names))


def _checked(changes: Mapping[str, Any]) -> dict[str, Any]:
    check_max_output_tokens(changes.get("max_output_tokens"))
    if changes.get("temperature") is not None:
        check_temperature(changes["temperature"])
    check_system(changes.get("system"))
    checked = dict(changes)
    if changes.get("output_schema") is not None:
        checked["output_schema"] = schema_from(changes["output_schema"], "output_schema")
    if changes.get("extra_body") is not None:
        checked["extra_body"] = check_extra_body(changes["extra_body"])
    return checked


def _numbering(run: Run | None) -> Callable[[PromptVersion], PromptVersion]:
    """Gives a version the number of the known one that asks the same, or the next free one."""
    versions = list(run.prompts) if run is not None else []
    known: dict[str, PromptVersion] = {}
    for version in versions:
        known.setdefault(asked_as_text(version), version)
    free = itertools.count(len(versions) + 1)

    def numbered(version: PromptVersion) -> PromptVersion:
        asked = asked_as_text(version)
        if asked not in known:
            known[asked] = replace(version, version=next(free))
        return known[asked]

    return numbered
