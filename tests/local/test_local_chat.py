from __future__ import annotations

import asyncio
import base64
import io
import json
import threading
import time

import av
import httpx
import numpy as np
import pytest
from asking import (
    ask,
    call,
    chat_error,
    client,
    content,
    data_url,
    fields,
    image_part,
    obj,
    page,
    question,
)
from PIL import Image

from overshoot_nb.local.access import Access
from overshoot_nb.local.app import build_app
from overshoot_nb.local.engine import Engine
from overshoot_nb.local.streams import StreamRegistry

SIGN = page(
    [(40, 40, "GATE A12"), (320, 40, "BOARDING"), (40, 150, "Seats 1,204"), (40, 240, "09:45")]
)
BLANK = Image.new("RGB", (64, 64), (200, 30, 30))
TEXT = {"type": "string"}


def test_models_need_no_key_and_have_a_status():
    answer = call("GET", "/models").json()
    assert answer["object"] == "list"
    assert {m["id"]: m["status"] for m in answer["data"]} == {
        "local/auto": "ready",
        "local/read": "ready",
        "local/scene": "ready",
    }
    assert call("GET", "/models", base="/v1").json() == answer
    assert call("GET", "/models/local/read").json()["id"] == "local/read"


@pytest.mark.parametrize("model", ["local/read", "local/auto"])
def test_reads_text_in_reading_order(model):
    response = ask("Read any visible text", SIGN, model=model)
    assert content(response) == "GATE A12 BOARDING\nSeats 1,204\n09:45"
    body = response.json()
    assert body["object"] == "chat.completion"
    assert body["model"] == model
    assert body["choices"][0]["finish_reason"] == "stop"
    # Words and marks: GATE A12 BOARDING Seats 1 , 204 09 : 45
    assert body["usage"] == {"prompt_tokens": 4, "completion_tokens": 10, "total_tokens": 14}


def test_fills_a_schema_from_text_and_light():
    schema = obj(
        gate={"type": "string"},
        seats={"type": "integer"},
        time={"type": "string", "pattern": r"^\d\d:\d\d$"},
        status={"enum": ["On time", "Boarding", "Closed"]},
        brightness={"type": "number", "minimum": 0, "maximum": 1},
        mood={"type": ["string", "null"]},
    )
    answer = fields(ask("What does the sign say?", SIGN, schema=schema))
    assert answer.pop("brightness") == pytest.approx(0.1, abs=0.05)
    assert answer == {
        "gate": "A12",
        "seats": 1204,
        "time": "09:45",
        "status": "Boarding",
        "mood": None,
    }


def test_json_object_takes_the_schema_from_the_prompt():
    prompt = (
        'Answer as JSON by this schema: {"type": "object", "properties": '
        '{"time": {"type": "string", "pattern": "\\\\d\\\\d:\\\\d\\\\d"}}, "required": ["time"]}'
    )
    response = ask(prompt, SIGN, response_format={"type": "json_object"})
    assert fields(response) == {"time": "09:45"}
    natural = ask("Read the text", SIGN, response_format={"type": "json_object"})
    assert fields(natural)["lines"] == ["GATE A12 BOARDING", "Seats 1,204", "09:45"]


def test_a_description_says_what_it_is_made_of():
    said = content(ask("Describe what you see", BLANK))
    assert said.startswith("Text: none found. Brightness: ")
    assert "red 100 %" in said
    assert "Motion: unknown" in said


@pytest.mark.parametrize("prompt", ["Who wins the league?", "Count the number of people", ""])
def test_what_no_skill_answers_is_refused(prompt):
    response = ask(prompt, BLANK)
    assert response.status_code == 422
    assert "reads text, and measures light" in chat_error(response)["message"]
    assert chat_error(response)["code"] == "unsupported_by_local_model"


def test_a_required_field_that_nothing_fills_is_refused_by_name():
    response = ask("x", BLANK, schema=obj(mood=TEXT, brightness={"type": "number"}))
    assert response.status_code == 422
    assert chat_error(response)["fields"] == ["mood"]
    assert "brightness" in chat_error(response)["message"]
    # Not required: absent. Beyond the model: the scene model reads no text.
    optional = obj(False, mood=TEXT, brightness={"type": "number"})
    assert set(fields(ask("x", BLANK, schema=optional))) == {"brightness"}
    assert (
        ask("x", SIGN, model="local/scene", schema=obj(lines={"type": "array"})).status_code == 422
    )


def test_another_models_name_is_never_answered():
    response = ask("Read", BLANK, model="Qwen/Qwen3.5-9B")
    assert response.status_code == 404
    assert chat_error(response)["code"] == "model_unavailable"
    for name in ("local/auto", "local/read", "local/scene"):
        assert name in chat_error(response)["message"]


def test_output_is_cut_where_the_limit_is():
    response = ask("Read", SIGN, max_tokens=2)
    assert response.json()["choices"][0]["finish_reason"] == "length"
    assert content(response) == "GATE A12"
    both = ask("Read", SIGN, max_tokens=2, max_completion_tokens=3)
    assert content(both) == "GATE A12 BOARDING"
    assert both.json()["usage"]["completion_tokens"] == 3


def test_unknown_fields_are_ignored_and_thread_ids_taken():
    assert ask("How bright?", BLANK, thread_id="t", temperature=0, seed=1, whatever=[]).is_success


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"model": 3}, "model"),
        ({"messages": "hello"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": ""}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "audio"}]}]}, "content.0.type"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "image_url"),
        ({"messages": [{"role": "system", "content": "only"}]}, "messages"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"thread_id": 4}, "thread_id"),
        ({"stream": "yes"}, "stream"),
        ({"n": 2}, "n"),
        ({"n": 2, "stream": True}, "n"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}, "stream": True}, "tool_choice"),
        ({"stream": True, "stream_options": []}, "stream_options"),
        ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "no"}}}},
            "response_format",
        ),
    ],
)
def test_malformed_requests_are_validation_errors(change, where):
    response = call("POST", "/chat/completions", json={**question("How bright?", BLANK), **change})
    body = response.json()
    assert response.status_code == 422, body
    assert body["error"]["code"] == "validation_error"
    assert where in ".".join(body["details"][0]["loc"])


def test_an_answer_comes_as_events_where_that_is_asked_for():
    body = question("How bright?", BLANK) | {"stream": True}
    whole = call("POST", "/chat/completions", json=question("How bright?", BLANK)).json()
    response = call("POST", "/chat/completions", json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    *lines, last = [line for line in response.text.split("\n\n") if line]
    assert last == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert not any("usage" in chunk for chunk in chunks)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": ""}
    content = whole["choices"][0]["message"]["content"]
    assert len(deltas) > 3
    assert "".join(delta.get("content", "") for delta in deltas) == content
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[-2:]] == [None, "stop"]

    with_usage = body | {"stream_options": {"include_usage": True}}
    lines = call("POST", "/chat/completions", json=with_usage).text.split("\n\n")[:-2]
    *chunks, end = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert all(chunk["usage"] is None for chunk in chunks)
    assert (end["choices"], end["usage"]) == ([], whole["usage"])


def test_what_is_refused_is_refused_before_the_first_event():
    response = call(
        "POST", "/chat/completions", json=question("Who wins?", BLANK) | {"stream": True}
    )
    assert response.status_code == 422
    assert response.json()["error"] == {**chat_error(response), "param": None}


def test_bodies_that_are_no_json_or_too_large():
    broken = call("POST", "/chat/completions", content=b'{"model": ')
    assert (broken.status_code, broken.json()["error"]["code"]) == (400, "validation_error")
    array = call("POST", "/chat/completions", content=b"[]")
    assert (array.status_code, array.json()["error"]["code"]) == (422, "validation_error")
    large = call("POST", "/chat/completions", content=b" " * (21 * 1024 * 1024))
    assert large.status_code == 413
    assert "20 MiB" in large.json()["message"]


def _with_url(url, kind="image_url"):
    body = question("How bright?", BLANK)
    body["messages"][0]["content"].append({"type": kind, kind: {"url": url}})
    return call("POST", "/chat/completions", json=body)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://example.org/a.jpg", "fetches nothing"),
        ("ovs://streams/abc?frame_index=-1", "stores no streams"),
        ("file:///etc/passwd", "not understood"),
        ("data:image/jpeg;base64,@@@@", "base64"),
        ("data:image/jpeg;base64,", "empty"),
        ("data:image/jpeg,plain", "not base64"),
        ("data:image/gif;base64,R0lGODlhAQABAAAAACw=", "image/gif"),
        ("data:image/png;base64," + base64.b64encode(b"no png").decode(), "PNG"),
        (data_url(SIGN)[:-4000], "cannot be decoded"),
    ],
)
def test_urls_that_are_no_pictures_name_their_part(url, says):
    response = _with_url(url)
    assert response.status_code == 400, response.text
    assert says in chat_error(response)["message"]
    assert "messages.0.content.2" in chat_error(response)["message"]


def test_too_many_pictures_or_pixels():
    many = call("POST", "/chat/completions", json=question("How bright?", *[BLANK] * 65))
    assert many.status_code == 422
    assert "64" in many.json()["message"]
    huge = _with_url(data_url(Image.new("1", (8000, 5001)), "PNG"))
    assert huge.status_code == 400
    assert "40 megapixels" in chat_error(huge)["message"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_picture_formats(kind):
    body = question("How bright?")
    body["messages"][0]["content"].append(image_part(BLANK, kind))
    assert content(call("POST", "/chat/completions", json=body)).startswith("Brightness: 0.3")


def test_text_only_requests_are_refused_and_older_turns_count():
    assert ask("Read the text").status_code == 422
    body = question("Read the text", SIGN)
    body["messages"] += [
        {"role": "assistant", "content": None},
        {"role": "user", "content": "and now?"},
    ]
    assert "GATE A12" in content(call("POST", "/chat/completions", json=body))


def mp4(frames, size=(320, 240)):
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for array in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        container.mux(stream.encode(None))
    return "data:video/mp4;base64," + base64.b64encode(buffer.getvalue()).decode()


def test_a_clip_has_motion_and_cuts():
    def shot(value, x):
        array = np.full((240, 320, 3), value, np.uint8)
        array[80:160, x : x + 80] = 255 - np.array(value, np.uint8)
        return array

    frames = [shot((20, 20, 120), 10 * i) for i in range(6)] + [shot((240, 240, 0), 0)] * 4
    body = question(
        "x",
        schema=obj(
            motion={"type": "number"},
            moving={"type": "boolean"},
            scene_cuts={"type": "integer"},
            frame_count={"type": "integer"},
            dominant_color=TEXT,
        ),
    )
    body["messages"][0]["content"].append({"type": "video_url", "video_url": {"url": mp4(frames)}})
    answer = fields(call("POST", "/chat/completions", json=body))
    assert answer["scene_cuts"] == 1
    assert answer["frame_count"] == 10
    assert answer["moving"] is True
    assert 0.01 < answer["motion"] < 0.2
    assert answer["dominant_color"] == "yellow"


def test_a_long_clip_is_thinned_and_a_broken_one_refused():
    frames = [np.full((240, 320, 3), 10, np.uint8)] * 150
    body = question("x", schema=obj(frame_count={"type": "integer"}))
    part = {"type": "video_url", "video_url": {"url": mp4(frames)}}
    body["messages"][0]["content"].append(part)
    assert 32 < fields(call("POST", "/chat/completions", json=body))["frame_count"] <= 64
    garbage = "data:video/mp4;base64," + base64.b64encode(b"\0" * 400).decode()
    broken = _with_url(garbage, "video_url")
    assert broken.status_code == 400
    assert "messages.0.content.2" in chat_error(broken)["message"]


def test_the_event_loop_is_free_while_it_reads():
    async def run():
        lags = []
        async with client() as c:
            body = question("Read", SIGN)
            await c.post("/chat/completions", json=body)
            waiting = asyncio.gather(*(c.post("/chat/completions", json=body) for _ in range(4)))
            while not waiting.done():
                start = time.perf_counter()
                await asyncio.sleep(0.005)
                lags.append(time.perf_counter() - start)
            assert all(r.status_code == 200 for r in waiting.result())
        return sorted(lags)

    lags = asyncio.run(run())
    assert len(lags) > 10  # the loop went on meanwhile


def test_cancelling_ends_a_request_at_once_and_leaves_the_queue_clean():
    async def run():
        async with client() as c:
            body = question("Read", SIGN)
            await c.post("/chat/completions", json=body)
            tasks = [
                asyncio.ensure_future(c.post("/chat/completions", json=body)) for _ in range(6)
            ]
            await asyncio.sleep(0.02)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert all(task.cancelled() for task in tasks)
            assert (await c.post("/chat/completions", json=body)).is_success

    asyncio.run(run())


def test_too_many_waiting_requests_are_429():
    engine = Engine(max_waiting=2)
    app = build_app(engine, StreamRegistry(), Access())

    async def run():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x/v1", timeout=60) as c:
            body = question("Read", SIGN)
            return await asyncio.gather(*(c.post("/chat/completions", json=body) for _ in range(8)))

    try:
        answers = asyncio.run(run())
    finally:
        engine.close()
    refused = [r for r in answers if r.status_code == 429]
    assert len(refused) == 8 - 3  # one is being answered, two wait
    assert all(r.is_success for r in answers if r not in refused)
    assert all(r.headers["retry-after"] == "1" for r in refused)
    assert chat_error(refused[0])["code"] == "engine_busy"


def test_closing_the_engine_tells_those_who_wait():
    engine = Engine()
    app = build_app(engine, StreamRegistry(), Access())

    async def run():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x/v1", timeout=60) as c:
            body = question("Read", SIGN)
            asking = [
                asyncio.ensure_future(c.post("/chat/completions", json=body)) for _ in range(3)
            ]
            while engine.pending < 3:
                await asyncio.sleep(0.001)
            await asyncio.to_thread(engine.close)
            answers = await asyncio.gather(*asking)
            return [*answers, await c.post("/chat/completions", json=body)]

    answers = asyncio.run(run())
    assert [r.status_code for r in answers] == [503, 503, 503, 503]
    assert {chat_error(r)["code"] for r in answers} == {"engine_closed"}


def test_a_fault_is_answered_500_in_the_surfaces_own_envelope(monkeypatch, caplog):
    monkeypatch.setattr("overshoot_nb.local.skills.scene.measure", lambda pictures: 1 / 0)
    response = ask("How bright is it?", BLANK)
    assert (response.status_code, chat_error(response)["code"]) == (500, "internal_error")
    assert "ZeroDivisionError" in caplog.text


def test_several_event_loops_ask_at_once():
    said = []
    threads = [
        threading.Thread(target=lambda: said.append(content(ask("How bright is it?", BLANK))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 4
    assert len(set(said)) == 1


def test_unknown_paths_and_methods():
    message = "Not Found: GET /v1beta/nothing"
    error = {
        "message": message,
        "type": "invalid_request_error",
        "code": "not_found",
        "param": None,
    }
    assert call("GET", "/nothing").json() == {"detail": message, "error": error}
    wrong = call("GET", "/chat/completions")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")
    assert call("GET", "/nothing", base="/v0.2").json()["error"] == "not_found"
