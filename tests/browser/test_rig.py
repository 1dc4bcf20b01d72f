"""The rig itself: each front end opens a notebook, runs cells and shows what they give."""

from __future__ import annotations

import asyncio

import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeout

WIDGET = """
import anywidget, traitlets
class Button(anywidget.AnyWidget):
    presses = traitlets.Int(0).tag(sync=True)
    _esm = '''
    function render({ model, el }) {
        const root = document.createElement("section");
        root.className = "ov";
        const button = document.createElement("button");
        const show = () => { button.textContent = `pressed ${model.get("presses")}`; };
        button.onclick = () => {
            model.set("presses", model.get("presses") + 1);
            model.save_changes();
        };
        model.on("change:presses", show);
        show();
        root.append(button);
        el.append(root);
    }
    export default { render };
    '''
button = Button()
"""
WORK = """() => {
    const started = performance.now();
    let sum = 0;
    for (let i = 0; i < 5e6; i += 1) sum += Math.sqrt(i);
    return performance.now() - started;
}"""


def test_lab_runs_cells_and_shows_a_widget(lab):
    notebook = lab.open([WIDGET, "button", "print(button.presses)", "1 / 0"])
    assert notebook.run(0) == ""
    notebook.run(1)
    notebook.click("button")
    notebook.wait("() => document.querySelector('.ov').innerText === 'pressed 1'")
    assert notebook.run(2) == "1\n"
    assert "ZeroDivisionError" in notebook.run(3)
    assert notebook.execute("6 * 7") == "42"
    assert notebook.shot("rig-lab").stat().st_size > 10_000


def test_a_page_is_reloaded_with_its_kernel_and_reopened_without(lab):
    notebook = lab.open(["x = 41\nprint('kept')", "x += 1\nprint(x)"])
    notebook.run(0)
    notebook.save()
    notebook.reload()
    assert notebook.run(1) == "42\n"
    saved = notebook.save()
    assert [cell["outputs"][0]["text"] for cell in saved["cells"]] == [["kept\n"], ["42\n"]]
    notebook.close()
    again = lab.reopen_without_kernel(notebook.path)
    assert again.text(1) == "42\n"
    assert again.js("() => jupyterapp.shell.currentWidget.sessionContext.session") is None


def test_interrupt_restart_and_the_theme(lab):
    notebook = lab.open(["import time\nprint('x' in dir())\nx = 1\ntime.sleep(60)"])
    notebook.start(0)
    notebook.wait("() => document.querySelector('.jp-OutputArea')?.innerText.includes('False')")
    notebook.interrupt()
    assert "KeyboardInterrupt" in notebook.finished(0, seconds=20)
    assert notebook.execute("x") == "1"
    notebook.restart()
    assert notebook.execute("'x' in dir()") == "False"
    notebook.dark()
    light = lab.open(["1"])
    assert light.js("() => document.body.dataset.jpThemeLight") == "true"


def test_slow_pages_errors_and_what_does_not_come(lab):
    notebook = lab.open(["1"], allow=["expected one"])
    notebook.js(WORK)
    before = min(notebook.js(WORK) for _ in range(3))
    notebook.throttle(8)
    throttled = min(notebook.js(WORK) for _ in range(3))
    assert throttled > 2 * before
    notebook.throttle(1)
    assert min(notebook.js(WORK) for _ in range(3)) < throttled / 2

    notebook.js("() => console.error('expected one')")
    notebook.js("() => { setTimeout(() => { throw new Error('thrown'); }); }")
    notebook.page.wait_for_timeout(200)
    (error,) = notebook.errors
    assert error.startswith("uncaught: thrown (")
    notebook.forgive("thrown")
    assert notebook.errors == []

    with pytest.raises(PlaywrightTimeout):
        notebook.wait("() => false", seconds=0.2)


def test_notebook_7_runs_cells_and_shows_a_widget(notebook7):
    notebook = notebook7.open([WIDGET, "button", "print(button.presses)"])
    notebook.run(0)
    notebook.run(1)
    notebook.click("button")
    notebook.wait("() => document.querySelector('.ov').innerText === 'pressed 1'")
    assert notebook.run(2) == "1\n"
    notebook.shot("rig-notebook7")


def test_marimo_runs_cells_and_shows_a_widget(marimo):
    notebook = marimo.open(["x = 20", "print(x)\nx + 3", WIDGET, "button"])
    assert notebook.text(1).split() == ["23", "20"]
    notebook.click("button")
    notebook.widgets.get_by_text("pressed 1").wait_for()
    notebook.run_all()
    notebook.widgets.get_by_text("pressed 0").wait_for()
    notebook.shot("rig-marimo")


def run_a_loop() -> str:
    async def answer() -> str:
        return "ran"

    return asyncio.run(answer())


@pytest.fixture
def ran_in_the_main_thread(rig):
    return run_a_loop()


def test_loops_can_be_run_in_the_main_thread_meanwhile(ran_in_the_main_thread):
    assert ran_in_the_main_thread == "ran"
