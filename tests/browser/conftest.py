"""Fixtures of the browser tests: ``lab``, ``notebook7`` and ``marimo`` open notebooks."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from chromium import NoBrowser
from rig import ARTIFACTS, Host, LabHost, MarimoHost, Notebook7Host, Rig
from stage import Stage

AnyHost = TypeVar("AnyHost", LabHost, Notebook7Host, MarimoHost)

browser_name = pytest.StashKey[str]()
failed = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever drives a browser runs when nothing else does."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.alone)


@pytest.fixture(scope="session", autouse=True)
def stage() -> Iterator[Stage]:
    """The thread that the tests of this folder run in."""
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture(scope="session")
def built_front_end(pytestconfig: pytest.Config) -> None:
    """The front end as ``js/src`` is now, whatever was installed."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.fail("Node.js is missing: npm is not on PATH (https://nodejs.org)", pytrace=False)
    js = pytestconfig.rootpath / "js"
    done = subprocess.run(
        [npm, "run", "--silent", "build"], cwd=js, capture_output=True, text=True, timeout=120
    )
    if done.returncode:
        pytest.fail(f"npm run build in {js}\n{done.stdout}{done.stderr}", pytrace=False)


@pytest.fixture(scope="session")
def rig(
    stage: Stage,
    built_front_end: None,
    clean_environment: None,
    tmp_path_factory: pytest.TempPathFactory,
    pytestconfig: pytest.Config,
) -> Iterator[Rig]:
    """The servers and the browser."""
    rig = Rig(stage, tmp_path_factory.mktemp("rig"))
    try:
        try:
            stage.call(rig.start)
        except NoBrowser as error:
            pytest.fail(str(error), pytrace=False)
        pytestconfig.stash[browser_name] = rig.browser_name
        yield rig
    finally:
        stage.call(rig.close)


@pytest.fixture
def lab(rig: Rig, request: pytest.FixtureRequest) -> Iterator[LabHost]:
    """Opens notebooks in JupyterLab."""
    yield from hosting(LabHost, rig, request)


@pytest.fixture
def notebook7(rig: Rig, request: pytest.FixtureRequest) -> Iterator[Notebook7Host]:
    """Opens notebooks in Notebook 7."""
    yield from hosting(Notebook7Host, rig, request)


@pytest.fixture
def marimo(rig: Rig, request: pytest.FixtureRequest) -> Iterator[MarimoHost]:
    """Opens notebooks in marimo."""
    yield from hosting(MarimoHost, rig, request)


def hosting(kind: type[AnyHost], rig: Rig, request: pytest.FixtureRequest) -> Iterator[AnyHost]:
    host = kind(rig, request.node.name)
    yield host
    errors = host.errors()
    request.getfixturevalue("stage").call(host.close)
    # A test that has failed has shown them already.
    if not request.node.stash.get(failed, False):
        assert errors == [], "errors in the browser's console"


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    """Run the test where the pages live."""
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    pyfuncitem.funcargs["stage"].call(pyfuncitem.obj, **arguments)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails leaves a screenshot, and shows what its server and console said."""
    report = yield
    if report.when == "call" and report.failed:
        item.stash[failed] = True
        for host in item.funcargs.values():
            if isinstance(host, Host):
                report.sections += item.funcargs["stage"].call(host.report)
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if name := config.stash.get(browser_name, ""):
        terminalreporter.write_line(f"browser: {name}; screenshots: {ARTIFACTS}")
