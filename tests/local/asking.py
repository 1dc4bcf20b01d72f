"""Pictures to ask the engine about, and the requests that carry them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import threading

import httpx
from PIL import Image, ImageDraw, ImageFont

from overshoot_nb import local

from waiting import LIMIT_SECONDS


def page(lines, size=(640, 360), ink=(240, 240, 240), paper=(18, 20, 28)):
    """A picture with texts at places: (x, y, text[, pixels])."""
    image = Image.new("RGB", size, paper)
    draw = ImageDraw.Draw(image)
    for x, y, text, *px in lines:
        draw.text((x, y), text, font=ImageFont.load_default(px[0] if px else 26), fill=ink)
    return image


@contextlib.contextmanager
def held(engine):
    """The engine is at work meanwhile, and comes to nothing that is asked."""
    hold, at_work = threading.Event(), threading.Event()

    def wait():
        at_work.set()
        hold.wait()

    engine._submit(wait, "requests")
    assert at_work.wait(LIMIT_SECONDS)
    try:
        yield
    finally:
        hold.set()


def data_url(image, kind="JPEG", quality=90):
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=quality)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def image_part(image, kind="JPEG"):
    return {"type": "image_url", "image_url": {"url": data_url(image, kind)}}


def question(prompt, *images, model="local/auto", schema=None, **more):
    """The body of a chat completions request."""
    parts = [{"type": "text", "text": prompt}, *map(image_part, images)]
    body = {"model": model, "messages": [{"role": "user", "content": parts}], **more}
    if schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, "strict": True},
        }
    return body


def client(base="/v1beta", **more):
    return httpx.AsyncClient(
        transport=local.open_transport(),
        base_url=f"http://local{base}",
        timeout=LIMIT_SECONDS,
        **more,
    )


def call(method, path, base="/v1beta", headers=None, **more):
    """One request to the in-process engine, from an event loop of its own."""

    async def run():
        async with client(base) as c:
            return await c.request(method, path, headers=headers, **more)

    return asyncio.run(run())


def ask(prompt, *images, **more):
    return call("POST", "/chat/completions", json=question(prompt, *images, **more))


def content(response):
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["content"]


def fields(response):
    return json.loads(content(response))


def chat_error(response):
    return response.json()["detail"]["error"]


def obj(required=True, **properties):
    """An object schema of these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required else [],
        "additionalProperties": False,
    }
