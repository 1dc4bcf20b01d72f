"""Header fields of http sources: sent with every request, and shown nowhere."""

from __future__ import annotations

import contextlib
import pickle
import threading
import traceback
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import av
import pytest

import overshoot_nb
from overshoot_nb import FileSource, HLSSource, analyze
from overshoot_nb.errors import SourceError, ValidationError
from overshoot_nb.settings.stream_settings import StreamSettings
from overshoot_nb.store.prompts import PromptVersion

from videos import make_video

COOKIE = "session=0123456789abcdef"
HEADERS = {"Cookie": COOKIE, "User-Agent": "mine/1"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server that gives its files to who sends the cookie; and what it was asked for."""
    folder = tmp_path_factory.mktemp("site")
    make_video(folder / "clip.mp4", frames=30, fps=10)
    make_video(folder / "clip.ts", frames=30, fps=10)
    with (
        av.open(folder / "clip.ts") as source,
        av.open(
            folder / "list.m3u8", "w", format="hls", options={"hls_time": "1", "hls_list_size": "0"}
        ) as target,
    ):
        track = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = track
                target.mux(packet)
    (folder / "master.m3u8").write_text(
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=64x48\nlist.m3u8\n"
    )
    asked: list[tuple[str, str, str]] = []

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, directory=str(folder), **kwargs)  # type: ignore[arg-type]

        def do_GET(self) -> None:
            cookie, agent = self.headers.get("Cookie", ""), self.headers.get("User-Agent", "")
            asked.append((self.path, cookie, agent))
            if self.path == "/away.mp4":
                self.send_response(302)
                self.send_header("Location", "/clip.mp4")
                self.end_headers()
            elif cookie != COOKIE:
                self.send_error(403)
            else:
                with contextlib.suppress(OSError):
                    super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked, folder
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("name", ["clip.mp4", "away.mp4", "list.m3u8", "master.m3u8"])
def test_they_go_with_every_request(guarded, name):
    url, asked, _ = guarded
    asked.clear()
    df = analyze(
        f"{url}/{name}",
        "How bright?",
        "local/scene",
        base_url="local",
        progress=False,
        headers=HEADERS,
    )
    assert len(df) == 6
    assert df["ok"].all()
    assert {(cookie, agent) for _, cookie, agent in asked} == {(COOKIE, "mine/1")}
    if name.endswith(".m3u8"):
        assert any(path.endswith(".ts") for path, _, _ in asked)


@pytest.fixture
def elsewhere(guarded):
    """Two servers, the first of which sends everything on to the other; what both were sent."""
    folder = guarded[2]
    seen: dict[str, list[tuple[str, set[str]]]] = {"home": [], "away": []}

    class Away(SimpleHTTPRequestHandler):
        which = "away"

        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, directory=str(folder), **kwargs)  # type: ignore[arg-type]

        def do_GET(self) -> None:
            sent = {name for name, value in self.headers.items() if "0123456789abcdef" in value}
            seen[self.which].append((self.path, sent))
            with contextlib.suppress(OSError):
                self.answer()

        def answer(self) -> None:
            super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    class Home(Away):
        which = "home"

        def answer(self) -> None:
            if self.path == "/own.m3u8":
                self.path = "/list.m3u8"
                SimpleHTTPRequestHandler.do_GET(self)
                return
            self.send_response(302)
            self.send_header("Location", f"{away_url}{self.path}")
            self.end_headers()

    away = ThreadingHTTPServer(("127.0.0.1", 0), Away)
    away_url = f"http://127.0.0.1:{away.server_port}"
    home = ThreadingHTTPServer(("127.0.0.1", 0), Home)
    threads = [threading.Thread(target=server.serve_forever) for server in (away, home)]
    for thread in threads:
        thread.start()
    yield f"http://127.0.0.1:{home.server_port}", seen
    for server in (home, away):
        server.shutdown()
        server.server_close()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("name", ["clip.mp4", "list.m3u8", "master.m3u8"])
def test_another_server_is_sent_none_of_them(elsewhere, name):
    url, seen = elsewhere
    secrets = HEADERS | {"Authorization": "Bearer 0123456789abcdef", "X-Key": "0123456789abcdef"}
    df = analyze(
        f"{url}/{name}",
        "How bright?",
        "local/scene",
        base_url="local",
        progress=False,
        headers=secrets,
    )
    assert df["ok"].all()
    assert {frozenset(sent) for _, sent in seen["home"]} == {
        frozenset({"Cookie", "Authorization", "X-Key"})
    }
    assert seen["away"]
    assert all(not sent for _, sent in seen["away"])


def test_a_segment_that_is_elsewhere_is_sent_no_cookie(elsewhere):
    url, seen = elsewhere
    df = analyze(
        f"{url}/own.m3u8",
        "How bright?",
        "local/scene",
        base_url="local",
        progress=False,
        headers=HEADERS,
    )
    assert df["ok"].all()
    assert any(path.endswith(".ts") and "Cookie" in sent for path, sent in seen["home"])
    assert any(path.endswith(".ts") for path, _ in seen["away"])
    assert all(not sent for _, sent in seen["away"])


def test_without_them_it_is_refused_and_they_show_nowhere(guarded):
    url, *_ = guarded
    with pytest.raises(SourceError, match="403"):
        analyze(f"{url}/clip.mp4", "?", base_url="local", progress=False)
    wrong = {"Cookie": f"{COOKIE}-wrong"}
    with pytest.raises(SourceError, match="403") as caught:
        analyze(f"{url}/clip.mp4", "?", base_url="local", progress=False, headers=wrong)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    del shown.stack[0]  # this frame, whose cookie it is
    assert COOKIE not in "".join(shown.format())


def test_a_source_shows_and_keeps_none(guarded, tmp_path):
    url, *_ = guarded
    for source in (
        FileSource(f"{url}/clip.mp4", headers=HEADERS),
        HLSSource(f"{url}/list.m3u8", headers=HEADERS),
    ):
        assert source.headers == tuple(HEADERS.items())
        assert hash(source) == hash(source)
        assert COOKIE not in repr(source) + repr(source.headers) + source.label
        assert COOKIE.encode() not in pickle.dumps(source)
        again = pickle.loads(pickle.dumps(source))
        with pytest.raises(SourceError, match="stands in its headers where a secret was left out"):
            analyze(again, "?", base_url="local", progress=False)
        settings = StreamSettings.build(source, "?", "m")
        code = PromptVersion(1, "?", "m", _settings=settings).as_code()
        assert "header fields are left out" in code
        assert COOKIE not in code
    path = tmp_path / "run.parquet"
    analyze(
        FileSource(f"{url}/clip.mp4", headers=HEADERS),
        "How bright?",
        base_url="local",
        progress=False,
        record=path,
    )
    assert COOKIE.encode() not in path.read_bytes()
    assert overshoot_nb.load(path).settings.source.label == f"{url}/clip.mp4"


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"a b": "c"}, "no name of a header field"),
        ({"a": 3}, "must be text, not int"),
        ({"a": f"{COOKIE}\r\nb: c"}, "characters that a header cannot carry"),
        (["a"], "must be a mapping"),
    ],
)
def test_what_cannot_be_sent_is_refused(headers, said):
    for make in (FileSource, HLSSource):
        with pytest.raises(ValidationError, match=said) as caught:
            make("http://camera.local/a.m3u8", headers=headers)
        assert COOKIE not in str(caught.value)


def test_a_file_has_none(tmp_path):
    with pytest.raises(ValidationError, match="no http"):
        FileSource(tmp_path / "a.mp4", headers=HEADERS)
