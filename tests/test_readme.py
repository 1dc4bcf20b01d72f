"""README's commands are the ones that are run, and what it shows exists."""

from __future__ import annotations

import re
from pathlib import Path

import overshoot_nb

ROOT = Path(overshoot_nb.__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_ci_runs_the_second_command_as_it_stands():
    second = blocks("bash")[1].strip()
    assert (ROOT / ".ci" / "run").read_text("utf-8").strip().splitlines()[-1] == second


def test_python_examples_compile_and_name_what_exists():
    examples = blocks("python")
    assert examples
    for example in examples:
        compile(example, "README.md", "exec", flags=0x2000)  # PyCF_ALLOW_TOP_LEVEL_AWAIT
        for name in re.findall(r"overshoot_nb\.(\w+)", example):
            assert hasattr(overshoot_nb, name), name


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


def test_the_changelog_has_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert f"## {overshoot_nb.__version__}" in changelog
