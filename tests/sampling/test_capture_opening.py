"""What names a video, and what only looks like it: one sentence for each."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest
import simplejpeg
from PIL import Image

from overshoot_nb import analyze
from overshoot_nb.errors import SourceEndedError, SourceError
from overshoot_nb.local.pictures import Attachment, decode
from overshoot_nb.sampling import files, opening
from overshoot_nb.sampling.opening import close_input, open_source
from overshoot_nb.sampling.picture import over_white
from overshoot_nb.sampling.pipeline import SampleReader
from overshoot_nb.sources.kinds import FileSource, as_source, file_path
from overshoot_nb.tuning.images import ImageEncoder
from overshoot_nb.types import FrameProcessingConfig

from videos import make_video


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    make_video(path, frames=5, fps=10)
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch, clip):
    """The working folder, with a clip in it."""
    shutil.copy(clip, tmp_path / "a.mp4")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


def opened(anything) -> str:
    container, stream = open_source(as_source(anything))
    try:
        return stream.codec_context.name
    finally:
        close_input(container)


def refused(anything) -> str:
    with pytest.raises(SourceError) as caught:
        opened(anything)
    return str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "10:30:00.mp4",
        "concat:x.mp4",
        "pipe:0.mp4",
        "subfile:x.mp4",
        "file:x.mp4",
        "data:x.mp4",
        "cache:x.mp4",
        "crypto:x.mp4",
        "fd:3.mp4",
        "camera:1.mp4",
        "http:x.mp4",
        "a%20b.mp4",
        "50%.mp4",
        "#1?.mp4",
    ],
)
def test_a_name_is_a_name_whatever_ffmpeg_would_take_it_for(folder, name):
    shutil.copy("a.mp4", name)
    assert opened(name) == "h264"
    assert opened(Path(name)) == "h264"
    assert opened(FileSource(name)) == "h264"
    assert as_source(name).label == name


def test_a_users_folder_and_file_urls(folder):
    shutil.copy("a.mp4", "with space.mp4")
    for text in ("~/a.mp4", f"file:{folder}/a.mp4", f"FILE://localhost{folder}/a.mp4"):
        assert opened(text) == "h264"
        assert opened(FileSource(text)) == "h264"
    assert opened(Path("~/a.mp4")) == "h264"
    assert opened(f"file://{folder}/with%20space.mp4") == "h264"
    assert refused("~/none.mp4") == f"{folder}/none.mp4: no such file"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///C:/videos/a.mp4", "C:/videos/a.mp4"),
        ("file:/C:/videos/a.mp4", "C:/videos/a.mp4"),
        ("file://C:/videos/a.mp4", "C:/videos/a.mp4"),
        ("file:///c:/a%20b%25.mp4", "c:/a b%.mp4"),
        ("file://server/share/a.mp4", "//server/share/a.mp4"),
        ("file:///home/me/a.mp4", "/home/me/a.mp4"),
        ("file:a.mp4", "file:a.mp4"),
        ("~nobody-of-this-name/a.mp4", "~nobody-of-this-name/a.mp4"),
    ],
)
def test_paths_of_file_urls(url, path):
    assert file_path(url) == path
    assert FileSource(url).url == path


def test_what_is_no_file_is_said_in_one_sentence(folder):
    Path("many").mkdir()
    shutil.copy("a.mp4", "many/b.mp4")
    Path("none").mkdir()
    Path("loop").symlink_to("loop")
    said = {
        "many": "is a folder (a directory), and a source is one video, such as many/b.mp4. Ask",
        "none": "of which none is in it",
        "*.mp4": "is a pattern (1 file matches it), and a source is one video. Ask about one after",
        "x?.mp4": "is a pattern (no file matches it)",
        "frame_%03d.png": "is a pattern of numbered pictures",
        "screen": "FrameSource(width, height)",
        "screen:1": "the screen is no source by itself",
        "youtu.be/abc": "yt-dlp",
        "https://www.youtube.com/watch?v=abc": "is a web page that shows a video",
        "https://m.youtube.com/watch?v=abc": "yt-dlp",
        "x" * 5000: "…: is too long for the name of a file",
        "a\0b.mp4": "no file has a zero character in its name",
        "loop": "is a symbolic link that leads back to itself",
        "a.mp4/b.mp4": "no such file",
    }
    for name, words in said.items():
        message = refused(name)
        assert words in message
        assert "\n" not in message
        assert len(message) < 600
    # A file of such a name is a file.
    shutil.copy("a.mp4", "screen")
    assert opened("screen") == "h264"
    shutil.copy("a.mp4", "[1].mp4")
    assert opened("[1].mp4") == "h264"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_said(folder):
    Path("closed").mkdir()
    shutil.copy("a.mp4", "closed/a.mp4")
    Path("closed").chmod(0)
    try:
        assert "may not be read" in refused("closed/a.mp4")
    finally:
        Path("closed").chmod(0o700)
    Path("a.mp4").chmod(0)
    assert "may not be read" in refused("a.mp4")


@pytest.mark.parametrize("number", [13, 1, 5])
def test_what_the_system_says_of_a_file_is_said_in_words(number, folder, monkeypatch):
    """The rights of files do not bind root, whom many tests run as."""

    def stat(path: Path) -> os.stat_result:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(files.Path, "stat", stat)
    message = refused("a.mp4")
    assert ("may not be read" if number != 5 else "cannot be read: Input/output error") in message


# ---- named pipes ---------------------------------------------------------------------------------

pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")


@pipes
def test_a_pipe_that_nobody_writes_into_is_not_waited_for_without_end(folder, monkeypatch):
    monkeypatch.setattr(opening, "OPEN_TIMEOUT_SECONDS", 0.2)
    os.mkfifo("pipe")
    message = refused("pipe")
    assert "it is a named pipe, and nobody wrote into it for 0.2 s" in message


@pipes
def test_a_pipe_is_read_to_its_end(folder):
    make_video(folder / "b.mkv", frames=20, fps=10)
    os.mkfifo("pipe")

    def write() -> None:
        with Path("pipe").open("wb") as file:
            file.write(Path("b.mkv").read_bytes())

    writer = threading.Thread(target=write)
    writer.start()
    try:
        df = analyze("pipe", "How bright?", "local/scene", base_url="local", progress=False)
    finally:
        writer.join()
    assert len(df) == 4
    assert df["ok"].all()


@pipes
def test_a_pipe_whose_writer_falls_silent_is_broken(folder):
    make_video(folder / "b.mkv", frames=60, fps=10)
    os.mkfifo("pipe")
    over = threading.Event()

    def write() -> None:
        with Path("pipe").open("wb") as file:
            content = Path("b.mkv").read_bytes()
            file.write(content[: len(content) // 2])
            file.flush()
            over.wait(60)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.warns(match="nothing was written into the pipe for 0.3 s"):
            df = analyze(
                FileSource("pipe", timeout=0.3),
                "How bright?",
                "local/scene",
                base_url="local",
                progress=False,
            )
    finally:
        over.set()
        writer.join()
    assert 0 < len(df) < 12


# ---- transparency --------------------------------------------------------------------------------


def with_clear_ground(mode: str = "RGBA"):
    """Black on nothing, and half of a red: what lies under nothing is black."""
    image = Image.new("RGBA", (64, 32), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 16, 32))
    image.paste((255, 0, 0, 128), (48, 0, 64, 32))
    if mode == "P":
        return image.quantize(8, Image.Quantize.FASTOCTREE)
    return image.convert(mode)


def bytes_of(image, form: str) -> bytes:
    content = io.BytesIO()
    image.save(content, form, **({"lossless": True} if form == "WEBP" else {}))
    return content.getvalue()


def is_over_white(pixels) -> bool:
    black, white, red = pixels[16, 8], pixels[16, 32], pixels[16, 56]
    off = np.abs(red.astype(int) - [255, 127, 127]).max()
    return black.max() < 12 and white.min() > 243 and off < 12


@pytest.mark.parametrize(
    ("mode", "form"), [("RGBA", "PNG"), ("P", "PNG"), ("RGBA", "WEBP"), ("RGBA", "TIFF")]
)
def test_a_transparent_picture_stands_on_white_everywhere(tmp_path, mode, form):
    content = bytes_of(with_clear_ground(mode), form)
    path = tmp_path / f"picture.{form.lower()}"
    path.write_bytes(content)
    reader = SampleReader(FileSource(path), FrameProcessingConfig(1), max_size=(64, 64))
    (sample,) = list(reader)
    assert is_over_white(simplejpeg.decode_jpeg(sample.frames[0].data))

    with Image.open(path) as image:
        for anything in (content, path, image):
            encoded = ImageEncoder().frame(anything, "picture")
            assert is_over_white(simplejpeg.decode_jpeg(encoded.data))

    if form == "TIFF":  # which the engine takes from nobody
        return
    url = f"data:image/{form.lower()};base64,{base64.b64encode(content).decode()}"
    (decoded,) = decode([Attachment(url, "here", video=False)])
    assert is_over_white(decoded[..., ::-1] if decoded[16, 56, 0] < 200 else decoded)


def test_a_picture_without_transparency_keeps_its_frame():
    frame = av.VideoFrame(16, 16, "yuv420p")
    assert over_white(frame) is frame
    opaque = av.VideoFrame.from_ndarray(np.full((4, 4, 4), 255, np.uint8), "rgba")
    assert over_white(opaque) is opaque


# ---- what FFmpeg cannot read ---------------------------------------------------------------------


def test_an_animated_webp_is_said_to_be_one(tmp_path):
    frames = [Image.new("RGB", (32, 32), (60 * k, 0, 0)) for k in range(3)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=100)
    assert "it cannot read animated ones: make a GIF or a video of it" in refused(
        tmp_path / "a.webp"
    )


def test_a_video_without_a_keyframe_says_so(tmp_path):
    whole, without = tmp_path / "whole.ts", tmp_path / "without.ts"
    make_video(whole, frames=60, fps=30)
    with av.open(whole) as source, av.open(without, "w", format="mpegts") as target:
        track = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None and not packet.is_keyframe:
                packet.stream = track
                target.mux(packet)
    with pytest.raises(SourceEndedError, match="no keyframe came, without which no frame"):
        list(SampleReader(FileSource(without), FrameProcessingConfig(0.5)))


def test_an_mp4_whose_index_is_at_its_end_on_a_server_without_ranges(tmp_path):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    # More than FFmpeg keeps of what it read.
    make_video(tmp_path / "clip.mp4", frames=600, fps=30)
    content = (tmp_path / "clip.mp4").read_bytes()
    assert content.index(b"moov") > content.index(b"mdat")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        source = FileSource(f"http://127.0.0.1:{server.server_port}/clip.mp4", timeout=10)
        message = r"its index \(moov\) stands at its end, and the server gives no parts"
        with pytest.raises(SourceEndedError, match=message):
            list(SampleReader(source, FrameProcessingConfig(0.5)))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
