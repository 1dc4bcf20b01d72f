"""Annotated videos: real files in, real files out; what is not drawn on is what it was."""

from __future__ import annotations

import asyncio
import logging
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import pytest

from overshoot_nb import FileSource, Overshoot
from overshoot_nb.analysis import annotate as annotating
from overshoot_nb.analysis.annotated_file import COPIES_VIDEO
from overshoot_nb.analysis.annotated_tracks import SubtitleTrack
from overshoot_nb.errors import (
    MissingDependencyError,
    SampleNotKeptError,
    SourceError,
    ValidationError,
)
from overshoot_nb.local.reading import Reader
from overshoot_nb.sampling.pipeline import SampleReader
from overshoot_nb.types import FrameProcessingConfig

from chatserver import ChatServer
from videos import (
    BITS,
    MATRICES,
    barcode,
    corners_of,
    four_corners,
    make_video,
    set_matrix,
    turn,
)

writes_text = pytest.mark.skipif(
    not hasattr(av.container.OutputContainer, "add_mux_stream"), reason="this PyAV writes no text"
)

copies_video = pytest.mark.skipif(not COPIES_VIDEO, reason="this PyAV loses copied packets")

WIDTH, HEIGHT = 320, 180
#: From 0.5 to 1.5 s there is a caption.
SAID = ("", "HELLO 42", "HELLO 42", "")


def rows(*results: str, step: float = 0.5) -> pd.DataFrame:
    times = pd.to_timedelta(np.arange(len(results)) * step, unit="s").astype("timedelta64[us]")
    count = range(len(results))
    table = {"sample": count, "media_time": times, "result": list(results), "stream_id": "gone-1"}
    return pd.DataFrame(table)


def picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Something smooth that moves, and is different in every corner."""
    y, x = np.mgrid[:height, :width]
    red = 90 + 60 * np.sin((x + 3 * number) / 40)
    return np.stack([red, 40 + y * 160 / height, 200 - x * 160 / width], -1).astype(np.uint8)


def make(
    path: Path,
    frames: int = 60,
    *,
    fps: int = 30,
    times: Any = None,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    audio: bool = True,
    silence: tuple[float, float] | None = None,
    subtitles: bool = False,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    audio_codec: str = "aac",
    gop: int = 15,
) -> Path:
    """A source: video, and tone as sound, of which packets may be missing for a while."""
    unit = Fraction(1, 1000) if times is not None else Fraction(1, fps)
    with av.open(str(path), "w") as container:
        options = {"crf": "15", "preset": "ultrafast"} if codec == "libx264" else {}
        video: Any = container.add_stream(codec, rate=fps, options=options)
        video.width, video.height, video.pix_fmt = *size, pix_fmt
        video.codec_context.time_base, video.codec_context.gop_size = unit, gop
        sound: Any = container.add_stream(audio_codec, rate=48000) if audio else None
        text: Any = container.add_mux_stream("mov_text") if subtitles else None
        container.start_encoding()
        if text is not None:
            packet = av.Packet(b"\x00\x03own")
            packet.pts = packet.dts = 300
            packet.duration, packet.time_base, packet.stream = 500, Fraction(1, 1000), text
            container.mux(packet)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), "rgb24")
            frame.pts, frame.time_base = times[number] if times is not None else number, unit
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        seconds = times[-1] / 1000 if times is not None else frames / fps
        for block in range(int(seconds * 48000 / 1024) if audio else 0):
            at = block * 1024 / 48000
            if silence and silence[0] <= at < silence[1]:
                continue
            tone = np.sin((np.arange(1024) + block * 1024) / 9).astype(np.float32)[None] / 4
            heard = av.AudioFrame.from_ndarray(tone, "fltp", "mono")
            heard.sample_rate, heard.pts, heard.time_base = 48000, block * 1024, Fraction(1, 48000)
            container.mux(sound.encode(heard))
        if audio:
            container.mux(sound.encode(None))
    return path


def packets(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        track = next(s for s in container.streams if s.type == kind)
        return [(p.pts * p.time_base, bytes(p)) for p in container.demux(track) if p.size]


def decoded(path: Path) -> list[tuple[Fraction, np.ndarray]]:
    """Time and luma, as FFmpeg has them, of every frame."""
    with av.open(str(path)) as container:
        return [
            (f.pts * f.time_base, f.reformat(format="gray").to_ndarray())
            for f in container.decode(video=0)
        ]


def kinds(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [s.type for s in container.streams]


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    error = np.mean((one.astype(float) - other) ** 2)
    return 99.0 if error == 0 else 10 * np.log10(255**2 / error)


def annotated(video: Path, name: str = "out.mp4", said: Any = SAID, **options: Any) -> Path:
    options = {"source": video, "progress": False} | options
    table = rows(*said) if isinstance(said, tuple) else said
    return table.overshoot.annotate(video.with_name(name), **options)


def assert_only_captions_differ(source: Path, output: Path, *, start: float, end: float) -> None:
    before, after = decoded(source), decoded(output)
    assert [time for time, _ in after] == [time for time, _ in before]
    for (time, old), (_, new) in zip(before, after, strict=True):
        height = old.shape[0]
        # What is above the caption is as good everywhere.
        assert psnr(old[: height // 2], new[: height // 2]) > 40, float(time)
        below = np.abs(old[height // 2 :].astype(int) - new[height // 2 :]).max()
        if start <= time < end:
            assert below > 60, float(time)
        else:
            assert psnr(old, new) > 40, float(time)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("annotate") / "clip.mp4")


@pytest.fixture(scope="module")
def reader() -> Any:
    reader = Reader()
    yield reader
    reader.close()


# ---- the picture and the sound -----------------------------------------------------------------


def test_captions_are_there_in_their_time_and_all_else_is_as_it_was(clip, tmp_path):
    output = annotated(clip)
    assert output == clip.with_name("out.mp4")
    assert_only_captions_differ(clip, output, start=0.5, end=1.5)
    assert packets(output, "audio") == packets(clip, "audio")
    assert kinds(output) == ["video", "audio"]


@pytest.mark.parametrize("position", ["bottom", "top"])
def test_captions_can_be_read(clip, reader, position):
    output = annotated(clip, f"{position}.mp4", ("Score 12:7", "two people"), position=position)
    with av.open(str(output)) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    for number, text in ((3, "Score 12:7"), (20, "two people")):
        page = reader.read(frames[number].repeat(3, 0).repeat(3, 1))
        assert page.lines == [text]
        assert (page.rows[0].pieces[0].middle < HEIGHT * 3 / 2) == (position == "top")


def test_variable_frame_rates_are_kept(tmp_path):
    times = np.cumsum([0, *np.random.default_rng(4).integers(7, 90, 59)]).tolist()
    source = make(tmp_path / "vfr.mp4", times=times)
    output = annotated(source)
    assert [float(t) for t, _ in decoded(output)] == [t / 1000 for t in times]
    assert_only_captions_differ(source, output, start=0.5, end=1.5)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turned_videos_are_upright(tmp_path, reader, degrees):
    source = make(tmp_path / "turned.mp4", 15, size=(320, 240), audio=False)
    turn(source, degrees)
    output = annotated(source, said=("UPRIGHT",), font_size=20)
    with av.open(str(output)) as container:
        frame = list(container.decode(video=0))[8]
    upright = np.rot90(picture(8, 320, 240), -degrees // 90)
    assert (frame.height, frame.width) == upright.shape[:2]
    shown = frame.to_ndarray(format="rgb24")
    assert psnr(upright[:60], shown[:60]) > 33
    assert reader.read(shown.repeat(3, 0).repeat(3, 1)).lines == ["UPRIGHT"]


@pytest.mark.parametrize("look", [{}, pytest.param({"burn": False}, marks=writes_text)])
@pytest.mark.parametrize("name", MATRICES)
def test_mirrored_videos_are_upright(tmp_path, name, look):
    matrix, corners = MATRICES[name]
    source = make_video(tmp_path / "mirrored.mp4", [four_corners()] * 20)
    set_matrix(source, matrix)
    output = annotated(source, said=("x",), position="top", font_size=8, **look)
    # As a player shows it: what is drawn on needs no matrix any more, what is copied keeps it.
    with SampleReader(FileSource(output), FrameProcessingConfig(0.5)) as reader:
        assert corners_of(next(iter(reader)).frames[0].data) == corners
    with av.open(str(output)) as container:
        frame = next(container.decode(video=0))
        if not look:
            assert corners_of(frame.to_ndarray(format="rgb24")) == corners


@pytest.mark.parametrize(
    ("size", "codec", "pix_fmt", "suffix"),
    [
        ((161, 97), "ffv1", "yuv444p", ".mkv"),
        ((160, 96), "libx264", "yuv422p10le", ".mp4"),
        ((160, 96), "mjpeg", "yuvj420p", ".mkv"),
        ((160, 96), "ffv1", "bgr0", ".mkv"),
    ],
)
def test_odd_sizes_and_other_pixels(tmp_path, size, codec, pix_fmt, suffix):
    source = tmp_path / f"odd{suffix}"
    make(source, 30, size=size, codec=codec, pix_fmt=pix_fmt, audio=False)
    output = annotated(source, f"out{suffix}", ("", "hello"))
    with av.open(str(source)) as one, av.open(str(output)) as other:
        pairs = list(zip(one.decode(video=0), other.decode(video=0), strict=True))
    for old, new in pairs:
        assert (new.width, new.height) == (size[0] // 2 * 2, size[1] // 2 * 2)
        before = old.to_ndarray(format="rgb24")[: size[1] // 2, : new.width]
        assert psnr(before, new.to_ndarray(format="rgb24")[: size[1] // 2]) > 30
        assert old.pts * old.time_base == pytest.approx(float(new.pts * new.time_base), abs=1e-3)


@writes_text
def test_subtitles_of_the_source_and_a_long_silence_are_kept(tmp_path):
    source = make(tmp_path / "s.mp4", 450, size=(64, 48), silence=(1, 13), subtitles=True)
    output = annotated(source, said=("one",))
    assert kinds(output) == kinds(source) == ["video", "audio", "subtitle"]
    for kind in ("audio", "subtitle"):
        assert packets(output, kind) == packets(source, kind)
    assert [t for t, _ in decoded(output)] == [t for t, _ in decoded(source)]


def test_a_clock_that_is_hours_ahead_begins_at_zero(tmp_path):
    source = tmp_path / "late.ts"
    make_video(source, 30, format="mpegts", pts=lambda i: i + 30 * 3600 * 3)
    output = annotated(source, said=("", "", "x"), caption="result")
    times = [time for time, _ in decoded(output)]
    assert times[0] < 0.1
    assert len(times) == 30


def numbered(path: Path) -> list[tuple[float, int]]:
    """Time, and the number that is shown, of every frame of a video of barcodes."""
    return [(float(time), number_on(grey)) for time, grey in decoded(path)]


def number_on(grey: np.ndarray) -> int:
    cell = grey.shape[1] // BITS
    return sum(int(grey[8, bit * cell + cell // 2] > 128) << bit for bit in range(BITS))


@pytest.mark.parametrize("look", [{}, pytest.param({"burn": False}, marks=writes_text)])
@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("ts", "libx264"),
        ("mpg", "mpeg2video"),
        ("mkv", "libx264"),
        ("h264", "libx264"),
        ("avi", "mpeg4"),
    ],
)
def test_recordings_that_were_joined_are_whole(tmp_path, suffix, codec, look):
    parts = [
        make_video(
            tmp_path / f"part{n}.{suffix}",
            [barcode(45 * n + i) for i in range(45)],
            codec=codec,
            format={"ts": "mpegts", "mpg": "mpeg", "h264": "h264"}.get(suffix),
            b_frames=2,
        )
        for n in range(2)
    ]
    source = tmp_path / f"joined.{suffix}"
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    found = numbered(annotated(source, said=("", "", "", "", "x"), font_size=8, **look))
    assert [number for _, number in found] == list(range(90))
    times = [time - found[0][0] for time, _ in found]
    assert times == pytest.approx([i / 30 for i in range(90)], abs=1.5e-3)


@writes_text
def test_the_sound_of_joined_recordings_goes_with_their_pictures(tmp_path):
    part = make(tmp_path / "part.ts", 60)
    source = tmp_path / "joined.ts"
    source.write_bytes(part.read_bytes() * 2)
    output = annotated(source, said=("", "one", "", "", "", "two"))
    assert len(decoded(output)) == 120
    heard = [time for time, _ in packets(output, "audio")]
    one = [time for time, _ in packets(part, "audio")]
    assert len(heard) > 2 * len(one) - 4  # what would overlap at the seam is left out
    assert heard == sorted(heard)
    seam = next(time for time in heard if time > max(one) - min(one) + 0.03)
    assert float(seam) == pytest.approx(2, abs=0.1)
    assert float(heard[-1]) == pytest.approx(4, abs=0.15)


def test_frames_before_the_time_zero_of_a_file_are_there(tmp_path):
    source = make_video(
        tmp_path / "early.mkv",
        180,
        pts=lambda i: i - 84,
        b_frames=0,
        container_options={"avoid_negative_ts": "disabled"},
    )
    for look in ({}, {"caption": None, "said": ("", "")}):
        found = numbered(annotated(source, "out.mkv", overwrite=True, **look))
        assert [number for _, number in found] == list(range(180))
        assert found[-1][0] == pytest.approx(179 / 30, abs=2e-3)


def test_raw_video_lasts_as_long_as_it_did(tmp_path):
    source = make_video(tmp_path / "raw.h264", 180, format="h264", b_frames=2)
    output = annotated(source)
    found = numbered(output)
    assert [number for _, number in found] == list(range(180))
    assert [time for time, _ in found] == pytest.approx([i / 30 for i in range(180)], abs=1e-3)
    with av.open(str(output)) as container:
        assert container.duration / 1e6 == pytest.approx(6, abs=0.01)


def test_hours_without_a_frame_are_passed_over(tmp_path, caplog):
    pts = [0, 1, 2, 10_000_000, 10_000_001]
    source = make_video(tmp_path / "late.mkv", 5, fps=10, pts=pts, gop=1, b_frames=0)
    for said in (("x",), ("",)):
        found = numbered(annotated(source, "out.mkv", said, overwrite=True, font_size=8))
        assert found == [(pytest.approx(i / 10, abs=2e-3), i) for i in range(5)]
    assert "passed over" in caplog.text


def test_hours_without_a_frame_among_reordered_ones_are_passed_over(tmp_path):
    hours = 45_000 * 90_000
    source = make_video(
        tmp_path / "late.ts",
        60,
        pts=lambda i: i * 3000 + (hours if i >= 30 else 0),
        time_base=Fraction(1, 90_000),
        gop=30,
        b_frames=3,
        options={"x264-params": "scenecut=0"},
    )
    for said in (("x",), ("",)):
        found = numbered(annotated(source, "out.mp4", said, overwrite=True, font_size=8))
        assert found == [(pytest.approx(i / 30, abs=2e-3), i) for i in range(60)]


def test_a_recording_that_changes_its_shape_is_framed(tmp_path):
    def wide(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(2)

    sizes = [((160, 96), None), ((96, 96), None), ((160, 96), wide)]
    parts = [
        make_video(
            tmp_path / f"part{n}.ts", [four_corners(*size)] * 20, format="mpegts", prepare=prepare
        )
        for n, (size, prepare) in enumerate(sizes)
    ]
    source = tmp_path / "joined.ts"
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    output = annotated(source, said=("x", ""), font_size=8)
    with av.open(str(output)) as container:
        pictures = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    assert len(pictures) == 60
    assert {picture.shape for picture in pictures} == {(96, 160, 3)}
    for n, box in enumerate([(0, 0, 160, 96), (32, 0, 96, 96), (0, 24, 160, 48)]):
        x, y, w, h = box
        picture = pictures[20 * n + 17]
        assert corners_of(picture[y : y + h, x : x + w]) == "RGBW"
        rest = picture.copy()
        rest[max(0, y - 2) : y + h + 2, max(0, x - 2) : x + w + 2] = 0
        assert rest.max() < 40  # black beside it


# ---- what needs no encoding ----------------------------------------------------------------------


@writes_text
def test_a_track_of_captions_leaves_the_picture_as_it_is(clip, tmp_path):
    for name in ("soft.mp4", "soft.mkv"):
        output = annotated(clip, name, ("", "one & <b>", "two\nlines", ""), burn=False)
        assert kinds(output) == ["video", "audio", "subtitle"]
        for kind in ("video", "audio"):
            assert [data for _, data in packets(output, kind)] == [
                data for _, data in packets(clip, kind)
            ]
        with av.open(str(output)) as container:
            found = [
                (round(float(packet.pts * packet.time_base), 1), subtitle.dialogue.decode())
                for packet in container.demux(subtitles=0)
                if packet.size
                for subtitle in packet.decode()
                if subtitle.dialogue
            ]
        assert [(at, text.replace("\n", "\\N")) for at, text in found] == [
            (0.5, found[0][1]),
            (1.0, "two\\Nlines"),
        ]
        assert found[0][1].replace("\u200b", "") == "one & <b>"
    assert packets(clip.with_name("soft.mp4"), "video") == packets(clip, "video")


@copies_video
def test_where_no_caption_falls_the_picture_is_copied(clip, monkeypatch):
    # Then no encoder is needed either.
    monkeypatch.setattr(annotating, "ENCODER", "no_such_codec")
    assert packets(annotated(clip, "copy.mp4", ("", "")), "video") == packets(clip, "video")
    part = annotated(clip, "part.mp4", start=1.6)
    copied = [data for _, data in packets(clip, "video")]
    assert [data for _, data in packets(part, "video")] == copied[45:]  # from a keyframe on


def test_a_part_is_exact_where_it_is_drawn_on(clip):
    output = annotated(clip, "part2.mp4", start=0.4, end=1.2)
    before, after = decoded(clip), decoded(output)
    assert [time for time, _ in after] == [Fraction(i, 30) for i in range(24)]
    assert psnr(before[12][1], after[0][1]) > 40
    assert psnr(before[15][1], after[3][1]) < 40  # the caption, at 0.5 s
    assert packets(output, "audio")[0][1] in [data for _, data in packets(clip, "audio")]


# ---- runs --------------------------------------------------------------------------------------


def analysed(source: Path, look: Any, **options: Any) -> Any:
    async def main() -> Any:
        async with Overshoot(base_url=server.url) as client:
            stream = await client.streams.create(
                str(source), "What?", "test/model", realtime=False, **options
            )
            await stream.wait()
            return look(stream)

    with ChatServer(lambda request: "SEEN 7") as server:
        return asyncio.run(asyncio.wait_for(main(), 60))


def test_the_source_of_the_run_is_found(clip):
    output = clip.with_name("run.mp4")
    analysed(clip, lambda stream: stream.df.overshoot.annotate(output, progress=False))
    assert_only_captions_differ(clip, output, start=0.0, end=9.0)


@pytest.mark.parametrize("clips", [False, True])
def test_without_the_source_the_stored_pictures_are_shown(clip, tmp_path, reader, caplog, clips):
    source = tmp_path / "gone.mp4"
    source.write_bytes(clip.read_bytes())
    output = tmp_path / "pictures.mp4"

    def look(stream: Any) -> list[float]:
        source.unlink()
        with caplog.at_level(logging.WARNING, "overshoot_nb"):
            stream.df.overshoot.annotate(output, progress=False, font_size=24)
        return sorted({f.media_time for s in stream.frames.values() for f in s.frames})

    options = {"mode": "clip", "target_fps": 10} if clips else {"interval_seconds": 0.5}
    times = analysed(source, look, **options)
    assert "gone.mp4 is not there any more" in caplog.text
    frames = decoded(output)
    assert len(frames) == (20 if clips else 4)
    assert [float(time) for time, _ in frames] == pytest.approx(times, abs=1e-4)
    with av.open(str(output)) as container:
        shown = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert reader.read(shown.repeat(3, 0).repeat(3, 1)).lines == ["SEEN 7"]


def test_of_a_stream_that_was_restarted_the_pictures_of_the_rows_own_run_are_shown(tmp_path):
    source = make(tmp_path / "live.mp4", 60, audio=False)
    lengths = []

    async def main() -> None:
        async with Overshoot(base_url=server.url) as client:
            stream = await client.streams.create(
                str(source), "What?", "test/model", realtime=False, interval_seconds=0.5
            )
            await stream.wait()
            make(source, 120, audio=False)
            await stream.restart()
            await stream.wait()
            source.unlink()
            for stream_id, rows in stream.df.groupby("stream_id", sort=False, observed=True):
                output = tmp_path / f"{stream_id}.mp4"
                rows.overshoot.annotate(output, progress=False)
                lengths.append(len(decoded(output)))

    with ChatServer(lambda request: "SEEN 7") as server:
        asyncio.run(asyncio.wait_for(main(), 60))
    assert lengths == [4, 8]


def test_nothing_to_draw_on_is_said(clip, tmp_path):
    source = tmp_path / "gone.mp4"
    source.write_bytes(clip.read_bytes())

    def look(stream: Any) -> None:
        source.unlink()
        with pytest.raises(SampleNotKeptError, match=r"no picture .* is kept .*give source="):
            stream.df.overshoot.annotate(tmp_path / "out.mp4", progress=False)

    analysed(source, look, keep_frames=0)
    with pytest.raises(ValidationError, match=r"stream gone-1, which is gone.*give source="):
        rows("a").overshoot.annotate(tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_rows_of_several_runs_are_refused(clip):
    both = pd.concat([rows("a"), rows("b").assign(stream_id="gone-2")])
    with pytest.raises(ValidationError, match=r"annotate\(\) .* of 2: 'gone-1', 'gone-2'"):
        annotated(clip, "several.mp4", both)


def test_events_are_captions_and_overlapping_ones_stand_together(clip, reader):
    events = pd.DataFrame({"start": [0.2, 0.6], "end": [1.0, 1.4], "peak": [3, 5]})
    output = annotated(clip, "events.mp4", events)
    assert_only_captions_differ(clip, output, start=0.19, end=1.39)
    with av.open(str(output)) as container:
        frame = list(container.decode(video=0))[24].to_ndarray(format="rgb24")
    assert reader.read(frame.repeat(4, 0).repeat(4, 1)).lines == [
        "Event 1 (peak 3)",
        "Event 2 (peak 5)",
    ]


# ---- what goes wrong ---------------------------------------------------------------------------


def test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(clip, tmp_path):
    path = tmp_path / "there.mp4"
    path.write_bytes(b"mine")
    with pytest.raises(ValidationError, match=r"there\.mp4 is there already: give overwrite=True"):
        rows(*SAID).overshoot.annotate(path, source=clip)
    assert path.read_bytes() == b"mine"
    rows(*SAID).overshoot.annotate(path, source=clip, overwrite=True, progress=False)
    assert len(decoded(path)) == 60
    with pytest.raises(ValidationError, match="is the source itself"):
        rows(*SAID).overshoot.annotate(clip, source=clip, overwrite=True)


def test_an_interrupt_leaves_nothing_behind(clip, tmp_path):
    def interrupt(row: Any) -> str:
        return "x"

    class Interrupting(annotating._Bar):
        def tick(self, done: int, total: int | None) -> None:
            if done == 20:
                assert len(list(tmp_path.iterdir())) == 1
                raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(annotating, "_Bar", Interrupting)
        with pytest.raises(KeyboardInterrupt):
            rows(*SAID).overshoot.annotate(tmp_path / "out.mp4", source=clip, caption=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_progress_is_shown(clip, capsys):
    annotated(clip, "bar.mp4", progress=True)
    assert "bar.mp4" in (bar := capsys.readouterr().err)
    assert "60/60" in bar


def test_no_encoder_is_one_clear_error(clip, monkeypatch):
    monkeypatch.setattr(annotating, "ENCODER", "no_such_codec")
    with pytest.raises(MissingDependencyError, match="this PyAV has no no_such_codec"):
        annotated(clip, "none.mp4")
    assert not clip.with_name("none.mp4").exists()


def heard(path: Path) -> tuple[str, np.ndarray, float, int]:
    """The codec of the sound, its samples, when the first is heard, and their rate."""
    with av.open(str(path)) as container:
        track = container.streams.audio[0]
        frames = list(container.decode(track))
        rate = frames[0].sample_rate
        samples = np.concatenate([f.to_ndarray().astype(float).ravel() for f in frames])
        first = float(frames[0].pts * frames[0].time_base)
        return track.codec_context.name, samples / np.abs(samples).max(), first, rate


def telephone(path: Path, codec: str, rate: int) -> Path:
    """Two seconds of video, and of a beep from 0.5 to 1.0 s."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.gop_size = 15
        sound = container.add_stream(codec, rate=rate, layout="mono")
        for number in range(60):
            frame = av.VideoFrame.from_ndarray(picture(number), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        time = np.arange(2 * rate) / rate
        beep = np.sin(2 * np.pi * 440 * time) * ((time >= 0.5) & (time < 1.0)) * 20000
        resampler = av.AudioResampler("s16", "mono", rate, frame_size=sound.frame_size or 400)
        made = av.AudioFrame.from_ndarray(beep.astype(np.int16)[None], "s16", "mono")
        made.sample_rate, made.pts, made.time_base = rate, 0, Fraction(1, rate)
        for frame in [*resampler.resample(made), *resampler.resample(None)]:
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return path


def beep_of(path: Path) -> tuple[float, float]:
    """When the beep begins and ends."""
    _, samples, first, rate = heard(path)
    loud = np.nonzero(np.abs(samples) > 0.3)[0]
    return first + loud[0] / rate, first + loud[-1] / rate


@pytest.mark.parametrize(
    ("codec", "rate", "name"),
    [
        ("pcm_alaw", 8000, "in.mov"),
        ("pcm_mulaw", 8000, "in.mov"),
        ("adpcm_ima_wav", 22050, "in.avi"),
        ("pcm_u8", 7000, "in.mkv"),
    ],
)
@pytest.mark.parametrize("burn", [True, False])
def test_sound_that_the_format_cannot_hold_becomes_aac(tmp_path, codec, rate, name, burn):
    if not burn and not hasattr(av.container.OutputContainer, "add_mux_stream"):
        pytest.skip("this PyAV writes no text")
    source = telephone(tmp_path / name, codec, rate)
    output = annotated(source, burn=burn)
    assert heard(output)[0] == "aac"
    assert beep_of(output) == pytest.approx((0.5, 1.0), abs=0.05)
    part = annotated(source, "part.mp4", start=0.4, end=1.2)
    assert beep_of(part) == pytest.approx((0.1, 0.6), abs=0.05)
    silent = annotated(source, "silent.mp4", burn=burn, sound=False)
    assert "audio" not in kinds(silent)
    # What the format holds is copied.
    if source.suffix == ".avi":
        return
    same = annotated(source, f"out{source.suffix}", burn=burn)
    sounds = [b"".join(d for _, d in packets(path, "audio")) for path in (same, source)]
    assert sounds[0] == sounds[1]


def test_a_part_is_given_as_events_give_it(clip):
    table = rows(*SAID)
    (event,) = table.overshoot.events("result == 'HELLO 42'").itertuples()
    assert event.start == pd.Timedelta(0.5, "s")
    output = annotated(clip, "event.mp4", start=event.start, end=event.end)
    plain = annotated(clip, "plain.mp4", start=0.5, end=1.5)
    assert [t for t, _ in decoded(output)] == [t for t, _ in decoded(plain)]
    numpy = annotated(clip, "numpy.mp4", start=np.timedelta64(500, "ms"), end=1.5)
    assert len(decoded(numpy)) == len(decoded(plain))
    with pytest.raises(ValidationError, match="is a time of day: give media time"):
        annotated(clip, "day.mp4", start=pd.Timestamp("2026-01-01", tz="UTC"))


def test_a_clip_of_each_event_is_one_call(clip, tmp_path):
    table = rows("a", "b", "a", "a")
    folder = tmp_path / "clips"
    options = {"source": clip, "progress": False, "padding": 0.1}
    paths = table.overshoot.annotate_events(folder, "result == 'a'", **options)
    assert [path.name for path in paths] == ["event_001_0.0s.mp4", "event_002_1.0s.mp4"]
    assert sorted(folder.iterdir()) == paths
    first, second = (decoded(path) for path in paths)
    assert len(first) == pytest.approx(0.6 * 30, abs=1)
    assert len(second) == pytest.approx(0.7 * 30, abs=1)
    with pytest.raises(ValidationError, match="there already"):
        table.overshoot.annotate_events(folder, "result == 'a'", **options)
    events = table.overshoot.events("result == 'b'")
    (only,) = table.overshoot.annotate_events(folder, events, suffix=".mkv", **options)
    assert only.name == "event_001_0.5s.mkv"
    for wrong, words in (
        ("result == 'c'", "there is nothing to make clips of"),
        (table, "give what df.overshoot.events"),
    ):
        with pytest.raises(ValidationError, match=words):
            table.overshoot.annotate_events(folder, wrong, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"source": "rtsp://user:secret@camera/live"}, r"'rtsp://camera/live' is not on this mach"),
        ({"source": 3}, "source=3 is no video file"),
        ({"start": 2, "end": 1}, "end=1 must be later than start=2"),
        ({"end": float("nan")}, "end=nan is not valid"),
        ({"position": "left"}, "position='left'"),
        ({"font_size": 0}, "font_size=0"),
        ({"threads": 0}, "threads=0"),
        ({"hold": -1}, "hold=-1"),
        ({"caption": "nothing"}, "there is no column nothing"),
    ],
)
def test_parameters_are_checked(clip, options, words):
    with pytest.raises(ValidationError, match=words) as raised:
        annotated(clip, "bad.mp4", **options)
    assert "secret" not in str(raised.value)
    assert not clip.with_name("bad.mp4").exists()


def test_paths_are_checked(clip, tmp_path):
    with pytest.raises(ValidationError, match=r"must end in one of \.mp4"):
        rows("a").overshoot.annotate(tmp_path / "out.gif", source=clip)
    with pytest.raises(ValidationError, match="no folder"):
        rows("a").overshoot.annotate(tmp_path / "none" / "out.mp4", source=clip)
    with pytest.raises(SourceError, match="no such file"):
        rows("a").overshoot.annotate(tmp_path / "out.mp4", source=FileSource("/none.mp4"))
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(SourceError, match="cannot be opened"):
        annotated(tmp_path / "text.mp4")
    assert [p.name for p in tmp_path.iterdir()] == ["text.mp4"]


@copies_video
def test_no_rows_copy_the_video(clip):
    assert packets(annotated(clip, "empty.mp4", rows()), "video") == packets(clip, "video")


def test_frames_are_drawn_on_as_copies():
    """The decoder predicts from its frames: drawing on them would smear captions over time."""
    from overshoot_nb.analysis.captions_drawing import CaptionPainter

    frame = av.VideoFrame.from_ndarray(picture(0), "rgb24").reformat(format="yuv420p")
    before = frame.to_ndarray().copy()
    painted = CaptionPainter(WIDTH, HEIGHT).painted(frame, "hello\nworld " * 30)
    assert (frame.to_ndarray() == before).all()
    assert (painted.to_ndarray() != before).any()


def test_without_pillow_the_command_is_named(clip, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingDependencyError) as caught:
        annotated(clip, "none.mp4")
    assert 'pip install "overshoot-nb[plot]"' in str(caught.value)
    assert "annotate(burn=False) needs none" in str(caught.value)


def test_a_pyav_that_writes_no_text_is_named_with_the_one_that_does():
    with pytest.raises(MissingDependencyError) as caught:
        SubtitleTrack(object())
    assert f"needs PyAV 17 or newer, and this is {av.__version__}" in str(caught.value)
    assert 'pip install "av>=17,<20"' in str(caught.value)


def test_that_pyav_writes_text():
    writes = hasattr(av.container.OutputContainer, "add_mux_stream")
    assert writes == (int(av.__version__.partition(".")[0]) >= 17)
