"""The map of the folder names what is in it."""

from __future__ import annotations

import re
from pathlib import Path

from overshoot_nb import tuning


def test_the_map_lists_every_module_once():
    modules = {path.stem for path in Path(tuning.__file__).parent.glob("*.py")} - {"__init__"}
    listed = re.findall(r"^    (\w+) {2,}\S", tuning.__doc__, re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == modules
