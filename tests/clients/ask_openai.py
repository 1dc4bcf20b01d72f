"""The openai SDK asks a served engine: whole, streamed, with a schema, and wrongly."""

from __future__ import annotations

import json
import sys

import openai


def main(base_url: str, picture: str) -> None:
    client = openai.OpenAI(base_url=base_url, api_key="any", max_retries=0)
    parts = [
        {"type": "text", "text": "Read any visible text"},
        {"type": "image_url", "image_url": {"url": picture}},
    ]
    asked = {"model": "local/read", "messages": [{"role": "user", "content": parts}]}
    whole = client.chat.completions.create(**asked)
    pieces, usage = [], None
    for chunk in client.chat.completions.create(
        **asked, stream=True, stream_options={"include_usage": True}
    ):
        usage = chunk.usage or usage
        pieces += [choice.delta.content or "" for choice in chunk.choices]
    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    structured = client.chat.completions.create(
        **asked,
        response_format={"type": "json_schema", "json_schema": {"name": "read", "schema": schema}},
    )
    try:
        client.chat.completions.create(**(asked | {"model": "no/such"}))
    except openai.NotFoundError as error:
        said = error.body["message"]
    print(
        json.dumps(
            {
                "whole": whole.choices[0].message.content,
                "streamed": "".join(pieces),
                "structured": json.loads(structured.choices[0].message.content),
                "error": said,
                "usage": [whole.usage.total_tokens, usage.total_tokens],
            }
        )
    )


main(*sys.argv[1:])
