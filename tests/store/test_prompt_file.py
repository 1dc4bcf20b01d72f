"""A prompt version as a TOML file, and as the cell that starts a stream with it."""

from __future__ import annotations

import ast
import asyncio
import json
import subprocess
import tempfile
import tomllib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import overshoot_nb
from overshoot_nb.errors import ValidationError
from overshoot_nb.settings.stream_settings import StreamSettings
from overshoot_nb.store.prompts import PromptVersion

from chatserver import ChatServer
from videos import make_video

SCHEMA = {
    "type": "object",
    "properties": {"clock": {"type": ["string", "null"], "pattern": "^\\d+:\\d\\d$"}},
    "required": ["clock"],
    "default": None,
}

# Whatever a prompt may hold: not blank, and no half of a surrogate pair.
characters = st.characters(exclude_categories=("Cs",))
texts = st.one_of(
    st.text(characters, min_size=1),
    st.text(st.sampled_from("\"'\\ \t\n\ra😀\u200d\x00\x7f\u2028"), min_size=1),
).filter(str.strip)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(characters), inner),
    max_leaves=5,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "prompt.toml"


def kept(version: PromptVersion) -> PromptVersion:
    with tempfile.TemporaryDirectory() as folder:
        version.save(Path(folder) / "p.toml")
        return PromptVersion.load(Path(folder) / "p.toml")


@given(texts, texts, st.text(characters))
@example('"""', "m", "")
@example("'''\\\"", "m", "'")
@example('Say ""', "m", '"')
@example("  both ends \t\n\n", "m", "\n")
@example("carriage\r\nreturns\r", "m", "a\tb")
@example("a backslash at the end of a line \\\nand one more\\", "m", "")
@example("👩‍🚀 \ufeff\u202e", "m", "")
def test_any_text_comes_back_exactly(text, model, note):
    loaded = kept(PromptVersion(7, text, model, note=note))
    assert (loaded.text, loaded.model, loaded.note) == (text, model, note)


@hypothesis.settings(deadline=None)  # the first check of a schema loads its library
@given(st.dictionaries(st.text(characters), json_values))
def test_any_schema_comes_back_exactly(extension):
    schema = {"type": "object", "examples": [extension]}
    loaded = kept(PromptVersion(1, "Read", "m", schema, 300, 0.1))
    assert json.dumps(loaded.output_schema) == json.dumps(schema)
    assert (loaded.max_output_tokens, loaded.temperature) == (300, 0.1)


def test_the_file_reads_well(path):
    PromptVersion(
        3, 'Read the "home" clock.\nSay null where there is none.\n', "m/a", SCHEMA, 300, 0.5,
        note="clocks only",
    ).save(path)  # fmt: skip
    assert path.read_text("utf-8").partition("\n")[2] == (
        'note = "clocks only"\n'
        'model = "m/a"\n'
        "max_output_tokens = 300\n"
        "temperature = 0.5\n"
        "\n"
        'prompt = """\n'
        'Read the "home" clock.\n'
        "Say null where there is none.\n"
        '"""\n'
        "\n"
        "output_schema = '''\n"
        f"{json.dumps(SCHEMA, indent=2)}\n"
        "'''\n"
    )


def test_what_is_the_servers_own_choice_is_not_in_the_file(path):
    PromptVersion(1, "Read", "m").save(path)
    assert list(tomllib.loads(path.read_text("utf-8"))) == ["model", "prompt"]


def test_no_line_ends_in_white_space_which_editors_take_away(path):
    text = "one \ntwo\t\nthree "
    PromptVersion(1, text, "m", note="x ").save(path)
    assert not [line for line in path.read_text("utf-8").splitlines() if line != line.rstrip()]
    assert PromptVersion.load(path).text == text


def test_line_ends_of_windows_in_the_file_are_no_part_of_the_prompt(path):
    PromptVersion(1, "one\ntwo\r\n", "m").save(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert PromptVersion.load(path).text == "one\ntwo\r\n"


@pytest.mark.parametrize(
    "version",
    [
        PromptVersion(1, "half \ud83d", "m"),
        PromptVersion(1, "Read", "m\udc00"),
        PromptVersion(1, "Read", "m", note="\udfff"),
        PromptVersion(1, "Read", "m", {"type": "string", "title": "\ud800"}),
    ],
)
def test_lone_surrogates_are_refused_and_the_file_is_left_alone(version, path):
    path.write_text("as it was")
    with pytest.raises(ValidationError, match="UTF-8"):
        version.save(path)
    assert path.read_text() == "as it was"


HEAD = 'model = "m"\nprompt = "Read"\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEAD + 'promt = "x"', "unknown key 'promt': did you mean prompt?"),
        (HEAD + "interval_seconds = 2", "unknown key 'interval_seconds': it may have note, model"),
        (
            HEAD + "[output_schema]\ntype = 'object'",
            "output_schema is not valid: it must be text .a JSON",
        ),
        (HEAD + "output_schema = '{'", "output_schema is not valid: .*JSON text"),
        (HEAD + "output_schema = '[]'", "output_schema is not valid: a JSON schema is an object"),
        (HEAD + """output_schema = '{"type": "text"}'""", r"output_schema .* at \$.type"),
        (HEAD + """output_schema = '{"const": NaN}'""", "output_schema cannot be written as JSON"),
        (HEAD + "max_output_tokens = 1.5", "max_output_tokens=1.5"),
        (HEAD + "max_output_tokens = true", "max_output_tokens=True"),
        (HEAD + "temperature = 3", "temperature=3"),
        (HEAD + 'temperature = "warm"', "temperature='warm'"),
        (HEAD + "temperature = nan", "temperature=nan"),
        (HEAD + "note = 5", "note is not valid: it must be text, not int"),
        ('model = "m"\nprompt = ["Read"]', "prompt is not valid: it must be text, not list"),
        ('model = "m"\nprompt = " "', "prompt=' '"),
        ('model = "m"', "the key 'prompt' is missing"),
        ('prompt = "Read"', "the key 'model' is missing"),
        ("Read the signs", "no TOML: .*line 1"),
        (HEAD + HEAD, "no TOML"),
        ("a = " + "[" * 5_000, "no TOML"),
        (b"\x00\x00\x00\x18ftypmp42\xff\xfe", "not UTF-8"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_path_and_key(content, message, path):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValidationError, match=message) as caught:
        PromptVersion.load(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_video_is_not_read_to_its_end(path):
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ValidationError, match="no prompt file"):
        PromptVersion.load(path)
    with pytest.raises(ValidationError, match="too long"):
        PromptVersion(1, "x" * (17 * 2**20), "m").save(path.with_name("other"))


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        PromptVersion.load(tmp_path / "none.toml")
    with pytest.raises(FileNotFoundError):
        PromptVersion(1, "Read", "m").save(tmp_path / "none" / "p.toml")


def test_git_shows_a_changed_word_as_a_changed_line(path):
    version = PromptVersion(1, "Read the clock.\nSay nothing else.", "m", SCHEMA)
    version.save(path)
    path.rename(path.with_name("old.toml"))
    replace(version, version=2, text=version.text.replace("nothing", "little")).save(path)
    diff = subprocess.run(
        ["git", "diff", "--no-index", "--stat", "--", "old.toml", "prompt.toml"],
        cwd=path.parent,
        capture_output=True,
        text=True,
    )
    assert "1 insertion(+), 1 deletion(-)" in diff.stdout


# ---- as code -------------------------------------------------------------------------------------


def executed(code: str, **names: object) -> StreamSettings:
    """The settings that a cell would start a stream with. Nothing is watched."""
    started: list[StreamSettings] = []

    class Clients(overshoot_nb.Overshoot):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.streams.start = self.note  # type: ignore[method-assign]

        async def note(self, settings, *_):
            started.append(settings)

    names = {"overshoot_nb": overshoot_nb, **names}
    compiled = compile(code, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overshoot_nb, "Overshoot", Clients)
        asyncio.run(eval(compiled, names))
    return started[0]


def version_of(settings: StreamSettings, **fields: object) -> PromptVersion:
    asked = {name: getattr(settings, name) for name in ("max_output_tokens", "temperature")}
    asked |= {"model": settings.model, "output_schema": settings.output_schema}
    return PromptVersion(4, settings.prompt, **{**asked, "_settings": settings, **fields})


frames = [np.zeros((8, 8, 3), np.uint8)]


@pytest.mark.parametrize(
    ("source", "parameters"),
    [
        ("clip.mp4", {}),
        ("C:\\videos\\new.mp4", {"interval_seconds": 2}),
        ("it's a \"clip\".mp4", {"temperature": 0.0, "max_output_tokens": 50}),
        ("clip.mp4", {"mode": "clip"}),
        ("clip.mp4", {"target_fps": 10, "clip_length_seconds": 0.4, "clip_encoding": "video"}),
        ("clip.mp4", {"output_schema": SCHEMA, "response_format": "json_object"}),
        ("clip.mp4", {"output_schema": {"title": "x" * 90, "enum": [["y" * 90], None, True, 1]}}),
        ("clip.mp4", {"max_size": (640, 360), "jpeg_quality": 60, "keep_frames": False}),
        ("clip.mp4", {"realtime": False, "max_in_flight": 8}),
        ("clip.mp4", {"max_output_tokens": np.int64(5), "interval_seconds": np.float64(2.5)}),
        (overshoot_nb.FileSource("camera", loop=True, timeout=9), {}),
        (overshoot_nb.FileSource(" spaced.mp4"), {}),
        (overshoot_nb.FileSource("https://example.com/list.m3u8"), {}),
        (overshoot_nb.FileSource("udp://example.com"), {}),
        ("rtsp://example.com/door", {"transport": "native"}),
        ("rtmp://example.com/live", {}),
        (overshoot_nb.HLSSource("https://example.com/list.m3u8", timeout=5), {}),
        (0, {}),
        ("camera", {}),
        (overshoot_nb.CameraSource("FaceTime HD", 640, 480), {"max_in_flight": 2}),
    ],
)  # fmt: skip
def test_the_code_starts_a_stream_of_the_same_settings(source, parameters):
    built = StreamSettings.build(source, 'Read "it"\r\n\tand \\d\x00', "m/a", **parameters)
    code = version_of(built, note="first\rimport nothing").as_code()
    assert executed(code) == built
    ast.parse(code.replace("await ", ""))
    assert max(map(len, code.splitlines())) < 130


def test_numbers_are_written_as_pythons_own():
    given = {"max_output_tokens": np.int64(5), "interval_seconds": Fraction(5, 2)}
    code = version_of(StreamSettings.build("clip.mp4", "Read", "m", **given)).as_code()
    assert "    max_output_tokens=5,\n    interval_seconds=2.5,\n" in code


def test_defaults_are_left_out():
    built = StreamSettings.build("clip.mp4", "Read", "m")
    assert version_of(built).as_code() == (
        "import overshoot_nb\n"
        "\n"
        "# Prompt version 4\n"
        "stream = await overshoot_nb.Overshoot().streams.create(\n"
        '    "clip.mp4",\n'
        '    "Read",\n'
        '    "m",\n'
        ")\n"
    )


def test_pictures_of_a_program_are_its_own_to_give():
    built = StreamSettings.build(overshoot_nb.ArraySource(frames, fps=5), "Read", "m")
    taken = executed(version_of(built).as_code(), frames=frames)
    assert (taken.source.frames, taken.source.fps) == (frames, 5)
    assert replace(taken, source=built.source) == built
    pushed = StreamSettings.build(overshoot_nb.FrameSource(64, 48), "Read", "m")
    taken = executed(version_of(pushed).as_code())
    assert (taken.source.width, taken.source.height) == (64, 48)


def test_a_version_from_a_file_takes_its_source_from_a_variable(path):
    PromptVersion(1, "Read", "m", SCHEMA).save(path)
    code = PromptVersion.load(path).as_code()
    taken = executed(code, source="clip.mp4")
    assert taken == StreamSettings.build("clip.mp4", "Read", "m", output_schema=SCHEMA)


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("rtsp://user:hunter2@example.com/door?token=hunter2", "rtsp://example.com/door?token=…"),
        ("rtmp://example.com/live/hunter2", "rtmp://example.com/live/…"),
        ("https://example.com/clip.mp4?sig=hunter2", "https://example.com/clip.mp4?sig=…"),
        (overshoot_nb.LiveKitSource("wss://example.com", "hunter2"), "wss://example.com"),
    ],
)
def test_secrets_are_left_out_and_said_to_be(source, left):
    built = StreamSettings.build(source, "Read", "m")
    code = version_of(built).as_code()
    assert "hunter2" not in code
    assert "left out" in code
    assert left in code
    assert executed(code).source.url == left
    assert "hunter2" not in repr(version_of(built))


def test_the_code_of_a_stream_asks_the_same_server(tmp_path):
    video = make_video(tmp_path / "clip.mp4", frames=20, fps=10)

    async def watch():
        async with overshoot_nb.Overshoot("key-hunter2", base_url=server.url) as client:
            stream = await client.streams.create(str(video), "Read", "m", interval_seconds=1)
            await stream.wait(60)
            return stream

    async def run(code: str) -> list[str]:
        names: dict = {}
        await eval(compile(code, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
        await names["stream"].wait(60)
        return list(names["stream"].df["result"])

    with ChatServer(lambda _: "12:34") as server:
        stream = asyncio.run(watch())
        code = stream.prompts[1].as_code()
        assert f'overshoot_nb.Overshoot(base_url="{server.url}")' in code
        assert asyncio.run(run(code)) == ["12:34", "12:34"]
    assert executed(code) == stream.settings

    tried = stream.prompts.version_of(text="Look", temperature=0.5)
    assert executed(tried.as_code()) == replace(stream.settings, prompt="Look", temperature=0.5)
    secret = server.url.replace("//", "//user:hunter2@")
    hidden = replace(tried, _base_url=secret).as_code()
    assert "Secrets of the server's URL are left out" in hidden
    assert "hunter2" not in code + hidden + repr(tried)
