"""Both clients against the embedded engine, in this process, with nothing in between replaced."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import numpy as np
import pytest
import simplejpeg

from overshoot_nb import errors
from overshoot_nb.asking.chat import ChatClient
from overshoot_nb.gateway.api_client import ApiClient
from overshoot_nb.types import (
    EncodedFrame,
    FrameProcessingConfig,
    InferenceConfig,
    Sample,
    StatusResponse,
)

pytest.importorskip("starlette")


def picture(level: int) -> Sample:
    pixels = np.full((48, 64, 3), level, np.uint8)
    jpeg = simplejpeg.encode_jpeg(pixels, quality=90)
    now = datetime.now(UTC)
    return Sample(0, "frame", 0.0, now, (EncodedFrame(0.0, jpeg, 64, 48),))


def test_a_picture_is_asked_about() -> None:
    schema = {
        "type": "object",
        "properties": {"brightness": {"type": "number"}},
        "required": ["brightness"],
    }

    async def go() -> list[float]:
        async with ChatClient(base_url="local") as client:
            names = [model.model for model in await client.get_models()]
            assert "local/scene" in names
            request = client.prepare("How bright is it?", "local/scene", output_schema=schema)
            answers = [await client.complete(request, picture(level)) for level in (20, 230)]
            assert all(answer.ok for answer in answers)
            assert {answer.model for answer in answers} == {"local/scene"}
            return [answer.output["brightness"] for answer in answers]

    for _ in range(2):  # each time in a loop of its own
        dark, bright = asyncio.run(go())
        assert dark < bright


def test_what_the_engine_refuses_is_one_of_our_errors() -> None:
    async def go() -> None:
        async with ChatClient(base_url="local") as client:
            with pytest.raises(errors.ApiError, match="local/scene") as unknown:
                await client.complete(client.prepare("Dark?", "no/such-model"), picture(9))
            assert unknown.value.status_code in (404, 422)
            closed = client.prepare(
                "Dark?",
                "local/scene",
                output_schema={
                    "type": "object",
                    "properties": {"dog_breed": {"type": "string"}},
                    "required": ["dog_breed"],
                },
            )
            with pytest.raises(errors.ValidationError) as refused:
                await client.complete(closed, picture(9))
            assert refused.value.status_code == 422

    asyncio.run(go())


def test_the_calls_of_v02() -> None:
    async def go() -> None:
        async with ApiClient(base_url="local") as api:
            assert await api.health_check() == StatusResponse("ok")
            assert "local/scene" in [model.model for model in await api.get_models()]
            created = await api.create_stream(
                None, FrameProcessingConfig(), InferenceConfig("How bright is it?", "local/scene")
            )
            stream_id = created.stream_id
            kept = await api.keepalive(stream_id)
            assert kept.stream_id == stream_id
            assert kept.ttl_seconds > 0
            changed = await api.update_prompt(stream_id, "Is anything moving?")
            assert (changed.stream_id, changed.prompt) == (stream_id, "Is anything moving?")
            assert (await api.stream_info(stream_id)).stream_id == stream_id
            assert (await api.close_stream(stream_id)).status == "ok"
            with pytest.raises(errors.NotFoundError):
                await api.keepalive("no-such-stream")

    asyncio.run(go())
