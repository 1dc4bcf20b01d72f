"""The ``llm`` program asks a served engine: whole, streamed, with a schema, and wrongly."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

MODELS = """
- model_id: read
  model_name: local/read
  api_base: {url}
  vision: true
  supports_schema: true
- model_id: none
  model_name: no/such
  api_base: {url}
  vision: true
"""


def main(base_url: str, picture: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "extra-openai-models.yaml").write_text(MODELS.format(url=base_url))
        image = Path(folder, "picture.png")
        image.write_bytes(base64.b64decode(picture.partition(",")[2]))

        def llm(*words: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "llm", "Read any visible text", "-a", str(image)]
            return subprocess.run(
                [*command, "--key", "any", "--no-log", *words],
                env=os.environ | {"LLM_USER_PATH": folder},
                capture_output=True,
                text=True,
                check=False,
            )

        whole, streamed = llm("-m", "read", "--no-stream"), llm("-m", "read")
        schema = '{"type": "object", "properties": {"text": {"type": "string"}}}'
        structured = llm("-m", "read", "--schema", schema)
        wrong = llm("-m", "none")
    print(
        json.dumps(
            {
                "whole": whole.stdout.strip() or whole.stderr,
                "streamed": streamed.stdout.strip() or streamed.stderr,
                "structured": json.loads(structured.stdout or json.dumps(structured.stderr)),
                "error": wrong.stderr,
            }
        )
    )


main(*sys.argv[1:])
