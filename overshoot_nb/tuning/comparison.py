"""``compare``: the same samples, asked with several prompts and models, side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from overshoot_nb import config
from overshoot_nb.errors import StreamClosedError, ValidationError
from overshoot_nb.running.run import Run
from overshoot_nb.running.service import (
    Client,
    GatewayService,
    Service,
    check_one_client,
    check_service,
    service_of,
)
from overshoot_nb.runtime.coroutines import coroutine
from overshoot_nb.runtime.event_loop import get_runtime
from overshoot_nb.store.answer_cache import answer_cache
from overshoot_nb.store.budget import Account, Budget, check_budget
from overshoot_nb.store.labels import MISSING, Labels
from overshoot_nb.store.prompts import PromptVersion
from overshoot_nb.support.api_key import ApiKey, held_key
from overshoot_nb.support.notebook import show_notice
from overshoot_nb.support.progress import TICK_SECONDS, ProgressBar
from overshoot_nb.support.redaction import hidden
from overshoot_nb.support.registry import opener
from overshoot_nb.support.validation import check_whole

from .comparison_asking import ComparisonWork
from .comparison_plan import candidates_of, named_prompts
from .comparison_result import Comparison
from .gaps import Gaps
from .judges import FieldJudges, Judges
from .pictures import run_behind, subject_of

#: Repeats of one question, at most.
MAX_REPEATS = 100


@coroutine
async def compare(
    what: Any,
    prompts: str | PromptVersion | Iterable[str | PromptVersion] | Mapping[str, Any],
    models: str | Iterable[str] | None = None,
    *,
    output_schema: Any = MISSING,
    max_output_tokens: Any = MISSING,
    temperature: Any = MISSING,
    system: Any = MISSING,
    extra_body: Any = MISSING,
    labels: Labels | Mapping[int, Any] | None = None,
    judge: Judges = None,
    last: float | None = None,
    samples: Iterable[int] | None = None,
    repeats: int = 1,
    max_in_flight: int | None = None,
    budget: Budget | None = None,
    cache: bool = True,
    progress: bool = True,
    client: Client | None = None,
    api_key: str | ApiKey | None = None,
    base_url: str | None = None,
) -> Comparison:
    """Ask each prompt of each model about the same samples, and lay the answers side by side.

    ``await compare(stream, ["What is the score?", stream.prompts[1]])`` asks about the pictures
    that a stream has kept, whether it goes on or is over; its own answers are not asked for again.
    What asks the same (text, model, schema, limits, pictures) is asked once; answers are kept in
    the user's cache, so that asking again, after an interrupt too, only asks for the rest.
    An interrupted cell ends it at once.
    Samples whose pictures are gone are listed. ``compare(...).result()`` waits without ``await``.

    Args:
        what: a stream, its ``frames``, rows of its ``df`` (also merged with others), or an iterable
            of samples, JPEG bytes, Pillow images, uint8 RGB arrays or paths of image files. A v0.2
            server is asked about the pictures that it keeps of a stream's results.
        prompts: texts, versions such as ``stream.prompts[1]``, or a dict of these by name.
        models: names of models, each asked every prompt. Default: a version's own; for texts
            that of the stream, else ``Overshoot.default_model``.
        output_schema, max_output_tokens, temperature, system, extra_body: as in
            ``client.streams.create``, for every prompt. Default: those of the version, or of the
            stream; else none.
        labels: what the answers should be, as in ``stream.labels`` or a dict by sample index.
            Default: the stream's, also those that are made later.
        judge: when an answer counts as right; as in ``stream.score``.
        last: only samples of the last so many seconds of the video; of a stream since its last
            restart.
        samples: only samples of these indices.
        repeats: how often each question is asked, 1 to 100. The first answer is the one that is
            scored; the others say how steady it is.
        max_in_flight: requests under way at once, 1 to 256. Default 4; of the embedded engine 1.
        budget: when to stop asking. Default: never.
        cache: take answers that are known, of the stream and of the cache, and keep those that
            come. Their ``latency_ms`` is what it was when they were asked for, which tells nothing
            beside that of answers asked for under another load.
        progress: show a progress bar (tqdm).
        client: whose server to ask. Default: the stream's own, or one made from ``api_key`` and
            ``base_url`` as :class:`overshoot_nb.Overshoot` takes them.

    Raises:
        ValidationError: a parameter cannot be used, or there is nothing to ask about.
        LookupError: there is no sample of an index.
        OSError: an image file cannot be read.
        StreamClosedError: the client that is asked was closed.
        OvershootError: nothing was answered. A model that fails beside others is shown as such.
    """
    what, base_url, api_key = hidden(what), hidden(base_url, server=True), held_key(api_key)
    check_whole("repeats", repeats, 1, MAX_REPEATS)
    check_budget(budget)
    FieldJudges(judge)  # refuses what is none before anything is spent
    given = (
        ("output_schema", output_schema),
        ("max_output_tokens", max_output_tokens),
        ("temperature", temperature),
        ("system", system),
        ("extra_body", extra_body),
    )
    changes = {name: value for name, value in given if value is not MISSING}
    named = named_prompts(prompts)
    run = run_behind(what)
    known_labels = _labels(labels, run)
    async with _asked(run, client, api_key, base_url) as (service, whose):
        _check_service(run, service)
        unnamed = models is None and any(isinstance(prompt, str) for _, prompt in named)
        model = await _model(run, whose) if unnamed else ""
        candidates = candidates_of(named, models, changes, model=model, run=run)
        embedded = service.endpoint.is_local
        if max_in_flight is None:
            # The embedded engine answers one at a time: more would only stand in streams' way.
            max_in_flight = 1 if embedded else config.MAX_IN_FLIGHT_BATCH
        check_whole("max_in_flight", max_in_flight, 1, 256)
        # A stream that goes on there is left the engine when it needs it.
        gaps = None
        if run is not None and embedded and run.service.endpoint.is_local:
            gaps = Gaps(run)
        asker = service.asker(
            response_format=run.settings.response_format if run is not None else "auto",
            cache=answer_cache() if cache else None,
            turn=gaps.wait if gaps is not None else None,
        )
        choose = partial(subject_of, what, last=last, samples=samples, by_result=asker.by_result)
        # Image files take a while to decode, and the caller may have a loop to run.
        subject = await asyncio.to_thread(choose)
        work = ComparisonWork(
            subject,
            tuple({c.version.version: c.version for c in candidates}.values()),
            repeats,
            asker,
            closed=lambda: service.closed,
            gaps=gaps,
        )
        # Other servers' answers are not those of the stream.
        known = cache and run is not None and _same_server(run, service)
        bar = ProgressBar("compare", work.total) if progress else None
        asking = _carry_out(work, Account(budget), max_in_flight, known, bar)
        stopped = await get_runtime().call(asking)
    # Making pictures small takes a while, too.
    return await asyncio.to_thread(Comparison, candidates, work, known_labels, judge, stopped)


async def _carry_out(
    work: ComparisonWork,
    account: Account,
    max_in_flight: int,
    known: bool,
    bar: ProgressBar | None,
) -> tuple[str, ...]:
    """Ask, on the runtime's loop, and draw the bar meanwhile."""
    drawing = asyncio.create_task(_draw(bar, work)) if bar is not None else None
    try:
        return await work.carry_out(account, max_in_flight, known=known)
    finally:
        if drawing is not None:
            drawing.cancel()
            # Where it is drawn may be gone, which costs no answer.
            await asyncio.gather(drawing, return_exceptions=True)


async def _draw(bar: ProgressBar, work: ComparisonWork) -> None:
    try:
        while True:
            bar.draw(len(work.answers), work.errors)
            await asyncio.sleep(TICK_SECONDS)
    finally:
        bar.draw(len(work.answers), work.errors)
        bar.close()


# ---- whom to ask -------------------------------------------------------------------------------


@asynccontextmanager
async def _asked(
    run: Run | None,
    client: Client | None,
    api_key: str | ApiKey | None,
    base_url: str | None,
) -> AsyncIterator[tuple[Service, Client | None]]:
    """The service to ask, and the client that it is of where that is not the run's own."""
    check_one_client(client, api_key, base_url)
    if client is not None:
        yield service_of(client), client
    elif run is not None and api_key is None and base_url is None:
        yield run.service, None
    else:
        async with opener("client")(api_key, base_url=base_url) as own:
            show_notice()
            yield service_of(own), own


def _check_service(run: Run | None, service: Service) -> None:
    if service.closed:
        raise StreamClosedError(
            "the client that would be asked is closed: pass client=Overshoot(...)",
            "its client was closed",
        )
    if run is not None:
        check_service(run.service, service)
    elif isinstance(service, GatewayService):
        raise ValidationError(
            f"{service.endpoint.shown} is a v0.2 server, which can only be asked about the "
            "pictures that it took itself: give a stream of it, or a client of a chat server"
        )


async def _model(run: Run | None, client: Client | None) -> str:
    if run is not None and (client is None or _same_server(run, service_of(client))):
        return run.prompts.current.model
    assert client is not None  # made where there is no run
    return await client.default_model()


def _same_server(run: Run, service: Service) -> bool:
    return run.service.endpoint.base_url == service.endpoint.base_url


def _labels(given: Labels | Mapping[int, Any] | None, run: Run | None) -> Labels:
    if isinstance(given, Labels):
        return given
    if given is None and run is not None:
        return run.journal.labels
    labels = Labels()
    if given is not None:
        labels.update(given)
    return labels
