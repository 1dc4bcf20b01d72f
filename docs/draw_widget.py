"""Draws docs/widget.png: the widget, as a person sees it in JupyterLab.

    .venv/bin/python docs/draw_widget.py

It needs what the tests in tests/browser need: the extras ``local``, ``notebook`` and ``test``, and
Chrome or Chromium.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
for folder in ("tests", "tests/browser"):
    sys.path.insert(0, str(ROOT / folder))

from PIL import Image  # noqa: E402

from panel import Panel  # noqa: E402
from rig import LabHost, Rig  # noqa: E402
from stage import Stage  # noqa: E402

SETUP = "import overshoot_nb\nfrom overshoot_nb import demo\nvideo = str(demo.video())"
START = (
    "stream = overshoot_nb.watch(video, demo.PROMPT, output_schema=demo.SCHEMA,"
    " interval_seconds=0.5)\nstream"
)
#: Rows that are there when it is drawn.
ROWS = 24
#: Pixels from the top: below them is the bar of JupyterLab.
HEIGHT = 775
#: Colours of the picture: text stays sharp, and the file small.
COLOURS = 128


def draw(rig: Rig, target: Path) -> None:
    """Run a stream in JupyterLab and keep a picture of its widget."""
    host = LabHost(rig, "draw_widget")
    notebook = host.open([SETUP, START])
    notebook.run(0, seconds=120)
    notebook.run(1)
    panel = Panel(notebook)
    panel.wait_for_video()
    notebook.execute(f"import time\nwhile len(stream.df) < {ROWS}: time.sleep(0.1)", seconds=120)
    panel.button("Pause").click()
    panel.expect_state("paused")
    panel.root.screenshot(path=target, animations="disabled")
    notebook.execute("await stream.close()")
    host.close()


def main() -> None:
    """Draw it, and make the file small."""
    target = ROOT / "docs" / "widget.png"
    stage = Stage()
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(stage, Path(folder))
        try:
            stage.call(rig.start)
            stage.call(draw, rig, target)
        finally:
            stage.call(rig.close)
            stage.close()
    with Image.open(target) as drawn:
        shown = drawn.crop((0, 0, drawn.width, min(drawn.height, HEIGHT)))
        shown.convert("RGB").quantize(COLOURS).save(target, optimize=True)
    print(f"{target}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
