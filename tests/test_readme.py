"""README's and the pages' commands are the ones that are run, and what they show exists."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import overshoot_nb
from overshoot_nb import demo

from kernels import Kernel

ROOT = Path(overshoot_nb.__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_ci_runs_the_second_command_as_it_stands():
    second = blocks("bash")[1].strip()
    assert (ROOT / ".ci" / "run").read_text("utf-8").strip().splitlines()[-1] == second


def test_readme_is_short():
    assert len(README.split()) <= 1000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_examples_compile_and_name_what_exists(page):
    for example in blocks("python", page.read_text("utf-8")):
        compile(example, page.name, "exec", flags=0x2000)  # PyCF_ALLOW_TOP_LEVEL_AWAIT
        for name in re.findall(r"overshoot_nb\.(\w+)", example):
            assert hasattr(overshoot_nb, name), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


#: What a reader waits for before the next example.
WAITS = {
    2: "stream = overshoot_nb.watch('clip.mp4', 'Read', 'local/read')\n"
    "import time\nwhile len(stream.df) < 13: time.sleep(0.1)",
}


def test_readme_s_examples_run_one_after_another(tmp_path):
    shutil.copy(demo.video(), tmp_path / "clip.mp4")
    kernel = Kernel(str(tmp_path))
    try:
        for number, example in enumerate(blocks("python"), 1):
            for code in (example, WAITS.get(number, "")):
                sent = kernel.messages(code, timeout=300)
                assert not [said for kind, said in sent if kind == "error"], (example, sent)
        assert kernel.run("len(run.df) >= 13") == "True"
        assert (tmp_path / "annotated.mp4").stat().st_size > 10_000
    finally:
        kernel.close()


def test_the_changelog_has_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert f"## {overshoot_nb.__version__}" in changelog
