"""Real servers of video on loopback: HTTP with ranges and faults, RTSP over TCP."""

from __future__ import annotations

import base64
import contextlib
import http.server
import io
import itertools
import re
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import simplejpeg

from videos import HEIGHT, WIDTH, barcode, make_video, same_priority


class MediaHTTPServer(http.server.ThreadingHTTPServer):
    """Serves a folder with byte ranges; ``cut`` breaks the next answers off after that many bytes.

    ``user`` is "name:password" that every request must carry, or None.
    """

    daemon_threads = True

    def __init__(self, folder: Path, user: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Files)
        self.folder, self.user = folder, user
        self.cut: list[int] = []
        self.requests: list[str] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def answers(self) -> bool:
        """Asked at each request; False hangs up without a word."""
        return True

    def handle_error(self, request, client_address) -> None:
        """Clients that go away are no fault of the server."""


class _Files(http.server.BaseHTTPRequestHandler):
    server: MediaHTTPServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        if not self.server.answers():
            self.close_connection = True
            return
        given = self.headers.get("Authorization", "")
        if self.server.user is not None:
            wanted = "Basic " + base64.b64encode(self.server.user.encode()).decode()
            if given != wanted:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="video"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        path = self.server.folder / self.path.partition("?")[0].lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        start = 0
        if found := re.match(r"bytes=(\d+)-", self.headers.get("Range", "")):
            start = int(found.group(1))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        body = data[start:]
        if self.server.cut and path.suffix != ".m3u8":
            body = body[: self.server.cut.pop(0)]
            self.close_connection = True
        self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


class LiveHLSServer(MediaHTTPServer):
    """A live playlist of a barcode video in MPEG-TS: it slides, and has no end.

    Args:
        away: from when to when, in seconds since the first request, nothing is answered.
    """

    SEGMENT_SECONDS = 0.5
    LISTED = 4

    def __init__(self, folder: Path, frames: int = 300, away: tuple[float, float] = (0, 0)) -> None:
        super().__init__(folder)
        make_video(
            folder / "whole.m3u8",
            frames,
            gop=15,
            format="hls",
            options={"x264-params": "scenecut=0", "tune": "zerolatency"},
            container_options={"hls_time": "0.5", "hls_list_size": "0"},
        )
        lines = (folder / "whole.m3u8").read_text().split()
        self.segments = [line for line in lines if line.endswith(".ts")]
        self.away, self.began = away, 0.0

    def answers(self) -> bool:
        """Writes the playlist of this moment, unless the server is away."""
        now = time.monotonic()
        self.began = self.began or now
        if self.away[0] <= now - self.began < self.away[1]:
            return False
        last = min(len(self.segments), self.LISTED + int((now - self.began) / self.SEGMENT_SECONDS))
        head = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n"
        listed = "".join(
            f"#EXTINF:{self.SEGMENT_SECONDS},\n{name}\n"
            for name in self.segments[last - self.LISTED : last]
        )
        text = f"{head}#EXT-X-MEDIA-SEQUENCE:{last - self.LISTED}\n{listed}"
        (self.folder / "live.m3u8").write_text(text)
        return True


#: For each codec: its encoder, and how to have it put all that a decoder needs into the stream.
ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    "h264": ("libx264", {"x264-params": "repeat-headers=1:scenecut=0", "tune": "zerolatency"}),
    "hevc": (
        "libx265",
        {
            "x265-params": "log-level=none:repeat-headers=1:scenecut=0",
            "tune": "zerolatency",
            "preset": "ultrafast",
        },
    ),
}


def nal_units(frames: int, gop: int, codec: str = "h264") -> list[list[bytes]]:
    """The NAL units of each frame of a barcode video."""
    file = io.BytesIO()
    encoder, options = ENCODERS[codec]
    make_video(file, frames, codec=encoder, gop=gop, b_frames=0, options=options, format=codec)
    file.seek(0)
    with av.open(file, format=codec) as container:
        packets = [bytes(p) for p in container.demux(video=0) if p.size]
    return [
        [unit.rstrip(b"\0") for unit in re.split(b"\0\0\0?\1", packet) if unit]
        for packet in packets
    ]


class LiveServer(socketserver.ThreadingTCPServer):
    """Sends a video at its own pace to each connection.

    Args:
        conversation: what a connection does.
        breaks: frames after which the first, second, ... connection is dropped; later ones go on
            to the end of the video and then stay open and silent.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self, conversation: type[socketserver.BaseRequestHandler], breaks: list[int], fps: float
    ) -> None:
        super().__init__(("127.0.0.1", 0), conversation)
        self.breaks, self.fps = breaks, fps
        self.connections = 0
        #: Monotonic time at which each frame of each connection was due, and not sent before.
        self.due: dict[tuple[int, int], float] = {}
        self.stopping = threading.Event()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def turns(self, frames: int) -> Iterator[int]:
        """The number of each frame when it is to be sent; ends where the connection does."""
        connection = self.connections
        self.connections += 1
        stop_after = self.breaks[connection] if connection < len(self.breaks) else None
        began = time.monotonic()
        for number in range(frames):
            if number == stop_after:
                return
            if self.stopping.wait(max(0, began + number / self.fps - time.monotonic())):
                return
            self.due[connection, number] = began + number / self.fps
            yield number
        self.stopping.wait(60)

    def handle_error(self, request, client_address) -> None:
        """Clients that go away are no fault of the server."""


class RTSPServer(LiveServer):
    """Sends a barcode video as RTP inside the RTSP connection, which asks for ``user``."""

    def __init__(
        self,
        user: str,
        breaks: list[int],
        frames: int = 120,
        fps: int = 30,
        codec: str = "h264",
    ) -> None:
        super().__init__(_Conversation, breaks, fps)
        self.user = user
        self.encoding = {"h264": "H264", "hevc": "H265"}[codec]
        self.video = nal_units(frames, 10, codec)


class _Conversation(socketserver.StreamRequestHandler):
    server: RTSPServer

    def handle(self) -> None:
        while request := self._request():
            method, headers = request
            wanted = "Basic " + base64.b64encode(self.server.user.encode()).decode()
            if method != "OPTIONS" and headers.get("authorization") != wanted:
                self._answer(headers, "401 Unauthorized", 'WWW-Authenticate: Basic realm="camera"')
            elif method == "DESCRIBE":
                sdp = (
                    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\n"
                    f"m=video 0 RTP/AVP 96\r\na=rtpmap:96 {self.server.encoding}/90000\r\n"
                    "a=control:track\r\n"
                )
                self._answer(headers, "200 OK", "Content-Type: application/sdp", body=sdp)
            elif method == "SETUP":
                transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"
                self._answer(headers, "200 OK", transport, "Session: 1")
            elif method == "PLAY":
                self._answer(headers, "200 OK", "Session: 1")
                self._play()
                return
            else:
                self._answer(headers, "200 OK", "Public: DESCRIBE, SETUP, PLAY, TEARDOWN")

    def _request(self) -> tuple[str, dict[str, str]] | None:
        line = self.rfile.readline().decode()
        headers = {}
        while (text := self.rfile.readline().decode().strip()) != "":
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        return (line.split()[0], headers) if line.strip() else None

    def _answer(self, asked: dict[str, str], status: str, *lines: str, body: str = "") -> None:
        head = [f"RTSP/1.0 {status}", f"CSeq: {asked['cseq']}", *lines]
        head += [f"Content-Length: {len(body)}"]
        self.wfile.write(("\r\n".join(head) + "\r\n\r\n" + body).encode())

    def _play(self) -> None:
        server = self.server
        connection, sequence = server.connections, 0
        for number in server.turns(len(server.video)):
            units = server.video[number]
            stamp = (connection * 1_000_000 + number * 90000 // server.fps) & 0xFFFFFFFF
            for i, unit in enumerate(units):
                marker = 0x80 if i == len(units) - 1 else 0
                rtp = struct.pack(">BBHII", 0x80, 96 | marker, sequence & 0xFFFF, stamp, 7) + unit
                self.wfile.write(struct.pack(">BBH", 0x24, 0, len(rtp)) + rtp)
                sequence += 1
        self.connection.shutdown(socket.SHUT_RDWR)


class MJPEGServer(LiveServer):
    """A camera's pictures over http, one part of an endless multipart body each.

    The body has no length, and the parts none either where ``lengths`` is False.
    """

    def __init__(
        self,
        breaks: list[int] | None = None,
        frames: int = 40,
        fps: float = 10,
        *,
        lengths: bool = True,
    ) -> None:
        super().__init__(_Pictures, breaks or [], fps)
        self.jpegs = [
            simplejpeg.encode_jpeg(barcode(n), quality=85, colorspace="RGB") for n in range(frames)
        ]
        self.lengths = lengths


class _Pictures(socketserver.StreamRequestHandler):
    server: MJPEGServer

    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        server = self.server
        kind = "multipart/x-mixed-replace; boundary=--picture"
        self.wfile.write(f"HTTP/1.0 200 OK\r\nContent-Type: {kind}\r\n\r\n--picture\r\n".encode())
        for number in server.turns(len(server.jpegs)):
            jpeg = server.jpegs[number]
            length = f"Content-Length: {len(jpeg)}\r\n" if server.lengths else ""
            head = f"Content-Type: image/jpeg\r\n{length}\r\n".encode()
            # The boundary follows at once, so that its end is known.
            self.wfile.write(head + jpeg + b"\r\n--picture\r\n")


class TSServer(LiveServer):
    """Endless MPEG-TS over http: the parts of a video, at their own pace, to each connection."""

    def __init__(self, parts: list[list[bytes]], breaks: list[int], fps: int) -> None:
        super().__init__(_Parts, breaks, fps)
        self.parts = [packet for part in parts for packet in part]


class _Parts(socketserver.StreamRequestHandler):
    server: TSServer

    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
        for number in self.server.turns(len(self.server.parts)):
            self.wfile.write(self.server.parts[number])


def ts_parts(numbers: range, begin: int, gop: int = 10, fps: int = 30) -> list[bytes]:
    """A barcode video as MPEG-TS, a part for each frame; ``begin``: of its clock, in seconds."""
    file = io.BytesIO()
    sizes: list[int] = []
    with (
        same_priority(),
        av.open(file, "w", format="mpegts", options={"flush_packets": "1"}) as out,
    ):
        stream = out.add_stream("libx264", rate=fps, options={"tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.gop_size = gop
        for i, number in enumerate(numbers):
            frame = av.VideoFrame.from_ndarray(barcode(number), "rgb24")
            frame.pts, frame.time_base = begin * fps + i, Fraction(1, fps)
            out.mux(stream.encode(frame))
            sizes.append(file.tell())
    data = file.getvalue()
    return [data[a:b] for a, b in itertools.pairwise([0, *sizes[:-1], len(data)])]


class BodyServer(LiveServer):
    """Answers every request with one body, in the way that the path names.

    /eof: no length, the connection is closed at its end; /chunked: in chunks; /length: with its
    length. ``-cut`` after it ends the body in its middle, ``-edge`` between two chunks; ``-close``
    says so of the connection.

    Attributes:
        requests: the paths asked for.
    """

    def __init__(self, body: bytes, kind: str = "video/mp2t") -> None:
        super().__init__(_Body, [], 1)
        self.body, self.kind = body, kind
        self.requests: list[str] = []


class _Body(socketserver.StreamRequestHandler):
    server: BodyServer

    def handle(self) -> None:
        path = self.rfile.readline().split()[1].decode().partition("?")[0].lstrip("/")
        while self.rfile.readline().strip():
            pass
        self.server.requests.append(path)
        how, *more = path.split("-")
        body = self.server.body
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {self.server.kind}\r\n"
        head += "Transfer-Encoding: chunked\r\n" if how == "chunked" else ""
        head += f"Content-Length: {len(body)}\r\n" if how == "length" else ""
        head += "Connection: close\r\n" if "close" in more else ""
        self.wfile.write(head.encode() + b"\r\n")
        whole = "cut" not in more and "edge" not in more
        body = body if whole else body[: len(body) // 2]
        if how != "chunked":
            self.wfile.write(body)
            return
        for at in range(0, len(body), 4000):
            part = body[at : at + 4000]
            size = len(part) + 100 if "cut" in more and at + 4000 >= len(body) else len(part)
            self.wfile.write(
                f"{size:x}\r\n".encode() + part + (b"\r\n" if size == len(part) else b"")
            )
        if whole:
            self.wfile.write(b"0\r\n\r\n")


@contextlib.contextmanager
def running(server: MediaHTTPServer | LiveServer) -> Iterator[None]:
    """Serves from a thread until the end of the block."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        if isinstance(server, LiveServer):
            server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()
