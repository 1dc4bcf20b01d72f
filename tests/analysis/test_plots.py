"""Figures: what they say, in both libraries, and that they stay small."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
import warnings
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import overshoot_nb
from overshoot_nb import MissingDependencyError, ValidationError, demo
from overshoot_nb.analysis import plotting
from overshoot_nb.analysis.timeline import timeline

MIME = "application/vnd.vegalite.v5+json"
BACKENDS = ["altair", "matplotlib"]
SCHEMA = {
    "type": "object",
    "properties": {
        "event": {"type": ["string", "null"], "enum": ["THREE POINTER", "DUNK", "LAYUP", None]},
        "shot_clock": {
            "type": ["integer", "null"],
            "description": "the seconds beside 'SHOT'",
        },
    },
    "required": ["event", "shot_clock"],
}


@pytest.fixture(scope="module")
def game() -> pd.DataFrame:
    """The demo video as the embedded engine reads it."""
    return overshoot_nb.analyze(
        demo.video(), "Read the scoreboard", "local/read", base_url="local",
        output_schema=SCHEMA, interval_seconds=3.0, progress=False,
    )  # fmt: skip


def many(n: int = 100_000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    speed = rng.normal(size=n)
    speed[n // 2 + 1] = 99.0
    return pd.DataFrame(
        {
            "sample": np.arange(n),
            "media_time": pd.to_timedelta(np.arange(n) / 2, unit="s"),
            "ok": np.arange(n) % 50 != 0,
            "out.speed": speed,
            "out.kind": rng.choice(list("abc"), n),
            "out.note": [f"note {i}" for i in range(n)],
            "model": "m",
            "prompt_version": np.arange(n) % 3,
            "inference_latency_ms": rng.lognormal(5, 1, n),
        }
    )


def spec_of(chart: Any) -> dict[str, Any]:
    bundle, _ = chart._repr_mimebundle_()
    spec: dict[str, Any] = bundle[MIME]
    return spec


def is_drawn(figure: Any) -> Image.Image:
    """The figure as a picture that is not one colour; what a notebook shows."""
    if hasattr(figure, "_repr_mimebundle_"):
        data = figure._repr_mimebundle_()[0]["image/png"]
    else:
        data = figure._repr_png_()
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    assert len(picture.getcolors(1 << 24)) > 10
    return picture


def test_the_timelines_chart_has_titles_units_bands_and_tooltips(game):
    spec = spec_of(game.overshoot.plot.timeline(events="shot_clock < 20"))
    assert spec["$schema"].endswith("vega-lite/v5.json")
    assert spec["title"]["text"] == "Answers over media time"
    subtitle = " ".join(spec["title"]["subtitle"])
    assert f"{len(game)} answers; local/read" in subtitle
    assert "shaded: shot_clock < 20" in subtitle
    states, line = spec["vconcat"]
    assert states["title"]["text"] == "out.event"
    x = line["layer"][1]["encoding"]["x"]
    assert x["title"] == "Media time (s)"
    assert x["axis"]["values"][:2] == [0.0, 5.0]
    bars = states["layer"][1]["encoding"]
    assert set(bars["y"]["scale"]["domain"]) <= {"THREE POINTER", "DUNK", "LAYUP"}
    dots = line["layer"][2]["encoding"]
    assert [t["title"] for t in dots["tooltip"]] == ["media time", "value", "sample"]
    points = spec["datasets"][line["layer"][2]["data"]["name"]]
    seconds = game["media_time"].dt.total_seconds().tolist()
    assert [p["t"] for p in points] == seconds
    assert [p["s"] for p in points] == game["sample"].tolist()
    clocks = [None if pd.isna(v) else float(v) for v in game["out.shot_clock"]]
    assert [p["v"] for p in points] == clocks
    bands = spec["datasets"][line["layer"][0]["data"]["name"]]
    events = game.overshoot.events("shot_clock < 20")
    assert [b["t"] for b in bands] == events["start"].dt.total_seconds().tolist()
    assert "event 0 to" in bands[0]["text"]


def test_the_timelines_axes_have_the_same(game):
    figure = game.overshoot.plot.timeline(events="shot_clock < 20", backend="matplotlib")
    states, line = figure.axes
    assert figure.get_suptitle() == "Answers over media time"
    assert "shaded" in figure.get_supxlabel()
    assert line.get_xlabel() == "Media time (s)"
    assert states.get_title(loc="left") == "out.event"
    labels = [t.get_text() for t in states.get_yticklabels()]
    assert labels == [
        e for e in ("THREE POINTER", "DUNK", "LAYUP") if (game["out.event"] == e).any()
    ]
    drawn = line.get_lines()[0].get_ydata()
    expected = game["out.shot_clock"].astype("Float64").to_numpy(float, na_value=math.nan)
    np.testing.assert_array_equal(drawn, expected)
    assert len(line.patches) == len(game.overshoot.events("shot_clock < 20"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_figure_of_the_demo_is_drawn(game, backend):
    two = game.assign(prompt_version=2, **{"v2.out.event": game["out.event"]})
    both = pd.concat([game, two])
    plot, of_two = game.overshoot.plot, both.overshoot.plot
    for figure in (
        plot.timeline("result", backend=backend),
        plot.timeline(["event", "shot_clock"], backend=backend),
        plot.latency(backend=backend),
        of_two.latency("total", backend=backend),
        plot.counts("event", backend=backend),
        plot.counts("shot_clock", backend=backend),
        plot.counts("inference_latency_ms", backend=backend),
        plot.heatmap("event", backend=backend),
        of_two.heatmap("inference_latency_ms", by="prompt_version", backend=backend),
        two.overshoot.plot.heatmap("event", by="v2.out.event", backend=backend),
    ):
        is_drawn(figure)


def test_counts_and_latency_say_what_is_there(game):
    spec = spec_of(game.overshoot.plot.counts("event"))
    (values,) = spec["datasets"].values()
    expected = game["out.event"].value_counts()
    assert {v["v"]: v["n"] for v in values} == expected[expected > 0].to_dict()
    assert sum(v["share"] for v in values) == pytest.approx(1)
    spec = spec_of(game.overshoot.plot.latency())
    points, marks = spec["datasets"].values()
    own = np.sort(game["inference_latency_ms"])
    assert [p["ms"] for p in points][1:] == own.tolist()
    assert [m["ms"] for m in marks] == pytest.approx(np.percentile(own, [50, 95]))
    layer = spec["layer"][0]["encoding"]
    assert layer["x"]["title"] == "Inference latency (ms)"
    assert layer["y"]["title"] == "Answers at or below (%)"


def test_a_matrix_of_two_columns_has_agreement_on_its_diagonal():
    df = pd.DataFrame({"out.a": list("xyxz"), "out.b": list("yxxz"), "ok": True})
    spec = spec_of(df.overshoot.plot.heatmap("a", by="b"))
    (values,) = spec["datasets"].values()
    cells = {(v["x"], v["y"]): v["v"] for v in values}
    assert cells["x", "x"] == cells["z", "z"] == cells["x", "y"] == 1
    layer = spec["layer"][0]["encoding"]
    assert layer["x"]["scale"]["domain"] == layer["y"]["scale"]["domain"] == list("xyz")


def test_a_hundred_thousand_rows_stay_small_and_keep_their_extremes():
    df = many()
    plot = df.overshoot.plot
    chart = plot.timeline(events="speed > 2")
    spec = spec_of(chart)
    text = " ".join(spec["title"]["subtitle"])
    assert "98,000 answers, 2,000 failed; m" in text
    assert "first, last, least and greatest" in text
    assert "of too many different values: out.note" in text
    assert "the 300 longest" in text
    points = [p["v"] for p in spec["datasets"][spec["vconcat"][0]["layer"][1]["data"]["name"]]]
    assert max(p for p in points if p is not None) == 99.0
    kept = df["out.speed"][df["ok"]]
    assert min(p for p in points if p is not None) == kept.min()
    figures = [
        chart,
        plot.latency(),
        plot.counts("note"),
        plot.heatmap("speed"),
        plot.heatmap("kind"),
    ]
    assert all(len(json.dumps(figure.to_dict())) < 600_000 for figure in figures)


def test_several_runs_have_panels_and_events_of_their_own():
    one = many(20).assign(stream_id="a")
    two = many(20).assign(stream_id="b")
    df = pd.concat([one, two])
    events = pd.DataFrame(
        {
            "stream_id": ["b"],
            "start": pd.to_timedelta([1.0], "s"),
            "end": pd.to_timedelta([2.0], "s"),
        }
    )
    drawn = timeline(df, ["speed", "kind"], events)
    assert [p.title for p in drawn.panels] == [
        "out.speed, run a", "out.kind, run a", "out.speed, run b", "out.kind, run b",
    ]  # fmt: skip
    assert [len(b) for b in drawn.bands] == [0, 0, 1, 1]
    many_runs = pd.concat([many(3).assign(stream_id=str(k)) for k in range(30)])
    assert len(timeline(many_runs, "speed", None).panels) == 10
    assert "the first 10 of 30 panels" in timeline(many_runs, "speed", None).notes


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_rows_are_drawn_too(backend, n):
    df = many(10).iloc[1 : 1 + n]
    plot = df.overshoot.plot
    figures = [plot.timeline(backend=backend), plot.timeline("kind", backend=backend)]
    figures += [plot.latency(backend=backend), plot.counts("kind", backend=backend)]
    figures += [plot.counts("speed", backend=backend), plot.heatmap("speed", backend=backend)]
    figures += [plot.heatmap("kind", backend=backend)]
    figures += [plot.heatmap("kind", by="model", backend=backend)]
    for figure in figures:
        if hasattr(figure, "_repr_mimebundle_"):
            assert figure._repr_mimebundle_()[0]["image/png"]
        else:
            assert figure._repr_png_()


@pytest.mark.parametrize("n", [0, 1, 3])
def test_counts_have_whole_ticks(n):
    df = many(10).iloc[1 : 1 + n]
    upright, lying = (df.overshoot.plot.counts(name) for name in ("speed", "kind"))
    assert spec_of(upright)["encoding"]["y"]["axis"]["values"] == [0, 1]
    ticks = spec_of(lying)["layer"][0]["encoding"]["x"]["axis"]["values"]
    assert ticks == list(range(len(ticks)))
    drawn = df.overshoot.plot.counts("speed", backend="matplotlib").axes[0]
    assert drawn.get_ylim()[0] == 0
    assert drawn.get_ylim()[1] >= 1


def test_long_labels_leave_room_in_matplotlib():
    texts = [letter * 60 + str(k) for k, letter in enumerate("W日x")]
    df = pd.DataFrame({"media_time": np.arange(3.0), "out.x": texts, "out.y": texts})
    for by in (None, "y"):
        figure = df.overshoot.plot.heatmap("x", by=by, backend="matplotlib")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from")
            figure.canvas.draw()  # a layout that does not fit warns
        axes = figure.axes[0]
        assert axes.get_position().width > 0.3
        shown = [label.get_text() for label in axes.get_yticklabels()]
        assert len(set(shown)) == 3


def test_a_heatmap_without_values_says_so():
    df = pd.DataFrame({"media_time": np.arange(3.0), "out.x": np.nan, "out.y": list("abc")})
    figure = df.overshoot.plot.heatmap("x", by="y", backend="matplotlib")
    assert [text.get_text() for text in figure.axes[0].texts] == ["no values"]
    assert len(figure.axes) == 1
    chart = df.overshoot.plot.heatmap("x", by="y")
    assert spec_of(chart)["encoding"]["color"]["legend"] is None


@pytest.mark.parametrize("backend", BACKENDS)
def test_odd_texts_are_only_ever_text(backend):
    texts = [
        "$\\frac{",
        "<b>x</b>",
        "datum.v",
        "日本 🎥",
        "x" * 5_000,
        "",
        " ",
        "a\nb",
        "a b",
        "$x$",
    ]
    df = pd.DataFrame(
        {
            "media_time": np.arange(10.0),
            "out.$a[0].b'\"": texts,
            "model": texts,
            "inference_latency_ms": 1.0,
            "prompt_version": 1,
        }
    )
    name = "out.$a[0].b'\""
    plot = df.overshoot.plot
    for figure in (
        plot.timeline(name, backend=backend),
        plot.counts(name, backend=backend),
        plot.heatmap(name, backend=backend),
        plot.heatmap(name, by="model", backend=backend),
        plot.latency(backend=backend),
    ):
        is_drawn(figure)


def test_lists_are_counted_by_their_items():
    df = pd.DataFrame(
        {"out.tags": pd.Series([["a", "b"], ["a"], [], None], dtype=object), "ok": True}
    )
    (values,) = spec_of(df.overshoot.plot.counts("tags"))["datasets"].values()
    assert {v["v"]: v["n"] for v in values} == {"a": 2, "b": 1}


def test_whole_numbers_keep_the_gaps_between_them():
    df = pd.DataFrame({"out.n": pd.array([1, 1, 4, None], "Int64"), "ok": True})
    (values,) = spec_of(df.overshoot.plot.counts("n"))["datasets"].values()
    assert [(v["v"], v["n"]) for v in values] == [("1", 2), ("2", 0), ("3", 0), ("4", 1)]


def test_a_chart_can_be_changed_and_respects_a_chosen_renderer(game):
    chart = game.overshoot.plot.counts("event")
    assert isinstance(chart, alt.LayerChart)
    changed = chart.properties(title="Mine", width=100)
    assert spec_of(changed)["title"] == "Mine"
    assert "data1" in spec_of(changed)["datasets"]
    with alt.renderers.enable("json"):
        bundle = chart._repr_mimebundle_()
        assert set(bundle[0] if isinstance(bundle, tuple) else bundle) == {
            "application/json", "text/plain",
        }  # fmt: skip


def test_a_chart_is_there_also_where_its_picture_cannot_be_made(monkeypatch):
    import vl_convert

    def fails(*_: object, **__: object) -> bytes:
        raise ValueError("no such version")

    monkeypatch.setattr(vl_convert, "vegalite_to_png", fails)
    bundle, _ = many(5).overshoot.plot.counts("kind")._repr_mimebundle_()
    assert set(bundle) == {MIME, "text/plain"}


def test_what_is_wrong_is_said(monkeypatch):
    df = many(5)
    plot = df.overshoot.plot
    with pytest.raises(ValidationError, match="backend='plotly'"):
        plot.timeline(backend="plotly")
    with pytest.raises(ValidationError, match=r"did you mean out\.speed"):
        plot.timeline("out.sped")
    with pytest.raises(ValidationError, match="needs the column media_time"):
        df.drop(columns="media_time").overshoot.plot.timeline()
    with pytest.raises(ValidationError, match="which="):
        plot.latency("all")
    with pytest.raises(ValidationError, match="events="):
        plot.timeline(events=3)
    with pytest.raises(ValidationError, match="needs the columns start and end"):
        plot.timeline(events=df)
    monkeypatch.setattr(plotting.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install altair"):
        plot.timeline()
    with pytest.raises(MissingDependencyError, match="pip install matplotlib"):
        plot.timeline(backend="matplotlib")


def test_the_library_that_is_there_draws(monkeypatch):
    find = plotting.importlib.util.find_spec
    monkeypatch.setattr(
        plotting.importlib.util, "find_spec", lambda name: None if name == "altair" else find(name)
    )
    assert hasattr(many(5).overshoot.plot.counts("kind"), "savefig")


def test_the_accessor_imports_no_plotting_library():
    code = (
        "import sys, pandas, overshoot_nb; pandas.DataFrame().overshoot.plot;"
        "assert not {'altair', 'matplotlib', 'vl_convert'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
