from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import av
import httpx
import jsonschema
import numpy as np
import pandas as pd
import pytest
import simplejpeg

from overshoot_nb import config, demo, errors, local
from overshoot_nb.demo import timeline

EVERY = [Fraction(k, 2) for k in range(72)]


@pytest.fixture(scope="module")
def path():
    # Two at once, as two notebooks may: both get the one file, and nothing else stays.
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: demo.video(), range(2))
    assert first == second
    assert [p.name for p in config.cache_dir().glob("*demo*")] == [first.name]
    return first


def frames_at(path, times):
    """The frame on screen at each of the times, which ascend."""
    wanted, last, found = list(times), None, []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            while wanted and last is not None and frame.pts * frame.time_base > wanted[0]:
                found.append(last.to_ndarray(format="rgb24"))
                wanted.pop(0)
            last = frame
    found += [last.to_ndarray(format="rgb24")] * len(wanted)
    return found


def test_the_file_is_what_it_says(path):
    before = path.stat().st_mtime_ns
    assert demo.video() == path
    assert path.stat().st_mtime_ns == before
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.codec.name[:4]) == (640, 360, "h264")
        times = [p.pts * p.time_base for p in container.demux(stream) if p.pts is not None]
    assert sorted(times) == [Fraction(k, demo.FPS) for k in range(int(demo.DURATION * demo.FPS))]


def test_nothing_changes_at_a_sampled_moment():
    for at in EVERY:
        assert demo.changing(float(at)) == frozenset(), at
        # And the text is the same two frames before and after.
        assert demo.truth(float(at)) == demo.truth(float(at) + 2 / demo.FPS)
        if at:
            assert demo.truth(float(at)) == demo.truth(float(at) - 2 / demo.FPS)


def test_the_truth_fits_the_schema_and_counts_down():
    validator = jsonschema.Draft202012Validator(demo.SCHEMA)
    for index in range(int(demo.DURATION * demo.FPS)):
        shown = demo.truth(index / demo.FPS)
        validator.validate(shown)
    assert demo.truth(0)["clock"] == "00:16"
    assert demo.truth(19.2)["clock"] == "00:00"
    assert (demo.truth(20)["clock"], demo.truth(21)["clock"]) == ("12:00", "11:59")
    assert demo.truth(10) == {
        "home_score": 87,
        "away_score": 81,
        "period": "Q3",
        "clock": "00:06",
        "shot_clock": 23,
        "event": "DUNK",
        "player": "#11 OKAFOR",
    }
    assert demo.truth(1e9) == demo.truth(demo.DURATION)
    points = sum(b.points for b in timeline.BASKETS)
    assert demo.truth(36)["home_score"] + demo.truth(36)["away_score"] == 84 + 79 + points


def test_the_truth_is_that_of_the_frame_on_screen():
    # The change at 3.27 s is first drawn in the frame of 79/24 = 3.2917 s.
    assert demo.truth(3.28)["home_score"] == 84
    assert demo.truth(79 / 24)["home_score"] == 87
    assert "home_score" in demo.changing(3.3)
    assert "home_score" not in demo.changing(3.28)


def test_the_embedded_engine_reads_it(path):
    times = EVERY[::6]
    pictures = frames_at(path, times)

    async def ask(client, picture):
        jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(picture), 80, colorsubsampling="420")
        url = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
        body = {
            "model": "local/auto",
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": demo.PROMPT},
                        {"type": "image_url", "image_url": {"url": url}},
                    ],
                }
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "game", "schema": demo.SCHEMA, "strict": True},
            },
        }
        response = await client.post("/chat/completions", json=body)
        assert response.status_code == 200, response.text
        return json.loads(response.json()["choices"][0]["message"]["content"])

    async def run():
        transport = local.open_transport()
        async with httpx.AsyncClient(
            transport=transport, base_url="http://local/v1beta", timeout=60
        ) as client:
            return [await ask(client, picture) for picture in pictures]

    try:
        answers = asyncio.run(run())
    finally:
        local.close_engine()
    table = pd.DataFrame(
        {
            "media_time": pd.to_timedelta([float(t) for t in times], unit="s"),
            **{f"out.{f}": [a[f] for a in answers] for f in demo.SCHEMA["properties"]},
        }
    )
    scores = demo.score(table)
    assert scores.loc["all", "samples"] == 7 * len(times)
    assert scores.loc["all", "accuracy"] >= 0.98, scores


def test_scores_count_wrong_missing_and_failed_answers():
    times = [0.0, 5.0, 10.0]
    right = [demo.truth(t) for t in times]
    table = pd.DataFrame(
        {
            "media_time": pd.to_timedelta(times, unit="s"),
            "ok": [True, True, False],
            "out.home_score": pd.array([84, 1, 87], dtype="Int64"),
            "out.event": [r["event"] for r in right],
        }
    )
    scores = demo.score(table)
    assert scores.loc["home_score", ["right", "samples"]].tolist() == [1, 3]
    # None is right at 0 s; the banner at 5 s is; the answer at 10 s failed.
    assert scores.loc["event", ["right", "samples"]].tolist() == [2, 3]
    assert scores.loc["clock", "accuracy"] == 0
    assert demo.score(table.iloc[:0])["samples"].sum() == 0
    # A score that is flipping is not counted.
    flipping = pd.DataFrame({"media_time": [3.3]})
    assert demo.score(flipping).loc["home_score", "samples"] == 0


@pytest.mark.parametrize("size", [(641, 360), (640, 100), (4000, 2000)])
def test_sizes_that_cannot_be(size):
    with pytest.raises(errors.ValidationError, match="even"):
        demo.video(size)


def test_the_module_prints_the_path(path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "overshoot_nb.demo"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(path)
