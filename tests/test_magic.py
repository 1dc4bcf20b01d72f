"""The magic in a real IPython kernel, with the embedded engine behind it."""

from __future__ import annotations

import json

import pytest

from kernels import Kernel
from videos import make_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebooks")
    make_video(folder / "clip.mp4", frames=300, fps=30)
    make_video(folder / "my clip.mp4", frames=60, fps=30)
    return folder


@pytest.fixture(scope="module")
def kernel(folder):
    kernel = Kernel(str(folder))
    assert "local" not in kernel.run("%load_ext overshoot_nb")
    yield kernel
    kernel.close()


def test_the_line_gives_back_control_at_once_and_the_table_grows(kernel):
    shown = kernel.run('%overshoot clip.mp4 "How bright is it?"')
    assert "<Stream" in shown
    assert "clip.mp4" in shown
    assert kernel.run("_.is_active") == "True"
    # `_` has moved on to True; the first stream is the last `Out` that was one.
    kernel.run(
        "from overshoot_nb import Stream\n"
        "s = [value for value in Out.values() if isinstance(value, Stream)][-1]"
    )
    kernel.until("len(s.df) > 1")
    assert kernel.run("bool(s.df['ok'].all())") == "True", kernel.run("print(s.df.T)")
    assert "local/auto" in kernel.run("s.model")
    shown = kernel.run("%overshoot stop")
    assert "closed" in shown
    assert kernel.run("s.is_active") == "False"
    assert int(kernel.run("len(s.df)")) > 1


def test_the_table_grows_while_a_cell_blocks_the_kernel(kernel):
    kernel.run(
        '%overshoot clip.mp4 "How bright is it?" -o blocked --interval 0.2 --model local/scene'
    )
    shown = kernel.run(
        "import time\nbefore = len(blocked.df)\ntime.sleep(2)\nlen(blocked.df) - before"
    )
    assert int(shown) >= 3
    kernel.run("%overshoot stop blocked")


def test_the_cell_form_takes_the_prompt_from_the_body(kernel):
    kernel.run(
        "%%overshoot 'my clip.mp4' -o cell --mode clip --fps 10 --clip 0.4 --delay 1\n"
        "How bright is it?\nIs anything moving?"
    )
    assert "Is anything moving?" in kernel.run("print(cell.prompt)")
    assert kernel.run("print(cell.mode, cell.settings.processing)").startswith("clip Clip")
    assert "target_fps=10, clip_length_seconds=0.4, delay_seconds=1" in kernel.run(
        "print(cell.settings.processing)"
    )
    kernel.until("not cell.is_active")
    assert "ended" in kernel.run("cell.status")
    assert kernel.run("len(cell.df)") == "2"


def test_a_schema_comes_from_a_variable_a_file_or_the_line(kernel, folder):
    schema = {
        "type": "object",
        "properties": {"brightness": {"type": "number"}},
        "required": ["brightness"],
    }
    (folder / "schema.json").write_text(json.dumps(schema))
    kernel.run(f"answer = {schema!r}")
    for given in ("answer", "schema.json", f"'{json.dumps(schema)}'"):
        shown = kernel.run(
            f"%overshoot 'my clip.mp4' 'How bright is it?' --schema {given} -o typed"
        )
        assert "<Stream" in shown
        kernel.until("not typed.is_active")
        assert kernel.run("str(typed.df['out.brightness'].dtype)") == "'float64'"
        assert kernel.run("bool(typed.df['out.brightness'].notna().all())") == "True"


def test_a_prompt_file_says_what_to_ask(kernel, folder):
    schema = {"type": "object", "properties": {"brightness": {"type": "number"}}}
    kernel.run(
        "from overshoot_nb.store.prompts import PromptVersion\n"
        "PromptVersion(1, 'How bright is it?\\nIn numbers.', 'local/scene', "
        f"{schema!r}, 200, note='light').save('p.toml')"
    )
    shown = kernel.run("%overshoot 'my clip.mp4' --prompt-file p.toml -o kept --interval 1")
    assert "<Stream" in shown, shown
    assert kernel.run("kept.prompt") == "'How bright is it?\\nIn numbers.'"
    assert kernel.run("(kept.model, kept.settings.max_output_tokens)") == "('local/scene', 200)"
    kernel.until("not kept.is_active")
    assert kernel.run("len(kept.df)") == "2"
    assert kernel.run("bool(kept.df['out.brightness'].notna().all())") == "True"
    # The version that runs is the one that was kept.
    loaded = "PromptVersion.load('p.toml').parameters == kept.prompts[1].parameters"
    assert kernel.run(loaded) == "True"
    assert kernel.run("kept.prompts[1].note") == "'light'"


@pytest.mark.parametrize(
    ("cell", "asked"),
    [
        ("%overshoot 'my clip.mp4' 'Is it dark?' --prompt-file q.toml", "Is it dark?"),
        ("%%overshoot 'my clip.mp4' --prompt-file q.toml\nIs it dark?", "Is it dark?"),
        ("%overshoot 'my clip.mp4' --prompt-file q.toml", "How bright is it?"),
    ],
)
def test_what_is_given_beside_a_prompt_file_wins(kernel, folder, cell, asked):
    (folder / "q.toml").write_text(
        'prompt = "How bright is it?"\nmodel = "local/scene"\nmax_output_tokens = 100\n'
        """output_schema = '{"type": "object", "properties": {"a": {"type": "null"}}}'"""
    )
    kernel.run("other = {'type': 'object', 'properties': {'brightness': {'type': 'number'}}}")
    line, _, body = cell.partition("\n")
    kernel.run(f"{line} -m local/auto --schema other -o beside\n{body}".rstrip())
    assert kernel.run("print(beside.prompt)").strip() == asked
    assert kernel.run("beside.settings.output_schema == other") == "True"
    assert kernel.run("(beside.model, beside.settings.max_output_tokens)") == "('local/auto', 100)"
    kernel.run("%overshoot stop beside")


def test_expressions_expand_on_the_line(kernel):
    kernel.run("path = 'my clip.mp4'")
    kernel.run("%overshoot '{path}' 'How bright is it?' -o expanded")
    assert kernel.run("print(expanded.settings.source.label)").strip().endswith("my clip.mp4")
    kernel.run("%overshoot stop expanded")


def test_status_and_models_are_tables(kernel):
    shown = kernel.run("%overshoot status")
    assert "status" in shown
    assert "clip.mp4" in shown
    shown = kernel.run("%overshoot models")
    for name in ("local/read", "local/scene", "local/auto"):
        assert name in shown


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("%overshoot", "required: source"),
        ("%overshoot clip.mp4", "needs a prompt"),
        ("%overshoot missing.mp4 'text'", "missing.mp4"),
        ("%overshoot clip.mp4 'text' --interval 0", "interval_seconds=0"),
        ("%overshoot clip.mp4 'text' --interval 1 --fps 3", "belongs to clip mode"),
        ("%overshoot clip.mp4 'text' --mode picture", "invalid choice"),
        ("%overshoot clip.mp4 'text' --model no/such", "local/read"),
        ("%overshoot clip.mp4 'text' --schema nowhere", "no variable of this name"),
        ("%overshoot clip.mp4 'text' -o 1x", "not a name"),
        ("%overshoot clip.mp4 --prompt-file none.toml", "none.toml: No such file"),
        ("%overshoot clip.mp4 --prompt-file bad.toml", "bad.toml: unknown key 'promt'"),
        ("%overshoot clip.mp4 'unbalanced", "quotation"),
        ("%overshoot stop no-such-stream", "no-such-stream"),
        ("%overshoot status now", "takes no more words"),
        ("%%overshoot clip.mp4 'a prompt'\nanother", "has none"),
    ],
)
def test_mistakes_get_one_clear_line(kernel, folder, line, message):
    (folder / "bad.toml").write_text('model = "m"\npromt = "Read"\n')
    shown = kernel.run(line)
    assert shown.startswith("UsageError: ")
    assert message in shown
    assert "Traceback" not in shown


def test_a_run_is_recorded_and_not_over_another_by_accident(kernel, folder):
    start = (
        "%overshoot clip.mp4 'How bright is it?' -o kept --interval 0.5 --same-frame ask "
        "--record run.parquet"
    )
    assert "<Stream" in kernel.run(start)
    kernel.until("len(kept.df) > 1")
    assert kernel.run("kept.settings.same_frame") == "'ask'"
    kernel.run("%overshoot stop kept")
    kernel.run("import overshoot_nb\nloaded = overshoot_nb.load('run.parquet')")
    assert kernel.run("loaded.df.equals(kept.df) and len(loaded.df) > 1") == "True"
    refused = kernel.run(start)
    assert refused.startswith("UsageError: ")
    assert "run.parquet" in refused
    assert kernel.run("overshoot_nb.load('run.parquet').df.equals(kept.df)") == "True"
    assert "running" not in kernel.run("%overshoot status")
    assert "<Stream" in kernel.run(f"{start} --overwrite")
    kernel.run("%overshoot stop kept")
    assert "is not there" in kernel.run(f"{start[:-11]}gone/run.parquet")


def test_help_shows_every_form(kernel):
    shown = kernel.run("%overshoot --help")
    for word in (
        "--interval",
        "--fps",
        "--clip",
        "--delay",
        "--schema",
        "--model",
        "--mode",
        "--prompt-file",
        "--out",
        "--record",
        "--same-frame",
    ):
        assert word in shown


def test_the_extension_can_be_reloaded_and_unloaded(kernel):
    kernel.run("%reload_ext overshoot_nb")
    assert "status" in kernel.run("%overshoot status")
    kernel.run("%unload_ext overshoot_nb")
    assert "not found" in kernel.run("%overshoot status")
    kernel.run("%load_ext overshoot_nb")


@pytest.mark.parametrize("name", ["class", "1x", "a.b", "None"])
def test_a_name_that_no_variable_can_have_is_refused(kernel, name):
    shown = kernel.run(f'%overshoot clip.mp4 "How bright is it?" -o {name}')
    assert f"-o {name}:" in shown
    assert "not a name that a variable can have" in shown


def test_a_value_with_quotes_is_one_word_and_a_comment_is_none(kernel):
    kernel.run("asked = 'say \"yes\" or\\n\\'no\\' {now} # $x'")
    kernel.run("%overshoot clip.mp4 {asked} –o worded # it's a note")
    assert kernel.run("worded.prompt == asked, repr(worded.widget)[:21]").startswith("(True,")
    assert "<StreamWidget " in kernel.run("worded.widget.__repr__()")
    kernel.run("%overshoot stop worded")
