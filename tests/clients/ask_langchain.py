"""LangChain asks a served engine: whole, streamed, with a schema, and wrongly."""

from __future__ import annotations

import json
import os
import sys

os.environ["LANGSMITH_TRACING"] = "false"

import openai
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI


def main(base_url: str, picture: str) -> None:
    def model(name: str) -> ChatOpenAI:
        return ChatOpenAI(model=name, base_url=base_url, api_key="any", max_retries=0)

    message = HumanMessage(
        [
            {"type": "text", "text": "Read any visible text"},
            {"type": "image_url", "image_url": {"url": picture}},
        ]
    )
    whole = model("local/read").invoke([message])
    streamed = "".join(str(chunk.content) for chunk in model("local/read").stream([message]))
    schema = {
        "title": "read",
        "type": "object",
        "properties": {"text": {"type": "string"}},
        "required": ["text"],
        "additionalProperties": False,
    }
    reader = model("local/read").with_structured_output(schema, method="json_schema")
    structured = reader.invoke([message])
    try:
        model("no/such").invoke([message])
    except openai.NotFoundError as error:
        said = str(error)
    print(
        json.dumps(
            {"whole": whole.content, "streamed": streamed, "structured": structured, "error": said}
        )
    )


main(*sys.argv[1:])
