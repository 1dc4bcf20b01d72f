"""What the rooms of the package keep to, beside the contracts that ``lint-imports`` checks."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import overshoot_nb

PACKAGE = Path(overshoot_nb.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

EVERYTHING = """
import importlib, pkgutil, overshoot_nb

for module in pkgutil.walk_packages(overshoot_nb.__path__, "overshoot_nb."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
modules = [name for name in overshoot_nb.__all__ if type(getattr(overshoot_nb, name)) is type(ast)]
print(modules)
"""


def test_no_module_hides_a_public_name():
    code = f"import ast{EVERYTHING}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "['judges']", done.stdout + done.stderr


def test_the_root_is_small():
    assert len(list(PACKAGE.glob("*.py"))) <= 16


def test_a_room_says_what_is_public_and_nothing_else():
    for path in PACKAGE.glob("*/**/__init__.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            listed = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
            assert text or listed or isinstance(node, ast.Import | ast.ImportFrom), path


def test_only_the_face_finds_modules_by_name():
    for path in MODULES:
        if path == PACKAGE / "__init__.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
                assert "overshoot_nb" not in ast.unparse(node), path
                assert "__package__" not in ast.unparse(node), path


def test_nothing_imports_the_package_as_a_whole():
    # Its names are lazy: they would be in no drawing of the imports.
    inside = {path.stem for path in PACKAGE.glob("*.py")} | {"overshoot_nb"}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                assert all(one.name.partition(".")[0] != "overshoot_nb" for one in node.names), path
            elif isinstance(node, ast.ImportFrom) and node.module == "overshoot_nb":
                assert inside.issuperset(one.name for one in node.names), path


def test_what_is_public_is_listed_in_packages_alone():
    for path in MODULES:
        if path.name != "__init__.py":
            assert "\n__all__ =" not in path.read_text("utf-8"), path
