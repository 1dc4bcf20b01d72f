"""A real chat-completions server on loopback, whose answers a test decides.

``with ChatServer(answer) as server``: ``answer(request)`` gets the parsed body and returns the
answer's text, an :class:`Reply` for anything else, or raises :class:`Hang` to drop the connection.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hang(Exception):
    """Drop the connection without an answer."""


@dataclass
class Reply:
    body: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass
class Request:
    body: dict[str, Any]
    headers: dict[str, str]
    at: float

    @property
    def parts(self) -> list[dict[str, Any]]:
        content = self.body["messages"][-1]["content"]
        return content if isinstance(content, list) else [{"type": "text", "text": content}]

    @property
    def prompt(self) -> str:
        return next(p["text"] for p in self.parts if p["type"] == "text")

    @property
    def jpegs(self) -> list[bytes]:
        urls = [p["image_url"]["url"] for p in self.parts if p["type"] == "image_url"]
        return [base64.b64decode(url.partition(",")[2]) for url in urls]


def completion(text: str, model: str = "test/model") -> str:
    return json.dumps(
        {
            "id": f"chatcmpl-{time.monotonic_ns()}",
            "object": "chat.completion",
            "created": 1,
            "model": model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
        }
    )


class ChatServer:
    def __init__(self, answer: Callable[[Request], str | Reply], delay: float = 0.0) -> None:
        self.answer, self.delay = answer, delay
        self.requests: list[Request] = []
        self.listings: list[dict[str, str]] = []  # the header fields of each request for models
        self.in_flight = self.most_in_flight = 0
        self._lock = threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are two writes

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                owner.listings.append({n.lower(): value for n, value in self.headers.items()})
                self.reply(Reply(json.dumps({"object": "list", "data": [{"id": "test/model"}]})))

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = json.loads(self.rfile.read(length))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(body, headers, time.monotonic())
                with owner._lock:
                    owner.requests.append(request)
                    owner.in_flight += 1
                    owner.most_in_flight = max(owner.most_in_flight, owner.in_flight)
                try:
                    answer = owner.answer(request)
                    if isinstance(answer, str):
                        answer = Reply(completion(answer))
                    time.sleep(answer.delay or owner.delay)
                except Hang:
                    self.close_connection = True
                    return
                finally:
                    with owner._lock:
                        owner.in_flight -= 1
                self.reply(answer)

            def reply(self, answer: Reply) -> None:
                data = answer.body.encode()
                try:
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    self.close_connection = True  # the client gave up

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass  # clients that go away are part of the tests

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="chat-server"
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> ChatServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(60)
