"""What ``overshoot-nb demo`` needs, what it leaves behind, and commands without the engine."""

from __future__ import annotations

import importlib.util

import nbformat
import pytest

from overshoot_nb import config, quickstart
from overshoot_nb.asking.endpoint import resolve_endpoint
from overshoot_nb.cli import main
from overshoot_nb.support import installed

ENGINE_GONE = ("cv2", "PIL", "onnxruntime")


@pytest.fixture
def gone(monkeypatch):
    """Packages as if they were not installed."""
    find = importlib.util.find_spec

    def remove(*modules: str) -> None:
        monkeypatch.setattr(
            importlib.util,
            "find_spec",
            lambda name, package=None: None if name in modules else find(name, package),
        )

    for name in (config.ENV_API_KEY, config.ENV_BASE_URL):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("overshoot_nb.asking.endpoint._told_local", False)
    return remove


def test_the_demo_names_all_it_lacks_by_package_in_one_command(gone, tmp_path, capsys):
    gone("cv2", "PIL", "nbclient", "altair")
    assert main(["demo", "--output", str(tmp_path / "out" / "run.ipynb")]) == 1
    said = capsys.readouterr().err
    assert "opencv-python-headless, pillow, nbclient, altair" in said
    assert 'pip install "overshoot-nb[local,notebook]"' in said
    assert not (tmp_path / "out").exists()


def test_without_the_engine_nobody_says_that_it_answers(gone, caplog):
    gone(*ENGINE_GONE)
    assert resolve_endpoint().is_local
    assert "answer" not in caplog.text


def test_packages_are_named_not_modules(gone):
    gone(*ENGINE_GONE)
    assert installed.missing_packages(installed.ENGINE_MODULES) == [
        "opencv-python-headless",
        "pillow",
        "onnxruntime",
    ]


def test_a_failed_run_leaves_a_good_notebook_alone(tmp_path, monkeypatch, capsys):
    cell = nbformat.v4.new_code_cell("1 / 0")
    broken = tmp_path / "broken.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), broken)
    monkeypatch.setattr(quickstart, "notebook_path", lambda: broken)
    good = tmp_path / "run.ipynb"
    good.write_text("good")
    assert quickstart.execute(str(good)) == 1
    assert good.read_text() == "good"
    assert "ZeroDivisionError" in (tmp_path / "run.failed.ipynb").read_text()
    assert "run.failed.ipynb" in capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "broken.ipynb",
        "run.failed.ipynb",
        "run.ipynb",
    ]


def test_doctor_says_when_a_found_key_is_not_sent(monkeypatch, capsys):
    monkeypatch.setenv(config.ENV_API_KEY, "ovs-never-shown-0123456789")
    main(["doctor", "--base-url", "http://127.0.0.1:9/v1"])
    said = capsys.readouterr().out
    assert "found (OVERSHOOT_API_KEY); not sent to http://127.0.0.1:9/v1" in said
    assert "never-shown" not in said
    main(["doctor", "--base-url", "http://127.0.0.1:9/v0.2"])
    assert "not sent" not in capsys.readouterr().out
