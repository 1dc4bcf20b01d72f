"""What is shipped: real wheels and a real sdist, built from a copy of this checkout."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

import overshoot_nb

ROOT = Path(overshoot_nb.__file__).parent.parent
STATIC = "overshoot_nb/widget/static"
LEFT_BEHIND = shutil.ignore_patterns(
    ".*_cache", ".git", ".hypothesis", ".venv*", "__pycache__", "dist", "static", "PKG-INFO"
)


def copy_file(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def build(folder: Path, *targets: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run hatchling, which fetches nothing, in ``folder``."""
    options = [option for target in targets for option in ("-t", target)]
    return subprocess.run(
        [sys.executable, "-m", "hatchling", "build", *options],
        cwd=folder,
        env=os.environ if path is None else {**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    copy = tmp_path_factory.mktemp("packaging") / "checkout"
    shutil.copytree(ROOT, copy, ignore=LEFT_BEHIND, copy_function=copy_file, symlinks=True)
    return copy


@pytest.fixture(scope="module")
def built(checkout):
    """The folder with a wheel and an sdist of this checkout."""
    done = build(checkout, "sdist", "wheel")
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout / "dist"


def test_the_wheel_holds_the_front_end_and_nothing_of_the_workshop(built, checkout):
    (wheel,) = built.glob("*.whl")
    files = contents(wheel)
    shipped = {name: data for name, data in files.items() if name.startswith(STATIC)}
    made_now = {f"{STATIC}/{p.name}": p.read_bytes() for p in (checkout / STATIC).iterdir()}
    assert shipped == made_now
    assert b"export" in shipped[f"{STATIC}/widget.js"]
    assert min(map(len, shipped.values())) > 1000
    assert "overshoot_nb/py.typed" in files
    assert "overshoot_nb/notebooks/quickstart.ipynb" in files
    tops = {name.split("/")[0] for name in files}
    assert tops == {"overshoot_nb", f"overshoot_nb-{overshoot_nb.__version__}.dist-info"}
    assert [n for n in files if "node_modules" in n or n.endswith((".ts", ".map"))] == []


def test_a_wheel_made_from_the_sdist_needs_no_node(built, tmp_path):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    done = build(unpacked, "wheel", path=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    (from_sdist,), (direct,) = (unpacked / "dist").glob("*.whl"), built.glob("*.whl")
    assert contents(from_sdist) == contents(direct)


def test_the_sdist_holds_what_builds_and_tests_it(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    sources = ("js/src", "js/tests", "tests", "benchmarks", "notebooks")
    wanted = {
        path.relative_to(ROOT).as_posix()
        for folder in sources
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".ts", ".css", ".ipynb")
        and not {".ipynb_checkpoints", "artifacts"} & set(path.parts)
    }
    wanted |= {f"js/{path.name}" for path in (ROOT / "js").glob("*.*") if path.is_file()}
    assert wanted - names == set()
    assert [name for name in names if "node_modules" in name] == []


def test_a_checkout_without_node_makes_no_wheel(checkout, tmp_path):
    done = build(checkout, "wheel", path=str(tmp_path))
    assert done.returncode != 0
    assert "npm is not on PATH" in done.stderr


def test_an_editable_install_without_node_goes_on_and_says_what_is_missing(checkout, tmp_path):
    done = build(checkout, "wheel:editable", path=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "front end was not built" in done.stdout + done.stderr
    assert "npm is not on PATH" in done.stdout + done.stderr


def test_the_sdist_holds_what_contributors_and_shippers_read(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "docs/licences.md"} <= names


def test_no_link_of_the_long_description_is_relative(built, checkout):
    (wheel,) = built.glob("*.whl")
    (metadata,) = (data for name, data in contents(wheel).items() if name.endswith("/METADATA"))
    fields = message_from_bytes(metadata)
    assert fields["Description-Content-Type"] == "text/markdown"
    shown = fields.get_payload(decode=True).decode("utf-8")
    assert relative_targets(shown) == []
    for name in ("notebooks/quickstart.ipynb", "CONTRIBUTING.md", "CHANGELOG.md"):
        assert f"`{name}`" in shown
    # All else is README's, whose own links work in a repository.
    readme = (checkout / "README.md").read_text("utf-8")
    assert "notebooks/quickstart.ipynb" in relative_targets(readme)
    assert "[Overshoot](https://overshoot.ai)" in shown
    assert re.findall(r"^```.*?^```", shown, re.DOTALL | re.MULTILINE) == re.findall(
        r"^```.*?^```", readme, re.DOTALL | re.MULTILINE
    )


def relative_targets(markdown: str) -> list[str]:
    """Where links and pictures lead that need a folder around them, in any of Markdown's forms."""
    prose = re.sub(r"^```.*?^```|`[^`]+`(?!\])", "", markdown, flags=re.DOTALL | re.MULTILINE)
    forms = (r"\]\(\s*<?([^)>\s]+)", r"^ *\[[^\]]+\]:\s*(\S+)", r"(?:href|src)=[\"']?([^\"'\s>]+)")
    targets = [target for form in forms for target in re.findall(form, prose, re.MULTILINE)]
    return [target for target in targets if not re.match(r"https?://|mailto:", target)]


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("[CHANGELOG.md](CHANGELOG.md)", "`CHANGELOG.md`"),
        ("[`a.md`](a.md#part)", "`a.md`"),
        ("[the notes\non it](docs/a.md 'Notes')", "the notes\non it (`docs/a.md`)"),
        ("![](docs/a.png)", "`docs/a.png`"),
        ("[above](#start)", "above"),
        ("[Overshoot](https://overshoot.ai)", "[Overshoot](https://overshoot.ai)"),
        ("`rows[0](a.md)` and [b](b.md)", "`rows[0](a.md)` and b (`b.md`)"),
        ("```\n[a](a.md)\n```", "```\n[a](a.md)\n```"),
    ],
)
def test_relative_links_are_named(link, shown):
    spec = importlib.util.spec_from_file_location("hatch_readme", ROOT / "js" / "hatch_readme.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.without_relative_links(link) == shown
