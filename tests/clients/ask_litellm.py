"""LiteLLM asks a served engine: whole, streamed, with a schema, and wrongly."""

from __future__ import annotations

import json
import os
import sys

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would fetch one

import litellm

litellm.telemetry = False
litellm.suppress_debug_info = True


def main(base_url: str, picture: str) -> None:
    parts = [
        {"type": "text", "text": "Read any visible text"},
        {"type": "image_url", "image_url": {"url": picture}},
    ]
    asked = {
        "model": "openai/local/read",
        "api_base": base_url,
        "api_key": "any",
        "num_retries": 0,
        "messages": [{"role": "user", "content": parts}],
    }
    whole = litellm.completion(**asked)
    pieces = [
        choice.delta.content or ""
        for chunk in litellm.completion(**asked, stream=True)
        for choice in chunk.choices
    ]
    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    structured = litellm.completion(
        **asked,
        response_format={"type": "json_schema", "json_schema": {"name": "read", "schema": schema}},
    )
    try:
        litellm.completion(**(asked | {"model": "openai/no/such"}))
    except litellm.NotFoundError as error:
        said = str(error)
    print(
        json.dumps(
            {
                "whole": whole.choices[0].message.content,
                "streamed": "".join(pieces),
                "structured": json.loads(structured.choices[0].message.content),
                "error": said,
            }
        )
    )


main(*sys.argv[1:])
