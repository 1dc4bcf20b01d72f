"""Playlists of playlists, the segments that they name, and which of several videos is meant."""

from __future__ import annotations

import traceback
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from overshoot_nb.errors import SourceError
from overshoot_nb.sampling.pipeline import SampleReader
from overshoot_nb.sampling.playlists import by_preference, variants_in
from overshoot_nb.sources.kinds import FileSource, HLSSource
from overshoot_nb.types import FrameProcessingConfig

from mediaservers import MediaHTTPServer, running
from videos import barcode, make_video, mean_colour, number_in, solid

SIZES = [(320, 192), (160, 96), (640, 384)]
USER, PASSWORD = "an-admin", "hunter22"
RED, BLUE = (250, 10, 10), (10, 10, 250)


def make_playlist(folder: Path, width: int = 160, height: int = 96) -> None:
    """A finished playlist of two segments, index.m3u8."""
    folder.mkdir(exist_ok=True)
    make_video(
        folder / "index.m3u8",
        [
            np.kron(barcode(n), np.ones((height // 96, width // 160, 1), np.uint8))
            for n in range(30)
        ],
        gop=15,
        format="hls",
        options={"x264-params": "scenecut=0"},
        container_options={"hls_time": "0.5", "hls_list_size": "0"},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """master.m3u8 with three variants, alternate sound, and others that are no video."""
    folder = tmp_path_factory.mktemp("master")
    lines = [
        "#EXTM3U",
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English",DEFAULT=YES,URI="sound/index.m3u8"',
    ]
    for width, height in SIZES:
        make_playlist(folder / str(width), width, height)
        lines += [
            f'#EXT-X-STREAM-INF:BANDWIDTH={width * 1000},CODECS="avc1.4d401f,mp4a.40.2",'
            f'RESOLUTION={width}x{height},AUDIO="a"',
            "",
            f"{width}/index.m3u8?k=v",
        ]
    lines += ['#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="mp4a.40.2"', "sound/index.m3u8"]
    lines += ['#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1000,RESOLUTION=160x96,URI="keys.m3u8"']
    (folder / "master.m3u8").write_text("\r\n".join(lines) + "\r\n")
    return folder


def size_and_numbers(source, max_size: tuple[int, int]) -> tuple[tuple[int, int], list[int]]:
    with SampleReader(source, FrameProcessingConfig(0.5), max_size=max_size) as reader:
        found = [number_in(sample.frames[0].data) for sample in reader]
        return (reader.info.width, reader.info.height), found


@pytest.mark.parametrize(
    ("max_size", "width"),
    [((1280, 720), 640), ((320, 320), 320), ((300, 300), 320), ((60, 60), 160), ((321, 999), 640)],
)
def test_the_smallest_variant_that_fills_the_size_is_the_only_one_read(
    folder: Path, max_size: tuple[int, int], width: int
) -> None:
    server = MediaHTTPServer(folder, user=f"{USER}:{PASSWORD}")
    with running(server):
        url = f"http://{USER}:{PASSWORD}@{server.address}/master.m3u8?token=s3cr3t"
        size, found = size_and_numbers(HLSSource(url), max_size)
    assert size[0] == width
    assert found == [0, 15]
    others = {path for path in server.requests if not path.startswith(("/master", f"/{width}/"))}
    assert others == set()


def test_a_master_in_a_file(folder: Path) -> None:
    text = (folder / "master.m3u8").read_text().replace("?k=v", "")
    (folder / "local.m3u8").write_text(text)
    size, found = size_and_numbers(FileSource(folder / "local.m3u8", realtime=False), (200, 200))
    assert (size, found) == ((320, 192), [0, 15])


def test_a_variant_that_is_not_there_is_passed_over(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "320").symlink_to(folder / "320")
    (tmp_path / "160").symlink_to(folder / "160")
    (tmp_path / "master.m3u8").write_text((folder / "master.m3u8").read_text())
    server = MediaHTTPServer(tmp_path)
    with running(server):
        url = f"http://{server.address}/master.m3u8"
        size, found = size_and_numbers(HLSSource(url), (1280, 720))
    assert (size, found) == ((320, 192), [0, 15])


def test_what_a_master_playlist_may_say() -> None:
    text = """\ufeff#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=900000,NAME="a, b=c",RESOLUTION=1280x720
# a remark
../hd/index.m3u8?sig=a%2Fb,c
#EXT-X-STREAM-INF:RESOLUTION=720x1280,BANDWIDTH=800000
/tall.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=700000,RESOLUTION=1280X720
//cdn.example/hd.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=1
file:///etc/passwd
#EXT-X-STREAM-INF:BANDWIDTH=nonsense,RESOLUTION=wide
https://u:p@other.example/x.m3u8
"""
    base = "https://me:pw@host:8443/live/stream/master.m3u8?token=1"
    found = variants_in(text, base)
    # Where sizes are said, what says none is sound alone.
    assert [v.url for v in found] == [
        "https://me:pw@host:8443/live/hd/index.m3u8?sig=a%2Fb,c",
        "https://me:pw@host:8443/tall.m3u8",
        "https://cdn.example/hd.m3u8",
    ]
    assert [(v.width, v.height, v.bandwidth) for v in found] == [
        (1280, 720, 900_000),
        (720, 1280, 800_000),
        (1280, 720, 700_000),
    ]
    assert [v.bandwidth for v in by_preference(found, (640, 360))] == [900_000, 800_000, 700_000]
    unsized = "#EXTM3U\n" + "".join(
        f"#EXT-X-STREAM-INF:BANDWIDTH={rate}\n{rate}.m3u8\n" for rate in (300, 900, 600)
    )
    best = by_preference(variants_in(unsized, base), (640, 360))
    assert [v.bandwidth for v in best] == [900, 600, 300]
    for other in ("", "#EXTM3U\n#EXTINF:1,\na.ts\n", "<html>", "#EXTM3U\n#EXT-X-STREAM-INF:A=1\n"):
        assert variants_in(other, base) == []
    for local in ("http://h/a.m3u8", "data:x", "concat:a|b"):
        text = f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{local}\n"
        assert variants_in(text, "/videos/master.m3u8") == []


def test_a_variant_that_cannot_be_opened_shows_no_secret(tmp_path: Path) -> None:
    """Not even in a traceback that shows variables."""
    lines = ("#EXTM3U", "#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=160x96", "v.m3u8?sig=t0ken77")
    (tmp_path / "master.m3u8").write_text("\n".join(lines))
    (tmp_path / "v.m3u8").write_text("no playlist")
    server = MediaHTTPServer(tmp_path, user=f"{USER}:{PASSWORD}")
    with running(server):
        url = f"http://{USER}:{PASSWORD}@{server.address}/master.m3u8?token=s3cr3t"
        with pytest.raises(SourceError) as caught:
            size_and_numbers(HLSSource(url), (160, 96))
    assert "/v.m3u8?sig=t0ken77" in server.requests
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [f for f in shown.stack if "overshoot_nb" in f.filename]
    text = f"{caught.value} {[(f.name, f.locals) for f in ours]}"
    assert "_open_at" in text
    for secret in (PASSWORD, "t0ken77", "s3cr3t"):
        assert secret not in text


@pytest.mark.parametrize("source", [HLSSource, FileSource])
def test_a_playlist_may_be_called_anything(folder: Path, tmp_path: Path, source) -> None:
    """Also one whose server does not say what it is, and again as what it turned out to be."""
    text = (folder / "master.m3u8").read_text()
    for width, _ in SIZES:
        (tmp_path / str(width)).mkdir()
        for path in (folder / str(width)).iterdir():
            (tmp_path / str(width) / path.name.replace(".m3u8", "")).symlink_to(path)
    (tmp_path / "live").write_text(text.replace("index.m3u8?k=v", "index?k=v"))
    server = MediaHTTPServer(tmp_path)
    with running(server):
        with SampleReader(
            source(f"http://{server.address}/live?id=3", realtime=False),
            FrameProcessingConfig(0.5),
            max_size=(200, 200),
        ) as reader:
            size, found = (reader.info.width, reader.info.height), reader.source
        assert size == (320, 192)
        assert size_and_numbers(found, (200, 200)) == ((320, 192), [0, 15])
    others = {path for path in server.requests if not path.startswith(("/live?", "/320/"))}
    assert others == set()


# ---- segments ------------------------------------------------------------------------------------


def test_segments_may_be_called_anything(tmp_path: Path) -> None:
    make_playlist(tmp_path)
    text = (tmp_path / "index.m3u8").read_text()
    (tmp_path / "seg").mkdir()
    for i in range(2):
        (tmp_path / f"index{i}.ts").rename(tmp_path / "seg" / str(i))
        text = text.replace(f"index{i}.ts", f"seg/{i}?tok=1")
    (tmp_path / "index.m3u8").write_text(text)
    (tmp_path / "local.m3u8").write_text(text.replace("?tok=1", ""))
    server = MediaHTTPServer(tmp_path)
    with running(server):
        for source in (HLSSource, FileSource):
            url = f"http://{server.address}/index.m3u8"
            assert size_and_numbers(source(url), (160, 96))[1] == [0, 15]
    assert size_and_numbers(FileSource(tmp_path / "local.m3u8"), (160, 96))[1] == [0, 15]


@pytest.mark.parametrize("line", ["segment", "variant"])
def test_a_playlist_from_a_server_names_no_files(tmp_path: Path, line: str) -> None:
    make_playlist(tmp_path / "private")
    inside = (tmp_path / "private" / "index0.ts").as_uri()
    served = tmp_path / "served"
    served.mkdir()
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.5,\n{inside}\n#EXT-X-ENDLIST\n"
    if line == "variant":
        inside = (tmp_path / "private" / "index.m3u8").as_uri()
        text = f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=160x96\n{inside}\n"
    (served / "a.m3u8").write_text(text)
    server = MediaHTTPServer(served)
    with running(server):
        for source in (HLSSource, FileSource):
            with pytest.raises(SourceError):
                size_and_numbers(source(f"http://{server.address}/a.m3u8"), (160, 96))


# ---- several videos in one file ------------------------------------------------------------------


def two_videos(path: Path, default: int | None) -> Path:
    """A red video and after it a blue one, of which number ``default`` is flagged."""
    with av.open(str(path), "w") as container:
        streams: list[Any] = [container.add_stream("libx264", rate=10) for _ in range(2)]
        for i, stream in enumerate(streams):
            stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
            if default is not None:
                if not hasattr(av.stream, "Disposition"):
                    pytest.skip("this version of PyAV does not know dispositions")
                flags = av.stream.Disposition
                stream.disposition = flags.default if i == default else flags(0)
        for n in range(10):
            for stream, colour in zip(streams, (RED, BLUE), strict=True):
                frame = av.VideoFrame.from_ndarray(solid(colour), "rgb24")
                frame.pts, frame.time_base = n, Fraction(1, 10)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "default", "colour"),
    [
        ("a.mkv", 1, BLUE),
        ("a.mkv", 0, RED),
        ("a.mkv", None, RED),
        ("a.mp4", 1, BLUE),
        ("a.mp4", None, RED),
        ("a.ts", None, RED),
    ],
)
def test_of_several_videos_the_default_one_is_watched(
    tmp_path: Path, name: str, default: int | None, colour: tuple[int, int, int]
) -> None:
    path = two_videos(tmp_path / name, default)
    with SampleReader(FileSource(path), FrameProcessingConfig(0.5)) as reader:
        found = [mean_colour(sample.frames[0].data) for sample in reader]
    assert len(found) == 2
    for mean in found:
        assert mean == pytest.approx(colour, abs=12)
