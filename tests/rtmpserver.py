"""A real RTMP server on loopback, as much of one as a player needs."""

from __future__ import annotations

import io
import socketserver
import struct
from collections.abc import Iterator
from typing import NamedTuple

from mediaservers import LiveServer
from videos import make_video

HANDSHAKE = 1536
CHUNK = 4096
# Kinds of messages.
SET_CHUNK_SIZE, ACKNOWLEDGEMENT, WINDOW, PEER_BANDWIDTH = 1, 3, 5, 6
VIDEO, DATA, COMMAND = 9, 18, 20


class Tag(NamedTuple):
    """An FLV tag: an RTMP message is its body."""

    kind: int
    milliseconds: int
    body: bytes


def flv_tags(frames: int, gop: int, fps: int) -> list[Tag]:
    """A barcode video as FLV tags: its metadata, the decoder's configuration, the frames."""
    file = io.BytesIO()
    options = {"x264-params": "scenecut=0", "tune": "zerolatency"}
    make_video(file, frames, fps=fps, gop=gop, b_frames=0, options=options, format="flv")
    data, at, tags = file.getvalue(), 13, []
    while at < len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        stamp = int.from_bytes(data[at + 4 : at + 7], "big")
        tags.append(Tag(data[at], stamp, data[at + 11 : at + 11 + size]))
        at += 11 + size + 4
    return tags


class RTMPServer(LiveServer):
    """Plays a barcode video to whoever asks for it.

    Attributes:
        asked: what each connection named: the application's URL, and the stream's key.
    """

    def __init__(self, key: str, breaks: list[int], frames: int = 120, fps: int = 30) -> None:
        super().__init__(_Conversation, breaks, fps)
        self.key = key
        self.asked: list[tuple[str, str]] = []
        tags = flv_tags(frames, gop=10, fps=fps)
        # A video tag whose second byte is 1 is a picture; 0 the configuration, 2 the end.
        self.pictures = [tag for tag in tags if tag.kind == VIDEO and tag.body[1] == 1]
        self.head = tags[: tags.index(self.pictures[0])]


class _Conversation(socketserver.StreamRequestHandler):
    server: RTMPServer

    def handle(self) -> None:
        version = self._read(1)
        client = self._read(HANDSHAKE)
        self.wfile.write(version + bytes(HANDSHAKE) + client)
        self._read(HANDSHAKE)
        self._send(2, SET_CHUNK_SIZE, struct.pack(">I", CHUNK), chunk=128)
        application = ""
        for kind, body in self._messages():
            if kind != COMMAND:
                continue
            name, number, *rest = amf_values(body)
            if name == "connect":
                application = rest[0]["tcUrl"]
                self._send(2, WINDOW, struct.pack(">I", 2_500_000))
                self._send(2, PEER_BANDWIDTH, struct.pack(">IB", 2_500_000, 2))
                status = {"level": "status", "code": "NetConnection.Connect.Success"}
                self._command("_result", number, {"fmsVer": "FMS/3,0,1,123"}, status)
            elif name == "createStream":
                self._command("_result", number, None, 1.0)
            elif name == "play":
                self.server.asked.append((application, rest[1]))
                if rest[1] != self.server.key:
                    failed = {"level": "error", "code": "NetStream.Play.StreamNotFound"}
                    self._command("onStatus", 0.0, None, failed | {"description": "No such one"})
                    return
                started = {"level": "status", "code": "NetStream.Play.Start"}
                self._command("onStatus", 0.0, None, started)
                self._play()
                return

    def _play(self) -> None:
        for tag in self.server.head:
            self._send(6, tag.kind, tag.body, stream=1)
        for number in self.server.turns(len(self.server.pictures)):
            tag = self.server.pictures[number]
            self._send(6, tag.kind, tag.body, stream=1, milliseconds=tag.milliseconds)

    # ---- the chunk stream ----------------------------------------------------------------------

    def _send(
        self,
        channel: int,
        kind: int,
        body: bytes,
        *,
        stream: int = 0,
        milliseconds: int = 0,
        chunk: int = CHUNK,
    ) -> None:
        head = milliseconds.to_bytes(3, "big") + len(body).to_bytes(3, "big") + bytes([kind])
        parts = [body[at : at + chunk] for at in range(0, len(body), chunk)]
        again = bytes([0xC0 | channel])
        self.wfile.write(bytes([channel]) + head + struct.pack("<I", stream) + again.join(parts))

    def _command(self, *values: object) -> None:
        self._send(3, COMMAND, b"".join(amf(value) for value in values))

    def _messages(self) -> Iterator[tuple[int, bytes]]:
        """What the client says, put together from its chunks."""
        size = 128
        lengths: dict[int, int] = {}
        kinds: dict[int, int] = {}
        bodies: dict[int, bytes] = {}
        while True:
            first = self._read(1)[0]
            form, channel = first >> 6, first & 63
            if form < 3:
                head = self._read((11, 7, 3)[form])
                if form < 2:
                    lengths[channel] = int.from_bytes(head[3:6], "big")
                    kinds[channel] = head[6]
                if head[:3] == b"\xff\xff\xff":
                    self._read(4)
            body = bodies.pop(channel, b"")
            body += self._read(min(size, lengths[channel] - len(body)))
            if len(body) < lengths[channel]:
                bodies[channel] = body
                continue
            if kinds[channel] == SET_CHUNK_SIZE:
                size = int.from_bytes(body, "big")
            yield kinds[channel], body

    def _read(self, count: int) -> bytes:
        data = self.rfile.read(count)
        if len(data) < count:
            raise EOFError
        return data


# ---- AMF0, the encoding of commands --------------------------------------------------------------


def amf(value: object) -> bytes:
    """A number, a text, None or an object of these."""
    if value is None:
        return b"\x05"
    if isinstance(value, float):
        return b"\0" + struct.pack(">d", value)
    if isinstance(value, dict):
        pairs = [_text(name) + amf(item) for name, item in value.items()]
        return b"\x03" + b"".join(pairs) + b"\0\0\x09"
    return b"\x02" + _text(str(value))


def _text(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


def amf_values(data: bytes) -> list:
    """All the values in a command."""
    values, file = [], io.BytesIO(data)
    while marker := file.read(1):
        values.append(_value(marker[0], file))
    return values


def _value(marker: int, file: io.BytesIO) -> object:
    if marker == 0:
        return struct.unpack(">d", file.read(8))[0]
    if marker == 1:
        return file.read(1) != b"\0"
    if marker == 2:
        return file.read(int.from_bytes(file.read(2), "big")).decode()
    if marker != 3:
        return None
    found = {}
    while name := file.read(int.from_bytes(file.read(2), "big")).decode():
        found[name] = _value(file.read(1)[0], file)
    file.read(1)  # the end of the object
    return found
