from __future__ import annotations

import asyncio

import httpx
import pytest
from asking import call

from overshoot_nb.local import ended
from overshoot_nb.local.access import Access
from overshoot_nb.local.app import build_app
from overshoot_nb.local.engine import Engine
from overshoot_nb.local.refusals import Refusal, StreamRefusal
from overshoot_nb.local.stream_request import StreamRequest
from overshoot_nb.local.streams import MAX_STREAMS, Price, StreamRegistry
from overshoot_nb.types import ClipProcessingConfig, FrameProcessingConfig

FRAME = {"processing": {"interval_seconds": 0.5}}
INFERENCE = {"inference": {"prompt": "Read", "model": "local/read"}}
BODY = {**FRAME, **INFERENCE}


def v02(method, path, key="k1", **more):
    headers = {"authorization": f"Bearer {key}"}
    return call(method, path, base="/v0.2", headers=headers, **more)


def test_a_stream_from_its_creation_to_its_end():
    created = v02("POST", "/streams", json={**BODY, "source": {"type": "native"}})
    assert created.status_code == 201
    stream = created.json()
    assert stream["lease"] == {"ttl_seconds": 45.0}
    assert stream["livekit"] is None
    path = f"/streams/{stream['stream_id']}"

    alive = v02("POST", f"{path}/keepalive").json()
    assert alive.pop("seconds_charged") >= 0
    assert alive == {
        "status": "ok",
        "stream_id": stream["stream_id"],
        "ttl_seconds": 45.0,
        "credits_remaining_cents": None,
        "cost_cents": 0.0,
        "livekit_token": None,
        "state": "pending",
    }
    info = v02("GET", f"{path}/info").json()
    assert (info["source_type"], info["state"], info["inferences_completed"]) == (
        "native",
        "pending",
        0,
    )
    changed = v02("PATCH", f"{path}/config/prompt", json={"prompt": "How bright?"}).json()
    assert (changed["prompt"], changed["model"], changed["backend"]) == (
        "How bright?",
        "local/read",
        "overshoot",
    )
    assert changed["updated_at"] > changed["created_at"]
    for wrong in ({"prompt": " "}, {}, {"prompt": 3}, {"prompt": "x", "model": "y"}):
        refused = v02("PATCH", f"{path}/config/prompt", json=wrong)
        assert (refused.status_code, refused.json()["error"]) == (422, "validation_error")
    spectate = v02("POST", f"{path}/spectate")
    assert spectate.status_code == 400
    assert "no LiveKit server" in spectate.json()["message"]

    # Another key neither sees nor ends it.
    assert v02("GET", f"{path}/info", key="k2").status_code == 404
    assert v02("DELETE", path, key="k2").status_code == 404
    closed = v02("DELETE", path)
    assert (closed.status_code, closed.json()) == (200, {"status": "ok"})
    assert v02("DELETE", path).status_code == 204
    gone = v02("POST", f"{path}/keepalive")
    assert gone.status_code == 404
    assert set(gone.json()) == {"error", "message", "request_id"}


def test_models_and_health():
    models = v02("GET", "/models").json()
    assert {"model": "local/auto", "ready": True, "status": "ready"} in models
    assert v02("GET", "/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"extra": 1}, "extra"),
        ({"processing": {"interval_seconds": 0}}, "interval_seconds"),
        ({"processing": {"interval_seconds": 60.1}}, "60"),
        ({"processing": {"interval_seconds": "1"}}, "number"),
        ({"processing": {"interval_seconds": True}}, "number"),
        ({"processing": {"fps": 3}}, "fps"),
        ({"processing": {"interval_seconds": 1, "target_fps": 6}}, "interval_seconds"),
        ({"processing": {"target_fps": 31}}, "target_fps"),
        ({"processing": {"target_fps": 6.5}}, "target_fps"),
        ({"processing": {"target_fps": 6, "clip_length_seconds": 61}}, "clip_length"),
        ({"processing": {"target_fps": 4, "clip_length_seconds": 0.5}}, "3 frames"),
        ({"processing": {"delay_seconds": 0}}, "delay_seconds"),
        ({"processing": {"delay_seconds": 1e308}}, "at most 86400"),
        ({"processing": {"delay_seconds": 1e-9}}, "1.28e-07 tokens"),
        ({"processing": {"interval_seconds": 0.001}}, "0.128 tokens"),
        ({"processing": None}, "processing"),
        ({"mode": "video"}, "mode"),
        ({"mode": "frame", "processing": {"target_fps": 6}}, "target_fps"),
        ({"source": {"type": "rtsp"}}, "source.type"),
        ({"source": {"type": "native", "url": "x"}}, "url"),
        ({"inference": {"prompt": "", "model": "local/read"}}, "prompt"),
        ({"inference": {"prompt": "x", "model": "Qwen/Qwen3.5-9B"}}, "local/auto"),
        ({"inference": {"prompt": "x", "model": "local/read", "backend": "gemini"}}, "gemini"),
        ({"inference": {"prompt": "x", "model": "local/read", "backend": ""}}, "backend ''"),
        ({"inference": {"prompt": "x", "model": "local/read", "backend": 0}}, "backend 0"),
        ({"inference": {"prompt": "x", "model": "local/read", "backend": []}}, "backend []"),
        ({"inference": {"prompt": "x", "model": "local/read", "temperature": 1}}, "temperature"),
        (
            {
                "inference": {
                    "prompt": "x",
                    "model": "local/read",
                    "output_schema_json": {"type": 1},
                }
            },
            "schema",
        ),
        ({"inference": {"prompt": "x", "model": "local/read", "max_output_tokens": 65}}, "128"),
        ({"inference": {"prompt": "x", "model": "local/read", "max_output_tokens": 0}}, "1"),
    ],
)
def test_bodies_are_checked_as_the_service_does(change, says):
    response = v02("POST", "/streams", json={**BODY, **change})
    assert response.status_code == 422, response.text
    assert response.json()["error"] == "validation_error"
    assert says in response.json()["message"]


@pytest.mark.parametrize(
    ("processing", "mode", "meant"),
    [
        ({"fps": 30, "sampling_ratio": 0.2}, None, ClipProcessingConfig(6, 0.5, 0.5)),
        (
            {"fps": 30, "sampling_ratio": 0.8, "clip_length_seconds": 1, "delay_seconds": 2},
            "clip",
            ClipProcessingConfig(24, 1, 2),
        ),
        ({"sampling_ratio": 0.5}, None, ClipProcessingConfig(15, 0.5, 0.5)),
        ({"fps": 60, "delay_seconds": 1}, None, ClipProcessingConfig(30, 0.5, 1)),
        (
            {"fps": 30, "sampling_ratio": 1, "target_fps": 8},
            None,
            ClipProcessingConfig(8, 0.5, 0.5),
        ),
        ({"fps": 30, "interval_seconds": 2}, None, FrameProcessingConfig(2)),
        ({"fps": 30, "sampling_ratio": 0.1}, "frame", FrameProcessingConfig(0.5)),
    ],
)
def test_older_names_of_processing_are_understood(processing, mode, meant):
    asked = StreamRequest.parse({**BODY, "processing": processing, "mode": mode})
    assert asked.processing == meant


@pytest.mark.parametrize(
    "processing", [{"fps": 0}, {"fps": "30"}, {"sampling_ratio": 0}, {"sampling_ratio": 1.5}]
)
def test_older_names_of_processing_are_checked(processing):
    response = v02("POST", "/streams", json={**BODY, "processing": processing})
    assert response.status_code == 422
    assert next(iter(processing)) in response.json()["message"]


def test_a_client_finds_its_own_id_of_a_request_in_the_error():
    client = {"client": {"request_id": "mine-1", "version": "2.0.0"}}
    created = v02("POST", "/streams", json={**BODY, **client})
    assert created.status_code == 201
    v02("DELETE", f"/streams/{created.json()['stream_id']}")
    for wrong in ({"mode": "video"}, {"source": {"type": "livekit", "url": "x", "token": "y"}}):
        refused = v02("POST", "/streams", json={**BODY, **client, **wrong})
        assert refused.json()["request_id"] == "mine-1"
    refused = v02("POST", "/streams", json={**BODY, "client": {"request_id": 3}})
    assert (refused.status_code, "client.request_id" in refused.text) == (422, True)


def test_bodies_without_pictures_are_small():
    prompt = {"inference": {"prompt": "x" * (1 << 20), "model": "local/read"}}
    response = v02("POST", "/streams", json={**FRAME, **prompt})
    assert (response.status_code, response.json()["error"]) == (413, "validation_error")
    assert "1 MiB" in response.json()["message"]


def test_limits_that_are_just_met():
    clip = {"target_fps": 10, "clip_length_seconds": 0.3, "delay_seconds": 0.5}
    request = StreamRequest.parse({"processing": clip, **INFERENCE})
    assert (request.mode, request.max_output_tokens) == ("clip", 64)
    limit = {"prompt": "x", "model": "local/read", "max_output_tokens": 64}
    assert StreamRequest.parse({**FRAME, "inference": limit}).max_output_tokens == 64
    assert StreamRequest.parse({"processing": {}, **INFERENCE}).mode == "frame"
    often = {"processing": {"interval_seconds": 1 / 128}, **INFERENCE}
    assert StreamRequest.parse(often).max_output_tokens == 1
    rarely = {"processing": {"delay_seconds": 86_400}, **INFERENCE}
    assert StreamRequest.parse(rarely).max_output_tokens == 86_400 * 128
    default = {"inference": {**INFERENCE["inference"], "backend": None}, **FRAME}
    assert StreamRequest.parse(default).backend == "overshoot"


def test_a_livekit_room_is_refused_clearly():
    source = {"type": "livekit", "url": "wss://room", "token": "t"}
    response = v02("POST", "/streams", json={**BODY, "source": source})
    assert response.status_code == 501
    assert "webrtc" in response.json()["message"]


@pytest.mark.parametrize("sdp", ["v=0", "nonsense", "", 3, None, "x" * 300_000])
def test_an_offer_that_cannot_be_used_is_refused_and_leaves_no_stream(sdp):
    for _ in range(MAX_STREAMS + 1):
        source = {"type": "webrtc", "sdp": sdp}
        response = v02("POST", "/streams", key="offers", json={**BODY, "source": source})
        assert (response.status_code, response.json()["error"]) == (422, "validation_error")
        assert "source.sdp" in response.json()["message"]


def test_without_aiortc_the_command_is_named(monkeypatch):
    monkeypatch.setattr("overshoot_nb.local.webrtc.missing_packages", list)
    source = {"type": "webrtc", "sdp": "v=0"}
    response = v02("POST", "/streams", key="none", json={**BODY, "source": source})
    assert response.status_code == 501
    assert 'pip install "overshoot-nb[webrtc]"' in response.json()["message"]


def test_a_key_has_five_streams_at_once():
    ids = [v02("POST", "/streams", key="five", json=BODY).json()["stream_id"] for _ in range(5)]
    refused = v02("POST", "/streams", key="five", json=BODY)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert v02("POST", "/streams", key="other", json=BODY).status_code == 201
    v02("DELETE", f"/streams/{ids[0]}", key="five")
    assert v02("POST", "/streams", key="five", json=BODY).status_code == 201


def test_reinference_finds_no_clip():
    body = {"result_id": "r1", "prompt": "x", "model": "local/read"}
    missing = v02("POST", "/chat/completions/clip", json=body)
    assert (missing.status_code, missing.json()["error"]) == (404, "clip_not_found")
    assert v02("POST", "/chat/completions/clip", json={"prompt": "x"}).status_code == 422


# ---- leases and the ledger, on a clock that the test turns -------------------------------------


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def make_registry():
    """Registries that are closed after the test."""
    made = []

    def make(*args, **more):
        made.append(StreamRegistry(*args, **more))
        return made[-1]

    yield make
    for registry in made:
        registry.close()


def test_a_lease_ends_without_keepalives(make_registry):
    clock = Clock()
    registry = make_registry(lease_seconds=2, clock=clock)
    request = StreamRequest.parse(BODY)
    stream = registry.create(request, "me")
    clock.now += 1.9
    assert registry.keepalive(stream.id, "me")["ttl_seconds"] == 2
    clock.now += 1.9
    assert registry.get(stream.id, "me") is stream
    clock.now += 0.1
    with pytest.raises(StreamRefusal) as refused:
        registry.get(stream.id, "me")
    assert refused.value.status == 404
    # What has expired makes room.
    for _ in range(MAX_STREAMS):
        registry.create(request, "me")
    with pytest.raises(StreamRefusal):
        registry.create(request, "me")
    clock.now += 2
    registry.create(request, "me")


def test_the_ledger_charges_seconds_and_stops_at_the_last_cent(make_registry):
    clock = Clock()
    registry = make_registry(45, Price(cents_per_second=0.5, credits_cents=20), clock)
    stream = registry.create(StreamRequest.parse(BODY), "me")
    clock.now += 10
    first = registry.keepalive(stream.id, "me")
    assert (first["seconds_charged"], first["cost_cents"]) == (10, 5)
    assert first["credits_remaining_cents"] == 15
    clock.now += 20
    second = registry.keepalive(stream.id, "me")
    assert (second["seconds_charged"], second["credits_remaining_cents"]) == (30, 5)
    clock.now += 20
    # The stream ends with the credits, and goes on saying why.
    for _ in range(2):
        with pytest.raises(StreamRefusal) as refused:
            registry.keepalive(stream.id, "me")
        assert refused.value.status == 402
    with pytest.raises(StreamRefusal) as refused:
        registry.create(StreamRequest.parse(BODY), "me")
    assert refused.value.status == 402
    assert registry.end(stream.id, "me") is False
    # Another key has credits of its own.
    registry.create(StreamRequest.parse(BODY), "you")


def test_the_seconds_up_to_the_end_are_charged(make_registry):
    clock = Clock()
    registry = make_registry(45, Price(cents_per_second=1, credits_cents=100), clock)
    request = StreamRequest.parse(BODY)
    over = registry.create(request, "me")
    clock.now += 20
    registry.end(over.id, "me")
    assert (over.seconds_charged, over.cost_cents) == (20, 20)
    # One whose lease ended is charged up to then, however late that is seen.
    expired = registry.create(request, "me")
    clock.now += 1000
    last = registry.create(request, "me")
    assert expired.seconds_charged == 45
    assert registry.keepalive(last.id, "me")["credits_remaining_cents"] == 35
    assert registry.end(over.id, "me") is False
    assert over.cost_cents == 20


def test_an_offer_that_is_refused_costs_nothing(make_registry):
    registry = make_registry(45, Price(cents_per_second=1e9, credits_cents=1))
    body = {**BODY, "source": {"type": "webrtc", "sdp": "v=0"}}
    engine = Engine()
    for _ in range(2):
        stream = registry.create(StreamRequest.parse(body), "me")
        with pytest.raises(Refusal):
            asyncio.run(registry.connect(stream, engine))
    with pytest.raises(StreamRefusal, match="no such stream"):
        registry.end(stream.id, "me")


def test_one_keys_streams_push_out_none_of_anothers(make_registry, monkeypatch):
    monkeypatch.setattr(ended, "MAX_OF_ONE", 3)
    registry = make_registry()
    request = StreamRequest.parse(BODY)

    def used(owner):
        stream = registry.create(request, owner)
        registry.end(stream.id, owner)
        return stream.id

    mine = used("me")
    theirs = [used("you") for _ in range(10)]
    assert registry.end(mine, "me") is False
    for number, stream_id in enumerate(theirs):
        if number < 7:
            with pytest.raises(StreamRefusal):
                registry.end(stream_id, "you")
        else:
            assert registry.end(stream_id, "you") is False
    monkeypatch.setattr(ended, "MAX_OF_ALL", 4)
    used("third")
    with pytest.raises(StreamRefusal):
        registry.end(mine, "me")


def test_a_short_lease_over_http():
    engine = Engine()
    app = build_app(engine, StreamRegistry(lease_seconds=0.2), Access())

    async def run():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://local/v0.2") as c:
            created = (await c.post("/streams", json=BODY)).json()
            path = f"/streams/{created['stream_id']}"
            assert created["lease"]["ttl_seconds"] == 0.2
            for _ in range(3):
                await asyncio.sleep(0.05)
                assert (await c.post(f"{path}/keepalive")).status_code == 200
            await asyncio.sleep(0.3)
            return (await c.post(f"{path}/keepalive")).status_code

    try:
        assert asyncio.run(run()) == 404
    finally:
        engine.close()
