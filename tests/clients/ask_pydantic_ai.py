"""Pydantic AI asks a served engine: whole, streamed, with a schema, and wrongly."""

from __future__ import annotations

import asyncio
import base64
import json
import sys

from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, ModelHTTPError, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


class Read(BaseModel):
    text: str


async def main(base_url: str, picture: str) -> None:
    provider = OpenAIProvider(base_url=base_url, api_key="any")
    image = BinaryContent(base64.b64decode(picture.partition(",")[2]), media_type="image/png")
    asked = ["Read any visible text", image]
    agent = Agent(OpenAIChatModel("local/read", provider=provider))
    whole = (await agent.run(asked)).output
    async with agent.run_stream(asked) as result:
        streamed = "".join([piece async for piece in result.stream_text(delta=True)])
    reader = Agent(OpenAIChatModel("local/read", provider=provider), output_type=NativeOutput(Read))
    structured = (await reader.run(asked)).output.model_dump()
    try:
        await Agent(OpenAIChatModel("no/such", provider=provider)).run(asked)
    except ModelHTTPError as error:
        said = str(error)
    print(
        json.dumps({"whole": whole, "streamed": streamed, "structured": structured, "error": said})
    )


asyncio.run(main(*sys.argv[1:]))
