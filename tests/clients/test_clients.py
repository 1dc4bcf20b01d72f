"""Other people's clients ask the served engine, each in a process of its own."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).parent
#: The script of each client, and the package that it needs.
CLIENTS = {
    "ask_openai.py": "openai",
    "ask_litellm.py": "litellm",
    "ask_langchain.py": "langchain_openai",
    "ask_pydantic_ai.py": "pydantic_ai",
    "ask_llm.py": "llm",
}


@pytest.fixture(scope="module")
def served():
    """The URL of ``overshoot-nb serve``, as a user starts it."""
    command = [sys.executable, "-m", "overshoot_nb", "serve", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline()
        yield next(word for word in line.split() if word.startswith("http"))
    finally:
        server.terminate()
        server.wait(30)
        server.stdout.close()


@pytest.fixture(scope="module")
def picture():
    image = Image.new("RGB", (480, 160), "white")
    font = ImageFont.load_default(64)
    ImageDraw.Draw(image).text((30, 40), "PLATFORM 9", "black", font)
    content = io.BytesIO()
    image.save(content, "PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()


@pytest.mark.parametrize("script", CLIENTS)
def test_a_client_asks_whole_streamed_with_a_schema_and_sees_errors(script, served, picture):
    if importlib.util.find_spec(CLIENTS[script]) is None:
        pytest.skip(f"{CLIENTS[script]} is not installed: extra clients")
    # Whoever runs the tests may have a key, or a proxy, that is not meant.
    hidden = ("OPENAI_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "LANG")
    own = {k: v for k, v in os.environ.items() if not k.upper().startswith(hidden)}
    ran = subprocess.run(
        [sys.executable, str(HERE / script), served, picture],
        env=own,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout.splitlines()[-1])
    assert said["whole"] == "PLATFORM 9"
    assert said["streamed"] == said["whole"]
    assert said["structured"] == {"text": "PLATFORM 9"}
    assert "no/such" in said["error"]
    assert "local/read" in said["error"]
    assert len({*said.get("usage", [])}) <= 1
