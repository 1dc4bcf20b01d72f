"""Better prompts from a language model that is shown labelled answers, scored on others.

The labelled samples are split in two. Of the one part, the language model is shown what was
answered and what is right, and writes prompts; the other part, of which it was shown nothing, says
how good these are. Samples that show the same moment may come to both sides: where labels are of
moments that are apart, the figures say what they seem to. None of the prompts is asked by the
stream until somebody applies it.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from numbers import Real
from typing import TYPE_CHECKING, Any

from overshoot_nb import config
from overshoot_nb.asking.text_chat import ask_text
from overshoot_nb.errors import ValidationError
from overshoot_nb.running.run import Run
from overshoot_nb.running.service import ChatService, Client, Service, check_one_client, service_of
from overshoot_nb.runtime.coroutines import coroutine
from overshoot_nb.runtime.event_loop import get_runtime
from overshoot_nb.store.budget import Budget, check_budget
from overshoot_nb.support.api_key import ApiKey, held_key
from overshoot_nb.support.redaction import hidden
from overshoot_nb.support.registry import opener
from overshoot_nb.support.validation import (
    check_extra_body,
    check_system,
    check_temperature,
    check_text,
    check_whole,
)

from .suggestion_request import SUGGESTED, ideas_in, request_text
from .suggestion_trial import Trial, split
from .suggestions import Suggestions

if TYPE_CHECKING:
    from .judges import Judges

#: Several prompts take a language model longer than an answer about a frame. Seconds.
TIMEOUT_SECONDS = 120.0


@coroutine
async def suggest(
    run: Run,
    model: str,
    *,
    client: Client | None = None,
    api_key: str | ApiKey | None = None,
    base_url: str | None = None,
    version: int | None = None,
    n: int = 3,
    holdout: float = 0.3,
    judge: Judges = None,
    max_in_flight: int | None = None,
    cache: bool = True,
    progress: bool = True,
    budget: Budget | None = None,
    temperature: float | None = None,
    system: str | None = None,
    extra_body: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Suggestions:
    """Ask a language model for better prompts, and score them on samples that it was not shown.

    It is shown the prompt, the schema, and the answers of the labelled samples of the training
    part with what they should be: text, no pictures. Each prompt is then asked about the held-out
    samples, of the run's own server, with the same model, schema and limits as the current one.

    Args:
        run: whose prompt, labels and pictures.
        model: the language model: any that takes text.
        client: whose server has it; its ``timeout`` counts. Default: the run's own.
        api_key, base_url: the server that has it, in place of ``client``; as in ``Overshoot``.
        version: number of the version to improve. Default: the one in force.
        n: how many prompts to ask for, 1..20. There may come fewer.
        holdout: share of the labelled samples to score on, 0..1, and at least 3 of them. Each
            suggestion is asked about each of these, and the current prompt about all labelled
            samples that it has not answered.
        judge: when an answer is right, as in ``stream.score``.
        max_in_flight: requests about samples under way at once. Default 4; of the embedded
            engine 1.
        cache: take the answers about samples from the cache where they are known.
        progress: show a progress bar (tqdm).
        budget: when to stop asking about samples, of all prompts together; what was not asked by
            then is no answer. Default: never. The one request to the language model is not part
            of it.
        temperature: of the language model, 0..2; None leaves it to its server.
        system, extra_body: of the request to the language model, as in ``client.streams.create``;
            the prompts are scored with those of the version. Default: none.
        seed: which samples are held out.

    Raises:
        ValidationError: there are too few labels, or no failures to learn from; a parameter
            cannot be used; or the server has no language model, as the embedded engine.
        LookupError: there is no version of that number.
        ServerError: the language model gave nothing that could be used.
        OvershootError: a server refused, or did not answer.
    """
    api_key, base_url = held_key(api_key), hidden(base_url, server=True)
    check_text("model", model)
    check_whole("n", n, 1, 20)
    check_whole("seed", seed, 0, 2**63 - 1)
    if not isinstance(holdout, Real) or isinstance(holdout, bool) or not 0 < holdout < 1:
        raise ValidationError(f"holdout={holdout!r} is not valid: it must be a number, 0 < x < 1")
    if temperature is not None:
        check_temperature(temperature)
    check_system(system)
    if extra_body is not None:
        extra_body = check_extra_body(extra_body)
    check_budget(budget)
    if max_in_flight is None:
        # The embedded engine answers one at a time: more would only stand in the stream's way.
        max_in_flight = 1 if run.service.endpoint.is_local else config.MAX_IN_FLIGHT_BATCH
    check_whole("max_in_flight", max_in_flight, 1, 256)
    current = run.prompts.current if version is None else run.prompts[version]
    async with _language_model(run.service, client, api_key, base_url) as service:
        trial = Trial(
            run, current, judge, max_in_flight, budget=budget, cache=cache, progress=progress
        )
        judged = await trial.judged()
        part = split(judged, holdout, random.Random(seed))
        text = request_text(current, run.settings.mode, part.training, n)
        asking = ask_text(
            service.api,
            text,
            model,
            output_schema=SUGGESTED,
            temperature=temperature,
            system=system,
            extra_body=extra_body,
        )
        ideas = ideas_in(await get_runtime().call(asking), current, n)
    baseline, *suggested = await trial.scored(ideas, part.held_out)
    return Suggestions(
        suggested,
        baseline,
        model=model,
        asked=n,
        training=[example.sample for example in part.training],
        held_out=part.held_out,
    )


@asynccontextmanager
async def _language_model(
    own: Service,
    client: Client | None,
    api_key: ApiKey | None,
    base_url: str | None,
) -> AsyncIterator[ChatService]:
    """The server that has the language model; closed afterwards where it was made here.

    Raises:
        ValidationError: it has none.
    """
    named = api_key is not None or base_url is not None
    if client is not None:
        check_one_client(client, api_key, base_url)
        yield _with_language_model(service_of(client))
    elif named:
        making = opener("client")(api_key, base_url=base_url, timeout=TIMEOUT_SECONDS)
        async with making as made:
            yield _with_language_model(service_of(made))
    else:
        yield _with_language_model(own)


def _with_language_model(service: Service) -> ChatService:
    give = (
        "give the server of a language model, as client=overshoot_nb.Overshoot(...) or as "
        'base_url=, such as base_url="http://localhost:11434/v1"'
    )
    if service.endpoint.is_local:
        raise ValidationError(
            "the embedded engine is no language model, so it cannot suggest prompts (it can be "
            f"asked those that another one suggests): {give}"
        )
    if service.endpoint.is_replay:
        raise ValidationError(
            f"{service.endpoint.shown} is a recording, which answers what was asked then: {give}"
        )
    if not isinstance(service, ChatService):
        raise ValidationError(
            f"{service.endpoint.shown} is a v0.2 server, which answers about video alone: {give}"
        )
    return service
