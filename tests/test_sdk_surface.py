"""Every line of the documented SDK, as written there, against the embedded engine."""

from __future__ import annotations

import asyncio

import pytest

import overshoot_nb
from overshoot_nb import NotFoundError, Overshoot, demo

MODEL = "local/auto"


@pytest.fixture(scope="module")
def video() -> str:
    return str(demo.video())


def test_frame_mode_prompt_update_stream_object_and_close(video):
    async def main():
        client = Overshoot(base_url="local")
        seen = []
        stream = await client.streams.create(
            source=overshoot_nb.FileSource(path=video),
            prompt="Read any visible text",
            model=MODEL,
            on_result=lambda r: seen.append(r.result),
            # mode="frame" and interval_seconds=0.5 are the defaults
        )
        assert stream.stream_id
        assert stream.is_active
        assert stream.settings.processing == overshoot_nb.FrameProcessingConfig(0.5)
        while len(seen) < 2:
            await asyncio.sleep(0.05)
        config = await stream.update_prompt("How bright is it?")
        assert config.prompt == "How bright is it?"
        assert config.stream_id == stream.stream_id
        while stream.df["prompt_version"].max() < 2:
            await asyncio.sleep(0.05)
        await stream.close()
        assert not stream.is_active
        await client.close()
        return seen, stream.df

    seen, df = asyncio.run(asyncio.wait_for(main(), 60))
    assert "HAWKS" in seen[0]
    assert df["ok"].all()
    assert "HAWKS" not in df["result"].iloc[-1]


def test_clip_mode(video):
    async def main():
        async with Overshoot(base_url="local") as client:
            stream = await client.streams.create(
                source=overshoot_nb.FileSource(path=video),
                prompt="Describe what is happening",
                model="local/scene",
                on_result=lambda r: print(r.result),
                mode="clip",
                target_fps=6,
                clip_length_seconds=0.5,
                delay_seconds=0.5,
            )
            return await anext(aiter(stream))

    result = asyncio.run(asyncio.wait_for(main(), 60))
    assert result.ok, result.error
    assert result.mode == "clip"
    assert len(result.frame_times) == 3
    assert result.model_name == "local/scene"


@pytest.mark.parametrize("encoding", ["images", "video"])
def test_clips_are_understood_in_both_encodings(video, encoding):
    df = overshoot_nb.analyze(
        video,
        "Is anything moving?",
        "local/scene",
        base_url="local",
        progress=False,
        mode="clip",
        delay_seconds=12,
        clip_encoding=encoding,
        output_schema={
            "type": "object",
            "properties": {"motion": {"type": "number"}},
            "required": ["motion"],
        },
    )
    assert len(df) == 3
    assert df["ok"].all(), df["error"].tolist()
    assert df["out.motion"].between(0, 1).all()


def test_the_low_level_client():
    async def main():
        api = overshoot_nb.ApiClient(api_key="ovs_...", base_url="local")
        response = await api.create_stream(
            source=None,  # native transport
            processing=overshoot_nb.ClipProcessingConfig(target_fps=6),
            inference=overshoot_nb.InferenceConfig(
                prompt="Describe what you see",
                model=MODEL,
            ),
            mode="clip",
        )
        keepalive = await api.keepalive(response.stream_id)
        await api.close_stream(response.stream_id)
        await api.close()
        return response, keepalive

    response, keepalive = asyncio.run(main())
    assert response.livekit is None  # the embedded engine has no LiveKit server
    assert response.lease.ttl_seconds > 0
    assert keepalive.stream_id == response.stream_id
    assert keepalive.state == "pending"


def test_a_model_that_it_does_not_have_is_never_answered_for(video):
    name = "Qwen/Qwen3.5-9B"

    async def stream():
        async with Overshoot(base_url="local") as client:
            await client.streams.create(video, "Read any visible text", name)

    async def low_level():
        async with overshoot_nb.ApiClient(api_key="ovs_...", base_url="local") as api:
            await api.create_stream(
                None,
                overshoot_nb.FrameProcessingConfig(),
                overshoot_nb.InferenceConfig(prompt="Describe what you see", model=name),
            )

    with pytest.raises(NotFoundError) as refused:
        asyncio.run(stream())
    for model in ("local/auto", "local/read", "local/scene", name):
        assert model in str(refused.value)
    with pytest.raises(overshoot_nb.ApiError, match="local/read"):
        asyncio.run(low_level())


def test_models_are_listed():
    models = asyncio.run(overshoot_nb.get_models(base_url="local"))
    assert {m.model for m in models} == {"local/auto", "local/read", "local/scene"}
    assert all(m.ready for m in models)
